/*
 * dialects.h - which dialect is spoken where: the one place that knows them by
 * name. In Lua it is lua/chatbot/dialect/dialects.lua.
 */
#ifndef CHATBOT_DIALECTS_H
#define CHATBOT_DIALECTS_H

#include "dialect/dialect.h"

/* The dialect of a route, of which provider and model are known (see route.h).
 * [-0, +0, m] */
const struct dialect *dialect_of(lua_State *L, int route);

#endif
