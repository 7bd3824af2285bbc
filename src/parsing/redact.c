/*
 * redact.c - see redact.h.
 *
 * For each secret and each form there is a pattern and a reader. The reader
 * takes one character after another out of the text, undoing the form, and what
 * it takes is matched as Knuth, Morris and Pratt do it.
 */
#include "parsing/redact.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parsing/spell.h"

#define SHORTEST 4  /* bytes; what is shorter is no secret */
#define WORD     8  /* what is shorter could be a word */
#define PART     12 /* characters of a beginning that tell too much */
#define LIKE     20 /* bytes in a row that look like a key */

static void wipe(void *p, size_t n)
{
    for (volatile char *c = p; n > 0; n--)
        *c++ = '\0';
}

/* ---- patterns ---- */

/* All its memory is one block, which begins at `back`. */
struct pattern {
    spell_reader *read;
    size_t *back; /* where the characters stand that were read last */
    size_t *fall; /* of a beginning: its longest proper one that ends it */
    int *text;
    size_t n;
    size_t least; /* characters that tell too much */
    bool alone;   /* found only where it stands alone */
};

/* Makes room for `n` characters. False when memory is out. */
static bool open_pattern(struct pattern *p, spell_reader *read, size_t n)
{
    *p = (struct pattern){.read = read};
    p->back = calloc(n + 1, 2 * sizeof(size_t) + sizeof(int));
    if (p->back == NULL)
        return false;
    p->fall = p->back + n + 1;
    p->text = (int *)(void *)(p->fall + n + 1);
    return true;
}

static void close_pattern(struct pattern *p)
{
    wipe(p->text, p->n * sizeof(int));
    free(p->back);
}

/* The length of what matches once `c` has come, after a match of `state`. */
static size_t step(const struct pattern *p, size_t state, int c)
{
    while (state > 0 && (state == p->n || p->text[state] != c))
        state = p->fall[state - 1];
    return state + (p->text[state] == c);
}

static void finish_pattern(struct pattern *p)
{
    for (size_t i = 1; i < p->n; i++)
        p->fall[i] = step(p, p->fall[i - 1], p->text[i]);
    p->least = (p->n + 1) / 2;
    if (p->least < PART)
        p->least = p->n < PART ? p->n : PART;
}

/* Whether a word goes on with `c`, behind which is `next`. */
static bool goes_on(unsigned char c, unsigned char next)
{
    return spell_is_alnum(c) || c >= 0x80 ||
           ((c == '-' || c == '_' || c == '.') && spell_is_alnum(next));
}

/* Whether the run stands alone: not inside a word or a name. */
static bool is_alone(const char *text, size_t n, size_t from, size_t to)
{
    const unsigned char *s = (const unsigned char *)text;
    return !(from > 0 && goes_on(s[from - 1], from > 1 ? s[from - 2] : 0)) &&
           !(to < n && goes_on(s[to], to + 1 < n ? s[to + 1] : 0));
}

static void mark_pattern(const struct pattern *p, const char *s, size_t n,
                         bool cut, unsigned char *hide)
{
    size_t state = 0, count = 0, hidden = 0, from = 0;
    for (size_t i = 0; i < n;) {
        struct spell_character c = p->read(s + i, n - i);
        size_t end = i + c.len;
        if (c.value != SPELL_SKIPPED) {
            p->back[count++ % p->n] = i;
            state = step(p, state, c.value);
            from = state > 0 ? p->back[(count - state) % p->n] : end;
            if (state >= p->least && (!p->alone || is_alone(s, n, from, end))) {
                from = from > hidden ? from : hidden; /* up to there it is */
                memset(hide + from, 1, end - from);
                hidden = end;
            }
        }
        i = end;
    }
    if (cut && !p->alone && state >= SHORTEST && state < p->least)
        memset(hide + from, 1, n - from);
}

/* The secret as `spell` reads it, in a text as `read` does: as it was sent in
 * both, or with escapes undone. */
static bool mark_text(const char *key, size_t len, spell_reader *spell,
                      spell_reader *read, const char *s, size_t n, bool cut,
                      unsigned char *hide)
{
    struct pattern p;
    if (!open_pattern(&p, read, len))
        return false;
    for (size_t i = 0; i < len;) {
        struct spell_character c = spell(key + i, len - i);
        if (c.value != SPELL_SKIPPED)
            p.text[p.n++] = c.value;
        i += c.len;
    }
    finish_pattern(&p);
    p.alone = len < WORD;
    if (p.alone || p.n >= WORD)
        mark_pattern(&p, s, n, cut, hide);
    close_pattern(&p);
    return true;
}

/* The base64 digits that the secret alone determines when it stands `shift`
 * bytes into a group of three. */
static bool mark_base64(const char *key, size_t len, size_t shift,
                        const char *s, size_t n, bool cut, unsigned char *hide)
{
    struct pattern p;
    size_t first = (8 * shift + 5) / 6, end = 8 * (shift + len) / 6;
    if (!open_pattern(&p, spell_base64, end - first))
        return false;
    for (size_t i = first; i < end; i++) {
        unsigned value = 0;
        for (size_t bit = 6 * i; bit < 6 * i + 6; bit++) {
            unsigned byte = (unsigned char)key[bit / 8 - shift];
            value = value << 1 | (byte >> (7 - bit % 8) & 1u);
        }
        p.text[p.n++] = spell_digits[value];
    }
    finish_pattern(&p);
    mark_pattern(&p, s, n, cut, hide);
    close_pattern(&p);
    return true;
}

static bool mark_secret(const char *key, const char *s, size_t n, bool cut,
                        unsigned char *hide)
{
    size_t len = strlen(key);
    bool ok = mark_text(key, len, spell_plain, spell_plain, s, n, cut, hide);
    if (len < WORD)
        return ok;
    ok = ok && mark_text(key, len, spell_plain, spell_escaped, s, n, cut, hide);
    if (strpbrk(key, "\\%&") != NULL) /* may look like escapes themselves */
        ok = ok &&
             mark_text(key, len, spell_escaped, spell_escaped, s, n, cut, hide);
    for (size_t shift = 0; ok && shift < 3; shift++)
        ok = mark_base64(key, len, shift, s, n, cut, hide);
    return ok;
}

bool redact_mark(const struct redact *r, const char *s, size_t n, bool cut,
                 unsigned char *hide)
{
    bool ok = true;
    for (size_t i = 0; ok && i < r->size; i += strlen(r->list + i) + 1)
        ok = mark_secret(r->list + i, s, n, cut, hide);
    if (!ok)
        memset(hide, 1, n);
    return n > 0 && memchr(hide, 1, n) != NULL;
}

/* ---- secrets ---- */

bool redact_add(struct redact *r, const char *s, size_t n)
{
    if (n < SHORTEST)
        return true;
    for (size_t i = 0; i < r->size; i += strlen(r->list + i) + 1)
        if (strlen(r->list + i) == n && memcmp(r->list + i, s, n) == 0)
            return true;
    char *list = malloc(r->size + n + 1); /* no realloc: it leaves copies */
    if (list == NULL)
        return false;
    if (r->size > 0)
        memcpy(list, r->list, r->size);
    memcpy(list + r->size, s, n);
    list[r->size + n] = '\0';
    size_t size = r->size + n + 1;
    redact_free(r);
    *r = (struct redact){list, size};
    return true;
}

void redact_free(struct redact *r)
{
    wipe(r->list, r->size);
    free(r->list);
    *r = (struct redact){NULL, 0};
}

bool redact_add_proxy(struct redact *r, const char *url)
{
    const char *from = strstr(url, "://");
    const char *at = strrchr(url, '@');
    from = from == NULL ? url : from + 3;
    if (at == NULL || at < from)
        return true;
    size_t n = (size_t)(at - from), len = 0;
    char *plain = malloc(n + 1);
    if (plain == NULL)
        return false;
    for (size_t i = 0; i < n; len++) { /* as curl sends it */
        bool escape =
            from[i] == '%' && n - i > 2 && spell_hex(from + i + 1, 2) > 0;
        plain[len] = escape ? (char)spell_hex(from + i + 1, 2) : from[i];
        i += escape ? 3 : 1;
    }
    plain[len] = '\0';
    const char *given = memchr(from, ':', n), *sent = memchr(plain, ':', len);
    given = given == NULL || given + 1 == at ? from : given + 1;
    sent = sent == NULL || sent + 1 == plain + len ? plain : sent + 1;
    bool ok = redact_add(r, given, (size_t)(at - given)) &&
              redact_add(r, sent, len - (size_t)(sent - plain)) &&
              redact_add(r, plain, len); /* whose base64 is what is sent */
    wipe(plain, n);
    free(plain);
    return ok;
}

/* ---- what looks like a secret ---- */

/* Bytes from `s` on that a key may consist of. */
static size_t key_run(const char *s, size_t n)
{
    size_t len = 0;
    while (len < n && (spell_is_alnum((unsigned char)s[len]) ||
                       (s[len] != '\0' && strchr("-_+=", s[len]) != NULL)))
        len++;
    return len;
}

/* A word or the name of a variable has letters of one case and no digits. */
static bool looks_like_key(const char *s, size_t n)
{
    static const char *const starts[] = {"sk-",   "sk_",   "AIza", "gsk_",
                                         "xai-",  "hf_",   "ghp_", "gho_",
                                         "pplx-", "nvapi-"};
    unsigned kinds = 0;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (n >= strlen(starts[i]) + SHORTEST &&
            memcmp(s, starts[i], strlen(starts[i])) == 0)
            return true;
    for (size_t i = 0; n >= LIKE && i < n; i++)
        kinds |= s[i] >= 'a' && s[i] <= 'z'   ? 1u
                 : s[i] >= 'A' && s[i] <= 'Z' ? 2u
                 : s[i] >= '0' && s[i] <= '9' ? 4u
                                              : 0u;
    return kinds > 2;
}

bool redact_mark_like(const char *s, size_t n, unsigned char *hide)
{
    bool found = false;
    for (size_t i = 0; i < n;) {
        size_t len = key_run(s + i, n - i);
        if (looks_like_key(s + i, len)) {
            memset(hide + i, 1, len);
            found = true;
        }
        i += len > 0 ? len : 1;
    }
    return found;
}

static bool contains(const char *s, size_t n, const char *part)
{
    size_t len = strlen(part);
    for (; n >= len; s++, n--)
        if (strncasecmp(s, part, len) == 0)
            return true;
    return false;
}

/* Whether a header carries a secret. */
static bool is_secret(const char *name, size_t n, const char *value)
{
    static const char *const tell[] = {
        "auth", "key", "token", "secret", "cookie", "password", "credential"};
    static const char *const harmless[] = {"OpenAI-", "trace", "X-Request-Id"};
    for (size_t i = 0; i < sizeof tell / sizeof *tell; i++)
        if (contains(name, n, tell[i]))
            return true;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strncasecmp(name, harmless[i], strlen(harmless[i])) == 0)
            return false;
    for (size_t len = strlen(value), i = 0; i < len;) {
        size_t run = key_run(value + i, len - i);
        if (looks_like_key(value + i, run))
            return true;
        i += run > 0 ? run : 1;
    }
    return false;
}

/* Adds what Basic authentication says in base64 (RFC 7617). */
static bool add_basic(struct redact *r, const char *s, size_t n)
{
    char *plain = malloc(n + 1);
    size_t len = 0;
    unsigned bits = 0, held = 0;
    if (plain == NULL)
        return false;
    for (size_t i = 0; i < n && s[i] != '='; i++) {
        const char *digit = memchr(spell_digits, s[i], 64);
        held =
            held << 6 | (digit == NULL ? 0 : (unsigned)(digit - spell_digits));
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            plain[len++] = (char)(held >> bits & 0xFF);
        }
    }
    plain[len] = '\0';
    char *password = strchr(plain, ':');
    bool ok =
        password == NULL || redact_add(r, password + 1, strlen(password + 1));
    wipe(plain, n);
    free(plain);
    return ok;
}

bool redact_add_header(struct redact *r, const char *line)
{
    const char *colon = strchr(line, ':');
    if (colon == NULL || !is_secret(line, (size_t)(colon - line), colon + 1))
        return true;
    const char *s = colon + 1 + strspn(colon + 1, " ");
    size_t word = strcspn(s, " "), scheme = 0;
    while (scheme < word && spell_is_alnum((unsigned char)s[scheme]))
        scheme++;
    if (scheme == word && s[word] != '\0') { /* "Bearer ...", "Basic ..." */
        bool basic = word == 5 && strncasecmp(s, "Basic", 5) == 0;
        s += word + strspn(s + word, " ");
        if (basic && !add_basic(r, s, strlen(s)))
            return false;
    }
    size_t n = strlen(s);
    bool ok = redact_add(r, s, n);
    for (size_t i = 0; ok && i < n;) { /* name=value; name="value", ... */
        size_t len = strcspn(s + i, " ;,\"");
        const char *from = memchr(s + i, '=', len);
        const char *end = s + i + len;
        from =
            from == NULL || from[strspn(from, "=")] == '\0' || from + 1 == end
                ? s + i
                : from + 1;
        if ((len < n || from > s) && end - from >= WORD)
            ok = redact_add(r, from, (size_t)(end - from));
        i += len > 0 ? len : 1;
    }
    return ok;
}
