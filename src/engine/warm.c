/*
 * warm.c - see warm.h. The certificates are there when the listener hears the
 * first byte of the handshake, which it never answers.
 */
#include "engine/warm.h"

#include <stdio.h>

#include "engine/os.h"

#define KEEPS_CERTIFICATES 0x075700 /* libcurl 7.87.0 */
#define PASSES             20       /* two or three are needed */

/* Tells which descriptor curl connects with. */
static curl_socket_t on_open(void *arg, curlsocktype purpose,
                             struct curl_sockaddr *address)
{
    int *fd = arg, error;
    (void)purpose;
    *fd = os_socket(address->family, address->socktype, address->protocol,
                    &error);
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
    char url[64];
    unsigned port = 0;
    int fd = -1, peer = -1, running;
    if (curl->version_num < KEEPS_CERTIFICATES)
        return;
    int listener = os_listen(&port);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", port);
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
            peer = os_accept(listener);
        if (peer >= 0 && os_has_byte(peer))
            break;
    }
    curl->multi_remove_handle(multi, easy);
out:
    if (easy != NULL)
        curl->easy_cleanup(easy);
    if (peer >= 0)
        os_socket_close(peer);
    if (listener >= 0)
        os_socket_close(listener);
}
