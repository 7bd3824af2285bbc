/*
 * encoded.h - the JSON of a message whose fields are all strings, which is that
 * of nearly every message, without lua-cjson: as fast as memory allows, so that
 * a history of megabytes can be sent anew with each turn, and what its owner
 * has changed in it needs no noticing.
 *
 * Knows tables of strings only.
 */
#ifndef CHATBOT_ENCODED_H
#define CHATBOT_ENCODED_H

#include <stdbool.h>
#include <stddef.h>

#include "compat.h"

/* Whether the table at `i` is such a message, of valid UTF-8; *n is then the
 * length of its JSON. [-0, +0, -] */
bool encoded_size(lua_State *L, int i, size_t *n);

/* Writes it and returns its length; 0 when it does not fit into `room`, or is
 * no such message any more. [-0, +0, -] */
size_t encoded_write(lua_State *L, int i, char *to, size_t room);

#endif
