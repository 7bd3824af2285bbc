/*
 * answer.c - see answer.h.
 */
#include "dialect/answer.h"

#include <string.h>
#include <strings.h>

#include "binding/complaint.h"
#include "binding/failure.h"
#include "binding/json.h"
#include "parsing/escape.h"

#define REASON 200 /* characters of a finish_reason in a message */

void answer_init(struct answer *a, size_t max)
{
    bytes_init(&a->text.bytes, max);
    bytes_init(&a->reasoning.bytes, max);
    bytes_init(&a->refusal.bytes, max);
    bytes_init(&a->scratch, max);
}

void answer_free(struct answer *a)
{
    struct bytes *const all[] = {&a->text.bytes, &a->reasoning.bytes,
                                 &a->refusal.bytes, &a->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        bytes_free(all[i]);
}

void answer_forget(struct answer *a, bool think_tags, bool several)
{
    answer_free(a);
    a->text.utf8 = a->reasoning.utf8 = a->refusal.utf8 =
        (struct utf8){.len = 0};
    a->think = (struct think){.state = think_tags ? THINK_HEAD : THINK_OFF};
    a->choice = several ? 0 : -1;
    a->text.before = a->reasoning.before = 0;
    a->kept = 0;
    a->part = -1;
    a->whole = a->finished = a->ended = a->named = false;
    a->reasoned = a->called = a->brought = a->thoughts = false;
    a->doubtful = a->streamed = a->parted = a->cut = false;
}

void answer_go_on(lua_State *L, struct answer *a, int env)
{
    static const char *const ends[] = {"finish_reason", "usage", "text",
                                       "blocks", "paused"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        lua_pushnil(L);
        lua_setfield(L, env, ends[i]);
    }
    a->text.before = a->text.bytes.len;
    a->reasoning.before = a->reasoning.bytes.len;
    a->part = -1;
    a->whole = a->finished = a->ended = a->named = false;
    a->reasoned = a->brought = a->doubtful = a->streamed = a->cut = false;
}

void answer_no_memory(lua_State *L, struct answer *a)
{
    a->torn = true;
    luaL_error(L, "not enough memory");
}

static enum http_fault fault_of(enum bytes_status status)
{
    return status == BYTES_OK      ? FAULT_NONE
           : status == BYTES_LIMIT ? FAULT_LIMIT
                                   : FAULT_MEMORY;
}

static enum http_fault append(struct answer_text *t, const char *s, size_t n)
{
    return fault_of(utf8_feed(&t->utf8, s, n, &t->bytes));
}

/* Adds to the answer's text, which may have the thoughts at its head. */
static enum http_fault sort_out(struct answer *a, const char *s, size_t n)
{
    struct think_piece p;
    enum http_fault fault = FAULT_NONE;
    while (fault == FAULT_NONE && think_next(&a->think, &s, &n, &p))
        fault = append(p.reasoning ? &a->reasoning : &a->text, p.s, p.n);
    return fault;
}

void answer_part(struct answer *a, double part)
{
    a->parted |= part != a->part;
    a->part = part;
}

/* Sets new thoughts off from those before, if there are some. */
static enum http_fault begin_part(struct answer *a)
{
    a->parted = false;
    return a->reasoning.bytes.len > 0 ? append(&a->reasoning, "\n\n", 2)
                                      : FAULT_NONE;
}

/* Adds `n` bytes to `t`, one of the texts of `a`. */
static inline enum http_fault add(struct answer *a, struct answer_text *t,
                                  const char *s, size_t n)
{
    a->brought |= n > 0;
    if (a->parted && n > 0 && t == &a->reasoning) {
        enum http_fault fault = begin_part(a);
        if (fault != FAULT_NONE)
            return fault;
    }
    return a->think.state == THINK_OFF || t != &a->text ? append(t, s, n)
                                                        : sort_out(a, s, n);
}

bool answer_has_some(const struct answer *a)
{
    return a->text.bytes.len > 0 || a->text.utf8.len > 0 ||
           a->refusal.bytes.len > 0 || a->called;
}

void answer_note_end(struct answer *a, bool reason, bool usage)
{
    a->reasoned = a->reasoned || reason;
    if ((reason && answer_has_some(a)) || (a->reasoned && usage)) {
        a->finished = true;
        a->doubtful = false;
    }
}

/* Forgets what was read of an answer that is not ours after all. [-0, +0, m] */
static void start_over(lua_State *L, struct answer *a, int env)
{
    static const char *const names[] = {
        "tool_calls", "tool_index", "tool_parts", "logprobs", "finish_reason"};
    struct answer_text *const texts[] = {&a->text, &a->reasoning, &a->refusal};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        texts[i]->bytes.len = texts[i]->utf8.len = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_pushnil(L);
        lua_setfield(L, env, names[i]);
    }
    a->reasoned = a->called = a->thoughts = a->doubtful = false;
    a->streamed = false;
    a->choice = 0;
}

bool answer_is_ours(lua_State *L, struct answer *a, int env, double index)
{
    if (index == 0 && a->doubtful)
        start_over(L, a, env);
    if (a->choice < 0) {
        a->choice = index;
        a->doubtful = index != 0;
    }
    return index == a->choice;
}

/* ---- what an event brings ---- */

static enum http_fault add_escaped(struct answer *a, struct answer_text *t,
                                   const struct escape_text *text)
{
    if (text->s == NULL)
        return FAULT_NONE;
    if (!text->escaped)
        return add(a, t, text->s, text->n);
    a->scratch.len = 0;
    enum bytes_status status = escape_undo(text, &a->scratch);
    if (status != BYTES_OK)
        return fault_of(status);
    return add(a, t, a->scratch.data, a->scratch.len);
}

static void set_escaped(lua_State *L, struct answer *a, int env,
                        const char *name, const struct escape_text *text)
{
    if (text->s == NULL || text->n == 0)
        return;
    a->scratch.len = 0;
    if (escape_undo(text, &a->scratch) != BYTES_OK)
        return;
    lua_pushlstring(L, a->scratch.data, a->scratch.len);
    lua_setfield(L, env, name);
}

enum http_fault answer_plain(lua_State *L, struct answer *a, int env,
                             const struct plain *p)
{
    if (!a->named) {
        set_escaped(L, a, env, "id", &p->id);
        set_escaped(L, a, env, "model", &p->model);
        a->named = p->id.n > 0 && p->model.n > 0;
    }
    bool reason = p->finish.n > 0;
    if (a->choice != 0 && (p->text.s != NULL || reason) &&
        !answer_is_ours(L, a, env, 0))
        return FAULT_NONE;
    enum http_fault fault;
    if (p->to == PLAIN_REASONING) {
        fault = add_escaped(a, &a->reasoning, &p->text);
        a->thoughts |= p->text.n > 0;
    } else {
        fault = add_escaped(a, p->to == PLAIN_TEXT ? &a->text : &a->refusal,
                            &p->text);
        a->streamed |= p->text.n > 0;
    }
    if (reason) {
        set_escaped(L, a, env, "finish_reason", &p->finish);
        answer_note_end(a, true, false);
    }
    return fault;
}

void answer_keep(lua_State *L, int env, const char *name)
{
    lua_getfield(L, env, name);
    bool there = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!there && binding_text(L, name))
        lua_setfield(L, env, name);
}

enum http_fault answer_take(lua_State *L, struct answer *a,
                            struct answer_text *t)
{
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    enum http_fault fault = add(a, t, s, n);
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

void answer_logprobs(lua_State *L, int env, const char *name)
{
    int from = lua_gettop(L);
    own_table(L, env, "logprobs");
    own_table(L, from + 1, name);
    int have = (int)lua_rawlen(L, -1), n = json_length(L, from);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, from, i);
        lua_rawseti(L, -2, have + i);
    }
    lua_settop(L, from);
}

/* Appends the value on top to the list env[name]. [-1, +0, m] */
static void append_to(lua_State *L, struct answer *a, int env, const char *name)
{
    a->kept += a->event_len;
    own_table(L, env, name);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

void answer_citation(lua_State *L, struct answer *a, int env)
{
    append_to(L, a, env, "citations");
}

void answer_image(lua_State *L, struct answer *a, int env)
{
    append_to(L, a, env, "images");
}

/* ---- why it ends ---- */

enum answer_verdict answer_meaning(const char *reason)
{
    static const struct {
        const char *reason;
        enum answer_verdict status;
    } known[] = {
        {"length", ANSWER_LENGTH},
        {"model_length", ANSWER_LENGTH},
        {"content_filter", ANSWER_FILTERED},
        {"safety", ANSWER_FILTERED},
        {"recitation", ANSWER_FILTERED},
        {"prohibited_content", ANSWER_FILTERED},
        {"blocklist", ANSWER_FILTERED},
        {"spii", ANSWER_FILTERED},
        {"sensitive", ANSWER_FILTERED},
        {"refusal", ANSWER_FILTERED},
        {"error", ANSWER_FAILED},
        {"network_error", ANSWER_FAILED},
        {"malformed_function_call", ANSWER_FAILED},
        {"engine_overloaded", ANSWER_FAILED},
        {"insufficient_system_resource", ANSWER_FAILED},
        {"abort", ANSWER_FAILED},
    };
    static const char *const long_ends[] = {"_tokens", "_exceeded"};
    size_t n = strlen(reason);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(reason, known[i].reason) == 0)
            return known[i].status;
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(long_ends[i]);
        if (n > len && strcasecmp(reason + n - len, long_ends[i]) == 0)
            return ANSWER_LENGTH;
    }
    if (strncasecmp(reason, "function_call_filter", 20) == 0)
        return ANSWER_FAILED;
    return ANSWER_COMPLETE;
}

bool answer_reason(lua_State *L, int env)
{
    bool failed = answer_meaning(lua_tostring(L, -1)) == ANSWER_FAILED;
    lua_setfield(L, env, "finish_reason");
    return failed;
}

bool answer_is_error(lua_State *L)
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
    if (!error && binding_table(L, "errors")) {
        lua_getfield(L, -2, "choices");
        error = lua_isnil(L, -1) && lua_rawlen(L, -2) > 0;
        lua_pop(L, 2);
    }
    return error;
}

bool answer_event_is_error(lua_State *L)
{
    lua_rawgeti(L, -1, 1);
    bool listed = lua_istable(L, -1) && answer_is_error(L);
    lua_pop(L, 1);
    return listed || answer_is_error(L);
}

bool answer_check(lua_State *L, enum http_fault fault)
{
    if (fault == FAULT_NONE)
        return true;
    failure_push(L, fault,
                 fault == FAULT_LIMIT
                     ? "the answer is larger than max_answer_bytes"
                     : "not enough memory");
    return false;
}

bool answer_none(lua_State *L, const struct answer *a, const char *what)
{
    failure_push(L, FAULT_PROTOCOL, "%s", what);
    lua_insert(L, -2);
    int err = lua_gettop(L) - 1;
    if (complaint_describe(L, err, &a->secret)) {
        lua_pushliteral(L, "api");
        lua_setfield(L, err, "kind");
        complaint_judge(L, err);
    }
    return false;
}

/* Lets the finish_reason tell what the error table at `err` does not.
 * [-0, +0, m] */
static void name_reason(lua_State *L, const struct answer *a, int env, int err)
{
    size_t n;
    lua_getfield(L, env, "finish_reason");
    const char *reason = lua_tolstring(L, -1, &n);
    failure_clean(L, reason, n, &a->secret, false);
    lua_pushvalue(L, -1);
    lua_setfield(L, err, "code");
    failure_line(L, lua_tostring(L, -1), lua_rawlen(L, -1), REASON);
    lua_pushfstring(L, ": finish_reason %s", lua_tostring(L, -1));
    failure_add(L, err);
    lua_pop(L, 3);
}

bool answer_error(lua_State *L, const struct answer *a, int env)
{
    failure_push(L, FAULT_API, "the server reported an error");
    lua_insert(L, -2);
    int err = lua_gettop(L) - 1;
    complaint_describe(L, err, &a->secret);
    lua_getfield(L, err, "code");
    if (env > 0 && lua_isnil(L, -1))
        name_reason(L, a, env, err);
    lua_pop(L, 1);
    complaint_judge(L, err);
    return false;
}

/* ---- the end ---- */

void answer_flush(struct answer *a)
{
    struct think_piece p;
    a->doubtful = false;
    if (think_end(&a->think, &p))
        append(p.reasoning ? &a->reasoning : &a->text, p.s, p.n);
    /* what is held of a started code point becomes U+FFFD, if there is room */
    utf8_finish(&a->text.utf8, &a->text.bytes);
}
