/*
 * responses_scan_test.c - the scan of one event of Responses, and of the next
 * one by its shape, see scanning.h.
 */
#define _DEFAULT_SOURCE
#include "dialect/responses_scan.h"

#include "scanning.h"

/* An event of type response.NAME with `rest`. */
#define EVENT(name, rest) "{\"type\":\"response." name "\"," rest "}"
#define TEXT(rest)        EVENT("output_text.delta", rest)
#define A                 "\"delta\":\"a\""

static const struct row PLAIN[] = {
    {"{\"type\":\"response.output_text.delta\",\"sequence_number\":4,"
     "\"item_id\":\"msg_0ee6\",\"output_index\":0,\"content_index\":0,"
     "\"delta\":\" word\",\"logprobs\":[],\"obfuscation\":\"x8Yq\"}",
     " word", NONE, NONE, NONE, NONE},
    {"{\"content_index\":0,\"delta\":\" word\",\"item_id\":\"msg_1\","
     "\"logprobs\":[],\"obfuscation\":\"\",\"output_index\":1,"
     "\"sequence_number\":14,\"type\":\"response.output_text.delta\"}",
     " word", NONE, NONE, NONE, NONE},
    {TEXT("\"item_id\":\"msg_1\",\"delta\":\"He\""), "He", NONE, NONE, NONE,
     NONE},
    {" \t\r\n{ \"delta\" : \"a\" , \"logprobs\" : [ ] , \"type\" : "
     "\"response.output_text.delta\" } \r\n",
     "a", NONE, NONE, NONE, NONE},
    {TEXT(A), "a", NONE, NONE, NONE, NONE},
    {TEXT("\"delta\":\"\""), "", NONE, NONE, NONE, NONE},
    {TEXT(A ",\"logprobs\":null,\"error\":null,\"item_id\":null,"
            "\"sequence_number\":null,\"obfuscation\":null,\"x\":null"),
     "a", NONE, NONE, NONE, NONE},
    {TEXT(A ",\"item_id\":7,\"obfuscation\":true,\"sequence_number\":-1.5e3"),
     "a", NONE, NONE, NONE, NONE},
    {TEXT(A ",\"output_index\":9999,\"summary_index\":12"), "a", NONE, NONE,
     NONE, NONE},
    {TEXT(A ",\"x\":1,\"x\":\"y\",\"\":false,\"sequence_number\":1,"
            "\"sequence_number\":2,\"logprobs\":[],\"logprobs\":null"),
     "a", NONE, NONE, NONE, NONE},
    {EVENT("refusal.delta", A ",\"output_index\":0"), "a", NONE, NONE, NONE,
     NONE},
    {EVENT("reasoning_text.delta", A ",\"item_id\":\"rs\""), NONE, "a", NONE,
     NONE, NONE},
    {EVENT("reasoning_summary_text.delta",
           "\"sequence_number\":5,\"item_id\":\"rs_1\",\"output_index\":0,"
           "\"summary_index\":0," A ",\"obfuscation\":\"ApV2LhVToAg\""),
     NONE, "a", NONE, NONE, NONE},
    /* Escapes and bytes */
    {TEXT("\"delta\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t", NONE,
     NONE, NONE, NONE},
    {TEXT("\"delta\":\"\\ud83d\\ude00\\u0041\\ud83d\""),
     "\xF0\x9F\x98\x80"
     "A\xED\xA0\xBD",
     NONE, NONE, NONE, NONE},
    {TEXT("\"delta\":\"}]}{[,:\xE3\x81\x82\xFF\x7F\""),
     "}]}{[,:\xE3\x81\x82\xFF\x7F", NONE, NONE, NONE, NONE},
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
    "{\"type\":\"response.output_text.delta\"}",
    "{" A "}",
    "{\"type\":null," A "}",
    "{\"type\":\"ping\"}",
    "{\"type\":\"error\"," A "}",
    /* another type */
    "{\"type\":\"response.completed\"," A "}",
    "{\"type\":\"response.output_text.done\"," A "}",
    "{\"type\":\"response.function_call_arguments.delta\"," A "}",
    "{\"type\":\"response.custom_tool_call_input.delta\"," A "}",
    "{\"type\":\"response.reasoning_summary_text.done\"," A "}",
    "{\"type\":\"response.output_text.delta \"," A "}",
    "{\"type\":\"response\\u002eoutput_text.delta\"," A "}",
    "{\"type\":\"response.output_text.delta\",\"type\":\"x\"," A "}",
    TEXT("\"type\":\"response.output_text.delta\"," A),
    "{\"typ\\u0065\":\"x\",\"type\":\"response.output_text.delta\"," A "}",
    /* another delta */
    TEXT("\"delta\":null"),
    TEXT("\"delta\":1"),
    TEXT("\"delta\":{}"),
    TEXT("\"delta\":[\"a\"]"),
    TEXT(A "," A),
    TEXT("\"d\\u0065lta\":\"a\""),
    TEXT(A ",\"x\\n\":\"a\""),
    /* what else would mean something */
    TEXT(A ",\"logprobs\":[{}]"),
    TEXT(A ",\"logprobs\":[1]"),
    TEXT(A ",\"logprobs\":{}"),
    TEXT(A ",\"logprobs\":0"),
    TEXT(A ",\"logprobs\":["),
    TEXT(A ",\"error\":\"x\""),
    TEXT(A ",\"error\":{}"),
    TEXT(A ",\"error\":false"),
    TEXT(A ",\"response\":{}"),
    TEXT(A ",\"x\":[]"),
    TEXT(A ",\"x\":{}"),
    /* indices */
    TEXT(A ",\"output_index\":-1"),
    TEXT(A ",\"output_index\":-0"),
    TEXT(A ",\"output_index\":0.0"),
    TEXT(A ",\"output_index\":1e1"),
    TEXT(A ",\"output_index\":01"),
    TEXT(A ",\"output_index\":00"),
    TEXT(A ",\"output_index\":10000"),
    TEXT(A ",\"output_index\":\"0\""),
    TEXT(A ",\"output_index\":null"),
    TEXT(A ",\"output_index\":"),
    TEXT(A ",\"output_index\":0,\"output_index\":0"),
    TEXT(A ",\"content_index\":true"),
    TEXT(A ",\"content_index\":0,\"content_index\":1"),
    TEXT(A ",\"content_index\":0,\"summary_index\":0"),
    TEXT(A ",\"summary_index\":[]"),
    /* what is not JSON */
    TEXT(A) "}",
    TEXT(A) "{}",
    TEXT(A) "\v",
    TEXT(A ","),
    TEXT("," A),
    TEXT(A "\"x\":1"),
    TEXT(A ",\"x\":01"),
    TEXT(A ",\"x\":nul"),
    TEXT(A ",\"sequence_number\":01"),
    TEXT(A ",\"sequence_number\":-"),
    TEXT(A ",\"sequence_number\":1."),
    TEXT(A ",\"obfuscation\":\"\t\""),
    TEXT(A ",\"item_id\":\"\\x\""),
    TEXT(A ",\"item_id\":\""),
    TEXT("\"delta\":\"\n\""),
    TEXT("\"delta\":\"\\u12\""),
    TEXT("\"delta\":\"a"),
    "\xEF\xBB\xBF" TEXT(A),
};

/* An event of the service, with a number, an id and padding. */
#define FULL(n, id, text, padding)                                             \
    TEXT("\"sequence_number\":" n ",\"item_id\":\"" id "\",\"output_index\":"  \
         "0,\"content_index\":0,\"delta\":\"" text "\",\"logprobs\":[],"       \
         "\"obfuscation\":\"" padding "\"")

static const struct pair PAIRS[] = {
    {FULL("9", "i", "a", "x"), FULL("10", "i", " word", "yz\\n"), true},
    {FULL("9", "i", "a", "x"), FULL("10", "another", "", ""), true},
    {FULL("9", "i", "a", ""), FULL("-1e5", "i", "\\\"\\ud83d", "\\u0041"),
     true},
    {FULL("9", "i", "a", "x"), FULL("10", "i", "\\x", "y"), false},
    {FULL("9", "i", "a", "x"), FULL("01", "i", "b", "y"), false},
    {FULL("9", "i", "a", "x"), FULL("", "i", "b", "y"), false},
    {FULL("9", "i", "a", "x"), FULL("9 ", "i", "b", "y"), false},
    {FULL("9", "i", "a", "x"), FULL("null", "i", "b", "y"), false},
    {FULL("9", "i", "a", "x"), FULL("9", "i", "b", "\t"), false},
    {FULL("9", "i", "a", "x"), FULL("9", "i", "b", "x\",\"error\":\"e"), false},
    {FULL("9", "i", "a", "x"), FULL("9", "i", "b", "x\",\"delta\":\"c"), false},
    {FULL("9", "i", "a", "x"), TEXT(A), false},
    {TEXT("\"output_index\":0," A), TEXT("\"output_index\":1," A), false},
    {TEXT("\"output_index\":0," A), TEXT("\"output_index\":0," A), true},
    /* it is known by its id alone */
    {TEXT("\"item_id\":\"i\"," A), TEXT("\"item_id\":\"i\"," A), true},
    {TEXT("\"item_id\":\"i\"," A), TEXT("\"item_id\":\"j\"," A), false},
    {EVENT("refusal.delta", A), EVENT("refusal.delta", "\"delta\":\"b\""),
     true},
    {EVENT("refusal.delta", A), TEXT("\"delta\":\"b\""), false},
    {EVENT("reasoning_text.delta", A),
     EVENT("reasoning_text.delta", "\"delta\":\"b\""), true},
    {"{" A ",\"sequence_number\":1,\"type\":\"response.output_text.delta\"}",
     "{\"delta\":\"longer\",\"sequence_number\":23,\"type\":"
     "\"response.output_text.delta\"}",
     true},
    /* more numbers than there are holes: the last stay as they are */
    {TEXT("\"sequence_number\":1,\"sequence_number\":2,\"sequence_number\":3,"
          "\"sequence_number\":4," A),
     TEXT("\"sequence_number\":9,\"sequence_number\":9,\"sequence_number\":9,"
          "\"sequence_number\":4," A),
     true},
    {TEXT("\"sequence_number\":1,\"sequence_number\":2,\"sequence_number\":3,"
          "\"sequence_number\":4," A),
     TEXT("\"sequence_number\":1,\"sequence_number\":2,\"sequence_number\":3,"
          "\"sequence_number\":9," A),
     false},
};

/* What belongs to the same text of the same item has the same place, and
 * nothing else has. */
static void tells_places_apart(void)
{
    static const char *const APART[] = {
        TEXT(A ",\"output_index\":0"),
        TEXT(A ",\"output_index\":1"),
        TEXT(A ",\"output_index\":9999"),
        TEXT(A ",\"output_index\":0,\"content_index\":0"),
        TEXT(A ",\"output_index\":0,\"content_index\":1"),
        TEXT(A ",\"output_index\":0,\"content_index\":9999"),
        TEXT(A ",\"output_index\":9999,\"content_index\":9999"),
        EVENT("refusal.delta", A ",\"output_index\":0"),
        EVENT("reasoning_text.delta", A ",\"output_index\":0"),
        EVENT("reasoning_summary_text.delta", A ",\"output_index\":0"),
    };

    check_apart(APART, SCANNING_COUNT(APART));
    CHECK(place_of(TEXT("\"item_id\":\"i\",\"output_index\":3," A)) ==
          place_of(TEXT("\"output_index\":3,\"delta\":\"b\",\"item_id\":"
                        "\"j\",\"sequence_number\":7")));
    CHECK(place_of(TEXT(A)) == PLACE_UNKNOWN);
    CHECK(place_of(TEXT(A ",\"content_index\":0")) == PLACE_UNKNOWN);
    test_case = "";
}

static void tells_refusals_from_text(void)
{
    struct plain p;
    const char *in = EVENT("refusal.delta", A);

    CHECK(scan(in, strlen(in), &p) && p.to == PLAIN_REFUSAL);
    in = TEXT(A);
    CHECK(scan(in, strlen(in), &p) && p.to == PLAIN_TEXT);
}

int main(void)
{
    SCANNING_BEGIN(responses_scan);
    RUN(tells_places_apart);
    RUN(tells_refusals_from_text);
    return scanning_end();
}
