/*
 * oom.c - a host whose memory fails: runs a Lua script again and again, and
 * lets the n-th allocation fail, for n = 1, 2, ... until a run needs fewer.
 *
 *   oom lua|curl SCRIPT [ARGS...]
 *
 * `lua` fails an allocation of the Lua state, `curl` one of libcurl
 * (curl_global_init_mem). Every run must end with a result or an error of Lua,
 * give back all memory of its state, and leave the next run unharmed. The
 * script is called with a function `arm` that starts the countdown.
 */
#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 200000 /* runs; a script with more allocations is too long */

static long left = -1; /* allocations until one fails; -1: none does */
static int hit;        /* one has failed in this run */
static size_t in_use;  /* by the Lua state */

static int fails(void)
{
    if (left < 0 || left-- > 0)
        return 0;
    hit = 1;
    return 1;
}

static void *lua_alloc(void *ud, void *p, size_t old, size_t size)
{
    int *is_lua = ud;
    if (p == NULL)
        old = 0;
    if (size == 0) {
        free(p);
        in_use -= old;
        return NULL;
    }
    if (size > old && *is_lua && fails()) /* shrinking never fails */
        return NULL;
    void *q = realloc(p, size);
    if (q != NULL)
        in_use += size - old;
    return q;
}

static void *curl_malloc(size_t n)
{
    return fails() ? NULL : malloc(n);
}

static void *curl_realloc(void *p, size_t n)
{
    return fails() ? NULL : realloc(p, n);
}

static void *curl_calloc(size_t n, size_t size)
{
    return fails() ? NULL : calloc(n, size);
}

static char *curl_strdup(const char *s)
{
    return fails() ? NULL : strdup(s);
}

static long wanted;

static int arm(lua_State *L)
{
    (void)L;
    left = wanted;
    return 0;
}

static int disarm(lua_State *L)
{
    (void)L;
    left = -1;
    return 0;
}

/* One run; `hit` says whether the allocation was reached. Returns 0, or 1
 * when the script found something wrong (its error starts with "WRONG"). */
static int run(int argc, char **argv, int is_lua)
{
    hit = 0;
    lua_State *L = lua_newstate(lua_alloc, &is_lua);
    int wrong = 0;
    if (L == NULL)
        return 1;
    luaL_openlibs(L);
    lua_pushcfunction(L, arm);
    lua_setglobal(L, "arm");
    lua_pushcfunction(L, disarm);
    lua_setglobal(L, "disarm");
    if (luaL_loadfile(L, argv[2]) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(2);
    }
    for (int i = 3; i < argc; i++)
        lua_pushstring(L, argv[i]);
    int status = lua_pcall(L, argc - 3, 0, 0);
    left = -1;
    if (status != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        if (wanted < 0 ||
            (message != NULL && strstr(message, "WRONG") != NULL)) {
            fprintf(stderr, "allocation %ld: %s\n", wanted, message);
            wrong = 1;
        }
    }
    lua_close(L);
    if (in_use != 0) {
        fprintf(stderr, "allocation %ld: %zu bytes were not given back\n",
                wanted, in_use);
        wrong = 1;
        in_use = 0;
    }
    return wrong;
}

int main(int argc, char **argv)
{
    int is_lua = argc > 2 && strcmp(argv[1], "lua") == 0;
    if (argc < 3) {
        fprintf(stderr, "usage: oom lua|curl SCRIPT [ARGS...]\n");
        return 2;
    }
    if (!is_lua && curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, free,
                                        curl_realloc, curl_strdup,
                                        curl_calloc) != CURLE_OK)
        return 2;
    wanted = -1;
    if (run(argc, argv, is_lua) != 0) /* none fails: loads the libraries */
        return 2;
    int wrong = 0;
    hit = 1;
    for (wanted = 0; hit && wanted < MOST; wanted++)
        wrong += run(argc, argv, is_lua);
    printf("%s: %ld allocations failed in turn, %d wrong\n", argv[1],
           wanted - 1, wrong);
    return wrong > 0 || hit;
}
