/*
 * messages_scan.c - see messages_scan.h.
 */
#include "dialect/messages_scan.h"

/* Keys that must not occur twice, because the last one would count. */
enum seen {
    SEEN_PING = 1,
    SEEN_BLOCK = 2, /* content_block_delta; either is the `type` */
    SEEN_INDEX = 4,
    SEEN_DELTA = 8,
    SEEN_TEXT_DELTA = 16,
    SEEN_THINKING_DELTA = 32, /* either is the `type` of the delta */
    SEEN_TEXT = 64,
    SEEN_THINKING = 128,
    A_TEXT = SEEN_BLOCK | SEEN_DELTA | SEEN_TEXT_DELTA | SEEN_TEXT,
    A_THOUGHT = SEEN_BLOCK | SEEN_DELTA | SEEN_THINKING_DELTA | SEEN_THINKING
};

/* No function that is called takes its address, so that it is in registers. */
struct messages {
    struct scan scan; /* at its beginning, for what is given to scan_object */
    struct plain *plain;
    unsigned index;
};

static inline struct messages *messages_of(struct scan *s)
{
    return (struct messages *)s;
}

static inline const char *delta_type(struct scan *s, const char *p)
{
    struct escape_text type;

    p = scan_string(p, s->last, &type);
    if (p == NULL || (s->seen & (SEEN_TEXT_DELTA | SEEN_THINKING_DELTA)) != 0)
        return NULL;
    if (SCAN_IS(type, "text_delta"))
        s->seen |= SEEN_TEXT_DELTA;
    else if (SCAN_IS(type, "thinking_delta"))
        s->seen |= SEEN_THINKING_DELTA;
    else
        return NULL;
    return p;
}

/* The text of the delta, of which there is only one. */
static inline const char *delta_text(struct scan *s, const char *p,
                                     unsigned key)
{
    if ((s->seen & (SEEN_TEXT | SEEN_THINKING)) != 0)
        return NULL;
    s->seen |= key;
    return scan_string(p, s->last, &messages_of(s)->plain->text);
}

static const char *delta_member(struct scan *s, const char *p,
                                struct scan_key key)
{
    if (SCAN_IS(key, "type"))
        return delta_type(s, p);
    if (SCAN_IS(key, "text"))
        return delta_text(s, p, SEEN_TEXT);
    if (SCAN_IS(key, "thinking"))
        return delta_text(s, p, SEEN_THINKING);
    return scan_scalar(p, s->last);
}

static inline const char *event_type(struct scan *s, const char *p)
{
    struct escape_text type;

    p = scan_string(p, s->last, &type);
    if (p == NULL || (s->seen & (SEEN_PING | SEEN_BLOCK)) != 0)
        return NULL;
    if (SCAN_IS(type, "content_block_delta"))
        s->seen |= SEEN_BLOCK;
    else if (SCAN_IS(type, "ping"))
        s->seen |= SEEN_PING;
    else
        return NULL;
    return p;
}

static const char *member(struct scan *s, const char *p, struct scan_key key)
{
    if (SCAN_IS(key, "type"))
        return event_type(s, p);
    if (SCAN_IS(key, "delta"))
        return scan_once(s, SEEN_DELTA) ? scan_inner(s, p, delta_member) : NULL;
    if (SCAN_IS(key, "index"))
        return scan_once(s, SEEN_INDEX) ? scan_index(p, &messages_of(s)->index)
                                        : NULL;
    if (SCAN_IS(key, "error") || SCAN_IS(key, "object"))
        return scan_null(p, s->last);
    return scan_scalar(p, s->last);
}

/* The service puts blanks before the last brace, each time as many as chance
 * wants. */
static inline void loose_blanks(struct plain *p, const char *last)
{
    const char *first = last;

    while ((unsigned char)first[-1] <= ' ')
        first--;
    plain_loose(p, HOLE_BLANKS, first, last);
}

bool messages_scan(const struct sse_event *ev, struct plain *p)
{
    struct messages m = {.plain = p};

    plain_clear(p);
    if (!scan_begin(&m.scan, ev->data, ev->data_len))
        return false;
    const char *end = scan_object(&m.scan, scan_skip_to(ev->data, '{'), member);
    if (end == NULL || end <= m.scan.last)
        return false;
    switch (m.scan.seen & ~(unsigned)SEEN_INDEX) {
    case SEEN_PING:
        return true;
    case A_TEXT:
        break;
    case A_THOUGHT:
        p->to = PLAIN_REASONING;
        break;
    default:
        return false;
    }
    p->place = (m.scan.seen & SEEN_INDEX) == 0
                   ? (unsigned)PLACE_UNKNOWN
                   : PLACE_FIRST + 2 * m.index + (p->to == PLAIN_REASONING);
    loose_blanks(p, m.scan.last);
    return true;
}
