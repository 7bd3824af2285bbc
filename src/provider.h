/*
 * provider.h - from a model's name to where and how to ask.
 *
 * Providers are data (lua/chatbot/providers.lua, loaded when first asked for,
 * and chatbot.register), kept as Lua tables. A route is the table that comes
 * out for one bot; it never holds a key. Knows nothing of the two userdata
 * types and nothing of the engine but the kinds of failure.
 */
#ifndef CHATBOT_PROVIDER_H
#define CHATBOT_PROVIDER_H

#include <stdbool.h>

#include "compat.h"

/* chatbot.register(name, spec) and chatbot.providers(), as Lua functions. */
int provider_register(lua_State *L);
int provider_list(lua_State *L);

/* Pushes the route for the model, provider and base_url at these indexes (nil
 * when not given):
 *   {provider = name, model = as sent, base_url, url, named = boolean (the
 *    caller gave provider), given = boolean (the caller gave base_url),
 *    spec = the provider's data}
 * where `path` is what a request has behind the base URL, see dialect.h.
 * The model's name chooses an address only where the caller chose none: with a
 * provider it loses that one's prefix and nothing else, with a base_url it is
 * sent as it is. An unknown provider, be it the word before a colon, or an
 * unusable URL: an error table, and false. [-0, +1, e]
 */
bool provider_route(lua_State *L, int model, int provider, int base_url,
                    const char *path);

/* Whether what belongs to the provider (the environment's key, headers) may
 * travel on this route: its address is the provider's own, or the caller has
 * named the provider for it. [-0, +0, m] */
bool provider_is_own(lua_State *L, int route);

/* The key that the environment has for this route, or NULL, as always when it
 * is not the provider's own. The pointer is getenv's. */
const char *provider_env_key(lua_State *L, int route);

/* Whether the provider's data say `name = true`. [-0, +0, m] */
bool provider_has(lua_State *L, int route, const char *name);

/* Whether this route cannot do without a key. */
bool provider_needs_key(lua_State *L, int route);

/* Pushes the name that the provider has for the body field at `field` when the
 * route's model is asked. [-0, +1, m] */
void provider_rename(lua_State *L, int route, int field);

/* Whether a default of ours must be left out for the route's model. */
bool provider_omits(lua_State *L, int route, const char *field);

/* What is wrong with a URL: NULL, or a text. `secret` says that a key will be
 * sent; `insecure` that plain http may carry it anywhere. */
const char *provider_check_url(const char *url, bool secret, bool insecure);

#endif
