/*
 * verdict.h - what the end of a transfer means: curl's result, and what was
 * seen on the way.
 */
#ifndef CHATBOT_VERDICT_H
#define CHATBOT_VERDICT_H

#include "engine/exchange.h"

/* Turns curl's result into fault, message and `retryable` of the request. */
void verdict_judge(struct transfer *t, CURLcode result);

/* The request has not been sent, and the process is short of descriptors. */
bool verdict_starved(const struct transfer *t);

#endif
