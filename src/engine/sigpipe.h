/*
 * sigpipe.h - keeps SIGPIPE from the host while libcurl works.
 *
 * libcurl writes to sockets that the peer may have closed, also when it only
 * ends a TLS connection: neither that nor the resolver's thread, which inherits
 * the mask, may raise SIGPIPE. Where libcurl itself sends to a plain socket it
 * does so with MSG_NOSIGNAL, and nothing needs to be kept off.
 */
#ifndef CHATBOT_SIGPIPE_H
#define CHATBOT_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct sigpipe {
    sigset_t old;
    bool on, pending;
};

/* Blocks SIGPIPE for this thread; `needed` false: does nothing. */
void sigpipe_block(struct sigpipe *s, bool needed);

/* Ends the block, and takes out a SIGPIPE that came meanwhile. Nothing when it
 * is not on. */
void sigpipe_restore(struct sigpipe *s);

#endif
