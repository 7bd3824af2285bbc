/*
 * asking.h - a prompt becomes a reply that is under way: methods of a bot.
 */
#ifndef CHATBOT_ASKING_H
#define CHATBOT_ASKING_H

#include "binding/compat.h"

int asking_stream(lua_State *L);
int asking_get(lua_State *L);
int asking_relaunch(lua_State *L);
#if COMPAT_YIELDS
int asking_chat(lua_State *L);
#endif

#endif
