/*
 * schema.h - what in a JSON schema is a list. An empty Lua table can be either
 * an object or a list, but {required = {}} is never meant to be {}, which the
 * stricter services refuse. Who writes a value goes along: from a field of a
 * request's body to the schemas in it (dialect/chat_body.c has the fields), and
 * from a schema into its parts.
 *
 * What stands under a name that a program has chosen (a property called
 * "required") is not mistaken for a keyword, nor is what is data (`default`).
 *
 * Pure: knows nothing of the rest.
 */
#ifndef CHATBOT_SCHEMA_H
#define CHATBOT_SCHEMA_H

#include <stdbool.h>

/* What a value is. */
enum schema_place {
    SCHEMA_DATA = 0, /* whatever it is */
    SCHEMA_BODY,     /* a request's body: what is in it, rules say */
    SCHEMA_TOOLS,    /* a list of tools */
    SCHEMA_TOOL,     /* a tool, or the function in it */
    SCHEMA_FORMAT,   /* how an answer is to be, or what is in that */
    SCHEMA_ONE,      /* a schema, or a list of some */
    SCHEMA_ARRAY,    /* a schema of arrays: so they are its default and so on */
    SCHEMA_SOME,     /* a list of schemas */
    SCHEMA_MAP,      /* schemas by names */
    SCHEMA_LIST,     /* a list of data */
    SCHEMA_LISTS,    /* a list of lists of data */
    SCHEMA_LIST_MAP  /* lists of data by names */
};

/* What the value under this name is in a table that is `outer`. */
struct schema_rule {
    enum schema_place outer;
    const char *name; /* NULL ends a list of rules */
    enum schema_place inner;
};

/* What the value under this name is in a table that is `outer`; NULL: the value
 * in a list. `body` has the rules for what is outside of schemas, or NULL. */
enum schema_place schema_inside(const struct schema_rule *body,
                                enum schema_place outer, const char *name);

/* Whether it can be nothing but a list. */
bool schema_is_list(enum schema_place place);

#endif
