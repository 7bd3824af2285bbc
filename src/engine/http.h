/*
 * http.h - the engine: any number of HTTP requests at once, none of which ever
 * blocks the caller.
 *
 * One `struct http` owns a curl multi handle and a poller. A request is started
 * with http_start and from then on belongs to the caller, who reads what has
 * arrived from `sse` and gives it back with http_close. Work is only done in
 * http_step, and is proportional to what is ready. Failures before a 2xx header
 * are tried again as retry.h says; waiting for that is a timer, too.
 *
 * Knows nothing of Lua, JSON, providers. One thread at a time. In a child after
 * fork every call fails with FAULT_CLOSED and frees nothing, because the
 * connections are the parent's: see http_foreign.
 */
#ifndef CHATBOT_HTTP_H
#define CHATBOT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/changed.h"
#include "engine/request.h"
#include "engine/step.h"

/* NULL with a static text in *error when libcurl cannot be had. */
struct http *http_new(const char **error);

/* Ends everything. Requests that callers still hold become HTTP_CLOSED and are
 * to be given back as before, in any order. */
void http_delete(struct http *h);

/* Calls `drop` for each request that callers hold; that gives it back. */
void http_give_back(struct http *h, void (*drop)(void *user));

/* Does now what the first TLS connection would do otherwise, see warm.h. */
void http_warm(struct http *h);

/* Whether the engine is that of the process that this one was forked from. Then
 * what callers hold of it has become HTTP_CLOSED, and no call does anything;
 * giving back what is held, and http_delete, leave the connections alone. */
bool http_foreign(struct http *h);

/* curl has run out of memory; this engine is only good for http_delete. */
bool http_broken(const struct http *h);

/* Starts a request: FAULT_NONE and *out, or why not (the body is freed). */
enum http_fault http_start(struct http *h, struct http_options *o,
                           struct http_request **out);

/* Gives a request back, which cancels it when it is under way: the connection
 * is shut down at once. O(1), never blocks. NULL is allowed. */
void http_close(struct http_request *r);

/* Gives a request back whose answer is complete: what little may still come is
 * read and thrown away for a moment, so that the connection can be used
 * again. Then as http_close. */
void http_finish(struct http_request *r);

/* The caller has taken all events out: lets a paused transfer go on. */
void http_drained(struct http_request *r);

/* The caller has taken out an event with data: starts the event clock anew. */
void http_event(struct http_request *r);

/* The request is over in `seconds`, whatever still arrives, as if it had been
 * idle. */
void http_grace(struct http_request *r, double seconds);

/* What has come with a 2xx is as good as this status: true when the request is
 * tried again for it, as it would be after that status before any byte of a
 * body. Then what was read of it counts no longer. */
bool http_refuse(struct http_request *r, int status);

/* Between these, which may be nested, http_step does nothing: what the requests
 * have received stays where it is, whoever is called meanwhile. An http_delete
 * is put off until the last of them. */
void http_lock(struct http *h);
void http_unlock(struct http *h);
bool http_locked(const struct http *h);

/* The next step is due within `us` microseconds, as if a request had a clock
 * that ends then. */
void http_remind(struct http *h, int64_t us);

/* The descriptor to watch (-1: none), and the microseconds until http_step
 * must be called anyway (-1: when the descriptor is readable). Without a
 * descriptor that is never long while a request is under way. */
int http_fd(struct http *h);
int64_t http_timeout(const struct http *h);

/* At most `max` requests run at once (0: any number); others wait for their
 * turn, first come, first served, and no clock of theirs runs meanwhile. One
 * that has been paused for a second, because nobody reads it, does not count,
 * and goes on when it is read though the number may be passed then. */
void http_set_concurrent(struct http *h, size_t max);

/* How many requests are under way, or `served`, ended and not taken out. */
size_t http_active(const struct http *h);

/* SIGINT ends waits, see poller_signals. */
int http_signals(struct http *h, bool on);
bool http_signalled(struct http *h);

#endif
