/*
 * slice.h - where the values of a JSON text stand in it: what is to be given
 * back as it came is cut out, since a decoded table has lost its form.
 *
 * A value is a slice only when it is valid JSON from its first byte to its
 * last, whatever the decoder lets pass. Reads as scan.h does, of which it is
 * the general case. Pure: no allocation.
 */
#ifndef CHATBOT_SLICE_H
#define CHATBOT_SLICE_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
    const char *s; /* NULL: there is none */
    size_t n;
    const char *last; /* the `}` that ends the text it is of */
};

/* The text as a slice, without the white space around it. Not looked at: none
 * only when it cannot be an object. */
struct slice slice_text(const char *s, size_t n);

/* Whether the text is a valid object, and nothing else. */
bool slice_is_object(const char *s, size_t n);

/* The value of the member `name` of the object `of`, the last of that name;
 * none when it is no valid object, or has no such member. */
struct slice slice_member(struct slice of, const char *name);

/* The value of the member of the object `of` that is behind the one with the
 * value `before`, for none the first; *key becomes its key, still escaped. None
 * at the end, and where it is no valid object any more. */
struct slice slice_next_member(struct slice of, struct slice before,
                               struct slice *key);

/* The element of the list `of` behind the one `before`, for none the first.
 * None at the end, and where it is no valid list any more. */
struct slice slice_next(struct slice of, struct slice before);

#endif
