/*
 * body.c - see body.h.
 */
#include "parsing/body.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parsing/escape.h"

struct body_kept {
    size_t at; /* behind this many bytes of the text */
    const char *s;
    size_t n;
};

/* The letters of the short escapes. */
static const char letters[0x20] = {
    ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

/* The bytes that a character takes beyond itself in JSON: 0 when it stands by
 * itself, 1 when there is a short escape. */
static size_t more(char c)
{
    unsigned char u = (unsigned char)c;
    if (u >= sizeof letters)
        return c == '"' || c == '\\';
    return letters[u] != 0 ? 1 : 5;
}

/* Writes the escape of such a character, and returns its length. */
static size_t escape(char c, char *to)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char u = (unsigned char)c;
    to[0] = '\\';
    if (more(c) == 1) {
        to[1] = u < sizeof letters ? letters[u] : c;
        return 2;
    }
    memcpy(to + 1, "u00", 3);
    to[4] = hex[u >> 4];
    to[5] = hex[u & 15];
    return 6;
}

size_t body_quoted_size(const char *s, size_t n)
{
    size_t size = n + 2, i = 0;
    while ((i += escape_plain_run(s + i, n - i)) < n)
        while (i < n && more(s[i]) != 0)
            size += more(s[i++]);
    return size;
}

void body_init(struct body *b)
{
    *b = (struct body){.size = 0};
    bytes_init(&b->text, SIZE_MAX);
}

void body_free(struct body *b)
{
    bytes_free(&b->text);
    free(b->kept);
    body_init(b);
}

bool body_add(struct body *b, const char *s, size_t n)
{
    b->size += n;
    return bytes_append(&b->text, s, n) == BYTES_OK;
}

bool body_quote(struct body *b, const char *s, size_t n)
{
    char escaped[BODY_ESCAPE];
    bool ok = body_add(b, "\"", 1);
    for (size_t i = 0; ok && i < n;) {
        size_t run = escape_plain_run(s + i, n - i);
        ok = body_add(b, s + i, run);
        for (i += run; ok && i < n && more(s[i]) != 0; i++) {
            size_t length = escape(s[i], escaped);
            ok = body_add(b, escaped, length);
        }
    }
    return ok && body_add(b, "\"", 1);
}

bool body_keep(struct body *b, const char *s, size_t n, size_t size)
{
    if (b->count == b->cap) {
        size_t cap = b->cap == 0 ? 8 : 2 * b->cap;
        void *kept = realloc(b->kept, cap * sizeof *b->kept);
        if (kept == NULL)
            return false;
        b->kept = kept;
        b->cap = cap;
    }
    b->kept[b->count++] = (struct body_kept){b->text.len, s, n};
    b->size += size;
    return true;
}

bool body_join(struct body *b)
{
    struct bytes all;
    bytes_init(&all, SIZE_MAX);
    if (b->count == 0)
        return true;
    if (bytes_reserve(&all, b->size) != BYTES_OK)
        return false;
    body_rewind(b);
    all.len = body_read(b, all.data, b->size);
    body_free(b);
    b->text = all;
    b->size = all.len;
    return true;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Writes what is left of an escape. */
static size_t read_escaped(struct body *b, char *to, size_t room)
{
    size_t n = least(room, b->escaped_len - b->escaped_at);
    memcpy(to, b->escaped + b->escaped_at, n);
    b->escaped_at += n;
    return n;
}

/* Writes what comes next of the string; *done when that was its end. A quoted
 * one counts its opening quote as the first byte. */
static size_t read_kept(struct body *b, const struct body_kept *k, char *to,
                        size_t room, bool *done)
{
    size_t len = read_escaped(b, to, room), i = b->string_at;
    if (i == 0 && len < room)
        to[len++] = '"', i++;
    while (i <= k->n && len < room) {
        const char *s = k->s + i - 1;
        size_t run = escape_plain_run(s, least(room - len, k->n - i + 1));
        memcpy(to + len, s, run);
        len += run;
        i += run;
        while (i <= k->n && len < room && more(k->s[i - 1]) != 0) {
            b->escaped_len = escape(k->s[i++ - 1], b->escaped);
            b->escaped_at = 0;
            len += read_escaped(b, to + len, room - len);
        }
    }
    *done = i > k->n && len < room;
    if (*done)
        to[len++] = '"';
    b->string_at = i;
    return len;
}

size_t body_read(struct body *b, char *to, size_t room)
{
    size_t len = 0;
    while (len < room) {
        const struct body_kept *k =
            b->kept_at < b->count ? &b->kept[b->kept_at] : NULL;
        size_t stop = k != NULL ? k->at : b->text.len;
        size_t n = least(room - len, stop - b->text_at);
        if (n > 0)
            memcpy(to + len, b->text.data + b->text_at, n);
        b->text_at += n;
        len += n;
        if (k == NULL)
            break;
        bool done = false;
        if (b->text_at == stop)
            len += read_kept(b, k, to + len, room - len, &done);
        if (done) {
            b->kept_at++;
            b->string_at = 0;
        }
    }
    return len;
}

void body_rewind(struct body *b)
{
    b->text_at = b->kept_at = b->string_at = 0;
    b->escaped_at = b->escaped_len = 0;
}
