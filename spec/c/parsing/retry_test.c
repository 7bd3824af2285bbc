/*
 * retry_test.c - the retry policy, as a table: what came, what to do.
 */
#include "parsing/retry.h"

#include <stdlib.h>

#include "test.h"

/* Tue, 15 Nov 1994 08:12:31 GMT */
#define NOW INT64_C(784887151)

#define NO (-1.0)

struct test {
    const char *name;
    struct retry_failure f; /* max_retries 2 and `now` are filled in */
    double want, asked;
};

#define STATUS(s)  .status = (s)
#define BODY(text) .body = (text), .body_len = sizeof(text) - 1
#define DELAY(s)   BODY("{\"a\":[{},{\"retryDelay\":" s "}]}")

static const struct test CASES[] = {
    /* which */
    {"connection failure", {.transport = true}, 0.5, NO},
    {"no response, no reason", {.status = 0}, NO, NO},
    {"400", {STATUS(400)}, NO, NO},
    {"401", {STATUS(401)}, NO, NO},
    {"404", {STATUS(404)}, NO, NO},
    {"408", {STATUS(408)}, 0.5, NO},
    {"409", {STATUS(409)}, 0.5, NO},
    {"422", {STATUS(422)}, NO, NO},
    {"429", {STATUS(429)}, 0.5, NO},
    {"499", {STATUS(499)}, NO, NO},
    {"500", {STATUS(500)}, 0.5, NO},
    {"503", {STATUS(503)}, 0.5, NO},
    {"529", {STATUS(529)}, 0.5, NO},
    {"599", {STATUS(599)}, 0.5, NO},
    {"quota", {STATUS(429), .quota = true}, NO, NO},
    {"x-should-retry: true", {STATUS(400), .should_retry = "true"}, 0.5, NO},
    {"x-should-retry: false", {STATUS(500), .should_retry = "false"}, NO, NO},
    {"x-should-retry: junk", {STATUS(500), .should_retry = "maybe"}, 0.5, NO},
    {"x-should-retry, spaces",
     {STATUS(400), .should_retry = " true\t"},
     0.5,
     NO},
    {"x-should-retry, empty", {STATUS(400), .should_retry = ""}, NO, NO},
    {"quota over x-should-retry",
     {STATUS(429), .quota = true, .should_retry = "true"},
     NO,
     NO},
    {"number over x-should-retry",
     {STATUS(429), .attempt = 2, .should_retry = "true"},
     NO,
     NO},
    {"retries turned off",
     {STATUS(429), .attempt = 0, .max_retries = -1},
     NO,
     NO},
    {"second try", {STATUS(429), .attempt = 1}, 1, NO},
    {"tries used up", {STATUS(429), .attempt = 2}, NO, NO},

    /* back-off */
    {"third", {STATUS(500), .attempt = 2, .max_retries = 9}, 2, NO},
    {"fourth", {STATUS(500), .attempt = 3, .max_retries = 9}, 4, NO},
    {"fifth", {STATUS(500), .attempt = 4, .max_retries = 9}, 8, NO},
    {"sixth", {STATUS(500), .attempt = 5, .max_retries = 9}, 8, NO},
    {"a large number",
     {STATUS(500), .attempt = 999999, .max_retries = 1000000},
     8,
     NO},
    {"random", {STATUS(500), .random = 0.5}, 0.4375, NO},
    {"random, later", {STATUS(500), .attempt = 1, .random = 0.8}, 0.8, NO},

    /* retry-after-ms */
    {"ms", {STATUS(429), .retry_after_ms = "1500"}, 1.5, 1.5},
    {"ms, no jitter",
     {STATUS(429), .retry_after_ms = "1500", .random = 0.9},
     1.5,
     1.5},
    {"ms over seconds",
     {STATUS(429), .retry_after_ms = "1500", .retry_after = "7"},
     1.5,
     1.5},
    {"ms with a fraction",
     {STATUS(429), .retry_after_ms = "62.5"},
     0.0625,
     0.0625},
    {"ms junk, then seconds",
     {STATUS(429), .retry_after_ms = "soon", .retry_after = "7"},
     7,
     7},
    {"ms negative, then seconds",
     {STATUS(429), .retry_after_ms = "-5", .retry_after = "7"},
     7,
     7},
    {"ms zero", {STATUS(429), .retry_after_ms = "0"}, 0.5, 0},
    {"ms too long", {STATUS(429), .retry_after_ms = "120001"}, NO, 120.001},

    /* retry-after, seconds */
    {"seconds", {STATUS(503), .retry_after = "3"}, 3, 3},
    {"seconds, spaces", {STATUS(503), .retry_after = "  3 \t"}, 3, 3},
    {"seconds with a fraction",
     {STATUS(503), .retry_after = "0.25"},
     0.25,
     0.25},
    {"the longest", {STATUS(503), .retry_after = "120"}, 120, 120},
    {"too long", {STATUS(503), .retry_after = "121"}, NO, 121},
    {"just too long", {STATUS(503), .retry_after = "120.5"}, NO, 120.5},
    {"far too long", {STATUS(503), .retry_after = "999999999"}, NO, 999999999},
    {"zero", {STATUS(503), .retry_after = "0"}, 0.5, 0},
    {"only for what is retried", {STATUS(400), .retry_after = "3"}, NO, 3},
    {"seconds, used up",
     {STATUS(503), .attempt = 2, .retry_after = "3"},
     NO,
     3},
    {"empty", {STATUS(503), .retry_after = ""}, 0.5, NO},
    {"spaces", {STATUS(503), .retry_after = "   "}, 0.5, NO},
    {"junk", {STATUS(503), .retry_after = "later"}, 0.5, NO},
    {"junk behind", {STATUS(503), .retry_after = "3s"}, 0.5, NO},
    {"two numbers", {STATUS(503), .retry_after = "3 4"}, 0.5, NO},
    {"negative", {STATUS(503), .retry_after = "-3"}, 0.5, NO},
    {"plus", {STATUS(503), .retry_after = "+3"}, 0.5, NO},
    {"NaN", {STATUS(503), .retry_after = "nan"}, 0.5, NO},
    {"inf", {STATUS(503), .retry_after = "inf"}, 0.5, NO},
    {"hexadecimal", {STATUS(503), .retry_after = "0x10"}, 0.5, NO},
    {"exponent", {STATUS(503), .retry_after = "1e2"}, 0.5, NO},
    {"point alone", {STATUS(503), .retry_after = "."}, 0.5, NO},
    {"point behind", {STATUS(503), .retry_after = "3."}, 0.5, NO},
    {"point first", {STATUS(503), .retry_after = ".5"}, 0.5, NO},
    {"comma", {STATUS(503), .retry_after = "0,5"}, 0.5, NO},
    {"overflow",
     {STATUS(503), .retry_after = "99999999999999999999999999999"},
     0.5,
     NO},

    /* what the body names */
    {"named", {STATUS(429), DELAY("\"21s\"")}, 21, 21},
    {"named, with a fraction", {STATUS(429), DELAY("\"1.5s\"")}, 1.5, 1.5},
    {"named, blanks", {STATUS(503), BODY("{\"retryDelay\" :\n \"2s\"}")}, 2, 2},
    {"named in an array",
     {STATUS(429), BODY("[{\"retryDelay\":\"2s\"}]")},
     2,
     2},
    {"named, the longest", {STATUS(429), DELAY("\"120s\"")}, 120, 120},
    {"named, too long", {STATUS(429), DELAY("\"3600s\"")}, NO, 3600},
    {"named, zero", {STATUS(429), DELAY("\"0s\"")}, 0.5, 0},
    {"named, used up", {STATUS(429), .attempt = 2, DELAY("\"2s\"")}, NO, 2},
    {"named, for what is not retried", {STATUS(400), DELAY("\"2s\"")}, NO, 2},
    {"the header goes before the body",
     {STATUS(429), .retry_after = "3", DELAY("\"2s\"")},
     3,
     3},
    {"a junk header does not",
     {STATUS(429), .retry_after = "soon", DELAY("\"2s\"")},
     2,
     2},
    {"named, junk, then good",
     {STATUS(429),
      BODY("{\"retryDelay\":\"later\",\"a\":{\"retryDelay\":\"2s\"}}")},
     2,
     2},
    {"named, no unit", {STATUS(429), DELAY("\"21\"")}, 0.5, NO},
    {"named, unit alone", {STATUS(429), DELAY("\"s\"")}, 0.5, NO},
    {"named, negative", {STATUS(429), DELAY("\"-2s\"")}, 0.5, NO},
    {"named, exponent", {STATUS(429), DELAY("\"1e1s\"")}, 0.5, NO},
    {"named, no string", {STATUS(429), DELAY("21")}, 0.5, NO},
    {"named, null", {STATUS(429), DELAY("null,\"x\":\"2s\"")}, 0.5, NO},
    {"named, a key next", {STATUS(429), DELAY("{\"2s\":1}")}, 0.5, NO},
    {"another name", {STATUS(429), BODY("{\"retryDelays\":\"2s\"}")}, 0.5, NO},
    {"a value of this name",
     {STATUS(429), BODY("{\"x\":\"retryDelay\",\"2s\":\"2s\"}")},
     0.5,
     NO},
    {"in a string",
     {STATUS(429), BODY("{\"x\":\"say \\\"retryDelay\\\": \\\"2s\\\"\"}")},
     0.5,
     NO},
    {"cut in the name", {STATUS(429), BODY("{\"retryDel")}, 0.5, NO},
    {"cut in the wait", {STATUS(429), BODY("{\"retryDelay\":\"2s")}, 0.5, NO},

    /* retry-after, dates */
    {"date",
     {STATUS(503), .retry_after = "Tue, 15 Nov 1994 08:12:41 GMT"},
     10,
     10},
    {"RFC 850 date",
     {STATUS(503), .retry_after = "Tuesday, 15-Nov-94 08:12:41 GMT"},
     10,
     10},
    {"asctime date",
     {STATUS(503), .retry_after = "Tue Nov 15 08:12:41 1994"},
     10,
     10},
    {"date, too long",
     {STATUS(503), .retry_after = "Tue, 15 Nov 1994 08:14:32 GMT"},
     NO,
     121},
    {"date now",
     {STATUS(503), .retry_after = "Tue, 15 Nov 1994 08:12:31 GMT"},
     0.5,
     0},
    {"date past",
     {STATUS(503), .retry_after = "Sun, 06 Nov 1994 08:49:37 GMT"},
     0.5,
     0},
    {"asctime, one digit",
     {STATUS(503), .retry_after = "Sun Nov  6 08:49:37 1994"},
     0.5,
     0},
    {"asctime, future",
     {STATUS(503), .retry_after = "Tue Dec  6 08:12:31 1994"},
     NO,
     21 * 86400},
    {"leap second",
     {STATUS(503), .retry_after = "Tue, 15 Nov 1994 08:12:60 GMT"},
     29,
     29},
    {"two digits, next century",
     {STATUS(503), .retry_after = "Saturday, 15-Nov-03 08:12:31 GMT"},
     NO,
     3287 * 86400.0},
    {"two digits, last years",
     {STATUS(503), .retry_after = "Saturday, 15-Nov-69 08:12:31 GMT"},
     0.5,
     0},
    {"date without GMT",
     {STATUS(503), .retry_after = "Tue, 15 Nov 1994 08:12:41"},
     0.5,
     NO},
    {"other zone",
     {STATUS(503), .retry_after = "Tue, 15 Nov 1994 08:12:41 UTC"},
     0.5,
     NO},
    {"no such day",
     {STATUS(503), .retry_after = "Tue, 31 Nov 1994 08:12:41 GMT"},
     0.5,
     NO},
    {"day 0",
     {STATUS(503), .retry_after = "Tue, 00 Nov 1994 08:12:41 GMT"},
     0.5,
     NO},
    {"no such month",
     {STATUS(503), .retry_after = "Tue, 15 Nob 1994 08:12:41 GMT"},
     0.5,
     NO},
    {"months are not cut anywhere",
     {STATUS(503), .retry_after = "Tue, 15 anF 1994 08:12:41 GMT"},
     0.5,
     NO},
    {"no such hour",
     {STATUS(503), .retry_after = "Tue, 15 Nov 1994 24:12:41 GMT"},
     0.5,
     NO},
    {"no such minute",
     {STATUS(503), .retry_after = "Tue, 15 Nov 1994 08:60:41 GMT"},
     0.5,
     NO},
    {"no such second",
     {STATUS(503), .retry_after = "Tue, 15 Nov 1994 08:12:61 GMT"},
     0.5,
     NO},
    {"no such weekday",
     {STATUS(503), .retry_after = "Foo, 15 Nov 1994 08:12:41 GMT"},
     0.5,
     NO},
    {"letters for digits",
     {STATUS(503), .retry_after = "Tue, 15 Nov 199x 08:12:41 GMT"},
     0.5,
     NO},
    {"spaces for digits",
     {STATUS(503), .retry_after = "Tue,  5 Nov 1994 08:12:41 GMT"},
     0.5,
     NO},
    {"29 February, no leap year",
     {STATUS(503), .retry_after = "Wed, 29 Feb 1995 00:00:00 GMT"},
     0.5,
     NO},
    {"29 February, leap year",
     {STATUS(503), .retry_after = "Thu, 29 Feb 1996 00:00:00 GMT"},
     NO,
     825552000.0 - 784887151},
    {"29 February 1900",
     {STATUS(503), .retry_after = "Thu, 29 Feb 1900 00:00:00 GMT"},
     0.5,
     NO},
    {"29 February 2000",
     {STATUS(503), .retry_after = "Tue, 29 Feb 2000 00:00:00 GMT"},
     NO,
     951782400.0 - 784887151},
    {"the year 2100",
     {STATUS(503), .retry_after = "Mon, 01 Mar 2100 00:00:00 GMT"},
     NO,
     4107542400.0 - 784887151},
    {"the year 9999",
     {STATUS(503), .retry_after = "Fri, 31 Dec 9999 23:59:59 GMT"},
     NO,
     253402300799.0 - 784887151},
    {"the year 0",
     {STATUS(503), .retry_after = "Fri, 31 Dec 0000 23:59:59 GMT"},
     0.5,
     NO},
};

static bool near(double a, double b)
{
    double d = a - b;
    return (a < 0 && b < 0) || (d < 1e-9 && d > -1e-9);
}

static void passes_the_table(void)
{
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct retry_failure f = CASES[i].f;
        f.now = NOW;
        if (f.max_retries == 0)
            f.max_retries = 2;
        if (f.max_retries < 0)
            f.max_retries = 0;
        test_case = CASES[i].name;
        CHECK(near(retry_delay(&f), CASES[i].want));
        CHECK(near(retry_asked(&f), CASES[i].asked));
    }
    test_case = "";
}

static void reads_two_digits_near_now(void)
{
    struct retry_failure f = {
        .status = 503,
        .max_retries = 2,
        .retry_after = "Thursday, 01-Jan-00 00:00:05 GMT",
    };

    f.now = INT64_C(4102444800); /* 2100-01-01 */
    CHECK(near(retry_delay(&f), 5));
    f.now--; /* a second earlier it is still 2099 */
    CHECK(near(retry_delay(&f), 6));
    f.now = INT64_C(946684800); /* 2000-01-01 */
    CHECK(near(retry_delay(&f), 5));
    f.now--;
    CHECK(near(retry_delay(&f), 6));
}

static const struct {
    const char *body;
    bool want;
} QUOTA[] = {
    {"", false},
    {"{}", false},
    {"{\"error\":{\"code\":\"insufficient_quota\"}}", true},
    {"{\"error\":{\"type\" : \"insufficient_quota\" , \"code\":null}}", true},
    {"{\"error\":{\"code\":\"billing_hard_limit_reached\"}}", true},
    {"{\"error\":{\"code\":\"billing_not_active\"}}", true},
    {"[{\"error\":{\"type\":\"access_terminated\"}}]", true},
    {"{\"code\":\"insufficient_balance\"}", true},
    {"{\"error\":{\"type\":\"enforced_spend_limit_reached\"}}", true},
    {"\"insufficient_quota\"", true},
    {"{\"error\":{\"code\":\"rate_limit_exceeded\"}}", false},
    {"{\"error\":{\"code\":\"Insufficient_quota\"}}", false},
    {"{\"error\":{\"code\":\"insufficient_quota_\"}}", false},
    {"{\"error\":{\"insufficient_quota\":1}}", false},
    {"{\"error\":{\"insufficient_quota\" \r\n\t: true}}", false},
    {"{\"message\":\"code insufficient_quota\"}", false},
    {"{\"message\":\"say \\\"insufficient_quota\\\"\"}", false},
    {"{\"message\":\"\\\\\",\"code\":\"insufficient_quota\"}", true},
    {"insufficient_quota", false},
    {"{\"code\":\"insufficient_quota", false},
    {"{\"code\":\"insufficient_quota\\", false},
    {"{\"code\":\"insufficient_quota\\\"", false},
    {"\"", false},
};

static void finds_quota_codes(void)
{
    for (size_t i = 0; i < sizeof QUOTA / sizeof *QUOTA; i++) {
        test_case = QUOTA[i].body;
        CHECK(retry_quota(QUOTA[i].body, strlen(QUOTA[i].body)) ==
              QUOTA[i].want);
    }
    test_case = "";
}

/* A megabyte of what costs most; one that is not linear takes hours. */
static void reads_bodies_once(void)
{
    static const char *const units[] = {
        "\"", "\\\"", "\"retryDelay\":", "\"retryDelay\":\"", "\" "};
    enum { SIZE = 1 << 20 };
    char *body = malloc(SIZE);

    for (size_t i = 0; i < sizeof units / sizeof *units && CHECK(body); i++) {
        size_t n = strlen(units[i]);
        for (size_t k = 0; k < SIZE; k++)
            body[k] = units[i][k % n];
        test_case = units[i];
        CHECK(retry_named(body, SIZE) < 0);
        CHECK(!retry_quota(body, SIZE));
    }
    test_case = "";
    free(body);
}

#define SECOND INT64_C(1000000)

static void fail(struct retry_origins *o, uint64_t origin, int times,
                 int64_t now)
{
    struct retry_failure f = {.status = 503};

    for (int i = 0; i < times; i++)
        retry_failed(o, origin, &f, now);
}

static void stops_after_ten_in_a_row(void)
{
    struct retry_origins o = {0};

    fail(&o, 7, 9, 0);
    CHECK(!retry_stopped(&o, 7, 0));
    fail(&o, 7, 1, 5 * SECOND);
    CHECK(retry_stopped(&o, 7, 5 * SECOND));
    CHECK(!retry_stopped(&o, 8, 5 * SECOND));
    fail(&o, 8, 9, 5 * SECOND); /* another origin has a row of its own */
    CHECK(!retry_stopped(&o, 8, 5 * SECOND));
    retry_succeeded(&o, 8);
    CHECK(retry_stopped(&o, 7, 5 * SECOND));
    retry_succeeded(&o, 7);
    CHECK(!retry_stopped(&o, 7, 5 * SECOND));
    CHECK(o.len == 0);
    fail(&o, 7, 9, 0);
    retry_succeeded(&o, 7);
    fail(&o, 7, 9, 0);
    CHECK(!retry_stopped(&o, 7, 0));
}

static void goes_on_after_a_while(void)
{
    struct retry_origins o = {0};

    fail(&o, 7, 10, SECOND);
    fail(&o, 7, 50, 20 * SECOND); /* first tries go out, and prolong nothing */
    CHECK(retry_stopped(&o, 7, 31 * SECOND - 1));
    CHECK(!retry_stopped(&o, 7, 31 * SECOND));
    fail(&o, 7, 9, 31 * SECOND); /* the row is a new one */
    CHECK(!retry_stopped(&o, 7, 31 * SECOND));
    fail(&o, 7, 1, 32 * SECOND);
    CHECK(retry_stopped(&o, 7, 61 * SECOND));
    CHECK(!retry_stopped(&o, 7, 62 * SECOND));
}

static void counts_what_is_worth_a_try(void)
{
    static const struct {
        const char *name;
        struct retry_failure f;
        bool counts;
    } cases[] = {
        {"connection", {.transport = true}, true},
        {"500", {STATUS(500)}, true},
        {"429", {STATUS(429)}, true},
        {"429, retry-after: 0", {STATUS(429), .retry_after = "0"}, true},
        {"429, junk", {STATUS(429), .retry_after = "soon"}, true},
        {"429, retry-after", {STATUS(429), .retry_after = "1"}, false},
        {"429, too long", {STATUS(429), .retry_after = "999"}, false},
        {"429, ms", {STATUS(429), .retry_after_ms = "5"}, false},
        {"429, named", {STATUS(429), DELAY("\"1s\"")}, false},
        {"503, retry-after", {STATUS(503), .retry_after = "1"}, true},
        {"400", {STATUS(400)}, false},
        {"quota", {STATUS(429), .quota = true}, false},
        {"nothing", {.status = 0}, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct retry_origins o = {0};
        test_case = cases[i].name;
        for (int k = 0; k < 10; k++)
            retry_failed(&o, 7, &cases[i].f, 0);
        CHECK(retry_stopped(&o, 7, 0) == cases[i].counts);
    }
    test_case = "";
}

static void forgets_the_oldest(void)
{
    struct retry_origins o = {0};

    for (uint64_t i = 0; i < RETRY_ORIGINS; i++)
        fail(&o, i, 10, (int64_t)i + 1);
    for (uint64_t i = 0; i < RETRY_ORIGINS; i++)
        CHECK(retry_stopped(&o, i, RETRY_ORIGINS));
    fail(&o, 1000, 10, RETRY_ORIGINS + 1);
    CHECK(o.len == RETRY_ORIGINS);
    CHECK(retry_stopped(&o, 1000, RETRY_ORIGINS + 1));
    CHECK(!retry_stopped(&o, 0, RETRY_ORIGINS + 1));
    CHECK(retry_stopped(&o, 1, RETRY_ORIGINS + 1));
    retry_succeeded(&o, 5);
    for (uint64_t i = 1; i < RETRY_ORIGINS; i++)
        CHECK(retry_stopped(&o, i, RETRY_ORIGINS + 1) == (i != 5));
}

int main(void)
{
    test_begin();
    RUN(passes_the_table);
    RUN(reads_two_digits_near_now);
    RUN(finds_quota_codes);
    RUN(reads_bodies_once);
    RUN(stops_after_ten_in_a_row);
    RUN(goes_on_after_a_while);
    RUN(counts_what_is_worth_a_try);
    RUN(forgets_the_oldest);
    return test_summary();
}
