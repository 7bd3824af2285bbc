/*
 * retry.h - which failure is worth another try, when, and at which servers
 * there are none for now; engine/tries.c does what it says. Pure: no clock, no
 * random source, no I/O, no allocation.
 *
 * The policy is that of the providers' own clients (openai-python): at most
 * `max_retries` further tries; connection failures, 408, 409, 429 and >= 500
 * are retried; the header `x-should-retry` decides over the status; the wait is
 * `retry-after-ms`, else `retry-after` in seconds, else as an HTTP date (RFC
 * 9110, 10.2.3), else what the body names, if it is above 0 and at most 120 s,
 * and a longer one means no further try; without all these (or with junk in
 * them) min(0.5 * 2^attempt, 8) s, less up to a quarter at random. An exhausted
 * quota (billing) is never retried.
 */
#ifndef CHATBOT_RETRY_H
#define CHATBOT_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct retry_failure {
    int attempt;     /* tries that were made before this one: 0, 1, ... */
    int max_retries; /* 0 turns retrying off */
    int status;      /* of the response, 0 when there was none */
    bool transport;  /* status 0: a failure of the connection, worth a try */
    bool quota;      /* the body says that the quota is used up */
    const char *retry_after_ms; /* header values, NULL when absent */
    const char *retry_after;
    const char *should_retry;
    const char *body; /* of the error, `body_len` bytes */
    size_t body_len;
    int64_t now;   /* seconds since the epoch, for HTTP dates */
    double random; /* in [0, 1) */
};

/* Whether the failure is of a kind that another try may mend, however many
 * there were. */
bool retry_worth(const struct retry_failure *f);

/* Seconds to wait before the next try, or a negative number when there must
 * not be one. */
double retry_delay(const struct retry_failure *f);

/* The wait that the server asked for, in seconds, for the caller's information;
 * 0 for a date in the past, negative when it asked for none. */
double retry_asked(const struct retry_failure *f);

/* Whether an error body carries a code for an exhausted quota:
 * insufficient_quota, billing_hard_limit_reached, billing_not_active,
 * access_terminated, insufficient_balance, ... as a JSON string value. */
bool retry_quota(const char *body, size_t n);

/* The wait that an error body names, in seconds: "retryDelay": "1.5s", as
 * Google's services write it, at any depth. Negative when there is none. */
double retry_named(const char *body, size_t n);

/* What keeps an outage from doubling the load: RETRY_ROW failures in a row at
 * one origin (scheme, host and port, as a number: see url.h) stop the retries
 * there, until a request succeeds or RETRY_PAUSE seconds have passed. Only
 * origins that fail now are known; when there are more than fit, the one that
 * failed longest ago is forgotten. All zero is the empty table; times are
 * microseconds of any one clock. */
#define RETRY_ROW     10
#define RETRY_PAUSE   30
#define RETRY_ORIGINS 64

struct retry_origins {
    size_t len;
    struct retry_origin {
        uint64_t origin;
        int failures; /* in a row */
        int64_t at;   /* when the last of them was */
    } known[RETRY_ORIGINS];
};

/* A try has failed. A 429 that names its wait does not count, nor does what is
 * not worth another try. */
void retry_failed(struct retry_origins *o, uint64_t origin,
                  const struct retry_failure *f, int64_t now);
void retry_succeeded(struct retry_origins *o, uint64_t origin);
bool retry_stopped(const struct retry_origins *o, uint64_t origin, int64_t now);

#endif
