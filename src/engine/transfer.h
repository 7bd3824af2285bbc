/*
 * transfer.h - one try of a request: a curl easy handle, and what is set on it.
 *
 * The callbacks only store bytes and set flags. Knows curl and the request, but
 * not the multi handle and not the clock's deadlines.
 */
#ifndef CHATBOT_TRANSFER_H
#define CHATBOT_TRANSFER_H

#include <stdbool.h>

#include "engine/exchange.h"

/* A handle that is ready to be added to a multi handle, or NULL: no memory. On
 * a connection of its own when `fresh`. */
struct transfer *transfer_new(struct transfer_shared *shared,
                              struct http_request *r, bool fresh);

/* Whether no byte of such a request can raise SIGPIPE: no TLS, no other
 * machine, no proxy. */
bool transfer_quiet(const struct http_options *o);

/* The handle must have been removed from its multi handle. */
void transfer_delete(struct transfer *t);

/* Its connection is closed when nothing is under way on it any more. */
void transfer_forbid_reuse(struct transfer *t);

/* The local port of its connection, by which others on it are known; 0 before
 * there is one. */
long transfer_port(const struct transfer *t);

/* curl no longer watches a socket for the handle. Says whether that is while it
 * connects: curl (7.88.0 to 8.1.2) leaves an address and then forgets the next
 * one, so it needs a transfer_nudge. */
bool transfer_moves(CURL *easy, const struct libcurl *curl);

/* Makes curl look after the handle at the next step, by letting it go on after
 * a pause. False when it has no connection. */
bool transfer_nudge(struct transfer *t);

/* Makes removing the handle not wait for the thread that looks its name up,
 * which then ends by itself. False where libcurl cannot (before 7.87.0); then
 * its own time-out, which would wait too, does not come. */
bool transfer_stop_lookup(struct transfer *t);

/* The request has gone, but the handle cannot be removed without waiting for
 * the resolver: keep nothing, open nothing. */
void transfer_orphan(struct transfer *t);

/* The name is still being looked up, so that removing it would block. */
bool transfer_resolving(const struct transfer *t);

/* Before 7.80.0, microseconds from the start of the transfer until there was a
 * connection to send on; 0 while there is none. */
int64_t transfer_connect_time(const struct transfer *t);

#endif
