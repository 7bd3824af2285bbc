/*
 * rules.c - see rules.h.
 */
#include "provider/rules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "binding/binding.h"
#include "provider/provider.h"
#include "provider/route.h"

/* The number of one or two digits at *s, of which *s is moved to the end; -1:
 * there is none, or it is a date, a size (70b) or the like. */
static int small_number(const char **s)
{
    size_t n = strspn(*s, "0123456789");
    if (n == 0 || n > 2 || isalnum((unsigned char)(*s)[n]))
        return -1;
    int value = atoi(*s);
    *s += n;
    return value;
}

/* The first version in `s` ("opus-4-7-20260101", "4.7", "5"), 100 for each
 * major one; -1: there is none. */
static int version_in(const char *s)
{
    for (const char *word = s; *word != '\0'; word++) {
        if (word > s && isalnum((unsigned char)word[-1]))
            continue; /* in the middle of it */
        const char *end = word;
        int major = small_number(&end), minor = -1;
        if (major < 0)
            continue;
        if (*end == '.' || *end == '-') {
            end++;
            minor = small_number(&end);
        }
        return 100 * major + (minor < 0 ? 0 : minor);
    }
    return -1;
}

/* Whether `model` has one of the words in rule.since in it, and behind that the
 * version there or a later one. [-0, +0, m] */
static bool is_since(lua_State *L, int rule, const char *model)
{
    bool found = false;
    int top = lua_gettop(L);
    lua_getfield(L, rule, "since");
    lua_pushnil(L);
    while (!found && lua_next(L, top + 1)) {
        const char *word = lua_tostring(L, -2), *at = model;
        while (*at != '\0' && !route_starts(at, word))
            at++;
        if (*at != '\0')
            found = version_in(at + strlen(word)) >=
                    version_in(lua_tostring(L, -1));
        lua_settop(L, top + 2);
    }
    lua_settop(L, top);
    return found;
}

/* Whether the rule on top is one for `model`: all of its conditions hold, of
 * which there is one at least. `own`: the server is known to be the provider's.
 * [-0, +0, m] */
static bool is_for(lua_State *L, const char *model, bool own)
{
    int rule = lua_gettop(L);
    if (provider_flag(L, rule, "own") && !own)
        return false;
    bool starts = binding_has(L, rule, "prefix"),
         matches = binding_has(L, rule, "match"),
         since = binding_has(L, rule, "since");
    return (starts || matches || since) &&
           (!starts || route_fits(L, rule, "prefix", model, route_starts)) &&
           (!matches || route_fits(L, rule, "match", model, route_contains)) &&
           (!since || is_since(L, rule, model));
}

/* A look at the rules for one route. */
struct look {
    const char *model;
    bool own; /* see is_for */
    bool (*visit)(lua_State *, void *);
    void *arg;
};

/* Calls `visit` for each rule of the list on top that is for the model, the
 * rule on top of the stack, until it returns true. The list is popped. */
static bool each_of(lua_State *L, const struct look *look)
{
    int list = lua_gettop(L);
    bool found = false;
    for (int i = 1; !found && lua_istable(L, list); i++) {
        lua_rawgeti(L, list, i);
        if (!lua_istable(L, -1))
            break;
        if (is_for(L, look->model, look->own))
            found = look->visit(L, look->arg);
        lua_settop(L, list);
    }
    lua_settop(L, list - 1);
    return found;
}

/* The same for the rules of the route's provider, for those of all unless the
 * program gave it its own, and last for the provider's data. */
static bool each_rule(lua_State *L, int route,
                      bool (*visit)(lua_State *, void *), void *arg)
{
    route = lua_absindex(L, route);
    luaL_checkstack(L, 10, NULL);
    struct look look = {provider_field(L, route, "model"),
                        route_is_own(L, route), visit, arg};
    int top = lua_gettop(L);
    lua_getfield(L, route, "spec");
    lua_getfield(L, top + 1, "models");
    bool found = each_of(L, &look);
    if (!found && provider_flag(L, top + 1, "common")) {
        provider_push_list(L);
        lua_getfield(L, -1, PROVIDER_MODELS);
        lua_remove(L, -2);
        found = each_of(L, &look);
    }
    if (!found) {
        lua_settop(L, top + 1);
        found = visit(L, arg);
    }
    lua_settop(L, top);
    return found;
}

struct rename {
    const char *from, *to;
};

static bool find_rename(lua_State *L, void *arg)
{
    struct rename *r = arg;
    lua_getfield(L, -1, "rename");
    r->to = lua_istable(L, -1) ? provider_field(L, -1, r->from) : NULL;
    return r->to != NULL;
}

void rules_rename(lua_State *L, int route, int name)
{
    struct rename r = {.from = lua_tostring(L, name)};
    const char *api = provider_field(L, route, "api");
    bool chat = api == NULL || strcmp(api, "chat") == 0;
    if (chat && each_rule(L, route, find_rename, &r))
        lua_pushstring(L, r.to);
    else
        lua_pushvalue(L, name);
}

static bool find_omit(lua_State *L, void *arg)
{
    lua_getfield(L, -1, "omit");
    for (int i = 1; lua_istable(L, -1); i++) {
        lua_rawgeti(L, -1, i);
        const char *name = lua_tostring(L, -1);
        lua_pop(L, 1);
        if (name == NULL)
            break;
        if (strcmp(name, (const char *)arg) == 0)
            return true;
    }
    return false;
}

bool rules_omit(lua_State *L, int route, const char *name)
{
    return each_rule(L, route, find_omit, (void *)(size_t)name);
}

struct field {
    const char *name;
    int at; /* where on the stack the value is to be */
};

static bool find_field(lua_State *L, void *arg)
{
    const struct field *f = arg;
    lua_getfield(L, -1, f->name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_replace(L, f->at);
    return true;
}

void rules_push(lua_State *L, int route, const char *name)
{
    lua_pushnil(L);
    struct field f = {name, lua_gettop(L)};
    each_rule(L, route, find_field, &f);
}

void rules_push_api(lua_State *L, int route)
{
    int top = lua_gettop(L);
    route = lua_absindex(L, route);
    lua_getfield(L, route, "spec"); /* what is said of all comes first */
    lua_getfield(L, -1, "api");
    if (lua_isnil(L, -1))
        rules_push(L, route, "api");
    if (!lua_isstring(L, -1) || !provider_flag(L, route, "home"))
        lua_pushliteral(L, "chat");
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}
