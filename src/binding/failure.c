/*
 * failure.c - see failure.h.
 */
#include "binding/failure.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "binding/json.h"
#include "parsing/bytes.h"
#include "parsing/retry.h"
#include "parsing/utf8.h"

#define EXCERPT 200   /* characters */
#define HEAD    16384 /* bytes of a text that a line is made of */

static const char meta_key;

/* ---- the table ---- */

static size_t characters(const char *s)
{
    size_t n = 0;
    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

/* Pushes the field of the table at 1 as a line; "" when it is none, since
 * programs may do anything to an error table. [-0, +1, m] */
static const char *push_part(lua_State *L, const char *name, size_t max)
{
    lua_pushstring(L, name);
    lua_rawget(L, 1);
    size_t n = 0;
    const char *s =
        lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER
            ? lua_tolstring(L, -1, &n)
            : "";
    failure_line(L, s, n, max);
    lua_remove(L, -2);
    return lua_tostring(L, -1);
}

/* "timeout (first_byte): no answer ... [openai gpt-4.1]" */
static int failure_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_checkstack(L, 16, NULL);
    const char *kind = push_part(L, "kind", 40);
    const char *phase = push_part(L, "phase", 40);
    const char *status = push_part(L, "status", 40);
    const char *before = lua_pushfstring(
        L, "%s%s%s%s%s%s%s", kind, *phase ? " (" : "", phase, *phase ? ")" : "",
        *status ? " " : "", status, *kind || *phase || *status ? ": " : "");
    const char *provider = push_part(L, "provider", 60);
    const char *model = push_part(L, "model", 100);
    const char *after = lua_pushfstring(
        L, "%s%s%s%s%s", *provider || *model ? " [" : "", provider,
        *provider && *model ? " " : "", model, *provider || *model ? "]" : "");
    const char *message = push_part(
        L, "message", FAILURE_MAX - characters(before) - characters(after));
    if (*message == '\0' && *before != '\0') /* nothing is announced */
        lua_pushlstring(L, before, strlen(before) - 2);
    else
        lua_pushstring(L, before);
    lua_pushfstring(L, "%s%s%s", lua_tostring(L, -1), message, after);
    return 1;
}

/* An error table is concatenated as what tostring makes of it. */
static int failure_concat(lua_State *L)
{
    lua_settop(L, 2);
    for (int i = 1; i <= 2; i++) {
        if (lua_isstring(L, i))
            continue;
        lua_pushcfunction(L, failure_tostring);
        lua_pushvalue(L, i);
        compat_getkey(L, &meta_key);
        if (!lua_getmetatable(L, i) || !lua_rawequal(L, -1, -2))
            return luaL_error(L, "attempt to concatenate a %s value",
                              luaL_typename(L, i));
        lua_pop(L, 2);
        lua_call(L, 1, 1);
        lua_replace(L, i);
    }
    lua_concat(L, 2);
    return 1;
}

void failure_open(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, failure_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, failure_concat);
    lua_setfield(L, -2, "__concat");
    lua_pushliteral(L, "chatbot.error");
    lua_setfield(L, -2, "__name");
    compat_setkey(L, &meta_key);
}

static void push(lua_State *L, enum http_fault kind, const char *format,
                 va_list args)
{
    luaL_checkstack(L, 8, NULL);
    lua_createtable(L, 0, 10);
    lua_pushstring(L, http_fault_name(kind));
    lua_setfield(L, -2, "kind");
    lua_pushvfstring(L, format, args);
    failure_line(L, lua_tostring(L, -1), lua_rawlen(L, -1), FAILURE_MAX);
    lua_setfield(L, -3, "message");
    lua_pop(L, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "retryable");
    compat_getkey(L, &meta_key);
    lua_setmetatable(L, -2);
}

void failure_push(lua_State *L, enum http_fault kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    push(L, kind, format, args);
    va_end(args);
}

int failure_return(lua_State *L, enum http_fault kind, const char *format, ...)
{
    va_list args;
    lua_pushnil(L);
    va_start(args, format);
    push(L, kind, format, args);
    va_end(args);
    return 2;
}

/* ---- texts from outside ---- */

/* Replaces the mask on top by the text with what it hides replaced.
 * [-1, +1, m] */
static void apply(lua_State *L, const char *s, size_t n)
{
    const unsigned char *hide = lua_touserdata(L, -1);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from; to < n && hide[to] == hide[from];)
            to++;
        if (hide[from])
            luaL_addstring(&b, "[redacted]");
        else
            luaL_addlstring(&b, s + from, to - from);
    }
    luaL_pushresult(&b);
    lua_remove(L, -2);
}

static unsigned char *push_mask(lua_State *L, size_t n)
{
    luaL_checkstack(L, 8, NULL);
    return memset(lua_newuserdata(L, n + 1), 0, n + 1);
}

void failure_redact(lua_State *L, const char *s, size_t n,
                    const struct redact *secret, bool cut)
{
    if (secret->size > 0 && redact_mark(secret, s, n, cut, push_mask(L, n))) {
        apply(L, s, n);
        return;
    }
    if (secret->size > 0)
        lua_pop(L, 1);
    lua_pushlstring(L, s, n);
}

void failure_redact_like(lua_State *L, const char *s, size_t n)
{
    redact_mark_like(s, n, push_mask(L, n));
    apply(L, s, n);
}

/* `show`: what is no UTF-8 is U+FFFD, else a blank. [-0, +1, m] */
static void push_line(lua_State *L, const char *s, size_t n, size_t max,
                      bool show)
{
    size_t room = (utf8_invalid(s, n) == n ? n : 3 * n) + 4;
    struct bytes line = {.cap = room, .max = room}; /* never grows */
    luaL_checkstack(L, 4, NULL);
    line.data = lua_newuserdata(L, room);
    utf8_line(s, n, max, show, &line);
    lua_pushlstring(L, line.data, line.len);
    lua_remove(L, -2);
}

void failure_line(lua_State *L, const char *s, size_t n, size_t max)
{
    push_line(L, s, n, max, true);
}

void failure_clean(lua_State *L, const char *s, size_t n,
                   const struct redact *secret, bool cut)
{
    cut = cut || n > HEAD;
    failure_redact(L, s, n > HEAD ? HEAD : n, secret, cut);
    failure_line(L, lua_tostring(L, -1), lua_rawlen(L, -1), FAILURE_MAX);
    lua_remove(L, -2);
}

void failure_excerpt(lua_State *L, const char *s, size_t n,
                     const struct redact *secret, bool cut)
{
    cut = cut || n > HEAD;
    failure_redact(L, s, n > HEAD ? HEAD : n, secret, cut);
    push_line(L, lua_tostring(L, -1), lua_rawlen(L, -1), EXCERPT, false);
    lua_remove(L, -2);
}

void failure_add(lua_State *L, int err)
{
    int note = lua_gettop(L);
    size_t n = characters(lua_tostring(L, note));
    luaL_checkstack(L, 6, NULL);
    lua_getfield(L, err, "message");
    failure_line(L, lua_tostring(L, -1), lua_rawlen(L, -1), FAILURE_MAX - n);
    lua_pushvalue(L, note);
    lua_concat(L, 2);
    lua_setfield(L, err, "message");
    lua_settop(L, note - 1);
}

bool failure_control(lua_State *L, const char *what, const char *s)
{
    for (int i = 0; s[i] != '\0'; i++)
        if ((unsigned char)s[i] < ' ' || s[i] == 0x7F) {
            failure_push(L, FAULT_CONFIG,
                         "%s has a control character at position %d", what,
                         i + 1);
            return false;
        }
    return true;
}
