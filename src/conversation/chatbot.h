/*
 * chatbot.h - the chatbot userdata: made, copied, and its conversation.
 */
#ifndef CHATBOT_CHATBOT_H
#define CHATBOT_CHATBOT_H

#include "binding/compat.h"

void chatbot_open(lua_State *L); /* creates the type; pushes its methods */

/* chatbot.new(options [, arg]), as a Lua function. `arg`: which argument of the
 * function that was called they are, if not the first (binding_argerror). */
int chatbot_new(lua_State *L);

#endif
