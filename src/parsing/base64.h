/*
 * base64.h - what a text in base64 stands for (RFC 4648, both alphabets). What
 * is no digit counts for nothing, as RFC 2045, 6.8 has it.
 *
 * Pure: knows bytes.h only.
 */
#ifndef CHATBOT_BASE64_H
#define CHATBOT_BASE64_H

#include <stdbool.h>

#include "parsing/bytes.h"

/* Appends it to `out`. *good is false, and `out` as before, where it is none:
 * it has a colon, as addresses have, no digit, or one too many. */
enum bytes_status base64_undo(const char *s, size_t n, struct bytes *out,
                              bool *good);

#endif
