/*
 * provider.c - see provider.h.
 */
#include "provider/provider.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "binding/binding.h"
#include "binding/failure.h"
#include "binding/options.h"
#include "parsing/url.h"

static const char list_key; /* registry: {names in order, name = spec} */

/* Registers what chatbot.providers has. [-0, +0, e] */
static int add_known(lua_State *L)
{
    lua_settop(L, 0);
    lua_getglobal(L, "require");
    if (!lua_isfunction(L, -1))
        return luaL_error(L, "the first use of a provider needs 'require'");
    lua_pushliteral(L, "chatbot.providers");
    lua_call(L, 1, 1);
    int n = (int)lua_rawlen(L, 1);
    for (int i = 1; i <= n; i++) {
        lua_pushcfunction(L, provider_register);
        lua_rawgeti(L, 1, i);
        lua_getfield(L, -1, "name");
        lua_insert(L, -2);
        lua_call(L, 2, 0);
    }
    provider_push_list(L);
    lua_getfield(L, 1, "models");
    lua_setfield(L, -2, PROVIDER_MODELS);
    return 0;
}

void provider_push_list(lua_State *L)
{
    compat_getkey(L, &list_key);
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    luaL_checkstack(L, 4, NULL);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    compat_setkey(L, &list_key);
    lua_pushcfunction(L, add_known);
    if (lua_pcall(L, 0, 0, 0) != 0) { /* the next one tries again */
        lua_pushnil(L);
        compat_setkey(L, &list_key);
        lua_error(L);
    }
}

const char *provider_field(lua_State *L, int i, const char *name)
{
    lua_getfield(L, i, name);
    const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
    return s;
}

bool provider_flag(lua_State *L, int i, const char *name)
{
    lua_getfield(L, i, name);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

const char *provider_env(const char *name)
{
    const char *value = name == NULL ? NULL : getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

/* ---- register and providers ---- */

enum field_kind { TEXT, FLAG, API, COUNT, TEXTS, MAP, MODELS };

struct field_rule {
    const char *name;
    enum field_kind kind;
};

static const struct field_rule fields[] = {
    {"name", TEXT},
    {"base_url", TEXT},
    {"base_url_env", TEXT},
    {"base_url_suffix", TEXT},
    {"api_version_env", TEXT},
    {"api", API},
    {"reasoning", TEXT},
    {"efforts", TEXTS},
    {"search", TEXT},
    {"lacks", TEXTS},
    {"responses_url", TEXT},
    {"messages_url", TEXT},
    {"api_key_env", TEXTS},
    {"api_key_optional", FLAG},
    {"auth_header", TEXT},
    {"match", TEXTS},
    {"match_prefix", TEXTS},
    {"headers", MAP},
    {"header_env", MAP},
    {"stream_options", FLAG},
    {"loading_wait", FLAG},
    {"json_object", FLAG},
    {"json_schema", FLAG},
    {"reasoning_back", FLAG},
    {"reasoning_details", FLAG},
    {"extra_content", FLAG},
    {"short_ids", FLAG},
    {"think_tags", FLAG},
    {"rename", MAP},
    {"models", MODELS},
    {NULL, TEXT},
};

static const struct field_rule model_fields[] = {
    {"prefix", TEXTS},     {"match", TEXTS},    {"since", MAP},
    {"own", FLAG},         {"rename", MAP},     {"omit", TEXTS},
    {"api", API},          {"reasoning", TEXT}, {"efforts", TEXTS},
    {"max_output", COUNT}, {"fixed", FLAG},     {"schema", FLAG},
    {"thinking", TEXT},    {NULL, TEXT},
};

static const char *check_field(lua_State *L, const struct field_rule *rule);

/* Whether all fields of the table on top are known. [-0, +0, m] */
static bool is_model(lua_State *L)
{
    bool ok = true;
    int table = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        ok = ok && check_field(L, model_fields) == NULL;
        lua_settop(L, table + 1);
    }
    return ok;
}

static bool is_kind(lua_State *L, enum field_kind kind)
{
    switch (kind) {
    case TEXT:
        return lua_type(L, -1) == LUA_TSTRING;
    case FLAG:
        return lua_isboolean(L, -1);
    case COUNT:
        return lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) > 0;
    case API:
        return lua_type(L, -1) == LUA_TSTRING &&
               options_is_api(lua_tostring(L, -1));
    default:
        break;
    }
    if (!lua_istable(L, -1))
        return false;
    bool ok = true;
    int wanted = kind == MAP ? LUA_TSTRING : LUA_TNUMBER;
    int value = kind == MODELS ? LUA_TTABLE : LUA_TSTRING;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        ok = ok && lua_type(L, -2) == wanted && lua_type(L, -1) == value &&
             (kind != MODELS || is_model(L));
        lua_pop(L, 1);
    }
    return ok;
}

/* What is wrong with the key and value on top, as a string that is pushed;
 * NULL (and nothing pushed) when they fit a rule. */
static const char *check_field(lua_State *L, const struct field_rule *rule)
{
    luaL_checkstack(L, 8, NULL);
    const char *name =
        lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    for (; rule->name != NULL; rule++)
        if (strcmp(name, rule->name) == 0)
            return is_kind(L, rule->kind)
                       ? NULL
                       : lua_pushfstring(L, "bad value of '%s'", name);
    return lua_pushfstring(L, "unknown field '%s'", name);
}

/* Replaces the value on top by a copy, when it is a table. It has been checked,
 * and so has no cycle. [-1, +1, m] */
static void copy(lua_State *L)
{
    if (!lua_istable(L, -1))
        return;
    luaL_checkstack(L, 6, NULL);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, -3)) { /* from, to, key, value */
        copy(L);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    lua_remove(L, -2);
}

int provider_register(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    luaL_argcheck(L, *name != '\0' && strpbrk(name, ": \t\r\n") == NULL, 1,
                  "a name without colon and blanks expected");
    provider_push_list(L); /* 3 */
    lua_newtable(L);       /* 4: the copy that is kept */
    lua_getfield(L, 3, name);
    bool known = lua_istable(L, -1);
    if (known) { /* what is not given stays as it was */
        lua_pushnil(L);
        while (lua_next(L, 5)) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, 4);
        }
    }
    lua_settop(L, 4);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        const char *wrong = check_field(L, fields);
        if (wrong != NULL)
            return luaL_argerror(L, 2, wrong);
        copy(L);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 4);
    }
    static const char *const urls[] = {"base_url", "responses_url",
                                       "messages_url"};
    for (int i = 0; i < 3; i++) {
        const char *url = provider_field(L, 4, urls[i]);
        const char *wrong = url == NULL ? NULL : url_check(url, false, true);
        luaL_argcheck(L, wrong == NULL, 2, wrong);
    }
    if (known && binding_has(L, 2, "base_url") && !binding_has(L, 2, "api")) {
        lua_pushliteral(L, "chat"); /* who knows what is spoken there */
        lua_setfield(L, 4, "api");
    }
    bool own = binding_has(L, 2, "models");
    if (!known || own) { /* a program that gives rules gives all of them */
        lua_pushboolean(L, !own || !binding_has(L, 3, PROVIDER_MODELS));
        lua_setfield(L, 4, "common");
    }
    lua_pushvalue(L, 1);
    lua_setfield(L, 4, "name");
    lua_setfield(L, 3, name);
    if (!known) {
        lua_pushvalue(L, 1);
        lua_rawseti(L, 3, (int)lua_rawlen(L, 3) + 1);
    }
    return 0;
}

/* The first of the variables at api_key_env that is set, or NULL. */
const char *provider_key(lua_State *L, int spec)
{
    const char *key = NULL;
    spec = lua_absindex(L, spec);
    lua_getfield(L, spec, "api_key_env");
    if (lua_istable(L, -1))
        for (int i = 1; key == NULL; i++) {
            lua_rawgeti(L, -1, i);
            const char *name = lua_tostring(L, -1);
            lua_pop(L, 1);
            if (name == NULL)
                break;
            key = provider_env(name);
        }
    lua_pop(L, 1);
    return key;
}

int provider_list(lua_State *L)
{
    lua_settop(L, 0);
    provider_push_list(L); /* 1 */
    lua_newtable(L);       /* 2 */
    int n = (int)lua_rawlen(L, 1);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        lua_gettable(L, 1); /* 3: spec */
        lua_newtable(L);    /* 4: row */
        lua_getfield(L, 3, "name");
        lua_setfield(L, 4, "name");
        const char *url = provider_env(provider_field(L, 3, "base_url_env"));
        lua_pushstring(L, url);
        if (url == NULL) {
            lua_pop(L, 1);
            lua_getfield(L, 3, "base_url");
        }
        lua_setfield(L, 4, "base_url");
        lua_newtable(L); /* 5: a copy of the variables' names */
        lua_getfield(L, 3, "api_key_env");
        for (int k = 1; lua_istable(L, 6) && k <= (int)lua_rawlen(L, 6); k++) {
            lua_rawgeti(L, 6, k);
            lua_rawseti(L, 5, k);
        }
        lua_pop(L, 1);
        lua_setfield(L, 4, "api_key_env");
        lua_pushboolean(L, provider_key(L, 3) != NULL);
        lua_setfield(L, 4, "has_key");
        lua_rawseti(L, 2, i);
        lua_settop(L, 2);
    }
    return 1;
}
