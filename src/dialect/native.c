/*
 * native.c - see native.h.
 */
#include "dialect/native.h"

#include "binding/hash.h"

enum http_fault native_keep(lua_State *L, struct answer *a, int env,
                            const char *s, size_t n)
{
    a->kept += n;
    if (a->kept > a->text.bytes.max)
        return FAULT_LIMIT;
    luaL_checkstack(L, 4, NULL);
    binding_own_table(L, env, "native");
    lua_pushlstring(L, s, n);
    lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
    return FAULT_NONE;
}

/* Pushes what tells whether the message at `i` has been changed. [-0, +1, e] */
static void push_own(lua_State *L, int i)
{
    static const char *const said[] = {"content", "tool_calls", "refusal"};
    uint64_t hash = HASH_START;
    for (size_t k = 0; k < sizeof said / sizeof *said; k++) {
        lua_pushstring(L, said[k]);
        lua_rawget(L, i);
        hash = hash_value(L, -1, hash);
        lua_pop(L, 1);
    }
    hash_push(L, hash);
}

/* Whether the service keeps the answer: so the call has it. [-0, +0, m] */
static bool is_stored(lua_State *L, int env)
{
    int top = lua_gettop(L);
    lua_getfield(L, env, "call");
    bool stored = false;
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "store");
        stored = lua_toboolean(L, -1);
    }
    lua_settop(L, top);
    return stored;
}

void native_finish(lua_State *L, int env)
{
    static const char *const from[] = {"api",         "provider", "server",
                                       "asked_model", "native",   "before"};
    static const char *const to[] = {"dialect", "provider", "server",
                                     "model",   "items",    "before"};
    int message = lua_gettop(L);
    luaL_checkstack(L, 6, NULL);
    bool stored = is_stored(L, env);
    lua_getfield(L, env, "native");
    if (lua_istable(L, -1) || stored) {
        lua_createtable(L, 0, 7);
        for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
            lua_getfield(L, env, from[i]);
            lua_setfield(L, -2, to[i]);
        }
        if (stored) {
            lua_getfield(L, env, "id");
            lua_setfield(L, -2, "id");
        }
        push_own(L, message);
        lua_setfield(L, -2, "own");
        lua_setfield(L, message, "native");
    }
    lua_settop(L, message);
}
