/*
 * connection.h - curl is called for a connection, others that are on it looked
 * after, a transfer taken off it.
 */
#ifndef CHATBOT_CONNECTION_H
#define CHATBOT_CONNECTION_H

#include "engine/libcurl.h"
#include "engine/request.h"

/* Calls curl for a descriptor, or for its timer. Either way it begins what was
 * added: that is to be done at once when the idle connections were looked at.
 */
void connection_call(struct http *h, curl_socket_t fd, int events);

/* A time-out has passed on the connection of `r`. Others that are on it may
 * fare better, but none is to join them: it ends with the last of them. */
void connection_suspect(struct http_request *r);

/* Ends the transfer, and its connection when nothing else is on it. Where curl
 * would wait for the thread that looks the name up (before 7.87.0), the handle
 * stays, empty, until curl reports its end; or for ever: see http_delete. */
void connection_drop(struct http_request *r);

#endif
