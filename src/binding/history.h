/*
 * history.h - what happens to a conversation: an array of messages, a plain
 * Lua table that the user may read and change at any time.
 *
 * A prompt is added when a request starts and taken out again, by identity,
 * when it fails. Nothing here throws but for memory, and history_undo not
 * even for that, because finalizers call it.
 */
#ifndef CHATBOT_HISTORY_H
#define CHATBOT_HISTORY_H

#include <stdbool.h>

#include "binding/compat.h"

/* Adds the message on top to the list at `list`. When that ends with a
 * user message, this one is replaced. Pushes the replaced one or nil: [-1, +1,
 * m] */
void history_add(lua_State *L, int list);

/* Takes a prompt out of the list again, with all that follows it when `tail`
 * is set, and puts what it replaced in its place. `pending` is a table {user =
 * the message, replaced = that or nil, settled, tail}, or where there was no
 * prompt {after = the last message before the answer, ...}, and is empty
 * afterwards. [-0, +0, -] */
void history_undo(lua_State *L, int list, int pending, bool tail);

/* Appends the message on top: [-1, +0, m] */
void history_append(lua_State *L, int list);

/* Makes `list` hold copies of the messages in the list at `from`, which share
 * nothing with them that can be changed, and nothing else; `from` must have
 * passed history_check. False, and nothing changed, when tables are nested too
 * deeply to be sent. [-0, +0, m] */
bool history_assign(lua_State *L, int list, int from);

/* What is wrong with the list at `i`: NULL, or a text pushed. [-0, +(0|1), m]
 */
const char *history_check(lua_State *L, int i);

/* Whether all messages of the list are sent as they are to any service: no
 * calls, no results, no empty answers, no parts, nothing that one provider has
 * added.
 * What is no message counts as plain. Reads raw. [-0, +0, m] */
bool history_plain(lua_State *L, int list);

/* Puts the system message with the text on top to the front, instead of one
 * that is there. [-1, +0, m] */
void history_system(lua_State *L, int list);

/* Leaves nothing but the system messages at the front. [-0, +0, m] */
void history_reset(lua_State *L, int list);

/* Drops the oldest exchanges (a user message and what answers it; never the
 * system messages, never the last exchange) until `tokens`, what the server
 * counted for the whole, would be at most `max`, going by the length of the
 * texts. Pushes the list of the messages that went, or nil. [-0, +1, m] */
void history_trim(lua_State *L, int list, double tokens, double max);

#endif
