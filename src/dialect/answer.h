/*
 * answer.h - the answer of a model while it arrives, whatever the dialect of
 * its service: texts, tool calls, why it ended.
 *
 * A dialect calls these functions for what it finds in an event. What is no
 * text goes into the reply's environment, the table at `env`, see shared.h.
 * Knows neither the request nor the conversation.
 */
#ifndef CHATBOT_ANSWER_H
#define CHATBOT_ANSWER_H

#include "binding/binding.h"
#include "parsing/bytes.h"
#include "parsing/redact.h"
#include "parsing/shape.h"
#include "parsing/think.h"
#include "parsing/utf8.h"

/* Text that arrives in pieces. */
struct answer_text {
    struct bytes bytes;
    struct utf8 utf8;
    size_t before; /* bytes that it had when the answer went on */
};

struct answer {
    struct answer_text text, reasoning, refusal;
    struct think think;   /* filters `text` */
    struct bytes scratch; /* an unescaped piece */
    struct redact secret; /* of the request: the server may echo it */
    size_t kept;          /* bytes that went into Lua tables */
    const char *event;    /* what is being merged, as it came: of a stream or
                             the document */
    size_t event_size;
    size_t event_len; /* what counts as kept, when something of it is */
    const char *name; /* of the event, as the stream has it */
    size_t name_len;
    double limit;  /* tokens that were asked for at most; 0: not said */
    double part;   /* of several that thoughts come in, the last, see
                      answer_part */
    double choice; /* the index of that which is read of several answers; -1:
                      not known */
    bool whole;    /* it comes as one document, not as a stream */
    bool finished; /* it is complete: a reason that counts, or the last event */
    bool reasoned; /* a finish_reason was seen, which may not count */
    bool ended;    /* nothing after this counts */
    bool called;   /* a tool call has begun */
    bool streamed; /* some of the answer has come in pieces */
    bool doubtful; /* there may be a better choice: nothing is handed out */
    bool brought;  /* the event that was read last has brought something */
    bool thoughts; /* they have a field of their own */
    bool details;  /* reasoning_details are given back */
    bool named;    /* id and model are known */
    bool torn;     /* memory ran out in the midst of reading */
    bool parted;   /* the next thoughts are set off from those before */
    bool cut;      /* it ends before its end, whatever the reason says */
};

/* How an answer has ended. */
enum answer_verdict {
    ANSWER_COMPLETE,
    ANSWER_LENGTH,
    ANSWER_TOOL_CALLS,
    ANSWER_FILTERED,
    ANSWER_FAILED
};

/* Each text may have `max` bytes. */
void answer_init(struct answer *a, size_t max);
void answer_free(struct answer *a);

/* Makes it one of which nothing has come. `think_tags`: thoughts may stand at
 * its head; `several`: more answers than one were asked for. */
void answer_forget(struct answer *a, bool think_tags, bool several);

/* Makes one that has paused ready for the rest of it. [-0, +0, m] */
void answer_go_on(lua_State *L, struct answer *a, int env);

/* Raises for the want of memory while an answer is read. [-0, +0, e] */
void answer_no_memory(lua_State *L, struct answer *a);

/* Adds what a plain event says. FAULT_NONE, FAULT_LIMIT or FAULT_MEMORY.
 * [-0, +0, m] */
enum http_fault answer_plain(lua_State *L, struct answer *a, int env,
                             const struct plain *p);

/* Adds the string on top to `t`, one of the texts. [-1, +0, -] */
enum http_fault answer_take(lua_State *L, struct answer *a,
                            struct answer_text *t);

/* The thoughts that follow are of this part. Parts are set off by an empty
 * line. */
void answer_part(struct answer *a, double part);

/* Whether the answer with this index, of several, is ours. That is the one with
 * the index 0, or, as long as none has come, the first that did; nothing of
 * that is handed out before it is at its end. [-0, +0, m] */
bool answer_is_ours(lua_State *L, struct answer *a, int env, double index);

/* Whether some of the answer has come, thoughts apart. */
bool answer_has_some(const struct answer *a);

/* env[name] = top[name], unless env has it already. [-0, +0, m] */
void answer_keep(lua_State *L, int env, const char *name);

/* Appends the list on top to env.logprobs[name]. [-0, +0, m] */
void answer_logprobs(lua_State *L, int env, const char *name);

/* Appends the table on top, which is of our making: {url, title, text,
 * start_index, end_index, ...}, as far as is known. [-1, +0, m] */
void answer_citation(lua_State *L, struct answer *a, int env);

/* Appends the table on top: {data = bytes, type = "image/png"}. [-1, +0, m] */
void answer_image(lua_State *L, struct answer *a, int env);

/* What a finish_reason says, in any case of letters. */
enum answer_verdict answer_meaning(const char *reason);

/* The string on top is the finish_reason. Whether it is that of an answer that
 * has failed. [-1, +0, m] */
bool answer_reason(lua_State *L, int env);

/* The event had a finish_reason, or a usage. Both together, or the first behind
 * some of the answer, make the answer whole. Thoughts alone do not: servers
 * with a finish_reason in every chunk begin with these. */
void answer_note_end(struct answer *a, bool reason, bool usage);

/* Whether the table on top is an error, in one of the forms that services have
 * for one inside of an answer. [-0, +0, m] */
bool answer_is_error(lua_State *L);

/* The same of a whole event: Gemini puts its errors into a list. [-0, +0, m] */
bool answer_event_is_error(lua_State *L);

/* Replaces the document on top, which is no answer, by the error table for what
 * it says, or else for `what`. False. [-1, +1, m] */
bool answer_none(lua_State *L, const struct answer *a, const char *what);

/* Replaces the table on top by the error table for what it says; `env` has the
 * finish_reason when that was one of an error, else it is 0. False.
 * [-1, +1, m] */
bool answer_error(lua_State *L, const struct answer *a, int env);

/* Pushes the error table for a fault, unless that is FAULT_NONE: then true.
 * [-0, +(0|1), m] */
bool answer_check(lua_State *L, enum http_fault fault);

/* Adds to the texts what was held back of them, as far as there is room. */
void answer_flush(struct answer *a);

#endif
