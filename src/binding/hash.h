/*
 * hash.h - a number that a Lua value determines: the same for the same strings,
 * numbers and booleans in tables of the same names, in whatever order those are
 * found. It tells that something was changed; it keeps no secret, and
 * withstands nobody who looks for two values with one number.
 */
#ifndef CHATBOT_HASH_H
#define CHATBOT_HASH_H

#include <stdint.h>

#include "binding/compat.h"

/* Begins with HASH_START, or goes on with what came of another value. Reads
 * raw. [-0, +0, e] */
uint64_t hash_value(lua_State *L, int i, uint64_t hash);

#define HASH_START UINT64_C(14695981039346656037)

/* Pushes it as 16 letters and digits. [-0, +1, m] */
void hash_push(lua_State *L, uint64_t hash);

#endif
