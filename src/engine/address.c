/*
 * address.c - see address.h.
 */
#include "engine/address.h"

#include <string.h>
#include <strings.h>

#include "engine/os.h"

/* The first `bits` bits of the addresses of a network. */
struct network {
    unsigned char prefix[16];
    int bits;
};

static const struct network v4[] = {
    {{0}, 8},                     /* this network; 0.0.0.0 is this machine */
    {{10}, 8},                    /* private */
    {{100, 64}, 10},              /* shared: a provider's own network */
    {{127}, 8},                   /* loopback */
    {{169, 254}, 16},             /* link-local */
    {{172, 16}, 12},              /* private */
    {{192, 0, 0}, 24},            /* of protocols */
    {{192, 168}, 16},             /* private */
    {{198, 18}, 15},              /* benchmarks */
    {{224}, 4},        {{240}, 4} /* multicast; reserved, broadcast */
};

static const struct network v6[] = {
    {{0}, 96},                                  /* ::, ::1, ::a.b.c.d */
    {{0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01}, 48}, /* local translation to IPv4 */
    {{0xFC}, 7},                                /* private */
    {{0xFE, 0x80}, 10},                         /* link-local */
    {{0xFE, 0xC0}, 10},                         /* site-local */
    {{0xFF}, 8},                                /* multicast */
};

/* Networks whose addresses have an IPv4 address in them. */
static const struct {
    struct network network;
    int at;
} embedded[] = {
    {{{[10] = 0xFF, [11] = 0xFF}, 96}, 12}, /* ::ffff:a.b.c.d */
    {{{[8] = 0xFF, [9] = 0xFF}, 96}, 12},   /* ::ffff:0:a.b.c.d */
    {{{0x00, 0x64, 0xFF, 0x9B}, 96}, 12},   /* 64:ff9b::a.b.c.d */
    {{{0x20, 0x02}, 16}, 2},                /* 6to4 */
};

static bool is_in(const unsigned char *address, const struct network *n)
{
    int whole = n->bits / 8, rest = n->bits % 8;
    return memcmp(address, n->prefix, (size_t)whole) == 0 &&
           (rest == 0 ||
            (address[whole] ^ n->prefix[whole]) >> (8 - rest) == 0);
}

static bool is_private_v4(const unsigned char *address)
{
    for (size_t i = 0; i < sizeof v4 / sizeof *v4; i++)
        if (is_in(address, &v4[i]))
            return true;
    return false;
}

static bool is_private_v6(const unsigned char *address)
{
    for (size_t i = 0; i < sizeof embedded / sizeof *embedded; i++)
        if (is_in(address, &embedded[i].network))
            return is_private_v4(address + embedded[i].at);
    for (size_t i = 0; i < sizeof v6 / sizeof *v6; i++)
        if (is_in(address, &v6[i]))
            return true;
    return false;
}

static bool is_private(const struct os_address *address)
{
    switch (address->n) {
    case 4:
        return is_private_v4(address->bytes);
    case 16:
        return is_private_v6(address->bytes);
    default:
        return true; /* a socket of this machine's */
    }
}

bool address_is_private(const struct sockaddr *addr)
{
    const struct os_address address = os_address(addr);
    return is_private(&address);
}

bool address_is_private_host(const char *host, size_t n)
{
    static const char local[] = "localhost";
    enum { LOCAL = sizeof local - 1 };
    struct os_address address;
    char name[256];
    const char *escape = memchr(host, '%', n);
    if (n > 1 && *host == '[') {
        host++;
        n -= 2;
        if (escape != NULL) /* the zone of an address */
            n = (size_t)(escape - host);
    } else if (escape != NULL) {
        return true;
    }
    while (n > 0 && host[n - 1] == '.')
        n--;
    if (n >= sizeof name)
        return false;
    memcpy(name, host, n);
    name[n] = '\0';
    if (n >= LOCAL && strcasecmp(name + n - LOCAL, local) == 0 &&
        (n == LOCAL || name[n - LOCAL - 1] == '.'))
        return true;
    return n > 0 && os_read_address(name, &address) && is_private(&address);
}
