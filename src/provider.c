/*
 * provider.c - see provider.h.
 */
#include "provider.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "failure.h"
#include "url.h"

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
    return 0;
}

/* Pushes the list, which is made when it is first asked for. [-0, +1, e] */
static void push_list(lua_State *L)
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

/* The string field of the table at `i`; NULL when it is none. The pointer is
 * good while the table holds it. [-0, +0, m] */
static const char *field(lua_State *L, int i, const char *name)
{
    lua_getfield(L, i, name);
    const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
    return s;
}

static bool flag(lua_State *L, int i, const char *name)
{
    lua_getfield(L, i, name);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

static const char *env(const char *name)
{
    const char *value = name == NULL ? NULL : getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

/* ---- register and providers ---- */

enum field_kind { TEXT, FLAG, TEXTS, MAP, MODELS };

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
    {"prefix", TEXTS}, {"match", TEXTS}, {"since", MAP}, {"own", FLAG},
    {"rename", MAP},   {"omit", TEXTS},  {NULL, TEXT},
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
    push_list(L);    /* 3 */
    lua_newtable(L); /* 4: the copy that is kept */
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
    const char *url = field(L, 4, "base_url");
    if (url != NULL) {
        const char *wrong = provider_check_url(url, false, true);
        luaL_argcheck(L, wrong == NULL, 2, wrong);
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
static const char *spec_key(lua_State *L, int spec)
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
            key = env(name);
        }
    lua_pop(L, 1);
    return key;
}

int provider_list(lua_State *L)
{
    lua_settop(L, 0);
    push_list(L);    /* 1 */
    lua_newtable(L); /* 2 */
    int n = (int)lua_rawlen(L, 1);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        lua_gettable(L, 1); /* 3: spec */
        lua_newtable(L);    /* 4: row */
        lua_getfield(L, 3, "name");
        lua_setfield(L, 4, "name");
        const char *url = env(field(L, 3, "base_url_env"));
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
        lua_pushboolean(L, spec_key(L, 3) != NULL);
        lua_setfield(L, 4, "has_key");
        lua_rawseti(L, 2, i);
        lua_settop(L, 2);
    }
    return 1;
}

/* ---- matching ---- */

static bool same_start(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

static bool contains(const char *s, const char *part)
{
    for (; *s != '\0'; s++)
        if (same_start(s, part))
            return true;
    return *part == '\0';
}

/* Whether `model` fits one of the strings in the list spec[name]. */
static bool fits(lua_State *L, int spec, const char *name, const char *model,
                 bool (*test)(const char *, const char *))
{
    bool found = false;
    spec = lua_absindex(L, spec);
    lua_getfield(L, spec, name);
    if (lua_istable(L, -1))
        for (int i = 1; !found; i++) {
            lua_rawgeti(L, -1, i);
            const char *part = lua_tostring(L, -1);
            lua_pop(L, 1);
            if (part == NULL)
                break;
            found = test(model, part);
        }
    lua_pop(L, 1);
    return found;
}

/* Pushes the spec of the first provider with a rule that fits `model`, or nil:
 * [-0, +1, m] */
static void match(lua_State *L, int list, const char *model)
{
    int n = (int)lua_rawlen(L, list);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        lua_rawget(L, list);
        if (fits(L, -1, "match", model, contains) ||
            fits(L, -1, "match_prefix", model, same_start))
            return;
        lua_pop(L, 1);
    }
    lua_pushnil(L);
}

/* How many letters must be added, taken out or changed to make one word of the
 * other, in any case of letters. Of long words the beginning counts. */
static int distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    int row[LONGEST + 1], n = (int)strnlen(b, LONGEST);
    for (int k = 0; k <= n; k++)
        row[k] = k;
    for (int i = 0; i < LONGEST && a[i] != '\0'; i++) {
        int diagonal = row[0];
        row[0] = i + 1;
        for (int k = 0; k < n; k++) {
            bool same =
                tolower((unsigned char)a[i]) == tolower((unsigned char)b[k]);
            int least = diagonal + !same;
            diagonal = row[k + 1];
            if (row[k] + 1 < least)
                least = row[k] + 1;
            if (diagonal + 1 < least)
                least = diagonal + 1;
            row[k + 1] = least;
        }
    }
    return row[n];
}

/* Pushes the name of the provider that somebody may have meant who has written
 * `word`: one of whose models this is, else the one that looks most like it. A
 * slash stands in the names that gateways have. [-0, +1, m] */
static void push_nearest(lua_State *L, int list, const char *word)
{
    int top = lua_gettop(L), best = -1;
    if (strchr(word, '/') != NULL) {
        lua_pushliteral(L, "openrouter");
        return;
    }
    match(L, list, word);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "name");
        lua_remove(L, -2);
        return;
    }
    int n = (int)lua_rawlen(L, list);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        int d = distance(word, lua_tostring(L, -1));
        if (best < 0 || d < best) {
            best = d;
            lua_replace(L, top + 1);
        }
        lua_settop(L, top + 1);
    }
}

/* Replaces the word on top, which is no provider, by an error table. */
static void unknown_prefix(lua_State *L, int list)
{
    size_t n;
    const char *word = lua_tolstring(L, -1, &n);
    push_nearest(L, list, word);
    failure_line(L, word, n, 64);
    failure_push(L, FAULT_CONFIG,
                 "unknown provider '%s' before the colon of the model's name: "
                 "did you mean '%s:'? (a name that has a colon of its own "
                 "needs the option provider or base_url)",
                 lua_tostring(L, -1), lua_tostring(L, -2));
    lua_replace(L, -4);
    lua_pop(L, 2);
}

/* Pushes the spec of the provider for the model `*name`, and takes the prefix
 * off that. False: an error table. [-0, +1, e] */
static bool push_spec(lua_State *L, int list, const char **name,
                      const char *wanted, bool given)
{
    const char *colon = strchr(*name, ':');
    if (wanted != NULL) {
        size_t n = strlen(wanted);
        lua_getfield(L, list, wanted);
        if (colon == *name + n && memcmp(*name, wanted, n) == 0)
            *name = colon + 1;
    } else if (given || colon == NULL) {
        match(L, list, *name);
    } else if (strncmp(*name, "ft:", 3) == 0) {
        lua_pushnil(L); /* a model that OpenAI has fine-tuned */
    } else {
        lua_pushlstring(L, *name, (size_t)(colon - *name));
        lua_pushvalue(L, -1);
        lua_rawget(L, list);
        if (!lua_istable(L, -1)) {
            lua_pop(L, 1);
            unknown_prefix(L, list);
            return false;
        }
        lua_remove(L, -2);
        *name = colon + 1;
    }
    if (wanted == NULL && lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_getfield(L, list, wanted = "openai");
    }
    if (lua_istable(L, -1))
        return true;
    lua_pop(L, 1);
    failure_push(L, FAULT_CONFIG, "unknown provider '%s'", wanted);
    return false;
}

/* Pushes the text up to the last byte that is no slash. */
static void push_trimmed(lua_State *L, const char *s)
{
    size_t n = strlen(s);
    while (n > 0 && s[n - 1] == '/')
        n--;
    lua_pushlstring(L, s, n);
}

/* Pushes base URL and request URL, which may also have been given with the
 * path. A query stays behind that. [-0, +2, m]
 */
static void push_urls(lua_State *L, const char *base, const char *path)
{
    const char *query = strchr(base, '?');
    lua_pushlstring(L, base, query ? (size_t)(query - base) : strlen(base));
    push_trimmed(L, lua_tostring(L, -1));
    lua_remove(L, -2);
    size_t n, len = strlen(path);
    const char *s = lua_tolstring(L, -1, &n);
    bool whole = n >= len && strcmp(s + n - len, path) == 0;
    lua_pushfstring(L, "%s%s%s", s, whole ? "" : path, query ? query : "");
    if (whole) {
        lua_pushlstring(L, s, n - len);
        lua_replace(L, -3);
    }
}

/* Pushes the base URL that environment and data give, or nil. */
static void push_default_url(lua_State *L, int spec, const char *model,
                             const char *path)
{
    const char *endpoint = env(field(L, spec, "base_url_env"));
    const char *suffix = field(L, spec, "base_url_suffix");
    const char *version = env(field(L, spec, "api_version_env"));
    if (endpoint == NULL) {
        lua_getfield(L, spec, "base_url");
        return;
    }
    push_trimmed(L, endpoint);
    endpoint = lua_tostring(L, -1);
    if (version != NULL)
        lua_pushfstring(L, "%s/openai/deployments/%s%s?api-version=%s",
                        endpoint, model, path, version);
    else
        lua_pushfstring(L, "%s%s", endpoint, suffix == NULL ? "" : suffix);
    lua_remove(L, -2);
}

bool provider_route(lua_State *L, int model, int provider, int base_url,
                    const char *path)
{
    size_t name_len = 0;
    const char *name = lua_tolstring(L, model, &name_len);
    const char *wanted = lua_tostring(L, provider);
    size_t base_len = 0;
    const char *base = lua_tolstring(L, base_url, &base_len);
    if (name == NULL)
        name = "";
    luaL_checkstack(L, 20, NULL);
    const char *name_end = name + name_len;
    lua_newtable(L);
    int route = lua_gettop(L);
    push_list(L);
    int list = route + 1;
    if (!push_spec(L, list, &name, wanted, base != NULL)) {
        lua_replace(L, route);
        lua_settop(L, route);
        return false;
    }
    int spec = list + 1;
    if (base != NULL) {
        char *copy = lua_newuserdata(L, base_len + 1);
        compat_visible(copy, base, base_len);
        lua_pushstring(L, copy);
        lua_remove(L, -2);
    } else
        push_default_url(L, spec, name, path);
    if (!lua_isstring(L, -1)) {
        const char *var = field(L, spec, "base_url_env");
        failure_push(L, FAULT_CONFIG, "provider '%s' has no base URL%s%s",
                     field(L, spec, "name"), var == NULL ? "" : ": set ",
                     var == NULL ? "" : var);
        lua_replace(L, route);
        lua_settop(L, route);
        return false;
    }
    push_urls(L, lua_tostring(L, -1), path);
    lua_setfield(L, route, "url");
    lua_setfield(L, route, "base_url");
    char *model_copy = lua_newuserdata(L, (size_t)(name_end - name) + 1);
    compat_visible(model_copy, name, (size_t)(name_end - name));
    lua_pushstring(L, model_copy);
    lua_setfield(L, route, "model");
    lua_getfield(L, spec, "name");
    lua_setfield(L, route, "provider");
    lua_pushboolean(L, wanted != NULL);
    lua_setfield(L, route, "named");
    lua_pushboolean(L, base != NULL);
    lua_setfield(L, route, "given");
    lua_settop(L, spec);
    lua_setfield(L, route, "spec");
    lua_settop(L, route);
    return true;
}

bool provider_is_own(lua_State *L, int route)
{
    route = lua_absindex(L, route);
    return !flag(L, route, "given") || flag(L, route, "named");
}

const char *provider_env_key(lua_State *L, int route)
{
    if (!provider_is_own(L, route))
        return NULL;
    lua_getfield(L, route, "spec");
    const char *key = spec_key(L, -1);
    lua_pop(L, 1);
    return key;
}

bool provider_has(lua_State *L, int route, const char *name)
{
    lua_getfield(L, route, "spec");
    bool set = flag(L, lua_gettop(L), name);
    lua_pop(L, 1);
    return set;
}

bool provider_needs_key(lua_State *L, int route)
{
    route = lua_absindex(L, route);
    lua_getfield(L, route, "spec");
    int spec = lua_gettop(L);
    lua_getfield(L, spec, "api_key_env");
    bool needs = lua_istable(L, -1) && lua_rawlen(L, -1) > 0 &&
                 !flag(L, spec, "api_key_optional") && !flag(L, route, "given");
    lua_pop(L, 2);
    return needs;
}

/* ---- what differs in the body ---- */

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
        while (*at != '\0' && !same_start(at, word))
            at++;
        if (*at != '\0')
            found = version_in(at + strlen(word)) >=
                    version_in(lua_tostring(L, -1));
        lua_settop(L, top + 2);
    }
    lua_settop(L, top);
    return found;
}

static bool has_field(lua_State *L, int i, const char *name)
{
    lua_getfield(L, i, name);
    bool there = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return there;
}

/* Whether the rule on top is one for `model`: all of its conditions hold, of
 * which there is one at least. `own`: the server is known to be the provider's.
 * [-0, +0, m] */
static bool is_for(lua_State *L, const char *model, bool own)
{
    int rule = lua_gettop(L);
    if (flag(L, rule, "own") && !own)
        return false;
    bool starts = has_field(L, rule, "prefix"),
         matches = has_field(L, rule, "match"),
         since = has_field(L, rule, "since");
    return (starts || matches || since) &&
           (!starts || fits(L, rule, "prefix", model, same_start)) &&
           (!matches || fits(L, rule, "match", model, contains)) &&
           (!since || is_since(L, rule, model));
}

/* Calls `visit` for the spec and for each rule in spec.models that fits the
 * route's model, the rule on top of the stack, until it returns true. */
static bool each_rule(lua_State *L, int route,
                      bool (*visit)(lua_State *, void *), void *arg)
{
    route = lua_absindex(L, route);
    luaL_checkstack(L, 8, NULL);
    const char *model = field(L, route, "model");
    lua_getfield(L, route, "spec");
    int spec = lua_gettop(L);
    bool found = false, own = provider_is_own(L, route);
    lua_getfield(L, spec, "models");
    for (int i = 1; !found && lua_istable(L, spec + 1); i++) {
        lua_rawgeti(L, spec + 1, i);
        if (!lua_istable(L, -1))
            break;
        if (is_for(L, model, own))
            found = visit(L, arg);
        lua_settop(L, spec + 1);
    }
    lua_settop(L, spec);
    if (!found)
        found = visit(L, arg);
    lua_settop(L, spec - 1);
    return found;
}

struct rename {
    const char *from, *to;
};

static bool find_rename(lua_State *L, void *arg)
{
    struct rename *r = arg;
    lua_getfield(L, -1, "rename");
    r->to = lua_istable(L, -1) ? field(L, -1, r->from) : NULL;
    return r->to != NULL;
}

void provider_rename(lua_State *L, int route, int name)
{
    struct rename r = {.from = lua_tostring(L, name)};
    if (each_rule(L, route, find_rename, &r))
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

bool provider_omits(lua_State *L, int route, const char *name)
{
    return each_rule(L, route, find_omit, (void *)(size_t)name);
}

/* ---- URLs ---- */

const char *provider_check_url(const char *url, bool secret, bool insecure)
{
    for (const char *p = url; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7F)
            return "the URL has a blank, a control character or a non-ASCII "
                   "byte in it";
    bool https = same_start(url, "https://");
    if (!https && !same_start(url, "http://"))
        return "the URL must start with https:// or http://";
    size_t n;
    const char *host = url_host(url, &n);
    if (memchr(host, '@', strcspn(host, "/?#")) != NULL)
        return "user and password in a URL are not allowed";
    if (strchr(host, '#') != NULL)
        return "the URL has a fragment (#)";
    if (n == 0)
        return "the URL has no host";
    if (secret && !https && !insecure && !url_is_loopback(url))
        return "a key would travel unencrypted over http:// (set "
               "allow_insecure_http = true to allow it)";
    return NULL;
}
