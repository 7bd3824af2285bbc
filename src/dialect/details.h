/*
 * details.h - `reasoning_details`, which some services want back as they were:
 * a list whose items arrive in fragments, merged by index and type.
 *
 * While they arrive, env.details is the list, in which what comes in pieces is
 * a list of these, and env.detail_index maps type and index to a place in it.
 */
#ifndef CHATBOT_DETAILS_H
#define CHATBOT_DETAILS_H

#include "dialect/answer.h"

/* Merges the fragments in the list on top. [-0, +0, m] */
void details_take(lua_State *L, int env);

/* Joins the pieces. Pushes the list, or nil when there is none. [-0, +1, m] */
void details_finish(lua_State *L, struct answer *a, int env);

#endif
