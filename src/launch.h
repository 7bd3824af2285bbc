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

#include "compat.h"

struct chatbot {
    char *key; /* the api_key that was given as a string, or NULL */
};

/* Starts the request. False: an error table is pushed. [-0, +(0|1), e] */
bool launch(lua_State *L, int bot, int reply);

/* Sets provider and model of the error table on top from the route at
 * `route`. [-0, +0, m] */
void launch_name(lua_State *L, int route);

#endif
