/*
 * url_test.c - the parts of URLs, what a proxy may be called, and origins.
 */
#define _DEFAULT_SOURCE
#include "parsing/url.h"

#include <stdlib.h>

#include "test.h"

static void finds_hosts_and_ports(void)
{
    static const struct {
        const char *url, *host;
        long port;
        bool loopback;
    } cases[] = {
        {"https://a.example/v1", "a.example", 443, false},
        {"http://127.0.0.1:8080?x", "127.0.0.1", 8080, true},
        {"http://[::1]:9/v1", "[::1]", 9, true},
        {"http://LocalHost", "LocalHost", 80, true},
        {"http://127.evil", "127.evil", 80, false},
        {"http://[::1", "", 80, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        test_case = cases[i].url;
        const char *host = url_host(cases[i].url, &n);
        CHECK(test_same(host, n, cases[i].host, strlen(cases[i].host)));
        CHECK(url_is_loopback(cases[i].url) == cases[i].loopback);
        if (n > 0)
            CHECK(url_port(cases[i].url) == cases[i].port);
    }
    test_case = "";
}

static void checks_proxies(void)
{
    static const char *const good[] = {"",
                                       "host",
                                       "host:1",
                                       "host:65535/",
                                       "user:word@host:3128",
                                       "http://host",
                                       "HTTPS://us@er:w:or:d@host:443/x",
                                       "socks4://host:1080",
                                       "socks4a://host:1080",
                                       "socks5://[::1]:1080",
                                       "socks5h://u:p@[fe80::1]/"};
    static const char *const bad[] = {
        "ftp://host:1",  "socks9://host",
        "://host",       "http://",
        "http://:3128",  "http://user:p@",
        "http://u@:80",  "http://host:",
        "host:0",        "host:65536",
        "host:x",        "host:99999999999999999999",
        "host:-1",       "http://u:p/w@h:80",
        "http://a b:80", "http://[::1:80",
        "http:///",      "http://[::1]x"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        test_case = good[i];
        CHECK(url_check_proxy(good[i]) == NULL);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        test_case = bad[i];
        const char *wrong = url_check_proxy(bad[i]);
        CHECK(wrong != NULL && strstr(wrong, "u:p") == NULL);
    }
    test_case = "";
}

static void finds_proxies(void)
{
    setenv("http_proxy", "plain:1", 1);
    setenv("https_proxy", "", 1);
    setenv("HTTPS_PROXY", "secure:1", 1);
    setenv("all_proxy", "all:1", 1);
    CHECK(strcmp(url_proxy("http://a/", NULL), "plain:1") == 0);
    CHECK(strcmp(url_proxy("HTTPS://a/", NULL), "secure:1") == 0);
    CHECK(strcmp(url_proxy("https://a/", "own:1"), "own:1") == 0);
    CHECK(url_proxy("https://a/", "") == NULL);
    CHECK(url_proxy("http://127.0.0.1/", "own:1") == NULL);
    unsetenv("http_proxy");
    CHECK(strcmp(url_proxy("http://a/", NULL), "all:1") == 0);
    CHECK(url_has_control("http://u:a%0aB@h") && url_has_control("%1F"));
    CHECK(!url_has_control("http://u:%20%7f%1g%@h%1"));
}

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

static void finds_authorities(void)
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
    RUN(finds_hosts_and_ports);
    RUN(checks_proxies);
    RUN(finds_proxies);
    RUN(tells_origins_apart);
    RUN(finds_authorities);
    return test_summary();
}
