/*
 * clock.c - a Lua module with the clocks that Lua lacks.
 *
 *     clock.now()    microseconds of the monotonic clock, as the server's
 *     clock.cpu()    microseconds of CPU of this thread
 */
#include <lauxlib.h>
#include <lua.h>
#include <time.h>

int luaopen_benchclock(lua_State *L);

static int push(lua_State *L, clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    lua_pushnumber(L,
                   (lua_Number)ts.tv_sec * 1e6 + (lua_Number)ts.tv_nsec / 1e3);
    return 1;
}

static int clock_now(lua_State *L)
{
    return push(L, CLOCK_MONOTONIC);
}

static int clock_cpu(lua_State *L)
{
    return push(L, CLOCK_THREAD_CPUTIME_ID);
}

int luaopen_benchclock(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, clock_now);
    lua_setfield(L, -2, "now");
    lua_pushcfunction(L, clock_cpu);
    lua_setfield(L, -2, "cpu");
    return 1;
}
