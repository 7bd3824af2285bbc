/*
 * step.h - the engine at work: what is waited for, in which order what is ready
 * is done, and what is left for the next step when the budget is spent.
 */
#ifndef CHATBOT_STEP_H
#define CHATBOT_STEP_H

#include <stdbool.h>
#include <stdint.h>

struct http;

/* Waits up to `us` microseconds (-1: without limit) for something to happen
 * and does it, for `budget` microseconds: what is left then is still ready at
 * the next step, which begins with others. True when a signal ended the wait.
 * Returns as soon as a request has changed. */
bool http_step(struct http *h, int64_t us, int64_t budget);

#endif
