/*
 * key.c - see key.h.
 */
#include "conversation/key.h"

#include <string.h>

#include "binding/failure.h"
#include "conversation/bot.h"
#include "provider/route.h"
#include "reply/reply.h"

/* The text of any value, as tostring has it. */
static int to_text(lua_State *L)
{
    if (!luaL_callmeta(L, 1, "__tostring"))
        lua_settop(L, 1);
    return 1;
}

/* Replaces what the function api_key has raised by the error table. The key
 * could be in it, and is not known. [-1, +1, m] */
static void push_key_error(lua_State *L)
{
    lua_pushcfunction(L, to_text);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) != 0 || !lua_isstring(L, -1)) {
        lua_pop(L, 1);
        lua_pushliteral(L, "it raised no text");
    }
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    failure_redact_like(L, s, n);
    failure_push(L, FAULT_CONFIG, "the function api_key failed: %s",
                 lua_tostring(L, -1));
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* Whether the bot has a key of its own, of so many bytes, for the server that
 * is to be asked. [-0, +0, m] */
static bool has_own_key(lua_State *L, const struct chatbot *b, int env,
                        int route, size_t n)
{
    lua_getfield(L, env, "route");
    bool own = b->key != NULL && strlen(b->key) == n &&
               route_same_server(L, route, lua_gettop(L));
    lua_pop(L, 1);
    return own;
}

/* The key that there was for this server has gone, by a finalizer or a tool
 * that has sent the bot elsewhere: pushes the error. [-0, +1, m] */
static bool push_key_gone(lua_State *L)
{
    failure_push(L, FAULT_CONFIG, "the bot got another key meanwhile");
    return false;
}

bool key_push(lua_State *L, int bot, int reply, int env, int route)
{
    const struct chatbot *b = lua_touserdata(L, bot);
    const struct reply *r = lua_touserdata(L, reply);
    int top = lua_gettop(L);
    const char *found = NULL;
    size_t n = 0;
    lua_getfield(L, env, "api_key");
    lua_getfield(L, env, "route");
    if (b->key != NULL && route_same_server(L, route, top + 2)) {
        found = b->key;
    } else if (lua_isfunction(L, top + 1)) {
        lua_settop(L, top + 1);
        lua_getfield(L, route, "provider");
        lua_getfield(L, route, "base_url");
        if (lua_pcall(L, 2, 1, 0) != 0) {
            push_key_error(L);
            return false;
        }
        if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING) {
            failure_push(L, FAULT_CONFIG,
                         "the function api_key must return a string or nil");
            return false;
        }
        found = lua_tolstring(L, -1, &n);
    } else if (r->keyed) {
        return push_key_gone(L);
    } else {
        found = route_env_key(L, route);
    }
    if (found != NULL && n == 0)
        n = strlen(found);
    if (n == 0)
        found = NULL;
    if (found == NULL && route_needs_key(L, route)) {
        lua_getfield(L, route, "spec");
        lua_getfield(L, -1, "api_key_env");
        lua_rawgeti(L, -1, 1);
        lua_getfield(L, route, "provider");
        failure_push(L, FAULT_CONFIG,
                     "no API key for '%s': set %s, or give api_key",
                     lua_tostring(L, -1), lua_tostring(L, -2));
        lua_pushliteral(L, "no_api_key");
        lua_setfield(L, -2, "code");
        return false;
    }
    if (found == NULL) {
        lua_pushnil(L);
    } else {
        bool own = found == b->key;
        char *copy = lua_newuserdata(L, n + 1);
        if (own && !has_own_key(L, b, env, route, n))
            return push_key_gone(L);
        compat_visible(copy, own ? b->key : found, n);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return true;
}
