/*
 * encoded.c - see encoded.h.
 */
#include "encoded.h"

#include <stdint.h>
#include <string.h>

#include "delta.h"
#include "utf8.h"

/* The letter of a short escape, or 0. */
static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

/* The length of the string as JSON, with its quotes. */
static size_t quoted_size(const char *s, size_t n)
{
    size_t size = n + 2;
    for (size_t i = 0; (i += delta_plain_run(s + i, n - i)) < n; i++)
        size += short_escape(s[i]) != 0 ? 1 : 5;
    return size;
}

/* Writes the string as JSON and returns where it ends, NULL for lack of room.
 */
static char *quote(const char *s, size_t n, char *to, const char *end)
{
    static const char hex[] = "0123456789abcdef";
    if (end - to < 2)
        return NULL;
    *to++ = '"';
    for (size_t i = 0;;) {
        size_t run = delta_plain_run(s + i, n - i);
        if ((size_t)(end - to) < run + 7) /* 6 for an escape, 1 for a quote */
            if ((size_t)(end - to) <
                run + quoted_size(s + i + run, n - i - run) - 1)
                return NULL;
        memcpy(to, s + i, run);
        to += run;
        i += run;
        if (i == n)
            break;
        unsigned char c = (unsigned char)s[i++];
        char letter = short_escape((char)c);
        *to++ = '\\';
        if (letter != 0) {
            *to++ = letter;
        } else {
            memcpy(to, "u00", 3);
            to[3] = hex[c >> 4];
            to[4] = hex[c & 15];
            to += 5;
        }
    }
    *to++ = '"';
    return to;
}

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
            *size += quoted_size(s, n) + 1;
        }
        lua_pop(L, 1);
    }
    return *size > 1;
}

size_t encoded_write(lua_State *L, int i, char *to, size_t room)
{
    int top = lua_gettop(L);
    char *at = to;
    const char *end = to + room;
    size_t n;
    i = lua_absindex(L, i);
    lua_pushnil(L);
    while (at != NULL && lua_next(L, i)) {
        for (int k = -2; at != NULL && k < 0; k++) {
            if (end - at < 2 || lua_type(L, k) != LUA_TSTRING) {
                at = NULL;
                break;
            }
            *at = k == -1 ? ':' : at == to ? '{' : ',';
            const char *s = lua_tolstring(L, k, &n);
            at = quote(s, n, at + 1, end);
        }
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    if (at == NULL || at == to || at == end)
        return 0;
    *at++ = '}';
    return (size_t)(at - to);
}
