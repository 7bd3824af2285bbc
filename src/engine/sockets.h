/*
 * sockets.h - the sockets that curl has opened, and which of them are idle.
 *
 * What has arrived on a connection while it was idle is no answer to anything,
 * and not every libcurl looks before it uses one again. So we look, and shut
 * down what may not be used again, which every libcurl finds out.
 *
 * A socket is known by its descriptor when curl opens and closes it, and by its
 * addresses when curl says on which connection a request is sent. Knows nothing
 * of curl.
 */
#ifndef CHATBOT_SOCKETS_H
#define CHATBOT_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

struct socket;

struct sockets_list {
    struct socket *first, *last;
};

/* Zeros are a valid start. */
struct sockets {
    struct socket **by_fd;
    size_t size;
    struct sockets_list fresh; /* opened, and no request was sent yet */
    struct sockets_list busy, idle;
    struct sockets_list dead; /* shut down, and still open */
    bool blind; /* there is one that is not known: none counts as idle */
};

void sockets_free(struct sockets *s);

/* `opener` has opened `fd`. False when memory is out. */
bool sockets_add(struct sockets *s, int fd, const void *opener);

/* Before `fd` is closed. curl (7.88) closes some without telling, which are
 * forgotten when their number comes back, or their opener leaves. */
void sockets_remove(struct sockets *s, int fd);

/* Who sends a request, and on which connection. */
struct sockets_user {
    const void *opener; /* which has opened sockets, last of all */
    int fd;             /* this one, or -1 */
    bool multiplexes;   /* its connection may be HTTP/2 */
    const char *peer;
    int peer_port, port; /* our own */
};

/* A request is going to be sent on the connection that the opener has opened,
 * or one that is used again. Returns it, for sockets_leave, also when it is
 * closed before; NULL: not known. *stale: it must not be used again, which curl
 * has not found out, or is so since we have looked. */
struct socket *sockets_use(struct sockets *s, const struct sockets_user *u,
                           bool *stale);

/* It has answered as HTTP/2, where frames of the connection itself may arrive
 * at any time, and an answer names its request. NULL is allowed. */
void sockets_multiplexed(struct socket *k);

/* `opener`, whose request was sent on `k` (NULL: on none), is over. The
 * connection is idle when no other is on it. */
void sockets_leave(struct sockets *s, const void *opener, struct socket *k);

/* Shuts down the idle ones that the peer has closed, and those on which
 * anything has arrived. */
void sockets_check(struct sockets *s);

/* Shuts down all idle ones. Returns how many there were. */
size_t sockets_give_up(struct sockets *s);

#endif
