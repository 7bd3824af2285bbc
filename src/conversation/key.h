/*
 * key.h - the API key for one request.
 */
#ifndef CHATBOT_KEY_H
#define CHATBOT_KEY_H

#include <stdbool.h>

#include "binding/compat.h"

/* Finds the key and pushes a userdata with a copy of it, or nil: never a Lua
 * string, which would outlive its use. A key that was given goes only to the
 * server it was given for, and nothing goes there without it. False: an error
 * table. [-0, +1, m] */
bool key_push(lua_State *L, int bot, int reply, int env, int route);

#endif
