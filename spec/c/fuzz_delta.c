/*
 * fuzz_delta.c - libFuzzer: delta_scan and lua-cjson agree. What is DELTA_PLAIN
 * is decoded by cjson (lone halves repaired first), and gives the same five
 * strings; all else in it that could mean something is absent or null.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc \
 *         -I/usr/include/lua5.4 spec/c/fuzz_delta.c src/delta.c src/bytes.c \
 *         -llua5.4 -o fuzz_delta
 *     LUA_CPATH=/usr/lib/x86_64-linux-gnu/lua/5.4/?.so ./fuzz_delta corpus/
 *
 * An input that begins with `~` is only the inside of a string: the content of
 * a plain chunk. In one that begins with `^` each byte is a token.
 */
#define _DEFAULT_SOURCE
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "delta.h"
#include "guard.h"

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
    "  if choice.finish_reason == 'error' then return 'error' end\n"
    "  if value(choice.finish_reason) ~= finish then return 'finish' end\n"
    "  local delta = value(choice.delta) or {}\n"
    "  if value(delta.content) ~= content then return 'content' end\n"
    "  local a, b = value(delta.reasoning), value(delta.reasoning_content)\n"
    "  if a and b or (a or b) ~= reasoning then return 'reasoning' end\n"
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

static void push_text(const struct delta_text *t)
{
    struct bytes out;

    if (t->s == NULL) {
        lua_pushnil(L);
        return;
    }
    bytes_init(&out, SIZE_MAX);
    if (delta_unescape(t, &out) != BYTES_OK || out.len > t->n ||
        (!t->escaped && out.len != t->n))
        die("unescape");
    lua_pushlstring(L, out.data, out.len);
    bytes_free(&out);
}

/* Compares with the decoder. */
static void check(const char *json, size_t n, const struct delta *d)
{
    struct bytes repaired;
    bool changed;

    bytes_init(&repaired, SIZE_MAX);
    if (delta_repair(json, n, &repaired, &changed) != BYTES_OK ||
        repaired.len > n || changed != (repaired.len != n))
        die("repair");
    if (d != NULL) {
        lua_settop(L, 1);
        lua_pushvalue(L, 1);
        lua_pushlstring(L, repaired.data, repaired.len);
        push_text(&d->content);
        push_text(&d->reasoning);
        push_text(&d->finish_reason);
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
};

static void add(struct bytes *text, const void *p, size_t n)
{
    if (bytes_append(text, p, n) != BYTES_OK)
        die("memory");
}

/* Makes the JSON text that the input stands for. */
static void make(struct bytes *text, const uint8_t *input, size_t n)
{
    static const char HEAD[] = "{\"choices\":[{\"delta\":{\"content\":\"";
    static const char TAIL[] = "\"}}]}";

    if (n > 0 && input[0] == '~') {
        add(text, HEAD, sizeof HEAD - 1);
        add(text, input + 1, n - 1);
        add(text, TAIL, sizeof TAIL - 1);
    } else if (n > 0 && input[0] == '^') {
        for (size_t i = 1; i < n; i++) {
            const char *token =
                TOKENS[input[i] % (sizeof TOKENS / sizeof *TOKENS)];
            add(text, token, strlen(token));
        }
    } else {
        add(text, input, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
    struct bytes text;
    struct delta d;

    if (L == NULL)
        start();
    if (n > 10000)
        return 0;
    bytes_init(&text, SIZE_MAX);
    make(&text, input, n);
    const char *json = guard_copy(text.data, text.len);
    bool plain = delta_scan(json, text.len, &d) == DELTA_PLAIN;
    check(json, text.len, plain ? &d : NULL);
    bytes_free(&text);
    return 0;
}
