/*
 * changed.h - the list of the requests that have changed, and who waits for
 * one.
 */
#ifndef CHATBOT_CHANGED_H
#define CHATBOT_CHANGED_H

#include "engine/request.h"

/* For the engine: puts `r` on the list, unless nobody holds it. */
void changed_mark(struct http_request *r);

/* When the earliest timer runs out; -1: there is none. */
int64_t changed_earliest(const struct http *h);

/* When the descriptor has to become readable by itself: for the earliest timer,
 * and at once for a reader that waits while the step of another has read what
 * is meant for it. One that does not come for it must not keep the host busy
 * for ever. */
int64_t changed_wake_at(const struct http *h);

/* Sees to that. */
void changed_wake(struct http *h);

/* Takes `r` off the list of changed ones; true when it was on it. */
bool http_take(struct http_request *r);

/* Takes out a `served` request that has changed since it was taken out last, or
 * NULL. */
struct http_request *http_changed(struct http *h);

/* Says whether the reader of `r` has read all and now waits for more, which
 * http_take ends. What another reader's http_step finds for it makes the
 * descriptor readable until it is taken. */
void http_await(struct http_request *r, bool on);

/* The caller has not read all that has arrived for `r`, and will go on: the
 * next step does not wait. */
void http_again(struct http_request *r);

/* The `served` request that has been on the list of changed ones for longest,
 * or NULL. */
struct http_request *http_oldest(const struct http *h);

#endif
