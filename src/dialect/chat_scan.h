/*
 * chat_scan.h - the few fields of one streamed chunk of a chat completion,
 * without building anything.
 *
 * Nearly every event of a stream has the same plain shape:
 *
 *   {"id":"...","choices":[{"index":0,"delta":{"content":" word"},
 *    "finish_reason":null}],...}
 *
 * `chat_scan` recognises that shape and nothing else. It answers true only for
 * an input that is valid JSON from the first byte to the last (RFC 8259,
 * nesting as known here) and whose meaning it knows completely; for any other
 * input (an error, usage, a tool call, several choices, a key that occurs
 * twice, something malformed) it answers false, and the caller asks a real JSON
 * decoder. The two must agree on every input.
 *
 * Pure: no Lua, no allocation.
 */
#ifndef CHATBOT_CHAT_SCAN_H
#define CHATBOT_CHAT_SCAN_H

#include "parsing/shape.h"
#include "parsing/sse.h"

/* Top level: `choices` (an array of exactly one object, or empty), `id`,
 * `model` (string or null), `object` ("chat.completion.chunk" only, or "" or
 * null), `usage`, `error`, `x_groq`, `timings` (only null), any other key with
 * a value that is a string, a number, true, false or null. `choices` must
 * be there. The choice: `index` (only 0), `delta` (an object or null),
 * `finish_reason` ("stop", "length", "tool_calls", "" or null), `logprobs`,
 * `usage`, `message`, `error` (only null), any other key with a scalar. The
 * delta: `content` (string or null), `role` (string or null),
 * `reasoning_content` and `reasoning` (string or null, at most one a string,
 * and one of text and reasoning empty); any other key makes it another kind of
 * event unless its value is null. So does a key with an escape in it, anywhere.
 * What `p` holds then has no meaning. */
bool chat_scan(const struct sse_event *ev, struct plain *p);

#endif
