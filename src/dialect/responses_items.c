/*
 * responses_items.c - see responses_items.h.
 */
#include "dialect/responses_items.h"

#include "binding/json.h"

#include <stdlib.h>
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
static void set_kind(struct item *item, enum item_kind kind)
{
    if (item->kind == ITEM_UNKNOWN)
        item->kind = kind;
}

/* A new item. [-0, +0, m] */
static struct item *new_item(lua_State *L, struct answer *a, int items)
{
    int place = (int)lua_rawlen(L, items) + 1;
    struct item *item = lua_newuserdata(L, sizeof *item);
    *item = (struct item){.place = place, .index = -1, .call = -1};
    for (int i = 0; i < ITEM_LISTS; i++)
        item->list[i].part = -1;
    lua_rawseti(L, items, place);
    a->kept += a->event_len;
    a->event_len = 0;
    return item;
}

/* Lets the id on top stand for the item. [-0, +0, m] */
static void register_id(lua_State *L, int items, struct item *item)
{
    struct item *other = look_up(L, items, "ids");
    item->twin = item->twin || (other != NULL && other != item);
    item->has_id = true;
    register_key(L, items, "ids", item);
}

/* Whether the table on top has an id in this field, which is pushed.
 * [-0, +(0|1), m] */
static bool push_if_id(lua_State *L, const char *name)
{
    const char *id = binding_text(L, name);
    if (id != NULL && *id == '\0')
        lua_pop(L, 1);
    return id != NULL && *id != '\0';
}

/* Pushes the id that the event at `event` has for its item: its own, or that in
 * the item. Nil: none. [-0, +1, m] */
static void push_id(lua_State *L, int event)
{
    int top = lua_gettop(L);
    lua_pushvalue(L, event);
    if (!push_if_id(L, "item_id") &&
        (!binding_table(L, "item") || !push_if_id(L, "id")))
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

/* The item that was opened last, of those of this kind that are not over and
 * have no other number, nor another id: what an event is about that does not
 * say it, or not in the same way as those before. [-0, +0, -] */
static struct item *last_item(lua_State *L, int items, double index,
                              enum item_kind kind)
{
    bool has_id = !lua_isnil(L, -1);
    int count = (int)lua_rawlen(L, items);
    for (int i = count; i > 0 && i > count - LOOKED_AT; i--) {
        struct item *item = items_at(L, items, i);
        if (may_be(item, kind) && !item->done && !(has_id && item->has_id) &&
            (index < 0 || item->index < 0))
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
    if (item == NULL && !opens)
        item = last_item(L, items, index, kind);
    if (item != NULL && opens && is_another(L, items, item))
        item = NULL;
    if (item == NULL)
        item = new_item(L, a, items);
    set_kind(item, kind);
    if (!lua_isnil(L, -1) && (!item->has_id || (opens && !item->announced)))
        register_id(L, items, item);
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

/* ---- the final list ---- */

/* What an element of the final list is about, where the id and the number that
 * it has say so; the element is on top. `numbered`: its place is its number.
 * [-0, +0, m] */
static struct item *said_item(lua_State *L, int items, int i, bool numbered)
{
    int top = lua_gettop(L);
    enum item_kind kind = items_kind(L);
    if (!push_if_id(L, "id"))
        lua_pushnil(L);
    struct item *item = known_item(L, items, numbered ? i - 1 : -1, kind);
    lua_settop(L, top);
    return item;
}

/* Whether the numbers that the items have are their places in the list at
 * `list`, as far as kinds and ids tell. They are not where the list leaves
 * something out. [-0, +0, m] */
static bool is_numbered(lua_State *L, int list, int items)
{
    int top = lua_gettop(L), count = (int)lua_rawlen(L, items);
    int n = json_length(L, list);
    bool good = true;
    for (int i = 1; i <= count && good; i++) {
        struct item *item = items_at(L, items, i);
        if (item->index < 0)
            continue;
        lua_pushnumber(L, item->index);
        good = item->index < n && look_up(L, items, "indexes") == item;
        lua_rawgeti(L, list, good ? (int)item->index + 1 : 1);
        good = good && lua_istable(L, -1) && may_be(item, items_kind(L));
        lua_settop(L, top);
    }
    for (int i = 1; i <= n && good; i++) {
        lua_rawgeti(L, list, i);
        struct item *item =
            lua_istable(L, -1) ? said_item(L, items, i, false) : NULL;
        good = item == NULL || item->twin || item->index < 0 ||
               item->index == i - 1;
        lua_pop(L, 1);
    }
    return good;
}

/* Items that have come, in the order of the server, and for each kind how many
 * of them have been looked at. */
struct queue {
    struct item **item;
    int count;
    int next[ITEM_KINDS];
};

static int compare(const void *x, const void *y)
{
    const struct item *a = *(struct item *const *)x;
    const struct item *b = *(struct item *const *)y;
    double by =
        a->index != b->index ? a->index - b->index : a->place - b->place;
    return by < 0 ? -1 : by > 0;
}

/* Pushes what holds the queue: the items that no element of the list has.
 * `numbered`: and no number, or they would be known. [-0, +1, m] */
static void push_queue(lua_State *L, int items, bool numbered, struct queue *q)
{
    int count = (int)lua_rawlen(L, items);
    *q = (struct queue){.count = 0};
    q->item = lua_newuserdata(L, (size_t)(count + 1) * sizeof *q->item);
    for (int i = 1; i <= count; i++) {
        struct item *item = items_at(L, items, i);
        if (item->order == 0 && (!numbered || item->index < 0))
            q->item[q->count++] = item;
    }
    qsort(q->item, (size_t)q->count, sizeof *q->item, compare);
}

/* The next item that may be of this kind; NULL: there is none. */
static struct item *next_item(struct queue *q, enum item_kind kind)
{
    while (q->next[kind] < q->count) {
        struct item *item = q->item[q->next[kind]++];
        if (item->order == 0 && may_be(item, kind))
            return item;
    }
    return NULL;
}

/* The element `i` of the list on top is about the item, in the list at `found`.
 * [-0, +0, m] */
static void set_match(lua_State *L, int items, int found, int i,
                      struct item *item)
{
    set_kind(item, items_kind(L));
    item->order = i;
    lua_rawgeti(L, items, item->place);
    lua_rawseti(L, found, i);
}

void items_match(lua_State *L, struct answer *a, int env)
{
    int list = lua_gettop(L), found = list + 1, items = list + 2;
    int n = json_length(L, list);
    struct queue queue;
    luaL_checkstack(L, 16, NULL);
    lua_createtable(L, n, 0);
    binding_own_table(L, env, "items");
    bool numbered = is_numbered(L, list, items);
    /* what is sure comes first; of several with one id that has been opened
     * last which comes last */
    for (int i = n; i > 0; i--) {
        lua_rawgeti(L, list, i);
        struct item *item =
            lua_istable(L, -1) ? said_item(L, items, i, numbered) : NULL;
        if (item != NULL && item->order == 0)
            set_match(L, items, found, i, item);
        lua_pop(L, 1);
    }
    push_queue(L, items, numbered, &queue);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        if (lua_istable(L, -1) && items_at(L, found, i) == NULL) {
            struct item *item = next_item(&queue, items_kind(L));
            set_match(L, items, found, i,
                      item != NULL ? item : new_item(L, a, items));
        }
        lua_pop(L, 1);
    }
    lua_settop(L, found);
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

#define BITS 64 /* parts that are known one by one */

bool items_had(const struct item *item, enum item_text text, int index)
{
    return index < BITS ? (item->had[text] >> index & 1) != 0
                        : index <= item->most[text];
}

bool items_had_some(const struct item *item, enum item_text text)
{
    return item->had[text] != 0 || item->most[text] > 0;
}

void items_note(struct item *item, enum item_text text, int index)
{
    if (index < BITS)
        item->had[text] |= UINT64_C(1) << index;
    if (index > item->most[text])
        item->most[text] = index;
}

static struct item_list *list_of(struct item *item, enum item_text text)
{
    return &item->list[text == ITEM_SUMMARY ? ITEM_SUMMARIES : ITEM_CONTENT];
}

void items_begin(struct item *item, enum item_text text, double index)
{
    struct item_list *list = list_of(item, text);
    list->part = index >= 0 && index < MOST ? (int)index : list->part + 1;
    list->whole = false;
}

int items_part(struct item *item, enum item_text text, double index, bool whole)
{
    struct item_list *list = list_of(item, text);
    if (list->part < 0 || (index >= 0 && index < MOST) ||
        (!whole && list->whole))
        items_begin(item, text, index);
    list->whole = whole;
    return list->part;
}
