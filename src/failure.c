/*
 * failure.c - see failure.h.
 *
 * Shapes of error bodies that servers send:
 *   {"error": {"message", "type", "code", "param"}}   OpenAI and most others
 *   {"error": "text"}, {"errors": [{...}]}, [{"error": {...}}]
 *   {"detail": "text" | [{"msg", "loc"}] | {...}}     FastAPI
 *   {"message": "text" | {...}}, {"error_type", "error_message"}
 *   {"object": "error", "message", ...}
 */
#include "failure.h"

#include <stdarg.h>
#include <string.h>

static const char meta_key;

/* "timeout (first_byte): no answer ... [openai gpt-4.1]" */
static int failure_tostring(lua_State *L)
{
    luaL_Buffer b;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    static const char *const names[] = {"kind",    "phase",    "status",
                                        "message", "provider", "model"};
    for (int i = 0; i < 6; i++) /* 2: kind ... 7: model */
        lua_getfield(L, 1, names[i]);
    for (int i = 2; i <= 7; i++)
        if (lua_type(L, i) != LUA_TSTRING && lua_type(L, i) != LUA_TNUMBER) {
            lua_pushliteral(L, "");
            lua_replace(L, i);
        } else { /* a number becomes its text here, not in the buffer */
            lua_tostring(L, i);
        }
    luaL_buffinit(L, &b);
    for (int i = 2; i <= 7; i++) {
        const char *s = lua_tostring(L, i);
        if (*s == '\0')
            continue;
        luaL_addstring(&b, i == 3   ? " ("
                           : i == 4 ? " "
                           : i == 5 ? ": "
                           : i == 6 ? " ["
                           : i == 7 ? " "
                                    : "");
        luaL_addstring(&b, s);
        if (i == 3)
            luaL_addstring(&b, ")");
    }
    if (*lua_tostring(L, 6) != '\0')
        luaL_addstring(&b, "]");
    luaL_pushresult(&b);
    return 1;
}

void failure_open(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, failure_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "chatbot.error");
    lua_setfield(L, -2, "__name");
    compat_setkey(L, &meta_key);
}

static void push(lua_State *L, enum http_fault kind, const char *format,
                 va_list args)
{
    lua_createtable(L, 0, 10);
    lua_pushstring(L, http_fault_name(kind));
    lua_setfield(L, -2, "kind");
    lua_pushvfstring(L, format, args);
    lua_setfield(L, -2, "message");
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

static bool is_text(lua_State *L, int i)
{
    return lua_type(L, i) == LUA_TSTRING && lua_rawlen(L, i) > 0;
}

/* Replaces the table on top by its field `name`; false (and nothing changed)
 * when there is no text or table in it. [-0, +0, -] */
static bool descend(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    if (!is_text(L, -1) && !lua_istable(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_remove(L, -2);
    return true;
}

/* err[to] = top[from], if it is a string or, as a code may be, a number. */
static void take(lua_State *L, int err, const char *from, const char *to)
{
    lua_pushstring(L, from);
    lua_rawget(L, -2);
    if (is_text(L, -1) ||
        (lua_type(L, -1) == LUA_TNUMBER && strcmp(to, "code") == 0))
        lua_setfield(L, err, to);
    else
        lua_pop(L, 1);
}

/* err.param = the last name in top.loc, a path into the body: ["body", "x"]. */
static void take_place(lua_State *L, int err)
{
    int top = lua_gettop(L);
    lua_pushliteral(L, "loc");
    lua_rawget(L, top);
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    for (int i = n; i > 0; i--) {
        lua_rawgeti(L, top + 1, i);
        if (is_text(L, -1) && strcmp(lua_tostring(L, -1), "body") != 0) {
            lua_setfield(L, err, "param");
            break;
        }
        lua_pop(L, 1);
    }
    lua_settop(L, top);
}

bool failure_describe(lua_State *L, int err)
{
    static const char *const inside[] = {"error",   "errors",        "detail",
                                         "message", "error_message", "msg"};
    luaL_checkstack(L, 4, NULL);
    bool found = false;
    for (int depth = 0; depth < 8; depth++) { /* the outer shapes first */
        if (is_text(L, -1)) {
            lua_pushvalue(L, -1);
            lua_setfield(L, err, "message");
            found = true;
            break;
        }
        if (!lua_istable(L, -1))
            break;
        take(L, err, "code", "code");
        take(L, err, "type", "type");
        take(L, err, "error_type", "type");
        take(L, err, "param", "param");
        take_place(L, err);
        bool deeper = false;
        for (size_t i = 0; !deeper && i < sizeof inside / sizeof *inside; i++)
            deeper = descend(L, inside[i]);
        if (!deeper) {
            lua_rawgeti(L, -1, 1);
            if (lua_isnil(L, -1)) {
                lua_pop(L, 1);
                break;
            }
            lua_remove(L, -2);
        }
    }
    lua_pop(L, 1);
    return found;
}

void failure_redact(lua_State *L, const char *s, size_t n,
                    const struct redact *secret)
{
    luaL_Buffer b;
    size_t from = 0, len = 0, at = redact_find(secret, s, n, 0, &len);
    if (at == n) {
        lua_pushlstring(L, s, n);
        return;
    }
    luaL_buffinit(L, &b);
    for (; at < n; at = redact_find(secret, s, n, from, &len)) {
        luaL_addlstring(&b, s + from, at - from);
        luaL_addstring(&b, "[redacted]");
        from = at + len;
    }
    luaL_addlstring(&b, s + from, n - from);
    luaL_pushresult(&b);
}

void failure_redact_all(lua_State *L, int err, const struct redact *secret)
{
    if (secret->count == 0)
        return;
    lua_pushnil(L);
    while (lua_next(L, err)) {
        if (lua_type(L, -1) == LUA_TSTRING) {
            size_t n;
            const char *s = lua_tolstring(L, -1, &n);
            lua_pushvalue(L, -2);
            failure_redact(L, s, n, secret);
            lua_rawset(L, err); /* a field that is there: allowed */
        }
        lua_pop(L, 1);
    }
}

void failure_excerpt(lua_State *L, const char *s, size_t n, size_t max)
{
    luaL_Buffer b;
    size_t out = 0;
    bool blank = true;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < n && out < max; i++) {
        unsigned char c = (unsigned char)s[i];
        bool printable = c > 0x20 && c < 0x7F;
        if (!printable && blank)
            continue;
        luaL_addchar(&b, printable ? (char)c : ' ');
        blank = !printable;
        out++;
    }
    luaL_pushresult(&b);
}
