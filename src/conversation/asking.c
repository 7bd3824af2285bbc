/*
 * asking.c - see asking.h.
 */
#include "conversation/asking.h"

#include <string.h>

#include "binding/failure.h"
#include "binding/history.h"
#include "binding/options.h"
#include "conversation/bot.h"
#include "conversation/launch.h"
#include "conversation/settings.h"
#include "parsing/utf8.h"
#include "provider/route.h"
#include "reply/advance.h"
#include "reply/guard.h"

/* Replaces the prompt at 2 by the message for it, or leaves nil. False: an
 * error table. [-0, +(0|1), e] */
static bool make_prompt(lua_State *L)
{
    if (lua_isnil(L, 2))
        return true;
    if (!lua_istable(L, 2)) {
        size_t n;
        const char *s = lua_tolstring(L, 2, &n);
        utf8_strip(&s, &n);
        lua_pushlstring(L, s, n);
        lua_replace(L, 2);
    }
    if (lua_rawlen(L, 2) == 0) {
        failure_push(L, FAULT_CONFIG, "the prompt is empty");
        return false;
    }
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "user");
    lua_setfield(L, -2, "role");
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "content");
    lua_replace(L, 2);
    return true;
}

/* Puts the prompt into the conversation, for the reply whose environment is at
 * `renv`; the reply takes it out again when it fails. [-0, +0, m] */
static void add_prompt(lua_State *L, int prompt, int env, int renv)
{
    lua_getfield(L, env, "messages");
    lua_pushvalue(L, -1);
    lua_setfield(L, renv, "messages");
    int messages = lua_gettop(L);
    /* a reply that was lost, whose finalizer has not run yet (5.1 clears weak
     * tables before that) */
    lua_getfield(L, env, "pending");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "settled");
        lua_getfield(L, messages + 1, "tail");
        if (!lua_toboolean(L, -2))
            history_undo(L, messages, messages + 1, lua_toboolean(L, -1));
    }
    lua_settop(L, messages);
    static const char *const fields[] = {"settled", "tail", "replaced", "after",
                                         "user"};
    lua_createtable(L, 0, 5);     /* see history.h */
    for (int i = 0; i < 5; i++) { /* so that there is room for them */
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, fields[i]);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, env, "pending");
    lua_pushvalue(L, -1);
    lua_setfield(L, renv, "pending");
    if (lua_isnil(L, prompt)) {
        lua_rawgeti(L, messages, (int)lua_rawlen(L, messages));
        lua_setfield(L, -2, "after");
    } else {
        lua_pushvalue(L, prompt);
        lua_setfield(L, -2, "user");
        lua_pushvalue(L, prompt);
        history_add(L, messages); /* all that may fail comes before this */
        lua_setfield(L, -2, "replaced");
    }
    lua_settop(L, messages - 1);
}

/* bot, reply, prompt -> nil, or an error table. */
static int begin(lua_State *L)
{
    enum { BOT = 1, REPLY, PROMPT, ENV, RENV };
    const struct reply *r = lua_touserdata(L, REPLY);
    compat_getenv(L, BOT);
    compat_getenv(L, REPLY);
    if (!r->fetch) {
        if (bot_is_busy(L, ENV)) { /* by a finalizer */
            bot_return_busy(L, ENV);
            return 1;
        }
        lua_getfield(L, ENV, "active");
        lua_pushvalue(L, REPLY);
        lua_rawseti(L, -2, 1);
        add_prompt(L, PROMPT, ENV, RENV);
    }
    lua_settop(L, RENV);
    if (launch(L, BOT, REPLY))
        lua_pushnil(L);
    return 1;
}

/* Whether the call says another dialect than that of the route. Pushes what it
 * says, or nil. [-0, +1, m] */
static bool speaks_other(lua_State *L, int route, int call)
{
    if (lua_istable(L, call))
        lua_getfield(L, call, "api");
    else
        lua_pushnil(L);
    lua_getfield(L, route, "api");
    bool other = !lua_isnil(L, -2) && !lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    return other;
}

/* Pushes where a request goes: by the model at `model`, or if that is nil where
 * the bot's do, by its route at `own`, which has just been read, and in the
 * dialect that the call says, if any. `keyed`: whether the program has at this
 * moment given a key for there, or a function. False: an error table.
 * [-0, +1, e] */
static bool push_route(lua_State *L, int bot, int env, int own, int model,
                       int call, bool *keyed)
{
    const struct chatbot *b = lua_touserdata(L, bot);
    lua_getfield(L, env, "api_key");
    bool asks = lua_isfunction(L, -1), has = b->key != NULL;
    lua_pop(L, 1);
    int top = lua_gettop(L);
    bool other = speaks_other(L, own, call), ok = true;
    if (lua_isnil(L, model) && !other)
        lua_pushvalue(L, own);
    else
        ok = settings_push_route(L, env, model, top + 1);
    if (ok)
        *keyed = asks || (has && route_same_server(L, own, top + 2));
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return ok;
}

/* bot, prompt, opts -> reply, or nil and an error table. Common to stream and
 * _get. With `path` it is a GET of base_url .. path. */
static int start(lua_State *L, const char *path)
{
    enum { BOT = 1, PROMPT, OPTS, MODEL, NOTE };
    enum { ENV = NOTE + 1, OPTIONS, HOME, ROUTE, REPLY, RENV };
    bot_check(L);
    lua_settop(L, NOTE);
    luaL_checkstack(L, 40, NULL);
    if (!lua_isnil(L, OPTS)) {
        int arg = path == NULL ? OPTS : OPTS - 1; /* models(opts) */
        settings_need_table(L, OPTS, arg);
        options_copy(L, OPTS, true);
        options_check(L, OPTS, arg, true);
    }
    if (path == NULL && !lua_isnil(L, PROMPT) && !lua_istable(L, PROMPT) &&
        !lua_isstring(L, PROMPT))
        binding_checktype(L, PROMPT, LUA_TSTRING);
    compat_getenv(L, BOT);
    if (path == NULL && bot_is_busy(L, ENV))
        return bot_return_busy(L, ENV);
    lua_getfield(L, ENV, "options");
    lua_getfield(L, ENV, "route");
    bool keyed;
    if (!push_route(L, BOT, ENV, HOME, MODEL, OPTS, &keyed))
        return binding_fail(L);
    if (path == NULL && !make_prompt(L)) {
        route_name(L, ROUTE);
        return binding_fail(L);
    }
    struct reply *r = reply_new(L);
    r->fetch = path != NULL;
    r->keyed = keyed;
    compat_getenv(L, REPLY);
    lua_pushvalue(L, BOT);
    lua_setfield(L, RENV, "bot");
    lua_pushvalue(L, OPTS);
    lua_setfield(L, RENV, "call");
    lua_pushstring(L, path);
    lua_setfield(L, RENV, "path");
    lua_pushvalue(L, NOTE);
    lua_setfield(L, RENV, "note");
    lua_pushvalue(L, ROUTE); /* it stays there when the bot is sent away */
    lua_setfield(L, RENV, "route");
    lua_pushvalue(L, HOME);
    lua_setfield(L, RENV, "home");
    lua_pushvalue(L, OPTIONS);
    lua_setfield(L, RENV, "options");
    r->status = REPLY_STREAMING; /* from here on its finalizer cleans up */
    lua_pushcfunction(L, begin);
    lua_pushvalue(L, BOT);
    lua_pushvalue(L, REPLY);
    lua_pushvalue(L, PROMPT);
    bool raised = lua_pcall(L, 3, 1, 0) != 0;
    if (raised || !lua_isnil(L, -1)) { /* an error table */
        guard_close(L, REPLY);
        if (raised)
            return lua_error(L);
        return binding_fail(L);
    }
    lua_getfield(L, RENV, "on_event");
    r->eventful = lua_isfunction(L, -1);
    lua_getfield(L, RENV, "on_reasoning");
    lua_getfield(L, RENV, "on_text");
    if (r->eventful || lua_isfunction(L, -1) || lua_isfunction(L, -2))
        advance_list(L, REPLY);
    lua_settop(L, REPLY);
    advance_step(L, REPLY, 0); /* under way at once */
    return 1;
}

/* bot:_stream(prompt [, opts [, model [, note]]]): the model is for this reply
 * only, as is the note that is sent with the system message. */
int asking_stream(lua_State *L)
{
    return start(L, NULL);
}

/* bot:_get(path [, opts]): a reply whose answer is the decoded JSON. */
int asking_get(lua_State *L)
{
    const char *path = luaL_checkstring(L, 2);
    lua_settop(L, 3);
    return start(L, path);
}

#if COMPAT_YIELDS

/* reply, whether to wait -> perhaps what advance_reply pushes; its state */
static int turn(lua_State *L)
{
    const struct reply *r = lua_touserdata(L, 1);
    if (r->status == REPLY_STREAMING)
        advance_step(L, 1, lua_toboolean(L, 2) ? -1 : 0);
    lua_settop(L, 1);
    lua_pushinteger(L, advance_reply(L, 1, advance_deadline(L)));
    return lua_gettop(L) - 1;
}

/* One turn of chat's loop after another, until the reply has ended, or in a
 * coroutine until there is something to yield. What raises ends the reply.
 * Stack: bot, prompt, opts, reply, wait. */
static int chat_loop(lua_State *L, int status, lua_KContext context)
{
    enum { REPLY = 4, WAIT };
    bool block = false, failed = status != LUA_OK && status != LUA_YIELD;
    while (!failed) {
        lua_settop(L, WAIT);
        lua_pushcfunction(L, turn);
        lua_pushvalue(L, REPLY);
        lua_pushboolean(L, block);
        failed = lua_pcall(L, 2, LUA_MULTRET, 0) != LUA_OK;
        if (failed)
            break;
        block = false;
        enum reply_state state = (enum reply_state)lua_tointeger(L, -1);
        lua_pop(L, 1);
        switch (state) {
        case REPLY_HAS_TEXT:
            if (lua_isnil(L, WAIT) && compat_isyieldable(L))
                return lua_yieldk(L, 1, context, chat_loop);
            break;
        case REPLY_WAITS:
            if (!lua_isnil(L, WAIT)) {
                lua_pushvalue(L, WAIT);
                lua_pushvalue(L, REPLY);
                failed = lua_pcallk(L, 1, 0, 0, context, chat_loop) != LUA_OK;
            } else if (compat_isyieldable(L)) {
                lua_pushliteral(L, "");
                return lua_yieldk(L, 1, context, chat_loop);
            } else {
                block = true;
            }
            break;
        case REPLY_HAS_ENDED:
            advance_push_answer(L, REPLY);
            return 2;
        default:
            return binding_fail(L);
        }
    }
    guard_close(L, REPLY);
    return lua_error(L);
}

int asking_chat(lua_State *L)
{
    lua_settop(L, 3);
    lua_pushcfunction(L, asking_stream);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_call(L, 3, 2);
    if (lua_isnil(L, 4))
        return 2;
    lua_settop(L, 4);
#if LUA_VERSION_NUM >= 504
    lua_toclose(L, 4); /* an error or coroutine.close cancels at once */
#endif
    compat_getenv(L, 4);
    lua_getfield(L, -1, "wait");
    lua_replace(L, 5);
    return chat_loop(L, LUA_OK, 0);
}

#endif

/* bot:_relaunch(reply, opts [, model [, note [, resumed]]]): a reply that has
 * ended, or failed before its first text, asks again, with other settings; or
 * for the rest of its answer. -> true, or nil, err
 */
int asking_relaunch(lua_State *L)
{
    enum { BOT = 1, REPLY, OPTS, MODEL, NOTE, RENV, ENV };
    bot_check(L);
    struct reply *r = binding_check(L, REPLY, &reply_type);
    r->resumed = lua_toboolean(L, NOTE + 1);
    lua_settop(L, NOTE);
    compat_getenv(L, REPLY);
    if (!lua_isnil(L, MODEL)) {
        compat_getenv(L, BOT);
        lua_getfield(L, ENV, "route");
        bool keyed;
        if (!push_route(L, BOT, ENV, ENV + 1, MODEL, OPTS, &keyed))
            return binding_fail(L);
        lua_setfield(L, RENV, "route");
        r->keyed = keyed;
        lua_settop(L, RENV);
    }
    lua_pushvalue(L, OPTS);
    lua_setfield(L, RENV, "call");
    lua_pushvalue(L, NOTE);
    lua_setfield(L, RENV, "note");
    if (!launch(L, BOT, REPLY))
        return binding_fail(L);
    lua_pushboolean(L, 1);
    return 1;
}
