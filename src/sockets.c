/*
 * sockets.c - see sockets.h.
 */
#include "sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH   64 /* sockets asked about at once */
#define HANDFUL 8  /* descriptors that connecting may need */

#ifndef POLLRDHUP
#define POLLRDHUP 0 /* curl finds out by itself, or by failing */
#endif

struct sockets_entry {
    uint64_t id, name;
    const void *opener; /* NULL once a request was sent on it */
    unsigned users;
    int fd;
    bool multiplexed, dead;
};

void sockets_free(struct sockets *s)
{
    free(s->all);
    *s = (struct sockets){0};
}

void sockets_remove(struct sockets *s, int fd)
{
    for (size_t i = 0; i < s->len; i++)
        if (s->all[i].fd == fd) {
            s->all[i] = s->all[--s->len];
            return;
        }
}

bool sockets_add(struct sockets *s, int fd, const void *opener)
{
    sockets_remove(s, fd);
    if (s->len == s->cap) {
        size_t cap = s->cap == 0 ? 16 : 2 * s->cap;
        struct sockets_entry *all = realloc(s->all, cap * sizeof *all);
        if (all == NULL)
            return false;
        s->all = all;
        s->cap = cap;
    }
    s->all[s->len++] =
        (struct sockets_entry){.id = ++s->last_id, .fd = fd, .opener = opener};
    return true;
}

int sockets_port(const struct sockaddr *at)
{
    struct sockaddr_in to4;
    struct sockaddr_in6 to6;
    if (at->sa_family == AF_INET) {
        memcpy(&to4, at, sizeof to4);
        return ntohs(to4.sin_port);
    }
    if (at->sa_family != AF_INET6)
        return 0;
    memcpy(&to6, at, sizeof to6);
    return ntohs(to6.sin6_port);
}

static int local_port(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t n = sizeof at;
    return getsockname(fd, (struct sockaddr *)&at, &n) != 0
               ? -1
               : sockets_port((struct sockaddr *)&at);
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

uint64_t sockets_use(struct sockets *s, const void *opener, const char *peer,
                     int peer_port, int port)
{
    struct sockets_entry *found = NULL;
    uint64_t name = name_of(peer, peer_port, port);
    for (size_t i = 0; i < s->len && found == NULL; i++) {
        struct sockets_entry *e = &s->all[i];
        if (e->name != 0 ? e->name == name
                         : e->opener == opener && local_port(e->fd) == port)
            found = e;
    }
    /* one that another has opened, and not used yet */
    for (size_t i = 0; i < s->len && found == NULL; i++)
        if (s->all[i].name == 0 && local_port(s->all[i].fd) == port)
            found = &s->all[i];
    if (found == NULL) {
        s->blind = true;
        return 0;
    }
    found->opener = NULL;
    found->name = name;
    found->users++;
    return found->id;
}

static struct sockets_entry *find(struct sockets *s, uint64_t id)
{
    for (size_t i = 0; i < s->len; i++)
        if (s->all[i].id == id)
            return &s->all[i];
    return NULL;
}

void sockets_multiplexed(struct sockets *s, uint64_t id)
{
    struct sockets_entry *e = find(s, id);
    if (e != NULL)
        e->multiplexed = true;
}

void sockets_leave(struct sockets *s, const void *opener, uint64_t id)
{
    struct sockets_entry *e = find(s, id);
    if (e != NULL)
        e->users--;
    for (size_t i = s->len; i-- > 0;)
        if (s->all[i].opener == opener)
            s->all[i] = s->all[--s->len];
}

/* ---- idle ones ---- */

static bool idle(const struct sockets *s, const struct sockets_entry *e)
{
    return !s->blind && e->users == 0 && e->name != 0 && !e->dead;
}

/* What has arrived is taken out, because TLS looks at what can be read and not
 * at the end behind it. Nothing can follow it: the kernel answers with RST. */
static void kill_socket(struct sockets_entry *e)
{
    char rest[16384];
    e->dead = true;
    shutdown(e->fd, SHUT_RDWR);
    while (recv(e->fd, rest, sizeof rest, MSG_DONTWAIT) > 0)
        ;
}

void sockets_check(struct sockets *s)
{
    struct pollfd asked[BATCH];
    struct sockets_entry *entry[BATCH];
    for (size_t i = 0; i < s->len;) {
        nfds_t n = 0;
        for (; i < s->len && n < BATCH; i++) {
            struct sockets_entry *e = &s->all[i];
            if (!idle(s, e))
                continue;
            short what = e->multiplexed ? POLLRDHUP : POLLIN;
            asked[n] = (struct pollfd){.fd = e->fd, .events = what};
            entry[n++] = e;
        }
        if (n == 0 || poll(asked, n, 0) <= 0)
            continue;
        for (nfds_t k = 0; k < n; k++)
            if (asked[k].revents != 0)
                kill_socket(entry[k]);
    }
}

size_t sockets_give_up(struct sockets *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->len; i++)
        if (idle(s, &s->all[i])) {
            kill_socket(&s->all[i]);
            n++;
        }
    return n;
}

bool sockets_exhausted(void)
{
    int fds[HANDFUL], n = 0;
    while (n < HANDFUL &&
           (fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    bool exhausted = n < HANDFUL;
    while (n > 0)
        close(fds[--n]);
    return exhausted;
}
