/*
 * fault.h - the kinds of failure.
 */
#ifndef CHATBOT_FAULT_H
#define CHATBOT_FAULT_H

/* Every kind of failure that the module reports; http_fault_name has the names.
 * The engine itself produces no BUSY and no API. */
enum http_fault {
    FAULT_NONE = 0,
    FAULT_CONFIG,
    FAULT_BUSY,
    FAULT_DNS,
    FAULT_CONNECT,
    FAULT_TLS,
    FAULT_PROXY,
    FAULT_TIMEOUT,
    FAULT_RESET,
    FAULT_TRUNCATED,
    FAULT_HTTP,
    FAULT_API,
    FAULT_REDIRECT,
    FAULT_PROTOCOL,
    FAULT_LIMIT,
    FAULT_CANCELLED,
    FAULT_CLOSED,
    FAULT_MEMORY
};

const char *http_fault_name(enum http_fault fault);

#endif
