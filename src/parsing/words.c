/*
 * words.c - see words.h.
 */
#include "parsing/words.h"

#include <string.h>

#include "parsing/escape.h"

/* Behind the string whose first byte is at `p`, or `end`. */
static const char *skip_string(const char *p, const char *end)
{
    while ((p += escape_plain_run(p, (size_t)(end - p))) < end) {
        if (*p == '"')
            return p + 1;
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    }
    return end;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Whether the byte belongs to a number or a name. */
static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '+' || c == '-' || c == '.';
}

const char *words_next(struct words *w)
{
    while (w->p < w->end) {
        const char *first = w->p++;
        switch (*first) {
        case '"':
            w->p = skip_string(w->p, w->end);
            break;
        case '[':
        case '{':
            if (++w->depth > w->most)
                return NULL;
            break;
        case ']':
        case '}':
            if (--w->depth < 0)
                return NULL;
            break;
        default:
            if (!is_word(*first))
                break;
            while (w->p < w->end && is_word(*w->p))
                w->p++;
            return first;
        }
    }
    return NULL;
}

bool words_is_odd(const char *p, const char *end)
{
    if (*p == 'n')
        return end - p < 2 || p[1] != 'u'; /* as in null */
    if (*p == '+' || *p == 'i' || *p == 'I' || *p == 'N')
        return true;
    if (*p == '-' && (++p == end || !is_digit(*p)))
        return true;
    const char *point = memchr(p, '.', (size_t)(end - p));
    if (point != NULL && (point + 1 == end || !is_digit(point[1])))
        return true;
    return *p == '0' && end - p > 1 &&
           (is_digit(p[1]) || p[1] == 'x' || p[1] == 'X');
}

bool words_is_wide(const char *p, const char *end)
{
    static const char beyond[] = "9223372036854775808";
    bool minus = *p == '-';
    ptrdiff_t digits = end - (p += minus), most = sizeof beyond - 1;
    for (const char *q = p; q < end; q++)
        if (!is_digit(*q))
            return false;
    return digits > most ||
           (digits == most && memcmp(p, beyond, (size_t)most) >= 0) ||
           (minus && digits == 1 && *p == '0');
}
