/*
 * message.c - see message.h.
 */
#include "dialect/message.h"

#include "dialect/calls.h"

static void finish_text(lua_State *L, struct answer *a, struct answer_text *t)
{
    if (utf8_finish(&t->utf8, &t->bytes) == BYTES_MEMORY)
        answer_no_memory(L, a);
}

static void strip(struct bytes *b)
{
    const char *s = b->data;
    size_t n = b->len;
    utf8_strip(&s, &n);
    size_t before = (size_t)(s - b->data);
    b->len = before + n;
    bytes_consume(b, before);
}

void message_push(lua_State *L, struct answer *a, int env)
{
    answer_flush(a);
    finish_text(L, a, &a->text);
    if (a->whole && a->text.bytes.len > 0)
        strip(&a->text.bytes);
    finish_text(L, a, &a->reasoning);
    finish_text(L, a, &a->refusal);
    lua_createtable(L, 0, 3);
    lua_pushliteral(L, "assistant");
    lua_setfield(L, -2, "role");
    calls_finish(L, a, env);
    bool tools = lua_istable(L, -1);
    lua_pushvalue(L, -1);
    lua_setfield(L, env, "tool_calls");
    lua_setfield(L, -2, "tool_calls");
    const struct bytes *text = &a->text.bytes;
    if (text->len > 0 || !tools) {
        lua_pushlstring(L, text->len > 0 ? text->data : "", text->len);
        lua_pushvalue(L, -1);
        lua_setfield(L, env, "text");
        lua_setfield(L, -2, "content");
    }
    if (a->refusal.bytes.len > 0) {
        lua_pushlstring(L, a->refusal.bytes.data, a->refusal.bytes.len);
        lua_setfield(L, -2, "refusal");
    }
}

enum answer_verdict message_verdict(lua_State *L, const struct answer *a,
                                    int env)
{
    lua_getfield(L, env, "finish_reason");
    const char *reason = lua_tostring(L, -1);
    enum answer_verdict verdict =
        reason == NULL ? ANSWER_COMPLETE : answer_meaning(reason);
    if (a->cut && verdict == ANSWER_COMPLETE)
        verdict = ANSWER_LENGTH;
    lua_getfield(L, env, "tool_calls");
    if (lua_istable(L, -1) && verdict == ANSWER_COMPLETE)
        verdict = ANSWER_TOOL_CALLS;
    lua_pop(L, 2);
    return verdict;
}
