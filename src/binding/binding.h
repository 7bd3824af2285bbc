/*
 * binding.h - what the userdata types share: their creation, the engine of a
 * Lua state, error tables.
 *
 * A userdata is created closed (all zero) with its metatable and an empty table
 * of its own, and only then opened, so that its finalizer may run at any time.
 * Metatables are found by an address, so that two copies of this module in one
 * process never take each other's objects.
 *
 * Helpers carry the manual's indicator: [-popped, +pushed, x], where x is
 * - (never throws), m (memory) or e (any error).
 */
#ifndef CHATBOT_BINDING_H
#define CHATBOT_BINDING_H

#include "binding/compat.h"
#include "engine/http.h"

/* Pushes t[name], a table that is made when it is not there. [-0, +1, m] */
void binding_own_table(lua_State *L, int t, const char *name);

/* Whether t[name] is there, if only as false. [-0, +0, m] */
bool binding_has(lua_State *L, int t, const char *name);

/* Pushes top[name] when it is a table. [-0, +(0|1), m] */
bool binding_table(lua_State *L, const char *name);

/* Pushes top[name] and returns it when it is a string that is not empty; else
 * NULL. [-0, +(0|1), m] */
const char *binding_text(lua_State *L, const char *name);

/* One per type; its address is the type's identity. */
struct binding_type {
    const char *name;
};

/* Creates the metatable of `type` with these metamethods, and `methods` in its
 * own table, which is left on the stack. [-0, +1, m] */
void binding_type(lua_State *L, const struct binding_type *type,
                  const luaL_Reg *meta, const luaL_Reg *methods);

/* A zeroed userdata of `type` with an empty table that has room for so many
 * fields. [-0, +1, m] */
void *binding_new(lua_State *L, const struct binding_type *type, size_t size,
                  int fields);

/* The userdata at `i`, or NULL when it is none of this type. [-0, +0, -] */
void *binding_test(lua_State *L, int i, const struct binding_type *type);

/* The same, raising an argument error. [-0, +0, e] */
void *binding_check(lua_State *L, int i, const struct binding_type *type);

/* As luaL_argerror and its kin, but what is blamed is the line outside of the
 * module, and the function that it calls there: whose arguments stand in the
 * same order as those of the C function that finds the mistake. */
int binding_argerror(lua_State *L, int arg, const char *message);
void binding_argcheck(lua_State *L, bool good, int arg, const char *message);
void binding_checktype(lua_State *L, int arg, int type);
double binding_checknumber(lua_State *L, int arg);

/* ours(...): for the module's Lua files. The file that calls it is part of the
 * module for binding_argerror, which finds names of functions in the tables
 * given. */
int binding_ours(lua_State *L);

/* For luaopen, before anything else is created. When the state is closed,
 * `drop` is called for each request that is left, with its `user`, and gives it
 * back.
 * [-0, +0, m] */
void binding_open(lua_State *L, void (*drop)(void *user));

/* The engine of this Lua state, started at the first call, and in a child after
 * fork at the first call there. Leaves its userdata on the stack, so that it
 * can be kept alive. NULL: an error table is on the stack instead. [-0, +1, m]
 */
struct http *binding_http(lua_State *L);

/* The engine when it is there already, NULL when not. In a child after fork
 * the parent's is none: from the first call on, what is under way on that has
 * been closed. [-0, +0, -] */
struct http *binding_http_if(lua_State *L);

/* Pushes the userdata of the engine, which lives as long as that does, also
 * when another takes its place. [-0, +1, -] */
void binding_push_engine(lua_State *L);

/* Whether the userdata at `i` is the engine of a process that this one was
 * forked from. [-0, +0, -] */
bool binding_foreign(lua_State *L, int i);

/* The microseconds that a poll may take, a default that can be set. Reading
 * from the network and decoding get three eighths each, because what has been
 * begun is finished. [-0, +0, m] */
#define BUDGET_PART(budget) ((budget)*3 / 8)
int64_t binding_budget(lua_State *L);
void binding_set_budget(lua_State *L, int64_t us);

/* Milliseconds of a budget to microseconds, at least one. Raises. */
int64_t binding_milliseconds(lua_State *L, int i);

/* How many requests of this Lua state may run at once; 0: any number. */
size_t binding_concurrent(lua_State *L);
void binding_set_concurrent(lua_State *L, size_t max);

/* Seconds (nil: `none`) to microseconds. Raises when it is no number. */
int64_t binding_seconds(lua_State *L, int i, double none);

/* Calls an empty Lua function, so that a debug hook that a signal handler has
 * set (Ctrl-C in lua.c) runs now. [-0, +0, e] */
void binding_hooks(lua_State *L);

/* `return binding_fail(L)`: nil, and what is on top: an error table or a
 * message. [-0, +1, -] */
static inline int binding_fail(lua_State *L)
{
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

#endif
