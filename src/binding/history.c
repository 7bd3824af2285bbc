/*
 * history.c - see history.h.
 */
#include "binding/history.h"

#include <string.h>

#include "binding/json.h"

#define MAX_DEPTH 64 /* of tables in a message, as in JSON */
#define OVERHEAD  16 /* bytes that a message is counted for beside its text */

static int length(lua_State *L, int list)
{
    return (int)lua_rawlen(L, list);
}

/* Whether message `n` of the list has this role. [-0, +0, m] */
static bool has_role(lua_State *L, int list, int n, const char *role)
{
    bool same = false;
    lua_rawgeti(L, list, n);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "role");
        const char *s = lua_tostring(L, -1);
        same = s != NULL && strcmp(s, role) == 0;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return same;
}

static bool is_system(lua_State *L, int list, int n)
{
    return has_role(L, list, n, "system") || has_role(L, list, n, "developer");
}

/* Removes messages first..first+count-1. No allocation. [-0, +0, -] */
static void remove_range(lua_State *L, int list, int first, int count)
{
    int n = length(L, list);
    for (int i = first; i <= n; i++) {
        if (i + count <= n)
            lua_rawgeti(L, list, i + count);
        else
            lua_pushnil(L);
        lua_rawseti(L, list, i);
    }
}

void history_append(lua_State *L, int list)
{
    list = lua_absindex(L, list);
    lua_rawseti(L, list, length(L, list) + 1);
}

void history_add(lua_State *L, int list)
{
    list = lua_absindex(L, list);
    int n = length(L, list);
    if (n > 0 && has_role(L, list, n, "user")) {
        lua_rawgeti(L, list, n);
        lua_insert(L, -2);
        lua_rawseti(L, list, n);
    } else {
        lua_rawseti(L, list, n + 1);
        lua_pushnil(L);
    }
}

void history_undo(lua_State *L, int list, int pending, bool tail)
{
    int n = length(L, list), top = lua_gettop(L);
    lua_getfield(L, pending, "user");
    lua_getfield(L, pending, "replaced");
    for (int i = n; i > 0 && lua_istable(L, top + 1); i--) {
        lua_rawgeti(L, list, i);
        bool ours = lua_rawequal(L, -1, top + 1);
        lua_pop(L, 1);
        if (!ours)
            continue;
        if (tail)
            remove_range(L, list, i + 1, n - i);
        if (lua_isnil(L, top + 2))
            remove_range(L, list, i, 1);
        else
            lua_rawseti(L, list, i);
        break;
    }
    lua_getfield(L, pending, "after");
    for (int i = n; tail && i > 0 && lua_istable(L, top + 3); i--) {
        lua_rawgeti(L, list, i);
        bool here = lua_rawequal(L, -1, top + 3);
        lua_pop(L, 1);
        if (!here)
            continue;
        remove_range(L, list, i + 1, n - i);
        break;
    }
    lua_settop(L, top);
    lua_pushnil(L);
    lua_setfield(L, pending, "after"); /* existing fields: no allocation */
    lua_pushnil(L);
    lua_setfield(L, pending, "user");
    lua_pushnil(L);
    lua_setfield(L, pending, "replaced");
}

const char *history_check(lua_State *L, int i)
{
    int n = length(L, i);
    for (int k = 1; k <= n; k++) {
        lua_rawgeti(L, i, k);
        if (!lua_istable(L, -1))
            return lua_pushfstring(L, "message %d is no table", k);
        lua_getfield(L, -1, "role");
        if (lua_type(L, -1) != LUA_TSTRING)
            return lua_pushfstring(L, "message %d has no role", k);
        lua_pop(L, 2);
    }
    return NULL;
}

/* Replaces the value on top by a copy, when it is a table: of all that is in
 * it, and one of each table, however often it is met. `seen` maps tables to
 * copies. False when they are nested too deeply. [-1, +1, m] */
static bool copy_deep(lua_State *L, int seen, int depth)
{
    if (!lua_istable(L, -1))
        return true;
    luaL_checkstack(L, 6, NULL);
    lua_pushvalue(L, -1);
    lua_rawget(L, seen);
    if (lua_istable(L, -1)) {
        lua_remove(L, -2);
        return true;
    }
    lua_pop(L, 1);
    if (depth == 0)
        return false;
    lua_newtable(L); /* from, to */
    if (json_is_array(L, -2))
        json_array(L);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, seen);
    lua_pushnil(L);
    while (lua_next(L, -3)) { /* from, to, key, value */
        if (!copy_deep(L, seen, depth - 1))
            return false;
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    lua_remove(L, -2);
    return true;
}

bool history_assign(lua_State *L, int list, int from)
{
    list = lua_absindex(L, list);
    from = lua_absindex(L, from);
    int n = length(L, from), top = lua_gettop(L);
    lua_newtable(L); /* first the copies, since `from` may be `list` */
    lua_newtable(L); /* those that were made */
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, from, i);
        if (!copy_deep(L, top + 2, MAX_DEPTH)) {
            lua_settop(L, top);
            return false;
        }
        lua_rawseti(L, top + 1, i);
    }
    remove_range(L, list, 1, length(L, list));
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, top + 1, i);
        lua_rawseti(L, list, i);
    }
    lua_settop(L, top);
    return true;
}

/* Whether the message on top has no other fields than all have; `*text`,
 * whether its content says something. [-0, +0, m] */
static bool has_no_more(lua_State *L, bool *text)
{
    bool more = false;
    *text = false;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        size_t n = 0;
        const char *key =
            lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        const char *s =
            lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
        if (lua_istable(L, -1))
            more = true; /* parts, which not all take */
        else if (strcmp(key, "content") == 0)
            *text = s != NULL && strspn(s, " \t\r\n") < n;
        else if (strcmp(key, "role") != 0 && strcmp(key, "name") != 0)
            more = true;
        lua_pop(L, 1);
    }
    return !more;
}

bool history_plain(lua_State *L, int list)
{
    int n = length(L, list), top = lua_gettop(L);
    bool plain = true;
    luaL_checkstack(L, 6, NULL);
    for (int i = 1; plain && i <= n; i++) {
        lua_rawgeti(L, list, i);
        if (lua_istable(L, -1)) {
            lua_pushliteral(L, "role");
            lua_rawget(L, -2);
            const char *role = lua_tostring(L, -1);
            lua_pop(L, 1);
            bool text, answer = role != NULL && strcmp(role, "assistant") == 0;
            plain = has_no_more(L, &text) && (text || !answer) &&
                    (role == NULL || strcmp(role, "tool") != 0);
        }
        lua_settop(L, top);
    }
    return plain;
}

void history_system(lua_State *L, int list)
{
    list = lua_absindex(L, list);
    lua_createtable(L, 0, 2);
    lua_insert(L, -2);
    lua_setfield(L, -2, "content");
    lua_pushliteral(L, "system");
    lua_setfield(L, -2, "role");
    int n = length(L, list);
    if (n == 0 || !is_system(L, list, 1))
        for (int i = n; i > 0; i--) {
            lua_rawgeti(L, list, i);
            lua_rawseti(L, list, i + 1);
        }
    lua_rawseti(L, list, 1);
}

static int first_exchange(lua_State *L, int list)
{
    int i = 1, n = length(L, list);
    while (i <= n && is_system(L, list, i))
        i++;
    return i;
}

void history_reset(lua_State *L, int list)
{
    int first = first_exchange(L, list);
    remove_range(L, list, first, length(L, list));
}

/* The length of top[name] where that is a string. Reads raw. [-0, +0, m] */
static double size_of(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    double size =
        lua_type(L, -1) == LUA_TSTRING ? (double)lua_rawlen(L, -1) : 0;
    lua_pop(L, 1);
    return size;
}

/* The bytes that the message on top is counted for: texts, also those of parts,
 * and what tools are called with. [-0, +0, m] */
static double weigh(lua_State *L)
{
    static const char *const lists[] = {"content", "tool_calls"};
    int message = lua_gettop(L);
    double sum = size_of(L, "content");
    for (size_t k = 0; k < 2; k++) {
        lua_pushstring(L, lists[k]);
        lua_rawget(L, message);
        int n = lua_istable(L, -1) ? length(L, message + 1) : 0;
        for (int i = 1; i <= n; i++) {
            lua_rawgeti(L, message + 1, i);
            if (lua_istable(L, -1)) {
                sum += size_of(L, "text");
                lua_pushliteral(L, "function");
                lua_rawget(L, -2);
                sum += lua_istable(L, -1) ? size_of(L, "arguments") : 0;
            }
            lua_settop(L, message + 1);
        }
        lua_settop(L, message);
    }
    return sum;
}

/* The bytes that messages first..last are counted for. [-0, +0, m] */
static double weight(lua_State *L, int list, int first, int last)
{
    double sum = 0;
    luaL_checkstack(L, 6, NULL);
    for (int i = first; i <= last; i++) {
        sum += OVERHEAD;
        lua_rawgeti(L, list, i);
        if (lua_istable(L, -1))
            sum += weigh(L);
        lua_pop(L, 1);
    }
    return sum;
}

void history_trim(lua_State *L, int list, double tokens, double max)
{
    int count = 0;
    list = lua_absindex(L, list);
    double per_byte = tokens / weight(L, list, 1, length(L, list));
    lua_newtable(L);
    int dropped = lua_gettop(L);
    while (tokens > max) {
        int first = first_exchange(L, list), n = length(L, list);
        int next = first + 1;
        while (next <= n && !has_role(L, list, next, "user"))
            next++;
        if (next > n)
            break; /* the last exchange stays */
        tokens -= per_byte * weight(L, list, first, next - 1);
        for (int i = first; i < next; i++) {
            lua_rawgeti(L, list, i);
            lua_rawseti(L, dropped, ++count);
        }
        remove_range(L, list, first, next - first);
    }
    if (count == 0) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
}
