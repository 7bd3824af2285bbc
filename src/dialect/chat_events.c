/*
 * chat_events.c - the events of chat completions that are not plain, and whole
 * completions, see chat.h.
 *
 * Takes whatever shape the value has: fields of the wrong type are ignored.
 */
#include <string.h>
#include <strings.h>

#include "binding/json.h"
#include "dialect/calls.h"
#include "dialect/chat.h"
#include "dialect/citations.h"
#include "dialect/details.h"
#include "dialect/sendable.h"
#include "dialect/usage.h"

#define MAX_CHOICES 128

/* ---- a delta or message; the table in question is on top of the stack ---- */

/* Which text the part on top belongs to, one of a list in `to`: NULL, it is of
 * a kind that is not known. [-0, +0, m] */
static struct answer_text *part_of(lua_State *L, struct answer *a,
                                   struct answer_text *to)
{
    size_t n;
    if (to != &a->text || !binding_text(L, "type"))
        return to;
    const char *type = lua_tolstring(L, -1, &n);
    bool text = n >= 4 && strcmp(type + n - 4, "text") == 0;
    bool thought =
        strcmp(type, "thinking") == 0 || strcmp(type, "reasoning") == 0;
    lua_pop(L, 1);
    return text ? to : thought ? &a->reasoning : NULL;
}

/* The content: a string, or a list of parts. [-1, +0, m] */
static enum http_fault take_content(lua_State *L, struct answer *a,
                                    struct answer_text *to)
{
    enum http_fault fault = FAULT_NONE;
    if (lua_type(L, -1) == LUA_TSTRING)
        return answer_take(L, a, to);
    luaL_checkstack(L, 8, NULL);
    int n = lua_istable(L, -1) ? json_length(L, -1) : 0;
    for (int i = 1; fault == FAULT_NONE && i <= n; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_type(L, -1) == LUA_TSTRING) {
            fault = answer_take(L, a, to);
            continue;
        }
        struct answer_text *part =
            lua_istable(L, -1) ? part_of(L, a, to) : NULL;
        if (part != NULL && binding_text(L, "text"))
            fault = answer_take(L, a, part);
        else if (part != NULL && to == &a->text &&
                 (binding_table(L, "thinking") || binding_table(L, "summary") ||
                  binding_text(L, "thinking")))
            fault = take_content(L, a, &a->reasoning);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return fault;
}

/* The text in the list reasoning_details of the table on top. [-0, +0, m] */
static enum http_fault take_details(lua_State *L, struct answer *a)
{
    enum http_fault fault = FAULT_NONE;
    if (!binding_table(L, "reasoning_details"))
        return fault;
    int n = json_length(L, -1);
    for (int i = 1; fault == FAULT_NONE && i <= n; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_istable(L, -1) &&
            (binding_text(L, "text") || binding_text(L, "summary")))
            fault = answer_take(L, a, &a->reasoning);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return fault;
}

/* The thoughts in the table on top: under one of two names, or both, or in
 * details that only count when nothing else has them. [-0, +0, m] */
static enum http_fault take_reasoning(lua_State *L, struct answer *a)
{
    if (binding_text(L, "reasoning_content") || binding_text(L, "reasoning")) {
        a->thoughts = true;
        return answer_take(L, a, &a->reasoning);
    }
    return a->thoughts ? FAULT_NONE : take_details(L, a);
}

/* The delta or message on top. [-0, +0, m] */
static enum http_fault take_delta(lua_State *L, struct answer *a, int env)
{
    enum http_fault fault;
    lua_getfield(L, -1, "content");
    fault = take_content(L, a, &a->text);
    if (fault == FAULT_NONE)
        fault = take_reasoning(L, a);
    if (fault == FAULT_NONE && binding_text(L, "refusal"))
        fault = answer_take(L, a, &a->refusal);
    if (binding_table(L, "tool_calls")) {
        if (calls_take(L, a, env))
            a->brought = true;
        a->kept += a->event_len;
        lua_pop(L, 1);
    }
    if (a->details && binding_table(L, "reasoning_details")) {
        details_take(L, env);
        a->kept += a->event_len;
        lua_pop(L, 1);
    }
    if (binding_table(L, "annotations")) {
        citations_take_all(L, a, env);
        lua_pop(L, 1);
    }
    if (binding_table(L, "extra_content"))
        lua_setfield(L, env, "extra_content");
    return a->kept > a->text.bytes.max ? FAULT_LIMIT : fault;
}

/* The choice on top; *error: so its finish_reason says. A stream has deltas,
 * beside or behind which some servers repeat the message; a document has a
 * message, beside which some put an empty delta. [-0, +0, m] */
static enum http_fault take_choice(lua_State *L, struct answer *a, int env,
                                   bool *error)
{
    enum http_fault fault = FAULT_NONE;
    bool whole = a->whole;
    bool usual = binding_table(L, whole ? "message" : "delta");
    if (usual ||
        (!a->streamed && binding_table(L, whole ? "delta" : "message"))) {
        fault = take_delta(L, a, env);
        lua_pop(L, 1);
        a->streamed = a->streamed || (usual && answer_has_some(a));
    }
    if (binding_table(L, "logprobs")) {
        a->kept += a->event_len;
        static const char *const lists[] = {"content", "refusal"};
        for (int i = 0; i < 2; i++)
            if (binding_table(L, lists[i])) {
                answer_logprobs(L, env, lists[i]);
                lua_pop(L, 1);
            }
        lua_pop(L, 1);
    }
    bool usage = usage_find(L, env);
    const char *reason = binding_text(L, "finish_reason");
    if (reason != NULL && strcasecmp(reason, "null") == 0) {
        lua_pop(L, 1);
        reason = NULL;
    }
    if (reason != NULL) {
        *error = answer_reason(L, env);
    }
    answer_note_end(a, reason != NULL, usage);
    return fault;
}

/* ---- which choice ---- */

/* The index of the choice at `i` of the list on top: -1 when it has none, less
 * when there is no choice. [-0, +0, m] */
static double index_of(lua_State *L, int i)
{
    double index = -2;
    lua_rawgeti(L, -1, i);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "index");
        if (lua_type(L, -1) != LUA_TNUMBER)
            index = -1;
        else if (lua_tonumber(L, -1) >= 0)
            index = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return index;
}

/* The place of our choice in the list on top; 0: it is not there.
 * [-0, +0, m] */
static int our_choice(lua_State *L, struct answer *a, int env)
{
    int n = json_length(L, -1), first = 0;
    double other = 0;
    for (int i = 1; i <= n && i <= MAX_CHOICES; i++) {
        double index = index_of(L, i);
        if (index == -1 && i == 1)
            index = 0;
        bool best = index == 0 && (a->choice <= 0 || a->doubtful);
        if (index >= 0 && (best || index == a->choice || first == 0)) {
            first = i;
            other = index;
        }
        if (best)
            break;
    }
    return first > 0 && answer_is_ours(L, a, env, other) ? first : 0;
}

/* Whether the choice at `i` of the list on top has calls. [-0, +0, m] */
static bool has_calls(lua_State *L, int i)
{
    int top = lua_gettop(L);
    lua_rawgeti(L, -1, i);
    bool some = (binding_table(L, "delta") || binding_table(L, "message")) &&
                binding_table(L, "tool_calls") && json_length(L, -1) > 0;
    lua_settop(L, top);
    return some;
}

/* The place of what goes on with the choice at `i` of the list on top, or 0:
 * some servers send text and calls as two, with one index or with none, where
 * texts alone are several answers. [-0, +0, m] */
static int next_part(lua_State *L, int env, int i)
{
    int n = json_length(L, -1);
    if (i >= n)
        return 0;
    double index = index_of(L, i);
    lua_getfield(L, env, "several");
    bool several = lua_toboolean(L, -1);
    lua_pop(L, 1);
    while (++i <= n && i <= MAX_CHOICES)
        if (index_of(L, i) == index &&
            (index >= 0 || (!several && has_calls(L, i))))
            return i;
    return 0;
}

/* ---- a chunk ---- */

bool chat_merge(lua_State *L, struct answer *a, int env)
{
    enum http_fault fault = FAULT_NONE;
    bool error = false;
    int chunk = lua_gettop(L);
    luaL_checkstack(L, 16, NULL);
    if (answer_event_is_error(L))
        return answer_error(L, a, 0);
    if (binding_table(L, "response")) {
        if (answer_is_error(L)) {
            lua_remove(L, chunk);
            return answer_error(L, a, 0);
        }
        lua_pop(L, 1);
    }
    answer_keep(L, env, "id");
    answer_keep(L, env, "model");
    citations_sources(L, a, env);
    bool usage = false;
    if (binding_table(L, "x_groq")) {
        usage = usage_find(L, env);
        lua_pop(L, 1);
    }
    if (binding_table(L, "choices")) {
        int i = our_choice(L, a, env);
        while (i > 0 && fault == FAULT_NONE) {
            lua_rawgeti(L, -1, i);
            fault = take_choice(L, a, env, &error);
            if (error || answer_is_error(L)) { /* OpenRouter puts it there */
                lua_replace(L, chunk);
                lua_settop(L, chunk);
                return answer_error(L, a, error ? env : 0);
            }
            lua_pop(L, 1);
            i = next_part(L, env, i);
        }
        lua_settop(L, chunk);
    }
    usage = usage_find(L, env) || usage;
    answer_note_end(a, false, usage);
    lua_pop(L, 1);
    return answer_check(L, fault);
}

bool chat_whole(lua_State *L, struct answer *a, int env)
{
    lua_pushvalue(L, -1);
    if (!chat_merge(L, a, env)) {
        lua_remove(L, -2);
        return false;
    }
    lua_getfield(L, -1, "choices");
    a->finished = lua_istable(L, -1) && json_length(L, -1) > 0;
    lua_pop(L, 1);
    if (a->finished) { /* also without a finish_reason */
        lua_pop(L, 1);
        return true;
    }
    return answer_none(L, a, "the answer has no choices");
}

/* ---- the message ---- */

/* Names the provider in the message on top when there is something in it that
 * is given back to that one alone. [-0, +0, m] */
static void name_owner(lua_State *L, int env)
{
    static const char *const private[] = {"reasoning_content",
                                          "reasoning_details", "extra_content"};
    int message = lua_gettop(L);
    bool owned = false;
    for (size_t i = 0; i < sizeof private / sizeof *private; i++)
        lua_getfield(L, message, private[i]);
    lua_getfield(L, message, "tool_calls");
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    for (int i = 1; i <= n && !owned; i++) {
        lua_rawgeti(L, message + 4, i);
        lua_getfield(L, -1, "extra_content");
        owned = !lua_isnil(L, -1);
        lua_pop(L, 2);
    }
    for (int i = 1; i <= 3; i++)
        owned = owned || !lua_isnil(L, message + i);
    lua_settop(L, message);
    if (owned) {
        lua_getfield(L, env, "provider");
        lua_setfield(L, message, "provider");
    }
}

void chat_finish(lua_State *L, struct answer *a, int env)
{
    int message = lua_gettop(L);
    lua_getfield(L, env, "reasoning_back");
    lua_getfield(L, message, "tool_calls");
    if (lua_toboolean(L, -2) && lua_istable(L, -1) &&
        a->reasoning.bytes.len > 0) {
        lua_pushlstring(L, a->reasoning.bytes.data, a->reasoning.bytes.len);
        lua_setfield(L, message, "reasoning_content");
    }
    lua_settop(L, message);
    details_finish(L, a, env);
    lua_setfield(L, message, "reasoning_details");
    lua_getfield(L, env, "extra_content");
    if (lua_istable(L, -1))
        sendable_make(L, a);
    lua_setfield(L, message, "extra_content");
    name_owner(L, env);
}
