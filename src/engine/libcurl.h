/*
 * libcurl.h - libcurl, loaded when it is first needed.
 *
 * Loading libcurl and the TLS library behind it takes milliseconds, which a
 * host that only has `require "chatbot"` in its start-up must not pay. So
 * nothing is linked: the functions that the engine uses are looked up by
 * libcurl_load. This is the one place of the project with mutable static data:
 * what is filled once and nobody writes again.
 *
 * May be called from any thread. Knows nothing but libcurl's headers.
 */
#ifndef CHATBOT_LIBCURL_H
#define CHATBOT_LIBCURL_H

#include <curl/curl.h>

struct libcurl {
    const char *error; /* why it could not be loaded; NULL when it was */
    char reason[160];  /* the text of `error`, when the system gave it */
    unsigned int version_num;
    const char *version;     /* "7.88.1" */
    const char *ssl_version; /* "OpenSSL/3.0.11" */
    int features;            /* CURL_VERSION_* bits */
    const char *ca_info;     /* built-in CA bundle and directory, or NULL */
    const char *ca_path;

    __typeof__(&curl_easy_init) easy_init;
    __typeof__(&curl_easy_cleanup) easy_cleanup;
    __typeof__(&curl_easy_setopt) easy_setopt;
    __typeof__(&curl_easy_getinfo) easy_getinfo;
    __typeof__(&curl_easy_pause) easy_pause;
    __typeof__(&curl_easy_strerror) easy_strerror;
    __typeof__(&curl_slist_append) slist_append;
    __typeof__(&curl_slist_free_all) slist_free_all;
    __typeof__(&curl_multi_init) multi_init;
    __typeof__(&curl_multi_cleanup) multi_cleanup;
    __typeof__(&curl_multi_setopt) multi_setopt;
    __typeof__(&curl_multi_add_handle) multi_add_handle;
    __typeof__(&curl_multi_remove_handle) multi_remove_handle;
    __typeof__(&curl_multi_socket_action) multi_socket_action;
    __typeof__(&curl_multi_info_read) multi_info_read;
    __typeof__(&curl_multi_assign) multi_assign;
    __typeof__(&curl_multi_strerror) multi_strerror;
    __typeof__(&curl_share_init) share_init;
    __typeof__(&curl_share_setopt) share_setopt;
    __typeof__(&curl_share_cleanup) share_cleanup;
};

/* Loads libcurl and initialises it, once for the process. Never NULL; look at
 * `error`. libcurl is never unloaded and never cleaned up globally, because
 * the host may use it as well. */
const struct libcurl *libcurl_load(void);

#endif
