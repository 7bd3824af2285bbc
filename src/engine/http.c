/*
 * http.c - see http.h. Requests, their clocks and their tries around one curl
 * multi handle; transfer.c has what concerns a single easy handle.
 *
 * curl's callbacks come in while http_step, http_close, http_drained or
 * http_start call curl. They only change fields of a request and of `struct
 * http`.
 */
#include "engine/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/libcurl.h"
#include "engine/poller.h"
#include "engine/sigpipe.h"
#include "engine/transfer.h"
#include "engine/warm.h"
#include "parsing/retry.h"
#include "parsing/url.h"

#define EVENTS         16      /* taken from the poller at once */
#define PASSES         16      /* of curl's timer in one step */
#define LINGER         1000000 /* us a complete request may still take */
#define LOADING_WAIT   0.5     /* s between two tries while a model loads */
#define PRUNE_INTERVAL 1050000 /* us in which curl closes dead connections */
#define INTERVAL       10000   /* us between two steps without a descriptor */
#define UNREAD         1000000 /* us of a pause that cost a request its slot */
#define PATIENCE       1000000 /* us for which a reader is reminded at once, */
#define REMINDER       100000  /* and from then on after so many us */
#define LOOKUPS        256     /* names that hang and keep none waiting */

/* From 8.20.0 on the threads that look names up belong to the multi handle.
 * Older versions refuse these options. */
#define OPT_THREADS    ((CURLMoption)20)
#define OPT_QUICK_EXIT ((CURLMoption)21)

struct http {
    const struct libcurl *curl;
    CURLM *multi;
    struct transfer_shared shared;
    size_t suspects; /* transfers whose connection no other may join */
    bool choosing;   /* curl is going to choose a connection */
    bool moved;      /* a transfer has, see transfer_moves */
    struct poller poller;
    struct poller_event events[EVENTS]; /* of them, ready..n_ready-1 are left */
    int ready, n_ready;
    struct timers timers;
    struct retry_origins origins;  /* those that fail */
    struct http_request *requests; /* all, also detached ones */
    struct http_request *changed, *changed_last;
    size_t orphans; /* transfers that wait for a look-up: see drop_transfer */
    size_t count;   /* of `requests` */
    size_t active;  /* running and not detached, queued ones included */
    struct http_request *queue, *queue_last;
    size_t queued, aside; /* those of `active` that hold no slot */
    size_t max_running;   /* how many slots there are; 0: no limit */
    bool happened;        /* a request has changed in this step */
    bool watched;         /* the descriptor was handed out */
    int64_t curl_at;      /* when curl wants to be called; -1: not */
    int64_t remind_at;    /* when the caller wants to be; -1: not */
    unsigned locks;       /* http_lock, so many times */
    bool doomed;          /* http_delete came meanwhile */
    pid_t pid;
    bool breaking; /* curl ran out of memory, */
    bool broken;   /* and that was seen to: see break_down */
    bool loud;     /* there was a request for which sigpipe.h is needed */
    uint64_t random;
};

const char *http_fault_name(enum http_fault fault)
{
    static const char *const names[] = {
        "none",     "config",   "busy",  "dns",       "connect", "tls",
        "proxy",    "timeout",  "reset", "truncated", "http",    "api",
        "redirect", "protocol", "limit", "cancelled", "closed",  "memory"};
    return names[fault];
}

/* ---- curl's callbacks of the multi handle ---- */

static void arm(struct http_request *r);

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                     void *known)
{
    struct http *h = arg;
    int events = what == CURL_POLL_IN      ? POLLER_IN
                 : what == CURL_POLL_OUT   ? POLLER_OUT
                 : what == CURL_POLL_INOUT ? POLLER_IN | POLLER_OUT
                                           : 0;
    /* A failure (ENOMEM) shows as a time-out of the request. */
    poller_watch(&h->poller, fd, events, known != NULL);
    h->curl->multi_assign(h->multi, fd, events == 0 ? NULL : h);
    h->moved = (events == 0 && transfer_moves(easy, h->curl)) || h->moved;
    struct http_request *r =
        events == 0 ? NULL : transfer_watched(easy, h->curl);
    if (r != NULL)
        arm(r);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct http *h = arg;
    (void)multi;
    h->curl_at = ms < 0 ? -1 : timers_now() + (int64_t)ms * 1000;
    return 0;
}

/* ---- the engine itself ---- */

/* The next number of SplitMix64. */
static uint64_t next_random(struct http *h)
{
    uint64_t z = h->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* Machines, processes and engines that start together do not wait together. */
static void seed_random(struct http *h)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    const uint64_t parts[] = {(uint64_t)ts.tv_sec, (uint64_t)ts.tv_nsec,
                              (uint64_t)timers_now(), (uint64_t)h->pid,
                              (uint64_t)(uintptr_t)h};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        h->random ^= parts[i];
        h->random = next_random(h);
    }
}

struct http *http_new(const char **error)
{
    const struct libcurl *curl = libcurl_load();
    *error = curl->error;
    if (curl->error != NULL)
        return NULL;
    *error = "not enough memory";
    struct http *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    h->curl = h->shared.curl = curl;
    h->pid = getpid();
    h->curl_at = h->remind_at = -1;
    seed_random(h);
    int e = poller_init(&h->poller);
    if (e == 0) {
        h->multi = curl->multi_init();
        h->shared.tls = curl->share_init();
    } else if (e == EMFILE || e == ENFILE) {
        *error = "too many open files";
    }
    if (h->multi == NULL || h->shared.tls == NULL) {
        http_delete(h);
        return NULL;
    }
    curl->share_setopt(h->shared.tls, CURLSHOPT_SHARE,
                       CURL_LOCK_DATA_SSL_SESSION);
    curl->multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl->multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl->multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl->multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl->multi_setopt(h->multi, OPT_THREADS, (long)LOOKUPS);
    curl->multi_setopt(h->multi, OPT_QUICK_EXIT, 1L);
    *error = NULL;
    return h;
}

void http_warm(struct http *h)
{
    struct sigpipe guard;
    if (!http_usable(h))
        return;
    h->loud = true;
    sigpipe_block(&guard, h->loud);
    warm_tls(h->curl, h->multi, &h->shared.ca);
    sigpipe_restore(&guard);
    h->curl_at = timers_now(); /* others may have ended meanwhile */
}

bool http_usable(const struct http *h)
{
    return h->pid == getpid() && !h->broken;
}

bool http_broken(const struct http *h)
{
    return h->broken && h->pid == getpid();
}

/* ---- the list of changed requests ---- */

static int64_t earliest(const struct http *h)
{
    const int64_t other[] = {h->curl_at, h->remind_at};
    int64_t at = timers_next(&h->timers);
    for (size_t i = 0; i < 2; i++)
        if (other[i] >= 0 && (at < 0 || other[i] < at))
            at = other[i];
    return at;
}

/* When the descriptor has to become readable by itself: for the earliest timer,
 * and at once for a reader that waits while the step of another has read what
 * is meant for it. One that does not come for it must not keep the host busy
 * for ever. */
static int64_t wake_at(const struct http *h)
{
    int64_t at = earliest(h);
    const struct http_request *r = h->watched ? h->changed_last : NULL;
    while (r != NULL && !r->awaited)
        r = r->changed_prev;
    if (r == NULL)
        return at;
    int64_t now = timers_now();
    int64_t wake = now - r->changed_at < PATIENCE ? 0 : now + REMINDER;
    return at >= 0 && at < wake ? at : wake;
}

static void mark_changed(struct http_request *r)
{
    struct http *h = r->http;
    if (r->detached)
        return;
    h->happened = true;
    if (r->changed)
        return;
    r->changed = true;
    r->changed_at = timers_now();
    r->changed_prev = h->changed_last;
    r->changed_next = NULL;
    if (h->changed_last != NULL)
        h->changed_last->changed_next = r;
    else
        h->changed = r;
    h->changed_last = r;
}

bool http_foreign(struct http *h)
{
    if (h->pid == getpid())
        return false;
    /* in a grandchild, a number of before may be its own */
    for (struct http_request *r = h->pid == 0 ? NULL : h->requests; r != NULL;
         r = r->next)
        if (!r->detached) {
            r->state = HTTP_CLOSED;
            mark_changed(r);
        }
    h->pid = 0;
    h->active = 0;
    return true;
}

bool http_take(struct http_request *r)
{
    r->awaited = false;
    if (!r->changed)
        return false;
    struct http *h = r->http;
    r->changed = false;
    if (h == NULL)
        return true;
    if (r->changed_prev != NULL)
        r->changed_prev->changed_next = r->changed_next;
    else
        h->changed = r->changed_next;
    if (r->changed_next != NULL)
        r->changed_next->changed_prev = r->changed_prev;
    else
        h->changed_last = r->changed_prev;
    return true;
}

static void wake(struct http *h)
{
    int64_t at = wake_at(h);
    if (at != h->poller.timer_at && http_usable(h))
        poller_timer(&h->poller, at);
}

struct http_request *http_changed(struct http *h)
{
    struct http_request *r = http_oldest(h);
    if (r != NULL)
        http_take(r);
    else
        wake(h);
    return r;
}

void http_await(struct http_request *r, bool on)
{
    struct http *h = r->http;
    r->awaited = on;
    if (on && h != NULL)
        wake(h);
}

void http_again(struct http_request *r)
{
    if (r->http == NULL)
        return;
    mark_changed(r);
    http_await(r, true);
}

struct http_request *http_oldest(const struct http *h)
{
    struct http_request *r = h->changed;
    while (r != NULL && !r->served)
        r = r->changed_next;
    return r;
}

/* ---- requests ---- */

static const char *copy_string(char **at, const char *s)
{
    if (s == NULL)
        return NULL;
    size_t n = strlen(s) + 1;
    char *to = memcpy(*at, s, n);
    *at += n;
    return to;
}

/* Puts a copy of everything that `o` points to into one block of memory. */
static bool copy_options(struct http_request *r, const struct http_options *o)
{
    const char *const single[] = {o->url, o->ca_file, o->proxy};
    size_t n = o->n_headers * sizeof(char *);
    for (size_t i = 0; i < 3; i++)
        n += single[i] == NULL ? 0 : strlen(single[i]) + 1;
    for (size_t i = 0; i < o->n_headers; i++)
        n += strlen(o->headers[i]) + 1;
    r->options = *o;
    r->copy = malloc(n);
    r->copy_len = n;
    if (r->copy == NULL)
        return false;
    const char **headers = r->copy;
    char *at = (char *)r->copy + o->n_headers * sizeof(char *);
    r->options.url = copy_string(&at, o->url);
    r->options.ca_file = copy_string(&at, o->ca_file);
    r->options.proxy = copy_string(&at, o->proxy);
    for (size_t i = 0; i < o->n_headers; i++)
        headers[i] = copy_string(&at, o->headers[i]);
    r->options.headers = headers;
    return true;
}

/* Overwrites what may hold a key, in a way that is not optimised out. */
static void wipe(void *p, size_t n)
{
    volatile char *at = p;
    while (n-- > 0)
        *at++ = 0;
}

static void free_request(struct http_request *r)
{
    sse_free(&r->sse);
    body_free(&r->options.body);
    free(r->location);
    if (r->copy != NULL)
        wipe(r->copy, r->copy_len);
    free(r->copy);
    free(r);
}

/* ---- the queue of those that wait for their turn ---- */

static void enqueue(struct http_request *r)
{
    struct http *h = r->http;
    r->queued = true;
    r->queue_prev = h->queue_last;
    r->queue_next = NULL;
    if (h->queue_last != NULL)
        h->queue_last->queue_next = r;
    else
        h->queue = r;
    h->queue_last = r;
    h->queued++;
}

static void dequeue(struct http_request *r)
{
    struct http *h = r->http;
    if (!r->queued)
        return;
    r->queued = false;
    if (r->queue_prev != NULL)
        r->queue_prev->queue_next = r->queue_next;
    else
        h->queue = r->queue_next;
    if (r->queue_next != NULL)
        r->queue_next->queue_prev = r->queue_prev;
    else
        h->queue_last = r->queue_prev;
    h->queued--;
}

/* It counts again among those that run. */
static void come_back(struct http_request *r)
{
    if (r->aside)
        r->http->aside--;
    r->aside = false;
}

/* Takes `r` out of the engine's books. */
static void unlink_request(struct http_request *r)
{
    struct http *h = r->http;
    http_take(r);
    dequeue(r);
    come_back(r);
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

/* A time-out has passed on the connection of `r`. Others that are on it may
 * fare better, but none is to join them: it ends with the last of them. */
static void suspect_connection(struct http_request *r)
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

/* Calls curl for a descriptor, or for its timer. Either way it begins what was
 * added: that is to be done at once when the idle connections were looked at.
 */
static void call_curl(struct http *h, curl_socket_t fd, int events)
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
        call_curl(h, CURL_SOCKET_TIMEOUT, 0);
    h->curl_at = timers_now(); /* others may have ended meanwhile */
    wake(h);
}

/* Ends the transfer, and its connection when nothing else is on it. Where curl
 * would wait for the thread that looks the name up (before 7.87.0), the handle
 * stays, empty, until curl reports its end; or for ever: see http_delete. */
static void drop_transfer(struct http_request *r)
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

static void transfer_done(struct http_request *r, CURLcode result);

/* Lets a paused transfer go on. curl hands over at once what it has kept; when
 * that is refused, curl does not report it as the end of the transfer. */
static void resume(struct http_request *r)
{
    struct http *h = r->http;
    struct sigpipe guard;
    r->paused = false;
    come_back(r);
    sigpipe_block(&guard, h->loud);
    CURLcode result = h->curl->easy_pause(r->transfer->easy, CURLPAUSE_CONT);
    sigpipe_restore(&guard);
    h->curl_at = timers_now();
    if (result != CURLE_OK)
        transfer_done(r, result);
}

static void start_queued(struct http *h);

static void end_request(struct http_request *r, enum http_state state)
{
    struct http *h = r->http;
    dequeue(r);
    come_back(r);
    drop_transfer(r);
    timers_unset(&h->timers, &r->timer);
    r->waiting = false;
    r->state = state;
    if (r->detached) {
        unlink_request(r);
        free_request(r);
        return;
    }
    h->active--;
    mark_changed(r);
    start_queued(h);
}

/* When the next of the clocks runs out (-1: none), and which. */
static int64_t next_deadline(const struct http_request *r, const char **phase)
{
    const struct http_limits *l = &r->options.limits;
    const struct {
        const char *phase;
        int64_t since;
        double limit;
    } clocks[] = {
        {"total", r->started, l->timeout},
        {"connect", r->connected == 0 ? r->attempt_started : 0,
         l->connect_timeout},
        {"first_byte",
         r->last_byte != 0 ? 0
         : r->loading      ? r->started
                           : r->connected,
         l->first_byte_timeout},
        {"idle", r->paused ? 0 : r->last_byte, l->idle_timeout},
        /* an event may be among what the caller has not looked at */
        {"event", r->sse.in.len > r->examined ? 0 : r->last_event,
         l->event_timeout},
        {"idle", r->grace_from, r->grace},
    };
    int64_t first = -1;
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        if (clocks[i].since == 0 || clocks[i].limit <= 0 ||
            (r->waiting && i > 0))
            continue;
        int64_t at = clocks[i].since + (int64_t)(clocks[i].limit * 1e6);
        if (first < 0 || at < first) {
            first = at;
            *phase = clocks[i].phase;
        }
    }
    return first;
}

static void arm(struct http_request *r)
{
    const char *phase;
    int64_t at = next_deadline(r, &phase);
    if (r->paused && !r->aside && (at < 0 || r->paused_at + UNREAD < at))
        at = r->paused_at + UNREAD;
    if (at >= 0)
        timers_set(&r->http->timers, &r->timer, at);
    else
        timers_unset(&r->http->timers, &r->timer);
}

void http_progress(struct http_request *r)
{
    bool first = r->last_byte == 0;
    if (r->response.header_done)
        r->last_byte = timers_now();
    if (first) {
        r->last_event = r->last_byte;
        arm(r);
    }
    mark_changed(r);
}

void http_pause(struct http_request *r)
{
    r->paused = true;
    r->paused_at = timers_now();
    arm(r);
}

static void fail(struct http_request *r, enum http_fault fault,
                 const char *message)
{
    r->fault = fault;
    if (message != NULL)
        snprintf(r->message, sizeof r->message, "%s", message);
    end_request(r, HTTP_FAILED);
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
    arm(r);
}

/* Starts as many as there is room for, in the order in which they came. */
static void start_queued(struct http *h)
{
    while (h->queue != NULL &&
           (h->max_running == 0 ||
            h->active - h->queued - h->aside < h->max_running)) {
        struct http_request *r = h->queue;
        dequeue(r);
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
    start_queued(h);
}

void http_set_concurrent(struct http *h, size_t max)
{
    h->max_running = max;
    if (http_usable(h))
        start_queued(h);
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
        .random = (double)(next_random(h) >> 11) / 9007199254740992.0,
    };
    retry_failed(&h->origins, origin, &f, now);
    double delay = retry_delay(&f);
    r->stopped = delay >= 0 && retry_stopped(&h->origins, origin, now);
    return r->stopped ? -1 : delay;
}

static void wait_for_try(struct http_request *r, int64_t at)
{
    drop_transfer(r);
    come_back(r);
    sse_free(&r->sse);
    r->response = (struct http_response){0};
    r->fault = FAULT_NONE;
    r->waiting = true;
    r->examined = 0;
    r->whole = r->paused = false;
    const char *phase;
    int64_t limit = next_deadline(r, &phase);
    timers_set(&r->http->timers, &r->timer,
               limit >= 0 && limit < at ? limit : at);
    r->attempt_started = at; /* when the next try is due */
}

/* Decides about another try after a failure before any 2xx header. */
static bool try_again(struct http_request *r)
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
    int64_t limit = next_deadline(r, &phase);
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
        !transfer_starved(r->transfer) ||
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

static void note_success(const struct http_request *r)
{
    struct retry_origins *o = &r->http->origins;
    if (o->len > 0)
        retry_succeeded(o, url_origin(r->options.url));
}

/* The transfer is over: what does it mean? */
static void transfer_done(struct http_request *r, CURLcode result)
{
    transfer_judge(r->transfer, result);
    if (leave_stale(r) || make_room(r) || try_again(r))
        return;
    if (r->fault == FAULT_NONE && r->response.status < 300)
        note_success(r);
    end_request(r, r->fault == FAULT_NONE ? HTTP_DONE : HTTP_FAILED);
}

static void timer_due(struct http_request *r, int64_t now)
{
    const char *phase = NULL;
    if (r->detached) {
        end_request(r, HTTP_FAILED);
        return;
    }
    if (r->transfer != NULL && r->connected == 0) { /* libcurl before 7.80.0 */
        int64_t us = transfer_connect_time(r->transfer);
        r->connected = us > 0 ? r->attempt_started + us : 0;
    }
    int64_t at = next_deadline(r, &phase);
    if (at < 0 || at > now) {
        if (r->waiting && r->attempt_started <= now)
            start_attempt(r);
        else
            step_aside(r, now);
        if (r->state == HTTP_RUNNING)
            arm(r);
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
    suspect_connection(r);
    bool final = !r->retryable || (r->loading && phase[0] == 'f');
    if (final || !try_again(r))
        end_request(r, HTTP_FAILED);
}

enum http_fault http_start(struct http *h, struct http_options *o,
                           struct http_request **out)
{
    *out = NULL;
    if (!http_usable(h)) {
        body_free(&o->body);
        return FAULT_CLOSED;
    }
    struct http_request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        body_free(&o->body);
        return FAULT_MEMORY;
    }
    sse_init(&r->sse, o->limits.max_event, o->limits.max_event);
    if (!copy_options(r, o) || !timers_reserve(&h->timers, h->count + 1)) {
        free_request(r);
        return FAULT_MEMORY;
    }
    r->http = h;
    r->next = h->requests;
    if (r->next != NULL)
        r->next->prev = r;
    h->requests = r;
    h->count++;
    h->active++;
    h->loud = h->loud || !transfer_quiet(o);
    r->state = HTTP_RUNNING;
    enqueue(r);
    start_queued(h);
    *out = r;
    return FAULT_NONE;
}

void http_close(struct http_request *r)
{
    if (r == NULL)
        return;
    struct http *h = r->http;
    if (h != NULL) {
        if (r->state == HTTP_RUNNING && !r->detached)
            h->active--;
        if (h->pid == getpid()) /* else it is the parent's */
            drop_transfer(r);
        unlink_request(r);
        if (http_usable(h))
            start_queued(h);
    }
    free_request(r);
}

void http_finish(struct http_request *r)
{
    if (r->http == NULL || !http_usable(r->http) || r->state != HTTP_RUNNING ||
        r->transfer == NULL) {
        http_close(r);
        return;
    }
    struct http *h = r->http;
    note_success(r);
    http_take(r);
    r->detached = true;
    r->user = NULL;
    r->examined = 0;
    h->active--;
    sse_free(&r->sse);
    timers_set(&h->timers, &r->timer, timers_now() + LINGER);
    if (r->paused)
        resume(r);
    start_queued(h);
}

void http_drained(struct http_request *r)
{
    r->examined = r->sse.in.len;
    if (r->options.limits.event_timeout > 0 && r->state == HTTP_RUNNING &&
        http_usable(r->http))
        arm(r);
    if (!r->paused || r->transfer == NULL || !http_usable(r->http))
        return;
    r->last_byte = timers_now();
    resume(r);
    if (r->state == HTTP_RUNNING)
        arm(r);
}

void http_event(struct http_request *r)
{
    r->last_event = timers_now();
}

void http_grace(struct http_request *r, double seconds)
{
    r->grace_from = timers_now();
    r->grace = seconds;
    if (r->state == HTTP_RUNNING && http_usable(r->http))
        arm(r);
}

bool http_refuse(struct http_request *r, int status)
{
    int was = r->response.status;
    if (r->http == NULL || !http_usable(r->http))
        return false;
    r->response.status = status;
    if (!try_again(r)) {
        r->response.status = was;
        return false;
    }
    if (r->state != HTTP_RUNNING) { /* it was over */
        r->state = HTTP_RUNNING;
        r->http->active++;
    }
    return true;
}

void http_delete(struct http *h)
{
    if (h == NULL)
        return;
    if (h->locks > 0) {
        h->doomed = true;
        return;
    }
    bool usable = http_usable(h);
    while (h->requests != NULL) {
        struct http_request *r = h->requests;
        if (usable)
            drop_transfer(r);
        r->transfer = NULL;
        if (r->state == HTTP_RUNNING)
            r->state = HTTP_CLOSED;
        bool mine = r->detached;
        unlink_request(r);
        if (mine)
            free_request(r);
    }
    timers_free(&h->timers);
    /* Where curl would wait for a thread that looks a name up, it keeps what it
     * has, but for the connections. */
    if (usable && h->orphans > 0) {
        sockets_give_up(&h->shared.sockets);
    } else if (usable) {
        struct sigpipe guard;
        sigpipe_block(&guard, h->loud);
        if (h->multi != NULL)
            h->curl->multi_cleanup(h->multi);
        if (h->shared.tls != NULL)
            h->curl->share_cleanup(h->shared.tls);
        sigpipe_restore(&guard);
    }
    if (h->pid == getpid())
        poller_free(&h->poller);
    sockets_free(&h->shared.sockets);
    free(h);
}

void http_give_back(struct http *h, void (*drop)(void *user))
{
    struct http_request *r = h->requests, *next;
    for (; r != NULL; r = next) {
        next = r->next;
        if (!r->detached && r->user != NULL)
            drop(r->user);
    }
}

void http_lock(struct http *h)
{
    h->locks++;
}

void http_unlock(struct http *h)
{
    if (--h->locks == 0 && h->doomed)
        http_delete(h);
}

bool http_locked(const struct http *h)
{
    return h->locks > 0;
}

void http_remind(struct http *h, int64_t us)
{
    int64_t at = timers_now() + us;
    if (h->remind_at >= 0 && h->remind_at <= at)
        return;
    h->remind_at = at;
    wake(h);
}

/* ---- stepping ---- */

/* After CURLM_OUT_OF_MEMORY curl's books are wrong, and calling it again may
 * crash (seen with 7.88.1). What is there is abandoned. */
static void break_down(struct http *h)
{
    h->broken = true;
    for (struct http_request *r = h->requests; r != NULL; r = r->next) {
        if (r->transfer != NULL)
            transfer_orphan(r->transfer);
        r->transfer = NULL;
        if (r->state != HTTP_RUNNING || r->detached)
            continue;
        r->state = HTTP_FAILED;
        r->fault = FAULT_MEMORY;
        snprintf(r->message, sizeof r->message, "not enough memory");
        dequeue(r);
        come_back(r);
        timers_unset(&h->timers, &r->timer);
        h->active--;
        mark_changed(r);
    }
}

static void nudge_moved(struct http *h)
{
    h->moved = false;
    for (struct http_request *r = h->requests; r != NULL; r = r->next)
        if (r->transfer != NULL && r->transfer->moved) {
            r->transfer->moved = false;
            transfer_nudge(r->transfer);
        }
}

/* Calls curl and takes out what ended. */
static void act(struct http *h, curl_socket_t fd, int events)
{
    int left;
    CURLMsg *m;
    int mask = (events & POLLER_IN ? CURL_CSELECT_IN : 0) |
               (events & POLLER_OUT ? CURL_CSELECT_OUT : 0);
    if (!h->breaking)
        call_curl(h, fd, mask);
    if (h->breaking && !h->broken)
        break_down(h);
    while (!h->broken &&
           (m = h->curl->multi_info_read(h->multi, &left)) != NULL) {
        struct transfer *t = NULL;
        CURLcode result = m->data.result;
        CURL *easy = m->easy_handle;
        if (m->msg != CURLMSG_DONE)
            continue;
        h->curl->easy_getinfo(easy, CURLINFO_PRIVATE, &t);
        t->ended = true;
        if (t->request != NULL) {
            transfer_done(t->request, result);
        } else {
            h->orphans--;
            h->curl->multi_remove_handle(h->multi, easy);
            transfer_delete(t);
        }
    }
    if (h->moved && !h->broken)
        nudge_moved(h);
}

/* The clocks of requests come first: what is late has not come. */
static void run_timers(struct http *h)
{
    struct timer *timer;
    int64_t now = timers_now();
    if (h->remind_at >= 0 && h->remind_at <= now) {
        h->remind_at = -1;
        h->happened = true;
    }
    while (!h->broken && (timer = timers_due(&h->timers, now)) != NULL)
        timer_due((struct http_request *)((char *)timer -
                                          offsetof(struct http_request, timer)),
                  now);
    now = timers_now();
    for (int i = 0; i < PASSES && h->curl_at >= 0 && h->curl_at <= now; i++) {
        h->curl_at = -1;
        act(h, CURL_SOCKET_TIMEOUT, 0);
    }
}

/* Takes what is ready from the poller when there is nothing left of that. True
 * when a signal ended the wait. */
static bool refill(struct http *h, int64_t wait)
{
    if (h->ready < h->n_ready)
        return false;
    int n = poller_wait(&h->poller, h->events, EVENTS, wait > 0 ? wait : 0);
    h->ready = 0;
    h->n_ready = n > 0 ? n : 0;
    return n < 0;
}

/* Whether nothing can happen however long one waits. */
static bool idle(const struct http *h)
{
    return h->active == 0 && h->remind_at < 0;
}

/* What is ready when the budget ends comes first in the next step, and what the
 * kernel has handed out goes behind what waits: so nothing starves. An event of
 * a socket that was closed meanwhile is one that curl does not mind. */
bool http_step(struct http *h, int64_t us, int64_t budget)
{
    struct sigpipe guard = {.on = false};
    bool interrupted, more, working = false;
    int64_t stop = -1; /* when the budget is spent */
    if (h->locks > 0 || !http_usable(h))
        return false;
    int64_t now = timers_now(), end = us < 0 ? INT64_MAX : now + us;
    do {
        int64_t at = earliest(h);
        int64_t wait = h->happened || idle(h) ? 0 : end - now;
        interrupted = refill(h, at >= 0 && at - now < wait ? at - now : wait);
        bool full = h->n_ready == EVENTS;
        now = timers_now();
        if (h->n_ready > 0 && stop < 0)
            stop = now + budget;
        if (!working && (h->n_ready > 0 || (at >= 0 && at <= now))) {
            sigpipe_block(&guard, h->loud);
            working = true;
        }
        while (h->ready < h->n_ready) {
            const struct poller_event *e = &h->events[h->ready++];
            act(h, e->fd, e->events);
            now = timers_now();
            if (now >= stop)
                break;
        }
        if (working)
            run_timers(h);
        more = full && now < stop;
    } while (!interrupted && !idle(h) && (more || (!h->happened && now < end)));
    h->happened = false;
    poller_timer(&h->poller, wake_at(h));
    sigpipe_restore(&guard);
    return interrupted;
}

int http_fd(struct http *h)
{
    h->watched = true;
    return http_usable(h) ? h->poller.fd : -1;
}

int64_t http_timeout(const struct http *h)
{
    int64_t at = earliest(h);
    if (!http_usable(h))
        return -1;
    if (h->happened)
        return 0;
    int64_t left = at < 0 ? -1 : at - timers_now();
    if (h->poller.fd < 0 && h->active > 0 && (at < 0 || left > INTERVAL))
        return INTERVAL;
    return at < 0 ? -1 : left > 0 ? left : 0;
}

size_t http_active(const struct http *h)
{
    size_t n = h->active;
    const struct http_request *r = h->changed;
    for (; r != NULL; r = r->changed_next)
        n += r->served && r->state != HTTP_RUNNING;
    return n;
}

int http_signals(struct http *h, bool on)
{
    return poller_signals(&h->poller, on);
}

bool http_signalled(struct http *h)
{
    return poller_signalled(&h->poller);
}
