/*
 * responses.c - OpenAI's Responses: a list of items in, a list of items out.
 */
#include "dialect/responses.h"

#include "dialect/responses_scan.h"

/* llama-server and Ollama say `completed` whatever happened. */
static const char *const limits[] = {"max_output_tokens", "max_tokens",
                                     "max_completion_tokens", NULL};

const struct dialect dialect_responses = {
    .name = "responses",
    .path = "/responses",
    .done = "[DONE]",
    .apart = "instructions",
    .limits = limits,
    .schemas = responses_schemas,
    .write = responses_write,
    .scan = responses_scan,
    .merge = responses_merge,
    .whole = responses_whole,
    .finish = responses_finish,
};
