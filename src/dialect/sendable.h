/*
 * sendable.h - what came from a service, made fit to be sent back: UTF-8, and
 * nothing that JSON cannot hold.
 */
#ifndef CHATBOT_SENDABLE_H
#define CHATBOT_SENDABLE_H

#include "dialect/answer.h"

/* The table on top will be sent back, and JSON must be able to hold it: strings
 * become UTF-8; keys that are not, and infinite numbers, go. [-0, +0, m] */
void sendable_make(lua_State *L, struct answer *a);

/* Pushes the text of the pieces in the list on top, as UTF-8. [-0, +1, m] */
void sendable_push_joined(lua_State *L, struct answer *a);

/* Joins the pieces in the list on top in the scratch. [-0, +0, m] */
void sendable_join(lua_State *L, struct answer *a);

#endif
