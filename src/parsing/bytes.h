/*
 * bytes.h - a growable run of bytes that cannot outgrow a named maximum.
 *
 * Knows nothing but malloc. A zeroed `struct bytes` is empty and closed; every
 * function except bytes_init may be called on it. An append that fails leaves
 * what is there untouched, so a limit never costs the bytes already received.
 */
#ifndef CHATBOT_BYTES_H
#define CHATBOT_BYTES_H

#include <stddef.h>

struct bytes {
    char *data; /* NULL until the first append */
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated, never above max */
    size_t max; /* len never passes this */
};

enum bytes_status { BYTES_OK = 0, BYTES_LIMIT, BYTES_MEMORY };

/* Makes `b` empty with the maximum `max`. Allocates nothing. */
void bytes_init(struct bytes *b, size_t max);

/* Gives the memory back; `b` is empty afterwards and keeps its maximum. */
void bytes_free(struct bytes *b);

/* Makes room for `n` more bytes without changing `len`. */
enum bytes_status bytes_reserve(struct bytes *b, size_t n);

/* Appends `n` bytes. `p` may be NULL when `n` is 0, and must not point into
 * `b`. Amortised O(n). */
enum bytes_status bytes_append(struct bytes *b, const void *p, size_t n);

/* Drops the first `n` bytes (n <= len) and moves the rest to the front:
 * O(rest). Memory is kept, except that an empty buffer above 64 KiB is given
 * back. */
void bytes_consume(struct bytes *b, size_t n);

#endif
