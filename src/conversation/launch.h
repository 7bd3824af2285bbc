/*
 * launch.h - a bot's settings and a reply's become a request under way.
 *
 * Of the reply's environment it reads `call` (the options of the call, or
 * nil), `note` (a string for the system message, or nil), `route` (when it is
 * not the bot's own) and `path` (a GET of base_url .. path instead of a chat);
 * so the same reply can be launched again, with other settings, after a
 * failure. The conversation is the bot's and not changed here.
 */
#ifndef CHATBOT_LAUNCH_H
#define CHATBOT_LAUNCH_H

#include <stdbool.h>

#include "binding/compat.h"

/* Starts the request. False: an error table is pushed. [-0, +(0|1), e] */
bool launch(lua_State *L, int bot, int reply);

#endif
