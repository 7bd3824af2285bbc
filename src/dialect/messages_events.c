/*
 * messages_events.c - the events of Messages that are not plain, and whole
 * answers. What the blocks in them say is in messages_content.h.
 *
 * Takes whatever shape the value has: fields of the wrong type are ignored.
 */
#include "dialect/messages.h"

#include <string.h>

#include "binding/json.h"
#include "dialect/message.h"
#include "dialect/messages_blocks.h"
#include "dialect/messages_content.h"
#include "dialect/messages_native.h"
#include "dialect/native.h"
#include "dialect/usage.h"

static struct slice document(const struct answer *a)
{
    return slice_text(a->event, a->event_size);
}

/* ---- events; that in question is on top ---- */

static enum http_fault start_message(lua_State *L, struct answer *a, int env)
{
    if (!binding_table(L, "message"))
        return FAULT_NONE;
    answer_keep(L, env, "id");
    answer_keep(L, env, "model");
    a->named = true;
    usage_add(L, env);
    return FAULT_NONE;
}

static enum http_fault start_block(lua_State *L, struct answer *a, int env)
{
    int event = lua_gettop(L);
    content_settle(L, a, env, blocks_last(L, env));
    if (!binding_table(L, "content_block"))
        return FAULT_NONE;
    return content_take(L, a, env, event,
                        slice_member(document(a), "content_block"));
}

static enum http_fault add_text(lua_State *L, struct answer *a, int env,
                                struct block *b)
{
    (void)env;
    (void)b;
    return answer_take(L, a, &a->text);
}

static enum http_fault add_thoughts(lua_State *L, struct answer *a, int env,
                                    struct block *b)
{
    (void)env;
    (void)b;
    a->thoughts = true;
    return answer_take(L, a, &a->reasoning);
}

static enum http_fault add_signature(lua_State *L, struct answer *a, int env,
                                     struct block *b)
{
    if (b != NULL && b->kind == BLOCK_THOUGHTS) {
        a->kept += a->event_len;
        b->own = true;
        lua_pushvalue(L, -1);
        blocks_end(L, env, b);
    }
    return FAULT_NONE;
}

static enum http_fault add_content(lua_State *L, struct answer *a, int env,
                                   struct block *b)
{
    if (b != NULL && b->kind == BLOCK_OTHER) {
        a->kept += a->event_len;
        lua_pushvalue(L, -1);
        blocks_end(L, env, b);
    }
    return FAULT_NONE;
}

static enum http_fault add_input(lua_State *L, struct answer *a, int env,
                                 struct block *b)
{
    lua_pushvalue(L, -1);
    if (b != NULL && b->kind == BLOCK_CALL) {
        content_feed(L, a, env, b);
    } else if (b != NULL && b->answer) {
        b->fed = lua_rawlen(L, -1) > 0 || b->fed;
        return answer_take(L, a, &a->text); /* the tool that is the answer */
    } else if (b != NULL && b->kind == BLOCK_OTHER) {
        a->kept += a->event_len;
        blocks_add(L, env, b, false);
    }
    return FAULT_NONE;
}

static enum http_fault add_citation(lua_State *L, struct answer *a, int env,
                                    struct block *b)
{
    struct slice delta = slice_member(document(a), "delta");
    if (b != NULL && b->kind == BLOCK_TEXT)
        content_cite(L, a, env, b, slice_member(delta, "citation"));
    return FAULT_NONE;
}

/* What the delta in the event on top brings: a field whose name tells what it
 * is where it has no type. */
static enum http_fault add_delta(lua_State *L, struct answer *a, int env)
{
    static const struct {
        const char *type, *field;
        enum http_fault (*add)(lua_State *, struct answer *, int,
                               struct block *);
    } known[] = {
        {"text_delta", "text", add_text},
        {"thinking_delta", "thinking", add_thoughts},
        {"input_json_delta", "partial_json", add_input},
        {"signature_delta", "signature", add_signature},
        {"compaction_delta", "content", add_content},
        {"citations_delta", "citation", add_citation},
    };
    int event = lua_gettop(L);
    if (!binding_table(L, "delta"))
        return FAULT_NONE;
    const char *type = binding_text(L, "type");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (type != NULL && strcmp(type, known[i].type) != 0)
            continue;
        lua_pushvalue(L, event + 1);
        if (known[i].add == add_citation
                ? binding_table(L, known[i].field)
                : binding_text(L, known[i].field) != NULL)
            return known[i].add(L, a, env, blocks_find(L, env, event));
        lua_pop(L, 1);
    }
    return FAULT_NONE;
}

static enum http_fault stop_block(lua_State *L, struct answer *a, int env)
{
    content_settle(L, a, env, blocks_find(L, env, lua_gettop(L)));
    return FAULT_NONE;
}

/* Why the answer ends, as the table on top says. FAULT_API: because it has
 * failed. [-0, +0, m] */
static enum http_fault take_reason(lua_State *L, struct answer *a, int env,
                                   bool usage)
{
    enum http_fault fault = FAULT_NONE;
    bool reason = binding_text(L, "stop_reason") != NULL;
    if (reason && answer_reason(L, env))
        fault = FAULT_API;
    if (fault == FAULT_NONE && a->refusal.bytes.len == 0 &&
        binding_table(L, "stop_details")) {
        if (binding_text(L, "explanation"))
            fault = answer_take(L, a, &a->refusal);
        lua_pop(L, 1);
    }
    answer_note_end(a, reason, usage);
    return fault;
}

static enum http_fault end_message(lua_State *L, struct answer *a, int env)
{
    bool usage = usage_add(L, env);
    if (!binding_table(L, "delta"))
        return FAULT_NONE;
    content_settle(L, a, env, blocks_last(L, env));
    return take_reason(L, a, env, usage);
}

static enum http_fault stop_message(lua_State *L, struct answer *a, int env)
{
    content_settle(L, a, env, blocks_last(L, env));
    a->finished = a->ended = true;
    return FAULT_NONE;
}

static const struct kind {
    const char *type;
    enum http_fault (*take)(lua_State *L, struct answer *a, int env);
} kinds[] = {
    {"content_block_delta", add_delta}, {"content_block_start", start_block},
    {"content_block_stop", stop_block}, {"message_start", start_message},
    {"message_delta", end_message},     {"message_stop", stop_message},
};

/* The kind of the event or document on top, by its type, or by its name where
 * it has none; NULL: it is not known. *error: it says that something went
 * wrong, as llama-server does in {code, message, type}. [-0, +0, m] */
static const struct kind *kind_of(lua_State *L, const struct answer *a,
                                  bool *error)
{
    const struct kind *found = NULL;
    size_t n = a->name_len;
    const char *type = n > 0 ? a->name : "";
    *error = answer_is_error(L);
    bool own = binding_text(L, "type") != NULL;
    if (own)
        type = lua_tolstring(L, -1, &n);
    if (n >= 5 && memcmp(type + n - 5, "error", 5) == 0)
        *error = true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (n == strlen(kinds[i].type) && memcmp(type, kinds[i].type, n) == 0)
            found = &kinds[i];
    lua_pop(L, own ? 1 : 0);
    return found;
}

/* What is to be done about an error or a fault, with the event on top.
 * [-1, +(0|1), m] */
static bool conclude(lua_State *L, struct answer *a, int env,
                     enum http_fault fault)
{
    if (fault == FAULT_API)
        return answer_error(L, a, env);
    if (fault == FAULT_NONE && a->kept > a->text.bytes.max)
        fault = FAULT_LIMIT;
    lua_pop(L, 1);
    return answer_check(L, fault);
}

bool messages_merge(lua_State *L, struct answer *a, int env)
{
    int event = lua_gettop(L);
    enum http_fault fault = FAULT_NONE;
    bool error;
    luaL_checkstack(L, 16, NULL);
    const struct kind *kind = kind_of(L, a, &error);
    if (error)
        return answer_error(L, a, 0);
    if (kind != NULL)
        fault = kind->take(L, a, env);
    lua_settop(L, event);
    return conclude(L, a, env, fault);
}

/* ---- a whole answer ---- */

/* The list of blocks on top. [-0, +0, m] */
static enum http_fault take_content(lua_State *L, struct answer *a, int env)
{
    int content = lua_gettop(L), n = json_length(L, content);
    enum http_fault fault = FAULT_NONE;
    struct slice list = slice_member(document(a), "content");
    struct slice raw = {.s = NULL};
    for (int i = 1; i <= n && fault == FAULT_NONE; i++) {
        raw = slice_next(list, raw);
        lua_rawgeti(L, content, i);
        if (lua_istable(L, -1) && (raw.s == NULL || *raw.s == '{')) {
            a->event_len = raw.n;
            fault = content_take(L, a, env, 0, raw);
            content_settle(L, a, env, blocks_last(L, env));
        }
        lua_settop(L, content);
    }
    return fault;
}

bool messages_whole(lua_State *L, struct answer *a, int env)
{
    int message = lua_gettop(L);
    enum http_fault fault;
    bool error;
    luaL_checkstack(L, 16, NULL);
    kind_of(L, a, &error);
    if (error)
        return answer_error(L, a, 0);
    lua_getfield(L, message, "content");
    bool text = lua_type(L, -1) == LUA_TSTRING;
    if (!text && !lua_istable(L, -1)) {
        lua_pop(L, 1);
        return answer_none(L, a, "the answer has no content");
    }
    fault = text ? answer_take(L, a, &a->text) : take_content(L, a, env);
    lua_settop(L, message);
    answer_keep(L, env, "id");
    answer_keep(L, env, "model");
    bool usage = usage_find(L, env);
    lua_settop(L, message);
    if (fault == FAULT_NONE)
        fault = take_reason(L, a, env, usage);
    lua_settop(L, message);
    a->finished = true; /* also without a reason */
    return conclude(L, a, env, fault);
}

/* ---- the message ---- */

void messages_finish(lua_State *L, struct answer *a, int env)
{
    enum answer_verdict verdict = message_verdict(L, a, env);
    /* What was cut is no turn that a service takes back as it was. */
    if (verdict == ANSWER_COMPLETE || verdict == ANSWER_TOOL_CALLS)
        messages_give_back(L, a, env);
    native_finish(L, env);
    lua_getfield(L, env, "finish_reason");
    const char *reason = lua_tostring(L, -1);
    bool paused = reason != NULL && strcmp(reason, "pause_turn") == 0;
    lua_pop(L, 1);
    lua_pushboolean(L, paused);
    lua_setfield(L, env, "paused");
}
