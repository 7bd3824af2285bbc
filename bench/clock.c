/*
 * clock.c - a Lua module with the clocks that Lua lacks, for one Lua state.
 *
 *     clock.now()    microseconds of the monotonic clock, as the server's
 *     clock.cpu()    microseconds of CPU of this thread
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <time.h>

#include "histogram.h"

int luaopen_benchclock(lua_State *L);

#define SETTLING 5e5 /* us, see limit.c */

static double settled; /* from when on latency is noted; 0: not known */
static struct histogram latency; /* of the events since then */

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

/* take(text [, id]) -> id, events: notes the latency of each "ID:MICROSECONDS "
 * in the text of a paced stream; another ID than `id` is an error. In C, as in
 * limit.c, because it is no part of what is measured. */
static int clock_take(lua_State *L)
{
    struct timespec ts;
    const char *s = luaL_checkstring(L, 1);
    long id = (long)luaL_optnumber(L, 2, -1), events = 0;
    char *end;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    double now = (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
    if (settled == 0)
        settled = now + SETTLING;
    for (; *s != '\0'; s = end + 1, events++) {
        long of = strtol(s, &end, 10);
        if (*end != ':' || (id >= 0 && of != id))
            return luaL_error(L, "text of another stream");
        id = of;
        double at = (double)strtoll(end + 1, &end, 10);
        if (*end != ' ')
            return luaL_error(L, "text was lost");
        if (now >= settled)
            histogram_note(&latency, (int64_t)(now - at));
    }
    lua_pushnumber(L, (lua_Number)id);
    lua_pushnumber(L, (lua_Number)events);
    return 2;
}

/* quantile(q) -> microseconds, or nil when nothing was noted */
static int clock_quantile(lua_State *L)
{
    double q = luaL_checknumber(L, 1);
    if (latency.count == 0)
        return 0;
    lua_pushnumber(L, (lua_Number)histogram_quantile(&latency, q));
    return 1;
}

int luaopen_benchclock(lua_State *L)
{
    lua_createtable(L, 0, 4);
    lua_pushcfunction(L, clock_now);
    lua_setfield(L, -2, "now");
    lua_pushcfunction(L, clock_cpu);
    lua_setfield(L, -2, "cpu");
    lua_pushcfunction(L, clock_take);
    lua_setfield(L, -2, "take");
    lua_pushcfunction(L, clock_quantile);
    lua_setfield(L, -2, "quantile");
    return 1;
}
