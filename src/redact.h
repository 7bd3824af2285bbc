/*
 * redact.h - a secret, and the forms in which a server may echo it: as it is,
 * percent-encoded, with JSON's escaped slashes, and inside base64 text.
 *
 * Pure: knows nothing of the rest.
 */
#ifndef CHATBOT_REDACT_H
#define CHATBOT_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#define REDACT_FORMS 10

struct redact {
    char *forms[REDACT_FORMS];
    size_t count; /* 0: nothing is looked for */
};

/* Builds the forms of `key`; one of fewer than 4 bytes is no secret. NULL is
 * allowed. False when memory is out, and `r` is empty. */
bool redact_init(struct redact *r, const char *key);

/* Overwrites the forms and gives them back. */
void redact_free(struct redact *r);

/* The offset of the first form in s[from..n), and its length in *len; n when
 * there is none. */
size_t redact_find(const struct redact *r, const char *s, size_t n, size_t from,
                   size_t *len);

#endif
