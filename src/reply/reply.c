/*
 * reply.c - see reply.h.
 */
#include "reply/reply.h"

#include <string.h>

#include "binding/failure.h"
#include "binding/shared.h"

const struct binding_type reply_type = {"chatbot.reply"};

enum life { REPLY, REQUEST, SEEN, ANSWER };

static const struct {
    const char *name;
    enum life life;
} shared[] = {
#define ENTRY(name, type, owner, life) {#name, life},
    SHARED_OF_REPLY(ENTRY)
#undef ENTRY
};

bool reply_is_seen(const char *name)
{
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        if (strcmp(shared[i].name, name) == 0)
            return shared[i].life == SEEN || shared[i].life == ANSWER;
    return false;
}

static void drop_last(struct reply *r)
{
    bytes_free(&r->last);
    r->shape = (struct shape){0}; /* that of `last`, which is gone */
    r->place = PLACE_ANY;
}

void reply_drop_texts(struct reply *r)
{
    answer_free(&r->answer);
    drop_last(r);
    r->given = r->reasoning_given = 0;
}

struct reply *reply_new(lua_State *L)
{
    return binding_new(L, &reply_type, sizeof(struct reply), 16);
}

void reply_forget(lua_State *L, int i)
{
    struct reply *r = lua_touserdata(L, i);
    r->form = FORM_UNKNOWN;
    r->more = r->held = r->begun = false;
    r->blanks = 0;
    compat_getenv(L, i);
    if (r->resumed) {
        drop_last(r);
        answer_go_on(L, &r->answer, lua_gettop(L));
        lua_pop(L, 1);
        return;
    }
    reply_drop_texts(r);
    for (size_t k = 0; k < sizeof shared / sizeof *shared; k++)
        if (shared[k].life == REQUEST || shared[k].life == ANSWER) {
            lua_pushnil(L);
            lua_setfield(L, -2, shared[k].name);
        }
    lua_getfield(L, -1, "details_back");
    r->answer.details = lua_toboolean(L, -1);
    lua_pop(L, 1);
    lua_getfield(L, -1, "think_tags");
    lua_getfield(L, -2, "several");
    answer_forget(&r->answer, lua_toboolean(L, -2), lua_toboolean(L, -1));
    lua_pop(L, 3);
}

bool reply_start(lua_State *L, int i, struct http *http, struct http_options *o)
{
    struct reply *r = lua_touserdata(L, i);
    size_t max = o->limits.max_body;
    if (!r->resumed)
        answer_init(&r->answer, max);
    bytes_init(&r->last, o->limits.max_event);
    enum http_fault fault = http_start(http, o, &r->request);
    if (fault != FAULT_NONE) {
        redact_free(&r->answer.secret);
        failure_push(L, fault,
                     fault == FAULT_CLOSED ? "the engine is closed"
                                           : "not enough memory");
        return false;
    }
    r->status = REPLY_STREAMING;
    r->request->user = r;
    r->request->served = r->listed;
    return true;
}
