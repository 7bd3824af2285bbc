/*
 * chatbot.c - see chatbot.h.
 */
#include "conversation/chatbot.h"

#include <stdlib.h>
#include <string.h>

#include "binding/history.h"
#include "binding/options.h"
#include "conversation/asking.h"
#include "conversation/bot.h"
#include "conversation/settings.h"

static int chatbot_gc(lua_State *L)
{
    bot_free_key(lua_touserdata(L, 1));
    return 0;
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
    settings_need_table(L, 1, arg);
    lua_settop(L, 1);
    luaL_checkstack(L, 24, NULL);
    options_copy(L, 1, false);
    options_check(L, 1, arg, false);
    struct chatbot *b = binding_new(L, &chatbot_type, sizeof *b, 8); /* 2 */
    compat_getenv(L, 2);                                             /* 3 */
    lua_newtable(L);                                                 /* 4 */
    lua_newtable(L);                                                 /* 5 */
    settings_copy(L, 1, 4);
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
    settings_find_route(L, 3, 4, arg);
    lua_setfield(L, 3, "options");
    set_active(L, 3);
    settings_set_key(L, b, 3, 1);
    lua_settop(L, 2);
    return 1;
}

/* bot:_env(): what the Lua side keeps with a bot. No key is in it. */
static int chatbot_env(lua_State *L)
{
    bot_check(L);
    compat_getenv(L, 1);
    return 1;
}

/* bot:_busy() -> nil and an error table while a reply is under way, else true
 */
static int chatbot_busy(lua_State *L)
{
    bot_check(L);
    lua_settop(L, 1);
    compat_getenv(L, 1);
    if (bot_is_busy(L, 2))
        return bot_return_busy(L, 2);
    lua_pushboolean(L, 1);
    return 1;
}

/* bot:_clone(): a bot with the same settings, key included, and a copy of the
 * conversation. */
static int chatbot_clone(lua_State *L)
{
    struct chatbot *from = bot_check(L);
    static const char *const same[] = {"route", "api_key", "extra"};
    lua_settop(L, 1);
    compat_getenv(L, 1);                                             /* 2 */
    struct chatbot *b = binding_new(L, &chatbot_type, sizeof *b, 8); /* 3 */
    compat_getenv(L, 3);                                             /* 4 */
    lua_newtable(L);                                                 /* 5 */
    lua_getfield(L, 2, "options");                                   /* 6 */
    settings_copy(L, 6, 5);
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
    bot_check(L);
    compat_getenv(L, 1);
    lua_getfield(L, -1, "messages");
    return 1;
}

/* Pushes bot (1), and its environment (2), messages (3); false: busy. */
static bool open_conversation(lua_State *L)
{
    bot_check(L);
    lua_settop(L, 2);
    compat_getenv(L, 1);            /* 3 */
    lua_getfield(L, 3, "messages"); /* 4 */
    return !bot_is_busy(L, 3);
}

static int chatbot_set_messages(lua_State *L)
{
    bot_check(L);
    binding_checktype(L, 2, LUA_TTABLE);
    if (!open_conversation(L))
        return bot_return_busy(L, 3);
    set_messages(L, 4, 2, 2);
    lua_settop(L, 1);
    return 1;
}

static int chatbot_reset(lua_State *L)
{
    if (!open_conversation(L))
        return bot_return_busy(L, 3);
    history_reset(L, 4);
    lua_settop(L, 1);
    return 1;
}

/* bot:set_wait(fn | nil): the option `wait`, for replies started from now on.
 */
static int chatbot_set_wait(lua_State *L)
{
    bot_check(L);
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

static int chatbot_tostring(lua_State *L)
{
    struct chatbot *b = bot_check(L);
    settings_push_field(L, "provider");
    settings_push_field(L, "model");
    lua_pushfstring(L, "chatbot (%s): %p", lua_tostring(L, -1), (void *)b);
    return 1;
}

void chatbot_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", chatbot_gc}, {"__tostring", chatbot_tostring}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
#if COMPAT_YIELDS
        {"chat", asking_chat},
        {"_chat", asking_chat}, /* under these names the Lua side finds */
#endif
        {"stream", asking_stream},
        {"_stream", asking_stream}, /* what it wraps */
        {"get_messages", chatbot_get_messages},
        {"set_messages", chatbot_set_messages},
        {"reset", chatbot_reset},
        {"set_model", settings_set_model},
        {"get_model", settings_get_model},
        {"set_wait", chatbot_set_wait},
        {"get_provider", settings_get_provider},
        {"_get", asking_get},
        {"_relaunch", asking_relaunch},
        {"_env", chatbot_env},
        {"_route", settings_route},
        {"_busy", chatbot_busy},
        {"_clone", chatbot_clone},
        {NULL, NULL},
    };
    binding_type(L, &chatbot_type, meta, methods);
}
