/*
 * address_test.c - which hosts are this machine or in a private network.
 */
#include "engine/address.h"
#include "test.h"

static const char *const INSIDE[] = {
    /* names */
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost..",
    "a.localhost",
    "a.b.LocalHost.",
    /* IPv4, as its documents write it: the first and last of each network */
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.255",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.255",
    "127.0.0.1.",
    /* and as inet_aton reads it */
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0x7F000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0",
    "0x0",
    "10.1",
    "3232235521",
    "0xa9fea9fe",
    /* IPv6 */
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a00:1]",
    "[::FFFF:192.168.0.1]",
    "[::ffff:0:10.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::1]",
    "[2002:a00:1::]",
    "[fc00::]",
    "[fdff:ffff::1]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[febf:ffff::1]",
    "[fec0::1]",
    "[ff02::1]",
    "::1",
    "fe80::1%lo",
    /* what somebody else would read another way */
    "%31%32%37.0.0.1",
    "localhos%74",
    "a%2e",
};

static const char *const OUTSIDE[] = {
    "",
    ".",
    "[]",
    "[",
    "example.org",
    "localhost.example.org",
    "notlocalhost",
    "127.0.0.1.example.org",
    "10.example",
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "8.8.8.8",
    "134744072",
    "0x08080808",
    "[2001:db8::1]",
    "[2606:4700::1111]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::8.8.8.8]",
    "[2002:808:808::1]",
    "[fbff::1]",
    "[fe00::1]",
    "[64:ff9b:2::1]",
    "2606:4700::1111",
};

static void test_hosts(void)
{
    for (size_t i = 0; i < sizeof INSIDE / sizeof *INSIDE; i++) {
        test_case = INSIDE[i];
        CHECK(address_is_private_host(INSIDE[i], strlen(INSIDE[i])));
    }
    for (size_t i = 0; i < sizeof OUTSIDE / sizeof *OUTSIDE; i++) {
        test_case = OUTSIDE[i];
        CHECK(!address_is_private_host(OUTSIDE[i], strlen(OUTSIDE[i])));
    }
    test_case = "";
}

/* The length counts, not what stands behind it. */
static void test_length(void)
{
    char host[2000];
    CHECK(address_is_private_host("127.0.0.1:80/x", 9));
    CHECK(address_is_private_host("[::1]:80", 5));
    CHECK(!address_is_private_host("localhost", 8));
    memset(host, 'a', sizeof host);
    for (size_t n = 0; n < sizeof host; n++)
        CHECK(!address_is_private_host(host, n));
    memset(host, '.', sizeof host);
    CHECK(!address_is_private_host(host, sizeof host));
}

int main(void)
{
    test_begin();
    RUN(test_hosts);
    RUN(test_length);
    return test_summary();
}
