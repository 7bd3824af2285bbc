/*
 * events.h - the events that the bench's programs send and read, as the
 * services send them in each dialect.
 */
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define EVENTS_MAX 512 /* bytes of one */

enum events_dialect { EVENTS_CHAT, EVENTS_RESPONSES, EVENTS_MESSAGES };

/* The dialect that a name, or the path of a request, ends with. */
static inline enum events_dialect events_dialect(const char *path)
{
    if (strstr(path, "responses") != NULL)
        return EVENTS_RESPONSES;
    return strstr(path, "messages") != NULL ? EVENTS_MESSAGES : EVENTS_CHAT;
}

__attribute__((format(printf, 3, 4))) static inline size_t
events_print(char *to, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(to, size, format, args);
    va_end(args);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* A chunk of a chat completion with what `delta` and `reason` say. */
static inline size_t events_chunk(char *to, size_t size, const char *delta,
                                  const char *reason)
{
    return events_print(
        to, size,
        "data: {\"id\":\"chatcmpl-BPYXc8ZD2Xl4M6nJ2bTs7qZ1rK0aE\","
        "\"object\":\"chat.completion.chunk\",\"created\":1745123456,"
        "\"model\":\"gpt-4.1-2025-04-14\",\"service_tier\":\"default\","
        "\"system_fingerprint\":\"fp_b38e740b47\","
        "\"choices\":[{\"index\":0,\"delta\":{%s},"
        "\"logprobs\":null,\"finish_reason\":%s}],\"usage\":null}\n\n",
        delta, reason);
}

/* The event with this text, the `i`-th of its stream. */
static inline size_t events_text(enum events_dialect dialect, char *to,
                                 size_t size, long i, const char *text)
{
    char delta[96];
    switch (dialect) {
    case EVENTS_RESPONSES:
        return events_print(
            to, size,
            "event: response.output_text.delta\n"
            "data: {\"type\":\"response.output_text.delta\","
            "\"sequence_number\":%ld,\"item_id\":\"msg_"
            "68c3509b2ee0819eba32735182d275ad0f2d670b80edc507\","
            "\"output_index\":0,\"content_index\":0,\"delta\":\"%s\","
            "\"logprobs\":[],\"obfuscation\":\"%.*s\"}\n\n",
            i + 4, text, (int)(16 - strlen(text) % 16), "ApV2LhVToAgQ0zKe");
    case EVENTS_MESSAGES:
        return events_print(to, size,
                            "event: content_block_delta\n"
                            "data: {\"type\":\"content_block_delta\","
                            "\"index\":0,\"delta\":{\"type\":\"text_delta\","
                            "\"text\":\"%s\"}%*s}\n\n",
                            text, (int)(i * 7 % 16), "");
    default:
        events_print(delta, sizeof delta, "\"content\":\"%s\"", text);
        return events_chunk(to, size, delta, "null");
    }
}

/* The same with a short text. */
static inline size_t events_delta(enum events_dialect dialect, char *to,
                                  size_t size, long i)
{
    char text[16];
    events_print(text, sizeof text, " %05ld", i % 100000);
    return events_text(dialect, to, size, i, text);
}

/* What comes before the first text. */
static inline size_t events_begin(enum events_dialect dialect, char *to,
                                  size_t size)
{
    switch (dialect) {
    case EVENTS_RESPONSES:
        return events_print(
            to, size,
            "event: response.created\n"
            "data: {\"type\":\"response.created\",\"sequence_number\":0,"
            "\"response\":{\"id\":\"resp_68c3509b\",\"object\":\"response\","
            "\"status\":\"in_progress\",\"model\":\"gpt-5\",\"output\":[]}}\n\n"
            "event: response.output_item.added\n"
            "data: {\"type\":\"response.output_item.added\","
            "\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"msg_"
            "68c3509b2ee0819eba32735182d275ad0f2d670b80edc507\","
            "\"type\":\"message\",\"status\":\"in_progress\",\"content\":[],"
            "\"role\":\"assistant\"}}\n\n");
    case EVENTS_MESSAGES:
        return events_print(
            to, size,
            "event: message_start\n"
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\","
            "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\","
            "\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":1,"
            "\"output_tokens\":1}}}\n\n"
            "event: content_block_start\n"
            "data: {\"type\":\"content_block_start\",\"index\":0,"
            "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    default:
        return 0;
    }
}

/* The end of a stream. */
static inline size_t events_end(enum events_dialect dialect, char *to,
                                size_t size)
{
    switch (dialect) {
    case EVENTS_RESPONSES:
        return events_print(
            to, size,
            "event: response.completed\n"
            "data: {\"type\":\"response.completed\",\"sequence_number\":9,"
            "\"response\":{\"id\":\"resp_68c3509b\",\"object\":\"response\","
            "\"status\":\"completed\",\"model\":\"gpt-5\",\"output\":[]}}"
            "\n\n");
    case EVENTS_MESSAGES:
        return events_print(
            to, size,
            "event: content_block_stop\n"
            "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
            "event: message_delta\n"
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
            "\"end_turn\",\"stop_sequence\":null},\"usage\":{"
            "\"output_tokens\":9}}\n\n"
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\ndata: "
            "[DONE]\n\n");
    default: {
        size_t n = events_chunk(to, size, "", "\"stop\"");
        return n + events_print(to + n, size - n, "data: [DONE]\n\n");
    }
    }
}

#endif
