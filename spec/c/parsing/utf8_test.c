/*
 * utf8_test.c - text in pieces, against an oracle that knows nothing of byte
 * ranges: it marks every beginning of every encoded code point in a table, and
 * what is in the table is good. All short sequences of the bytes where ranges
 * begin and end are tried, cut at every place.
 */
#define _DEFAULT_SOURCE
#include "guard.h"
#include "parsing/utf8.h"
#include "test.h"

#define FFFD "\xEF\xBF\xBD"

/* The oracle */

enum { NOTHING = 0, BEGINNING = 1, WHOLE = 2 };

/* What 1, 2, 3 bytes are; four bytes are looked up by their code point. */
static unsigned char one[1 << 8], two[1 << 16], three[1 << 24];

static size_t encode(uint32_t c, unsigned char *out)
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (unsigned char)(0xC0 + c / 0x40);
        out[1] = (unsigned char)(0x80 + c % 0x40);
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (unsigned char)(0xE0 + c / 0x1000);
        out[1] = (unsigned char)(0x80 + c / 0x40 % 0x40);
        out[2] = (unsigned char)(0x80 + c % 0x40);
        return 3;
    }
    out[0] = (unsigned char)(0xF0 + c / 0x40000);
    out[1] = (unsigned char)(0x80 + c / 0x1000 % 0x40);
    out[2] = (unsigned char)(0x80 + c / 0x40 % 0x40);
    out[3] = (unsigned char)(0x80 + c % 0x40);
    return 4;
}

static void fill_tables(void)
{
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        unsigned char s[4];
        size_t n = encode(c, s);
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        one[s[0]] = n == 1 ? WHOLE : BEGINNING;
        if (n >= 2)
            two[s[0] << 8 | s[1]] = n == 2 ? WHOLE : BEGINNING;
        if (n >= 3)
            three[s[0] << 16 | s[1] << 8 | s[2]] = n == 3 ? WHOLE : BEGINNING;
    }
}

/* The half of a surrogate pair at `s`, or 0. */
static uint32_t half_at(const unsigned char *s, size_t n)
{
    if (n < 3 || s[0] != 0xED || s[1] < 0xA0 || s[1] > 0xBF || s[2] < 0x80 ||
        s[2] > 0xBF)
        return 0;
    return 0xD000u + (s[1] - 0x80u) * 0x40 + (s[2] - 0x80u);
}

/* Translates `s`; returns the length of the output. */
static size_t translate(const unsigned char *s, size_t n, unsigned char *out)
{
    size_t at = 0, len = 0;

    while (at < n) {
        const unsigned char *p = s + at;
        size_t rest = n - at, good = 0;
        bool whole = false;
        uint32_t high = half_at(p, rest);
        if (high != 0) {
            uint32_t low = high < 0xDC00 ? half_at(p + 3, rest - 3) : 0;
            if (low >= 0xDC00) {
                len += encode(0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00,
                              out + len);
                at += 6;
                continue;
            }
            good = 3;
        } else {
            unsigned char kind = one[p[0]];
            if (kind != NOTHING)
                good = 1;
            if (kind == BEGINNING && rest > 1 &&
                (kind = two[p[0] << 8 | p[1]]) != NOTHING)
                good = 2;
            if (good == 2 && kind == BEGINNING && rest > 2 &&
                (kind = three[p[0] << 16 | p[1] << 8 | p[2]]) != NOTHING)
                good = 3;
            if (good == 3 && kind == BEGINNING && rest > 3 && p[3] >= 0x80 &&
                p[3] <= 0xBF) {
                good = 4;
                kind = WHOLE;
            }
            whole = good > 0 && kind == WHOLE;
        }
        if (whole) {
            memcpy(out + len, p, good);
            len += good;
        } else {
            memcpy(out + len, FFFD, 3);
            len += 3;
        }
        at += good > 0 ? good : 1;
    }
    return len;
}

/* Runs */

static struct bytes out;

static void feed(struct utf8 *u, const unsigned char *s, size_t n)
{
    size_t before = out.len;
    CHECK(utf8_feed(u, guard_copy(s, n), n, &out) == BYTES_OK);
    CHECK(u->len <= sizeof u->held);
    /* What has come out is whole, and stays so whatever follows. */
    CHECK(utf8_invalid(out.data + before, out.len - before) ==
          out.len - before);
}

/* Feeds `s` cut at `i` and `j`. */
static void run_cut(const unsigned char *s, size_t n, size_t i, size_t j,
                    const unsigned char *want, size_t want_len)
{
    struct utf8 u = {{0}, 0};

    out.len = 0;
    feed(&u, s, i);
    feed(&u, s + i, j - i);
    feed(&u, s + j, n - j);
    CHECK(utf8_finish(&u, &out) == BYTES_OK && u.len == 0);
    CHECK(test_same(out.data, out.len, (const char *)want, want_len));
}

static void run_bytewise(const unsigned char *s, size_t n,
                         const unsigned char *want, size_t want_len)
{
    struct utf8 u = {{0}, 0};

    out.len = 0;
    for (size_t i = 0; i < n; i++)
        feed(&u, s + i, 1);
    CHECK(utf8_finish(&u, &out) == BYTES_OK && u.len == 0);
    CHECK(test_same(out.data, out.len, (const char *)want, want_len));
}

static void run_all(const unsigned char *s, size_t n)
{
    unsigned char want[256];
    size_t want_len = translate(s, n, want);

    for (size_t i = 0; i <= n; i++)
        run_cut(s, n, i, n, want, want_len);
    run_bytewise(s, n, want, want_len);
    for (int k = 0; k < 2; k++) {
        size_t i = test_random() % (n + 1);
        run_cut(s, n, i, i + test_random() % (n - i + 1), want, want_len);
    }
    bool same = want_len == n && memcmp(want, s, n) == 0;
    size_t bad = utf8_invalid(guard_copy(s, n), n);
    CHECK((bad == n) == same || half_at(s, n) != 0);
}

/* The bytes where something begins or ends. */
static const unsigned char EDGES[] = {
    0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xAF, 0xB0, 0xBF, 0xC0,
    0xC1, 0xC2, 0xDF, 0xE0, 0xE3, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF,
};
#define EDGE_COUNT (sizeof EDGES)

static void translates_all_short_sequences(void)
{
    unsigned char s[3];

    for (size_t n = 1; n <= 3; n++) {
        size_t count = 1;
        for (size_t i = 0; i < n; i++)
            count *= EDGE_COUNT;
        for (size_t k = 0; k < count; k++) {
            size_t rest = k;
            for (size_t i = 0; i < n; i++, rest /= EDGE_COUNT)
                s[i] = EDGES[rest % EDGE_COUNT];
            run_all(s, n);
        }
    }
}

/* Pieces that are likely to meet in an interesting way. */
static const char *const PIECES[] = {
    "a",
    "\xC3\xA9",
    "\xE3\x81\x82",
    "\xF0\x9F\x98\x80",
    "\xED\xA0\xBD",
    "\xED\xB8\x80",
    "\xED\xA0",
    "\xED\xB8",
    "\xED",
    "\xED\x9F",
    "\xED\x9F\xBF",
    "\xF0\x9F",
    "\xF0\x9F\x98",
    "\xE3\x81",
    "\xC3",
    "\x80",
    "\xFF",
    "\xF4\x8F\xBF\xBF",
    "\xF4\x90",
    "\xE0\x80",
    "\xEF\xBF\xBD",
    "plain text of some length",
};

static void translates_random_sequences(void)
{
    for (int round = 0; round < 20000; round++) {
        unsigned char s[64];
        size_t n = 0;
        for (uint32_t k = 1 + test_random() % 5; k > 0; k--) {
            size_t which = test_random() % (sizeof PIECES / sizeof *PIECES);
            size_t len = strlen(PIECES[which]);
            if (n + len > sizeof s)
                break;
            memcpy(s + n, PIECES[which], len);
            n += len;
        }
        if (test_random() % 4 == 0)
            s[test_random() % n] = EDGES[test_random() % EDGE_COUNT];
        run_all(s, n);
    }
}

static void joins_halves(void)
{
    struct utf8 u = {{0}, 0};

    out.len = 0;
    feed(&u, (const unsigned char *)"a\xED\xA0\xBD", 4);
    CHECK(test_same(out.data, out.len, "a", 1) && u.len == 3);
    feed(&u, (const unsigned char *)"\xED", 1);
    feed(&u, (const unsigned char *)"\xB8", 1);
    CHECK(out.len == 1 && u.len == 5);
    feed(&u, (const unsigned char *)"\x80z", 2);
    CHECK(test_same(out.data, out.len, "a\xF0\x9F\x98\x80z", 6) && u.len == 0);
}

/* A failure takes nothing: the same bytes fit when there is room again. */
static void takes_nothing_on_failure(void)
{
    static const char text[] = "ab\xED\xA0\xBD\xED\xB8\x80\xFFz\xE3\x81\x82";
    const size_t n = sizeof text - 1;
    unsigned char want[64];
    size_t want_len = translate((const unsigned char *)text, n, want);

    for (size_t cut = 0; cut <= n; cut++) {
        for (size_t max = 0; max < want_len; max++) {
            struct utf8 u = {{0}, 0};
            struct bytes small;
            bytes_init(&small, want_len);
            CHECK(utf8_feed(&u, text, cut, &small) == BYTES_OK);
            size_t before = small.len;
            struct utf8 held = u;
            bytes_free(&small);
            if (max < before)
                continue;
            bytes_init(&small, max);
            CHECK(bytes_append(&small, want, before) == BYTES_OK);
            enum bytes_status status =
                utf8_feed(&u, text + cut, n - cut, &small);
            CHECK(status == BYTES_LIMIT);
            CHECK(small.len == before && u.len == held.len &&
                  memcmp(u.held, held.held, held.len) == 0);
            small.max = want_len;
            CHECK(utf8_feed(&u, text + cut, n - cut, &small) == BYTES_OK);
            CHECK(
                test_same(small.data, small.len, (const char *)want, want_len));
            bytes_free(&small);
        }
    }
}

static void finish_takes_nothing_on_failure(void)
{
    struct utf8 u = {{0}, 0};
    struct bytes small;

    bytes_init(&small, 5);
    CHECK(utf8_feed(&u, "\xED\xA0\xBD\xED", 4, &small) == BYTES_OK);
    CHECK(utf8_finish(&u, &small) == BYTES_LIMIT);
    CHECK(small.len == 0 && u.len == 4);
    small.max = 6;
    CHECK(utf8_finish(&u, &small) == BYTES_OK);
    CHECK(test_same(small.data, small.len, FFFD FFFD, 6) && u.len == 0);
    bytes_free(&small);
}

static void finds_the_first_invalid_byte(void)
{
    char text[80];

    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'a', sizeof text);
        CHECK(utf8_invalid(guard_copy(text, sizeof text), sizeof text) ==
              sizeof text);
        text[at] = '\xFF';
        CHECK(utf8_invalid(guard_copy(text, sizeof text), sizeof text) == at);
        text[at] = '\xE3'; /* begun, and never ended */
        CHECK(utf8_invalid(guard_copy(text, sizeof text), sizeof text) == at);
    }
    CHECK(utf8_invalid("", 0) == 0);
    CHECK(utf8_invalid("a\xED\xA0\x80", 4) == 1);
    CHECK(utf8_invalid("a\xC0\x80", 3) == 1);
    CHECK(utf8_invalid("\xF0\x9F\x98\x80\x80", 5) == 4);
}

static void strips_white_space(void)
{
    /* Unicode 15, property White_Space, and 1C-1F. */
    for (uint32_t c = 0; c < 0x11000; c++) {
        bool space = (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) ||
                     c == 0x85 || c == 0xA0 || c == 0x1680 ||
                     (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
                     c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
        unsigned char text[16];
        size_t k = encode(c, text);
        text[k] = 'x';
        encode(c, text + k + 1);
        size_t n = k + 1 + k;
        const char *s = guard_copy(text, n);
        const char *start = s;
        utf8_strip(&s, &n);
        if (space)
            CHECK(s == start + k && n == 1);
        else
            CHECK(s == start && n == k + 1 + k);
    }

    static const struct {
        const char *from, *to;
    } CASES[] = {
        {"", ""},
        {" ", ""},
        {" \t\r\n\v\f", ""},
        {"\xE3\x80\x80 \xC2\xA0", ""},
        {" a b ", "a b"},
        {"\xE3\x80\x80\xE3\x81\x82\xE3\x80\x80", "\xE3\x81\x82"},
        {"\x80\x80", "\x80\x80"},
        {"\xE2\x80", "\xE2\x80"},
        {"\xE2\x80 ", "\xE2\x80"},
        {" \x85", "\x85"},
        {"\xE2\x80\x41", "\xE2\x80\x41"},
        {"\xE2\x80\x8B", "\xE2\x80\x8B"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        size_t n = strlen(CASES[i].from);
        const char *s = guard_copy(CASES[i].from, n);
        utf8_strip(&s, &n);
        CHECK(test_same(s, n, CASES[i].to, strlen(CASES[i].to)));
    }
}

static bool line_is(const char *s, size_t n, size_t max, bool show,
                    const char *want)
{
    struct bytes line;
    bytes_init(&line, 3 * n + 4);
    bool ok = utf8_line(guard_copy(s, n), n, max, show, &line) == BYTES_OK &&
              test_same(line.data, line.len, want, strlen(want));
    if (!ok)
        fprintf(stderr, "'%.*s'\n", (int)line.len, line.data);
    bytes_free(&line);
    return ok;
}

#define LINE(text, max, show, want)                                            \
    CHECK(line_is(text, sizeof text - 1, max, show, want))

static void makes_lines(void)
{
    LINE("", 10, true, "");
    LINE(" \r\n\t ", 10, true, "");
    LINE("  a \r\n b\0c\33[31m\177 ", 99, true, "a b c [31m");
    LINE("a\302\233b\302\205c\302\240d", 99, true, "a b c\302\240d");
    LINE("a\342\200\250b\342\200\251c\342\200\252d\342\200\256e\342\201\246f"
         "\342\201\251g",
         99, true, "a b c d e f g");
    LINE("a\377b\355\240\275c", 99, true, "a\357\277\275b\357\277\275c");
    LINE("a\377b\302", 99, false, "a b");
    LINE("\355\240\275\355\270\200", 99, true, "\360\237\230\200");
    LINE("\343\201\202\343\201\204\343\201\206\343\201\210\343\201\212", 5,
         true, "\343\201\202\343\201\204\343\201\206\343\201\210\343\201\212");
    LINE("\343\201\202\343\201\204\343\201\206\343\201\210\343\201\212!", 5,
         true, "\343\201\202\343\201\204...");
    LINE("abcd", 4, true, "abcd");
    LINE("abcde", 4, true, "a...");
    LINE("ab cd", 4, true, "a...");
    LINE("a bcd", 4, true, "a...");
    LINE("abcd  ", 4, true, "abcd");
    LINE("abc d", 4, true, "a...");
    for (int i = 0; i < 20000; i++) { /* always valid, one line, in bounds */
        static const unsigned char bytes[] = {'a',  ' ',  '\n', 0,    0xC2,
                                              0x85, 0xE2, 0x80, 0xA8, 0xAE,
                                              0xED, 0xA0, 0xB0, 0xF0, 0x9F};
        char s[40];
        size_t n = test_random() % sizeof s, max = 4 + test_random() % 20;
        struct bytes line;
        bytes_init(&line, 3 * n + 4);
        for (size_t at = 0; at < n; at++)
            s[at] = (char)bytes[test_random() % sizeof bytes];
        CHECK(utf8_line(guard_copy(s, n), n, max, i % 2, &line) == BYTES_OK);
        CHECK(utf8_invalid(line.data, line.len) == line.len);
        size_t count = 0;
        for (size_t at = 0; at < line.len; at++) {
            unsigned char c = (unsigned char)line.data[at];
            CHECK(c >= ' ');
            count += (c & 0xC0) != 0x80;
        }
        CHECK(count <= max);
        bytes_free(&line);
    }
}

int main(void)
{
    test_begin();
    bytes_init(&out, 1 << 20);
    CHECK(bytes_reserve(&out, 1) == BYTES_OK);
    RUN(fill_tables);
    RUN(translates_all_short_sequences);
    RUN(translates_random_sequences);
    RUN(joins_halves);
    RUN(takes_nothing_on_failure);
    RUN(finish_takes_nothing_on_failure);
    RUN(finds_the_first_invalid_byte);
    RUN(strips_white_space);
    RUN(makes_lines);
    bytes_free(&out);
    return test_summary();
}
