/*
 * reply.c - see reply.h. The userdata and its methods; what is read is the
 * business of reading.c, how a reply ends that of ending.c.
 */
#include "reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "binding.h"
#include "ending.h"
#include "failure.h"
#include "json.h"
#include "reading.h"
#include "request.h"

#define HELD 10000 /* us between two looks at a tool that waits */

const struct binding_type reply_type = {"chatbot.reply"};
static const char list_key; /* registry: address of the struct -> userdata */
static const char pump_key; /* registry: pump, which Lua 5.1 would make anew */

static const char *const status_names[] = {"error",  "streaming",  "complete",
                                           "length", "tool_calls", "filtered",
                                           "error",  "cancelled"};

/* ---- life ---- */

/* Frees all text. What was handed out of it is known no longer. */
static void drop_texts(struct reply *r)
{
    answer_free(&r->answer);
    bytes_free(&r->last);
    r->shape = (struct shape){0}; /* that of `last`, which is gone */
    r->given = r->reasoning_given = 0;
}

void reply_drop(void *user)
{
    struct reply *r = user;
    r->status = REPLY_CANCELLED;
    ending_drop(r, false);
    redact_free(&r->answer.secret);
    drop_texts(r);
}

/* Older objects whose finalizers come later may still use the reply: it stays a
 * closed one without text. */
static int reply_gc(lua_State *L)
{
    struct reply *r = lua_touserdata(L, 1);
    reply_close(L, 1);
    if (r->busy) /* only while Lua 5.1 closes a state */
        return 0;
    ending_drop(r, false); /* one that has ended but was not taken out */
    redact_free(&r->answer.secret);
    drop_texts(r);
    return 0;
}

struct reply *reply_new(lua_State *L)
{
    return binding_new(L, &reply_type, sizeof(struct reply), 16);
}

void reply_forget(lua_State *L, int i)
{
    struct reply *r = lua_touserdata(L, i);
    static const char *const names[] = {
        "id",         "model",      "usage",        "finish_reason", "logprobs",
        "tool_calls", "tool_index", "tool_parts",   "request_id",    "raw",
        "text",       "details",    "detail_index", "extra_content"};
    drop_texts(r);
    r->form = FORM_UNKNOWN;
    r->more = r->held = r->begun = false;
    r->blanks = 0;
    compat_getenv(L, i);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        lua_pushnil(L);
        lua_setfield(L, -2, names[k]);
    }
    lua_getfield(L, -1, "details_back");
    r->answer.details = lua_toboolean(L, -1);
    lua_pop(L, 1);
    lua_getfield(L, -1, "think_tags");
    lua_getfield(L, -2, "several");
    answer_forget(&r->answer, lua_toboolean(L, -2), lua_toboolean(L, -1));
    lua_pop(L, 3);
}

bool reply_start(lua_State *L, int i, struct http *http, struct http_options *o,
                 const char *key)
{
    struct reply *r = lua_touserdata(L, i);
    size_t max = o->limits.max_body;
    answer_init(&r->answer, max);
    bytes_init(&r->last, o->limits.max_event);
    if (!request_secrets(o, key, &r->answer.secret)) {
        body_free(&o->body);
        failure_push(L, FAULT_MEMORY, "not enough memory");
        return false;
    }
    enum http_fault fault = http_start(http, o, &r->request);
    if (fault != FAULT_NONE) {
        redact_free(&r->answer.secret);
        failure_push(L, fault,
                     fault == FAULT_CLOSED ? "the engine is closed"
                                           : "not enough memory");
        return false;
    }
    r->status = REPLY_STREAMING;
    r->request->user = r;
    r->request->served = r->listed;
    return true;
}

/* ---- nothing changes while C looks ---- */

/* The same for the function below its `n` arguments. [-(n + 1), +r, m] */
static int guard(lua_State *L, int i, int n, int results)
{
    struct reply *r = lua_touserdata(L, i);
    struct http *http = r->request == NULL ? NULL : r->request->http;
    bool before = r->busy;
    lua_pushvalue(L, i);
    lua_insert(L, -n - 1);
    r->busy = true;
    if (http != NULL)
        http_lock(http);
    int status = lua_pcall(L, n + 1, results, 0);
    if (http != NULL)
        http_unlock(http);
    r->busy = before;
    if (r->closing && !r->busy)
        reply_close(L, i);
    return status;
}

int reply_guard(lua_State *L, int i, lua_CFunction f, int n, int results)
{
    luaL_checkstack(L, 4, NULL);
    i = lua_absindex(L, i);
    lua_pushcfunction(L, f);
    lua_insert(L, -n - 1);
    return guard(L, i, n, results);
}

/* Calls `f`, which pushes one value, under reply_guard. [-n, +1, e] */
static void guarded(lua_State *L, int i, lua_CFunction f, int n)
{
    if (reply_guard(L, i, f, n, 1) != 0)
        lua_error(L);
}

/* ---- advancing ---- */

/* Calls the function below its `n` arguments; an error in it ends the reply.
 * [-(n + 1), +0, e] */
static void call(lua_State *L, int i, int n)
{
    if (lua_pcall(L, n, 0, 0) != 0) {
        reply_close(L, i);
        lua_error(L);
    }
}

/* Calls the function on top with the text below it. [-1, +0, e] */
static void call_on_text(lua_State *L, int i)
{
    lua_pushvalue(L, -2);
    call(L, i, 1);
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

/* Pushes what has been added to `b` since `*given`, or nil. */
static int push_new(lua_State *L, const struct bytes *b, size_t *given)
{
    if (*given == b->len) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, b->data + *given, b->len - *given);
        *given = b->len;
    }
    return 1;
}

static int push_new_reasoning(lua_State *L)
{
    struct reply *r = lua_touserdata(L, 1);
    return push_new(L, &r->answer.reasoning.bytes, &r->reasoning_given);
}

/* Hands new reasoning to on_reasoning, when there is such an option, and says
 * whether it is the first of a request. Thoughts of an earlier one, perhaps of
 * another model, are set off from these by an empty line. [-0, +0, e] */
static void tell_reasoning(lua_State *L, struct reply *r, int i, int env)
{
    if (r->answer.reasoning.bytes.len == r->reasoning_given ||
        r->answer.doubtful)
        return;
    lua_getfield(L, env, "on_reasoning");
    if (lua_isfunction(L, -1)) {
        guarded(L, i, push_new_reasoning, 0);
        if (!lua_isnil(L, -1)) {
            if (!r->begun && r->thought) {
                lua_pushliteral(L, "\n\n");
                lua_insert(L, -2);
                lua_concat(L, 2);
            }
            lua_pushboolean(L, !r->begun);
            r->begun = r->thought = true;
            call(L, i, 2);
        }
    }
    lua_settop(L, env);
}

static int push_new_text(lua_State *L)
{
    struct reply *r = lua_touserdata(L, 1);
    return push_new(L, &r->answer.text.bytes, &r->given);
}

/* The text of an answer that was handed out is env.text, and stands here no
 * longer. */
static void drop_text(struct reply *r)
{
    bool whole = r->status >= REPLY_COMPLETE && r->status <= REPLY_FILTERED;
    if (!whole || r->held || r->given < r->answer.text.bytes.len)
        return;
    bytes_free(&r->answer.text.bytes);
    r->given = 0;
}

bool reply_foreign(lua_State *L, int i)
{
    const struct reply *r = lua_touserdata(L, i);
    if (r->status != REPLY_STREAMING)
        return false;
    compat_getenv(L, i);
    lua_getfield(L, -1, "engine");
    bool foreign = binding_foreign(L, -1);
    lua_pop(L, 2);
    return foreign;
}

int64_t reply_deadline(lua_State *L)
{
    return timers_now() + BUDGET_PART(binding_budget(L));
}

/* Arguments: the reply, and the address of a time on timers_now's clock. */
static int pump(lua_State *L)
{
    enum { REPLY = 1, UNTIL, ENV };
    struct reply *r = lua_touserdata(L, REPLY);
    const int64_t *until = lua_touserdata(L, UNTIL);
    luaL_checkstack(L, 24, NULL);
    compat_getenv(L, REPLY);
    lua_replace(L, UNTIL);
    if (r->status == REPLY_STREAMING && r->request != NULL)
        reading_pump(L, r, UNTIL, *until);
    return 0;
}

/* Memory ran out while a reply was read: an event may be lost, and what is left
 * is not the answer. */
static int end_torn(lua_State *L)
{
    struct reply *r = lua_touserdata(L, 1);
    luaL_checkstack(L, 24, NULL);
    compat_getenv(L, 1);
    failure_push(L, FAULT_MEMORY, "not enough memory");
    if (r->status == REPLY_STREAMING)
        ending_badly(L, r, 2);
    return 0;
}

/* What is held has no request that tells. */
static int end_foreign(lua_State *L)
{
    struct reply *r = lua_touserdata(L, 1);
    r->held = false;
    compat_getenv(L, 1);
    failure_push(L, FAULT_CLOSED, CLOSED_BY_FORK);
    ending_badly(L, r, 2);
    return 0;
}

/* Reads what has arrived. An error that is not of memory comes from a finalizer
 * (before Lua 5.4): it ends the reply, as one in a callback. [-0, +0, e] */
static void take_arrived(lua_State *L, struct reply *r, int i, int64_t until)
{
    int status = 0;
    if (!r->answer.torn && !r->failed) {
        compat_getkey(L, &pump_key);
        lua_pushlightuserdata(L, &until);
        status = guard(L, i, 1, 0);
        r->answer.torn = r->answer.torn || status == LUA_ERRMEM;
        if (status != 0 && !r->answer.torn) {
            reply_close(L, i);
            lua_error(L);
        }
        if (status != 0)
            lua_pop(L, 1);
    }
    if (r->answer.torn && r->status == REPLY_STREAMING) {
        if (reply_guard(L, i, end_torn, 0, 0) != 0)
            lua_error(L); /* still no memory: the next one tries again */
        r->answer.torn = false;
    }
}

/* Asks the method _failed of the bot, which may launch the failed reply again
 * with other settings: then it goes on. [-0, +0, e] */
static void end_failed(lua_State *L, struct reply *r, int i, int env)
{
    int top = lua_gettop(L);
    if (!r->fetch && r->answer.text.bytes.len == 0) {
        lua_getfield(L, env, "bot");
        lua_getfield(L, -1, "_failed");
        if (lua_isfunction(L, -1)) {
            lua_insert(L, -2); /* _failed, bot */
            lua_pushvalue(L, i);
            lua_getfield(L, env, "err");
            r->failed = false;     /* not again, should it poll the reply */
            lua_pcall(L, 3, 0, 0); /* what it raises is no second failure */
            r->failed = true;
        }
        lua_settop(L, top);
    }
    if (r->request != NULL || r->status != REPLY_STREAMING) { /* or closed */
        r->failed = false;
        lua_pushnil(L);
        lua_setfield(L, env, "err");
        return;
    }
    guarded(L, i, ending_failed, 0);
    lua_settop(L, top);
}

static int push_cancelled(lua_State *L)
{
    const struct reply *r = lua_touserdata(L, 1);
    compat_getenv(L, 1);
    failure_push(L, FAULT_CANCELLED, "the reply was cancelled");
    ending_name(L, 3, 2);
    lua_pushinteger(L, r->attempts);
    lua_setfield(L, 3, "attempts");
    ending_set_partial(L, 3, 2, r);
    return 1;
}

/* Reads what has arrived, and calls what wants to know, but for new text. The
 * reply and its environment are on top. [-0, +0, e] */
static void advance(lua_State *L, struct reply *r, int64_t until)
{
    int env = lua_gettop(L), i = env - 1;
    if (r->held && reply_foreign(L, i) &&
        reply_guard(L, i, end_foreign, 0, 0) != 0)
        lua_error(L);
    if (r->status == REPLY_STREAMING &&
        (r->request != NULL || r->answer.torn || r->failed)) {
        take_arrived(L, r, i, until);
        if (r->failed && r->status == REPLY_STREAMING)
            end_failed(L, r, i, env);
        if (r->status != REPLY_STREAMING || r->held)
            tell(L, i, env);
        if (r->status != REPLY_STREAMING) {
            redact_free(
                &r->answer.secret); /* nothing more is said of the request */
            tell_trimmed(L, env);
        }
    }
    if (r->eventful)
        tell_events(L, r, i, env);
    tell_reasoning(L, r, i, env);
}

enum reply_state reply_advance(lua_State *L, int i, int64_t until)
{
    struct reply *r = lua_touserdata(L, i);
    if (r->busy) /* this is a finalizer, while it is read */
        return REPLY_WAITS;
    luaL_checkstack(L, 24, NULL);
    i = lua_absindex(L, i);
    lua_pushvalue(L, i);
    compat_getenv(L, i);
    int env = lua_gettop(L);
    advance(L, r, until);
    if (r->answer.text.bytes.len > r->given && !r->answer.doubtful) {
        guarded(L, i, push_new_text, 0);
        if (!lua_isnil(L, -1)) {
            lua_getfield(L, env, "on_text");
            drop_text(r);
            if (lua_isfunction(L, -1))
                call_on_text(L, i);
            else
                lua_pop(L, 1);
            lua_remove(L, env);
            lua_remove(L, env - 1);
            return REPLY_HAS_TEXT;
        }
        lua_pop(L, 1);
    }
    drop_text(r);
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
            guarded(L, i, push_cancelled, 0);
        }
        lua_remove(L, env);
        lua_remove(L, env - 1);
        return REPLY_HAS_FAILED;
    default:
        lua_pop(L, 2);
        return REPLY_HAS_ENDED;
    }
}

static void refuse_to_wait(lua_State *L)
{
    luaL_error(L, "a reply is being read: what runs meanwhile, as a finalizer "
                  "does, cannot wait");
}

void reply_step(lua_State *L, int i, int64_t us)
{
    struct http *http = binding_http_if(L);
    struct reply *r = lua_touserdata(L, i);
    if (http == NULL)
        return;
    if (us != 0 && http_locked(http))
        refuse_to_wait(L);
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

/* Text is handed to on_text, or left for a poll. [-0, +(0|1), e] */
static void serve(lua_State *L, int i, int64_t until)
{
    struct reply *r = lua_touserdata(L, i);
    if (r->busy)
        return;
    luaL_checkstack(L, 24, NULL);
    compat_getenv(L, i);
    lua_getfield(L, -1, "on_text");
    bool wanted = lua_isfunction(L, -1);
    lua_pop(L, 2);
    if (wanted) {
        reply_advance(L, i, until);
    } else {
        lua_pushvalue(L, i);
        compat_getenv(L, i);
        advance(L, r, until);
    }
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
        if (lua_touserdata(L, -1) == request->user) /* else it is dying */
            serve(L, top + 2, until);
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

/* Whether the reply at 1 goes on when a tool does. */
static bool held_up(lua_State *L, const struct reply *r)
{
    if (!r->held)
        return false;
    compat_getenv(L, 1);
    lua_getfield(L, 2, "job");
    lua_getfield(L, 2, "running");
    bool waits = lua_toboolean(L, -1) || lua_toboolean(L, -2);
    lua_settop(L, 1);
    return waits;
}

/* Whether this coroutine is in a tool of the reply at 1. [-0, +0, m] */
static bool is_tool(lua_State *L, const struct reply *r)
{
    if (!r->held)
        return false;
    compat_getenv(L, 1);
    lua_getfield(L, -1, "runner");
    bool same = lua_isthread(L, -1) && lua_tothread(L, -1) == L;
    lua_pop(L, 2);
    return same;
}

static int reply_in_tool(lua_State *L)
{
    lua_pushboolean(L, is_tool(L, check(L)));
    return 1;
}

/* Lets the host look again after `us`, where there is an engine: not in a child
 * that has begun nothing yet. [-0, +0, -] */
static void remind(lua_State *L, int64_t us)
{
    struct http *http = binding_http_if(L);
    if (http != NULL)
        http_remind(http, us);
}

/* reply:wait([seconds]): blocks until something has changed. */
static int reply_wait(lua_State *L)
{
    struct reply *r = check(L);
    int64_t us = binding_seconds(L, 2, -1);
    lua_settop(L, 1);
    if (us != 0 && r->busy)
        refuse_to_wait(L);
    if (us != 0 && is_tool(L, r))
        return luaL_error(L, "a tool cannot wait for the reply that it is "
                             "called for");
    if (!r->busy && reply_foreign(L, 1)) { /* that has changed */
        luaL_checkstack(L, 24, NULL);
        compat_getenv(L, 1);
        advance(L, r, timers_now());
        lua_settop(L, 1);
    }
    if (r->request != NULL) { /* what has come already is no wait */
        reply_step(L, 1, r->request->changed ? 0 : us);
    } else if (held_up(L, r)) { /* nothing tells when the tool is done */
        remind(L, HELD);
        reply_step(L, 1, us);
    } else if (r->status == REPLY_STREAMING && !r->held && us != 0) {
        return luaL_error(L, "the reply is being made by what waits for it");
    }
    lua_pushboolean(L, r->status != REPLY_STREAMING);
    return 1;
}

/* reply:_answer(): `answer, reply` or `nil, err` of a reply that has ended. */
static int reply_answer(lua_State *L)
{
    struct reply *r = check(L);
    lua_settop(L, 1);
    r->given = r->answer.text.bytes.len;
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

/* __close, whose second argument is the error that is on its way. */
static int reply_close_variable(lua_State *L)
{
    check(L);
    reply_close(L, 1);
    return 0;
}

static int reply_is_closing(lua_State *L)
{
    const struct reply *r = check(L);
    lua_pushboolean(L, r->status != REPLY_STREAMING || r->closing);
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
    lua_settop(L, 1);
    if (r->status != REPLY_STREAMING || (r->held && !held_up(L, r)) ||
        reply_foreign(L, 1))
        us = 0;
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
    const struct reply *r = check(L);
    lua_pushboolean(L, r->held && !r->busy);
    lua_pushstring(L, status_names[r->verdict]);
    return 2;
}

/* reply:_has_news() -> whether poll may say more than "wait" by now. One that
 * is held never does. */
static int reply_has_news(lua_State *L)
{
    const struct reply *r = check(L);
    lua_pushboolean(L, r->request != NULL ? r->request->changed : !r->held);
    return 1;
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
    redact_free(&r->answer.secret);
    compat_getenv(L, 1);
    ending_mark(L, 2, "settled");
    ending_trim(L, 2);
    tell_trimmed(L, 2);
    return 0;
}

/* The error table for the message at 2, which may quote the answer. */
static void push_rejection(lua_State *L, const struct reply *r)
{
    size_t n;
    const char *s = luaL_checklstring(L, 2, &n);
    failure_clean(L, s, n, &r->answer.secret, false);
    failure_push(L, FAULT_PROTOCOL, "%s", lua_tostring(L, -1));
    lua_remove(L, -2);
}

/* reply:_reject(message | err): an answer that is whole, but not what was asked
 * for: the conversation is as it was before. */
static int reject(lua_State *L)
{
    enum { REPLY = 1, ERR, ENV };
    struct reply *r = lua_touserdata(L, REPLY);
    compat_getenv(L, REPLY);
    if (r->status != REPLY_STREAMING)
        return 0;
    ending_rollback(L, r, ENV);
    if (!lua_istable(L, ERR)) {
        push_rejection(L, r);
        lua_replace(L, ERR);
    }
    ending_name(L, ERR, ENV);
    ending_set_partial(L, ERR, ENV, r);
    lua_pushvalue(L, ERR);
    lua_setfield(L, ENV, "err");
    r->status = REPLY_ERROR;
    r->held = false;
    redact_free(&r->answer.secret);
    return 0;
}

static int reply_reject(lua_State *L)
{
    check(L);
    lua_settop(L, 2);
    guarded(L, 1, reject, 1);
    return 0;
}

static int clean(lua_State *L)
{
    const struct reply *r = lua_touserdata(L, 1);
    failure_redact(L, lua_tostring(L, 2), lua_rawlen(L, 2), &r->answer.secret,
                   false);
    failure_line(L, lua_tostring(L, -1), lua_rawlen(L, -1), SIZE_MAX);
    return 1;
}

/* reply:_clean(text) -> the text as verbose writes it: on one line, without
 * secrets. */
static int reply_clean(lua_State *L)
{
    check(L);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    guarded(L, 1, clean, 1);
    return 1;
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

/* Arguments: the reply, the address of bytes in it. */
static int push_bytes(lua_State *L)
{
    const struct bytes *b = lua_touserdata(L, 2);
    ending_push_bytes(L, b, true);
    return 1;
}

/* The bytes of the reply at 1; none: "" or nil, as `empty` says. */
static int index_bytes(lua_State *L, struct bytes *b, bool empty)
{
    if (b->len == 0 && !empty) {
        lua_pushnil(L);
    } else {
        lua_pushlightuserdata(L, b);
        guarded(L, 1, push_bytes, 1);
    }
    return 1;
}

/* The last event, decoded; nil when it cannot be. */
static int push_last(lua_State *L)
{
    const struct reply *r = lua_touserdata(L, 1);
    if (!json_decode(L, r->last.data, r->last.len))
        lua_pushnil(L);
    return 1;
}

/* Reads what has arrived for the reply at 1, where nobody else does: its fields
 * tell what is there, whoever lets the engine work. One that waits for the
 * reply is woken. [-0, +0, e] */
static void look(lua_State *L, struct reply *r)
{
    struct http_request *request = r->request;
    if (r->status != REPLY_STREAMING || r->busy || r->listed ||
        request == NULL || !request->changed)
        return;
    bool awaited = request->awaited;
    int top = lua_gettop(L);
    luaL_checkstack(L, 24, NULL);
    lua_pushvalue(L, 1);
    compat_getenv(L, 1);
    advance(L, r, reply_deadline(L));
    lua_settop(L, top);
    if (!awaited)
        return;
    if (r->request != NULL)
        http_again(r->request);
    else
        remind(L, 0);
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
    look(L, r);
    if (strcmp(name, "text") == 0) {
        compat_getenv(L, 1);
        lua_getfield(L, -1, "text");
        return r->answer.text.bytes.len == 0 && lua_isstring(L, -1)
                   ? 1
                   : index_bytes(L, &r->answer.text.bytes, true);
    }
    if (strcmp(name, "reasoning") == 0)
        return index_bytes(L, &r->answer.reasoning.bytes, false);
    if (strcmp(name, "refusal") == 0)
        return index_bytes(L, &r->answer.refusal.bytes, false);
    if (strcmp(name, "status") == 0) {
        lua_pushstring(L, status_names[r->status]);
        return 1;
    }
    compat_getenv(L, 1);
    if (strcmp(name, "raw") == 0) {
        lua_getfield(L, -1, "raw");
        if (lua_isnil(L, -1) && r->last.len > 0)
            guarded(L, 1, push_last, 0);
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
        {"__close", reply_close_variable},
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
        {"_clean", reply_clean},
        {"_env", reply_env},
        {"_reject", reply_reject},
        {"_release", reply_release},
        {"_is_held", reply_is_held},
        {"_has_news", reply_has_news},
        {"_in_tool", reply_in_tool},
        {NULL, NULL},
    };
    lua_newtable(L); /* the list of replies with an on_text */
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    compat_setkey(L, &list_key);
    lua_pushcfunction(L, pump);
    compat_setkey(L, &pump_key);
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
    struct reply *r = lua_touserdata(L, i);
    r->listed = true;
    if (r->request != NULL)
        r->request->served = true;
}
