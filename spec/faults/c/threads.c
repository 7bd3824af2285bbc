/*
 * threads.c - a host with several threads, a Lua state in each, and a use of
 * libcurl of its own. Usage: threads COUNT SCRIPT URL. Each state runs the
 * script with the URL as its argument; the program fails when one did.
 */
#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *script, *url;

static void *run(void *arg)
{
    lua_State *L = luaL_newstate();
    long *failed = arg;
    *failed = 1;
    if (L == NULL)
        return NULL;
    luaL_openlibs(L);
    if (luaL_loadfile(L, script) == 0) {
        lua_pushstring(L, url);
        *failed = lua_pcall(L, 1, 0, 0) != 0;
    }
    if (*failed)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    lua_close(L);
    return NULL;
}

static size_t ignore(char *data, size_t size, size_t n, void *arg)
{
    (void)data, (void)arg;
    return size * n;
}

/* What a host does that knows nothing of us: starts libcurl, asks, ends it. */
static int use_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    CURLcode result = curl_easy_perform(easy);
    curl_easy_cleanup(easy);
    curl_global_cleanup();
    return result == CURLE_OK;
}

int main(int argc, char **argv)
{
    pthread_t threads[64];
    long failed[64] = {0}, all = 0;
    int n = argc == 4 ? atoi(argv[1]) : 0;
    if (n < 1 || n > 64)
        return 2;
    script = argv[2];
    url = argv[3];
    if (!use_curl())
        return 3;
    for (int i = 0; i < n; i++)
        pthread_create(&threads[i], NULL, run, &failed[i]);
    if (!use_curl())
        return 3;
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        all += failed[i];
    }
    if (!use_curl())
        return 3;
    printf("%d states, %ld failed\n", n, all);
    return all == 0 ? 0 : 1;
}
