/*
 * advance.c - see advance.h.
 */
#include "reply/advance.h"

#include "binding/failure.h"
#include "reply/ending.h"
#include "reply/guard.h"
#include "reply/reading.h"

static const char list_key; /* registry: address of the struct -> userdata */
static const char pump_key; /* registry: pump, which Lua 5.1 would make anew */

/* Calls the function below its `n` arguments; an error in it ends the reply.
 * [-(n + 1), +0, e] */
static void call(lua_State *L, int i, int n)
{
    if (lua_pcall(L, n, 0, 0) != 0) {
        guard_close(L, i);
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

void advance_tell_trimmed(lua_State *L, int env)
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
        guard_push(L, i, push_new_reasoning, 0);
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

bool advance_foreign(lua_State *L, int i)
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

int64_t advance_deadline(lua_State *L)
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
        status = guard_function(L, i, 1, 0);
        r->answer.torn = r->answer.torn || status == LUA_ERRMEM;
        if (status != 0 && !r->answer.torn) {
            guard_close(L, i);
            lua_error(L);
        }
        if (status != 0)
            lua_pop(L, 1);
    }
    if (r->answer.torn && r->status == REPLY_STREAMING) {
        if (guard_call(L, i, end_torn, 0, 0) != 0)
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
    guard_push(L, i, ending_failed, 0);
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

void advance_read(lua_State *L, struct reply *r, int64_t until)
{
    int env = lua_gettop(L), i = env - 1;
    if (r->held && advance_foreign(L, i) &&
        guard_call(L, i, end_foreign, 0, 0) != 0)
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
            advance_tell_trimmed(L, env);
        }
    }
    if (r->eventful)
        tell_events(L, r, i, env);
    tell_reasoning(L, r, i, env);
}

enum reply_state advance_reply(lua_State *L, int i, int64_t until)
{
    struct reply *r = lua_touserdata(L, i);
    if (r->busy) /* this is a finalizer, while it is read */
        return REPLY_WAITS;
    luaL_checkstack(L, 24, NULL);
    i = lua_absindex(L, i);
    lua_pushvalue(L, i);
    compat_getenv(L, i);
    int env = lua_gettop(L);
    advance_read(L, r, until);
    if (r->answer.text.bytes.len > r->given && !r->answer.doubtful) {
        guard_push(L, i, push_new_text, 0);
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
            guard_push(L, i, push_cancelled, 0);
        }
        lua_remove(L, env);
        lua_remove(L, env - 1);
        return REPLY_HAS_FAILED;
    default:
        lua_pop(L, 2);
        return REPLY_HAS_ENDED;
    }
}

void advance_refuse_to_wait(lua_State *L)
{
    luaL_error(L, "a reply is being read: what runs meanwhile, as a finalizer "
                  "does, cannot wait");
}

void advance_step(lua_State *L, int i, int64_t us)
{
    struct http *http = binding_http_if(L);
    struct reply *r = lua_touserdata(L, i);
    if (http == NULL)
        return;
    if (us != 0 && http_locked(http))
        advance_refuse_to_wait(L);
    if (r->request != NULL)
        http_await(r->request, false); /* it is read after this step */
    if (http_step(http, us, BUDGET_PART(binding_budget(L)))) {
        if (http_signalled(http))
            guard_close(L, i);
        else
            binding_hooks(L);
    }
}

void advance_push_answer(lua_State *L, int i)
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
        advance_reply(L, i, until);
    } else {
        lua_pushvalue(L, i);
        compat_getenv(L, i);
        advance_read(L, r, until);
    }
}

void advance_dispatch(lua_State *L, struct http *http, int64_t until)
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

void advance_list(lua_State *L, int i)
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

void advance_open(lua_State *L)
{
    lua_newtable(L); /* the list of replies with an on_text */
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    compat_setkey(L, &list_key);
    lua_pushcfunction(L, pump);
    compat_setkey(L, &pump_key);
}

void advance_remind(lua_State *L, int64_t us)
{
    struct http *http = binding_http_if(L);
    if (http != NULL)
        http_remind(http, us);
}
