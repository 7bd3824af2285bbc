/*
 * methods.c - see methods.h.
 */
#include "reply/methods.h"

#include <string.h>

#include "binding/failure.h"
#include "reply/advance.h"
#include "reply/ending.h"
#include "reply/fields.h"
#include "reply/guard.h"

#define HELD 10000 /* us between two looks at a tool that waits */

static struct reply *check(lua_State *L)
{
    return binding_check(L, 1, &reply_type);
}

static int reply_poll(lua_State *L)
{
    struct reply *r = check(L);
    lua_settop(L, 1);
    if (r->status == REPLY_STREAMING)
        advance_step(L, 1, 0);
    switch (advance_reply(L, 1, advance_deadline(L))) {
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
        return binding_fail(L);
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

/* reply:wait([seconds]): blocks until something has changed. */
static int reply_wait(lua_State *L)
{
    struct reply *r = check(L);
    int64_t us = binding_seconds(L, 2, -1);
    lua_settop(L, 1);
    if (us != 0 && r->busy)
        advance_refuse_to_wait(L);
    if (us != 0 && is_tool(L, r))
        return luaL_error(L, "a tool cannot wait for the reply that it is "
                             "called for");
    if (!r->busy && advance_foreign(L, 1)) { /* that has changed */
        luaL_checkstack(L, 24, NULL);
        compat_getenv(L, 1);
        advance_read(L, r, timers_now());
        lua_settop(L, 1);
    }
    if (r->request != NULL) { /* what has come already is no wait */
        advance_step(L, 1, r->request->changed ? 0 : us);
    } else if (held_up(L, r)) { /* nothing tells when the tool is done */
        advance_remind(L, HELD);
        advance_step(L, 1, us);
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
    switch (advance_reply(L, 1, advance_deadline(L))) {
    case REPLY_HAS_FAILED:
        return binding_fail(L);
    case REPLY_HAS_ENDED:
        if (r->held)
            return luaL_error(L, "the reply has not ended");
        advance_push_answer(L, 1);
        return 2;
    default:
        return luaL_error(L, "the reply has not ended");
    }
}

static int reply_close_method(lua_State *L)
{
    check(L);
    guard_close(L, 1);
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
    guard_close(L, 1);
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
        advance_foreign(L, 1))
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
    lua_pushstring(L, fields_status[r->verdict]);
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
    advance_tell_trimmed(L, 2);
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
    guard_push(L, 1, reject, 1);
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
    guard_push(L, 1, clean, 1);
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
    lua_pushfstring(L, "chatbot.reply (%s): %p", fields_status[r->status],
                    (void *)r);
    return 1;
}

/* Older objects whose finalizers come later may still use the reply: it stays a
 * closed one without text. */
static int reply_gc(lua_State *L)
{
    struct reply *r = lua_touserdata(L, 1);
    guard_close(L, 1);
    if (r->busy) /* only while Lua 5.1 closes a state */
        return 0;
    ending_drop(r, false); /* one that has ended but was not taken out */
    redact_free(&r->answer.secret);
    reply_drop_texts(r);
    return 0;
}

void methods_drop(void *user)
{
    struct reply *r = user;
    r->status = REPLY_CANCELLED;
    ending_drop(r, false);
    redact_free(&r->answer.secret);
    reply_drop_texts(r);
}

void methods_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", reply_gc},
        {"__close", reply_close_variable},
        {"__tostring", reply_tostring},
        {"__index", fields_index},
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
    advance_open(L);
    binding_type(L, &reply_type, meta, methods);
}
