/*
 * shape.c - see shape.h.
 */
#include "parsing/shape.h"

void shape_learn(struct shape *shape, const char *json, size_t n,
                 const struct plain *p)
{
    const struct escape_text *text = &p->text, *padding = &p->padding;

    shape->text = shape->padding = 0;
    if (text->s == NULL || p->finish.n > 0 || json[n - 1] != '}')
        return;
    shape->text = (size_t)(text->s - json);
    shape->text_end = shape->text + text->n;
    shape->to = p->to;
    shape->len = n;
    if (padding->s > text->s) {
        shape->padding = (size_t)(padding->s - json);
        shape->padding_end = shape->padding + padding->n;
    }
}

/* Whether the bytes from `p` to `end` begin with `n` bytes at `text`. */
static inline bool begins(const char *p, const char *end, const char *text,
                          size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, text, n) == 0;
}

/* The bytes that are the same make the same tokens as before, and a string
 * takes the place of a string, so what the scanner said then holds again. */
bool shape_same(struct shape *shape, const char *before, const char *json,
                size_t n, struct plain *p)
{
    struct escape_text text, padding = {.s = NULL};
    const char *at = json, *end = json + n;
    size_t from = shape->text;

    if (from == 0 || n == 0 || end[-1] != '}' || !begins(at, end, before, from))
        return false;
    at = scan_string(at + from - 1, end - 1, &text);
    if (at == NULL)
        return false;
    from = shape->text_end + 1;
    if (shape->padding > 0) {
        size_t between = shape->padding - from;
        if (!begins(at, end, before + from, between))
            return false;
        at = scan_string(at + between - 1, end - 1, &padding);
        if (at == NULL)
            return false;
        from = shape->padding_end + 1;
    }
    if (shape->len - from != (size_t)(end - at) ||
        memcmp(at, before + from, shape->len - from) != 0)
        return false;
    shape->text_end = (size_t)(text.s - json) + text.n;
    if (shape->padding > 0) {
        shape->padding = (size_t)(padding.s - json);
        shape->padding_end = shape->padding + padding.n;
    }
    shape->len = n;
    plain_clear(p);
    p->text = text;
    p->to = shape->to;
    return true;
}
