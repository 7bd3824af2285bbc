/*
 * messages_blocks.c - see messages_blocks.h.
 */
#include "dialect/messages_blocks.h"

#include <string.h>

static enum block_kind kind_of(lua_State *L)
{
    static const struct {
        const char *type;
        enum block_kind kind;
    } known[] = {{"text", BLOCK_TEXT},
                 {"thinking", BLOCK_THOUGHTS},
                 {"tool_use", BLOCK_CALL}};
    enum block_kind kind = BLOCK_OTHER;
    const char *type = binding_text(L, "type");
    for (size_t i = 0; type != NULL && i < sizeof known / sizeof *known; i++)
        if (strcmp(type, known[i].type) == 0)
            kind = known[i].kind;
    lua_pop(L, type != NULL ? 1 : 0);
    return kind;
}

struct answer_text *blocks_text(struct answer *a, const struct block *b)
{
    return b->kind == BLOCK_THOUGHTS ? &a->reasoning : &a->text;
}

/* blocks[name][place] = the value on top. [-1, +0, m] */
static void set(lua_State *L, int blocks, const char *name, int place)
{
    binding_own_table(L, blocks, name);
    lua_insert(L, -2);
    lua_rawseti(L, -2, place);
    lua_pop(L, 1);
}

void blocks_get(lua_State *L, int blocks, const char *name, int place)
{
    binding_own_table(L, blocks, name);
    lua_rawgeti(L, -1, place);
    lua_remove(L, -2);
}

/* How many calls there are, and one more. [-0, +0, m] */
static int count_call(lua_State *L, int blocks)
{
    lua_getfield(L, blocks, "calls");
    int count = (int)lua_tointeger(L, -1);
    lua_pushinteger(L, count + 1);
    lua_setfield(L, blocks, "calls");
    lua_pop(L, 1);
    return count;
}

/* Half a character at the end of one block does not go on in the next. */
static enum http_fault begin_text(struct answer *a, struct block *b)
{
    struct answer_text *t = blocks_text(a, b);
    enum bytes_status status = utf8_finish(&t->utf8, &t->bytes);
    b->from = t->bytes.len;
    if (b->kind == BLOCK_THOUGHTS)
        answer_part(a, b->place);
    return status == BYTES_OK      ? FAULT_NONE
           : status == BYTES_LIMIT ? FAULT_LIMIT
                                   : FAULT_MEMORY;
}

enum http_fault blocks_open(lua_State *L, struct answer *a, int env, int event,
                            struct slice raw, struct block **block)
{
    int top = lua_gettop(L);
    enum block_kind kind = kind_of(L);
    luaL_checkstack(L, 8, NULL);
    binding_own_table(L, env, "blocks");
    int blocks = top + 1, place = (int)lua_rawlen(L, blocks) + 1;
    struct block *b = lua_newuserdata(L, sizeof *b);
    *b = (struct block){
        .kind = kind, .place = place, .call = -1, .whole = event == 0};
    b->own = kind == BLOCK_OTHER;
    lua_rawseti(L, blocks, place);
    if (kind == BLOCK_CALL)
        b->call = count_call(L, blocks);
    if (raw.s != NULL) {
        lua_pushlstring(L, raw.s, raw.n);
        set(L, blocks, "raw", place);
    }
    if (event != 0) {
        lua_getfield(L, event, "index");
        if (lua_type(L, -1) == LUA_TNUMBER) {
            binding_own_table(L, blocks, "places");
            lua_insert(L, -2);
            lua_pushinteger(L, place);
            lua_rawset(L, -3);
        }
    }
    lua_settop(L, top);
    a->kept += a->event_len;
    *block = b;
    return kind == BLOCK_TEXT || kind == BLOCK_THOUGHTS ? begin_text(a, b)
                                                        : FAULT_NONE;
}

struct block *blocks_at(lua_State *L, int blocks, int place)
{
    lua_rawgeti(L, blocks, place);
    struct block *b = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return b;
}

struct block *blocks_last(lua_State *L, int env)
{
    binding_own_table(L, env, "blocks");
    struct block *b = blocks_at(L, -1, (int)lua_rawlen(L, -1));
    lua_pop(L, 1);
    return b;
}

struct block *blocks_find(lua_State *L, int env, int event)
{
    int top = lua_gettop(L);
    struct block *b = NULL;
    luaL_checkstack(L, 6, NULL);
    binding_own_table(L, env, "blocks");
    binding_own_table(L, top + 1, "places");
    lua_getfield(L, event, "index");
    if (lua_type(L, -1) == LUA_TNUMBER) {
        lua_rawget(L, top + 2);
        int place = (int)lua_tointeger(L, -1);
        lua_settop(L, top + 1);
        b = blocks_at(L, top + 1, place);
    }
    lua_settop(L, top);
    return b != NULL ? b : blocks_last(L, env);
}

void blocks_add(lua_State *L, int env, const struct block *b, bool list)
{
    int top = lua_gettop(L);
    luaL_checkstack(L, 6, NULL);
    binding_own_table(L, env, "blocks");
    blocks_get(L, top + 1, "pieces", b->place);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        set(L, top + 1, "pieces", b->place);
    }
    int n = (int)lua_rawlen(L, -1);
    if (list && n > 0) {
        lua_pushliteral(L, ",");
        lua_rawseti(L, -2, ++n);
    }
    lua_pushvalue(L, top);
    lua_rawseti(L, -2, n + 1);
    lua_settop(L, top - 1);
}

void blocks_end(lua_State *L, int env, const struct block *b)
{
    int top = lua_gettop(L);
    binding_own_table(L, env, "blocks");
    lua_pushvalue(L, top);
    set(L, top + 1, "ends", b->place);
    lua_settop(L, top - 1);
}

struct slice blocks_raw(lua_State *L, int blocks, const struct block *b)
{
    size_t n;
    blocks_get(L, blocks, "raw", b->place);
    const char *s = lua_tolstring(L, -1, &n);
    return slice_text(s != NULL ? s : "", n);
}

void blocks_push_input(lua_State *L, int env, const struct block *b)
{
    int top = lua_gettop(L);
    binding_own_table(L, env, "blocks");
    struct slice input = slice_member(blocks_raw(L, top + 1, b), "input");
    lua_pushlstring(L, input.s != NULL ? input.s : "", input.n);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}
