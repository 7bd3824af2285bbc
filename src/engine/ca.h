/*
 * ca.h - where the CA certificates come from, and whether that has changed.
 *
 * libcurl keeps what it has parsed of a CA file for a day, by the name of the
 * file, and connections and TLS sessions that were verified with it for as long
 * as they live. So that a certificate that was withdrawn is trusted no longer,
 * a file or directory that is not what it was is given to libcurl under another
 * name of the same place, which nothing that is kept belongs to.
 *
 * Knows curl's options, and nothing of requests.
 */
#ifndef CHATBOT_CA_H
#define CHATBOT_CA_H

#include <stddef.h>
#include <stdint.h>

#include "engine/libcurl.h"

#define CA_KEPT 16 /* files and directories that are remembered */

/* A file, a directory, or (both NULL) what the TLS library itself knows. Static
 * strings, the option's, or the environment's. */
struct ca {
    const char *source; /* for people */
    const char *file, *dir;
};

/* What an engine has seen of them. Zeros are a valid start. */
struct ca_seen {
    struct ca_stamp {
        uint64_t name;                /* a hash of the path; 0: none */
        uint64_t device, inode, size; /* zeros when there is no such file */
        int64_t modified, changed;    /* in nanoseconds */
        unsigned version;             /* 0 until it changes */
    } stamps[CA_KEPT];
    unsigned used; /* of `stamps`, ever: one by one, round about */
    unsigned version;
};

/* The option `file` (or NULL), SSL_CERT_FILE, SSL_CERT_DIR, CURL_CA_BUNDLE,
 * NIX_SSL_CERT_FILE, libcurl's own, well-known places: the first there is. */
void ca_find(const struct libcurl *curl, const char *file, struct ca *ca);

/* Sets it on a handle and returns the source. Looks at the file now; one that
 * changes before the handle connects is seen the next time. */
const char *ca_set(const struct libcurl *curl, struct ca_seen *seen, CURL *easy,
                   const char *file);

#endif
