/*
 * sse_test.c - the event-stream parser. Each case runs whole, byte by byte, cut
 * at each place in two and at random places in three, and after each piece no,
 * one, two or all events are taken out; all must tell the same.
 */
#define _DEFAULT_SOURCE
#include <limits.h>

#include "guard.h"
#include "parsing/sse.h"
#include "test.h"

#define NO_LIMIT ((size_t)1 << 30)

/* What a run told: "<type|data>" for an event, "<!|data>" for an error line,
 * "<?|data>" and "<?!|data>" for what only the end of the stream brings, "L" or
 * "M" for an error, then " id" and " retry" when they are set. */
static struct bytes told;

static void tell(const char *s, size_t n)
{
    CHECK(bytes_append(&told, s, n) == BYTES_OK);
}

static void tell_event(const struct sse_event *ev, const char *mark)
{
    tell("<", 1);
    tell(mark, strlen(mark));
    if (ev->is_error)
        tell("!", 1);
    tell(ev->type, ev->type_len);
    tell("|", 1);
    tell(ev->data, ev->data_len);
    tell(">", 1);
}

/* Takes out at most `count` events. */
static void tell_events(struct sse *s, int count)
{
    struct sse_event ev;

    while (count-- > 0 && sse_next(s, &ev) == SSE_EVENT)
        tell_event(&ev, "");
}

static void tell_end(struct sse *s)
{
    struct sse_event ev;
    enum sse_status status;

    while ((status = sse_end(s, &ev)) == SSE_EVENT)
        tell_event(&ev, "?");
    if (status != SSE_MORE) {
        tell(status == SSE_LIMIT ? "L" : "M", 1);
        CHECK(sse_end(s, &ev) == status && sse_next(s, &ev) == status);
        CHECK(sse_feed(s, "x", 1) == status);
        return;
    }
    CHECK(sse_next(s, &ev) == SSE_MORE && sse_end(s, &ev) == SSE_MORE);
    CHECK(sse_retained(s) == 0);
    if (s->id.len > 0) {
        tell(" ", 1);
        tell(s->id.data, s->id.len);
    }
    if (s->retry >= 0) {
        char number[32];
        int n = snprintf(number, sizeof number, " %ld", s->retry);
        tell(number, (size_t)n);
    }
}

struct test {
    const char *name, *in;
    size_t in_len;
    const char *want;
    size_t want_len;
    size_t max_event;
};

/* Feeds `t` in pieces, with a cut after byte i when cuts[i] is set, and takes
 * out at most `count` events after each. */
static void run(const struct test *t, const bool *cuts, int count)
{
    struct sse s;
    size_t start = 0;

    told.len = 0;
    sse_init(&s, t->max_event, NO_LIMIT);
    for (size_t i = 0; i < t->in_len; i++) {
        if (!cuts[i] && i + 1 < t->in_len)
            continue;
        size_t n = i + 1 - start;
        (void)sse_feed(&s, guard_copy(t->in + start, n), n);
        start = i + 1;
        tell_events(&s, count);
    }
    tell_events(&s, INT_MAX);
    tell_end(&s);
    sse_free(&s);
    CHECK(s.in.data == NULL && s.data.data == NULL && s.id.data == NULL);
    if (!CHECK(test_same(told.data, told.len, t->want, t->want_len)) &&
        test_failed < 5)
        fprintf(stderr, "  %.*s\n", (int)told.len, told.data);
}

static void run_all(const struct test *t)
{
    bool cuts[4096] = {false};
    size_t n = t->in_len;

    test_case = t->name;
    if (!CHECK(n <= sizeof cuts))
        return;
    static const int COUNTS[] = {0, 1, 2, INT_MAX};
    for (size_t m = 0; m < 4; m++) {
        int count = COUNTS[m];
        run(t, cuts, count);
        for (size_t i = 0; i < n; i++) {
            cuts[i] = true;
            run(t, cuts, count);
            for (int k = 0; k < 2; k++) {
                size_t j = test_random() % n;
                if (j == i)
                    continue;
                cuts[j] = true;
                run(t, cuts, count);
                cuts[j] = false;
            }
            cuts[i] = false;
        }
        memset(cuts, true, sizeof cuts);
        run(t, cuts, count);
        memset(cuts, false, sizeof cuts);
    }
    test_case = "";
}

#define CASE(name, in, want)                                                   \
    {                                                                          \
        name, in, sizeof(in) - 1, want, sizeof(want) - 1, NO_LIMIT             \
    }
#define LIMITED(name, max, in, want)                                           \
    {                                                                          \
        name, in, sizeof(in) - 1, want, sizeof(want) - 1, max                  \
    }

#define BOM "\xEF\xBB\xBF"

static const struct test CASES[] = {
    CASE("nothing", "", ""),
    CASE("one event", "data: a\n\n", "<|a>"),
    CASE("two events", "data: a\n\ndata: b\n\n", "<|a><|b>"),

    /* 1: line ends */
    CASE("CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", "<|a><|b>"),
    CASE("CR", "data: a\r\rdata: b\r\r", "<|a><|b>"),
    CASE("LF CR is two line ends", "data: a\n\rdata: b\n\r", "<|a><|b>"),
    CASE("CR CR LF is two line ends", "data: a\r\r\ndata: b\r\r\n", "<|a><|b>"),
    CASE("CRLF after CR is a blank line", "data: a\r\r\n\r\ndata: b\n\n",
         "<|a><|b>"),
    CASE("mixed line ends", "data: a\r\n\ndata: b\r\r\ndata: c\n\r\n",
         "<|a><|b><|c>"),
    CASE("CRLF joins data lines", "data: a\r\ndata: b\r\n\r\n", "<|a\nb>"),
    CASE("CR joins data lines", "data: a\rdata: b\r\r", "<|a\nb>"),
    CASE("U+2028 is data", "data: a\xE2\x80\xA8z\n\n", "<|a\xE2\x80\xA8z>"),
    CASE("U+2029 is data", "data: a\xE2\x80\xA9z\n\n", "<|a\xE2\x80\xA9z>"),
    CASE("NEL is data", "data: a\xC2\x85z\n\n", "<|a\xC2\x85z>"),
    CASE("VT and FF are data", "data: a\v\fz\n\n", "<|a\v\fz>"),
    CASE("only line ends", "\n\r\n\r\r\n\n", ""),

    /* 2: the BOM */
    CASE("BOM", BOM "data: a\n\n", "<|a>"),
    CASE("two BOMs", BOM BOM "data: a\n\ndata: b\n\n", "<|b>"),
    CASE("a BOM later", "data: a\n\n" BOM "data: b\n\ndata: c\n\n", "<|a><|c>"),
    CASE("a BOM in data", "data: " BOM "a\n\n", "<|" BOM "a>"),
    CASE("BOM and nothing", BOM, ""),
    CASE("part of a BOM", "\xEF\xBB", ""),
    CASE("part of a BOM, then a line",
         "\xEF\xBB"
         "data: a\n\ndata: b\n\n",
         "<|b>"),
    CASE("part of a BOM is a line", "\xEF\ndata: a\n\n", "<|a>"),
    CASE("BOM before a blank line", BOM "\r\ndata: a\n\n", "<|a>"),
    CASE("BOM before a comment", BOM ":\ndata: a\n\n", "<|a>"),

    /* 3: fields */
    CASE("comments", ": hello\n:\n:data: x\ndata: a\n: b\n\n", "<|a>"),
    CASE("a comment between data lines", "data: a\n: x\ndata: b\n\n",
         "<|a\nb>"),
    CASE("no space", "data:a\n\n", "<|a>"),
    CASE("one space only", "data:  a \n\n", "<| a >"),
    CASE("a TAB stays", "data:\ta\n\n", "<|\ta>"),
    CASE("colons in the value", "data: a: b:c\n\n", "<|a: b:c>"),
    CASE("a colon first", "data::a\n\n", "<|:a>"),
    CASE("no colon", "data\n\n", "<|>"),
    CASE("exact names",
         "Data: a\n data: b\ndata : c\ndatax: d\ndat: e\ndatax\ndat\n"
         "DATA: f\n\ndata: z\n\n",
         "<|z>"),
    CASE("NUL in a name", "data\0: a\n\0data: b\n\ndata: c\n\n", "<|c>"),
    CASE("unknown fields", "foo: bar\nfoo\ndata: a\nbar:\n\n", "<|a>"),
    CASE("event type", "event: ping\ndata: a\n\ndata: b\n\n", "<ping|a><|b>"),
    CASE("event type after data", "data: a\nevent: x\n\n", "<x|a>"),
    CASE("last event type counts", "event: x\nevent: yy\ndata: a\n\n",
         "<yy|a>"),
    CASE("empty event type", "event: x\nevent\ndata: a\n\n", "<|a>"),
    CASE("event type: one space", "event:  x\ndata: a\n\n", "< x|a>"),

    /* 4: dispatch */
    CASE("data lines join", "data: a\ndata: b\ndata: c\n\n", "<|a\nb\nc>"),
    CASE("empty data lines", "data\ndata\n\ndata:\n\ndata: \n\n",
         "<|\n><|><|>"),
    CASE("empty line first", "data:\ndata: a\n\n", "<|\na>"),
    CASE("empty line last", "data: a\ndata:\n\n", "<|a\n>"),
    CASE("no data, no event", "event: x\n\ndata: a\n\n", "<|a>"),
    CASE("blank lines", "\n\ndata: a\n\n\n\ndata: b\n\n", "<|a><|b>"),
    CASE("comment in between", "data: a\n\n: x\n\ndata: b\n\n", "<|a><|b>"),

    /* 5: id and retry */
    CASE("id", "id: 7\ndata: a\n\n", "<|a> 7"),
    CASE("id of a block without data", "id: 7\n\ndata: a\n\n", "<|a> 7"),
    CASE("last id counts", "id: 7\nid: 8\n\n", " 8"),
    CASE("id can be taken back", "id: 7\n\nid\n\n", ""),
    CASE("id with NUL is ignored", "id: 7\n\nid: 8\0\n\n", " 7"),
    CASE("id with NUL leaves an earlier one", "id: 7\nid: \0\n\n", " 7"),
    CASE("id persists", "id: 7\n\ndata: a\n\ndata: b\n\n", "<|a><|b> 7"),
    CASE("retry", "retry: 3000\n\n", " 3000"),
    CASE("retry needs no blank line", "retry: 0\n", " 0"),
    CASE("retry with junk",
         "retry: 1\nretry: 2x\nretry: -3\nretry: +4\n"
         "retry:  5\nretry:\nretry\nretry: 6.0\n",
         " 1"),
    CASE("retry too large", "retry: 1\nretry: 99999999999999999999999999999\n",
         " 1"),
    CASE("retry with zeros", "retry: 00000000000000000000000000000000000012\n",
         " 12"),

    /* 6: bytes */
    CASE("invalid UTF-8", "data: \xFF\xC0\x80\xED\xA0\xBD\n\ndata: b\n\n",
         "<|\xFF\xC0\x80\xED\xA0\xBD><|b>"),
    CASE("NUL in data", "data: a\0b\n\n", "<|a\0b>"),
    CASE("NUL alone", "data: \0\ndata:\0\n\n", "<|\0\n\0>"),

    /* 7: the end */
    CASE("no blank line", "data: a\n", "<?|a>"),
    CASE("no line end", "data: a", "<?|a>"),
    CASE("CR at the end", "data: a\r\n\r", "<|a>"),
    CASE("no blank line, CRLF", "data: a\r\n", "<?|a>"),
    CASE("several lines at the end", "event: x\ndata: a\ndata: b", "<?x|a\nb>"),
    CASE("an event before the end", "data: a\n\ndata: b", "<|a><?|b>"),
    CASE("a comment at the end", "data: a\n: b", "<?|a>"),
    CASE("a line that is no data", "data: a\nfoo", "<?|a>"),
    CASE("a type at the end", "data: a\nevent: x", "<?x|a>"),
    CASE("no data at the end", "event: x\nid: 7", " 7"),
    CASE("data without a value at the end", "data", "<?|>"),
    CASE("part of a name at the end", "dat", ""),

    /* 8: error lines */
    CASE("error line", "error: {\"x\":1}\n", "<!|{\"x\":1}>"),
    CASE("error line, CRLF", "error: x\r\n\r\ndata: [DONE]\r\n\r\n",
         "<!|x><|[DONE]>"),
    CASE("error line inside an event", "data: a\nerror: x\ndata: b\n\n",
         "<!|x><|a\nb>"),
    CASE("error line inside an event, behind another",
         "data: 0123456789\n\ndata: a\nerror: x\ndata: bcdefghijklmnopqr\n\n",
         "<|0123456789><!|x><|a\nbcdefghijklmnopqr>"),
    CASE("error line keeps the type", "event: t\nerror: x\ndata: b\n\n",
         "<!|x><t|b>"),
    CASE("error line without a value", "error\nerror:\n", "<!|><!|>"),
    CASE("exact name of error", "Error: x\nerrors: x\nerror : x\n\n", ""),
    CASE("error line at the end", "error: x", "<?!|x>"),
    CASE("error line behind data at the end", "data: a\nerror: x",
         "<?!|x><?|a>"),

    /* 9: limits */
    LIMITED("an event that fits", 7, "data: a\n\ndata: b\n\n", "<|a><|b>"),
    LIMITED("a line that does not", 6, "id: 1\n\ndata: a\n\n", "L"),
    LIMITED("a line that never ends", 20,
            "data: a\n\ndata: 012345678901234567890123456789", "<|a>L"),
    LIMITED("many data lines", 18,
            "data: abcd\ndata: abcd\n\ndata: abcd\ndata: abcd\ndata: abcd\n\n",
            "<|abcd\nabcd>L"),
    LIMITED("line feeds count", 11,
            "data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\n\n"
            "data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\n"
            "data\n\n",
            "<|\n\n\n\n\n\n\n>L"),
    LIMITED("the type counts", 20, "event: 0123456789\ndata: 012345\n\n", "L"),
    LIMITED("the id counts", 20, "id: 0123456789\ndata: 012345\n\n", "L"),
    LIMITED("an old id does not", 20, "id: 0123456789\n\ndata: 012345\n\n",
            "<|012345> 0123456789"),
    LIMITED("a long error line", 10, "error: 0123456789\n", "L"),
    LIMITED("long comments do not count", 10,
            ": 0123456789012345678901234567890123456789\ndata: a\n"
            ": 0123456789012345678901234567890123456789\n\n",
            "<|a>"),
    LIMITED("long unknown fields do not count", 10,
            "datax: 234567890123456789012345678901234567890123456789\n"
            "data: a\nx0123456789012345678901234567890123456789\n\n",
            "<|a>"),
    LIMITED("a long comment at the end", 10,
            "data: a\n: 0123456789012345678901234567890123456789", "<?|a>"),
    LIMITED("nothing comes after an error", 10,
            "data: 0123456789\n\ndata: a\n\n", "L"),
};

static void passes_the_table(void)
{
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        run_all(&CASES[i]);
}

static enum sse_status feed(struct sse *s, const char *text)
{
    size_t n = strlen(text);
    return sse_feed(s, guard_copy(text, n), n);
}

/* Does not wait for the byte that could be a LF. */
static void bare_cr_dispatches_at_once(void)
{
    struct sse s;
    struct sse_event ev;

    sse_init(&s, 1000, 1000);
    CHECK(feed(&s, "data: a\r\r") == SSE_MORE);
    CHECK(sse_next(&s, &ev) == SSE_EVENT && ev.data_len == 1);
    CHECK(sse_next(&s, &ev) == SSE_MORE);
    CHECK(feed(&s, "\n") == SSE_MORE);
    CHECK(sse_next(&s, &ev) == SSE_MORE && sse_retained(&s) == 0);
    CHECK(feed(&s, "error: x\r") == SSE_MORE);
    CHECK(sse_next(&s, &ev) == SSE_EVENT && ev.is_error);
    sse_free(&s);
}

static void hands_out_in_place(void)
{
    struct sse s;
    struct sse_event ev;

    sse_init(&s, 1000, 1000);
    CHECK(feed(&s, ": x\nevent: t\ndata: one\n\ndata: two\n\n") == SSE_MORE);
    const char *from = s.in.data, *to = from + s.in.len;
    CHECK(sse_next(&s, &ev) == SSE_EVENT);
    CHECK(ev.data > from && ev.data < to && memcmp(ev.data, "one", 3) == 0);
    CHECK(sse_next(&s, &ev) == SSE_EVENT);
    CHECK(ev.data > from && ev.data < to && memcmp(ev.data, "two", 3) == 0);
    CHECK(s.data.cap == 0);
    sse_free(&s);
}

static void keeps_only_what_it_needs(void)
{
    struct sse s;
    struct sse_event ev;

    sse_init(&s, 100, 1000);
    CHECK(sse_retained(&s) == 0);
    CHECK(feed(&s, "data: one\n\ndata: t") == SSE_MORE);
    CHECK(sse_retained(&s) == 18);
    CHECK(sse_next(&s, &ev) == SSE_EVENT);
    CHECK(sse_next(&s, &ev) == SSE_MORE && sse_retained(&s) == 7);
    CHECK(feed(&s, "wo\n: comment\nfoo: bar\n: co") == SSE_MORE);
    CHECK(sse_next(&s, &ev) == SSE_MORE && sse_retained(&s) == 3);
    CHECK(feed(&s, "mment\nevent: ab\nid: xyz\n") == SSE_MORE);
    CHECK(sse_next(&s, &ev) == SSE_MORE && sse_retained(&s) == 8);
    CHECK(feed(&s, "\n") == SSE_MORE);
    CHECK(sse_next(&s, &ev) == SSE_EVENT && ev.data_len == 3);
    CHECK(sse_next(&s, &ev) == SSE_MORE && sse_retained(&s) == 0);

    /* A comment without an end, and without a bound. */
    CHECK(feed(&s, ":") == SSE_MORE);
    for (int i = 0; i < 10000; i++) {
        CHECK(feed(&s, "0123456789") == SSE_MORE);
        CHECK(sse_next(&s, &ev) == SSE_MORE && sse_retained(&s) == 0);
    }
    CHECK(feed(&s, "\ndata: z\n\n") == SSE_MORE);
    CHECK(sse_next(&s, &ev) == SSE_EVENT && ev.data_len == 1);
    sse_free(&s);
}

static void bounds_a_line_without_an_end(void)
{
    struct sse s;
    struct sse_event ev;
    enum sse_status status = SSE_MORE;
    size_t n = 6;

    sse_init(&s, 100, NO_LIMIT);
    CHECK(feed(&s, "data: ") == SSE_MORE);
    while (status == SSE_MORE && n < 1000) {
        n++;
        CHECK(feed(&s, "x") == SSE_MORE);
        status = sse_next(&s, &ev);
    }
    CHECK(status == SSE_LIMIT && n == 101 && sse_retained(&s) == 0);
    sse_free(&s);
}

/* What stands in the buffer behind the last byte has no meaning. */
static void ends_where_the_bytes_end(void)
{
    struct sse s;
    struct sse_event ev;

    sse_init(&s, 100, 100);
    CHECK(feed(&s, "01234 6789 data: x\n\n\n") == SSE_MORE);
    CHECK(sse_next(&s, &ev) == SSE_MORE);
    CHECK(feed(&s, "data:") == SSE_MORE);
    CHECK(sse_end(&s, &ev) == SSE_EVENT && ev.data_len == 0);
    sse_free(&s);
}

static void bounds_the_queue(void)
{
    struct sse s;
    struct sse_event ev;

    sse_init(&s, 100, 20);
    CHECK(feed(&s, "data: a\n\ndata: b\n\n") == SSE_MORE);
    CHECK(feed(&s, "data") == SSE_LIMIT);
    CHECK(feed(&s, "") == SSE_LIMIT && feed(&s, "x") == SSE_LIMIT);
    /* What was there before can still be had. */
    CHECK(sse_next(&s, &ev) == SSE_EVENT && *ev.data == 'a');
    CHECK(sse_next(&s, &ev) == SSE_EVENT && *ev.data == 'b');
    CHECK(sse_next(&s, &ev) == SSE_LIMIT && sse_end(&s, &ev) == SSE_LIMIT);
    sse_free(&s);

    /* A limit that is lowered below what is there already. */
    sse_init(&s, 100, 40);
    CHECK(feed(&s, "0123456789012345678901234567890") == SSE_MORE);
    s.max_queue = 20;
    CHECK(feed(&s, "x") == SSE_LIMIT);
    sse_free(&s);

    /* What was taken out makes room, in whatever rhythm. */
    sse_init(&s, 100, 40);
    for (int i = 0; i < 1000; i++) {
        CHECK(feed(&s, "data: a\n\ndata: b\n\n") == SSE_MORE);
        CHECK(s.in.cap <= 80);
        for (int k = i == 0 ? 1 : 0; k < 2; k++)
            CHECK(sse_next(&s, &ev) == SSE_EVENT && ev.data_len == 1);
    }
    sse_free(&s);
}

static void bounds_data_without_an_end(void)
{
    struct sse s;
    struct sse_event ev;
    enum sse_status status = SSE_MORE;
    long lines = 0;

    sse_init(&s, 100000, 1000);
    while (status == SSE_MORE && lines < 1000000) {
        status = feed(&s, "data:\n");
        lines++;
        if (status == SSE_MORE)
            status = sse_next(&s, &ev);
        CHECK(sse_retained(&s) <= 101000 && s.data.cap <= 100000);
    }
    CHECK(status == SSE_LIMIT && lines > 99000 && lines < 101000);
    CHECK(sse_retained(&s) == 0);
    sse_free(&s);
}

/* Linear cost. Each of these would take hours if a byte were searched or moved
 * once for each read or each event. */

#define MANY 4000000

/* Lines of any length, with a byte that may be taken for an end at any place:
 * only LF and CR are one. */
static void ends_lines_at_their_ends_alone(void)
{
    static const char BYTES[] = "\t\v\f\x01\x0E\x7F\x80\x8A\x8D\xFF";
    char in[160];
    struct sse_event ev;

    for (size_t n = 1; n < 150; n++) {
        for (size_t k = 0; k < n; k++) {
            struct sse s;
            char other = BYTES[(n + k) % (sizeof BYTES - 1)];
            char end = k % 2 == 0 ? '\n' : '\r';
            memcpy(in, "data:", 5);
            memset(in + 5, 'x', n);
            in[5 + k] = other;
            memset(in + 5 + n, end, 2);
            sse_init(&s, NO_LIMIT, NO_LIMIT);
            sse_feed(&s, guard_copy(in, n + 7), n + 7);
            CHECK(sse_next(&s, &ev) == SSE_EVENT);
            CHECK(test_same(ev.data, ev.data_len, in + 5, n));
            in[5 + k] = end; /* two lines, the second of no known field */
            sse_free(&s);
            sse_feed(&s, guard_copy(in, n + 7), n + 7);
            CHECK(sse_next(&s, &ev) == SSE_EVENT);
            CHECK(test_same(ev.data, ev.data_len, in + 5, k));
            sse_free(&s);
        }
    }
}

static void reads_a_long_line_byte_by_byte(void)
{
    static const char START[] = "data: ", END[] = "\r\n\r\n";
    struct sse s;
    struct sse_event ev;

    for (int late = 0; late < 2; late++) {
        sse_init(&s, NO_LIMIT, NO_LIMIT);
        CHECK(feed(&s, START) == SSE_MORE);
        for (long i = 0; i < MANY; i++) {
            if (sse_feed(&s, "x", 1) != SSE_MORE ||
                (!late && sse_next(&s, &ev) != SSE_MORE)) {
                CHECK(i == MANY);
                break;
            }
        }
        CHECK(feed(&s, END) == SSE_MORE);
        CHECK(sse_next(&s, &ev) == SSE_EVENT && ev.data_len == MANY);
        CHECK(sse_next(&s, &ev) == SSE_MORE && sse_retained(&s) == 0);
        sse_free(&s);
    }
}

static void reads_many_events_at_once(const char *event)
{
    size_t n = strlen(event), count = MANY / 4, found = 0;
    struct sse s;
    struct sse_event ev;

    sse_init(&s, NO_LIMIT, NO_LIMIT);
    for (size_t i = 0; i < count; i++)
        CHECK(sse_feed(&s, event, n) == SSE_MORE);
    while (sse_next(&s, &ev) == SSE_EVENT)
        found += ev.data_len == 1 && *ev.data == 'x';
    CHECK(found == count && sse_retained(&s) == 0);
    CHECK(s.in.cap == 0);
    sse_free(&s);
}

/* A queue that is never empty: one event comes, one goes. */
static void reads_behind_a_queue(void)
{
    static const char EVENT[] = "data: x\n\n";
    struct sse s;
    struct sse_event ev;
    size_t count = MANY / 4, n = sizeof EVENT - 1;

    sse_init(&s, 100, NO_LIMIT);
    for (size_t i = 0; i < count; i++)
        CHECK(sse_feed(&s, EVENT, n) == SSE_MORE);
    for (size_t i = 0; i < count; i++) {
        CHECK(sse_feed(&s, EVENT, n) == SSE_MORE);
        CHECK(sse_next(&s, &ev) == SSE_EVENT && *ev.data == 'x');
    }
    CHECK(sse_retained(&s) == count * n);
    CHECK(s.in.cap <= 6 * count * n);
    sse_free(&s);
}

static void reads_many_data_lines(void)
{
    struct sse s;
    struct sse_event ev;
    size_t count = MANY / 4;

    sse_init(&s, NO_LIMIT, NO_LIMIT);
    for (size_t i = 0; i < count; i++) {
        CHECK(feed(&s, "data:x\n") == SSE_MORE);
        CHECK(sse_next(&s, &ev) == SSE_MORE);
    }
    CHECK(feed(&s, "\n") == SSE_MORE);
    CHECK(sse_next(&s, &ev) == SSE_EVENT && ev.data_len == 2 * count - 1);
    sse_free(&s);
}

int main(void)
{
    test_begin();
    bytes_init(&told, NO_LIMIT);
    CHECK(bytes_reserve(&told, 1) == BYTES_OK);
    RUN(passes_the_table);
    RUN(bare_cr_dispatches_at_once);
    RUN(hands_out_in_place);
    RUN(keeps_only_what_it_needs);
    RUN(bounds_a_line_without_an_end);
    RUN(ends_where_the_bytes_end);
    RUN(bounds_the_queue);
    RUN(bounds_data_without_an_end);
    RUN(ends_lines_at_their_ends_alone);
    RUN(reads_a_long_line_byte_by_byte);
    reads_many_events_at_once("data: x\n\n");
    reads_many_events_at_once("data: x\r\n\r\n");
    reads_many_events_at_once("data: x\r\r");
    RUN(reads_behind_a_queue);
    RUN(reads_many_data_lines);
    bytes_free(&told);
    return test_summary();
}
