/*
 * slice_test.c - where values stand in JSON texts; each text ends where memory
 * does, also when it is cut.
 */
#define _DEFAULT_SOURCE
#include "parsing/slice.h"

#include "guard.h"
#include "test.h"

static struct slice text_of(const char *s)
{
    size_t n = strlen(s);
    return slice_text(guard_copy(s, n), n);
}

static bool is(struct slice value, const char *wanted)
{
    if (value.s == NULL || wanted == NULL)
        return value.s == NULL && wanted == NULL;
    return test_same(value.s, value.n, wanted, strlen(wanted));
}

static void finds_members(void)
{
    static const struct {
        const char *json, *value; /* of the member a */
    } cases[] = {
        {"{\"a\":1}", "1"},
        {" { \"b\" : [ ] , \"a\" : \"x\" } \n", "\"x\""},
        {"{\"a\":{\"a\":[{}, {\"b\":null}]}}", "{\"a\":[{}, {\"b\":null}]}"},
        {"{\"a\":1,\"a\":[2]}", "[2]"},
        {"{\"a\":-0.5e+7,\"b\":true}", "-0.5e+7"},
        {"{\"b\":{\"a\":1}}", NULL},
        {"{\"\\u0061\":1}", NULL},
        {"{\"k\\\"\":1,\"a\":\"}\\\\\"}", "\"}\\\\\""},
        {"{}", NULL},
        {"{ }", NULL},
        {"[1]", NULL},
        {"{\"a\":1,}", NULL},
        {"{\"a\":1 \"b\":2}", NULL},
        {"{\"a\":01}", NULL},
        {"{\"a\":tru}", NULL},
        {"{\"a\":\"\x01\"}", NULL},
        {"{\"a\":\"\\x\"}", NULL},
        {"{\"a\":[1,]}", NULL},
        {"{\"a\":[1}", NULL},
        {"{\"a\":{\"b\"}}", NULL},
        {"{\"a\":{\"b\":1}", NULL},
        {"{\"a\"}", NULL},
        {"{a:1}", NULL},
        {"}", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_case = cases[i].json;
        struct slice text = text_of(cases[i].json);
        CHECK(is(slice_member(text, "a"), cases[i].value));
    }
    test_case = "";
}

static void tells_objects(void)
{
    static const struct {
        const char *json;
        bool object;
    } cases[] = {
        {"{}", true},          {" {\"a\":[1,{}]}\n", true},
        {"{\"a\":1}}", false}, {"{\"a\":1} {}", false},
        {"{\"a\":1", false},   {"[{}]", false},
        {"{\"a\":}", false},   {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].json);
        test_case = cases[i].json;
        CHECK(slice_is_object(guard_copy(cases[i].json, n), n) ==
              cases[i].object);
    }
    test_case = "";
}

static void goes_through_objects(void)
{
    struct slice of = text_of("{\"a\":1 , \"b\\n\" : [2],\"\":{} }");
    static const char *const wanted[][2] = {
        {"a", "1"}, {"b\\n", "[2]"}, {"", "{}"}};
    struct slice one = {NULL, 0, NULL}, key;
    for (size_t i = 0; i < 3; i++) {
        one = slice_next_member(of, one, &key);
        CHECK(is(one, wanted[i][1]));
        CHECK(is(key, wanted[i][0]));
    }
    CHECK(slice_next_member(of, one, &key).s == NULL);
    one.s = NULL;
    CHECK(slice_next_member(text_of("{ }"), one, &key).s == NULL);
    CHECK(slice_next_member(text_of("{\"a\":[1,]}"), one, &key).s == NULL);
    CHECK(slice_next_member(one, one, &key).s == NULL);
}

static void goes_through_lists(void)
{
    struct slice list =
        slice_member(text_of("{\"a\":[ 1 ,\"]\",[ ],{\"x\":[2]} ] }"), "a");
    static const char *const wanted[] = {"1", "\"]\"", "[ ]", "{\"x\":[2]}"};
    struct slice one = {NULL, 0, NULL};
    for (size_t i = 0; i < 4; i++) {
        one = slice_next(list, one);
        CHECK(is(one, wanted[i]));
    }
    CHECK(is(slice_member(one, "x"), "[2]"));
    CHECK(slice_next(list, one).s == NULL);
    one.s = NULL;
    CHECK(slice_next(slice_member(text_of("{\"a\":[]}"), "a"), one).s == NULL);
    CHECK(slice_next(slice_member(text_of("{\"a\":{}}"), "a"), one).s == NULL);
    CHECK(slice_next(one, one).s == NULL);
}

/* What is cut anywhere, and ends in a brace all the same, is read no further
 * than that. */
static void stays_inside(void)
{
    static const char whole[] =
        "{\"a\":{\"b\":[1,-2.5e3,\"\\u00e4\\\"x\",true,false,null,[],{}]}}";
    char cut[sizeof whole + 1];
    for (size_t n = 0; n < sizeof whole; n++) {
        memcpy(cut, whole, n);
        cut[n] = '}';
        struct slice text = slice_text(guard_copy(cut, n + 1), n + 1);
        struct slice list = slice_member(slice_member(text, "a"), "b");
        struct slice one = {NULL, 0, NULL};
        struct slice next = one, key;
        while ((one = slice_next(list, one)).s != NULL)
            CHECK(one.s + one.n <= text.s + text.n);
        while ((next = slice_next_member(text, next, &key)).s != NULL)
            CHECK(next.s + next.n <= text.s + text.n);
    }
}

static void refuses_depth(void)
{
    char deep[2000];
    for (int depth = 60; depth < 900; depth += 60) {
        int n = snprintf(deep, sizeof deep, "{\"a\":");
        memset(deep + n, '[', (size_t)depth);
        memset(deep + n + depth, ']', (size_t)depth);
        n += 2 * depth;
        deep[n++] = '}';
        struct slice text = slice_text(guard_copy(deep, (size_t)n), (size_t)n);
        CHECK((slice_member(text, "a").s != NULL) == (depth <= 64));
    }
}

int main(void)
{
    test_begin();
    RUN(finds_members);
    RUN(tells_objects);
    RUN(goes_through_objects);
    RUN(goes_through_lists);
    RUN(stays_inside);
    RUN(refuses_depth);
    return test_summary();
}
