/*
 * citations.h - what a service says that an answer rests on, under one name for
 * each thing.
 */
#ifndef CHATBOT_CITATIONS_H
#define CHATBOT_CITATIONS_H

#include "dialect/answer.h"

/* Adds the annotation on top to env.citations, when it is one of a source:
 *   {type, url, title, start_index, end_index, file_id, filename, index,
 *    container_id, text}
 * as far as there is such a thing. What is cited may stand in a table that is
 * named as the type. Whether it was. [-0, +0, m] */
bool citations_take(lua_State *L, struct answer *a, int env);

/* The same of all in the list on top. [-0, +0, m] */
void citations_take_all(lua_State *L, struct answer *a, int env);

/* Takes what the table on top has of search results, or of addresses alone: a
 * list that comes with each event, and may grow. [-0, +0, m] */
void citations_sources(lua_State *L, struct answer *a, int env);

#endif
