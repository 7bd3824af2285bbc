/*
 * writer.c - see writer.h.
 *
 * A body is collected in a userdata, so that an error of memory loses nothing.
 */
#include "dialect/writer.h"

#include <stdio.h>
#include <string.h>

#include "binding/binding.h"
#include "binding/failure.h"
#include "binding/json.h"
#include "binding/options.h"
#include "provider/rules.h"

#define LARGE ((size_t)256 * 1024) /* bytes of a body that is not joined */

static bool no_memory(lua_State *L)
{
    failure_push(L, FAULT_MEMORY, "not enough memory");
    return false;
}

bool writer_literal(lua_State *L, const struct writer *w, const char *s)
{
    return body_add(w->to.body, s, strlen(s)) || no_memory(L);
}

/* ---- values ---- */

/* Adds the JSON of the value on top, and pops it: that of message `place`, or
 * of the field `name`. False: an error table. [-1, +(0|1), m] */
static bool add(lua_State *L, const struct writer *w, int place,
                const char *name)
{
    char max[32];
    switch (name == NULL ? encoded_value(L, -1, place, &w->to)
                         : encoded_field(L, -1, name, &w->to)) {
    case ENCODED_OK:
        lua_pop(L, 1);
        return true;
    case ENCODED_MEMORY:
        return no_memory(L);
    case ENCODED_LIMIT:
        snprintf(max, sizeof max, "%.0f", w->to.max);
        failure_push(L, FAULT_LIMIT,
                     "the request would be larger than %s bytes "
                     "(max_request_bytes)",
                     max);
        return false;
    case ENCODED_REFUSED:
        break;
    }
    if (name == NULL)
        failure_push(L, FAULT_CONFIG, "message %d cannot be sent: %s",
                     place - 1, lua_tostring(L, -1));
    else
        failure_push(L, FAULT_CONFIG, "the field '%s' cannot be sent: %s", name,
                     lua_tostring(L, -1));
    return false;
}

/* Adds the JSON of the value on top, which stands for message `place`, and pops
 * it. [-1, +(0|1), m] */
static bool value(lua_State *L, const struct writer *w, int place)
{
    return add(L, w, place + 1, NULL);
}

bool writer_field(lua_State *L, const struct writer *w, const char *name)
{
    lua_pushstring(L, name);
    rules_rename(L, w->route, lua_gettop(L));
    lua_remove(L, -2);
    return add(L, w, 0, name) && writer_literal(L, w, ":") &&
           add(L, w, 0, name) && writer_literal(L, w, ",");
}

/* ---- what is written ---- */

/* Pushes the field of a table of the user's, which is taken as it is sent: as
 * if it had no metatable. `i` is no relative index. [-0, +1, m] */
static void push_field(lua_State *L, int i, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, i);
}

bool writer_overridden(lua_State *L, const struct writer *w, const char *name)
{
    if (!lua_istable(L, w->call))
        return false;
    push_field(L, w->call, name);
    bool set = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return set;
}

/* Replaces the table on top by a shallow copy. [-1, +1, m] */
static void copy_table(lua_State *L)
{
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, -3)) { /* from, to, key, value */
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    lua_remove(L, -2);
}

/* Replaces the system message on top by one with the note behind its text.
 * [-1, +1, m] */
static void with_note(lua_State *L, const struct writer *w)
{
    copy_table(L);
    lua_getfield(L, -1, "content");
    lua_pushliteral(L, "\n\n");
    lua_pushvalue(L, w->note);
    lua_concat(L, 3);
    lua_setfield(L, -2, "content");
}

static bool is_system(lua_State *L, int message)
{
    push_field(L, message, "role");
    const char *role = lua_tostring(L, -1);
    bool same = role != NULL &&
                (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0);
    lua_pop(L, 1);
    return same;
}

/* Whether there is a note, and the conversation does not begin with a text of
 * the system that it can be added to. [-0, +0, m] */
static bool note_apart(lua_State *L, const struct writer *w)
{
    int top = lua_gettop(L);
    bool apart = lua_isstring(L, w->note);
    lua_rawgeti(L, w->messages, 1);
    if (apart && lua_istable(L, -1) && is_system(L, top + 1)) {
        push_field(L, top + 1, "content");
        apart = lua_type(L, -1) != LUA_TSTRING;
    }
    lua_settop(L, top);
    return apart;
}

/* Pushes message `i`, the first one with the note. [-0, +1, m] */
static bool push_message(lua_State *L, const struct writer *w, int i)
{
    if (i == 0) {
        lua_createtable(L, 0, 2);
        lua_pushliteral(L, "system");
        lua_setfield(L, -2, "role");
        lua_pushvalue(L, w->note);
        lua_setfield(L, -2, "content");
        return true;
    }
    lua_rawgeti(L, w->messages, i);
    if (!lua_istable(L, -1)) {
        failure_push(L, FAULT_CONFIG, "message %d is no table", i);
        return false;
    }
    if (i == 1 && lua_isstring(L, w->note) && !note_apart(L, w))
        with_note(L, w);
    return true;
}

bool writer_list(lua_State *L, const struct writer *w)
{
    int n = (int)lua_rawlen(L, w->messages), first = note_apart(L, w) ? 0 : 1;
    for (int i = first; i <= n; i++) {
        if (i > first && !writer_literal(L, w, ","))
            return false;
        if (!push_message(L, w, i) || !value(L, w, i))
            return false;
    }
    return true;
}

/* ---- fields ---- */

bool writer_model(lua_State *L, const struct writer *w)
{
    if (!writer_literal(L, w, "{"))
        return false;
    lua_getfield(L, w->route, "model");
    if (!failure_control(L, "the model's name", lua_tostring(L, -1)))
        return false;
    if (lua_rawlen(L, -1) > 0)
        return writer_field(L, w, "model");
    lua_pop(L, 1);
    return true;
}

/* Fields that a call gives go into the body as they are. */
static bool call_fields(lua_State *L, const struct writer *w)
{
    if (!lua_istable(L, w->call))
        return true;
    lua_pushnil(L);
    while (lua_next(L, w->call)) {
        const char *name = lua_tostring(L, -2);
        bool ours = strcmp(name, "temperature") == 0 ||
                    strcmp(name, "stream_options") == 0;
        if (ours ? !lua_toboolean(L, -1) : options_known(name)) {
            lua_pop(L, 1);
            continue;
        }
        if (!writer_field(L, w, name))
            return false;
    }
    return true;
}

static bool temperature(lua_State *L, const struct writer *w)
{
    if (writer_overridden(L, w, "temperature") ||
        rules_omit(L, w->route, "temperature"))
        return true;
    lua_getfield(L, w->options, "temperature");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushinteger(L, 0);
    } else if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        return true;
    }
    return writer_field(L, w, "temperature");
}

bool writer_system(lua_State *L, const struct writer *w, const char *name)
{
    if (lua_isnil(L, w->system))
        return true;
    lua_pushvalue(L, w->system);
    return writer_field(L, w, name);
}

bool writer_fields(lua_State *L, const struct writer *w)
{
    return temperature(L, w) && call_fields(L, w);
}

/* ---- the body ---- */

bool writer_body(lua_State *L, struct writer *w, writer_function *write)
{
    luaL_checkstack(L, 20, NULL);
    int top = lua_gettop(L);
    if (!json_ready(L)) {
        failure_push(L, FAULT_CONFIG, "%s", lua_tostring(L, -1));
        lua_replace(L, top + 1);
        return false;
    }
    struct body *body = encoded_body(L);
    compat_getenv(L, top + 1);
    w->to.body = body;
    w->to.strings = top + 2;
    bool ok = write(L, w);
    if (ok && body->size <= LARGE)
        ok = body_join(body) || no_memory(L);
    if (!ok)
        lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return ok;
}
