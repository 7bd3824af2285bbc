/*
 * provider.h - the services that are known, and what is known of each.
 *
 * Providers are data (lua/chatbot/providers.lua, loaded when first asked for,
 * and chatbot.register), kept as Lua tables. Knows nothing of the two userdata
 * types and nothing of the engine but the kinds of failure.
 */
#ifndef CHATBOT_PROVIDER_H
#define CHATBOT_PROVIDER_H

#include <stdbool.h>

#include "binding/compat.h"

/* chatbot.register(name, spec) and chatbot.providers(), as Lua functions. */
int provider_register(lua_State *L);
int provider_list(lua_State *L);

/* Pushes the list, {names in order, name = spec, [PROVIDER_MODELS] = rules for
 * the models of all}, which is made when it is first asked for. [-0, +1, e] */
#define PROVIDER_MODELS ":models" /* no provider's name has a colon */
void provider_push_list(lua_State *L);

/* The string field of the table at `i`; NULL when it is none. The pointer is
 * good while the table holds it. [-0, +0, m] */
const char *provider_field(lua_State *L, int i, const char *name);

/* Whether the field of the table at `i` is true. [-0, +0, m] */
bool provider_flag(lua_State *L, int i, const char *name);

/* The variable of the environment; NULL when it is not there, or empty. */
const char *provider_env(const char *name);

/* The key that the environment has for the provider whose spec is at `spec`, or
 * NULL. The pointer is getenv's. [-0, +0, m] */
const char *provider_key(lua_State *L, int spec);

#endif
