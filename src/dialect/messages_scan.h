/*
 * messages_scan.h - the plain events of Messages: a piece of text or of
 * thoughts, and what stands beside it there.
 *
 *   {"type":"content_block_delta","index":0,
 *    "delta":{"type":"text_delta","text":" word"}   }
 *
 * It answers true only for what is valid JSON and wholly known, see
 * chat_scan.h: then it means what messages_merge takes it for.
 *
 * Pure: no Lua, no allocation.
 */
#ifndef CHATBOT_MESSAGES_SCAN_H
#define CHATBOT_MESSAGES_SCAN_H

#include "parsing/shape.h"
#include "parsing/sse.h"

/* In any order: `type` (what stands beside the data does not count), "ping",
 * which says nothing, or "content_block_delta"; with this `delta` (an object),
 * and `index`, if it is there (0 to 9999), which with the type of the delta is
 * the place; `error` and `object` (only null); any other key with a string, a
 * number, true, false or null. The delta: `type`, "text_delta" or
 * "thinking_delta", and `text` or `thinking` (a string), the one that belongs
 * to it alone; any other key as above. No key with an escape in it, and of
 * those that are named none twice. */
bool messages_scan(const struct sse_event *ev, struct plain *p);

#endif
