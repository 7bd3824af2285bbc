/*
 * limit.c - the limit of what a client on libcurl can reach: streams driven by
 * curl_multi_socket_action and epoll, lines split with memchr, events counted,
 * nothing decoded.
 *
 *     limit stream URL STREAMS        "events N p50 US p99 US worst US"
 *     limit twice URL [CA]            "first US second US": one request after
 *                                     the other on one connection
 *     limit pieces URL                "linked US init US": CPU time until main,
 *                                     and of libcurl's initialisation
 *
 * `worst` is the longest that one pass of reading took. The moment at which an
 * event was written is read at its fixed place in the line, paced streams only,
 * and counts from SETTLING after the first event on: what comes before has
 * waited for connections to be opened, all at once.
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "histogram.h"

#define BODY                                                                   \
    "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"user\",\"content\":"     \
    "\"Hello\"}],\"temperature\":0,\"stream\":true}"

#define SETTLING 500000 /* us */

struct line {
    char bytes[4096]; /* a line that was cut */
    size_t len;
};

struct limit {
    CURLM *multi;
    int epoll;
    int64_t timer; /* when curl wants to be called; -1: not */
    long running, events;
    size_t stamp;    /* where the time stands in a line; 0: not known */
    int64_t settled; /* from when on latency is noted; 0: not known */
    struct histogram latency;
};

static struct limit l;

static int64_t read_clock(clockid_t id) /* us */
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static void note_latency(const char *line, size_t n, int64_t at)
{
    if (l.stamp == 0) {
        const char *p = memmem(line, n, "\"content\":\"", 11);
        if (p == NULL)
            return;
        l.stamp = (size_t)(p - line) + 11;
    }
    if (l.settled == 0)
        l.settled = at + SETTLING;
    if (at < l.settled || n <= l.stamp || line[l.stamp] < '0' ||
        line[l.stamp] > '9')
        return;
    const char *colon = memchr(line + l.stamp, ':', n - l.stamp);
    if (colon == NULL)
        return;
    histogram_note(&l.latency, at - strtoll(colon + 1, NULL, 10));
}

static void take_line(const char *line, size_t n, bool paced, int64_t at)
{
    if (n < 6 || memcmp(line, "data: ", 6) != 0)
        return;
    l.events++;
    if (paced)
        note_latency(line, n, at);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct line *cut = arg;
    size_t n = size * count, left = n;
    bool paced = n < 1024;
    int64_t at = paced ? now() : 0;
    const char *end;
    while ((end = memchr(data, '\n', left)) != NULL) {
        size_t len = (size_t)(end - data);
        if (cut->len > 0 && cut->len + len < sizeof cut->bytes) {
            memcpy(cut->bytes + cut->len, data, len);
            take_line(cut->bytes, cut->len + len, paced, at);
            cut->len = 0;
        } else {
            take_line(data, len, paced, at);
        }
        data += len + 1;
        left -= len + 1;
    }
    if (cut->len + left < sizeof cut->bytes) {
        memcpy(cut->bytes + cut->len, data, left);
        cut->len += left;
    }
    return n;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                     void *known)
{
    (void)easy, (void)arg;
    struct epoll_event ev = {.data = {.fd = fd}};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(l.epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    ev.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0u) |
                (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0u);
    epoll_ctl(l.epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev);
    curl_multi_assign(l.multi, fd, &l);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    (void)multi, (void)arg;
    l.timer = ms < 0 ? -1 : now() + ms * 1000;
    return 0;
}

static void reap(void)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(l.multi, &left)) != NULL) {
        if (m->msg != CURLMSG_DONE)
            continue;
        CURL *easy = m->easy_handle;
        if (m->data.result != CURLE_OK) {
            fprintf(stderr, "%s\n", curl_easy_strerror(m->data.result));
            exit(1);
        }
        curl_multi_remove_handle(l.multi, easy);
        curl_easy_cleanup(easy);
        l.running--;
    }
}

static void start(const char *url, const char *ca, struct line *cut)
{
    static struct curl_slist *headers;
    CURL *e = curl_easy_init();
    if (headers == NULL) {
        headers = curl_slist_append(NULL, "Content-Type: application/json");
        headers = curl_slist_append(headers, "Authorization: Bearer bench");
    }
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_POSTFIELDS, BODY);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, cut);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    if (ca != NULL)
        curl_easy_setopt(e, CURLOPT_CAINFO, ca);
    curl_multi_add_handle(l.multi, e);
    l.running++;
}

/* One pass over what is ready. Returns how long it worked. */
static int64_t step(void)
{
    struct epoll_event ev[64];
    int running;
    int64_t wait = l.timer < 0 ? -1 : l.timer - now();
    int n = epoll_wait(l.epoll, ev, 64,
                       l.timer < 0 ? -1
                       : wait <= 0 ? 0
                                   : (int)((wait + 999) / 1000));
    int64_t began = now();
    for (int i = 0; i < n; i++)
        curl_multi_socket_action(
            l.multi, ev[i].data.fd,
            (ev[i].events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                (ev[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0),
            &running);
    if (l.timer >= 0 && l.timer <= began) {
        l.timer = -1;
        curl_multi_socket_action(l.multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    reap();
    return now() - began;
}

int main(int argc, char **argv)
{
    int64_t worst = 0;
    if (argc < 3)
        return 2;
    const char *url = argv[2];
    bool twice = strcmp(argv[1], "twice") == 0;
    long streams = twice || argc < 4 ? 1 : atol(argv[3]);
    struct line *cuts = calloc((size_t)streams, sizeof *cuts);
    int64_t linked = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (strcmp(argv[1], "pieces") == 0) {
        printf("linked %lld init %lld\n", (long long)linked,
               (long long)(read_clock(CLOCK_PROCESS_CPUTIME_ID) - linked));
        return 0;
    }
    l.multi = curl_multi_init();
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.timer = -1;
    if (cuts == NULL || l.multi == NULL)
        return 1;
    curl_multi_setopt(l.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(l.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    int64_t took[2] = {0};
    for (int i = 0; i < (twice ? 2 : 1); i++) {
        int64_t began = now();
        for (long k = 0; k < streams; k++)
            start(url, twice && argc > 3 ? argv[3] : NULL, &cuts[k]);
        while (l.running > 0) {
            int64_t us = step();
            if (us > worst)
                worst = us;
        }
        took[i] = now() - began;
    }
    if (twice) {
        printf("first %lld second %lld\n", (long long)took[0],
               (long long)took[1]);
        return 0;
    }
    printf("events %ld worst %lld", l.events, (long long)worst);
    if (l.latency.count > 0)
        printf(" p50 %.0f p99 %.0f", histogram_quantile(&l.latency, 0.5),
               histogram_quantile(&l.latency, 0.99));
    printf("\n");
    free(cuts);
    return 0;
}
