/*
 * retry.h - which failure is worth another try, and when. A pure function of
 * its inputs: no clock, no random source, no I/O, no allocation.
 *
 * The policy is that of the providers' own clients (openai-python): at most
 * `max_retries` further tries; connection failures, 408, 409, 429 and >= 500
 * are retried; the header `x-should-retry` decides over the status; the wait is
 * `retry-after-ms`, else `retry-after` in seconds, else as an HTTP date (RFC
 * 9110, 10.2.3), if it is above 0 and at most 120 s, and a longer one means no
 * further try; without these headers (or with junk in them) min(0.5 *
 * 2^attempt, 8) s, less up to a quarter at random. An exhausted quota (billing)
 * is never retried.
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

/* What keeps an outage from doubling the load: 10 tokens, a failure takes one,
 * a success gives 0.1 back, and a retry needs more than 5. */
struct retry_bucket {
    double tokens;
};

void retry_bucket_init(struct retry_bucket *b);
void retry_bucket_failure(struct retry_bucket *b);
void retry_bucket_success(struct retry_bucket *b);
bool retry_bucket_allows(const struct retry_bucket *b);

#endif
