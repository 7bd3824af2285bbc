/*
 * fetch.h - a GET of any URL through the engine, for those who want to read a
 * page and not to talk. It has no bot, no provider and never a key.
 */
#ifndef CHATBOT_FETCH_H
#define CHATBOT_FETCH_H

#include "binding/compat.h"

/* fetch(url [, options [, outside]]) -> a reply whose answer is {body, status,
 * content_type}; or nil and an error table. The options are those of a bot that
 * concern a request. A redirect is a failure that has a `location`, as the
 * server gave it, and `inside`: whether the server is this machine or in a
 * private network, nil when a proxy hides that. With `outside` no such server
 * is asked, by whatever name: that is a failure of the same kind, which has no
 * location. */
int fetch_start(lua_State *L);

#endif
