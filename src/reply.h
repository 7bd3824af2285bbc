/*
 * reply.h - the reply userdata: events become text, text becomes a message.
 *
 * A reply owns its request. Its environment table holds, under these names,
 *   bot, engine   userdata that must live as long
 *   messages      the conversation;  pending: the prompt in it, see history.h
 *   [REPLY_BODY]  the large body that is being sent, which keeps its strings
 *   hold          the Lua side goes on where the request has ended well
 *   on_text, on_event, wait, verbose, keep_partial, max_context_tokens,
 *   think_tags    options;  several: more than one answer was asked for
 *   text          all of it, once the answer is whole
 *   id, model, finish_reason, usage, logprobs, tool_calls, message, err, raw
 * and what calls.h keeps while tool calls arrive.
 */
#ifndef CHATBOT_REPLY_H
#define CHATBOT_REPLY_H

#include "answer.h"
#include "binding.h"
#include "dialect.h"

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
    bool failed;   /* env.err says how, and the bot may ask once more */
    bool busy;     /* C is in the midst of it: nothing of it may change */
    bool closing;  /* reply_close came meanwhile */
    bool held;     /* whole, but not over: _release, _reject or a new launch */
    enum reply_status verdict; /* of what is held */
    bool committed;            /* a message of ours is in the conversation */
    size_t blanks; /* bytes at the head that tell nothing of the form */
    size_t given;  /* bytes of the text that were handed out */
    size_t reasoning_given;
    struct bytes last;  /* the last event, for `raw` */
    struct shape shape; /* of `last` */
    int http_status, attempts;
};

enum reply_state {
    REPLY_HAS_TEXT, /* a string is on the stack */
    REPLY_WAITS,
    REPLY_HAS_ENDED,
    REPLY_HAS_FAILED /* the error table is on the stack */
};

extern const struct binding_type reply_type;

void reply_open(lua_State *L); /* creates the type; pushes its methods */

/* Pushes a new, closed reply with an empty environment. [-0, +1, m] */
struct reply *reply_new(lua_State *L);

/* Takes away what an earlier try of the reply at `i` has left. [-0, +0, m] */
void reply_forget(lua_State *L, int i);

/* Starts the request for the reply at `i`, which holds nothing. The options'
 * body is taken over. On failure the error table is pushed and false returned.
 * [-0, +(0|1), m] */
bool reply_start(lua_State *L, int i, struct http *http, struct http_options *o,
                 const char *key);

/* Calls `f`, which gets the reply at `i` and the `n` values on top as
 * arguments, while nothing else can change the reply: Lua may run in it
 * wherever memory is asked for (finalizers), and then the engine does not step,
 * a poll of the reply finds nothing, and closing it is put off until `f` is
 * done. What `f` relies on it has to look at itself, since Lua may run right
 * before it. The status of lua_pcall; with an error, that is on top. [-n,
 * +results, -] */
int reply_guard(lua_State *L, int i, lua_CFunction f, int n, int results);

/* Does what can be done without waiting, until `until` on the clock of
 * timers_now, and says what came of it. Calls on_text. [-0, +(0|1), e] */
enum reply_state reply_advance(lua_State *L, int i, int64_t until);

/* The time at which a reply_advance that begins now has to end. [-0, +0, m] */
int64_t reply_deadline(lua_State *L);

/* Lets the engine work up to `us` microseconds (-1: without limit), for this
 * reply. An interrupt by SIGINT cancels it. Raises where waiting could not end:
 * in a finalizer that runs while a reply is read. [-0, +0, e] */
void reply_step(lua_State *L, int i, int64_t us);

/* Pushes `answer, reply` of a reply that has ended. [-0, +2, m] */
void reply_push_answer(lua_State *L, int i);

/* From now on reply_dispatch advances the reply at `i`. [-0, +0, m] */
void reply_list(lua_State *L, int i);

/* Advances the listed replies that have changed, those that wait for longest
 * first, until `until`; the others come first the next time. [-0, +0, e] */
void reply_dispatch(lua_State *L, struct http *http, int64_t until);

/* Whether the reply at `i` was begun before this process was forked from the
 * one that goes on with it: reply_advance ends it as closed. [-0, +0, -] */
bool reply_foreign(lua_State *L, int i);

/* For binding_open: ends the reply at `user` without Lua. */
void reply_drop(void *user);

/* Cancels; what is being read at this moment, as soon as that is done. Safe in
 * a finalizer. [-0, +0, -] */
void reply_close(lua_State *L, int i);

#endif
