/*
 * bot.c - see bot.h.
 */
#include "conversation/bot.h"

#include <stdlib.h>

#include "binding/failure.h"
#include "provider/route.h"
#include "reply/advance.h"

const struct binding_type chatbot_type = {"chatbot"};

struct chatbot *bot_check(lua_State *L)
{
    return binding_check(L, 1, &chatbot_type);
}

void bot_free_key(struct chatbot *b)
{
    if (b->key == NULL)
        return;
    for (volatile char *p = b->key; *p != '\0'; p++)
        *p = '\0';
    free(b->key);
    b->key = NULL;
}

bool bot_is_busy(lua_State *L, int env)
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

int bot_return_busy(lua_State *L, int env)
{
    lua_getfield(L, env, "route");
    int route = lua_gettop(L);
    lua_pushnil(L);
    failure_push(L, FAULT_BUSY,
                 "a reply of this bot is still under way: wait for it, or "
                 "close it");
    route_name(L, route);
    return 2;
}
