/*
 * responses_record.h - the items of an answer of Responses as they looked on
 * the wire, to be given back: all of them or none.
 *
 * While they arrive, env.items.raw has the JSON text of the item in each place
 * of env.items, and env.items.calls the id of the call in it.
 */
#ifndef CHATBOT_RESPONSES_RECORD_H
#define CHATBOT_RESPONSES_RECORD_H

#include "dialect/responses_items.h"
#include "parsing/slice.h"

/* Keeps the item on top, `raw` on the wire. FAULT_NONE or FAULT_LIMIT.
 * [-0, +0, m] */
enum http_fault record_keep(lua_State *L, struct answer *a, int env,
                            struct item *item, struct slice raw);

/* Moves the items to env.native, in their order, when something of the answer
 * is only understood by its service, which can have it back. The message is on
 * top. [-0, +0, m] */
void record_finish(lua_State *L, struct answer *a, int env);

#endif
