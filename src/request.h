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
    int options;   /* of the bot: a table */
    int call;      /* of the call: a table or nil */
    int route;     /* see provider.h */
    int messages;  /* the conversation */
    int known;     /* what encoded.h knew the last time, a table or nil */
    int known_now; /* nil, where it puts what it knows now */
    int note;      /* a string that is sent with the system message, or nil */
    bool foreign;  /* not the server that the headers were given for */
    bool stream;
    bool fetch;           /* a GET without a body */
    bool replace_invalid; /* what is no UTF-8 becomes U+FFFD */
    double max_request;   /* bytes of the body */
};

#define REQUEST_HEADERS 64 /* lines at most */

/* Pushes a userdata that is a struct body and keeps alive the strings in it; or
 * pushes an error table and returns false (a message that cannot be encoded, or
 * is not UTF-8, or too much). [-0, +1, m] */
bool request_body(lua_State *L, const struct request_source *s);

/* Fills o->headers, which has room for them all, with lines that live in what
 * is pushed onto the stack: as many values as it takes, so the caller resets
 * the top. `key` may be NULL. False: an error table is on top. */
bool request_headers(lua_State *L, const struct request_source *s,
                     const char *key, struct http_options *o);

/* Whether one of the headers is of those that carry a key. */
bool request_has_secret(const struct http_options *o);

/* Overwrites the lines that hold the key; they were copied by http_start. */
void request_wipe(const struct http_options *o, const char *key);

#endif
