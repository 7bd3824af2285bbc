/*
 * base64.c - see base64.h.
 */
#include "parsing/base64.h"

#include <stdint.h>

/* The value of a digit, or -1. */
static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

enum bytes_status base64_undo(const char *s, size_t n, struct bytes *out,
                              bool *good)
{
    enum bytes_status status = bytes_reserve(out, n / 4 * 3 + 3);
    if (status != BYTES_OK)
        return status;
    size_t before = out->len, i = 0, digits = 0;
    uint32_t bits = 0;
    for (; i < n && s[i] != '=' && s[i] != ':'; i++) {
        int value = digit(s[i]);
        if (value < 0)
            continue;
        bits = bits << 6 | (uint32_t)value;
        size_t in_four = ++digits % 4;
        if (in_four != 1) /* the second to fourth digit bring a byte each */
            out->data[out->len++] =
                (char)(bits >> (in_four == 0 ? 0 : 8 - 2 * in_four) & 0xFF);
    }
    *good = digits > 1 && digits % 4 != 1 && !(i < n && s[i] == ':');
    if (!*good)
        out->len = before;
    return BYTES_OK;
}
