/*
 * hash.c - see hash.h.
 */
#include "binding/hash.h"

#include <stdio.h>
#include <string.h>

#define DEPTH 64 /* of tables; what is deeper is all the same */

/* FNV-1a. */
static uint64_t mix(uint64_t hash, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)s[i]) * UINT64_C(1099511628211);
    return (hash ^ n) * UINT64_C(1099511628211); /* where it ends */
}

static uint64_t value(lua_State *L, int i, uint64_t hash, int depth);

/* The sum over what is in the table, so that the order does not count. */
static uint64_t table(lua_State *L, int i, int depth)
{
    uint64_t sum = 0;
    luaL_checkstack(L, 4, NULL);
    lua_pushnil(L);
    while (lua_next(L, i)) {
        uint64_t key = value(L, lua_gettop(L) - 1, HASH_START, depth);
        sum += value(L, lua_gettop(L), key, depth);
        lua_pop(L, 1);
    }
    return sum;
}

static uint64_t value(lua_State *L, int i, uint64_t hash, int depth)
{
    char text[40];
    size_t n;
    const char *s;
    switch (lua_type(L, i)) {
    case LUA_TSTRING:
        s = lua_tolstring(L, i, &n);
        return mix(hash, s, n);
    case LUA_TNUMBER: /* a float or an integer, as a file may bring either */
        snprintf(text, sizeof text, "%.14g", (double)lua_tonumber(L, i));
        return mix(mix(hash, "n", 1), text, strlen(text));
    case LUA_TTABLE:
        hash = mix(hash, "t", 1);
        if (depth < DEPTH) {
            uint64_t sum = table(L, i, depth + 1);
            hash = mix(hash, (const char *)&sum, sizeof sum);
        }
        return hash;
    case LUA_TBOOLEAN:
        return mix(hash, lua_toboolean(L, i) ? "true" : "false", 1);
    default:
        return mix(hash, "0", 1);
    }
}

uint64_t hash_value(lua_State *L, int i, uint64_t hash)
{
    return value(L, lua_absindex(L, i), hash, 0);
}

void hash_push(lua_State *L, uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%08lx%08lx", (unsigned long)(hash >> 32),
             (unsigned long)(hash & UINT64_C(0xFFFFFFFF)));
    lua_pushstring(L, text);
}
