/*
 * shape.h - what a plain event says, and knowing the next event by the last.
 *
 * Nearly every event of a stream brings a piece of text and nothing else, in
 * one shape. A scanner (see scan.h) recognises the shape of its service, and
 * says what is in it as slices of the event: a plain event. The next one mostly
 * is the same but for its text, and padding behind that: to see so is cheaper
 * than to scan it.
 *
 * Pure: no allocation. Knows scan.h only.
 */
#ifndef CHATBOT_SHAPE_H
#define CHATBOT_SHAPE_H

#include "parsing/scan.h"

/* What the text of an event belongs to. */
enum plain_to { PLAIN_TEXT, PLAIN_REASONING };

/* Where nothing is said, `s` is NULL. */
struct plain {
    struct escape_text text;
    enum plain_to to;
    struct escape_text finish; /* the reason why the answer ends */
    struct escape_text id, model;
    struct escape_text padding; /* random, without a meaning */
};

/* Nothing is said. */
static inline void plain_clear(struct plain *p)
{
    static const struct escape_text none = {NULL, 0, false};

    p->text = p->finish = p->id = p->model = p->padding = none;
    p->to = PLAIN_TEXT;
}

/* Offsets into the last event. */
struct shape {
    size_t text, text_end;       /* inside the quotes; text 0: not known */
    size_t padding, padding_end; /* the same; padding 0: there is none */
    size_t len;
    enum plain_to to;
};

/* Learns the shape of an event in which a scanner has found `p`. */
void shape_learn(struct shape *shape, const char *json, size_t n,
                 const struct plain *p);

/* Whether `json` is `before`, of which `shape` was learned, but for the strings
 * in its places. Then it is plain, `p` has its text alone (id and model are
 * those of before), and `shape` is now that of `json`. Says false where the
 * scanner might say more, and changes nothing then. */
bool shape_same(struct shape *shape, const char *before, const char *json,
                size_t n, struct plain *p);

#endif
