/*
 * chat_body.c - the body of a chat completion: the conversation as it is, the
 * fields of a call as they are, and two defaults of ours, see chat.h.
 */
#include "dialect/chat.h"

/* Where schemas stand. */
const struct schema_rule chat_schemas[] = {
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
    {SCHEMA_DATA, NULL, SCHEMA_DATA},
};

/* Adds the conversation as this service is to get it. [-0, +(0|1), m] */
static bool add_messages(lua_State *L, const struct writer *w)
{
    return writer_literal(L, w, "\"messages\":[") && writer_list(L, w) &&
           writer_literal(L, w, "],");
}

/* Usage comes in a stream only when it is asked for. */
static bool add_stream(lua_State *L, const struct writer *w)
{
    bool takes = w->stream && !writer_overridden(L, w, "stream_options");
    if (takes) {
        lua_getfield(L, w->route, "spec");
        lua_getfield(L, -1, "stream_options");
        takes = lua_isnil(L, -1) || lua_toboolean(L, -1);
        lua_pop(L, 2);
    }
    return writer_literal(L, w,
                          w->stream ? "\"stream\":true" : "\"stream\":false") &&
           (!takes || writer_literal(L, w,
                                     ",\"stream_options\":{\"include_usage\":"
                                     "true}")) &&
           writer_literal(L, w, "}");
}

bool chat_write(lua_State *L, const struct writer *w)
{
    return writer_model(L, w) && add_messages(L, w) && writer_fields(L, w) &&
           add_stream(L, w);
}
