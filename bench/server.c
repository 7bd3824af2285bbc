/*
 * server.c - the bench's server: answers every POST with a stream of events on
 * 127.0.0.1, as fast as the client reads or at a given pace.
 *
 *     server [CERTIFICATE KEY]   prints "PORT TLS_PORT" (0: no TLS), serves
 * until its standard input ends
 *
 * The first part of a request's path says what is wanted:
 *     /EVENTS-BATCH-RATE-CROWD/...   BATCH events to a write; RATE > 0: one
 *     write of each stream RATE times a second, the first when CROWD streams
 *     are there; where they are several, none ends before all have had their
 *     last event. The text of paced events is "STREAM:MICROSECONDS " with the
 *     monotonic clock at the moment of the write.
 *
 * The end of the path says in which dialect: chat completions, or those of
 * .../responses and .../messages.
 *
 * Linux only, one thread. Knows just enough HTTP/1.1 for the clients here: one
 * request at a time on a connection, keep-alive, bodies with Content-Length.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "events.h"

#define MAX_FDS  65536
#define MAX_HEAD 8192
#define WRITES   16 /* of one flooding stream before it is another's turn */

struct stream {
    int fd; /* 0: the slot is free */
    SSL *ssl;
    bool secure; /* the handshake is done */
    char head[MAX_HEAD + 1];
    size_t head_len;
    size_t body_left;  /* of the request */
    long id, requests; /* of the connection */
    enum events_dialect dialect;
    long sent;           /* events */
    bool answering;      /* a stream is under way */
    bool crowded;        /* it ends one period after its last event */
    long left, batch;    /* events, events to a write */
    int64_t period;      /* us between two writes; 0: a flood */
    int64_t due;         /* the next write */
    struct stream *next; /* in the queue of paced streams */
    char *out;           /* what could not be written yet */
    size_t out_len, out_at;
    uint32_t watched;
};

struct server {
    int epoll;
    SSL_CTX *tls;
    struct stream *streams[MAX_FDS];
    struct stream *first, *last; /* paced streams, the next one due first */
    struct stream *crowd;        /* those that wait for the others */
    long waiting, ids;
    char *flood, *chunk; /* of `room` bytes: events, and a chunk of them */
    size_t room;
};

static struct server s;

static int64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- events ---- */

/* Puts `n` bytes at `data` into one HTTP chunk at `to`. */
static size_t chunk(char *to, const char *data, size_t n)
{
    size_t len = (size_t)sprintf(to, "%zx\r\n", n);
    memcpy(to + len, data, n);
    memcpy(to + len + n, "\r\n", 2);
    return len + n + 2;
}

/* Makes a write of `n` events, each anew as a real server does: about two
 * million a second, so that a client that is faster has to wait, and is not
 * charged for the kernel's work of the sender. */
static size_t make_flood(struct stream *c, long n)
{
    size_t room = (size_t)n * EVENTS_MAX + 64, len = 0;
    if (room > s.room) {
        s.room = room;
        s.flood = realloc(s.flood, room);
        s.chunk = realloc(s.chunk, room);
        if (s.flood == NULL || s.chunk == NULL)
            die("realloc");
    }
    for (long i = 0; i < n; i++)
        len += events_delta(c->dialect, s.flood + len, room - len, c->sent++);
    return chunk(s.chunk, s.flood, len);
}

/* ---- connections ---- */

static void watch(struct stream *c, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data = {.fd = c->fd}};
    if (c->watched == events)
        return;
    epoll_ctl(s.epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev);
    c->watched = events;
}

static void unlink_from(struct stream **list, struct stream *c)
{
    struct stream *before = NULL;
    for (struct stream *at = *list; at != NULL; before = at, at = at->next)
        if (at == c) {
            if (before == NULL)
                *list = c->next;
            else
                before->next = c->next;
            if (list == &s.first && s.last == c)
                s.last = before;
            return;
        }
}

static void drop(struct stream *c)
{
    if (c->answering && c->period > 0) {
        unlink_from(&s.first, c);
        unlink_from(&s.crowd, c);
    }
    s.streams[c->fd] = NULL;
    if (c->ssl != NULL) {
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    close(c->fd);
    free(c->out);
    free(c);
}

/* How many bytes were taken; 0: none now, -1: the connection is over. */
static ssize_t put(struct stream *c, const char *data, size_t n)
{
    if (c->ssl != NULL) {
        int done = SSL_write(c->ssl, data, (int)n);
        if (done > 0)
            return done;
        int e = SSL_get_error(c->ssl, done);
        return e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ ? 0 : -1;
    }
    ssize_t done = send(c->fd, data, n, MSG_NOSIGNAL);
    return done >= 0 ? done : errno == EAGAIN ? 0 : -1;
}

/* Writes, or keeps what cannot be written. False: the connection is over. */
static bool write_all(struct stream *c, const char *data, size_t n)
{
    ssize_t done = c->out == NULL ? put(c, data, n) : 0;
    if (done < 0)
        return false;
    if ((size_t)done == n)
        return true;
    size_t rest = n - (size_t)done;
    c->out = realloc(c->out, c->out_len + rest);
    if (c->out == NULL)
        die("realloc");
    memcpy(c->out + c->out_len, data + done, rest);
    c->out_len += rest;
    watch(c, EPOLLIN | EPOLLOUT);
    return true;
}

/* Writes what was kept. 1: all, 0: not all, -1: the connection is over. */
static int flush(struct stream *c)
{
    while (c->out_at < c->out_len) {
        ssize_t n = put(c, c->out + c->out_at, c->out_len - c->out_at);
        if (n <= 0)
            return (int)n;
        c->out_at += (size_t)n;
    }
    free(c->out);
    c->out = NULL;
    c->out_len = c->out_at = 0;
    return 1;
}

static bool end_stream(struct stream *c)
{
    char text[2048], all[2200];
    size_t n = events_end(c->dialect, text, sizeof text);
    n = chunk(all, text, n);
    memcpy(all + n, "0\r\n\r\n", 5);
    c->answering = false;
    return write_all(c, all, n + 5);
}

/* The next write of a stream. False: the connection is over. */
static bool send_batch(struct stream *c)
{
    char text[1024], word[64], all[1100];
    long n = c->left < c->batch ? c->left : c->batch;
    c->left -= n;
    if (c->period == 0) {
        size_t all_len = make_flood(c, n);
        return write_all(c, s.chunk, all_len);
    }
    events_print(word, sizeof word, "%ld:%lld ", c->id, (long long)now());
    size_t len = events_text(c->dialect, text, sizeof text, c->sent++, word);
    return write_all(c, all, chunk(all, text, len));
}

/* Floods for a while. False: the connection is over. */
static bool flood(struct stream *c)
{
    for (int i = 0; i < WRITES && c->left > 0; i++) {
        if (!send_batch(c))
            return false;
        if (c->out != NULL)
            return true;
    }
    if (c->left == 0) {
        if (!end_stream(c))
            return false;
        if (c->out == NULL)
            watch(c, EPOLLIN);
    } else {
        watch(c, EPOLLIN | EPOLLOUT);
    }
    return true;
}

static void queue(struct stream *c)
{
    c->next = NULL;
    if (s.last != NULL)
        s.last->next = c;
    else
        s.first = c;
    s.last = c;
}

/* All streams of the crowd begin, spread over one period. */
static void begin_crowd(void)
{
    long i = 0, n = s.waiting;
    int64_t start = now();
    struct stream *c = s.crowd;
    s.crowd = NULL;
    s.waiting = 0;
    while (c != NULL) {
        struct stream *next = c->next;
        c->due = start + c->period * i++ / n;
        c->crowded = n > 1;
        queue(c);
        c = next;
    }
}

/* The head of a request is complete. False: the connection is over. */
static bool answer(struct stream *c)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n"
                               "Content-Type: text/event-stream\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    long events = 0, batch = 1, rate = 0, crowd = 1;
    char *path = strchr(c->head, '/');
    char begin[1024], all[1100];
    if (path != NULL) {
        sscanf(path, "/%ld-%ld-%ld-%ld/", &events, &batch, &rate, &crowd);
        path[strcspn(path, " \r\n")] = '\0';
        c->dialect = events_dialect(path);
    }
    c->requests++;
    c->answering = true;
    c->left = events;
    c->batch = batch;
    c->period = rate > 0 ? 1000000 / rate : 0;
    c->sent = 0;
    size_t n = events_begin(c->dialect, begin, sizeof begin);
    if (!write_all(c, head, sizeof head - 1) ||
        (n > 0 && !write_all(c, all, chunk(all, begin, n))))
        return false;
    if (rate <= 0)
        return flood(c);
    c->next = s.crowd;
    s.crowd = c;
    if (++s.waiting >= crowd)
        begin_crowd();
    return true;
}

/* Takes what was read. False: the connection is over. */
static bool take(struct stream *c, const char *data, size_t n)
{
    while (n > 0) {
        if (c->body_left > 0) {
            size_t part = n < c->body_left ? n : c->body_left;
            c->body_left -= part;
            data += part;
            n -= part;
            if (c->body_left == 0 && !answer(c))
                return false;
            continue;
        }
        if (c->head_len == MAX_HEAD || c->answering)
            return false;
        c->head[c->head_len++] = *data++;
        n--;
        if (c->head_len < 4 ||
            memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) != 0)
            continue;
        c->head[c->head_len] = '\0';
        c->head_len = 0;
        char *length = strcasestr(c->head, "\r\ncontent-length:");
        char *expect = strcasestr(c->head, "\r\nexpect: 100");
        if (expect != NULL &&
            !write_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25))
            return false;
        c->body_left = length ? strtoul(length + 17, NULL, 10) : 0;
        if (c->body_left == 0 && !answer(c))
            return false;
    }
    return true;
}

static bool receive(struct stream *c)
{
    char data[65536];
    if (c->ssl != NULL && !c->secure) {
        int done = SSL_accept(c->ssl);
        int e = SSL_get_error(c->ssl, done);
        c->secure = done == 1;
        if (done != 1)
            return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
    }
    for (;;) {
        ssize_t n;
        if (c->ssl != NULL) {
            n = SSL_read(c->ssl, data, sizeof data);
            if (n <= 0)
                return SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ;
        } else {
            n = recv(c->fd, data, sizeof data, 0);
            if (n <= 0)
                return n < 0 && errno == EAGAIN;
        }
        if (!take(c, data, (size_t)n))
            return false;
    }
}

static void ready(struct stream *c, uint32_t events)
{
    bool good = true;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        good = receive(c);
    if (good && (events & EPOLLOUT)) {
        int flushed = flush(c);
        good = flushed >= 0;
        if (flushed == 1 && c->answering && c->period == 0)
            good = flood(c);
        else if (flushed == 1)
            watch(c, EPOLLIN);
    }
    if (!good)
        drop(c);
}

static void accept_all(int listener, bool tls)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
           0) {
        struct stream *c = calloc(1, sizeof *c);
        if (c == NULL || fd >= MAX_FDS)
            die("accept");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->fd = fd;
        c->id = ++s.ids;
        if (tls) {
            c->ssl = SSL_new(s.tls);
            SSL_set_fd(c->ssl, fd);
            SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        }
        s.streams[fd] = c;
        watch(c, EPOLLIN);
    }
}

/* Sends what is due, and returns the us until the next write (-1: none). */
static int64_t pace(void)
{
    while (s.first != NULL) {
        struct stream *c = s.first;
        int64_t wait = c->due - now();
        if (wait > 0)
            return wait;
        s.first = c->next;
        if (s.first == NULL)
            s.last = NULL;
        c->next = NULL;
        bool ends = c->left == 0;
        bool good = ends || send_batch(c);
        c->due += c->period;
        if (good && (ends || (c->left == 0 && !c->crowded)))
            good = end_stream(c);
        else if (good)
            queue(c);
        if (!good) {
            c->answering = false;
            drop(c);
        }
    }
    return -1;
}

/* ---- start ---- */

static int listen_at(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, n) != 0 ||
        listen(fd, 8192) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0)
        die("listen");
    *port = ntohs(at.sin_port);
    struct epoll_event ev = {.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(s.epoll, EPOLL_CTL_ADD, fd, &ev);
    return fd;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    int port, tls_port = 0, tls_fd = -1;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000ul);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    int plain_fd = listen_at(&port);
    if (argc == 3) {
        s.tls = SSL_CTX_new(TLS_server_method());
        if (s.tls == NULL ||
            SSL_CTX_use_certificate_file(s.tls, argv[1], SSL_FILETYPE_PEM) !=
                1 ||
            SSL_CTX_use_PrivateKey_file(s.tls, argv[2], SSL_FILETYPE_PEM) != 1)
            die("TLS");
        tls_fd = listen_at(&tls_port);
    }
    struct epoll_event in = {.events = EPOLLIN, .data = {.fd = 0}};
    if (epoll_ctl(s.epoll, EPOLL_CTL_ADD, 0, &in) != 0)
        die("standard input must be a pipe");
    printf("%d %d\n", port, tls_port);
    fflush(stdout);
    for (;;) {
        struct epoll_event ev[64];
        int64_t wait = pace();
        struct timespec ts = {wait / 1000000, wait % 1000000 * 1000};
        int n = epoll_pwait2(s.epoll, ev, 64, wait < 0 ? NULL : &ts, NULL);
        if (n < 0 && errno == ENOSYS) /* Linux before 5.11 */
            n = epoll_wait(s.epoll, ev, 64,
                           wait < 0 ? -1 : (int)((wait + 999) / 1000));
        for (int i = 0; i < n; i++) {
            int fd = ev[i].data.fd;
            if (fd == 0)
                return 0;
            if (fd == plain_fd || fd == tls_fd)
                accept_all(fd, fd == tls_fd);
            else if (s.streams[fd] != NULL)
                ready(s.streams[fd], ev[i].events);
        }
    }
}
