/*
 * message.h - what a whole answer becomes: the assistant's message, as all
 * services understand it. What one service alone wants to have back is added by
 * its dialect (`finish` in dialect.h).
 */
#ifndef CHATBOT_MESSAGE_H
#define CHATBOT_MESSAGE_H

#include "dialect/answer.h"

/* Finishes texts and tool calls; pushes the message. [-0, +1, m] */
void message_push(lua_State *L, struct answer *a, int env);

/* How the answer in `env`, of which that was made, has ended. [-0, +0, m] */
enum answer_verdict message_verdict(lua_State *L, const struct answer *a,
                                    int env);

#endif
