/*
 * chatbot.h - the chatbot userdata: options, conversation, chat.
 *
 * A bot holds no connection, only what is needed to ask: its environment table
 * has `options`, `messages` (the live array), `route` (see provider.h),
 * `api_key` when that is a function, and `active`, a weak table with the reply
 * that is under way. A key that is a string is kept in C, where Lua cannot see
 * it.
 */
#ifndef CHATBOT_CHATBOT_H
#define CHATBOT_CHATBOT_H

#include "binding.h"

extern const struct binding_type chatbot_type;

void chatbot_open(lua_State *L); /* creates the type; pushes its methods */

/* chatbot.new(options [, arg]), as a Lua function. `arg`: which argument of the
 * function that was called they are, if not the first (binding_argerror). */
int chatbot_new(lua_State *L);

#endif
