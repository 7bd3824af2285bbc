/*
 * responses_parts.c - see responses_parts.h.
 */
#include "dialect/responses_parts.h"

#include <string.h>
#include <strings.h>

#include "binding/json.h"
#include "dialect/calls.h"
#include "dialect/citations.h"
#include "parsing/base64.h"

#define PARTS 8589934592.0 /* numbers for the parts of an item, 2^33 */

/* What counts as kept of an event counts once, however much is kept. */
static void count(struct answer *a)
{
    a->kept += a->event_len;
    a->event_len = 0;
}

/* ---- texts ---- */

static struct answer_text *text_of(struct answer *a, enum item_text text)
{
    return text == ITEM_TEXT      ? &a->text
           : text == ITEM_REFUSAL ? &a->refusal
                                  : &a->reasoning;
}

/* The thoughts that follow are of this part of the item. */
static void begin_thoughts(struct answer *a, const struct item *item,
                           enum item_text text, int index)
{
    if (text == ITEM_SUMMARY || text == ITEM_THOUGHT)
        answer_part(a,
                    PARTS * item->place + 2.0 * index + (text == ITEM_THOUGHT));
}

/* The log probabilities in the field of the table on top. [-0, +0, m] */
static void take_logprobs(lua_State *L, struct answer *a, int env)
{
    if (!binding_table(L, "logprobs"))
        return;
    if (lua_rawlen(L, -1) > 0) {
        count(a);
        answer_logprobs(L, env, "content");
    }
    lua_pop(L, 1);
}

enum http_fault parts_text(lua_State *L, struct answer *a, int env,
                           struct item *item, enum item_text text, double index,
                           bool whole)
{
    int part = items_part(item, text, index, whole);
    enum http_fault fault = FAULT_NONE;
    if (whole && items_had(item, text, part)) {
        lua_pop(L, 1);
        return fault;
    }
    if (lua_rawlen(L, -1) == 0) {
        lua_pop(L, 1);
    } else {
        begin_thoughts(a, item, text, part);
        fault = answer_take(L, a, text_of(a, text));
        items_note(item, text, part);
    }
    if (fault == FAULT_NONE && text == ITEM_TEXT)
        take_logprobs(L, a, env);
    return fault;
}

/* ---- messages ---- */

void parts_annotation(lua_State *L, struct answer *a, int env,
                      struct item *item)
{
    if (citations_take(L, a, env))
        item->cited = true;
    a->event_len = 0;
}

/* The annotations of the part on top. [-0, +0, m] */
static void take_annotations(lua_State *L, struct answer *a, int env,
                             struct item *item)
{
    if (!binding_table(L, "annotations"))
        return;
    int n = json_length(L, -1);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_istable(L, -1))
            parts_annotation(L, a, env, item);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* The part on top of a message, as far as it is news. [-0, +0, m] */
static enum http_fault take_part(lua_State *L, struct answer *a, int env,
                                 struct item *item, int index)
{
    if (binding_text(L, "text") != NULL)
        return parts_text(L, a, env, item, ITEM_TEXT, index, true);
    if (binding_text(L, "refusal") != NULL)
        return parts_text(L, a, env, item, ITEM_REFUSAL, index, true);
    return FAULT_NONE;
}

/* The message on top. [-0, +0, m] */
static enum http_fault take_message(lua_State *L, struct answer *a, int env,
                                    struct item *item)
{
    enum http_fault fault = FAULT_NONE;
    bool cited = item->cited;
    lua_getfield(L, -1, "content");
    if (lua_type(L, -1) == LUA_TSTRING && !items_had_some(item, ITEM_TEXT))
        return parts_text(L, a, env, item, ITEM_TEXT, 0, true);
    int n = lua_istable(L, -1) ? json_length(L, -1) : 0;
    for (int i = 1; i <= n && fault == FAULT_NONE; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_istable(L, -1)) {
            fault = take_part(L, a, env, item, i - 1);
            if (!cited)
                take_annotations(L, a, env, item);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return fault;
}

/* ---- thoughts ---- */

/* Whether the text on top, in place `i` of its list, has come as part of the
 * other one: it is there as well, or there is nothing else that it could have
 * been. [-0, +0, m] */
static bool is_repeated(lua_State *L, const struct item *item,
                        enum item_text other, int list, int i)
{
    if (!items_had(item, other, i - 1))
        return false;
    if (!lua_istable(L, list))
        return true;
    int top = lua_gettop(L);
    lua_rawgeti(L, list, i);
    bool there = lua_istable(L, -1) && binding_text(L, "text") != NULL;
    bool same = !there || lua_rawequal(L, -1, top);
    lua_settop(L, top);
    return same;
}

/* The thoughts in the list at `list`, but for those that have come, also as
 * part of the list at `other`. [-0, +0, m] */
static enum http_fault take_thoughts(lua_State *L, struct answer *a, int env,
                                     struct item *item, enum item_text text,
                                     int list, int other)
{
    enum http_fault fault = FAULT_NONE;
    enum item_text not = text == ITEM_SUMMARY ? ITEM_THOUGHT : ITEM_SUMMARY;
    int n = lua_istable(L, list) ? json_length(L, list) : 0;
    for (int i = 1; i <= n && fault == FAULT_NONE; i++) {
        lua_rawgeti(L, list, i);
        if (lua_istable(L, -1) && binding_text(L, "text") != NULL) {
            if (is_repeated(L, item, not, other, i))
                lua_pop(L, 1);
            else
                fault = parts_text(L, a, env, item, text, i - 1, true);
        }
        lua_pop(L, 1);
    }
    return fault;
}

/* The thoughts in the item on top: a summary, or they themselves, or both, of
 * which some servers make no difference. [-0, +0, m] */
static enum http_fault take_reasoning(lua_State *L, struct answer *a, int env,
                                      struct item *item)
{
    int top = lua_gettop(L);
    lua_getfield(L, top, "summary");
    lua_getfield(L, top, "content");
    enum http_fault fault =
        take_thoughts(L, a, env, item, ITEM_SUMMARY, top + 1, top + 2);
    if (fault == FAULT_NONE)
        fault = take_thoughts(L, a, env, item, ITEM_THOUGHT, top + 2, top + 1);
    lua_settop(L, top);
    return fault;
}

/* ---- calls ---- */

/* Pushes a fragment of the call `item`, and its function, see calls.h. It has
 * no name yet. [-0, +2, m] */
static void push_fragment(lua_State *L, int env, struct item *item)
{
    luaL_checkstack(L, 8, NULL);
    if (item->call < 0)
        item->call = items_count_call(L, env);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, item->call);
    lua_setfield(L, -2, "index");
    if (item->kind == ITEM_CUSTOM) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "custom");
    }
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "function");
}

/* Adds the fragment below its function. [-2, +0, m] */
static void add_fragment(lua_State *L, struct answer *a, int env)
{
    lua_pop(L, 1);
    a->brought |= calls_add(L, a, env);
    a->event_len = 0;
}

void parts_arguments(lua_State *L, struct answer *a, int env, struct item *item,
                     bool whole)
{
    if ((whole && item->said) || lua_rawlen(L, -1) == 0) {
        lua_pop(L, 1);
        return;
    }
    item->said = true;
    push_fragment(L, env, item); /* arguments, fragment, function */
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "arguments");
    add_fragment(L, a, env);
    lua_pop(L, 1);
}

void parts_name(lua_State *L, struct answer *a, int env, struct item *item)
{
    if (item->named || binding_text(L, "name") == NULL)
        return;
    item->named = true;
    push_fragment(L, env, item); /* name, fragment, function */
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "name");
    add_fragment(L, a, env);
    lua_pop(L, 1);
}

/* What the call on top is known by. `whole`: there will be no other id than
 * that of the item. [-0, +0, m] */
static void take_head(lua_State *L, struct answer *a, int env,
                      struct item *item, bool whole)
{
    parts_name(L, a, env, item);
    if (item->identified || (binding_text(L, "call_id") == NULL &&
                             (!whole || binding_text(L, "id") == NULL)))
        return;
    item->identified = true;
    push_fragment(L, env, item); /* id, fragment, function */
    lua_pushvalue(L, -3);
    lua_setfield(L, -3, "id");
    add_fragment(L, a, env);
    lua_pop(L, 1);
}

/* The call on top. [-0, +0, m] */
static void take_call(lua_State *L, struct answer *a, int env,
                      struct item *item)
{
    const char *name = item->kind == ITEM_CUSTOM ? "input" : "arguments";
    take_head(L, a, env, item, true);
    if (binding_text(L, name) != NULL) {
        parts_arguments(L, a, env, item, true);
    } else if (!item->said && binding_table(L, name)) {
        item->said = true;
        push_fragment(L, env, item);
        lua_pushvalue(L, -3);
        lua_setfield(L, -2, "arguments");
        add_fragment(L, a, env);
        lua_pop(L, 1);
    }
}

/* ---- images ---- */

/* Pushes the type of the image on top. [-0, +1, m] */
static void push_type(lua_State *L)
{
    const char *format = binding_text(L, "output_format");
    if (format == NULL) {
        lua_pushliteral(L, "image/png");
        return;
    }
    bool jpg = strcasecmp(format, "jpg") == 0;
    lua_pushfstring(L, "image/%s", jpg ? "jpeg" : format);
    lua_remove(L, -2);
}

/* The image in the item on top. [-0, +0, m] */
static enum http_fault take_image(lua_State *L, struct answer *a, int env,
                                  struct item *item)
{
    int top = lua_gettop(L);
    size_t n;
    bool good;
    if (item->shown || binding_text(L, "result") == NULL)
        return FAULT_NONE;
    const char *s = lua_tolstring(L, -1, &n);
    const char *comma =
        n > 5 && memcmp(s, "data:", 5) == 0 ? memchr(s, ',', n) : NULL;
    if (comma != NULL) {
        n -= (size_t)(comma + 1 - s);
        s = comma + 1;
    }
    a->scratch.len = 0;
    switch (base64_undo(s, n, &a->scratch, &good)) {
    case BYTES_LIMIT:
        return FAULT_LIMIT;
    case BYTES_MEMORY:
        return FAULT_MEMORY;
    default:
        break;
    }
    if (good && a->scratch.len > 0) {
        item->shown = true;
        a->kept += a->scratch.len;
        lua_createtable(L, 0, 2);
        lua_pushlstring(L, a->scratch.data, a->scratch.len);
        lua_setfield(L, -2, "data");
        lua_pushvalue(L, top);
        push_type(L);
        lua_setfield(L, -3, "type");
        lua_pop(L, 1);
        a->event_len = 0;
        answer_image(L, a, env);
        a->brought = true;
    }
    lua_settop(L, top);
    return FAULT_NONE;
}

/* ---- items ---- */

void parts_begin(lua_State *L, struct answer *a, int env, struct item *item)
{
    if (item->kind == ITEM_CALL || item->kind == ITEM_CUSTOM)
        take_head(L, a, env, item, false);
}

enum http_fault parts_take(lua_State *L, struct answer *a, int env,
                           struct item *item)
{
    luaL_checkstack(L, 12, NULL);
    switch (item->kind) {
    case ITEM_MESSAGE:
        return take_message(L, a, env, item);
    case ITEM_REASONING:
        return take_reasoning(L, a, env, item);
    case ITEM_CALL:
    case ITEM_CUSTOM:
        take_call(L, a, env, item);
        return FAULT_NONE;
    case ITEM_IMAGE:
        return take_image(L, a, env, item);
    default:
        return FAULT_NONE;
    }
}
