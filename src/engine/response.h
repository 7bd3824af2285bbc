/*
 * response.h - the header of a response, line by line as curl hands it over.
 */
#ifndef CHATBOT_RESPONSE_H
#define CHATBOT_RESPONSE_H

#include "engine/exchange.h"

/* For CURLOPT_HEADERFUNCTION, with a struct transfer. */
size_t response_header(char *line, size_t size, size_t count, void *arg);

/* The try ends for the size of its header. */
void response_too_large(struct transfer *t);

#endif
