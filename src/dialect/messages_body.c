/*
 * messages_body.c - the body of a request for Messages. What is more than a
 * text is made in Lua; texts are messages as they are.
 */
#include "dialect/messages.h"

/* Where schemas stand. */
const struct schema_rule messages_schemas[] = {
    {SCHEMA_BODY, "tools", SCHEMA_TOOLS},
    {SCHEMA_BODY, "output_config", SCHEMA_FORMAT},
    {SCHEMA_TOOL, "input_schema", SCHEMA_ONE},
    {SCHEMA_FORMAT, "format", SCHEMA_FORMAT},
    {SCHEMA_FORMAT, "schema", SCHEMA_ONE},
    {SCHEMA_DATA, NULL, SCHEMA_DATA},
};

bool messages_write(lua_State *L, const struct writer *w)
{
    return writer_model(L, w) && writer_fields(L, w) &&
           writer_system(L, w, "system") &&
           writer_literal(L, w, "\"messages\":[") && writer_list(L, w) &&
           writer_literal(
               L, w, w->stream ? "],\"stream\":true}" : "],\"stream\":false}");
}
