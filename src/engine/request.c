/*
 * request.c - see request.h.
 */
#include "engine/request.h"

#include <stdlib.h>
#include <string.h>

static const char *copy_string(char **at, const char *s)
{
    if (s == NULL)
        return NULL;
    size_t n = strlen(s) + 1;
    char *to = memcpy(*at, s, n);
    *at += n;
    return to;
}

/* Puts a copy of everything that `o` points to into one block of memory. */
static bool copy_options(struct http_request *r, const struct http_options *o)
{
    const char *const single[] = {o->url, o->ca_file, o->proxy};
    size_t n = o->n_headers * sizeof(char *);
    for (size_t i = 0; i < 3; i++)
        n += single[i] == NULL ? 0 : strlen(single[i]) + 1;
    for (size_t i = 0; i < o->n_headers; i++)
        n += strlen(o->headers[i]) + 1;
    r->options = *o;
    r->copy = malloc(n);
    r->copy_len = n;
    if (r->copy == NULL)
        return false;
    const char **headers = r->copy;
    char *at = (char *)r->copy + o->n_headers * sizeof(char *);
    r->options.url = copy_string(&at, o->url);
    r->options.ca_file = copy_string(&at, o->ca_file);
    r->options.proxy = copy_string(&at, o->proxy);
    for (size_t i = 0; i < o->n_headers; i++)
        headers[i] = copy_string(&at, o->headers[i]);
    r->options.headers = headers;
    return true;
}

/* Overwrites what may hold a key, in a way that is not optimised out. */
static void wipe(void *p, size_t n)
{
    volatile char *at = p;
    while (n-- > 0)
        *at++ = 0;
}

void request_free(struct http_request *r)
{
    sse_free(&r->sse);
    body_free(&r->options.body);
    free(r->location);
    if (r->copy != NULL)
        wipe(r->copy, r->copy_len);
    free(r->copy);
    free(r);
}

struct http_request *request_new(const struct http_options *o)
{
    struct http_request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        struct body body = o->body;
        body_free(&body);
        return NULL;
    }
    sse_init(&r->sse, o->limits.max_event, o->limits.max_event);
    if (!copy_options(r, o)) {
        request_free(r);
        return NULL;
    }
    return r;
}
