/*
 * failure.h - the error table: `kind`, `message`, and what else is known.
 *
 * What the world does wrong is returned as `nil, err`, with `err` such a table.
 * It never holds a key: what came from outside passes failure_clean. `message`
 * and tostring are one line of UTF-8 that a terminal may show (see utf8_line).
 * Knows nothing of the two userdata types.
 */
#ifndef CHATBOT_FAILURE_H
#define CHATBOT_FAILURE_H

#include "binding/compat.h"
#include "engine/http.h"
#include "parsing/redact.h"

#define FAILURE_MAX 500 /* characters of `message`, and of tostring */

/* Creates the metatable (__tostring, __concat; without __index). */
void failure_open(lua_State *L);

/* Pushes a new error table; `format` as for lua_pushfstring. [-0, +1, m] */
void failure_push(lua_State *L, enum http_fault kind, const char *format, ...);

/* `return failure_return(...)`: nil and the table. [-0, +2, m] */
int failure_return(lua_State *L, enum http_fault kind, const char *format, ...);

/* Puts the text on top, which is such a line and not much longer than an
 * address, behind the message of the error table at `err`, of which as much
 * stays as then has room. [-1, +0, m] */
void failure_add(lua_State *L, int err);

/* Pushes the text with every form of a secret replaced. `cut`: the text may go
 * on elsewhere. [-0, +1, m] */
void failure_redact(lua_State *L, const char *s, size_t n,
                    const struct redact *secret, bool cut);

/* The same for whatever looks like a key. [-0, +1, m] */
void failure_redact_like(lua_State *L, const char *s, size_t n);

/* Pushes the text as one line of at most `max` characters. [-0, +1, m] */
void failure_line(lua_State *L, const char *s, size_t n, size_t max);

/* Pushes the text without secrets, as such a line. [-0, +1, m] */
void failure_clean(lua_State *L, const char *s, size_t n,
                   const struct redact *secret, bool cut);

/* Pushes the beginning of a body that is no answer, without secrets: 200
 * printable characters. [-0, +1, m] */
void failure_excerpt(lua_State *L, const char *s, size_t n,
                     const struct redact *secret, bool cut);

/* False, with an error table, when there is a control character in the text, of
 * what `what` says: so a NUL is seen. [-0, +(0|1), m] */
bool failure_control(lua_State *L, const char *what, const char *s);

#endif
