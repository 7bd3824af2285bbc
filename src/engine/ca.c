/*
 * ca.c - see ca.h.
 */
#include "engine/ca.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/os.h"

/* Without a CAPATH curl keeps what it has parsed. From 8.21.0 on, however, that
 * means its own directory, whose certificates nobody has asked for: so it gets
 * one without any, and parses each time. */
#define TAKES_DEFAULTS  0x081500
#define NO_CERTIFICATES "/"

#define BITS_MAX  (2 * 8 * sizeof(unsigned) + 1)
#define ALIAS_MAX (2 * PATH_MAX + BITS_MAX)

/* Where systems keep their CA certificates, when libcurl was built for another
 * one (a binary in an AppImage, say). */
static const char *const places[] = {
    "/etc/ssl/certs/ca-certificates.crt",     /* Debian, Arch, Alpine */
    "/etc/pki/tls/certs/ca-bundle.crt",       /* Fedora, RHEL */
    "/etc/ssl/ca-bundle.pem",                 /* openSUSE */
    "/etc/ssl/cert.pem",                      /* macOS, OpenBSD, Alpine */
    "/usr/local/share/certs/ca-root-nss.crt", /* FreeBSD */
};

void ca_find(const struct libcurl *curl, const char *file, struct ca *ca)
{
    const char *dir = NULL;
    static const char *const vars[] = {"SSL_CERT_FILE", "SSL_CERT_DIR",
                                       "CURL_CA_BUNDLE", "NIX_SSL_CERT_FILE"};
    ca->source = "the option ca_file";
    for (size_t i = 0; file == NULL && dir == NULL && i < 4; i++) {
        const char *value = getenv(vars[i]);
        if (value == NULL || *value == '\0')
            continue;
        ca->source = vars[i];
        *(i == 1 ? &dir : &file) = value;
    }
    if (file == NULL && dir == NULL) {
        ca->source = "libcurl's default";
        file = curl->ca_info;
        for (size_t i = 0; file == NULL || !os_readable(file); i++) {
            if (i == sizeof places / sizeof *places) {
                file = NULL;
                dir = curl->ca_path;
                break;
            }
            file = places[i];
        }
    }
    ca->file = file;
    ca->dir = dir;
}

/* ---- what has changed ---- */

static uint64_t hash(const char *s)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h == 0 ? 1 : h;
}

static struct ca_stamp look(const char *path)
{
    struct ca_stamp stamp = {.name = hash(path)};
    struct os_stamp s;
    if (!os_stat(path, &s))
        return stamp;
    stamp.device = s.device;
    stamp.inode = s.inode;
    stamp.size = s.size;
    stamp.modified = s.modified;
    stamp.changed = s.changed;
    return stamp;
}

/* How often what stands at `path` has changed, counted with the others: 0 as
 * long as it is what it was at first. One that was forgotten may have. */
static unsigned version_of(struct ca_seen *seen, const char *path)
{
    struct ca_stamp now = look(path), *old = seen->stamps;
    while (old < seen->stamps + CA_KEPT && old->name != now.name)
        old++;
    if (old == seen->stamps + CA_KEPT) {
        old = &seen->stamps[seen->used % CA_KEPT];
        now.version = seen->used < CA_KEPT ? 0 : ++seen->version;
        seen->used++;
    } else {
        bool same = old->device == now.device && old->inode == now.inode &&
                    old->size == now.size && old->modified == now.modified &&
                    old->changed == now.changed;
        now.version = same ? old->version : ++seen->version;
    }
    *old = now;
    return now.version;
}

/* The name of version 0 is the path. Later ones have the bits of their number
 * before it, as "./" and "/", which lead nowhere else. libcurl may look for the
 * absolute path by itself, so theirs is one. */
static const char *alias(char to[ALIAS_MAX], const char *path, unsigned version)
{
    char dir[PATH_MAX] = "";
    char bits[BITS_MAX], *at = bits;
    if (version == 0 ||
        (*path != '/' && os_folder(dir, sizeof dir) == NULL)) /* it is gone */
        return path;
    for (; version > 0; version >>= 1) {
        if (version & 1)
            *at++ = '.';
        *at++ = '/';
    }
    *at = '\0';
    int n = snprintf(to, ALIAS_MAX, "/./%s%s%s%s", bits, dir,
                     *path == '/' ? "" : "/", path);
    return n > 0 && n < (int)ALIAS_MAX ? to : path;
}

const char *ca_set(const struct libcurl *curl, struct ca_seen *seen, CURL *easy,
                   const char *option)
{
    struct ca ca;
    char to[ALIAS_MAX];
    ca_find(curl, option, &ca);
    const char *path = ca.file != NULL ? ca.file : ca.dir;
    if (path == NULL)
        return ca.source;
    const char *name = alias(to, path, version_of(seen, path));
    const char *dir = name;
    if (ca.file != NULL)
        dir = curl->version_num >= TAKES_DEFAULTS && curl->ca_path != NULL
                  ? NO_CERTIFICATES
                  : NULL;
    curl->easy_setopt(easy, CURLOPT_CAPATH, dir);
    curl->easy_setopt(easy, CURLOPT_CAINFO, ca.file == NULL ? NULL : name);
    return ca.source;
}
