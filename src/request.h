/*
 * request.h - the bytes that are sent: the JSON body and the headers of one
 * call, from a bot's options, its route and its conversation.
 *
 * Knows nothing of the two userdata types.
 */
#ifndef CHATBOT_REQUEST_H
#define CHATBOT_REQUEST_H

#include "compat.h"
#include "http.h"

/* Where everything stands on the Lua stack. */
struct request_source {
    int options;  /* of the bot: a table */
    int call;     /* of the call: a table or nil */
    int route;    /* see provider.h */
    int messages; /* the conversation */
    bool stream;
    bool fetch;           /* a GET without a body */
    bool replace_invalid; /* what is no UTF-8 becomes U+FFFD */
    double max_request;   /* bytes that the body may take at worst */
};

/* Pushes the body as a list of strings and returns true; or pushes an error
 * table and returns false (a message that cannot be encoded, or is not UTF-8,
 * or too much). [-0, +1, m] */
bool request_body(lua_State *L, const struct request_source *s);

/* Joins the list of strings at `parts` to o->body, which is malloc'd. False:
 * no memory. Cannot throw. [-0, +0, -] */
bool request_join(lua_State *L, int parts, struct http_options *o);

/* Fills o->headers with lines that live in what is pushed onto the stack: as
 * many values as it takes, so the caller resets the top. `key` may be NULL.
 * False: an error table is on top. */
bool request_headers(lua_State *L, const struct request_source *s,
                     const char *key, struct http_options *o);

/* Overwrites the lines that hold the key; they were copied by http_start. */
void request_wipe(const struct http_options *o, const char *key);

#endif
