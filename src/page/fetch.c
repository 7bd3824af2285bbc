/*
 * fetch.c - see fetch.h.
 */
#include "page/fetch.h"

#include "binding/binding.h"
#include "binding/failure.h"
#include "binding/options.h"
#include "conversation/headers.h"
#include "engine/address.h"
#include "parsing/url.h"
#include "provider/route.h"
#include "reply/advance.h"
#include "reply/reply.h"

#define MAX_BODY (8 << 20) /* unless max_answer_bytes says otherwise */

/* curl undoes no encoding that was not asked for, so none is. */
static const char *const headers[] = {
    "Accept: text/html, application/xhtml+xml, text/plain;q=0.9, */*;q=0.1",
    "Accept-Encoding: identity"};

static const char *text_option(lua_State *L, int options, const char *name)
{
    lua_getfield(L, options, name);
    const char *s = lua_tostring(L, -1);
    lua_pop(L, 1); /* the table has it */
    return s;
}

/* Pushes the options with what is the default here. [-0, +1, e] */
static void push_options(lua_State *L, int given)
{
    lua_newtable(L);
    lua_pushinteger(L, MAX_BODY);
    lua_setfield(L, -2, "max_answer_bytes");
    if (lua_isnil(L, given))
        return;
    luaL_checktype(L, given, LUA_TTABLE);
    options_check(L, given, given, false);
    lua_pushnil(L);
    while (lua_next(L, given)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_settable(L, -4);
    }
}

int fetch_start(lua_State *L)
{
    enum { URL = 1, OPTS, OPTIONS, REPLY, RENV };
    const char *url = luaL_checkstring(L, URL);
    bool outside = lua_toboolean(L, OPTS + 1);
    lua_settop(L, OPTS);
    push_options(L, OPTS);
    const char *wrong = url_check(url, false, true);
    if (wrong != NULL)
        return failure_return(L, FAULT_CONFIG, "%s", wrong);
    size_t n;
    const char *host = url_host(url, &n);
    if (outside && address_is_private_host(host, n))
        return failure_return(L, FAULT_REDIRECT, ADDRESS_PRIVATE);
    struct reply *r = reply_new(L);
    r->fetch = r->document = true;
    compat_getenv(L, REPLY);
    lua_getfield(L, OPTIONS, "wait");
    lua_setfield(L, RENV, "wait");
    const char *version = text_option(L, OPTIONS, "http_version");
    const char *ca_file = options_text(L, OPTIONS, "ca_file");
    const char *proxy = options_text(L, OPTIONS, "proxy");
    struct http_options o = {
        .url = url,
        .headers = headers,
        .n_headers = sizeof headers / sizeof *headers,
        .ca_file = ca_file,
        .proxy = proxy,
        .http_version = version != NULL && *version == '2' ? 2 : 11,
        .document = true,
        .outside = outside,
    };
    options_limits(L, OPTS, OPTIONS, &o.limits);
    bool ok = headers_check(L, &o);
    struct http *http = ok ? binding_http(L) : NULL;
    ok = http != NULL;
    if (ok) {
        lua_setfield(L, RENV, "engine");
        ok = headers_secrets(&o, NULL, &r->answer.secret);
        if (!ok)
            failure_push(L, FAULT_MEMORY, "not enough memory");
    }
    ok = ok && reply_start(L, REPLY, http, &o);
    if (!ok) { /* an error table is on top */
        return binding_fail(L);
    }
    lua_settop(L, REPLY);
    advance_step(L, REPLY, 0); /* under way at once */
    return 1;
}
