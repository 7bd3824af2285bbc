/*
 * rules.h - what differs in a body from provider to provider, and from model to
 * model: names of fields, and defaults that are left out.
 */
#ifndef CHATBOT_RULES_H
#define CHATBOT_RULES_H

#include <stdbool.h>

#include "binding/compat.h"

/* Pushes the name that the provider has for the body field at `field` when the
 * route's model is asked. [-0, +1, m] */
void rules_rename(lua_State *L, int route, int field);

/* Whether a default of ours must be left out for the route's model. */
bool rules_omit(lua_State *L, int route, const char *field);

#endif
