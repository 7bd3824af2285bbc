/*
 * messages_events.c - the events of Messages that are not plain, and whole
 * answers.
 *
 * Takes whatever shape the value has: fields of the wrong type are ignored.
 */
#include "dialect/messages.h"

#include "dialect/native.h"

bool messages_merge(lua_State *L, struct answer *a, int env)
{
    (void)a;
    (void)env;
    lua_pop(L, 1);
    return true;
}

bool messages_whole(lua_State *L, struct answer *a, int env)
{
    return messages_merge(L, a, env);
}

void messages_finish(lua_State *L, struct answer *a, int env)
{
    (void)a;
    native_finish(L, env);
}
