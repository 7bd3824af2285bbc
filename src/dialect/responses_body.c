/*
 * responses_body.c - the body of a request for Responses. Its items are made in
 * Lua, of messages that are more than texts; texts are items as they are.
 */
#include "dialect/responses.h"

/* Where schemas stand. */
const struct schema_rule responses_schemas[] = {
    {SCHEMA_BODY, "tools", SCHEMA_TOOLS},
    {SCHEMA_BODY, "text", SCHEMA_FORMAT},
    {SCHEMA_TOOL, "parameters", SCHEMA_ONE},
    {SCHEMA_FORMAT, "format", SCHEMA_FORMAT},
    {SCHEMA_FORMAT, "schema", SCHEMA_ONE},
    {SCHEMA_DATA, NULL, SCHEMA_DATA},
};

bool responses_write(lua_State *L, const struct writer *w)
{
    return writer_model(L, w) && writer_system(L, w, "instructions") &&
           writer_literal(L, w, "\"input\":[") && writer_list(L, w) &&
           writer_literal(L, w, "],") && writer_fields(L, w) &&
           writer_literal(L, w,
                          w->stream ? "\"stream\":true}" : "\"stream\":false}");
}
