/*
 * base64_test.c - what texts in base64 stand for.
 */
#define _DEFAULT_SOURCE
#include "parsing/base64.h"

#include "guard.h"
#include "test.h"

static void undoes_it(void)
{
    static const struct {
        const char *text, *bytes; /* NULL: it is none */
    } cases[] = {
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
        {"Zg", "f"},
        {"Zm8", "fo"},
        {"+/+/", "\xFB\xFF\xBF"},
        {"-_-_", "\xFB\xFF\xBF"},
        {"Zm\r\n9v \tYg==\n", "foob"},
        {"Zm...9v", "foo"},
        {"", NULL},
        {"Z", NULL},
        {"Zm9vY", NULL},
        {"====", NULL},
        {"https://a.example/b", NULL},
        {"\xFF\xFE", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes out;
        size_t n = strlen(cases[i].text);
        bool good;
        test_case = cases[i].text;
        bytes_init(&out, 100);
        CHECK(bytes_append(&out, "x", 1) == BYTES_OK);
        CHECK(base64_undo(guard_copy(cases[i].text, n), n, &out, &good) ==
              BYTES_OK);
        CHECK(good == (cases[i].bytes != NULL));
        if (good)
            CHECK(test_same(out.data + 1, out.len - 1, cases[i].bytes,
                            strlen(cases[i].bytes)));
        else
            CHECK(out.len == 1);
        bytes_free(&out);
    }
    test_case = "";
}

static void keeps_the_limit(void)
{
    struct bytes out;
    bool good;
    bytes_init(&out, 8);
    CHECK(base64_undo("Zm9vYmFyZm9v", 12, &out, &good) == BYTES_LIMIT);
    CHECK(out.len == 0);
    bytes_free(&out);
}

int main(void)
{
    test_begin();
    RUN(undoes_it);
    RUN(keeps_the_limit);
    return test_summary();
}
