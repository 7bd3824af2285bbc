/*
 * options.h - the names, types and defaults of what a bot or a call may set.
 *
 * Knows only tables: options of the bot, and options of one call, which come
 * first.
 */
#ifndef CHATBOT_OPTIONS_H
#define CHATBOT_OPTIONS_H

#include <stdbool.h>

#include "binding/compat.h"
#include "engine/http.h"

/* Checks the table at `i` of `new` (`call` false) or of `chat` and `stream`,
 * where an unknown name is a field of the body. Raises, and blames argument
 * `arg` (binding_argerror). [-0, +0, e] */
void options_check(lua_State *L, int i, int arg, bool call);

/* Replaces the table at `i`, as options_check takes it, by a copy, which nobody
 * else can change or make raise. What a metatable adds to the options that have
 * a name here is in it. [-0, +0, e] */
void options_copy(lua_State *L, int i, bool call);

/* Whether it is the name of a dialect, see dialects.h. */
bool options_is_api(const char *s);

/* Whether this name is an option, and not a field of the body. */
bool options_known(const char *name);

/* Pushes call[name], else bot[name], else nil. [-0, +1, m] */
void options_get(lua_State *L, int call, int bot, const char *name);

/* Pushes a copy of a text for C, in which a NUL is seen (compat_visible), and
 * returns it; or pushes nil and returns NULL. [-0, +1, m] */
const char *options_text(lua_State *L, int options, const char *name);

/* The option as a number, or `otherwise`. [-0, +0, m] */
double options_number(lua_State *L, int call, int bot, const char *name,
                      double otherwise);

/* The option as a limit of bytes, for 0 the largest there is. [-0, +0, m] */
size_t options_bytes(lua_State *L, int call, int bot, const char *name,
                     size_t otherwise);

/* Fills the limits of a request. [-0, +0, m] */
void options_limits(lua_State *L, int call, int bot, struct http_limits *l);

#endif
