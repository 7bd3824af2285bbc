/*
 * encoded.c - see encoded.h.
 */
#include "encoded.h"

#include "utf8.h"

bool encoded_size(lua_State *L, int i, size_t *size)
{
    int top = lua_gettop(L);
    size_t n;
    i = lua_absindex(L, i);
    *size = 1; /* a brace, and after each field another, or a comma */
    lua_pushnil(L);
    while (lua_next(L, i)) {
        for (int k = -2; k < 0; k++) {
            const char *s =
                lua_type(L, k) == LUA_TSTRING ? lua_tolstring(L, k, &n) : NULL;
            if (s == NULL || utf8_invalid(s, n) < n) {
                lua_settop(L, top);
                return false;
            }
            *size += body_quoted_size(s, n) + 1;
        }
        lua_pop(L, 1);
    }
    return *size > 1;
}

bool encoded_string(lua_State *L, int i, bool quoted, struct encoded_to *to)
{
    size_t n;
    const char *s = lua_tolstring(L, i, &n);
    if (n < ENCODED_LONG || to->count == to->room)
        return quoted ? body_quote(to->body, s, n) : body_add(to->body, s, n);
    lua_pushvalue(L, i);
    lua_rawseti(L, to->strings, ++to->count);
    return body_keep(to->body, s, n, quoted);
}

const char *encoded_add(lua_State *L, int i, struct encoded_to *to)
{
    int top = lua_gettop(L);
    bool ok = true;
    const char *before = "{";
    i = lua_absindex(L, i);
    lua_pushnil(L);
    while (ok && lua_next(L, i)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
            lua_settop(L, top);
            return "the conversation was changed while it was sent";
        }
        ok = body_add(to->body, before, 1) && encoded_string(L, -2, true, to) &&
             body_add(to->body, ":", 1) && encoded_string(L, -1, true, to);
        before = ",";
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    return ok && body_add(to->body, "}", 1) ? NULL : "not enough memory";
}
