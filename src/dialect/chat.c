/*
 * chat.c - chat completions, the dialect that nearly every service speaks.
 */
#include "dialect/chat.h"

#include "dialect/chat_scan.h"

const struct dialect dialect_chat = {
    .name = "chat",
    .path = "/chat/completions",
    .done = "[DONE]",
    .done_ends = true,
    .schemas = chat_schemas,
    .write = chat_write,
    .scan = chat_scan,
    .merge = chat_merge,
    .whole = chat_whole,
    .finish = chat_finish,
};
