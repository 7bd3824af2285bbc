/*
 * request.h - a request: what to ask for, and what has come of it. The engine
 * changes it; http.h says what callers may do.
 */
#ifndef CHATBOT_ENGINE_REQUEST_H
#define CHATBOT_ENGINE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/fault.h"
#include "engine/timers.h"
#include "parsing/body.h"
#include "parsing/sse.h"

struct http;

/* Times in seconds; 0 means no limit. Sizes in bytes. */
struct http_limits {
    double connect_timeout;    /* until the request could be sent */
    double first_byte_timeout; /* from there to the first byte of the body */
    double idle_timeout;       /* between two reads of the body */
    double event_timeout;      /* between two events with data (http_event) */
    double timeout;            /* from leaving the queue, retries included */
    int max_retries;
    size_t max_event;  /* one event of the stream */
    size_t max_body;   /* a body that is no stream */
    size_t max_error;  /* of an error body is kept; the rest is not read */
    size_t max_header; /* all response headers together */
    size_t max_queue;  /* undecoded bytes; the transfer is paused above it */
};

/* What to ask for. http_start copies all of it but the body, whose strings
 * must stay until the request is given back: one that is not sent by then is
 * not sent to its end, and its connection is closed. */
struct http_options {
    const char *url;
    const char *const *headers; /* "Name: value", `n_headers` of them */
    size_t n_headers;
    struct body body;    /* the request takes it over. Empty: GET */
    const char *ca_file; /* NULL: see ca.h */
    const char *proxy;   /* NULL: from the environment */
    int http_version;    /* 11 (or 0), 2 */
    bool loading_wait;   /* 503 means that a local server loads its model */
    bool document;       /* any type of body, kept whole; `location` is kept */
    bool outside;        /* neither this machine nor a private network */
    struct http_limits limits;
};

enum http_state {
    HTTP_CLOSED = 0, /* not under way: given back, or the engine is gone */
    HTTP_RUNNING,    /* under way, or waiting for the next try */
    HTTP_DONE,       /* the response ended as HTTP says; judge what it holds */
    HTTP_FAILED      /* see `fault` */
};

struct http_response {
    int status;       /* 0 before the header */
    bool header_done; /* the final header is complete */
    char content_type[64];
    char request_id[128];
    char retry_after[64];
    char retry_after_ms[32];
    char should_retry[16];
};

/* Read-only for the caller, but for `sse` (take events out) and `user`. */
struct http_request {
    enum http_state state;
    struct http_response response;
    struct sse sse; /* the body; if no event stream, see `sse.in` */
    bool whole;     /* the body is kept whole in `sse.in`, not paused */
    int attempts;   /* tries made so far */
    enum http_fault fault;
    const char *phase; /* FAULT_TIMEOUT: connect first_byte idle event total */
    bool retryable;    /* the failure was of a kind worth another try, */
    bool stopped;      /* for which too many failed at this origin (retry.h) */
    char message[320];
    char *location; /* where a redirect leads, or NULL; of a document */
    int inside;     /* whether a document came from this machine or a private
                     * network; -1: a proxy may have brought it */
    void *user;     /* the caller's */

    /* private to the engine */
    struct http *http;
    struct transfer *transfer;
    struct timer timer;
    bool waiting;  /* for the next try */
    bool loading;  /* the server has said that it loads its model */
    bool detached; /* given back; ends by itself */
    bool changed, paused;
    bool aside;         /* paused for so long that it holds no slot */
    bool fresh;         /* the next try has a connection of its own */
    bool made_room;     /* idle connections were given up for it */
    bool served;        /* http_changed takes it out; others, http_take alone */
    bool awaited;       /* its reader waits for a change */
    int64_t changed_at; /* when it went on the list of changed ones */
    size_t examined;    /* bytes in `sse` that the caller has seen */
    int64_t started, attempt_started, connected; /* 0: not yet */
    int64_t last_byte, last_event, paused_at;
    int64_t grace_from; /* http_grace, and its seconds */
    double grace;
    bool queued; /* waits for its turn: http_set_concurrent */
    struct http_request *prev, *next; /* all requests */
    struct http_request *queue_prev, *queue_next;
    struct http_request *changed_prev, *changed_next; /* those on the list */
    struct http_options options; /* its strings stand in `copy` */
    void *copy;
    size_t copy_len;
};

/* A request with a copy of the options, but for the body, which it takes over.
 * NULL: no memory, and the body is freed. */
struct http_request *request_new(const struct http_options *o);

/* Overwrites what may hold a key. */
void request_free(struct http_request *r);

#endif
