/*
 * route.h - from a model's name to where and how to ask.
 *
 * A route is the table that comes out for one bot; it never holds a key.
 */
#ifndef CHATBOT_ROUTE_H
#define CHATBOT_ROUTE_H

#include <stdbool.h>

#include "binding/compat.h"

/* Pushes the route for the model, provider and base_url at these indexes (nil
 * when not given):
 *   {provider = name, model = as sent, base_url, url, named = boolean (the
 *    caller gave provider), given = boolean (the caller gave base_url),
 *    home = boolean (the address is the one in the provider's data),
 *    api = the dialect, said = boolean (the program has said which),
 *    spec = the provider's data}
 * all but api and said, which the caller sets, and base_url and url, which
 * route_locate adds.
 * The model's name chooses an address only where the caller chose none: with a
 * provider it loses that one's prefix and nothing else, with a base_url it is
 * sent as it is. An unknown provider, be it the word before a colon: an error
 * table, and false. [-0, +1, e]
 */
bool route_push(lua_State *L, int model, int provider, int base_url);

/* Adds the addresses to the route on top, where `path` is what a request has
 * behind the base URL, see dialect.h. There is none: an error table takes the
 * route's place, and false. [-0, +0, e] */
bool route_locate(lua_State *L, int base_url, const char *path);

/* Whether what belongs to the provider (the environment's key, headers) may
 * travel on this route: its address is the provider's own, or the caller has
 * named the provider for it. [-0, +0, m] */
bool route_is_own(lua_State *L, int route);

/* The key that the environment has for this route, or NULL, as always when it
 * is not the provider's own. The pointer is getenv's. */
const char *route_env_key(lua_State *L, int route);

/* Whether the provider's data say `name = true`. [-0, +0, m] */
bool route_has(lua_State *L, int route, const char *name);

/* Whether this route cannot do without a key. */
bool route_needs_key(lua_State *L, int route);

/* Whether one string begins with the other, or has it in it, in any case of
 * letters; and whether that is so of a model's name and one of the texts in the
 * list spec[name]. */
bool route_starts(const char *s, const char *prefix);
bool route_contains(const char *s, const char *part);
bool route_fits(lua_State *L, int spec, const char *name, const char *model,
                bool (*test)(const char *, const char *));

/* Whether both routes are of one provider. [-0, +0, m] */
bool route_same_provider(lua_State *L, int a, int b);

/* Whether both routes lead to the same server: to one base URL, or to two that
 * one provider's data have for its dialects there. [-0, +0, m] */
bool route_same_server(lua_State *L, int a, int b);

/* Sets provider and model of the error table on top from the route at
 * `route`. [-0, +0, m] */
void route_name(lua_State *L, int route);

#endif
