/*
 * fields.c - see fields.h.
 */
#include "reply/fields.h"

#include <string.h>

#include "binding/json.h"
#include "reply/advance.h"
#include "reply/ending.h"
#include "reply/guard.h"

const char *const fields_status[] = {"error",  "streaming",  "complete",
                                     "length", "tool_calls", "filtered",
                                     "error",  "cancelled"};

/* Arguments: the reply, the address of bytes in it. */
static int push_bytes(lua_State *L)
{
    const struct bytes *b = lua_touserdata(L, 2);
    ending_push_bytes(L, b, true);
    return 1;
}

/* The bytes of the reply at 1; none: "" or nil, as `empty` says. */
static int index_bytes(lua_State *L, struct bytes *b, bool empty)
{
    if (b->len == 0 && !empty) {
        lua_pushnil(L);
    } else {
        lua_pushlightuserdata(L, b);
        guard_push(L, 1, push_bytes, 1);
    }
    return 1;
}

/* The last event, decoded; nil when it cannot be. */
static int push_last(lua_State *L)
{
    const struct reply *r = lua_touserdata(L, 1);
    if (!json_decode(L, r->last.data, r->last.len))
        lua_pushnil(L);
    return 1;
}

/* Reads what has arrived for the reply at 1, where nobody else does: its fields
 * tell what is there, whoever lets the engine work. One that waits for the
 * reply is woken. [-0, +0, e] */
static void look(lua_State *L, struct reply *r)
{
    struct http_request *request = r->request;
    if (r->status != REPLY_STREAMING || r->busy || r->listed ||
        request == NULL || !request->changed)
        return;
    bool awaited = request->awaited;
    int top = lua_gettop(L);
    luaL_checkstack(L, 24, NULL);
    lua_pushvalue(L, 1);
    compat_getenv(L, 1);
    advance_read(L, r, advance_deadline(L));
    lua_settop(L, top);
    if (!awaited)
        return;
    if (r->request != NULL)
        http_again(r->request);
    else
        advance_remind(L, 0);
}

int fields_index(lua_State *L)
{
    struct reply *r = binding_check(L, 1, &reply_type);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (!lua_isnil(L, -1))
        return 1;
    if (lua_type(L, 2) != LUA_TSTRING)
        return 1;
    const char *name = lua_tostring(L, 2);
    look(L, r);
    if (strcmp(name, "text") == 0) {
        compat_getenv(L, 1);
        lua_getfield(L, -1, "text");
        return r->answer.text.bytes.len == 0 && lua_isstring(L, -1)
                   ? 1
                   : index_bytes(L, &r->answer.text.bytes, true);
    }
    if (strcmp(name, "reasoning") == 0)
        return index_bytes(L, &r->answer.reasoning.bytes, false);
    if (strcmp(name, "refusal") == 0)
        return index_bytes(L, &r->answer.refusal.bytes, false);
    if (strcmp(name, "status") == 0) {
        lua_pushstring(L, fields_status[r->status]);
        return 1;
    }
    compat_getenv(L, 1);
    if (strcmp(name, "raw") == 0) {
        lua_getfield(L, -1, "raw");
        if (lua_isnil(L, -1) && r->last.len > 0)
            guard_push(L, 1, push_last, 0);
        return 1;
    }
    if (strcmp(name, "tool_calls") == 0 && r->status == REPLY_STREAMING) {
        lua_pushnil(L); /* not before they are whole */
        return 1;
    }
    if (reply_is_seen(name))
        lua_getfield(L, -1, name);
    else
        lua_pushnil(L);
    return 1;
}
