/*
 * compat.h - one C API out of six: Lua 5.1, 5.2, 5.3, 5.4, 5.5 and LuaJIT.
 * Names of a later version where an earlier one lacks them, as static
 * functions, so that nothing is exported.
 */
#ifndef CHATBOT_COMPAT_H
#define CHATBOT_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM < 501
#error "Lua 5.1 or later is needed"
#endif

/* `chat` can be a C function that yields. */
#define COMPAT_YIELDS (LUA_VERSION_NUM >= 503)

#if LUA_VERSION_NUM == 501
#define lua_rawlen(L, i) lua_objlen((L), (i))
#define lua_absindex(L, i)                                                     \
    ((i) > 0 || (i) <= LUA_REGISTRYINDEX ? (i) : lua_gettop(L) + (i) + 1)
#elif LUA_VERSION_NUM >= 503
/* A lua_Unsigned, which is wider where size_t has 32 bits. */
#define lua_rawlen(L, i) ((size_t)lua_rawlen((L), (i)))
#endif

#if LUA_VERSION_NUM < 503
#define lua_isinteger(L, i) ((void)(L), (void)(i), 0)
#endif

/* The table that belongs to the full userdata at `i`. [-0, +1, -] */
static inline void compat_getenv(lua_State *L, int i)
{
#if LUA_VERSION_NUM == 501
    lua_getfenv(L, i);
#elif LUA_VERSION_NUM >= 504
    lua_getiuservalue(L, i, 1);
#else
    lua_getuservalue(L, i);
#endif
}

/* Gives the table on top to the full userdata at `i`. [-1, +0, -] */
static inline void compat_setenv(lua_State *L, int i)
{
#if LUA_VERSION_NUM == 501
    lua_setfenv(L, i);
#elif LUA_VERSION_NUM >= 504
    lua_setiuservalue(L, i, 1);
#else
    lua_setuservalue(L, i);
#endif
}

/* registry[key] with an address as the key. [-0, +1, -] */
static inline void compat_getkey(lua_State *L, const void *key)
{
    lua_pushlightuserdata(L, (void *)(size_t)key);
    lua_rawget(L, LUA_REGISTRYINDEX);
}

/* registry[key] = the value on top. [-1, +0, m] */
static inline void compat_setkey(lua_State *L, const void *key)
{
    lua_pushlightuserdata(L, (void *)(size_t)key);
    lua_insert(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* Sets the functions of `l` in the table on top. [-0, +0, m] */
static inline void compat_setfuncs(lua_State *L, const luaL_Reg *l)
{
    for (; l->name != NULL; l++) {
        lua_pushcfunction(L, l->func);
        lua_setfield(L, -2, l->name);
    }
}

/* Copies `n` bytes and a NUL to `to`. A NUL among them becomes the byte 01, so
 * that what C would cut short is seen, and refused, as a control character. */
static inline void compat_visible(char *to, const char *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = from[i] == '\0' ? '\1' : from[i];
    to[n] = '\0';
}

#if LUA_VERSION_NUM == 501
/* LuaJIT 2.1 has it, and PUC Lua 5.1, which loads the same binary, has not. */
LUA_API int lua_isyieldable(lua_State *L);
#pragma weak lua_isyieldable
#endif

/* Whether the running function may yield; PUC Lua 5.1 and 5.2 know only that it
 * is in a coroutine. */
static inline int compat_isyieldable(lua_State *L)
{
#if LUA_VERSION_NUM >= 503
    return lua_isyieldable(L);
#else
#if LUA_VERSION_NUM == 501
    if (lua_isyieldable != NULL)
        return lua_isyieldable(L);
#endif
    int main = lua_pushthread(L);
    lua_pop(L, 1);
    return !main;
#endif
}

#endif
