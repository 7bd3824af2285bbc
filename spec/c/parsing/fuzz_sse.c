/*
 * fuzz_sse.c - libFuzzer: whole, byte by byte, and in random pieces, a stream
 * tells the same events. The first bytes of the input choose the limit and the
 * pieces.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc \
 *         spec/c/fuzz_sse.c src/sse.c src/bytes.c -o fuzz_sse
 */
#define _DEFAULT_SOURCE
#include <stdint.h>
#include <stdlib.h>

#include "guard.h"
#include "parsing/sse.h"

#define MAX_QUEUE ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static void add(struct bytes *told, const void *p, size_t n)
{
    if (bytes_append(told, p, n) != BYTES_OK)
        abort();
}

static void tell(struct bytes *told, const struct sse_event *ev, char mark)
{
    size_t sizes[2] = {ev->type_len, ev->data_len};

    add(told, &mark, 1);
    add(told, ev->is_error ? "!" : "-", 1);
    add(told, sizes, sizeof sizes);
    add(told, ev->type, ev->type_len);
    add(told, ev->data, ev->data_len);
}

static enum sse_status drain(struct sse *s, struct bytes *told)
{
    struct sse_event ev;
    enum sse_status status;

    while ((status = sse_next(s, &ev)) == SSE_EVENT)
        tell(told, &ev, 'E');
    return status;
}

/* Feeds `p` in pieces of 1 to `most` bytes; takes events out after a piece when
 * `eager`, else at the end. */
static void run(const char *p, size_t n, size_t most, uint32_t seed,
                size_t max_event, bool eager, struct bytes *told)
{
    struct sse s;
    struct sse_event ev;
    enum sse_status status;

    told->len = 0;
    sse_init(&s, max_event, MAX_QUEUE);
    for (size_t at = 0, piece; at < n; at += piece) {
        seed = seed * 1664525 + 1013904223;
        piece = 1 + (seed >> 8) % most;
        if (piece > n - at)
            piece = n - at;
        status = sse_feed(&s, guard_copy(p + at, piece), piece);
        if (eager && status == SSE_MORE)
            status = drain(&s, told);
        if (status != SSE_MORE)
            break;
        if (eager && sse_retained(&s) > 2 * max_event + 8)
            abort();
    }
    drain(&s, told);
    while ((status = sse_end(&s, &ev)) == SSE_EVENT)
        tell(told, &ev, '?');
    add(told, &status, sizeof status);
    if (status == SSE_MORE) {
        add(told, &s.retry, sizeof s.retry);
        if (s.id.len > 0)
            add(told, s.id.data, s.id.len);
        if (sse_retained(&s) != 0)
            abort();
    }
    sse_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
    struct bytes first, other;

    if (n < 2 || n > 10000)
        return 0;
    uint32_t seed = (uint32_t)input[0] << 8 | input[1];
    size_t max_event = (seed & 1) != 0 ? 10 + (seed >> 1) % 64 : MAX_QUEUE;
    const char *p = (const char *)input + 2;
    n -= 2;

    bytes_init(&first, SIZE_MAX);
    bytes_init(&other, SIZE_MAX);
    run(p, n, n + 1, 0, max_event, true, &first);
    for (size_t k = 0; k < 6; k++) {
        run(p, n, k < 2 ? 1 : 1 + seed % 32, seed + (uint32_t)k, max_event,
            k % 2 == 0, &other);
        if (first.len != other.len ||
            memcmp(first.data, other.data, first.len) != 0)
            abort();
    }
    bytes_free(&first);
    bytes_free(&other);
    return 0;
}
