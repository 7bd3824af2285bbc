/*
 * json.h - JSON by lua-cjson (or vim.json inside Neovim) behind two calls.
 *
 * Uses an instance of its own and never changes the host's. What comes out has
 * no null in it (absent is nil), integers that are integers, and lone surrogate
 * halves in their three-byte form instead of an error.
 */
#ifndef CHATBOT_JSON_H
#define CHATBOT_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "compat.h"

/* Pushes the value of a JSON text and returns true, or pushes a message and
 * returns false. [-0, +1, m] */
bool json_decode(lua_State *L, const char *s, size_t n);

/* Pushes the JSON text of the value at `i` and returns true, or pushes a
 * message and returns false. Whole numbers keep all their digits, and a table
 * marked by json_array is an array, also when it is empty. [-0, +1, m] */
bool json_encode(lua_State *L, int i);

/* Marks the table on top as an array. [-0, +0, m] */
void json_array(lua_State *L);

/* How long the text of the value at `i` could become, in bytes. [-0, +0, m] */
double json_worst(lua_State *L, int i);

/* Replaces what is no UTF-8 in the string on top by U+FFFD. [-1, +1, m] */
void json_replace_invalid(lua_State *L);

#endif
