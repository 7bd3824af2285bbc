/*
 * url_test.c - which URLs are of one origin.
 */
#include "test.h"
#include "url.h"

static const struct {
    const char *a, *b;
    bool same;
} ORIGINS[] = {
    {"http://a/", "http://a/v1/chat?x=1#y", true},
    {"http://a", "http://a", true},
    {"http://a", "http://a:80/", true},
    {"https://a", "https://a:443/", true},
    {"https://a", "https://a:0443/", true},
    {"HTTPS://A.example/", "https://a.EXAMPLE:443", true},
    {"http://[::1]:8080/v1", "http://[::1]:8080", true},
    {"http://a?x", "http://a/", true},
    {"http://a/", "https://a/", false},
    {"http://a:443/", "https://a:443/", false},
    {"http://a:8080/", "http://a:8081/", false},
    {"http://a/", "http://b/", false},
    {"http://a.b/", "http://ab/", false},
    {"http://a/b", "http://b/a", false},
    {"http://[::1]/", "http://[::2]/", false},
};

static void tells_origins_apart(void)
{
    for (size_t i = 0; i < sizeof ORIGINS / sizeof *ORIGINS; i++) {
        test_case = ORIGINS[i].b;
        CHECK((url_origin(ORIGINS[i].a) == url_origin(ORIGINS[i].b)) ==
              ORIGINS[i].same);
    }
    test_case = "";
}

static void finds_host_and_port(void)
{
    static const struct {
        const char *url, *want;
    } cases[] = {
        {"http://a/b", "a"},
        {"http://127.0.0.1:8080/v1", "127.0.0.1:8080"},
        {"http://[::1]:1?x", "[::1]:1"},
        {"https://a.example", "a.example"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        const char *host = url_host(cases[i].url, &n);
        test_case = cases[i].url;
        CHECK(url_authority(cases[i].url) == strlen(cases[i].want));
        CHECK(memcmp(host, cases[i].want, strlen(cases[i].want)) == 0);
    }
    test_case = "";
}

int main(void)
{
    test_begin();
    RUN(tells_origins_apart);
    RUN(finds_host_and_port);
    return test_summary();
}
