/*
 * addresses.c - for LD_PRELOAD: a name that ends in .invalid has the addresses
 * of the variable ADDRESSES that are of the family asked for, in that order,
 * with commas between them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int getaddrinfo(const char *name, const char *service,
                const struct addrinfo *hints, struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    const char *list = getenv("ADDRESSES");
    char address[64];
    memcpy(&real, &symbol, sizeof real);
    if (name == NULL || strstr(name, ".invalid") == NULL || list == NULL)
        return real(name, service, hints, out);
    struct addrinfo **end = out;
    *out = NULL;
    while (*list != '\0') {
        int n = (int)strcspn(list, ",");
        snprintf(address, sizeof address, "%.*s", n, list);
        if (real(address, service, hints, end) != 0)
            *end = NULL;
        while (*end != NULL)
            end = &(*end)->ai_next;
        list += n + (list[n] == ',');
    }
    return *out == NULL ? EAI_NONAME : 0;
}
