/*
 * reading.c - see reading.h.
 */
#include "reply/reading.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "binding/complaint.h"
#include "binding/failure.h"
#include "binding/json.h"
#include "reply/ending.h"
#include "reply/trouble.h"

#define GRACE   5.0 /* s to wait for usage and [DONE] after finish_reason */
#define EXCERPT 200 /* bytes of a body that tell what it is */
#define AT_ONCE 16  /* events between two looks at the clock */

/* ---- events ---- */

/* Keeps the event for `raw`, and to know the next one by it. Without memory
 * there is none. */
static void keep_last(struct reply *r, const char *s, size_t n, size_t same)
{
    r->last.len = same;
    if (bytes_append(&r->last, s + same, n - same) != BYTES_OK)
        r->last.len = r->shape.head = 0;
}

/* Keeps the decoded event on top for on_event, if there is such an option; it
 * is called when all has been taken in. [-0, +0, m] */
static void keep_event(lua_State *L, struct reply *r, int env)
{
    if (!r->eventful)
        return;
    lua_getfield(L, env, "events");
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, env, "events");
    }
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

/* Decodes an event for on_event alone. [-0, +0, m] */
static void decode_event(lua_State *L, struct reply *r, int env, const char *s,
                         size_t n)
{
    int top = lua_gettop(L);
    if (json_decode(L, s, n))
        keep_event(L, r, env);
    lua_settop(L, top);
}

/* Decodes what is not plain, and merges it; what is no object says
 * nothing. The bytes stay where they are: nothing moves them while a reply is
 * read, see guard.h. [-0, +(0|1), m] */
static bool take_other(lua_State *L, struct reply *r, int env,
                       const struct sse_event *ev, bool last)
{
    const char *s = ev->data;
    size_t n = ev->data_len;
    bool json = json_decode(L, s, n);
    if (!json || !lua_istable(L, -1)) {
        lua_pop(L, 1);
        if (json || last) /* cut: the verdict is that of the stream */
            return true;
        failure_excerpt(L, s, n, &r->answer.secret, false);
        failure_push(L, FAULT_PROTOCOL,
                     "an event of the stream is not JSON: %s",
                     lua_tostring(L, -1));
        return false;
    }
    keep_event(L, r, env);
    r->answer.event = s;
    r->answer.event_size = r->answer.event_len = n;
    r->answer.name = ev->type;
    r->answer.name_len = ev->type_len;
    return r->dialect->merge(L, &r->answer, env);
}

/* What comes next is for merge to look at first. */
static void forget_place(struct reply *r)
{
    r->shape.head = 0;
    r->place = PLACE_ANY;
}

/* Whether an event, which is not the same as the last, is plain, and says no
 * more than `p` where it stands: behind text for the same place. What comes for
 * another one is for merge to look at first. */
static bool is_plain(struct reply *r, const struct sse_event *ev,
                     struct plain *p)
{
    unsigned place = r->place;
    forget_place(r);
    if (!r->dialect->scan(ev, p))
        return false;
    bool known = p->place == PLACE_ANY || p->place == place;
    if (!known && p->text.n == 0)
        return false;
    r->place = p->place == PLACE_UNKNOWN ? PLACE_ANY : p->place;
    shape_learn(&r->shape, ev->data, ev->data_len, p);
    return known;
}

/* The data of one event. False: an error table is pushed. `last`: the stream
 * ended inside this event. [-0, +(0|1), m] */
static bool take_data(lua_State *L, struct reply *r, int env,
                      const struct sse_event *ev, bool last)
{
    const char *s = ev->data;
    size_t n = ev->data_len, same = r->shape.head;
    struct plain p;
    bool was = r->answer.finished;
    r->answer.brought = false;
    bool plain = shape_same(&r->shape, r->last.data, s, n, &p);
    if (!plain) {
        same = 0;
        plain = is_plain(r, ev, &p);
    }
    if (!plain) {
        if (!take_other(L, r, env, ev, last))
            return false;
        if (!r->answer.brought)
            forget_place(r);
    } else {
        if (r->eventful)
            decode_event(L, r, env, s, n);
        if (!answer_check(L, answer_plain(L, &r->answer, env, &p)))
            return false;
    }
    if (r->answer.finished && (!was || r->answer.brought) && !last)
        http_grace(r->request, GRACE);
    keep_last(r, s, n, same);
    return true;
}

/* Whether the type of an event is one that only keeps the connection alive. */
static bool is_idle(const char *type, size_t n)
{
    static const char names[][sizeof "keep-alive"] = {
        "ping", "keepalive", "keep-alive", "keep_alive", "heartbeat"};
    if (n >= sizeof *names)
        return false; /* as nearly all are that there are */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (n == strlen(names[i]) && memcmp(type, names[i], n) == 0)
            return true;
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Whether the data is `done`, with or without white space around it. */
static bool is_done(const char *done, const char *s, size_t n)
{
    size_t len = strlen(done);
    for (; n > 0 && is_blank(*s); n--)
        s++;
    if (n < len || memcmp(s, done, len) != 0)
        return false;
    for (s += len, n -= len; n > 0 && is_blank(*s); n--)
        s++;
    return n == 0;
}

static void push_cut_short(lua_State *L)
{
    failure_push(L, FAULT_TRUNCATED,
                 "the stream ended before the answer was complete");
}

/* False: an error table is pushed. [-0, +(0|1), m] */
static bool take_event(lua_State *L, struct reply *r, int env,
                       const struct sse_event *ev, bool last)
{
    if (ev->is_error ||
        (ev->type_len == 5 && memcmp(ev->type, "error", 5) == 0)) {
        trouble_event(L, r, ev->data, ev->data_len);
        return false;
    }
    if (ev->data_len == 0 ||
        (ev->type_len > 0 && is_idle(ev->type, ev->type_len)))
        return true;
    http_event(r->request);
    if (*ev->data != '{' && is_done(r->dialect->done, ev->data, ev->data_len)) {
        r->answer.finished = r->answer.ended = true;
        if (r->dialect->done_ends)
            return true;
        push_cut_short(L);
        return false;
    }
    return take_data(L, r, env, ev, last);
}

/* Takes the events out, as many as there is time for. False: an error table is
 * pushed. [-0, +(0|1), m] */
static bool take_stream(lua_State *L, struct reply *r, int env, int64_t until)
{
    struct http_request *request = r->request;
    struct sse_event ev;
    unsigned taken = 0;
    r->more = false;
    while (!r->answer.ended) {
        if (++taken % AT_ONCE == 0 && timers_now() >= until) {
            r->more = true;
            http_again(request);
            return true;
        }
        switch (sse_next(&request->sse, &ev)) {
        case SSE_EVENT:
            if (!take_event(L, r, env, &ev, false))
                return false;
            break;
        case SSE_MORE:
            if (request->state == HTTP_RUNNING) {
                http_drained(request);
                return true;
            }
            while (!r->answer.ended && sse_end(&request->sse, &ev) == SSE_EVENT)
                if (!take_event(L, r, env, &ev, true))
                    return false;
            return true;
        case SSE_LIMIT:
            failure_push(L, FAULT_LIMIT,
                         "an event of the stream is larger than "
                         "max_event_bytes");
            return false;
        default:
            failure_push(L, FAULT_MEMORY, "not enough memory");
            return false;
        }
    }
    return true;
}

/* ---- whole documents ---- */

/* The document has arrived. False: an error table is pushed. [-0, +(0|1), m] */
static bool take_document(lua_State *L, struct reply *r, int env)
{
    const struct bytes *in = &r->request->sse.in;
    const char *s = in->data;
    size_t n = in->len;
    int top = lua_gettop(L);
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0)
        s += 3, n -= 3;
    if (!json_decode(L, s, n) || !lua_istable(L, -1)) {
        lua_pop(L, 1);
        if (r->request->state == HTTP_FAILED)
            return true; /* cut: the engine knows why */
        trouble_body(L, r, FAULT_PROTOCOL, "the answer is not JSON");
        return false;
    }
    r->answer.event = s;
    r->answer.event_size = n;
    r->answer.name_len = 0;
    lua_pushvalue(L, -1);
    if (!r->fetch && !r->dialect->whole(L, &r->answer, env)) {
        lua_remove(L, -2);
        return false;
    }
    lua_settop(L, top + 1);
    lua_setfield(L, env, "raw");
    r->answer.finished = true;
    return true;
}

/* A document of any type has arrived: the answer has it as it is. [-0, +0, m]
 */
static void take_any(lua_State *L, struct reply *r, int env)
{
    const struct http_request *request = r->request;
    lua_createtable(L, 0, 3);
    ending_push_bytes(L, &request->sse.in, true);
    lua_setfield(L, -2, "body");
    lua_pushinteger(L, request->response.status);
    lua_setfield(L, -2, "status");
    lua_pushstring(L, request->response.content_type);
    lua_setfield(L, -2, "content_type");
    lua_setfield(L, env, "raw");
    r->answer.finished = true;
}

static bool is_event_line(const char *s, size_t n)
{
    static const char *const starts[] = {
        "data:", ":", "event:", "id:", "retry:", "error:"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t len = strlen(starts[i]);
        if (n >= len && memcmp(s, starts[i], len) == 0)
            return true;
    }
    return false;
}

/* What the first bytes tell about the rest. False: an error table is pushed.
 * [-0, +(0|1), m] */
static bool find_form(lua_State *L, struct reply *r)
{
    struct http_request *request = r->request;
    const char *s = request->sse.in.data;
    size_t n = request->sse.in.len, i = 0;
    const char *type = request->response.content_type;
    bool stream_type = strncasecmp(type, "text/event-stream", 17) == 0;
    bool running = request->state == HTTP_RUNNING;
    if (n < 3 && memcmp(s, "\xEF\xBB\xBF", n) == 0 && running)
        return true; /* a BOM, in pieces */
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0)
        i = 3;
    if (i < r->blanks)
        i = r->blanks;
    while (i < n && strchr(" \t\r\n", s[i]) != NULL && s[i] != '\0')
        i++;
    if (i == n) {
        r->blanks = i;
        http_drained(request);
        return true;
    }
    if (s[i] == '{' || s[i] == '[') {
        r->form = FORM_WHOLE;
        r->answer.whole = true;
        request->whole = true;
        http_drained(request);
    } else if (stream_type || (is_event_line(s + i, n - i) &&
                               strncasecmp(type, "text/html", 9) != 0)) {
        r->form = FORM_STREAM;
        request->whole = false;
    } else {
        if (n - i < EXCERPT && running)
            return true; /* more to show, or to go by */
        failure_redact(L, type, strlen(type), &r->answer.secret, false);
        type = *type != '\0' ? lua_tostring(L, -1) : "(no content type)";
        trouble_body(L, r, FAULT_PROTOCOL,
                     lua_pushfstring(L,
                                     "the answer is neither JSON nor an "
                                     "event stream but '%s'",
                                     type));
        return false;
    }
    return true;
}

/* ---- the verdict ---- */

/* The request has ended, and all of it has been read. [-0, +0, m] */
static void judge(lua_State *L, struct reply *r, int env)
{
    struct http_request *request = r->request;
    int status = request->response.status;
    if (request->state != HTTP_CLOSED &&
        (r->answer.finished ||
         (r->answer.reasoned && request->state == HTTP_DONE))) {
        ending_well(L, r, env);
        return;
    }
    if (request->state == HTTP_CLOSED) {
        trouble_engine(L, r);
    } else if (status >= 300 && request->response.header_done) {
        trouble_http(L, r);
    } else if (request->state != HTTP_DONE) {
        trouble_engine(L, r);
    } else if (request->sse.in.len == 0 && r->form == FORM_UNKNOWN) {
        failure_push(L, FAULT_TRUNCATED,
                     "the server answered HTTP %d without any content", status);
    } else {
        push_cut_short(L);
    }
    trouble_tell_stopped(L, r);
    ending_badly(L, r, env);
}

/* Whether the failure on top, which an answer told before its first text, is
 * tried again, as the status would be that it stands for. The table goes then.
 * [-(0|1), +0, m] */
static bool tried_again(lua_State *L, struct reply *r)
{
    struct http_request *request = r->request;
    int err = lua_gettop(L);
    lua_getfield(L, err, "kind");
    bool api = strcmp(lua_tostring(L, -1), http_fault_name(FAULT_API)) == 0;
    lua_settop(L, err);
    if (!api || r->fetch || r->resumed || r->answer.text.bytes.len > 0)
        return false;
    int status = complaint_status(L, err);
    if (status == 0 || !http_refuse(request, status))
        return false;
    lua_settop(L, err - 1);
    return true;
}

/* Takes what has arrived, up to the end. [-0, +0, m] */
void reading_pump(lua_State *L, struct reply *r, int env, int64_t until)
{
    struct http_request *request = r->request;
    http_take(request);
    int status = request->response.status;
    bool over = request->state != HTTP_RUNNING, good = true;
    if (request->state != HTTP_CLOSED && status >= 200 && status < 300 &&
        request->response.header_done) {
        if (r->document && request->state == HTTP_DONE)
            take_any(L, r, env);
        else if (!r->document && r->form == FORM_UNKNOWN &&
                 request->sse.in.len > 0)
            good = find_form(L, r);
        if (good && r->form == FORM_STREAM)
            good = take_stream(L, r, env, until);
        else if (good && r->form == FORM_WHOLE && over)
            good = take_document(L, r, env);
    }
    if (!good && tried_again(L, r))
        reply_forget(L, env - 1);
    else if (!good)
        ending_badly(L, r, env);
    else if (r->answer.ended)
        ending_well(L, r, env);
    else if (over && !r->more)
        judge(L, r, env);
}
