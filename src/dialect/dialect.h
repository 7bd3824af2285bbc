/*
 * dialect.h - how one API says what all of them say: a table of functions.
 *
 * The rest of the module knows a conversation and its answer in one form, that
 * of chat completions: `role`, `content`, `tool_calls`, `prompt_tokens`. What
 * else is on the wire is known here alone: a dialect writes the body of a
 * request, and takes apart what comes back.
 *
 * `env` is the index of the reply's environment. An event, or the document of
 * an answer that is none, comes as the table on top, which is popped; false: an
 * error table has been pushed, since the event said so, or a limit was passed.
 */
#ifndef CHATBOT_DIALECT_H
#define CHATBOT_DIALECT_H

#include "dialect/answer.h"
#include "dialect/writer.h"
#include "parsing/schema.h"
#include "parsing/sse.h"

struct dialect {
    const char *name;
    const char *path;           /* of a request, behind the base URL */
    const char *done;           /* data that is the end of a stream */
    bool done_ends;             /* and makes an answer whole that is not yet */
    const char *key_header;     /* for the key alone; NULL: as a Bearer */
    const char *const *headers; /* name, value, .., NULL; or NULL */
    const char *apart; /* the field where the text of the system has a place of
                          its own, which no message has then; or NULL */
    const char *const *limits; /* fields that bound the tokens of an answer,
                                  where it may not say that it was cut there,
                                  NULL at the end; or NULL */
    const struct schema_rule *schemas; /* where they stand in a body */

    /* Writes the body of a request. [-0, +(0|1), m] */
    writer_function *write;

    /* Whether the event is plain, and what it says then: what merge would say
     * of it as well, behind an event whose text has the same place, see
     * shape.h. Pure: no Lua. */
    bool (*scan)(const struct sse_event *ev, struct plain *p);

    /* Adds what an event says to the answer. [-1, +(0|1), m] */
    bool (*merge)(lua_State *L, struct answer *a, int env);

    /* The same of a whole answer, which is finished then. [-1, +(0|1), m] */
    bool (*whole)(lua_State *L, struct answer *a, int env);

    /* Adds to the message on top what only this service understands, and wants
     * to have back. [-0, +0, m] */
    void (*finish)(lua_State *L, struct answer *a, int env);
};

#endif
