/*
 * libxml.c - see libxml.h.
 */
#include "engine/libxml.h"

#include <stdbool.h>

#include "engine/os.h"

static os_once once = OS_ONCE;
static struct libxml lib;

static void load(void)
{
    void (*init)(void);
    void *handle = os_library(os_libxml, false,
                              "the libxml2 shared library, which reads pages, "
                              "cannot be loaded",
                              lib.reason, sizeof lib.reason);
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
        if (!os_symbol(handle, needed[i].name, needed[i].target))
            lib.error = "this libxml2 was built without its HTML parser or "
                        "its reader";
    /* the C library's, or that which libxml2 brings along */
    if (!os_symbol(handle, "iconv_open", &lib.iconv_open) ||
        !os_symbol(handle, "iconv", &lib.iconv) ||
        !os_symbol(handle, "iconv_close", &lib.iconv_close))
        lib.iconv_open = NULL;
    if (lib.error == NULL)
        init();
}

const struct libxml *libxml_load(void)
{
    os_run_once(&once, load);
    return &lib;
}
