/*
 * line.h - where a line ends that stands among many bytes.
 *
 * Pure, and all here.
 */
#ifndef CHATBOT_LINE_H
#define CHATBOT_LINE_H

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The first CR or LF from `p` on, or `end`. Of bytes above CR, as nearly all
 * are, many are passed at a time. */
static inline const char *line_find_end(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');

    for (; end - p >= 64; p += 64) {
        const __m128i *v = (const __m128i *)(const void *)p;
        __m128i least = _mm_min_epu8(
            _mm_min_epu8(_mm_loadu_si128(v), _mm_loadu_si128(v + 1)),
            _mm_min_epu8(_mm_loadu_si128(v + 2), _mm_loadu_si128(v + 3)));
        least = _mm_cmpeq_epi8(_mm_min_epu8(least, cr), least);
        if (_mm_movemask_epi8(least) != 0)
            break;
    }
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        int mask = _mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(v, cr), _mm_cmpeq_epi8(v, lf)));
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#else
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = ones << 7;

    for (; end - p >= 8; p += 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        if (((v - ones * ('\r' + 1)) & ~v & highs) == 0)
            continue;
        for (int i = 0; i < 8; i++)
            if (p[i] == '\n' || p[i] == '\r')
                return p + i;
    }
#endif
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

#endif
