/*
 * chunk.c - see chunk.h.
 */
#include "chunk.h"

#include <string.h>
#include <strings.h>

#include "calls.h"
#include "details.h"
#include "escape.h"
#include "failure.h"

#define MAX_CHOICES 128
#define MAX_COUNT   9007199254740992.0 /* 2^53 */
#define REASON      200 /* characters of a finish_reason in a message */

static enum http_fault fault_of(enum bytes_status status)
{
    return status == BYTES_OK      ? FAULT_NONE
           : status == BYTES_LIMIT ? FAULT_LIMIT
                                   : FAULT_MEMORY;
}

static enum http_fault append(struct reply_text *t, const char *s, size_t n)
{
    return fault_of(utf8_feed(&t->utf8, s, n, &t->bytes));
}

/* Adds to the answer's text, which may have the thoughts at its head. */
static enum http_fault sort_out(struct reply *r, const char *s, size_t n)
{
    struct think_piece p;
    enum http_fault fault = FAULT_NONE;
    while (fault == FAULT_NONE && think_next(&r->think, &s, &n, &p))
        fault = append(p.reasoning ? &r->reasoning : &r->text, p.s, p.n);
    return fault;
}

/* Adds `n` bytes to `t`, one of the texts of `r`. */
static inline enum http_fault add(struct reply *r, struct reply_text *t,
                                  const char *s, size_t n)
{
    r->content |= n > 0;
    return r->think.state == THINK_OFF || t != &r->text ? append(t, s, n)
                                                        : sort_out(r, s, n);
}

/* Whether some of the answer has come, thoughts apart. */
static bool has_answer(const struct reply *r)
{
    return r->text.bytes.len > 0 || r->text.utf8.len > 0 ||
           r->refusal.bytes.len > 0 || r->called;
}

/* The event had a finish_reason, or a usage. Both together, or the first behind
 * some of the answer, make the answer whole. Thoughts alone do not: servers
 * with a finish_reason in every chunk begin with these. */
static void note_end(struct reply *r, bool reason, bool usage)
{
    r->reasoned = r->reasoned || reason;
    if ((reason && has_answer(r)) || (r->reasoned && usage)) {
        r->finished = true;
        r->doubtful = false;
    }
}

/* Forgets what was read of a choice that is not ours after all. [-0, +0, m] */
static void start_over(lua_State *L, struct reply *r, int env)
{
    static const char *const names[] = {
        "tool_calls", "tool_index", "tool_parts", "logprobs", "finish_reason"};
    struct reply_text *const texts[] = {&r->text, &r->reasoning, &r->refusal};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        texts[i]->bytes.len = texts[i]->utf8.len = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_pushnil(L);
        lua_setfield(L, env, names[i]);
    }
    r->reasoned = r->called = r->thoughts = r->doubtful = false;
    r->streamed = false;
    r->choice = 0;
}

/* Whether the choice with this index is ours. That is the one with the index 0,
 * or, as long as none has come, the first that did; nothing of that is handed
 * out before it is at its end. [-0, +0, m] */
static bool is_ours(lua_State *L, struct reply *r, int env, double index)
{
    if (index == 0 && r->doubtful)
        start_over(L, r, env);
    if (r->choice < 0) {
        r->choice = index;
        r->doubtful = index != 0;
    }
    return index == r->choice;
}

/* ---- the plain form ---- */

static enum http_fault add_escaped(struct reply *r, struct reply_text *t,
                                   const struct escape_text *text)
{
    if (text->s == NULL)
        return FAULT_NONE;
    if (!text->escaped)
        return add(r, t, text->s, text->n);
    r->scratch.len = 0;
    enum bytes_status status = escape_undo(text, &r->scratch);
    if (status != BYTES_OK)
        return fault_of(status);
    return add(r, t, r->scratch.data, r->scratch.len);
}

static void set_escaped(lua_State *L, struct reply *r, int env,
                        const char *name, const struct escape_text *text)
{
    if (text->s == NULL || text->n == 0)
        return;
    r->scratch.len = 0;
    if (escape_undo(text, &r->scratch) != BYTES_OK)
        return;
    lua_pushlstring(L, r->scratch.data, r->scratch.len);
    lua_setfield(L, env, name);
}

enum http_fault chunk_plain(lua_State *L, struct reply *r, int env,
                            const struct plain *p)
{
    if (!r->named) {
        set_escaped(L, r, env, "id", &p->id);
        set_escaped(L, r, env, "model", &p->model);
        r->named = p->id.n > 0 && p->model.n > 0;
    }
    bool reason = p->finish.n > 0;
    if (r->choice != 0 && (p->text.s != NULL || reason) &&
        !is_ours(L, r, env, 0))
        return FAULT_NONE;
    enum http_fault fault;
    if (p->to == PLAIN_REASONING) {
        fault = add_escaped(r, &r->reasoning, &p->text);
        r->thoughts |= p->text.n > 0;
    } else {
        fault = add_escaped(r, &r->text, &p->text);
        r->streamed |= p->text.n > 0;
    }
    if (reason) {
        set_escaped(L, r, env, "finish_reason", &p->finish);
        note_end(r, true, false);
    }
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

/* env[name] = top[name], unless env has it already. [-0, +0, m] */
static void keep(lua_State *L, int env, const char *name)
{
    lua_getfield(L, env, name);
    bool there = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!there && binding_text(L, name))
        lua_setfield(L, env, name);
}

/* Adds the string on top to `t`, and pops it. */
static enum http_fault take_text(lua_State *L, struct reply *r,
                                 struct reply_text *t)
{
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    enum http_fault fault = add(r, t, s, n);
    lua_pop(L, 1);
    return fault;
}

/* Which text the part on top belongs to, one of a list in `to`: NULL, it is of
 * a kind that is not known. [-0, +0, m] */
static struct reply_text *part_of(lua_State *L, struct reply *r,
                                  struct reply_text *to)
{
    size_t n;
    if (to != &r->text || !binding_text(L, "type"))
        return to;
    const char *type = lua_tolstring(L, -1, &n);
    bool text = n >= 4 && strcmp(type + n - 4, "text") == 0;
    bool thought =
        strcmp(type, "thinking") == 0 || strcmp(type, "reasoning") == 0;
    lua_pop(L, 1);
    return text ? to : thought ? &r->reasoning : NULL;
}

/* The content: a string, or a list of parts. [-1, +0, m] */
static enum http_fault take_content(lua_State *L, struct reply *r,
                                    struct reply_text *to)
{
    enum http_fault fault = FAULT_NONE;
    if (lua_type(L, -1) == LUA_TSTRING)
        return take_text(L, r, to);
    luaL_checkstack(L, 8, NULL);
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    for (int i = 1; fault == FAULT_NONE && i <= n; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_type(L, -1) == LUA_TSTRING) {
            fault = take_text(L, r, to);
            continue;
        }
        struct reply_text *part = lua_istable(L, -1) ? part_of(L, r, to) : NULL;
        if (part != NULL && binding_text(L, "text"))
            fault = take_text(L, r, part);
        else if (part != NULL && to == &r->text &&
                 (get_table(L, "thinking") || get_table(L, "summary") ||
                  binding_text(L, "thinking")))
            fault = take_content(L, r, &r->reasoning);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return fault;
}

/* Pushes top[name], a new table where it is none. Reads raw: the program may
 * have changed what it was shown. [-0, +1, m] */
static void own_table(lua_State *L, int top, const char *name)
{
    lua_pushstring(L, name);
    lua_pushvalue(L, -1);
    lua_rawget(L, top);
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_insert(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, top);
    } else {
        lua_remove(L, -2);
    }
}

/* Appends the list on top to env.logprobs[name]. [-0, +0, m] */
static void append_logprobs(lua_State *L, int env, const char *name)
{
    int from = lua_gettop(L);
    own_table(L, env, "logprobs");
    own_table(L, from + 1, name);
    int have = (int)lua_rawlen(L, -1), n = (int)lua_rawlen(L, from);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, from, i);
        lua_rawseti(L, -2, have + i);
    }
    lua_settop(L, from);
}

/* ---- usage ---- */

/* Pushes a copy of the table on top without numbers that count nothing.
 * [-0, +1, m] */
static void push_counts(lua_State *L)
{
    int from = lua_gettop(L);
    luaL_checkstack(L, 6, NULL);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, from)) { /* from, to, key, value */
        double x = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (x >= 0 && x <= MAX_COUNT) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            if (lua_istable(L, -1)) {
                push_counts(L);
                lua_remove(L, -2);
            }
            lua_rawset(L, from + 1);
        } else {
            lua_pop(L, 1);
        }
    }
}

/* Pushes the number top[outer][inner], or top[inner] where `outer` is NULL.
 * [-0, +(0|1), m] */
static bool get_count(lua_State *L, const char *outer, const char *inner)
{
    int top = lua_gettop(L);
    if (outer != NULL && !get_table(L, outer))
        return false;
    lua_getfield(L, -1, inner);
    if (lua_type(L, -1) != LUA_TNUMBER) {
        lua_settop(L, top);
        return false;
    }
    if (outer != NULL)
        lua_remove(L, top + 1);
    return true;
}

/* env.usage = the table on top, if there is something in it: then true. What
 * services call differently has one name there. [-1, +0, m] */
static bool take_usage(lua_State *L, int env)
{
    static const char *const counts[] = {"prompt_tokens", "completion_tokens",
                                         "total_tokens"};
    static const struct {
        const char *name, *outer, *inner;
    } same[] = {
        {"cached_tokens", "prompt_tokens_details", "cached_tokens"},
        {"cached_tokens", NULL, "cached_tokens"},
        {"cached_tokens", NULL, "prompt_cache_hit_tokens"},
        {"cached_tokens", NULL, "num_cached_tokens"},
        {"cached_tokens", NULL, "cache_read_input_tokens"},
        {"reasoning_tokens", "completion_tokens_details", "reasoning_tokens"},
        {"reasoning_tokens", NULL, "reasoning_tokens"},
    };
    push_counts(L);
    lua_remove(L, -2);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        lua_getfield(L, -1, counts[i]);
        bool number = lua_type(L, -1) == LUA_TNUMBER;
        lua_pop(L, 1);
        if (!number) {
            lua_pushnil(L);
            lua_setfield(L, -2, counts[i]);
        }
    }
    const char *done = "";
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strcmp(done, same[i].name) != 0 &&
            get_count(L, same[i].outer, same[i].inner)) {
            done = same[i].name;
            lua_setfield(L, -2, done);
        }
    lua_pushnil(L);
    bool some = lua_next(L, -2) != 0;
    if (some) {
        lua_pop(L, 2);
        lua_setfield(L, env, "usage");
    } else {
        lua_pop(L, 1);
    }
    return some;
}

/* Takes the usage of the table on top, if it has one. [-0, +0, m] */
static bool find_usage(lua_State *L, int env)
{
    return get_table(L, "usage") && take_usage(L, env);
}

/* ---- choices ---- */

/* What a finish_reason says, in any case of letters: REPLY_ERROR for those of
 * an answer that failed. */
static enum reply_status meaning_of(const char *reason)
{
    static const struct {
        const char *reason;
        enum reply_status status;
    } known[] = {
        {"length", REPLY_LENGTH},
        {"model_length", REPLY_LENGTH},
        {"content_filter", REPLY_FILTERED},
        {"safety", REPLY_FILTERED},
        {"recitation", REPLY_FILTERED},
        {"prohibited_content", REPLY_FILTERED},
        {"blocklist", REPLY_FILTERED},
        {"spii", REPLY_FILTERED},
        {"sensitive", REPLY_FILTERED},
        {"refusal", REPLY_FILTERED},
        {"error", REPLY_ERROR},
        {"network_error", REPLY_ERROR},
        {"malformed_function_call", REPLY_ERROR},
        {"engine_overloaded", REPLY_ERROR},
        {"insufficient_system_resource", REPLY_ERROR},
        {"abort", REPLY_ERROR},
    };
    static const char *const long_ends[] = {"_tokens", "_exceeded"};
    size_t n = strlen(reason);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(reason, known[i].reason) == 0)
            return known[i].status;
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(long_ends[i]);
        if (n > len && strcasecmp(reason + n - len, long_ends[i]) == 0)
            return REPLY_LENGTH;
    }
    if (strncasecmp(reason, "function_call_filter", 20) == 0)
        return REPLY_ERROR;
    return REPLY_COMPLETE;
}

/* The text in the list reasoning_details of the table on top. [-0, +0, m] */
static enum http_fault take_details(lua_State *L, struct reply *r)
{
    enum http_fault fault = FAULT_NONE;
    if (!get_table(L, "reasoning_details"))
        return fault;
    int n = (int)lua_rawlen(L, -1);
    for (int i = 1; fault == FAULT_NONE && i <= n; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_istable(L, -1) &&
            (binding_text(L, "text") || binding_text(L, "summary")))
            fault = take_text(L, r, &r->reasoning);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return fault;
}

/* The thoughts in the table on top: under one of two names, or both, or in
 * details that only count when nothing else has them. [-0, +0, m] */
static enum http_fault take_reasoning(lua_State *L, struct reply *r)
{
    if (binding_text(L, "reasoning_content") || binding_text(L, "reasoning")) {
        r->thoughts = true;
        return take_text(L, r, &r->reasoning);
    }
    return r->thoughts ? FAULT_NONE : take_details(L, r);
}

/* The delta or message on top. [-0, +0, m] */
static enum http_fault take_delta(lua_State *L, struct reply *r, int env)
{
    enum http_fault fault;
    lua_getfield(L, -1, "content");
    fault = take_content(L, r, &r->text);
    if (fault == FAULT_NONE)
        fault = take_reasoning(L, r);
    if (fault == FAULT_NONE && binding_text(L, "refusal"))
        fault = take_text(L, r, &r->refusal);
    if (get_table(L, "tool_calls")) {
        if (calls_take(L, r, env))
            r->content = true;
        r->kept += r->event_len;
        lua_pop(L, 1);
    }
    if (r->details && get_table(L, "reasoning_details")) {
        details_take(L, env);
        r->kept += r->event_len;
        lua_pop(L, 1);
    }
    if (get_table(L, "extra_content"))
        lua_setfield(L, env, "extra_content");
    return r->kept > r->text.bytes.max ? FAULT_LIMIT : fault;
}

/* The choice on top; *error: so its finish_reason says. A stream has deltas,
 * beside or behind which some servers repeat the message; a document has a
 * message, beside which some put an empty delta. [-0, +0, m] */
static enum http_fault take_choice(lua_State *L, struct reply *r, int env,
                                   bool *error)
{
    enum http_fault fault = FAULT_NONE;
    bool whole = r->form == FORM_WHOLE;
    bool usual = get_table(L, whole ? "message" : "delta");
    if (usual || (!r->streamed && get_table(L, whole ? "delta" : "message"))) {
        fault = take_delta(L, r, env);
        lua_pop(L, 1);
        r->streamed = r->streamed || (usual && has_answer(r));
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
    bool usage = find_usage(L, env);
    const char *reason = binding_text(L, "finish_reason");
    if (reason != NULL && strcasecmp(reason, "null") == 0) {
        lua_pop(L, 1);
        reason = NULL;
    }
    if (reason != NULL) {
        *error = meaning_of(reason) == REPLY_ERROR;
        lua_setfield(L, env, "finish_reason");
    }
    note_end(r, reason != NULL, usage);
    return fault;
}

/* The index of the choice at `i` of the list on top: -1 when it has none, less
 * when there is no choice. [-0, +0, m] */
static double index_of(lua_State *L, int i)
{
    double index = -2;
    lua_rawgeti(L, -1, i);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "index");
        if (lua_type(L, -1) != LUA_TNUMBER)
            index = -1;
        else if (lua_tonumber(L, -1) >= 0)
            index = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return index;
}

/* The place of our choice in the list on top; 0: it is not there.
 * [-0, +0, m] */
static int our_choice(lua_State *L, struct reply *r, int env)
{
    int n = (int)lua_rawlen(L, -1), first = 0;
    double other = 0;
    for (int i = 1; i <= n && i <= MAX_CHOICES; i++) {
        double index = index_of(L, i);
        if (index == -1 && i == 1)
            index = 0;
        bool best = index == 0 && (r->choice <= 0 || r->doubtful);
        if (index >= 0 && (best || index == r->choice || first == 0)) {
            first = i;
            other = index;
        }
        if (best)
            break;
    }
    return first > 0 && is_ours(L, r, env, other) ? first : 0;
}

/* Whether the choice at `i` of the list on top has calls. [-0, +0, m] */
static bool has_calls(lua_State *L, int i)
{
    int top = lua_gettop(L);
    lua_rawgeti(L, -1, i);
    bool some = (get_table(L, "delta") || get_table(L, "message")) &&
                get_table(L, "tool_calls") && lua_rawlen(L, -1) > 0;
    lua_settop(L, top);
    return some;
}

/* The place of what goes on with the choice at `i` of the list on top, or 0:
 * some servers send text and calls as two, with one index or with none, where
 * texts alone are several answers. [-0, +0, m] */
static int next_part(lua_State *L, int env, int i)
{
    int n = (int)lua_rawlen(L, -1);
    if (i >= n)
        return 0;
    double index = index_of(L, i);
    lua_getfield(L, env, "several");
    bool several = lua_toboolean(L, -1);
    lua_pop(L, 1);
    while (++i <= n && i <= MAX_CHOICES)
        if (index_of(L, i) == index &&
            (index >= 0 || (!several && has_calls(L, i))))
            return i;
    return 0;
}

static bool is_error(lua_State *L)
{
    lua_getfield(L, -1, "error");
    bool error = lua_istable(L, -1) ||
                 (lua_isboolean(L, -1) && lua_toboolean(L, -1)) ||
                 (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) != 0) ||
                 (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0);
    lua_pop(L, 1);
    const char *object = binding_text(L, "object");
    if (object != NULL) {
        error = error || strcmp(object, "error") == 0;
        lua_pop(L, 1);
    }
    if (!error && get_table(L, "errors")) {
        lua_getfield(L, -2, "choices");
        error = lua_isnil(L, -1) && lua_rawlen(L, -2) > 0;
        lua_pop(L, 2);
    }
    return error;
}

/* Lets the finish_reason tell what the error table at `err` does not.
 * [-0, +0, m] */
static void name_reason(lua_State *L, const struct reply *r, int env, int err)
{
    size_t n;
    lua_getfield(L, env, "finish_reason");
    const char *reason = lua_tolstring(L, -1, &n);
    failure_clean(L, reason, n, &r->secret, false);
    lua_pushvalue(L, -1);
    lua_setfield(L, err, "code");
    failure_line(L, lua_tostring(L, -1), lua_rawlen(L, -1), REASON);
    lua_pushfstring(L, ": finish_reason %s", lua_tostring(L, -1));
    failure_add(L, err);
    lua_pop(L, 3);
}

/* Replaces the table on top by the error table for what it says; `env` has the
 * finish_reason when that was one of an error, else it is 0. */
static bool api_error(lua_State *L, const struct reply *r, int env)
{
    failure_push(L, FAULT_API, "the server reported an error");
    lua_insert(L, -2);
    int err = lua_gettop(L) - 1;
    failure_describe(L, err, &r->secret);
    lua_getfield(L, err, "code");
    if (env > 0 && lua_isnil(L, -1))
        name_reason(L, r, env, err);
    lua_pop(L, 1);
    failure_judge(L, err);
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
        return api_error(L, r, 0);
    if (get_table(L, "response")) {
        if (is_error(L)) {
            lua_remove(L, chunk);
            return api_error(L, r, 0);
        }
        lua_pop(L, 1);
    }
    keep(L, env, "id");
    keep(L, env, "model");
    bool usage = false;
    if (get_table(L, "x_groq")) {
        usage = find_usage(L, env);
        lua_pop(L, 1);
    }
    if (get_table(L, "choices")) {
        int i = our_choice(L, r, env);
        while (i > 0 && fault == FAULT_NONE) {
            lua_rawgeti(L, -1, i);
            fault = take_choice(L, r, env, &error);
            if (error || is_error(L)) { /* OpenRouter puts it there */
                lua_replace(L, chunk);
                lua_settop(L, chunk);
                return api_error(L, r, error ? env : 0);
            }
            lua_pop(L, 1);
            i = next_part(L, env, i);
        }
        lua_settop(L, chunk);
    }
    usage = find_usage(L, env) || usage;
    note_end(r, false, usage);
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
        reply_no_memory(L, r);
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

void chunk_flush(struct reply *r)
{
    struct think_piece p;
    r->doubtful = false;
    if (think_end(&r->think, &p))
        append(p.reasoning ? &r->reasoning : &r->text, p.s, p.n);
    /* what is held of a started code point becomes U+FFFD, if there is room */
    utf8_finish(&r->text.utf8, &r->text.bytes);
}

/* Names the provider in the message on top when there is something in it that
 * is given back to that one alone. [-0, +0, m] */
static void name_owner(lua_State *L, int env)
{
    static const char *const private[] = {"reasoning_content",
                                          "reasoning_details", "extra_content"};
    int message = lua_gettop(L);
    bool owned = false;
    for (size_t i = 0; i < sizeof private / sizeof *private; i++)
        lua_getfield(L, message, private[i]);
    lua_getfield(L, message, "tool_calls");
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    for (int i = 1; i <= n && !owned; i++) {
        lua_rawgeti(L, message + 4, i);
        lua_getfield(L, -1, "extra_content");
        owned = !lua_isnil(L, -1);
        lua_pop(L, 2);
    }
    for (int i = 1; i <= 3; i++)
        owned = owned || !lua_isnil(L, message + i);
    lua_settop(L, message);
    if (owned) {
        lua_getfield(L, env, "provider");
        lua_setfield(L, message, "provider");
    }
}

void chunk_finish(lua_State *L, struct reply *r, int env)
{
    chunk_flush(r);
    finish_text(L, r, &r->text);
    if (r->form == FORM_WHOLE && r->text.bytes.len > 0)
        strip(&r->text.bytes);
    finish_text(L, r, &r->reasoning);
    finish_text(L, r, &r->refusal);
    lua_createtable(L, 0, 3);
    lua_pushliteral(L, "assistant");
    lua_setfield(L, -2, "role");
    calls_finish(L, r, env);
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
    details_finish(L, r, env);
    lua_setfield(L, -2, "reasoning_details");
    lua_getfield(L, env, "extra_content");
    if (lua_istable(L, -1))
        calls_make_sendable(L, r);
    lua_setfield(L, -2, "extra_content");
    name_owner(L, env);
    lua_pushvalue(L, -1);
    lua_setfield(L, env, "message");
}

enum reply_status chunk_status(lua_State *L, int env)
{
    lua_getfield(L, env, "finish_reason");
    const char *reason = lua_tostring(L, -1);
    enum reply_status status =
        reason == NULL ? REPLY_COMPLETE : meaning_of(reason);
    lua_getfield(L, env, "tool_calls");
    if (lua_istable(L, -1) && status == REPLY_COMPLETE)
        status = REPLY_TOOL_CALLS;
    lua_pop(L, 2);
    return status;
}
