/*
 * reading.h - what has arrived becomes text, and in the end a verdict.
 *
 * The one place where bytes turn into text: events are taken out of the
 * request; plain ones are scanned, the others decoded and merged. A stream is
 * complete only when finish_reason or [DONE] was seen, however well the
 * connection ended.
 */
#ifndef CHATBOT_READING_H
#define CHATBOT_READING_H

#include "reply/reply.h"

/* Takes what has arrived, up to the end, or until the clock of timers_now says
 * `until` (r->more is set then). [-0, +0, m] */
void reading_pump(lua_State *L, struct reply *r, int env, int64_t until);

#endif
