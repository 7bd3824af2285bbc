/*
 * think.c - see think.h.
 */
#include "parsing/think.h"

#include <string.h>

static const char OPEN[] = "<think>", CLOSE[] = "</think>";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* True when what is held is no head after all: it is text. */
static bool take_head(struct think *t, char c)
{
    if (t->held == sizeof t->head)
        return true;
    if (!(t->matched == 0 && is_blank(c))) {
        if (c != OPEN[t->matched])
            return true;
        t->matched++;
    }
    t->head[t->held++] = c;
    if (t->matched == sizeof OPEN - 1) {
        t->state = THINK_INSIDE;
        t->matched = t->held = 0;
    }
    return false;
}

/* Takes thoughts up to what may be the end tag. */
static bool take_inside(struct think *t, const char **s, size_t *n,
                        struct think_piece *piece)
{
    piece->reasoning = true;
    while (*n > 0 && **s == CLOSE[t->matched]) {
        ++*s;
        --*n;
        if (++t->matched == sizeof CLOSE - 1) {
            t->state = THINK_BEHIND;
            t->matched = 0;
            return false;
        }
    }
    if (*n == 0)
        return false;
    if (t->matched > 0) { /* it was none */
        piece->s = CLOSE;
        piece->n = t->matched;
        t->matched = 0;
        return true;
    }
    const char *stop = memchr(*s, CLOSE[0], *n);
    piece->s = *s;
    piece->n = stop == NULL ? *n : (size_t)(stop - *s);
    *s += piece->n;
    *n -= piece->n;
    return true;
}

bool think_next(struct think *t, const char **s, size_t *n,
                struct think_piece *piece)
{
    piece->reasoning = false;
    while (*n > 0) {
        if (t->state == THINK_INSIDE) {
            if (take_inside(t, s, n, piece))
                return true;
            continue;
        }
        if (t->state == THINK_HEAD && take_head(t, **s)) {
            if (think_end(t, piece))
                return true;
            continue;
        }
        if (t->state == THINK_BEHIND && !is_blank(**s))
            t->state = THINK_OFF;
        if (t->state == THINK_OFF) {
            piece->reasoning = false;
            piece->s = *s;
            piece->n = *n;
            *s += *n;
            *n = 0;
            return true;
        }
        ++*s;
        --*n;
    }
    return false;
}

bool think_end(struct think *t, struct think_piece *piece)
{
    bool inside = t->state == THINK_INSIDE;
    piece->s = inside ? CLOSE : t->head;
    piece->n = inside ? t->matched : t->held;
    piece->reasoning = inside;
    t->state = THINK_OFF;
    t->matched = t->held = 0;
    return piece->n > 0;
}
