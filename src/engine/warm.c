/*
 * warm.c - see warm.h. The certificates are there when the listener hears the
 * first byte of the handshake, which it never answers.
 */
#include "engine/warm.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEPS_CERTIFICATES 0x075700 /* libcurl 7.87.0 */
#define PASSES             20       /* two or three are needed */

/* Where it listens is written to `url`. -1 when it cannot be had. */
static int open_listener(char *url, size_t n)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        close(fd);
        return -1;
    }
    snprintf(url, n, "https://127.0.0.1:%u/", (unsigned)ntohs(at.sin_port));
    return fd;
}

/* Tells which descriptor curl connects with. */
static curl_socket_t on_open(void *arg, curlsocktype purpose,
                             struct curl_sockaddr *address)
{
    int *fd = arg;
    (void)purpose;
    *fd = socket(address->family, address->socktype, address->protocol);
    if (*fd >= 0)
        fcntl(*fd, F_SETFD, FD_CLOEXEC);
    return *fd;
}

static void set_options(const struct libcurl *curl, CURL *easy, const char *url,
                        int *fd)
{
    curl->easy_setopt(easy, CURLOPT_URL, url);
    curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(easy, CURLOPT_PROXY, "");
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fd);
}

void warm_tls(const struct libcurl *curl, CURLM *multi, struct ca_seen *seen)
{
    char url[64], byte;
    int fd = -1, peer = -1, running;
    if (curl->version_num < KEEPS_CERTIFICATES)
        return;
    int listener = open_listener(url, sizeof url);
    CURL *easy = curl->easy_init();
    if (listener < 0 || easy == NULL)
        goto out;
    set_options(curl, easy, url, &fd);
    ca_set(curl, seen, easy, NULL);
    if (curl->multi_add_handle(multi, easy) != CURLM_OK)
        goto out;
    for (int i = 0; i < PASSES; i++) {
        curl->multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
        if (fd >= 0)
            curl->multi_socket_action(multi, fd, CURL_CSELECT_OUT, &running);
        if (peer < 0)
            peer = accept(listener, NULL, NULL);
        if (peer >= 0 && recv(peer, &byte, 1, MSG_DONTWAIT) > 0)
            break;
    }
    curl->multi_remove_handle(multi, easy);
out:
    if (easy != NULL)
        curl->easy_cleanup(easy);
    if (peer >= 0)
        close(peer);
    if (listener >= 0)
        close(listener);
}
