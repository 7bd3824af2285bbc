/*
 * messages_scan.c - see messages_scan.h.
 */
#include "dialect/messages_scan.h"

bool messages_scan(const struct sse_event *ev, struct plain *p)
{
    (void)ev;
    plain_clear(p);
    return false;
}
