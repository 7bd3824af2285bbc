/*
 * core.c - luaopen_chatbot_core: the module's functions and its two types.
 *
 * Opening does no work but to create tables: libcurl is loaded by the first
 * request or by warmup.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "binding/binding.h"
#include "binding/encoded.h"
#include "binding/failure.h"
#include "binding/hash.h"
#include "binding/json.h"
#include "binding/options.h"
#include "conversation/chatbot.h"
#include "engine/ca.h"
#include "engine/file.h"
#include "engine/libcurl.h"
#include "engine/os.h"
#include "page/fetch.h"
#include "page/html.h"
#include "parsing/utf8.h"
#include "parsing/version.h"
#include "provider/provider.h"
#include "provider/rules.h"
#include "reply/advance.h"
#include "reply/methods.h"
#include "reply/reply.h"

OS_EXPORT int luaopen_chatbot_core(lua_State *L);

static const char core_key; /* registry: the module, once it is open */

/* Raises when the options at `arg` have another name than this. [-0, +0, e] */
static void check_names(lua_State *L, int arg, const char *only)
{
    lua_pushnil(L);
    while (lua_next(L, arg)) {
        bool text = lua_type(L, -2) == LUA_TSTRING;
        const char *name = text ? lua_tostring(L, -2) : luaL_typename(L, -2);
        if (!text || strcmp(name, only) != 0)
            binding_argerror(L, arg,
                             lua_pushfstring(L, "unknown option '%s'", name));
        lua_pop(L, 1);
    }
}

/* poll([seconds [, {budget = ms}]]) -> how many replies are under way. Waits up
 * to `seconds` (default 0) for something to happen, does it for as long as the
 * budget says, and calls on_text. */
static int core_poll(lua_State *L)
{
    int64_t us = binding_seconds(L, 1, 0), budget = -1;
    struct http *http = binding_http_if(L);
    if (!lua_isnoneornil(L, 2)) {
        binding_checktype(L, 2, LUA_TTABLE);
        lua_settop(L, 2);
        check_names(L, 2, "budget");
        lua_getfield(L, 2, "budget");
        lua_replace(L, 2); /* so that what is blamed is the second argument */
        if (!lua_isnil(L, 2))
            budget = binding_milliseconds(L, 2);
    }
    if (budget < 0)
        budget = binding_budget(L);
    lua_settop(L, 0);
    if (http == NULL) {
        lua_pushinteger(L, 0);
        return 1;
    }
    binding_push_engine(L); /* a callback may fork, and leave it behind */
    if (http_step(http, us, BUDGET_PART(budget)) && !http_signalled(http))
        binding_hooks(L);
    advance_dispatch(L, http, timers_now() + BUDGET_PART(budget));
    lua_pushinteger(L, (lua_Integer)http_active(http));
    return 1;
}

/* max_concurrent([n]) -> n: how many requests run at once (0: any number); the
 * others wait for their turn. */
static int core_max_concurrent(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) {
        double max = binding_checknumber(L, 1);
        binding_argcheck(L, max >= 0 && max <= 1e6 && max == (double)(long)max,
                         1, "not a number of requests");
        binding_set_concurrent(L, (size_t)max);
    }
    lua_pushinteger(L, (lua_Integer)binding_concurrent(L));
    return 1;
}

/* budget([ms]) -> ms: what a poll may take when it is not told otherwise. */
static int core_budget(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        binding_set_budget(L, binding_milliseconds(L, 1));
    lua_pushnumber(L, (lua_Number)binding_budget(L) / 1000);
    return 1;
}

/* Pushes the engine's userdata and returns it, or raises. */
static struct http *need_http(lua_State *L)
{
    struct http *http = binding_http(L);
    if (http == NULL)
        lua_error(L);
    return http;
}

/* pollfd() -> the descriptor to watch for reading, or nil where there is none.
 */
static int core_pollfd(lua_State *L)
{
    int fd = http_fd(need_http(L));
    if (fd < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, fd);
    return 1;
}

/* timeout() -> seconds until poll must be called anyway, or nil. */
static int core_timeout(lua_State *L)
{
    struct http *http = binding_http_if(L);
    int64_t us = http == NULL ? -1 : http_timeout(http);
    if (us < 0)
        lua_pushnil(L);
    else
        lua_pushnumber(L, (lua_Number)us / 1e6);
    return 1;
}

/* remind([seconds]): the engine's descriptor and timeout() say by then that
 * poll must be called: who waits for something else looks again. */
static int core_remind(lua_State *L)
{
    int64_t us = binding_seconds(L, 1, 0);
    http_remind(need_http(L), us);
    return 0;
}

/* curl_version() -> {version, ssl_version, async_dns, http2, ca, ca_source}.
 * Loads libcurl. `ca` is the file or directory that is used without ca_file. */
static int core_curl_version(lua_State *L)
{
    struct ca ca;
    const struct libcurl *curl = libcurl_load();
    if (curl->error != NULL)
        return failure_return(L, FAULT_CONFIG, "%s", curl->error);
    ca_find(curl, NULL, &ca);
    lua_createtable(L, 0, 6);
    lua_pushstring(L, ca.file != NULL ? ca.file : ca.dir); /* NULL is nil */
    lua_setfield(L, -2, "ca");
    lua_pushstring(L, ca.source);
    lua_setfield(L, -2, "ca_source");
    lua_pushstring(L, curl->version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, curl->ssl_version);
    lua_setfield(L, -2, "ssl_version");
    lua_pushboolean(L, (curl->features & CURL_VERSION_ASYNCHDNS) != 0);
    lua_setfield(L, -2, "async_dns");
    lua_pushboolean(L, (curl->features & CURL_VERSION_HTTP2) != 0);
    lua_setfield(L, -2, "http2");
    return 1;
}

/* warmup() -> true: loads libcurl, the CA certificates and the JSON module and
 * starts the engine, so that the first request does not have to. */
static int core_warmup(lua_State *L)
{
    if (binding_http(L) == NULL)
        return binding_fail(L);
    http_warm(binding_http_if(L));
    if (!json_ready(L))
        return failure_return(L, FAULT_CONFIG, "%s", lua_tostring(L, -1));
    lua_pushboolean(L, 1);
    return 1;
}

/* interrupts(on): while on, SIGINT ends the running reply as cancelled and
 * does not end the process; off, it ends the process. For programs with a
 * terminal: it replaces the handler that lua.c has installed. */
static int core_interrupts(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TBOOLEAN);
    bool on = lua_toboolean(L, 1);
    bool ok = http_signals(need_http(L), on) == 0;
    if (!on)
        signal(SIGINT, SIG_DFL);
    lua_pushboolean(L, ok);
    return 1;
}

/* options(table, call) -> a copy, see options_copy */
static int core_options(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    options_copy(L, 1, lua_toboolean(L, 2));
    lua_settop(L, 1);
    return 1;
}

/* misuse(arg, message): raises for an argument of the function of the module's
 * that the caller is in, see binding_argerror. */
static int core_misuse(lua_State *L)
{
    return binding_argerror(L, (int)luaL_checkinteger(L, 1),
                            luaL_checkstring(L, 2));
}

/* json_encode(value [, schema]) -> text, or nil and what is wrong; `schema`:
 * the value is a JSON schema. */
static int core_json_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_toboolean(L, 2) ? encoded_push_schema(L, 1) : encoded_push(L, 1))
        return 1;
    return binding_fail(L);
}

static int core_json_decode(lua_State *L)
{
    size_t n;
    const char *s = luaL_checklstring(L, 1, &n);
    if (json_decode(L, s, n))
        return 1;
    return binding_fail(L);
}

/* base64(bytes) -> text (RFC 4648, section 4) */
static int core_base64(lua_State *L)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n;
    const char *s = luaL_checklstring(L, 1, &n);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < n; i += 3) {
        unsigned long v = (unsigned long)(unsigned char)s[i] << 16;
        if (i + 1 < n)
            v |= (unsigned long)(unsigned char)s[i + 1] << 8;
        if (i + 2 < n)
            v |= (unsigned long)(unsigned char)s[i + 2];
        luaL_addchar(&b, digits[v >> 18]);
        luaL_addchar(&b, digits[v >> 12 & 63]);
        luaL_addchar(&b, i + 1 < n ? digits[v >> 6 & 63] : '=');
        luaL_addchar(&b, i + 2 < n ? digits[v & 63] : '=');
    }
    luaL_pushresult(&b);
    return 1;
}

/* repair(text) -> the text, with U+FFFD for what is not UTF-8 */
static int core_repair(lua_State *L)
{
    size_t n, from = 0, bad;
    const char *s = luaL_checklstring(L, 1, &n);
    if ((bad = utf8_invalid(s, n)) == n) {
        lua_settop(L, 1);
        return 1;
    }
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (; bad < n - from; bad = utf8_invalid(s + from, n - from)) {
        luaL_addlstring(&b, s + from, bad);
        luaL_addstring(&b, "\xEF\xBF\xBD");
        from += bad + 1;
    }
    luaL_addlstring(&b, s + from, n - from);
    luaL_pushresult(&b);
    return 1;
}

/* failure(kind, message) -> an error table */
static int core_failure(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1),
               *message = luaL_checkstring(L, 2);
    int fault = FAULT_CONFIG;
    while (fault < FAULT_MEMORY &&
           strcmp(kind, http_fault_name((enum http_fault)fault)) != 0)
        fault++;
    failure_push(L, (enum http_fault)fault, "%s", message);
    return 1;
}

/* write_file(path, text) -> true; or nil and why not. See file.h. */
static int core_write_file(lua_State *L)
{
    size_t path_len, n;
    const char *path = luaL_checklstring(L, 1, &path_len);
    const char *text = luaL_checklstring(L, 2, &n);
    int error = strlen(path) < path_len ? EINVAL : file_replace(path, text, n);
    if (error == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, strerror(error));
    return 2;
}

/* isyieldable() -> coroutine.isyieldable(), also where a host has put another
 * table in place of `coroutine`, as ngx_lua does. */
static int core_isyieldable(lua_State *L)
{
    lua_pushboolean(L, compat_isyieldable(L));
    return 1;
}

/* rule(route, name) -> what the provider's data have for the route's model. */
static int core_rule(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    rules_push(L, 1, luaL_checkstring(L, 2));
    return 1;
}

/* array(table) -> the table, which is a JSON array also when it is empty. */
static int core_array(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    json_array(L);
    return 1;
}

/* raw(text) -> a table that is encoded as this JSON text. */
static int core_raw(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_settop(L, 1);
    lua_createtable(L, 1, 0);
    lua_insert(L, 1);
    lua_rawseti(L, 1, 1);
    encoded_mark(L);
    return 1;
}

/* hash(...) -> a text that these values determine, see hash.h. */
static int core_hash(lua_State *L)
{
    uint64_t hash = HASH_START;
    int count = lua_gettop(L);
    for (int i = 1; i <= count; i++)
        hash = hash_value(L, i, hash);
    hash_push(L, hash);
    return 1;
}

int luaopen_chatbot_core(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"new", chatbot_new},
        {"poll", core_poll},
        {"budget", core_budget},
        {"max_concurrent", core_max_concurrent},
        {"pollfd", core_pollfd},
        {"timeout", core_timeout},
        {"remind", core_remind},
        {"warmup", core_warmup},
        {"register", provider_register},
        {"providers", provider_list},
        {"isyieldable", core_isyieldable},
        {"array", core_array},
        {"rule", core_rule},
        {"raw", core_raw},
        {"hash", core_hash},
        {"base64", core_base64},
        {"repair", core_repair},
        {"failure", core_failure},
        {"write_file", core_write_file},
        {"fetch", fetch_start},
        {"html", html_parse},
        {"to_utf8", html_to_utf8},
        {"options", core_options},
        {"interrupts", core_interrupts},
        {"ours", binding_ours},
        {"misuse", core_misuse},
        {"curl_version", core_curl_version},
        {"json_encode", core_json_encode},
        {"json_decode", core_json_decode},
        {NULL, NULL},
    };
#if LUA_VERSION_NUM >= 502
    luaL_checkversion(L); /* what dlopen lets pass, as Lua 5.5 would 5.4's */
#endif
    compat_getkey(L, &core_key);
    if (lua_istable(L, -1)) /* loaded anew: bots of before keep their types */
        return 1;
    binding_open(L, methods_drop);
    failure_open(L);
    lua_newtable(L);
    compat_setfuncs(L, functions);
    chatbot_open(L);
    lua_setfield(L, -2, "chatbot"); /* the methods, for the Lua side */
    methods_open(L);
    lua_setfield(L, -2, "reply");
    lua_pushliteral(L, CHATBOT_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushvalue(L, -1);
    compat_setkey(L, &core_key);
    return 1;
}
