/*
 * json.c - see json.h.
 */
#include "binding/json.h"

#include <limits.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "engine/os.h"
#include "parsing/bytes.h"
#include "parsing/escape.h"
#include "parsing/words.h"

static const char codec_key; /* registry: a table, see below */
static const char array_key; /* registry: the metatable of json_array */

/* What is in the codec's table. */
enum codec {
    DECODE = 1,
    SENTINEL, /* what the library has for null */
    ARRAY,    /* metatables by which OpenResty's lua-cjson marks arrays */
    EMPTY_ARRAY,
    POINT /* the locale's decimal point when it was made */
};

/* Finds the library: an instance of our own where there is `new`. Nothing is
 * set in it, because from 0.10 on Neovim's has nothing to set: what a decoder
 * must not let pass, find_fault looks for. In Neovim it is vim.json also where
 * lua-cjson is installed, whose strbuf_* functions are bound to those that
 * Neovim exports: well only while both are of one version. Kept as Lua because
 * it is nothing but table look-ups that may fail. */
static const char loader[] =
    /* LuaTeX has a strbuf_free of its own that cjson's finalizer would call,
     * which aborts: so no instance is ever collected there. */
    "local function keep(json)\n"
    "  if rawget(_G, 'texconfig') and rawget(_G, 'debug') then\n"
    "    local _, config = debug.getupvalue(json.decode, 1)\n"
    "    if type(config) == 'userdata' then\n"
    "      debug.setmetatable(config, nil)\n"
    "    end\n"
    "  end\n"
    "end\n"
    "local vim = rawget(_G, 'vim')\n"
    "local ok, json = true, vim and vim.json\n"
    "if not json then\n"
    "  ok, json = pcall(require, 'cjson')\n"
    "end\n"
    "if not ok then\n"
    /* which Lua 5.1 would call a loop the next time */
    "  local package = rawget(_G, 'package')\n"
    "  if package then package.loaded.cjson = nil end\n"
    "  return tostring(json)\n"
    "end\n"
    "keep(json)\n"
    "local array, empty = json.array_mt, json.empty_array_mt\n"
    "if json.new then json = json.new() end\n"
    "keep(json)\n"
    "return { json.decode, json.decode('[null]')[1], array, empty }\n";

/* lua-cjson takes the locale's decimal point for the one of strtod when an
 * instance is made, so a new one is made when the host has changed it. Of more
 * than one byte, as Persian has it, it ends the process: there a decoder is
 * made and run in the locale "C", of this thread. */
static char decimal_point(void)
{
    const char *point = localeconv()->decimal_point;
    return point[0] != '\0' && point[1] == '\0' ? point[0] : '\0';
}

/* lua_pcall for one result, where a decoder can work. */
static int call(lua_State *L, int args)
{
    void *before = decimal_point() == '\0' ? os_enter_c_locale() : NULL;
    int status = lua_pcall(L, args, 1, 0);
    os_leave_c_locale(before);
    return status;
}

static bool same_locale(lua_State *L)
{
    lua_rawgeti(L, -1, POINT);
    bool same = lua_tointeger(L, -1) == decimal_point();
    lua_pop(L, 1);
    return same;
}

#if LUA_VERSION_NUM == 501
static const char end_key; /* registry: what end_gc is the finalizer of */

static int end_gc(lua_State *L)
{
    lua_pushboolean(L, 0);
    compat_setkey(L, &codec_key);
    return 0;
}

/* Lua 5.1 and LuaJIT unload a C library in the midst of the finalizers when
 * they close a state. What is put into the registry here is younger than the
 * handle of lua-cjson, goes before it, and leaves false for a codec. It is not
 * the codec's, which gives way to another when the locale changes.
 * [-0, +0, m] */
static void watch_end(lua_State *L)
{
    compat_getkey(L, &end_key);
    bool watched = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (watched)
        return;
    lua_newuserdata(L, 1);
    lua_newtable(L);
    lua_pushcfunction(L, end_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    compat_setkey(L, &end_key);
}
#else
static void watch_end(lua_State *L)
{
    (void)L;
}
#endif

/* Replaces what `require` says of the library. [-1, +1, m] */
static void explain(lua_State *L)
{
    const char *problem = lua_tostring(L, -1);
    if (strstr(problem, "module 'cjson' not found") != NULL)
        lua_pushliteral(L, "the Lua module cjson (lua-cjson) is missing");
    else
        lua_pushfstring(L, "the Lua module cjson (lua-cjson) is broken: %s",
                        problem);
    lua_remove(L, -2);
}

/* Pushes the codec's table; false: a message. [-0, +1, m] */
static bool push_codec(lua_State *L)
{
    luaL_checkstack(L, 6, "JSON");
    compat_getkey(L, &codec_key);
    if (lua_istable(L, -1) && same_locale(L))
        return true;
    if (lua_isboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushliteral(L, "the Lua state is being closed");
        return false;
    }
    lua_pop(L, 1);
    if (luaL_loadbuffer(L, loader, sizeof loader - 1, "=json") != 0 ||
        call(L, 0) != 0)
        return false;
    if (!lua_istable(L, -1)) {
        explain(L);
        return false;
    }
    lua_pushinteger(L, decimal_point());
    lua_rawseti(L, -2, POINT);
    watch_end(L);
    lua_pushvalue(L, -1);
    compat_setkey(L, &codec_key);
    return true;
}

bool json_ready(lua_State *L)
{
    if (!push_codec(L))
        return false;
    lua_pop(L, 1);
    return true;
}

/* Looks for what no decoder may see, as not each can be told to refuse it:
 * numbers that are none, more depth than the stack may bear, and a NUL, which
 * is the end to them. Pushes a message and returns true, or sets *wide. What
 * else is wrong the decoder will say.
 * [-0, +(0|1), m] */
static bool find_fault(lua_State *L, const char *s, size_t n, bool *wide)
{
    struct words w = {s, s + n, JSON_DEPTH, 0};
    const char *word, *nul = memchr(s, '\0', n);
    *wide = false;
    if (nul != NULL) {
        lua_pushfstring(L, "a NUL at character %d", (int)(nul - s) + 1);
        return true;
    }
    while ((word = words_next(&w)) != NULL) {
        if (words_is_odd(word, w.p)) {
            lua_pushfstring(L, "invalid number at character %d",
                            (int)(word - s) + 1);
            return true;
        }
        *wide = *wide || words_is_wide(word, w.p);
    }
    if (w.depth <= JSON_DEPTH)
        return false;
    lua_pushfstring(L, "nested too deeply at character %d", (int)(w.p - s));
    return true;
}

/* Pushes the text, with a point in the numbers that are wide. [-0, +1, m] */
static void push_with_points(lua_State *L, const char *s, size_t n)
{
    luaL_Buffer b;
    struct words w = {s, s + n, JSON_DEPTH, 0};
    const char *word, *done = s;
    luaL_buffinit(L, &b);
    while ((word = words_next(&w)) != NULL) {
        if (words_is_wide(word, w.p)) {
            luaL_addlstring(&b, done, (size_t)(w.p - done));
            luaL_addstring(&b, ".0");
            done = w.p;
        }
    }
    luaL_addlstring(&b, done, (size_t)(s + n - done));
    luaL_pushresult(&b);
}

/* Nulls (a light userdata, or vim.NIL) become nil, whole numbers integers, in
 * the table on top and all tables in it. A list that has lost a null is marked,
 * so that it can be written again. [-0, +0, m] */
static void clean(lua_State *L)
{
    bool gaps = false;
    luaL_checkstack(L, 6, "JSON");
    lua_pushnil(L);
    while (lua_next(L, -2)) { /* table, key, value */
        switch (lua_type(L, -1)) {
        case LUA_TTABLE:
            clean(L);
            break;
        case LUA_TLIGHTUSERDATA:
        case LUA_TUSERDATA:
            gaps = gaps || lua_type(L, -2) == LUA_TNUMBER;
            lua_pushvalue(L, -2);
            lua_pushnil(L);
            lua_rawset(L, -5);
            break;
#if LUA_VERSION_NUM >= 503
        case LUA_TNUMBER: {
            int is_whole;
            lua_Integer whole = lua_tointegerx(L, -1, &is_whole);
            if (is_whole && !lua_isinteger(L, -1) &&
                !(whole == 0 && signbit(lua_tonumber(L, -1)))) {
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
    if (gaps)
        json_array(L);
}

static bool try_decode(lua_State *L)
{
    if (!push_codec(L)) {
        lua_remove(L, -2);
        return false;
    }
    lua_rawgeti(L, -1, DECODE);
    lua_replace(L, -2);
    lua_insert(L, -2);
    return call(L, 1) == 0;
}

/* Replaces the text on top by its value; false: by a message. Before Lua 5.4,
 * what a finalizer raises meanwhile looks like a mistake in the text: so one is
 * looked at again while the collector rests. [-1, +1, m] */
static bool decode(lua_State *L)
{
    lua_pushvalue(L, -1);
    bool ok = try_decode(L);
#if LUA_VERSION_NUM < 504
    if (!ok) {
#ifdef LUA_GCISRUNNING
        bool running = lua_gc(L, LUA_GCISRUNNING, 0) != 0;
#else
        bool running = false; /* who knows: it is left as it is */
#endif
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        if (running)
            lua_gc(L, LUA_GCSTOP, 0);
        ok = try_decode(L);
        if (running)
            lua_gc(L, LUA_GCRESTART, 0);
    }
#endif
    lua_remove(L, -2);
    return ok;
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
    if (escape_repair(s, n, &out, &changed) != BYTES_OK)
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
    bool wide;
    luaL_checkstack(L, 8, "JSON");
    if (find_fault(L, s, n, &wide))
        return false;
    if (wide)
        push_with_points(L, s, n);
    else
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

/* Whether the value on top is the codec's at `place`. [-0, +0, -] */
static bool is_own(lua_State *L, enum codec place)
{
    compat_getkey(L, &codec_key);
    bool same = lua_istable(L, -1);
    if (same) {
        lua_rawgeti(L, -1, (int)place);
        same = lua_rawequal(L, -1, -3);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return same;
}

bool json_is_array(lua_State *L, int i)
{
    if (!lua_getmetatable(L, i))
        return false;
    compat_getkey(L, &array_key);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    same = same || is_own(L, ARRAY) || is_own(L, EMPTY_ARRAY);
    lua_pop(L, 1);
    return same;
}

bool json_is_null(lua_State *L, int i)
{
    if (lua_islightuserdata(L, i) && lua_touserdata(L, i) == NULL)
        return true;
    lua_pushvalue(L, i);
    bool same = lua_isuserdata(L, -1) && is_own(L, SENTINEL);
    lua_pop(L, 1);
    return same;
}

int json_length(lua_State *L, int i)
{
    int n = (int)lua_rawlen(L, i);
    i = lua_absindex(L, i);
    if (!json_is_array(L, i))
        return n;
    lua_pushnil(L);
    while (lua_next(L, i)) {
        lua_pop(L, 1);
        lua_Number key =
            lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (key > n && key <= INT_MAX)
            n = (int)key;
    }
    return n;
}
