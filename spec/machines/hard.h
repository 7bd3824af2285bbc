/*
 * hard.h - put in front of each file of an interpreter that checks what the
 * module does to it (`make apicheck`). What HARDSTACKTESTS and HARDMEMTESTS do
 * everywhere it does where a function of the module is what runs: the stack
 * moves whenever it asks for room, and Lua collects wherever it may, or at
 * every HARD_GC-th such place (environment).
 */
#include "lprefix.h"

#define LUA_CORE

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "lgc.h"
#include "llimits.h"
#include "lobject.h"
#include "lstate.h"

#if LUA_VERSION_RELEASE_NUM >= 50405
#define HARD_FUNC(ci) ((ci)->func.p)
#else
#define HARD_FUNC(ci) ((ci)->func)
#endif

/* Whether this code is chatbot/core.so's: what was asked before is known. */
static inline int hard_is_module(lua_CFunction f)
{
    enum { KNOWN = 256 };
    static _Thread_local struct {
        lua_CFunction f;
        int is;
    } known[KNOWN];
    size_t i = ((size_t)f >> 4) % KNOWN;
    if (known[i].f != f) {
        Dl_info info;
        known[i].is = dladdr((void *)(size_t)f, &info) != 0 &&
                      strstr(info.dli_fname, "/chatbot/core.so") != NULL;
        known[i].f = f;
    }
    return known[i].is;
}

/* Whether a function of the module runs, and not one that it has called. */
static inline int hard_inside(lua_State *L)
{
    const TValue *f = s2v(HARD_FUNC(L->ci));
    return (ttislcf(f) && hard_is_module(fvalue(f))) ||
           (ttisCclosure(f) && hard_is_module(clCvalue(f)->f));
}

static inline int hard_due(lua_State *L)
{
    static _Thread_local unsigned places, every;
    if (every == 0) {
        const char *s = getenv("HARD_GC");
        every = s != NULL && atoi(s) > 0 ? (unsigned)atoi(s) : 1;
    }
    return hard_inside(L) && ++places % every == 0;
}

#undef condmovestack
#define condmovestack(L, pre, pos)                                             \
    {                                                                          \
        if (hard_inside(L)) {                                                  \
            int size_ = stacksize(L);                                          \
            pre;                                                               \
            luaD_reallocstack(L, size_, 0);                                    \
            pos;                                                               \
        }                                                                      \
    }

/* Either or: a step may have moved the stack that `pre` knows. */
#undef luaC_condGC
#define luaC_condGC(L, pre, pos)                                               \
    {                                                                          \
        if (G(L)->GCdebt > 0) {                                                \
            pre;                                                               \
            luaC_step(L);                                                      \
            pos;                                                               \
        } else if (gcrunning(G(L)) && hard_due(L)) {                           \
            pre;                                                               \
            luaC_fullgc(L, 0);                                                 \
            pos;                                                               \
        }                                                                      \
    }
