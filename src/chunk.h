/*
 * chunk.h - one decoded chunk, or whole completion, becomes part of a reply.
 *
 * Takes whatever shape the value has: fields of the wrong type are ignored.
 * Knows the reply's fields, but neither the request nor the conversation.
 */
#ifndef CHATBOT_CHUNK_H
#define CHATBOT_CHUNK_H

#include <stdbool.h>

#include "reply.h"
#include "shape.h"

/* Merges a plain event. FAULT_NONE, FAULT_LIMIT or FAULT_MEMORY. */
enum http_fault chunk_plain(lua_State *L, struct reply *r, int env,
                            const struct plain *p);

/* Merges the table on top of the stack and pops it. False: an error table has
 * been pushed (the chunk said so, or a limit was passed). [-1, +(0|1), m] */
bool chunk_merge(lua_State *L, struct reply *r, int env);

/* Adds to the texts what was held back of them, as far as there is room. */
void chunk_flush(struct reply *r);

/* Finishes texts and tool calls; pushes the assistant's message. [-0, +1, m] */
void chunk_finish(lua_State *L, struct reply *r, int env);

/* The verdict for the finish_reason in `env`. */
enum reply_status chunk_status(lua_State *L, int env);

#endif
