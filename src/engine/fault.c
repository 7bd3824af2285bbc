/*
 * fault.c - see fault.h.
 */
#include "engine/fault.h"

const char *http_fault_name(enum http_fault fault)
{
    static const char *const names[] = {
        "none",     "config",   "busy",  "dns",       "connect", "tls",
        "proxy",    "timeout",  "reset", "truncated", "http",    "api",
        "redirect", "protocol", "limit", "cancelled", "closed",  "memory"};
    return names[fault];
}
