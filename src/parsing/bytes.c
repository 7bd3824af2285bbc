/*
 * bytes.c - see bytes.h.
 *
 * Capacity doubles, so that appending byte by byte stays linear, and is cut at
 * the maximum, so that the memory never passes what the owner allowed. All
 * sizes are compared by subtraction, and nothing here can overflow.
 */
#include "parsing/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MIN_CAP  64
#define KEEP_CAP ((size_t)64 * 1024)

void bytes_init(struct bytes *b, size_t max)
{
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
    b->max = max;
}

void bytes_free(struct bytes *b)
{
    free(b->data);
    bytes_init(b, b->max);
}

enum bytes_status bytes_reserve(struct bytes *b, size_t n)
{
    if (n <= b->cap - b->len)
        return BYTES_OK;
    if (b->len > b->max || n > b->max - b->len) /* the owner may lower it */
        return BYTES_LIMIT;
    size_t need = b->len + n;
    size_t cap = b->cap > b->max / 2 ? b->max : b->cap * 2;
    if (cap < MIN_CAP)
        cap = b->max < MIN_CAP ? b->max : MIN_CAP;
    if (cap < need)
        cap = need;
    char *data = realloc(b->data, cap);
    if (data == NULL)
        return BYTES_MEMORY;
    b->data = data;
    b->cap = cap;
    return BYTES_OK;
}

enum bytes_status bytes_append(struct bytes *b, const void *p, size_t n)
{
    enum bytes_status status = bytes_reserve(b, n);
    if (status == BYTES_OK && n > 0) {
        memcpy(b->data + b->len, p, n);
        b->len += n;
    }
    return status;
}

void bytes_consume(struct bytes *b, size_t n)
{
    assert(n <= b->len);
    b->len -= n;
    if (b->len > 0 && n > 0)
        memmove(b->data, b->data + n, b->len);
    else if (b->len == 0 && b->cap > KEEP_CAP)
        bytes_free(b);
}
