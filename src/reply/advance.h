/*
 * advance.h - a reply goes on: what has arrived is read, callbacks are called,
 * text is handed out, until the budget of the poll is spent.
 */
#ifndef CHATBOT_ADVANCE_H
#define CHATBOT_ADVANCE_H

#include "reply/reply.h"

enum reply_state {
    REPLY_HAS_TEXT, /* a string is on the stack */
    REPLY_WAITS,
    REPLY_HAS_ENDED,
    REPLY_HAS_FAILED /* the error table is on the stack */
};

/* For methods_open. [-0, +0, m] */
void advance_open(lua_State *L);

/* Does what can be done without waiting, until `until` on the clock of
 * timers_now, and says what came of it. Calls on_text. [-0, +(0|1), e] */
enum reply_state advance_reply(lua_State *L, int i, int64_t until);

/* Reads what has arrived, and calls what wants to know, but for new text. The
 * reply and its environment are on top. [-0, +0, e] */
void advance_read(lua_State *L, struct reply *r, int64_t until);

/* Hands the messages that were trimmed to on_trim. [-0, +0, e] */
void advance_tell_trimmed(lua_State *L, int env);

/* The time at which a advance_reply that begins now has to end. [-0, +0, m] */
int64_t advance_deadline(lua_State *L);

/* Lets the engine work up to `us` microseconds (-1: without limit), for this
 * reply. An interrupt by SIGINT cancels it. Raises where waiting could not end:
 * in a finalizer that runs while a reply is read. [-0, +0, e] */
void advance_step(lua_State *L, int i, int64_t us);

/* Raises: who reads cannot wait. */
void advance_refuse_to_wait(lua_State *L);

/* Pushes `answer, reply` of a reply that has ended. [-0, +2, m] */
void advance_push_answer(lua_State *L, int i);

/* From now on advance_dispatch advances the reply at `i`. [-0, +0, m] */
void advance_list(lua_State *L, int i);

/* Advances the listed replies that have changed, those that wait for longest
 * first, until `until`; the others come first the next time. [-0, +0, e] */
void advance_dispatch(lua_State *L, struct http *http, int64_t until);

/* Whether the reply at `i` was begun before this process was forked from the
 * one that goes on with it: advance_reply ends it as closed. [-0, +0, -] */
bool advance_foreign(lua_State *L, int i);

/* Lets the host look again after `us`, where there is an engine: not in a child
 * that has begun nothing yet. [-0, +0, -] */
void advance_remind(lua_State *L, int64_t us);

#endif
