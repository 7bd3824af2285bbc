/*
 * reply.h - what is kept of a reply.
 *
 * A reply owns its request. What is in its environment table stands in
 * shared.h; and at [REPLY_BODY] the large body that is being sent, which keeps
 * its strings.
 */
#ifndef CHATBOT_REPLY_H
#define CHATBOT_REPLY_H

#include "binding/binding.h"
#include "dialect/answer.h"
#include "dialect/dialect.h"

#define REPLY_BODY 1

enum reply_status {
    REPLY_CLOSED = 0, /* never opened */
    REPLY_STREAMING,
    REPLY_COMPLETE,
    REPLY_LENGTH,
    REPLY_TOOL_CALLS,
    REPLY_FILTERED,
    REPLY_ERROR,
    REPLY_CANCELLED
};

enum reply_form {
    FORM_UNKNOWN = 0, /* nothing has arrived that tells */
    FORM_STREAM,
    FORM_WHOLE /* one JSON document */
};

struct reply {
    struct http_request *request; /* NULL: none, or given back */
    enum reply_status status;
    enum reply_form form;
    const struct dialect *dialect; /* of the service that is asked */
    struct answer answer;
    bool fetch;    /* any JSON document, no conversation */
    bool document; /* with `fetch`: any document, as it is */
    bool eventful; /* there is an on_event */
    bool begun;    /* on_reasoning has had something of this request, */
    bool thought;  /* or of any for this reply */
    bool listed;   /* reply_dispatch advances it */
    bool more;     /* events are left for the next time */
    bool keyed;    /* the program gave a key for where its route leads */
    bool failed;   /* env.err says how, and the bot may ask once more */
    bool busy;     /* C is in the midst of it: nothing of it may change */
    bool closing;  /* reply_close came meanwhile */
    bool held;     /* whole, but not over: _release, _reject or a new launch */
    enum reply_status verdict; /* of what is held */
    bool committed;            /* a message of ours is in the conversation */
    bool resumed;  /* what is asked for is the rest of an answer that paused */
    size_t blanks; /* bytes at the head that tell nothing of the form */
    size_t given;  /* bytes of the text that were handed out */
    size_t reasoning_given;
    struct bytes last;  /* the last event, for `raw` */
    struct shape shape; /* of `last` */
    unsigned place;     /* of its text in the answer, see shape.h */
    int http_status, attempts;
};

/* What is said of a reply that the parent of this process goes on with. */
#define CLOSED_BY_FORK                                                         \
    "the reply was begun before this process was forked: ask anew"

extern const struct binding_type reply_type;

/* Whether a program sees this field of the environment. */
bool reply_is_seen(const char *name);

/* Frees all text. What was handed out of it is known no longer. */
void reply_drop_texts(struct reply *r);

/* Pushes a new, closed reply with an empty environment. [-0, +1, m] */
struct reply *reply_new(lua_State *L);

/* Takes away what an earlier try of the reply at `i` has left, but for an
 * answer that goes on. [-0, +0, m] */
void reply_forget(lua_State *L, int i);

/* Starts the request for the reply at `i`, which holds nothing but what is
 * secret of it. The options'
 * body is taken over. On failure the error table is pushed and false returned.
 * [-0, +(0|1), m] */
bool reply_start(lua_State *L, int i, struct http *http,
                 struct http_options *o);

#endif
