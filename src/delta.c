/*
 * delta.c - see delta.h.
 *
 * One pass, left to right, over the bytes. Each function takes the place where
 * its part must begin and returns the place behind it, or NULL when the input
 * is not what it knows: NULL always ends in DELTA_OTHER, so refusing is safe
 * anywhere, and accepting has to be certain.
 *
 * A JSON object ends in `}`, which stops every loop here and can neither begin
 * nor continue any token: while this last byte is ahead, it stands guard, and
 * bytes are read without asking for the end. Two things may pass it and do ask:
 * strings, and the end of an inner object.
 */
#include "delta.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

struct scan {
    const char *last; /* the `}` that ends the input */
    struct delta *d;
    unsigned seen;
};

struct key {
    const char *s;
    size_t n;
};

#define IS(key, text)                                                          \
    ((key).n == sizeof(text) - 1 &&                                            \
     memcmp((key).s, text, sizeof(text) - 1) == 0)

/* Strings */

/* The first byte that is `"`, `\` or a control character, or `last`. */
static inline const char *skip_plain(const char *p, const char *last)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i control = _mm_set1_epi8(0x1F);

    for (; last - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(v, quote),
                                    _mm_cmpeq_epi8(v, backslash));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
        int mask = _mm_movemask_epi8(stop);
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#else
    /* Eight bytes at a time; below, a byte's high bit means "stops". A borrow
     * may mark bytes behind the first that stops: these are looked at again. */
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = ones << 7;

    for (; last - p >= 8; p += 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        uint64_t quote = v ^ ones * '"';
        uint64_t backslash = v ^ ones * '\\';
        uint64_t stop = ((quote - ones) & ~quote) |
                        ((backslash - ones) & ~backslash) |
                        ((v - ones * 0x20) & ~v);
        if ((stop & highs) != 0)
            break;
    }
#endif
    while (p < last && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
        p++;
    return p;
}

size_t delta_plain_run(const char *s, size_t n)
{
    return (size_t)(skip_plain(s, s + n) - s);
}

/* The value of four hexadecimal digits, or -1. Reads no further than the first
 * byte that is none. */
static int hex4(const char *p)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Behind the escape whose backslash is at `p`. */
static const char *skip_escape(const char *p)
{
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 2;
    case 'u':
        return hex4(p + 2) >= 0 ? p + 6 : NULL;
    default:
        return NULL;
    }
}

/* Reads the rest of a string, from its first byte that is not plain. */
static const char *string_rest(const char *p, const char *last,
                               struct delta_text *text)
{
    while (*p == '\\') {
        text->escaped = true;
        p = skip_escape(p);
        if (p == NULL)
            return NULL;
        p = skip_plain(p, last);
    }
    if (*p != '"')
        return NULL; /* a control character, or the end */
    text->n = (size_t)(p - text->s);
    return p + 1;
}

/* Reads a string. */
static inline const char *string(const char *p, const char *last,
                                 struct delta_text *text)
{
    if (*p != '"')
        return NULL;
    text->s = ++p;
    text->escaped = false;
    p = skip_plain(p, last);
    if (*p != '"')
        return string_rest(p, last, text);
    text->n = (size_t)(p - text->s);
    return p + 1;
}

/* Other tokens */

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
        p++;
    return p;
}

/* Skips white space, which there hardly ever is, before an expected `c`. */
static inline const char *skip_to(const char *p, char c)
{
    return *p == c ? p : skip_space(p);
}

static inline const char *word(const char *p, const char *last,
                               const char *text, size_t n)
{
    return (size_t)(last - p) >= n && memcmp(p, text, n) == 0 ? p + n : NULL;
}

static inline const char *null(const char *p, const char *last)
{
    return word(p, last, "null", 4);
}

static const char *digits(const char *p)
{
    const char *start = p;

    while ((unsigned char)(*p - '0') < 10)
        p++;
    return p > start ? p : NULL;
}

static const char *number(const char *p)
{
    if (*p == '-')
        p++;
    if (*p == '0')
        p++;
    else if ((p = digits(p)) == NULL)
        return NULL;
    if (*p == '.' && (p = digits(p + 1)) == NULL)
        return NULL;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        p = digits(p);
    }
    return p;
}

static inline const char *scalar(const char *p, const char *last)
{
    struct delta_text ignored;

    if (*p == '"')
        return string(p, last, &ignored);
    if (*p == 'n')
        return null(p, last);
    if (*p == 't')
        return word(p, last, "true", 4);
    if (*p == 'f')
        return word(p, last, "false", 5);
    return number(p);
}

/* A string, or null, which leaves `text` as it is. */
static inline const char *text_or_null(const char *p, const char *last,
                                       struct delta_text *text)
{
    return *p == 'n' ? null(p, last) : string(p, last, text);
}

/* Objects */

/* Takes the value of a member at `p`. */
typedef const char *member_function(struct scan *s, const char *p,
                                    struct key key);

/* Reads the key at `p` up to the value. An escape makes it unknown. */
static inline const char *read_key(const char *p, const char *last,
                                   struct key *key)
{
    if (*p != '"')
        return NULL;
    key->s = ++p;
    p = skip_plain(p, last);
    if (*p != '"')
        return NULL;
    key->n = (size_t)(p - key->s);
    p = skip_to(p + 1, ':');
    if (*p != ':')
        return NULL;
    p++;
    return (unsigned char)*p > ' ' ? p : skip_space(p);
}

/* Reads an object. What is returned may be behind `last`. */
static inline const char *members(struct scan *s, const char *p,
                                  member_function *member)
{
    struct key key;

    if (*p != '{')
        return NULL;
    p = skip_to(p + 1, '"');
    if (*p == '}')
        return p + 1;
    for (;;) {
        p = read_key(p, s->last, &key);
        if (p == NULL)
            return NULL;
        p = member(s, p, key);
        if (p == NULL)
            return NULL;
        p = skip_to(p, ',');
        if (*p != ',')
            return *p == '}' ? p + 1 : NULL;
        p = skip_to(p + 1, '"');
    }
}

/* Reads an object that is not the last thing. */
static inline const char *inner(struct scan *s, const char *p,
                                member_function *member)
{
    p = members(s, p, member);
    return p != NULL && p <= s->last ? p : NULL;
}

/* False when `key` was seen before. */
static inline bool once(struct scan *s, unsigned key)
{
    bool again = (s->seen & key) != 0;
    s->seen |= key;
    return !again;
}

/* `reasoning` and `reasoning_content` mean the same: only one may have text. */
static const char *reasoning(struct scan *s, const char *p)
{
    if (s->d->reasoning.s != NULL)
        return null(p, s->last);
    return text_or_null(p, s->last, &s->d->reasoning);
}

static const char *delta_member(struct scan *s, const char *p, struct key key)
{
    struct delta_text ignored;

    if (IS(key, "content"))
        return once(s, SEEN_CONTENT) ? text_or_null(p, s->last, &s->d->content)
                                     : NULL;
    if (IS(key, "role"))
        return text_or_null(p, s->last, &ignored);
    if (IS(key, "reasoning_content"))
        return once(s, SEEN_REASONING_CONTENT) ? reasoning(s, p) : NULL;
    if (IS(key, "reasoning"))
        return once(s, SEEN_REASONING) ? reasoning(s, p) : NULL;
    return null(p, s->last);
}

static const char *finish_reason(struct scan *s, const char *p)
{
    struct delta_text *text = &s->d->finish_reason;

    p = text_or_null(p, s->last, text);
    /* What others mean is not for here to know. */
    if (text->s == NULL || text->n == 0 || IS(*text, "stop") ||
        IS(*text, "length") || IS(*text, "tool_calls"))
        return p;
    return NULL;
}

static const char *delta_value(struct scan *s, const char *p);

static const char *choice_member(struct scan *s, const char *p, struct key key)
{
    if (IS(key, "delta"))
        return once(s, SEEN_DELTA) ? delta_value(s, p) : NULL;
    if (IS(key, "index")) {
        const char *after = number(p);
        return after == p + 1 && *p == '0' ? after : NULL;
    }
    if (IS(key, "finish_reason"))
        return once(s, SEEN_FINISH) ? finish_reason(s, p) : NULL;
    if (IS(key, "logprobs") || IS(key, "usage") || IS(key, "message") ||
        IS(key, "error"))
        return null(p, s->last);
    return scalar(p, s->last);
}

static const char *delta_value(struct scan *s, const char *p)
{
    return *p == 'n' ? null(p, s->last) : inner(s, p, delta_member);
}

static const char *choices(struct scan *s, const char *p)
{
    if (*p != '[')
        return NULL;
    p = skip_to(p + 1, '{');
    if (*p != ']') {
        p = inner(s, p, choice_member);
        if (p == NULL)
            return NULL;
        p = skip_to(p, ']');
    }
    return *p == ']' ? p + 1 : NULL;
}

/* Only the objects that can hold a delta: others mean something else. */
static const char *object_name(const char *p, const char *last)
{
    struct delta_text text = {.s = NULL};

    p = text_or_null(p, last, &text);
    if (text.s == NULL || text.n == 0 || IS(text, "chat.completion.chunk"))
        return p;
    return NULL;
}

static const char *top_member(struct scan *s, const char *p, struct key key)
{
    if (IS(key, "choices"))
        return once(s, SEEN_CHOICES) ? choices(s, p) : NULL;
    if (IS(key, "id"))
        return once(s, SEEN_ID) ? text_or_null(p, s->last, &s->d->id) : NULL;
    if (IS(key, "object"))
        return object_name(p, s->last);
    if (IS(key, "model"))
        return once(s, SEEN_MODEL) ? text_or_null(p, s->last, &s->d->model)
                                   : NULL;
    if (IS(key, "usage") || IS(key, "error") || IS(key, "x_groq") ||
        IS(key, "timings"))
        return null(p, s->last);
    if (IS(key, "obfuscation") && *p == '"')
        return string(p, s->last, &s->d->padding);
    return scalar(p, s->last);
}

static inline void clear(struct delta_text *text)
{
    text->s = NULL;
    text->n = 0;
    text->escaped = false;
}

static void clear_all(struct delta *d)
{
    clear(&d->content);
    clear(&d->reasoning);
    clear(&d->finish_reason);
    clear(&d->id);
    clear(&d->model);
    clear(&d->padding);
}

enum delta_status delta_scan(const char *json, size_t n, struct delta *d)
{
    struct scan s = {.d = d, .seen = 0};

    clear_all(d);

    while (n > 0 && (json[n - 1] == ' ' || json[n - 1] == '\n' ||
                     json[n - 1] == '\r' || json[n - 1] == '\t'))
        n--;
    if (n == 0 || json[n - 1] != '}')
        return DELTA_OTHER;
    s.last = json + n - 1;

    const char *p = members(&s, skip_to(json, '{'), top_member);
    return p != NULL && p > s.last && (s.seen & SEEN_CHOICES) ? DELTA_PLAIN
                                                              : DELTA_OTHER;
}

/* Shapes */

void delta_learn(struct delta_shape *shape, const char *json, size_t n,
                 const struct delta *d)
{
    bool reasoning = d->reasoning.s != NULL && d->reasoning.n > 0;
    const struct delta_text *text = reasoning ? &d->reasoning : &d->content;
    const struct delta_text *padding = &d->padding;

    shape->text = shape->padding = 0;
    if (text->s == NULL || d->finish_reason.n > 0 || json[n - 1] != '}' ||
        (reasoning && d->content.n > 0))
        return;
    shape->text = (size_t)(text->s - json);
    shape->text_end = shape->text + text->n;
    shape->reasoning = reasoning;
    shape->len = n;
    if (padding->s > text->s) {
        shape->padding = (size_t)(padding->s - json);
        shape->padding_end = shape->padding + padding->n;
    }
}

/* Whether the bytes from `p` to `end` begin with `n` bytes at `text`. */
static inline bool begins(const char *p, const char *end, const char *text,
                          size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, text, n) == 0;
}

/* The bytes that are the same make the same tokens as before, and a string
 * takes the place of a string, so what delta_scan said then holds again. */
bool delta_same(struct delta_shape *shape, const char *before, const char *json,
                size_t n, struct delta *d)
{
    struct delta_text text, padding = {.s = NULL};
    const char *p = json, *end = json + n;
    size_t from = shape->text;

    if (from == 0 || n == 0 || end[-1] != '}' || !begins(p, end, before, from))
        return false;
    p = string(p + from - 1, end - 1, &text);
    if (p == NULL)
        return false;
    from = shape->text_end + 1;
    if (shape->padding > 0) {
        size_t between = shape->padding - from;
        if (!begins(p, end, before + from, between))
            return false;
        p = string(p + between - 1, end - 1, &padding);
        if (p == NULL)
            return false;
        from = shape->padding_end + 1;
    }
    if (shape->len - from != (size_t)(end - p) ||
        memcmp(p, before + from, shape->len - from) != 0)
        return false;
    shape->text_end = (size_t)(text.s - json) + text.n;
    if (shape->padding > 0) {
        shape->padding = (size_t)(padding.s - json);
        shape->padding_end = shape->padding + padding.n;
    }
    shape->len = n;
    clear_all(d);
    *(shape->reasoning ? &d->reasoning : &d->content) = text;
    return true;
}

/* Escapes */

static bool is_high(int unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(int unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* The UTF-16 unit of the escape \uXXXX at `p`, or -1. */
static int unit_at(const char *p, const char *end)
{
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    return hex4(p + 2);
}

/* Writes `c` as UTF-8, a half as three bytes, and returns their number. */
static size_t encode(int c, char out[4])
{
    unsigned u = (unsigned)c;
    size_t n = u < 0x80 ? 1 : u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};

    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (u & 0x3F));
        u >>= 6;
    }
    out[0] = (char)(lead[n] | u);
    return n;
}

static enum bytes_status put(struct bytes *out, int c)
{
    char utf8[4];
    size_t n = encode(c, utf8);
    return bytes_append(out, utf8, n);
}

/* The character of the escape \c. */
static int simple_escape(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

static enum bytes_status unescape(const char *p, const char *end,
                                  struct bytes *out)
{
    while (p < end) {
        const char *stop = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((stop != NULL ? stop : end) - p);
        enum bytes_status status = bytes_append(out, p, run);
        p += run;
        if (status != BYTES_OK || p == end)
            return status;

        int unit = unit_at(p, end);
        if (unit < 0) {
            unit = simple_escape(p[1]);
            p += 2;
        } else {
            p += 6;
            int low = is_high(unit) ? unit_at(p, end) : -1;
            if (is_low(low)) {
                unit = 0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00);
                p += 6;
            }
        }
        status = put(out, unit);
        if (status != BYTES_OK)
            return status;
    }
    return BYTES_OK;
}

enum bytes_status delta_unescape(const struct delta_text *t, struct bytes *out)
{
    size_t before = out->len;

    if (t->s == NULL)
        return BYTES_OK;
    if (!t->escaped)
        return bytes_append(out, t->s, t->n);
    enum bytes_status status = unescape(t->s, t->s + t->n, out);
    if (status != BYTES_OK)
        out->len = before;
    return status;
}

/* The next place in a string that matters: `"`, `\`, or the end. Outside of
 * a string `\` has no meaning. */
static const char *next_mark(const char *p, const char *end, bool inside)
{
    while (p < end && *p != '"' && !(inside && *p == '\\'))
        p++;
    return p;
}

static enum bytes_status repair(const char *p, const char *end,
                                struct bytes *out, bool *changed)
{
    const char *done = p; /* up to here it is in `out` */
    bool inside = false;

    while ((p = next_mark(p, end, inside)) < end) {
        if (*p == '"') {
            inside = !inside;
            p++;
            continue;
        }
        int unit = unit_at(p, end);
        if (is_high(unit) && is_low(unit_at(p + 6, end))) {
            p += 12;
        } else if (is_high(unit) || is_low(unit)) {
            enum bytes_status status =
                bytes_append(out, done, (size_t)(p - done));
            if (status == BYTES_OK)
                status = put(out, unit);
            if (status != BYTES_OK)
                return status;
            *changed = true;
            done = p += 6;
        } else {
            p += end - p < 2 ? 1 : 2;
        }
    }
    return bytes_append(out, done, (size_t)(end - done));
}

enum bytes_status delta_repair(const char *json, size_t n, struct bytes *out,
                               bool *changed)
{
    size_t before = out->len;

    *changed = false;
    enum bytes_status status = repair(json, json + n, out, changed);
    if (status != BYTES_OK)
        out->len = before;
    return status;
}
