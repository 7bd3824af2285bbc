/*
 * parse.c - runs one part of the parsing layer over `N` events of the usual
 * kind, in memory, for callgrind to count:
 *
 *     parse sse N     events out of a stream that is fed 16 KiB at a time
 *     parse delta N   chat_scan of each event
 *     parse same N    shape_same, each event after the one before
 *     parse make N    none of these, only what making the events costs
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialect/chat_scan.h"
#include "parsing/sse.h"

#define PIECE 16384

static size_t event(char *to, size_t size, long i)
{
    return (size_t)snprintf(
        to, size,
        "data: {\"id\":\"chatcmpl-BPYXc8ZD2Xl4M6nJ2bTs7qZ1rK0aE\",\"object\":"
        "\"chat.completion.chunk\",\"created\":1745123456,\"model\":"
        "\"gpt-4.1-2025-04-14\",\"service_tier\":\"default\","
        "\"system_fingerprint\":\"fp_b38e740b47\",\"choices\":[{\"index\":0,"
        "\"delta\":{\"content\":\" %05ld\"},\"logprobs\":null,"
        "\"finish_reason\":null}],\"usage\":null}\n\n",
        i % 100000);
}

static void take(struct sse *s, long *seen)
{
    struct sse_event ev;
    while (sse_next(s, &ev) == SSE_EVENT)
        ++*seen;
}

int main(int argc, char **argv)
{
    static char one[512];
    char kept[512];
    struct plain p;
    struct shape shape = {0};
    struct sse sse;
    long seen = 0, n = argc == 3 ? atol(argv[2]) : 0;
    char *all = malloc((size_t)n * sizeof one + PIECE);
    size_t len = 0;
    if (n <= 0 || all == NULL)
        return 2;
    for (long i = 0; i < n; i++)
        len += event(all + len, sizeof one, i);
    if (argv[1][0] == 'm') {
        seen = n;
    } else if (argv[1][1] == 's') {
        sse_init(&sse, 1 << 20, 1 << 20);
        for (size_t at = 0; at < len; at += PIECE) {
            sse_feed(&sse, all + at, len - at < PIECE ? len - at : PIECE);
            take(&sse, &seen);
        }
        sse_free(&sse);
    } else {
        size_t size = event(one, sizeof one, 0), json = size - 8;
        bool same = argv[1][0] == 's';
        for (long i = 0; i < n; i++) {
            const char *s = all + (size_t)i * size + 6;
            const struct sse_event ev = {.data = s, .data_len = json};
            if (same && shape_same(&shape, kept, s, json, &p)) {
                seen++;
            } else if (chat_scan(&ev, &p)) {
                shape_learn(&shape, s, json, &p);
                memcpy(kept, s, json);
                seen++;
            }
        }
    }
    free(all);
    return seen == n ? 0 : 1;
}
