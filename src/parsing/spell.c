/*
 * spell.c - see spell.h.
 */
#include "parsing/spell.h"

#include <stdlib.h>
#include <string.h>

const char spell_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "abcdefghijklmnopqrstuvwxyz0123456789+/";

bool spell_is_alnum(unsigned char c)
{
    return c < 0x80 && c != '\0' && memchr(spell_digits, c, 62) != NULL;
}

struct spell_character spell_plain(const char *s, size_t n)
{
    (void)n;
    return (struct spell_character){(unsigned char)*s, 1};
}

int spell_hex(const char *s, size_t n)
{
    int value = 0;
    for (; n > 0; n--, s++) {
        int c = *s;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static struct spell_character character(int value, size_t len)
{
    return (struct spell_character){value < 0x80 ? value : SPELL_OTHER, len};
}

/* Any number of backslashes, and what is escaped by them. */
static struct spell_character read_backslash(const char *s, size_t n)
{
    size_t k = 1;
    while (k < n && s[k] == '\\')
        k++;
    if (k == n || (s[k] == 'u' && n - k <= 4))
        return character(SPELL_SKIPPED, n); /* the rest has been cut off */
    if (s[k] == 'u' && spell_hex(s + k + 1, 4) >= 0)
        return character(spell_hex(s + k + 1, 4), k + 5);
    return (struct spell_character){(unsigned char)s[k], k + 1};
}

/* RFC 3986, section 2.1; a percent sign may itself be escaped. */
static struct spell_character read_percent(const char *s, size_t n)
{
    size_t k = 1;
    while (k + 4 <= n && memcmp(s + k, "25", 2) == 0 &&
           spell_hex(s + k + 2, 2) >= 0)
        k += 2;
    if (k + 2 <= n && spell_hex(s + k, 2) >= 0)
        return character(spell_hex(s + k, 2), k + 2);
    return k + 2 > n ? character(SPELL_SKIPPED, n) : character('%', 1);
}

/* A character reference of HTML. */
static struct spell_character read_reference(const char *s, size_t n)
{
    static const struct {
        const char *name;
        int value;
    } names[] = {{"&amp;", '&'},   {"&lt;", '<'},    {"&gt;", '>'},
                 {"&quot;", '"'},  {"&apos;", '\''}, {"&sol;", '/'},
                 {"&equals;", '='}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t len = strlen(names[i].name);
        if (n >= len && strncasecmp(s, names[i].name, len) == 0)
            return character(names[i].value, len);
    }
    const char *end =
        n < 2 || s[1] != '#' ? NULL : memchr(s, ';', n < 10 ? n : 10);
    size_t from = end != NULL && (s[2] | ' ') == 'x' ? 3 : 2, value = 0;
    if (end == NULL && (n < 2 || (s[1] == '#' && n < 9)))
        return character(SPELL_SKIPPED, n);
    if (end == NULL || s + from == end)
        return character('&', 1);
    for (const char *c = s + from; c < end; c++) {
        int digit = spell_hex(c, 1);
        if (digit < 0 || (from == 2 && digit > 9))
            return character('&', 1);
        value = value * (from == 3 ? 16 : 10) + (size_t)digit;
    }
    return character((int)value, (size_t)(end - s) + 1);
}

struct spell_character spell_escaped(const char *s, size_t n)
{
    return *s == '\\'  ? read_backslash(s, n)
           : *s == '%' ? read_percent(s, n)
           : *s == '&' ? read_reference(s, n)
                       : spell_plain(s, n);
}

/* Digits of either alphabet, over ends of lines, in JSON or a URL, too. */
struct spell_character spell_base64(const char *s, size_t n)
{
    struct spell_character c =
        *s == '%' ? read_percent(s, n) : spell_plain(s, n);
    if (c.value == '\\' && n > 1 && memchr("/nr", s[1], 3) != NULL)
        c = (struct spell_character){s[1] == '/' ? '/' : SPELL_SKIPPED, 2};
    if (c.value == '\r' || c.value == '\n')
        c.value = SPELL_SKIPPED;
    if (c.value == '-' || c.value == '_')
        c.value = c.value == '-' ? '+' : '/';
    return c;
}
