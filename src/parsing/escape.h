/*
 * escape.h - the strings of JSON: where they end, what their escapes stand for,
 * and lone halves of surrogate pairs.
 *
 * Pure: knows bytes.h only.
 */
#ifndef CHATBOT_ESCAPE_H
#define CHATBOT_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "parsing/bytes.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The inside of a JSON string, still escaped. `s` is NULL when the field is
 * missing or null. Points into the input. */
struct escape_text {
    const char *s;
    size_t n;
    bool escaped; /* there is at least one backslash in it */
};

/* Appends the text that `t`, in which a scanner found no fault, stands for.
 * Escaped surrogate pairs become one code point, a lone half its three-byte
 * form (see utf8.h), which utf8_feed joins or replaces. */
enum bytes_status escape_undo(const struct escape_text *t, struct bytes *out);

/* Rewrites escapes of lone surrogate halves (\ud83d without its partner) in a
 * JSON text to the three raw bytes of that half, for decoders that refuse them.
 * Appends the rewritten text to `out`; *changed says whether anything was. */
enum bytes_status escape_repair(const char *json, size_t n, struct bytes *out,
                                bool *changed);

#ifdef __SSE2__
/* A bit for each byte that is `"`, `\` or a control character. */
static inline int escape_stops(__m128i v)
{
    const __m128i control = _mm_set1_epi8(0x1F);
    __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));

    stop = _mm_or_si128(stop, _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
    return _mm_movemask_epi8(stop);
}
#endif

/* The first byte that is `"`, `\` or a control character, or `last`. */
static inline const char *escape_skip_plain(const char *p, const char *last)
{
#ifdef __SSE2__
    for (; last - p >= 16; p += 16) {
        int mask =
            escape_stops(_mm_loadu_si128((const __m128i *)(const void *)p));
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#else
    /* Eight bytes at a time; below, a byte's high bit means "stops". A borrow
     * may mark bytes behind the first that stops: these are looked at again. */
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = ones << 7;

    for (; last - p >= 8; p += 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        uint64_t quote = v ^ ones * '"';
        uint64_t backslash = v ^ ones * '\\';
        uint64_t stop = ((quote - ones) & ~quote) |
                        ((backslash - ones) & ~backslash) |
                        ((v - ones * 0x20) & ~v);
        if ((stop & highs) != 0)
            break;
    }
#endif
    while (p < last && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The same near the end of an input that has at least 16 bytes before `last`:
 * the last of them are looked at all at once. */
static inline const char *escape_skip_last(const char *p, const char *last)
{
#ifdef __SSE2__
    ptrdiff_t left = last - p;

    if (left > 0 && left < 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(last - 16));
        unsigned mask = (unsigned)escape_stops(v) >> (16 - left);
        return mask != 0 ? p + __builtin_ctz(mask) : last;
    }
#endif
    return escape_skip_plain(p, last);
}

/* The value of four hexadecimal digits, or -1. Reads no further than the first
 * byte that is none. */
static inline int escape_hex4(const char *p)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* How many bytes of `s` come before the first that JSON wants escaped. */
static inline size_t escape_plain_run(const char *s, size_t n)
{
    return (size_t)(escape_skip_plain(s, s + n) - s);
}

#endif
