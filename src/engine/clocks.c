/*
 * clocks.c - see clocks.h.
 */
#include "engine/clocks.h"

#include "engine/changed.h"
#include "engine/state.h"

int64_t clocks_next(const struct http_request *r, const char **phase)
{
    const struct http_limits *l = &r->options.limits;
    const struct {
        const char *phase;
        int64_t since;
        double limit;
    } clocks[] = {
        {"total", r->started, l->timeout},
        {"connect", r->connected == 0 ? r->attempt_started : 0,
         l->connect_timeout},
        {"first_byte",
         r->last_byte != 0 ? 0
         : r->loading      ? r->started
                           : r->connected,
         l->first_byte_timeout},
        {"idle", r->paused ? 0 : r->last_byte, l->idle_timeout},
        /* an event may be among what the caller has not looked at */
        {"event", r->sse.in.len > r->examined ? 0 : r->last_event,
         l->event_timeout},
        {"idle", r->grace_from, r->grace},
    };
    int64_t first = -1;
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        if (clocks[i].since == 0 || clocks[i].limit <= 0 ||
            (r->waiting && i > 0))
            continue;
        int64_t at = clocks[i].since + (int64_t)(clocks[i].limit * 1e6);
        if (first < 0 || at < first) {
            first = at;
            *phase = clocks[i].phase;
        }
    }
    return first;
}

void clocks_arm(struct http_request *r)
{
    const char *phase;
    int64_t at = clocks_next(r, &phase);
    if (r->paused && !r->aside && (at < 0 || r->paused_at + UNREAD < at))
        at = r->paused_at + UNREAD;
    if (at >= 0)
        timers_set(&r->http->timers, &r->timer, at);
    else
        timers_unset(&r->http->timers, &r->timer);
}

void clocks_progress(struct http_request *r)
{
    bool first = r->last_byte == 0;
    if (r->response.header_done)
        r->last_byte = timers_now();
    if (first) {
        r->last_event = r->last_byte;
        clocks_arm(r);
    }
    changed_mark(r);
}

void clocks_pause(struct http_request *r)
{
    r->paused = true;
    r->paused_at = timers_now();
    clocks_arm(r);
}
