/*
 * usage.h - the tokens that a service has counted, under the names that chat
 * completions have for them, whatever others call them.
 */
#ifndef CHATBOT_USAGE_H
#define CHATBOT_USAGE_H

#include <stdbool.h>

#include "binding/compat.h"

/* env.usage = the usage in the table on top, if there is something in it: then
 * true. [-0, +0, m] */
bool usage_find(lua_State *L, int env);

/* The same of one that says what has changed since that in env.usage.
 * [-0, +0, m] */
bool usage_add(lua_State *L, int env);

#endif
