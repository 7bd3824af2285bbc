/*
 * messages_native.h - an answer of Messages as it is given back: all blocks, in
 * the order of the wire, each a JSON text in which nothing is changed but what
 * came in pieces. Thoughts are signed, and good only as they were.
 */
#ifndef CHATBOT_MESSAGES_NATIVE_H
#define CHATBOT_MESSAGES_NATIVE_H

#include "dialect/answer.h"

/* Sets env.native, when there is something in the answer that only the service
 * understands, and all of it can be given back. The message is whole: its calls
 * are env.tool_calls. [-0, +0, m] */
void messages_give_back(lua_State *L, struct answer *a, int env);

#endif
