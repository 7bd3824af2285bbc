/*
 * ending.h - how a reply ends: well, badly, or because it was closed, and what
 * that means for the conversation.
 *
 * `env` is the index of the reply's environment; see shared.h for what is in
 * it.
 */
#ifndef CHATBOT_ENDING_H
#define CHATBOT_ENDING_H

#include "reply/reply.h"

/* Gives back the request and all but what the user may still ask for. A
 * `complete` one leaves its connection alive. */
void ending_drop(struct reply *r, bool complete);

/* The answer is whole: it becomes a message. [-0, +0, m] */
void ending_well(lua_State *L, struct reply *r, int env);

/* Leaves the conversation as it was before the prompt, or, when the options say
 * so, with what has arrived as the answer. [-0, +0, m] */
void ending_give_up(lua_State *L, struct reply *r, int env);

/* The reply has failed with the error table on top, which becomes env.err.
 * Unless the bot asks again, ending_failed is to follow. [-1, +0, m] */
void ending_badly(lua_State *L, struct reply *r, int env);

/* For guard_call: the reply that has failed ends. */
int ending_failed(lua_State *L);

/* Makes the conversation what it was before the prompt. [-0, +0, -] */
void ending_rollback(lua_State *L, const struct reply *r, int env);

/* Sets a flag that is there in the record of the prompt: "settled" (it stays),
 * or "tail" (what follows it goes with it). [-0, +0, -] */
void ending_mark(lua_State *L, int env, const char *name);

/* Drops the oldest exchanges, as max_context_tokens says. [-0, +0, m] */
void ending_trim(lua_State *L, int env);

/* Names provider and model in the error table at `err`. [-0, +0, m] */
void ending_name(lua_State *L, int err, int env);

/* err.partial = the text of the turn so far: that of earlier rounds of tools,
 * which is env.said, and that of this one. [-0, +0, m] */
void ending_set_partial(lua_State *L, int err, int env, const struct reply *r);

/* table[name] = the bytes, unless there are none. [-0, +0, m] */
void ending_set_text(lua_State *L, int table, const char *name,
                     const struct bytes *b);

/* Pushes the bytes; none: "" or nil, as `empty` says. [-0, +1, m] */
void ending_push_bytes(lua_State *L, const struct bytes *b, bool empty);

#endif
