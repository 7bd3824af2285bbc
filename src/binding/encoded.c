/*
 * encoded.c - see encoded.h.
 *
 * The walk goes from a table into its values; what is around the value on top
 * stands below it, key by key, and tells the path where something is refused.
 * It only uses functions of Lua that never start a collection. More than 450
 * lines, because it is one walk.
 */
#include "binding/encoded.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "binding/binding.h"
#include "binding/json.h"
#include "parsing/schema.h"
#include "parsing/utf8.h"

#define LONG       1024               /* bytes of a string not to be copied */
#define MAX_VALUES (1 << 22)          /* a table that is shared counts anew */
#define MAX_TEXT   (256 * 1048576.0)  /* bytes of what encoded_push makes */
#define EXACT      9007199254740992.0 /* 2^53 */
#define MAX_GAPS   64  /* in a list that is marked, beyond its length */
#define SORTED     256 /* keys at most that are put in order */
#define SHOWN      40  /* bytes of a name in a message */

#define NO_LIST                                                                \
    "has numbers for keys, but is no list from 1 on without gaps (names are "  \
    "strings)"

static const char mark_key; /* registry: the metatable of encoded_mark */

/* A table that the walk is in, and where in it. */
struct level {
    const void *table;
    int index; /* of a list */
    int key;   /* of an object: where on the stack it is; 0: it is a list */
};

struct walk {
    const struct encoded_to *to;
    int place;
    size_t first; /* of the first string that is kept: its length as JSON */
    int values;
    int depth;
    struct level levels[JSON_DEPTH];
};

/* ---- what is refused ---- */

static bool is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789_-");
    return n > 0 && n <= SHOWN && s[n] == '\0';
}

/* Pushes how the value in the first `depth` levels is reached: a[2].b, or "it".
 * [-0, +1, m] */
static void push_path(lua_State *L, const struct walk *w, int depth)
{
    luaL_checkstack(L, 4, "JSON");
    lua_pushstring(L, depth == 0 ? "it" : "");
    for (int i = 0; i < depth; i++) {
        const struct level *level = &w->levels[i];
        if (level->key == 0) {
            lua_pushfstring(L, "[%d]", level->index);
        } else {
            const char *name = lua_tostring(L, level->key);
            lua_pushfstring(L, i > 0 ? ".%s" : "%s",
                            is_name(name) ? name : "(...)");
        }
        lua_concat(L, 2);
    }
}

/* Pushes the message that the value in so many levels is `what`, a format with
 * at most one %s. [-0, +1, m] */
static enum encoded_status refuse(lua_State *L, const struct walk *w, int depth,
                                  const char *what, const char *arg)
{
    push_path(L, w, depth);
    lua_pushliteral(L, " ");
    lua_pushfstring(L, what, arg);
    lua_concat(L, 3);
    return ENCODED_REFUSED;
}

/* The place in a list that the key on top is, or 0. [-0, +0, -] */
static double place_of(lua_State *L)
{
    if (lua_type(L, -1) != LUA_TNUMBER)
        return 0;
    double key = (double)lua_tonumber(L, -1);
    return key == floor(key) && key <= INT_MAX ? key : 0;
}

/* Refuses the table on top of which the key stands that it may not have beside
 * what else is in it. [-0, +1, m] */
static enum encoded_status refuse_key(lua_State *L, const struct walk *w,
                                      int depth)
{
    if (lua_type(L, -1) == LUA_TSTRING) {
        const char *name = lua_tostring(L, -1);
        return refuse(L, w, depth,
                      "is a list, but has the name '%s' in it as well",
                      is_name(name) ? name : "...");
    }
    double key =
        lua_type(L, -1) == LUA_TNUMBER ? (double)lua_tonumber(L, -1) : 0.5;
    if (key >= 1 && key == floor(key))
        return refuse(L, w, depth,
                      "has numbers for keys, but is no list from 1 on without "
                      "gaps (names are strings)",
                      "");
    return refuse(L, w, depth, "has a key that is a %s, not a string",
                  luaL_typename(L, -1));
}

/* ---- strings ---- */

static enum encoded_status add(const struct walk *w, const char *s)
{
    return body_add(w->to->body, s, strlen(s)) ? ENCODED_OK : ENCODED_MEMORY;
}

static bool is_beyond(const struct walk *w, size_t n)
{
    return (double)w->to->body->size + (double)n > w->to->max;
}

/* The length that is known of the long string at `i`, or 0. [-0, +0, -] */
static size_t known_length(lua_State *L, int i, const struct walk *w)
{
    size_t size = 0;
    if (w->place == 0 || w->first > 0 || !lua_istable(L, w->to->known))
        return 0;
    lua_rawgeti(L, w->to->known, 2 * w->place - 1);
    if (lua_rawequal(L, -1, i)) {
        lua_rawgeti(L, w->to->known, 2 * w->place);
        size = (size_t)lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return size;
}

/* Notes for the next time the first string that a message has kept, which is
 * string `n` of them all. [-0, +0, m] */
static void remember(lua_State *L, const struct walk *w, int n)
{
    const struct encoded_to *to = w->to;
    if (lua_isnil(L, to->known_now)) {
        lua_newtable(L);
        lua_replace(L, to->known_now);
    }
    lua_rawgeti(L, to->strings, n);
    lua_rawseti(L, to->known_now, 2 * w->place - 1);
    lua_pushnumber(L, (lua_Number)w->first);
    lua_rawseti(L, to->known_now, 2 * w->place);
}

static enum encoded_status add_replaced(const struct walk *w, const char *s,
                                        size_t n)
{
    struct utf8 utf8 = {.len = 0};
    struct bytes out;
    bytes_init(&out, SIZE_MAX);
    bool ok = utf8_feed(&utf8, s, n, &out) == BYTES_OK &&
              utf8_finish(&utf8, &out) == BYTES_OK &&
              body_quote(w->to->body, out.data, out.len);
    bytes_free(&out);
    return ok ? ENCODED_OK : ENCODED_MEMORY;
}

/* Adds the string at `i`, which is valid as far as that matters. [-0, +0, m] */
static enum encoded_status add_valid(lua_State *L, struct walk *w, int i,
                                     size_t size)
{
    const struct encoded_to *to = w->to;
    size_t n;
    const char *s = lua_tolstring(L, i, &n);
    if (n < LONG || to->strings == 0) {
        if (!body_quote(to->body, s, n))
            return ENCODED_MEMORY;
        return is_beyond(w, 0) ? ENCODED_LIMIT : ENCODED_OK;
    }
    if (size == 0)
        size = body_quoted_size(s, n);
    if (is_beyond(w, size))
        return ENCODED_LIMIT;
    lua_pushvalue(L, i);
    lua_rawseti(L, to->strings, (int)lua_rawlen(L, to->strings) + 1);
    if (!body_keep(to->body, s, n, size))
        return ENCODED_MEMORY;
    if (w->first == 0)
        w->first = size;
    return ENCODED_OK;
}

/* Adds the string at `i`. [-0, +(0|1), m] */
static enum encoded_status add_string(lua_State *L, struct walk *w, int i)
{
    size_t n, bad, size = 0;
    const char *s = lua_tolstring(L, i, &n);
    if (is_beyond(w, n))
        return ENCODED_LIMIT;
    if (n >= LONG)
        size = known_length(L, lua_absindex(L, i), w);
    if (size == 0 && w->to->invalid != ENCODED_AS_IT_IS &&
        (bad = utf8_invalid(s, n)) < n) {
        char byte[8];
        if (w->to->invalid == ENCODED_REPLACE)
            return add_replaced(w, s, n);
        snprintf(byte, sizeof byte, "0x%02X", (unsigned)(unsigned char)s[bad]);
        return refuse(L, w, w->depth, "is not valid UTF-8 (byte %s)", byte);
    }
    return add_valid(L, w, i, size);
}

/* ---- numbers ---- */

/* The locale's decimal point, of one byte or more, becomes a point. */
static void set_point(char *text)
{
    char *from = text + strspn(text, "-+0123456789e");
    size_t n = strcspn(from, "-+0123456789e");
    if (n > 0) {
        *from = '.';
        memmove(from + 1, from + n, strlen(from + n) + 1);
    }
}

/* Adds the number on top, in the fewest digits that read back as it.
 * [-0, +(0|1), m] */
static enum encoded_status add_number(lua_State *L, const struct walk *w)
{
    char text[64];
    lua_Number x = lua_tonumber(L, -1);
    if (lua_isinteger(L, -1)) {
        snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, -1));
    } else if (!isfinite(x)) {
        return refuse(L, w, w->depth, "is no number that JSON has (%s)",
                      isnan(x) ? "nan" : "inf");
    } else if (fabs((double)x) <= EXACT && x == floor((double)x)) {
        snprintf(text, sizeof text, "%.0f", (double)x);
    } else {
        int digits = 14;
        do {
            snprintf(text, sizeof text, "%.*g", digits, (double)x);
        } while (digits++ < 17 && (lua_Number)strtod(text, NULL) != x);
        set_point(text);
    }
    return add(w, text);
}

/* ---- tables ---- */

static enum encoded_status add_value(lua_State *L, struct walk *w,
                                     enum schema_place place);

/* Whether the value on top is this string. [-0, +0, -] */
static bool is_text(lua_State *L, const char *text)
{
    return lua_type(L, -1) == LUA_TSTRING &&
           strcmp(lua_tostring(L, -1), text) == 0;
}

/* Whether the type on top, of a schema, is that of arrays. [-0, +0, -] */
static bool is_array_type(lua_State *L)
{
    if (!lua_istable(L, -1))
        return is_text(L, "array");
    bool array = false, object = false;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        array = array || is_text(L, "array");
        object = object || is_text(L, "object");
        lua_pop(L, 1);
    }
    return array && !object;
}

/* The same of the schema on top. [-0, +0, -] */
static bool is_array_schema(lua_State *L)
{
    bool array = false;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_insert(L, -2); /* table, value, key */
        if (is_text(L, "type")) {
            lua_insert(L, -2);
            array = is_array_type(L);
            lua_insert(L, -2);
        }
        lua_remove(L, -2);
    }
    return array;
}

/* The length of the list on top, whose places are all taken; one that is marked
 * may have gaps, of null. -1: it is no such list, and a message is pushed.
 * [-0, +?, m] */
static int list_length(lua_State *L, const struct walk *w, bool marked)
{
    double length = 0, count = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        double key = place_of(L);
        if (key < 1) {
            refuse_key(L, w, w->depth);
            return -1;
        }
        length = key > length ? key : length;
        count++;
    }
    if (length <= (marked ? 2 * count + MAX_GAPS : count))
        return (int)length;
    refuse(L, w, w->depth, NO_LIST, "");
    return -1;
}

/* Adds the list on top. [-0, +?, m] */
static enum encoded_status add_list(lua_State *L, struct walk *w, bool marked,
                                    enum schema_place place)
{
    struct level *level = &w->levels[w->depth];
    int n = list_length(L, w, marked);
    if (n < 0)
        return ENCODED_REFUSED;
    w->depth++;
    level->key = 0;
    place = schema_inside(w->to->schemas, place, NULL);
    enum encoded_status status = add(w, "[");
    for (int i = 1; status == ENCODED_OK && i <= n; i++) {
        level->index = i;
        lua_rawgeti(L, -1, i);
        status = i > 1 ? add(w, ",") : ENCODED_OK;
        if (status == ENCODED_OK)
            status = add_value(L, w, place);
        if (status == ENCODED_OK)
            lua_pop(L, 1);
    }
    w->depth--;
    return status == ENCODED_OK ? add(w, "]") : status;
}

/* Adds the member with the key at `key` and the value on top, which is popped.
 * [-1, +?, m] */
static enum encoded_status add_member(lua_State *L, struct walk *w,
                                      enum schema_place place, int key,
                                      const char *before)
{
    w->levels[w->depth].key = key;
    w->depth++;
    enum encoded_status status = add(w, before);
    if (status == ENCODED_OK)
        status = add_string(L, w, key);
    if (status == ENCODED_OK)
        status = add(w, ":");
    if (status == ENCODED_OK)
        status = add_value(
            L, w, schema_inside(w->to->schemas, place, lua_tostring(L, key)));
    w->depth--;
    if (status == ENCODED_OK)
        lua_pop(L, 1);
    return status;
}

/* Whether the string at `a` comes before that at `b`. */
static bool is_before(lua_State *L, int a, int b)
{
    size_t n, m;
    const char *s = lua_tolstring(L, a, &n), *t = lua_tolstring(L, b, &m);
    int order = memcmp(s, t, n < m ? n : m);
    return order != 0 ? order < 0 : n < m;
}

/* Pushes the keys of the table on top in their order, as long as they are not
 * too many; how many, or -1 for one that is no string, which is refused.
 * [-0, +?, m] */
static int push_names(lua_State *L, const struct walk *w)
{
    int table = lua_gettop(L), n = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) { /* names, key, value */
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            refuse_key(L, w, w->depth);
            return -1;
        }
        if (n == SORTED || !lua_checkstack(L, 8)) {
            lua_settop(L, table);
            return 0;
        }
        int at = table + n + 1;
        while (at > table + 1 && is_before(L, table + n + 1, at - 1))
            at--;
        lua_pushvalue(L, -1); /* for lua_next; the first goes to its place */
        lua_insert(L, at);
        n++;
    }
    return n;
}

/* Adds the table on top, which has names or nothing, in the order of these: a
 * table has another order in another process, and what a service has cached of
 * a request is found by its bytes. [-0, +?, m] */
static enum encoded_status add_object(lua_State *L, struct walk *w,
                                      enum schema_place place)
{
    int table = lua_gettop(L);
    enum encoded_status status = ENCODED_OK;
    const char *before = "{";
    if (place == SCHEMA_ONE && is_array_schema(L))
        place = SCHEMA_ARRAY;
    int n = push_names(L, w);
    if (n < 0)
        return ENCODED_REFUSED;
    for (int i = 1; status == ENCODED_OK && i <= n; i++, before = ",") {
        lua_pushvalue(L, table + i);
        lua_rawget(L, table);
        status = add_member(L, w, place, table + i, before);
    }
    if (n == 0) {
        lua_pushnil(L);
        while (status == ENCODED_OK && lua_next(L, table)) {
            status = add_member(L, w, place, table + 1, before);
            before = ",";
        }
    }
    if (status != ENCODED_OK)
        return status;
    lua_settop(L, table);
    return add(w, *before == '{' ? "{}" : "}");
}

/* [-0, +0, -] */
static bool is_empty(lua_State *L)
{
    lua_pushnil(L);
    if (!lua_next(L, -2))
        return true;
    lua_pop(L, 2);
    return false;
}

void encoded_mark(lua_State *L)
{
    compat_getkey(L, &mark_key);
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        compat_setkey(L, &mark_key);
    }
    lua_setmetatable(L, -2);
}

/* Whether the table on top is marked to be a JSON text. [-0, +0, -] */
static bool is_marked(lua_State *L)
{
    if (!lua_getmetatable(L, -1))
        return false;
    compat_getkey(L, &mark_key);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* Adds the JSON text that the table on top stands for. [-0, +?, m] */
static enum encoded_status add_text(lua_State *L, const struct walk *w)
{
    size_t n = 0;
    lua_rawgeti(L, -1, 1);
    const char *s = lua_tolstring(L, -1, &n);
    if (n == 0 || utf8_invalid(s, n) < n)
        return refuse(L, w, w->depth, "is no JSON text", "");
    if (is_beyond(w, n))
        return ENCODED_LIMIT;
    if (!body_add(w->to->body, s, n))
        return ENCODED_MEMORY;
    lua_pop(L, 1);
    return ENCODED_OK;
}

/* Adds the table on top. [-0, +?, m] */
static enum encoded_status add_table(lua_State *L, struct walk *w,
                                     enum schema_place place)
{
    const void *table = lua_topointer(L, -1);
    luaL_checkstack(L, 6, "JSON"); /* a key, a value, and what looks at them */
    if (is_marked(L))
        return add_text(L, w);
    for (int i = 0; i < w->depth; i++)
        if (w->levels[i].table == table)
            return refuse(L, w, w->depth, "contains itself", "");
    if (w->depth == JSON_DEPTH)
        return refuse(L, w, 0, "is nested too deeply", "");
    w->levels[w->depth].table = table;
    bool marked = json_is_array(L, -1);
    if (marked || lua_rawlen(L, -1) > 0)
        return add_list(L, w, marked, place);
    return schema_is_list(place) && is_empty(L) ? add(w, "[]")
                                                : add_object(L, w, place);
}

/* Adds the value on top. After a failure there may be more on the stack, and on
 * top of it a message where something was refused. [-0, +?, m] */
static enum encoded_status add_value(lua_State *L, struct walk *w,
                                     enum schema_place place)
{
    if (w->values++ == MAX_VALUES)
        return refuse(L, w, 0, "has too many values", "");
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        return add_string(L, w, -1);
    case LUA_TNUMBER:
        return add_number(L, w);
    case LUA_TBOOLEAN:
        return add(w, lua_toboolean(L, -1) ? "true" : "false");
    case LUA_TTABLE:
        return is_beyond(w, 1) ? ENCODED_LIMIT : add_table(L, w, place);
    case LUA_TNIL:
        return add(w, "null");
    default:
        if (json_is_null(L, -1))
            return add(w, "null");
        return refuse(L, w, w->depth, "is a %s", luaL_typename(L, -1));
    }
}

/* As encoded_value. */
static enum encoded_status encode(lua_State *L, int i, int place,
                                  enum schema_place schema,
                                  const struct encoded_to *to)
{
    struct walk w;
    int top = lua_gettop(L);
    int kept = to->strings == 0 ? 0 : (int)lua_rawlen(L, to->strings);
    w.to = to; /* the levels are set when they are entered */
    w.place = place;
    w.first = 0;
    w.values = w.depth = 0;
    luaL_checkstack(L, 6, "JSON");
    lua_pushvalue(L, i);
    enum encoded_status status = add_value(L, &w, schema);
    if (status == ENCODED_REFUSED) {
        lua_replace(L, top + 1);
        top++;
    }
    lua_settop(L, top);
    if (status == ENCODED_OK && place > 0 && w.first > 0)
        remember(L, &w, kept + 1);
    return status;
}

enum encoded_status encoded_value(lua_State *L, int i, int place,
                                  const struct encoded_to *to)
{
    return encode(L, i, place, SCHEMA_DATA, to);
}

enum encoded_status encoded_field(lua_State *L, int i, const char *name,
                                  const struct encoded_to *to)
{
    return encode(L, i, 0, schema_inside(to->schemas, SCHEMA_BODY, name), to);
}

/* ---- bodies ---- */

static const struct binding_type body_type = {"chatbot.body"};

static int body_gc(lua_State *L)
{
    body_free(lua_touserdata(L, 1));
    return 0;
}

struct body *encoded_body(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", body_gc}, {NULL, NULL}};
    luaL_checkstack(L, 8, NULL);
    int top = lua_gettop(L);
    compat_getkey(L, &body_type);
    if (lua_isnil(L, -1))
        binding_type(L, &body_type, meta, meta + 1);
    lua_settop(L, top);
    struct body *body = binding_new(L, &body_type, sizeof *body, 0);
    body_init(body);
    return body;
}

/* As encoded_push. */
static bool push(lua_State *L, int i, enum schema_place schema)
{
    int top = lua_gettop(L);
    i = lua_absindex(L, i);
    if (!json_ready(L))
        return false;
    struct body *body = encoded_body(L);
    struct encoded_to to = {body, MAX_TEXT, ENCODED_AS_IT_IS, 0, 0, 0, NULL};
    enum encoded_status status = encode(L, i, 0, schema, &to);
    if (status == ENCODED_OK)
        lua_pushlstring(L, body->text.data, body->text.len);
    else if (status == ENCODED_LIMIT)
        lua_pushliteral(L, "it is too large");
    else if (status == ENCODED_MEMORY)
        lua_pushliteral(L, "not enough memory");
    body_free(body);
    lua_replace(L, top + 1);
    return status == ENCODED_OK;
}

bool encoded_push(lua_State *L, int i)
{
    return push(L, i, SCHEMA_DATA);
}

bool encoded_push_schema(lua_State *L, int i)
{
    return push(L, i, SCHEMA_ONE);
}
