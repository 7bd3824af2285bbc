/*
 * transfer.c - see transfer.h.
 */
#include "engine/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/address.h"
#include "engine/os.h"
#include "engine/response.h"
#include "parsing/url.h"
#include "parsing/version.h"

#define USER_AGENT  "lua-chatbot/" CHATBOT_VERSION
#define CONNECT_MAX 86400000L /* ms */
#define DISCARD_MAX 65536     /* bytes read after the answer, to keep alive */

/* Options by number, so that one source builds against older headers and runs
 * with older and newer libraries. */
#define OPT_PROTOCOLS      ((CURLoption)181)   /* a bit mask; deprecated */
#define OPT_PROTOCOLS_STR  ((CURLoption)10318) /* 7.85.0 */
#define OPT_PREREQFUNCTION ((CURLoption)20312) /* 7.80.0 */
#define OPT_PREREQDATA     ((CURLoption)10313)
#define OPT_QUICK_EXIT     ((CURLoption)322) /* 7.87.0 */
#define PREREQ_OK          0
#define PREREQ_ABORT       1

/* ---- callbacks: called inside curl, so they store and return ---- */

/* Sets how much `sse` may hold. Of a stream: an event, and what arrives before
 * a pause; as much of that again may have been read and not yet be gone. */
static void set_room(struct http_request *r, size_t n)
{
    const struct http_limits *l = &r->options.limits;
    size_t spare = l->max_queue + n;
    size_t room = r->response.status > 299 ? l->max_error
                  : r->whole               ? l->max_body
                                           : l->max_event + spare;
    r->sse.max_queue = room;
    r->sse.in.max = r->whole ? room : room + spare;
}

/* Appends, and keeps account of what the caller has seen, whatever the parser
 * moves. */
static enum sse_status feed(struct http_request *r, const char *data, size_t n)
{
    struct sse *sse = &r->sse;
    size_t before = sse->in.len;
    set_room(r, n);
    enum sse_status status = sse_feed(sse, data, n);
    if (status == SSE_MORE) {
        size_t gone = before + n - sse->in.len;
        r->examined -= gone < r->examined ? gone : r->examined;
    }
    return status;
}

/* The body of the request, while somebody wants the answer: what its strings
 * belong to may be gone otherwise. */
static size_t on_read(char *to, size_t size, size_t count, void *arg)
{
    struct http_request *r = ((struct transfer *)arg)->request;
    return r == NULL || r->detached
               ? CURL_READFUNC_ABORT
               : body_read(&r->options.body, to, size * count);
}

/* curl sends it once more. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct http_request *r = ((struct transfer *)arg)->request;
    if (r == NULL || r->detached || offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_FAIL;
    body_rewind(&r->options.body);
    return CURL_SEEKFUNC_OK;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct http_request *r = t->request;
    size_t n = size * count;
    if (r == NULL || t->redirected) {
        t->capped = true;
        return 0;
    }
    if (r->paused)
        return CURL_WRITEFUNC_PAUSE;
    if (r->detached) { /* complete: what still comes is thrown away */
        r->examined += n;
        t->capped = r->examined > DISCARD_MAX;
        return t->capped ? 0 : n;
    }
    t->shared->progress(r);
    const struct http_limits *limits = &r->options.limits;
    if (r->response.status > 299) {
        size_t left = limits->max_error - r->sse.in.len;
        t->capped = n > left;
        if (feed(r, data, n < left ? n : left) != SSE_MORE)
            t->fault = FAULT_MEMORY;
        return t->capped || t->fault != FAULT_NONE ? 0 : n;
    }
    if (!r->whole && r->sse.in.len - r->examined > limits->max_queue) {
        t->shared->pause(r);
        return CURL_WRITEFUNC_PAUSE; /* curl keeps these bytes */
    }
    switch (feed(r, data, n)) {
    case SSE_LIMIT:
        exchange_refuse(t, FAULT_LIMIT,
                        "the response is larger than %zu bytes (%s)",
                        r->whole ? limits->max_body : limits->max_event,
                        r->whole ? "max_answer_bytes" : "max_event_bytes");
        return 0;
    case SSE_MEMORY:
        t->fault = FAULT_MEMORY;
        return 0;
    default:
        return n;
    }
}

/* The request is sent on this connection. */
static void take_connection(struct transfer *t, const char *ip, long port,
                            long local_port)
{
    const struct sockets_user user = {.opener = t,
                                      .fd = t->fd,
                                      .multiplexes =
                                          t->request->options.http_version == 2,
                                      .peer = ip,
                                      .peer_port = (int)port,
                                      .port = (int)local_port};
    t->sent = true;
    t->socket = sockets_use(&t->shared->sockets, &user, &t->stale);
}

/* curl has a connection and is about to send. It does so again by itself when a
 * connection that it has used before turns out to be dead; whether there is to
 * be another try is not for curl to say. */
static int on_connected(void *arg, char *ip, char *local_ip, int port,
                        int local_port)
{
    struct transfer *t = arg;
    (void)local_ip;
    if (t->request == NULL)
        return PREREQ_ABORT;
    if (t->sent) {
        exchange_refuse(
            t, FAULT_RESET,
            "the server closed a kept connection without an answer");
        return PREREQ_ABORT;
    }
    take_connection(t, ip, port, local_port);
    if (t->stale) {
        exchange_refuse(t, FAULT_RESET, "something came on an idle connection");
        return PREREQ_ABORT;
    }
    t->request->connected = timers_now();
    t->shared->progress(t->request);
    return PREREQ_OK;
}

/* Before 7.80.0: curl goes on with the transfer, and may have a connection to
 * send on since the last time. That it watches the socket for something else
 * would not tell: of a TLS handshake, too, it awaits the last bytes. */
static int on_progress(void *arg, curl_off_t total, curl_off_t now,
                       curl_off_t total_up, curl_off_t now_up)
{
    struct transfer *t = arg;
    const char *ip = NULL;
    long port = 0;
    (void)total, (void)now, (void)total_up, (void)now_up;
    if (t->request == NULL || t->request->connected != 0 ||
        transfer_connect_time(t) == 0)
        return 0;
    t->curl->easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip);
    t->curl->easy_getinfo(t->easy, CURLINFO_PRIMARY_PORT, &port);
    take_connection(t, ip == NULL ? "" : ip, port, transfer_port(t));
    t->stale = false; /* it is too late for that */
    t->request->connected = timers_now();
    t->shared->progress(t->request);
    return 0;
}

/* A child that the host spawns must not keep the connection alive. */
static curl_socket_t on_open(void *arg, curlsocktype purpose,
                             struct curl_sockaddr *addr)
{
    struct transfer *t = arg;
    (void)purpose;
    t->opened = true;
    t->peer_port = os_port(&addr->addr);
    if (t->request == NULL)
        return CURL_SOCKET_BAD;
    if (t->request->options.outside && !t->proxied &&
        address_is_private(&addr->addr)) {
        exchange_refuse(t, FAULT_REDIRECT, ADDRESS_PRIVATE);
        return CURL_SOCKET_BAD;
    }
    int fd =
        os_socket(addr->family, addr->socktype, addr->protocol, &t->no_socket);
    if (fd >= 0 && !sockets_add(&t->shared->sockets, fd, t)) {
        t->fault = FAULT_MEMORY;
        os_socket_close(fd);
        return CURL_SOCKET_BAD;
    }
    t->fd = fd;
    return fd;
}

/* Also when a child holds a copy of the descriptor, the server sees the end. */
static int on_close(void *arg, curl_socket_t fd)
{
    struct transfer_shared *shared = arg;
    sockets_remove(&shared->sockets, fd);
    return os_socket_close(fd);
}

/* ---- setting up ---- */

/* What may not lead inside must be seen to lead outside: it gets a connection
 * of its own, and no exception from the proxy, where there is one. That one
 * knows what names mean, and is asked for none that is known to be inside. */
static bool set_outside(struct transfer *t, const char *proxy)
{
    const struct libcurl *c = t->curl;
    return c->easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
           c->easy_setopt(t->easy, CURLOPT_PROXY, proxy == NULL ? "" : proxy) ==
               CURLE_OK &&
           c->easy_setopt(t->easy, CURLOPT_NOPROXY, "") == CURLE_OK;
}

/* What curl allows each of several addresses is a share of this. It begins
 * after our own clock, whose verdict counts. */
static long connect_ms(const struct http_limits *l)
{
    double ms = l->connect_timeout * 1e3;
    return ms <= 0 || ms > CONNECT_MAX ? CONNECT_MAX : (long)ms + 1;
}

static bool set_headers(struct transfer *t, const struct http_options *o)
{
    for (size_t i = 0; i <= o->n_headers; i++) {
        const char *line = i < o->n_headers ? o->headers[i] : "Expect:";
        struct curl_slist *list = t->curl->slist_append(t->headers, line);
        if (list == NULL)
            return false;
        t->headers = list;
    }
    return t->curl->easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) ==
           CURLE_OK;
}

static bool set_options(struct transfer *t, struct http_options *o, bool fresh)
{
    const struct libcurl *c = t->curl;
    CURL *e = t->easy;
    bool ok = true;
#define SET(option, value)                                                     \
    (ok = c->easy_setopt(e, CURLOPT_##option, (value)) == CURLE_OK && ok)
    SET(URL, o->url);
    SET(PRIVATE, t);
    SET(ERRORBUFFER, t->error);
    SET(NOSIGNAL, 1L);
    SET(SHARE, t->shared->tls);
    if (c->version_num >= 0x075500)
        c->easy_setopt(e, OPT_PROTOCOLS_STR, "http,https");
    else
        c->easy_setopt(e, OPT_PROTOCOLS,
                       (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    SET(FOLLOWLOCATION, 0L);
    SET(NETRC, (long)CURL_NETRC_IGNORED);
    SET(DISALLOW_USERNAME_IN_URL, 1L);
    SET(USERAGENT, USER_AGENT);
    SET(TCP_NODELAY, 1L);
    SET(TCP_KEEPALIVE, 1L);
    SET(SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CONNECTTIMEOUT_MS, connect_ms(&o->limits));
    SET(FRESH_CONNECT, fresh ? 1L : 0L);
    SET(HTTP_VERSION, (long)(o->http_version == 2 ? CURL_HTTP_VERSION_2TLS
                                                  : CURL_HTTP_VERSION_1_1));
    SET(PIPEWAIT, o->http_version == 2 ? 1L : 0L);
    if (url_is_loopback(o->url))
        SET(PROXY, "");
    else if (o->proxy != NULL)
        SET(PROXY, o->proxy);
    const char *proxy = url_proxy(o->url, o->proxy);
    t->proxied = proxy != NULL;
    t->bad_proxy = proxy != NULL && url_check_proxy(proxy) != NULL;
    if (o->document && o->outside)
        ok = set_outside(t, proxy) && ok;
    SET(HEADERFUNCTION, response_header);
    SET(HEADERDATA, t);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, t);
    SET(OPENSOCKETFUNCTION, on_open);
    SET(OPENSOCKETDATA, t);
    SET(CLOSESOCKETFUNCTION, on_close);
    SET(CLOSESOCKETDATA, t->shared);
    if (c->version_num >= PREREQ) {
        c->easy_setopt(e, OPT_PREREQFUNCTION, on_connected);
        c->easy_setopt(e, OPT_PREREQDATA, t);
    } else {
        SET(XFERINFOFUNCTION, on_progress);
        SET(XFERINFODATA, t);
        SET(NOPROGRESS, 0L);
    }
    if (o->body.size > 0) {
        SET(POST, 1L);
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)o->body.size);
    }
    if (o->body.count > 0) {
        body_rewind(&o->body);
        SET(READFUNCTION, on_read);
        SET(READDATA, t);
        SET(SEEKFUNCTION, on_seek);
        SET(SEEKDATA, t);
    } else if (o->body.size > 0) {
        SET(POSTFIELDS, o->body.text.data);
    }
#undef SET
    t->ca_source = strncasecmp(o->url, "https:", 6) == 0
                       ? ca_set(c, &t->shared->ca, e, o->ca_file)
                       : "libcurl's default"; /* of a proxy */
    return ok && set_headers(t, o);
}

struct transfer *transfer_new(struct transfer_shared *shared,
                              struct http_request *r, bool fresh)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->curl = shared->curl;
    t->shared = shared;
    t->fd = -1;
    t->request = r;
    t->easy = t->curl->easy_init();
    if (t->easy == NULL || !set_options(t, &r->options, fresh)) {
        transfer_delete(t);
        return NULL;
    }
    return t;
}

bool transfer_quiet(const struct http_options *o)
{
    return os_quiet_sockets && strncasecmp(o->url, "http:", 5) == 0 &&
           url_is_loopback(o->url);
}

void transfer_delete(struct transfer *t)
{
    if (t == NULL)
        return;
    if (t->easy != NULL)
        t->curl->easy_cleanup(t->easy);
    t->curl->slist_free_all(t->headers);
    sockets_leave(&t->shared->sockets, t, t->socket);
    free(t);
}

void transfer_forbid_reuse(struct transfer *t)
{
    t->curl->easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
}

long transfer_port(const struct transfer *t)
{
    long port = 0;
    t->curl->easy_getinfo(t->easy, CURLINFO_LOCAL_PORT, &port);
    return port;
}

bool transfer_moves(CURL *easy, const struct libcurl *curl)
{
    struct transfer *t = NULL;
    curl->easy_getinfo(easy, CURLINFO_PRIVATE, &t);
    if (t == NULL || !t->opened || t->sent || curl->version_num < 0x075800)
        return false;
    t->moved = true;
    return true;
}

bool transfer_nudge(struct transfer *t)
{
    return t->curl->easy_pause(t->easy, CURLPAUSE_RECV) == CURLE_OK &&
           t->curl->easy_pause(t->easy, CURLPAUSE_CONT) == CURLE_OK;
}

void transfer_orphan(struct transfer *t)
{
    t->request = NULL;
}

bool transfer_stop_lookup(struct transfer *t)
{
    if (t->curl->version_num >= 0x075700)
        return t->curl->easy_setopt(t->easy, OPT_QUICK_EXIT, 1L) == CURLE_OK;
    t->curl->easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MAX);
    return false;
}

/* ---- asking ---- */

static int64_t info_us(const struct transfer *t, CURLINFO info)
{
    curl_off_t us = 0;
    t->curl->easy_getinfo(t->easy, info, &us);
    return (int64_t)us;
}

bool transfer_resolving(const struct transfer *t)
{
    return !t->opened && !t->sent &&
           info_us(t, CURLINFO_NAMELOOKUP_TIME_T) == 0 &&
           transfer_connect_time(t) == 0; /* no connection was used again */
}

/* From 8.21.0 on there is a time to transfer also of what was never connected.
 */
int64_t transfer_connect_time(const struct transfer *t)
{
    return t->curl->version_num < PREREQ
               ? info_us(t, CURLINFO_PRETRANSFER_TIME_T)
               : 0;
}
