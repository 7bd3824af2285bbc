/*
 * sendable.c - see sendable.h.
 */
#include "dialect/sendable.h"

#include <stdbool.h>

static bool is_utf8(lua_State *L, int i)
{
    size_t n;
    const char *s = lua_tolstring(L, i, &n);
    return utf8_invalid(s, n) == n;
}

/* Pushes the string on top with U+FFFD for what is not UTF-8. [-0, +1, m] */
static void push_utf8(lua_State *L, struct answer *a)
{
    struct utf8 utf8 = {.len = 0};
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    a->scratch.len = 0;
    if (utf8_feed(&utf8, s, n, &a->scratch) != BYTES_OK ||
        utf8_finish(&utf8, &a->scratch) != BYTES_OK)
        answer_no_memory(L, a);
    lua_pushlstring(L, a->scratch.data, a->scratch.len);
}

void sendable_make(lua_State *L, struct answer *a)
{
    luaL_checkstack(L, 6, NULL);
    lua_pushnil(L);
    while (lua_next(L, -2)) { /* table, key, value */
        double x = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (x - x != 0 || (lua_type(L, -2) == LUA_TSTRING && !is_utf8(L, -2))) {
            lua_pushvalue(L, -2);
            lua_pushnil(L);
            lua_rawset(L, -5);
        } else if (lua_istable(L, -1)) {
            sendable_make(L, a);
        } else if (lua_type(L, -1) == LUA_TSTRING && !is_utf8(L, -1)) {
            push_utf8(L, a);
            lua_pushvalue(L, -3); /* table, key, value, new, key */
            lua_insert(L, -2);
            lua_rawset(L, -5);
        }
        lua_pop(L, 1);
    }
}

void sendable_join(lua_State *L, struct answer *a)
{
    struct utf8 utf8 = {.len = 0};
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    a->scratch.len = 0;
    for (int k = 1; k <= n; k++) {
        size_t len;
        lua_rawgeti(L, -1, k);
        const char *s = lua_tolstring(L, -1, &len);
        if (utf8_feed(&utf8, s, len, &a->scratch) != BYTES_OK)
            answer_no_memory(L, a);
        lua_pop(L, 1);
    }
    if (utf8_finish(&utf8, &a->scratch) != BYTES_OK)
        answer_no_memory(L, a);
}

void sendable_push_joined(lua_State *L, struct answer *a)
{
    sendable_join(L, a);
    lua_pushlstring(L, a->scratch.len > 0 ? a->scratch.data : "",
                    a->scratch.len);
}
