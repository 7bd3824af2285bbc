/*
 * shape.h - what a plain event says, and knowing the next event by the last.
 *
 * Nearly every event of a stream brings a piece of text and nothing else, in
 * one shape. A scanner (see scan.h) recognises the shape of its service, and
 * says what is in it as slices of the event: a plain event. The next one mostly
 * is the same but for some holes: its text, and what has no meaning, as a
 * number that counts the events, random padding, or blanks. To see so is
 * cheaper than to scan it.
 *
 * Pure: no allocation. Knows scan.h only.
 */
#ifndef CHATBOT_SHAPE_H
#define CHATBOT_SHAPE_H

#include "parsing/scan.h"

/* What the text of an event belongs to. */
enum plain_to { PLAIN_TEXT, PLAIN_REASONING, PLAIN_REFUSAL };

/* Where in the answer a text belongs is a number, the same for what belongs
 * together: of the events of one service, the one for any place, or others. */
enum plain_place {
    PLACE_ANY,     /* it does not matter */
    PLACE_UNKNOWN, /* another one for each event */
    PLACE_FIRST    /* of all that are known */
};

/* The inside of a string, a number, white space (or none) between tokens. */
enum hole_kind { HOLE_STRING, HOLE_NUMBER, HOLE_BLANKS };

#define SHAPE_HOLES 4  /* the text is one of them */
#define SHAPE_LEAST 17 /* bytes that an event with a shape has at least */

/* Where nothing is said, `s` is NULL. */
struct plain {
    struct escape_text text;
    enum plain_to to;
    unsigned place;            /* in the answer, see below */
    struct escape_text finish; /* the reason why the answer ends */
    struct escape_text id, model;
    struct {
        const char *s;
        size_t n;
        enum hole_kind kind;
    } loose[SHAPE_HOLES - 1]; /* differs, without a meaning; in any order */
    unsigned loose_count;
};

/* Nothing is said. */
static inline void plain_clear(struct plain *p)
{
    static const struct escape_text none = {NULL, 0, false};

    p->text = p->finish = p->id = p->model = none;
    p->to = PLAIN_TEXT;
    p->place = PLACE_ANY;
    p->loose_count = 0;
}

/* It does not matter what is between `s` and `end`. Of too many such places
 * some are taken for what stays. */
static inline void plain_loose(struct plain *p, enum hole_kind kind,
                               const char *s, const char *end)
{
    unsigned i = p->loose_count;

    if (i == SHAPE_HOLES - 1)
        return;
    p->loose[i].s = s;
    p->loose[i].n = (size_t)(end - s);
    p->loose[i].kind = kind;
    p->loose_count++;
}

/* Reads a string whose content does not matter. */
static inline const char *plain_skip_string(struct plain *p, const char *at,
                                            const char *last)
{
    struct escape_text text;

    at = scan_string(at, last, &text);
    if (at != NULL)
        plain_loose(p, HOLE_STRING, text.s, text.s + text.n);
    return at;
}

/* The last event, as what stays and the holes between. */
struct shape {
    size_t head; /* bytes before the first hole; 0: there is no shape */
    struct shape_hole {
        size_t run; /* bytes that stay, before this hole */
        size_t len; /* of what is in the hole */
        enum hole_kind kind;
        bool is_text; /* which just one of them is */
    } hole[SHAPE_HOLES];
    unsigned holes;
    size_t tail; /* bytes behind the last one, without the last brace */
    enum plain_to to;
};

/* Learns the shape of an event in which a scanner has found `p`. */
void shape_learn(struct shape *shape, const char *json, size_t n,
                 const struct plain *p);

/* Whether `json` is `before`, of which `shape` was learned, but for what is in
 * the holes. Then it is plain, `p` has its text alone (id and model are those
 * of before), and `shape` is now that of `json`, with the same head. Says false
 * also where the scanner might say more, and then there is no shape. */
bool shape_same(struct shape *shape, const char *before, const char *json,
                size_t n, struct plain *p);

#endif
