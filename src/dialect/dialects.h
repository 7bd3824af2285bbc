/*
 * dialects.h - the one place that knows which dialects there are, and so which
 * of them is spoken where.
 */
#ifndef CHATBOT_DIALECTS_H
#define CHATBOT_DIALECTS_H

#include "dialect/dialect.h"

/* That of a route, whose `api` names it: what the program says, or what the
 * provider's data do, see rules.h. [-0, +0, m] */
const struct dialect *dialect_of(lua_State *L, int route);

#endif
