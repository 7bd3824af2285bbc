/*
 * responses.h - the parts of the dialect of OpenAI's Responses, see dialect.h;
 * its scan is in responses_scan.h.
 */
#ifndef CHATBOT_RESPONSES_H
#define CHATBOT_RESPONSES_H

#include "dialect/dialect.h"

extern const struct dialect dialect_responses;
extern const struct schema_rule responses_schemas[];

bool responses_write(lua_State *L, const struct writer *w);
bool responses_merge(lua_State *L, struct answer *a, int env);
bool responses_whole(lua_State *L, struct answer *a, int env);
void responses_finish(lua_State *L, struct answer *a, int env);

#endif
