/*
 * complaint.c - see complaint.h.
 *
 * Shapes of error bodies that servers send:
 *   {"error": {"message", "type", "code", "param"}}   OpenAI and most others
 *   {"error": "text"}, {"errors": [{...}]}, [{"error": {...}}]
 *   {"detail": "text" | [{"msg", "loc"}] | {...}}     FastAPI
 *   {"title", "detail"}, {"title", "errors": {"x": ["text"]}}   RFC 9457
 *   {"error": "Bad Request", "message": "text" | ["text"]}   Express, Spring,
 * Nest
 *   {"message": "text" | {...}}, {"error_type", "error_message"}
 *   {"object": "error", "message", ...}
 *   {"error": {"message", "metadata": {"raw"}}}       OpenRouter
 * and any of these as JSON in a text.
 */
#include "binding/complaint.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "binding/failure.h"
#include "binding/json.h"
#include "parsing/retry.h"
#include "parsing/utf8.h"

#define DEPTH   8 /* of the tables that are looked through */
#define BREADTH 8 /* fields of a table of errors that are looked at */

/* Fields in which there is something to be told. */
static const char *const inside[] = {
    "errors",        "raw",      "error", "detail", "message",
    "Message",       "metadata", "title", "msg",    "error_description",
    "error_message", "reason"};

/* How much a text tells: nothing, what the status says (or markup), a name for
 * programs, words, words of those who know more. */
enum rank { NOTHING, PHRASE, NAME, WORDS, SPECIFIC };

/* What has been found so far. */
struct telling {
    int err;
    const struct redact *secret;
    enum rank rank; /* of the message, and its length */
    size_t length;
};

static bool is_text(lua_State *L, int i)
{
    return lua_type(L, i) == LUA_TSTRING && lua_rawlen(L, i) > 0;
}

/* Whether it says no more than the status does, or nothing at all. */
static bool is_phrase(const char *s)
{
    static const char *const phrases[] = {"Bad Request",
                                          "Unauthorized",
                                          "Payment Required",
                                          "Forbidden",
                                          "Not Found",
                                          "Method Not Allowed",
                                          "Not Acceptable",
                                          "Request Timeout",
                                          "Conflict",
                                          "Gone",
                                          "Length Required",
                                          "Payload Too Large",
                                          "Content Too Large",
                                          "Request Entity Too Large",
                                          "URI Too Long",
                                          "Unsupported Media Type",
                                          "Unprocessable Entity",
                                          "Unprocessable Content",
                                          "Too Many Requests",
                                          "Internal Server Error",
                                          "Not Implemented",
                                          "Bad Gateway",
                                          "Service Unavailable",
                                          "Gateway Timeout",
                                          "Error",
                                          "No message available",
                                          "Provider returned error"};
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (strcasecmp(s, phrases[i]) == 0)
            return true;
    return false;
}

/* How telling a text is. A word of ASCII alone is a name, for programs. */
static enum rank rank_of(const char *s, size_t n, bool specific)
{
    if (n == 0)
        return NOTHING;
    if (is_phrase(s) || *s == '<')
        return PHRASE;
    for (size_t i = 0; i < n; i++)
        if (s[i] == ' ' || ((unsigned char)s[i] & 0x80))
            return specific ? SPECIFIC : WORDS;
    return NAME;
}

static void visit(lua_State *L, struct telling *t, int depth, bool specific);

/* Takes the text on top for the message, when it is the best so far. JSON in
 * it is looked through. [-1, +0, m] */
static void visit_text(lua_State *L, struct telling *t, int depth,
                       bool specific)
{
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    int top = lua_gettop(L);
    utf8_strip(&s, &n);
    if (n > 1 && (*s == '{' || *s == '[') && json_decode(L, s, n) &&
        lua_istable(L, -1)) {
        enum rank before = t->rank;
        visit(L, t, depth + 1, specific);
        if (t->rank > before) {
            lua_settop(L, top - 1);
            return;
        }
    }
    lua_settop(L, top);
    failure_clean(L, s, n, t->secret, false);
    s = lua_tolstring(L, -1, &n);
    enum rank rank = rank_of(s, n, specific);
    if (rank > t->rank || (rank == t->rank && n > t->length)) {
        t->rank = rank;
        t->length = n;
        lua_setfield(L, t->err, "message");
    }
    lua_settop(L, top - 1);
}

/* err[to] = top[from], if it is a string or, as a code may be, a number, and
 * nothing further inside was one. [-0, +0, m] */
static void take(lua_State *L, struct telling *t, const char *from,
                 const char *to)
{
    int top = lua_gettop(L);
    lua_pushstring(L, to);
    lua_rawget(L, t->err);
    lua_pushstring(L, from);
    lua_rawget(L, top);
    if (!lua_isnil(L, top + 1)) {
        lua_settop(L, top);
        return;
    }
    bool no_type = strcmp(to, "type") == 0 && is_text(L, -1) &&
                   strcmp(lua_tostring(L, -1), "error") == 0;
    if (is_text(L, -1) && !no_type) { /* that it is an error is known */
        failure_clean(L, lua_tostring(L, -1), lua_rawlen(L, -1), t->secret,
                      false);
        lua_setfield(L, t->err, to);
    } else if (lua_type(L, -1) == LUA_TNUMBER && strcmp(to, "code") == 0) {
        lua_setfield(L, t->err, to);
    }
    lua_settop(L, top);
}

/* The status that a word stands for, or the digits of one. */
static int status_of(const char *word)
{
    static const struct {
        const char *word;
        int status;
    } known[] = {
        {"rate_limit_exceeded", 429},
        {"rate_limit_error", 429},
        {"resource_exhausted", 429},
        {"too_many_requests", 429},
        {"server_error", 500},
        {"internal_server_error", 500},
        {"internal_error", 500},
        {"api_error", 500},
        {"network_error", 502},
        {"unavailable", 503},
        {"service_unavailable", 503},
        {"service_unavailable_error", 503},
        {"server_is_overloaded", 503},
        {"engine_overloaded", 503},
        {"engine_overloaded_error", 503},
        {"insufficient_system_resource", 503},
        {"overloaded", 529},
        {"overloaded_error", 529},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(word, known[i].word) == 0)
            return known[i].status;
    char *end;
    long status = strtol(word, &end, 10);
    bool worth = status == 408 || status == 409 || status == 429 ||
                 (status >= 500 && status < 600);
    return *end == '\0' && worth ? (int)status : 0;
}

/* err.code = the status that an error inside an answer names, where it has no
 * code, or the word for one that is all it says. [-0, +0, m] */
static void take_status(lua_State *L, struct telling *t)
{
    static const char *const names[] = {"status",      "status_code",
                                        "statusCode",  "http_code",
                                        "http_status", "error"};
    int top = lua_gettop(L);
    lua_getfield(L, t->err, "kind");
    bool api = strcmp(lua_tostring(L, -1), "api") == 0;
    for (size_t i = 0; api && i < sizeof names / sizeof *names; i++) {
        lua_pushstring(L, names[i]);
        lua_rawget(L, top);
        bool number =
            lua_type(L, -1) == LUA_TNUMBER && strcmp(names[i], "error") != 0;
        const char *word =
            number || is_text(L, -1) ? lua_tostring(L, -1) : NULL;
        bool worth = word != NULL && status_of(word) != 0;
        lua_settop(L, top);
        if (worth)
            take(L, t, names[i], "code");
    }
    lua_settop(L, top);
}

/* err.param = the last name in top.loc, a path into the body: ["body", "x"]. */
static void take_place(lua_State *L, struct telling *t)
{
    int top = lua_gettop(L);
    lua_pushliteral(L, "loc");
    lua_rawget(L, top);
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    for (int i = n; i > 0; i--) {
        lua_rawgeti(L, top + 1, i);
        if (is_text(L, -1) && strcmp(lua_tostring(L, -1), "body") != 0) {
            lua_createtable(L, 0, 1);
            lua_insert(L, -2);
            lua_setfield(L, -2, "param");
            take(L, t, "param", "param");
            break;
        }
        lua_pop(L, 1);
    }
    lua_settop(L, top);
}

/* Whether the value at `i` is one of the names that are looked for. */
static bool is_known(lua_State *L, int i)
{
    for (size_t k = 0; k < sizeof inside / sizeof *inside; k++)
        if (lua_type(L, i) == LUA_TSTRING &&
            strcmp(lua_tostring(L, i), inside[k]) == 0)
            return true;
    return false;
}

/* The first entries of a table of errors that have names of their own:
 * {"field": ["what is wrong with it"]}. [-0, +0, m] */
static void visit_fields(lua_State *L, struct telling *t, int depth)
{
    int table = lua_gettop(L);
    lua_pushnil(L);
    for (int i = 0; i < BREADTH && lua_next(L, table); i++) {
        if (lua_istable(L, -1) && !is_known(L, -2))
            visit(L, t, depth, true);
        else
            lua_pop(L, 1);
    }
    lua_settop(L, table);
}

/* Looks through the text or table on top. [-1, +0, m] */
static void visit(lua_State *L, struct telling *t, int depth, bool specific)
{
    int top = lua_gettop(L);
    luaL_checkstack(L, 12, NULL);
    if (is_text(L, top)) {
        visit_text(L, t, depth, specific);
        return;
    }
    if (lua_istable(L, top) && depth < DEPTH) {
        for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
            lua_pushstring(L, inside[i]);
            lua_rawget(L, top);
            if (i == 0 && lua_istable(L, -1) && lua_rawlen(L, -1) == 0)
                visit_fields(L, t, depth + 1);
            visit(L, t, depth + 1, specific || i < 2); /* errors, raw */
        }
        lua_rawgeti(L, top, 1);
        visit(L, t, depth + 1, specific);
        take(L, t, "code", "code");
        take_status(L, t);
        take(L, t, "type", "type");
        take(L, t, "error_type", "type");
        take(L, t, "param", "param");
        take_place(L, t);
    }
    lua_settop(L, top - 1);
}

bool complaint_describe(lua_State *L, int err, const struct redact *secret)
{
    struct telling t = {.err = err, .secret = secret};
    visit(L, &t, 0, false);
    return t.rank != NOTHING;
}

int complaint_status(lua_State *L, int err)
{
    static const char *const names[] = {"code", "type"};
    int status = 0;
    luaL_checkstack(L, 4, NULL);
    for (size_t i = 0; i < 2; i++) {
        lua_getfield(L, err, names[i]);
        lua_pushvalue(L, -1); /* a number becomes text */
        const char *word = lua_tostring(L, -1);
        if (word != NULL) {
            lua_pushfstring(L, "\"%s\"", word);
            const char *quoted = lua_tostring(L, -1);
            if (retry_quota(quoted, strlen(quoted))) {
                lua_pop(L, 3);
                return 0;
            }
            if (status == 0)
                status = status_of(word);
            lua_pop(L, 1);
        }
        lua_pop(L, 2);
    }
    return status;
}

void complaint_judge(lua_State *L, int err)
{
    lua_pushboolean(L, complaint_status(L, err) != 0);
    lua_setfield(L, err, "retryable");
}
