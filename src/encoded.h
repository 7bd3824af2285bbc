/*
 * encoded.h - the JSON of a message whose fields are all strings, which is that
 * of nearly every message, without lua-cjson.
 *
 * Long strings are not copied, and what was found out about one, that it is
 * valid UTF-8 and how long its JSON is, is remembered by its place in the
 * conversation: so a history of megabytes is cheap to send anew with each turn,
 * and whatever its owner has changed in it is noticed.
 *
 * Knows tables of strings only.
 */
#ifndef CHATBOT_ENCODED_H
#define CHATBOT_ENCODED_H

#include <stdbool.h>

#include "body.h"
#include "compat.h"

enum encoded_status {
    ENCODED_OK = 0,
    ENCODED_OTHER, /* no such message, or not valid UTF-8; nothing was added */
    ENCODED_MEMORY
};

struct encoded_to {
    struct body *body;
    int strings;   /* a table that keeps the long strings alive */
    int known;     /* a table or nil: known[2i - 1] is the long string that
                      message i had last time, known[2i] its length as JSON */
    int known_now; /* nil, or the table of this time, for the next */
};

/* Adds message `place`, the table at `i`. [-0, +0, m] */
enum encoded_status encoded_message(lua_State *L, int i, int place,
                                    const struct encoded_to *to);

/* Adds the string at `i` as it is. False: no memory. [-0, +0, m] */
bool encoded_string(lua_State *L, int i, const struct encoded_to *to);

#endif
