/*
 * rules.h - what differs in a body from provider to provider, and from model to
 * model: names of fields, defaults that are left out, the dialect.
 */
#ifndef CHATBOT_RULES_H
#define CHATBOT_RULES_H

#include <stdbool.h>

#include "binding/compat.h"

/* Pushes the name that the provider has for the field of chat completions at
 * `field` when the route's model is asked. [-0, +1, m] */
void rules_rename(lua_State *L, int route, int field);

/* Whether a default of ours must be left out for the route's model. */
bool rules_omit(lua_State *L, int route, const char *field);

/* Pushes what the first rule for the route's model that has this field says, or
 * the provider's data; nil when none does. [-0, +1, m] */
void rules_push(lua_State *L, int route, const char *name);

/* Pushes the name of the dialect that the route's model is asked in where the
 * program does not say: what the provider's data have for it or for all, at the
 * provider's own address; elsewhere, and without a word, "chat". [-0, +1, m] */
void rules_push_api(lua_State *L, int route);

#endif
