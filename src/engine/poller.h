/*
 * poller.h - all sockets and one timer behind a single descriptor.
 *
 * Linux: an epoll set that contains a timerfd. BSD and macOS: a kqueue with
 * EVFILT_TIMER. Elsewhere, or with -DPOLLER_PORTABLE: an array for poll(2),
 * which has no descriptor of its own; a host then uses a timer. The descriptor
 * is readable when poller_wait would find something.
 *
 * Knows nothing of curl and nothing of Lua. All functions from one thread.
 */
#ifndef CHATBOT_POLLER_H
#define CHATBOT_POLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLLER_IN  1
#define POLLER_OUT 2

struct poller_event {
    int fd;
    int events; /* POLLER_IN, POLLER_OUT; both after an error */
};

struct poller {
    bool open;
    int fd;           /* epoll or kqueue; -1 in the portable build */
    int timer_fd;     /* Linux only, else -1 */
    int64_t timer_at; /* when the timer is armed for; -1 when it is not */
    int signal_fd;    /* poller_signals: Linux only, else -1 */
    bool signals;     /* SIGINT is watched */
    bool signalled;   /* SIGINT came since poller_signalled was asked */
    void *set;        /* portable build: the array of struct pollfd */
    size_t len, cap;
};

/* 0, or an errno. After a failure the poller is closed. */
int poller_init(struct poller *p);
void poller_free(struct poller *p);

/* Watches `fd` for `events` (0: no longer). `known` says whether it is
 * watched already. 0, or an errno. */
int poller_watch(struct poller *p, int fd, int events, bool known);

/* Arms the timer for `at` on timers_now's clock, or disarms it (-1). Makes the
 * descriptor readable when due; poller_wait does not report it otherwise than
 * by returning. */
void poller_timer(struct poller *p, int64_t at);

/* Waits up to `us` microseconds (0: not at all, -1: without limit) and fills
 * `ev`. Returns how many, 0 after the time or the timer, -1 when a signal
 * arrived (EINTR) or SIGINT is watched and came. */
int poller_wait(struct poller *p, struct poller_event *ev, int max, int64_t us);

/* While on, SIGINT is not delivered to this thread but ends a poller_wait and
 * is reported by poller_signalled. For programs with a terminal. 0 or errno. */
int poller_signals(struct poller *p, bool on);
bool poller_signalled(struct poller *p);

#endif
