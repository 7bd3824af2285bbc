/*
 * shape.c - see shape.h.
 */
#include "parsing/shape.h"

/* Adds a hole that begins at `at`, in the order of place: those behind it move
 * up. Their `run` is still where they begin. */
static struct shape_hole *insert(struct shape *shape, size_t at, size_t n,
                                 enum hole_kind kind)
{
    struct shape_hole *hole = shape->hole + shape->holes++;

    for (; hole > shape->hole && hole[-1].run > at; hole--)
        hole[0] = hole[-1];
    *hole = (struct shape_hole){.run = at, .len = n, .kind = kind};
    return hole;
}

void shape_learn(struct shape *shape, const char *json, size_t n,
                 const struct plain *p)
{
    const struct escape_text *text = &p->text;
    size_t at = 0;

    shape->head = 0;
    if (text->s == NULL || p->finish.n > 0 || json[n - 1] != '}' ||
        n < SHAPE_LEAST)
        return;
    shape->holes = 0;
    for (unsigned i = 0; i < p->loose_count; i++)
        insert(shape, (size_t)(p->loose[i].s - json), p->loose[i].n,
               p->loose[i].kind);
    insert(shape, (size_t)(text->s - json), text->n, HOLE_STRING)->is_text =
        true;
    for (unsigned i = 0; i < shape->holes; i++) {
        size_t before = at;
        at = shape->hole[i].run + shape->hole[i].len;
        shape->hole[i].run -= before;
    }
    shape->head = shape->hole[0].run;
    shape->tail = n - 1 - at;
    shape->to = p->to;
}

/* Whether the bytes from `p` to `end` begin with the `n` at `text`. */
static inline bool begins(const char *p, const char *end, const char *text,
                          size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, text, n) == 0;
}

/* The end of what is in the hole at `p`, or NULL; `text` is that if it is the
 * inside of a string. */
static inline const char *fill(enum hole_kind kind, const char *p,
                               const char *last, struct escape_text *text)
{
    const char *end;

    if (kind == HOLE_NUMBER)
        return scan_number(p);
    if (kind == HOLE_BLANKS)
        return scan_skip_space(p);
    text->s = p;
    text->escaped = false;
    end = escape_skip_last(p, last);
    if (*end != '"') {
        end = scan_string_rest(end, last, text);
        if (end == NULL)
            return NULL;
        end--;
    }
    text->n = (size_t)(end - p);
    return end;
}

/* Passes the bytes before a hole and what is in it. Returns its end, or NULL
 * where these are not the bytes at `*before`, which are passed then too. */
static inline const char *pass(struct shape_hole *hole, enum hole_kind kind,
                               const char *p, const char *last,
                               const char **before, struct escape_text *text)
{
    if (!begins(p, last, *before, hole->run))
        return NULL;
    p += hole->run;
    *before += hole->run + hole->len;
    const char *end = fill(kind, p, last, text);
    hole->len = (size_t)(end - p); /* of no meaning where there is no end */
    return end;
}

/* The bytes that are the same make the same tokens as before, and a string
 * takes the place of a string, a number that of a number, so what the scanner
 * said then holds again. */
bool shape_same(struct shape *shape, const char *before, const char *json,
                size_t n, struct plain *p)
{
    struct escape_text other;
    struct shape_hole *hole = shape->hole, *end = hole + shape->holes;
    size_t head = shape->head;

    shape->head = 0;
    if (head == 0 || n < SHAPE_LEAST || json[n - 1] != '}')
        return false;
    const char *at = json, *last = json + n - 1;
    plain_clear(p);
    if (shape->holes == 1)
        at = pass(hole, HOLE_STRING, at, last, &before, &p->text);
    else
        for (; hole < end && at != NULL; hole++)
            at = pass(hole, hole->kind, at, last, &before,
                      hole->is_text ? &p->text : &other);
    if (at == NULL || (size_t)(last - at) != shape->tail ||
        memcmp(at, before, shape->tail) != 0)
        return false;
    shape->head = head;
    p->to = shape->to;
    return true;
}
