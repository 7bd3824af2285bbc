/*
 * scanning.h - what the tests of the scanners have in common: tables of what
 * one must accept, with what it must find there, and of what it must refuse.
 * Every input ends at a guard page.
 */
#ifndef CHATBOT_SCANNING_H
#define CHATBOT_SCANNING_H

#include "guard.h"
#include "parsing/escape.h"
#include "parsing/shape.h"
#include "parsing/sse.h"
#include "test.h"

#define NONE NULL

/* An event, and the strings that are to be found in it. */
struct row {
    const char *in;
    const char *content, *reasoning, *finish_reason, *id, *model;
};

/* Two events, and whether the second is the same as the first. */
struct pair {
    const char *before, *after;
    bool same;
};

#define SCANNING_COUNT(table) (sizeof(table) / sizeof *(table))

/* What is tested. */
static bool (*scanner)(const struct sse_event *ev, struct plain *p);
static const struct row *plain;
static const char *const *other;
static const struct pair *pairs;
static size_t plain_count, other_count, pair_count;

static struct bytes out;

static bool scan_at(const char *in, size_t n, struct plain *p)
{
    const struct sse_event ev = {.type = "", .data = in, .data_len = n};

    return scanner(&ev, p);
}

static bool scan(const char *in, size_t n, struct plain *p)
{
    memset(p, 0xA5, sizeof *p); /* the answer must not depend on it */
    return scan_at(guard_copy(in, n), n, p);
}

static void check_text(const struct escape_text *t, const char *want)
{
    if (want == NULL) {
        CHECK(t->s == NULL);
        out.len = 0;
        CHECK(escape_undo(t, &out) == BYTES_OK && out.len == 0);
        return;
    }
    if (!CHECK(t->s != NULL))
        return;
    CHECK(t->escaped == (memchr(t->s, '\\', t->n) != NULL));
    /* Also when the text ends where memory ends. */
    struct escape_text copy = *t;
    copy.s = guard_copy_to(1, t->s, t->n);
    out.len = 0;
    CHECK(escape_undo(&copy, &out) == BYTES_OK);
    CHECK(test_same(out.data, out.len, want, strlen(want)));
}

static void check_plain(const char *in, size_t n, const struct row *want)
{
    struct plain p;

    if (!CHECK(scan(in, n, &p)))
        return;
    CHECK((p.to == PLAIN_REASONING) == (want->reasoning != NULL));
    CHECK(want->reasoning == NULL || want->content == NULL);
    check_text(&p.text,
               p.to == PLAIN_REASONING ? want->reasoning : want->content);
    check_text(&p.finish, want->finish_reason);
    check_text(&p.id, want->id);
    check_text(&p.model, want->model);
}

static void accepts_what_is_plain(void)
{
    struct plain p;

    for (size_t i = 0; i < plain_count; i++) {
        const char *in = plain[i].in;
        size_t n = strlen(in);
        test_case = in;
        check_plain(in, n, &plain[i]);
        /* White space may follow; its beginning is not a whole object. */
        size_t end = n;
        while (strchr(" \r\n", in[end - 1]) != NULL)
            end--;
        for (size_t k = 0; k < end; k++)
            CHECK(!scan(in, k, &p));
        CHECK(!scan(in, n + 1, &p)); /* with its NUL */
    }
    test_case = "";
}

static void refuses_what_is_not(void)
{
    struct plain p;

    for (size_t i = 0; i < other_count; i++) {
        test_case = other[i];
        CHECK(!scan(other[i], strlen(other[i]), &p));
    }
    test_case = "";
}

/* A NUL is never part of plain JSON. */
static void refuses_nul_anywhere(void)
{
    struct plain p;
    char copy[1024];

    for (size_t i = 0; i < plain_count; i++) {
        size_t n = strlen(plain[i].in);
        for (size_t k = 0; k < n; k++) {
            memcpy(copy, plain[i].in, n);
            copy[k] = '\0';
            CHECK(!scan(copy, n, &p));
        }
    }
}

/* Nothing to compare with; a guard page and the sanitizers watch. */
static void survives_random_changes(void)
{
    static const char BYTES[] = "{}[]\",:\\u0n -.eE\t\x80\xFF";
    char copy[1024];
    struct plain p;

    for (int round = 0; round < 200000; round++) {
        const char *in = plain[test_random() % plain_count].in;
        size_t n = strlen(in);
        memcpy(copy, in, n);
        for (uint32_t k = 1 + test_random() % 3; k > 0; k--)
            copy[test_random() % n] = BYTES[test_random() % (sizeof BYTES - 1)];
        n -= test_random() % 4 == 0 ? test_random() % n : 0;
        if (!scan(copy, n, &p))
            continue;
        CHECK(p.text.s == NULL ||
              (p.text.n < n && escape_undo(&p.text, &out) == BYTES_OK));
        out.len = 0;
    }
}

static bool same_shape(const struct shape *a, const struct shape *b)
{
    bool same = a->head == b->head && a->holes == b->holes &&
                a->tail == b->tail && a->to == b->to;

    for (unsigned i = 0; same && i < a->holes; i++)
        same = a->hole[i].run == b->hole[i].run &&
               a->hole[i].len == b->hole[i].len &&
               a->hole[i].kind == b->hole[i].kind &&
               a->hole[i].is_text == b->hole[i].is_text;
    return same;
}

/* What shape_same says of `after` must be what the scanner says, and what is
 * learned on the way what shape_learn learns. True when it said yes. */
static bool check_same(const char *before, size_t m, const char *after,
                       size_t n)
{
    struct shape shape = {0}, again = {0};
    struct plain p, whole;

    if (!scan_at(before, m, &p))
        return false;
    unsigned place = p.place;
    shape_learn(&shape, before, m, &p);
    const char *kept = guard_copy(before, m);
    if (!shape_same(&shape, kept, guard_copy_to(1, after, n), n, &p)) {
        CHECK(shape.head == 0);
        return false;
    }
    CHECK(scan_at(after, n, &whole));
    const struct escape_text *t = &p.text, *w = &whole.text;
    CHECK(p.to == shape.to && (whole.to == p.to || w->n == 0));
    CHECK(t->escaped == w->escaped && test_same(t->s, t->n, w->s, w->n));
    CHECK(p.finish.s == NULL && whole.finish.n == 0);
    CHECK(p.id.s == NULL && p.model.s == NULL);
    CHECK(whole.place == place);
    shape_learn(&again, after, n, &whole);
    CHECK(w->n == 0 || same_shape(&shape, &again));
    return true;
}

static void knows_the_next_event_by_the_last(void)
{
    for (size_t i = 0; i < pair_count; i++) {
        const char *before = pairs[i].before, *after = pairs[i].after;
        size_t m = strlen(before), n = strlen(after);
        test_case = after;
        CHECK(check_same(before, m, after, n) == pairs[i].same);
        for (size_t k = 0; k < n; k++)
            CHECK(!check_same(before, m, after, k));
    }
    test_case = "";
}

static void never_takes_another_for_the_same(void)
{
    static const char BYTES[] = "{}[]\",:\\u0n -.eE\t\x80\xFF";
    char copy[1024];
    int same = 0;

    for (int round = 0; round < 100000; round++) {
        const char *in = plain[test_random() % plain_count].in;
        size_t m = strlen(in), n = m;
        memcpy(copy, in, n);
        for (uint32_t k = test_random() % 3; k > 0; k--) {
            size_t at = test_random() % n;
            if (test_random() % 2 == 0) {
                copy[at] = BYTES[test_random() % (sizeof BYTES - 1)];
            } else { /* longer by one byte */
                memmove(copy + at + 1, copy + at, n - at);
                n++;
            }
        }
        same += check_same(in, m, copy, n);
    }
    CHECK(same > 1000);
}

static inline unsigned place_of(const char *in)
{
    struct plain p;

    test_case = in;
    return CHECK(scan(in, strlen(in), &p)) ? p.place : PLACE_ANY;
}

/* Each of these events has a place of its own. */
static inline void check_apart(const char *const *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK(place_of(in[i]) >= PLACE_FIRST);
        for (size_t k = 0; k < n; k++)
            CHECK((place_of(in[i]) == place_of(in[k])) == (i == k));
    }
}

/* Of a test's main: runs what all have in common, with its tables. */
#define SCANNING_BEGIN(scan)                                                   \
    do {                                                                       \
        scanner = scan;                                                        \
        plain = PLAIN;                                                         \
        plain_count = SCANNING_COUNT(PLAIN);                                   \
        other = OTHER;                                                         \
        other_count = SCANNING_COUNT(OTHER);                                   \
        pairs = PAIRS;                                                         \
        pair_count = SCANNING_COUNT(PAIRS);                                    \
        scanning_begin();                                                      \
    } while (0)

static inline void scanning_begin(void)
{
    test_begin();
    bytes_init(&out, 1 << 20);
    CHECK(bytes_reserve(&out, 1) == BYTES_OK);
    RUN(accepts_what_is_plain);
    RUN(refuses_what_is_not);
    RUN(refuses_nul_anywhere);
    RUN(survives_random_changes);
    RUN(knows_the_next_event_by_the_last);
    RUN(never_takes_another_for_the_same);
}

static inline int scanning_end(void)
{
    bytes_free(&out);
    return test_summary();
}

#endif
