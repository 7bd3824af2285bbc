/*
 * url.h - where the host stands in a URL, whether it is this machine, and
 * whether two are of one server.
 *
 * Pure: knows nothing of the rest.
 */
#ifndef CHATBOT_URL_H
#define CHATBOT_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The host of a URL without user, with the brackets of an IPv6 address; *n is
 * its length, 0 when there is none. */
const char *url_host(const char *url, size_t *n);

/* Whether the host is localhost, 127.0.0.0/8 or [::1]. */
bool url_is_loopback(const char *url);

/* What is wrong with the URL of a proxy, as libcurl takes it (a scheme is not
 * needed); NULL when nothing is. It does not show the URL. */
const char *url_check_proxy(const char *url);

/* The proxy for a request to `url`: `given`, if it is not NULL, else what
 * libcurl finds in the environment; NULL when there is none. What no_proxy
 * exempts is not taken into account. */
const char *url_proxy(const char *url, const char *given);

/* Whether the URL of a proxy has an escaped control character, for which
 * libcurl would pass over the proxy without a word. */
bool url_has_control(const char *url);

/* The port that is given, else that of the scheme; 0 when it is no number. */
long url_port(const char *url);

/* The length of host and port as the URL has them, at url_host. */
size_t url_authority(const char *url);

/* A number for the origin: the same for the same scheme, host and port, in
 * whatever case of letters; another one, as good as always, for others. */
uint64_t url_origin(const char *url);

/* What is wrong with a URL: NULL, or a text. `secret` says that a key will be
 * sent; `insecure` that plain http may carry it anywhere. */
const char *url_check(const char *url, bool secret, bool insecure);

#endif
