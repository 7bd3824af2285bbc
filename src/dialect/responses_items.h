/*
 * responses_items.h - the items of an answer of Responses while they arrive:
 * which one an event is about, and what of it has come.
 *
 * env.items is the list of them, in the order in which they were opened, each a
 * userdata with a struct item. In its fields `ids` and `indexes` are the places
 * that ids and numbers of the server stand for, in `count` how many calls there
 * are; for `raw` and `calls` see responses_record.h. Knows nothing of what an
 * item says.
 */
#ifndef CHATBOT_RESPONSES_ITEMS_H
#define CHATBOT_RESPONSES_ITEMS_H

#include <stdint.h>

#include "dialect/answer.h"

enum item_kind {
    ITEM_UNKNOWN, /* nothing has said it yet */
    ITEM_MESSAGE,
    ITEM_REASONING,
    ITEM_CALL,
    ITEM_CUSTOM, /* a call whose input is any text */
    ITEM_IMAGE,
    ITEM_OTHER,
    ITEM_KINDS
};

/* The texts that an item may have. Each comes in parts, which have an index. */
enum item_text {
    ITEM_TEXT,
    ITEM_REFUSAL,
    ITEM_SUMMARY,
    ITEM_THOUGHT,
    ITEM_TEXTS
};

/* Their parts are counted apart. */
enum item_in { ITEM_CONTENT, ITEM_SUMMARIES, ITEM_LISTS };

struct item {
    int place;    /* in the list */
    double index; /* `output_index`; -1: not known */
    double order; /* in the final list; 0: not there */
    int call;     /* its number among the calls; -1: it has none yet */
    struct item_list {
        int part;   /* that was begun, or spoken of, last; -1: none yet */
        bool whole; /* it has come whole: a piece without index is another's */
    } list[ITEM_LISTS];
    enum item_kind kind;
    uint64_t had[ITEM_TEXTS]; /* a bit for each part that has come, or begun to:
                                 the first piece of each is merged, see
                                 shape.h */
    int most[ITEM_TEXTS]; /* the last part of these, for those without bit */
    bool has_id;          /* one of the server's */
    bool twin;            /* which another item has as well */
    bool announced;       /* the event that opens it has come */
    bool done;            /* the event that ends it has */
    bool named, identified, said; /* a call: name, id, arguments are known */
    bool cited, shown;            /* citations, an image were taken */
    bool own;                     /* only its service understands it */
    bool lost; /* or not even that: it cannot be given back */
};

/* The item at a place of the list at `items`; NULL: there is none.
 * [-0, +0, -] */
struct item *items_at(lua_State *L, int items, int place);

/* The kind that the item on top says it is. [-0, +0, m] */
enum item_kind items_kind(lua_State *L);

/* The item that the event at `event` is about, which is opened if there is none
 * yet: by its number, its id, or the one that was opened last of those whose
 * number and id are not others. Of this kind, if that is known. Good until the
 * next event. [-0, +0, m] */
struct item *items_find(lua_State *L, struct answer *a, int env, int event,
                        enum item_kind kind);

/* The same of an event that opens an item, and so may not go on with one.
 * [-0, +0, m] */
struct item *items_open(lua_State *L, struct answer *a, int env, int event,
                        enum item_kind kind);

/* Pushes the items of the final list on top, for items_at, in its places: such
 * as have come, or are opened. NULL where it has no table. [-0, +1, m] */
void items_match(lua_State *L, struct answer *a, int env);

/* How many calls there are, and one more. [-0, +0, m] */
int items_count_call(lua_State *L, int env);

/* A part of the text begins: the one with this index, for -1 the next. */
void items_begin(struct item *item, enum item_text text, double index);

/* The index of the part that a piece is of, or with `whole` all of it. `index`:
 * the one that the server says; -1: none. */
int items_part(struct item *item, enum item_text text, double index,
               bool whole);

/* Whether something of the part has come. */
bool items_had(const struct item *item, enum item_text text, int index);

/* Whether something of any part has come. */
bool items_had_some(const struct item *item, enum item_text text);

/* Something of the part has come. */
void items_note(struct item *item, enum item_text text, int index);

#endif
