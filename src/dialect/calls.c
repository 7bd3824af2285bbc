/*
 * calls.c - see calls.h.
 */
#include "dialect/calls.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "binding/encoded.h"
#include "binding/json.h"
#include "dialect/sendable.h"

#define MAX_TOOLS 1024
#define LONG_NAME 1024 /* bytes of a name, to which no more are added */
#define SHORT     32   /* bytes of arguments that are neither object nor list */

/* ---- whether arguments are whole ---- */

enum {
    IN_STRING = 1,
    ESCAPED = 2, /* the next byte of the string is */
    WHOLE = 4,   /* an object, a list or a string has just ended */
    BARE = 8,    /* something else stands there */
    DEPTH = 16   /* times the number of brackets that are open */
};

/* Follows a JSON text in pieces, far enough to know where a value ends. */
static uint32_t follow(uint32_t state, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (state & IN_STRING) {
            if (state & ESCAPED)
                state &= ~(uint32_t)ESCAPED;
            else if (c == '\\')
                state |= ESCAPED;
            else if (c == '"')
                state ^= state < DEPTH ? IN_STRING | WHOLE : IN_STRING;
            continue;
        }
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            continue;
        state &= ~(uint32_t)WHOLE;
        if (c == '"')
            state |= IN_STRING;
        else if (c == '{' || c == '[')
            state += state < UINT32_MAX - DEPTH ? DEPTH : 0;
        else if ((c == '}' || c == ']') && state >= DEPTH)
            state = (state - DEPTH) | (state < 2 * DEPTH ? WHOLE : 0);
        else if (state < DEPTH)
            state |= BARE;
    }
    return state;
}

/* Whether the pieces on top are a whole JSON value. [-0, +0, m] */
static bool are_whole(lua_State *L)
{
    lua_getfield(L, -1, "state");
    uint32_t state = (uint32_t)lua_tonumber(L, -1);
    lua_rawgeti(L, -2, 1);
    bool whole = (state & WHOLE) && !(state & BARE);
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    if ((state & BARE) && lua_rawlen(L, -3) == 1 && n <= SHORT) {
        whole = json_decode(L, s, n); /* a number, true, null, ... */
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    return whole;
}

/* ---- fragments ---- */

static bool has_arguments(lua_State *L, int fragment)
{
    int top = lua_gettop(L);
    lua_getfield(L, fragment, "function");
    lua_getfield(L, -1, "arguments");
    bool some = lua_istable(L, -1) ||
                (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0);
    lua_settop(L, top);
    return some;
}

/* Whether the fragment, which brings this name, begins another call than the
 * one on top, which is in its place. Its pieces are at `parts`. [-0, +0, m] */
static bool is_another(lua_State *L, int fragment, int parts)
{
    bool other = false, same = false;
    lua_getfield(L, -1, "function");
    bool named = binding_text(L, "name") != NULL;
    lua_pop(L, named ? 2 : 1);
    if (!named)
        return false; /* it has been waiting for it */
    if (binding_text(L, "id")) {
        lua_pushvalue(L, fragment);
        if (binding_text(L, "id")) {
            other = !lua_rawequal(L, -1, -3);
            same = !other;
            lua_pop(L, 1);
        }
        lua_pop(L, 2);
    }
    if (same && !has_arguments(L, fragment))
        return false; /* its head once more */
    if (!other) {
        lua_pushvalue(L, parts);
        other = are_whole(L);
        lua_pop(L, 1);
    }
    return other;
}

/* Appends a new call to the list at `calls`; its place. [-0, +0, m] */
static int open_call(lua_State *L, int env, int calls)
{
    int place = (int)lua_rawlen(L, calls) + 1;
    lua_newtable(L);
    lua_pushliteral(L, "function");
    lua_setfield(L, -2, "type");
    lua_newtable(L);
    lua_setfield(L, -2, "function");
    lua_rawseti(L, calls, place);
    binding_own_table(L, env, "tool_parts");
    lua_newtable(L);
    lua_rawseti(L, -2, place);
    lua_pop(L, 1);
    return place;
}

/* The place of the call that the fragment on top belongs to; 0: to none.
 * [-0, +0, m] */
static int find_place(lua_State *L, int env, bool has_name)
{
    int fragment = lua_gettop(L), place = 0;
    binding_own_table(L, env, "tool_calls");
    binding_own_table(L, env, "tool_index");
    binding_own_table(L, env, "tool_parts");
    int calls = fragment + 1, places = fragment + 2, parts = fragment + 3;
    int count = (int)lua_rawlen(L, calls);
    lua_getfield(L, fragment, "index");
    double index = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    bool indexed = index >= 0 && index < MAX_TOOLS && index == (int)index;
    if (index >= MAX_TOOLS) {
        lua_settop(L, fragment);
        return 0;
    }
    if (indexed) {
        lua_rawgeti(L, places, (int)index + 1);
        place = (int)lua_tointeger(L, -1);
        if (place > 0 && has_name) {
            lua_rawgeti(L, parts, place);
            lua_rawgeti(L, calls, place);
            if (is_another(L, fragment, lua_gettop(L) - 1))
                place = 0;
        }
    } else if (!has_name) {
        place = count;
    }
    lua_settop(L, parts);
    if (place == 0 && (indexed || has_name) && count < MAX_TOOLS) {
        place = open_call(L, env, calls);
        if (indexed) {
            lua_pushinteger(L, place);
            lua_rawseti(L, places, (int)index + 1);
        }
    }
    lua_settop(L, fragment);
    return place;
}

static bool begins(const char *s, size_t n, const char *with, size_t len)
{
    return len <= n && memcmp(s, with, len) == 0;
}

/* A name may come in pieces, or again, or again with more of it. On top are
 * call.function, name. [-1, +0, m] */
static void add_name(lua_State *L)
{
    size_t n, old;
    const char *name = lua_tolstring(L, -1, &n);
    lua_getfield(L, -2, "name");
    const char *before = lua_tolstring(L, -1, &old);
    if (before == NULL || begins(name, n, before, old)) {
        lua_pop(L, 1);
    } else if (old >= LONG_NAME || begins(before, old, name, n)) {
        lua_pop(L, 2);
        return;
    } else {
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    lua_setfield(L, -2, "name");
}

/* Adds the arguments on top to the pieces of a call, if they are text or can
 * be. [-0, +0, m] */
static void add_arguments(lua_State *L, int env, int place)
{
    int top = lua_gettop(L);
    if (lua_istable(L, top) && !encoded_push(L, top))
        lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0) {
        size_t n;
        const char *s = lua_tolstring(L, -1, &n);
        binding_own_table(L, env, "tool_parts");
        lua_rawgeti(L, -1, place);
        lua_getfield(L, -1, "state");
        uint32_t state = (uint32_t)lua_tonumber(L, -1);
        lua_pushnumber(L, follow(state, s, n));
        lua_setfield(L, -3, "state");
        lua_pop(L, 1);
        lua_pushvalue(L, -3);
        lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
    }
    lua_settop(L, top);
}

/* Whether the value on top is worth keeping as call[k]. [-0, +0, -] */
static bool is_extra(lua_State *L, const char *k)
{
    if (lua_type(L, -1) == LUA_TSTRING)
        return lua_rawlen(L, -1) > 0;
    return strcmp(k, "id") != 0;
}

/* Keeps what else there is in the fragment (id, extra_content), once.
 * [-0, +0, m] */
static void keep_fields(lua_State *L, int fragment, int call)
{
    lua_pushnil(L);
    while (lua_next(L, fragment)) {
        const char *k =
            lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "index";
        lua_getfield(L, call, k);
        bool once = lua_isnil(L, -1) && strcmp(k, "index") != 0;
        lua_pop(L, 1);
        if (once && is_extra(L, k))
            lua_setfield(L, call, k);
        else
            lua_pop(L, 1);
    }
}

/* Merges the fragment on top. [-0, +0, m] */
static bool take_fragment(lua_State *L, int env)
{
    int fragment = lua_gettop(L);
    luaL_checkstack(L, 16, NULL);
    lua_getfield(L, fragment, "function");
    bool has_function = lua_istable(L, -1);
    bool has_name = has_function && binding_text(L, "name") != NULL;
    lua_settop(L, fragment);
    int place = find_place(L, env, has_name);
    if (place == 0)
        return false;
    lua_getfield(L, env, "tool_calls");
    lua_rawgeti(L, -1, place);
    int call = lua_gettop(L);
    keep_fields(L, fragment, call);
    if (has_function) {
        lua_getfield(L, fragment, "function");
        if (binding_text(L, "name")) {
            lua_getfield(L, call, "function");
            lua_insert(L, -2);
            add_name(L);
            lua_pop(L, 1);
        }
        lua_getfield(L, -1, "arguments");
        add_arguments(L, env, place);
    }
    lua_settop(L, fragment);
    return true;
}

bool calls_add(lua_State *L, struct answer *a, int env)
{
    bool any = take_fragment(L, env);
    lua_pop(L, 1);
    a->kept += a->event_len;
    a->called = a->called || any;
    return any;
}

bool calls_take(lua_State *L, struct answer *a, int env)
{
    int n = json_length(L, -1);
    bool any = false;
    luaL_checkstack(L, 4, NULL);
    for (int i = 1; i <= n && i <= MAX_TOOLS; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_istable(L, -1) && take_fragment(L, env))
            any = true;
        lua_pop(L, 1);
    }
    a->called = a->called || any;
    return any;
}

/* ---- the end ---- */

/* Pushes the arguments, of which the pieces are on top; what stands for none is
 * an empty object. [-0, +1, m] */
static void push_arguments(lua_State *L, struct answer *a)
{
    sendable_join(L, a);
    const char *s = a->scratch.data;
    size_t len = a->scratch.len;
    if (len > 0)
        utf8_strip(&s, &len);
    if (len == 0 || (len == 4 && memcmp(s, "null", 4) == 0))
        lua_pushliteral(L, "{}");
    else
        lua_pushlstring(L, a->scratch.data, a->scratch.len);
}

/* Adds the ids of the calls in the list on top to the set at `ids`.
 * [-0, +0, m] */
static void collect_ids(lua_State *L, int ids)
{
    int n = (int)lua_rawlen(L, -1);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_istable(L, -1)) {
            lua_pushliteral(L, "id");
            lua_rawget(L, -2);
            if (lua_type(L, -1) == LUA_TSTRING) {
                lua_pushboolean(L, 1);
                lua_rawset(L, ids);
            } else {
                lua_pop(L, 1);
            }
        }
        lua_pop(L, 1);
    }
}

/* Pushes the set of all ids in the conversation, and its length is returned.
 * [-0, +1, m] */
static int push_ids(lua_State *L, int env)
{
    int ids = lua_gettop(L) + 1, messages = ids + 1;
    luaL_checkstack(L, 8, NULL);
    lua_newtable(L);
    lua_getfield(L, env, "messages");
    int n = lua_istable(L, messages) ? (int)lua_rawlen(L, messages) : 0;
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, messages, i);
        if (lua_istable(L, -1)) {
            lua_pushliteral(L, "tool_calls");
            lua_rawget(L, -2);
            if (lua_istable(L, -1))
                collect_ids(L, ids);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    lua_settop(L, ids);
    return n;
}

/* Whether the value on top is in the set at `ids`. [-0, +0, -] */
static bool is_taken(lua_State *L, int ids)
{
    lua_pushvalue(L, -1);
    lua_rawget(L, ids);
    bool taken = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return taken;
}

/* The answer to a call needs its id, so each has one, and no two the same. Nine
 * letters and digits are what the strictest service takes. The list of calls is
 * on top. [-0, +0, m] */
static void give_ids(lua_State *L, int env)
{
    int calls = lua_gettop(L), ids = calls + 1;
    int n = (int)lua_rawlen(L, calls);
    unsigned number = (unsigned)push_ids(L, env) * 100;
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, calls, i);
        lua_getfield(L, -1, "id");
        while (lua_type(L, -1) != LUA_TSTRING || is_taken(L, ids)) {
            char id[16];
            snprintf(id, sizeof id, "c%08u", ++number % 100000000);
            lua_pop(L, 1);
            lua_pushstring(L, id);
        }
        lua_pushvalue(L, -1);
        lua_pushboolean(L, 1);
        lua_rawset(L, ids);
        lua_setfield(L, -2, "id");
        lua_pop(L, 1);
    }
    lua_settop(L, calls);
}

void calls_finish(lua_State *L, struct answer *a, int env)
{
    int top = lua_gettop(L);
    luaL_checkstack(L, 8, NULL);
    lua_getfield(L, env, "tool_calls");
    if (!lua_istable(L, -1))
        return;
    lua_newtable(L); /* top+1: calls, top+2: those with a name */
    lua_getfield(L, env, "tool_parts");
    int n = (int)lua_rawlen(L, top + 1), kept = 0;
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, top + 1, i);
        lua_getfield(L, -1, "function"); /* call, function */
        lua_getfield(L, -1, "name");
        bool named = !lua_isnil(L, -1);
        lua_pop(L, 1);
        lua_rawgeti(L, top + 3, i);
        push_arguments(L, a);
        lua_setfield(L, -3, "arguments");
        lua_pop(L, 2);
        sendable_make(L, a);
        if (named)
            lua_rawseti(L, top + 2, ++kept);
        else
            lua_pop(L, 1);
    }
    lua_settop(L, top + 2);
    lua_remove(L, top + 1);
    if (kept > 0) {
        give_ids(L, env);
    } else {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    static const char *const gone[] = {"tool_parts", "tool_index"};
    for (int i = 0; i < 2; i++) {
        lua_pushnil(L);
        lua_setfield(L, env, gone[i]);
    }
}
