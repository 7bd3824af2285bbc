/*
 * redact.h - the secrets of a request, and where a text repeats them.
 *
 * A secret is found in these forms:
 *   as it was sent;
 *   escaped, each character for itself: \u002d and \/ of JSON, however often
 *     the backslash was doubled, %2D of URLs in either case, &#45; &#x2d; &amp;
 *     of HTML;
 *   in base64 (RFC 4648, both alphabets) of a text that it is part of, which
 *     may be broken into lines;
 *   its beginning, in each of these forms: 12 characters and half of it, or
 *     what is there at the end of a text that was cut.
 * One of 4 to 7 bytes could be a word of the language: it is found as it was
 * sent only, and only where it stands alone. A shorter one is not looked for.
 *
 * The cost is linear in the text, whatever is in it. Pure: knows nothing of the
 * rest.
 */
#ifndef CHATBOT_REDACT_H
#define CHATBOT_REDACT_H

#include <stdbool.h>
#include <stddef.h>

struct redact {
    char *list; /* the secrets, each with a NUL behind it; NULL: none */
    size_t size;
};

/* Adds a copy of a secret. False when memory is out. */
bool redact_add(struct redact *r, const char *s, size_t n);

/* Adds what is secret in the URL of a proxy: the password, or the user where
 * there is none, also as they are sent. False when memory is out. */
bool redact_add_proxy(struct redact *r, const char *url);

/* Overwrites the secrets and gives them back. */
void redact_free(struct redact *r);

/* Sets hide[i] for each byte s[i] that is to be hidden, and all of them when
 * memory is out; hide has `n` zeroes. `cut`: the text may go on elsewhere.
 * Whether there was anything. */
bool redact_mark(const struct redact *r, const char *s, size_t n, bool cut,
                 unsigned char *hide);

/* The same for what looks like a key (it begins as keys do, or has 20 letters,
 * digits and signs in a row and is no mere word), where the key itself is not
 * known. */
bool redact_mark_like(const char *s, size_t n, unsigned char *hide);

/* Adds what is secret in a header, "Name: value": the value, or its parts, when
 * the name tells (of a key, a token, a cookie, ...) or the value looks like a
 * key. False when memory is out. */
bool redact_add_header(struct redact *r, const char *line);

#endif
