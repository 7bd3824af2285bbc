/*
 * html.c - see html.h.
 */
#include "page/html.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "binding/binding.h"
#include "engine/libxml.h"
#include "parsing/markup.h"

#define MAX_DEPTH MARKUP_DEPTH /* what is deeper is in its ancestor there */
#define MAX_TAGS  300000       /* of elements in a page */
#define WIDEST    4            /* bytes of UTF-8 that come of one at most */

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* What has to be freed however the reading ends. */
struct page {
    const struct libxml *xml;
    struct libxml_doc *doc;
    struct libxml_reader *reader;
};

static const struct binding_type page_type = {"chatbot.page"};

static int page_gc(lua_State *L)
{
    struct page *p = lua_touserdata(L, 1);
    if (p->reader != NULL)
        p->xml->free_reader(p->reader);
    if (p->doc != NULL)
        p->xml->free_doc(p->doc);
    p->reader = NULL;
    p->doc = NULL;
    return 0;
}

static void push_text(lua_State *L, const unsigned char *s)
{
    lua_pushstring(L, s == NULL ? "" : (const char *)s);
}

/* Pushes the table for the element that the reader is at. Those without
 * attributes share the table at `none`. [-0, +1, m] */
static void push_element(lua_State *L, const struct page *p, int none)
{
    lua_createtable(L, 0, 3); /* tag, attr, and one more of the caller's */
    push_text(L, p->xml->name(p->reader));
    lua_setfield(L, -2, "tag");
    bool more = p->xml->next_attribute(p->reader) == 1;
    if (more)
        lua_newtable(L);
    else
        lua_pushvalue(L, none);
    for (; more; more = p->xml->next_attribute(p->reader) == 1) {
        push_text(L, p->xml->name(p->reader));
        push_text(L, p->xml->value(p->reader));
        lua_rawset(L, -3);
    }
    p->xml->to_element(p->reader);
    lua_setfield(L, -2, "attr");
}

/* Puts the value on top behind the others in open[depth]. [-1, +0, m] */
static void append(lua_State *L, int open, int depth)
{
    lua_rawgeti(L, open, depth);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

/* Pushes the document and returns NULL, or why there is none. open[n] is the
 * element that what comes at depth n belongs to. [-0, +(0|1), m] */
static const char *push_document(lua_State *L, const struct page *p)
{
    lua_newtable(L);
    lua_newtable(L);
    int none = lua_gettop(L), open = none - 1, more;
    lua_newtable(L);
    lua_pushliteral(L, "#document");
    lua_setfield(L, -2, "tag");
    lua_pushvalue(L, none);
    lua_setfield(L, -2, "attr");
    lua_pushvalue(L, -1);
    lua_rawseti(L, open, 0);
    while ((more = p->xml->read(p->reader)) == 1) {
        int type = p->xml->type(p->reader), depth = p->xml->depth(p->reader);
        bool element = type == LIBXML_ELEMENT;
        if (depth > MAX_DEPTH) {
            if (element)
                continue;
            depth = MAX_DEPTH;
        }
        if (element)
            push_element(L, p, none);
        else if (type == LIBXML_TEXT || type == LIBXML_CDATA ||
                 type == LIBXML_SPACE)
            push_text(L, p->xml->value(p->reader));
        else
            continue;
        if (element && depth < MAX_DEPTH) {
            lua_pushvalue(L, -1);
            lua_rawseti(L, open, depth + 1);
        }
        append(L, open, depth);
    }
    return more == 0 ? NULL : "the page cannot be read";
}

/* Pages are rarely read: their type is created by the first. [-0, +0, m] */
static void create_type(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", page_gc}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{NULL, NULL}};
    compat_getkey(L, &page_type);
    if (lua_isnil(L, -1)) {
        binding_type(L, &page_type, meta, methods);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

int html_parse(lua_State *L)
{
    size_t n, tags = 0;
    const char *s = luaL_checklstring(L, 1, &n), *wrong;
    luaL_checkstack(L, 12, NULL);
    lua_settop(L, 1);
    create_type(L);
    struct page *p = binding_new(L, &page_type, sizeof *p, 0);
    p->xml = libxml_load();
    wrong = p->xml->error;
    if (wrong == NULL && n >= INT_MAX)
        wrong = "the page is too large";
    char *copy = lua_newuserdata(L, wrong == NULL ? n + 1 : 1);
    if (wrong == NULL) {
        n = markup_copy(s, n, copy, &tags);
        copy[n] = ' '; /* libxml2 takes no empty page */
        wrong = tags > MAX_TAGS ? "the page has too many elements" : NULL;
    }
    if (wrong == NULL) {
        p->doc =
            p->xml->parse_html(copy, (int)n + 1, NULL, "UTF-8", LIBXML_QUIETLY);
        if (p->doc != NULL)
            p->reader = p->xml->walk(p->doc);
        wrong = p->reader == NULL ? "the page cannot be read" : NULL;
    }
    if (wrong == NULL)
        wrong = push_document(L, p);
    lua_pushcfunction(L, page_gc); /* all of it goes now */
    lua_pushvalue(L, 2);
    lua_call(L, 1, 0);
    if (wrong == NULL)
        return 1;
    lua_pushnil(L);
    lua_pushstring(L, wrong);
    return 2;
}

/* Converts, and counts the places at which there is no character. The output
 * has room for all but what no charset makes. */
static size_t convert(const struct libxml *xml, void *cd, char *in, size_t left,
                      char **out, size_t room)
{
    size_t bad = 0;
    while (left > 0) {
        if (xml->iconv(cd, &in, &left, out, &room) != (size_t)-1)
            break;
        int e = errno;
        if (e == E2BIG || room < sizeof replacement)
            break;
        memcpy(*out, replacement, sizeof replacement - 1);
        *out += sizeof replacement - 1;
        room -= sizeof replacement - 1;
        bad++;
        if (e == EINVAL) /* the last character is cut */
            break;
        in++, left--;
    }
    xml->iconv(cd, NULL, NULL, out, &room);
    return bad;
}

int html_to_utf8(lua_State *L)
{
    size_t n;
    const char *s = luaL_checklstring(L, 1, &n);
    const char *charset = luaL_checkstring(L, 2);
    const struct libxml *xml = libxml_load();
    size_t room = n * WIDEST + sizeof replacement;
    void *const none = (void *)-1; /* so says iconv_open */
    void *cd = none;
    lua_settop(L, 2);
    char *buffer = lua_newuserdata(L, room), *end = buffer;
    if (xml->iconv_open != NULL)
        cd = xml->iconv_open("UTF-8", charset);
    if (cd == none) {
        lua_pushnil(L);
        if (xml->iconv_open == NULL && xml->error != NULL)
            lua_pushstring(L, xml->error);
        else
            lua_pushfstring(L, "the charset '%s' is not known here", charset);
        return 2;
    }
    /* nothing throws between here and iconv_close; iconv does not change what
     * it reads, whatever its prototype says */
    char *in;
    memcpy(&in, &s, sizeof in);
    size_t bad = convert(xml, cd, in, n, &end, room);
    xml->iconv_close(cd);
    lua_pushlstring(L, buffer, (size_t)(end - buffer));
    lua_pushinteger(L, (lua_Integer)bad);
    return 2;
}
