/*
 * fields.h - the fields of a reply, as a program sees them.
 */
#ifndef CHATBOT_FIELDS_H
#define CHATBOT_FIELDS_H

#include "reply/reply.h"

extern const char *const fields_status[]; /* the names, by enum reply_status */

/* __index: a method (first upvalue), else a field. */
int fields_index(lua_State *L);

#endif
