/*
 * chatbot.c - see chatbot.h.
 */
#include "chatbot.h"

#include <stdlib.h>
#include <string.h>

#include "advance.h"
#include "failure.h"
#include "guard.h"
#include "history.h"
#include "launch.h"
#include "options.h"
#include "reply.h"
#include "route.h"
#include "utf8.h"

const struct binding_type chatbot_type = {"chatbot"};

static struct chatbot *check(lua_State *L)
{
    return binding_check(L, 1, &chatbot_type);
}

static void free_key(struct chatbot *b)
{
    if (b->key == NULL)
        return;
    for (volatile char *p = b->key; *p != '\0'; p++)
        *p = '\0';
    free(b->key);
    b->key = NULL;
}

static int chatbot_gc(lua_State *L)
{
    free_key(lua_touserdata(L, 1));
    return 0;
}

/* ---- options ---- */

/* Options at `i`, which are argument `arg` of what was called. [-0, +0, e] */
static void need_table(lua_State *L, int i, int arg)
{
    if (!lua_istable(L, i))
        binding_argerror(
            L, arg,
            lua_pushfstring(L, "table expected, got %s", luaL_typename(L, i)));
}

/* Moves the api_key in the table at `options` to where it is kept. A key that
 * has been given belongs to the provider and URL it was given for. */
static void set_key(lua_State *L, struct chatbot *b, int env, int options)
{
    lua_getfield(L, options, "api_key");
    if (lua_isfunction(L, -1)) {
        free_key(b);
        lua_setfield(L, env, "api_key");
        return;
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        size_t n;
        const char *key = lua_tolstring(L, -1, &n);
        free_key(b);
        b->key = malloc(n + 1);
        if (b->key == NULL)
            luaL_error(L, "not enough memory");
        compat_visible(b->key, key, n);
        lua_pushnil(L);
        lua_setfield(L, env, "api_key");
    }
    lua_pop(L, 1);
}

/* Copies options that have a value; the key stays out. [-0, +0, m] */
static void copy_options(lua_State *L, int from, int to)
{
    lua_pushnil(L);
    while (lua_next(L, from)) {
        const char *name = lua_tostring(L, -2);
        if (strcmp(name, "api_key") != 0 && strcmp(name, "messages") != 0 &&
            strcmp(name, "system") != 0) {
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_settable(L, to);
        }
        lua_pop(L, 1);
    }
}

/* Pushes the route of a model that stands in for the bot's: at the address and
 * with the provider that the bot was given, if any. False: an error table.
 * [-0, +1, e] */
static bool push_other_route(lua_State *L, int env, int model)
{
    luaL_checkstack(L, 4, NULL);
    lua_getfield(L, env, "options");
    int options = lua_gettop(L);
    lua_getfield(L, options, "provider");
    lua_getfield(L, options, "base_url");
    bool ok = route_push(L, model, options + 1, options + 2, dialect_chat.path);
    lua_replace(L, options);
    lua_settop(L, options);
    return ok;
}

/* Finds the route for env.options and stores it; raises when there is none,
 * because naming an unknown provider is misuse. [-0, +0, e] */
static void find_route(lua_State *L, int env, int options, int arg)
{
    int top = lua_gettop(L);
    lua_getfield(L, options, "model");
    lua_getfield(L, options, "provider");
    lua_getfield(L, options, "base_url");
    if (!route_push(L, top + 1, top + 2, top + 3, dialect_chat.path)) {
        lua_getfield(L, -1, "message");
        binding_argerror(L, arg, lua_tostring(L, -1));
    }
    lua_setfield(L, env, "route");
    lua_settop(L, top);
}

static void set_messages(lua_State *L, int messages, int from, int arg)
{
    const char *wrong = history_check(L, from);
    if (wrong != NULL)
        binding_argerror(L, arg, wrong);
    binding_argcheck(L, history_assign(L, messages, from), arg,
                     "a message is nested too deeply");
}

/* Gives a new bot's environment the weak table for its reply, so that a lost
 * reply is collected, and the totals of usage. [-0, +0, m] */
static void set_active(lua_State *L, int env)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_setfield(L, env, "active");
    lua_newtable(L);
    lua_setfield(L, env, "totals");
}

int chatbot_new(lua_State *L)
{
    int arg = (int)luaL_optinteger(L, 2, 1);
    need_table(L, 1, arg);
    lua_settop(L, 1);
    luaL_checkstack(L, 24, NULL);
    options_copy(L, 1, false);
    options_check(L, 1, arg, false);
    struct chatbot *b = binding_new(L, &chatbot_type, sizeof *b, 8); /* 2 */
    compat_getenv(L, 2);                                             /* 3 */
    lua_newtable(L);                                                 /* 4 */
    lua_newtable(L);                                                 /* 5 */
    copy_options(L, 1, 4);
    lua_getfield(L, 1, "messages");
    if (!lua_isnil(L, -1))
        set_messages(L, 5, 6, arg);
    lua_getfield(L, 1, "system");
    if (lua_isnil(L, -1))
        lua_pop(L, 1);
    else
        history_system(L, 5);
    lua_settop(L, 5);
    lua_setfield(L, 3, "messages");
    find_route(L, 3, 4, arg);
    lua_setfield(L, 3, "options");
    set_active(L, 3);
    set_key(L, b, 3, 1);
    lua_settop(L, 2);
    return 1;
}

/* Whether a reply of the bot with this environment is under way. In a child
 * after fork, that of the parent is not. [-0, +0, e] */
static bool is_busy(lua_State *L, int env)
{
    lua_getfield(L, env, "active");
    lua_rawgeti(L, -1, 1);
    struct reply *r = lua_touserdata(L, -1);
    int top = lua_gettop(L);
    if (r != NULL && advance_foreign(L, top)) {
        advance_reply(L, top, timers_now());
        lua_settop(L, top);
    }
    lua_pop(L, 2);
    return r != NULL && r->status == REPLY_STREAMING;
}

/* nil and an error table, for the bot with this environment. [-0, +2, m] */
static int return_busy(lua_State *L, int env)
{
    lua_getfield(L, env, "route");
    int route = lua_gettop(L);
    lua_pushnil(L);
    failure_push(L, FAULT_BUSY,
                 "a reply of this bot is still under way: wait for it, or "
                 "close it");
    launch_name(L, route);
    return 2;
}

/* ---- starting a reply ---- */

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
        if (is_busy(L, ENV)) { /* by a finalizer */
            return_busy(L, ENV);
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

/* bot, prompt, opts -> reply, or nil and an error table. Common to stream and
 * _get. With `path` it is a GET of base_url .. path. */
static int start(lua_State *L, const char *path)
{
    enum { BOT = 1, PROMPT, OPTS, MODEL, NOTE, ENV, ROUTE, REPLY, RENV };
    check(L);
    lua_settop(L, NOTE);
    luaL_checkstack(L, 40, NULL);
    if (!lua_isnil(L, OPTS)) {
        int arg = path == NULL ? OPTS : OPTS - 1; /* models(opts) */
        need_table(L, OPTS, arg);
        options_copy(L, OPTS, true);
        options_check(L, OPTS, arg, true);
    }
    if (path == NULL && !lua_isnil(L, PROMPT) && !lua_istable(L, PROMPT) &&
        !lua_isstring(L, PROMPT))
        binding_checktype(L, PROMPT, LUA_TSTRING);
    compat_getenv(L, BOT);
    if (path == NULL && is_busy(L, ENV))
        return return_busy(L, ENV);
    if (lua_isnil(L, MODEL)) {
        lua_getfield(L, ENV, "route");
    } else if (!push_other_route(L, ENV, MODEL)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (path == NULL && !make_prompt(L)) {
        launch_name(L, ROUTE);
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    struct reply *r = reply_new(L);
    r->fetch = path != NULL;
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
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
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
static int chatbot_stream(lua_State *L)
{
    return start(L, NULL);
}

/* bot:_get(path [, opts]): a reply whose answer is the decoded JSON. */
static int chatbot_get(lua_State *L)
{
    const char *path = luaL_checkstring(L, 2);
    lua_settop(L, 3);
    return start(L, path);
}

/* ---- chat ---- */

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
            lua_pushnil(L);
            lua_insert(L, -2);
            return 2;
        }
    }
    guard_close(L, REPLY);
    return lua_error(L);
}

static int chatbot_chat(lua_State *L)
{
    lua_settop(L, 3);
    lua_pushcfunction(L, chatbot_stream);
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

/* bot:_relaunch(reply, opts [, model [, note]]): a reply that has ended, or
 * failed before its first text, asks again, with other settings. -> true, or
 * nil, err
 */
static int chatbot_relaunch(lua_State *L)
{
    enum { BOT = 1, REPLY, OPTS, MODEL, NOTE, RENV, ENV };
    check(L);
    binding_check(L, REPLY, &reply_type);
    lua_settop(L, NOTE);
    compat_getenv(L, REPLY);
    if (!lua_isnil(L, MODEL)) {
        compat_getenv(L, BOT);
        if (!push_other_route(L, ENV, MODEL)) {
            lua_pushnil(L);
            lua_insert(L, -2);
            return 2;
        }
        lua_setfield(L, RENV, "route");
        lua_settop(L, RENV);
    }
    lua_pushvalue(L, OPTS);
    lua_setfield(L, RENV, "call");
    lua_pushvalue(L, NOTE);
    lua_setfield(L, RENV, "note");
    if (!launch(L, BOT, REPLY)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* bot:_env(): what the Lua side keeps with a bot. No key is in it. */
static int chatbot_env(lua_State *L)
{
    check(L);
    compat_getenv(L, 1);
    return 1;
}

/* bot:_route(model) -> where its requests go (see provider.h), or nil, err */
static int chatbot_route(lua_State *L)
{
    check(L);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    compat_getenv(L, 1);
    if (push_other_route(L, 3, 2))
        return 1;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* bot:_busy() -> nil and an error table while a reply is under way, else true
 */
static int chatbot_busy(lua_State *L)
{
    check(L);
    lua_settop(L, 1);
    compat_getenv(L, 1);
    if (is_busy(L, 2))
        return return_busy(L, 2);
    lua_pushboolean(L, 1);
    return 1;
}

/* bot:_clone(): a bot with the same settings, key included, and a copy of the
 * conversation. */
static int chatbot_clone(lua_State *L)
{
    struct chatbot *from = check(L);
    static const char *const same[] = {"route", "api_key", "extra"};
    lua_settop(L, 1);
    compat_getenv(L, 1);                                             /* 2 */
    struct chatbot *b = binding_new(L, &chatbot_type, sizeof *b, 8); /* 3 */
    compat_getenv(L, 3);                                             /* 4 */
    lua_newtable(L);                                                 /* 5 */
    lua_getfield(L, 2, "options");                                   /* 6 */
    copy_options(L, 6, 5);
    lua_pushvalue(L, 5);
    lua_setfield(L, 4, "options");
    lua_newtable(L); /* 7 */
    lua_getfield(L, 2, "messages");
    if (!history_assign(L, 7, 8))
        luaL_error(L, "a message is nested too deeply to be copied");
    lua_settop(L, 7);
    lua_setfield(L, 4, "messages");
    for (int i = 0; i < 3; i++) {
        lua_getfield(L, 2, same[i]);
        lua_setfield(L, 4, same[i]);
    }
    set_active(L, 4);
    if (from->key != NULL && (b->key = strdup(from->key)) == NULL)
        luaL_error(L, "not enough memory");
    lua_settop(L, 3);
    return 1;
}

/* ---- the rest ---- */

static int chatbot_get_messages(lua_State *L)
{
    check(L);
    compat_getenv(L, 1);
    lua_getfield(L, -1, "messages");
    return 1;
}

/* Pushes bot (1), and its environment (2), messages (3); false: busy. */
static bool open_conversation(lua_State *L)
{
    check(L);
    lua_settop(L, 2);
    compat_getenv(L, 1);            /* 3 */
    lua_getfield(L, 3, "messages"); /* 4 */
    return !is_busy(L, 3);
}

static int chatbot_set_messages(lua_State *L)
{
    check(L);
    binding_checktype(L, 2, LUA_TTABLE);
    if (!open_conversation(L))
        return return_busy(L, 3);
    set_messages(L, 4, 2, 2);
    lua_settop(L, 1);
    return 1;
}

static int chatbot_reset(lua_State *L)
{
    if (!open_conversation(L))
        return return_busy(L, 3);
    history_reset(L, 4);
    lua_settop(L, 1);
    return 1;
}

static bool is_set(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    bool set = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return set;
}

static void unset(lua_State *L, int table, const char *name)
{
    lua_pushnil(L);
    lua_setfield(L, table, name);
}

/* Forgets an option that is not among the new ones. */
static void unset_old(lua_State *L, int opts, int options, const char *name)
{
    if (!is_set(L, opts, name))
        unset(L, options, name);
}

/* bot:set_model(name [, opts]). A base_url that was given stays, with the
 * provider that was named for it, until opts have either; without one the name
 * finds its provider anew. What was given for one address, and may be secret,
 * goes when the address changes: the key, further headers. */
static int chatbot_set_model(lua_State *L)
{
    enum { BOT = 1, NAME, OPTS, ENV, OPTIONS, OLD, NEXT };
    struct chatbot *b = check(L);
    binding_checktype(L, NAME, LUA_TSTRING);
    lua_settop(L, OPTS);
    if (lua_isnil(L, OPTS)) {
        lua_newtable(L);
        lua_replace(L, OPTS);
    }
    binding_checktype(L, OPTS, LUA_TTABLE);
    options_check(L, OPTS, OPTS, false);
    compat_getenv(L, BOT);
    lua_getfield(L, ENV, "options");
    lua_getfield(L, ENV, "route");
    /* on a copy, so that nothing has changed when this raises */
    lua_newtable(L);
    copy_options(L, OPTIONS, OLD + 1);
    lua_replace(L, OPTIONS);
    lua_pushvalue(L, NAME);
    lua_setfield(L, OPTIONS, "model");
    copy_options(L, OPTS, OPTIONS);
    lua_pushvalue(L, NAME);
    lua_setfield(L, OPTIONS, "model");
    binding_argcheck(L,
                     !is_set(L, OPTS, "messages") && !is_set(L, OPTS, "system"),
                     OPTS, "the conversation is not changed here");
    bool url = is_set(L, OPTS, "base_url");
    bool provider = is_set(L, OPTS, "provider");
    if (!url && provider)
        unset(L, OPTIONS, "base_url");
    if (!provider && (url || !is_set(L, OPTIONS, "base_url")))
        unset(L, OPTIONS, "provider");
    lua_newtable(L); /* NEXT */
    find_route(L, NEXT, OPTIONS, 2);
    lua_getfield(L, NEXT, "route");
    lua_replace(L, NEXT);
    lua_getfield(L, OLD, "base_url");
    lua_getfield(L, NEXT, "base_url");
    bool moved = !lua_rawequal(L, -1, -2);
    lua_settop(L, NEXT);
    if (moved)
        unset_old(L, OPTS, OPTIONS, "headers");
    if (moved && !route_is_own(L, NEXT)) {
        unset_old(L, OPTS, OPTIONS, "organization");
        unset_old(L, OPTS, OPTIONS, "project");
    }
    if (moved)
        free_key(b); /* before the route changes, and a new one comes after */
    lua_setfield(L, ENV, "route");
    lua_pushvalue(L, OPTIONS);
    lua_setfield(L, ENV, "options");
    set_key(L, b, ENV, OPTS);
    lua_settop(L, 1);
    return 1;
}

/* bot:set_wait(fn | nil): the option `wait`, for replies started from now on.
 */
static int chatbot_set_wait(lua_State *L)
{
    check(L);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2))
        binding_checktype(L, 2, LUA_TFUNCTION);
    compat_getenv(L, 1);
    lua_getfield(L, 3, "options");
    lua_pushvalue(L, 2);
    lua_setfield(L, 4, "wait");
    lua_settop(L, 1);
    return 1;
}

static int push_route_field(lua_State *L, const char *name)
{
    check(L);
    compat_getenv(L, 1);
    lua_getfield(L, -1, "route");
    lua_getfield(L, -1, name);
    return 1;
}

static int chatbot_get_model(lua_State *L)
{
    return push_route_field(L, "model");
}

static int chatbot_get_provider(lua_State *L)
{
    static const char *const names[] = {"provider", "base_url", "model"};
    struct chatbot *b = check(L);
    lua_settop(L, 1);
    compat_getenv(L, 1);
    lua_getfield(L, 2, "route");
    lua_newtable(L);
    for (int i = 0; i < 3; i++) {
        lua_getfield(L, 3, names[i]);
        lua_setfield(L, 4, i == 0 ? "name" : names[i]);
    }
    lua_getfield(L, 2, "api_key");
    lua_pushboolean(L, b->key != NULL || lua_isfunction(L, -1) ||
                           route_env_key(L, 3) != NULL);
    lua_setfield(L, 4, "has_key");
    lua_settop(L, 4);
    return 1;
}

static int chatbot_tostring(lua_State *L)
{
    struct chatbot *b = check(L);
    push_route_field(L, "provider");
    push_route_field(L, "model");
    lua_pushfstring(L, "chatbot (%s): %p", lua_tostring(L, -1), (void *)b);
    return 1;
}

void chatbot_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", chatbot_gc}, {"__tostring", chatbot_tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
#if COMPAT_YIELDS
        {"chat", chatbot_chat},
        {"_chat", chatbot_chat}, /* under these names the Lua side finds */
#endif
        {"stream", chatbot_stream},
        {"_stream", chatbot_stream}, /* what it wraps */
        {"get_messages", chatbot_get_messages},
        {"set_messages", chatbot_set_messages},
        {"reset", chatbot_reset},
        {"set_model", chatbot_set_model},
        {"get_model", chatbot_get_model},
        {"set_wait", chatbot_set_wait},
        {"get_provider", chatbot_get_provider},
        {"_get", chatbot_get},
        {"_relaunch", chatbot_relaunch},
        {"_env", chatbot_env},
        {"_route", chatbot_route},
        {"_busy", chatbot_busy},
        {"_clone", chatbot_clone},
        {NULL, NULL},
    };
    binding_type(L, &chatbot_type, meta, methods);
}
