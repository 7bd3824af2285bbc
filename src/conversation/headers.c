/*
 * headers.c - see headers.h.
 */
#include "conversation/headers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "binding/binding.h"
#include "binding/failure.h"
#include "parsing/url.h"
#include "provider/route.h"

/* The lines, and where on the stack the table is that keeps them. */
struct head {
    struct http_options *o;
    int lines;
    size_t bytes; /* of the lines */
};

/* False, with an error table, when there is a control character or one that is
 * not ASCII. It says where; the value itself is never shown. */
static bool check(lua_State *L, const char *what, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < ' ' || (unsigned char)s[i] >= 0x7F) {
            failure_push(L, FAULT_CONFIG,
                         "%s has a control character or a non-ASCII byte at "
                         "position %d",
                         what, (int)i + 1);
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

/* Whether it says where a request goes or ends, or what becomes of the
 * connection: that is libcurl's to say. */
static bool is_framing(const char *name)
{
    static const char *const names[] = {"Host",
                                        "Content-Length",
                                        "Transfer-Encoding",
                                        "TE",
                                        "Connection",
                                        "Proxy-Connection",
                                        "Keep-Alive",
                                        "Trailer",
                                        "Upgrade",
                                        "HTTP2-Settings",
                                        "Expect"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
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

bool headers_have_secret(const struct http_options *o)
{
    static const char *const names[] = {"Authorization", "api-key",
                                        "x-api-key",     "x-goog-api-key",
                                        "Cookie",        "Proxy-Authorization"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (has(o, names[i]))
            return true;
    return false;
}

/* Adds a line; an earlier one of that name wins. False: an error table.
 * [-0, +(0|1), m] */
static bool add_header(lua_State *L, struct head *h, const char *name,
                       const char *value, size_t n)
{
    luaL_checkstack(L, 8, NULL);
    int top = lua_gettop(L);
    if (!is_name(name)) { /* behind a colon or a blank there may be a value */
        size_t len = *name == '\0' ? 0 : 1 + strcspn(name + 1, ": \t");
        lua_pushlstring(L, name, len);
        failure_push(L, FAULT_CONFIG, "'%s%s' is not the name of a header",
                     lua_tostring(L, -1), name[len] == '\0' ? "" : "...");
        return false;
    }
    if (is_framing(name)) {
        failure_push(L, FAULT_CONFIG,
                     "the header %s cannot be set: it belongs to the "
                     "connection",
                     name);
        return false;
    }
    if (!check(L, lua_pushfstring(L, "the header %s", name), value, n))
        return false;
    lua_settop(L, top);
    if (has(h->o, name))
        return true;
    if (h->o->n_headers == HEADERS_MAX) {
        failure_push(L, FAULT_CONFIG, "there are more than %d headers",
                     HEADERS_MAX);
        return false;
    }
    size_t len = strlen(name);
    h->bytes += len + 2 + n;
    if (h->bytes > HEADERS_BYTES) {
        failure_push(L, FAULT_CONFIG,
                     "with %s the headers are longer than %d bytes", name,
                     HEADERS_BYTES);
        return false;
    }
    char *line = lua_newuserdata(L, len + n + 3);
    memcpy(line, name, len);
    memcpy(line + len, ": ", 2);
    memcpy(line + len + 2, value, n);
    line[len + 2 + n] = '\0';
    if (n == 0) /* curl's way to say: send it empty */
        memcpy(line + len, ";", 2);
    lua_rawseti(L, h->lines, (int)h->o->n_headers + 1);
    const char **lines = (const char **)(size_t)h->o->headers;
    lines[h->o->n_headers++] = line;
    return true;
}

/* Adds the headers of the table on top; `env`: values are variables' names.
 * False: an error table. [-0, +(0|1), m] */
static bool add_table(lua_State *L, struct head *h, bool env)
{
    int table = lua_gettop(L);
    if (!lua_istable(L, table))
        return true;
    luaL_checkstack(L, 4, NULL);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        if (lua_type(L, table + 1) != LUA_TSTRING ||
            !lua_isstring(L, table + 2)) {
            failure_push(L, FAULT_CONFIG, "headers must map names to strings");
            return false;
        }
        size_t n;
        const char *value = lua_tolstring(L, table + 2, &n);
        if (env) {
            value = getenv(value);
            n = value == NULL ? 0 : strlen(value);
        }
        const char *name = lua_tostring(L, table + 1);
        if (strlen(name) != lua_rawlen(L, table + 1))
            name = ""; /* there is a NUL in it */
        if ((n > 0 || !env) && !add_header(L, h, name, value, n))
            return false;
        lua_settop(L, table + 1);
    }
    return true;
}

static bool add_text(lua_State *L, struct head *h, const char *name,
                     const char *value)
{
    return add_header(L, h, name, value, strlen(value));
}

/* The option of the bot as a header, for a provider that knows this header (its
 * header_env names it). False: an error table. [-0, +(0|1), m] */
static bool add_option(lua_State *L, const struct headers_source *s,
                       struct head *h, const char *option, const char *name)
{
    int top = lua_gettop(L);
    size_t n;
    lua_getfield(L, s->options, option);
    const char *value = lua_tolstring(L, -1, &n);
    lua_getfield(L, s->route, "spec");
    lua_getfield(L, -1, "header_env");
    bool known = lua_istable(L, -1);
    if (known) {
        lua_getfield(L, -1, name);
        known = lua_isstring(L, -1);
    }
    if (value != NULL && known && !add_header(L, h, name, value, n))
        return false;
    lua_settop(L, top);
    return true;
}

static bool add_key(lua_State *L, const struct headers_source *s,
                    struct head *h, const char *key)
{
    if (key == NULL)
        return true;
    size_t n = strlen(key);
    if (!check(L, "the API key", key, n))
        return false;
    lua_getfield(L, s->route, "spec");
    lua_getfield(L, -1, "auth_header");
    const char *name = lua_tostring(L, -1);
    if (name == NULL)
        name = s->dialect->key_header;
    if (name != NULL && strcasecmp(name, "Authorization") != 0)
        return add_text(L, h, name, key);
    /* never as a Lua string: those are interned and outlive their use */
    char *line = lua_newuserdata(L, n + 8);
    memcpy(line, "Bearer ", 7);
    memcpy(line + 7, key, n + 1);
    bool ok = add_header(L, h, "Authorization", line, n + 7);
    memset(line, 0, n + 8);
    return ok;
}

bool headers_fill(lua_State *L, const struct headers_source *s, const char *key,
                  struct http_options *o)
{
    luaL_checkstack(L, 32, NULL);
    o->n_headers = 0;
    lua_newtable(L);
    struct head h = {o, lua_gettop(L), 0};
    /* the user's own come first, and so replace ours */
    static const char *const tables[] = {"headers", "header_env"};
    for (int i = 0; i < 2; i++) {
        lua_pushvalue(L, s->given[i]);
        if (!add_table(L, &h, false))
            return false;
    }
    if (!add_key(L, s, &h, key) ||
        !add_option(L, s, &h, "organization", "OpenAI-Organization") ||
        !add_option(L, s, &h, "project", "OpenAI-Project"))
        return false;
    lua_getfield(L, s->route, "spec");
    int spec = lua_gettop(L);
    for (int i = 0; i < 2 && route_is_own(L, s->route); i++) {
        lua_getfield(L, spec, tables[i]);
        if (!add_table(L, &h, i == 1))
            return false;
    }
    const char *const *more = s->dialect->headers;
    for (; more != NULL && more[0] != NULL; more += 2)
        if (!add_text(L, &h, more[0], more[1]))
            return false;
    return add_text(L, &h, "Content-Type", "application/json") &&
           add_text(L, &h, "Accept",
                    s->stream ? "text/event-stream, application/json"
                              : "application/json");
}

bool headers_check(lua_State *L, const struct http_options *o)
{
    if (!check(L, "the URL", o->url, strlen(o->url)))
        return false;
    if (o->ca_file != NULL &&
        !failure_control(L, "the path ca_file", o->ca_file))
        return false;
    const char *proxy = url_proxy(o->url, o->proxy), *wrong = NULL;
    if (o->proxy != NULL) {
        if (!check(L, "the URL of the proxy", o->proxy, strlen(o->proxy)))
            return false;
        wrong = url_check_proxy(o->proxy);
    }
    if (wrong == NULL && proxy != NULL && url_has_control(proxy))
        wrong = "the URL of the proxy has an escaped control character";
    if (wrong != NULL)
        failure_push(L, FAULT_CONFIG, "%s", wrong);
    return wrong == NULL;
}

bool headers_secrets(const struct http_options *o, const char *key,
                     struct redact *r)
{
    const char *proxy = url_proxy(o->url, o->proxy);
    redact_free(r);
    bool ok = key == NULL || redact_add(r, key, strlen(key));
    for (size_t i = 0; ok && i < o->n_headers; i++)
        ok = redact_add_header(r, o->headers[i]);
    return ok && (proxy == NULL || redact_add_proxy(r, proxy));
}

void headers_wipe(const struct http_options *o, const char *key)
{
    for (size_t i = 0; key != NULL && i < o->n_headers; i++) {
        char *at = strstr((char *)(size_t)o->headers[i], key);
        if (at != NULL)
            memset(at, 0, strlen(at));
    }
}
