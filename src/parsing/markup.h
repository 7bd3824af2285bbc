/*
 * markup.h - the markup of a page without what makes a parser slow.
 *
 * A parser of HTML repairs what it reads: it looks for the element that an end
 * tag ends in all that are open, and for the name of an attribute in those
 * before it. A page may open a hundred thousand elements and close others, and
 * then a megabyte takes minutes. So a page is copied before it is parsed, and
 * in the copy no element has more than MARKUP_ATTRIBUTES attributes and about
 * MARKUP_DEPTH elements are open at once; what is in those that are left out
 * stays. Comments, declarations and scripts, which nobody reads, go as well
 * (JSON-LD stays: it has the date of a page).
 *
 * The tags are found as the HTML standard finds them. One pass, linear whatever
 * the page holds. Pure: no Lua, no allocation, nothing of the parser.
 */
#ifndef CHATBOT_MARKUP_H
#define CHATBOT_MARKUP_H

#include <stddef.h>

#define MARKUP_ATTRIBUTES 100
#define MARKUP_DEPTH      200

/* Copies the page of `n` bytes to `out`, which has room for them; the lengths
 * of both may be 0. Returns the length of the copy, and in *tags how many start
 * tags are in it. */
size_t markup_copy(const char *s, size_t n, char *out, size_t *tags);

#endif
