/*
 * responses_scan.c - see responses_scan.h.
 */
#include "dialect/responses_scan.h"

bool responses_scan(const struct sse_event *ev, struct plain *p)
{
    (void)ev;
    plain_clear(p);
    return false;
}
