/*
 * chat_body.c - the body of a chat completion: the conversation as it is, the
 * fields of a call as they are, and two defaults of ours, see chat.h.
 */
#include <string.h>

#include "binding/failure.h"
#include "binding/options.h"
#include "dialect/chat.h"
#include "provider/rules.h"

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
    int n = (int)lua_rawlen(L, w->messages), first = writer_first(L, w);
    if (!writer_literal(L, w, "\"messages\":["))
        return false;
    for (int i = first; i <= n; i++) {
        if (i > first && !writer_literal(L, w, ","))
            return false;
        if (!writer_message(L, w, i) || !writer_value(L, w, i))
            return false;
    }
    return writer_literal(L, w, "],");
}

/* Fields that a call gives go into the body as they are. */
static bool add_call_fields(lua_State *L, const struct writer *w)
{
    if (!lua_istable(L, w->call))
        return true;
    lua_pushnil(L);
    while (lua_next(L, w->call)) {
        const char *name = lua_tostring(L, -2);
        bool ours = strcmp(name, "temperature") == 0 ||
                    strcmp(name, "stream_options") == 0;
        if (ours ? !lua_toboolean(L, -1) : options_known(name)) {
            lua_pop(L, 1);
            continue;
        }
        if (!writer_field(L, w, name))
            return false;
    }
    return true;
}

static bool add_temperature(lua_State *L, const struct writer *w)
{
    if (writer_overridden(L, w, "temperature") ||
        rules_omit(L, w->route, "temperature"))
        return true;
    lua_getfield(L, w->options, "temperature");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushinteger(L, 0);
    } else if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        return true;
    }
    return writer_field(L, w, "temperature");
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
    if (!writer_literal(L, w, "{"))
        return false;
    lua_getfield(L, w->route, "model");
    if (!failure_control(L, "the model's name", lua_tostring(L, -1)))
        return false;
    if (lua_rawlen(L, -1) == 0)
        lua_pop(L, 1);
    else if (!writer_field(L, w, "model"))
        return false;
    return add_messages(L, w) && add_temperature(L, w) &&
           add_call_fields(L, w) && add_stream(L, w);
}
