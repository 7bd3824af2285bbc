/*
 * libxml.h - the few functions of libxml2 that read a page, and the iconv
 * behind it, opened when first asked for, as libcurl is. Nothing of it is
 * needed to build the module, or by those who never read a page.
 *
 * The prototypes are those of the public API, with its structs opaque, so that
 * any libxml2 from 2.6 on will do. Knows nothing of Lua.
 */
#ifndef CHATBOT_LIBXML_H
#define CHATBOT_LIBXML_H

#include <stddef.h>

struct libxml_doc;
struct libxml_reader;

/* Types of nodes that the reader reports. */
enum {
    LIBXML_ELEMENT = 1,
    LIBXML_TEXT = 3,
    LIBXML_CDATA = 4,
    LIBXML_SPACE = 14
};

struct libxml {
    const char *error; /* static; NULL when all is there */
    char reason[256];  /* where `error` points when dlopen has failed */

    struct libxml_doc *(*parse_html)(const char *s, int n, const char *url,
                                     const char *encoding, int options);
    void (*free_doc)(struct libxml_doc *doc);

    struct libxml_reader *(*walk)(struct libxml_doc *doc);
    void (*free_reader)(struct libxml_reader *r);
    int (*read)(struct libxml_reader *r); /* 1: a node, 0: the end */
    int (*type)(struct libxml_reader *r);
    int (*depth)(struct libxml_reader *r);
    const unsigned char *(*name)(struct libxml_reader *r);
    const unsigned char *(*value)(struct libxml_reader *r);
    int (*next_attribute)(struct libxml_reader *r); /* 1: there is one */
    int (*to_element)(struct libxml_reader *r);

    /* NULL where there is no iconv of that name; iconv_t is a pointer */
    void *(*iconv_open)(const char *to, const char *from);
    size_t (*iconv)(void *cd, char **in, size_t *in_left, char **out,
                    size_t *out_left);
    int (*iconv_close)(void *cd);
};

/* What to tell parse_html: recover, say nothing, load nothing, the encoding is
 * the one that was given. It ends at a depth of 256. */
#define LIBXML_QUIETLY (1 | 1 << 5 | 1 << 6 | 1 << 11 | 1 << 21)

/* Never NULL; see `error`. */
const struct libxml *libxml_load(void);

#endif
