/*
 * redact.c - see redact.h.
 */
#include "redact.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MIN_KEY    4 /* bytes; what is shorter is no secret */
#define MIN_BASE64 8 /* shorter keys would match by chance */

/* Adds a form unless it is there already. Takes `form` over. */
static bool add(struct redact *r, char *form)
{
    if (form == NULL)
        return false;
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->forms[i], form) == 0) {
            free(form);
            return true;
        }
    r->forms[r->count++] = form;
    return true;
}

static bool is_unreserved(char c)
{
    return c != '\0' && strchr("abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~",
                               c) != NULL;
}

/* RFC 3986, section 2.1 */
static char *percent(const char *key, const char *hex)
{
    char *out = malloc(3 * strlen(key) + 1), *to = out;
    for (; out != NULL && *key != '\0'; key++)
        if (is_unreserved(*key)) {
            *to++ = *key;
        } else {
            *to++ = '%';
            *to++ = hex[(unsigned char)*key >> 4];
            *to++ = hex[(unsigned char)*key & 15];
        }
    if (out != NULL)
        *to = '\0';
    return out;
}

static char *slashes(const char *key)
{
    char *out = malloc(2 * strlen(key) + 1), *to = out;
    for (; out != NULL && *key != '\0'; key++) {
        if (*key == '/')
            *to++ = '\\';
        *to++ = *key;
    }
    if (out != NULL)
        *to = '\0';
    return out;
}

/* The base64 digits (RFC 4648) that the key alone determines when it stands
 * `shift` bytes into a group of three. */
static char *base64(const char *key, size_t shift, const char *last_two)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t n = strlen(key), first = (8 * shift + 5) / 6;
    size_t end = 8 * (shift + n) / 6;
    char *out = malloc(end - first + 1);
    for (size_t i = first; out != NULL && i < end; i++) {
        unsigned value = 0;
        for (size_t bit = 6 * i; bit < 6 * i + 6; bit++) {
            unsigned byte = (unsigned char)key[bit / 8 - shift];
            value = value << 1 | (byte >> (7 - bit % 8) & 1u);
        }
        out[i - first] = value < 62 ? digits[value] : last_two[value - 62];
    }
    if (out != NULL)
        out[end - first] = '\0';
    return out;
}

bool redact_init(struct redact *r, const char *key)
{
    *r = (struct redact){.count = 0};
    size_t n = key == NULL ? 0 : strlen(key);
    if (n < MIN_KEY)
        return true;
    char *copy = malloc(n + 1);
    if (copy != NULL)
        memcpy(copy, key, n + 1);
    bool ok = add(r, copy) && add(r, percent(key, "0123456789ABCDEF")) &&
              add(r, percent(key, "0123456789abcdef")) && add(r, slashes(key));
    for (size_t shift = 0; ok && n >= MIN_BASE64 && shift < 3; shift++)
        ok = add(r, base64(key, shift, "+/")) &&
             add(r, base64(key, shift, "-_"));
    if (!ok)
        redact_free(r);
    return ok;
}

void redact_free(struct redact *r)
{
    for (size_t i = 0; i < r->count; i++) {
        for (volatile char *p = r->forms[i]; *p != '\0'; p++)
            *p = '\0';
        free(r->forms[i]);
    }
    *r = (struct redact){.count = 0};
}

size_t redact_find(const struct redact *r, const char *s, size_t n, size_t from,
                   size_t *len)
{
    size_t best = n;
    for (size_t i = 0; i < r->count; i++) {
        const char *form = r->forms[i];
        size_t k = strlen(form), at = from;
        while (at < best && at + k <= n) {
            const char *p = memchr(s + at, form[0], n - k - at + 1);
            if (p == NULL)
                break;
            at = (size_t)(p - s);
            if (at < best && memcmp(p, form, k) == 0) {
                best = at;
                *len = k;
            }
            at++;
        }
    }
    return best;
}
