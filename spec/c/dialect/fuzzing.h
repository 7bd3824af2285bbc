/*
 * fuzzing.h - libFuzzer: a scanner and lua-cjson agree. What is plain is
 * decoded by cjson (lone halves repaired first), and means the same to CHECKER;
 * all else in it that could mean something is absent or null. And shape_same
 * says of an event, knowing the one before, what the scanner says.
 *
 *     make fuzz
 *
 * An input is up to EVENTS events, with the byte 1E between them. One that
 * begins with `~` is only the inside of a string: the text of a plain event,
 * between HEAD and TAIL. In one that begins with `^` each byte is a token. `=`
 * begins what takes the place of the text in the event before, `#` of the first
 * other hole, `$` of the last.
 *
 * Whoever includes this has chosen the scanner, CHECKER, HEAD, TAIL and TOKENS.
 */
#ifndef CHATBOT_FUZZING_H
#define CHATBOT_FUZZING_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "guard.h"
#include "parsing/escape.h"

#define EVENTS 8

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

/* Lua: given a JSON text, the text that is said (nil when absent) and which it
 * is, finish, id, model and the place, gives nil when the decoder agrees, else
 * a message. It may use `decode`, and `value`, which makes nil of null. */
static const char PRELUDE[] =
    "local cjson = require('cjson').new()\n"
    "cjson.decode_invalid_numbers(false)\n"
    "cjson.decode_max_depth(64)\n"
    "local null = cjson.null\n"
    "local decode = cjson.decode\n"
    "local function value(v) if v ~= null then return v end end\n"
    "local function only(t, names)\n"
    "  for k, v in pairs(t) do\n"
    "    if type(v) == 'table' and not names[k] then\n"
    "      return 'a table: ' .. k\n"
    "    end\n"
    "  end\n"
    "end\n"
    "-- Each place belongs to one key, each key has one place.\n"
    "local keys, places, known = {}, {}, 0\n"
    "local function place_is(place, key)\n"
    "  if known > 10000 then keys, places, known = {}, {}, 0 end\n"
    "  if not keys[place] and not places[key] then\n"
    "    keys[place], places[key], known = key, place, known + 1\n"
    "  end\n"
    "  return keys[place] == key and places[key] == place and place > 1\n"
    "end\n"
    "local function index_is(v)\n"
    "  return v == nil or type(v) == 'number' and v >= 0 and v < 10000\n"
    "    and v % 1 == 0\n"
    "end\n";

static lua_State *L;

static void die(const char *what)
{
    fprintf(stderr, "%s\n", what != NULL ? what : "?");
    abort();
}

static void start(void)
{
    L = luaL_newstate();
    luaL_openlibs(L);
    lua_pushfstring(L, "%s%s", PRELUDE, CHECKER);
    if (luaL_loadstring(L, lua_tostring(L, -1)) != LUA_OK ||
        lua_pcall(L, 0, 1, 0) != LUA_OK)
        die(lua_tostring(L, -1));
}

static void push_text(const struct escape_text *t)
{
    struct bytes out;

    if (t->s == NULL) {
        lua_pushnil(L);
        return;
    }
    bytes_init(&out, SIZE_MAX);
    if (escape_undo(t, &out) != BYTES_OK || out.len > t->n ||
        (!t->escaped && out.len != t->n))
        die("unescape");
    lua_pushlstring(L, out.data, out.len);
    bytes_free(&out);
}

/* Compares with the decoder. */
static void check(const char *json, size_t n, const struct plain *d)
{
    static const char *const texts[] = {"text", "reasoning", "refusal"};
    struct bytes repaired;
    bool changed;

    bytes_init(&repaired, SIZE_MAX);
    if (escape_repair(json, n, &repaired, &changed) != BYTES_OK ||
        repaired.len > n || changed != (repaired.len != n))
        die("repair");
    if (d != NULL) {
        lua_settop(L, 2); /* the program, its function */
        lua_pushvalue(L, 2);
        lua_pushlstring(L, repaired.data, repaired.len);
        push_text(&d->text);
        lua_pushstring(L, texts[d->to]);
        push_text(&d->finish);
        push_text(&d->id);
        push_text(&d->model);
        lua_pushinteger(L, d->place);
        if (lua_pcall(L, 7, 1, 0) != LUA_OK || !lua_isnil(L, -1))
            die(lua_tostring(L, -1));
    }
    bytes_free(&repaired);
}

/* The last event and its shape, as reading.c keeps them. */
struct known {
    struct bytes last;
    struct shape shape;
    struct bytes id, model; /* of the last plain event */
    unsigned place;         /* the same */
};

static void add(struct bytes *text, const void *p, size_t n)
{
    if (bytes_append(text, p, n) != BYTES_OK)
        die("memory");
}

/* Which hole a mark stands for; -1: there is none. */
static int hole_of(const struct shape *shape, uint8_t mark)
{
    int found = -1;

    if (shape->head == 0)
        return -1;
    for (int i = 0; i < (int)shape->holes; i++)
        if (shape->hole[i].is_text == (mark == '=') &&
            (found < 0 || mark == '$'))
            found = i;
    return found;
}

/* Makes the last event with other content in a hole. */
static void fill(struct bytes *text, const struct known *k, int hole,
                 const uint8_t *part, size_t n)
{
    const struct shape *shape = &k->shape;
    size_t at = 0;

    for (int i = 0; i <= hole; i++)
        at += shape->hole[i].run + (i < hole ? shape->hole[i].len : 0);
    add(text, k->last.data, at);
    add(text, part, n);
    at += shape->hole[hole].len;
    add(text, k->last.data + at, k->last.len - at);
}

/* Makes the JSON text that this part of the input stands for. */
static void make(struct bytes *text, const struct known *k, const uint8_t *part,
                 size_t n)
{
    bool marked = n > 0 && memchr("=#$", part[0], 3) != NULL;
    int hole = marked ? hole_of(&k->shape, part[0]) : -1;

    if (hole >= 0) {
        fill(text, k, hole, part + 1, n - 1);
    } else if (n > 0 && part[0] == '~') {
        add(text, HEAD, sizeof HEAD - 1);
        add(text, part + 1, n - 1);
        add(text, TAIL, sizeof TAIL - 1);
    } else if (n > 0 && part[0] == '^') {
        for (size_t i = 1; i < n; i++) {
            const char *token =
                TOKENS[part[i] % (sizeof TOKENS / sizeof *TOKENS)];
            add(text, token, strlen(token));
        }
    } else {
        add(text, part, n);
    }
}

static bool equal(const struct escape_text *a, const struct escape_text *b)
{
    return a->s == b->s && a->n == b->n && a->escaped == b->escaped;
}

static bool holds(const struct bytes *b, const struct escape_text *t)
{
    return b->len == t->n && (t->n == 0 || memcmp(b->data, t->s, t->n) == 0);
}

static void keep(struct bytes *b, const struct escape_text *t)
{
    b->len = 0;
    add(b, t->s, t->n);
}

/* `same` is what shape_same has found, `d` what the scanner finds. */
static void check_same(const struct known *k, const struct plain *same,
                       const struct plain *d)
{
    if (same->to != k->shape.to)
        die("same: another text");
    if (d->to != same->to ? same->text.n + d->text.n > 0
                          : !equal(&same->text, &d->text))
        die("same: text");
    if (d->place != k->place)
        die("same: another place");
    if (same->finish.s != NULL || d->finish.n > 0)
        die("same: finish");
    if (same->id.s != NULL || same->model.s != NULL || !holds(&k->id, &d->id) ||
        !holds(&k->model, &d->model))
        die("same: id or model");
}

/* Takes an event as take_data in reading.c does. */
static void take(struct known *k, const char *json, size_t n)
{
    struct plain d, same;
    size_t from = k->shape.head;
    const char *last = guard_copy_to(1, k->last.data, k->last.len);

    const struct sse_event ev = {.type = "", .data = json, .data_len = n};
    bool plain = scanner(&ev, &d);
    check(json, n, plain ? &d : NULL);
    if (shape_same(&k->shape, last, json, n, &same)) {
        if (!plain)
            die("same, but not plain");
        check_same(k, &same, &d);
        if (k->shape.head != from)
            die("same: shape");
    } else {
        if (k->shape.head != 0)
            die("not the same, but there is a shape");
        from = 0;
        if (plain)
            shape_learn(&k->shape, json, n, &d);
    }
    if (plain) {
        keep(&k->id, &d.id);
        keep(&k->model, &d.model);
        k->place = d.place;
    }
    k->last.len = from;
    add(&k->last, json + from, n - from);
    if (k->last.len != n || (n > 0 && memcmp(k->last.data, json, n) != 0))
        die("last");
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
    const uint8_t *end = input + n;
    struct known k = {.shape = {.head = 0}};
    struct bytes text;

    if (L == NULL)
        start();
    if (n > 10000)
        return 0;
    bytes_init(&text, SIZE_MAX);
    bytes_init(&k.last, SIZE_MAX);
    bytes_init(&k.id, SIZE_MAX);
    bytes_init(&k.model, SIZE_MAX);
    for (int i = 0; i < EVENTS && input != NULL; i++) {
        size_t left = (size_t)(end - input);
        const uint8_t *stop = memchr(input, 0x1E, left);
        text.len = 0;
        make(&text, &k, input, stop != NULL ? (size_t)(stop - input) : left);
        take(&k, guard_copy(text.data, text.len), text.len);
        input = stop != NULL ? stop + 1 : NULL;
    }
    bytes_free(&text);
    bytes_free(&k.last);
    bytes_free(&k.id);
    bytes_free(&k.model);
    return 0;
}

#endif
