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

#include "engine/timers.h"
#include "parsing/body.h"
#include "parsing/sse.h"

struct http;

/* Every kind of failure that the module reports; http_fault_name has the names.
 * The engine itself produces no BUSY and no API. */
enum http_fault {
    FAULT_NONE = 0,
    FAULT_CONFIG,
    FAULT_BUSY,
    FAULT_DNS,
    FAULT_CONNECT,
    FAULT_TLS,
    FAULT_PROXY,
    FAULT_TIMEOUT,
    FAULT_RESET,
    FAULT_TRUNCATED,
    FAULT_HTTP,
    FAULT_API,
    FAULT_REDIRECT,
    FAULT_PROTOCOL,
    FAULT_LIMIT,
    FAULT_CANCELLED,
    FAULT_CLOSED,
    FAULT_MEMORY
};

const char *http_fault_name(enum http_fault fault);

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

/* For transfer.c: the request has just been connected, or has received. */
void http_progress(struct http_request *r);

/* For transfer.c: nothing more is taken in until http_drained. */
void http_pause(struct http_request *r);

/* NULL with a static text in *error when libcurl cannot be had. */
struct http *http_new(const char **error);

/* Ends everything. Requests that callers still hold become HTTP_CLOSED and are
 * to be given back as before, in any order. */
void http_delete(struct http *h);

/* Calls `drop` for each request that callers hold; that gives it back. */
void http_give_back(struct http *h, void (*drop)(void *user));

/* Does now what the first TLS connection would do otherwise, see warm.h. */
void http_warm(struct http *h);

/* False in a child after fork, and when curl has run out of memory. */
bool http_usable(const struct http *h);

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

/* Waits up to `us` microseconds (-1: without limit) for something to happen
 * and does it, for `budget` microseconds: what is left then is still ready at
 * the next step, which begins with others. True when a signal ended the wait.
 * Returns as soon as a request has changed. */
bool http_step(struct http *h, int64_t us, int64_t budget);

/* The caller has not read all that has arrived for `r`, and will go on: the
 * next step does not wait. */
void http_again(struct http_request *r);

/* The `served` request that has been on the list of changed ones for longest,
 * or NULL. */
struct http_request *http_oldest(const struct http *h);

/* Takes out a `served` request that has changed since it was taken out last, or
 * NULL. */
struct http_request *http_changed(struct http *h);

/* Takes `r` off the list of changed ones; true when it was on it. */
bool http_take(struct http_request *r);

/* Says whether the reader of `r` has read all and now waits for more, which
 * http_take ends. What another reader's http_step finds for it makes the
 * descriptor readable until it is taken. */
void http_await(struct http_request *r, bool on);

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
