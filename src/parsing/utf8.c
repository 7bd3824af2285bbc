/*
 * utf8.c - see utf8.h.
 *
 * One function, `classify`, knows what stands at the head of a run of bytes.
 * The long well-formed stretches are found by `utf8_invalid` and copied whole;
 * `classify` is asked only about what stops it. A code point that was cut is
 * kept in `held` and put before the next bytes in a small stitch buffer, so
 * that no cut is treated differently from any other.
 */
#include "parsing/utf8.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* What stands at the head of a run of bytes. */
enum unit {
    UNIT_WHOLE, /* a well-formed code point */
    UNIT_PAIR,  /* two halves of a surrogate pair: 6 bytes */
    UNIT_BAD,   /* becomes one U+FFFD */
    UNIT_PART   /* more bytes are needed to know */
};

/* The longest unit, and so the bytes that decide any unit. */
#define UNIT_MAX 6

static bool is_tail(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* The length of the code point at `s` (1..4), or 0 with `*good` the number of
 * bytes that could have begun one (the maximal subpart, at least 1). Table 3-7
 * of the Unicode standard. */
static size_t well_formed(const unsigned char *s, size_t n, size_t *good)
{
    unsigned char c = s[0];
    unsigned char low = 0x80, high = 0xBF; /* what the second byte may be */
    size_t need;

    *good = 1;
    if (c < 0x80)
        return 1;
    if (c < 0xC2 || c > 0xF4)
        return 0;
    if (c < 0xE0) {
        need = 2;
    } else if (c < 0xF0) {
        need = 3;
        if (c == 0xE0)
            low = 0xA0;
        else if (c == 0xED)
            high = 0x9F;
    } else {
        need = 4;
        if (c == 0xF0)
            low = 0x90;
        else if (c == 0xF4)
            high = 0x8F;
    }
    if (n < 2 || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        *good = i;
        if (i >= n || !is_tail(s[i]))
            return 0;
    }
    return need;
}

/* How many bytes of a surrogate half (ED from..to, tail) stand at `s`: 3 when
 * it is there, less when the run ends in it, 0 when something else follows. */
static size_t half(const unsigned char *s, size_t n, unsigned char from,
                   unsigned char to)
{
    if (n > 0 && s[0] != 0xED)
        return 0;
    if (n > 1 && (s[1] < from || s[1] > to))
        return 0;
    if (n > 2 && !is_tail(s[2]))
        return 0;
    return n < 3 ? n : 3;
}

/* Says what stands at `s` (n > 0) and how long it is. With `last` nothing
 * follows these bytes, and a part of something is bad. */
static enum unit classify(const unsigned char *s, size_t n, bool last,
                          size_t *len)
{
    size_t good;

    *len = well_formed(s, n, &good);
    if (*len > 0)
        return UNIT_WHOLE;
    *len = good;
    if (s[0] != 0xED || n == 1)
        return good == n && !last && s[0] >= 0xC2 && s[0] <= 0xF4 ? UNIT_PART
                                                                  : UNIT_BAD;
    size_t low = half(s, n, 0xB0, 0xBF);
    size_t high = half(s, n, 0xA0, 0xAF);
    if (low == 3) {
        *len = 3;
        return UNIT_BAD;
    }
    if (high == 3) {
        size_t rest = n - 3;
        size_t next = half(s + 3, rest, 0xB0, 0xBF);
        if (next == 3) {
            *len = 6;
            return UNIT_PAIR;
        }
        *len = 3;
        return next == rest && !last ? UNIT_PART : UNIT_BAD;
    }
    if ((low == n || high == n || good == n) && !last)
        return UNIT_PART;
    return UNIT_BAD;
}

/* Appends what a unit that is not UNIT_PART stands for. */
static enum bytes_status put(struct bytes *out, const unsigned char *s,
                             enum unit unit, size_t len)
{
    if (unit == UNIT_WHOLE)
        return bytes_append(out, s, len);
    if (unit == UNIT_BAD)
        return bytes_append(out, "\xEF\xBF\xBD", 3);

    uint32_t high = (s[1] & 0x0Fu) << 6 | (s[2] & 0x3Fu);
    uint32_t low = (s[4] & 0x0Fu) << 6 | (s[5] & 0x3Fu);
    uint32_t c = 0x10000 + (high << 10 | low);
    unsigned char utf8[4] = {
        (unsigned char)(0xF0 | c >> 18),
        (unsigned char)(0x80 | (c >> 12 & 0x3F)),
        (unsigned char)(0x80 | (c >> 6 & 0x3F)),
        (unsigned char)(0x80 | (c & 0x3F)),
    };
    return bytes_append(out, utf8, 4);
}

static void hold(struct utf8 *u, const unsigned char *s, size_t n)
{
    memcpy(u->held, s, n);
    u->len = (unsigned char)n;
}

/* Appends the units that start in `held`, with the help of the bytes of `s`
 * that follow. `*used` says how many of these are thereby done. */
static enum bytes_status stitch(struct utf8 *u, const unsigned char *s,
                                size_t n, struct bytes *out, size_t *used)
{
    unsigned char buf[sizeof u->held + UNIT_MAX];
    size_t start = u->len;
    size_t more = n < UNIT_MAX ? n : UNIT_MAX;
    size_t at = 0, len;

    memcpy(buf, u->held, start);
    memcpy(buf + start, s, more);
    u->len = 0;
    while (at < start) {
        enum unit unit = classify(buf + at, start + more - at, false, &len);
        if (unit == UNIT_PART) {
            /* Only possible when `buf` has all of the input. */
            hold(u, buf + at, start + more - at);
            *used = n;
            return BYTES_OK;
        }
        enum bytes_status status = put(out, buf + at, unit, len);
        if (status != BYTES_OK)
            return status;
        at += len;
    }
    *used = at - start;
    return BYTES_OK;
}

static enum bytes_status feed(struct utf8 *u, const unsigned char *s, size_t n,
                              struct bytes *out)
{
    enum bytes_status status = BYTES_OK;
    size_t at = 0, len;

    if (u->len > 0 && n > 0)
        status = stitch(u, s, n, out, &at);
    while (status == BYTES_OK && at < n) {
        size_t run = utf8_invalid((const char *)s + at, n - at);
        status = bytes_append(out, s + at, run);
        at += run;
        if (status != BYTES_OK || at == n)
            break;
        enum unit unit = classify(s + at, n - at, false, &len);
        if (unit == UNIT_PART) {
            hold(u, s + at, n - at);
            break;
        }
        status = put(out, s + at, unit, len);
        at += len;
    }
    return status;
}

enum bytes_status utf8_feed(struct utf8 *u, const char *s, size_t n,
                            struct bytes *out)
{
    struct utf8 before = *u;
    size_t len = out->len;
    enum bytes_status status = feed(u, (const unsigned char *)s, n, out);

    if (status != BYTES_OK) {
        *u = before;
        out->len = len;
    }
    return status;
}

enum bytes_status utf8_finish(struct utf8 *u, struct bytes *out)
{
    size_t before = out->len;
    size_t at = 0, len;

    while (at < u->len) {
        enum unit unit = classify(u->held + at, u->len - at, true, &len);
        enum bytes_status status = put(out, u->held + at, unit, len);
        if (status != BYTES_OK) {
            out->len = before;
            return status;
        }
        at += len;
    }
    u->len = 0;
    return BYTES_OK;
}

/* Whether these are the three bytes of a code point, but for those leads after
 * which not every second byte will do. Without branches: this is what most
 * text that is not Latin consists of. */
static bool is_usual(const unsigned char *s)
{
    return ((s[0] >= 0xE1) & (s[0] <= 0xEF) & (s[0] != 0xED) &
            ((s[1] & 0xC0) == 0x80) & ((s[2] & 0xC0) == 0x80)) != 0;
}

/* The number of ASCII bytes at `s`. */
static size_t ascii_run(const unsigned char *s, size_t n)
{
    size_t at = 0;
#ifdef __SSE2__
    for (; n - at >= 16; at += 16) {
        int mask = _mm_movemask_epi8(
            _mm_loadu_si128((const __m128i *)(const void *)(s + at)));
        if (mask != 0)
            return at + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    uint64_t word;
    for (; n - at >= sizeof word; at += sizeof word) {
        memcpy(&word, s + at, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (at < n && s[at] < 0x80)
        at++;
    return at;
}

size_t utf8_invalid(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t at = 0, good;

    while ((at += ascii_run(s + at, n - at)) < n) {
        size_t from = at;
        while (n - at >= 3 && is_usual(s + at))
            at += 3;
        while (n - at >= 2 && s[at] >= 0xC2 && s[at] <= 0xDF &&
               is_tail(s[at + 1]))
            at += 2;
        if (at > from)
            continue;
        size_t len = well_formed(s + at, n - at, &good);
        if (len == 0)
            break;
        at += len;
    }
    return at;
}

/* Whether the `n` bytes at `s` are exactly one white space. None of these is
 * the end of another character, so this works from both ends of a text. */
static bool is_space(const unsigned char *s, size_t n)
{
    if (n == 1)
        return (s[0] >= 0x09 && s[0] <= 0x0D) || (s[0] >= 0x1C && s[0] <= 0x20);
    if (n == 2)
        return s[0] == 0xC2 && (s[1] == 0x85 || s[1] == 0xA0);

    uint32_t c = (uint32_t)s[0] << 16 | (uint32_t)s[1] << 8 | s[2];
    return c == 0xE19A80 || (c >= 0xE28080 && c <= 0xE2808A) || c == 0xE280A8 ||
           c == 0xE280A9 || c == 0xE280AF || c == 0xE2819F || c == 0xE38080;
}

void utf8_strip(const char **s, size_t *n)
{
    const unsigned char *p = (const unsigned char *)*s;
    size_t len = *n;

    for (size_t k = 1; k <= 3 && k <= len; k++) {
        if (is_space(p, k)) {
            p += k;
            len -= k;
            k = 0;
        }
    }
    for (size_t k = 1; k <= 3 && k <= len; k++) {
        if (is_space(p + len - k, k)) {
            len -= k;
            k = 0;
        }
    }
    *s = (const char *)p;
    *n = len;
}

/* Whether this code point is a blank in a line: white space of ASCII, or what
 * would steer a terminal: C0, DEL, C1, the separators of lines and paragraphs,
 * and what changes the direction of the text. */
static bool is_blank(const unsigned char *s, size_t n)
{
    if (n == 1)
        return s[0] <= ' ' || s[0] == 0x7F;
    if (n == 2)
        return s[0] == 0xC2 && s[1] <= 0x9F;
    return n == 3 && s[0] == 0xE2 &&
           ((s[1] == 0x80 && s[2] >= 0xA8 && s[2] <= 0xAE) ||
            (s[1] == 0x81 && s[2] >= 0xA6 && s[2] <= 0xA9));
}

enum bytes_status utf8_line(const char *text, size_t n, size_t max, bool show,
                            struct bytes *out)
{
    const unsigned char *s = (const unsigned char *)text;
    enum bytes_status status = BYTES_OK;
    size_t start = out->len, short_of = start, count = 0, len;
    bool blank = false; /* one is to be written before the next character */

    for (size_t at = 0; status == BYTES_OK && at < n; at += len) {
        enum unit unit = classify(s + at, n - at, true, &len);
        if (unit == UNIT_BAD ? !show
                             : unit == UNIT_WHOLE && is_blank(s + at, len)) {
            blank = out->len > start;
            continue;
        }
        if (max - count <= blank) { /* no room for it */
            out->len = short_of;
            return bytes_append(out, "...", 3);
        }
        if (blank)
            status = bytes_append(out, " ", 1);
        if (blank && ++count + 3 == max)
            short_of = out->len;
        blank = false;
        if (status == BYTES_OK)
            status = put(out, s + at, unit, len);
        if (++count + 3 == max)
            short_of = out->len;
    }
    return status;
}
