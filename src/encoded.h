/*
 * encoded.h - the JSON of a message, kept for as long as nothing in the
 * message has changed, so that a long conversation is encoded once.
 *
 * The user may change a message at any time, so the kept form stands beside a
 * copy of the fields it was made from, and is used only when they are the same.
 * A message with a table in it (parts, tool calls) is not kept: what is inside
 * could change unseen. The memory goes when the message is collected.
 */
#ifndef CHATBOT_ENCODED_H
#define CHATBOT_ENCODED_H

#include <stdbool.h>

#include "compat.h"

/* Pushes the kept JSON of the message at `i`, if it is still true. [-0, +(0|1),
 * m] */
bool encoded_get(lua_State *L, int i);

/* Keeps the JSON on top for the message at `i`. [-0, +0, m] */
void encoded_put(lua_State *L, int i);

#endif
