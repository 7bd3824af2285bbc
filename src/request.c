/*
 * request.c - see request.h.
 *
 * A body is collected as a Lua table (`parts`) of strings and of one list of
 * messages, and joined once.
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
#define LARGE       ((size_t)256 * 1024) /* bytes of a body */

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

/* Replaces the table on top by a shallow copy. [-1, +1, m] */
static void copy_table(lua_State *L)
{
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, -3)) { /* from, to, key, value */
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    lua_remove(L, -2);
}

/* Replaces the table on top by a copy without this field, if it has it. Whether
 * it had. [-1, +1, m] */
static bool without(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    bool there = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (there) {
        copy_table(L);
        lua_pushnil(L);
        lua_setfield(L, -2, name);
    }
    return there;
}

/* Takes what only some services know out of the tool calls of the message on
 * top. [-1, +1, m] */
static void plain_calls(lua_State *L)
{
    int message = lua_gettop(L);
    bool changed = false;
    lua_getfield(L, message, "tool_calls");
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, message + 1, i);
        if (lua_istable(L, -1) && without(L, "extra_content")) {
            if (!changed) { /* the message and its list are the user's */
                lua_pushvalue(L, message);
                copy_table(L);
                lua_replace(L, message);
                lua_pushvalue(L, message + 1);
                copy_table(L);
                lua_pushvalue(L, -1);
                lua_setfield(L, message, "tool_calls");
                lua_replace(L, message + 1);
                changed = true;
            }
            lua_rawseti(L, message + 1, i);
        } else {
            lua_pop(L, 1);
        }
    }
    lua_settop(L, message);
}

/* Replaces the system message on top by one with the note behind its text.
 * [-1, +1, m] */
static void with_note(lua_State *L, const struct request_source *s)
{
    copy_table(L);
    lua_getfield(L, -1, "content");
    lua_pushliteral(L, "\n\n");
    lua_pushvalue(L, s->note);
    lua_concat(L, 3);
    lua_setfield(L, -2, "content");
}

static bool is_system(lua_State *L, int message)
{
    lua_getfield(L, message, "role");
    const char *role = lua_tostring(L, -1);
    bool same = role != NULL &&
                (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0);
    lua_pop(L, 1);
    return same;
}

/* What a service takes in a message that others refuse. */
struct taste {
    bool reasoning, extra;
};

/* Replaces the message on top by what this service is to get of it, which is
 * the message itself where nothing differs. [-1, +1, m] */
static void fit(lua_State *L, const struct request_source *s,
                const struct taste *t, bool note)
{
    if (note)
        with_note(L, s);
    if (!t->reasoning)
        without(L, "reasoning_content");
    if (!t->extra)
        plain_calls(L);
}

/* Pushes message `i`, or for 0 the note as a message. [-0, +1, m] */
static void push_message(lua_State *L, const struct request_source *s, int i)
{
    if (i > 0) {
        lua_rawgeti(L, s->messages, i);
        return;
    }
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "system");
    lua_setfield(L, -2, "role");
    lua_pushvalue(L, s->note);
    lua_setfield(L, -2, "content");
}

/* Whether there is a note, and the conversation does not begin with a text of
 * the system that it can be added to. [-0, +0, m] */
static bool note_apart(lua_State *L, const struct request_source *s)
{
    int top = lua_gettop(L);
    bool apart = lua_isstring(L, s->note);
    lua_rawgeti(L, s->messages, 1);
    if (apart && lua_istable(L, -1) && is_system(L, top + 1)) {
        lua_getfield(L, -1, "content");
        apart = lua_type(L, -1) != LUA_TSTRING;
    }
    lua_settop(L, top);
    return apart;
}

/* Pushes the list of messages as they will be sent: the message itself, when
 * encoded.c takes it, or else its JSON. list[0] is the length of it all. lua-
 * cjson reserves room for the worst case and ends the process when there is
 * none, so what might become too long is not even begun: an error table, and
 * false. [-0, +1, m] */
static bool list_messages(lua_State *L, const struct request_source *s)
{
    double worst = lua_istable(L, s->call) ? json_worst(L, s->call) : 0;
    struct taste taste = {provider_has(L, s->route, "reasoning_back"),
                          provider_has(L, s->route, "extra_content")};
    bool note = lua_isstring(L, s->note), apart = note_apart(L, s);
    int n = (int)lua_rawlen(L, s->messages), skip = apart ? 1 : 0;
    n += skip;
    size_t sum = n > 0 ? (size_t)n - 1 : 0, size;
    lua_createtable(L, n, 1);
    lua_newtable(L); /* those that need lua-cjson */
    lua_insert(L, -2);
    int list = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        push_message(L, s, i - skip);
        if (!lua_istable(L, -1)) {
            failure_push(L, FAULT_CONFIG, "message %d is no table", i - skip);
            return false;
        }
        fit(L, s, &taste, note && !apart && i == 1);
        if (encoded_size(L, -1, &size)) {
            sum += size;
            lua_rawseti(L, list, i);
        } else {
            worst += json_worst(L, list + 1);
            lua_rawseti(L, list - 1, i);
            lua_pushboolean(L, 0);
            lua_rawseti(L, list, i);
        }
    }
    if (worst + (double)sum > s->max_request) {
        char max[32];
        snprintf(max, sizeof max, "%.0f", s->max_request);
        failure_push(L, FAULT_LIMIT,
                     "the request could become larger than %s bytes "
                     "(max_request_bytes)",
                     max);
        return false;
    }
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        if (!lua_toboolean(L, -1)) {
            lua_rawgeti(L, list - 1, i);
            if (!encode(L, s)) {
                failure_push(L, FAULT_CONFIG, "message %d cannot be sent: %s",
                             i - skip, lua_tostring(L, -1));
                return false;
            }
            sum += lua_rawlen(L, -1);
            lua_rawseti(L, list, i);
        }
        lua_settop(L, list);
    }
    lua_pushnumber(L, (lua_Number)sum);
    lua_rawseti(L, list, 0);
    lua_remove(L, list - 1);
    return true;
}

static bool add_messages(lua_State *L, const struct request_source *s,
                         int parts)
{
    if (!list_messages(L, s))
        return false;
    add_literal(L, parts, "\"messages\":[");
    add(L, parts);
    add_literal(L, parts, "],");
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

/* The length of the part on top, a string or a list of messages. */
static size_t part_size(lua_State *L)
{
    if (!lua_istable(L, -1))
        return lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 0);
    size_t n = (size_t)lua_tonumber(L, -1);
    lua_pop(L, 1);
    return n;
}

static size_t size_of(lua_State *L, int parts)
{
    size_t size = 0;
    int count = (int)lua_rawlen(L, parts);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, parts, i);
        size += part_size(L);
        lua_pop(L, 1);
    }
    return size;
}

void request_strings(lua_State *L, int parts)
{
    size_t size = size_of(L, parts);
    if (size > LARGE)
        lua_createtable(L, (int)(size / ENCODED_LONG), 0);
    else
        lua_pushnil(L);
}

/* Adds the list of messages on top. */
static const char *add_list(lua_State *L, struct encoded_to *to)
{
    const char *problem = NULL;
    int list = lua_gettop(L), count = (int)lua_rawlen(L, list);
    for (int i = 1; problem == NULL && i <= count; i++) {
        bool ok = i == 1 || body_add(to->body, ",", 1);
        lua_rawgeti(L, list, i);
        if (lua_istable(L, -1))
            problem = encoded_add(L, -1, to);
        else
            ok = ok && encoded_string(L, -1, false, to);
        lua_pop(L, 1);
        if (!ok)
            problem = "not enough memory";
    }
    return problem;
}

const char *request_join(lua_State *L, int parts, int strings,
                         struct body *body)
{
    size_t size = size_of(L, parts);
    bool large = lua_istable(L, strings);
    struct encoded_to to = {
        .body = body,
        .strings = strings,
        .room = large ? (int)(size / ENCODED_LONG) : 0,
    };
    const char *problem = NULL;
    int count = (int)lua_rawlen(L, parts);
    body_init(body);
    if (!large && !body_reserve(body, size))
        return "not enough memory";
    for (int i = 1; problem == NULL && i <= count; i++) {
        lua_rawgeti(L, parts, i);
        if (lua_istable(L, -1))
            problem = add_list(L, &to);
        else if (!encoded_string(L, -1, false, &to))
            problem = "not enough memory";
        lua_pop(L, 1);
    }
    if (problem != NULL)
        body_free(body);
    return problem;
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

bool request_has_secret(const struct http_options *o)
{
    static const char *const names[] = {"Authorization", "api-key", "x-api-key",
                                        "x-goog-api-key", "Cookie"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (has(o, names[i]))
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
        const char *name = lua_tostring(L, top - 1);
        if (strlen(name) != lua_rawlen(L, top - 1))
            name = ""; /* there is a NUL in it */
        if ((n > 0 || !env) && !add_header(L, o, name, value, n))
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
        if (lua_istable(L, -1) && !s->foreign) {
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
