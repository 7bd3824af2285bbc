/*
 * retry.c - see retry.h.
 *
 * Everything that comes from a header is parsed by hand: strtod and strptime
 * follow the locale of the host program, and accept more than HTTP does. What
 * is not understood counts as absent.
 */
#include "parsing/retry.h"

#include <string.h>

#define MAX_WAIT    120.0 /* seconds; who asks for more is not asked again */
#define BACKOFF     0.5
#define MAX_BACKOFF 8.0

/* Header values */

struct span {
    const char *s;
    size_t n;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* `value` without the white space around it. NULL is empty. */
static struct span trim(const char *value)
{
    struct span v = {value, value != NULL ? strlen(value) : 0};

    while (v.n > 0 && (v.s[0] == ' ' || v.s[0] == '\t')) {
        v.s++;
        v.n--;
    }
    while (v.n > 0 && (v.s[v.n - 1] == ' ' || v.s[v.n - 1] == '\t'))
        v.n--;
    return v;
}

static bool equals(struct span v, const char *text)
{
    return v.n == strlen(text) && memcmp(v.s, text, v.n) == 0;
}

/* The number that `v` is: digits, perhaps a point and more digits. -1 when it
 * is anything else, or has more than 15 digits before the point. */
static double decimal(struct span v)
{
    double value = 0, unit = 1;
    size_t i = 0;

    while (i < v.n && is_digit(v.s[i]))
        value = value * 10 + (v.s[i++] - '0');
    if (i == 0 || i > 15)
        return -1;
    if (i < v.n && v.s[i] == '.') {
        size_t point = i++;
        while (i < v.n && is_digit(v.s[i])) {
            unit /= 10;
            value += (v.s[i++] - '0') * unit;
        }
        if (i == point + 1)
            return -1;
    }
    return i == v.n ? value : -1;
}

/* Dates */

static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char *const DAYS[7] = {"Monday",   "Tuesday", "Wednesday",
                                    "Thursday", "Friday",  "Saturday",
                                    "Sunday"};

struct date {
    int year, month, day, hour, minute, second; /* month 1..12 */
};

/* Days from 1970-01-01 to a date of the Gregorian calendar, year >= 1. */
static int64_t days_since_epoch(int year, int month, int day)
{
    /* Years that start in March have their leap day at the end. */
    int64_t y = month > 2 ? year : year - 1;
    int64_t m = month > 2 ? month - 3 : month + 9;
    int64_t leap_days = y / 4 - y / 100 + y / 400;
    int64_t in_year = (153 * m + 2) / 5 + day - 1;

    return 365 * y + leap_days + in_year - 719468;
}

/* The year at `now`. */
static int year_of(int64_t now)
{
    int year = (int)(1970 + now / 86400 / 366);

    while (days_since_epoch(year + 1, 1, 1) <= now / 86400)
        year++;
    return year;
}

/* A date is read by a pattern: a digit stands for the part of the date that
 * this digit belongs to, `bbb` for the name of a month, `_` for a space or
 * a digit of the day, anything else for itself. */
enum part { YEAR = '0', DAY = '1', HOUR = '2', MINUTE = '3', SECOND = '4' };

static int *part_of(struct date *d, char part)
{
    switch ((enum part)part) {
    case YEAR:
        return &d->year;
    case DAY:
        return &d->day;
    case HOUR:
        return &d->hour;
    case MINUTE:
        return &d->minute;
    case SECOND:
        return &d->second;
    }
    return NULL;
}

static int month_named(const char *name)
{
    for (int m = 0; m < 12; m++) {
        if (memcmp(name, MONTHS + (size_t)m * 3, 3) == 0)
            return m + 1;
    }
    return 0;
}

static bool match(struct span v, const char *pattern, struct date *d)
{
    memset(d, 0, sizeof *d);
    if (v.n != strlen(pattern))
        return false;
    for (size_t i = 0; i < v.n; i++) {
        char want = pattern[i], c = v.s[i];
        if (want == 'b') {
            d->month = month_named(v.s + i);
            if (d->month == 0)
                return false;
            i += 2;
        } else if (want == '_' && c == ' ') {
            continue;
        } else if (want == '_' || is_digit(want)) {
            int *part = want == '_' ? &d->day : part_of(d, want);
            if (!is_digit(c))
                return false;
            *part = *part * 10 + (c - '0');
        } else if (want != c) {
            return false;
        }
    }
    return true;
}

/* Takes the name of a day, of `len` letters or whole, off the front. */
static bool day_name(struct span *v, size_t len)
{
    for (int i = 0; i < 7; i++) {
        size_t n = len > 0 ? len : strlen(DAYS[i]);
        if (v->n >= n && memcmp(v->s, DAYS[i], n) == 0) {
            v->s += n;
            v->n -= n;
            return true;
        }
    }
    return false;
}

static bool is_valid(const struct date *d)
{
    static const int LENGTHS[12] = {31, 28, 31, 30, 31, 30,
                                    31, 31, 30, 31, 30, 31};
    if (d->year < 1 || d->month < 1 || d->month > 12)
        return false;
    bool leap = d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);
    int length = LENGTHS[d->month - 1] + (leap && d->month == 2);
    return d->day >= 1 && d->day <= length && d->hour <= 23 &&
           d->minute <= 59 && d->second <= 60;
}

/* The three forms of RFC 9110, 5.6.7:
 *   Sun, 06 Nov 1994 08:49:37 GMT
 *   Sunday, 06-Nov-94 08:49:37 GMT
 *   Sun Nov  6 08:49:37 1994
 */
static bool http_date(struct span v, int64_t now, int64_t *seconds)
{
    struct span whole = v;
    struct date d;

    if (day_name(&whole, 0) && match(whole, ", 11-bbb-00 22:33:44 GMT", &d)) {
        /* Two digits: the year that is nearest to now. */
        int this_year = year_of(now);
        d.year += this_year - this_year % 100;
        if (d.year > this_year + 50)
            d.year -= 100;
        else if (d.year <= this_year - 50)
            d.year += 100;
    } else if (!day_name(&v, 3) ||
               (!match(v, ", 11 bbb 0000 22:33:44 GMT", &d) &&
                !match(v, " bbb _1 22:33:44 0000", &d))) {
        return false;
    }
    if (!is_valid(&d))
        return false;
    *seconds = days_since_epoch(d.year, d.month, d.day) * 86400 +
               d.hour * 3600 + d.minute * 60 + d.second;
    return true;
}

/* The decision */

double retry_asked(const struct retry_failure *f)
{
    double ms = decimal(trim(f->retry_after_ms));
    if (ms >= 0)
        return ms / 1000;

    struct span after = trim(f->retry_after);
    double seconds = decimal(after);
    if (seconds >= 0)
        return seconds;

    int64_t date;
    if (http_date(after, f->now, &date))
        return date > f->now ? (double)(date - f->now) : 0;
    return retry_named(f->body, f->body_len);
}

bool retry_worth(const struct retry_failure *f)
{
    struct span should = trim(f->should_retry);

    if (f->quota)
        return false;
    if (f->status == 0)
        return f->transport;
    if (equals(should, "true"))
        return true;
    if (equals(should, "false"))
        return false;
    return f->status == 408 || f->status == 409 || f->status == 429 ||
           f->status >= 500;
}

double retry_delay(const struct retry_failure *f)
{
    if (f->attempt >= f->max_retries || !retry_worth(f))
        return -1;

    double asked = retry_asked(f);
    if (asked > 0)
        return asked <= MAX_WAIT ? asked : -1;

    double delay = BACKOFF;
    for (int i = 0; i < f->attempt && delay < MAX_BACKOFF; i++)
        delay *= 2;
    return delay * (1 - 0.25 * f->random);
}

/* Bodies */

/* Takes the next string off the JSON text, as it is written there; *is_key
 * tells whether a colon follows. False when there is none left. */
static bool next_string(struct span *json, struct span *text, bool *is_key)
{
    const char *p = json->n > 0 ? memchr(json->s, '"', json->n) : NULL;
    if (p == NULL)
        return false;

    const char *end = json->s + json->n;
    *text = (struct span){++p, 0};
    while (p < end && *p != '"')
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    if (p == end)
        return false;
    text->n = (size_t)(p - text->s);
    do {
        p++;
    } while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'));
    *is_key = p < end && *p == ':';
    *json = (struct span){p, (size_t)(end - p)};
    return true;
}

static const char *const QUOTA_CODES[] = {
    "insufficient_quota",           "billing_hard_limit_reached",
    "billing_not_active",           "access_terminated",
    "insufficient_balance",         "insufficient_credits",
    "exceeded_current_quota_error", "insufficient_user_quota",
    "enforced_spend_limit_reached",
};

static bool is_quota_code(struct span v)
{
    for (size_t i = 0; i < sizeof QUOTA_CODES / sizeof *QUOTA_CODES; i++) {
        if (equals(v, QUOTA_CODES[i]))
            return true;
    }
    return false;
}

bool retry_quota(const char *body, size_t n)
{
    struct span json = {body, n}, text;
    bool is_key;

    while (next_string(&json, &text, &is_key)) {
        if (!is_key && is_quota_code(text))
            return true;
    }
    return false;
}

double retry_named(const char *body, size_t n)
{
    struct span json = {body, n}, text;
    bool is_key, named = false;

    while (next_string(&json, &text, &is_key)) {
        if (named && !is_key && text.n > 0 && text.s[text.n - 1] == 's') {
            text.n--;
            double seconds = decimal(text);
            if (seconds >= 0)
                return seconds;
        }
        named = is_key && equals(text, "retryDelay");
    }
    return -1;
}

/* Origins */

/* Where the origin stands in the table; its length when it is not known. */
static size_t find(const struct retry_origins *o, uint64_t origin)
{
    size_t i = 0;

    while (i < o->len && o->known[i].origin != origin)
        i++;
    return i;
}

/* Where there is room for one more. */
static size_t make_room(struct retry_origins *o)
{
    if (o->len < RETRY_ORIGINS)
        return o->len++;

    size_t oldest = 0;
    for (size_t i = 1; i < o->len; i++) {
        if (o->known[i].at < o->known[oldest].at)
            oldest = i;
    }
    return oldest;
}

static bool stops(const struct retry_origin *k, int64_t now)
{
    return k->failures >= RETRY_ROW &&
           now - k->at < (int64_t)RETRY_PAUSE * 1000000;
}

void retry_failed(struct retry_origins *o, uint64_t origin,
                  const struct retry_failure *f, int64_t now)
{
    if (!retry_worth(f) || (f->status == 429 && retry_asked(f) > 0))
        return;

    size_t i = find(o, origin);
    if (i == o->len) {
        i = make_room(o);
        o->known[i] = (struct retry_origin){.origin = origin};
    }
    struct retry_origin *k = &o->known[i];
    if (stops(k, now))
        return;
    k->failures = k->failures < RETRY_ROW ? k->failures + 1 : 1;
    k->at = now;
}

void retry_succeeded(struct retry_origins *o, uint64_t origin)
{
    size_t i = find(o, origin);

    if (i < o->len)
        o->known[i] = o->known[--o->len];
}

bool retry_stopped(const struct retry_origins *o, uint64_t origin, int64_t now)
{
    size_t i = find(o, origin);

    return i < o->len && stops(&o->known[i], now);
}
