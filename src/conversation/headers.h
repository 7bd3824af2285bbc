/*
 * headers.h - what is sent with a body: the headers of one call, from a bot's
 * options and its route, and the secrets among them.
 *
 * Knows nothing of the two userdata types.
 */
#ifndef CHATBOT_HEADERS_H
#define CHATBOT_HEADERS_H

#include "binding/compat.h"
#include "dialect/dialect.h"
#include "engine/http.h"
#include "parsing/redact.h"

/* Where everything stands on the Lua stack. */
struct headers_source {
    int options;  /* of the bot: a table */
    int call;     /* of the call: a table or nil */
    int route;    /* see route.h */
    int given[2]; /* of the call, of the bot: headers for this server, or nil */
    const struct dialect *dialect;
    bool stream;
};

#define HEADERS_MAX 64 /* lines at most */

/* Of all lines. Newer versions of libcurl (8.14) leave out a line of 300 KiB
 * without a word, and the request would go without its key. */
#define HEADERS_BYTES (256 << 10)

/* Fills o->headers, which has room for HEADERS_MAX, with lines that live in
 * what is pushed onto the stack: a few values, so the caller resets the top.
 * `key` may be NULL. False: an error table is on top. */
bool headers_fill(lua_State *L, const struct headers_source *s, const char *key,
                  struct http_options *o);

/* Whether one of the headers is of those that carry a key. */
bool headers_have_secret(const struct http_options *o);

/* Whether URL, proxy and ca_file can be what they are said to be; false: an
 * error table. [-0, +(0|1), m] */
bool headers_check(lua_State *L, const struct http_options *o);

/* Replaces what is in `r` by the secrets of the request: the key, those in
 * headers, and those of the proxy. False when memory is out. */
bool headers_secrets(const struct http_options *o, const char *key,
                     struct redact *r);

/* Overwrites the lines that hold the key; they were copied by http_start. */
void headers_wipe(const struct http_options *o, const char *key);

#endif
