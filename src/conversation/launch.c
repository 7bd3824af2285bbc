/*
 * launch.c - see launch.h.
 */
#include "conversation/launch.h"

#include <string.h>

#include "binding/binding.h"
#include "binding/failure.h"
#include "binding/history.h"
#include "binding/options.h"
#include "conversation/bot.h"
#include "conversation/headers.h"
#include "conversation/key.h"
#include "dialect/dialects.h"
#include "dialect/writer.h"
#include "parsing/url.h"
#include "provider/route.h"
#include "reply/reply.h"

/* Where things stand on the stack, counted from a base. */
struct stack {
    int bot, reply;
    int env;  /* of the bot */
    int renv; /* of the reply */
    int route;
    bool fetch; /* a GET without a body */
    const struct dialect *dialect;
    struct headers_source source;
    struct writer writer;
};

/* Fills what the engine has to know. The strings stay alive in the tables, or
 * in what is pushed. [-0, +2, m] */
static void fill_options(lua_State *L, const struct headers_source *s,
                         struct http_options *o)
{
    o->ca_file = options_text(L, s->options, "ca_file");
    o->proxy = options_text(L, s->options, "proxy");
    int top = lua_gettop(L);
    lua_getfield(L, s->route, "url");
    o->url = lua_tostring(L, -1);
    lua_getfield(L, s->options, "http_version");
    o->http_version =
        lua_isstring(L, -1) && *lua_tostring(L, -1) == '2' ? 2 : 11;
    lua_getfield(L, s->route, "spec");
    lua_getfield(L, -1, "loading_wait");
    o->loading_wait = lua_toboolean(L, -1);
    options_limits(L, s->call, s->options, &o->limits);
    lua_settop(L, top);
}

/* Copies what the reply needs to know of the options. [-0, +0, m] */
static void fill_reply(lua_State *L, const struct stack *s)
{
    static const char *const names[] = {
        "on_text",      "on_event",     "wait",
        "verbose",      "keep_partial", "max_context_tokens",
        "on_reasoning", "on_trim",      "answer_tool"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        options_get(L, s->source.call, s->source.options, names[i]);
        lua_setfield(L, s->renv, names[i]);
    }
    lua_getfield(L, s->renv, "verbose");
    if (lua_isboolean(L, -1)) {
        lua_pushinteger(L, lua_toboolean(L, -1));
        lua_setfield(L, s->renv, "verbose");
    }
    lua_pop(L, 1);
    lua_getfield(L, s->env, "totals");
    lua_setfield(L, s->renv, "totals");
    options_get(L, s->source.call, s->source.options, "think_tags");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, route_has(L, s->route, "think_tags"));
    }
    lua_setfield(L, s->renv, "think_tags");
    lua_pushboolean(
        L, options_number(L, s->source.call, s->source.options, "n", 1) > 1);
    lua_setfield(L, s->renv, "several");
    lua_pushboolean(L, route_has(L, s->route, "reasoning_back"));
    lua_setfield(L, s->renv, "reasoning_back");
    lua_pushboolean(L, route_has(L, s->route, "reasoning_details"));
    lua_setfield(L, s->renv, "details_back");
    static const char *const of_route[] = {"provider", "model", "base_url"};
    static const char *const as[] = {"provider", "asked_model", "server"};
    for (size_t i = 0; i < 3; i++) {
        lua_getfield(L, s->route, of_route[i]);
        lua_setfield(L, s->renv, as[i]);
    }
    lua_pushstring(L, s->dialect->name);
    lua_setfield(L, s->renv, "api");
}

/* Pushes a copy of the route with another path behind its base URL. */
static void push_path_route(lua_State *L, int route, int path)
{
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, route)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_settable(L, -4);
    }
    lua_getfield(L, route, "base_url");
    lua_pushfstring(L, "%s%s", lua_tostring(L, -1), lua_tostring(L, path));
    lua_setfield(L, -3, "url");
    lua_pop(L, 1);
}

/* Pushes the headers among these options, if they are a table and `here` says
 * that they were given for the server that is asked, or nil. [-0, +1, m] */
static void push_headers(lua_State *L, int options, bool here)
{
    if (here && lua_istable(L, options))
        lua_getfield(L, options, "headers");
    else
        lua_pushnil(L);
}

/* Pushes the options of the bot and of the call, and the headers of the call
 * and of the bot that go along. When the bot has been sent away from the server
 * that is asked, by a finalizer or a tool, its options are those it had before.
 * Read in one go, in which no finalizer runs. [-0, +4, m] */
static void push_options(lua_State *L, const struct stack *s)
{
    int now = lua_gettop(L) + 1, call = now + 1, given = now + 2, own = now + 3;
    lua_getfield(L, s->env, "options");
    lua_getfield(L, s->renv, "call");
    lua_getfield(L, s->renv, "home");
    lua_getfield(L, s->env, "route");
    lua_getfield(L, s->renv, "options");
    int then = own + 1;
    bool was_here = route_same_server(L, s->route, given);
    bool is_here = route_same_server(L, s->route, own);
    push_headers(L, call, was_here);
    lua_replace(L, given);
    push_headers(L, now, is_here);
    if (lua_isnil(L, -1))
        push_headers(L, then, was_here);
    lua_replace(L, own);
    if (was_here && !is_here) {
        lua_pushvalue(L, then);
        lua_replace(L, now);
    }
    lua_settop(L, own);
}

/* Makes the list at `messages` what is to be sent for it, and if the dialect
 * has a place apart for the system, where the note belongs as well, sets what
 * goes there, which is the nil on top. A conversation of texts is sent as it is
 * where messages are. False: an error table, since the service cannot have
 * something of it. [-0, +(0|1), e] */
static bool push_turns(lua_State *L, const struct stack *s, int messages,
                       int note)
{
    int system = lua_gettop(L);
    if (s->dialect->apart == NULL && history_plain(L, messages))
        return true;
    lua_getfield(L, s->bot, "_turns");
    lua_pushvalue(L, s->bot);
    lua_pushvalue(L, messages);
    lua_pushvalue(L, s->route);
    lua_pushvalue(L, note);
    lua_pushvalue(L, s->source.call);
    lua_call(L, 5, 3);
    const struct reply *r = lua_touserdata(L, s->reply);
    if (r->resumed)
        lua_pop(L, 1); /* that of the first part counts */
    else
        lua_setfield(L, s->renv, "before");
    if (lua_isnil(L, -2))
        return false;
    lua_replace(L, system);
    lua_replace(L, messages);
    if (s->dialect->apart != NULL) {
        lua_pushnil(L);
        lua_replace(L, note);
    }
    return true;
}

/* Pushes what the request is made of, in the order of `struct stack`. False: an
 * error table is on top. */
static bool push_sources(lua_State *L, struct stack *s)
{
    int top = lua_gettop(L);
    compat_getenv(L, s->bot);
    s->env = top + 1;
    compat_getenv(L, s->reply);
    s->renv = top + 2;
    lua_getfield(L, s->renv, "route");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_getfield(L, s->env, "route");
    }
    s->route = top + 3;
    lua_getfield(L, s->renv, "path");
    if (lua_isstring(L, -1)) {
        push_path_route(L, s->route, top + 4);
        lua_replace(L, s->route);
    }
    bool fetch = lua_isstring(L, top + 4);
    lua_settop(L, s->route);
    push_options(L, s);
    lua_getfield(L, s->env, "messages");
    lua_getfield(L, s->renv, "note");
    options_get(L, top + 5, top + 4, "stream");
    bool stream = !fetch && (lua_isnil(L, -1) || lua_toboolean(L, -1));
    options_get(L, top + 5, top + 4, "replace_invalid_utf8");
    s->fetch = fetch;
    s->dialect = dialect_of(L, s->route);
    s->source = (struct headers_source){.options = top + 4,
                                        .call = top + 5,
                                        .route = s->route,
                                        .given = {top + 6, top + 7},
                                        .dialect = s->dialect,
                                        .stream = stream};
    s->writer = (struct writer){
        .options = top + 4,
        .call = top + 5,
        .route = s->route,
        .messages = top + 8,
        .note = top + 9,
        .system = top + 10,
        .stream = stream,
        .to = {.max = (double)options_bytes(L, top + 5, top + 4,
                                            "max_request_bytes", 64 << 20),
               .invalid =
                   lua_toboolean(L, -1) ? ENCODED_REPLACE : ENCODED_REFUSE,
               .known = top + 11,
               .known_now = top + 12,
               .schemas = s->dialect->schemas}};
    lua_settop(L, top + 9);
    lua_pushnil(L);
    if (!fetch && !push_turns(L, s, top + 8, top + 9))
        return false;
    lua_getfield(L, s->env, "known");
    lua_pushnil(L);
    return true;
}

/* Whether it makes sense to send the key, if there is one, and the headers
 * there. False: an error table is pushed. */
static bool may_go(lua_State *L, const struct stack *s,
                   const struct http_options *o, const char *key)
{
    lua_getfield(L, s->source.options, "allow_insecure_http");
    bool secret = key != NULL || headers_have_secret(o);
    const char *wrong = url_check(o->url, secret, lua_toboolean(L, -1));
    lua_pop(L, 1);
    if (wrong != NULL)
        failure_push(L, FAULT_CONFIG, "%s", wrong);
    return wrong == NULL;
}

/* How many tokens the answer may have, as the call says; 0: it does not, or it
 * does not matter. [-0, +0, m] */
static double limit_of(lua_State *L, const struct stack *s)
{
    const char *const *name = s->dialect->limits;
    double limit = 0;
    for (; name != NULL && *name != NULL && limit == 0; name++)
        limit = options_number(L, s->source.call, s->source.options, *name, 0);
    return limit;
}

/* Takes the body over and starts. From here on nothing that throws comes before
 * the request has it. False: an error table is pushed. */
static bool start(lua_State *L, const struct stack *s, int body,
                  struct http *http, struct http_options *o, const char *key)
{
    struct reply *r = lua_touserdata(L, s->reply);
    r->dialect = s->dialect;
    r->answer.limit = limit_of(L, s);
    if (r->status != REPLY_STREAMING) { /* by what ran meanwhile */
        failure_push(L, FAULT_CANCELLED, "the reply was closed");
        return false;
    }
    if (!s->fetch) {
        struct body *made = lua_touserdata(L, body);
        o->body = *made;
        body_init(made);
    }
    if (!headers_secrets(o, key, &r->answer.secret)) {
        body_free(&o->body);
        failure_push(L, FAULT_MEMORY, "not enough memory");
        return false;
    }
    return reply_start(L, s->reply, http, o);
}

/* The body and the key are on top. False: an error table is pushed. */
static bool send(lua_State *L, const struct stack *s)
{
    const char *lines[HEADERS_MAX];
    struct http_options o = {.headers = lines};
    struct http *http = NULL;
    int key_at = lua_gettop(L), body = key_at - 1;
    char *key = lua_touserdata(L, key_at);
    struct body *made = lua_touserdata(L, body);
    fill_options(L, &s->source, &o);
    bool ok = headers_check(L, &o) && headers_fill(L, &s->source, key, &o) &&
              may_go(L, s, &o, key) && (http = binding_http(L)) != NULL;
    if (ok) {
        lua_setfield(L, s->renv, "engine");
        reply_forget(L, s->reply);
        if (made != NULL && made->count > 0) {
            lua_pushvalue(L, body);
            lua_rawseti(L, s->renv, REPLY_BODY);
        }
        ok = start(L, s, body, http, &o, key);
    }
    headers_wipe(&o, key);
    if (key != NULL)
        memset(key, 0, strlen(key));
    if (made != NULL)
        body_free(made); /* a state that is being closed collects it not */
    return ok;
}

bool launch(lua_State *L, int bot, int reply)
{
    int top = lua_gettop(L);
    struct stack s = {.bot = lua_absindex(L, bot),
                      .reply = lua_absindex(L, reply)};
    luaL_checkstack(L, 40, NULL);
    bool ok = push_sources(L, &s);
    fill_reply(L, &s);
    if (s.fetch) {
        lua_pushnil(L);
    } else if (ok) {
        ok = writer_body(L, &s.writer, s.dialect->write);
        lua_pushvalue(L, s.writer.to.known_now);
        lua_setfield(L, s.env, "known");
    }
    ok = ok && key_push(L, s.bot, s.reply, s.env, s.route) && send(L, &s);
    if (!ok) {
        route_name(L, s.route);
        lua_replace(L, top + 1);
        lua_settop(L, top + 1);
        return false;
    }
    lua_settop(L, top);
    return true;
}
