/*
 * clocks.h - the time-outs of a request: which of them runs out next.
 */
#ifndef CHATBOT_CLOCKS_H
#define CHATBOT_CLOCKS_H

#include "engine/request.h"

#define UNREAD 1000000 /* us of a pause that cost a request its slot */

/* When the next of the clocks runs out (-1: none), and which. */
int64_t clocks_next(const struct http_request *r, const char **phase);

/* Sets the timer of the request to that, or to the end of its slot. */
void clocks_arm(struct http_request *r);

/* For a transfer: the request has just been connected, or has received; and
 * nothing more is taken in until http_drained. */
void clocks_progress(struct http_request *r);
void clocks_pause(struct http_request *r);

#endif
