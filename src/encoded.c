/*
 * encoded.c - see encoded.h.
 */
#include "encoded.h"

#include "utf8.h"

#define LONG 1024 /* bytes of a string that is better not copied */

static void keep_alive(lua_State *L, int i, const struct encoded_to *to)
{
    lua_pushvalue(L, i);
    lua_rawseti(L, to->strings, (int)lua_rawlen(L, to->strings) + 1);
}

/* The length that is known for the long string at `i`, or 0. [-0, +0, -] */
static size_t known_length(lua_State *L, int i, int place,
                           const struct encoded_to *to)
{
    size_t size = 0;
    if (!lua_istable(L, to->known))
        return 0;
    lua_rawgeti(L, to->known, 2 * place - 1);
    if (lua_rawequal(L, -1, i)) {
        lua_rawgeti(L, to->known, 2 * place);
        size = (size_t)lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return size;
}

static void remember(lua_State *L, int i, int place, size_t size,
                     const struct encoded_to *to)
{
    if (lua_isnil(L, to->known_now)) {
        lua_newtable(L);
        lua_replace(L, to->known_now);
    }
    lua_pushvalue(L, i);
    lua_rawseti(L, to->known_now, 2 * place - 1);
    lua_pushnumber(L, (lua_Number)size);
    lua_rawseti(L, to->known_now, 2 * place);
}

/* The length of the JSON of the long string at `i`, 0 when it is not valid
 * UTF-8. A message has at most one that is remembered. [-0, +0, m] */
static size_t length_of(lua_State *L, int i, int place, bool *taken,
                        const struct encoded_to *to)
{
    size_t n;
    const char *s = lua_tolstring(L, i, &n);
    bool first = !*taken;
    *taken = true;
    i = lua_absindex(L, i);
    size_t size = first ? known_length(L, i, place, to) : 0;
    if (size == 0) {
        if (utf8_invalid(s, n) < n)
            return 0;
        size = body_quoted_size(s, n);
    }
    if (first)
        remember(L, i, place, size, to);
    return size;
}

/* Adds `before` and the string at `i`, quoted. [-0, +0, m] */
static enum encoded_status add(lua_State *L, const char *before, int i,
                               int place, bool *taken,
                               const struct encoded_to *to)
{
    size_t n, size;
    if (lua_type(L, i) != LUA_TSTRING)
        return ENCODED_OTHER;
    const char *s = lua_tolstring(L, i, &n);
    if (!body_add(to->body, before, 1))
        return ENCODED_MEMORY;
    if (n < LONG) {
        if (utf8_invalid(s, n) < n)
            return ENCODED_OTHER;
        return body_quote(to->body, s, n) ? ENCODED_OK : ENCODED_MEMORY;
    }
    if ((size = length_of(L, i, place, taken, to)) == 0)
        return ENCODED_OTHER;
    keep_alive(L, i, to);
    return body_keep_quoted(to->body, s, n, size) ? ENCODED_OK : ENCODED_MEMORY;
}

enum encoded_status encoded_message(lua_State *L, int i, int place,
                                    const struct encoded_to *to)
{
    struct body_mark before = body_mark(to->body);
    enum encoded_status status = ENCODED_OK;
    int top = lua_gettop(L);
    bool taken = false;
    const char *open = "{";
    i = lua_absindex(L, i);
    lua_pushnil(L);
    while (status == ENCODED_OK && lua_next(L, i)) {
        status = add(L, open, -2, place, &taken, to);
        if (status == ENCODED_OK)
            status = add(L, ":", -1, place, &taken, to);
        open = ",";
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    if (*open == '{') /* an empty table */
        status = ENCODED_OTHER;
    if (status == ENCODED_OK && !body_add(to->body, "}", 1))
        status = ENCODED_MEMORY;
    if (status == ENCODED_OTHER)
        body_reset(to->body, &before);
    return status;
}

bool encoded_string(lua_State *L, int i, const struct encoded_to *to)
{
    size_t n;
    const char *s = lua_tolstring(L, i, &n);
    if (n < LONG)
        return body_add(to->body, s, n);
    keep_alive(L, i, to);
    return body_keep(to->body, s, n);
}
