/*
 * messages_scan_test.c - the scan of one event of Messages, and of the next one
 * by its shape, see scanning.h.
 */
#define _DEFAULT_SOURCE
#include "dialect/messages_scan.h"

#include "scanning.h"

#define BLOCK(rest)    "{\"type\":\"content_block_delta\"," rest "}"
#define DELTA(members) BLOCK("\"index\":0,\"delta\":{" members "}")
#define TEXT(string)   DELTA("\"type\":\"text_delta\",\"text\":" string)
#define THOUGHT(string)                                                        \
    DELTA("\"type\":\"thinking_delta\",\"thinking\":" string)

static const struct row PLAIN[] = {
    {"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
     "\"text_delta\",\"text\":\" word\"}            }",
     " word", NONE, NONE, NONE, NONE},
    {"{\"type\":\"content_block_delta\",\"index\":12,\"delta\":{\"type\":"
     "\"thinking_delta\",\"thinking\":\"Hm\"}  }",
     NONE, "Hm", NONE, NONE, NONE},
    {"{\"delta\":{\"text\":\"a\",\"type\":\"text_delta\"},\"index\":9999,"
     "\"type\":\"content_block_delta\"}",
     "a", NONE, NONE, NONE, NONE},
    {" \t\r\n{ \"type\" : \"content_block_delta\" , \"delta\" : { \"type\" : "
     "\"text_delta\" , \"text\" : \"a\" } } \r\n",
     "a", NONE, NONE, NONE, NONE},
    {BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}\t\r\n "), "a",
     NONE, NONE, NONE, NONE},
    {TEXT("\"\""), "", NONE, NONE, NONE, NONE},
    {THOUGHT("\"\""), NONE, "", NONE, NONE, NONE},
    {DELTA("\"type\":\"text_delta\",\"text\":\"a\",\"x\":null,\"x\":1,"
           "\"index\":7,\"estimated_tokens\":50"),
     "a", NONE, NONE, NONE, NONE},
    {BLOCK("\"error\":null,\"x\":\"y\",\"x\":1e5,\"text\":\"z\",\"delta\":{"
           "\"type\":\"text_delta\",\"text\":\"a\"},\"\":false"),
     "a", NONE, NONE, NONE, NONE},
    {"{\"type\":\"ping\"}", NONE, NONE, NONE, NONE, NONE},
    {"{\"x\":1, \"type\": \"ping\", \"index\":0 }", NONE, NONE, NONE, NONE,
     NONE},
    /* Escapes and bytes */
    {TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t", NONE, NONE,
     NONE, NONE},
    {TEXT("\"\\ud83d\\ude00\\u0041\\ud83d\""),
     "\xF0\x9F\x98\x80"
     "A\xED\xA0\xBD",
     NONE, NONE, NONE, NONE},
    {TEXT("\"}]}{[,:\xE3\x81\x82\xFF\x7F\""), "}]}{[,:\xE3\x81\x82\xFF\x7F",
     NONE, NONE, NONE, NONE},
};

static const char *const OTHER[] = {
    "",
    " ",
    "{",
    "}",
    "{}",
    "[]",
    "null",
    "[DONE]",
    /* another event */
    "{\"type\":null}",
    "{\"type\":\"message_stop\"}",
    "{\"type\":\"error\",\"error\":{\"type\":\"x\",\"message\":\"y\"}}",
    "{\"type\":\"ping\",\"delta\":{}}",
    "{\"type\":\"ping\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}",
    "{\"type\":\"ping\",\"type\":\"ping\"}",
    "{\"type\":\"ping\",\"error\":\"x\"}",
    "{\"type\":\"p\\u0069ng\"}",
    "{\"typ\\u0065\":\"ping\"}",
    "{\"type\":\"content_block_delta\"}",
    "{\"type\":\"content_block_delta\",\"index\":0}",
    "{\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}",
    BLOCK("\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\","
          "\"text\":\"a\"}"),
    BLOCK(
        "\"type\":\"ping\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}"),
    "{\"type\":\"content_block_start\",\"index\":0,\"delta\":{\"type\":"
    "\"text_delta\",\"text\":\"a\"}}",
    BLOCK("\"delta\":null"),
    BLOCK("\"delta\":[]"),
    BLOCK("\"delta\":\"a\""),
    BLOCK("\"delta\":{}"),
    BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"},\"delta\":{}"),
    BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"},\"error\":\"x\""),
    BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"},\"error\":{}"),
    BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"},\"usage\":{}"),
    BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"},\"x\":[]"),
    BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"},\"object\":"
          "\"error\""),
    /* another delta */
    DELTA("\"type\":\"text_delta\""),
    DELTA("\"text\":\"a\""),
    DELTA("\"type\":null,\"text\":\"a\""),
    DELTA("\"type\":\"text_delta\",\"thinking\":\"a\""),
    DELTA("\"type\":\"thinking_delta\",\"text\":\"a\""),
    DELTA("\"type\":\"thinking_delta\",\"thinking\":\"a\",\"text\":\"a\""),
    DELTA("\"type\":\"text_delta\",\"text\":\"a\",\"thinking\":\"a\""),
    DELTA("\"type\":\"text_delta\",\"text\":\"a\",\"thinking\":null"),
    DELTA("\"type\":\"text_delta\",\"type\":\"text_delta\",\"text\":\"a\""),
    DELTA("\"type\":\"thinking_delta\",\"type\":\"text_delta\",\"text\":\"a\""),
    DELTA("\"type\":\"text_delta\",\"text\":\"a\",\"text\":\"b\""),
    DELTA("\"type\":\"text_delta\",\"text\":null"),
    DELTA("\"type\":\"text_delta\",\"text\":1"),
    DELTA("\"type\":\"text_delta\",\"text\":{}"),
    DELTA("\"type\":\"text_delta\",\"text\":\"a\",\"x\":{}"),
    DELTA("\"type\":\"text_delta\",\"text\":\"a\",\"x\\n\":1"),
    DELTA("\"type\":\"text_delta\",\"t\\u0065xt\":\"a\""),
    DELTA("\"type\":\"text\\u005fdelta\",\"text\":\"a\""),
    DELTA("\"type\":\"input_json_delta\",\"partial_json\":\"a\""),
    DELTA("\"type\":\"input_json_delta\",\"text\":\"a\""),
    DELTA("\"type\":\"signature_delta\",\"signature\":\"a\""),
    DELTA("\"type\":\"citations_delta\",\"citation\":{}"),
    DELTA("\"type\":\"compaction_delta\",\"content\":\"a\""),
    /* indices */
    BLOCK("\"index\":-1,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}"),
    BLOCK("\"index\":0.0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}"),
    BLOCK("\"index\":01,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}"),
    BLOCK("\"index\":10000,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}"),
    BLOCK("\"index\":null,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}"),
    BLOCK("\"index\":0,\"index\":0,\"delta\":{\"type\":\"text_delta\","
          "\"text\":\"a\"}"),
    /* what is not JSON */
    TEXT("\"a\"") "}",
    TEXT("\"a\"") "{}",
    TEXT("\"a\"") "\v",
    TEXT("\"a\","),
    TEXT("\"a\"}"),
    TEXT("\"\n\""),
    TEXT("\"\\x\""),
    TEXT("\"a"),
    TEXT("a"),
    BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"} ,"),
    BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"} \v"),
    BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"},,\"x\":1"),
    "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\","
    "\"text\":\"a\"}",
    "\xEF\xBB\xBF" TEXT("\"a\""),
};

/* With blanks before the last brace. */
#define BLANKS(text, blanks)                                                   \
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"       \
    "\"text_delta\",\"text\":\"" text "\"}" blanks "}"

static const struct pair PAIRS[] = {
    {BLANKS("a", ""), BLANKS(" word", ""), true},
    {BLANKS("a", ""), BLANKS("", "      "), true},
    {BLANKS("a", "    "), BLANKS("\\n", ""), true},
    {BLANKS("a", "  "), BLANKS("b", "\t\r\n "), true},
    {BLANKS("a", "  "), BLANKS("b", "\v"), false},
    {BLANKS("a", "  "), BLANKS("b", " ,"), false},
    {BLANKS("a", "  "), BLANKS("b\"} ,\"x\":{\"y\":\"", ""), false},
    {BLANKS("a", ""), BLANKS("b", ",\"error\":1"), false},
    {BLANKS("a", ""), BLANKS("b\",\"text\":\"c", ""), false},
    {BLANKS("a", ""), THOUGHT("\"a\""), false},
    {BLANKS("a", ""),
     "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
     "\"text_delta\",\"text\":\"a\"}}",
     false},
    {THOUGHT("\"a\""), THOUGHT("\" b\""), true},
    {"{\"type\":\"ping\"}", "{\"type\":\"ping\"}", false},
    {"{\"delta\":{\"text\":\"a\",\"type\":\"text_delta\"},\"index\":0,"
     "\"type\":\"content_block_delta\"}",
     "{\"delta\":{\"text\":\"bc\",\"type\":\"text_delta\"},\"index\":0,"
     "\"type\":\"content_block_delta\" }",
     true},
};

/* What belongs to the same text of the same block has the same place, and
 * nothing else has. */
static void tells_places_apart(void)
{
    static const char *const APART[] = {
        BLOCK("\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}"),
        BLOCK("\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}"),
        BLOCK("\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}"),
        THOUGHT("\"a\""),
        BLOCK("\"index\":1,\"delta\":{\"type\":\"thinking_delta\","
              "\"thinking\":\"a\"}"),
    };

    check_apart(APART, SCANNING_COUNT(APART));
    CHECK(place_of(TEXT("\"a\"")) == place_of(BLANKS("b", " ")));
    CHECK(place_of(BLOCK("\"delta\":{\"type\":\"text_delta\",\"text\":"
                         "\"a\"}")) == PLACE_UNKNOWN);
    CHECK(place_of("{\"type\":\"ping\"}") == PLACE_ANY);
    test_case = "";
}

int main(void)
{
    SCANNING_BEGIN(messages_scan);
    RUN(tells_places_apart);
    return scanning_end();
}
