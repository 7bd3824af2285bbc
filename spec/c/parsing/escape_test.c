/*
 * escape_test.c - escapes undone, and lone halves of surrogate pairs repaired.
 * That each escape means what it says is seen in chat_scan_test.c.
 */
#define _DEFAULT_SOURCE
#include "guard.h"
#include "parsing/escape.h"
#include "parsing/utf8.h"
#include "test.h"

static struct bytes out;

static void unescape_keeps_the_limit(void)
{
    static const char TEXT[] = "ab\\u3042\\ud83d\\ude00\\n";
    const struct escape_text t = {TEXT, sizeof TEXT - 1, true};
    struct bytes small;

    for (size_t max = 0; max <= 13; max++) {
        bytes_init(&small, max);
        enum bytes_status status = bytes_append(&small, "xyz", 3);
        enum bytes_status want = max < 13 ? BYTES_LIMIT : BYTES_OK;
        CHECK(escape_undo(&t, &small) == want);
        CHECK(small.len == (status != BYTES_OK ? 0u : max < 13 ? 3u : 13u));
        bytes_free(&small);
    }
}

static const struct {
    const char *in, *want; /* NULL: not changed */
} REPAIR[] = {
    {"", NULL},
    {"{\"a\":1}", NULL},
    {"\"\\ud83d\\ude00\"", NULL},
    {"\"\\uD83D\\uDE00\"", NULL},
    {"\"\\ud83d\"", "\"\xED\xA0\xBD\""},
    {"\"\\ude00\"", "\"\xED\xB8\x80\""},
    {"\"a\\ud83dz\"", "\"a\xED\xA0\xBDz\""},
    {"\"\\ud83d\\ud83d\\ude00\"", "\"\xED\xA0\xBD\\ud83d\\ude00\""},
    {"\"\\ud83d\\ude00\\ude00\"", "\"\\ud83d\\ude00\xED\xB8\x80\""},
    {"\"\\ud83d\",\"\\ude00\"", "\"\xED\xA0\xBD\",\"\xED\xB8\x80\""},
    {"\"\\ud83d\\n\"", "\"\xED\xA0\xBD\\n\""},
    {"\"\\ud83d\\\\ude00\"", "\"\xED\xA0\xBD\\\\ude00\""},
    {"\"\\\\ud83d\"", NULL},
    {"\"\\\\\\ud83d\"", "\"\\\\\xED\xA0\xBD\""},
    {"\"\\\"\\ud83d\"", "\"\\\"\xED\xA0\xBD\""},
    {"\"\\ud7ff\\ue000\"", NULL},
    {"\"\\udbff\\udc00\"", NULL},
    {"\"\\ud800\"", "\"\xED\xA0\x80\""},
    {"\"\\udfff\"", "\"\xED\xBF\xBF\""},
    {"\\ud83d", NULL},
    {"\"a\"\\ud83d\"\\ud83d\"", "\"a\"\\ud83d\"\xED\xA0\xBD\""},
    {"{\"\\udc00\":[\"\\ud83d\"]}", "{\"\xED\xB0\x80\":[\"\xED\xA0\xBD\"]}"},
    {"\"\\ud83", NULL},
    {"\"\\ud83d", "\"\xED\xA0\xBD"},
    {"\"\\ud83d\\", "\"\xED\xA0\xBD\\"},
    {"\"\\ud83d\\ude0", "\"\xED\xA0\xBD\\ude0"},
    {"\"\\", NULL},
    {"\"\\u", NULL},
    {"\"\\ud83x\"", NULL},
};

static void repairs_lone_halves(void)
{
    for (size_t i = 0; i < sizeof REPAIR / sizeof *REPAIR; i++) {
        const char *in = REPAIR[i].in;
        const char *want = REPAIR[i].want != NULL ? REPAIR[i].want : in;
        size_t n = strlen(in), want_n = strlen(want);
        bool changed = REPAIR[i].want == NULL;

        test_case = in;
        out.len = 0;
        CHECK(bytes_append(&out, "<", 1) == BYTES_OK);
        CHECK(escape_repair(guard_copy(in, n), n, &out, &changed) == BYTES_OK);
        CHECK(test_same(out.data + 1, out.len - 1, want, want_n));
        CHECK(changed == (REPAIR[i].want != NULL));

        for (size_t max = 0; max < want_n; max++) {
            struct bytes small;
            bytes_init(&small, max);
            CHECK(escape_repair(in, n, &small, &changed) == BYTES_LIMIT);
            CHECK(small.len == 0);
            bytes_free(&small);
        }
    }
    test_case = "";
}

/* Halves that two chunks share: escape_undo and utf8_feed in a row. */
static void halves_meet_across_chunks(void)
{
    static const char *const TEXTS[] = {"a\\ud83d", "\\ude00b\\ud83d", "z"};
    struct utf8 u = {{0}, 0};
    struct bytes text;

    bytes_init(&text, 100);
    for (size_t i = 0; i < 3; i++) {
        const struct escape_text t = {TEXTS[i], strlen(TEXTS[i]), i < 2};
        out.len = 0;
        CHECK(escape_undo(&t, &out) == BYTES_OK);
        CHECK(utf8_feed(&u, out.data, out.len, &text) == BYTES_OK);
    }
    CHECK(test_same(text.data, text.len,
                    "a\xF0\x9F\x98\x80"
                    "b\xEF\xBF\xBDz",
                    10));
    bytes_free(&text);
}

/* Near the end the bytes before it are looked at as well, and do not count. */
static void stops_near_the_end_as_elsewhere(void)
{
    static const char BYTES[] = "\"\\\x1F\n x\x80\xFF";
    char in[40];

    for (int round = 0; round < 20000; round++) {
        size_t n = 16 + test_random() % 24, from = test_random() % (n + 1);
        for (size_t i = 0; i < n; i++)
            in[i] = test_random() % 8 == 0
                        ? BYTES[test_random() % (sizeof BYTES - 1)]
                        : 'x';
        const char *p = guard_copy(in, n);
        CHECK(escape_skip_last(p + from, p + n) ==
              escape_skip_plain(p + from, p + n));
    }
}

int main(void)
{
    test_begin();
    bytes_init(&out, 1 << 20);
    RUN(unescape_keeps_the_limit);
    RUN(repairs_lone_halves);
    RUN(halves_meet_across_chunks);
    bytes_free(&out);
    RUN(stops_near_the_end_as_elsewhere);
    return test_summary();
}
