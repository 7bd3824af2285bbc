/*
 * calls.h - tool calls, put together out of the fragments of a stream.
 *
 * While they arrive, env.tool_calls is the list of calls in the order of their
 * first fragment, env.tool_index maps the `index` of the wire to a place in it,
 * and env.tool_parts[place] collects the pieces of the arguments, with what is
 * known of them in `state`. Which fragment belongs to which call is said at
 * calls_take. Knows the reply's environment, but no choices and no messages:
 * calls are run by lua/chatbot/bot/tools.lua, and sent by turns.lua beside it.
 */
#ifndef CHATBOT_CALLS_H
#define CHATBOT_CALLS_H

#include <stdbool.h>

#include "dialect/answer.h"

/* Merges the fragments in the list on top. A fragment opens a call when it
 * brings a name, and there is none in the place that its index names, or that
 * one has another id, or whole arguments; without an index any name opens one,
 * and what has no name goes on with the last. True when something came of it.
 * [-0, +0, m] */
bool calls_take(lua_State *L, struct answer *a, int env);

/* The same of the one fragment on top, which is popped. [-1, +0, m] */
bool calls_add(lua_State *L, struct answer *a, int env);

/* Joins the arguments, drops calls that never got a name, and gives the others
 * ids that the conversation has not. Pushes the list, or nil when there is
 * none. [-0, +1, m] */
void calls_finish(lua_State *L, struct answer *a, int env);

#endif
