/*
 * step.c - see step.h.
 */
#include "engine/step.h"

#include <stdio.h>

#include "engine/changed.h"
#include "engine/connection.h"
#include "engine/queue.h"
#include "engine/sigpipe.h"
#include "engine/state.h"
#include "engine/tries.h"

#define PASSES 16 /* of curl's timer in one step */

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
        queue_remove(r);
        queue_come_back(r);
        timers_unset(&h->timers, &r->timer);
        h->active--;
        changed_mark(r);
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
        connection_call(h, fd, mask);
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
            tries_done(t->request, result);
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
        tries_timer(
            (struct http_request *)((char *)timer -
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
        int64_t at = changed_earliest(h);
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
    poller_timer(&h->poller, changed_wake_at(h));
    sigpipe_restore(&guard);
    return interrupted;
}
