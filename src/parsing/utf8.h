/*
 * utf8.h - text that arrives in pieces becomes whole, well-formed UTF-8.
 *
 * Servers cut their text anywhere: in the middle of a code point, between the
 * two halves of a surrogate pair. `utf8_feed` appends only whole code points to
 * its output and keeps a started one (at most 6 bytes) until the rest is there.
 * Halves of a surrogate pair come in as their three-byte form (ED A0..BF xx,
 * "WTF-8"), and two that meet become one code point. What cannot become
 * a code point is replaced by U+FFFD, one for each maximal subpart (Unicode
 * 15.0, chapter 3.9, "U+FFFD Substitution of Maximal Subparts"), a lone half by
 * a single U+FFFD.
 *
 * Knows bytes.h only. No allocation but that of the output.
 */
#ifndef CHATBOT_UTF8_H
#define CHATBOT_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "parsing/bytes.h"

struct utf8 {
    unsigned char held[6]; /* a started code point, or a high half and more */
    unsigned char len;
};

/* Appends to `out` all that is whole after `n` more bytes. On failure (the
 * status of bytes_append) nothing of these `n` bytes was taken. */
enum bytes_status utf8_feed(struct utf8 *u, const char *s, size_t n,
                            struct bytes *out);

/* No more bytes will come: what is still held becomes U+FFFD. */
enum bytes_status utf8_finish(struct utf8 *u, struct bytes *out);

/* The offset of the first byte that is not well-formed UTF-8 (surrogates and
 * overlong forms are not), or `n` when all of it is. */
size_t utf8_invalid(const char *s, size_t n);

/* Narrows the run (*s, *n) at both ends past Unicode White_Space (ASCII space
 * and controls 09-0D, 1C-1F, U+0085, U+00A0, U+1680, U+2000-200A, U+2028,
 * U+2029, U+202F, U+205F, U+3000). */
void utf8_strip(const char **s, size_t *n);

/* Appends `s` as one line of at most `max` (4 or more) characters: each run of
 * white space of ASCII, control characters, ends of lines (U+2028, U+2029) and
 * of what changes the direction of the text (U+202A-202E, U+2066-2069) is one
 * blank, and none at the ends; what is no UTF-8 is U+FFFD with `show` and else
 * such a blank, and "..." stands for what is too much. Takes up to 3 bytes of
 * room for each byte of `s`. */
enum bytes_status utf8_line(const char *s, size_t n, size_t max, bool show,
                            struct bytes *out);

#endif
