/*
 * exchange.c - see exchange.h.
 */
#include "engine/exchange.h"

#include <stdarg.h>
#include <stdio.h>

void exchange_refuse(struct transfer *t, enum http_fault fault,
                     const char *format, ...)
{
    va_list args;
    t->fault = fault;
    va_start(args, format);
    vsnprintf(t->request->message, sizeof t->request->message, format, args);
    va_end(args);
}
