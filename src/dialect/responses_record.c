/*
 * responses_record.c - see responses_record.h.
 */
#include "dialect/responses_record.h"

#include <string.h>

#include "binding/json.h"
#include "dialect/native.h"

/* Whether there is a list in the field of the table on top, and something in
 * it. [-0, +0, m] */
static bool has_list(lua_State *L, const char *name)
{
    if (!binding_table(L, name))
        return false;
    bool some = json_length(L, -1) > 0;
    lua_pop(L, 1);
    return some;
}

static bool has_text(lua_State *L, const char *name)
{
    bool some = binding_text(L, name) != NULL;
    lua_pop(L, some ? 1 : 0);
    return some;
}

/* Whether a part of the message on top has annotations. [-0, +0, m] */
static bool is_annotated(lua_State *L)
{
    bool some = false;
    if (!binding_table(L, "content"))
        return false;
    int n = json_length(L, -1);
    for (int i = 1; i <= n && !some; i++) {
        lua_rawgeti(L, -1, i);
        some = lua_istable(L, -1) && has_list(L, "annotations");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return some;
}

/* Whether the call on top says more than all services understand. [-0, +0, m]
 */
static bool has_more(lua_State *L)
{
    static const char *const usual[] = {
        "id", "item_id", "type", "call_id", "status", "name", "arguments"};
    bool more = false;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        bool known =
            lua_type(L, -1) != LUA_TTABLE && lua_type(L, -1) != LUA_TSTRING;
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
            known = known || (lua_type(L, -2) == LUA_TSTRING &&
                              strcmp(lua_tostring(L, -2), usual[i]) == 0);
        more = more || !known;
        lua_pop(L, 1);
    }
    return more;
}

/* What is to be known of the item on top to give it back. Thoughts without
 * their content, sealed or not, are but a reference to what is stored at the
 * service, if it is; and it takes no field back that says who made an item.
 * [-0, +0, m] */
static void judge(lua_State *L, struct item *item)
{
    bool thoughts = item->kind == ITEM_REASONING;
    item->own = item->kind == ITEM_MESSAGE
                    ? has_text(L, "phase") || is_annotated(L)
                : item->kind == ITEM_CALL ? has_more(L)
                                          : true;
    item->lost = (thoughts && !has_text(L, "encrypted_content") &&
                  !has_list(L, "content")) ||
                 has_text(L, "created_by") || has_list(L, "created_by");
}

enum http_fault record_keep(lua_State *L, struct answer *a, int env,
                            struct item *item, struct slice raw)
{
    int top = lua_gettop(L);
    luaL_checkstack(L, 12, NULL);
    judge(L, item);
    if (raw.s == NULL)
        return FAULT_NONE;
    binding_own_table(L, env, "items");
    binding_own_table(L, top + 1, "raw");
    lua_rawgeti(L, top + 2, item->place);
    a->kept += raw.n - (lua_isstring(L, -1) ? lua_rawlen(L, -1) : 0);
    lua_pushlstring(L, raw.s, raw.n);
    lua_rawseti(L, top + 2, item->place);
    if (item->kind == ITEM_CALL || item->kind == ITEM_CUSTOM) {
        binding_own_table(L, top + 1, "calls");
        lua_getfield(L, top, "call_id");
        lua_rawseti(L, -2, item->place);
    }
    lua_settop(L, top);
    return a->kept > a->text.bytes.max ? FAULT_LIMIT : FAULT_NONE;
}

/* ---- the end ---- */

/* Pushes the places of the items in the order in which they are counted from 0,
 * in the final list or by the server's numbers; or says false, when that is not
 * so of all of them. [-0, +(0|1), m] */
static bool push_order(lua_State *L, int items, bool final)
{
    int count = (int)lua_rawlen(L, items);
    lua_createtable(L, count, 0);
    for (int i = 1; i <= count; i++) {
        const struct item *item = items_at(L, items, i);
        double at = final ? item->order : item->index + 1;
        bool good = at >= 1 && at <= count;
        lua_rawgeti(L, -1, good ? (int)at : 1);
        good = good && lua_isnil(L, -1);
        lua_pop(L, 1);
        if (!good) {
            lua_pop(L, 1);
            return false;
        }
        lua_pushinteger(L, i);
        lua_rawseti(L, -2, (int)at);
    }
    return true;
}

/* Pushes the set of the ids of the calls in the message on top; how many there
 * are. [-0, +1, m] */
static int push_call_ids(lua_State *L)
{
    int message = lua_gettop(L), n = 0;
    lua_newtable(L);
    lua_getfield(L, message, "tool_calls");
    n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        lua_getfield(L, -1, "id");
        lua_pushboolean(L, 1);
        lua_rawset(L, message + 1);
        lua_pop(L, 1);
    }
    lua_settop(L, message + 1);
    return n;
}

/* Takes the value on top out of the set at `set`, if it is there.
 * [-1, +0, m] */
static bool take_out(lua_State *L, int set)
{
    bool there = false;
    if (!lua_isnil(L, -1)) {
        lua_pushvalue(L, -1);
        lua_rawget(L, set);
        there = !lua_isnil(L, -1);
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, set);
    }
    lua_pop(L, 1);
    return there;
}

/* Whether the calls in the list at `items` are those of the message on top:
 * what answers them has these ids, which the service has not always chosen
 * well. [-0, +0, m] */
static bool has_same_calls(lua_State *L, int items)
{
    int top = lua_gettop(L), count = (int)lua_rawlen(L, items);
    int calls = push_call_ids(L);
    binding_own_table(L, items, "calls");
    for (int i = 1; i <= count && calls >= 0; i++) {
        const struct item *item = items_at(L, items, i);
        if (item->kind != ITEM_CALL && item->kind != ITEM_CUSTOM)
            continue;
        lua_rawgeti(L, top + 2, i);
        calls = take_out(L, top + 1) ? calls - 1 : -1;
    }
    lua_settop(L, top);
    return calls == 0;
}

/* Whether the items in the list at `items` can be given back, and are worth it.
 * [-0, +0, m] */
static bool is_worth(lua_State *L, int items)
{
    int count = (int)lua_rawlen(L, items);
    bool own = false, lost = false;
    binding_own_table(L, items, "raw");
    for (int i = 1; i <= count && !lost; i++) {
        const struct item *item = items_at(L, items, i);
        lua_rawgeti(L, -1, i);
        own = own || item->own;
        lost = item->lost || lua_isnil(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return own && !lost;
}

/* The i-th place in the order at `order`, if there is one. [-0, +0, -] */
static int place_at(lua_State *L, int order, int i)
{
    if (!lua_istable(L, order))
        return i;
    lua_rawgeti(L, order, i);
    int place = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return place;
}

void record_finish(lua_State *L, struct answer *a, int env)
{
    int message = lua_gettop(L), items = message + 1;
    luaL_checkstack(L, 16, NULL);
    lua_getfield(L, env, "items");
    bool worth = lua_istable(L, items) && !a->cut && is_worth(L, items);
    lua_pushvalue(L, message);
    if (!worth || !has_same_calls(L, items)) {
        lua_settop(L, message);
        return;
    }
    lua_settop(L, items);
    bool ordered = push_order(L, items, true) || push_order(L, items, false);
    int count = (int)lua_rawlen(L, items);
    if (!ordered)
        lua_pushnil(L);
    lua_getfield(L, items, "raw"); /* items, order, raw */
    /* thoughts alone are refused: they belong to what they led to */
    int last = place_at(L, items + 1, count);
    bool alone = items_at(L, items, last)->kind == ITEM_REASONING;
    for (int i = 1; i <= count && !alone; i++) {
        lua_rawgeti(L, -1, place_at(L, items + 1, i));
        native_add(L, a, env);
    }
    lua_settop(L, message);
}
