/*
 * chat_scan.c - the plain events of chat completions, see chat_scan.h.
 */
#include "dialect/chat_scan.h"

/* Keys that must not occur twice, because the last one would count. */
enum seen {
    SEEN_ID = 1,
    SEEN_MODEL = 2,
    SEEN_CHOICES = 4,
    SEEN_DELTA = 8,
    SEEN_FINISH = 16,
    SEEN_CONTENT = 32,
    SEEN_REASONING = 64,
    SEEN_REASONING_CONTENT = 128
};

/* No function that is called takes its address, so that it is in registers. */
struct chat {
    struct scan scan; /* at its beginning, for what is given to scan_object */
    struct plain *plain;
    struct escape_text *reasoning; /* reasoning_content or reasoning */
};

static inline struct chat *chat_of(struct scan *s)
{
    return (struct chat *)s;
}

static inline struct plain *plain_of(struct scan *s)
{
    return chat_of(s)->plain;
}

/* `reasoning` and `reasoning_content` mean the same: only one may have text. */
static const char *reasoning(const char *p, const char *last,
                             struct escape_text *text)
{
    return text->s != NULL ? scan_null(p, last)
                           : scan_text_or_null(p, last, text);
}

static const char *delta_member(struct scan *s, const char *p,
                                struct scan_key key)
{
    struct escape_text ignored;

    if (SCAN_IS(key, "content"))
        return scan_once(s, SEEN_CONTENT)
                   ? scan_text_or_null(p, s->last, &plain_of(s)->text)
                   : NULL;
    if (SCAN_IS(key, "role"))
        return scan_text_or_null(p, s->last, &ignored);
    if (SCAN_IS(key, "reasoning_content"))
        return scan_once(s, SEEN_REASONING_CONTENT)
                   ? reasoning(p, s->last, chat_of(s)->reasoning)
                   : NULL;
    if (SCAN_IS(key, "reasoning"))
        return scan_once(s, SEEN_REASONING)
                   ? reasoning(p, s->last, chat_of(s)->reasoning)
                   : NULL;
    return scan_null(p, s->last);
}

static const char *finish_reason(struct scan *s, const char *p)
{
    struct escape_text *text = &plain_of(s)->finish;

    p = scan_text_or_null(p, s->last, text);
    /* What others mean is not for here to know. */
    if (text->s == NULL || text->n == 0 || SCAN_IS(*text, "stop") ||
        SCAN_IS(*text, "length") || SCAN_IS(*text, "tool_calls"))
        return p;
    return NULL;
}

static const char *delta_value(struct scan *s, const char *p);

static const char *choice_member(struct scan *s, const char *p,
                                 struct scan_key key)
{
    if (SCAN_IS(key, "delta"))
        return scan_once(s, SEEN_DELTA) ? delta_value(s, p) : NULL;
    if (SCAN_IS(key, "index")) {
        const char *after = scan_number(p);
        return after == p + 1 && *p == '0' ? after : NULL;
    }
    if (SCAN_IS(key, "finish_reason"))
        return scan_once(s, SEEN_FINISH) ? finish_reason(s, p) : NULL;
    if (SCAN_IS(key, "logprobs") || SCAN_IS(key, "usage") ||
        SCAN_IS(key, "message") || SCAN_IS(key, "error"))
        return scan_null(p, s->last);
    return scan_scalar(p, s->last);
}

static const char *delta_value(struct scan *s, const char *p)
{
    return *p == 'n' ? scan_null(p, s->last) : scan_inner(s, p, delta_member);
}

static const char *choices(struct scan *s, const char *p)
{
    if (*p != '[')
        return NULL;
    p = scan_skip_to(p + 1, '{');
    if (*p != ']') {
        p = scan_inner(s, p, choice_member);
        if (p == NULL)
            return NULL;
        p = scan_skip_to(p, ']');
    }
    return *p == ']' ? p + 1 : NULL;
}

/* Only the objects that can hold a delta: others mean something else. */
static const char *object_name(const char *p, const char *last)
{
    struct escape_text text = {.s = NULL};

    p = scan_text_or_null(p, last, &text);
    if (text.s == NULL || text.n == 0 || SCAN_IS(text, "chat.completion.chunk"))
        return p;
    return NULL;
}

static const char *top_member(struct scan *s, const char *p,
                              struct scan_key key)
{
    if (SCAN_IS(key, "choices"))
        return scan_once(s, SEEN_CHOICES) ? choices(s, p) : NULL;
    if (SCAN_IS(key, "id"))
        return scan_once(s, SEEN_ID)
                   ? scan_text_or_null(p, s->last, &plain_of(s)->id)
                   : NULL;
    if (SCAN_IS(key, "object"))
        return object_name(p, s->last);
    if (SCAN_IS(key, "model"))
        return scan_once(s, SEEN_MODEL)
                   ? scan_text_or_null(p, s->last, &plain_of(s)->model)
                   : NULL;
    if (SCAN_IS(key, "usage") || SCAN_IS(key, "error") ||
        SCAN_IS(key, "x_groq") || SCAN_IS(key, "timings"))
        return scan_null(p, s->last);
    if (SCAN_IS(key, "obfuscation") && *p == '"')
        return plain_skip_string(plain_of(s), p, s->last);
    return scan_scalar(p, s->last);
}

/* Of the two texts only one may say something. */
static bool choose_text(struct plain *p, const struct escape_text *reasoning)
{
    if (reasoning->s == NULL || (reasoning->n == 0 && p->text.s != NULL))
        return true;
    if (p->text.n > 0)
        return false;
    p->text = *reasoning;
    p->to = PLAIN_REASONING;
    return true;
}

bool chat_scan(const struct sse_event *ev, struct plain *p)
{
    struct escape_text reasoning = {.s = NULL};
    struct chat c = {.plain = p, .reasoning = &reasoning};

    plain_clear(p);
    if (!scan_begin(&c.scan, ev->data, ev->data_len))
        return false;
    const char *end =
        scan_object(&c.scan, scan_skip_to(ev->data, '{'), top_member);
    return end != NULL && end > c.scan.last && (c.scan.seen & SEEN_CHOICES) &&
           choose_text(p, &reasoning);
}
