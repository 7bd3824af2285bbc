/*
 * http.c - see http.h. The multi handle made and ended, and what callers do
 * with their requests.
 *
 * curl's callbacks come in while http_step, http_close, http_drained or
 * http_start call curl. They only change fields of a request and of `struct
 * http`.
 */
#include "engine/http.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/clocks.h"
#include "engine/connection.h"
#include "engine/os.h"
#include "engine/queue.h"
#include "engine/sigpipe.h"
#include "engine/state.h"
#include "engine/tries.h"
#include "engine/warm.h"

#define LINGER   1000000 /* us a complete request may still take */
#define INTERVAL 10000   /* us between two steps without a descriptor */
#define LOOKUPS  256     /* names that hang and keep none waiting */

/* From 8.20.0 on the threads that look names up belong to the multi handle.
 * Older versions refuse these options. */
#define OPT_THREADS    ((CURLMoption)20)
#define OPT_QUICK_EXIT ((CURLMoption)21)

/* ---- curl's callbacks of the multi handle ---- */

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
    h->curl = h->shared.curl = curl;
    h->shared.progress = clocks_progress;
    h->shared.pause = clocks_pause;
    h->pid = os_process();
    h->curl_at = h->remind_at = -1;
    state_seed(h);
    int e = poller_init(&h->poller);
    if (e == 0) {
        h->multi = curl->multi_init();
        h->shared.tls = curl->share_init();
    } else if (os_is_exhausted(e)) {
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

bool http_broken(const struct http *h)
{
    return h->broken && h->pid == os_process();
}

bool http_foreign(struct http *h)
{
    if (h->pid == os_process())
        return false;
    /* in a grandchild, a number of before may be its own */
    for (struct http_request *r = h->pid == 0 ? NULL : h->requests; r != NULL;
         r = r->next)
        if (!r->detached) {
            r->state = HTTP_CLOSED;
            changed_mark(r);
        }
    h->pid = 0;
    h->active = 0;
    return true;
}

void http_set_concurrent(struct http *h, size_t max)
{
    h->max_running = max;
    if (http_usable(h))
        tries_start(h);
}

enum http_fault http_start(struct http *h, struct http_options *o,
                           struct http_request **out)
{
    *out = NULL;
    if (!http_usable(h)) {
        body_free(&o->body);
        return FAULT_CLOSED;
    }
    struct http_request *r = request_new(o);
    if (r == NULL)
        return FAULT_MEMORY;
    if (!timers_reserve(&h->timers, h->count + 1)) {
        request_free(r);
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
    queue_add(r);
    tries_start(h);
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
        if (h->pid == os_process()) /* else it is the parent's */
            connection_drop(r);
        tries_unlink(r);
        if (http_usable(h))
            tries_start(h);
    }
    request_free(r);
}

void http_finish(struct http_request *r)
{
    if (r->http == NULL || !http_usable(r->http) || r->state != HTTP_RUNNING ||
        r->transfer == NULL) {
        http_close(r);
        return;
    }
    struct http *h = r->http;
    tries_note_success(r);
    http_take(r);
    r->detached = true;
    r->user = NULL;
    r->examined = 0;
    h->active--;
    sse_free(&r->sse);
    timers_set(&h->timers, &r->timer, timers_now() + LINGER);
    if (r->paused)
        tries_resume(r);
    tries_start(h);
}

void http_drained(struct http_request *r)
{
    r->examined = r->sse.in.len;
    if (r->options.limits.event_timeout > 0 && r->state == HTTP_RUNNING &&
        http_usable(r->http))
        clocks_arm(r);
    if (!r->paused || r->transfer == NULL || !http_usable(r->http))
        return;
    r->last_byte = timers_now();
    tries_resume(r);
    if (r->state == HTTP_RUNNING)
        clocks_arm(r);
}

void http_event(struct http_request *r)
{
    if (r->options.limits.event_timeout > 0) /* else nobody asks */
        r->last_event = timers_now();
}

void http_grace(struct http_request *r, double seconds)
{
    r->grace_from = timers_now();
    r->grace = seconds;
    if (r->state == HTTP_RUNNING && http_usable(r->http))
        clocks_arm(r);
}

bool http_refuse(struct http_request *r, int status)
{
    int was = r->response.status;
    if (r->http == NULL || !http_usable(r->http))
        return false;
    r->response.status = status;
    if (!tries_again(r)) {
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
            connection_drop(r);
        r->transfer = NULL;
        if (r->state == HTTP_RUNNING)
            r->state = HTTP_CLOSED;
        bool mine = r->detached;
        tries_unlink(r);
        if (mine)
            request_free(r);
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
    if (h->pid == os_process())
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
    changed_wake(h);
}

int http_fd(struct http *h)
{
    h->watched = true;
    return http_usable(h) ? h->poller.fd : -1;
}

int64_t http_timeout(const struct http *h)
{
    int64_t at = changed_earliest(h);
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
