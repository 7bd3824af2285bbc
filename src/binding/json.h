/*
 * json.h - JSON is read by lua-cjson (or vim.json inside Neovim), behind one
 * call; encoded.h writes it.
 *
 * Uses an instance of its own and never changes the host's. What comes out has
 * no null in it (absent is nil), integers that are integers, and lone surrogate
 * halves in their three-byte form instead of an error. Whatever the decoder
 * takes, depth is bounded and numbers are those of JSON.
 */
#ifndef CHATBOT_JSON_H
#define CHATBOT_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "binding/compat.h"

#define JSON_DEPTH 64 /* of tables in tables, read and written */

/* Whether the library is there; false: a message is pushed. [-0, +(0|1), m] */
bool json_ready(lua_State *L);

/* Pushes the value of a JSON text and returns true, or pushes a message and
 * returns false. [-0, +1, m] */
bool json_decode(lua_State *L, const char *s, size_t n);

/* Marks the table on top as an array. [-0, +0, m] */
void json_array(lua_State *L);

/* Whether the value at `i` is a table that is marked as an array, here or,
 * after json_ready, in OpenResty's way. [-0, +0, -] */
bool json_is_array(lua_State *L, int i);

/* Whether the value at `i` stands for null: a light userdata that is NULL or,
 * after json_ready, what the library has for it. [-0, +0, -] */
bool json_is_null(lua_State *L, int i);

/* The length of a list at `i` that was decoded, where nulls are gaps: there
 * Lua's own may be less. [-0, +0, m] */
int json_length(lua_State *L, int i);

#endif
