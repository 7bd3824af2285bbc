/*
 * tries.h - the tries of a request: when one begins, what its end means, and
 * whether there is another: retry.h decides that, unless the time-outs of the
 * request leave no room for the wait.
 */
#ifndef CHATBOT_TRIES_H
#define CHATBOT_TRIES_H

#include "engine/libcurl.h"
#include "engine/request.h"

/* Starts as many as there is room for, in the order in which they came. */
void tries_start(struct http *h);

/* The transfer is over: what does it mean? */
void tries_done(struct http_request *r, CURLcode result);

/* The timer of the request has run out. */
void tries_timer(struct http_request *r, int64_t now);

/* Decides about another try after a failure before any 2xx header. */
bool tries_again(struct http_request *r);

/* Lets a paused transfer go on. curl hands over at once what it has kept; when
 * that is refused, curl does not report it as the end of the transfer. */
void tries_resume(struct http_request *r);

/* The request is over, in this state. */
void tries_end(struct http_request *r, enum http_state state);

/* Takes `r` out of the engine's books. */
void tries_unlink(struct http_request *r);

/* Its origin is one that answers. */
void tries_note_success(const struct http_request *r);

#endif
