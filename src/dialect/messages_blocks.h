/*
 * messages_blocks.h - the blocks of an answer of Messages while they arrive,
 * and how they are given back.
 *
 * env.blocks is the list of them, in the order of the wire, each a userdata
 * with a struct block; and beside it by their places raw      a block as it
 * began (of a whole answer: as it is), a JSON text pieces   what has come of
 * its `input`, or its citations with commas between ends     the signature of
 * thoughts, or what a block came to contain places   the place of what has this
 * `index` on the wire Text and thoughts are no pieces: they stand in the texts
 * of the answer from where the block began to where the next one does. So that
 * an event which brings nothing else need not be told of here.
 */
#ifndef CHATBOT_MESSAGES_BLOCKS_H
#define CHATBOT_MESSAGES_BLOCKS_H

#include "dialect/answer.h"
#include "parsing/slice.h"

enum block_kind {
    BLOCK_TEXT,
    BLOCK_THOUGHTS,
    BLOCK_CALL, /* of a tool of the program's */
    BLOCK_OTHER /* that nobody but the service understands */
};

struct block {
    enum block_kind kind;
    int place;
    int call;    /* its number among the calls */
    size_t from; /* bytes that its text had before it, */
    size_t to;   /* and has at its end, when that is known */
    bool own;    /* only the service understands it */
    bool whole;  /* it came at once */
    bool blank;  /* the text of such a one says nothing */
    bool input;  /* it began with arguments, */
    bool fed;    /* in place of which there are pieces */
    bool answer; /* a text that comes as arguments */
};

/* Opens the block on top. `event` is the index of the event, which may have an
 * `index`; 0: it is a block of a whole answer. `raw` is what stands on the
 * wire. Good until the answer ends. FAULT_NONE, or what went wrong. [-0, +0, m]
 */
enum http_fault blocks_open(lua_State *L, struct answer *a, int env, int event,
                            struct slice raw, struct block **block);

/* The block that the event at `event` is about: it has its index, or was the
 * last to be opened. NULL: there is none. [-0, +0, m] */
struct block *blocks_find(lua_State *L, int env, int event);

/* The block that was opened last. NULL: there is none. [-0, +0, m] */
struct block *blocks_last(lua_State *L, int env);

/* Adds the string on top to the pieces of a block; "," comes between them where
 * it is a `list`. [-1, +0, m] */
void blocks_add(lua_State *L, int env, const struct block *b, bool list);

/* The string on top is how a block ends. [-1, +0, m] */
void blocks_end(lua_State *L, int env, const struct block *b);

/* The `input` with which a block began. [-0, +1, m] */
void blocks_push_input(lua_State *L, int env, const struct block *b);

/* Of the list at `blocks`: the block at a place, NULL when there is none; what
 * is in its field `name` for that place; and the text with which the block
 * began, as a slice, or nil. [-0, +0, -], [-0, +1, m], [-0, +1, m] */
struct block *blocks_at(lua_State *L, int blocks, int place);
void blocks_get(lua_State *L, int blocks, const char *name, int place);
struct slice blocks_raw(lua_State *L, int blocks, const struct block *b);

/* The text of the answer that a block's text is part of. */
struct answer_text *blocks_text(struct answer *a, const struct block *b);

#endif
