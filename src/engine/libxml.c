/*
 * libxml.c - see libxml.h.
 */
#include "engine/libxml.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifdef __APPLE__
static const char *const names[] = {"/usr/lib/libxml2.2.dylib",
                                    "libxml2.2.dylib", "libxml2.dylib"};
#else
static const char *const names[] = {"libxml2.so.2", "libxml2.so.16",
                                    "libxml2.so"};
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct libxml lib;

/* As in libcurl.c. A NULL handle leaves NULL. */
static bool look_up(void *handle, const char *name, void *target)
{
    void *symbol = handle == NULL ? NULL : dlsym(handle, name);
    memcpy(target, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void load(void)
{
    void (*init)(void);
    void *handle = NULL;
    for (size_t i = 0; handle == NULL && i < sizeof names / sizeof *names;
         i++) {
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (handle == NULL && i == 0)
            snprintf(lib.reason, sizeof lib.reason,
                     "the libxml2 shared library, which reads pages, cannot be "
                     "loaded: %s",
                     dlerror());
    }
    if (handle == NULL) {
        lib.error = lib.reason;
        return;
    }
    const struct {
        const char *name;
        void *target;
    } needed[] = {
        {"xmlInitParser", &init},
        {"htmlReadMemory", &lib.parse_html},
        {"xmlFreeDoc", &lib.free_doc},
        {"xmlReaderWalker", &lib.walk},
        {"xmlFreeTextReader", &lib.free_reader},
        {"xmlTextReaderRead", &lib.read},
        {"xmlTextReaderNodeType", &lib.type},
        {"xmlTextReaderDepth", &lib.depth},
        {"xmlTextReaderConstName", &lib.name},
        {"xmlTextReaderConstValue", &lib.value},
        {"xmlTextReaderMoveToNextAttribute", &lib.next_attribute},
        {"xmlTextReaderMoveToElement", &lib.to_element},
    };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!look_up(handle, needed[i].name, needed[i].target))
            lib.error = "this libxml2 was built without its HTML parser or "
                        "its reader";
    /* the C library's, or that which libxml2 brings along */
    if (!look_up(handle, "iconv_open", &lib.iconv_open) ||
        !look_up(handle, "iconv", &lib.iconv) ||
        !look_up(handle, "iconv_close", &lib.iconv_close))
        lib.iconv_open = NULL;
    if (lib.error == NULL)
        init();
}

const struct libxml *libxml_load(void)
{
    pthread_once(&once, load);
    return &lib;
}
