/*
 * responses_events.c - the events of Responses that are not plain, and whole
 * answers.
 *
 * An event is about an item of the answer, see responses_items.h, and brings a
 * piece of it, or all of it once more; the last one brings all items. Servers
 * leave out any of these. Takes whatever shape the value has: fields of the
 * wrong type are ignored, and so are events that are not known.
 */
#include <string.h>

#include "binding/failure.h"
#include "binding/json.h"
#include "dialect/native.h"
#include "dialect/responses.h"
#include "dialect/responses_parts.h"
#include "dialect/responses_record.h"
#include "dialect/usage.h"

/* ---- events of an item: the event is at `event`, and on top ---- */

/* The number in the field of the event, or -1. [-0, +0, m] */
static double number(lua_State *L, int event, const char *name)
{
    lua_getfield(L, event, name);
    double x = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    lua_pop(L, 1);
    return x;
}

/* Texts of items, and where an event has what: pieces in `delta`. */
static const struct text_events {
    const char *name; /* of their events, before ".delta" and ".done" */
    enum item_kind kind;
    enum item_text text;
    const char *index, *whole;
} text_events[] = {
    {"response.output_text", ITEM_MESSAGE, ITEM_TEXT, "content_index", "text"},
    {"response.refusal", ITEM_MESSAGE, ITEM_REFUSAL, "content_index",
     "refusal"},
    {"response.reasoning_summary_text", ITEM_REASONING, ITEM_SUMMARY,
     "summary_index", "text"},
    {"response.reasoning_text", ITEM_REASONING, ITEM_THOUGHT, "content_index",
     "text"},
};

static enum http_fault take_text(lua_State *L, struct answer *a, int env,
                                 int event, const struct text_events *e,
                                 bool whole)
{
    struct item *item = items_find(L, a, env, event, e->kind);
    double index = number(L, event, e->index);
    if (binding_text(L, whole ? e->whole : "delta") == NULL)
        return FAULT_NONE;
    return parts_text(L, a, env, item, e->text, index, whole);
}

static void take_arguments(lua_State *L, struct answer *a, int env, int event,
                           enum item_kind kind, bool whole)
{
    struct item *item = items_find(L, a, env, event, kind);
    const char *all = kind == ITEM_CUSTOM ? "input" : "arguments";
    parts_name(L, a, env, item);
    if (binding_text(L, whole ? all : "delta") != NULL)
        parts_arguments(L, a, env, item, whole);
}

/* A part of a message, or of thoughts, has begun or is whole. */
static enum http_fault take_content(lua_State *L, struct answer *a, int env,
                                    int event, bool whole)
{
    enum http_fault fault = FAULT_NONE;
    double index = number(L, event, "content_index");
    if (!binding_table(L, "part"))
        return fault;
    const char *type = binding_text(L, "type");
    bool thoughts = type != NULL && strcmp(type, "reasoning_text") == 0;
    bool refusal = type != NULL && strcmp(type, "refusal") == 0;
    enum item_text text = thoughts  ? ITEM_THOUGHT
                          : refusal ? ITEM_REFUSAL
                                    : ITEM_TEXT;
    lua_pop(L, type != NULL ? 1 : 0);
    struct item *item =
        items_find(L, a, env, event, thoughts ? ITEM_REASONING : ITEM_MESSAGE);
    if (!whole)
        items_begin(item, text, index);
    else if (binding_text(L, refusal ? "refusal" : "text") != NULL)
        fault = parts_text(L, a, env, item, text, index, true);
    lua_pop(L, 1);
    return fault;
}

static enum http_fault take_summary(lua_State *L, struct answer *a, int env,
                                    int event, bool whole)
{
    enum http_fault fault = FAULT_NONE;
    double index = number(L, event, "summary_index");
    struct item *item = items_find(L, a, env, event, ITEM_REASONING);
    if (!whole) {
        items_begin(item, ITEM_SUMMARY, index);
    } else if (binding_table(L, "part")) {
        if (binding_text(L, "text") != NULL)
            fault = parts_text(L, a, env, item, ITEM_SUMMARY, index, true);
        lua_pop(L, 1);
    }
    return fault;
}

static void take_annotation(lua_State *L, struct answer *a, int env, int event)
{
    struct item *item = items_find(L, a, env, event, ITEM_MESSAGE);
    if (!binding_table(L, "annotation"))
        return;
    parts_annotation(L, a, env, item);
    lua_pop(L, 1);
}

/* An item has begun or is whole; `raw`: the event. */
static enum http_fault take_item(lua_State *L, struct answer *a, int env,
                                 int event, struct slice raw, bool whole)
{
    enum http_fault fault = FAULT_NONE;
    if (!binding_table(L, "item"))
        return fault;
    enum item_kind kind = items_kind(L);
    if (!whole) {
        parts_begin(L, a, env, items_open(L, a, env, event, kind));
    } else {
        struct item *item = items_find(L, a, env, event, kind);
        fault = parts_take(L, a, env, item);
        item->done = true;
        if (fault == FAULT_NONE)
            fault = record_keep(L, a, env, item, slice_member(raw, "item"));
    }
    lua_pop(L, 1);
    return fault;
}

/* ---- the end ---- */

/* The items in the list on top, all that there are. [-0, +0, m] */
static enum http_fault take_output(lua_State *L, struct answer *a, int env,
                                   struct slice raw)
{
    enum http_fault fault = FAULT_NONE;
    struct slice one = {NULL, 0, NULL};
    int list = lua_gettop(L), n = json_length(L, list);
    items_match(L, a, env);
    for (int i = 1; i <= n && fault == FAULT_NONE; i++) {
        lua_rawgeti(L, list, i);
        if (i == 1 || one.s != NULL)
            one = slice_next(raw, one);
        struct item *item = items_at(L, list + 1, i);
        if (item != NULL) {
            fault = parts_take(L, a, env, item);
            item->done = true;
            if (fault == FAULT_NONE)
                fault = record_keep(L, a, env, item, one);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return fault;
}

/* Whether the tokens of the answer are as many as were asked for at most: some
 * servers say that an answer which ends there is complete. [-0, +0, m] */
static bool is_at_limit(lua_State *L, const struct answer *a, int env)
{
    bool at = false;
    int top = lua_gettop(L);
    lua_getfield(L, env, "usage");
    if (a->limit > 0 && lua_istable(L, -1)) {
        lua_getfield(L, -1, "completion_tokens");
        at = lua_tonumber(L, -1) >= a->limit;
    }
    lua_settop(L, top);
    return at;
}

/* Pushes the status of the response on top, or what its event says.
 * [-0, +1, m] */
static const char *push_status(lua_State *L, const char *said)
{
    if (binding_text(L, "status") == NULL)
        lua_pushstring(L, said);
    return lua_tostring(L, -1);
}

/* Replaces the response on top by the error table for what it says of its
 * failure, and nothing else in it. False. [-1, +1, m] */
static bool report_failure(lua_State *L, const struct answer *a)
{
    lua_newtable(L);
    lua_getfield(L, -2, "error");
    lua_setfield(L, -2, "error");
    lua_remove(L, -2);
    return answer_error(L, a, 0);
}

/* The response on top is over, for a reason that is no failure: its status, or
 * why it is not complete. [-1, +(0|1), m] */
static bool conclude(lua_State *L, struct answer *a, int env,
                     const char *status)
{
    bool complete = strcmp(status, "incomplete") != 0;
    a->finished = a->ended = true;
    a->cut = !complete || is_at_limit(L, a, env);
    lua_pushstring(L, status);
    if (!complete) {
        lua_getfield(L, -2, "incomplete_details");
        if (lua_istable(L, -1) && binding_text(L, "reason") != NULL)
            lua_replace(L, -3);
        lua_pop(L, 1);
    }
    if (answer_reason(L, env))
        return answer_error(L, a, env);
    lua_pop(L, 1);
    return true;
}

/* The response on top, `raw` on the wire, is over. `said`: the status that the
 * event stands for. [-1, +(0|1), m] */
static bool take_response(lua_State *L, struct answer *a, int env,
                          struct slice raw, const char *said)
{
    enum http_fault fault = FAULT_NONE;
    usage_find(L, env);
    if (binding_table(L, "output")) {
        fault = take_output(L, a, env, slice_member(raw, "output"));
        lua_pop(L, 1);
    }
    if (fault != FAULT_NONE) {
        lua_pop(L, 1);
        return answer_check(L, fault);
    }
    const char *status = push_status(L, said);
    bool failed = strcmp(said, "failed") == 0 ||
                  strcmp(status, "failed") == 0 ||
                  strcmp(status, "cancelled") == 0;
    lua_getfield(L, -2, "error"); /* whatever the status says beside it */
    failed = failed || lua_istable(L, -1);
    lua_pop(L, 1);
    lua_insert(L, -2); /* status, response */
    bool good = failed ? report_failure(L, a) : conclude(L, a, env, status);
    lua_remove(L, good ? -1 : -2); /* status, error */
    return good;
}

/* ---- an event ---- */

/* Whether the type is this name with this end. */
static bool is_event(const char *type, const char *name, const char *end)
{
    size_t n = strlen(name);
    return strncmp(type, name, n) == 0 && strcmp(type + n, end) == 0;
}

/* The event on top, which is of an item, if it is of any. [-0, +0, m] */
static enum http_fault take_event(lua_State *L, struct answer *a, int env,
                                  struct slice raw, const char *type)
{
    static const char *const arguments[] = {"response.function_call_arguments",
                                            "response.custom_tool_call_input"};
    int event = lua_gettop(L);
    for (size_t i = 0; i < sizeof text_events / sizeof *text_events; i++) {
        const struct text_events *e = &text_events[i];
        bool whole = is_event(type, e->name, ".done");
        if (whole || is_event(type, e->name, ".delta"))
            return take_text(L, a, env, event, e, whole);
    }
    for (int i = 0; i < 2; i++) {
        bool whole = is_event(type, arguments[i], ".done");
        if (whole || is_event(type, arguments[i], ".delta"))
            take_arguments(L, a, env, event, i == 0 ? ITEM_CALL : ITEM_CUSTOM,
                           whole);
    }
    if (strcmp(type, "response.output_item.added") == 0)
        return take_item(L, a, env, event, raw, false);
    if (strcmp(type, "response.output_item.done") == 0)
        return take_item(L, a, env, event, raw, true);
    if (strcmp(type, "response.content_part.added") == 0)
        return take_content(L, a, env, event, false);
    if (strcmp(type, "response.content_part.done") == 0)
        return take_content(L, a, env, event, true);
    if (strcmp(type, "response.reasoning_summary_part.added") == 0)
        return take_summary(L, a, env, event, false);
    if (strcmp(type, "response.reasoning_summary_part.done") == 0)
        return take_summary(L, a, env, event, true);
    if (strcmp(type, "response.output_text.annotation.added") == 0)
        take_annotation(L, a, env, event);
    return FAULT_NONE;
}

/* The status that the last event of a stream stands for; NULL: it is not the
 * last. */
static const char *last_status(const char *type)
{
    static const char *const names[] = {"completed", "incomplete", "failed"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_event(type, "response.", names[i]))
            return names[i];
    return NULL;
}

/* Pushes the type of the event on top, or the name that the stream has for it,
 * or "". [-0, +1, m] */
static const char *push_event_type(lua_State *L, const struct answer *a)
{
    if (binding_text(L, "type") == NULL)
        lua_pushlstring(L, a->name, a->name_len);
    return lua_tostring(L, -1);
}

bool responses_merge(lua_State *L, struct answer *a, int env)
{
    int base = lua_gettop(L) - 1;
    struct slice raw = slice_text(a->event, a->event_size);
    bool good = true;
    luaL_checkstack(L, 24, NULL);
    const char *type = push_event_type(L, a);
    const char *status = last_status(type);
    lua_insert(L, -2); /* type, event */
    if (strcmp(type, "error") == 0 ||
        (strncmp(type, "response.", 9) != 0 && answer_is_error(L))) {
        good = answer_error(L, a, 0);
    } else if (binding_table(L, "response")) {
        answer_keep(L, env, "id");
        answer_keep(L, env, "model");
        if (status != NULL)
            good =
                take_response(L, a, env, slice_member(raw, "response"), status);
    } else if (status != NULL) {
        good = take_response(L, a, env, raw, status);
    } else {
        enum http_fault fault = take_event(L, a, env, raw, type);
        if (fault == FAULT_NONE && a->kept > a->text.bytes.max)
            fault = FAULT_LIMIT;
        good = answer_check(L, fault);
    }
    if (!good)
        lua_replace(L, base + 1);
    lua_settop(L, good ? base : base + 1);
    return good;
}

/* Whether the response on top has not been worked on yet: one that was asked
 * for in the background. [-0, +0, m] */
static bool is_waiting(lua_State *L)
{
    const char *status = binding_text(L, "status");
    if (status == NULL)
        return false;
    bool waiting =
        strcmp(status, "queued") == 0 || strcmp(status, "in_progress") == 0;
    lua_pop(L, 1);
    if (waiting && binding_table(L, "output")) {
        waiting = lua_rawlen(L, -1) == 0;
        lua_pop(L, 1);
    }
    return waiting;
}

/* Whether the document on top says how a response ended, or what it is.
 * [-0, +0, m] */
static bool is_response(lua_State *L)
{
    const char *status = binding_text(L, "status");
    bool failed = status != NULL && strcmp(status, "failed") == 0;
    lua_pop(L, status != NULL ? 1 : 0);
    if (!failed && !binding_table(L, "output"))
        return false;
    lua_pop(L, failed ? 0 : 1);
    return true;
}

bool responses_whole(lua_State *L, struct answer *a, int env)
{
    luaL_checkstack(L, 24, NULL);
    if (is_waiting(L)) {
        lua_pop(L, 1);
        failure_push(L, FAULT_PROTOCOL,
                     "the response is made in the background, and has no "
                     "output yet");
        return false;
    }
    if (!is_response(L))
        return answer_event_is_error(L)
                   ? answer_error(L, a, 0)
                   : answer_none(L, a, "the answer has no output");
    answer_keep(L, env, "id");
    answer_keep(L, env, "model");
    return take_response(L, a, env, slice_text(a->event, a->event_size),
                         "completed");
}

void responses_finish(lua_State *L, struct answer *a, int env)
{
    record_finish(L, a, env);
    native_finish(L, env);
}
