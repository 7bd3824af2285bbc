/*
 * usage.c - see usage.h.
 */
#include "dialect/usage.h"

#include <string.h>

#include "binding/binding.h"

#define MAX_COUNT 9007199254740992.0 /* 2^53 */

/* Pushes a copy of the table on top without numbers that count nothing.
 * [-0, +1, m] */
static void push_counts(lua_State *L)
{
    int from = lua_gettop(L);
    luaL_checkstack(L, 6, NULL);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, from)) { /* from, to, key, value */
        double x = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (x >= 0 && x <= MAX_COUNT) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            if (lua_istable(L, -1)) {
                push_counts(L);
                lua_remove(L, -2);
            }
            lua_rawset(L, from + 1);
        } else {
            lua_pop(L, 1);
        }
    }
}

/* Pushes the number top[outer][inner], or top[inner] where `outer` is NULL.
 * [-0, +(0|1), m] */
static bool get_count(lua_State *L, const char *outer, const char *inner)
{
    int top = lua_gettop(L);
    if (outer != NULL && !binding_table(L, outer))
        return false;
    lua_getfield(L, -1, inner);
    if (lua_type(L, -1) != LUA_TNUMBER) {
        lua_settop(L, top);
        return false;
    }
    if (outer != NULL)
        lua_remove(L, top + 1);
    return true;
}

/* Gives what is in the table on top the names that chat completions have for
 * it. [-0, +0, m] */
static void rename_counts(lua_State *L)
{
    static const struct {
        const char *name, *other;
    } names[] = {
        {"prompt_tokens", "input_tokens"},
        {"completion_tokens", "output_tokens"},
        {"prompt_tokens_details", "input_tokens_details"},
        {"completion_tokens_details", "output_tokens_details"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_getfield(L, -1, names[i].name);
        lua_getfield(L, -2, names[i].other);
        if (lua_isnil(L, -2) && !lua_isnil(L, -1)) {
            lua_setfield(L, -3, names[i].name);
            lua_pushnil(L);
            lua_setfield(L, -3, names[i].other);
            lua_pop(L, 1);
        } else {
            lua_pop(L, 2);
        }
    }
}

/* env.usage = the table on top, if there is something in it: then true. What
 * services call differently has one name there. [-1, +0, m] */
static bool take_usage(lua_State *L, int env)
{
    static const char *const counts[] = {"prompt_tokens", "completion_tokens",
                                         "total_tokens"};
    static const struct {
        const char *name, *outer, *inner;
    } same[] = {
        {"cached_tokens", "prompt_tokens_details", "cached_tokens"},
        {"cached_tokens", NULL, "cached_tokens"},
        {"cached_tokens", NULL, "prompt_cache_hit_tokens"},
        {"cached_tokens", NULL, "num_cached_tokens"},
        {"cached_tokens", NULL, "cache_read_input_tokens"},
        {"cache_write_tokens", "prompt_tokens_details", "cache_write_tokens"},
        {"cache_write_tokens", NULL, "cache_write_tokens"},
        {"reasoning_tokens", "completion_tokens_details", "reasoning_tokens"},
        {"reasoning_tokens", NULL, "reasoning_tokens"},
    };
    push_counts(L);
    lua_remove(L, -2);
    rename_counts(L);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        lua_getfield(L, -1, counts[i]);
        bool number = lua_type(L, -1) == LUA_TNUMBER;
        lua_pop(L, 1);
        if (!number) {
            lua_pushnil(L);
            lua_setfield(L, -2, counts[i]);
        }
    }
    const char *done = "";
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strcmp(done, same[i].name) != 0 &&
            get_count(L, same[i].outer, same[i].inner)) {
            done = same[i].name;
            lua_setfield(L, -2, done);
        }
    lua_pushnil(L);
    bool some = lua_next(L, -2) != 0;
    if (some) {
        lua_pop(L, 2);
        lua_setfield(L, env, "usage");
    } else {
        lua_pop(L, 1);
    }
    return some;
}

bool usage_find(lua_State *L, int env)
{
    return binding_table(L, "usage") && take_usage(L, env);
}
