/*
 * url.c - see url.h.
 */
#include "url.h"

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
