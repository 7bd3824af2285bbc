/*
 * schema.c - see schema.h.
 */
#include "schema.h"

#include <stddef.h>
#include <string.h>

struct rule {
    enum schema_place outer;
    const char *name;
    enum schema_place inner;
};

/* Other names have data under them, but where schemas or lists stand by names.
 */
static const struct rule rules[] = {
    {SCHEMA_BODY, "tools", SCHEMA_TOOLS},
    {SCHEMA_BODY, "functions", SCHEMA_TOOLS},
    {SCHEMA_BODY, "response_format", SCHEMA_FORMAT},
    {SCHEMA_BODY, "json_schema", SCHEMA_ONE}, /* llama-server */
    {SCHEMA_BODY, "guided_json", SCHEMA_ONE}, /* vLLM */
    {SCHEMA_TOOL, "function", SCHEMA_TOOL},
    {SCHEMA_TOOL, "parameters", SCHEMA_ONE},
    {SCHEMA_TOOL, "input_schema", SCHEMA_ONE},
    {SCHEMA_FORMAT, "json_schema", SCHEMA_FORMAT},
    {SCHEMA_FORMAT, "schema", SCHEMA_ONE},
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
};

static enum schema_place named(enum schema_place outer, const char *name)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].outer == outer && strcmp(rules[i].name, name) == 0)
            return rules[i].inner;
    return outer == SCHEMA_ARRAY ? named(SCHEMA_ONE, name) : SCHEMA_DATA;
}

enum schema_place schema_inside(enum schema_place outer, const char *name)
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
        return name == NULL ? SCHEMA_ONE : named(outer, name);
    default:
        return name == NULL ? SCHEMA_DATA : named(outer, name);
    }
}

bool schema_is_list(enum schema_place place)
{
    return place == SCHEMA_TOOLS || place == SCHEMA_SOME ||
           place == SCHEMA_LIST || place == SCHEMA_LISTS;
}
