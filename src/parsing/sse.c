/*
 * sse.c - see sse.h.
 *
 * All bytes stand in one buffer, `in`, and lines are read where they stand:
 *
 *     | dead | name ... | part ... | line ... searched ... | len
 *
 * An event with one data line (nearly every one) is handed out as pointers into
 * `in`; its data is copied only when it has several lines or, like its type,
 * when its blank line is not there yet. Bytes are moved to the front only when
 * at least as many in front of them are dead, and no byte is searched twice for
 * a line end, so the whole is linear whatever the cuts.
 */
#include "parsing/sse.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "parsing/line.h"

static const char BOM[3] = {'\xEF', '\xBB', '\xBF'};

/* The fields that are known, each with its colon. */
enum field {
    FIELD_DATA,
    FIELD_EVENT,
    FIELD_ID,
    FIELD_RETRY,
    FIELD_ERROR,
    FIELD_NONE
};

static const struct {
    const char *text;
    size_t len;
} NAME[FIELD_NONE] = {
    {"data:", 5}, {"event:", 6}, {"id:", 3}, {"retry:", 6}, {"error:", 6},
};

void sse_init(struct sse *s, size_t max_event, size_t max_queue)
{
    memset(s, 0, sizeof *s);
    /* Live bytes are bounded by sse_feed; as many may be dead. */
    bytes_init(&s->in, max_queue > SIZE_MAX / 2 ? SIZE_MAX : 2 * max_queue);
    bytes_init(&s->data, max_event);
    bytes_init(&s->type, max_event);
    bytes_init(&s->id, max_event);
    bytes_init(&s->next_id, max_event);
    s->retry = -1;
    s->max_event = max_event;
    s->max_queue = max_queue;
}

void sse_free(struct sse *s)
{
    bytes_free(&s->in);
    bytes_free(&s->data);
    bytes_free(&s->type);
    bytes_free(&s->id);
    bytes_free(&s->next_id);
    sse_init(s, s->max_event, s->max_queue);
}

/* Where the bytes that are still needed start. */
static size_t head(const struct sse *s)
{
    size_t first = s->has_part ? s->part : s->line;

    return s->has_name && s->name < first ? s->name : first;
}

/* Gives the dead bytes back when this pays. Ends what `part` and the event
 * handed out last point to. */
static void compact(struct sse *s)
{
    size_t dead = head(s);

    if (dead == 0 || dead < s->in.len - dead)
        return;
    bytes_consume(&s->in, dead);
    s->line -= dead;
    s->searched = 0; /* what is searched again is no more than was dead */
    if (s->has_part)
        s->part -= dead;
    if (s->has_name)
        s->name -= dead;
}

enum sse_status sse_feed(struct sse *s, const char *p, size_t n)
{
    if (s->error != SSE_MORE || n == 0)
        return s->error;
    compact(s);
    size_t live = s->in.len - head(s);
    if (live > s->max_queue || n > s->max_queue - live) /* may be lowered */
        return s->error = SSE_LIMIT;
    switch (bytes_append(&s->in, p, n)) {
    case BYTES_OK:
        return SSE_MORE;
    case BYTES_LIMIT:
        return s->error = SSE_LIMIT;
    default:
        return s->error = SSE_MEMORY;
    }
}

/* Drops everything, so that there is nothing left to say but the error. */
static enum sse_status fail(struct sse *s, enum sse_status error)
{
    sse_free(s);
    return s->error = error;
}

/* What the unfinished event has taken of max_event. */
static size_t event_size(const struct sse *s)
{
    return s->data.len + (s->has_part ? s->part_len : 0) + s->type.len +
           (s->has_name ? s->name_len : 0) + s->next_id.len;
}

static bool fits(const struct sse *s, size_t n)
{
    size_t size = event_size(s);
    return size <= s->max_event && n <= s->max_event - size;
}

/* Where the line ends; in.len when its end has not come. */
static inline size_t line_end(struct sse *s)
{
    size_t from = s->searched < s->line ? s->line : s->searched;
    const char *p = s->in.data;

    if (from < s->in.len && p[from] != '\n' && p[from] != '\r')
        from = (size_t)(line_find_end(p + from, p + s->in.len) - p);
    return s->searched = from;
}

/* Copies the part to `data`, because it cannot stay where it is. */
static enum bytes_status keep_part(struct sse *s)
{
    if (!s->has_part)
        return BYTES_OK;
    enum bytes_status status =
        bytes_append(&s->data, s->in.data + s->part, s->part_len);
    s->has_part = false;
    return status;
}

static enum bytes_status add_data(struct sse *s, size_t at, size_t n)
{
    if (!s->has_data) {
        s->has_data = s->has_part = true;
        s->part = at;
        s->part_len = n;
        return BYTES_OK;
    }
    enum bytes_status status = keep_part(s);
    if (status == BYTES_OK)
        status = bytes_append(&s->data, "\n", 1);
    if (status == BYTES_OK)
        status = bytes_append(&s->data, s->in.data + at, n);
    return status;
}

static enum bytes_status replace(struct bytes *b, const char *p, size_t n)
{
    b->len = 0;
    return bytes_append(b, p, n);
}

static void set_name(struct sse *s, size_t at, size_t n)
{
    s->type.len = 0;
    s->has_name = true;
    s->name = at;
    s->name_len = n;
}

/* Copies the name to `type`, because it cannot stay where it is. */
static enum bytes_status keep_name(struct sse *s)
{
    if (!s->has_name)
        return BYTES_OK;
    s->has_name = false;
    return replace(&s->type, s->in.data + s->name, s->name_len);
}

/* Digits only; anything else, or a number that does not fit, changes nothing.
 */
static void set_retry(struct sse *s, const char *p, size_t n)
{
    long value = 0;

    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        int digit = p[i] - '0';
        if (digit < 0 || digit > 9 || value > (LONG_MAX - digit) / 10)
            return;
        value = value * 10 + digit;
    }
    s->retry = value;
}

/* Which field the line `p` is of, FIELD_NONE when none that is known. */
static enum field field_of(const char *p, size_t n)
{
    if (n >= 5 && memcmp(p, "data:", 5) == 0)
        return FIELD_DATA;
    for (int f = 0; f < FIELD_NONE; f++) {
        size_t len = NAME[f].len; /* a line without a colon is a name */
        if ((n >= len || n == len - 1) &&
            memcmp(p, NAME[f].text, n < len ? n : len) == 0)
            return (enum field)f;
    }
    return FIELD_NONE;
}

/* Takes in the two lines of which nearly every event consists, where nothing
 * has to be copied. False: it is another line, or there is more to do. */
static inline bool take_usual(struct sse *s, size_t at, size_t end)
{
    const char *p = s->in.data + at;
    size_t n = end - at;

    if (n < 7 || !fits(s, n))
        return false;
    if (memcmp(p, "data:", 5) == 0 && !s->has_data) {
        at += p[5] == ' ' ? 6 : 5;
        s->has_data = s->has_part = true;
        s->part = at;
        s->part_len = end - at;
        return true;
    }
    if (memcmp(p, "event:", 6) == 0) {
        at += p[6] == ' ' ? 7 : 6;
        set_name(s, at, end - at);
        return true;
    }
    return false;
}

/* Takes in the line from `at` to before `end`, which is not empty. SSE_EVENT
 * when it is an event of its own. */
static enum sse_status take_line(struct sse *s, size_t at, size_t end,
                                 struct sse_event *ev)
{
    const char *p = s->in.data;
    enum field field = field_of(p + at, end - at);
    enum bytes_status status = BYTES_OK;

    if (field == FIELD_NONE)
        return SSE_MORE;
    if (!fits(s, end - at))
        return fail(s, SSE_LIMIT);

    at += NAME[field].len;
    if (at > end)
        at = end;
    else if (at < end && p[at] == ' ')
        at++;
    size_t n = end - at;

    switch (field) {
    case FIELD_DATA:
        status = add_data(s, at, n);
        break;
    case FIELD_EVENT:
        set_name(s, at, n);
        break;
    case FIELD_ID:
        if (memchr(p + at, '\0', n) == NULL) {
            status = replace(&s->next_id, p + at, n);
            s->has_id = true;
        }
        break;
    case FIELD_RETRY:
        set_retry(s, p + at, n);
        break;
    case FIELD_ERROR:
        *ev = (struct sse_event){"", 0, p + at, n, true};
        return SSE_EVENT;
    case FIELD_NONE:
        break;
    }
    return status == BYTES_OK ? SSE_MORE : fail(s, SSE_MEMORY);
}

/* Ends the unfinished event, at a blank line. SSE_EVENT when it has data. The
 * memory of what is handed out stays as it is until the next call. */
static enum sse_status dispatch(struct sse *s, struct sse_event *ev)
{
    bool has_data = s->has_data;

    if (has_data) {
        ev->is_error = false;
        if (s->has_name) {
            ev->type = s->in.data + s->name;
            ev->type_len = s->name_len;
        } else {
            ev->type = s->type.data != NULL ? s->type.data : "";
            ev->type_len = s->type.len;
        }
        if (s->has_part) {
            ev->data = s->in.data + s->part;
            ev->data_len = s->part_len;
        } else {
            ev->data = s->data.data != NULL ? s->data.data : "";
            ev->data_len = s->data.len;
        }
    }
    if (s->has_id) {
        struct bytes id = s->id;
        s->id = s->next_id;
        s->next_id = id;
        s->next_id.len = 0;
    }
    s->has_id = s->has_data = s->has_part = s->has_name = false;
    s->data.len = s->type.len = 0;
    return has_data ? SSE_EVENT : SSE_MORE;
}

/* Whether the unfinished line is a comment or an unknown field, whatever
 * follows. `*known` says whether its field is one that counts. */
static bool is_idle(const char *p, size_t n, bool *known)
{
    *known = false;
    for (int f = 0; f < FIELD_NONE; f++) {
        size_t len = NAME[f].len;
        if (memcmp(p, NAME[f].text, n < len ? n : len) == 0) {
            *known = n >= len;
            return false;
        }
    }
    return true;
}

/* There is no whole line left: puts what must stay into order. */
static enum sse_status want_more(struct sse *s)
{
    size_t rest = s->in.len - s->line;
    bool known;

    if (s->error != SSE_MORE)
        return s->error;
    if (rest > 0 && (s->skip || is_idle(s->in.data + s->line, rest, &known))) {
        s->line = s->in.len;
        s->skip = true;
    } else if (rest > 0 && known && !fits(s, rest)) {
        return fail(s, SSE_LIMIT);
    }
    if (keep_part(s) != BYTES_OK || keep_name(s) != BYTES_OK)
        return fail(s, SSE_MEMORY);
    if (!s->has_data)
        bytes_consume(&s->data, 0); /* nothing points into it any more */
    compact(s);
    return SSE_MORE;
}

/* Skips a leading BOM. False when more bytes are needed to know. */
static bool begin(struct sse *s)
{
    size_t n = s->in.len < sizeof BOM ? s->in.len : sizeof BOM;

    if (n == 0 || memcmp(s->in.data, BOM, n) != 0) {
        s->begun = n > 0;
        return s->begun;
    }
    if (n < sizeof BOM)
        return false;
    s->line = sizeof BOM;
    return s->begun = true;
}

enum sse_status sse_next(struct sse *s, struct sse_event *ev)
{
    if (!s->begun && !begin(s))
        return s->error;
    for (;;) {
        if (s->skip_lf && s->line < s->in.len) {
            s->line += s->in.data[s->line] == '\n';
            s->skip_lf = false;
        }
        size_t at = s->line, end = line_end(s);
        if (end == s->in.len)
            return want_more(s);

        enum sse_status status = SSE_MORE;
        s->line = end + 1;
        s->skip_lf = s->in.data[end] == '\r';
        if (s->skip)
            s->skip = false;
        else if (end == at)
            status = dispatch(s, ev);
        else if (!take_usual(s, at, end))
            status = take_line(s, at, end, ev);
        if (status != SSE_MORE)
            return status;
    }
}

enum sse_status sse_end(struct sse *s, struct sse_event *ev)
{
    enum sse_status status = sse_next(s, ev);
    size_t at = s->line, end = s->in.len;

    if (status != SSE_MORE)
        return status;
    s->begun = true;
    s->line = end;
    s->skip = false;
    if (at < end)
        status = take_line(s, at, end, ev);
    return status == SSE_MORE ? dispatch(s, ev) : status;
}

size_t sse_retained(const struct sse *s)
{
    return s->in.len - head(s) + s->data.len + s->type.len + s->next_id.len;
}
