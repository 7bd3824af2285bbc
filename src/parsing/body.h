/*
 * body.h - the body of a request: text that stands here, and between it long
 * strings that stay where their owner has them until they are sent, so that a
 * long history is never copied as a whole.
 *
 * Pure: knows nothing of the rest.
 */
#ifndef CHATBOT_BODY_H
#define CHATBOT_BODY_H

#include <stdbool.h>
#include <stddef.h>

#include "parsing/bytes.h"

#define BODY_ESCAPE 6 /* bytes of an escape in JSON, at most */

struct body_kept;

struct body {
    struct bytes text;
    struct body_kept *kept; /* in the order in which they are sent */
    size_t count, cap;
    size_t size; /* of all that is sent */
    /* where reading is: in `text`, among `kept`, and in the string there */
    size_t text_at, kept_at, string_at;
    char escaped[BODY_ESCAPE]; /* an escape that is not wholly read */
    size_t escaped_at, escaped_len;
};

/* The length of the string as JSON, with its quotes. */
size_t body_quoted_size(const char *s, size_t n);

void body_init(struct body *b);
void body_free(struct body *b);

/* Each adds what is sent next; false when memory is out. */
bool body_add(struct body *b, const char *s, size_t n);
bool body_quote(struct body *b, const char *s, size_t n);

/* body_quote without a copy: `s` must stay until body_free, or body_join.
 * `size` is that of the JSON: body_quoted_size(s, n). */
bool body_keep(struct body *b, const char *s, size_t n, size_t size);

/* Copies what is kept. False when memory is out; nothing is changed then. */
bool body_join(struct body *b);

/* Writes what comes next, and less than `room` bytes only at the end. */
size_t body_read(struct body *b, char *to, size_t room);

/* Reading begins again. */
void body_rewind(struct body *b);

#endif
