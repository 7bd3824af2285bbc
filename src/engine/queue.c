/*
 * queue.c - see queue.h.
 */
#include "engine/queue.h"

#include "engine/state.h"

void queue_add(struct http_request *r)
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

void queue_remove(struct http_request *r)
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

void queue_come_back(struct http_request *r)
{
    if (r->aside)
        r->http->aside--;
    r->aside = false;
}

struct http_request *queue_next(const struct http *h)
{
    bool room = h->max_running == 0 ||
                h->active - h->queued - h->aside < h->max_running;
    return room ? h->queue : NULL;
}
