/*
 * methods.h - the methods and fields of the reply userdata.
 */
#ifndef CHATBOT_METHODS_H
#define CHATBOT_METHODS_H

#include "reply/reply.h"

/* Creates the type; pushes its methods. [-0, +1, m] */
void methods_open(lua_State *L);

/* For binding_open: ends the reply at `user` without Lua. */
void methods_drop(void *user);

#endif
