/*
 * html.h - an HTML page as a Lua table, and text of any charset as UTF-8.
 *
 * What of a page is worth reading is not decided here but in Lua.
 */
#ifndef CHATBOT_HTML_H
#define CHATBOT_HTML_H

#include "binding/compat.h"

/* html(utf8) -> the document, or nil and a message. An element is a table: its
 * `tag` in lower case, its `attr`, and in its array part what is in it, in
 * order: strings and elements. */
int html_parse(lua_State *L);

/* to_utf8(bytes, charset) -> text, how many U+FFFD stand for what it is not; or
 * nil and a message when the charset is not known here. */
int html_to_utf8(lua_State *L);

#endif
