/*
 * body_test.c - bodies of random parts, read in pieces of every size: whatever
 * is kept and not copied, what is read is the same.
 */
#define _DEFAULT_SOURCE
#include "parsing/body.h"

#include <stdlib.h>

#include "guard.h"
#include "test.h"

/* The oracle: JSON's escapes, one character at a time. */
static size_t quote(const char *s, size_t n, char *to)
{
    static const char *const shorts[256] = {
        ['"'] = "\\\"", ['\\'] = "\\\\", ['\b'] = "\\b", ['\f'] = "\\f",
        ['\n'] = "\\n", ['\r'] = "\\r",  ['\t'] = "\\t"};
    char *at = to;
    *at++ = '"';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (shorts[c] != NULL)
            at += sprintf(at, "%s", shorts[c]);
        else if (c < 0x20)
            at += sprintf(at, "\\u%04x", c);
        else
            *at++ = s[i];
    }
    *at++ = '"';
    return (size_t)(at - to);
}

static void quotes_each_character(void)
{
    char want[16], got[16];
    for (int c = 0; c < 256; c++) {
        struct body b;
        char s[3] = {'a', (char)c, 'b'};
        size_t n = quote(s, 3, want);
        CHECK(body_quoted_size(s, 3) == n);
        for (int kept = 0; kept < 2; kept++) {
            body_init(&b);
            CHECK(kept ? body_keep(&b, s, 3, n) : body_quote(&b, s, 3));
            CHECK(b.size == n && body_read(&b, got, sizeof got) == n);
            CHECK(test_same(got, n, want, n));
            CHECK(body_read(&b, got, sizeof got) == 0);
            body_free(&b);
        }
    }
}

#define PARTS 40

static char strings[PARTS][64];

/* Fills the body with random parts and `want` with what must be read. */
static size_t fill(struct body *b, char *want)
{
    size_t len = 0;
    for (int i = 0; i < PARTS; i++) {
        char *s = strings[i];
        size_t n = test_random() % sizeof strings[i];
        for (size_t k = 0; k < n; k++)
            s[k] = test_random() % 4 == 0 ? "\"\\\n\1"[test_random() % 4]
                                          : (char)('a' + test_random() % 26);
        unsigned how = (unsigned)(test_random() % 3);
        if (how == 0)
            CHECK(body_keep(b, s, n, body_quoted_size(s, n)));
        else if (how == 1)
            CHECK(body_quote(b, s, n));
        else
            CHECK(body_add(b, s, n));
        if (how < 2)
            len += quote(s, n, want + len);
        else
            memcpy(want + len, s, n), len += n;
    }
    return len;
}

static void reads_the_same_in_pieces(void)
{
    static char want[PARTS * 64 * 6 + PARTS * 2], got[sizeof want];
    for (int round = 0; round < 300; round++) {
        struct body b;
        body_init(&b);
        size_t n = fill(&b, want);
        CHECK(b.size == n);
        for (size_t room = 1; room < 80; room++) {
            size_t len = 0, more = 0;
            body_rewind(&b);
            do {
                char *piece = malloc(room); /* so that ASan sees its end */
                more = piece == NULL ? 0 : body_read(&b, piece, room);
                CHECK(more == (n - len < room ? n - len : room));
                if (len + more <= n && more > 0)
                    memcpy(got + len, piece, more);
                free(piece);
                len += more;
            } while (more > 0 && len <= n);
            CHECK(test_same(got, len, want, n));
        }
        CHECK(body_join(&b) && b.count == 0 && b.size == n);
        CHECK(test_same(b.text.data, b.text.len, want, n));
        body_free(&b);
    }
}

static void looks_no_further(void)
{
    char out[128];
    for (size_t n = 0; n < 20; n++) {
        const char *s = guard_copy("0123456789\n123456789", n);
        struct body b;
        body_init(&b);
        size_t size = body_quoted_size(s, n);
        CHECK(body_keep(&b, s, n, size) && body_quote(&b, s, n));
        CHECK(b.size == 2 * size);
        CHECK(body_read(&b, out, sizeof out) == b.size);
        body_free(&b);
    }
}

int main(void)
{
    test_begin();
    RUN(quotes_each_character);
    RUN(reads_the_same_in_pieces);
    RUN(looks_no_further);
    return test_summary();
}
