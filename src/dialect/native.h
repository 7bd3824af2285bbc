/*
 * native.h - what of an answer only its service understands, and wants to have
 * back as it was: thoughts that are signed or sealed, what its own tools did.
 *
 * While the answer arrives, env.native is a list of JSON texts, in the order of
 * the wire, among them all that the message says as well: they go back together
 * or not at all. In a message they are
 *   native = {dialect, provider, server, model (that was asked), items = the
 *     list, own = what hash.h says of content, calls and refusal, before = the
 *     same of all that was sent before, where that matters, id = under which
 *     the service keeps all of it, if it does}
 * which turns.lua looks at. It goes back to the same model at the same server
 * and to nobody else, and not when the message says something else by now.
 */
#ifndef CHATBOT_NATIVE_H
#define CHATBOT_NATIVE_H

#include "dialect/answer.h"

/* Adds the JSON text on top, which is counted already (`kept`). What no service
 * takes becomes U+FFFD: bytes that are not UTF-8, lone halves of surrogate
 * pairs.
 * [-1, +0, m] */
void native_add(lua_State *L, struct answer *a, int env);

/* Adds to the message on top what was kept, if something was.
 * [-0, +0, m] */
void native_finish(lua_State *L, int env);

#endif
