/*
 * chat.h - the parts of the dialect of chat completions, see dialect.h; its
 * scan is in chat_scan.h.
 */
#ifndef CHATBOT_CHAT_H
#define CHATBOT_CHAT_H

#include "dialect/dialect.h"

extern const struct dialect dialect_chat;
extern const struct schema_rule chat_schemas[];

bool chat_write(lua_State *L, const struct writer *w);
bool chat_merge(lua_State *L, struct answer *a, int env);
bool chat_whole(lua_State *L, struct answer *a, int env);
void chat_finish(lua_State *L, struct answer *a, int env);

#endif
