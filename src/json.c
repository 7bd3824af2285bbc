/*
 * json.c - see json.h.
 */
#include "json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "delta.h"
#include "utf8.h"

#define MAX_DEPTH 64

#define DIGITS 99999999999999.0   /* lua-cjson writes 14 of them */
#define EXACT  9007199254740992.0 /* 2^53 */
#define PLAIN  65536 /* bytes from which a text is looked at by itself */

static const char codec_key; /* registry: {decode, encode, decimal point} */
static const char array_key; /* registry: the metatable of json_array */

/* Finds the library: an instance of our own where there is `new`, with limits;
 * later versions of Neovim have no `new` and nothing to set. In Neovim it is
 * vim.json also where lua-cjson is installed, whose strbuf_* functions are
 * bound to those that Neovim exports: well only while both are of one version.
 * Kept as Lua because it is nothing but table look-ups that may fail. */
static const char loader[] = "local ok, json = true, vim and vim.json\n"
                             "if not json then\n"
                             "  ok, json = pcall(require, 'cjson')\n"
                             "end\n"
                             "if not ok then return nil end\n"
                             "if json.new then\n"
                             "  json = json.new()\n"
                             "  json.decode_max_depth(...)\n"
                             "  json.encode_max_depth(...)\n"
                             "  json.decode_invalid_numbers(false)\n"
                             "  json.encode_invalid_numbers(false)\n"
                             "  json.encode_keep_buffer(false)\n"
                             "end\n"
                             "return { json.decode, json.encode }\n";

/* lua-cjson takes the locale's decimal point for the one of strtod when an
 * instance is made, so a new one is made when the host has changed it. */
static bool same_locale(lua_State *L)
{
    lua_rawgeti(L, -1, 3);
    bool same = lua_tointeger(L, -1) == localeconv()->decimal_point[0];
    lua_pop(L, 1);
    return same;
}

/* Pushes decode (1) or encode (2); false: a message. */
static bool push_codec(lua_State *L, int which)
{
    compat_getkey(L, &codec_key);
    if (!lua_istable(L, -1) || !same_locale(L)) {
        lua_pop(L, 1);
        if (luaL_loadbuffer(L, loader, sizeof loader - 1, "=json") != 0)
            return false;
        lua_pushinteger(L, MAX_DEPTH);
        if (lua_pcall(L, 1, 1, 0) != 0)
            return false;
        if (!lua_istable(L, -1)) {
            lua_pop(L, 1);
            lua_pushliteral(L, "the Lua module cjson (lua-cjson) is missing");
            return false;
        }
        lua_pushinteger(L, localeconv()->decimal_point[0]);
        lua_rawseti(L, -2, 3);
        lua_pushvalue(L, -1);
        compat_setkey(L, &codec_key);
    }
    lua_rawgeti(L, -1, which);
    lua_remove(L, -2);
    return true;
}

/* Nulls (a light userdata, or vim.NIL) become nil, whole numbers integers, in
 * the table on top and all tables in it. [-0, +0, m] */
static void clean(lua_State *L)
{
    luaL_checkstack(L, 6, "JSON");
    lua_pushnil(L);
    while (lua_next(L, -2)) { /* table, key, value */
        switch (lua_type(L, -1)) {
        case LUA_TTABLE:
            clean(L);
            break;
        case LUA_TLIGHTUSERDATA:
        case LUA_TUSERDATA:
            lua_pushvalue(L, -2);
            lua_pushnil(L);
            lua_rawset(L, -5);
            break;
#if LUA_VERSION_NUM >= 503
        case LUA_TNUMBER: {
            lua_Number x = lua_tonumber(L, -1);
            lua_Integer whole;
            if (!lua_isinteger(L, -1) && lua_numbertointeger(x, &whole) &&
                (lua_Number)whole == x) {
                lua_pushvalue(L, -2);
                lua_pushinteger(L, whole);
                lua_rawset(L, -5);
            }
            break;
        }
#endif
        default:
            break;
        }
        lua_pop(L, 1);
    }
}

static bool decode(lua_State *L)
{
    if (!push_codec(L, 1)) {
        lua_remove(L, -2);
        return false;
    }
    lua_insert(L, -2);
    return lua_pcall(L, 1, 1, 0) == 0;
}

/* The text on top with its lone surrogates rewritten, or false and nothing
 * changed when there are none. [-0, +0, m] */
static bool repair(lua_State *L)
{
    struct bytes out;
    bool changed = false;
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    /* room for the result on Lua's side, which frees it whatever happens */
    char *room = lua_newuserdata(L, n);
    bytes_init(&out, n);
    if (delta_repair(s, n, &out, &changed) != BYTES_OK)
        changed = false;
    size_t len = changed ? out.len : 0;
    for (size_t i = 0; i < len; i++)
        room[i] = out.data[i];
    bytes_free(&out);
    if (changed) {
        lua_pushlstring(L, room, len);
        lua_replace(L, -3);
    }
    lua_pop(L, 1);
    return changed;
}

bool json_decode(lua_State *L, const char *s, size_t n)
{
    luaL_checkstack(L, 8, "JSON");
    lua_pushlstring(L, s, n);
    lua_pushvalue(L, -1); /* text, text */
    if (!decode(L)) {
        lua_insert(L, -2); /* message, text */
        if (!repair(L)) {
            lua_pop(L, 1);
            return false;
        }
        lua_remove(L, -2);
        lua_pushvalue(L, -1);
        if (!decode(L)) {
            lua_remove(L, -2);
            return false;
        }
    }
    lua_remove(L, -2);
    if (lua_istable(L, -1)) {
        clean(L);
    } else if (lua_isuserdata(L, -1)) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    return true;
}

/* ---- encoding ---- */

void json_array(lua_State *L)
{
    compat_getkey(L, &array_key);
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushliteral(L, "chatbot.array");
        lua_setfield(L, -2, "__name");
        lua_pushvalue(L, -1);
        compat_setkey(L, &array_key);
    }
    lua_setmetatable(L, -2);
}

static bool is_array(lua_State *L)
{
    if (!lua_getmetatable(L, -1))
        return false;
    compat_getkey(L, &array_key);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* An empty table without a mark: {} by lua-cjson, [] by vim.json. */
static bool is_bare(lua_State *L)
{
    bool marked = lua_getmetatable(L, -1);
    if (marked)
        lua_pop(L, 1);
    lua_pushnil(L);
    bool empty = !lua_next(L, -2);
    if (!empty)
        lua_pop(L, 2);
    return empty && !marked;
}

/* Writes the number on top to `text` when it is a whole one that lua-cjson
 * would cut; else false. */
static bool is_long(lua_State *L, char *text, size_t size)
{
    if (lua_type(L, -1) != LUA_TNUMBER)
        return false;
    double x = (double)lua_tonumber(L, -1);
    bool whole = lua_isinteger(L, -1);
    if (fabs(x) <= DIGITS || (!whole && (fabs(x) > EXACT || x != floor(x))))
        return false;
    snprintf(text, size, "%lld",
             whole ? (long long)lua_tointeger(L, -1) : (long long)x);
    return true;
}

/* Whether the value on top is a long text without anything to escape, such as
 * an image: it is written as it is, at its own length. [-0, +0, -] */
static bool is_plain(lua_State *L)
{
    if (lua_type(L, -1) != LUA_TSTRING || lua_rawlen(L, -1) < PLAIN)
        return false;
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    return delta_plain_run(s, n) == n;
}

struct survey {
    double worst; /* bytes, if every byte of a string had to be escaped */
    bool special; /* something that lua-cjson would not write as we mean it */
    bool deep;
};

/* Looks through the value on top. [-0, +0, m] */
static void look(lua_State *L, struct survey *s, int depth)
{
    char text[32];
    int type = lua_type(L, -1);
    if (is_plain(L)) {
        s->worst += (double)lua_rawlen(L, -1) + 3;
        s->special = true;
    } else if (type == LUA_TSTRING) {
        s->worst += 6 * (double)lua_rawlen(L, -1) + 3;
    } else if (type != LUA_TTABLE) {
        s->worst += 32;
        s->special = s->special || is_long(L, text, sizeof text);
    } else if (depth > MAX_DEPTH) {
        s->deep = true;
    } else {
        luaL_checkstack(L, 6, "JSON");
        s->worst += 3;
        s->special = s->special || is_array(L) || is_bare(L);
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            look(L, s, depth + 1);
            lua_pop(L, 1);
            look(L, s, MAX_DEPTH); /* the key */
        }
    }
}

double json_worst(lua_State *L, int i)
{
    struct survey s = {.worst = 0};
    lua_pushvalue(L, i);
    look(L, &s, 1);
    lua_pop(L, 1);
    return s.worst;
}

/* Replaces the value on top by lua-cjson's text for it, or by a message. */
static bool encode(lua_State *L)
{
    if (!push_codec(L, 2)) {
        lua_remove(L, -2);
        return false;
    }
    lua_insert(L, -2);
    return lua_pcall(L, 1, 1, 0) == 0;
}

/* Appends `s` to the list of strings at `parts`. */
static void add(lua_State *L, int parts, const char *s)
{
    lua_pushstring(L, s);
    lua_rawseti(L, parts, (int)lua_rawlen(L, parts) + 1);
}

/* Appends the text of the value on top to `parts`, and pops it. What holds
 * nothing special goes to lua-cjson in one piece. False: a message is pushed.
 */
static bool write(lua_State *L, int parts)
{
    struct survey s = {.worst = 0};
    char text[32];
    luaL_checkstack(L, 8, "JSON");
    look(L, &s, 1);
    if (!s.special) {
        if (!encode(L))
            return false;
        lua_rawseti(L, parts, (int)lua_rawlen(L, parts) + 1);
        return true;
    }
    if (is_long(L, text, sizeof text)) {
        add(L, parts, text);
        lua_pop(L, 1);
        return true;
    }
    if (is_plain(L)) {
        add(L, parts, "\"");
        lua_rawseti(L, parts, (int)lua_rawlen(L, parts) + 1);
        add(L, parts, "\"");
        return true;
    }
    int n = (int)lua_rawlen(L, -1), count = 0;
    bool list = is_array(L) || n > 0;
    add(L, parts, list ? "[" : "{");
    for (int i = 1; list && i <= n; i++) {
        if (i > 1)
            add(L, parts, ",");
        lua_rawgeti(L, -1, i);
        if (!write(L, parts))
            return false;
    }
    lua_pushnil(L);
    while (!list && lua_next(L, -2)) {
        if (count++ > 0)
            add(L, parts, ",");
        lua_pushvalue(L, -2);
        lua_tostring(L, -1); /* a number as a key becomes its text */
        if (!write(L, parts))
            return false;
        add(L, parts, ":");
        if (!write(L, parts))
            return false;
    }
    if (list)
        lua_pop(L, 1);
    add(L, parts, list ? "]" : "}");
    lua_pop(L, 1);
    return true;
}

bool json_encode(lua_State *L, int i)
{
    struct survey s = {.worst = 0};
    luaL_Buffer b;
    luaL_checkstack(L, 8, "JSON");
    lua_pushvalue(L, i);
    look(L, &s, 1);
    if (s.deep) {
        lua_pop(L, 1);
        lua_pushliteral(L, "it is nested too deeply, or contains itself");
        return false;
    }
    if (!s.special)
        return encode(L);
    lua_newtable(L);
    lua_insert(L, -2);
    int parts = lua_gettop(L) - 1;
    if (!write(L, parts)) {
        lua_replace(L, parts);
        lua_settop(L, parts);
        return false;
    }
    int n = (int)lua_rawlen(L, parts);
    luaL_buffinit(L, &b);
    for (int k = 1; k <= n; k++) {
        lua_rawgeti(L, parts, k);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    lua_replace(L, parts);
    return true;
}

void json_replace_invalid(lua_State *L)
{
    struct bytes out;
    struct utf8 utf8 = {.len = 0};
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    char *room = lua_newuserdata(L, 3 * n + 1); /* freed by Lua */
    bytes_init(&out, 3 * n);
    bool ok = utf8_feed(&utf8, s, n, &out) == BYTES_OK &&
              utf8_finish(&utf8, &out) == BYTES_OK;
    size_t len = out.len;
    if (ok && len > 0)
        memcpy(room, out.data, len);
    bytes_free(&out);
    if (!ok)
        luaL_error(L, "not enough memory");
    lua_pushlstring(L, room, len);
    lua_replace(L, -3);
    lua_pop(L, 1);
}
