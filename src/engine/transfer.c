/*
 * transfer.c - see transfer.h.
 */
#include "engine/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parsing/address.h"
#include "parsing/url.h"
#include "parsing/version.h"

#define USER_AGENT   "lua-chatbot/" CHATBOT_VERSION
#define LOCATION_MAX 8192
#define CONNECT_MAX  86400000L /* ms */
#define DISCARD_MAX  65536     /* bytes read after the answer, to keep alive */

/* Somewhat less than what newer versions take, which end with other results. */
#define HEADER_LINES 5000
#define HEADER_BYTES 300000

/* Options by number, so that one source builds against older headers and runs
 * with older and newer libraries. */
#define OPT_PROTOCOLS      ((CURLoption)181)   /* a bit mask; deprecated */
#define OPT_PROTOCOLS_STR  ((CURLoption)10318) /* 7.85.0 */
#define OPT_PREREQFUNCTION ((CURLoption)20312) /* 7.80.0 */
#define OPT_PREREQDATA     ((CURLoption)10313)
#define PREREQ             0x075000
#define OPT_QUICK_EXIT     ((CURLoption)322)                /* 7.87.0 */
#define INFO_USED_PROXY    ((CURLINFO)(CURLINFO_LONG + 66)) /* 8.7.0 */
#define RESULT_TOO_LARGE   100                              /* 8.6.0 */
#define RESULT_PROXY       97                               /* 7.73.0 */
#define PREREQ_OK          0
#define PREREQ_ABORT       1

/* ---- callbacks: called inside curl, so they store and return ---- */

/* Ends the transfer for a reason that curl does not know. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static void
refuse(struct transfer *t, enum http_fault fault, const char *format, ...)
{
    va_list args;
    t->fault = fault;
    va_start(args, format);
    vsnprintf(t->request->message, sizeof t->request->message, format, args);
    va_end(args);
}

static size_t max_header(const struct transfer *t)
{
    size_t max = t->request->options.limits.max_header;
    return max < HEADER_BYTES ? max : HEADER_BYTES;
}

static void refuse_header(struct transfer *t)
{
    refuse(t, FAULT_LIMIT,
           "the response headers are larger than %zu bytes "
           "(max_header_bytes), more than %d, or one longer than libcurl takes",
           max_header(t), HEADER_LINES);
}

/* Copies a header value without surrounding blanks. One that does not fit is
 * cut at its first semicolon, or `instead` stands for it: the half of an echoed
 * key would no longer be known for one. */
static void keep(char *to, size_t size, const char *value, size_t n,
                 const char *instead)
{
    while (n > 0 && (*value == ' ' || *value == '\t'))
        value++, n--;
    while (n > 0 && (unsigned char)value[n - 1] <= ' ')
        n--;
    const char *semicolon = n < size ? NULL : memchr(value, ';', n);
    if (semicolon != NULL)
        n = (size_t)(semicolon - value);
    if (n >= size) {
        value = instead;
        n = strlen(instead);
    }
    for (size_t i = 0; i < n; i++) /* printable ASCII only */
        to[i] = value[i] >= 0x20 && value[i] < 0x7F ? value[i] : '?';
    to[n] = '\0';
}

/* Keeps it as it is, but without surrounding blanks. One that is too long is
 * not kept, as without memory. */
static void keep_location(struct http_request *r, const char *value, size_t n)
{
    while (n > 0 && (unsigned char)*value <= ' ')
        value++, n--;
    while (n > 0 && (unsigned char)value[n - 1] <= ' ')
        n--;
    if (r->location == NULL && n <= LOCATION_MAX)
        r->location = strndup(value, n);
}

/* Two that differ are two answers, of which any may be meant. */
static void take_length(struct transfer *t, const char *value, size_t n)
{
    char length[sizeof t->length];
    keep(length, sizeof length, value, n, "(too long)");
    if (t->length[0] != '\0' && strcmp(t->length, length) != 0)
        refuse(t, FAULT_PROTOCOL, "there are two Content-Lengths that differ");
    memcpy(t->length, length, sizeof length);
}

/* What every libcurl is to judge in the same way is judged here. */
static void take_header(struct transfer *t, const char *line, size_t n)
{
    struct http_response *resp = &t->request->response;
    const struct {
        const char *name;
        char *to;
        size_t size;
        const char *instead;
    } known[] = {
#define HEADER(name, to, instead) {name, to, sizeof to, instead}
        HEADER("content-type", resp->content_type, ""),
        HEADER("x-request-id", resp->request_id, ""),
        HEADER("request-id", resp->request_id, ""),
        HEADER("x-generation-id", resp->request_id, ""),
        HEADER("retry-after", resp->retry_after, ""),
        HEADER("retry-after-ms", resp->retry_after_ms, ""),
        HEADER("x-should-retry", resp->should_retry, ""),
        HEADER("content-encoding", t->encoding, "(too long)"),
        HEADER("transfer-encoding", t->transfer, "(too long)"),
#undef HEADER
    };
    const char *colon = memchr(line, ':', n);
    if (memchr(line, '\0', n) != NULL)
        refuse(t, FAULT_PROTOCOL, "there is a NUL in a header");
    else if (colon == NULL && *line != ' ' && *line != '\t')
        refuse(t, FAULT_PROTOCOL, "there is a header without a colon");
    if (colon == NULL)
        return;
    size_t len = (size_t)(colon - line);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (len == strlen(known[i].name) &&
            strncasecmp(line, known[i].name, len) == 0 && !known[i].to[0])
            keep(known[i].to, known[i].size, colon + 1, n - len - 1,
                 known[i].instead);
    if (len == 14 && strncasecmp(line, "content-length", 14) == 0)
        take_length(t, colon + 1, n - len - 1);
    if (t->request->options.document && len == 8 &&
        strncasecmp(line, "location", 8) == 0)
        keep_location(t->request, colon + 1, n - len - 1);
}

/* The code of a status line; 0 when it is none of HTTP. */
static int status_of(const char *line, size_t n)
{
    static const char *const versions[] = {"HTTP/1.1", "HTTP/1.0", "HTTP/2",
                                           "HTTP/3"};
    size_t at = 0, digits = 0;
    int status = 0;
    for (size_t i = 0; at == 0 && i < sizeof versions / sizeof *versions; i++) {
        size_t len = strlen(versions[i]);
        if (n > len && memcmp(line, versions[i], len) == 0 && line[len] == ' ')
            at = len;
    }
    while (at > 0 && at < n && line[at] == ' ')
        at++;
    for (; at < n && line[at] >= '0' && line[at] <= '9'; at++)
        if (digits++ < 3)
            status = status * 10 + (line[at] - '0');
    return digits == 3 && status >= 100 ? status : 0;
}

/* A 1xx is no answer, and leaves the status as it was before. */
static void take_status(struct transfer *t, const char *line, size_t n)
{
    int status = status_of(line, n);
    t->informational = status >= 100 && status < 200;
    if (status == 0)
        refuse(t, FAULT_PROTOCOL, "the status line is none of HTTP");
    if (status == 101)
        refuse(t, FAULT_PROTOCOL, "the server switched to another protocol");
    if (!t->informational)
        t->request->response.status = status;
    if (line[5] == '2')
        sockets_multiplexed(t->socket);
}

/* The blank line has come. */
static void end_header(struct transfer *t)
{
    struct http_request *r = t->request;
    struct http_response *resp = &r->response;
    if (t->informational) { /* nothing of it counts */
        *resp = (struct http_response){0};
        return;
    }
    bool good = resp->status >= 200 && resp->status <= 299;
    resp->header_done = resp->status >= 200;
    r->whole = !good || r->options.document ||
               strncasecmp(resp->content_type, "application/json", 16) == 0;
    t->redirected = resp->status >= 300 && resp->status < 400;
    if (good && t->encoding[0] != '\0' &&
        strcasecmp(t->encoding, "identity") != 0)
        refuse(t, FAULT_PROTOCOL,
               "the answer has the content-encoding '%s', which was not asked "
               "for",
               t->encoding);
    if (t->transfer[0] != '\0' && strcasecmp(t->transfer, "chunked") != 0 &&
        strcasecmp(t->transfer, "identity") != 0)
        refuse(t, FAULT_PROTOCOL,
               "the answer has the transfer-encoding '%s', which was not asked "
               "for",
               t->transfer);
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct http_request *r = t->request;
    size_t n = size * count;
    if (r == NULL)
        return 0;
    struct http_response *resp = &r->response;
    if (resp->header_done && resp->status >= 200)
        return n; /* a trailer */
    t->header_bytes += n;
    if (t->header_bytes > max_header(t)) {
        refuse_header(t);
    } else if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* also after 1xx */
        *resp = (struct http_response){0};
        t->encoding[0] = t->transfer[0] = t->length[0] = '\0';
        take_status(t, line, n);
    } else if (n <= 2 && (line[0] == '\r' || line[0] == '\n')) {
        end_header(t);
    } else if (++t->header_lines > HEADER_LINES) {
        refuse_header(t);
    } else {
        take_header(t, line, n);
    }
    return t->fault == FAULT_NONE ? n : 0;
}

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
        refuse(t, FAULT_LIMIT, "the response is larger than %zu bytes (%s)",
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
        refuse(t, FAULT_RESET,
               "the server closed a kept connection without an answer");
        return PREREQ_ABORT;
    }
    take_connection(t, ip, port, local_port);
    if (t->stale) {
        refuse(t, FAULT_RESET, "something came on an idle connection");
        return PREREQ_ABORT;
    }
    t->request->connected = timers_now();
    t->shared->progress(t->request);
    return PREREQ_OK;
}

/* A child that the host spawns must not keep the connection alive. */
static curl_socket_t on_open(void *arg, curlsocktype purpose,
                             struct curl_sockaddr *addr)
{
    struct transfer *t = arg;
    (void)purpose;
    t->opened = true;
    t->peer_port = sockets_port(&addr->addr);
    if (t->request == NULL)
        return CURL_SOCKET_BAD;
    if (t->request->options.outside && !t->proxied &&
        address_is_private(&addr->addr)) {
        refuse(t, FAULT_REDIRECT, ADDRESS_PRIVATE);
        return CURL_SOCKET_BAD;
    }
#ifdef SOCK_CLOEXEC
    int fd =
        socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
#else
    int fd = socket(addr->family, addr->socktype, addr->protocol);
    if (fd >= 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
    t->no_socket = fd < 0 ? errno : 0;
    if (fd >= 0 && !sockets_add(&t->shared->sockets, fd, t)) {
        t->fault = FAULT_MEMORY;
        close(fd);
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
    shutdown(fd, SHUT_RDWR);
    return close(fd);
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
        c->easy_setopt(e, OPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
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
    SET(HEADERFUNCTION, on_header);
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
#ifdef MSG_NOSIGNAL
    return strncasecmp(o->url, "http:", 5) == 0 && url_is_loopback(o->url);
#else
    (void)o;
    return false;
#endif
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

struct http_request *transfer_watched(CURL *easy, const struct libcurl *curl)
{
    struct transfer *t = NULL;
    if (curl->version_num >= PREREQ)
        return NULL;
    curl->easy_getinfo(easy, CURLINFO_PRIVATE, &t);
    if (t == NULL || t->request == NULL || t->request->connected != 0 ||
        transfer_connect_time(t) == 0)
        return NULL;
    const char *ip = NULL;
    long port = 0;
    curl->easy_getinfo(easy, CURLINFO_PRIMARY_IP, &ip);
    curl->easy_getinfo(easy, CURLINFO_PRIMARY_PORT, &port);
    take_connection(t, ip == NULL ? "" : ip, port, transfer_port(t));
    t->stale = false; /* it is too late for that */
    t->request->connected = timers_now();
    return t->request;
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

static bool connected(const struct transfer *t)
{
    return t->request->connected != 0 || transfer_connect_time(t) > 0;
}

bool transfer_starved(const struct transfer *t)
{
    return !connected(t) && (t->no_socket == EMFILE || t->no_socket == ENFILE ||
                             sockets_exhausted());
}

static enum http_fault fault_of(CURLcode result)
{
    switch ((int)result) {
    case CURLE_OK:
        return FAULT_NONE;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return FAULT_CONFIG;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case RESULT_PROXY:
        return FAULT_PROXY;
    case CURLE_COULDNT_RESOLVE_HOST:
        return FAULT_DNS;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
        return FAULT_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
        return FAULT_TLS;
    case CURLE_OPERATION_TIMEDOUT:
        return FAULT_TIMEOUT;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
        return FAULT_TRUNCATED;
    case CURLE_OUT_OF_MEMORY:
        return FAULT_MEMORY;
    case RESULT_TOO_LARGE:
        return FAULT_LIMIT;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return FAULT_RESET;
    default:
        return FAULT_PROTOCOL;
    }
}

/* Whether the connection that failed was one to a proxy. Before 8.7.0 curl does
 * not say: another port than the URL's is one, and where they have the same,
 * curl's message names the host that was meant, or CONNECT. */
static bool used_proxy(struct transfer *t)
{
    static const char start[] = "Failed to connect to ";
    const char *url = t->request->options.url, *named = t->error;
    long used = 0;
    if (!t->proxied) /* curl may write the address in another way */
        return false;
    if (t->curl->version_num >= 0x080700)
        return t->curl->easy_getinfo(t->easy, INFO_USED_PROXY, &used) ==
                   CURLE_OK &&
               used;
    if (t->peer_port != 0 && t->peer_port != url_port(url))
        return true;
    if (strncmp(named, start, sizeof start - 1) != 0)
        return strstr(named, "CONNECT ") != NULL;
    size_t n;
    const char *host = url_host(url, &n);
    named += sizeof start - 1;
    if (*host == '[') { /* named without the brackets */
        host++;
        n -= 2;
    }
    return strncasecmp(named, host, n) != 0 || named[n] != ' ';
}

/* Whether curl cannot use the address of the proxy. The message would show it
 * with its password. */
static bool bad_proxy(const struct transfer *t, CURLcode result)
{
    return t->proxied && !t->opened && !connected(t) &&
           (result == CURLE_NOT_BUILT_IN ||
            (t->bad_proxy && result != CURLE_COULDNT_RESOLVE_HOST &&
             result != CURLE_OUT_OF_MEMORY));
}

/* What curl's result means, where its code alone does not tell. */
static enum http_fault find_fault(struct transfer *t, CURLcode result)
{
    struct http_request *r = t->request;
    if (bad_proxy(t, result))
        return FAULT_CONFIG;
    enum http_fault fault = fault_of(result);
    bool header = t->header_bytes > 0 && !r->response.header_done;
    if (result == CURLE_UNSUPPORTED_PROTOCOL && connected(t))
        return FAULT_PROTOCOL; /* no HTTP came back */
    /* of chunks that are wrong, no number tells: not even that there was no
     * errno, as over TLS there is none of a reset either */
    if (result == CURLE_RECV_ERROR && strstr(t->error, "chunk"))
        return FAULT_PROTOCOL;
    if (!connected(t) &&
        (fault == FAULT_RESET || fault == FAULT_CONNECT ||
         fault == FAULT_TRUNCATED || fault == FAULT_PROTOCOL) &&
        used_proxy(t))
        return FAULT_PROXY;
    /* curl before 8.6.0 calls an over-long header line "out of memory" */
    if (result == CURLE_OUT_OF_MEMORY && header)
        return FAULT_LIMIT;
    return fault;
}

/* A proxy that has refused: its status is that of the failure. */
static void judge_proxy(struct transfer *t, CURLcode result)
{
    struct http_request *r = t->request;
    long reply = 0;
    t->curl->easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &reply);
    if (reply < 300 || r->response.status != 0 || result == CURLE_OK)
        reply = r->response.status == 407 ? 407 : 0;
    if (reply == 0)
        return;
    r->response.status = (int)reply;
    r->response.header_done = false;
    refuse(t, FAULT_PROXY, "the proxy answered HTTP %ld%s", reply,
           reply == 407 ? " (it wants a user and a password)" : "");
}

/* Whether what has answered is inside: by the name in the URL, or by the
 * address. -1: that may be a proxy's. */
static int find_inside(struct transfer *t)
{
    size_t n;
    const char *ip = NULL, *host = url_host(t->request->options.url, &n);
    if (address_is_private_host(host, n))
        return 1;
    if (t->proxied)
        return -1;
    t->curl->easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip);
    return ip != NULL && address_is_private_host(ip, strlen(ip));
}

void transfer_judge(struct transfer *t, CURLcode result)
{
    struct http_request *r = t->request;
    if (r->options.document)
        r->inside = find_inside(t);
    if (t->capped && t->fault == FAULT_NONE)
        result = CURLE_OK;
    else if (t->informational && result == CURLE_OK)
        result = CURLE_GOT_NOTHING;
    judge_proxy(t, result);
    enum http_fault fault =
        t->fault != FAULT_NONE ? t->fault : find_fault(t, result);
    const char *text =
        t->error[0] != '\0' ? t->error : t->curl->easy_strerror(result);
    r->fault = fault;
    r->retryable = fault == FAULT_DNS || fault == FAULT_CONNECT ||
                   fault == FAULT_RESET || fault == FAULT_TRUNCATED ||
                   fault == FAULT_TIMEOUT ||
                   (fault == FAULT_PROXY && r->response.status < 400) ||
                   (fault == FAULT_PROXY && r->response.status >= 500);
    if (fault == FAULT_TIMEOUT) /* curl's only clock */
        r->phase = "connect";
    if (fault == FAULT_MEMORY)
        snprintf(r->message, sizeof r->message, "not enough memory");
    else if (fault == FAULT_NONE || t->fault != FAULT_NONE)
        return;
    else if (fault == FAULT_LIMIT)
        refuse_header(t);
    else if (bad_proxy(t, result))
        refuse(t, fault,
               "the address of the proxy cannot be used (see the "
               "option proxy, https_proxy, http_proxy, all_proxy)");
    else if (t->no_socket == EMFILE || t->no_socket == ENFILE)
        refuse(t, fault, "too many open files");
    else if (fault == FAULT_TIMEOUT)
        refuse(t, fault, "no connection within the connect_timeout");
    else if (fault == FAULT_TLS)
        snprintf(r->message, sizeof r->message, "%s (CA certificates: %s)",
                 text, t->ca_source);
    else
        snprintf(r->message, sizeof r->message, "%s", text);
}
