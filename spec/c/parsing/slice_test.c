/*
 * slice_test.c - where the values of a JSON text stand in it.
 */
#define _DEFAULT_SOURCE
#include "parsing/slice.h"

#include "guard.h"
#include "test.h"

static struct slice text(const char *s)
{
    test_case = s;
    return slice_text(s, strlen(s));
}

static bool is(struct slice value, const char *s)
{
    if (s == NULL || value.s == NULL)
        return value.s == NULL && s == NULL;
    return test_same(value.s, value.n, s, strlen(s));
}

static void finds_members(void)
{
    static const char json[] =
        " {\"a\": 1.50e+3 ,\"b\" :{\"a\":[1,{}],\"x\":\"}\"},\n"
        "\"c\":\"\\u00fc\\\"\",\"d\":null,\"e\":[ ],\"a\":-0,\"\\u0066\":1}\n";
    static const struct {
        const char *name, *value;
    } cases[] = {{"a", "-0"},   {"b", "{\"a\":[1,{}],\"x\":\"}\"}"},
                 {"d", "null"}, {"c", "\"\\u00fc\\\"\""},
                 {"e", "[ ]"},  {"f", NULL},
                 {"none", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(is(slice_member(text(json), cases[i].name), cases[i].value));
    CHECK(is(slice_member(slice_member(text(json), "b"), "a"), "[1,{}]"));
    CHECK(is(slice_member(slice_member(text(json), "e"), "a"), NULL));
    CHECK(is(slice_member(slice_member(text(json), "c"), "a"), NULL));
}

static void goes_through_objects(void)
{
    struct slice of = text("{\"a\":1 , \"b\\n\" : [2],\"\":{}}");
    static const char *const members[][2] = {
        {"a", "1"}, {"b\\n", "[2]"}, {"", "{}"}};
    struct slice value = {.s = NULL}, key;
    for (int i = 0; i < 3; i++) {
        value = slice_next_member(of, value, &key);
        CHECK(is(value, members[i][1]));
        CHECK(is(key, members[i][0]));
    }
    CHECK(is(slice_next_member(of, value, &key), NULL));
    value.s = NULL;
    CHECK(is(slice_next_member(text("{ }"), value, &key), NULL));
    CHECK(is(slice_next_member(text("{\"a\":[{\"b\":1]}"), value, &key), NULL));
    CHECK(is(slice_next_member(value, value, &key), NULL));
}

static void goes_through_lists(void)
{
    struct slice list = slice_member(text("{\"l\":[ 1,\"]\" , [ ],{}]}"), "l");
    static const char *const values[] = {"1", "\"]\"", "[ ]", "{}"};
    struct slice value = {.s = NULL};
    for (int i = 0; i < 4; i++) {
        value = slice_next(list, value);
        CHECK(is(value, values[i]));
    }
    CHECK(is(slice_next(list, value), NULL));
    value.s = NULL;
    CHECK(is(slice_next(slice_member(text("{\"l\":[]}"), "l"), value), NULL));
    CHECK(is(slice_next(text("{}"), value), NULL));
}

/* Whatever is no JSON, and at each place where one may end. */
static void refuses_the_rest(void)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "}",
                                      "[1]",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":01}",
                                      "{\"a\":tru}",
                                      "{a:1}",
                                      "{\"a\":1 2}",
                                      "{\"a\":'1'}",
                                      "{\"a\":\"\n\"}",
                                      "{\"a\":[1,]}",
                                      "{\"a\":{\"b\"}}",
                                      "{,\"a\":1}",
                                      "{\"a\":\"\\x\"}"};
    static const char good[] = "{\"b\":[{\"c\":\"\\\"}\"},[1.5e-3]],\"a\":1}";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(is(slice_member(text(bad[i]), "a"), NULL));
    for (size_t n = 0; n < sizeof good - 1; n++) {
        struct slice of = slice_text(guard_copy(good, n), n);
        struct slice value = {.s = NULL}, key;
        CHECK(is(slice_member(of, "a"), NULL));
        while ((value = slice_next_member(of, value, &key)).s != NULL)
            CHECK(value.s >= of.s && value.s + value.n <= of.s + of.n);
    }
    CHECK(is(slice_member(text(good), "a"), "1"));
}

static void bounds_its_depth(void)
{
    char deep[300] = "{\"a\":";
    size_t n = 5;
    while (n < 105)
        deep[n++] = '[';
    while (n < 205)
        deep[n++] = ']';
    memcpy(deep + n, "}", 2);
    CHECK(is(slice_member(text(deep), "a"), NULL));
}

int main(void)
{
    test_begin();
    RUN(finds_members);
    RUN(goes_through_objects);
    RUN(goes_through_lists);
    RUN(refuses_the_rest);
    RUN(bounds_its_depth);
    return test_summary();
}
