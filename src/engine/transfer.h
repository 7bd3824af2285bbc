/*
 * transfer.h - one try of a request: a curl easy handle, what is set on it,
 * and what its result means.
 *
 * The callbacks only store bytes and set flags. Knows curl and the request, but
 * not the multi handle and not the clock's deadlines.
 */
#ifndef CHATBOT_TRANSFER_H
#define CHATBOT_TRANSFER_H

#include <stdbool.h>

#include "engine/ca.h"
#include "engine/libcurl.h"
#include "engine/request.h"
#include "engine/sockets.h"

/* What all tries of an engine have in common. */
struct transfer_shared {
    const struct libcurl *curl;
    CURLSH *tls; /* sessions, so that a new connection resumes one */
    struct sockets sockets;
    struct ca_seen ca;
    /* see clocks.h */
    void (*progress)(struct http_request *r);
    void (*pause)(struct http_request *r);
};

struct transfer {
    const struct libcurl *curl;
    struct transfer_shared *shared;
    CURL *easy;
    struct curl_slist *headers;
    struct http_request *request; /* NULL: orphaned, nothing is kept */
    size_t header_bytes, header_lines;
    int fd;        /* of the socket that was opened last; -1: none */
    int peer_port; /* of the address that was connected to last; 0: none */
    int no_socket; /* the errno of a socket that could not be had */
    bool opened;   /* a socket was asked for: the name is resolved */
    bool ended;    /* curl has reported its end */
    bool moved;    /* curl has given up an address, and takes the next one */
    bool sent;     /* the request was put on a connection */
    bool stale;    /* but not sent, as that was no good any more */
    struct socket *socket; /* of its connection; NULL: not known */
    bool suspect;          /* a time-out has passed on its connection */
    bool capped;           /* enough of an error body has been read */
    bool redirected, informational;
    bool proxied; /* there is a proxy, so that its address may be what we see */
    bool bad_proxy;        /* which has no URL of a proxy */
    char encoding[128];    /* the content-encoding, */
    char transfer[128];    /* the transfer-encoding, */
    char length[24];       /* and the content-length */
    enum http_fault fault; /* found in a callback */
    const char *ca_source; /* where the CA certificates come from */
    char error[CURL_ERROR_SIZE];
};

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

/* curl watches a socket for the handle. Before 7.80.0 this is how one learns
 * that there is a connection: returns the request that has it now, or NULL. */
struct http_request *transfer_watched(CURL *easy, const struct libcurl *curl);

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

/* The request has not been sent, and the process is short of descriptors. */
bool transfer_starved(const struct transfer *t);

/* Turns curl's result into fault, message and `retryable` of the request. */
void transfer_judge(struct transfer *t, CURLcode result);

#endif
