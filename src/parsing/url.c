/*
 * url.c - see url.h.
 */
#include "parsing/url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *url_host(const char *url, size_t *n)
{
    const char *host = strstr(url, "://");
    host = host == NULL ? url : host + 3;
    const char *end = *host == '[' ? strpbrk(host, "]/?#") : NULL;
    if (*host != '[')
        *n = strcspn(host, ":/?#");
    else
        *n = end != NULL && *end == ']' ? (size_t)(end + 1 - host) : 0;
    return host;
}

bool url_is_loopback(const char *url)
{
    static const char *const names[] = {"localhost", "[::1]"};
    size_t n;
    const char *host = url_host(url, &n);
    if (n > 4 && memcmp(host, "127.", 4) == 0)
        return strspn(host, "0123456789.") >= n;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (n == strlen(names[i]) && strncasecmp(host, names[i], n) == 0)
            return true;
    return false;
}

long url_port(const char *url)
{
    size_t n;
    const char *host = url_host(url, &n);
    if (host[n] == ':')
        return strtol(host + n + 1, NULL, 10);
    return strncasecmp(url, "https:", 6) == 0 ? 443 : 80;
}

const char *url_proxy(const char *url, const char *given)
{
    static const char *const vars[] = {"https_proxy", "HTTPS_PROXY",
                                       "http_proxy", "all_proxy", "ALL_PROXY"};
    const char *proxy = url_is_loopback(url) ? "" : given;
    bool https = strncasecmp(url, "https:", 6) == 0;
    for (size_t i = https ? 0 : 2; proxy == NULL && i < 5; i++) {
        if (https && i == 2)
            continue;
        const char *value = getenv(vars[i]);
        proxy = value != NULL && *value != '\0' ? value : NULL;
    }
    return proxy != NULL && *proxy != '\0' ? proxy : NULL;
}

bool url_has_control(const char *url)
{
    for (; (url = strchr(url, '%')) != NULL; url++)
        if ((url[1] == '0' || url[1] == '1') && isxdigit((unsigned char)url[2]))
            return true;
    return false;
}

/* Whether the `n` bytes are a number from 1 to 65535. */
static bool is_port(const char *s, size_t n)
{
    long port = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || port > 65535)
            return false;
        port = 10 * port + (s[i] - '0');
    }
    return port > 0 && port <= 65535;
}

const char *url_check_proxy(const char *url)
{
    static const char *const schemes[] = {"http",    "https",  "socks4",
                                          "socks4a", "socks5", "socks5h"};
    const char *colon = strstr(url, "://");
    bool known = colon == NULL;
    for (size_t i = 0; !known && i < sizeof schemes / sizeof *schemes; i++)
        known = (size_t)(colon - url) == strlen(schemes[i]) &&
                strncasecmp(url, schemes[i], strlen(schemes[i])) == 0;
    if (*url == '\0')
        return NULL; /* libcurl's way to say: none */
    if (!known)
        return "the scheme of the proxy must be one of http, https, socks4, "
               "socks4a, socks5, socks5h";
    const char *host = colon == NULL ? url : colon + 3;
    size_t n = strcspn(host, "/?#");
    for (const char *at; (at = memchr(host, '@', n)) != NULL; host = at + 1)
        n -= (size_t)(at + 1 - host);
    const char *end = *host == '[' ? memchr(host, ']', n) : NULL;
    size_t len = end != NULL ? (size_t)(end + 1 - host) : strcspn(host, ":/?#");
    if (strchr(url, ' ') != NULL)
        return "the URL of the proxy has a blank in it";
    if (len == 0 || (*host == '[' && end == NULL))
        return "the URL of the proxy has no host";
    if (len < n && (host[len] != ':' || !is_port(host + len + 1, n - len - 1)))
        return "the port of the proxy must be a number from 1 to 65535";
    return NULL;
}

size_t url_authority(const char *url)
{
    size_t n;
    return strcspn(url_host(url, &n), "/?#");
}

/* FNV-1a, of the bytes in small letters. */
static uint64_t mix(uint64_t hash, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c + 'a' - 'A');
        hash = (hash ^ c) * UINT64_C(1099511628211);
    }
    return hash;
}

uint64_t url_origin(const char *url)
{
    size_t n;
    const char *host = url_host(url, &n);
    long port = url_port(url);
    uint64_t hash = UINT64_C(14695981039346656037);
    hash = mix(hash, url, strncasecmp(url, "https:", 6) == 0 ? 5 : 4);
    hash = mix(hash, host, n);
    return mix(hash, (const char *)&port, sizeof port);
}

const char *url_check(const char *url, bool secret, bool insecure)
{
    for (const char *p = url; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7F)
            return "the URL has a blank, a control character or a non-ASCII "
                   "byte in it";
    bool https = strncasecmp(url, "https://", 8) == 0;
    if (!https && strncasecmp(url, "http://", 7) != 0)
        return "the URL must start with https:// or http://";
    size_t n;
    const char *host = url_host(url, &n);
    if (memchr(host, '@', strcspn(host, "/?#")) != NULL)
        return "user and password in a URL are not allowed";
    if (strchr(host, '#') != NULL)
        return "the URL has a fragment (#)";
    if (n == 0)
        return "the URL has no host";
    if (secret && !https && !insecure && !url_is_loopback(url))
        return "a key would travel unencrypted over http:// (set "
               "allow_insecure_http = true to allow it)";
    return NULL;
}
