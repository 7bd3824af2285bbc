/*
 * native.c - see native.h.
 */
#include "dialect/native.h"

#include <string.h>

#include "binding/encoded.h"
#include "binding/hash.h"
#include "parsing/escape.h"

/* Whether the JSON text can be sent as it is. */
static bool is_sendable(const char *s, size_t n)
{
    const char *end = s + n;
    for (const char *p = s; (p = memchr(p, '\\', (size_t)(end - p))) != NULL;) {
        if (end - p < 2 || p[1] == 'u')
            return false; /* half of a pair, perhaps */
        p += 2;
    }
    return utf8_invalid(s, n) == n;
}

/* Replaces the JSON text on top by one that can be sent. [-0, +0, m] */
static void make_sendable(lua_State *L, struct answer *a)
{
    struct utf8 utf8 = {.len = 0};
    size_t n;
    bool changed;
    const char *s = lua_tolstring(L, -1, &n);
    if (is_sendable(s, n))
        return;
    struct body *repaired = encoded_body(L), *out = encoded_body(L);
    if (escape_repair(s, n, &repaired->text, &changed) != BYTES_OK ||
        utf8_feed(&utf8, repaired->text.data, repaired->text.len, &out->text) !=
            BYTES_OK ||
        utf8_finish(&utf8, &out->text) != BYTES_OK)
        answer_no_memory(L, a);
    lua_pushlstring(L, out->text.data, out->text.len);
    body_free(repaired);
    body_free(out);
    lua_replace(L, -4);
    lua_pop(L, 2);
}

void native_add(lua_State *L, struct answer *a, int env)
{
    luaL_checkstack(L, 8, NULL);
    make_sendable(L, a);
    binding_own_table(L, env, "native");
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

/* Pushes what tells whether the message at `i` has been changed. [-0, +1, e] */
static void push_own(lua_State *L, int i)
{
    static const char *const said[] = {"content", "tool_calls", "refusal"};
    uint64_t hash = HASH_START;
    for (size_t k = 0; k < sizeof said / sizeof *said; k++) {
        lua_pushstring(L, said[k]);
        lua_rawget(L, i);
        hash = hash_value(L, -1, hash);
        lua_pop(L, 1);
    }
    hash_push(L, hash);
}

/* Whether the service keeps the answer: so the call has it. [-0, +0, m] */
static bool is_stored(lua_State *L, int env)
{
    int top = lua_gettop(L);
    lua_getfield(L, env, "call");
    bool stored = false;
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "store");
        stored = lua_toboolean(L, -1);
    }
    lua_settop(L, top);
    return stored;
}

void native_finish(lua_State *L, int env)
{
    static const char *const from[] = {"api",         "provider", "server",
                                       "asked_model", "native",   "before"};
    static const char *const to[] = {"dialect", "provider", "server",
                                     "model",   "items",    "before"};
    int message = lua_gettop(L);
    luaL_checkstack(L, 6, NULL);
    bool stored = is_stored(L, env);
    lua_getfield(L, env, "native");
    if (lua_istable(L, -1) || stored) {
        lua_createtable(L, 0, 7);
        for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
            lua_getfield(L, env, from[i]);
            lua_setfield(L, -2, to[i]);
        }
        if (stored) {
            lua_getfield(L, env, "id");
            lua_setfield(L, -2, "id");
        }
        push_own(L, message);
        lua_setfield(L, -2, "own");
        lua_setfield(L, message, "native");
    }
    lua_settop(L, message);
}
