/*
 * schema.c - see schema.h.
 */
#include "parsing/schema.h"

#include <stddef.h>
#include <string.h>

/* Other names have data under them, but where schemas or lists stand by names.
 */
static const struct schema_rule keywords[] = {
    {SCHEMA_ONE, "required", SCHEMA_LIST},
    {SCHEMA_ONE, "type", SCHEMA_LIST},
    {SCHEMA_ONE, "enum", SCHEMA_LIST},
    {SCHEMA_ONE, "examples", SCHEMA_LIST},
    {SCHEMA_ONE, "propertyOrdering", SCHEMA_LIST}, /* Gemini */
    {SCHEMA_ONE, "anyOf", SCHEMA_SOME},
    {SCHEMA_ONE, "oneOf", SCHEMA_SOME},
    {SCHEMA_ONE, "allOf", SCHEMA_SOME},
    {SCHEMA_ONE, "prefixItems", SCHEMA_SOME},
    {SCHEMA_ONE, "items", SCHEMA_ONE},
    {SCHEMA_ONE, "additionalItems", SCHEMA_ONE},
    {SCHEMA_ONE, "unevaluatedItems", SCHEMA_ONE},
    {SCHEMA_ONE, "contains", SCHEMA_ONE},
    {SCHEMA_ONE, "additionalProperties", SCHEMA_ONE},
    {SCHEMA_ONE, "unevaluatedProperties", SCHEMA_ONE},
    {SCHEMA_ONE, "propertyNames", SCHEMA_ONE},
    {SCHEMA_ONE, "contentSchema", SCHEMA_ONE},
    {SCHEMA_ONE, "not", SCHEMA_ONE},
    {SCHEMA_ONE, "if", SCHEMA_ONE},
    {SCHEMA_ONE, "then", SCHEMA_ONE},
    {SCHEMA_ONE, "else", SCHEMA_ONE},
    {SCHEMA_ONE, "properties", SCHEMA_MAP},
    {SCHEMA_ONE, "patternProperties", SCHEMA_MAP},
    {SCHEMA_ONE, "dependentSchemas", SCHEMA_MAP},
    {SCHEMA_ONE, "dependencies", SCHEMA_MAP},
    {SCHEMA_ONE, "definitions", SCHEMA_MAP},
    {SCHEMA_ONE, "$defs", SCHEMA_MAP},
    {SCHEMA_ONE, "dependentRequired", SCHEMA_LIST_MAP},
    {SCHEMA_ARRAY, "default", SCHEMA_LIST},
    {SCHEMA_ARRAY, "const", SCHEMA_LIST},
    {SCHEMA_ARRAY, "enum", SCHEMA_LISTS},
    {SCHEMA_ARRAY, "examples", SCHEMA_LISTS},
    {SCHEMA_DATA, NULL, SCHEMA_DATA},
};

static enum schema_place named(const struct schema_rule *rules,
                               enum schema_place outer, const char *name)
{
    for (; rules != NULL && rules->name != NULL; rules++)
        if (rules->outer == outer && strcmp(rules->name, name) == 0)
            return rules->inner;
    return SCHEMA_DATA;
}

/* The same inside a schema, or a schema of arrays. */
static enum schema_place keyword(enum schema_place outer, const char *name)
{
    enum schema_place place = named(keywords, outer, name);
    return place == SCHEMA_DATA && outer == SCHEMA_ARRAY
               ? named(keywords, SCHEMA_ONE, name)
               : place;
}

enum schema_place schema_inside(const struct schema_rule *body,
                                enum schema_place outer, const char *name)
{
    switch (outer) {
    case SCHEMA_TOOLS:
        return name == NULL ? SCHEMA_TOOL : SCHEMA_DATA;
    case SCHEMA_SOME:
        return name == NULL ? SCHEMA_ONE : SCHEMA_DATA;
    case SCHEMA_LISTS:
        return name == NULL ? SCHEMA_LIST : SCHEMA_DATA;
    case SCHEMA_MAP:
        return name == NULL ? SCHEMA_DATA : SCHEMA_ONE;
    case SCHEMA_LIST_MAP:
        return name == NULL ? SCHEMA_DATA : SCHEMA_LIST;
    case SCHEMA_ONE:
        return name == NULL ? SCHEMA_ONE : keyword(outer, name);
    case SCHEMA_ARRAY:
        return name == NULL ? SCHEMA_DATA : keyword(outer, name);
    default:
        return name == NULL ? SCHEMA_DATA : named(body, outer, name);
    }
}

bool schema_is_list(enum schema_place place)
{
    return place == SCHEMA_TOOLS || place == SCHEMA_SOME ||
           place == SCHEMA_LIST || place == SCHEMA_LISTS;
}
