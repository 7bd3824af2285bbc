/*
 * encoded.c - see encoded.h.
 */
#include "encoded.h"

static const char kept_key; /* registry: message -> {json, fields...}, weak */

static void push_kept(lua_State *L)
{
    compat_getkey(L, &kept_key);
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    compat_setkey(L, &kept_key);
}

bool encoded_get(lua_State *L, int i)
{
    int top = lua_gettop(L), same = 0, fields = 0;
    i = lua_absindex(L, i);
    push_kept(L);
    lua_pushvalue(L, i);
    lua_rawget(L, -2);
    int entry = top + 2;
    if (lua_istable(L, entry)) {
        lua_pushnil(L);
        while (lua_next(L, i)) { /* key, value */
            fields++;
            lua_pushvalue(L, -2);
            lua_rawget(L, entry);
            same += lua_rawequal(L, -1, -2);
            lua_pop(L, 2);
        }
        lua_rawgeti(L, entry, 2); /* how many fields there were */
        lua_rawgeti(L, entry, 1); /* the JSON */
        if (same == fields && lua_tointeger(L, -2) == fields) {
            lua_replace(L, top + 1);
            lua_settop(L, top + 1);
            return true;
        }
    }
    lua_settop(L, top);
    return false;
}

void encoded_put(lua_State *L, int i)
{
    int json = lua_gettop(L), fields = 0;
    i = lua_absindex(L, i);
    lua_createtable(L, 2, 2);
    lua_pushnil(L);
    while (lua_next(L, i)) { /* key, value */
        if (lua_type(L, -1) == LUA_TTABLE || lua_type(L, -2) != LUA_TSTRING) {
            lua_settop(L, json);
            return;
        }
        fields++;
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, json + 1);
    }
    lua_pushvalue(L, json);
    lua_rawseti(L, json + 1, 1);
    lua_pushinteger(L, fields);
    lua_rawseti(L, json + 1, 2);
    push_kept(L);
    lua_pushvalue(L, i);
    lua_pushvalue(L, json + 1);
    lua_rawset(L, -3);
    lua_settop(L, json);
}
