/*
 * parse.c - runs one part of the parsing layer over `N` events of the usual
 * kind, in memory, for callgrind to count:
 *
 *     parse sse N DIALECT     events out of a stream, fed 16 KiB at a time
 *     parse scan N DIALECT    the scan of each event
 *     parse same N DIALECT    shape_same, each event after the one before
 *     parse make N DIALECT    none of these, only what making the events costs
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialect/chat_scan.h"
#include "dialect/messages_scan.h"
#include "dialect/responses_scan.h"
#include "events.h"
#include "parsing/sse.h"

#define PIECE 16384

struct place {
    size_t at, len;
};

static void take(struct sse *s, long *seen)
{
    struct sse_event ev;
    while (sse_next(s, &ev) == SSE_EVENT)
        ++*seen;
}

static long read_stream(const char *all, size_t len)
{
    struct sse sse;
    long seen = 0;
    sse_init(&sse, 1 << 20, 1 << 20);
    for (size_t at = 0; at < len; at += PIECE) {
        sse_feed(&sse, all + at, len - at < PIECE ? len - at : PIECE);
        take(&sse, &seen);
    }
    sse_free(&sse);
    return seen;
}

static long read_events(enum events_dialect dialect, bool same, const char *all,
                        const struct place *places, long n)
{
    static bool (*const scans[])(const struct sse_event *, struct plain *) = {
        chat_scan, responses_scan, messages_scan};
    const char *before = NULL;
    struct shape shape = {.head = 0};
    struct plain p;
    long seen = 0;
    for (long i = 0; i < n; i++) {
        const char *s = all + places[i].at;
        const struct sse_event ev = {.data = s, .data_len = places[i].len};
        if (same && shape_same(&shape, before, s, places[i].len, &p)) {
            seen++;
        } else if (scans[dialect](&ev, &p)) {
            shape_learn(&shape, s, places[i].len, &p);
            seen++;
        }
        before = s;
    }
    return seen;
}

int main(int argc, char **argv)
{
    long seen = 0, n = argc == 4 ? atol(argv[2]) : 0;
    enum events_dialect dialect = n > 0 ? events_dialect(argv[3]) : 0;
    char *all = malloc((size_t)n * EVENTS_MAX + PIECE);
    struct place *places = malloc(((size_t)n + 1) * sizeof *places);
    size_t len = 0;
    if (n <= 0 || all == NULL || places == NULL)
        return 2;
    for (long i = 0; i < n; i++) {
        size_t size = events_delta(dialect, all + len, EVENTS_MAX, i);
        const char *data = strstr(all + len, "data: ") + 6;
        places[i].at = (size_t)(data - all);
        places[i].len = len + size - 2 - places[i].at;
        len += size;
    }
    if (argv[1][0] == 'm')
        seen = n;
    else if (argv[1][1] == 's')
        seen = read_stream(all, len);
    else
        seen = read_events(dialect, argv[1][1] == 'a', all, places, n);
    free(all);
    free(places);
    return seen == n ? 0 : 1;
}
