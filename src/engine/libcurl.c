/*
 * libcurl.c - see libcurl.h.
 */
#include "engine/libcurl.h"

#include "engine/os.h"

static os_once once = OS_ONCE;
static struct libcurl lib;

static void look_up(void *handle, const char *name, void *target)
{
    if (!os_symbol(handle, name, target))
        lib.error = "libcurl is too old: a function is missing";
}

static void load(void)
{
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_version_info) version_info;
    /* lazily: most of what a TLS library needs is never called */
    void *handle = os_library(os_libcurl, true,
                              "the libcurl shared library cannot be loaded",
                              lib.reason, sizeof lib.reason);
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
    os_run_once(&once, load);
    return &lib;
}
