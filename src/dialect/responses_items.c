/*
 * responses_items.c - see responses_items.h.
 */
#include "dialect/responses_items.h"

#include <string.h>

#define MOST      2147483647.0 /* an index above is none */
#define LOOKED_AT 64           /* items, from the last */

/* ---- which item ---- */

enum item_kind items_kind(lua_State *L)
{
    static const struct {
        const char *name;
        enum item_kind kind;
    } known[] = {
        {"message", ITEM_MESSAGE},
        {"reasoning", ITEM_REASONING},
        {"function_call", ITEM_CALL},
        {"custom_tool_call", ITEM_CUSTOM},
        {"image_generation_call", ITEM_IMAGE},
    };
    enum item_kind kind = ITEM_OTHER;
    const char *type = binding_text(L, "type");
    if (type == NULL)
        return ITEM_UNKNOWN;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(type, known[i].name) == 0)
            kind = known[i].kind;
    lua_pop(L, 1);
    return kind;
}

/* Whether an item may be of this kind, where either may be unknown. */
static bool may_be(const struct item *item, enum item_kind kind)
{
    return item->kind == kind || item->kind == ITEM_UNKNOWN ||
           kind == ITEM_UNKNOWN;
}

struct item *items_at(lua_State *L, int items, int place)
{
    lua_rawgeti(L, items, place);
    struct item *item = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return item;
}

/* The item that the key on top has in the table `name`. [-0, +0, m] */
static struct item *look_up(lua_State *L, int items, const char *name)
{
    struct item *item = NULL;
    binding_own_table(L, items, name);
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    if (lua_type(L, -1) == LUA_TNUMBER)
        item = items_at(L, items, (int)lua_tointeger(L, -1));
    lua_pop(L, 2);
    return item;
}

/* Lets the key on top stand for the item in the table `name`. [-0, +0, m] */
static void register_key(lua_State *L, int items, const char *name,
                         const struct item *item)
{
    binding_own_table(L, items, name);
    lua_pushvalue(L, -2);
    lua_pushinteger(L, item->place);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* An item of this kind comes to be known as such. */
static void set_kind(struct item *item, struct answer *a, enum item_kind kind)
{
    if (item->kind != ITEM_UNKNOWN || kind == ITEM_UNKNOWN)
        return;
    item->kind = kind;
    a->parted = a->parted || kind == ITEM_REASONING;
}

/* A new item. [-0, +0, m] */
static struct item *new_item(lua_State *L, struct answer *a, int items)
{
    int place = (int)lua_rawlen(L, items) + 1;
    struct item *item = lua_newuserdata(L, sizeof *item);
    *item = (struct item){.place = place, .index = -1, .call = -1, .parts = -1};
    lua_rawseti(L, items, place);
    a->kept += a->event_len;
    a->event_len = 0;
    return item;
}

/* Pushes the id that the event at `event` has for its item: its own, or that in
 * the item. Nil: none. [-0, +1, m] */
static void push_id(lua_State *L, int event)
{
    int top = lua_gettop(L);
    lua_pushvalue(L, event);
    if (binding_text(L, "item_id") == NULL &&
        (!binding_table(L, "item") || binding_text(L, "id") == NULL))
        lua_pushnil(L);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

/* The event's number of the item; -1: it has none. [-0, +0, m] */
static double index_of(lua_State *L, int event)
{
    lua_getfield(L, event, "output_index");
    double index = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    lua_pop(L, 1);
    return index >= 0 && index < MOST && index == (int)index ? index : -1;
}

/* The item that has come under the id on top, or under its number. An id may
 * change from event to event, but does not belong to two items, unless the
 * server's numbers say so. [-0, +0, m] */
static struct item *known_item(lua_State *L, int items, double index,
                               enum item_kind kind)
{
    struct item *item = NULL;
    if (!lua_isnil(L, -1))
        item = look_up(L, items, "ids");
    if (item != NULL && may_be(item, kind) &&
        (index < 0 || item->index < 0 || item->index == index))
        return item;
    if (index < 0)
        return NULL;
    lua_pushnumber(L, index);
    item = look_up(L, items, "indexes");
    lua_pop(L, 1);
    return item != NULL && may_be(item, kind) ? item : NULL;
}

/* Whether the item, which the event that opens one has found, is another one:
 * it was opened as well, and is over or has another id than the one on top. */
static bool is_another(lua_State *L, int items, const struct item *item)
{
    if (!item->announced)
        return false;
    return item->done ||
           (!lua_isnil(L, -1) && look_up(L, items, "ids") != item);
}

/* The item that was opened last, of those of this kind that are not over: what
 * an event is about that says nothing of it. [-0, +0, -] */
static struct item *last_item(lua_State *L, int items, enum item_kind kind)
{
    int count = (int)lua_rawlen(L, items);
    for (int i = count; i > 0 && i > count - LOOKED_AT; i--) {
        struct item *item = items_at(L, items, i);
        if (may_be(item, kind) && !item->done)
            return item;
    }
    return NULL;
}

/* What items_find and items_open have in common. */
static struct item *find(lua_State *L, struct answer *a, int env, int event,
                         enum item_kind kind, bool opens)
{
    int top = lua_gettop(L);
    luaL_checkstack(L, 12, NULL);
    binding_own_table(L, env, "items");
    push_id(L, event); /* items, id */
    int items = top + 1;
    double index = index_of(L, event);
    struct item *item = known_item(L, items, index, kind);
    if (item == NULL && index < 0 && lua_isnil(L, -1) && !opens)
        item = last_item(L, items, kind);
    if (item != NULL && opens && is_another(L, items, item))
        item = NULL;
    bool fresh = item == NULL || (opens && !item->announced);
    if (item == NULL)
        item = new_item(L, a, items);
    set_kind(item, a, kind);
    if (fresh && !lua_isnil(L, -1))
        register_key(L, items, "ids", item);
    if (index >= 0 && item->index < 0) {
        item->index = index;
        lua_pushnumber(L, index);
        register_key(L, items, "indexes", item);
    }
    item->announced = item->announced || opens;
    lua_settop(L, top);
    return item;
}

struct item *items_find(lua_State *L, struct answer *a, int env, int event,
                        enum item_kind kind)
{
    return find(L, a, env, event, kind, false);
}

struct item *items_open(lua_State *L, struct answer *a, int env, int event,
                        enum item_kind kind)
{
    return find(L, a, env, event, kind, true);
}

struct item *items_match(lua_State *L, struct answer *a, int env, int i,
                         int next[ITEM_KINDS])
{
    int top = lua_gettop(L);
    enum item_kind kind = items_kind(L);
    luaL_checkstack(L, 12, NULL);
    binding_own_table(L, env, "items");
    int items = top + 1, count = (int)lua_rawlen(L, items);
    lua_pushvalue(L, top);
    if (binding_text(L, "id") == NULL)
        lua_pushnil(L);
    struct item *item = known_item(L, items, -1, kind);
    if (item == NULL || item->order > 0) {
        lua_pushnil(L);
        item = known_item(L, items, i - 1, kind);
    }
    while ((item == NULL || item->order > 0) && next[kind] < count) {
        item = items_at(L, items, ++next[kind]);
        if (!may_be(item, kind))
            item = NULL;
    }
    if (item == NULL || item->order > 0)
        item = new_item(L, a, items);
    set_kind(item, a, kind);
    item->order = i;
    lua_settop(L, top);
    return item;
}

int items_count_call(lua_State *L, int env)
{
    int top = lua_gettop(L);
    binding_own_table(L, env, "items");
    lua_getfield(L, -1, "count");
    int count = (int)lua_tointeger(L, -1);
    lua_pushinteger(L, count + 1);
    lua_setfield(L, top + 1, "count");
    lua_settop(L, top);
    return count;
}

/* ---- what of it has come ---- */

static uint64_t bit(int index)
{
    return UINT64_C(1) << (index < 0 ? 0 : index > 63 ? 63 : index);
}

bool items_had(const struct item *item, enum item_text text, int index)
{
    return (item->had[text] & bit(index)) != 0;
}

bool items_had_some(const struct item *item, enum item_text text)
{
    return item->had[text] != 0;
}

void items_note(struct item *item, enum item_text text, int index)
{
    item->had[text] |= bit(index);
}

int items_begin(struct item *item, double index)
{
    item->parts = index >= 0 && index < MOST ? (int)index : item->parts + 1;
    return item->parts;
}
