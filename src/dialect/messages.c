/*
 * messages.c - Anthropic's Messages: blocks of two roles that take turns.
 */
#include "dialect/messages.h"

#include "dialect/messages_scan.h"

static const char *const headers[] = {"anthropic-version", "2023-06-01", NULL};

const struct dialect dialect_messages = {
    .name = "messages",
    .path = "/messages",
    .done = "[DONE]",
    .done_ends = true,
    .key_header = "x-api-key",
    .headers = headers,
    .apart = "system",
    .schemas = messages_schemas,
    .write = messages_write,
    .scan = messages_scan,
    .merge = messages_merge,
    .whole = messages_whole,
    .finish = messages_finish,
};
