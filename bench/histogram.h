/*
 * histogram.h - latencies in as much memory for ten million of them as for ten,
 * because memory is measured, too: to the microsecond below a millisecond, to
 * one part in 512 above.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SIZE (1024 + 22 * 512)

struct histogram {
    uint64_t count;
    uint32_t at[HISTOGRAM_SIZE];
};

static inline void histogram_note(struct histogram *h, int64_t us)
{
    uint32_t v = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    int shift = 0;
    while (v >> shift >= 1024)
        shift++;
    h->at[(uint32_t)shift * 512 + (v >> shift)]++;
    h->count++;
}

/* The latency in microseconds that this part of them does not pass. */
static inline double histogram_quantile(const struct histogram *h, double q)
{
    uint64_t want = (uint64_t)(q * (double)(h->count - 1)), seen = 0;
    uint32_t i = 0;
    while ((seen += h->at[i]) <= want)
        i++;
    return i < 1024 ? i : (double)((uint64_t)(512 + i % 512) << (i / 512 - 1));
}

#endif
