/*
 * trouble.c - see trouble.h.
 */
#include "reply/trouble.h"

#include <string.h>
#include <time.h>

#include "binding/complaint.h"
#include "binding/failure.h"
#include "binding/json.h"
#include "parsing/retry.h"
#include "parsing/url.h"

#define ADDRESS 200 /* characters of one that is shown */

void trouble_body(lua_State *L, struct reply *r, enum http_fault kind,
                  const char *text)
{
    struct http_request *request = r->request;
    const struct bytes *in = &request->sse.in;
    const char *s = in->len > 0 ? in->data : "";
    size_t n = in->len;
    failure_push(L, kind, "%s", text);
    int err = lua_gettop(L);
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0)
        s += 3, n -= 3;
    if (!json_decode(L, s, n) ||
        !complaint_describe(L, err, &r->answer.secret)) {
        failure_excerpt(L, s, n, &r->answer.secret, true);
        if (lua_rawlen(L, -1) > 0) {
            lua_pushfstring(L, "%s: %s", text, lua_tostring(L, -1));
            lua_setfield(L, err, "message");
        }
    }
    lua_settop(L, err);
}

/* Adds to the message of the error table at `err` what there is to say of an
 * address of `n` bytes: before, it, after. [-0, +0, m] */
static void add_address(lua_State *L, const struct reply *r, int err,
                        const char *before, const char *url, size_t n,
                        const char *after)
{
    int top = lua_gettop(L);
    luaL_checkstack(L, 8, NULL);
    failure_redact(L, url, n, &r->answer.secret, false);
    failure_line(L, lua_tostring(L, -1), lua_rawlen(L, -1), ADDRESS);
    lua_pushfstring(L, "%s%s%s", before, lua_tostring(L, -1), after);
    failure_add(L, err);
    lua_settop(L, top);
}

void trouble_http(lua_State *L, struct reply *r)
{
    struct http_request *request = r->request;
    int status = request->response.status;
    if (status >= 300 && status < 400) {
        failure_push(L, FAULT_REDIRECT,
                     "the server redirects (HTTP %d), which is never followed: "
                     "use the final address as base_url",
                     status);
        if (request->location != NULL) {
            const char *s = request->location;
            failure_redact(L, s, strlen(s), &r->answer.secret, false);
            lua_setfield(L, -2, "location");
            if (request->inside >= 0) {
                lua_pushboolean(L, request->inside);
                lua_setfield(L, -2, "inside");
            }
        }
        return;
    }
    trouble_body(L, r, FAULT_HTTP,
                 lua_pushfstring(L, "the server answered HTTP %d", status));
    lua_remove(L, -2);
    if (status == 404 || status == 405) { /* there is nothing there */
        const char *url = request->options.url;
        add_address(L, r, lua_gettop(L), " (", url, strcspn(url, "?#"), ")");
    }
    const struct bytes *in = &request->sse.in;
    bool retryable =
        (status == 408 || status == 409 || status == 429 || status >= 500) &&
        !(in->len > 0 && retry_quota(in->data, in->len));
    lua_pushboolean(L, retryable);
    lua_setfield(L, -2, "retryable");
    struct retry_failure f = {
        .retry_after_ms = request->response.retry_after_ms,
        .retry_after = request->response.retry_after,
        .body = in->data,
        .body_len = in->len,
        .now = (int64_t)time(NULL),
    };
    double seconds = retry_asked(&f);
    if (seconds >= 0) {
        lua_pushnumber(L, seconds);
        lua_setfield(L, -2, "retry_after");
    }
}

void trouble_engine(lua_State *L, struct reply *r)
{
    struct http_request *request = r->request;
    if (request->state == HTTP_CLOSED) {
        failure_push(L, FAULT_CLOSED, CLOSED_BY_FORK);
        return;
    }
    failure_clean(L, request->message, strlen(request->message),
                  &r->answer.secret, true); /* libcurl cuts its messages */
    failure_push(L, request->fault, "%s", lua_tostring(L, -1));
    lua_remove(L, -2);
    lua_pushboolean(L, request->retryable);
    lua_setfield(L, -2, "retryable");
    if (request->fault == FAULT_TIMEOUT) {
        lua_pushstring(L, request->phase);
        lua_setfield(L, -2, "phase");
    }
}

void trouble_event(lua_State *L, struct reply *r, const char *s, size_t n)
{
    failure_push(L, FAULT_API, "the server reported an error");
    int err = lua_gettop(L);
    if (!json_decode(L, s, n) ||
        !complaint_describe(L, err, &r->answer.secret)) {
        failure_excerpt(L, s, n, &r->answer.secret, true);
        if (lua_rawlen(L, -1) > 0)
            lua_setfield(L, err, "message");
    }
    lua_settop(L, err);
    complaint_judge(L, err);
}

void trouble_tell_stopped(lua_State *L, const struct reply *r)
{
    const char *url = r->request->options.url;
    size_t n;
    const char *host = url_host(url, &n);
    if (r->request->stopped)
        add_address(L, r, lua_gettop(L), "; no further tries at ", host,
                    url_authority(url), ": the last ten failed");
}
