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
    int system;   /* what stands apart of it in this dialect, or nil */
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

/* Adds `"name":value,` with the value on top; the name goes through the
 * provider's list of renamed fields. [-1, +(0|1), m] */
bool writer_field(lua_State *L, const struct writer *w, const char *name);

/* Whether the call itself sets this field of the body. [-0, +0, m] */
bool writer_overridden(lua_State *L, const struct writer *w, const char *name);

/* Adds the messages, with commas between them. The note goes with the text of
 * the system at their head, or before all. [-0, +(0|1), m] */
bool writer_list(lua_State *L, const struct writer *w);

/* Adds what stands apart of the conversation, as the field of this name, if
 * there is something. [-0, +(0|1), m] */
bool writer_system(lua_State *L, const struct writer *w, const char *name);

/* Begins the object, with the model if there is one. [-0, +(0|1), m] */
bool writer_model(lua_State *L, const struct writer *w);

/* Adds the fields that the call gives, and the temperature. [-0, +(0|1), m] */
bool writer_fields(lua_State *L, const struct writer *w);

#endif
