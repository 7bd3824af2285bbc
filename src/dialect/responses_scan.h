/*
 * responses_scan.h - the plain events of Responses: a piece of text, of a
 * refusal or of thoughts, and what stands beside it there.
 *
 *   {"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_..",
 *    "output_index":0,"content_index":0,"delta":" word","logprobs":[],
 *    "obfuscation":"x8Yq"}
 *
 * It answers true only for what is valid JSON and wholly known, see
 * chat_scan.h: then it means what responses_merge takes it for.
 *
 * Pure: no Lua, no allocation.
 */
#ifndef CHATBOT_RESPONSES_SCAN_H
#define CHATBOT_RESPONSES_SCAN_H

#include "parsing/shape.h"
#include "parsing/sse.h"

/* In any order: `type` (what stands beside the data does not count),
 * "response.output_text.delta", "response.refusal.delta",
 * "response.reasoning_text.delta" or "response.reasoning_summary_text.delta";
 * `delta` (a string); `output_index`, and `content_index` or `summary_index`,
 * if they are there (0 to 9999), which with the type are the place; `logprobs`
 * (only [] or null), `error` (only null); any other key with a string, a
 * number, true, false or null. No key with an escape in it, and of those that
 * are named none twice. */
bool responses_scan(const struct sse_event *ev, struct plain *p);

#endif
