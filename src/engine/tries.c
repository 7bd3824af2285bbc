/*
 * tries.c - see tries.h.
 */
#include "engine/tries.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/changed.h"
#include "engine/clocks.h"
#include "engine/connection.h"
#include "engine/queue.h"
#include "engine/sigpipe.h"
#include "engine/state.h"
#include "engine/verdict.h"
#include "parsing/url.h"

#define LOADING_WAIT   0.5     /* s between two tries while a model loads */
#define PRUNE_INTERVAL 1050000 /* us in which curl closes dead connections */

void tries_unlink(struct http_request *r)
{
    struct http *h = r->http;
    http_take(r);
    queue_remove(r);
    queue_come_back(r);
    timers_unset(&h->timers, &r->timer);
    if (r->prev != NULL)
        r->prev->next = r->next;
    else
        h->requests = r->next;
    if (r->next != NULL)
        r->next->prev = r->prev;
    h->count--;
    r->http = NULL;
}

void tries_resume(struct http_request *r)
{
    struct http *h = r->http;
    struct sigpipe guard;
    r->paused = false;
    queue_come_back(r);
    sigpipe_block(&guard, h->loud);
    CURLcode result = h->curl->easy_pause(r->transfer->easy, CURLPAUSE_CONT);
    sigpipe_restore(&guard);
    h->curl_at = timers_now();
    if (result != CURLE_OK)
        tries_done(r, result);
}

void tries_end(struct http_request *r, enum http_state state)
{
    struct http *h = r->http;
    queue_remove(r);
    queue_come_back(r);
    connection_drop(r);
    timers_unset(&h->timers, &r->timer);
    r->waiting = false;
    r->state = state;
    if (r->detached) {
        tries_unlink(r);
        request_free(r);
        return;
    }
    h->active--;
    changed_mark(r);
    tries_start(h);
}

static void fail(struct http_request *r, enum http_fault fault,
                 const char *message)
{
    r->fault = fault;
    if (message != NULL)
        snprintf(r->message, sizeof r->message, "%s", message);
    tries_end(r, HTTP_FAILED);
}

static void start_attempt(struct http_request *r)
{
    struct http *h = r->http;
    r->waiting = false;
    r->attempts++;
    r->attempt_started = timers_now();
    r->connected = r->last_byte = r->last_event = r->grace_from = 0;
    h->choosing = true;
    r->transfer = transfer_new(&h->shared, r, r->fresh || h->suspects > 0);
    if (r->transfer == NULL ||
        h->curl->multi_add_handle(h->multi, r->transfer->easy) != CURLM_OK) {
        fail(r, FAULT_MEMORY, "not enough memory");
        return;
    }
    clocks_arm(r);
}

void tries_start(struct http *h)
{
    struct http_request *r;
    while ((r = queue_next(h)) != NULL) {
        queue_remove(r);
        r->started = timers_now();
        start_attempt(r);
    }
}

/* Gives its slot to those that wait when nobody has read it for a while. */
static void step_aside(struct http_request *r, int64_t now)
{
    struct http *h = r->http;
    if (!r->paused || r->aside || now - r->paused_at < UNREAD)
        return;
    r->aside = true;
    h->aside++;
    tries_start(h);
}

/* How long to wait for a model that is being loaded: as long as for a first
 * byte, counted from the start of the request. Negative: no longer. */
static double loading_delay(const struct http_request *r, int64_t now)
{
    double limit = r->options.limits.first_byte_timeout;
    double waited = (double)(now - r->started) / 1e6;
    return limit > 0 && waited + LOADING_WAIT > limit ? -1 : LOADING_WAIT;
}

static const char *or_null(const char *s)
{
    return s[0] == '\0' ? NULL : s;
}

/* Seconds until another try after a failure; negative: none. */
static double failure_delay(struct http_request *r, int64_t now)
{
    struct http *h = r->http;
    const struct http_response *resp = &r->response;
    uint64_t origin = url_origin(r->options.url);
    struct retry_failure f = {
        .attempt = r->attempts - 1,
        .max_retries = r->options.limits.max_retries,
        .status = resp->status,
        .transport = resp->status == 0 && r->retryable,
        .quota = retry_quota(r->sse.in.data, r->sse.in.len),
        .retry_after_ms = or_null(resp->retry_after_ms),
        .retry_after = or_null(resp->retry_after),
        .should_retry = or_null(resp->should_retry),
        .body = r->sse.in.data,
        .body_len = r->sse.in.len,
        .now = (int64_t)time(NULL),
        .random = state_random(h),
    };
    retry_failed(&h->origins, origin, &f, now);
    double delay = retry_delay(&f);
    r->stopped = delay >= 0 && retry_stopped(&h->origins, origin, now);
    return r->stopped ? -1 : delay;
}

static void wait_for_try(struct http_request *r, int64_t at)
{
    connection_drop(r);
    queue_come_back(r);
    sse_free(&r->sse);
    r->response = (struct http_response){0};
    r->fault = FAULT_NONE;
    r->waiting = true;
    r->examined = 0;
    r->whole = r->paused = false;
    const char *phase;
    int64_t limit = clocks_next(r, &phase);
    timers_set(&r->http->timers, &r->timer,
               limit >= 0 && limit < at ? limit : at);
    r->attempt_started = at; /* when the next try is due */
}

bool tries_again(struct http_request *r)
{
    int status = r->response.status;
    int64_t now = timers_now();
    if (r->detached || (status >= 200 && status < 400))
        return false;
    bool loading = status == 503 && r->options.loading_wait;
    double delay = loading ? loading_delay(r, now) : failure_delay(r, now);
    if (delay < 0)
        return false;
    int64_t at = now + (int64_t)(delay * 1e6);
    const char *phase;
    r->waiting = true;
    int64_t limit = clocks_next(r, &phase);
    if (limit >= 0 && limit <= at) { /* this failure tells more than that */
        r->waiting = false;
        return false;
    }
    if (loading) {
        r->loading = true;
        r->attempts--;
    }
    r->fresh = status == 0;
    wait_for_try(r, at);
    return true;
}

/* Idle connections may hold the descriptors that this one needs. curl closes
 * those that are dead once a second, when it makes another: so that much later
 * it is tried once more, which does not count. */
static bool make_room(struct http_request *r)
{
    if (r->fault == FAULT_NONE || r->made_room || r->detached ||
        !verdict_starved(r->transfer) ||
        sockets_give_up(&r->http->shared.sockets) == 0)
        return false;
    r->made_room = true;
    r->attempts--;
    wait_for_try(r, timers_now() + PRUNE_INTERVAL);
    return true;
}

/* Nothing was sent on the connection, which turned out to be no good: that does
 * not count, and the next one is new. */
static bool leave_stale(struct http_request *r)
{
    if (!r->transfer->stale || r->detached)
        return false;
    r->attempts--;
    r->fresh = true;
    wait_for_try(r, timers_now());
    return true;
}

void tries_note_success(const struct http_request *r)
{
    struct retry_origins *o = &r->http->origins;
    if (o->len > 0)
        retry_succeeded(o, url_origin(r->options.url));
}

void tries_done(struct http_request *r, CURLcode result)
{
    verdict_judge(r->transfer, result);
    if (leave_stale(r) || make_room(r) || tries_again(r))
        return;
    if (r->fault == FAULT_NONE && r->response.status < 300)
        tries_note_success(r);
    tries_end(r, r->fault == FAULT_NONE ? HTTP_DONE : HTTP_FAILED);
}

void tries_timer(struct http_request *r, int64_t now)
{
    const char *phase = NULL;
    if (r->detached) {
        tries_end(r, HTTP_FAILED);
        return;
    }
    int64_t at = clocks_next(r, &phase);
    if (at < 0 || at > now) {
        if (r->waiting && r->attempt_started <= now)
            start_attempt(r);
        else
            step_aside(r, now);
        if (r->state == HTTP_RUNNING)
            clocks_arm(r);
        return;
    }
    static const char *const texts[][2] = {
        {"connect", "no connection within the connect_timeout"},
        {"first_byte", "no answer within the first_byte_timeout"},
        {"idle", "nothing arrived within the idle_timeout"},
        {"event", "no event came within the event_timeout"},
        {"total", "the request took longer than its timeout"}};
    r->phase = phase;
    r->fault = FAULT_TIMEOUT;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(phase, texts[i][0]) == 0)
            snprintf(r->message, sizeof r->message, "%s", texts[i][1]);
    r->retryable = strcmp(phase, "total") != 0;
    connection_suspect(r);
    bool final = !r->retryable || (r->loading && phase[0] == 'f');
    if (final || !tries_again(r))
        tries_end(r, HTTP_FAILED);
}
