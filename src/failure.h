/*
 * failure.h - the error table: `kind`, `message`, and what else is known.
 *
 * What the world does wrong is returned as `nil, err`, with `err` such a table.
 * It never holds a key: text that came from a server passes failure_redact.
 * Knows nothing of the two userdata types.
 */
#ifndef CHATBOT_FAILURE_H
#define CHATBOT_FAILURE_H

#include "compat.h"
#include "http.h"
#include "redact.h"

/* Creates the metatable (__tostring, a shared __index-free table). */
void failure_open(lua_State *L);

/* Pushes a new error table; `format` as for lua_pushfstring. [-0, +1, m] */
void failure_push(lua_State *L, enum http_fault kind, const char *format, ...);

/* `return failure_return(...)`: nil and the table. [-0, +2, m] */
int failure_return(lua_State *L, enum http_fault kind, const char *format, ...);

/* Fills message, code, type and param of the error table at `err` from the
 * decoded value on top of the stack, in any of the shapes that servers send
 * (see failure.c). False when there is no message in it. [-1, +0, m] */
bool failure_describe(lua_State *L, int err);

/* Pushes the text with every form of the secret replaced. [-0, +1, m] */
void failure_redact(lua_State *L, const char *s, size_t n,
                    const struct redact *secret);

/* The same for all strings in the error table at `err`. [-0, +0, m] */
void failure_redact_all(lua_State *L, int err, const struct redact *secret);

/* Pushes at most `max` bytes of `s`, printable, blanks folded. [-0, +1, m] */
void failure_excerpt(lua_State *L, const char *s, size_t n, size_t max);

#endif
