/*
 * sse.h - the event-stream format of the WHATWG HTML standard, section 9.2.6:
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 *
 * A pull parser: `sse_feed` only stores bytes (it may be called from a network
 * callback), `sse_next` takes events out. Cost is linear in the bytes, however
 * they were cut. Memory is at most twice the queue, plus one unfinished event,
 * which never passes `max_event`. Comments and unknown fields are dropped as
 * they come, and cost nothing however long they are.
 *
 * Errors stay: events that were fed before an error can still be taken out,
 * then every call answers with it.
 *
 * One thing beyond the standard: a line `error: ...` (older llama-server) is an
 * event of its own, dispatched at the end of that line with `is_error` set.
 *
 * Knows bytes.h and line.h only: nothing of JSON, of Lua, of HTTP.
 */
#ifndef CHATBOT_SSE_H
#define CHATBOT_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "parsing/bytes.h"

enum sse_status {
    SSE_MORE = 0, /* nothing to take out before more is fed */
    SSE_EVENT,
    SSE_LIMIT, /* the event or the queue is too large; stays */
    SSE_MEMORY /* stays */
};

/* One event. Pointers are good until the next call on the parser. */
struct sse_event {
    const char *type; /* the `event` field, "" when there was none */
    size_t type_len;
    const char *data;
    size_t data_len;
    bool is_error; /* the line `error: ...`; data is its value */
};

/* All fields are private, except that `id` (the last event id) and `retry` (the
 * last `retry` field in ms, -1 when there was none) may be read. */
struct sse {
    struct bytes in;   /* what was fed; before head(s) it is dead */
    size_t line;       /* where the unfinished line starts in `in` */
    size_t searched;   /* no line ends from `line` to before this */
    struct bytes data; /* joined data lines of the unfinished event... */
    size_t part;       /* ...or its only data line, still standing */
    size_t part_len;   /* in `in` so that it need not be copied */
    struct bytes type; /* `event` field of the unfinished event... */
    size_t name;       /* ...or the same, still standing in `in` */
    size_t name_len;
    struct bytes id;      /* last event id; persists */
    struct bytes next_id; /* `id` field of the unfinished event */
    long retry;
    size_t max_event, max_queue;
    bool begun;    /* a BOM was looked for */
    bool skip_lf;  /* the last line ended at CR: a LF belongs to it */
    bool skip;     /* the rest of this line is of no interest */
    bool has_data; /* a data line was seen */
    bool has_part; /* it is `part` */
    bool has_name; /* its type is `name` */
    bool has_id;   /* `next_id` was set */
    enum sse_status error;
};

/* `max_event` bounds one event: its data, type and id and the line that comes
 * next, with its name. `max_queue` bounds what is fed and not taken out. */
void sse_init(struct sse *s, size_t max_event, size_t max_queue);
void sse_free(struct sse *s);

/* Stores `n` bytes. SSE_MORE, or an error when the queue would pass its
 * maximum or memory is out: then none of them is stored. */
enum sse_status sse_feed(struct sse *s, const char *p, size_t n);

/* Takes out the next event that is complete. */
enum sse_status sse_next(struct sse *s, struct sse_event *ev);

/* The stream has ended: takes out the event whose closing blank line never
 * came, when it has data (an unfinished last line counts as a line). The
 * standard drops it; the caller decides by its payload. To be called until it
 * says SSE_MORE: a last line `error: ...` comes out before the data that it
 * stands behind. */
enum sse_status sse_end(struct sse *s, struct sse_event *ev);

/* Bytes that are kept at this moment: the queue and the unfinished event. */
size_t sse_retained(const struct sse *s);

#endif
