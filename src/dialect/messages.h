/*
 * messages.h - the parts of the dialect of Anthropic's Messages, see dialect.h;
 * its scan is in messages_scan.h.
 */
#ifndef CHATBOT_MESSAGES_H
#define CHATBOT_MESSAGES_H

#include "dialect/dialect.h"

extern const struct dialect dialect_messages;
extern const struct schema_rule messages_schemas[];

bool messages_write(lua_State *L, const struct writer *w);
bool messages_merge(lua_State *L, struct answer *a, int env);
bool messages_whole(lua_State *L, struct answer *a, int env);
void messages_finish(lua_State *L, struct answer *a, int env);

#endif
