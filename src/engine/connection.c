/*
 * connection.c - see connection.h.
 */
#include "engine/connection.h"

#include "engine/changed.h"
#include "engine/sigpipe.h"
#include "engine/state.h"

/* The local port of a connection that others may be on, too; 0: none. */
static long shared_port(const struct http_request *r)
{
    return r->transfer == NULL || r->options.http_version != 2
               ? 0
               : transfer_port(r->transfer);
}

/* Of `r` and those behind it the first that is on the connection. */
static struct http_request *on_port(struct http_request *r, long port)
{
    while (r != NULL && (port == 0 || shared_port(r) != port))
        r = r->next;
    return r;
}

void connection_suspect(struct http_request *r)
{
    long port = shared_port(r);
    struct http_request *at = on_port(r->http->requests, port);
    for (; at != NULL; at = on_port(at->next, port)) {
        r->http->suspects += !at->transfer->suspect;
        at->transfer->suspect = true;
        transfer_forbid_reuse(at->transfer);
    }
}

static void call_for(struct http *h, curl_socket_t fd, int events)
{
    int running;
    if (h->curl->multi_socket_action(h->multi, fd, events, &running) ==
        CURLM_OUT_OF_MEMORY)
        h->breaking = true;
}

void connection_call(struct http *h, curl_socket_t fd, int events)
{
    if (h->choosing) {
        sockets_check(&h->shared.sockets);
        h->choosing = false;
        if (fd != CURL_SOCKET_TIMEOUT)
            call_for(h, CURL_SOCKET_TIMEOUT, 0);
    }
    if (!h->breaking)
        call_for(h, fd, events);
}

/* curl may keep to itself that a stream has ended (RST_STREAM, 7.88.0 to
 * 8.15.0) until it looks after another one of the connection. */
static void flush_connection(struct http *h, long port)
{
    struct http_request *r = on_port(h->requests, port);
    while (r != NULL && !transfer_nudge(r->transfer))
        r = on_port(r->next, port);
    if (r == NULL)
        return;
    if (h->locks == 0)
        connection_call(h, CURL_SOCKET_TIMEOUT, 0);
    h->curl_at = timers_now(); /* others may have ended meanwhile */
    changed_wake(h);
}

void connection_drop(struct http_request *r)
{
    struct http *h = r->http;
    struct transfer *t = r->transfer;
    struct sigpipe guard;
    if (t == NULL)
        return;
    long port = t->ended ? 0 : shared_port(r);
    r->transfer = NULL;
    h->suspects -= t->suspect;
    if (transfer_resolving(t) && !transfer_stop_lookup(t)) {
        transfer_orphan(t);
        h->orphans++;
        return;
    }
    sigpipe_block(&guard, h->loud);
    transfer_forbid_reuse(t);
    h->curl->multi_remove_handle(h->multi, t->easy);
    transfer_delete(t);
    if (port != 0 && !h->breaking)
        flush_connection(h, port);
    sigpipe_restore(&guard);
}
