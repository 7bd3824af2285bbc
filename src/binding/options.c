/*
 * options.c - see options.h.
 */
#include "binding/options.h"

#include <stdint.h>
#include <string.h>

#include "binding/binding.h"

#define FOR_BOT  1
#define FOR_CALL 2
#define BOTH     (FOR_BOT | FOR_CALL)

enum kind {
    TEXT,
    FLAG,
    SECONDS, /* 0: no limit */
    COUNT,
    FUNCTION,
    TABLE,
    KEY,         /* string or function */
    VERBOSE,     /* 0, 1, 2 or a boolean */
    TEMPERATURE, /* a number, or false: the server's default */
    VERSION,     /* of HTTP: "1.1" or "2" */
    API          /* see options_is_api */
};

static const struct option {
    const char *name;
    enum kind kind;
    int where;
} known[] = {
    {"model", TEXT, FOR_BOT},
    {"provider", TEXT, FOR_BOT},
    {"base_url", TEXT, FOR_BOT},
    {"api", API, BOTH},
    {"api_key", KEY, FOR_BOT},
    {"messages", TABLE, FOR_BOT},
    {"system", TEXT, FOR_BOT},
    {"temperature", TEMPERATURE, FOR_BOT},
    {"organization", TEXT, FOR_BOT},
    {"project", TEXT, FOR_BOT},
    {"max_context_tokens", COUNT, FOR_BOT},
    {"keep_partial", FLAG, FOR_BOT},
    {"think_tags", FLAG, FOR_BOT},
    {"http_version", VERSION, FOR_BOT},
    {"ca_file", TEXT, FOR_BOT},
    {"proxy", TEXT, FOR_BOT},
    {"allow_insecure_http", FLAG, FOR_BOT},
    {"strict", FLAG, BOTH},
    {"answer_tool", TEXT, FOR_CALL}, /* of ours, see dialect/messages.lua */
    {"stream", FLAG, BOTH},
    {"headers", TABLE, BOTH},
    {"wait", FUNCTION, BOTH},
    {"on_text", FUNCTION, BOTH},
    {"on_reasoning", FUNCTION, BOTH},
    {"on_event", FUNCTION, BOTH},
    {"on_trim", FUNCTION, FOR_BOT},
    {"verbose", VERBOSE, BOTH},
    {"connect_timeout", SECONDS, BOTH},
    {"first_byte_timeout", SECONDS, BOTH},
    {"idle_timeout", SECONDS, BOTH},
    {"event_timeout", SECONDS, BOTH},
    {"timeout", SECONDS, BOTH},
    {"max_retries", COUNT, BOTH},
    {"max_event_bytes", COUNT, BOTH},
    {"max_answer_bytes", COUNT, BOTH},
    {"max_error_bytes", COUNT, BOTH},
    {"max_header_bytes", COUNT, BOTH},
    {"max_queue_bytes", COUNT, BOTH},
    {"max_request_bytes", COUNT, BOTH},
    {"replace_invalid_utf8", FLAG, BOTH},
};

#define KNOWN (sizeof known / sizeof *known)

static int find(const char *name)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (strcmp(name, known[i].name) == 0)
            return (int)i;
    return -1;
}

/* Whether it may be given with a call, or with a bot. Temperature is a field of
 * the body, too. */
static bool belongs(const struct option *o, bool call)
{
    return (o->where & (call ? FOR_CALL : FOR_BOT)) != 0 ||
           o->kind == TEMPERATURE;
}

bool options_is_api(const char *s)
{
    static const char *const names[] = {"chat", "responses", "messages"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(s, names[i]) == 0)
            return true;
    return false;
}

bool options_known(const char *name)
{
    return find(name) >= 0;
}

static bool is_whole(double x)
{
    return x >= 0 && x <= 1e15 && x == (double)(int64_t)x;
}

/* What the value on top should have been; NULL when it is. */
static const char *wrong(lua_State *L, enum kind kind)
{
    int type = lua_type(L, -1);
    double x = type == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    const char *s = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
    switch (kind) {
    case TEXT:
        return type == LUA_TSTRING ? NULL : "a string";
    case FLAG:
        return type == LUA_TBOOLEAN ? NULL : "a boolean";
    case SECONDS:
        return x >= 0 && x <= 1e9 ? NULL
                                  : "a number of seconds, or 0 for no limit";
    case COUNT:
        return is_whole(x) ? NULL : "a number, whole and not negative";
    case FUNCTION:
        return type == LUA_TFUNCTION ? NULL : "a function";
    case TABLE:
        return type == LUA_TTABLE ? NULL : "a table";
    case KEY:
        return type == LUA_TSTRING || type == LUA_TFUNCTION
                   ? NULL
                   : "a string or a function";
    case VERBOSE:
        return type == LUA_TBOOLEAN || x == 0 || x == 1 || x == 2 ? NULL
                                                                  : "0, 1 or 2";
    case TEMPERATURE:
        return (x >= 0 && x <= 1e15) ||
                       (type == LUA_TBOOLEAN && !lua_toboolean(L, -1))
                   ? NULL
                   : "a number or false, and not negative";
    case API:
        return options_is_api(s) ? NULL
                                 : "\"chat\", \"responses\" or \"messages\"";
    default:
        return strcmp(s, "1.1") == 0 || strcmp(s, "2") == 0
                   ? NULL
                   : "\"1.1\" or \"2\"";
    }
}

void options_check(lua_State *L, int i, int arg, bool call)
{
    lua_pushnil(L);
    while (lua_next(L, i)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            binding_argerror(L, arg, "option names must be strings");
        const char *name = lua_tostring(L, -2);
        int k = find(name);
        if (k < 0 ? !call : !belongs(&known[k], call)) {
            binding_argerror(L, arg,
                             lua_pushfstring(L,
                                             k < 0 ? "unknown option '%s'"
                                                   : "option '%s' belongs to "
                                                     "the bot, not to a call",
                                             name));
        } else if (k >= 0) {
            const char *expected = wrong(L, known[k].kind);
            if (expected != NULL)
                binding_argerror(L, arg,
                                 lua_pushfstring(L, "option '%s' must be %s",
                                                 name, expected));
        }
        lua_pop(L, 1);
    }
}

void options_copy(lua_State *L, int i, bool call)
{
    luaL_checkstack(L, 6, NULL);
    lua_newtable(L);
    int to = lua_gettop(L);
    bool more = lua_getmetatable(L, i);
    lua_settop(L, to);
    for (size_t k = 0; more && k < KNOWN; k++)
        if (belongs(&known[k], call)) {
            lua_getfield(L, i, known[k].name);
            lua_setfield(L, to, known[k].name);
        }
    lua_pushnil(L);
    while (lua_next(L, i)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, to);
    }
    lua_replace(L, i);
}

void options_get(lua_State *L, int call, int bot, const char *name)
{
    if (lua_istable(L, call)) {
        lua_getfield(L, call, name);
        if (!lua_isnil(L, -1))
            return;
        lua_pop(L, 1);
    }
    lua_getfield(L, bot, name);
}

const char *options_text(lua_State *L, int options, const char *name)
{
    lua_getfield(L, options, name);
    if (lua_type(L, -1) != LUA_TSTRING) {
        lua_pushnil(L);
        lua_remove(L, -2);
        return NULL;
    }
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    char *copy = lua_newuserdata(L, n + 1);
    compat_visible(copy, s, n);
    lua_remove(L, -2);
    return copy;
}

double options_number(lua_State *L, int call, int bot, const char *name,
                      double otherwise)
{
    options_get(L, call, bot, name);
    double x = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : otherwise;
    lua_pop(L, 1);
    return x;
}

size_t options_bytes(lua_State *L, int call, int bot, const char *name,
                     size_t otherwise)
{
    const size_t most = SIZE_MAX / 8; /* so that sums of them fit */
    double n = options_number(L, call, bot, name, (double)otherwise);
    return n > 0 && n < (double)most ? (size_t)n : most;
}

void options_limits(lua_State *L, int call, int bot, struct http_limits *l)
{
    const struct {
        const char *name;
        size_t otherwise;
        size_t *to;
    } sizes[] = {
        {"max_event_bytes", 16 << 20, &l->max_event},
        {"max_answer_bytes", 64 << 20, &l->max_body},
        {"max_error_bytes", 64 << 10, &l->max_error},
        {"max_header_bytes", 256 << 10, &l->max_header},
        {"max_queue_bytes", 48 << 10, &l->max_queue},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        *sizes[i].to =
            options_bytes(L, call, bot, sizes[i].name, sizes[i].otherwise);
    /* the clients of the providers themselves wait as long */
    l->connect_timeout = options_number(L, call, bot, "connect_timeout", 10);
    l->first_byte_timeout =
        options_number(L, call, bot, "first_byte_timeout", 600);
    l->idle_timeout = options_number(L, call, bot, "idle_timeout", 600);
    l->event_timeout = options_number(L, call, bot, "event_timeout", 0);
    l->timeout = options_number(L, call, bot, "timeout", 0);
    double retries = options_number(L, call, bot, "max_retries", 2);
    l->max_retries = retries < 1000 ? (int)retries : 1000;
}
