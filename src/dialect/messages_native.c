/*
 * messages_native.c - see messages_native.h.
 */
#include "dialect/messages_native.h"

#include <string.h>

#include "binding/encoded.h"
#include "dialect/messages_blocks.h"
#include "dialect/native.h"
#include "dialect/sendable.h"

/* A member of a block in place of that with which it began. */
struct member {
    const char *name, *s; /* NULL: there is none */
    size_t n;
    bool text; /* what stands there is no JSON yet */
};

static bool add_member(struct body *body, const struct member *m)
{
    return m->text ? body_quote(body, m->s, m->n) : body_add(body, m->s, m->n);
}

/* Adds the block `raw` with these two members in their places, or at the end.
 * False when memory is out. */
static bool write(struct body *body, struct slice raw,
                  const struct member members[2])
{
    struct slice value = {.s = NULL}, key;
    bool done[2] = {false, false}, ok = body_add(body, "{", 1), some = false;
    while (ok && (value = slice_next_member(raw, value, &key)).s != NULL) {
        int k = 0;
        while (k < 2 &&
               (members[k].s == NULL || strlen(members[k].name) != key.n ||
                memcmp(members[k].name, key.s, key.n) != 0))
            k++;
        ok = (!some || body_add(body, ",", 1)) && body_add(body, "\"", 1) &&
             body_add(body, key.s, key.n) && body_add(body, "\":", 2) &&
             (k < 2 ? add_member(body, &members[k])
                    : body_add(body, value.s, value.n));
        some = true;
        if (k < 2)
            done[k] = true;
    }
    for (int k = 0; ok && k < 2; k++) {
        if (members[k].s == NULL || done[k])
            continue;
        ok = (!some || body_add(body, ",", 1)) &&
             body_quote(body, members[k].name, strlen(members[k].name)) &&
             body_add(body, ":", 1) && add_member(body, &members[k]);
        some = true;
    }
    return ok && body_add(body, "}", 1);
}

/* What of the answer's text is in the block. */
static struct member text_in(struct answer *a, const struct block *b)
{
    const struct answer_text *t = blocks_text(a, b);
    const char *name = b->kind == BLOCK_TEXT ? "text" : "thinking";
    size_t from = b->from;
    if (b->kind == BLOCK_THOUGHTS && from > 0 && b->to > from)
        from += 2; /* the empty line */
    if (b->to <= from)
        return (struct member){name, "", 0, true};
    return (struct member){name, t->bytes.data + from, b->to - from, true};
}

/* The string on top as a member; anything else is none. [-0, +0, -] */
static struct member member_of(lua_State *L, const char *name, bool text)
{
    struct member m = {.s = NULL};
    if (lua_type(L, -1) == LUA_TSTRING) {
        m = (struct member){.name = name, .text = text};
        m.s = lua_tolstring(L, -1, &m.n);
    }
    return m;
}

/* Pushes the pieces of a block as one string, or nil. [-0, +1, m] */
static void push_pieces(lua_State *L, struct answer *a, int blocks,
                        const struct block *b)
{
    blocks_get(L, blocks, "pieces", b->place);
    if (lua_istable(L, -1)) {
        sendable_push_joined(L, a);
        lua_remove(L, -2);
    }
}

/* The members of a block which is the call that it has become, and leaves on
 * the stack what they are of. False: it has become none. [-0, +?, m] */
static bool get_call(lua_State *L, int env, const struct block *b,
                     struct member members[2])
{
    lua_getfield(L, env, "tool_calls");
    lua_rawgeti(L, -1, b->call + 1);
    if (!lua_istable(L, -1))
        return false;
    lua_getfield(L, -1, "id");
    members[0] = member_of(L, "id", true);
    lua_getfield(L, -2, "function");
    lua_getfield(L, -1, "arguments");
    members[1] = member_of(L, "input", false);
    return members[1].s != NULL && slice_is_object(members[1].s, members[1].n);
}

/* The same of one that came in pieces and is no call. [-0, +?, m] */
static bool get_pieces(lua_State *L, struct answer *a, int blocks,
                       const struct block *b, struct member members[2])
{
    bool good = true;
    if (b->kind != BLOCK_OTHER)
        members[0] = text_in(a, b);
    push_pieces(L, a, blocks, b);
    if (b->kind == BLOCK_OTHER) {
        members[0] = member_of(L, "input", false);
        good =
            members[0].s == NULL || slice_is_object(members[0].s, members[0].n);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        lua_pushliteral(L, "[");
        lua_insert(L, -2);
        lua_pushliteral(L, "]");
        lua_concat(L, 3);
        members[1] = member_of(L, "citations", false);
    }
    blocks_get(L, blocks, "ends", b->place);
    if (lua_type(L, -1) == LUA_TSTRING)
        members[1] = member_of(
            L, b->kind == BLOCK_THOUGHTS ? "signature" : "content", true);
    return good;
}

/* Pushes the block as a JSON text. False: it cannot be given back.
 * [-0, +(0|1), m] */
static bool push_block(lua_State *L, struct answer *a, int env, int blocks,
                       const struct block *b)
{
    int top = lua_gettop(L);
    struct member members[2] = {{.s = NULL}, {.s = NULL}};
    luaL_checkstack(L, 16, NULL);
    struct slice raw = blocks_raw(L, blocks, b);
    bool good = raw.s != NULL;
    if (good && b->kind == BLOCK_CALL)
        good = get_call(L, env, b, members);
    else if (good && !b->whole)
        good = get_pieces(L, a, blocks, b, members);
    if (good && (members[0].s != NULL || members[1].s != NULL)) {
        struct body *body = encoded_body(L);
        if (!write(body, raw, members))
            answer_no_memory(L, a);
        lua_pushlstring(L, body->text.data, body->text.len);
        body_free(body);
        lua_replace(L, top + 1);
    }
    lua_settop(L, good ? top + 1 : top);
    return good;
}

/* Whether a block says nothing that can be given back: thoughts that nobody has
 * signed, an empty text. */
static bool is_void(struct answer *a, const struct block *b)
{
    if (b->own || b->kind == BLOCK_CALL)
        return false;
    if (b->kind == BLOCK_THOUGHTS || b->whole)
        return b->kind == BLOCK_THOUGHTS || b->blank;
    struct member text = text_in(a, b);
    utf8_strip(&text.s, &text.n);
    return text.n == 0;
}

/* Finds where the texts of the blocks in the list end, and whether all of the
 * answer can be given back, and must. [-0, +0, -] */
static bool measure(lua_State *L, struct answer *a, int env, int blocks)
{
    size_t text = a->text.bytes.len, thoughts = a->reasoning.bytes.len;
    size_t calls = 0;
    lua_getfield(L, env, "native");
    bool own = lua_istable(L, -1); /* a first part of it has */
    lua_pop(L, 1);
    if (!own && (a->text.before > 0 || a->reasoning.before > 0))
        return false; /* there is one that cannot be given back */
    for (int i = (int)lua_rawlen(L, blocks); i > 0; i--) {
        struct block *b = blocks_at(L, blocks, i);
        if (b->kind == BLOCK_TEXT || b->kind == BLOCK_THOUGHTS) {
            size_t *to = b->kind == BLOCK_TEXT ? &text : &thoughts;
            b->to = *to;
            *to = b->from;
        }
        own = own || b->own;
        calls += b->kind == BLOCK_CALL;
    }
    lua_getfield(L, env, "tool_calls");
    bool all = calls == (lua_istable(L, -1) ? lua_rawlen(L, -1) : 0);
    lua_pop(L, 1);
    return own && all && text == a->text.before &&
           thoughts == a->reasoning.before;
}

void messages_give_back(lua_State *L, struct answer *a, int env)
{
    int top = lua_gettop(L), blocks = top + 1;
    luaL_checkstack(L, 8, NULL);
    binding_own_table(L, env, "blocks");
    int n = 0;
    if (measure(L, a, env, blocks)) {
        n = (int)lua_rawlen(L, blocks);
    } else { /* nor what there is of the first part */
        lua_pushnil(L);
        lua_setfield(L, env, "native");
    }
    for (int i = 1; i <= n; i++) {
        struct block *b = blocks_at(L, blocks, i);
        if (is_void(a, b))
            continue;
        if (!push_block(L, a, env, blocks, b)) {
            lua_pushnil(L);
            lua_setfield(L, env, "native");
            break;
        }
        native_add(L, a, env);
    }
    lua_settop(L, top);
}
