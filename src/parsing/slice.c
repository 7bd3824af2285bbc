/*
 * slice.c - see slice.h.
 */
#include "parsing/slice.h"

#include "parsing/scan.h"

#define DEPTH 64 /* of values in values */

static const struct slice none = {NULL, 0, NULL};

/* Behind the key at `p` and its colon: where the value begins. */
static const char *skip_key(const char *p, const char *last,
                            struct escape_text *key)
{
    p = scan_string(p, last, key);
    if (p == NULL)
        return NULL;
    p = scan_skip_space(p);
    return *p == ':' ? scan_skip_space(p + 1) : NULL;
}

/* Behind the value at `p`; NULL: it is none. What is returned may be behind
 * `last`, for the whole text. */
static const char *skip(const char *p, const char *last, int depth)
{
    struct escape_text key;
    bool object = *p == '{';
    char close = object ? '}' : ']';
    if (!object && *p != '[')
        return scan_scalar(p, last);
    if (depth == 0)
        return NULL;
    p = scan_skip_space(p + 1);
    if (*p == close)
        return p + 1;
    for (;;) {
        if (object && (p = skip_key(p, last, &key)) == NULL)
            return NULL;
        p = skip(p, last, depth - 1);
        if (p == NULL || p > last)
            return NULL;
        p = scan_skip_space(p);
        if (*p == close)
            return p + 1;
        if (*p != ',')
            return NULL;
        p = scan_skip_space(p + 1);
    }
}

/* The value at `p`, which is inside of a text. */
static struct slice value_at(const char *p, const char *last)
{
    const char *end = skip(p, last, DEPTH);
    if (end == NULL || end > last)
        return none;
    return (struct slice){p, (size_t)(end - p), last};
}

struct slice slice_text(const char *s, size_t n)
{
    static const char blanks[] = " \t\r\n";
    while (n > 0 && memchr(blanks, *s, 4) != NULL)
        s++, n--;
    while (n > 0 && memchr(blanks, s[n - 1], 4) != NULL)
        n--;
    if (n < 2 || *s != '{' || s[n - 1] != '}')
        return none;
    return (struct slice){s, n, s + n - 1};
}

bool slice_is_object(const char *s, size_t n)
{
    struct slice of = slice_text(s, n);
    return of.s != NULL && skip(of.s, of.last, DEPTH) == of.s + of.n;
}

struct slice slice_member(struct slice of, const char *name)
{
    struct slice found = none;
    size_t n = strlen(name);
    if (of.s == NULL || *of.s != '{')
        return none;
    const char *p = scan_skip_space(of.s + 1), *end = of.s + of.n - 1;
    while (p < end) {
        struct escape_text key;
        p = skip_key(p, of.last, &key);
        if (p == NULL)
            return none;
        struct slice value = value_at(p, of.last);
        if (value.s == NULL)
            return none;
        if (!key.escaped && key.n == n && memcmp(key.s, name, n) == 0)
            found = value;
        p = scan_skip_space(value.s + value.n);
        if (*p != ',')
            return p == end ? found : none;
        p = scan_skip_space(p + 1);
    }
    return none;
}

struct slice slice_next_member(struct slice of, struct slice before,
                               struct slice *key)
{
    struct escape_text name;
    if (of.s == NULL || *of.s != '{')
        return none;
    const char *p = before.s == NULL ? of.s : before.s + before.n;
    p = scan_skip_space(p);
    if (*p != (before.s == NULL ? '{' : ','))
        return none;
    p = skip_key(scan_skip_space(p + 1), of.last, &name);
    if (p == NULL)
        return none;
    *key = (struct slice){name.s, name.n, of.last};
    return value_at(p, of.last);
}

struct slice slice_next(struct slice of, struct slice before)
{
    if (of.s == NULL || *of.s != '[')
        return none;
    const char *p = before.s == NULL ? of.s : before.s + before.n;
    p = scan_skip_space(p);
    if (*p != (before.s == NULL ? '[' : ','))
        return none;
    p = scan_skip_space(p + 1);
    return *p == ']' ? none : value_at(p, of.last);
}
