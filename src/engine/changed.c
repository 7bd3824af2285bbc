/*
 * changed.c - see changed.h.
 */
#include "engine/changed.h"

#include "engine/state.h"

#define PATIENCE 1000000 /* us for which a reader is reminded at once, */
#define REMINDER 100000  /* and from then on after so many us */

int64_t changed_earliest(const struct http *h)
{
    const int64_t other[] = {h->curl_at, h->remind_at};
    int64_t at = timers_next(&h->timers);
    for (size_t i = 0; i < 2; i++)
        if (other[i] >= 0 && (at < 0 || other[i] < at))
            at = other[i];
    return at;
}

int64_t changed_wake_at(const struct http *h)
{
    int64_t at = changed_earliest(h);
    const struct http_request *r = h->watched ? h->changed_last : NULL;
    while (r != NULL && !r->awaited)
        r = r->changed_prev;
    if (r == NULL)
        return at;
    int64_t now = timers_now();
    int64_t wake = now - r->changed_at < PATIENCE ? 0 : now + REMINDER;
    return at >= 0 && at < wake ? at : wake;
}

void changed_mark(struct http_request *r)
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

void changed_wake(struct http *h)
{
    int64_t at = changed_wake_at(h);
    if (at != h->poller.timer_at && http_usable(h))
        poller_timer(&h->poller, at);
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

struct http_request *http_oldest(const struct http *h)
{
    struct http_request *r = h->changed;
    while (r != NULL && !r->served)
        r = r->changed_next;
    return r;
}

struct http_request *http_changed(struct http *h)
{
    struct http_request *r = http_oldest(h);
    if (r != NULL)
        http_take(r);
    else
        changed_wake(h);
    return r;
}

void http_await(struct http_request *r, bool on)
{
    struct http *h = r->http;
    r->awaited = on;
    if (on && h != NULL)
        changed_wake(h);
}

void http_again(struct http_request *r)
{
    if (r->http == NULL)
        return;
    changed_mark(r);
    http_await(r, true);
}
