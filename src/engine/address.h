/*
 * address.h - whether an address is one of this machine or of a private
 * network, which nobody outside may send us to.
 *
 * Looks nothing up. Knows os.h only.
 */
#ifndef CHATBOT_ADDRESS_H
#define CHATBOT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

struct sockaddr;

/* What is said of such an address. */
#define ADDRESS_PRIVATE "it leads to this machine or to a private network"

/* Loopback, link-local, private and shared networks, what means no machine or
 * many, and IPv6 addresses that stand for such an IPv4 address. */
bool address_is_private(const struct sockaddr *addr);

/* The same for the host of a URL, in brackets or not: an address in any
 * spelling (127.1, 0x7f000001, 2130706433), localhost and what is below it. A
 * host with an escape (%) counts as one, because what it means is not seen.
 * Of any other name nothing is known: false. */
bool address_is_private_host(const char *host, size_t n);

#endif
