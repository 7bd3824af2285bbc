/*
 * dialects.c - see dialects.h.
 */
#include "dialect/dialects.h"

#include <string.h>

#include "dialect/chat.h"
#include "dialect/messages.h"
#include "dialect/responses.h"

static const struct dialect *const all[] = {&dialect_chat, &dialect_responses,
                                            &dialect_messages};

const struct dialect *dialect_of(lua_State *L, int route)
{
    const struct dialect *found = &dialect_chat;
    lua_getfield(L, route, "api");
    const char *name = lua_tostring(L, -1);
    for (size_t i = 0; name != NULL && i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0)
            found = all[i];
    lua_pop(L, 1);
    return found;
}
