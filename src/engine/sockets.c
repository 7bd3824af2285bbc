/*
 * sockets.c - see sockets.h. Each socket is on one of four lists, those that
 * came first in front, as curl has them: so what is looked for is soon found.
 */
#include "engine/sockets.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/os.h"

struct socket {
    struct socket *prev, *next;
    struct sockets_list *list; /* NULL: on none */
    const void *opener;        /* of a fresh one */
    uint64_t name;             /* of one that is not */
    unsigned users;
    int fd; /* -1 when it is closed */
    bool multiplexed;
};

/* ---- the lists ---- */

static void move(struct socket *k, struct sockets_list *list)
{
    if (k->list != NULL) {
        *(k->prev != NULL ? &k->prev->next : &k->list->first) = k->next;
        *(k->next != NULL ? &k->next->prev : &k->list->last) = k->prev;
    }
    k->list = list;
    k->prev = k->next = NULL;
    if (list == NULL)
        return;
    k->prev = list->last;
    *(k->prev != NULL ? &k->prev->next : &list->first) = k;
    list->last = k;
}

/* ---- what curl tells ---- */

void sockets_free(struct sockets *s)
{
    for (size_t i = 0; i < s->size; i++)
        free(s->by_fd[i]);
    free(s->by_fd);
    *s = (struct sockets){0};
}

void sockets_remove(struct sockets *s, int fd)
{
    struct socket *k = (size_t)fd < s->size ? s->by_fd[fd] : NULL;
    if (k == NULL)
        return;
    s->by_fd[fd] = NULL;
    k->fd = -1;
    move(k, NULL);
    if (k->users == 0)
        free(k);
}

bool sockets_add(struct sockets *s, int fd, const void *opener)
{
    size_t size = s->size == 0 ? 64 : s->size;
    while (size <= (size_t)fd)
        size *= 2;
    if (size > s->size) {
        struct socket **all = realloc(s->by_fd, size * sizeof *all);
        if (all == NULL)
            return false;
        memset(all + s->size, 0, (size - s->size) * sizeof *all);
        s->by_fd = all;
        s->size = size;
    }
    sockets_remove(s, fd);
    struct socket *k = calloc(1, sizeof *k);
    if (k == NULL)
        return false;
    k->fd = fd;
    k->opener = opener;
    s->by_fd[fd] = k;
    move(k, &s->fresh);
    return true;
}

/* One port may belong to several connections, to different peers. */
static uint64_t name_of(const char *peer, int peer_port, int port)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *peer != '\0'; peer++)
        h = (h ^ (unsigned char)*peer) * 1099511628211u;
    return (h << 32) ^ ((uint64_t)(peer_port & 0xFFFF) << 16) ^
           (uint64_t)(port & 0xFFFF);
}

static struct socket *named(struct socket *k, uint64_t name)
{
    while (k != NULL && k->name != name)
        k = k->next;
    return k;
}

/* The one that `opener` (NULL: anybody) has opened and that has this port. */
static struct socket *opened(struct socket *k, const void *opener, int port)
{
    while (k != NULL && ((opener != NULL && k->opener != opener) ||
                         os_socket_port(k->fd) != port))
        k = k->next;
    return k;
}

/* Whether anything can be read, be it an end or an error. */
static bool is_readable(int fd)
{
    struct os_asked asked = {.fd = fd};
    os_ask(&asked, 1);
    return asked.yes;
}

/* Whether `u` may not send on one that was used before. Where it is in use
 * still, curl has just ended that, or it is HTTP/2. */
static bool is_stale(const struct sockets *s, const struct socket *k,
                     const struct sockets_user *u)
{
    if (k->list == &s->dead || k->fd < 0)
        return true;
    return !k->multiplexed && !(k->users > 0 && u->multiplexes) &&
           is_readable(k->fd);
}

struct socket *sockets_use(struct sockets *s, const struct sockets_user *u,
                           bool *stale)
{
    uint64_t name = name_of(u->peer, u->peer_port, u->port);
    struct socket *const used[] = {s->idle.first, s->busy.first, s->dead.first};
    struct socket *k = u->fd < 0 ? NULL : s->by_fd[u->fd];
    *stale = false;
    if (k == NULL || k->opener != u->opener || os_socket_port(u->fd) != u->port)
        k = opened(s->fresh.first, u->opener, u->port);
    for (size_t i = 0; k == NULL && i < sizeof used / sizeof *used; i++) {
        k = named(used[i], name);
        *stale = k != NULL && is_stale(s, k, u);
    }
    if (k == NULL)
        k = opened(s->fresh.first, NULL, u->port);
    if (k == NULL) {
        s->blind = true;
        return NULL;
    }
    k->opener = NULL;
    k->name = name;
    k->users++;
    move(k, &s->busy);
    return k;
}

void sockets_multiplexed(struct socket *k)
{
    if (k != NULL)
        k->multiplexed = true;
}

void sockets_leave(struct sockets *s, const void *opener, struct socket *k)
{
    if (k != NULL && --k->users == 0) {
        if (k->fd >= 0)
            move(k, &s->idle);
        else
            free(k);
    }
    for (struct socket *next, *at = k == NULL ? s->fresh.first : NULL;
         at != NULL; at = next) {
        next = at->next;
        if (at->opener == opener)
            sockets_remove(s, at->fd);
    }
}

/* ---- idle ones ---- */

static void kill_socket(struct sockets *s, struct socket *k)
{
    move(k, &s->dead);
    os_socket_kill(k->fd);
}

void sockets_check(struct sockets *s)
{
    struct os_asked asked[OS_ASKED];
    struct socket *of[OS_ASKED], *k = s->blind ? NULL : s->idle.first;
    while (k != NULL) {
        size_t n = 0;
        for (; k != NULL && n < OS_ASKED; k = k->next) {
            asked[n] = (struct os_asked){.fd = k->fd, .ended = k->multiplexed};
            of[n++] = k;
        }
        os_ask(asked, n);
        while (n-- > 0)
            if (asked[n].yes)
                kill_socket(s, of[n]);
    }
}

size_t sockets_give_up(struct sockets *s)
{
    size_t n = 0;
    for (; !s->blind && s->idle.first != NULL; n++)
        kill_socket(s, s->idle.first);
    return n;
}
