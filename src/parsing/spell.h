/*
 * spell.h - the forms in which a text may spell a character: as it is, with the
 * escapes of JSON, URLs and HTML, in base64.
 *
 * Pure: knows nothing of the rest.
 */
#ifndef CHATBOT_SPELL_H
#define CHATBOT_SPELL_H

#include <stdbool.h>
#include <stddef.h>

#define SPELL_SKIPPED (-1)
#define SPELL_OTHER   256 /* a character that no secret has */

struct spell_character {
    int value; /* or SPELL_SKIPPED, SPELL_OTHER */
    size_t len;
};

/* Each takes the first character of a text, n > 0. */
typedef struct spell_character spell_reader(const char *s, size_t n);

spell_reader spell_plain;
spell_reader spell_escaped; /* in any of the forms but base64 */
spell_reader spell_base64;  /* a digit of it */

extern const char spell_digits[]; /* of base64: letters and figures first */

/* The value of `n` hexadecimal digits; -1 when they are none. */
int spell_hex(const char *s, size_t n);

bool spell_is_alnum(unsigned char c);

#endif
