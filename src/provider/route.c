/*
 * route.c - see route.h.
 */
#include "provider/route.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "binding/failure.h"
#include "parsing/url.h"
#include "provider/provider.h"

bool route_starts(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

bool route_contains(const char *s, const char *part)
{
    for (; *s != '\0'; s++)
        if (route_starts(s, part))
            return true;
    return *part == '\0';
}

bool route_fits(lua_State *L, int spec, const char *name, const char *model,
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
        if (route_fits(L, -1, "match", model, route_contains) ||
            route_fits(L, -1, "match_prefix", model, route_starts))
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
static void push_default_url(lua_State *L, int route, int spec,
                             const char *path)
{
    const char *model = provider_field(L, route, "model");
    const char *endpoint =
        provider_env(provider_field(L, spec, "base_url_env"));
    const char *suffix = provider_field(L, spec, "base_url_suffix");
    const char *version =
        provider_env(provider_field(L, spec, "api_version_env"));
    if (endpoint == NULL) {
        const char *api = provider_field(L, route, "api");
        lua_pushfstring(L, "%s_url", api == NULL ? "" : api);
        lua_gettable(L, spec); /* where a dialect has an address of its own */
        if (lua_isnil(L, -1))
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

bool route_push(lua_State *L, int model, int provider, int base_url)
{
    size_t name_len = 0;
    const char *name = lua_tolstring(L, model, &name_len);
    const char *wanted = lua_tostring(L, provider);
    bool given = lua_tostring(L, base_url) != NULL;
    if (name == NULL)
        name = "";
    luaL_checkstack(L, 20, NULL);
    const char *name_end = name + name_len;
    lua_newtable(L);
    int route = lua_gettop(L);
    provider_push_list(L);
    int list = route + 1;
    if (!push_spec(L, list, &name, wanted, given)) {
        lua_replace(L, route);
        lua_settop(L, route);
        return false;
    }
    int spec = list + 1;
    char *model_copy = lua_newuserdata(L, (size_t)(name_end - name) + 1);
    compat_visible(model_copy, name, (size_t)(name_end - name));
    lua_pushstring(L, model_copy);
    lua_setfield(L, route, "model");
    lua_getfield(L, spec, "name");
    lua_setfield(L, route, "provider");
    lua_pushboolean(L, wanted != NULL);
    lua_setfield(L, route, "named");
    lua_pushboolean(L, given);
    lua_setfield(L, route, "given");
    const char *env = provider_env(provider_field(L, spec, "base_url_env"));
    lua_pushboolean(L, !given && env == NULL);
    lua_setfield(L, route, "home");
    lua_settop(L, spec);
    lua_setfield(L, route, "spec");
    lua_settop(L, route);
    return true;
}

bool route_locate(lua_State *L, int base_url, const char *path)
{
    size_t base_len = 0;
    const char *base = lua_tolstring(L, base_url, &base_len);
    int route = lua_gettop(L), spec = route + 1;
    luaL_checkstack(L, 20, NULL);
    lua_getfield(L, route, "spec");
    if (base != NULL) {
        char *copy = lua_newuserdata(L, base_len + 1);
        compat_visible(copy, base, base_len);
        lua_pushstring(L, copy);
        lua_remove(L, -2);
    } else {
        push_default_url(L, route, spec, path);
    }
    if (!lua_isstring(L, -1)) {
        const char *var = provider_field(L, spec, "base_url_env");
        failure_push(L, FAULT_CONFIG, "provider '%s' has no base URL%s%s",
                     provider_field(L, spec, "name"),
                     var == NULL ? "" : ": set ", var == NULL ? "" : var);
        lua_replace(L, route);
        lua_settop(L, route);
        return false;
    }
    push_urls(L, lua_tostring(L, -1), path);
    lua_setfield(L, route, "url");
    lua_setfield(L, route, "base_url");
    lua_settop(L, route);
    return true;
}

bool route_is_own(lua_State *L, int route)
{
    route = lua_absindex(L, route);
    return !provider_flag(L, route, "given") ||
           provider_flag(L, route, "named");
}

const char *route_env_key(lua_State *L, int route)
{
    if (!route_is_own(L, route))
        return NULL;
    lua_getfield(L, route, "spec");
    const char *key = provider_key(L, -1);
    lua_pop(L, 1);
    return key;
}

bool route_has(lua_State *L, int route, const char *name)
{
    lua_getfield(L, route, "spec");
    bool set = provider_flag(L, lua_gettop(L), name);
    lua_pop(L, 1);
    return set;
}

bool route_needs_key(lua_State *L, int route)
{
    route = lua_absindex(L, route);
    lua_getfield(L, route, "spec");
    int spec = lua_gettop(L);
    lua_getfield(L, spec, "api_key_env");
    bool needs = lua_istable(L, -1) && lua_rawlen(L, -1) > 0 &&
                 !provider_flag(L, spec, "api_key_optional") &&
                 !provider_flag(L, route, "given");
    lua_pop(L, 2);
    return needs;
}

/* ---- URLs ---- */

static bool same_field(lua_State *L, int a, int b, const char *name)
{
    lua_getfield(L, a, name);
    lua_getfield(L, b, name);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* Whether scheme, host and port are the same in both. [-0, +0, m] */
static bool same_origin(lua_State *L, int a, int b)
{
    const char *s = provider_field(L, a, "base_url");
    const char *t = provider_field(L, b, "base_url");
    size_t n, m;
    if (s == NULL || t == NULL)
        return false;
    n = (size_t)(url_host(s, &n) - s) + url_authority(s);
    m = (size_t)(url_host(t, &m) - t) + url_authority(t);
    return n == m && memcmp(s, t, n) == 0;
}

bool route_same_provider(lua_State *L, int a, int b)
{
    return same_field(L, a, b, "provider");
}

bool route_same_server(lua_State *L, int a, int b)
{
    return same_field(L, a, b, "base_url") ||
           (provider_flag(L, a, "home") && provider_flag(L, b, "home") &&
            route_same_provider(L, a, b) && same_origin(L, a, b));
}

void route_name(lua_State *L, int route)
{
    lua_getfield(L, route, "provider");
    lua_setfield(L, -2, "provider");
    lua_getfield(L, route, "model");
    lua_setfield(L, -2, "model");
}
