/*
 * state.c - see state.h.
 */
#include "engine/state.h"

#include "engine/os.h"

bool http_usable(const struct http *h)
{
    return h->pid == os_process() && !h->broken;
}

/* The next number of SplitMix64. */
static uint64_t next_random(struct http *h)
{
    uint64_t z = h->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

void state_seed(struct http *h)
{
    const uint64_t parts[] = {(uint64_t)os_wall(), (uint64_t)timers_now(),
                              (uint64_t)h->pid, (uint64_t)(uintptr_t)h};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        h->random ^= parts[i];
        h->random = next_random(h);
    }
}

double state_random(struct http *h)
{
    return (double)(next_random(h) >> 11) / 9007199254740992.0;
}
