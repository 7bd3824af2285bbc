/*
 * responses_events.c - the events of Responses that are not plain, and whole
 * answers.
 *
 * Takes whatever shape the value has: fields of the wrong type are ignored.
 */
#include "dialect/responses.h"

#include "dialect/native.h"

bool responses_merge(lua_State *L, struct answer *a, int env)
{
    (void)a;
    (void)env;
    lua_pop(L, 1);
    return true;
}

bool responses_whole(lua_State *L, struct answer *a, int env)
{
    return responses_merge(L, a, env);
}

void responses_finish(lua_State *L, struct answer *a, int env)
{
    (void)a;
    native_finish(L, env);
}
