/*
 * poller.c - see poller.h. Three backends, one behind each #if: epoll, kqueue,
 * poll.
 */
#include "engine/poller.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/timers.h"

#if defined(POLLER_PORTABLE)
#include <poll.h>
#elif defined(__linux__) && !defined(POLLER_KQUEUE)
#define POLLER_EPOLL 1
#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) ||    \
    defined(__NetBSD__) || defined(__DragonFly__) || defined(POLLER_KQUEUE)
#ifndef POLLER_KQUEUE
#define POLLER_KQUEUE 1
#endif
#include <fcntl.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#else
#define POLLER_PORTABLE 1
#include <poll.h>
#endif

#define BATCH 64 /* events taken from the kernel at once */

#ifndef POLLER_KQUEUE
/* `us` rounded up to milliseconds, as poll and epoll_wait take them. */
static int to_ms(int64_t us)
{
    if (us < 0)
        return -1;
    if (us > (int64_t)86400 * 1000000)
        us = (int64_t)86400 * 1000000;
    return (int)((us + 999) / 1000);
}
#endif

#if defined(POLLER_EPOLL)

static int watch_raw(struct poller *p, int fd, uint32_t events, int op)
{
    struct epoll_event ev = {.events = events, .data = {.fd = fd}};
    return epoll_ctl(p->fd, op, fd, &ev) == 0 ? 0 : errno;
}

int poller_init(struct poller *p)
{
    *p = (struct poller){
        .fd = -1, .timer_fd = -1, .timer_at = -1, .signal_fd = -1};
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int error = p->fd < 0 || p->timer_fd < 0
                    ? errno
                    : watch_raw(p, p->timer_fd, EPOLLIN, EPOLL_CTL_ADD);
    p->open = true;
    if (error != 0)
        poller_free(p);
    return error;
}

void poller_free(struct poller *p)
{
    if (!p->open)
        return;
    poller_signals(p, false);
    if (p->timer_fd >= 0)
        close(p->timer_fd);
    if (p->fd >= 0)
        close(p->fd);
    *p = (struct poller){
        .fd = -1, .timer_fd = -1, .timer_at = -1, .signal_fd = -1};
}

int poller_watch(struct poller *p, int fd, int events, bool known)
{
    uint32_t want = (events & POLLER_IN ? (uint32_t)EPOLLIN : 0u) |
                    (events & POLLER_OUT ? (uint32_t)EPOLLOUT : 0u);
    if (events == 0) {
        watch_raw(p, fd, 0, EPOLL_CTL_DEL); /* may be closed already */
        return 0;
    }
    int error = watch_raw(p, fd, want, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD);
    if (error == ENOENT || error == EEXIST) /* the number was used anew */
        error = watch_raw(p, fd, want, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
    return error;
}

void poller_timer(struct poller *p, int64_t at)
{
    if (at == p->timer_at)
        return;
    p->timer_at = at;
    struct itimerspec spec = {0};
    if (at >= 0) {
        if (at == 0)
            at = 1; /* a zero time would disarm it */
        spec.it_value.tv_sec = (time_t)(at / 1000000);
        spec.it_value.tv_nsec = (long)(at % 1000000) * 1000;
    }
    timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

int poller_wait(struct poller *p, struct poller_event *ev, int max, int64_t us)
{
    struct epoll_event got[BATCH];
    int n = epoll_wait(p->fd, got, max < BATCH ? max : BATCH, to_ms(us));
    if (n < 0)
        return errno == EINTR ? -1 : 0;
    int out = 0;
    bool interrupted = false;
    for (int i = 0; i < n; i++) {
        uint32_t e = got[i].events;
        if (got[i].data.fd == p->timer_fd) {
            uint64_t times;
            if (read(p->timer_fd, &times, sizeof times) > 0)
                p->timer_at = -1;
        } else if (got[i].data.fd == p->signal_fd) {
            struct signalfd_siginfo info;
            while (read(p->signal_fd, &info, sizeof info) > 0)
                p->signalled = true;
            interrupted = true;
        } else {
            ev[out].fd = got[i].data.fd;
            ev[out].events =
                (e & EPOLLIN ? POLLER_IN : 0) | (e & EPOLLOUT ? POLLER_OUT : 0);
            if (e & (EPOLLERR | EPOLLHUP))
                ev[out].events |= POLLER_IN | POLLER_OUT;
            out++;
        }
    }
    return out == 0 && interrupted ? -1 : out;
}

int poller_signals(struct poller *p, bool on)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    if (on == p->signals)
        return 0;
    if (!on) { /* one that has come meanwhile was meant for us */
        struct signalfd_siginfo info;
        while (read(p->signal_fd, &info, sizeof info) > 0)
            ;
        p->signals = false;
        watch_raw(p, p->signal_fd, 0, EPOLL_CTL_DEL);
        close(p->signal_fd);
        p->signal_fd = -1;
        return pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (p->signal_fd < 0)
        return errno;
    int error = watch_raw(p, p->signal_fd, EPOLLIN, EPOLL_CTL_ADD);
    if (error == 0)
        error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error != 0) {
        close(p->signal_fd);
        p->signal_fd = -1;
        return error;
    }
    p->signals = true;
    p->signalled = false;
    return 0;
}

#elif defined(POLLER_KQUEUE)

#define TIMER_IDENT 0

static int change(struct poller *p, uintptr_t ident, int filter, int flags,
                  int64_t data)
{
    struct kevent ev;
    EV_SET(&ev, ident, (short)filter, (unsigned short)flags, 0,
           (__typeof__(ev.data))data, NULL);
    return kevent(p->fd, &ev, 1, NULL, 0, NULL) == 0 ? 0 : errno;
}

int poller_init(struct poller *p)
{
    *p = (struct poller){
        .fd = -1, .timer_fd = -1, .timer_at = -1, .signal_fd = -1};
    p->fd = kqueue();
    if (p->fd < 0)
        return errno;
    fcntl(p->fd, F_SETFD, FD_CLOEXEC);
    p->open = true;
    return 0;
}

void poller_free(struct poller *p)
{
    if (!p->open)
        return;
    poller_signals(p, false);
    close(p->fd);
    *p = (struct poller){
        .fd = -1, .timer_fd = -1, .timer_at = -1, .signal_fd = -1};
}

int poller_watch(struct poller *p, int fd, int events, bool known)
{
    (void)known;
    uintptr_t ident = (uintptr_t)fd;
    int error = 0;
    if (events & POLLER_IN)
        error = change(p, ident, EVFILT_READ, EV_ADD, 0);
    else
        change(p, ident, EVFILT_READ, EV_DELETE, 0);
    if (error == 0 && (events & POLLER_OUT))
        error = change(p, ident, EVFILT_WRITE, EV_ADD, 0);
    else if (!(events & POLLER_OUT))
        change(p, ident, EVFILT_WRITE, EV_DELETE, 0);
    return error;
}

void poller_timer(struct poller *p, int64_t at)
{
    if (at == p->timer_at)
        return;
    p->timer_at = at;
    if (at < 0) {
        change(p, TIMER_IDENT, EVFILT_TIMER, EV_DELETE, 0);
        return;
    }
    int64_t ms = (at - timers_now() + 999) / 1000;
    change(p, TIMER_IDENT, EVFILT_TIMER, EV_ADD | EV_ONESHOT, ms > 0 ? ms : 1);
}

int poller_wait(struct poller *p, struct poller_event *ev, int max, int64_t us)
{
    struct kevent got[BATCH];
    struct timespec ts = {0};
    if (us > 0) {
        ts.tv_sec = (time_t)(us / 1000000);
        ts.tv_nsec = (long)(us % 1000000) * 1000;
    }
    int n = kevent(p->fd, NULL, 0, got, max < BATCH ? max : BATCH,
                   us < 0 ? NULL : &ts);
    if (n < 0)
        return errno == EINTR ? -1 : 0;
    int out = 0;
    bool interrupted = false;
    for (int i = 0; i < n; i++) {
        if (got[i].filter == EVFILT_TIMER) {
            p->timer_at = -1;
        } else if (got[i].filter == EVFILT_SIGNAL) {
            p->signalled = interrupted = true;
        } else {
            ev[out].fd = (int)got[i].ident;
            ev[out].events =
                got[i].filter == EVFILT_WRITE ? POLLER_OUT : POLLER_IN;
            if (got[i].flags & EV_ERROR)
                ev[out].events = POLLER_IN | POLLER_OUT;
            out++;
        }
    }
    return out == 0 && interrupted ? -1 : out;
}

int poller_signals(struct poller *p, bool on)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    if (on == p->signals)
        return 0;
    int error = change(p, SIGINT, EVFILT_SIGNAL, on ? EV_ADD : EV_DELETE, 0);
    sigset_t pending;
    int number;
    if (!on && sigpending(&pending) == 0 && sigismember(&pending, SIGINT) == 1)
        sigwait(&set, &number); /* the filter saw it, but it still waits */
    if (error == 0)
        error = pthread_sigmask(on ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
    if (error == 0) {
        p->signals = on;
        p->signalled = false;
    }
    return error;
}

#else /* POLLER_PORTABLE */

int poller_init(struct poller *p)
{
    *p = (struct poller){.open = true,
                         .fd = -1,
                         .timer_fd = -1,
                         .timer_at = -1,
                         .signal_fd = -1};
    return 0;
}

void poller_free(struct poller *p)
{
    free(p->set);
    *p = (struct poller){
        .fd = -1, .timer_fd = -1, .timer_at = -1, .signal_fd = -1};
}

int poller_watch(struct poller *p, int fd, int events, bool known)
{
    struct pollfd *set = p->set;
    size_t i = 0;
    (void)known;
    while (i < p->len && set[i].fd != fd)
        i++;
    if (events == 0) {
        if (i < p->len)
            set[i] = set[--p->len];
        return 0;
    }
    if (i == p->cap) {
        size_t cap = p->cap * 2 + 8;
        set = realloc(p->set, cap * sizeof *set);
        if (set == NULL)
            return ENOMEM;
        p->set = set;
        p->cap = cap;
    }
    if (i == p->len)
        p->len++;
    set[i].fd = fd;
    set[i].revents = 0;
    set[i].events = (short)((events & POLLER_IN ? POLLIN : 0) |
                            (events & POLLER_OUT ? POLLOUT : 0));
    return 0;
}

void poller_timer(struct poller *p, int64_t at)
{
    p->timer_at = at;
}

int poller_wait(struct poller *p, struct poller_event *ev, int max, int64_t us)
{
    struct pollfd *set = p->set;
    int n = poll(set, (nfds_t)p->len, to_ms(us));
    if (n < 0)
        return errno == EINTR ? -1 : 0;
    int out = 0;
    for (size_t i = 0; i < p->len && out < max && out < n; i++) {
        short e = set[i].revents;
        if (e == 0)
            continue;
        ev[out].fd = set[i].fd;
        ev[out].events =
            (e & POLLIN ? POLLER_IN : 0) | (e & POLLOUT ? POLLER_OUT : 0);
        if (e & (POLLERR | POLLHUP | POLLNVAL))
            ev[out].events |= POLLER_IN | POLLER_OUT;
        out++;
    }
    return out;
}

int poller_signals(struct poller *p, bool on)
{
    (void)p;
    return on ? ENOSYS : 0;
}

#endif

bool poller_signalled(struct poller *p)
{
    bool was = p->signalled;
    p->signalled = false;
    return was;
}
