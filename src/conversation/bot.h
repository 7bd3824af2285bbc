/*
 * bot.h - what is kept of a bot, and whether a reply of it is under way.
 *
 * A bot holds no connection, only what is needed to ask: in its environment
 * table, see shared.h. A key that is a string is kept in C,
 * where Lua cannot see it.
 */
#ifndef CHATBOT_BOT_H
#define CHATBOT_BOT_H

#include "binding/binding.h"

struct chatbot {
    char *key; /* the api_key that was given as a string, or NULL */
};

extern const struct binding_type chatbot_type;

/* The bot at 1, or an argument error. [-0, +0, e] */
struct chatbot *bot_check(lua_State *L);

/* Overwrites and frees the key. */
void bot_free_key(struct chatbot *b);

/* Whether a reply of the bot with this environment is under way. In a child
 * after fork, that of the parent is not. [-0, +0, e] */
bool bot_is_busy(lua_State *L, int env);

/* nil and an error table, for the bot with this environment. [-0, +2, m] */
int bot_return_busy(lua_State *L, int env);

#endif
