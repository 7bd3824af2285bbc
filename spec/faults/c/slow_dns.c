/*
 * slow_dns.c - for LD_PRELOAD: looking up a name of .invalid takes SLOW_DNS
 * seconds and fails, which stands for a resolver that hangs. But quick.invalid
 * is 127.0.0.1.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *name, const char *service,
                const struct addrinfo *hints, struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    const char *seconds = getenv("SLOW_DNS");
    memcpy(&real, &symbol, sizeof real);
    if (name == NULL || strstr(name, ".invalid") == NULL)
        return real(name, service, hints, out);
    if (strcmp(name, "quick.invalid") == 0)
        return real("127.0.0.1", service, hints, out);
    sleep(seconds == NULL ? 5u : (unsigned)atoi(seconds));
    return EAI_AGAIN;
}
