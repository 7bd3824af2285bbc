/*
 * warm.h - the work that the first TLS connection would do, done beforehand.
 *
 * libcurl reads and parses the CA certificates when TLS begins, which takes
 * some tens of milliseconds in one piece, and keeps them with the multi handle
 * for the connections to come.
 *
 * Knows nothing of requests and nothing of Lua.
 */
#ifndef CHATBOT_WARM_H
#define CHATBOT_WARM_H

#include "engine/ca.h"
#include "engine/libcurl.h"

/* Begins TLS with a listener of its own on loopback, and ends it there. Blocks
 * for as long as the certificates take; does nothing where they are not kept,
 * and whatever goes wrong is left to the first connection to find out. */
void warm_tls(const struct libcurl *curl, CURLM *multi, struct ca_seen *seen);

#endif
