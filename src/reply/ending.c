/*
 * ending.c - see ending.h.
 */
#include "reply/ending.h"

#include <string.h>

#include "binding/failure.h"
#include "binding/history.h"
#include "dialect/message.h"

/* Gives back all but what the user may still ask for. */
void ending_drop(struct reply *r, bool complete)
{
    struct http_request *request = r->request;
    if (request == NULL)
        return;
    r->request = NULL;
    r->http_status = request->response.status;
    r->attempts = request->attempts;
    if (complete)
        http_finish(request);
    else
        http_close(request);
    bytes_free(&r->answer.scratch);
}

/* Makes the conversation what it was before the prompt. [-0, +0, -] */
void ending_rollback(lua_State *L, const struct reply *r, int env)
{
    int top = lua_gettop(L);
    lua_getfield(L, env, "messages");
    lua_getfield(L, env, "pending");
    if (lua_istable(L, top + 1) && lua_istable(L, top + 2)) {
        history_undo(L, top + 1, top + 2, r->committed);
    }
    lua_settop(L, top);
}

/* Sets a field of `pending`: "settled", the prompt stays in the conversation;
 * "tail", it goes with all that follows it, should it go. [-0, +0, -] */
void ending_mark(lua_State *L, int env, const char *name)
{
    lua_getfield(L, env, "pending");
    if (lua_istable(L, -1)) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, name); /* a field that is there */
    }
    lua_pop(L, 1);
}

/* What was sent is needed no longer. [-0, +0, -] */
static void let_go(lua_State *L, int env)
{
    lua_rawgeti(L, env, REPLY_BODY);
    bool there = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!there)
        return;
    lua_pushnil(L);
    lua_rawseti(L, env, REPLY_BODY);
}

/* Takes the message out of the list on top that has the first part of this
 * answer, where it went on. [-0, +0, m] */
static void drop_paused(lua_State *L, int env)
{
    int messages = lua_gettop(L), n = (int)lua_rawlen(L, messages);
    lua_getfield(L, env, "first_part");
    lua_rawgeti(L, messages, n);
    if (lua_istable(L, -1) && lua_rawequal(L, -1, -2)) {
        lua_pushnil(L);
        lua_rawseti(L, messages, n);
    }
    lua_settop(L, messages);
}

void ending_give_up(lua_State *L, struct reply *r, int env)
{
    int top = lua_gettop(L);
    let_go(L, env);
    lua_getfield(L, env, "keep_partial");
    bool some = r->answer.text.bytes.len > 0;
    if (lua_toboolean(L, -1) && (some || r->committed)) {
        if (some && !r->held) { /* what is held stands there already */
            lua_getfield(L, env, "messages");
            drop_paused(L, env);
            lua_createtable(L, 0, 2);
            lua_pushliteral(L, "assistant");
            lua_setfield(L, -2, "role");
            ending_set_text(L, lua_gettop(L), "content", &r->answer.text.bytes);
            history_append(L, top + 2);
        }
        ending_mark(L, env, "settled");
    } else {
        ending_rollback(L, r, env);
    }
    lua_settop(L, top);
}

/* ---- the end of a reply ---- */

void ending_set_text(lua_State *L, int table, const char *name,
                     const struct bytes *b)
{
    if (b->len == 0)
        return;
    lua_pushlstring(L, b->data, b->len);
    lua_setfield(L, table, name);
}

void ending_set_partial(lua_State *L, int err, int env, const struct reply *r)
{
    lua_getfield(L, env, "said");
    if (!lua_isstring(L, -1)) {
        lua_pop(L, 1);
        ending_set_text(L, err, "partial", &r->answer.text.bytes);
        return;
    }
    ending_push_bytes(L, &r->answer.text.bytes, true);
    lua_concat(L, 2);
    lua_setfield(L, err, "partial");
}

static void push_request_id(lua_State *L, const struct reply *r)
{
    const char *id = r->request->response.request_id;
    failure_clean(L, id, strlen(id), &r->answer.secret, false);
}

static void copy_field(lua_State *L, int from, const char *name, int to)
{
    lua_getfield(L, from, name);
    lua_setfield(L, to, name);
}

/* Adds what every error table says. [-0, +0, m] */
void ending_name(lua_State *L, int err, int env)
{
    copy_field(L, env, "provider", err);
    lua_getfield(L, env, "asked_model");
    lua_setfield(L, err, "model");
}

void ending_badly(lua_State *L, struct reply *r, int env)
{
    int err = lua_gettop(L);
    struct http_request *request = r->request;
    ending_name(L, err, env);
    if (request != NULL) {
        lua_pushinteger(L, request->attempts);
        lua_setfield(L, err, "attempts");
        if (request->response.request_id[0] != '\0') {
            push_request_id(L, r);
            lua_pushvalue(L, -1);
            lua_setfield(L, err, "request_id");
            lua_setfield(L, env, "request_id");
        }
        if (request->response.status > 0) {
            lua_pushinteger(L, request->response.status);
            lua_setfield(L, err, "status");
        }
    }
    answer_flush(&r->answer);
    ending_set_partial(L, err, env, r);
    lua_setfield(L, env, "err");
    ending_drop(r, false);
    r->failed = true;
}

int ending_failed(lua_State *L)
{
    struct reply *r = lua_touserdata(L, 1);
    if (r->status == REPLY_STREAMING) {
        compat_getenv(L, 1);
        ending_give_up(L, r, 2);
        r->failed = false;
        r->status = REPLY_ERROR;
    }
    return 0;
}

void ending_trim(lua_State *L, int env)
{
    int top = lua_gettop(L);
    lua_getfield(L, env, "max_context_tokens");
    lua_getfield(L, env, "usage");
    if (lua_tonumber(L, top + 1) > 0 && lua_istable(L, top + 2)) {
        lua_getfield(L, top + 2, "total_tokens");
        double total = lua_tonumber(L, -1), max = lua_tonumber(L, top + 1);
        lua_getfield(L, env, "messages");
        if (total > max) {
            history_trim(L, -1, total, max);
            lua_setfield(L, env, "dropped");
        }
    }
    lua_settop(L, top);
}

/* Adds what the server counted to the totals of the bot. [-0, +0, m] */
static void count_usage(lua_State *L, int env)
{
    static const char *const names[] = {"prompt_tokens", "completion_tokens",
                                        "total_tokens"};
    int top = lua_gettop(L);
    lua_getfield(L, env, "usage");
    lua_getfield(L, env, "totals");
    if (lua_istable(L, top + 1) && lua_istable(L, top + 2))
        for (int i = 0; i < 3; i++) {
            lua_getfield(L, top + 1, names[i]);
            lua_getfield(L, top + 2, names[i]);
            double sum = lua_tonumber(L, -1) + lua_tonumber(L, -2);
            lua_pushinteger(L, (lua_Integer)sum);
            lua_setfield(L, top + 2, names[i]);
            lua_pop(L, 2);
        }
    lua_settop(L, top);
}

static enum reply_status status_of(enum answer_verdict verdict)
{
    switch (verdict) {
    case ANSWER_LENGTH:
        return REPLY_LENGTH;
    case ANSWER_TOOL_CALLS:
        return REPLY_TOOL_CALLS;
    case ANSWER_FILTERED:
        return REPLY_FILTERED;
    case ANSWER_FAILED:
        return REPLY_ERROR;
    default:
        return REPLY_COMPLETE;
    }
}

/* The answer is whole: it becomes a message. [-0, +0, m] */
void ending_well(lua_State *L, struct reply *r, int env)
{
    enum reply_status status = REPLY_COMPLETE;
    if (r->request->response.request_id[0] != '\0') {
        push_request_id(L, r);
        lua_setfield(L, env, "request_id");
    }
    if (!r->fetch) {
        message_push(L, &r->answer, env);
        r->dialect->finish(L, &r->answer, env);
        lua_pushvalue(L, -1);
        lua_setfield(L, env, "message");
        status = status_of(message_verdict(L, &r->answer, env));
        lua_getfield(L, env, "messages");
        drop_paused(L, env);
        lua_insert(L, -2);
        history_append(L, -2);
        lua_pop(L, 1);
        r->committed = true;
        lua_getfield(L, env, "hold");
        r->held = lua_toboolean(L, -1);
        lua_pop(L, 1);
        if (r->held)
            ending_mark(L, env, "tail");
        else
            ending_mark(L, env, "settled");
    }
    if (r->held)
        r->verdict = status;
    else
        r->status = status;
    ending_drop(r, true);
    let_go(L, env);
    if (!r->fetch)
        count_usage(L, env);
    if (!r->fetch && !r->held)
        ending_trim(L, env);
}

void ending_push_bytes(lua_State *L, const struct bytes *b, bool empty)
{
    if (b->len > 0 || empty)
        lua_pushlstring(L, b->len > 0 ? b->data : "", b->len);
    else
        lua_pushnil(L);
}
