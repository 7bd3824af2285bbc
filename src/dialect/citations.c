/*
 * citations.c - see citations.h.
 */
#include "dialect/citations.h"

#include "binding/json.h"

/* citation[name] = top[from], where that has this type and there is none yet.
 * [-0, +0, m] */
static void copy(lua_State *L, int citation, const char *from, const char *name,
                 int type)
{
    lua_getfield(L, -1, from);
    lua_getfield(L, citation, name);
    bool wanted = lua_type(L, -2) == type && lua_isnil(L, -1) &&
                  (type != LUA_TSTRING || lua_rawlen(L, -2) > 0);
    lua_pop(L, 1);
    if (wanted)
        lua_setfield(L, citation, name);
    else
        lua_pop(L, 1);
}

/* Copies what is known of the table on top. [-0, +0, m] */
static void copy_all(lua_State *L, int citation)
{
    static const char *const texts[] = {
        "type", "url", "title", "file_id", "filename", "text", "container_id"};
    static const char *const places[] = {"start_index", "end_index", "index"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        copy(L, citation, texts[i], texts[i], LUA_TSTRING);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        copy(L, citation, places[i], places[i], LUA_TNUMBER);
    copy(L, citation, "filename", "title", LUA_TSTRING);
}

bool citations_take(lua_State *L, struct answer *a, int env)
{
    int annotation = lua_gettop(L), citation = annotation + 1;
    luaL_checkstack(L, 8, NULL);
    lua_newtable(L);
    lua_pushvalue(L, annotation);
    copy_all(L, citation);
    lua_getfield(L, citation, "type");
    if (lua_isstring(L, -1)) {
        lua_gettable(L, annotation);
        if (lua_istable(L, -1))
            copy_all(L, citation);
    }
    lua_getfield(L, citation, "url");
    lua_getfield(L, citation, "file_id");
    bool some = !lua_isnil(L, -1) || !lua_isnil(L, -2);
    lua_settop(L, citation);
    if (some)
        answer_citation(L, a, env);
    lua_settop(L, annotation);
    return some;
}

void citations_take_all(lua_State *L, struct answer *a, int env)
{
    int list = lua_gettop(L), n = json_length(L, list);
    luaL_checkstack(L, 4, NULL);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        if (lua_istable(L, -1))
            citations_take(L, a, env);
        lua_settop(L, list);
    }
}

/* Replaces the string on top by a table with it as its url. [-1, +1, m] */
static void wrap(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, "url");
}

void citations_sources(lua_State *L, struct answer *a, int env)
{
    static const char *const names[] = {"search_results", "citations"};
    int top = lua_gettop(L);
    luaL_checkstack(L, 6, NULL);
    lua_getfield(L, env, "citations");
    size_t have = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
    lua_settop(L, top);
    for (size_t k = 0; k < 2; k++) {
        if (!binding_table(L, names[k]))
            continue;
        size_t n = (size_t)json_length(L, -1);
        if (n <= have) { /* each event has them */
            lua_settop(L, top);
            continue;
        }
        lua_pushnil(L);
        lua_setfield(L, env, "citations");
        for (size_t i = 1; i <= n; i++) {
            lua_rawgeti(L, top + 1, (int)i);
            if (lua_type(L, -1) == LUA_TSTRING)
                wrap(L);
            if (lua_istable(L, -1))
                citations_take(L, a, env);
            lua_settop(L, top + 1);
        }
        lua_settop(L, top);
        return;
    }
}
