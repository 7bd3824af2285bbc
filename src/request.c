/*
 * request.c - see request.h.
 *
 * A body is collected as a Lua table of strings (`parts`) and joined once.
 */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "encoded.h"
#include "failure.h"
#include "json.h"
#include "options.h"
#include "provider.h"
#include "utf8.h"

#define MAX_HEADERS 64

/* ---- body ---- */

/* Appends the string on top to `parts`. [-1, +0, m] */
static void add(lua_State *L, int parts)
{
    lua_rawseti(L, parts, (int)lua_rawlen(L, parts) + 1);
}

static void add_literal(lua_State *L, int parts, const char *s)
{
    lua_pushstring(L, s);
    add(L, parts);
}

/* Replaces the value on top by its JSON. False: by a message. [-1, +1, m] */
static bool encode(lua_State *L, const struct request_source *s)
{
    char text[32];
    bool ok = json_encode(L, -1);
    lua_remove(L, -2);
    if (!ok)
        return false;
    size_t n, bad;
    const char *json = lua_tolstring(L, -1, &n);
    if ((bad = utf8_invalid(json, n)) == n)
        return true;
    if (s->replace_invalid) {
        json_replace_invalid(L);
        return true;
    }
    snprintf(text, sizeof text, "0x%02X", (unsigned)(unsigned char)json[bad]);
    lua_pop(L, 1);
    lua_pushfstring(L, "it is not valid UTF-8 (byte %s)", text);
    return false;
}

/* Adds `"name":value,` with the value on top; the name goes through the
 * provider's list of renamed fields. False: an error table. [-1, +(0|1), m] */
static bool add_field(lua_State *L, const struct request_source *s, int parts,
                      const char *name)
{
    if (!encode(L, s)) {
        failure_push(L, FAULT_CONFIG, "the field '%s' cannot be sent: %s", name,
                     lua_tostring(L, -1));
        return false;
    }
    lua_pushstring(L, name);
    provider_rename(L, s->route, lua_gettop(L));
    lua_remove(L, -2);
    if (!encode(L, s)) {
        failure_push(L, FAULT_CONFIG, "the field name '%s' cannot be sent: %s",
                     name, lua_tostring(L, -1));
        return false;
    }
    add(L, parts);
    add_literal(L, parts, ":");
    add(L, parts);
    add_literal(L, parts, ",");
    return true;
}

/* Whether the call itself sets this field of the body. [-0, +0, m] */
static bool overridden(lua_State *L, const struct request_source *s,
                       const char *name)
{
    if (!lua_istable(L, s->call))
        return false;
    lua_getfield(L, s->call, name);
    bool set = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return set;
}

/* Pushes the list of what is known of each message: its kept JSON, or false.
 * lua-cjson reserves room for the worst case and ends the process when there is
 * none, so what might become too long is not even begun: an error table, and
 * false. [-0, +1, m] */
static bool survey(lua_State *L, const struct request_source *s)
{
    double worst = lua_istable(L, s->call) ? json_worst(L, s->call) : 0;
    int n = (int)lua_rawlen(L, s->messages);
    lua_createtable(L, n, 0);
    int known = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, s->messages, i);
        if (!lua_istable(L, -1)) {
            failure_push(L, FAULT_CONFIG, "message %d is no table", i);
            return false;
        }
        if (encoded_get(L, known + 1)) {
            worst += (double)lua_rawlen(L, -1);
        } else {
            worst += json_worst(L, known + 1);
            lua_pushboolean(L, 0);
        }
        lua_rawseti(L, known, i);
        lua_settop(L, known);
    }
    if (worst <= s->max_request)
        return true;
    char max[32];
    snprintf(max, sizeof max, "%.0f", s->max_request);
    failure_push(L, FAULT_LIMIT,
                 "the request could become larger than %s bytes "
                 "(max_request_bytes)",
                 max);
    return false;
}

static bool add_messages(lua_State *L, const struct request_source *s,
                         int parts)
{
    if (!survey(L, s))
        return false;
    int known = lua_gettop(L), n = (int)lua_rawlen(L, known);
    add_literal(L, parts, "\"messages\":[");
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            add_literal(L, parts, ",");
        lua_rawgeti(L, known, i);
        if (!lua_toboolean(L, -1)) {
            lua_rawgeti(L, s->messages, i);
            lua_replace(L, -2); /* the message */
            lua_pushvalue(L, -1);
            if (!encode(L, s)) {
                failure_push(L, FAULT_CONFIG, "message %d cannot be sent: %s",
                             i, lua_tostring(L, -1));
                return false;
            }
            encoded_put(L, known + 1);
        }
        add(L, parts);
        lua_settop(L, known);
    }
    add_literal(L, parts, "],");
    lua_pop(L, 1);
    return true;
}

/* Fields that a call gives go into the body as they are. */
static bool add_call_fields(lua_State *L, const struct request_source *s,
                            int parts)
{
    if (!lua_istable(L, s->call))
        return true;
    lua_pushnil(L);
    while (lua_next(L, s->call)) {
        const char *name = lua_tostring(L, -2);
        bool ours = strcmp(name, "temperature") == 0 ||
                    strcmp(name, "stream_options") == 0;
        if (ours ? !lua_toboolean(L, -1) : options_known(name)) {
            lua_pop(L, 1);
            continue;
        }
        if (!add_field(L, s, parts, name))
            return false;
    }
    return true;
}

static bool add_temperature(lua_State *L, const struct request_source *s,
                            int parts)
{
    if (overridden(L, s, "temperature") ||
        provider_omits(L, s->route, "temperature"))
        return true;
    lua_getfield(L, s->options, "temperature");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushinteger(L, 0);
    } else if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        return true;
    }
    return add_field(L, s, parts, "temperature");
}

/* Usage comes in a stream only when it is asked for. */
static void add_stream(lua_State *L, const struct request_source *s, int parts)
{
    add_literal(L, parts, s->stream ? "\"stream\":true" : "\"stream\":false");
    if (!s->stream || overridden(L, s, "stream_options"))
        return;
    lua_getfield(L, s->route, "spec");
    lua_getfield(L, -1, "stream_options");
    bool takes = lua_isnil(L, -1) || lua_toboolean(L, -1);
    lua_pop(L, 2);
    if (takes)
        add_literal(L, parts, ",\"stream_options\":{\"include_usage\":true}");
}

bool request_body(lua_State *L, const struct request_source *s)
{
    luaL_checkstack(L, 20, NULL);
    lua_newtable(L);
    int parts = lua_gettop(L);
    add_literal(L, parts, "{");
    lua_getfield(L, s->route, "model");
    bool ok = lua_rawlen(L, -1) == 0 || add_field(L, s, parts, "model");
    if (ok)
        lua_settop(L, parts);
    ok = ok && add_messages(L, s, parts) && add_temperature(L, s, parts) &&
         add_call_fields(L, s, parts);
    if (!ok) {
        lua_replace(L, parts);
        lua_settop(L, parts);
        return false;
    }
    add_stream(L, s, parts);
    add_literal(L, parts, "}");
    return true;
}

bool request_join(lua_State *L, int parts, struct http_options *o)
{
    size_t n = 0, len;
    int count = (int)lua_rawlen(L, parts);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, parts, i);
        n += lua_rawlen(L, -1);
        lua_pop(L, 1);
    }
    char *to = malloc(n);
    o->body = to;
    o->body_len = n;
    for (int i = 1; to != NULL && i <= count; i++) {
        lua_rawgeti(L, parts, i);
        const char *part = lua_tolstring(L, -1, &len);
        memcpy(to, part, len);
        to += len;
        lua_pop(L, 1);
    }
    return to != NULL;
}

/* ---- headers ---- */

/* What is wrong with a header line, with the position in the part that is
 * wrong; the value itself is never shown. */
static bool check(lua_State *L, const char *name, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < ' ' || (unsigned char)s[i] >= 0x7F) {
            failure_push(L, FAULT_CONFIG,
                         "%s has a control character or a non-ASCII byte at "
                         "position %d",
                         name, (int)i + 1);
            return false;
        }
    return true;
}

static bool is_name(const char *s)
{
    return *s != '\0' && s[strspn(s, "!#$%&'*+-.^_`|~0123456789"
                                     "abcdefghijklmnopqrstuvwxyz"
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

/* Whether a line for this header is there already. */
static bool has(const struct http_options *o, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < o->n_headers; i++)
        if (strncasecmp(o->headers[i], name, n) == 0 && o->headers[i][n] == ':')
            return true;
    return false;
}

struct header_list {
    const char *lines[MAX_HEADERS];
};

/* Adds a line; an earlier one of that name wins. The text lives in a userdata
 * that stays on the stack. False: an error table. [-0, +1, m] */
static bool add_header(lua_State *L, struct http_options *o, const char *name,
                       const char *value, size_t n)
{
    if (!is_name(name)) {
        failure_push(L, FAULT_CONFIG, "'%s' is not the name of a header", name);
        return false;
    }
    if (!check(L, lua_pushfstring(L, "the header %s", name), value, n))
        return false;
    if (has(o, name) || o->n_headers == MAX_HEADERS)
        return true;
    size_t len = strlen(name);
    char *line = lua_newuserdata(L, len + n + 3);
    memcpy(line, name, len);
    memcpy(line + len, ": ", 2);
    memcpy(line + len + 2, value, n);
    line[len + 2 + n] = '\0';
    if (n == 0) /* curl's way to say: send it empty */
        memcpy(line + len, ";", 2);
    const char **lines = (const char **)(size_t)o->headers;
    lines[o->n_headers++] = line;
    return true;
}

/* Adds the headers of the table on top; `env`: values are variables' names. */
static bool add_table(lua_State *L, struct http_options *o, bool env)
{
    int table = lua_gettop(L);
    if (!lua_istable(L, table))
        return true;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int top = lua_gettop(L);
        if (lua_type(L, top - 1) != LUA_TSTRING || !lua_isstring(L, top)) {
            failure_push(L, FAULT_CONFIG, "headers must map names to strings");
            return false;
        }
        size_t n;
        const char *value = lua_tolstring(L, top, &n);
        if (env) {
            value = getenv(value);
            n = value == NULL ? 0 : strlen(value);
        }
        luaL_checkstack(L, 8, "headers");
        if ((n > 0 || !env) &&
            !add_header(L, o, lua_tostring(L, top - 1), value, n))
            return false;
        /* the line must stay, below the key that lua_next needs on top */
        lua_pushvalue(L, top - 1);
    }
    return true;
}

static bool add_text(lua_State *L, struct http_options *o, const char *name,
                     const char *value)
{
    return add_header(L, o, name, value, strlen(value));
}

/* The option of the bot as a header, for a provider that knows this header (its
 * header_env names it). */
static bool add_option(lua_State *L, const struct request_source *s,
                       struct http_options *o, const char *option,
                       const char *name)
{
    lua_getfield(L, s->options, option);
    const char *value = lua_tostring(L, -1);
    lua_getfield(L, s->route, "spec");
    lua_getfield(L, -1, "header_env");
    bool known = lua_istable(L, -1);
    if (known) {
        lua_getfield(L, -1, name);
        known = lua_isstring(L, -1);
    }
    return value == NULL || !known || add_text(L, o, name, value);
}

static bool add_key(lua_State *L, const struct request_source *s,
                    struct http_options *o, const char *key)
{
    if (key == NULL)
        return true;
    size_t n = strlen(key);
    if (!check(L, "the API key", key, n))
        return false;
    lua_getfield(L, s->route, "spec");
    lua_getfield(L, -1, "auth_header");
    const char *name = lua_tostring(L, -1);
    if (name != NULL)
        return add_text(L, o, name, key);
    /* never as a Lua string: those are interned and outlive their use */
    char *line = lua_newuserdata(L, n + 8);
    memcpy(line, "Bearer ", 7);
    memcpy(line + 7, key, n + 1);
    bool ok = add_header(L, o, "Authorization", line, n + 7);
    memset(line, 0, n + 8);
    return ok;
}

bool request_headers(lua_State *L, const struct request_source *s,
                     const char *key, struct http_options *o)
{
    luaL_checkstack(L, 32, NULL);
    struct header_list *list = lua_newuserdata(L, sizeof *list);
    o->headers = list->lines;
    o->n_headers = 0;
    /* the user's own come first, and so replace ours */
    static const char *const tables[] = {"headers", "header_env"};
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            lua_pushvalue(L, s->call);
        else
            lua_pushvalue(L, s->options);
        if (lua_istable(L, -1)) {
            lua_getfield(L, -1, "headers");
            if (!add_table(L, o, false))
                return false;
        }
    }
    if (!add_key(L, s, o, key) ||
        !add_option(L, s, o, "organization", "OpenAI-Organization") ||
        !add_option(L, s, o, "project", "OpenAI-Project"))
        return false;
    lua_getfield(L, s->route, "spec");
    int spec = lua_gettop(L);
    for (int i = 0; i < 2; i++) {
        lua_getfield(L, spec, tables[i]);
        if (!add_table(L, o, i == 1))
            return false;
    }
    return add_text(L, o, "Content-Type", "application/json") &&
           add_text(L, o, "Accept",
                    s->stream ? "text/event-stream, application/json"
                              : "application/json");
}

void request_wipe(const struct http_options *o, const char *key)
{
    for (size_t i = 0; key != NULL && i < o->n_headers; i++) {
        char *at = strstr((char *)(size_t)o->headers[i], key);
        if (at != NULL)
            memset(at, 0, strlen(at));
    }
}
