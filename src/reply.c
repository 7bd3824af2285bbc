/*
 * reply.c - see reply.h.
 *
 * reply_advance is the one place where bytes turn into text: it takes events
 * out of the request, hands them to delta.c or to JSON and chunk.c, and when
 * the request has ended it gives the verdict. A stream is complete only when
 * finish_reason or [DONE] was seen, however well the connection ended.
 */
#include "reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "binding.h"
#include "chunk.h"
#include "failure.h"
#include "history.h"
#include "json.h"
#include "retry.h"

#define GRACE   5.0   /* s to wait for usage and [DONE] after finish_reason */
#define EXCERPT 200   /* printable bytes of a body that is no answer */
#define AT_ONCE 16    /* events between two looks at the clock */
#define HELD    10000 /* us between two looks at a tool that waits */

const struct binding_type reply_type = {"chatbot.reply"};
static const char list_key; /* registry: address of the struct -> userdata */

static const char *const status_names[] = {"error",  "streaming",  "complete",
                                           "length", "tool_calls", "filtered",
                                           "error",  "cancelled"};

/* ---- life ---- */

/* Gives back all but what the user may still ask for. */
static void drop_request(struct reply *r, bool complete)
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
    size_t n = 0;
    if (redact_find(&r->secret, r->last.data, r->last.len, 0, &n) < r->last.len)
        bytes_free(&r->last);
    redact_free(&r->secret);
    bytes_free(&r->scratch);
}

/* Makes the conversation what it was before the prompt. [-0, +0, -] */
static void rollback(lua_State *L, const struct reply *r, int env)
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
static void mark(lua_State *L, int env, const char *name)
{
    lua_getfield(L, env, "pending");
    if (lua_istable(L, -1)) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, name); /* a field that is there */
    }
    lua_pop(L, 1);
}

/* Leaves the conversation as it was before the prompt, or, when the options say
 * so, with what has arrived as the answer. [-0, +0, m] */
static void give_up(lua_State *L, struct reply *r, int env)
{
    int top = lua_gettop(L);
    lua_getfield(L, env, "keep_partial");
    if (lua_toboolean(L, -1) && r->text.bytes.len > 0) {
        lua_getfield(L, env, "messages");
        lua_createtable(L, 0, 2);
        lua_pushliteral(L, "assistant");
        lua_setfield(L, -2, "role");
        lua_pushlstring(L, r->text.bytes.data, r->text.bytes.len);
        lua_setfield(L, -2, "content");
        history_append(L, top + 2);
        mark(L, env, "settled");
    } else {
        rollback(L, r, env);
    }
    lua_settop(L, top);
}

static int protected_give_up(lua_State *L)
{
    compat_getenv(L, 1);
    give_up(L, lua_touserdata(L, 1), 2);
    return 0;
}

static int protected_rollback(lua_State *L)
{
    compat_getenv(L, 1);
    rollback(L, lua_touserdata(L, 1), 2);
    return 0;
}

void reply_close(lua_State *L, int i)
{
    struct reply *r = lua_touserdata(L, i);
    if (r->status != REPLY_STREAMING)
        return;
    r->status = REPLY_CANCELLED;
    r->held = false;
    drop_request(r, false);
    i = lua_absindex(L, i);
    static const lua_CFunction ways[] = {protected_give_up, protected_rollback};
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        lua_pushcfunction(L, ways[k]);
        lua_pushvalue(L, i);
        if (lua_pcall(L, 1, 0, 0) == 0)
            break;
        lua_pop(L, 1); /* no memory; the other needs none */
    }
}

static int reply_gc(lua_State *L)
{
    struct reply *r = lua_touserdata(L, 1);
    reply_close(L, 1);
    drop_request(r, false); /* one that has ended but was not taken out */
    redact_free(&r->secret);
    bytes_free(&r->text.bytes);
    bytes_free(&r->reasoning.bytes);
    bytes_free(&r->refusal.bytes);
    bytes_free(&r->scratch);
    bytes_free(&r->last);
    return 0;
}

struct reply *reply_new(lua_State *L)
{
    return binding_new(L, &reply_type, sizeof(struct reply));
}

void reply_forget(lua_State *L, int i)
{
    struct reply *r = lua_touserdata(L, i);
    static const char *const names[] = {
        "id",         "model",      "usage",      "finish_reason", "logprobs",
        "tool_calls", "tool_index", "tool_parts", "request_id",    "raw"};
    bytes_free(&r->text.bytes);
    bytes_free(&r->reasoning.bytes);
    bytes_free(&r->refusal.bytes);
    bytes_free(&r->scratch);
    bytes_free(&r->last);
    r->text = r->reasoning = r->refusal = (struct reply_text){.utf8.len = 0};
    r->shape = (struct delta_shape){0}; /* that of `last`, which is gone */
    r->form = FORM_UNKNOWN;
    r->more = false;
    r->finished = r->ended = r->named = r->held = false;
    r->given = r->kept = r->reasoning_given = 0;
    compat_getenv(L, i);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        lua_pushnil(L);
        lua_setfield(L, -2, names[k]);
    }
    lua_pop(L, 1);
}

bool reply_start(lua_State *L, int i, struct http *http,
                 const struct http_options *o, const char *key)
{
    struct reply *r = lua_touserdata(L, i);
    size_t max = o->limits.max_body;
    bytes_init(&r->text.bytes, max);
    bytes_init(&r->reasoning.bytes, max);
    bytes_init(&r->refusal.bytes, max);
    bytes_init(&r->scratch, max);
    bytes_init(&r->last, o->limits.max_event);
    if (!redact_init(&r->secret, key)) {
        free(o->body);
        failure_push(L, FAULT_MEMORY, "not enough memory");
        return false;
    }
    enum http_fault fault = http_start(http, o, &r->request);
    if (fault != FAULT_NONE) {
        redact_free(&r->secret);
        failure_push(L, fault,
                     fault == FAULT_CLOSED
                         ? "this process was forked; its parent has the "
                           "connections"
                         : "not enough memory");
        return false;
    }
    r->status = REPLY_STREAMING;
    r->request->user = r;
    return true;
}

/* ---- the end of a reply ---- */

static void set_text(lua_State *L, int table, const char *name,
                     const struct bytes *b)
{
    if (b->len == 0)
        return;
    lua_pushlstring(L, b->data, b->len);
    lua_setfield(L, table, name);
}

static void push_request_id(lua_State *L, const struct reply *r)
{
    const char *id = r->request->response.request_id;
    failure_redact(L, id, strlen(id), &r->secret);
}

static void copy_field(lua_State *L, int from, const char *name, int to)
{
    lua_getfield(L, from, name);
    lua_setfield(L, to, name);
}

/* Adds what every error table says. [-0, +0, m] */
static void name_failure(lua_State *L, int err, int env)
{
    copy_field(L, env, "provider", err);
    lua_getfield(L, env, "asked_model");
    lua_setfield(L, err, "model");
}

/* Asks the bot's method _failed, which may launch the reply again with other
 * settings: true when it has. The reply stands below its environment, the error
 * table is on top. [-0, +0, m] */
static bool launched_again(lua_State *L, struct reply *r, int env)
{
    int top = lua_gettop(L);
    bool again = false;
    if (r->fetch || r->text.bytes.len > 0)
        return false;
    lua_getfield(L, env, "bot");
    lua_getfield(L, -1, "_failed");
    if (lua_isfunction(L, -1)) {
        lua_insert(L, -2); /* _failed, bot */
        lua_pushvalue(L, env - 1);
        lua_pushvalue(L, top);
        r->torn = false; /* it may look at the reply */
        again = lua_pcall(L, 3, 1, 0) == 0 && lua_toboolean(L, -1);
        r->torn = true;
    }
    lua_settop(L, top);
    return again && r->request != NULL;
}

/* Ends the reply with the error table on top, which is kept as env.err.
 * [-1, +0, m] */
static void end_badly(lua_State *L, struct reply *r, int env)
{
    int err = lua_gettop(L);
    struct http_request *request = r->request;
    name_failure(L, err, env);
    if (request != NULL) {
        lua_pushinteger(L, request->attempts);
        lua_setfield(L, err, "attempts");
        if (request->response.request_id[0] != '\0') {
            lua_pushstring(L, request->response.request_id);
            lua_setfield(L, err, "request_id");
            push_request_id(L, r);
            lua_setfield(L, env, "request_id");
        }
        if (request->response.status > 0) {
            lua_pushinteger(L, request->response.status);
            lua_setfield(L, err, "status");
        }
    }
    /* what is held of a started code point becomes U+FFFD, if there is room */
    utf8_finish(&r->text.utf8, &r->text.bytes);
    set_text(L, err, "partial", &r->text.bytes);
    failure_redact_all(L, err, &r->secret);
    drop_request(r, false);
    if (launched_again(L, r, env)) {
        lua_settop(L, err - 1);
        return;
    }
    give_up(L, r, env);
    lua_setfield(L, env, "err");
    r->status = REPLY_ERROR;
}

static void trim(lua_State *L, int env)
{
    int top = lua_gettop(L);
    lua_getfield(L, env, "max_context_tokens");
    lua_getfield(L, env, "usage");
    if (lua_isnumber(L, top + 1) && lua_istable(L, top + 2)) {
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

/* The answer is whole: it becomes a message. [-0, +0, m] */
static void end_well(lua_State *L, struct reply *r, int env)
{
    enum reply_status status = REPLY_COMPLETE;
    if (r->request->response.request_id[0] != '\0') {
        push_request_id(L, r);
        lua_setfield(L, env, "request_id");
    }
    if (!r->fetch) {
        chunk_finish(L, r, env); /* message */
        status = chunk_status(L, env);
        lua_getfield(L, env, "messages");
        lua_insert(L, -2);
        history_append(L, -2);
        lua_pop(L, 1);
        r->committed = true;
        lua_getfield(L, env, "hold");
        r->held = lua_toboolean(L, -1);
        lua_pop(L, 1);
        if (r->held)
            mark(L, env, "tail");
        else
            mark(L, env, "settled");
    }
    if (r->held)
        r->verdict = status;
    else
        r->status = status;
    drop_request(r, true);
    if (!r->fetch)
        count_usage(L, env);
    if (!r->fetch && !r->held)
        trim(L, env);
}

/* Pushes the error table for a body that came with an HTTP error, or with 2xx
 * and no answer in it. [-0, +1, m] */
static void push_body_error(lua_State *L, struct reply *r, enum http_fault kind,
                            const char *text)
{
    struct http_request *request = r->request;
    const struct bytes *in = &request->sse.in;
    failure_push(L, kind, "%s", text);
    int err = lua_gettop(L);
    failure_redact(L, in->len > 0 ? in->data : "", in->len, &r->secret);
    size_t n;
    const char *body = lua_tolstring(L, -1, &n);
    bool told = json_decode(L, body, n) && failure_describe(L, err);
    lua_settop(L, err + 1);
    if (!told && n > 0) {
        failure_excerpt(L, body, n, EXCERPT);
        if (lua_rawlen(L, -1) > 0) {
            lua_pushfstring(L, "%s: %s", text, lua_tostring(L, -1));
            lua_setfield(L, err, "message");
        }
    }
    lua_settop(L, err);
}

static void push_http_error(lua_State *L, struct reply *r)
{
    struct http_request *request = r->request;
    int status = request->response.status;
    if (status >= 300 && status < 400) {
        failure_push(L, FAULT_REDIRECT,
                     "the server redirects (HTTP %d), which is never followed: "
                     "use the final address as base_url",
                     status);
        if (request->location != NULL) {
            lua_pushstring(L, request->location);
            lua_setfield(L, -2, "location");
        }
        return;
    }
    push_body_error(L, r, FAULT_HTTP,
                    lua_pushfstring(L, "the server answered HTTP %d", status));
    lua_remove(L, -2);
    const struct bytes *in = &request->sse.in;
    bool retryable =
        (status == 408 || status == 409 || status == 429 || status >= 500) &&
        !(in->len > 0 && retry_quota(in->data, in->len));
    lua_pushboolean(L, retryable);
    lua_setfield(L, -2, "retryable");
    struct retry_failure f = {
        .retry_after_ms = request->response.retry_after_ms,
        .retry_after = request->response.retry_after,
        .now = (int64_t)time(NULL),
    };
    double seconds = retry_asked(&f);
    if (seconds >= 0) {
        lua_pushnumber(L, seconds);
        lua_setfield(L, -2, "retry_after");
    }
}

/* Pushes the error table for what the engine found. [-0, +1, m] */
static void push_engine_error(lua_State *L, struct reply *r)
{
    struct http_request *request = r->request;
    if (request->state == HTTP_CLOSED) {
        failure_push(L, FAULT_CLOSED, "the engine is closed");
        return;
    }
    failure_redact(L, request->message, strlen(request->message), &r->secret);
    failure_push(L, request->fault, "%s", lua_tostring(L, -1));
    lua_remove(L, -2);
    lua_pushboolean(L, request->retryable);
    lua_setfield(L, -2, "retryable");
    if (request->fault == FAULT_TIMEOUT) {
        lua_pushstring(L, request->phase);
        lua_setfield(L, -2, "phase");
    }
}

/* ---- events ---- */

/* Pushes the error table for an error event with this data. [-0, +1, m] */
static void push_event_error(lua_State *L, struct reply *r, const char *s,
                             size_t n)
{
    failure_push(L, FAULT_API, "the server reported an error");
    int err = lua_gettop(L);
    failure_redact(L, s, n, &r->secret);
    s = lua_tolstring(L, -1, &n);
    if (!json_decode(L, s, n) || !failure_describe(L, err)) {
        lua_settop(L, err + 1);
        failure_excerpt(L, s, n, EXCERPT);
        if (lua_rawlen(L, -1) > 0)
            lua_setfield(L, err, "message");
    }
    lua_settop(L, err);
}

/* Keeps the event for `raw`, and to know the next one by it. Without memory
 * there is none. */
static void keep_last(struct reply *r, const char *s, size_t n, size_t same)
{
    r->last.len = same;
    if (bytes_append(&r->last, s + same, n - same) != BYTES_OK)
        r->last.len = r->shape.text = 0;
}

/* Keeps the decoded event on top for on_event, if there is such an option; it
 * is called when all has been taken in. [-0, +0, m] */
static void keep_event(lua_State *L, struct reply *r, int env)
{
    if (!r->eventful)
        return;
    lua_getfield(L, env, "events");
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, env, "events");
    }
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

/* Decodes an event for on_event alone. [-0, +0, m] */
static void decode_event(lua_State *L, struct reply *r, int env, const char *s,
                         size_t n)
{
    int top = lua_gettop(L);
    failure_redact(L, s, n, &r->secret);
    s = lua_tolstring(L, -1, &n);
    if (json_decode(L, s, n))
        keep_event(L, r, env);
    lua_settop(L, top);
}

/* Decodes what delta.c does not know, and merges it. [-0, +(0|1), m] */
static bool take_other(lua_State *L, struct reply *r, int env, const char *s,
                       size_t n, bool last)
{
    failure_redact(L, s, n, &r->secret);
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    if (!json_decode(L, text, len) || !lua_istable(L, -1)) {
        if (last) { /* cut: the verdict is that of the stream */
            lua_pop(L, 2);
            return true;
        }
        lua_pop(L, 1);
        failure_excerpt(L, text, len, EXCERPT);
        failure_push(L, FAULT_PROTOCOL,
                     "an event of the stream is not JSON: %s",
                     lua_tostring(L, -1));
        return false;
    }
    lua_remove(L, -2);
    keep_event(L, r, env);
    r->event_len = n;
    return chunk_merge(L, r, env);
}

/* One JSON text of the stream. False: an error table is pushed. `last`: the
 * stream ended inside this event. [-0, +(0|1), m] */
static bool take_json(lua_State *L, struct reply *r, int env, const char *s,
                      size_t n, bool last)
{
    struct delta d;
    bool was = r->finished;
    size_t same = r->shape.text;
    bool plain = delta_same(&r->shape, r->last.data, s, n, &d);
    if (!plain) {
        plain = delta_scan(s, n, &d) == DELTA_PLAIN;
        same = r->shape.text = 0;
        if (plain)
            delta_learn(&r->shape, s, n, &d);
    }
    if (!plain) {
        if (!take_other(L, r, env, s, n, last))
            return false;
    } else {
        if (r->eventful)
            decode_event(L, r, env, s, n);
        enum http_fault fault = chunk_plain(L, r, env, &d);
        if (fault != FAULT_NONE) {
            failure_push(L, fault,
                         fault == FAULT_LIMIT
                             ? "the answer is larger than max_answer_bytes"
                             : "not enough memory");
            return false;
        }
    }
    if (r->finished && !was && !last)
        http_idle(r->request, GRACE);
    keep_last(r, s, n, same);
    return true;
}

/* False: an error table is pushed. [-0, +(0|1), m] */
static bool take_event(lua_State *L, struct reply *r, int env,
                       const struct sse_event *ev, bool last)
{
    if (ev->is_error ||
        (ev->type_len == 5 && memcmp(ev->type, "error", 5) == 0)) {
        push_event_error(L, r, ev->data, ev->data_len);
        return false;
    }
    if (ev->data_len == 0)
        return true;
    http_event(r->request);
    if (ev->data_len == 6 && memcmp(ev->data, "[DONE]", 6) == 0) {
        r->finished = r->ended = true;
        return true;
    }
    return take_json(L, r, env, ev->data, ev->data_len, last);
}

/* Takes the events out, as many as there is time for. False: an error table is
 * pushed. [-0, +(0|1), m] */
static bool take_stream(lua_State *L, struct reply *r, int env, int64_t until)
{
    struct http_request *request = r->request;
    struct sse_event ev;
    unsigned taken = 0;
    r->more = false;
    while (!r->ended) {
        if (++taken % AT_ONCE == 0 && timers_now() >= until) {
            r->more = true;
            http_again(request);
            return true;
        }
        switch (sse_next(&request->sse, &ev)) {
        case SSE_EVENT:
            if (!take_event(L, r, env, &ev, false))
                return false;
            break;
        case SSE_MORE:
            if (request->state == HTTP_RUNNING) {
                http_drained(request);
                return true;
            }
            while (!r->ended && sse_end(&request->sse, &ev) == SSE_EVENT)
                if (!take_event(L, r, env, &ev, true))
                    return false;
            return true;
        case SSE_LIMIT:
            failure_push(L, FAULT_LIMIT,
                         "an event of the stream is larger than "
                         "max_event_bytes");
            return false;
        default:
            failure_push(L, FAULT_MEMORY, "not enough memory");
            return false;
        }
    }
    return true;
}

/* ---- whole documents ---- */

static int push_bytes(lua_State *L, const struct bytes *b, bool empty)
{
    if (b->len > 0 || empty)
        lua_pushlstring(L, b->len > 0 ? b->data : "", b->len);
    else
        lua_pushnil(L);
    return 1;
}

/* The document has arrived. False: an error table is pushed. [-0, +(0|1), m] */
static bool take_document(lua_State *L, struct reply *r, int env)
{
    const struct bytes *in = &r->request->sse.in;
    const char *s = in->data;
    size_t n = in->len;
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0)
        s += 3, n -= 3;
    failure_redact(L, s, n, &r->secret);
    s = lua_tolstring(L, -1, &n);
    if (!json_decode(L, s, n) || !lua_istable(L, -1)) {
        lua_pop(L, 2);
        if (r->request->state == HTTP_FAILED)
            return true; /* cut: the engine knows why */
        push_body_error(L, r, FAULT_PROTOCOL, "the answer is not JSON");
        return false;
    }
    lua_remove(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, env, "raw");
    if (r->fetch) {
        r->finished = true;
        lua_pop(L, 1);
        return true;
    }
    lua_pushvalue(L, -1);
    if (!chunk_merge(L, r, env))
        return false;
    /* A completion without a finish_reason is whole all the same. */
    lua_getfield(L, -1, "choices");
    bool answer = lua_istable(L, -1) && lua_rawlen(L, -1) > 0;
    lua_pop(L, 1);
    if (answer) {
        r->finished = true;
        lua_pop(L, 1);
        return true;
    }
    failure_push(L, FAULT_PROTOCOL, "the answer has no choices");
    lua_insert(L, -2);
    int err = lua_gettop(L) - 1;
    if (failure_describe(L, err)) {
        lua_pushliteral(L, "api");
        lua_setfield(L, err, "kind");
    }
    return false;
}

/* A document of any type has arrived: the answer has it as it is. [-0, +0, m]
 */
static void take_any(lua_State *L, struct reply *r, int env)
{
    const struct http_request *request = r->request;
    lua_createtable(L, 0, 3);
    push_bytes(L, &request->sse.in, true);
    lua_setfield(L, -2, "body");
    lua_pushinteger(L, request->response.status);
    lua_setfield(L, -2, "status");
    lua_pushstring(L, request->response.content_type);
    lua_setfield(L, -2, "content_type");
    lua_setfield(L, env, "raw");
    r->finished = true;
}

static bool is_event_line(const char *s, size_t n)
{
    static const char *const starts[] = {
        "data:", ":", "event:", "id:", "retry:", "error:"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t len = strlen(starts[i]);
        if (n >= len && memcmp(s, starts[i], len) == 0)
            return true;
    }
    return false;
}

/* What the first bytes tell about the rest. False: an error table is pushed.
 * [-0, +(0|1), m] */
static bool find_form(lua_State *L, struct reply *r)
{
    struct http_request *request = r->request;
    const char *s = request->sse.in.data;
    size_t n = request->sse.in.len, i = 0;
    const char *type = request->response.content_type;
    bool stream_type = strncasecmp(type, "text/event-stream", 17) == 0;
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0)
        i = 3;
    while (i < n && strchr(" \t\r\n", s[i]) != NULL && s[i] != '\0')
        i++;
    if (i == n) {
        http_drained(request);
        return true;
    }
    if (s[i] == '{' || s[i] == '[') {
        r->form = FORM_WHOLE;
        request->whole = true;
        http_drained(request);
    } else if (stream_type || (is_event_line(s + i, n - i) &&
                               strncasecmp(type, "text/html", 9) != 0)) {
        r->form = FORM_STREAM;
        request->whole = false;
    } else {
        if (n - i < EXCERPT && request->state == HTTP_RUNNING)
            return true; /* more to show, or to go by */
        push_body_error(L, r, FAULT_PROTOCOL,
                        lua_pushfstring(L,
                                        "the answer is neither JSON nor an "
                                        "event stream but '%s'",
                                        *type ? type : "(no content type)"));
        return false;
    }
    return true;
}

/* ---- the verdict ---- */

/* The request has ended, and all of it has been read. [-0, +0, m] */
static void judge(lua_State *L, struct reply *r, int env)
{
    struct http_request *request = r->request;
    int status = request->response.status;
    if (r->finished) {
        end_well(L, r, env);
        return;
    }
    if (status >= 300 && request->response.header_done) {
        push_http_error(L, r);
    } else if (request->state != HTTP_DONE) {
        push_engine_error(L, r);
    } else if (request->sse.in.len == 0 && r->form == FORM_UNKNOWN) {
        failure_push(L, FAULT_TRUNCATED,
                     "the server answered HTTP %d without any content", status);
    } else {
        failure_push(L, FAULT_TRUNCATED,
                     "the stream ended before the answer was complete");
    }
    end_badly(L, r, env);
}

/* Takes what has arrived, up to the end. [-0, +0, m] */
static void pump(lua_State *L, struct reply *r, int env, int64_t until)
{
    struct http_request *request = r->request;
    http_take(request);
    int status = request->response.status;
    bool over = request->state != HTTP_RUNNING, good = true;
    if (status >= 200 && status < 300 && request->response.header_done) {
        if (r->document && request->state == HTTP_DONE)
            take_any(L, r, env);
        else if (!r->document && r->form == FORM_UNKNOWN &&
                 request->sse.in.len > 0)
            good = find_form(L, r);
        if (good && r->form == FORM_STREAM)
            good = take_stream(L, r, env, until);
        else if (good && r->form == FORM_WHOLE && over)
            good = take_document(L, r, env);
    }
    if (!good)
        end_badly(L, r, env);
    else if (r->ended)
        end_well(L, r, env);
    else if (over && !r->more)
        judge(L, r, env);
}

/* Calls the function on top with the text below it; an error in it ends the
 * reply. [-1, +0, e] */
static void call_on_text(lua_State *L, int i)
{
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 0, 0) != 0) {
        reply_close(L, i);
        lua_error(L);
    }
}

/* Prints usage or the whole reply, as the method _report does it. [-0, +0, e]
 */
static void tell(lua_State *L, int i, int env)
{
    int top = lua_gettop(L);
    lua_getfield(L, env, "verbose");
    if (lua_tonumber(L, -1) >= 1) {
        lua_getfield(L, i, "_report");
        lua_pushvalue(L, i);
        lua_pushvalue(L, top + 1);
        lua_call(L, 2, 0);
    }
    lua_settop(L, top);
}

/* Hands the messages that were trimmed to on_trim. [-0, +0, e] */
static void tell_trimmed(lua_State *L, int env)
{
    int top = lua_gettop(L);
    lua_getfield(L, env, "dropped");
    lua_getfield(L, env, "on_trim");
    if (lua_istable(L, -2) && lua_isfunction(L, -1)) {
        lua_pushvalue(L, -2);
        lua_call(L, 1, 0);
    }
    lua_settop(L, top);
}

/* Hands the events that were decoded to on_event; one that it closes the reply
 * at is the last. [-0, +0, e] */
static void tell_events(lua_State *L, struct reply *r, int i, int env)
{
    int top = lua_gettop(L);
    lua_getfield(L, env, "events");
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_pushnil(L);
    lua_setfield(L, env, "events");
    lua_getfield(L, env, "on_event");
    int n = (int)lua_rawlen(L, top + 1);
    for (int k = 1; k <= n && r->status != REPLY_CANCELLED; k++) {
        lua_rawgeti(L, top + 1, k);
        lua_pushvalue(L, top + 2);
        call_on_text(L, i);
        lua_pop(L, 1);
    }
    lua_settop(L, top);
}

/* Hands new reasoning to on_reasoning, when there is such an option. */
static void tell_reasoning(lua_State *L, struct reply *r, int i, int env)
{
    const struct bytes *b = &r->reasoning.bytes;
    if (b->len == r->reasoning_given)
        return;
    lua_getfield(L, env, "on_reasoning");
    if (lua_isfunction(L, -1)) {
        lua_pushlstring(L, b->data + r->reasoning_given,
                        b->len - r->reasoning_given);
        lua_insert(L, -2);
        r->reasoning_given = b->len;
        call_on_text(L, i);
    }
    lua_pop(L, 1);
}

int64_t reply_deadline(lua_State *L)
{
    return timers_now() + BUDGET_PART(binding_budget(L));
}

enum reply_state reply_advance(lua_State *L, int i, int64_t until)
{
    struct reply *r = lua_touserdata(L, i);
    luaL_checkstack(L, 24, NULL);
    i = lua_absindex(L, i);
    lua_pushvalue(L, i); /* the reply stands below its environment */
    compat_getenv(L, i);
    int env = lua_gettop(L);
    if (r->status == REPLY_STREAMING && (r->request != NULL || r->torn)) {
        bool torn = r->torn;
        r->torn = true;
        if (torn) { /* an event may be lost: what is left is not the answer */
            failure_push(L, FAULT_MEMORY, "not enough memory");
            end_badly(L, r, env);
        } else {
            pump(L, r, env, until);
        }
        r->torn = false;
        if (r->status != REPLY_STREAMING || r->held)
            tell(L, i, env);
        if (r->status != REPLY_STREAMING)
            tell_trimmed(L, env);
    }
    if (r->eventful)
        tell_events(L, r, i, env);
    tell_reasoning(L, r, i, env);
    size_t n = r->text.bytes.len - r->given;
    if (n > 0) {
        lua_pushlstring(L, r->text.bytes.data + r->given, n);
        lua_getfield(L, env, "on_text");
        r->given += n;
        if (lua_isfunction(L, -1))
            call_on_text(L, i);
        else
            lua_pop(L, 1);
        lua_remove(L, env);
        lua_remove(L, env - 1);
        return REPLY_HAS_TEXT;
    }
    switch (r->status) {
    case REPLY_STREAMING:
        if (r->request != NULL)
            http_await(r->request, true);
        lua_pop(L, 2);
        return r->held ? REPLY_HAS_ENDED : REPLY_WAITS;
    case REPLY_ERROR:
    case REPLY_CANCELLED:
    case REPLY_CLOSED:
        lua_getfield(L, env, "err");
        if (lua_isnil(L, -1)) { /* closed by the user */
            lua_pop(L, 1);
            failure_push(L, FAULT_CANCELLED, "the reply was cancelled");
            int err = lua_gettop(L);
            name_failure(L, err, env);
            lua_pushinteger(L, r->attempts);
            lua_setfield(L, err, "attempts");
            set_text(L, err, "partial", &r->text.bytes);
        }
        lua_remove(L, env);
        lua_remove(L, env - 1);
        return REPLY_HAS_FAILED;
    default:
        lua_pop(L, 2);
        return REPLY_HAS_ENDED;
    }
}

void reply_step(lua_State *L, int i, int64_t us)
{
    struct http *http = binding_http_if(L);
    struct reply *r = lua_touserdata(L, i);
    if (http == NULL)
        return;
    if (r->request != NULL)
        http_await(r->request, false); /* it is read after this step */
    if (http_step(http, us, BUDGET_PART(binding_budget(L)))) {
        if (http_signalled(http))
            reply_close(L, i);
        else
            binding_hooks(L);
    }
}

void reply_push_answer(lua_State *L, int i)
{
    struct reply *r = lua_touserdata(L, i);
    i = lua_absindex(L, i);
    compat_getenv(L, i);
    if (r->fetch) {
        lua_getfield(L, -1, "raw");
    } else {
        lua_getfield(L, -1, "message");
        lua_getfield(L, -1, "content");
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_pushliteral(L, "");
        }
        lua_remove(L, -2);
    }
    lua_remove(L, -2);
    lua_pushvalue(L, i);
}

void reply_dispatch(lua_State *L, struct http *http, int64_t until)
{
    struct http_request *request;
    int top = lua_gettop(L);
    while ((request = http_changed(http)) != NULL) {
        if (request->user == NULL)
            continue;
        compat_getkey(L, &list_key);
        lua_pushlightuserdata(L, request->user);
        lua_rawget(L, -2);
        if (binding_test(L, -1, &reply_type) != NULL)
            reply_advance(L, top + 2, until);
        lua_settop(L, top);
        if ((request = http_oldest(http)) != NULL && timers_now() >= until) {
            http_again(request);
            return;
        }
    }
}

/* ---- methods ---- */

static struct reply *check(lua_State *L)
{
    return binding_check(L, 1, &reply_type);
}

static int reply_poll(lua_State *L)
{
    struct reply *r = check(L);
    lua_settop(L, 1);
    if (r->status == REPLY_STREAMING)
        reply_step(L, 1, 0);
    switch (reply_advance(L, 1, reply_deadline(L))) {
    case REPLY_HAS_TEXT:
        return 1;
    case REPLY_WAITS:
        lua_pushnil(L);
        lua_pushliteral(L, "wait");
        return 2;
    case REPLY_HAS_ENDED:
        lua_pushnil(L);
        lua_pushliteral(L, "done");
        return 2;
    default:
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
}

/* Whether the reply goes on when a tool does, which has its own clock. */
static bool held_up(lua_State *L, const struct reply *r)
{
    if (!r->held)
        return false;
    compat_getenv(L, 1);
    lua_getfield(L, -1, "job");
    bool waits = !lua_isnil(L, -1);
    lua_pop(L, 2);
    return waits;
}

/* reply:wait([seconds]): blocks until something has changed. */
static int reply_wait(lua_State *L)
{
    struct reply *r = check(L);
    int64_t us = binding_seconds(L, 2, -1);
    lua_settop(L, 1);
    if (r->request != NULL) /* what has come already is no wait */
        reply_step(L, 1, r->request->changed ? 0 : us);
    else if (held_up(L, r))
        reply_step(L, 1, us < 0 || us > HELD ? HELD : us);
    lua_pushboolean(L, r->status != REPLY_STREAMING);
    return 1;
}

/* reply:_answer(): `answer, reply` or `nil, err` of a reply that has ended. */
static int reply_answer(lua_State *L)
{
    struct reply *r = check(L);
    lua_settop(L, 1);
    r->given = r->text.bytes.len;
    switch (reply_advance(L, 1, reply_deadline(L))) {
    case REPLY_HAS_FAILED:
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    case REPLY_HAS_ENDED:
        if (r->held)
            return luaL_error(L, "the reply has not ended");
        reply_push_answer(L, 1);
        return 2;
    default:
        return luaL_error(L, "the reply has not ended");
    }
}

static int reply_close_method(lua_State *L)
{
    check(L);
    reply_close(L, 1);
    if (lua_isfunction(L, 2)) {
        lua_settop(L, 2);
        lua_call(L, 0, 0);
    }
    return 0;
}

static int reply_is_closing(lua_State *L)
{
    lua_pushboolean(L, check(L)->status != REPLY_STREAMING);
    return 1;
}

/* The pollable protocol of cqueues: pollfd, events, timeout. */
static int reply_pollfd(lua_State *L)
{
    struct reply *r = check(L);
    struct http *http = binding_http_if(L);
    int fd = http == NULL ? -1 : http_fd(http);
    if (r->request != NULL) /* whoever asks is about to wait */
        http_await(r->request, true);
    if (fd < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, fd);
    return 1;
}

static int reply_events(lua_State *L)
{
    check(L);
    lua_pushliteral(L, "r");
    return 1;
}

static int reply_timeout(lua_State *L)
{
    struct reply *r = check(L);
    struct http *http = binding_http_if(L);
    int64_t us = http == NULL ? -1 : http_timeout(http);
    if (r->status != REPLY_STREAMING || r->held)
        us = held_up(L, r) ? HELD : 0;
    if (us < 0)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (lua_Number)us / 1e6);
    return 1;
}

/* reply:_env(): what the Lua side keeps with a reply. No key is in it. */
static int reply_env(lua_State *L)
{
    check(L);
    compat_getenv(L, 1);
    return 1;
}

/* reply:_is_held() -> whether _release, _reject or bot:_relaunch is due; the
 * status that _release would set */
static int reply_is_held(lua_State *L)
{
    struct reply *r = check(L);
    lua_pushboolean(L, r->held);
    lua_pushstring(L, status_names[r->verdict]);
    return 2;
}

/* reply:_release(): what was held is the answer. */
static int reply_release(lua_State *L)
{
    struct reply *r = check(L);
    lua_settop(L, 1);
    if (!r->held)
        return 0;
    r->held = false;
    r->status = r->verdict;
    compat_getenv(L, 1);
    mark(L, 2, "settled");
    trim(L, 2);
    tell_trimmed(L, 2);
    return 0;
}

/* reply:_reject(message | err): an answer that is whole, but not what was asked
 * for: the conversation is as it was before. */
static int reply_reject(lua_State *L)
{
    struct reply *r = check(L);
    lua_settop(L, 2);
    compat_getenv(L, 1);
    int env = lua_gettop(L);
    rollback(L, r, env);
    if (lua_istable(L, 2))
        lua_pushvalue(L, 2);
    else
        failure_push(L, FAULT_PROTOCOL, "%s", luaL_checkstring(L, 2));
    name_failure(L, env + 1, env);
    set_text(L, env + 1, "partial", &r->text.bytes);
    lua_setfield(L, env, "err");
    r->status = REPLY_ERROR;
    r->held = false;
    return 0;
}

/* reply:_waiter(): the function that was given as `wait`, or nil. */
static int reply_waiter(lua_State *L)
{
    check(L);
    compat_getenv(L, 1);
    lua_getfield(L, -1, "wait");
    return 1;
}

static int reply_tostring(lua_State *L)
{
    struct reply *r = check(L);
    lua_pushfstring(L, "chatbot.reply (%s): %p", status_names[r->status],
                    (void *)r);
    return 1;
}

/* __index: a method (first upvalue), else a field. */
static int reply_index(lua_State *L)
{
    static const char *const in_env[] = {
        "usage",    "finish_reason", "logprobs",   "tool_calls", "message",
        "id",       "model",         "request_id", "provider",   "parsed",
        "adjusted", "attempts"};
    struct reply *r = check(L);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (!lua_isnil(L, -1))
        return 1;
    if (lua_type(L, 2) != LUA_TSTRING)
        return 1;
    const char *name = lua_tostring(L, 2);
    if (strcmp(name, "text") == 0)
        return push_bytes(L, &r->text.bytes, true);
    if (strcmp(name, "reasoning") == 0)
        return push_bytes(L, &r->reasoning.bytes, false);
    if (strcmp(name, "refusal") == 0)
        return push_bytes(L, &r->refusal.bytes, false);
    if (strcmp(name, "status") == 0) {
        lua_pushstring(L, status_names[r->status]);
        return 1;
    }
    compat_getenv(L, 1);
    if (strcmp(name, "raw") == 0) {
        lua_getfield(L, -1, "raw");
        if (lua_isnil(L, -1) && r->last.len > 0) {
            failure_redact(L, r->last.data, r->last.len, &r->secret);
            const char *s = lua_tostring(L, -1);
            if (!json_decode(L, s, lua_rawlen(L, -1)))
                lua_pushnil(L);
        }
        return 1;
    }
    if (strcmp(name, "tool_calls") == 0 && r->status == REPLY_STREAMING) {
        lua_pushnil(L); /* not before they are whole */
        return 1;
    }
    for (size_t i = 0; i < sizeof in_env / sizeof *in_env; i++)
        if (strcmp(name, in_env[i]) == 0) {
            lua_getfield(L, -1, name);
            return 1;
        }
    lua_pushnil(L);
    return 1;
}

void reply_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", reply_gc},
        {"__close", reply_close_method},
        {"__tostring", reply_tostring},
        {"__index", reply_index},
        {NULL, NULL},
    };
    static const luaL_Reg methods[] = {
        {"poll", reply_poll},
        {"_poll", reply_poll},
        {"wait", reply_wait},
        {"close", reply_close_method},
        {"is_closing", reply_is_closing},
        {"pollfd", reply_pollfd},
        {"events", reply_events},
        {"timeout", reply_timeout},
        {"_answer", reply_answer},
        {"_waiter", reply_waiter},
        {"_env", reply_env},
        {"_reject", reply_reject},
        {"_release", reply_release},
        {"_is_held", reply_is_held},
        {NULL, NULL},
    };
    lua_newtable(L); /* the list of replies with an on_text */
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    compat_setkey(L, &list_key);
    binding_type(L, &reply_type, meta, methods);
}

void reply_list(lua_State *L, int i)
{
    i = lua_absindex(L, i);
    compat_getkey(L, &list_key);
    lua_pushlightuserdata(L, lua_touserdata(L, i));
    lua_pushvalue(L, i);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}
