/*
 * responses_parts.h - what an item of Responses says, as it comes: in pieces,
 * or whole. What comes whole counts where no piece of the same part has come.
 */
#ifndef CHATBOT_RESPONSES_PARTS_H
#define CHATBOT_RESPONSES_PARTS_H

#include "dialect/responses_items.h"

/* The item on top has begun. [-0, +0, m] */
void parts_begin(lua_State *L, struct answer *a, int env, struct item *item);

/* The item on top is whole. [-0, +0, m] */
enum http_fault parts_take(lua_State *L, struct answer *a, int env,
                           struct item *item);

/* The string on top is a piece of this text, or with `whole` all of it; the
 * table below has its log probabilities. `index`: of the part; -1: the event
 * does not say. [-1, +0, m] */
enum http_fault parts_text(lua_State *L, struct answer *a, int env,
                           struct item *item, enum item_text text, double index,
                           bool whole);

/* The string on top is a piece of a call's arguments, or with `whole` all of
 * them. [-1, +0, m] */
void parts_arguments(lua_State *L, struct answer *a, int env, struct item *item,
                     bool whole);

/* The name of a call is in the table on top. [-0, +0, m] */
void parts_name(lua_State *L, struct answer *a, int env, struct item *item);

/* The annotation on top belongs to the item. [-0, +0, m] */
void parts_annotation(lua_State *L, struct answer *a, int env,
                      struct item *item);

#endif
