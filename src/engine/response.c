/*
 * response.c - see response.h.
 */
#include "engine/response.h"

#include <string.h>
#include <strings.h>

#define LOCATION_MAX 8192

/* Somewhat less than what newer versions take, which end with other results. */
#define HEADER_LINES 5000
#define HEADER_BYTES 300000

static size_t max_header(const struct transfer *t)
{
    size_t max = t->request->options.limits.max_header;
    return max < HEADER_BYTES ? max : HEADER_BYTES;
}

void response_too_large(struct transfer *t)
{
    exchange_refuse(
        t, FAULT_LIMIT,
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

/* The length of a line without what ends it. */
static size_t without_end(const char *line, size_t n)
{
    if (n > 0 && line[n - 1] == '\n')
        n--;
    if (n > 0 && line[n - 1] == '\r')
        n--;
    return n;
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

/* A decimal number, or a list of them, which in all headers are to be the same:
 * two that differ are two answers, of which any may be meant. */
static void take_length(struct transfer *t, const char *value, size_t n)
{
    const char *p = value, *end = value + without_end(value, n);
    do {
        char length[sizeof t->length];
        const char *digits = skip_blanks(p + (p > value), end);
        for (p = digits; p < end && *p >= '0' && *p <= '9';)
            p++;
        size_t len = (size_t)(p - digits);
        p = skip_blanks(p, end);
        if (len == 0 || (p < end && *p != ',')) {
            exchange_refuse(t, FAULT_PROTOCOL,
                            "the Content-Length is no number");
            return;
        }
        keep(length, sizeof length, digits, len, "(too long)");
        if (t->length[0] != '\0' && strcmp(t->length, length) != 0)
            exchange_refuse(t, FAULT_PROTOCOL,
                            "there are two Content-Lengths that differ");
        memcpy(t->length, length, sizeof length);
    } while (p < end);
}

static bool is_named(const char *line, size_t len, const char *name)
{
    return len == strlen(name) && strncasecmp(line, name, len) == 0;
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
    bool folded = *line == ' ' || *line == '\t'; /* newer versions unfold */
    if (memchr(line, '\0', n) != NULL)
        exchange_refuse(t, FAULT_PROTOCOL, "there is a NUL in a header");
    else if (colon == NULL && !folded)
        exchange_refuse(t, FAULT_PROTOCOL, "there is a header without a colon");
    else if (folded && t->framing)
        exchange_refuse(t, FAULT_PROTOCOL,
                        "a Content-Length or Transfer-Encoding is folded");
    if (colon == NULL || folded)
        return;
    size_t len = (size_t)(colon - line);
    t->framing = is_named(line, len, "content-length") ||
                 is_named(line, len, "transfer-encoding");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is_named(line, len, known[i].name) && !known[i].to[0])
            keep(known[i].to, known[i].size, colon + 1, n - len - 1,
                 known[i].instead);
    if (is_named(line, len, "content-length"))
        take_length(t, colon + 1, n - len - 1);
    if (t->request->options.document && is_named(line, len, "location"))
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
    at += at > 0; /* one blank, no more */
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
        exchange_refuse(t, FAULT_PROTOCOL, "the status line is none of HTTP");
    if (status == 101)
        exchange_refuse(t, FAULT_PROTOCOL,
                        "the server switched to another protocol");
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
        exchange_refuse(
            t, FAULT_PROTOCOL,
            "the answer has the content-encoding '%s', which was not asked "
            "for",
            t->encoding);
    if (t->transfer[0] != '\0' && strcasecmp(t->transfer, "chunked") != 0 &&
        strcasecmp(t->transfer, "identity") != 0)
        exchange_refuse(
            t, FAULT_PROTOCOL,
            "the answer has the transfer-encoding '%s', which was not asked "
            "for",
            t->transfer);
}

size_t response_header(char *line, size_t size, size_t count, void *arg)
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
        response_too_large(t);
    } else if (memchr(line, '\r', without_end(line, n)) != NULL) {
        exchange_refuse(t, FAULT_PROTOCOL,
                        "there is a carriage return in a header");
    } else if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* also after 1xx */
        *resp = (struct http_response){0};
        t->encoding[0] = t->transfer[0] = t->length[0] = '\0';
        t->framing = false;
        take_status(t, line, n);
    } else if (n <= 2 && (line[0] == '\r' || line[0] == '\n')) {
        end_header(t);
    } else if (++t->header_lines > HEADER_LINES) {
        response_too_large(t);
    } else {
        take_header(t, line, n);
    }
    return t->fault == FAULT_NONE ? n : 0;
}
