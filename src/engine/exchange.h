/*
 * exchange.h - what is kept of one try of a request, for the files that set it
 * up (transfer.c), read its header (response.c) and judge it (verdict.c).
 */
#ifndef CHATBOT_EXCHANGE_H
#define CHATBOT_EXCHANGE_H

#include <stdbool.h>

#include "engine/ca.h"
#include "engine/libcurl.h"
#include "engine/request.h"
#include "engine/sockets.h"

/* Options by number, so that one source builds against older headers and runs
 * with older and newer libraries. */
#define PREREQ 0x075000 /* 7.80.0 has CURLOPT_PREREQFUNCTION */

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
    bool framing;          /* one of the last two was the last header */
    enum http_fault fault; /* found in a callback */
    const char *ca_source; /* where the CA certificates come from */
    char error[CURL_ERROR_SIZE];
};

/* Ends the try for a reason that curl does not know. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void exchange_refuse(struct transfer *t, enum http_fault fault,
                     const char *format, ...);

#endif
