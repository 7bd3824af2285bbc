/*
 * settings.h - the options of a bot: its key, and which model it asks where.
 */
#ifndef CHATBOT_SETTINGS_H
#define CHATBOT_SETTINGS_H

#include "conversation/bot.h"

/* Options at `i`, which are argument `arg` of what was called. [-0, +0, e] */
void settings_need_table(lua_State *L, int i, int arg);

/* Moves the api_key in the table at `options` to where it is kept. A key that
 * has been given belongs to the provider and URL it was given for. */
void settings_set_key(lua_State *L, struct chatbot *b, int env, int options);

/* Copies options that have a value; the key stays out. [-0, +0, m] */
void settings_copy(lua_State *L, int from, int to);

/* Pushes the route of a model that stands in for the bot's, which is also meant
 * where that is nil: at the address and with the provider that the bot was
 * given, if any, and in the dialect at `api`, which may be nil. False: an error
 * table. [-0, +1, e] */
bool settings_push_route(lua_State *L, int env, int model, int api);

/* Finds the route for env.options and stores it; raises when there is none,
 * because naming an unknown provider is misuse. [-0, +0, e] */
void settings_find_route(lua_State *L, int env, int options, int arg);

/* Pushes the field of the route of the bot at 1. */
int settings_push_field(lua_State *L, const char *name);

/* Methods of a bot. */
int settings_route(lua_State *L);
int settings_set_model(lua_State *L);
int settings_get_model(lua_State *L);
int settings_get_provider(lua_State *L);

#endif
