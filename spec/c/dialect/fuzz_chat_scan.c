/*
 * fuzz_chat_scan.c - libFuzzer: chat_scan and lua-cjson agree. What is plain
 * is decoded by cjson (lone halves repaired first), and gives the same five
 * strings; all else in it that could mean something is absent or null. And
 * shape_same says of an event, knowing the one before, what chat_scan says.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc \
 *         -I/usr/include/lua5.4 spec/c/fuzz_chat_scan.c src/chat_scan.c
 * src/escape.c src/shape.c src/bytes.c \ -llua5.4 -o fuzz_chat_scan
 *     LUA_CPATH=/usr/lib/x86_64-linux-gnu/lua/5.4/?.so ./fuzz_chat_scan corpus/
 *
 * An input is up to EVENTS events, with the byte 1E between them. One that
 * begins with `~` is only the inside of a string: the content of a plain chunk.
 * In one that begins with `^` each byte is a token. `=` and `#` begin what
 * takes the place of the text and of the padding in the event before.
 */
#define _DEFAULT_SOURCE
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "dialect/chat_scan.h"
#include "guard.h"
#include "parsing/escape.h"

#define EVENTS 8

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

/* Given a JSON text, and five strings (nil when absent): nil when the decoder
 * agrees, else a message. */
static const char CHECKER[] =
    "local cjson = require('cjson').new()\n"
    "cjson.decode_invalid_numbers(false)\n"
    "cjson.decode_max_depth(64)\n"
    "local null = cjson.null\n"
    "local function value(v) if v ~= null then return v end end\n"
    "local function only(t, names)\n"
    "  for k, v in pairs(t) do\n"
    "    if type(v) == 'table' and not names[k] then\n"
    "      return 'a table: ' .. k\n"
    "    end\n"
    "  end\n"
    "end\n"
    "return function(text, content, reasoning, finish, id, model)\n"
    "  local ok, top = pcall(cjson.decode, text)\n"
    "  if not ok then return top end\n"
    "  local bad = only(top, {choices = true})\n"
    "  if bad then return bad end\n"
    "  for _, k in ipairs {'usage', 'error', 'x_groq', 'timings'} do\n"
    "    if value(top[k]) ~= nil then return k end\n"
    "  end\n"
    "  local o = value(top.object)\n"
    "  if o and o ~= '' and o ~= 'chat.completion.chunk' then return o end\n"
    "  if value(top.id) ~= id then return 'id' end\n"
    "  if value(top.model) ~= model then return 'model' end\n"
    "  if type(top.choices) ~= 'table' or #top.choices > 1 then\n"
    "    return 'choices'\n"
    "  end\n"
    "  local choice = top.choices[1] or {}\n"
    "  bad = only(choice, {delta = true})\n"
    "  if bad then return bad end\n"
    "  for _, k in ipairs {'logprobs', 'usage', 'message', 'error'} do\n"
    "    if value(choice[k]) ~= nil then return k end\n"
    "  end\n"
    "  if choice.index ~= nil and choice.index ~= 0 then return 'index' end\n"
    "  local plain = {stop = 1, length = 1, tool_calls = 1, [''] = 1}\n"
    "  local reason = value(choice.finish_reason)\n"
    "  if reason and not plain[reason] then return 'reason' end\n"
    "  if value(choice.finish_reason) ~= finish then return 'finish' end\n"
    "  local delta = value(choice.delta) or {}\n"
    "  local c = value(delta.content)\n"
    "  if c ~= content and (content or c ~= '') then return 'content' end\n"
    "  local a, b = value(delta.reasoning), value(delta.reasoning_content)\n"
    "  local r = a or b\n"
    "  if a and b or r ~= reasoning and (reasoning or r ~= '') then\n"
    "    return 'reasoning'\n"
    "  end\n"
    "  if (c or r) and not (content or reasoning) then return 'text' end\n"
    "  local known = {content = 1, reasoning = 1, reasoning_content = 1,\n"
    "    role = 1}\n"
    "  for k, v in pairs(delta) do\n"
    "    if value(v) ~= nil and (not known[k] or type(v) ~= 'string') then\n"
    "      return k\n"
    "    end\n"
    "  end\n"
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
    if (luaL_loadstring(L, CHECKER) != LUA_OK ||
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

/* Compares with the decoder. Where there are two texts, one of them is empty,
 * and is not told. */
static void check(const char *json, size_t n, const struct plain *d)
{
    const struct escape_text none = {.s = NULL};
    struct bytes repaired;
    bool changed;

    bytes_init(&repaired, SIZE_MAX);
    if (escape_repair(json, n, &repaired, &changed) != BYTES_OK ||
        repaired.len > n || changed != (repaired.len != n))
        die("repair");
    if (d != NULL) {
        lua_settop(L, 1);
        lua_pushvalue(L, 1);
        lua_pushlstring(L, repaired.data, repaired.len);
        push_text(d->to == PLAIN_TEXT ? &d->text : &none);
        push_text(d->to == PLAIN_REASONING ? &d->text : &none);
        push_text(&d->finish);
        push_text(&d->id);
        push_text(&d->model);
        if (lua_pcall(L, 6, 1, 0) != LUA_OK || !lua_isnil(L, -1))
            die(lua_tostring(L, -1));
    }
    bytes_free(&repaired);
}

static const char *const TOKENS[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    " ",
    "{\"choices\":[",
    "{\"index\":0,",
    "\"delta\":{",
    "}}]}",
    "}]}",
    "]}",
    "\"choices\":",
    "\"index\":",
    "\"delta\":",
    "\"content\":",
    "\"role\":",
    "\"reasoning\":",
    "\"reasoning_content\":",
    "\"refusal\":",
    "\"tool_calls\":",
    "\"finish_reason\":",
    "\"logprobs\":",
    "\"message\":",
    "\"usage\":",
    "\"error\":",
    "\"x_groq\":",
    "\"timings\":",
    "\"id\":",
    "\"model\":",
    "\"object\":",
    "\"created\":",
    "\"\":",
    "null",
    "true",
    "false",
    "0",
    "1",
    "-0",
    "1.5",
    "1e999",
    "-2E-3",
    "01",
    "\"\"",
    "\"a\"",
    "\"error\"",
    "\"stop\"",
    "\"chat.completion.chunk\"",
    "\"a longer string, of more than 16 bytes\"",
    "\"\\ud83d\"",
    "\"\\ude00\\n\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u0065rror\"",
    "\\ud83d",
    "\\ude00",
    "\\u0041",
    "\\\"",
    "\\\\",
    "\\u0000",
    "\xED\xA0\xBD",
    "\x7F",
    "\t",
    "\"obfuscation\":",
};

/* The last event and its shape, as reading.c keeps them. */
struct known {
    struct bytes last;
    struct shape shape;
    struct bytes id, model; /* of the last plain event */
};

static void add(struct bytes *text, const void *p, size_t n)
{
    if (bytes_append(text, p, n) != BYTES_OK)
        die("memory");
}

/* Makes the JSON text that this part of the input stands for. */
static void make(struct bytes *text, const struct known *k, const uint8_t *part,
                 size_t n)
{
    static const char HEAD[] = "{\"choices\":[{\"delta\":{\"content\":\"";
    static const char TAIL[] = "\"}}]}";
    const struct shape *shape = &k->shape;
    const char *last = k->last.data;

    if (n > 0 && part[0] == '~') {
        add(text, HEAD, sizeof HEAD - 1);
        add(text, part + 1, n - 1);
        add(text, TAIL, sizeof TAIL - 1);
    } else if (n > 0 && part[0] == '^') {
        for (size_t i = 1; i < n; i++) {
            const char *token =
                TOKENS[part[i] % (sizeof TOKENS / sizeof *TOKENS)];
            add(text, token, strlen(token));
        }
    } else if (n > 0 && part[0] == '=' && shape->text > 0) {
        add(text, last, shape->text);
        add(text, part + 1, n - 1);
        add(text, last + shape->text_end, shape->len - shape->text_end);
    } else if (n > 0 && part[0] == '#' && shape->text > 0 &&
               shape->padding > 0) {
        add(text, last, shape->padding);
        add(text, part + 1, n - 1);
        add(text, last + shape->padding_end, shape->len - shape->padding_end);
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

/* `same` is what shape_same has found, `d` what chat_scan finds. */
static void check_same(const struct known *k, const struct plain *same,
                       const struct plain *d)
{
    if (same->to != k->shape.to)
        die("same: another text");
    if (d->to != same->to ? same->text.n + d->text.n > 0
                          : !equal(&same->text, &d->text))
        die("same: text");
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
    struct shape before;
    size_t from = k->shape.text;
    const char *last = guard_copy_to(1, k->last.data, k->last.len);

    const struct sse_event ev = {.type = "", .data = json, .data_len = n};
    bool plain = chat_scan(&ev, &d);
    check(json, n, plain ? &d : NULL);
    memcpy(&before, &k->shape, sizeof before);
    if (shape_same(&k->shape, last, json, n, &same)) {
        if (!plain)
            die("same, but not plain");
        check_same(k, &same, &d);
        if (k->shape.text != from || k->shape.len != n)
            die("same: shape");
    } else {
        if (memcmp(&before, &k->shape, sizeof before) != 0)
            die("not the same, but another shape");
        from = k->shape.text = 0;
        if (plain)
            shape_learn(&k->shape, json, n, &d);
    }
    if (plain) {
        keep(&k->id, &d.id);
        keep(&k->model, &d.model);
    }
    k->last.len = from;
    add(&k->last, json + from, n - from);
    if (k->last.len != n || (n > 0 && memcmp(k->last.data, json, n) != 0))
        die("last");
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
    const uint8_t *end = input + n;
    struct known k = {.shape = {.text = 0}};
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
