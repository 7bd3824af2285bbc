/*
 * oom.c - a host whose memory fails: runs a Lua script again and again, and
 * lets the n-th allocation fail, for n = 1, 2, ... until a run needs fewer.
 *
 *   oom lua|curl|own|gc STEP SCRIPT [ARGS...]
 *
 * `lua` fails an allocation of the Lua state, `curl` one of libcurl
 * (curl_global_init_mem), `own` one of the module's own: its core.so must have
 * been linked with --wrap=malloc and so on, which makes it call the functions
 * here. STEP is the distance between two n: 1 tries all. `gc` runs once, and
 * fails every allocation of Lua at the first attempt, whereupon Lua (5.2 and
 * later) collects all garbage and tries again: the heaviest load on whoever
 * keeps a pointer to what is not anchored.
 *
 * Every run must end with a result or an error of Lua, give back all memory,
 * and leave the next run unharmed. The script gets the functions `arm` and
 * `disarm`, between which allocations fail.
 */
#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 200000 /* runs; a script with more allocations is too long */

enum mode { LUA, CURL_LIB, OWN, GC };

static const char *const names[] = {"lua", "curl", "own", "gc"};

static enum mode mode;
static long left = -1;  /* allocations until one fails; -1: none does */
static int hit;         /* one has failed in this run */
static size_t in_use;   /* bytes of the Lua state */
static long own_blocks; /* of the module */
static long abandoned;  /* in mode curl */
static long curl_blocks;
static long collections; /* in mode gc */
static int repeated;     /* the next attempt is the second one */
static long wanted;

static int fails(enum mode whose)
{
    if (whose != mode || left < 0 || left-- > 0)
        return 0;
    hit = 1;
    return 1;
}

/* Lua 5.2 and later try again at once, after a collection; that fails, too. */
static int lua_fails(void)
{
    if (repeated) {
        repeated = 0;
        return 1;
    }
    int failed = fails(LUA);
    repeated = failed && LUA_VERSION_NUM >= 502;
    return failed;
}

/* ---- Lua's memory ---- */

static int collects(void)
{
    if (mode != GC || left < 0)
        return 0;
    repeated = !repeated; /* the second attempt succeeds */
    collections += repeated;
    return repeated;
}

static void *lua_memory(void *ud, void *p, size_t old, size_t size)
{
    (void)ud;
    if (p == NULL)
        old = 0;
    if (size == 0) {
        free(p);
        in_use -= old;
        return NULL;
    }
    if (size > old && (collects() || lua_fails())) /* shrinking never fails */
        return NULL;
    void *q = realloc(p, size);
    if (q != NULL)
        in_use += size - old;
    return q;
}

/* ---- libcurl's ---- */

static void *curl_malloc(size_t n)
{
    void *p = fails(CURL_LIB) ? NULL : malloc(n);
    curl_blocks += p != NULL;
    return p;
}

static void curl_freed(void *p)
{
    curl_blocks -= p != NULL;
    free(p);
}

static void *curl_realloc(void *p, size_t n)
{
    void *q = fails(CURL_LIB) ? NULL : realloc(p, n);
    curl_blocks += p == NULL && q != NULL;
    return q;
}

static void *curl_calloc(size_t n, size_t size)
{
    void *p = fails(CURL_LIB) ? NULL : calloc(n, size);
    curl_blocks += p != NULL;
    return p;
}

static char *curl_strdup(const char *s)
{
    char *p = fails(CURL_LIB) ? NULL : strdup(s);
    curl_blocks += p != NULL;
    return p;
}

/* ---- the module's, called in place of the functions without __wrap_ ---- */

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *p);

void *__wrap_malloc(size_t n)
{
    void *p = fails(OWN) ? NULL : malloc(n);
    own_blocks += p != NULL;
    return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
    void *p = fails(OWN) ? NULL : calloc(n, size);
    own_blocks += p != NULL;
    return p;
}

void *__wrap_realloc(void *p, size_t n)
{
    void *q = fails(OWN) ? NULL : realloc(p, n);
    own_blocks += p == NULL && q != NULL;
    return q;
}

char *__wrap_strdup(const char *s)
{
    char *p = fails(OWN) ? NULL : strdup(s);
    own_blocks += p != NULL;
    return p;
}

char *__wrap_strndup(const char *s, size_t n)
{
    char *p = fails(OWN) ? NULL : strndup(s, n);
    own_blocks += p != NULL;
    return p;
}

void __wrap_free(void *p)
{
    own_blocks -= p != NULL;
    free(p);
}

/* ---- runs ---- */

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

static int complain(const char *what, long n)
{
    fprintf(stderr, "%s, allocation %ld: %ld %s\n", names[mode], wanted, n,
            what);
    return 1;
}

/* One run. Returns 0, or 1 when something is wrong: memory was not given back,
 * or the script says so by an error that starts with "WRONG". */
static int run(int argc, char **argv)
{
    int wrong = 0;
    hit = 0;
#if LUA_VERSION_NUM >= 505
    lua_State *L = lua_newstate(lua_memory, NULL, 0); /* the same each time */
#else
    lua_State *L = lua_newstate(lua_memory, NULL);
#endif
    if (L == NULL)
        return 1;
    luaL_openlibs(L);
    lua_register(L, "arm", arm);
    lua_register(L, "disarm", disarm);
    if (luaL_loadfile(L, argv[3]) != 0) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(2);
    }
    for (int i = 4; i < argc; i++)
        lua_pushstring(L, argv[i]);
    int status = lua_pcall(L, argc - 4, 0, 0);
    left = -1;
    if (status != 0) {
        const char *message = lua_tostring(L, -1);
        if (wanted < 0 || message == NULL || strstr(message, "WRONG") != NULL) {
            fprintf(stderr, "%s, allocation %ld: %s\n", names[mode], wanted,
                    message != NULL ? message : "?");
            wrong = 1;
        }
    }
    lua_close(L);
    if (in_use != 0)
        wrong = complain("bytes of Lua were not given back", (long)in_use);
    /* An engine whose libcurl has run out of memory cannot be freed: what
     * libcurl knows of the module is abandoned with it. */
    if (mode == CURL_LIB && hit && own_blocks > 0 && own_blocks <= 2)
        abandoned += own_blocks;
    else if (own_blocks != 0)
        wrong = complain("blocks of the module leaked", own_blocks);
    in_use = 0;
    own_blocks = 0;
    repeated = 0;
    return wrong;
}

int main(int argc, char **argv)
{
    int known = 0;
    for (int i = 0; argc >= 4 && i < 4; i++)
        if (strcmp(argv[1], names[i]) == 0) {
            mode = (enum mode)i;
            known = 1;
        }
    long step = argc >= 4 ? atol(argv[2]) : 0;
    if (!known || step < 1) {
        fprintf(stderr, "usage: oom lua|curl|own|gc STEP SCRIPT [ARGS...]\n");
        return 2;
    }
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, curl_freed,
                             curl_realloc, curl_strdup,
                             curl_calloc) != CURLE_OK)
        return 2;
    wanted = -1;
    if (run(argc, argv) != 0) /* none fails: loads the libraries */
        return 1;
    long blocks = curl_blocks, runs = 0;
    int wrong = 0;
    if (mode == GC) {
        wanted = 0;
        wrong = run(argc, argv);
        printf("%ld full collections, %d wrong\n", collections, wrong);
        return wrong != 0 || collections == 0;
    }
    hit = 1;
    for (wanted = 0; hit && wanted < MOST; wanted += step, runs++) {
        wrong += run(argc, argv);
        if (mode != CURL_LIB && curl_blocks != blocks)
            wrong += complain("blocks of libcurl leaked", curl_blocks - blocks);
        blocks = curl_blocks;
    }
    if (abandoned > 0)
        printf("%ld blocks abandoned\n", abandoned);
    printf("%ld allocations failed in turn, %d wrong\n", runs - 1, wrong);
    return wrong > 0 || hit;
}
