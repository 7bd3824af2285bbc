/*
 * hard.h - put in front of each file of an interpreter that checks what the
 * module does to it (`make apicheck`). The stack moves whenever a function asks
 * for room on it (HARDSTACKTESTS), and where Lua may collect, it does: at every
 * HARD_GC-th such place (environment, default 1) that a function of the module
 * itself has come to.
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

/* Whether the function that runs is to be collected at now. */
static inline int hard_due(lua_State *L)
{
    static _Thread_local unsigned places, every;
    const TValue *f = s2v(HARD_FUNC(L->ci));
    lua_CFunction c = ttislcf(f)        ? fvalue(f)
                      : ttisCclosure(f) ? clCvalue(f)->f
                                        : (lua_CFunction)0;
    if (every == 0) {
        const char *s = getenv("HARD_GC");
        every = s != NULL && atoi(s) > 0 ? (unsigned)atoi(s) : 1;
    }
    return c != (lua_CFunction)0 && hard_is_module(c) && ++places % every == 0;
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
