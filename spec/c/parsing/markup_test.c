/*
 * markup_test.c - what stays of a page, and what a megabyte of the worst costs.
 */
#define _DEFAULT_SOURCE
#include "parsing/markup.h"

#include "guard.h"
#include "test.h"

static char *out; /* room for the largest page here */
static size_t tags;

static size_t copy(const char *s, size_t n)
{
    size_t size = markup_copy(guard_copy(s, n), n, out, &tags);
    CHECK(size <= n);
    return size;
}

static bool becomes(const char *from, const char *to)
{
    test_case = from;
    size_t n = copy(from, strlen(from));
    return test_same(out, n, to, strlen(to));
}

static void keeps_text_and_tags(void)
{
    static const char *const kept[] = {
        "",
        "text",
        "a < b, a <3, a <> b, </ >",
        "<p class=x title='a > b'>text</p>",
        "<p/><br/><img src=x>",
        "<a href=http://x/>text</a>",
        "<p>one<p>two</p></p></b>",
        "<svg:g xlink:href=\"<b>\">x</svg:g>",
        "<script type='application/LD+json'>{\"a\": \"</b>\"}</script>x",
        "<SCRIPT TYPE=\"application/ld+json\"></script >",
    };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        CHECK(becomes(kept[i], kept[i]));
    CHECK(becomes("<p  a = 'b' / c>", "<p  a = 'b' / c>") && tags == 1);
}

static void leaves_out_what_nobody_reads(void)
{
    CHECK(becomes("a<!-- <b> -- > -->b<!-->c<!--->d", "abcd"));
    CHECK(becomes("<!DOCTYPE html><?xml version='1.0'?>a<![CDATA[x]]>", "a"));
    CHECK(becomes("a<script>'</p>' < 1</script>b", "ab"));
    CHECK(becomes("a<STYLE>p > b {}</style\n>b", "ab"));
    CHECK(becomes("a<script>b</scrip", "a"));
    CHECK(becomes("a<!-- b", "a"));
    CHECK(becomes("a<p title='b", "a"));
    CHECK(becomes("a</p", "a"));
    CHECK(becomes("a<", "a<"));
}

static void limits_attributes(void)
{
    char page[2048] = "<p", want[2048] = "<p";
    for (int i = 0; i < 150; i++) {
        snprintf(page + strlen(page), 16, i % 2 ? " a%d='>'" : " a%d", i);
        if (i < MARKUP_ATTRIBUTES)
            snprintf(want + strlen(want), 16, i % 2 ? " a%d='>'" : " a%d", i);
    }
    CHECK(becomes(strcat(page, ">x</p>"), strcat(want, ">x</p>")));
}

/* How deep a parser that ends elements only by their own tags gets. */
static size_t depth_of(const char *s, size_t n)
{
    size_t depth = 0, deepest = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (s[i] == '<' && s[i + 1] != '/')
            depth++;
        else if (s[i] == '<' && depth > 0)
            depth--;
        if (depth > deepest)
            deepest = depth;
    }
    return deepest;
}

static void limits_depth(void)
{
    static char page[GUARD_SIZE];
    char *end = page;
    for (int i = 0; i < 1000; i++)
        end = stpcpy(end, "<div>");
    end = stpcpy(end, "<br>deep");
    for (int i = 0; i < 1000; i++)
        end = stpcpy(end, "</div>");
    end = stpcpy(end, "<p>after</p>");
    size_t n = copy(page, (size_t)(end - page));
    CHECK(depth_of(out, n) <= MARKUP_DEPTH + 1);
    CHECK(tags == MARKUP_DEPTH + 2);
    out[n] = '\0';
    CHECK(strstr(out, "<br>deep</div>") != NULL);
    CHECK(strcmp(out + n - 18, "</div><p>after</p>") == 0);
}

/* What is ended without an end tag does not nest. */
static void knows_what_ends_itself(void)
{
    static const char *const rows[] = {
        "<p>x",           "<li>x",     "<tr><td>x<th>x", "<dt>x<dd>x",
        "<p>x<h2>x</h2>", "<option>x", "<td><b>x</td>"};
    static char page[GUARD_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *end = page;
        for (int k = 0; k < 1000; k++)
            end = stpcpy(end, rows[i]);
        CHECK(becomes(page, page));
    }
}

/* The test program ends after a minute, and anything but one pass takes hours.
 */
static void is_linear(void)
{
    static const char *const floods[] = {"<",
                                         ">",
                                         "<a ",
                                         "<b>",
                                         "</b>",
                                         "<i></b>",
                                         "<b><div></b>",
                                         "<!--",
                                         "-",
                                         "<script>",
                                         "</",
                                         "<!",
                                         "<a b='",
                                         "a=''",
                                         " a",
                                         "/",
                                         "<a/>",
                                         "&",
                                         "<p",
                                         "<td><li>",
                                         "<frameset>",
                                         "<p><span><li>",
                                         "\"",
                                         "="};
    static const char *const starts[] = {"",         "<p ",    "<!--",
                                         "<script>", "<p a='", "<i><i><i><i>"};
    static char page[GUARD_SIZE];
    for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
        for (size_t f = 0; f < sizeof floods / sizeof *floods; f++) {
            size_t n = strlen(starts[s]), len = strlen(floods[f]);
            test_case = floods[f];
            memcpy(page, starts[s], n);
            for (; n + len < sizeof page; n += len)
                memcpy(page + n, floods[f], len);
            copy(page, n);
        }
    }
}

static void looks_no_further(void)
{
    static const char page[] = "<p a='b' c=d>x<!-- y --><br/><script type="
                               "ld+json>{}</script><style>a</style></p><?x?>";
    for (size_t from = 0; from < sizeof page; from++)
        for (size_t n = 0; from + n < sizeof page; n++)
            copy(page + from, n);
}

int main(void)
{
    test_begin();
    out = malloc(GUARD_SIZE + 1);
    RUN(keeps_text_and_tags);
    RUN(leaves_out_what_nobody_reads);
    RUN(limits_attributes);
    RUN(limits_depth);
    RUN(knows_what_ends_itself);
    RUN(is_linear);
    RUN(looks_no_further);
    free(out);
    return test_summary();
}
