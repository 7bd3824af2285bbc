/*
 * libcurl.c - see libcurl.h.
 */
#include "engine/libcurl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#ifdef __APPLE__
static const char *const names[] = {"libcurl.4.dylib", "libcurl.dylib",
                                    "/usr/lib/libcurl.4.dylib"};
#else
static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4",
                                    "libcurl.so"};
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct libcurl lib;

/* A function pointer cannot be cast from the object pointer that dlsym gives;
 * POSIX promises that the representations agree. */
static void look_up(void *handle, const char *name, void *target)
{
    void *symbol = dlsym(handle, name);
    if (symbol == NULL)
        lib.error = "libcurl is too old: a function is missing";
    memcpy(target, &symbol, sizeof symbol);
}

static void load(void)
{
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_version_info) version_info;
    void *handle = NULL;
    for (size_t i = 0; handle == NULL && i < sizeof names / sizeof *names;
         i++) {
        /* lazily: most of what a TLS library needs is never called */
        handle = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
        if (handle == NULL && i == 0) /* not there, or no descriptor for it */
            snprintf(lib.reason, sizeof lib.reason,
                     "the libcurl shared library cannot be loaded: %s",
                     dlerror());
    }
    if (handle == NULL) {
        lib.error = lib.reason;
        return;
    }
    look_up(handle, "curl_global_init", &global_init);
    look_up(handle, "curl_version_info", &version_info);
    look_up(handle, "curl_easy_init", &lib.easy_init);
    look_up(handle, "curl_easy_cleanup", &lib.easy_cleanup);
    look_up(handle, "curl_easy_setopt", &lib.easy_setopt);
    look_up(handle, "curl_easy_getinfo", &lib.easy_getinfo);
    look_up(handle, "curl_easy_pause", &lib.easy_pause);
    look_up(handle, "curl_easy_strerror", &lib.easy_strerror);
    look_up(handle, "curl_slist_append", &lib.slist_append);
    look_up(handle, "curl_slist_free_all", &lib.slist_free_all);
    look_up(handle, "curl_multi_init", &lib.multi_init);
    look_up(handle, "curl_multi_cleanup", &lib.multi_cleanup);
    look_up(handle, "curl_multi_setopt", &lib.multi_setopt);
    look_up(handle, "curl_multi_add_handle", &lib.multi_add_handle);
    look_up(handle, "curl_multi_remove_handle", &lib.multi_remove_handle);
    look_up(handle, "curl_multi_socket_action", &lib.multi_socket_action);
    look_up(handle, "curl_multi_info_read", &lib.multi_info_read);
    look_up(handle, "curl_multi_assign", &lib.multi_assign);
    look_up(handle, "curl_multi_strerror", &lib.multi_strerror);
    look_up(handle, "curl_share_init", &lib.share_init);
    look_up(handle, "curl_share_setopt", &lib.share_setopt);
    look_up(handle, "curl_share_cleanup", &lib.share_cleanup);
    if (lib.error != NULL)
        return;
    if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        lib.error = "libcurl could not be initialised";
        return;
    }
    const curl_version_info_data *info = version_info(CURLVERSION_NOW);
    lib.version_num = info->version_num;
    lib.version = info->version;
    lib.ssl_version = info->ssl_version;
    lib.features = info->features;
#if LIBCURL_VERSION_NUM >= 0x074600 /* headers of 7.70.0 */
    if (info->age >= CURLVERSION_SEVENTH) {
        lib.ca_info = info->cainfo;
        lib.ca_path = info->capath;
    }
#endif
    if (lib.version_num < 0x074400) /* 7.68.0, 2020 */
        lib.error = "libcurl is too old: 7.68.0 or later is needed";
}

const struct libcurl *libcurl_load(void)
{
    pthread_once(&once, load);
    return &lib;
}
