/*
 * binding.c - see binding.h.
 */
#include "binding/binding.h"

#include <string.h>

#include "binding/failure.h"

#define BUDGET 1000 /* us that a poll may take */

struct engine {
    struct http *http; /* NULL: closed */
};

/* Is there as long as the state. */
struct end {
    void (*drop)(void *user);
    bool reached;
};

static const struct binding_type engine_type = {"chatbot.engine"};
static const struct binding_type end_type = {"chatbot.end"};
static const char end_key;
static const char engine_key;
static const char concurrent_key; /* registry: a number, when set */
static const char budget_key;     /* registry: microseconds, when set */
static const char ours_key;       /* registry: see binding_ours */

void binding_own_table(lua_State *L, int t, const char *name)
{
    lua_getfield(L, t, name);
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, t, name);
}

bool binding_has(lua_State *L, int t, const char *name)
{
    lua_getfield(L, t, name);
    bool there = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return there;
}

bool binding_table(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    if (lua_istable(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

const char *binding_text(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    if (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0)
        return lua_tostring(L, -1);
    lua_pop(L, 1);
    return NULL;
}

void binding_type(lua_State *L, const struct binding_type *type,
                  const luaL_Reg *meta, const luaL_Reg *methods)
{
    lua_newtable(L);
    lua_pushstring(L, type->name);
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "locked");
    lua_setfield(L, -2, "__metatable");
    compat_setfuncs(L, meta);
    lua_newtable(L); /* meta, methods */
    compat_setfuncs(L, methods);
    lua_getfield(L, -2, "__index");
    if (lua_isnil(L, -1)) {
        lua_pushvalue(L, -2);
    } else { /* a function that is to look here first */
        lua_CFunction index = lua_tocfunction(L, -1);
        lua_pushvalue(L, -2);
        lua_pushcclosure(L, index, 1);
    }
    lua_setfield(L, -4, "__index"); /* meta, methods, __index */
    lua_pop(L, 1);
    lua_pushvalue(L, -2);
    compat_setkey(L, type);
    lua_remove(L, -2);
}

void *binding_new(lua_State *L, const struct binding_type *type, size_t size,
                  int fields)
{
#if LUA_VERSION_NUM >= 504
    void *p = lua_newuserdatauv(L, size, 1);
#else
    void *p = lua_newuserdata(L, size);
#endif
    memset(p, 0, size);
    lua_createtable(L, 0, fields);
    compat_setenv(L, -2);
    compat_getkey(L, type);
    lua_setmetatable(L, -2);
    return p;
}

void *binding_test(lua_State *L, int i, const struct binding_type *type)
{
    void *p = lua_touserdata(L, i);
    if (p == NULL || lua_islightuserdata(L, i) || !lua_getmetatable(L, i))
        return NULL;
    compat_getkey(L, type);
    int same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same ? p : NULL;
}

void *binding_check(lua_State *L, int i, const struct binding_type *type)
{
    void *p = binding_test(L, i, type);
    if (p == NULL) {
        const char *got = luaL_typename(L, i);
        binding_argerror(L, i,
                         lua_pushfstring(L, "%s expected, got %s", type->name,
                                         lua_isnone(L, i) ? "no value" : got));
    }
    return p;
}

/* ---- misuse ---- */

/* What is kept is {source = true, ..., table, ...}. */
int binding_ours(lua_State *L)
{
    lua_Debug ar;
    int n = lua_gettop(L);
    compat_getkey(L, &ours_key);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        compat_setkey(L, &ours_key);
    }
    for (int i = 1; i <= n; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, n + 1, i);
    }
    if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar) &&
        *ar.source == '@') {
        lua_pushstring(L, ar.source);
        lua_pushboolean(L, 1);
        lua_rawset(L, n + 1);
    }
    return 0;
}

/* The level of the function that was called from outside of the module: the
 * outermost of ours before the first Lua function of another file. */
static int outermost(lua_State *L, int ours)
{
    lua_Debug ar;
    int level = 0;
    for (int i = 1; lua_getstack(L, i, &ar); i++) {
        lua_getinfo(L, "S", &ar);
        lua_pushstring(L, ar.source);
        lua_rawget(L, ours);
        bool mine = lua_toboolean(L, -1);
        lua_pop(L, 1);
        if (mine)
            level = i;
        else if (*ar.what == 'L' || *ar.what == 'm') /* Lua, or main */
            break;
    }
    return level;
}

/* Pushes the name under which one of the tables of ours has the function at
 * `level`, or "?". [-0, +1, -] */
static void push_name(lua_State *L, lua_Debug *ar, int ours)
{
    int top = lua_gettop(L), n = (int)lua_rawlen(L, ours);
    lua_getinfo(L, "f", ar);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, ours, i);
        lua_pushnil(L);
        while (lua_next(L, top + 2)) {
            if (lua_rawequal(L, -1, top + 1) &&
                lua_type(L, -2) == LUA_TSTRING && *lua_tostring(L, -2) != '_') {
                lua_pop(L, 1);
                lua_replace(L, top + 1);
                lua_settop(L, top + 1);
                return;
            }
            lua_pop(L, 1);
        }
        lua_settop(L, top + 1);
    }
    lua_pushliteral(L, "?");
    lua_replace(L, top + 1);
}

/* Pushes "file:line: " of the first Lua function above `level`. [-0, +1, m] */
static void push_place(lua_State *L, int level)
{
    lua_Debug ar;
    while (lua_getstack(L, ++level, &ar)) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

int binding_argerror(lua_State *L, int arg, const char *message)
{
    lua_Debug ar = {0};
    luaL_checkstack(L, 12, NULL);
    compat_getkey(L, &ours_key);
    if (!lua_istable(L, -1)) /* the core without its Lua side */
        return luaL_argerror(L, arg, message);
    int ours = lua_gettop(L), level = outermost(L, ours);
    push_place(L, level);
    lua_getstack(L, level, &ar);
    lua_getinfo(L, "n", &ar);
    bool method = ar.name != NULL && strcmp(ar.namewhat, "method") == 0;
    if (ar.name != NULL)
        lua_pushstring(L, ar.name);
    else
        push_name(L, &ar, ours);
    const char *place = lua_tostring(L, -2), *name = lua_tostring(L, -1);
    if (method && arg == 1)
        lua_pushfstring(L, "%scalling '%s' on bad self (%s)", place, name,
                        message);
    else
        lua_pushfstring(L, "%sbad argument #%d to '%s' (%s)", place,
                        arg - method, name, message);
    return lua_error(L);
}

void binding_argcheck(lua_State *L, bool good, int arg, const char *message)
{
    if (!good)
        binding_argerror(L, arg, message);
}

static void expected(lua_State *L, int arg, int type)
{
    binding_argerror(
        L, arg,
        lua_pushfstring(L, "%s expected, got %s", lua_typename(L, type),
                        lua_isnone(L, arg) ? "no value"
                                           : luaL_typename(L, arg)));
}

void binding_checktype(lua_State *L, int arg, int type)
{
    if (lua_type(L, arg) != type)
        expected(L, arg, type);
}

double binding_checknumber(lua_State *L, int arg)
{
    if (!lua_isnumber(L, arg))
        expected(L, arg, LUA_TNUMBER);
    return lua_tonumber(L, arg);
}

static struct engine *current(lua_State *L)
{
    compat_getkey(L, &engine_key);
    struct engine *e = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return e;
}

/* The engine in use is only collected when the state is closed: then finalizers
 * that come later may use it, until end_gc. */
static int engine_gc(lua_State *L)
{
    struct engine *e = lua_touserdata(L, 1);
    if (e != current(L)) {
        http_delete(e->http);
        e->http = NULL;
    }
    return 0;
}

/* The last finalizer of the module's, since it has the oldest object. What
 * finalizers before it have begun has none of its own: Lua gives none to what
 * is created while it closes a state. */
static int end_gc(lua_State *L)
{
    struct end *end = lua_touserdata(L, 1);
    struct engine *e = current(L);
    end->reached = true;
#if LUA_VERSION_NUM > 501 /* LuaJIT may have freed what it gave no finalizer   \
                           */
    if (e != NULL && e->http != NULL && !http_foreign(e->http))
        http_give_back(e->http, end->drop);
#endif
    if (e != NULL) {
        http_delete(e->http);
        e->http = NULL;
    }
    return 0;
}

void binding_open(lua_State *L, void (*drop)(void *user))
{
    static const luaL_Reg meta[] = {{"__gc", end_gc}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    binding_type(L, &end_type, meta, none);
    struct end *end = binding_new(L, &end_type, sizeof *end, 0);
    end->drop = drop;
    compat_setkey(L, &end_key);
    lua_pop(L, 1);
}

/* Whether the state is being closed, and the engine with it. */
static bool has_ended(lua_State *L)
{
    compat_getkey(L, &end_key);
    const struct end *end = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return end != NULL && end->reached;
}

struct http *binding_http_if(lua_State *L)
{
    const struct engine *e = current(L);
    return e == NULL || e->http == NULL || http_foreign(e->http) ? NULL
                                                                 : e->http;
}

void binding_push_engine(lua_State *L)
{
    compat_getkey(L, &engine_key);
}

bool binding_foreign(lua_State *L, int i)
{
    struct engine *e = binding_test(L, i, &engine_type);
    return e != NULL && e->http != NULL && http_foreign(e->http);
}

size_t binding_concurrent(lua_State *L)
{
    compat_getkey(L, &concurrent_key);
    size_t max = (size_t)lua_tonumber(L, -1);
    lua_pop(L, 1);
    return max;
}

void binding_set_concurrent(lua_State *L, size_t max)
{
    struct http *http = binding_http_if(L);
    lua_pushnumber(L, (lua_Number)max);
    compat_setkey(L, &concurrent_key);
    if (http != NULL)
        http_set_concurrent(http, max);
}

struct http *binding_http(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", engine_gc}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    const char *error;
    compat_getkey(L, &engine_key);
    struct engine *e = lua_touserdata(L, -1);
    if (e != NULL && e->http != NULL && !http_foreign(e->http) &&
        !http_broken(e->http))
        return e->http;
    lua_pop(L, 1);
    if (has_ended(L)) {
        failure_push(L, FAULT_CLOSED, "the Lua state is being closed");
        return NULL;
    }
    compat_getkey(L, &engine_type);
    if (lua_isnil(L, -1)) {
        binding_type(L, &engine_type, meta, none);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    e = binding_new(L, &engine_type, sizeof *e, 0);
    lua_pushvalue(L, -1);
    compat_setkey(L, &engine_key);
    e->http = http_new(&error);
    if (e->http == NULL) {
        lua_pop(L, 1);
        failure_push(L, FAULT_CONFIG, "%s", error);
    } else {
        http_set_concurrent(e->http, binding_concurrent(L));
    }
    return e->http;
}

int64_t binding_budget(lua_State *L)
{
    compat_getkey(L, &budget_key);
    int64_t us = lua_isnil(L, -1) ? BUDGET : (int64_t)lua_tonumber(L, -1);
    lua_pop(L, 1);
    return us;
}

void binding_set_budget(lua_State *L, int64_t us)
{
    lua_pushnumber(L, (lua_Number)us);
    compat_setkey(L, &budget_key);
}

int64_t binding_milliseconds(lua_State *L, int i)
{
    double ms = binding_checknumber(L, i);
    binding_argcheck(L, ms > 0 && ms <= 1e9, i, "not a number of milliseconds");
    return ms < 0.001 ? 1 : (int64_t)(ms * 1000);
}

int64_t binding_seconds(lua_State *L, int i, double none)
{
    double s = lua_isnoneornil(L, i) ? none : binding_checknumber(L, i);
    binding_argcheck(L, s == s, i, "not a number of seconds");
    return s < 0 ? -1 : s > 1e9 ? (int64_t)1e15 : (int64_t)(s * 1e6);
}

static int nothing(lua_State *L)
{
    (void)L;
    return 0;
}

void binding_hooks(lua_State *L)
{
    lua_pushcfunction(L, nothing);
    lua_call(L, 0, 0);
}
