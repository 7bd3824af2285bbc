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

/* top[name] = `count`. [-0, +0, m] */
static void set_count(lua_State *L, const char *name, double count)
{
    lua_pushnumber(L, count);
#if LUA_VERSION_NUM >= 503
    lua_pushinteger(L, lua_tointeger(L, -1)); /* 2^53 has room */
    lua_remove(L, -2);
#endif
    lua_setfield(L, -2, name);
}

/* top[name], or -1 where that is no number. [-0, +0, m] */
static double count_of(lua_State *L, const char *name)
{
    double count = -1;
    if (get_count(L, NULL, name)) {
        count = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return count;
}

/* What the table on top counts of all input and output, where it has other
 * names for that: then true. What came from a cache or went there is counted
 * apart by those who have two names for it. [-0, +0, m] */
static bool sum_up(lua_State *L)
{
    static const char *const inputs[] = {"input_tokens",
                                         "cache_read_input_tokens",
                                         "cache_creation_input_tokens"};
    double sum = 0, output = count_of(L, "output_tokens");
    bool input = false;
    if (count_of(L, "prompt_tokens") >= 0 ||
        count_of(L, "completion_tokens") >= 0)
        return false;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        double count = count_of(L, inputs[i]);
        sum += count > 0 ? count : 0;
        input = input || count >= 0;
    }
    input = input && sum <= MAX_COUNT;
    if (input)
        set_count(L, "prompt_tokens", sum);
    if (output >= 0)
        set_count(L, "completion_tokens", output);
    if (input && output >= 0 && sum + output <= MAX_COUNT &&
        count_of(L, "total_tokens") < 0)
        set_count(L, "total_tokens", sum + output);
    return input || output >= 0;
}

/* top[outer][name] = top[name], if that is there. [-0, +0, m] */
static void repeat(lua_State *L, const char *outer, const char *name)
{
    double count = count_of(L, name);
    if (count < 0)
        return;
    binding_own_table(L, lua_gettop(L), outer);
    set_count(L, name, count);
    lua_pop(L, 1);
}

/* Whether the key at `i` is a name of ours, where a service has others. */
static bool is_derived(lua_State *L, int i)
{
    static const char *const ours[] = {
        "prompt_tokens",         "completion_tokens",        "total_tokens",
        "cached_tokens",         "cache_write_tokens",       "reasoning_tokens",
        "prompt_tokens_details", "completion_tokens_details"};
    for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
        if (lua_type(L, i) == LUA_TSTRING &&
            strcmp(lua_tostring(L, i), ours[k]) == 0)
            return true;
    return false;
}

/* Adds to the table on top what env.usage has and it has not, but for what was
 * derived. [-0, +0, m] */
static void add_earlier(lua_State *L, int env)
{
    int to = lua_gettop(L);
    lua_getfield(L, env, "usage");
    if (lua_istable(L, -1)) {
        lua_pushnil(L);
        while (lua_next(L, to + 1)) { /* to, from, key, value */
            lua_pushvalue(L, -2);
            lua_rawget(L, to);
            if (lua_isnil(L, -1) && !is_derived(L, -3)) {
                lua_pushvalue(L, -3);
                lua_pushvalue(L, -3);
                lua_rawset(L, to);
            }
            lua_pop(L, 2);
        }
    }
    lua_settop(L, to);
}

/* env.usage = the table on top, if there is something in it: then true. What
 * services call differently has one name there. [-1, +0, m] */
static bool take_usage(lua_State *L, int env, bool add)
{
    static const char *const counts[] = {"prompt_tokens", "completion_tokens",
                                         "total_tokens"};
    static const struct {
        const char *name, *outer, *inner;
    } same[] = {
        {"cached_tokens", "prompt_tokens_details", "cached_tokens"},
        {"cached_tokens", "input_tokens_details", "cached_tokens"},
        {"cached_tokens", NULL, "cached_tokens"},
        {"cached_tokens", NULL, "prompt_cache_hit_tokens"},
        {"cached_tokens", NULL, "num_cached_tokens"},
        {"cached_tokens", NULL, "cache_read_input_tokens"},
        {"cache_write_tokens", "prompt_tokens_details", "cache_write_tokens"},
        {"cache_write_tokens", "input_tokens_details", "cache_write_tokens"},
        {"cache_write_tokens", NULL, "cache_write_tokens"},
        {"cache_write_tokens", NULL, "cache_creation_input_tokens"},
        {"reasoning_tokens", "completion_tokens_details", "reasoning_tokens"},
        {"reasoning_tokens", "output_tokens_details", "reasoning_tokens"},
        {"reasoning_tokens", "output_tokens_details", "thinking_tokens"},
        {"reasoning_tokens", NULL, "reasoning_tokens"},
    };
    push_counts(L);
    lua_remove(L, -2);
    if (add)
        add_earlier(L, env);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (count_of(L, counts[i]) < 0) {
            lua_pushnil(L);
            lua_setfield(L, -2, counts[i]);
        }
    const char *done = "";
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strcmp(done, same[i].name) != 0 &&
            get_count(L, same[i].outer, same[i].inner)) {
            done = same[i].name;
            lua_setfield(L, -2, done);
        }
    if (sum_up(L)) {
        repeat(L, "prompt_tokens_details", "cached_tokens");
        repeat(L, "prompt_tokens_details", "cache_write_tokens");
        repeat(L, "completion_tokens_details", "reasoning_tokens");
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
    return binding_table(L, "usage") && take_usage(L, env, false);
}

bool usage_add(lua_State *L, int env)
{
    return binding_table(L, "usage") && take_usage(L, env, true);
}
