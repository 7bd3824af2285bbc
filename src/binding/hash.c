/*
 * hash.c - see hash.h.
 */
#include "binding/hash.h"

#include <stdio.h>
#include <string.h>

#define DEPTH 64 /* of tables; what is deeper is all the same */

static uint64_t step(uint64_t hash, uint64_t x)
{
    hash = (hash ^ x) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32; /* a product has its best bits above */
}

/* Eight bytes, the first one lowest on every processor. */
static uint64_t word(const unsigned char *p)
{
    uint64_t x = 0;
    for (int i = 0; i < 8; i++)
        x |= (uint64_t)p[i] << (8 * i);
    return x;
}

/* Conversations of megabytes are hashed with each request. */
static uint64_t mix(uint64_t hash, const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t i = 0;
    for (; n - i >= 8; i += 8)
        hash = step(hash, word(p + i));
    for (; i < n; i++)
        hash = step(hash, p[i]);
    return step(hash, n); /* where it ends */
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
