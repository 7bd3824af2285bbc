/*
 * queue.h - the requests that wait for their turn, and those that do not count
 * because nobody reads them.
 */
#ifndef CHATBOT_QUEUE_H
#define CHATBOT_QUEUE_H

#include "engine/request.h"

void queue_add(struct http_request *r);
void queue_remove(struct http_request *r); /* if it is there */

/* The one whose turn it is; NULL: there is none, or no room. */
struct http_request *queue_next(const struct http *h);

/* It counts again among those that run. */
void queue_come_back(struct http_request *r);

#endif
