/*
 * guard.h - nothing of a reply changes while C looks at it, and closing one
 * waits for that.
 */
#ifndef CHATBOT_GUARD_H
#define CHATBOT_GUARD_H

#include "reply/reply.h"

/* Calls `f`, which gets the reply at `i` and the `n` values on top as
 * arguments, while nothing else can change the reply: Lua may run in it
 * wherever memory is asked for (finalizers), and then the engine does not step,
 * a poll of the reply finds nothing, and closing it is put off until `f` is
 * done. What `f` relies on it has to look at itself, since Lua may run right
 * before it. The status of lua_pcall; with an error, that is on top. [-n,
 * +results, -] */
int guard_call(lua_State *L, int i, lua_CFunction f, int n, int results);

/* The same for the function below its `n` arguments. [-(n + 1), +results, m] */
int guard_function(lua_State *L, int i, int n, int results);

/* Calls `f`, which pushes one value, under guard_call, and passes errors on.
 * [-n, +1, e] */
void guard_push(lua_State *L, int i, lua_CFunction f, int n);

/* Cancels; what is being read at this moment, as soon as that is done. Safe in
 * a finalizer. [-0, +0, -] */
void guard_close(lua_State *L, int i);

#endif
