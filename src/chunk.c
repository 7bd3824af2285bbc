/*
 * chunk.c - see chunk.h.
 *
 * Tool calls arrive in fragments. While they do, env.tool_calls is the list of
 * calls in the order of their first fragment, env.tool_index maps the `index`
 * of the wire to a place in it, and env.tool_parts[place] collects the pieces
 * of the arguments.
 */
#include "chunk.h"

#include <string.h>

#include "encoded.h"
#include "failure.h"

#define MAX_CHOICES 128
#define MAX_TOOLS   1024

static enum http_fault fault_of(enum bytes_status status)
{
    return status == BYTES_OK      ? FAULT_NONE
           : status == BYTES_LIMIT ? FAULT_LIMIT
                                   : FAULT_MEMORY;
}

static enum http_fault add(struct reply_text *t, const char *s, size_t n)
{
    return fault_of(utf8_feed(&t->utf8, s, n, &t->bytes));
}

/* Raises for the want of memory that reply.c makes of it. */
static void no_memory(lua_State *L, struct reply *r)
{
    r->torn = true;
    luaL_error(L, "not enough memory");
}

/* ---- the plain form ---- */

static enum http_fault add_escaped(struct reply *r, struct reply_text *t,
                                   const struct delta_text *d)
{
    if (d->s == NULL)
        return FAULT_NONE;
    if (!d->escaped)
        return add(t, d->s, d->n);
    r->scratch.len = 0;
    enum bytes_status status = delta_unescape(d, &r->scratch);
    if (status != BYTES_OK)
        return fault_of(status);
    return add(t, r->scratch.data, r->scratch.len);
}

static void set_escaped(lua_State *L, struct reply *r, int env,
                        const char *name, const struct delta_text *d)
{
    if (d->s == NULL || d->n == 0)
        return;
    r->scratch.len = 0;
    if (delta_unescape(d, &r->scratch) != BYTES_OK)
        return;
    lua_pushlstring(L, r->scratch.data, r->scratch.len);
    lua_setfield(L, env, name);
}

enum http_fault chunk_plain(lua_State *L, struct reply *r, int env,
                            const struct delta *d)
{
    if (!r->named) {
        set_escaped(L, r, env, "id", &d->id);
        set_escaped(L, r, env, "model", &d->model);
        r->named = d->id.n > 0 && d->model.n > 0;
    }
    if (d->finish_reason.s != NULL && d->finish_reason.n > 0) {
        set_escaped(L, r, env, "finish_reason", &d->finish_reason);
        r->finished = true;
    }
    enum http_fault fault = add_escaped(r, &r->text, &d->content);
    if (fault == FAULT_NONE)
        fault = add_escaped(r, &r->reasoning, &d->reasoning);
    return fault;
}

/* ---- any other form; the table in question is on top of the stack ---- */

/* Pushes top[name] when it is a table. [-0, +(0|1), m] */
static bool get_table(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    if (lua_istable(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

/* Pushes top[name] when it is a string that is not empty. [-0, +(0|1), m] */
static const char *get_text(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    if (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0)
        return lua_tostring(L, -1);
    lua_pop(L, 1);
    return NULL;
}

/* env[to] = top[from], when that is of the given type. `once`: unless env has
 * it already. */
static void keep(lua_State *L, int env, const char *from, const char *to,
                 int type, bool once)
{
    lua_getfield(L, env, to);
    bool there = !lua_isnil(L, -1);
    lua_pop(L, 1);
    lua_getfield(L, -1, from);
    if (lua_type(L, -1) == type && !(there && once) &&
        (type != LUA_TSTRING || lua_rawlen(L, -1) > 0))
        lua_setfield(L, env, to);
    else
        lua_pop(L, 1);
}

/* Adds the string on top to `t`, and pops it. */
static enum http_fault take_text(lua_State *L, struct reply_text *t)
{
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    enum http_fault fault = add(t, s, n);
    lua_pop(L, 1);
    return fault;
}

/* The content: a string, or a list of parts. [-1, +0, m] */
static enum http_fault take_content(lua_State *L, struct reply *r,
                                    struct reply_text *to)
{
    enum http_fault fault = FAULT_NONE;
    if (lua_type(L, -1) == LUA_TSTRING)
        return take_text(L, to);
    luaL_checkstack(L, 8, NULL);
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    for (int i = 1; fault == FAULT_NONE && i <= n; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_type(L, -1) == LUA_TSTRING) {
            fault = take_text(L, to);
            continue;
        }
        if (lua_istable(L, -1)) {
            if (get_text(L, "text"))
                fault = take_text(L, to);
            else if (to == &r->text && get_table(L, "thinking"))
                fault = take_content(L, r, &r->reasoning);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return fault;
}

/* Appends the list on top to env.logprobs[name]. [-0, +0, m] */
static void append_logprobs(lua_State *L, int env, const char *name)
{
    int from = lua_gettop(L);
    lua_getfield(L, env, "logprobs");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, env, "logprobs");
    }
    lua_getfield(L, -1, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, name);
    }
    int have = (int)lua_rawlen(L, -1), n = (int)lua_rawlen(L, from);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, from, i);
        lua_rawseti(L, -2, have + i);
    }
    lua_settop(L, from);
}

/* ---- tool calls ---- */

/* Pushes env[name], made when it is not there. [-0, +1, m] */
static void own_table(lua_State *L, int env, const char *name)
{
    lua_getfield(L, env, name);
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, env, name);
}

/* The place of the call that the fragment on top belongs to; 0: to none. A
 * fragment without an index opens a call when it has a name. [-0, +0, m] */
static int tool_place(lua_State *L, int env, bool has_name)
{
    int fragment = lua_gettop(L), place = 0;
    own_table(L, env, "tool_calls");
    int count = (int)lua_rawlen(L, -1);
    own_table(L, env, "tool_index");
    lua_getfield(L, fragment, "index");
    double index = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    if (index >= MAX_TOOLS || count >= MAX_TOOLS) {
        lua_settop(L, fragment);
        return 0;
    }
    bool indexed = index >= 0 && index == (double)(int)index;
    if (indexed) {
        lua_rawgeti(L, fragment + 2, (int)index + 1);
        place = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
    } else if (!has_name) {
        place = count;
        if (place == 0) {
            lua_settop(L, fragment);
            return 0;
        }
    }
    if (place == 0) { /* a new call */
        place = count + 1;
        lua_newtable(L);
        lua_pushliteral(L, "function");
        lua_setfield(L, -2, "type");
        lua_newtable(L);
        lua_setfield(L, -2, "function");
        lua_rawseti(L, fragment + 1, place);
        own_table(L, env, "tool_parts");
        lua_newtable(L);
        lua_rawseti(L, -2, place);
        if (indexed) {
            lua_pushinteger(L, place);
            lua_rawseti(L, fragment + 2, (int)index + 1);
        }
    }
    lua_settop(L, fragment);
    return place;
}

/* A name is set once, or replaced by one that it is the beginning of. Both are
 * on top: call.function, name. [-1, +0, m] */
static void set_name(lua_State *L)
{
    size_t n, old;
    const char *name = lua_tolstring(L, -1, &n);
    lua_getfield(L, -2, "name");
    const char *before = lua_tolstring(L, -1, &old);
    bool replace =
        before == NULL || (old < n && memcmp(before, name, old) == 0);
    lua_pop(L, 1);
    if (replace)
        lua_setfield(L, -2, "name");
    else
        lua_pop(L, 1);
}

/* Whether the value on top is worth keeping as call[k]. [-0, +0, -] */
static bool is_extra(lua_State *L, const char *k)
{
    if (lua_type(L, -1) == LUA_TSTRING)
        return lua_rawlen(L, -1) > 0;
    return strcmp(k, "id") != 0;
}

/* Merges the fragment on top. [-0, +0, m] */
static void take_tool_call(lua_State *L, int env)
{
    int fragment = lua_gettop(L);
    luaL_checkstack(L, 12, NULL);
    bool has_function = get_table(L, "function");
    bool has_name = has_function && get_text(L, "name") != NULL;
    lua_settop(L, fragment);
    int place = tool_place(L, env, has_name);
    if (place == 0)
        return;
    lua_getfield(L, env, "tool_calls");
    lua_rawgeti(L, -1, place);
    int call = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, fragment)) { /* what else there is (extra_content) */
        const char *k =
            lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "index";
        lua_getfield(L, call, k);
        bool once = lua_isnil(L, -1) && strcmp(k, "index") != 0;
        lua_pop(L, 1);
        if (once && is_extra(L, k))
            lua_setfield(L, call, k);
        else
            lua_pop(L, 1);
    }
    if (has_function) {
        lua_getfield(L, fragment, "function");
        if (get_text(L, "name")) {
            lua_getfield(L, call, "function");
            lua_insert(L, -2);
            set_name(L);
            lua_pop(L, 1);
        }
        lua_getfield(L, -1, "arguments");
        if (lua_istable(L, -1) && !encoded_push(L, -1))
            lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            lua_getfield(L, env, "tool_parts");
            lua_rawgeti(L, -1, place);
            lua_pushvalue(L, -3);
            lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
        }
    }
    lua_settop(L, fragment);
}

static void take_tool_calls(lua_State *L, int env)
{
    int n = (int)lua_rawlen(L, -1);
    for (int i = 1; i <= n && i <= MAX_TOOLS; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_istable(L, -1))
            take_tool_call(L, env);
        lua_pop(L, 1);
    }
}

static bool is_utf8(lua_State *L, int i)
{
    size_t n;
    const char *s = lua_tolstring(L, i, &n);
    return utf8_invalid(s, n) == n;
}

/* Pushes the string on top with U+FFFD for what is not UTF-8. [-0, +1, m] */
static void push_utf8(lua_State *L, struct reply *r)
{
    struct utf8 utf8 = {.len = 0};
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    r->scratch.len = 0;
    if (utf8_feed(&utf8, s, n, &r->scratch) != BYTES_OK ||
        utf8_finish(&utf8, &r->scratch) != BYTES_OK)
        no_memory(L, r);
    lua_pushlstring(L, r->scratch.data, r->scratch.len);
}

/* The call on top will be sent back, and JSON must be able to hold it: strings
 * become UTF-8; keys that are not, and infinite numbers, go. [-0, +0, m] */
static void make_sendable(lua_State *L, struct reply *r)
{
    luaL_checkstack(L, 6, NULL);
    lua_pushnil(L);
    while (lua_next(L, -2)) { /* table, key, value */
        double x = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (x - x != 0 || (lua_type(L, -2) == LUA_TSTRING && !is_utf8(L, -2))) {
            lua_pushvalue(L, -2);
            lua_pushnil(L);
            lua_rawset(L, -5);
        } else if (lua_istable(L, -1)) {
            make_sendable(L, r);
        } else if (lua_type(L, -1) == LUA_TSTRING && !is_utf8(L, -1)) {
            push_utf8(L, r);
            lua_pushvalue(L, -3); /* table, key, value, new, key */
            lua_insert(L, -2);
            lua_rawset(L, -5);
        }
        lua_pop(L, 1);
    }
}

/* Joins the arguments and drops calls that never got a name. Pushes the list,
 * or nil when there is none. [-0, +1, m] */
static void finish_tool_calls(lua_State *L, struct reply *r, int env)
{
    int top = lua_gettop(L);
    lua_getfield(L, env, "tool_calls");
    if (!lua_istable(L, -1))
        return;
    lua_newtable(L); /* top+1: calls, top+2: those with a name */
    lua_getfield(L, env, "tool_parts");
    int n = (int)lua_rawlen(L, top + 1), kept = 0;
    for (int i = 1; i <= n; i++) {
        struct utf8 utf8 = {.len = 0};
        lua_rawgeti(L, top + 1, i);
        lua_getfield(L, -1, "function"); /* call, function */
        lua_getfield(L, -1, "name");
        bool named = !lua_isnil(L, -1);
        lua_pop(L, 1);
        lua_rawgeti(L, top + 3, i);
        int parts = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
        r->scratch.len = 0;
        for (int k = 1; k <= parts; k++) {
            size_t len;
            lua_rawgeti(L, -1, k);
            const char *s = lua_tolstring(L, -1, &len);
            if (utf8_feed(&utf8, s, len, &r->scratch) != BYTES_OK)
                no_memory(L, r);
            lua_pop(L, 1);
        }
        if (utf8_finish(&utf8, &r->scratch) != BYTES_OK)
            no_memory(L, r);
        lua_pushlstring(L, r->scratch.len ? r->scratch.data : "",
                        r->scratch.len);
        lua_setfield(L, -3, "arguments");
        lua_pop(L, 2);
        make_sendable(L, r);
        if (named)
            lua_rawseti(L, top + 2, ++kept);
        else
            lua_pop(L, 1);
    }
    lua_settop(L, top + 2);
    lua_remove(L, top + 1);
    if (kept == 0) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    static const char *const gone[] = {"tool_parts", "tool_index"};
    for (int i = 0; i < 2; i++) {
        lua_pushnil(L);
        lua_setfield(L, env, gone[i]);
    }
}

/* ---- choices ---- */

/* The delta or message on top. [-0, +0, m] */
static enum http_fault take_delta(lua_State *L, struct reply *r, int env)
{
    enum http_fault fault;
    lua_getfield(L, -1, "content");
    fault = take_content(L, r, &r->text);
    if (fault == FAULT_NONE &&
        (get_text(L, "reasoning_content") || get_text(L, "reasoning")))
        fault = take_text(L, &r->reasoning);
    if (fault == FAULT_NONE && get_text(L, "refusal"))
        fault = take_text(L, &r->refusal);
    if (get_table(L, "tool_calls")) {
        take_tool_calls(L, env);
        r->kept += r->event_len;
        lua_pop(L, 1);
    }
    return r->kept > r->text.bytes.max ? FAULT_LIMIT : fault;
}

/* The choice on top; *error: its finish_reason is "error". [-0, +0, m] */
static enum http_fault take_choice(lua_State *L, struct reply *r, int env,
                                   bool *error)
{
    enum http_fault fault = FAULT_NONE;
    if (get_table(L, "delta") || get_table(L, "message")) {
        fault = take_delta(L, r, env);
        lua_pop(L, 1);
    }
    if (get_table(L, "logprobs")) {
        r->kept += r->event_len;
        static const char *const lists[] = {"content", "refusal"};
        for (int i = 0; i < 2; i++)
            if (get_table(L, lists[i])) {
                append_logprobs(L, env, lists[i]);
                lua_pop(L, 1);
            }
        lua_pop(L, 1);
    }
    keep(L, env, "usage", "usage", LUA_TTABLE, false);
    const char *reason = get_text(L, "finish_reason");
    if (reason != NULL) {
        *error = strcmp(reason, "error") == 0;
        r->finished = true;
        lua_setfield(L, env, "finish_reason");
    }
    return fault;
}

static bool is_error(lua_State *L)
{
    lua_getfield(L, -1, "error");
    bool error = lua_istable(L, -1) ||
                 (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0);
    lua_pop(L, 1);
    const char *object = get_text(L, "object");
    if (object != NULL) {
        error = error || strcmp(object, "error") == 0;
        lua_pop(L, 1);
    }
    return error;
}

/* Replaces the table on top by the error table for what it says. */
static bool api_error(lua_State *L, const struct reply *r)
{
    failure_push(L, FAULT_API, "the server reported an error");
    lua_insert(L, -2);
    failure_describe(L, lua_gettop(L) - 1, &r->secret);
    return false;
}

bool chunk_merge(lua_State *L, struct reply *r, int env)
{
    enum http_fault fault = FAULT_NONE;
    bool error = false;
    int chunk = lua_gettop(L);
    luaL_checkstack(L, 16, NULL);
    lua_rawgeti(L, chunk, 1); /* Gemini puts its errors into an array */
    bool listed = lua_istable(L, -1) && is_error(L);
    lua_pop(L, 1);
    if (listed || is_error(L))
        return api_error(L, r);
    keep(L, env, "id", "id", LUA_TSTRING, true);
    keep(L, env, "model", "model", LUA_TSTRING, true);
    if (get_table(L, "x_groq")) {
        keep(L, env, "usage", "usage", LUA_TTABLE, false);
        lua_pop(L, 1);
    }
    if (get_table(L, "choices")) {
        int n = (int)lua_rawlen(L, -1);
        for (int i = 1; fault == FAULT_NONE && i <= n && i <= MAX_CHOICES;
             i++) {
            lua_rawgeti(L, -1, i);
            if (lua_istable(L, -1)) {
                lua_getfield(L, -1, "index");
                bool ours = lua_type(L, -1) != LUA_TNUMBER
                                ? i == 1
                                : lua_tonumber(L, -1) == 0;
                lua_pop(L, 1);
                if (ours)
                    fault = take_choice(L, r, env, &error);
                if (error) { /* OpenRouter puts the reason beside it */
                    lua_replace(L, chunk);
                    lua_settop(L, chunk);
                    return api_error(L, r);
                }
            }
            lua_pop(L, 1);
        }
        lua_settop(L, chunk);
    }
    keep(L, env, "usage", "usage", LUA_TTABLE, false);
    lua_pop(L, 1);
    if (fault == FAULT_NONE)
        return true;
    failure_push(L, fault,
                 fault == FAULT_LIMIT
                     ? "the answer is larger than max_answer_bytes"
                     : "not enough memory");
    return false;
}

/* ---- the end ---- */

static void finish_text(lua_State *L, struct reply *r, struct reply_text *t)
{
    if (utf8_finish(&t->utf8, &t->bytes) == BYTES_MEMORY)
        no_memory(L, r);
}

static void strip(struct bytes *b)
{
    const char *s = b->data;
    size_t n = b->len;
    utf8_strip(&s, &n);
    size_t before = (size_t)(s - b->data);
    b->len = before + n;
    bytes_consume(b, before);
}

void chunk_finish(lua_State *L, struct reply *r, int env)
{
    finish_text(L, r, &r->text);
    if (r->form == FORM_WHOLE && r->text.bytes.len > 0)
        strip(&r->text.bytes);
    finish_text(L, r, &r->reasoning);
    finish_text(L, r, &r->refusal);
    lua_createtable(L, 0, 3);
    lua_pushliteral(L, "assistant");
    lua_setfield(L, -2, "role");
    finish_tool_calls(L, r, env);
    bool tools = lua_istable(L, -1);
    lua_pushvalue(L, -1);
    lua_setfield(L, env, "tool_calls");
    lua_setfield(L, -2, "tool_calls");
    const struct bytes *text = &r->text.bytes;
    if (text->len > 0 || !tools) {
        lua_pushlstring(L, text->len > 0 ? text->data : "", text->len);
        lua_pushvalue(L, -1);
        lua_setfield(L, env, "text");
        lua_setfield(L, -2, "content");
    }
    if (r->refusal.bytes.len > 0) {
        lua_pushlstring(L, r->refusal.bytes.data, r->refusal.bytes.len);
        lua_setfield(L, -2, "refusal");
    }
    lua_getfield(L, env, "reasoning_back");
    bool back = tools && lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (back && r->reasoning.bytes.len > 0) {
        lua_pushlstring(L, r->reasoning.bytes.data, r->reasoning.bytes.len);
        lua_setfield(L, -2, "reasoning_content");
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, env, "message");
}

enum reply_status chunk_status(lua_State *L, int env)
{
    static const struct {
        const char *reason;
        enum reply_status status;
    } known[] = {
        {"length", REPLY_LENGTH},
        {"max_tokens", REPLY_LENGTH},
        {"model_length", REPLY_LENGTH},
        {"tool_calls", REPLY_TOOL_CALLS},
        {"function_call", REPLY_TOOL_CALLS},
        {"content_filter", REPLY_FILTERED},
        {"safety", REPLY_FILTERED},
    };
    enum reply_status status = REPLY_COMPLETE;
    lua_getfield(L, env, "finish_reason");
    const char *reason = lua_tostring(L, -1);
    for (size_t i = 0; reason && i < sizeof known / sizeof *known; i++)
        if (strcmp(reason, known[i].reason) == 0)
            status = known[i].status;
    lua_getfield(L, env, "tool_calls");
    if (lua_istable(L, -1) && status == REPLY_COMPLETE)
        status = REPLY_TOOL_CALLS;
    lua_pop(L, 2);
    return status;
}
