/*
 * complaint.h - what a server says of a failure becomes an error table.
 */
#ifndef CHATBOT_COMPLAINT_H
#define CHATBOT_COMPLAINT_H

#include <stdbool.h>

#include "binding/compat.h"
#include "parsing/redact.h"

/* Fills message, code, type and param of the error table at `err` from the
 * decoded value on top of the stack, in any of the shapes that servers send
 * (see complaint.c). False when there is no message in it. [-1, +0, m] */
bool complaint_describe(lua_State *L, int err, const struct redact *secret);

/* The HTTP status that the code or the type of the error table at `err` stands
 * for, where a service tells it inside of an answer; 0: none that another try
 * could mend. [-0, +0, m] */
int complaint_status(lua_State *L, int err);

/* err.retryable, as it follows from that. [-0, +0, m] */
void complaint_judge(lua_State *L, int err);

#endif
