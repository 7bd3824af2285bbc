/*
 * messages_scan.h - the plain events of Messages: a piece of text, and what
 * stands beside it there. See chat_scan.h.
 *
 * Pure: no Lua, no allocation.
 */
#ifndef CHATBOT_MESSAGES_SCAN_H
#define CHATBOT_MESSAGES_SCAN_H

#include "parsing/shape.h"
#include "parsing/sse.h"

bool messages_scan(const struct sse_event *ev, struct plain *p);

#endif
