/*
 * json.c - see json.h.
 */
#include "json.h"

#include <stdlib.h>

#include "bytes.h"
#include "delta.h"

#define MAX_DEPTH 64

static const char codec_key; /* registry: {decode, encode} */

/* Finds the library: an instance of our own where there is `new`, with limits.
 * `vim.json` has neither `new` nor limits to set. Kept as Lua because it is
 * nothing but table look-ups that may fail. */
static const char loader[] = "local ok, json = pcall(require, 'cjson')\n"
                             "if not ok then json = vim and vim.json end\n"
                             "if not json then return nil end\n"
                             "if json.new then\n"
                             "  json = json.new()\n"
                             "  json.decode_max_depth(...)\n"
                             "  json.encode_max_depth(...)\n"
                             "  json.decode_invalid_numbers(false)\n"
                             "  json.encode_invalid_numbers(false)\n"
                             "  json.encode_keep_buffer(false)\n"
                             "end\n"
                             "return { json.decode, json.encode }\n";

/* Pushes decode (1) or encode (2); false: a message. */
static bool push_codec(lua_State *L, int which)
{
    compat_getkey(L, &codec_key);
    if (!lua_istable(L, -1)) {
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

bool json_encode(lua_State *L, int i)
{
    i = lua_absindex(L, i);
    luaL_checkstack(L, 4, "JSON");
    if (!push_codec(L, 2))
        return false;
    lua_pushvalue(L, i);
    return lua_pcall(L, 1, 1, 0) == 0;
}
