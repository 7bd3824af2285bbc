/*
 * redact_test.c - secrets are found in each form that redact.h names, and
 * nothing else is.
 */
#define _DEFAULT_SOURCE
#include "parsing/redact.h"

#include <stdlib.h>

#include "guard.h"
#include "test.h"

#define KEY "sk-SECRET/abcdef+0123456789="

static struct redact secret;

static void know(const char *s)
{
    redact_free(&secret);
    CHECK(redact_add(&secret, s, strlen(s)));
}

/* The text with '#' for each run that is hidden. */
static const char *show(const char *text, size_t n, bool cut)
{
    static char out[4096];
    unsigned char *hide = calloc(n + 1, 1);
    size_t len = 0;
    const char *s = guard_copy(text, n);
    bool any = redact_mark(&secret, s, n, cut, hide);
    CHECK(any == (memchr(hide, 1, n) != NULL));
    for (size_t i = 0; i < n; i++)
        if (!hide[i])
            out[len++] = s[i];
        else if (i == 0 || !hide[i - 1])
            out[len++] = '#';
    out[len] = '\0';
    free(hide);
    return out;
}

static bool shows(const char *text, const char *want)
{
    const char *got = show(text, strlen(text), false);
    if (strcmp(got, want) == 0)
        return true;
    fprintf(stderr, "'%s' becomes '%s'\n", text, got);
    return false;
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

/* Each byte by the format, where `every` or the byte is no letter or digit. */
static const char *escape(const char *s, const char *format, bool every)
{
    static char out[1024];
    size_t len = 0;
    for (; *s != '\0'; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9');
        if (plain && !every)
            out[len++] = *s;
        else
            len += (size_t)snprintf(out + len, 16, format, (unsigned char)*s);
    }
    out[len] = '\0';
    return out;
}

static void finds_each_form(void)
{
    static const char *const formats[] = {
        "%%%02X",    "%%%02x", "%%25%02x", "\\u%04x",  "\\u%04X",
        "\\\\u%04x", "&#%d;",  "&#x%x;",   "&#X%02X;", "\\\\\\\\u%04X"};
    char text[1200];
    know(KEY);
    CHECK(shows("a " KEY " b", "a # b"));
    CHECK(shows(KEY KEY, "#"));
    CHECK(shows("sk-SECRET\\/abcdef+0123456789=", "#"));
    CHECK(shows("sk-SECRET\\\\\\/abcdef+0123456789=.", "#."));
    CHECK(shows("sk-SECRET%2fabcdef\\u002b0123456789&#61;", "#"));
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        for (int every = 0; every < 2; every++) {
            test_case = formats[i];
            snprintf(text, sizeof text, "a %s b",
                     escape(KEY, formats[i], every));
            CHECK(shows(text, "a # b"));
        }
    test_case = "";
    know("a\"b<c>d&e'f\\g");
    CHECK(shows("x a\\\"b<c>d&e'f\\\\g y", "x # y"));
    CHECK(shows("x a&quot;b&lt;c&gt;d&amp;e&apos;f\\g y", "x # y"));
    know("100%41abcdefgh");
    CHECK(shows("x 100%41abcdefgh 100%2541abcdefgh", "x # #"));
    know("d3adbeefd3adbeef"); /* what could be the rest of an escape before */
    CHECK(shows("%d3adbeefd3adbeef", "%#"));
    CHECK(shows("\\ud3adbeefd3adbeef", "\\u#"));
}

static void finds_base64(void)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    know(KEY);
    for (int line = 0; line < 3; line++) /* none, LF, CR LF at 20 digits */
        for (int url = 0; url < 2; url++)
            for (size_t before = 0; before < 7; before++) {
                char in[64], out[256];
                size_t len = 0, n = before + strlen(KEY), count = 0;
                memset(in, 'x', before);
                memcpy(in + before, KEY "..", sizeof KEY + 1);
                for (size_t i = 0; i < n; i += 3) {
                    unsigned v = (unsigned)in[i] << 16 |
                                 (unsigned)in[i + 1] << 8 | (unsigned)in[i + 2];
                    for (int k = 3; k >= 0; k--) {
                        char c = digits[v >> 6 * k & 63];
                        out[len++] = !url       ? c
                                     : c == '+' ? '-'
                                     : c == '/' ? '_'
                                                : c;
                        if (line > 0 && ++count % 20 == 0) {
                            if (line == 2)
                                out[len++] = '\r';
                            out[len++] = '\n';
                        }
                    }
                }
                const char *got = show(out, len, false);
                CHECK(strlen(got) <= (before * 8 + 5) / 6 + 6);
                CHECK(strchr(got, '#') == strrchr(got, '#'));
                CHECK(strchr(got, '#') != NULL);
            }
}

static void finds_beginnings(void)
{
    know(KEY); /* 28 bytes */
    CHECK(shows("a sk-SECRET/abcd b", "a # b"));
    CHECK(shows("a sk-SECRET/abc b", "a sk-SECRET/abc b"));
    CHECK(shows("a sk-SECRET/abcd***789=", "a #***789="));
    CHECK(shows("a sk-SECRET%2Fabcd b", "a # b"));
    for (size_t n = 0; n < strlen(KEY); n++) {
        char text[64] = "a ";
        memcpy(text + 2, KEY, n);
        const char *got = show(text, n + 2, true);
        CHECK(strcmp(got, n < 4 ? text : "a #") == 0);
    }
    static const char *const cuts[] = {"%",     "%2", "\\",  "\\u00",
                                       "\\\\u", "&",  "&#4", "&#x2"};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        char text[32] = "a sk-SECRET";
        test_case = strcat(text, cuts[i]);
        CHECK(strcmp(show(text, strlen(text), true), "a #") == 0);
    }
    test_case = "";
    know("abcdefgh"); /* a beginning of 8 to 11 bytes is not half a secret */
    CHECK(shows("abcdefg", "abcdefg"));
    CHECK(shows("xabcdefghx", "x#x"));
}

/* What looks like an escape in a secret may be escaped, once more or byte by
 * byte. */
static void finds_secrets_like_escapes(void)
{
    static const char *const keys[][3] = {
        {"p%41ssw0rd%C3x", "p%2541ssw0rd%25C3x", "p&#37;41ssw0rd&#37;C3x"},
        {"p\\assw\\0rds", "p\\\\assw\\\\0rds", "p%5Cassw%5C0rds"},
        {"p&lt;ssw0rd&", "p&amp;lt;ssw0rd&amp;", "p%26lt%3Bssw0rd%26"}};
    static const char *const forms[] = {"\\u%04x", "%%%02X", "%%25%02x",
                                        "&#%u;", "&#x%x;"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        know(keys[k][0]);
        for (size_t i = 0; i < 3; i++)
            CHECK(shows(keys[k][i], "#"));
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
            char text[200] = "";
            for (const char *c = keys[k][0]; *c != '\0'; c++) {
                size_t n = strlen(text);
                snprintf(text + n, sizeof text - n, forms[i],
                         (unsigned)(unsigned char)*c);
            }
            test_case = text;
            CHECK(shows(text, "#"));
        }
        test_case = "";
    }
}

static void takes_short_ones_for_words(void)
{
    know("test");
    CHECK(shows("testing a contest: test, \"test\" (test) test", /* */
                "testing a contest: #, \"#\" (#) #"));
    CHECK(shows("my-test test_1 a.test.b test\303\251 test.", /* */
                "my-test test_1 a.test.b test\303\251 #."));
    CHECK(shows("%74est dGVzdA==", "%74est dGVzdA=="));
    CHECK(strcmp(show("a tes", 5, true), "a tes") == 0);
    know("abc");
    CHECK(shows("abc", "abc"));
}

static void knows_headers(void)
{
    static const struct {
        const char *line, *text, *want;
    } cases[] = {
        {"Authorization: Bearer sk-0123456789", "Bearer sk-0123456789!",
         "Bearer #!"},
        {"authorization: sk-0123456789", "sk-0123456789", "#"},
        {"X-Api-Key: hunter2", "it is hunter2.", "it is #."},
        {"Authorization: Basic dXNlcjpTM0NSRVRQVw==",
         "dXNlcjpTM0NSRVRQVw== S3CRETPW user", "# # user"},
        {"Cookie: a=dark; session=0123456789ab", "dark 0123456789ab", "dark #"},
        {"X-Whatever: Zm9vYmFyYmF6cXV4MTIzNA", "Zm9vYmFyYmF6cXV4MTIzNA", "#"},
        {"X-Whatever: sk-abcdef", "sk-abcdef", "#"},
        {"X-Title: my application", "my application", "my application"},
        {"HTTP-Referer: https://example.org/", "https://example.org/",
         "https://example.org/"},
        {"OpenAI-Organization: org-Zm9vYmFyYmF6cXV4MTIzNA",
         "org-Zm9vYmFyYmF6cXV4MTIzNA", "org-Zm9vYmFyYmF6cXV4MTIzNA"},
        {"Content-Type: application/json", "application/json",
         "application/json"},
        {"X-Empty;", "X-Empty;", "X-Empty;"},
        {"Authorization: Bearer ", "Bearer", "Bearer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_case = cases[i].line;
        redact_free(&secret);
        CHECK(redact_add_header(&secret, cases[i].line));
        CHECK(shows(cases[i].text, cases[i].want));
    }
    test_case = "";
}

static void knows_proxies(void)
{
    redact_free(&secret);
    CHECK(redact_add_proxy(&secret, "http://user:S3CRET%2fPW@host:1"));
    CHECK(shows("S3CRET%2fPW S3CRET/PW", "# #"));
    CHECK(shows("Basic dXNlcjpTM0NSRVQvUFc=", "Basic #c="));
    redact_free(&secret);
    CHECK(redact_add_proxy(&secret, "a-token-0123@host"));
    CHECK(shows("a-token-0123", "#"));
    redact_free(&secret);
    CHECK(redact_add_proxy(&secret, "http://us:p@ss:w@rd99@host/"));
    CHECK(shows("p@ss:w@rd99", "#"));
    redact_free(&secret);
    CHECK(redact_add_proxy(&secret, "http://host:1") && secret.size == 0);
    CHECK(redact_add_proxy(&secret, "http://@host:1") && secret.size == 0);
    CHECK(redact_add_proxy(&secret, "http://user:%00%") && secret.size == 0);
}

static void guesses(void)
{
    static const struct {
        const char *text;
        bool like;
    } cases[] = {
        {"cannot open /home/me/.config/keys/openai.key: no such file", false},
        {"the variable OPENAI_API_KEY_PRODUCTION is not set", false},
        {"internationalization", false},
        {"bad key Zm9vYmFyYmF6cXV4MTIzNA", true},
        {"sk-ab12", true},
        {"sk-", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char hide[100] = {0};
        test_case = cases[i].text;
        CHECK(redact_mark_like(cases[i].text, strlen(cases[i].text), hide) ==
              cases[i].like);
    }
    test_case = "";
}

/* Whatever the secret and the text; see test.h for what would be slow. */
static void is_linear(void)
{
    static const char *const keys[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
                                       "abababababababababababababababac",
                                       "%2525252525252525252525252525252", KEY};
    static const char *const texts[] = {
        "a", "ab", "%25", "\\", "&", "&#", "YWFh", "\n", "sk-SECRET/abcde",
        "%"};
    size_t n = (size_t)1 << 20;
    char *text = malloc(n);
    unsigned char *hide = malloc(n);
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < 10; i++) {
            know(keys[k]);
            for (size_t at = 0; at < n; at++)
                text[at] = texts[i][at % strlen(texts[i])];
            memset(hide, 0, n);
            redact_mark(&secret, text, n, true, hide);
        }
    free(text);
    free(hide);
}

static void stands_any_bytes(void)
{
    static const char bytes[] = "\\u0%25&#x;adsk-SECRET/+=\n\r<amp\xC3\x00";
    for (int i = 0; i < 20000; i++) {
        char key[24], text[200];
        size_t n = test_random() % sizeof text, k = test_random() % 23;
        for (size_t at = 0; at < n; at++)
            text[at] = bytes[test_random() % (sizeof bytes - 1)];
        for (size_t at = 0; at < k; at++)
            key[at] = bytes[test_random() % (sizeof bytes - 2)];
        key[k] = '\0';
        if (k >= 8 && n >= k)
            memcpy(text + test_random() % (n - k + 1), key, k);
        know(key);
        const char *got = show(text, n, i % 2);
        CHECK(k < 8 || n < k || memchr(got, '#', n) != NULL);
    }
}

int main(void)
{
    test_begin();
    RUN(finds_each_form);
    RUN(finds_base64);
    RUN(finds_beginnings);
    RUN(finds_secrets_like_escapes);
    RUN(takes_short_ones_for_words);
    RUN(knows_headers);
    RUN(knows_proxies);
    RUN(guesses);
    RUN(is_linear);
    RUN(stands_any_bytes);
    redact_free(&secret);
    return test_summary();
}
