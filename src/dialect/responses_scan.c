/*
 * responses_scan.c - see responses_scan.h.
 */
#include "dialect/responses_scan.h"

/* Keys that must not occur twice, because the last one would count. */
enum seen {
    SEEN_TYPE = 1,
    SEEN_DELTA = 2,
    SEEN_ITEM = 4,
    SEEN_INSIDE = 8 /* of the two indices there is only one */
};

/* What an event may be, and with it which of the texts of an item `delta`
 * belongs to. */
enum kind { KIND_TEXT, KIND_REFUSAL, KIND_SUMMARY, KIND_THOUGHT, KINDS };

#define INDICES 10000 /* that scan_index knows */

/* No function that is called takes its address, so that it is in registers. */
struct responses {
    struct scan scan; /* at its beginning, for what is given to scan_object */
    struct plain *plain;
    struct escape_text *id; /* of the item */
    enum kind kind;
    unsigned item, inside; /* indices */
};

static inline struct responses *responses_of(struct scan *s)
{
    return (struct responses *)s;
}

static inline const char *event_type(struct scan *s, const char *p)
{
    struct escape_text type;
    enum kind *kind = &responses_of(s)->kind;

    p = scan_string(p, s->last, &type);
    if (p == NULL)
        return NULL;
    if (SCAN_IS(type, "response.output_text.delta"))
        *kind = KIND_TEXT;
    else if (SCAN_IS(type, "response.reasoning_summary_text.delta"))
        *kind = KIND_SUMMARY;
    else if (SCAN_IS(type, "response.reasoning_text.delta"))
        *kind = KIND_THOUGHT;
    else if (SCAN_IS(type, "response.refusal.delta"))
        *kind = KIND_REFUSAL;
    else
        return NULL;
    return p;
}

static inline const char *nothing_in(const char *p, const char *last)
{
    if (*p != '[')
        return scan_null(p, last);
    p = scan_skip_to(p + 1, ']');
    return *p == ']' ? p + 1 : NULL;
}

/* The number of the event; what is none matters as little. */
static inline const char *sequence(struct plain *plain, const char *p,
                                   const char *last)
{
    const char *end = scan_number(p);

    if (end == NULL)
        return scan_null(p, last);
    plain_loose(plain, HOLE_NUMBER, p, end);
    return end;
}

static const char *member(struct scan *s, const char *p, struct scan_key key)
{
    struct responses *r = responses_of(s);

    if (SCAN_IS(key, "type"))
        return scan_once(s, SEEN_TYPE) ? event_type(s, p) : NULL;
    if (SCAN_IS(key, "delta"))
        return scan_once(s, SEEN_DELTA)
                   ? scan_string(p, s->last, &r->plain->text)
                   : NULL;
    if (SCAN_IS(key, "output_index"))
        return scan_once(s, SEEN_ITEM) ? scan_index(p, &r->item) : NULL;
    if (SCAN_IS(key, "content_index") || SCAN_IS(key, "summary_index"))
        return scan_once(s, SEEN_INSIDE) ? scan_index(p, &r->inside) : NULL;
    if (SCAN_IS(key, "logprobs"))
        return nothing_in(p, s->last);
    if (SCAN_IS(key, "error"))
        return scan_null(p, s->last);
    if (SCAN_IS(key, "sequence_number"))
        return sequence(r->plain, p, s->last);
    if (SCAN_IS(key, "obfuscation") && *p == '"')
        return plain_skip_string(r->plain, p, s->last);
    if (SCAN_IS(key, "item_id") && *p == '"')
        return scan_string(p, s->last, r->id);
    return scan_scalar(p, s->last);
}

/* By its index an item is known: then its id, which some servers change from
 * event to event, does not matter. */
static void set_place(const struct responses *r, struct plain *p)
{
    unsigned inside = r->scan.seen & SEEN_INSIDE ? r->inside : INDICES;

    if ((r->scan.seen & SEEN_ITEM) == 0) {
        p->place = PLACE_UNKNOWN;
        return;
    }
    p->place = PLACE_FIRST + (unsigned)r->kind +
               KINDS * (inside + (INDICES + 1) * r->item);
    if (r->id->s != NULL)
        plain_loose(p, HOLE_STRING, r->id->s, r->id->s + r->id->n);
}

bool responses_scan(const struct sse_event *ev, struct plain *p)
{
    static const enum plain_to texts[KINDS] = {
        [KIND_TEXT] = PLAIN_TEXT,
        [KIND_REFUSAL] = PLAIN_REFUSAL,
        [KIND_SUMMARY] = PLAIN_REASONING,
        [KIND_THOUGHT] = PLAIN_REASONING,
    };
    const unsigned needed = SEEN_TYPE | SEEN_DELTA;
    struct escape_text id = {.s = NULL};
    struct responses r = {.plain = p, .id = &id};

    plain_clear(p);
    if (!scan_begin(&r.scan, ev->data, ev->data_len))
        return false;
    const char *end = scan_object(&r.scan, scan_skip_to(ev->data, '{'), member);
    if (end == NULL || end <= r.scan.last || (r.scan.seen & needed) != needed)
        return false;
    p->to = texts[r.kind];
    set_place(&r, p);
    return true;
}
