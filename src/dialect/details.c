/*
 * details.c - see details.h.
 */
#include "dialect/details.h"

#include <stdbool.h>
#include <string.h>

#include "binding/json.h"
#include "dialect/sendable.h"

#define MAX_DETAILS 1024

/* Fields that come in pieces. */
static const char *const texts[] = {"text", "summary", "data"};

static bool is_text(const char *name)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(name, texts[i]) == 0)
            return true;
    return false;
}

/* Pushes the item that the fragment on top goes on with, or a new one; nil when
 * there are too many. Without an index a fragment is an item. [-0, +1, m] */
static void push_item(lua_State *L, int env)
{
    int fragment = lua_gettop(L);
    binding_own_table(L, env, "details");      /* 1 */
    binding_own_table(L, env, "detail_index"); /* 2 */
    lua_getfield(L, fragment, "type");
    lua_getfield(L, fragment, "index");
    bool placed = lua_type(L, -1) == LUA_TNUMBER;
    if (placed) {
        const char *type =
            lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        lua_pushfstring(L, "%s %f", type, lua_tonumber(L, -1));
        lua_pushvalue(L, -1);
        lua_rawget(L, fragment + 2);
        if (lua_istable(L, -1)) {
            lua_replace(L, fragment + 1);
            lua_settop(L, fragment + 1);
            return;
        }
        lua_pop(L, 1); /* key */
    }
    int n = (int)lua_rawlen(L, fragment + 1);
    if (n >= MAX_DETAILS) {
        lua_settop(L, fragment);
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, fragment + 1, n + 1);
    if (placed) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, fragment + 2);
    }
    lua_replace(L, fragment + 1);
    lua_settop(L, fragment + 1);
}

/* Adds the fragment below to the item on top. [-0, +0, m] */
static void merge(lua_State *L)
{
    int item = lua_gettop(L), fragment = item - 1;
    lua_pushnil(L);
    while (lua_next(L, fragment)) {
        const char *name =
            lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        bool text = lua_type(L, -1) == LUA_TSTRING;
        if (text && is_text(name)) {
            binding_own_table(L, item, name);
            lua_insert(L, -2); /* name, pieces, piece */
            lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
        } else if (*name != '\0' && !is_text(name) &&
                   !(text && lua_rawlen(L, -1) == 0)) {
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, item); /* the last one counts: a signature */
        }
        lua_settop(L, item + 1);
    }
}

void details_take(lua_State *L, int env)
{
    int list = lua_gettop(L), n = json_length(L, list);
    luaL_checkstack(L, 16, NULL);
    for (int i = 1; i <= n && i <= MAX_DETAILS; i++) {
        lua_rawgeti(L, list, i);
        if (lua_istable(L, -1)) {
            push_item(L, env);
            if (lua_istable(L, -1))
                merge(L);
        }
        lua_settop(L, list);
    }
}

/* Replaces the list of pieces in the field of the item on top by their text.
 * [-0, +0, m] */
static void join(lua_State *L, struct answer *a, const char *name)
{
    int item = lua_gettop(L);
    lua_getfield(L, item, name);
    if (lua_istable(L, -1)) {
        sendable_push_joined(L, a);
        lua_setfield(L, item, name);
    }
    lua_settop(L, item);
}

void details_finish(lua_State *L, struct answer *a, int env)
{
    luaL_checkstack(L, 16, NULL);
    lua_getfield(L, env, "details");
    int list = lua_gettop(L);
    int n = lua_istable(L, list) ? (int)lua_rawlen(L, list) : 0;
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            join(L, a, texts[k]);
        sendable_make(L, a);
        lua_settop(L, list);
    }
    lua_pushnil(L);
    lua_setfield(L, env, "detail_index");
}
