/*
 * timers.c - see timers.h. A binary heap, the earliest timer on top.
 */
#include "engine/timers.h"

#include <assert.h>
#include <stdlib.h>

static void place(struct timers *t, struct timer *timer, size_t i)
{
    t->heap[i] = timer;
    timer->slot = i + 1;
}

/* Moves `timer` from the hole at `i` to where the heap is in order again. */
static void sift(struct timers *t, struct timer *timer, size_t i)
{
    while (i > 0 && t->heap[(i - 1) / 2]->at > timer->at) {
        place(t, t->heap[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= t->len)
            break;
        if (child + 1 < t->len && t->heap[child + 1]->at < t->heap[child]->at)
            child++;
        if (t->heap[child]->at >= timer->at)
            break;
        place(t, t->heap[child], i);
        i = child;
    }
    place(t, timer, i);
}

bool timers_reserve(struct timers *t, size_t n)
{
    if (n <= t->cap)
        return true;
    size_t cap = n + t->cap;
    struct timer **heap = realloc(t->heap, cap * sizeof *heap);
    if (heap == NULL)
        return false;
    t->heap = heap;
    t->cap = cap;
    return true;
}

void timers_free(struct timers *t)
{
    free(t->heap);
    *t = (struct timers){0};
}

void timers_set(struct timers *t, struct timer *timer, int64_t at)
{
    size_t i = timer->slot;
    if (i == 0) {
        assert(t->len < t->cap);
        i = ++t->len;
    }
    timer->at = at;
    sift(t, timer, i - 1);
}

void timers_unset(struct timers *t, struct timer *timer)
{
    if (timer->slot == 0)
        return;
    size_t hole = timer->slot - 1;
    struct timer *last = t->heap[--t->len];
    timer->slot = 0;
    if (last != timer)
        sift(t, last, hole);
}

struct timer *timers_due(struct timers *t, int64_t now)
{
    if (t->len == 0 || t->heap[0]->at > now)
        return NULL;
    struct timer *timer = t->heap[0];
    timers_unset(t, timer);
    return timer;
}

int64_t timers_next(const struct timers *t)
{
    return t->len == 0 ? -1 : t->heap[0]->at;
}
