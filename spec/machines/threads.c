/*
 * threads.c - a host with one Lua state in each of several threads, all of
 * which load the module and talk at once, for ThreadSanitizer.
 *
 *   threads THREADS SCRIPT [ARGS...]
 *
 * The module's sources are linked in, so that they are instrumented; Lua,
 * lua-cjson and libcurl are not, but what they call of the C library is seen.
 * Every thread runs the script twice, the second time in a new state, with its
 * number in front of ARGS; the script returns how many chats it had.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST   64
#define ROUNDS 2

int luaopen_chatbot_core(lua_State *L);

struct job {
    pthread_t thread;
    int number, argc;
    char **argv;
    long chats;
    int failed;
};

static void run(struct job *job)
{
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        job->failed = 1;
        return;
    }
    luaL_openlibs(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, luaopen_chatbot_core);
    lua_setfield(L, -2, "chatbot.core");
    lua_settop(L, 0);
    int status = luaL_loadfile(L, job->argv[2]);
    if (status == LUA_OK) {
        lua_pushinteger(L, job->number);
        for (int i = 3; i < job->argc; i++)
            lua_pushstring(L, job->argv[i]);
        status = lua_pcall(L, job->argc - 2, 1, 0);
    }
    if (status != LUA_OK) {
        fprintf(stderr, "thread %d: %s\n", job->number, lua_tostring(L, -1));
        job->failed = 1;
    } else {
        job->chats += (long)lua_tointeger(L, -1);
    }
    lua_close(L);
}

static void *start(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        run(arg);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct job jobs[MOST];
    int n = argc > 2 ? atoi(argv[1]) : 0, failed = 0;
    long chats = 0;
    if (n < 1 || n > MOST) {
        fprintf(stderr, "usage: threads THREADS SCRIPT [ARGS...]\n");
        return 2;
    }
    for (int i = 0; i < n; i++) {
        jobs[i] = (struct job){.number = i + 1, .argc = argc, .argv = argv};
        if (pthread_create(&jobs[i].thread, NULL, start, &jobs[i]) != 0)
            return 2;
    }
    for (int i = 0; i < n; i++) {
        pthread_join(jobs[i].thread, NULL);
        chats += jobs[i].chats;
        failed += jobs[i].failed;
    }
    printf("%d threads, %ld chats, %d failed\n", n, chats, failed);
    return failed > 0 || chats == 0;
}
