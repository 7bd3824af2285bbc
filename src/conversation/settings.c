/*
 * settings.c - see settings.h.
 */
#include "conversation/settings.h"

#include <stdlib.h>
#include <string.h>

#include "binding/binding.h"
#include "binding/options.h"
#include "dialect/dialects.h"
#include "provider/route.h"
#include "provider/rules.h"

/* Options at `i`, which are argument `arg` of what was called. [-0, +0, e] */
void settings_need_table(lua_State *L, int i, int arg)
{
    if (!lua_istable(L, i))
        binding_argerror(
            L, arg,
            lua_pushfstring(L, "table expected, got %s", luaL_typename(L, i)));
}

/* Moves the api_key in the table at `options` to where it is kept. A key that
 * has been given belongs to the provider and URL it was given for. */
void settings_set_key(lua_State *L, struct chatbot *b, int env, int options)
{
    lua_getfield(L, options, "api_key");
    if (lua_isfunction(L, -1)) {
        bot_free_key(b);
        lua_setfield(L, env, "api_key");
        return;
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        size_t n;
        const char *key = lua_tolstring(L, -1, &n);
        bot_free_key(b);
        b->key = malloc(n + 1);
        if (b->key == NULL)
            luaL_error(L, "not enough memory");
        compat_visible(b->key, key, n);
        lua_pushnil(L);
        lua_setfield(L, env, "api_key");
    }
    lua_pop(L, 1);
}

/* Copies options that have a value; the key stays out. [-0, +0, m] */
void settings_copy(lua_State *L, int from, int to)
{
    lua_pushnil(L);
    while (lua_next(L, from)) {
        const char *name = lua_tostring(L, -2);
        if (strcmp(name, "api_key") != 0 && strcmp(name, "messages") != 0 &&
            strcmp(name, "system") != 0) {
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_settable(L, to);
        }
        lua_pop(L, 1);
    }
}

/* Adds to the route on top the dialect at `api`, or if that is nil the usual
 * one, and the address. False: an error table is in its place. [-0, +0, e] */
static bool speak(lua_State *L, int base_url, int api)
{
    int route = lua_gettop(L);
    bool said = !lua_isnil(L, api);
    if (said)
        lua_pushvalue(L, api);
    else
        rules_push_api(L, route);
    lua_setfield(L, route, "api");
    lua_pushboolean(L, said);
    lua_setfield(L, route, "said");
    return route_locate(L, base_url, dialect_of(L, route)->path);
}

bool settings_push_route(lua_State *L, int env, int model, int api)
{
    int top = lua_gettop(L);
    enum { OPTIONS = 1, PROVIDER, BASE_URL, MODEL, OWN, ROUTE };
    luaL_checkstack(L, 12, NULL);
    lua_getfield(L, env, "options");
    lua_getfield(L, top + OPTIONS, "provider");
    lua_getfield(L, top + OPTIONS, "base_url");
    lua_getfield(L, top + OPTIONS, "model");
    lua_getfield(L, env, "route");
    if (lua_isnil(L, model))
        model = top + MODEL;
    bool ok = route_push(L, model, top + PROVIDER, top + BASE_URL);
    if (ok) {
        lua_pushvalue(L, api);
        if (lua_isnil(L, api) &&
            route_same_provider(L, top + OWN, top + ROUTE)) {
            lua_pop(L, 1); /* the bot's is meant for its own service */
            lua_getfield(L, top + OPTIONS, "api");
        }
        lua_insert(L, top + ROUTE); /* api, route */
        ok = speak(L, top + BASE_URL, top + ROUTE);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return ok;
}

/* Finds the route for env.options and stores it; raises when there is none,
 * because naming an unknown provider is misuse. [-0, +0, e] */
void settings_find_route(lua_State *L, int env, int options, int arg)
{
    int top = lua_gettop(L);
    lua_getfield(L, options, "model");
    lua_getfield(L, options, "provider");
    lua_getfield(L, options, "base_url");
    lua_getfield(L, options, "api");
    if (!route_push(L, top + 1, top + 2, top + 3) ||
        !speak(L, top + 3, top + 4)) {
        lua_getfield(L, -1, "message");
        binding_argerror(L, arg, lua_tostring(L, -1));
    }
    lua_setfield(L, env, "route");
    lua_settop(L, top);
}

/* bot:_route([model [, api]]) -> where its requests go (see route.h), or nil,
 * err */
int settings_route(lua_State *L)
{
    bot_check(L);
    luaL_optstring(L, 2, NULL);
    luaL_optstring(L, 3, NULL);
    lua_settop(L, 3);
    compat_getenv(L, 1);
    if (settings_push_route(L, 4, 2, 3))
        return 1;
    return binding_fail(L);
}

static void unset(lua_State *L, int table, const char *name)
{
    lua_pushnil(L);
    lua_setfield(L, table, name);
}

/* Forgets an option that is not among the new ones. */
static void unset_old(lua_State *L, int opts, int options, const char *name)
{
    if (!binding_has(L, opts, name))
        unset(L, options, name);
}

/* bot:set_model(name [, opts]). A base_url that was given stays, with the
 * provider that was named for it, until opts have either; without one the name
 * finds its provider anew. What was given for one address, and may be secret,
 * goes when the address changes: the key, further headers. */
int settings_set_model(lua_State *L)
{
    enum { BOT = 1, NAME, OPTS, ENV, OPTIONS, OLD, NEXT };
    struct chatbot *b = bot_check(L);
    binding_checktype(L, NAME, LUA_TSTRING);
    lua_settop(L, OPTS);
    if (lua_isnil(L, OPTS)) {
        lua_newtable(L);
        lua_replace(L, OPTS);
    }
    binding_checktype(L, OPTS, LUA_TTABLE);
    options_check(L, OPTS, OPTS, false);
    compat_getenv(L, BOT);
    lua_getfield(L, ENV, "options");
    lua_getfield(L, ENV, "route");
    /* on a copy, so that nothing has changed when this raises */
    lua_newtable(L);
    settings_copy(L, OPTIONS, OLD + 1);
    lua_replace(L, OPTIONS);
    lua_pushvalue(L, NAME);
    lua_setfield(L, OPTIONS, "model");
    settings_copy(L, OPTS, OPTIONS);
    lua_pushvalue(L, NAME);
    lua_setfield(L, OPTIONS, "model");
    binding_argcheck(
        L, !binding_has(L, OPTS, "messages") && !binding_has(L, OPTS, "system"),
        OPTS, "the conversation is not changed here");
    bool url = binding_has(L, OPTS, "base_url");
    bool provider = binding_has(L, OPTS, "provider");
    if (!url && provider)
        unset(L, OPTIONS, "base_url");
    if (!provider && (url || !binding_has(L, OPTIONS, "base_url")))
        unset(L, OPTIONS, "provider");
    lua_newtable(L); /* NEXT */
    settings_find_route(L, NEXT, OPTIONS, 2);
    lua_getfield(L, NEXT, "route");
    bool moved = !route_same_server(L, OLD, lua_gettop(L));
    if (moved && binding_has(L, OPTIONS, "api") &&
        !binding_has(L, OPTS, "api")) {
        unset(L, OPTIONS, "api"); /* it was that of another service */
        settings_find_route(L, NEXT, OPTIONS, 2);
        lua_getfield(L, NEXT, "route");
    }
    lua_replace(L, NEXT);
    lua_settop(L, NEXT);
    if (moved)
        unset_old(L, OPTS, OPTIONS, "headers");
    if (moved && !route_is_own(L, NEXT)) {
        unset_old(L, OPTS, OPTIONS, "organization");
        unset_old(L, OPTS, OPTIONS, "project");
    }
    if (moved)
        bot_free_key(
            b); /* before the route changes, and a new one comes after */
    lua_setfield(L, ENV, "route");
    lua_pushvalue(L, OPTIONS);
    lua_setfield(L, ENV, "options");
    settings_set_key(L, b, ENV, OPTS);
    lua_settop(L, 1);
    return 1;
}

int settings_push_field(lua_State *L, const char *name)
{
    bot_check(L);
    compat_getenv(L, 1);
    lua_getfield(L, -1, "route");
    lua_getfield(L, -1, name);
    return 1;
}

int settings_get_model(lua_State *L)
{
    return settings_push_field(L, "model");
}

int settings_get_provider(lua_State *L)
{
    static const char *const names[] = {"provider", "base_url", "model"};
    struct chatbot *b = bot_check(L);
    lua_settop(L, 1);
    compat_getenv(L, 1);
    lua_getfield(L, 2, "route");
    lua_newtable(L);
    for (int i = 0; i < 3; i++) {
        lua_getfield(L, 3, names[i]);
        lua_setfield(L, 4, i == 0 ? "name" : names[i]);
    }
    lua_getfield(L, 2, "api_key");
    lua_pushboolean(L, b->key != NULL || lua_isfunction(L, -1) ||
                           route_env_key(L, 3) != NULL);
    lua_setfield(L, 4, "has_key");
    lua_settop(L, 4);
    return 1;
}
