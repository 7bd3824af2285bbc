/*
 * state.h - what the engine keeps: for its parts alone.
 */
#ifndef CHATBOT_STATE_H
#define CHATBOT_STATE_H

#include "engine/poller.h"
#include "engine/transfer.h"
#include "parsing/retry.h"

#define EVENTS 16 /* taken from the poller at once */

struct http {
    const struct libcurl *curl;
    CURLM *multi;
    struct transfer_shared shared;
    size_t suspects; /* transfers whose connection no other may join */
    bool choosing;   /* curl is going to choose a connection */
    bool moved;      /* a transfer has, see transfer_moves */
    struct poller poller;
    struct poller_event events[EVENTS]; /* of them, ready..n_ready-1 are left */
    int ready, n_ready;
    struct timers timers;
    struct retry_origins origins;  /* those that fail */
    struct http_request *requests; /* all, also detached ones */
    struct http_request *changed, *changed_last;
    size_t orphans; /* transfers that wait for a look-up: see drop_transfer */
    size_t count;   /* of `requests` */
    size_t active;  /* running and not detached, queued ones included */
    struct http_request *queue, *queue_last;
    size_t queued, aside; /* those of `active` that hold no slot */
    size_t max_running;   /* how many slots there are; 0: no limit */
    bool happened;        /* a request has changed in this step */
    bool watched;         /* the descriptor was handed out */
    int64_t curl_at;      /* when curl wants to be called; -1: not */
    int64_t remind_at;    /* when the caller wants to be; -1: not */
    unsigned locks;       /* http_lock, so many times */
    bool doomed;          /* http_delete came meanwhile */
    long pid;
    bool breaking; /* curl ran out of memory, */
    bool broken;   /* and that was seen to: see break_down */
    bool loud;     /* there was a request for which sigpipe.h is needed */
    uint64_t random;
};

/* False in a child after fork, and when curl has run out of memory. */
bool http_usable(const struct http *h);

/* Machines, processes and engines that start together do not wait together. */
void state_seed(struct http *h);

/* The next random number, below 1. */
double state_random(struct http *h);

#endif
