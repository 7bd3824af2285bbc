/*
 * faulttools.c - what Lua has no word for: fork, and SIGPIPE as a fresh process
 * has it. A Lua module for any version.
 */
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static int tools_fork(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)fork());
    return 1;
}

/* wait(pid) -> exit status, or 256 and the signal */
static int tools_wait(lua_State *L)
{
    int status = 0;
    waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0);
    lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status)
                                         : 256 + WTERMSIG(status));
    return 1;
}

static int tools_sigpipe_default(lua_State *L)
{
    sigset_t set;
    (void)L;
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return 0;
}

int luaopen_faulttools(lua_State *L);

int luaopen_faulttools(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, tools_fork);
    lua_setfield(L, -2, "fork");
    lua_pushcfunction(L, tools_wait);
    lua_setfield(L, -2, "wait");
    lua_pushcfunction(L, tools_sigpipe_default);
    lua_setfield(L, -2, "sigpipe_default");
    return 1;
}
