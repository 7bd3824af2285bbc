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

#include "body.h"
#include "compat.h"

#define ENCODED_LONG 1024 /* bytes of a string that is better not copied */

/* Where to: long strings are not copied but put into the table at `strings`,
 * as long as there is room. */
struct encoded_to {
    struct body *body;
    int strings;
    int count, room;
};

/* Whether the table at `i` is such a message, of valid UTF-8; *n is then the
 * length of its JSON. [-0, +0, -] */
bool encoded_size(lua_State *L, int i, size_t *n);

/* Adds it. NULL, or what is wrong: no memory, no such message any more.
 * [-0, +0, -] */
const char *encoded_add(lua_State *L, int i, struct encoded_to *to);

/* Adds the string at `i`, as a JSON string or as it is. False: no memory.
 * [-0, +0, -] */
bool encoded_string(lua_State *L, int i, bool quoted, struct encoded_to *to);

#endif
