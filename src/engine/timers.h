/*
 * timers.h - the monotonic clock, and a heap of deadlines.
 *
 * A timer is embedded in what it belongs to; the heap only points to it. The
 * one allocation happens in timers_reserve, so that arming cannot fail.
 * Knows nothing of the rest.
 */
#ifndef CHATBOT_TIMERS_H
#define CHATBOT_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Microseconds on the monotonic clock. */
int64_t os_now(void); /* see os.h, which brings more with it */

static inline int64_t timers_now(void)
{
    return os_now();
}

struct timer {
    int64_t at;  /* when it is due, on timers_now's clock */
    size_t slot; /* 1 + its place in the heap; 0 while not armed */
};

struct timers {
    struct timer **heap;
    size_t len, cap;
};

/* Makes room for `n` armed timers in all. False when memory is out. */
bool timers_reserve(struct timers *t, size_t n);
void timers_free(struct timers *t);

/* Arms `timer`, or moves it when it is armed: O(log n). */
void timers_set(struct timers *t, struct timer *timer, int64_t at);
void timers_unset(struct timers *t, struct timer *timer);

/* Disarms and returns a timer that is due, or NULL. */
struct timer *timers_due(struct timers *t, int64_t now);

/* When the earliest is due; -1 when none is armed. */
int64_t timers_next(const struct timers *t);

#endif
