/*
 * delta.h - the few fields of one streamed chunk, without building anything.
 *
 * Nearly every event of a stream has the same plain shape:
 *
 *   {"id":"...","choices":[{"index":0,"delta":{"content":" word"},
 *    "finish_reason":null}],...}
 *
 * `delta_scan` recognises that shape and nothing else. It answers DELTA_PLAIN
 * only for an input that is valid JSON from the first byte to the last (RFC
 * 8259, nesting as known here) and whose meaning it knows completely; for any
 * other input (an error, usage, a tool call, several choices, a key that
 * occurs twice, something malformed) it answers DELTA_OTHER, and the caller
 * asks a real JSON decoder. The two must agree on every input.
 *
 * Pure: no allocation but that of the output buffer. Knows bytes.h only.
 */
#ifndef CHATBOT_DELTA_H
#define CHATBOT_DELTA_H

#include <stdbool.h>
#include <stddef.h>

#include "bytes.h"

/* The inside of a JSON string, still escaped. `s` is NULL when the field is
 * missing or null. Points into the input. */
struct delta_text {
    const char *s;
    size_t n;
    bool escaped; /* there is at least one backslash in it */
};

struct delta {
    struct delta_text content;
    struct delta_text reasoning; /* reasoning_content or reasoning */
    struct delta_text finish_reason;
    struct delta_text id;
    struct delta_text model;
    struct delta_text padding; /* `obfuscation`: random, without a meaning */
};

enum delta_status { DELTA_PLAIN, DELTA_OTHER };

/* Top level: `choices` (an array of exactly one object, or empty), `id`,
 * `model` (string or null), `object` ("chat.completion.chunk" only, or "" or
 * null), `usage`, `error`, `x_groq`, `timings` (only null), any other key with
 * a value that is a string, a number, true, false or null. `choices` must
 * be there. The choice: `index` (only 0), `delta` (an object or null),
 * `finish_reason` ("stop", "length", "tool_calls", "" or null), `logprobs`,
 * `usage`, `message`, `error` (only null), any other key with a scalar. The
 * delta: `content` (string or null), `role` (string or null),
 * `reasoning_content` and `reasoning` (string or null, at most one a string);
 * any other key makes it DELTA_OTHER unless its value is null. A key with an
 * escape in it makes it DELTA_OTHER anywhere. What `d` holds after DELTA_OTHER
 * has no meaning. */
enum delta_status delta_scan(const char *json, size_t n, struct delta *d);

/* What an event has in common with the one before: in nearly every stream all
 * but its text, and padding behind it. Offsets into that event. */
struct delta_shape {
    size_t text, text_end;       /* inside the quotes; text 0: not known */
    size_t padding, padding_end; /* the same; padding 0: there is none */
    size_t len;
    bool reasoning; /* the text is reasoning */
};

/* Learns the shape of a chunk that delta_scan found DELTA_PLAIN. */
void delta_learn(struct delta_shape *shape, const char *json, size_t n,
                 const struct delta *d);

/* Whether `json` is `before`, of which `shape` was learned, but for the strings
 * in its places. Then it is DELTA_PLAIN, `d` has its text alone (id and model
 * are those of before), and `shape` is now that of `json`. Says false where
 * delta_scan might say more, and changes nothing then. */
bool delta_same(struct delta_shape *shape, const char *before, const char *json,
                size_t n, struct delta *d);

/* Appends the text that `t` stands for. Escaped surrogate pairs become one code
 * point, a lone half its three-byte form (see utf8.h), which utf8_feed joins or
 * replaces. `t` must come from delta_scan or
 * delta_same. */
enum bytes_status delta_unescape(const struct delta_text *t, struct bytes *out);

/* How many bytes of `s` come before the first that JSON wants escaped. */
size_t delta_plain_run(const char *s, size_t n);

/* Rewrites escapes of lone surrogate halves (\ud83d without its partner) in a
 * JSON text to the three raw bytes of that half, for decoders that refuse them.
 * Appends the rewritten text to `out`; *changed says whether anything was. */
enum bytes_status delta_repair(const char *json, size_t n, struct bytes *out,
                               bool *changed);

#endif
