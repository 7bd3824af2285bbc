/*
 * escape.c - see escape.h.
 */
#include "parsing/escape.h"

#include <string.h>

static bool is_high(int unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(int unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* The UTF-16 unit of the escape \uXXXX at `p`, or -1. */
static int unit_at(const char *p, const char *end)
{
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    return escape_hex4(p + 2);
}

/* Writes `c` as UTF-8, a half as three bytes, and returns their number. */
static size_t encode(int c, char out[4])
{
    unsigned u = (unsigned)c;
    size_t n = u < 0x80 ? 1 : u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};

    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (u & 0x3F));
        u >>= 6;
    }
    out[0] = (char)(lead[n] | u);
    return n;
}

static enum bytes_status put(struct bytes *out, int c)
{
    char utf8[4];
    size_t n = encode(c, utf8);
    return bytes_append(out, utf8, n);
}

/* The character of the escape \c. */
static int simple_escape(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

static enum bytes_status unescape(const char *p, const char *end,
                                  struct bytes *out)
{
    while (p < end) {
        const char *stop = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((stop != NULL ? stop : end) - p);
        enum bytes_status status = bytes_append(out, p, run);
        p += run;
        if (status != BYTES_OK || p == end)
            return status;

        int unit = unit_at(p, end);
        if (unit < 0) {
            unit = simple_escape(p[1]);
            p += 2;
        } else {
            p += 6;
            int low = is_high(unit) ? unit_at(p, end) : -1;
            if (is_low(low)) {
                unit = 0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00);
                p += 6;
            }
        }
        status = put(out, unit);
        if (status != BYTES_OK)
            return status;
    }
    return BYTES_OK;
}

enum bytes_status escape_undo(const struct escape_text *t, struct bytes *out)
{
    size_t before = out->len;

    if (t->s == NULL)
        return BYTES_OK;
    if (!t->escaped)
        return bytes_append(out, t->s, t->n);
    enum bytes_status status = unescape(t->s, t->s + t->n, out);
    if (status != BYTES_OK)
        out->len = before;
    return status;
}

/* The next place in a string that matters: `"`, `\`, or the end. Outside of
 * a string `\` has no meaning. */
static const char *next_mark(const char *p, const char *end, bool inside)
{
    while (p < end && *p != '"' && !(inside && *p == '\\'))
        p++;
    return p;
}

static enum bytes_status repair(const char *p, const char *end,
                                struct bytes *out, bool *changed)
{
    const char *done = p; /* up to here it is in `out` */
    bool inside = false;

    while ((p = next_mark(p, end, inside)) < end) {
        if (*p == '"') {
            inside = !inside;
            p++;
            continue;
        }
        int unit = unit_at(p, end);
        if (is_high(unit) && is_low(unit_at(p + 6, end))) {
            p += 12;
        } else if (is_high(unit) || is_low(unit)) {
            enum bytes_status status =
                bytes_append(out, done, (size_t)(p - done));
            if (status == BYTES_OK)
                status = put(out, unit);
            if (status != BYTES_OK)
                return status;
            *changed = true;
            done = p += 6;
        } else {
            p += end - p < 2 ? 1 : 2;
        }
    }
    return bytes_append(out, done, (size_t)(end - done));
}

enum bytes_status escape_repair(const char *json, size_t n, struct bytes *out,
                                bool *changed)
{
    size_t before = out->len;

    *changed = false;
    enum bytes_status status = repair(json, json + n, out, changed);
    if (status != BYTES_OK)
        out->len = before;
    return status;
}
