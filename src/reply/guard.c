/*
 * guard.c - see guard.h.
 */
#include "reply/guard.h"

#include "reply/ending.h"

int guard_function(lua_State *L, int i, int n, int results)
{
    struct reply *r = lua_touserdata(L, i);
    struct http *http = r->request == NULL ? NULL : r->request->http;
    bool before = r->busy;
    lua_pushvalue(L, i);
    lua_insert(L, -n - 1);
    r->busy = true;
    if (http != NULL)
        http_lock(http);
    int status = lua_pcall(L, n + 1, results, 0);
    if (http != NULL)
        http_unlock(http);
    r->busy = before;
    if (r->closing && !r->busy)
        guard_close(L, i);
    return status;
}

int guard_call(lua_State *L, int i, lua_CFunction f, int n, int results)
{
    luaL_checkstack(L, 4, NULL);
    i = lua_absindex(L, i);
    lua_pushcfunction(L, f);
    lua_insert(L, -n - 1);
    return guard_function(L, i, n, results);
}

void guard_push(lua_State *L, int i, lua_CFunction f, int n)
{
    if (guard_call(L, i, f, n, 1) != 0)
        lua_error(L);
}

static int give_up_all(lua_State *L)
{
    compat_getenv(L, 1);
    ending_give_up(L, lua_touserdata(L, 1), 2);
    return 0;
}

static int roll_back(lua_State *L)
{
    compat_getenv(L, 1);
    ending_rollback(L, lua_touserdata(L, 1), 2);
    return 0;
}

void guard_close(lua_State *L, int i)
{
    struct reply *r = lua_touserdata(L, i);
    if (r->status != REPLY_STREAMING)
        return;
    r->closing = r->busy;
    if (r->busy)
        return;
    r->status = REPLY_CANCELLED;
    ending_drop(r, false);
    redact_free(&r->answer.secret);
    static const lua_CFunction ways[] = {give_up_all, roll_back};
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        if (guard_call(L, i, ways[k], 0, 0) == 0)
            break;
        lua_pop(L, 1); /* no memory; the other needs none */
    }
    r->held = r->failed = false;
}
