/*
 * encoded.h - the JSON of a Lua value, written to a body.
 *
 * A table without entries or with names is an object, one with the places 1 to
 * n a list, and so is one that json_array has marked; any other (names beside
 * places, gaps, keys of other types) is refused, as are functions, what is no
 * number in JSON, tables in themselves, and too much of all: nothing is left
 * out or changed. Numbers read back as what they were. Metamethods are not
 * called: what counts is what is in the table. In a JSON schema an empty table
 * is a list where nothing else may stand, see schema.h.
 *
 * While a value is written, no Lua can run, not even a finalizer, so what is
 * read cannot change meanwhile.
 *
 * Long strings are not copied, and what was found out about that of a message,
 * that it is valid UTF-8 and how long its JSON is, is remembered by its place
 * in the conversation: so a history of megabytes is cheap to send anew with
 * each turn, and whatever its owner has changed in it is noticed.
 */
#ifndef CHATBOT_ENCODED_H
#define CHATBOT_ENCODED_H

#include <stdbool.h>

#include "binding/compat.h"
#include "parsing/body.h"
#include "parsing/schema.h"

enum encoded_status {
    ENCODED_OK = 0,
    ENCODED_REFUSED, /* it has no JSON: a message is pushed */
    ENCODED_LIMIT,   /* the body would be longer than `max` */
    ENCODED_MEMORY
};

/* What becomes of a string that is not valid UTF-8. */
enum encoded_invalid {
    ENCODED_AS_IT_IS,
    ENCODED_REFUSE,
    ENCODED_REPLACE /* by U+FFFD */
};

struct encoded_to {
    struct body *body;
    double max; /* bytes of the body */
    enum encoded_invalid invalid;
    int strings; /* a table that keeps long strings alive; 0: all are copied */
    int known;   /* a table or nil: known[2i - 1] is the long string that
                    message i had last time, known[2i] its length as JSON */
    int known_now; /* nil, or the table of this time, for the next */
    const struct schema_rule *schemas; /* in a body; NULL: there are none */
};

/* Adds the value at `i`. `place` is that of a message, or 0. After a failure
 * the body has a part of it. [-0, +(0|1), m] */
enum encoded_status encoded_value(lua_State *L, int i, int place,
                                  const struct encoded_to *to);

/* The same for the value of the body's field of this name. [-0, +(0|1), m] */
enum encoded_status encoded_field(lua_State *L, int i, const char *name,
                                  const struct encoded_to *to);

/* Marks the table on top, whose [1] is a JSON text: it stands for that, as it
 * is. [-0, +0, m] */
void encoded_mark(lua_State *L);

/* Pushes a userdata that is an empty body, and whose own table may keep what
 * that needs. [-0, +1, m] */
struct body *encoded_body(lua_State *L);

/* Pushes the JSON text of the value at `i` and returns true, or pushes a
 * message and returns false. Strings are taken as they are. [-0, +1, m] */
bool encoded_push(lua_State *L, int i);

/* The same for a JSON schema. [-0, +1, m] */
bool encoded_push_schema(lua_State *L, int i);

#endif
