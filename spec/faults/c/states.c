/*
 * states.c - a host that opens and closes one Lua state after the other. Usage:
 * states COUNT SCRIPT URL. Each runs the script with the URL as its argument;
 * the program tells how many descriptors were left open by all but the first.
 */
#include <dirent.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

static int descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        closedir(dir);
    return n;
}

static int run(const char *script, const char *url)
{
    lua_State *L = luaL_newstate();
    if (L == NULL)
        return 1;
    luaL_openlibs(L);
    int failed = luaL_loadfile(L, script);
    if (failed == 0) {
        lua_pushstring(L, url);
        failed = lua_pcall(L, 1, 0, 0);
    }
    if (failed != 0)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    lua_close(L);
    return failed != 0;
}

int main(int argc, char **argv)
{
    int n = argc == 4 ? atoi(argv[1]) : 0, failed = 0, before = 0;
    for (int i = 0; i < n; i++) {
        failed += run(argv[2], argv[3]);
        if (i == 0)
            before = descriptors();
    }
    printf("%d states, %d failed, %d descriptors left\n", n, failed,
           descriptors() - before);
    return n > 0 && failed == 0 ? 0 : 1;
}
