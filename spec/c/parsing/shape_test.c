/*
 * shape_test.c - events that are known by the one before: what stays, and holes
 * of each kind, whose content is chosen here. What scanners make of it is in
 * the tests of these.
 */
#define _DEFAULT_SOURCE
#include "parsing/shape.h"

#include "guard.h"
#include "parsing/bytes.h"
#include "test.h"

/* An event in parts: what stays, and the holes between. */
struct event {
    const char *stays[SHAPE_HOLES + 1];
    struct {
        enum hole_kind kind;
        const char *content;
    } hole[SHAPE_HOLES];
    unsigned holes, text; /* how many, and which is the text */
};

static struct bytes made;

static void add(const char *s)
{
    CHECK(bytes_append(&made, s, strlen(s)) == BYTES_OK);
}

/* Makes the event, with other content in the holes if there is one, and tells
 * where the holes are. */
static void make(const struct event *e, const char *const *contents,
                 size_t at[SHAPE_HOLES])
{
    made.len = 0;
    for (unsigned i = 0; i < e->holes; i++) {
        add(e->stays[i]);
        at[i] = made.len;
        add(contents != NULL ? contents[i] : e->hole[i].content);
    }
    add(e->stays[e->holes]);
}

/* What a scanner says of the event that stands at `json`; the holes that are
 * not the text are told in the order `turn` begins. */
static struct plain say(const struct event *e, const char *json,
                        const size_t at[SHAPE_HOLES], unsigned turn)
{
    struct plain p;

    plain_clear(&p);
    p.to = PLAIN_REFUSAL;
    for (unsigned k = 0; k < e->holes; k++) {
        unsigned i = (k + turn) % e->holes;
        const char *s = json + at[i];
        size_t n = strlen(e->hole[i].content);
        if (i == e->text)
            p.text = (struct escape_text){s, n, memchr(s, '\\', n) != NULL};
        else
            plain_loose(&p, e->hole[i].kind, s, s + n);
    }
    return p;
}

#define LONG "0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct event EVENTS[] = {
    {{"{\"delta\": {\"text\":\"", "\"}}"}, {{HOLE_STRING, " word"}}, 1, 0},
    {{"{\"n\":", ",\"delta\":\"", "\",\"padding\":\"", "\"}"},
     {{HOLE_NUMBER, "7"}, {HOLE_STRING, "a"}, {HOLE_STRING, "xyz"}},
     3,
     1},
    {{"{\"text\":\"", "\",\"abcdefghijkl\":1", "}"},
     {{HOLE_STRING, "\\n"}, {HOLE_BLANKS, "   "}},
     2,
     0},
    {{"{\"id\":\"", "\",\"" LONG "\":[\"", "\"],\"n\":", ",\"z\":0", "}"},
     {{HOLE_STRING, LONG},
      {HOLE_STRING, ""},
      {HOLE_NUMBER, "-1.5e+7"},
      {HOLE_BLANKS, ""}},
     4,
     1},
};

#define EVENT_COUNT (sizeof EVENTS / sizeof *EVENTS)

/* What fits into a hole of each kind, and what does not. */
static const char *const GOOD[][7] = {
    [HOLE_STRING] = {"", "a", " other word", "\\\"\\u00e4\\\\", LONG LONG,
                     "\xE3\x81\x82}", "0123456789abcde\\n"},
    [HOLE_NUMBER] = {"0", "12", "-3", "1.25", "1e5", "-0.5E-7", "1234567890"},
    [HOLE_BLANKS] = {"", " ", "\t", "\r\n", "                ", "  \n", "   "},
};
static const char *const BAD[][7] = {
    [HOLE_STRING] = {"\\x", "\t", "\x01", "\\u12", "a\"", "\"", "\\"},
    [HOLE_NUMBER] = {"", "-", "01", "1.", "null", "\"1\"", "1 "},
    [HOLE_BLANKS] = {"x", "\v", ",", "1", "  \"", "{", " :"},
};

static bool same_as(const struct event *e, unsigned turn,
                    const char *const *contents, struct plain *p)
{
    struct shape shape = {0}, again = {0};
    size_t at[SHAPE_HOLES];

    make(e, NULL, at);
    const char *before = guard_copy(made.data, made.len);
    struct plain said = say(e, before, at, turn);
    shape_learn(&shape, before, made.len, &said);
    if (!CHECK(shape.head == at[0] && shape.holes == e->holes))
        return false;
    make(e, contents, at);
    const char *after = guard_copy_to(1, made.data, made.len);
    if (!shape_same(&shape, before, after, made.len, p)) {
        CHECK(shape.head == 0);
        return false;
    }
    CHECK(p->to == PLAIN_REFUSAL && shape.head == at[0]);
    CHECK(p->text.s == after + at[e->text]);
    /* Also what comes next is known by it. */
    again = shape;
    CHECK(shape_same(&again, after, after, made.len, p));
    make(e, NULL, at);
    const char *third = guard_copy(made.data, made.len);
    CHECK(shape_same(&shape, after, third, made.len, p));
    CHECK(p->text.s == third + at[e->text]);
    CHECK(test_same(p->text.s, p->text.n, e->hole[e->text].content,
                    strlen(e->hole[e->text].content)));
    return true;
}

static void knows_an_event_by_the_one_before(void)
{
    struct plain p;

    for (int round = 0; round < 20000; round++) {
        const struct event *e = &EVENTS[test_random() % EVENT_COUNT];
        const char *contents[SHAPE_HOLES];
        for (unsigned i = 0; i < e->holes; i++)
            contents[i] = GOOD[e->hole[i].kind][test_random() % 7];
        CHECK(same_as(e, test_random() % e->holes, contents, &p));
        unsigned i = test_random() % e->holes;
        contents[i] = BAD[e->hole[i].kind][test_random() % 7];
        test_case = contents[i];
        CHECK(!same_as(e, 0, contents, &p));
        test_case = "";
    }
}

/* A byte that is another, one more or one less outside of the holes. */
static void wants_the_rest_to_be_the_same(void)
{
    size_t at[SHAPE_HOLES];
    char copy[1024];

    for (size_t k = 0; k < EVENT_COUNT; k++) {
        const struct event *e = &EVENTS[k];
        make(e, NULL, at);
        size_t n = made.len;
        for (size_t i = 0; i < n; i++) {
            struct shape shape = {0};
            struct plain p = say(e, made.data, at, 0);
            bool inside = false;
            for (unsigned h = 0; h < e->holes; h++)
                inside |= i >= at[h] && i <= at[h] + strlen(e->hole[h].content);
            if (inside)
                continue;
            shape_learn(&shape, made.data, n, &p);
            memcpy(copy, made.data, n);
            copy[i] = (char)(copy[i] ^ 1);
            struct shape other = shape, less = shape;
            CHECK(!shape_same(&other, made.data, guard_copy(copy, n), n, &p));
            memmove(copy + i, copy + i + 1, n - i - 1);
            CHECK(!shape_same(&less, made.data, guard_copy(copy, n - 1), n - 1,
                              &p));
            memcpy(copy, made.data, n);
            memmove(copy + i + 1, made.data + i, n - i);
            copy[i] = '_';
            CHECK(!shape_same(&shape, made.data, guard_copy(copy, n + 1), n + 1,
                              &p));
        }
    }
}

static void says_no_to_a_beginning(void)
{
    size_t at[SHAPE_HOLES];

    for (size_t k = 0; k < EVENT_COUNT; k++) {
        make(&EVENTS[k], NULL, at);
        for (size_t n = 0; n < made.len; n++) {
            struct shape shape = {0};
            struct plain p = say(&EVENTS[k], made.data, at, 0);
            shape_learn(&shape, made.data, made.len, &p);
            CHECK(!shape_same(&shape, made.data, guard_copy(made.data, n), n,
                              &p));
        }
    }
}

static void learns_only_what_is_text_alone(void)
{
    static const char JSON[] = "{\"text\":\"a\",\"more\":\"b\"}";
    struct shape shape = {0};
    struct plain p;
    size_t n = sizeof JSON - 1;

    plain_clear(&p);
    shape_learn(&shape, JSON, n, &p);
    CHECK(shape.head == 0); /* no text */
    p.text = (struct escape_text){JSON + 9, 1, false};
    shape_learn(&shape, JSON, n, &p);
    CHECK(shape.head == 9 && shape.holes == 1);
    p.finish = (struct escape_text){JSON + 20, 0, false};
    shape_learn(&shape, JSON, n, &p);
    CHECK(shape.head == 9); /* an empty reason is none */
    p.finish.n = 1;
    shape_learn(&shape, JSON, n, &p);
    CHECK(shape.head == 0);
    p.finish.n = 0;
    shape_learn(&shape, JSON, n - 1, &p);
    CHECK(shape.head == 0); /* it ends otherwise */
    p.text.s = JSON + n - 3;
    shape_learn(&shape, JSON + n - SHAPE_LEAST + 1, SHAPE_LEAST - 1, &p);
    CHECK(shape.head == 0); /* short */
    CHECK(!shape_same(&shape, JSON, JSON, n, &p));
}

static void takes_what_is_too_much_as_it_is(void)
{
    static const char JSON[] = "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"t\":\"\"}";
    static const char LAST[] = "{\"a\":1,\"b\":2,\"c\":3,\"d\":5,\"t\":\"\"}";
    static const char FIRST[] = "{\"a\":9,\"b\":9,\"c\":9,\"d\":4,\"t\":\"\"}";
    struct shape shape = {0};
    struct plain p;
    size_t n = sizeof JSON - 1;

    plain_clear(&p);
    for (int i = 0; i < 4; i++) {
        const char *digit = JSON + 5 + 6 * i;
        plain_loose(&p, HOLE_NUMBER, digit, digit + 1);
    }
    p.text = (struct escape_text){JSON + n - 2, 0, false};
    shape_learn(&shape, JSON, n, &p);
    struct shape other = shape;
    CHECK(shape_same(&shape, JSON, FIRST, n, &p));
    CHECK(!shape_same(&other, JSON, LAST, n, &p));
}

int main(void)
{
    test_begin();
    bytes_init(&made, 1 << 20);
    RUN(knows_an_event_by_the_one_before);
    RUN(wants_the_rest_to_be_the_same);
    RUN(says_no_to_a_beginning);
    RUN(learns_only_what_is_text_alone);
    RUN(takes_what_is_too_much_as_it_is);
    bytes_free(&made);
    return test_summary();
}
