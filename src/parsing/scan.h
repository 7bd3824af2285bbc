/*
 * scan.h - the tokens of a JSON text that is read where it stands, for scanners
 * that know the shape of what they look for.
 *
 * One pass, left to right, over the bytes. Each function takes the place where
 * its part must begin and returns the place behind it, or NULL when the input
 * is not what it knows: so refusing is safe anywhere, and accepting has to be
 * certain.
 *
 * A JSON object ends in `}`, which stops every loop here and can neither begin
 * nor continue any token: while this last byte is ahead, it stands guard, and
 * bytes are read without asking for the end. Two things may pass it and do ask:
 * strings, and the end of an inner object.
 *
 * Pure, and all here: a scanner and what it calls become one function.
 */
#ifndef CHATBOT_SCAN_H
#define CHATBOT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "parsing/escape.h"

/* The beginning of what a scanner knows while it reads. */
struct scan {
    const char *last; /* the `}` that ends the input */
    unsigned seen;    /* keys that must not occur twice */
};

struct scan_key {
    const char *s;
    size_t n;
};

#define SCAN_IS(key, text)                                                     \
    ((key).n == sizeof(text) - 1 &&                                            \
     memcmp((key).s, text, sizeof(text) - 1) == 0)

/* Finds the end of the `n` bytes at `json`. False when it is not that of an
 * object. */
static inline bool scan_begin(struct scan *s, const char *json, size_t n)
{
    while (n > 0 && (json[n - 1] == ' ' || json[n - 1] == '\n' ||
                     json[n - 1] == '\r' || json[n - 1] == '\t'))
        n--;
    s->last = json + n - (n > 0);
    return n > 0 && *s->last == '}';
}

/* Strings */

/* Behind the escape whose backslash is at `p`. */
static const char *scan_skip_escape(const char *p)
{
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 2;
    case 'u':
        return escape_hex4(p + 2) >= 0 ? p + 6 : NULL;
    default:
        return NULL;
    }
}

/* Reads the rest of a string, from its first byte that is not plain. */
static const char *scan_string_rest(const char *p, const char *last,
                                    struct escape_text *text)
{
    while (*p == '\\') {
        text->escaped = true;
        p = scan_skip_escape(p);
        if (p == NULL)
            return NULL;
        p = escape_skip_plain(p, last);
    }
    if (*p != '"')
        return NULL; /* a control character, or the end */
    text->n = (size_t)(p - text->s);
    return p + 1;
}

/* Reads a string. */
static inline const char *scan_string(const char *p, const char *last,
                                      struct escape_text *text)
{
    if (*p != '"')
        return NULL;
    text->s = ++p;
    text->escaped = false;
    p = escape_skip_plain(p, last);
    if (*p != '"')
        return scan_string_rest(p, last, text);
    text->n = (size_t)(p - text->s);
    return p + 1;
}

/* Other tokens */

static inline const char *scan_skip_space(const char *p)
{
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
        p++;
    return p;
}

/* Skips white space, which there hardly ever is, before an expected `c`. */
static inline const char *scan_skip_to(const char *p, char c)
{
    return *p == c ? p : scan_skip_space(p);
}

static inline const char *scan_word(const char *p, const char *last,
                                    const char *text, size_t n)
{
    return (size_t)(last - p) >= n && memcmp(p, text, n) == 0 ? p + n : NULL;
}

static inline const char *scan_null(const char *p, const char *last)
{
    return scan_word(p, last, "null", 4);
}

static inline const char *scan_digits(const char *p)
{
    const char *start = p;

    while ((unsigned char)(*p - '0') < 10)
        p++;
    return p > start ? p : NULL;
}

static inline const char *scan_number(const char *p)
{
    if (*p == '-')
        p++;
    if (*p == '0')
        p++;
    else if ((p = scan_digits(p)) == NULL)
        return NULL;
    if (*p == '.' && (p = scan_digits(p + 1)) == NULL)
        return NULL;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        p = scan_digits(p);
    }
    return p;
}

static inline const char *scan_scalar(const char *p, const char *last)
{
    struct escape_text ignored;

    if (*p == '"')
        return scan_string(p, last, &ignored);
    if (*p == 'n')
        return scan_null(p, last);
    if (*p == 't')
        return scan_word(p, last, "true", 4);
    if (*p == 'f')
        return scan_word(p, last, "false", 5);
    return scan_number(p);
}

/* A number from 0 to 9999, written as one. */
static inline const char *scan_index(const char *p, unsigned *index)
{
    const char *first = p;
    unsigned n = 0;

    for (; (unsigned char)(*p - '0') < 10; p++) {
        if (p - first == 4)
            return NULL;
        n = n * 10 + (unsigned)(*p - '0');
    }
    *index = n;
    return scan_number(first) == p ? p : NULL;
}

/* A string, or null, which leaves `text` as it is. */
static inline const char *scan_text_or_null(const char *p, const char *last,
                                            struct escape_text *text)
{
    return *p == 'n' ? scan_null(p, last) : scan_string(p, last, text);
}

/* Objects */

/* Takes the value of a member at `p`. */
typedef const char *scan_member(struct scan *s, const char *p,
                                struct scan_key key);

/* Reads the key at `p` up to the value. An escape makes it unknown. */
static inline const char *scan_read_key(const char *p, const char *last,
                                        struct scan_key *key)
{
    if (*p != '"')
        return NULL;
    key->s = ++p;
    p = escape_skip_plain(p, last);
    if (*p != '"')
        return NULL;
    key->n = (size_t)(p - key->s);
    p = scan_skip_to(p + 1, ':');
    if (*p != ':')
        return NULL;
    p++;
    return (unsigned char)*p > ' ' ? p : scan_skip_space(p);
}

/* Reads an object. What is returned may be behind `last`. */
static inline const char *scan_object(struct scan *s, const char *p,
                                      scan_member *member)
{
    struct scan_key key;

    if (*p != '{')
        return NULL;
    p = scan_skip_to(p + 1, '"');
    if (*p == '}')
        return p + 1;
    for (;;) {
        p = scan_read_key(p, s->last, &key);
        if (p == NULL)
            return NULL;
        p = member(s, p, key);
        if (p == NULL)
            return NULL;
        p = scan_skip_to(p, ',');
        if (*p != ',')
            return *p == '}' ? p + 1 : NULL;
        p = scan_skip_to(p + 1, '"');
    }
}

/* Reads an object that is not the last thing. */
static inline const char *scan_inner(struct scan *s, const char *p,
                                     scan_member *member)
{
    p = scan_object(s, p, member);
    return p != NULL && p <= s->last ? p : NULL;
}

/* False when `key` was seen before. */
static inline bool scan_once(struct scan *s, unsigned key)
{
    bool again = (s->seen & key) != 0;
    s->seen |= key;
    return !again;
}

#endif
