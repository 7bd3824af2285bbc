/*
 * writer.h - what the dialects have in common when they write the body of a
 * request: values become JSON, fields get the name that a provider has for
 * them, a note goes with the system message.
 *
 * Knows where everything stands on the Lua stack, and neither of the two
 * userdata types. What returns a bool pushes an error table with false.
 */
#ifndef CHATBOT_WRITER_H
#define CHATBOT_WRITER_H

#include <stdbool.h>

#include "binding/compat.h"
#include "binding/encoded.h"

struct writer {
    int options;  /* of the bot: a table */
    int call;     /* of the call: a table or nil */
    int route;    /* see route.h */
    int messages; /* the conversation, as it is to be sent */
    int note;     /* a string that is sent with the system message, or nil */
    bool stream;
    struct encoded_to to; /* all but `body` and `strings` */
};

/* Writes a body: of a dialect. [-0, +(0|1), m] */
typedef bool writer_function(lua_State *L, const struct writer *w);

/* Pushes a userdata that is a struct body and keeps alive the strings in it; or
 * pushes an error table and returns false (a message that cannot be encoded, or
 * is not UTF-8, or too much). [-0, +1, m] */
bool writer_body(lua_State *L, struct writer *w, writer_function *write);

/* Adds the text as it is. [-0, +(0|1), m] */
bool writer_literal(lua_State *L, const struct writer *w, const char *s);

/* Adds the JSON of the value on top, which stands for message `place`, and pops
 * it. [-1, +(0|1), m] */
bool writer_value(lua_State *L, const struct writer *w, int place);

/* Adds `"name":value,` with the value on top; the name goes through the
 * provider's list of renamed fields. [-1, +(0|1), m] */
bool writer_field(lua_State *L, const struct writer *w, const char *name);

/* Whether the call itself sets this field of the body. [-0, +0, m] */
bool writer_overridden(lua_State *L, const struct writer *w, const char *name);

/* The number of the first message: 0 is the note, where the conversation does
 * not begin with a text of the system that it can be added to. [-0, +0, m] */
int writer_first(lua_State *L, const struct writer *w);

/* Pushes message `i`, the first one with the note. [-0, +1, m] */
bool writer_message(lua_State *L, const struct writer *w, int i);

#endif
