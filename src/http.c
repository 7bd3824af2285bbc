/*
 * http.c - see http.h. Requests, their clocks and their tries around one curl
 * multi handle; transfer.c has what concerns a single easy handle.
 *
 * curl's callbacks come in while http_step, http_close, http_drained or
 * http_start call curl. They only change fields of a request and of `struct
 * http`.
 */
#include "http.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcurl.h"
#include "poller.h"
#include "retry.h"
#include "transfer.h"

#define EVENTS       64      /* taken from the poller at once */
#define PASSES       16      /* of curl's timer in one step */
#define LINGER       1000000 /* us a complete request may still take */
#define LOADING_WAIT 0.5     /* s between two tries while a model loads */

struct http {
    const struct libcurl *curl;
    CURLM *multi;
    CURLSH *share; /* TLS sessions, so that a new connection resumes */
    struct poller poller;
    struct timers timers;
    struct retry_bucket bucket;
    struct http_request *requests; /* all, also detached ones */
    struct http_request *changed, *changed_last;
    size_t count;    /* of `requests` */
    size_t active;   /* running and not detached */
    bool happened;   /* a request has changed in this step */
    int64_t curl_at; /* when curl wants to be called; -1: not */
    pid_t pid;
    unsigned long random;
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

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                     void *known)
{
    struct http *h = arg;
    (void)easy;
    int events = what == CURL_POLL_IN      ? POLLER_IN
                 : what == CURL_POLL_OUT   ? POLLER_OUT
                 : what == CURL_POLL_INOUT ? POLLER_IN | POLLER_OUT
                                           : 0;
    /* A failure (ENOMEM) shows as a time-out of the request. */
    poller_watch(&h->poller, fd, events, known != NULL);
    h->curl->multi_assign(h->multi, fd, events == 0 ? NULL : h);
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
    h->curl = curl;
    h->pid = getpid();
    h->curl_at = -1;
    h->random = (unsigned long)timers_now() ^ (unsigned long)h->pid << 20;
    retry_bucket_init(&h->bucket);
    int e = poller_init(&h->poller);
    if (e == 0) {
        h->multi = curl->multi_init();
        h->share = curl->share_init();
    } else if (e == EMFILE || e == ENFILE) {
        *error = "too many open files";
    }
    if (h->multi == NULL || h->share == NULL) {
        http_delete(h);
        return NULL;
    }
    curl->share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl->multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl->multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl->multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl->multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    *error = NULL;
    return h;
}

bool http_usable(const struct http *h)
{
    return h->pid == getpid();
}

/* ---- the list of changed requests ---- */

static void mark_changed(struct http_request *r)
{
    struct http *h = r->http;
    if (r->detached)
        return;
    h->happened = true;
    if (r->changed)
        return;
    r->changed = true;
    r->changed_prev = h->changed_last;
    r->changed_next = NULL;
    if (h->changed_last != NULL)
        h->changed_last->changed_next = r;
    else
        h->changed = r;
    h->changed_last = r;
}

bool http_take(struct http_request *r)
{
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

struct http_request *http_changed(struct http *h)
{
    struct http_request *r = h->changed;
    if (r != NULL)
        http_take(r);
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
    free(r->options.body);
    if (r->copy != NULL)
        wipe(r->copy, r->copy_len);
    free(r->copy);
    free(r);
}

/* Takes `r` out of the engine's books. */
static void unlink_request(struct http_request *r)
{
    struct http *h = r->http;
    http_take(r);
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

static void drop_transfer(struct http_request *r)
{
    struct transfer *t = r->transfer;
    if (t == NULL)
        return;
    r->transfer = NULL;
    r->http->curl->multi_remove_handle(r->http->multi, t->easy);
    transfer_delete(t);
}

static void end_request(struct http_request *r, enum http_state state)
{
    struct http *h = r->http;
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
        {"first_byte", r->last_byte == 0 ? r->connected : 0,
         l->first_byte_timeout},
        {"idle", r->paused ? 0 : r->last_byte, l->idle_timeout},
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
    if (first)
        arm(r);
    mark_changed(r);
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
    r->connected = r->last_byte = 0;
    r->transfer = transfer_new(h->curl, h->share, r);
    if (r->transfer == NULL ||
        h->curl->multi_add_handle(h->multi, r->transfer->easy) != CURLM_OK) {
        fail(r, FAULT_MEMORY, "not enough memory");
        return;
    }
    arm(r);
}

static double random_fraction(struct http *h)
{
    h->random = h->random * 6364136223846793005ul + 1442695040888963407ul;
    return (double)(h->random >> 40) / (double)(1ul << 24);
}

/* Decides about another try after a failure before any 2xx header. */
static bool try_again(struct http_request *r)
{
    struct http *h = r->http;
    int status = r->response.status;
    const char *body = r->sse.in.data;
    size_t n = r->sse.in.len;
    if (r->detached || (status >= 200 && status < 400) ||
        (status == 0 && !r->retryable))
        return false;
    double delay;
    int64_t now = timers_now();
    if (status == 503 && r->options.loading_wait) {
        double limit = r->options.limits.first_byte_timeout;
        delay = LOADING_WAIT;
        if (limit > 0 &&
            now + (int64_t)(delay * 1e6) > r->started + (int64_t)(limit * 1e6))
            return false;
        r->attempts--;
    } else {
        struct retry_failure f = {
            .attempt = r->attempts - 1,
            .max_retries = r->options.limits.max_retries,
            .status = status,
            .transport = status == 0,
            .quota = n > 0 && retry_quota(body, n),
            .retry_after_ms = r->response.retry_after_ms,
            .retry_after = r->response.retry_after,
            .should_retry = r->response.should_retry,
            .now = (int64_t)time(NULL),
            .random = random_fraction(h),
        };
        if (f.retry_after_ms[0] == '\0')
            f.retry_after_ms = NULL;
        if (f.retry_after[0] == '\0')
            f.retry_after = NULL;
        if (f.should_retry[0] == '\0')
            f.should_retry = NULL;
        delay = retry_delay(&f);
        if (delay < 0)
            return false;
        retry_bucket_failure(&h->bucket);
        if (!retry_bucket_allows(&h->bucket))
            return false;
    }
    drop_transfer(r);
    sse_free(&r->sse);
    r->response = (struct http_response){0};
    r->fault = FAULT_NONE;
    r->waiting = true;
    r->examined = 0;
    r->whole = r->paused = false;
    int64_t at = now + (int64_t)(delay * 1e6);
    const char *phase;
    int64_t limit = next_deadline(r, &phase);
    timers_set(&h->timers, &r->timer, limit >= 0 && limit < at ? limit : at);
    r->attempt_started = at; /* when the next try is due */
    return true;
}

/* The transfer is over: what does it mean? */
static void transfer_done(struct http_request *r, CURLcode result)
{
    transfer_judge(r->transfer, result);
    if (!try_again(r)) {
        if (r->fault == FAULT_NONE && r->response.status < 300)
            retry_bucket_success(&r->http->bucket);
        end_request(r, r->fault == FAULT_NONE ? HTTP_DONE : HTTP_FAILED);
    }
}

static void timer_due(struct http_request *r, int64_t now)
{
    const char *phase = NULL;
    if (r->detached) {
        end_request(r, HTTP_FAILED);
        return;
    }
    if (!r->waiting && r->connected == 0) { /* libcurl before 7.80.0 */
        int64_t us = transfer_connect_time(r->transfer);
        r->connected = us > 0 ? r->attempt_started + us : 0;
    }
    int64_t at = next_deadline(r, &phase);
    if (at < 0 || at > now) {
        if (r->waiting && r->attempt_started <= now)
            start_attempt(r);
        else
            arm(r);
        return;
    }
    static const char *const texts[][2] = {
        {"connect", "no connection within the connect_timeout"},
        {"first_byte", "no answer within the first_byte_timeout"},
        {"idle", "nothing arrived within the idle_timeout"},
        {"total", "the request took longer than its timeout"}};
    r->phase = phase;
    r->fault = FAULT_TIMEOUT;
    for (size_t i = 0; i < 4; i++)
        if (strcmp(phase, texts[i][0]) == 0)
            snprintf(r->message, sizeof r->message, "%s", texts[i][1]);
    r->retryable = strcmp(phase, "total") != 0;
    if (!r->retryable || !try_again(r))
        end_request(r, HTTP_FAILED);
}

enum http_fault http_start(struct http *h, const struct http_options *o,
                           struct http_request **out)
{
    *out = NULL;
    if (!http_usable(h)) {
        free(o->body);
        return FAULT_CLOSED;
    }
    struct http_request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        free(o->body);
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
    r->state = HTTP_RUNNING;
    r->started = timers_now();
    start_attempt(r);
    *out = r;
    return FAULT_NONE;
}

/* A transfer whose name is being looked up cannot be removed without waiting
 * for the resolver's thread. It stays, empty, until curl reports its end. */
static void orphan(struct http_request *r)
{
    transfer_orphan(r->transfer);
    r->transfer = NULL;
}

void http_close(struct http_request *r)
{
    if (r == NULL)
        return;
    struct http *h = r->http;
    if (h != NULL && http_usable(h)) {
        if (r->state == HTTP_RUNNING && !r->detached)
            h->active--;
        if (r->transfer != NULL && transfer_resolving(r->transfer))
            orphan(r);
        drop_transfer(r);
        unlink_request(r);
    } else if (h != NULL) {
        return; /* in a child: the parent's */
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
    http_take(r);
    r->detached = true;
    r->user = NULL;
    r->examined = 0;
    h->active--;
    sse_free(&r->sse);
    timers_set(&h->timers, &r->timer, timers_now() + LINGER);
    if (r->paused)
        h->curl->easy_pause(r->transfer->easy, CURLPAUSE_CONT);
}

void http_drained(struct http_request *r)
{
    r->examined = r->sse.in.len;
    if (!r->paused || r->transfer == NULL || !http_usable(r->http))
        return;
    r->paused = false;
    r->last_byte = timers_now();
    arm(r);
    r->http->curl->easy_pause(r->transfer->easy, CURLPAUSE_CONT);
    r->http->curl_at = timers_now();
}

void http_idle(struct http_request *r, double seconds)
{
    double *limit = &r->options.limits.idle_timeout;
    if (*limit > 0 && *limit <= seconds)
        return;
    *limit = seconds;
    if (r->state == HTTP_RUNNING && http_usable(r->http))
        arm(r);
}

void http_delete(struct http *h)
{
    if (h == NULL)
        return;
    bool usable = http_usable(h);
    while (h->requests != NULL) {
        struct http_request *r = h->requests;
        if (usable && r->transfer != NULL) {
            if (transfer_resolving(r->transfer))
                orphan(r);
            else
                drop_transfer(r);
        }
        r->transfer = NULL;
        if (r->state == HTTP_RUNNING)
            r->state = HTTP_CLOSED;
        bool mine = r->detached;
        unlink_request(r);
        if (mine)
            free_request(r);
    }
    timers_free(&h->timers);
    if (usable) {
        if (h->multi != NULL)
            h->curl->multi_cleanup(h->multi);
        if (h->share != NULL)
            h->curl->share_cleanup(h->share);
        poller_free(&h->poller);
    }
    free(h);
}

/* ---- stepping ---- */

/* Calls curl for a descriptor, or for its timer, and takes out what ended. */
static void act(struct http *h, curl_socket_t fd, int events)
{
    int running, left;
    CURLMsg *m;
    int mask = (events & POLLER_IN ? CURL_CSELECT_IN : 0) |
               (events & POLLER_OUT ? CURL_CSELECT_OUT : 0);
    h->curl->multi_socket_action(h->multi, fd, mask, &running);
    while ((m = h->curl->multi_info_read(h->multi, &left)) != NULL) {
        struct transfer *t = NULL;
        CURLcode result = m->data.result;
        CURL *easy = m->easy_handle;
        if (m->msg != CURLMSG_DONE)
            continue;
        h->curl->easy_getinfo(easy, CURLINFO_PRIVATE, &t);
        if (t->request != NULL) {
            transfer_done(t->request, result);
        } else {
            h->curl->multi_remove_handle(h->multi, easy);
            transfer_delete(t);
        }
    }
}

static int64_t earliest(const struct http *h)
{
    int64_t at = timers_next(&h->timers);
    return h->curl_at >= 0 && (at < 0 || h->curl_at < at) ? h->curl_at : at;
}

static void run_timers(struct http *h)
{
    struct timer *timer;
    int64_t now = timers_now();
    for (int i = 0; i < PASSES && h->curl_at >= 0 && h->curl_at <= now; i++) {
        h->curl_at = -1;
        act(h, CURL_SOCKET_TIMEOUT, 0);
    }
    while ((timer = timers_due(&h->timers, now)) != NULL)
        timer_due((struct http_request *)((char *)timer -
                                          offsetof(struct http_request, timer)),
                  now);
}

/* curl writes to sockets that the peer may have closed: neither that nor the
 * resolver's thread, which inherits the mask, may raise SIGPIPE in the host. */
static void guard_sigpipe(sigset_t *old, bool *pending)
{
    sigset_t set;
    sigpending(&set);
    *pending = sigismember(&set, SIGPIPE);
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, old);
}

static void unguard_sigpipe(const sigset_t *old, bool pending)
{
    sigset_t set;
    int signal;
    sigpending(&set);
    if (!pending && sigismember(&set, SIGPIPE)) {
        sigemptyset(&set);
        sigaddset(&set, SIGPIPE);
        sigwait(&set, &signal);
    }
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

bool http_step(struct http *h, int64_t us)
{
    struct poller_event events[EVENTS];
    sigset_t old;
    bool pending, interrupted = false;
    if (!http_usable(h))
        return false;
    int64_t end = us < 0 ? INT64_MAX : timers_now() + us;
    guard_sigpipe(&old, &pending);
    for (;;) {
        int64_t now = timers_now(), at = earliest(h);
        int64_t wait = h->happened || h->active == 0 ? 0 : end - now;
        if (at >= 0 && at - now < wait)
            wait = at - now;
        int n = poller_wait(&h->poller, events, EVENTS, wait > 0 ? wait : 0);
        interrupted = n < 0;
        for (int i = 0; i < n; i++)
            act(h, events[i].fd, events[i].events);
        run_timers(h);
        if (h->happened || interrupted || h->active == 0 || timers_now() >= end)
            break;
    }
    h->happened = false;
    poller_timer(&h->poller, earliest(h));
    unguard_sigpipe(&old, pending);
    return interrupted;
}

int http_fd(const struct http *h)
{
    return http_usable(h) ? h->poller.fd : -1;
}

int64_t http_timeout(const struct http *h)
{
    int64_t at = earliest(h);
    if (at < 0 || !http_usable(h))
        return -1;
    int64_t left = at - timers_now();
    return left > 0 ? left : 0;
}

size_t http_active(const struct http *h)
{
    return h->active;
}

int http_signals(struct http *h, bool on)
{
    return poller_signals(&h->poller, on);
}

bool http_signalled(struct http *h)
{
    return poller_signalled(&h->poller);
}
