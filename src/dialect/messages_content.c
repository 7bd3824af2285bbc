/*
 * messages_content.c - see messages_content.h.
 */
#include "dialect/messages_content.h"

#include <string.h>

#include "binding/encoded.h"
#include "binding/json.h"
#include "dialect/calls.h"

void content_feed(lua_State *L, struct answer *a, int env, struct block *b)
{
    luaL_checkstack(L, 6, NULL);
    lua_createtable(L, 0, 2);
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "arguments");
    lua_setfield(L, -2, "function");
    lua_pushinteger(L, b->call);
    lua_setfield(L, -2, "index");
    b->fed = true;
    if (calls_add(L, a, env))
        a->brought = true;
    lua_pop(L, 1);
}

void content_settle(lua_State *L, struct answer *a, int env, struct block *b)
{
    if (b != NULL && b->answer && !b->fed) {
        b->fed = true;
        lua_pushliteral(L, "{}"); /* as the arguments of a call are, then */
        answer_take(L, a, &a->text);
    }
    if (b == NULL || b->kind != BLOCK_CALL || !b->input || b->fed)
        return;
    blocks_push_input(L, env, b);
    content_feed(L, a, env, b);
}

/* A call begins: the block on top. [-0, +0, m] */
static void begin_call(lua_State *L, struct answer *a, int env, struct block *b,
                       bool raw)
{
    int block = lua_gettop(L);
    a->brought = true;
    lua_createtable(L, 0, 3);
    lua_createtable(L, 0, 1);
    lua_getfield(L, block, "name");
    lua_setfield(L, -2, "name");
    lua_setfield(L, -2, "function");
    lua_getfield(L, block, "id");
    lua_setfield(L, -2, "id");
    lua_pushinteger(L, b->call);
    lua_setfield(L, -2, "index");
    calls_add(L, a, env);
    lua_getfield(L, block, "input");
    if (lua_istable(L, -1)) {
        lua_pushnil(L);
        b->input = lua_next(L, -2) != 0;
        lua_settop(L, block + 1);
        if (b->input && !raw)
            content_feed(L, a, env, b);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        content_feed(L, a, env, b);
    }
    lua_settop(L, block);
}

/* What a citation has under other names than ours. */
static const char *const renamed[][2] = {
    {"source", "url"},
    {"document_title", "title"},
    {"cited_text", "text"},
    {"start_char_index", "start_index"},
    {"end_char_index", "end_index"},
    {"encrypted_index", NULL}, /* for the service alone */
};

/* The name of ours for the key of the citation at `from`; NULL: there is none,
 * or the citation has that as well. [-0, +0, m] */
static const char *our_name(lua_State *L, int from, const char *key)
{
    for (size_t k = 0; k < sizeof renamed / sizeof *renamed; k++) {
        const char *name = renamed[k][1];
        if (strcmp(key, renamed[k][0]) != 0)
            continue;
        if (name == NULL)
            return NULL;
        lua_getfield(L, from, name);
        bool there = !lua_isnil(L, -1);
        lua_pop(L, 1);
        return there ? NULL : name;
    }
    return key;
}

/* Pushes the citation on top under our names: whatever is a text or a number.
 * [-0, +1, m] */
static void push_citation(lua_State *L)
{
    int from = lua_gettop(L);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, from)) { /* from, to, key, value */
        const char *name = lua_type(L, -2) == LUA_TSTRING
                               ? our_name(L, from, lua_tostring(L, -2))
                               : NULL;
        bool some = lua_type(L, -1) == LUA_TNUMBER ||
                    (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0);
        if (name != NULL && some)
            lua_setfield(L, from + 1, name);
        else
            lua_pop(L, 1);
    }
}

void content_cite(lua_State *L, struct answer *a, int env, struct block *b,
                  struct slice raw)
{
    int top = lua_gettop(L);
    if (raw.s != NULL && *raw.s != '{')
        return;
    luaL_checkstack(L, 8, NULL);
    b->own = true;
    if (!b->whole && raw.s != NULL) {
        lua_pushlstring(L, raw.s, raw.n);
        blocks_add(L, env, b, true);
    }
    push_citation(L);
    lua_pushnil(L);
    if (lua_next(L, top + 1)) {
        lua_settop(L, top + 1);
        answer_citation(L, a, env);
    }
    lua_settop(L, top);
}

/* The list of citations on top. [-1, +0, m] */
static void take_citations(lua_State *L, struct answer *a, int env,
                           struct block *b, struct slice list)
{
    struct slice raw = {.s = NULL};
    int n = json_length(L, -1);
    for (int i = 1; i <= n; i++) {
        raw = slice_next(list, raw);
        lua_rawgeti(L, -1, i);
        if (lua_istable(L, -1))
            content_cite(L, a, env, b, raw);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* Whether the block on top calls the tool that stands for the form of an
 * answer: then what it is called with is the text of the answer, and the block
 * becomes one of text. [-0, +0, m] */
static bool is_answer(lua_State *L, int env)
{
    int block = lua_gettop(L);
    lua_getfield(L, env, "answer_tool");
    lua_getfield(L, block, "name");
    bool same = lua_isstring(L, -2) && lua_rawequal(L, -1, -2);
    lua_settop(L, block);
    if (!same)
        return false;
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "text");
    lua_setfield(L, -2, "type");
    lua_getfield(L, block, "input");
    lua_pushnil(L);
    if (lua_istable(L, -2) && lua_next(L, -2)) {
        lua_pop(L, 2);
        if (encoded_push(L, lua_gettop(L)))
            lua_setfield(L, block + 1, "text");
    }
    lua_settop(L, block + 1);
    lua_replace(L, block);
    return true;
}

enum http_fault content_take(lua_State *L, struct answer *a, int env, int event,
                             struct slice raw)
{
    struct block *b;
    if (!binding_text(L, "type"))
        return FAULT_NONE; /* nobody knows what it is */
    lua_pop(L, 1);
    bool answer = is_answer(L, env);
    if (answer)
        raw.s = NULL;
    enum http_fault fault = blocks_open(L, a, env, event, raw, &b);
    const char *name = b->kind == BLOCK_TEXT ? "text" : "thinking";
    a->event_len = 0; /* it is counted */
    b->answer = answer;
    if (b->kind == BLOCK_CALL)
        begin_call(L, a, env, b, raw.s != NULL);
    if (b->kind == BLOCK_TEXT && binding_table(L, "citations"))
        take_citations(L, a, env, b, slice_member(raw, "citations"));
    if (b->kind == BLOCK_THOUGHTS && binding_text(L, "signature")) {
        b->own = true;
        lua_pop(L, 1);
    }
    if (b->kind == BLOCK_CALL || b->kind == BLOCK_OTHER || fault != FAULT_NONE)
        return fault;
    if (!binding_text(L, name)) {
        b->blank = true;
        if (event == 0)
            content_settle(L, a, env, b);
        return FAULT_NONE;
    }
    b->fed = true;
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    utf8_strip(&s, &n);
    b->blank = n == 0;
    return answer_take(L, a, b->kind == BLOCK_TEXT ? &a->text : &a->reasoning);
}
