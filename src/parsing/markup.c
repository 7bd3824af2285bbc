/*
 * markup.c - see markup.h.
 */
#include "parsing/markup.h"

#include <stdbool.h>
#include <string.h>

/* A tag in the page. */
struct tag {
    const char *name;
    size_t len;      /* of the name */
    const char *cut; /* behind the last attribute that stays */
    const char *end; /* behind the '>' */
    bool empty;      /* "/>" */
};

struct open {
    const char *name;
    size_t len;
};

struct copy {
    const char *at, *end;
    char *out;
    size_t tags;
    struct open open[MARKUP_DEPTH];
    size_t depth;
    size_t
        left_out; /* elements that are open in the page but not in the copy */
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same(const char *a, size_t n, const char *b, size_t m)
{
    if (n != m || lower(*a) != lower(*b))
        return false;
    for (size_t i = 1; i < n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

/* Whether a name is one of `words`, which begin and end with blanks. */
static bool is_one_of(const char *name, size_t n, const char *words)
{
    for (const char *w = words + 1; *w != '\0';) {
        size_t len = strcspn(w, " ");
        if (same(name, n, w, len))
            return true;
        w += len + 1;
    }
    return false;
}

static const char voids[] =
    " area base basefont bgsound br col command embed frame hr img input"
    " isindex keygen link meta param source track wbr ";
static const char cells[] = " td th ";
static const char rows[] = " tr tbody thead tfoot ";
static const char blocks[] =
    " address article aside blockquote center dd details dir div dl dt fieldset"
    " figure footer form h1 h2 h3 h4 h5 h6 header hr li main menu nav ol p pre"
    " section table tbody td tfoot th thead tr ul ";
/* that the end tag of what does not hold them does not end */
static const char firm[] = " body div html table tbody td tfoot th thead tr ";

/* Whether the start tag of an element ends the one called `open`, which has no
 * end tag of its own. */
static bool ends(const struct tag *t, const struct open *open)
{
    const char *o = open->name;
    size_t n = open->len;
    if (same(o, n, "p", 1))
        return is_one_of(t->name, t->len, blocks);
    if (same(o, n, "dt", 2) || same(o, n, "dd", 2))
        return is_one_of(t->name, t->len, " dt dd ");
    if (is_one_of(o, n, cells))
        return is_one_of(t->name, t->len, cells) ||
               is_one_of(t->name, t->len, rows);
    if (is_one_of(o, n, rows))
        return is_one_of(t->name, t->len, rows) &&
               (same(o, n, "tr", 2) || !same(t->name, t->len, "tr", 2));
    return is_one_of(o, n, " a li option ") && same(o, n, t->name, t->len);
}

static void put(struct copy *c, const char *from, const char *to)
{
    memcpy(c->out, from, (size_t)(to - from));
    c->out += to - from;
}

/* The first `what` of `n` bytes behind `s`, or NULL. */
static const char *find(const char *s, const char *end, const char *what,
                        size_t n)
{
    while ((size_t)(end - s) >= n &&
           (s = memchr(s, *what, (size_t)(end - s) - n + 1)) != NULL) {
        if (memcmp(s, what, n) == 0)
            return s;
        s++;
    }
    return NULL;
}

static const char *skip_blanks(const char *s, const char *end)
{
    while (s < end && is_blank(*s))
        s++;
    return s;
}

/* Behind an attribute's value that begins at `s`. */
static const char *skip_value(const char *s, const char *end)
{
    if (s < end && (*s == '"' || *s == '\'')) {
        const char *close = memchr(s + 1, *s, (size_t)(end - s) - 1);
        return close == NULL ? end : close + 1;
    }
    while (s < end && !is_blank(*s) && *s != '>')
        s++;
    return s;
}

/* Reads the tag whose name begins at `s`; false when the page ends in it. */
static bool read_tag(const char *s, const char *end, struct tag *t)
{
    size_t attributes = 0;
    t->name = s;
    while (s < end && !is_blank(*s) && *s != '/' && *s != '>')
        s++;
    t->len = (size_t)(s - t->name);
    t->cut = s;
    t->empty = false;
    for (;;) {
        for (; s < end && (is_blank(*s) || *s == '/'); s++)
            t->empty = *s == '/';
        if (s == end)
            return false;
        if (*s == '>')
            break;
        t->empty = false;
        do
            s++;
        while (s < end && !is_blank(*s) && *s != '/' && *s != '>' && *s != '=');
        const char *value = skip_blanks(s, end);
        if (value < end && *value == '=')
            s = skip_value(skip_blanks(value + 1, end), end);
        if (++attributes <= MARKUP_ATTRIBUTES)
            t->cut = s;
    }
    t->end = s + 1;
    return true;
}

/* Goes behind a comment or a declaration. The tag that ends a comment may share
 * its dashes with the one that begins it. */
static const char *skip_declaration(const char *s, const char *end)
{
    const char *close;
    if (end - s >= 4 && memcmp(s, "<!--", 4) == 0) {
        if (end - s > 4 && s[4] == '>')
            return s + 5;
        close = find(s + 3, end, "-->", 3);
        return close == NULL ? end : close + 3;
    }
    close = memchr(s, '>', (size_t)(end - s));
    return close == NULL ? end : close + 1;
}

/* Goes behind the end tag of a script or a style, whose text has no tags. */
static const char *skip_raw(const struct tag *t, const char *end)
{
    const char *s = t->end;
    while ((s = find(s, end, "</", 2)) != NULL) {
        s += 2;
        if ((size_t)(end - s) < t->len)
            break;
        if (same(s, t->len, t->name, t->len)) {
            s = memchr(s, '>', (size_t)(end - s));
            return s == NULL ? end : s + 1;
        }
    }
    return end;
}

/* Whether a script is JSON-LD. */
static bool is_data(const struct tag *t)
{
    for (const char *s = t->name + t->len; t->cut - s >= 7; s++)
        if (same(s, 7, "ld+json", 7))
            return true;
    return false;
}

/* Copies a start tag, unless too many elements are open. */
static void copy_start(struct copy *c, const char *from, const struct tag *t)
{
    static const char close[] = "/>";
    bool empty = t->empty || is_one_of(t->name, t->len, voids);
    while (c->depth > 0 && ends(t, &c->open[c->depth - 1]))
        c->depth--;
    if (!empty && c->depth == MARKUP_DEPTH) {
        c->left_out++;
        return;
    }
    if (!empty)
        c->open[c->depth++] = (struct open){t->name, t->len};
    put(c, from, t->cut);
    if (t->empty)
        put(c, close, close + 2);
    else
        put(c, close + 1, close + 2);
    c->tags++;
}

/* Copies an end tag, unless it is that of an element that was left out. */
static void copy_end(struct copy *c, const struct tag *t)
{
    if (c->left_out > 0) {
        c->left_out--;
        return;
    }
    bool weak = !is_one_of(t->name, t->len, firm);
    for (size_t i = c->depth; i-- > 0;) {
        const struct open *o = &c->open[i];
        if (same(o->name, o->len, t->name, t->len)) {
            c->depth = i;
            break;
        }
        if (weak && is_one_of(o->name, o->len, firm))
            break;
    }
    put(c, t->name - 2, t->name + t->len);
    put(c, t->end - 1, t->end);
}

/* Copies or leaves out what begins with the '<' that is next. */
static void copy_markup(struct copy *c)
{
    const char *s = c->at, *end = c->end;
    struct tag t;
    char next = end - s > 1 ? s[1] : '\0';
    if (next == '!' || next == '?') {
        c->at = skip_declaration(s, end);
    } else if (is_letter(next)) {
        c->at = end;
        if (!read_tag(s + 1, end, &t))
            return;
        c->at = t.end;
        bool raw = is_one_of(t.name, t.len, " script style ") && !t.empty;
        if (!raw) {
            copy_start(c, s, &t);
            return;
        }
        c->at = skip_raw(&t, end);
        if (is_data(&t)) {
            put(c, s, c->at);
            c->tags++;
        }
    } else if (next == '/' && end - s > 2 && is_letter(s[2])) {
        c->at = end;
        if (!read_tag(s + 2, end, &t))
            return;
        c->at = t.end;
        copy_end(c, &t);
    } else {
        put(c, s, s + 1);
        c->at = s + 1;
    }
}

size_t markup_copy(const char *s, size_t n, char *out, size_t *tags)
{
    struct copy c = {.at = s, .end = s + n, .out = out};
    while (c.at < c.end) {
        const char *markup = memchr(c.at, '<', (size_t)(c.end - c.at));
        put(&c, c.at, markup == NULL ? c.end : markup);
        if (markup == NULL)
            break;
        c.at = markup;
        copy_markup(&c);
    }
    *tags = c.tags;
    return (size_t)(c.out - out);
}
