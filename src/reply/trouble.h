/*
 * trouble.h - the error tables for a request that went wrong, of what the
 * engine and the service say of it.
 */
#ifndef CHATBOT_TROUBLE_H
#define CHATBOT_TROUBLE_H

#include "reply/reply.h"

/* Each pushes one [-0, +1, m]: for a body that came with an HTTP error, or with
 * 2xx and no answer in it; */
void trouble_body(lua_State *L, struct reply *r, enum http_fault kind,
                  const char *text);

/* for an HTTP status; */
void trouble_http(lua_State *L, struct reply *r);

/* for what the engine found; */
void trouble_engine(lua_State *L, struct reply *r);

/* for an error event with this data. */
void trouble_event(lua_State *L, struct reply *r, const char *s, size_t n);

/* Adds to the error on top why it was not tried again. [-0, +0, m] */
void trouble_tell_stopped(lua_State *L, const struct reply *r);

#endif
