/*
 * bytes_test.c - the bounded buffer: growth, limits, what a failure leaves.
 */
#define _DEFAULT_SOURCE
#include "guard.h"
#include "parsing/bytes.h"
#include "test.h"

static void appends_and_consumes(void)
{
    struct bytes b;

    bytes_init(&b, 100000);
    CHECK(b.len == 0 && b.cap == 0 && b.data == NULL);
    CHECK(bytes_append(&b, NULL, 0) == BYTES_OK && b.data == NULL);
    CHECK(bytes_append(&b, "hello", 5) == BYTES_OK);
    CHECK(bytes_append(&b, guard_copy(" world", 6), 6) == BYTES_OK);
    CHECK(test_same(b.data, b.len, "hello world", 11));
    bytes_consume(&b, 0);
    CHECK(test_same(b.data, b.len, "hello world", 11));
    bytes_consume(&b, 6);
    CHECK(test_same(b.data, b.len, "world", 5));
    bytes_consume(&b, 5);
    CHECK(b.len == 0 && b.data != NULL);
    bytes_free(&b);
    CHECK(b.data == NULL && b.len == 0 && b.cap == 0 && b.max == 100000);
    CHECK(bytes_append(&b, "again", 5) == BYTES_OK && b.len == 5);
    bytes_free(&b);
    bytes_free(&b);
}

static void keeps_its_maximum(void)
{
    char block[100];
    struct bytes b;

    memset(block, 'x', sizeof block);
    for (size_t max = 0; max <= 300; max++) {
        bytes_init(&b, max);
        size_t taken = 0;
        for (size_t n = 1; n <= sizeof block; n++) {
            bool fits = taken + n <= max;
            CHECK(bytes_append(&b, block, n) ==
                  (fits ? BYTES_OK : BYTES_LIMIT));
            taken += fits ? n : 0;
            CHECK(b.len == taken && b.cap <= max && b.cap >= b.len);
        }
        CHECK(bytes_append(&b, block, 0) == BYTES_OK);
        CHECK(bytes_reserve(&b, max - taken) == BYTES_OK);
        CHECK(bytes_reserve(&b, max - taken + 1) == BYTES_LIMIT);
        CHECK(bytes_reserve(&b, SIZE_MAX) == BYTES_LIMIT);
        CHECK(b.len == taken);
        bytes_free(&b);
    }
}

/* Else AddressSanitizer ends the program where malloc would return NULL. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void reports_missing_memory(void)
{
    struct bytes b;

    bytes_init(&b, SIZE_MAX);
    CHECK(bytes_append(&b, "kept", 4) == BYTES_OK);
    /* More than PTRDIFF_MAX, which no allocator gives, with 32 bits neither. */
    CHECK(bytes_reserve(&b, SIZE_MAX / 2 + 1) == BYTES_MEMORY);
    CHECK(test_same(b.data, b.len, "kept", 4));
    CHECK(bytes_append(&b, "!", 1) == BYTES_OK && b.len == 5);
    bytes_free(&b);
}

static void closed_when_zeroed(void)
{
    struct bytes b;

    memset(&b, 0, sizeof b);
    CHECK(bytes_append(&b, "x", 1) == BYTES_LIMIT);
    CHECK(bytes_append(&b, NULL, 0) == BYTES_OK);
    CHECK(bytes_reserve(&b, 0) == BYTES_OK);
    bytes_consume(&b, 0);
    bytes_free(&b);
    CHECK(b.data == NULL);
}

static void gives_large_memory_back(void)
{
    static char large[65537];
    struct bytes b;

    bytes_init(&b, 1000000);
    CHECK(bytes_append(&b, large, 65536) == BYTES_OK);
    bytes_consume(&b, 65536);
    CHECK(b.len == 0 && b.data != NULL && b.cap == 65536);
    CHECK(bytes_append(&b, large, 65537) == BYTES_OK);
    bytes_consume(&b, 65536);
    CHECK(b.len == 1 && b.data != NULL);
    bytes_consume(&b, 1);
    CHECK(b.len == 0 && b.data == NULL && b.cap == 0);
    bytes_free(&b);
}

static void grows_by_doubling(void)
{
    struct bytes b;
    size_t cap = 0, moves = 0;

    bytes_init(&b, 3000000);
    for (size_t i = 0; i < 3000000; i++) {
        char c = (char)i;
        if (bytes_append(&b, &c, 1) != BYTES_OK)
            break;
        moves += b.cap != cap;
        cap = b.cap;
    }
    CHECK(b.len == 3000000 && b.cap == 3000000);
    CHECK(moves < 20);
    CHECK(b.data[2999999] == (char)2999999 && b.data[77777] == (char)77777);
    bytes_free(&b);
}

int main(void)
{
    test_begin();
    RUN(appends_and_consumes);
    RUN(keeps_its_maximum);
    RUN(reports_missing_memory);
    RUN(closed_when_zeroed);
    RUN(gives_large_memory_back);
    RUN(grows_by_doubling);
    return test_summary();
}
