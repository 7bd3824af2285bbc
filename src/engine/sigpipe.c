/*
 * sigpipe.c - see sigpipe.h.
 */
#include "engine/sigpipe.h"

#include <stddef.h>

void sigpipe_block(struct sigpipe *s, bool needed)
{
    sigset_t set;
    s->on = needed;
    s->pending = false;
    if (!needed)
        return;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &s->old);
    if (sigismember(&s->old, SIGPIPE)) { /* else none can be pending */
        sigpending(&set);
        s->pending = sigismember(&set, SIGPIPE);
    }
}

void sigpipe_restore(struct sigpipe *s)
{
    sigset_t set;
    int signal;
    if (!s->on)
        return;
    s->on = false;
    sigpending(&set);
    if (!s->pending && sigismember(&set, SIGPIPE)) {
        sigemptyset(&set);
        sigaddset(&set, SIGPIPE);
        sigwait(&set, &signal);
    }
    pthread_sigmask(SIG_SETMASK, &s->old, NULL);
}
