/*
 * words.h - the numbers and names of a JSON text, which need not be one: what
 * stands outside of its strings.
 *
 * Pure: knows escape.h.
 */
#ifndef CHATBOT_WORDS_H
#define CHATBOT_WORDS_H

#include <stdbool.h>

/* Where the reading stands. */
struct words {
    const char *p, *end;
    int most;  /* brackets that may be open at once */
    int depth; /* beyond `most`, or below 0: it has stopped there */
};

/* The next number or name, which ends at w->p. NULL: there is none. */
const char *words_next(struct words *w);

/* Whether the word is a number to strtod and none in JSON: with a plus, leading
 * zeros or hexadecimal digits, no digit behind its point, infinite, or not a
 * number. */
bool words_is_odd(const char *p, const char *end);

/* Whether the word is a whole number that is none of 64 bits: lua-cjson since
 * 2.1.0.11 takes the nearest that is one, so also 0 for -0. */
bool words_is_wide(const char *p, const char *end);

#endif
