/*
 * messages_content.h - what the blocks of an answer of Messages say: text,
 * thoughts, calls, citations. They begin alike in a stream and in a whole
 * answer, where they are over then.
 */
#ifndef CHATBOT_MESSAGES_CONTENT_H
#define CHATBOT_MESSAGES_CONTENT_H

#include "dialect/messages_blocks.h"

/* Takes in the block on top, `raw` on the wire. `event` is the index of the
 * event that it begins with; 0: it is a block of a whole answer. FAULT_NONE, or
 * what went wrong. [-0, +0, m] */
enum http_fault content_take(lua_State *L, struct answer *a, int env, int event,
                             struct slice raw);

/* Adds the arguments on top, a text or a table, to those of a call.
 * [-1, +0, m] */
void content_feed(lua_State *L, struct answer *a, int env, struct block *b);

/* Adds the citation on top, `raw` on the wire, to those of a text.
 * [-0, +0, m] */
void content_cite(lua_State *L, struct answer *a, int env, struct block *b,
                  struct slice raw);

/* Nothing more comes for a block (NULL: there is none): the arguments with
 * which a call began are all, if no others came. [-0, +0, m] */
void content_settle(lua_State *L, struct answer *a, int env, struct block *b);

#endif
