/*
 * chat_scan_test.c - the scan of one chunk, and of the next one by its shape.
 * What it accepts is in one table with the five strings it must find, what it
 * must refuse in another. Every input ends at a guard page; each beginning of a
 * good input must be refused.
 */
#define _DEFAULT_SOURCE
#include "dialect/chat_scan.h"

#include "scanning.h"

/* A chunk with `delta` as its delta. */
#define DELTA(delta) "{\"choices\":[{\"index\":0,\"delta\":" delta "}]}"

static const struct row PLAIN[] = {
    {"{\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":"
     "1741569952,\"model\":\"gpt-4.1\",\"service_tier\":\"default\","
     "\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":"
     "{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}],"
     "\"usage\":null,\"obfuscation\":\"x8Yq\"}",
     " word", NONE, NONE, "c-1", "gpt-4.1"},
    {"{\"choices\":[]}", NONE, NONE, NONE, NONE, NONE},
    {"{\"choices\":[{}]}", NONE, NONE, NONE, NONE, NONE},
    {" \t\r\n{ \"choices\" : [ { \"delta\" : { \"content\" : \"a\" , "
     "\"role\":\"assistant\" } , \"index\" : 0 } ] , \"id\" : \"i\" } \r\n",
     "a", NONE, NONE, "i", NONE},
    {"{\"choices\": [ ] }", NONE, NONE, NONE, NONE, NONE},
    {"{\"choices\":[{\"delta\":null}]}", NONE, NONE, NONE, NONE, NONE},
    {DELTA("{}"), NONE, NONE, NONE, NONE, NONE},
    {DELTA("{ }"), NONE, NONE, NONE, NONE, NONE},
    {DELTA("{\"content\":\"\"}"), "", NONE, NONE, NONE, NONE},
    {DELTA("{\"content\":null}"), NONE, NONE, NONE, NONE, NONE},
    {DELTA("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null,"
           "\"tool_calls\":null,\"function_call\":null,\"foo\":null}"),
     "", NONE, NONE, NONE, NONE},
    {DELTA("{\"role\":null,\"content\":\"x\"}"), "x", NONE, NONE, NONE, NONE},
    {DELTA("{\"role\":\"\",\"role\":\"\"}"), NONE, NONE, NONE, NONE, NONE},
    {DELTA("{\"reasoning_content\":\"hm\",\"content\":null}"), NONE, "hm", NONE,
     NONE, NONE},
    {DELTA("{\"reasoning\":\"hm\"}"), NONE, "hm", NONE, NONE, NONE},
    {DELTA("{\"reasoning\":\"hm\",\"reasoning_content\":null}"), NONE, "hm",
     NONE, NONE, NONE},
    {DELTA("{\"reasoning\":null,\"reasoning_content\":\"hm\"}"), NONE, "hm",
     NONE, NONE, NONE},
    {"{\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{},"
     "\"logprobs\":null,\"usage\":null,\"message\":null,\"error\":null,"
     "\"matched_stop\":7,\"native_finish_reason\":\"STOP\"}],\"usage\":null,"
     "\"error\":null,\"x_groq\":null,\"timings\":null}",
     NONE, NONE, "stop", NONE, NONE},
    {"{\"choices\":[{\"finish_reason\":\"\"}]}", NONE, NONE, "", NONE, NONE},
    {"{\"choices\":[{\"finish_reason\":\"tool_calls\"}]}", NONE, NONE,
     "tool_calls", NONE, NONE},
    {"{\"object\":\"\",\"id\":null,\"model\":null,\"choices\":[]}", NONE, NONE,
     NONE, NONE, NONE},
    {"{\"object\":null,\"id\":\"\",\"model\":\"\",\"choices\":[]}", NONE, NONE,
     NONE, "", ""},
    {"{\"choices\":[],\"a\":0,\"b\":-0,\"c\":-1.5e+10,\"d\":1E5,\"e\":0.25,"
     "\"f\":12e-3,\"g\":true,\"h\":false,\"i\":null,\"j\":\"x\",\"\":10,"
     "\"k\":1e999,\"k\":2}",
     NONE, NONE, NONE, NONE, NONE},
    /* Escapes */
    {DELTA("{\"content\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}"), "\"\\/\b\f\n\r\t",
     NONE, NONE, NONE, NONE},
    {DELTA("{\"content\":\"a\\u0041\\u00e9\\u3042\\uFFFF\\uABcdz\"}"),
     "aA\xC3\xA9\xE3\x81\x82\xEF\xBF\xBF\xEA\xAF\x8Dz", NONE, NONE, NONE, NONE},
    {DELTA("{\"content\":\"\\ud83d\\ude00\\uDBFF\\uDFFF\"}"),
     "\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF", NONE, NONE, NONE, NONE},
    {DELTA("{\"content\":\"\\ud83d\"}"), "\xED\xA0\xBD", NONE, NONE, NONE,
     NONE},
    {DELTA("{\"content\":\"\\ude00\\ud83d\"}"), "\xED\xB8\x80\xED\xA0\xBD",
     NONE, NONE, NONE, NONE},
    {DELTA("{\"content\":\"\\ud83d\\ud83d\\ude00\"}"),
     "\xED\xA0\xBD\xF0\x9F\x98\x80", NONE, NONE, NONE, NONE},
    {DELTA("{\"content\":\"\\ud83d\\n\\ud83dude00\"}"),
     "\xED\xA0\xBD\n\xED\xA0\xBDude00", NONE, NONE, NONE, NONE},
    {DELTA("{\"content\":\"\\\\ud83d\\\\\"}"), "\\ud83d\\", NONE, NONE, NONE,
     NONE},
    {"{\"choices\":[],\"id\":\"\\u0061b\",\"model\":\"x\\/y\"}", NONE, NONE,
     NONE, "ab", "x/y"},
    /* Bytes */
    {DELTA("{\"content\":\"\xE3\x81\x82\xF0\x9F\x98\x80\xFF\x7F\"}"),
     "\xE3\x81\x82\xF0\x9F\x98\x80\xFF\x7F", NONE, NONE, NONE, NONE},
    {DELTA("{\"content\":\"}]}{[,:\"}"), "}]}{[,:", NONE, NONE, NONE, NONE},
};

static const char *const OTHER[] = {
    "",
    " ",
    "{",
    "}",
    "{}",
    "[]",
    "null",
    "\"}",
    "[DONE]",
    "{\"choices\"}",
    "{\"choices\":}",
    "{\"choices\":[}",
    "{\"choices\":]}",
    "{\"choices\":null}",
    "{\"choices\":{}}",
    "{\"choices\":\"\"}",
    "{\"choices\":[]",
    "{\"choices\":[]}}",
    "{\"choices\":[]}{}",
    "{\"choices\":[]},}",
    "{\"choices\":[]}\v",
    "{\"choices\":[],}",
    "{,\"choices\":[]}",
    "{\"choices\":[],,\"a\":1}",
    "{\"choices\":[]\"a\":1}",
    "{\"choices\":[] \"a\"}",
    "{\"choices\" []}",
    "{\"choices\"::[]}",
    "{choices:[]}",
    "{'choices':[]}",
    "{\"choices\":[{}{}]}",
    "{\"choices\":[{},]}",
    "{\"choices\":[,{}]}",
    "{\"choices\":[null]}",
    "{\"choices\":[[]]}",
    "{\"choices\":[{\"delta\":{}}",
    "{\"choices\":[{\"delta\":{}",
    "{\"choices\":[{}",
    "\xEF\xBB\xBF{\"choices\":[]}",
    "\xC2\xA0{\"choices\":[]}",
    "/**/{\"choices\":[]}",
    /* meanings that are not plain */
    "{\"choices\":[{},{}]}",
    "{\"choices\":[],\"choices\":[]}",
    "{\"id\":\"a\",\"id\":\"a\",\"choices\":[]}",
    "{\"model\":\"a\",\"model\":null,\"choices\":[]}",
    "{\"id\":1,\"choices\":[]}",
    "{\"model\":{},\"choices\":[]}",
    "{\"object\":\"error\",\"choices\":[]}",
    "{\"object\":\"chat.completion\",\"choices\":[]}",
    "{\"object\":\"chat\\u002ecompletion.chunk\",\"choices\":[]}",
    "{\"object\":1,\"choices\":[]}",
    "{\"choices\":[],\"usage\":{}}",
    "{\"choices\":[],\"usage\":0}",
    "{\"choices\":[],\"error\":{}}",
    "{\"choices\":[],\"error\":\"x\"}",
    "{\"choices\":[],\"error\":false}",
    "{\"choices\":[],\"x_groq\":{\"id\":\"a\"}}",
    "{\"choices\":[],\"timings\":{}}",
    "{\"choices\":[],\"foo\":{}}",
    "{\"choices\":[],\"foo\":[]}",
    "{\"choices\":[{\"index\":1}]}",
    "{\"choices\":[{\"index\":00}]}",
    "{\"choices\":[{\"index\":0.0}]}",
    "{\"choices\":[{\"index\":-0}]}",
    "{\"choices\":[{\"index\":0e0}]}",
    "{\"choices\":[{\"index\":\"0\"}]}",
    "{\"choices\":[{\"index\":null}]}",
    "{\"choices\":[{\"delta\":{},\"delta\":{}}]}",
    "{\"choices\":[{\"delta\":[]}]}",
    "{\"choices\":[{\"delta\":\"\"}]}",
    "{\"choices\":[{\"finish_reason\":\"error\"}]}",
    "{\"choices\":[{\"finish_reason\":\"\\u0065rror\"}]}",
    "{\"choices\":[{\"finish_reason\":1}]}",
    "{\"choices\":[{\"finish_reason\":\"null\"}]}",
    "{\"choices\":[{\"finish_reason\":\"STOP\"}]}",
    "{\"choices\":[{\"finish_reason\":\"max_tokens\"}]}",
    "{\"choices\":[{\"finish_reason\":null,\"finish_reason\":null}]}",
    "{\"choices\":[{\"logprobs\":{}}]}",
    "{\"choices\":[{\"usage\":{}}]}",
    "{\"choices\":[{\"message\":{}}]}",
    "{\"choices\":[{\"message\":\"\"}]}",
    "{\"choices\":[{\"error\":\"x\"}]}",
    "{\"choices\":[{\"foo\":[]}]}",
    DELTA("{\"content\":\"a\",\"content\":\"b\"}"),
    DELTA("{\"content\":null,\"content\":\"b\"}"),
    DELTA("{\"content\":[]}"),
    DELTA("{\"content\":1}"),
    DELTA("{\"content\":{}}"),
    DELTA("{\"role\":1}"),
    DELTA("{\"reasoning\":\"a\",\"reasoning_content\":\"a\"}"),
    DELTA("{\"reasoning_content\":\"a\",\"reasoning\":\"a\"}"),
    DELTA("{\"content\":\"a\",\"reasoning\":\"b\"}"),
    DELTA("{\"reasoning\":\"b\",\"content\":\"a\"}"),
    DELTA("{\"reasoning\":null,\"reasoning\":null}"),
    DELTA("{\"reasoning\":[]}"),
    DELTA("{\"refusal\":\"no\"}"),
    DELTA("{\"tool_calls\":[]}"),
    DELTA("{\"function_call\":{}}"),
    DELTA("{\"foo\":\"\"}"),
    DELTA("{\"foo\":1}"),
    DELTA("{\"con\\u0074ent\":\"a\"}"),
    "{\"choi\\u0063es\":[],\"choices\":[]}",
    /* strings that are not */
    DELTA("{\"content\":\"\n\"}"),
    DELTA("{\"content\":\"\x01\"}"),
    DELTA("{\"content\":\"0123456789abcdef\x1F\"}"),
    DELTA("{\"content\":\"\t\"}"),
    DELTA("{\"con\ttent\":\"\"}"),
    DELTA("{\"content\":\"\\x\"}"),
    DELTA("{\"content\":\"\\\"}"),
    DELTA("{\"content\":\"\\u\"}"),
    DELTA("{\"content\":\"\\u12\"}"),
    DELTA("{\"content\":\"\\u123g\"}"),
    DELTA("{\"content\":\"\\U0041\"}"),
    DELTA("{\"content\":\"\\u+123\"}"),
    DELTA("{\"content\":\"a}"),
    "{\"choices\":[],\"a\":\"\\}",
    "{\"choices\":[],\"a\":\"\\u}",
    "{\"choices\":[],\"a\":\"\\u123}",
    "{\"choices\":[],\"a\":\"}",
    "{\"choices\":[],\"a}",
    "{\"choices\":[],\"}",
    /* numbers that are not */
    "{\"choices\":[],\"a\":01}",
    "{\"choices\":[],\"a\":-}",
    "{\"choices\":[],\"a\":-01}",
    "{\"choices\":[],\"a\":+1}",
    "{\"choices\":[],\"a\":1.}",
    "{\"choices\":[],\"a\":.5}",
    "{\"choices\":[],\"a\":1e}",
    "{\"choices\":[],\"a\":1e+}",
    "{\"choices\":[],\"a\":1.e5}",
    "{\"choices\":[],\"a\":0x10}",
    "{\"choices\":[],\"a\":1 2}",
    "{\"choices\":[],\"a\":NaN}",
    "{\"choices\":[],\"a\":Infinity}",
    "{\"choices\":[],\"a\":-inf}",
    "{\"choices\":[],\"a\":--1}",
    "{\"choices\":[],\"a\":1,5}",
    /* words that are not */
    "{\"choices\":[],\"a\":nul}",
    "{\"choices\":[],\"a\":nulll}",
    "{\"choices\":[],\"a\":Null}",
    "{\"choices\":[],\"a\":tru}",
    "{\"choices\":[],\"a\":truee}",
    "{\"choices\":[],\"a\":fals}",
    "{\"choices\":[],\"a\":n}",
    "{\"choices\":[],\"a\":t}",
};

static const struct pair PAIRS[] = {
    {DELTA("{\"content\":\" a\"}"), DELTA("{\"content\":\" word\"}"), true},
    {DELTA("{\"content\":\"a\"}"), DELTA("{\"content\":\"\"}"), true},
    {DELTA("{\"content\":\"\"}"), DELTA("{\"content\":\"a\"}"), true},
    {DELTA("{\"content\":\"a\"}"), DELTA("{\"content\":\"\\\"\"}"), true},
    {DELTA("{\"content\":\"a\"}"), DELTA("{\"content\":\"\\x\"}"), false},
    {DELTA("{\"content\":\"a\"}"), DELTA("{\"content\":\"b}"), false},
    {DELTA("{\"content\":\"a\"}"), DELTA("{\"content\":null}"), false},
    {DELTA("{\"content\":\"a\"}"),
     DELTA("{\"content\":\"a\",\"content\":\"b\"}"), false},
    {DELTA("{\"content\":\"a\"}"),
     DELTA("{\"role\":\"assistant\",\"content\":\"a\"}"), false},
    {DELTA("{\"reasoning\":\"a\"}"), DELTA("{\"reasoning\":\"b\"}"), true},
    {DELTA("{\"content\":\"\",\"reasoning\":\"a\"}"),
     DELTA("{\"content\":\"\",\"reasoning\":\"bc\"}"), true},
    {DELTA("{\"content\":\"\",\"reasoning\":\"a\"}"),
     DELTA("{\"content\":\"\",\"reasoning\":\"\"}"), true},
    {DELTA("{\"content\":\"x\",\"reasoning\":\"a\"}"),
     DELTA("{\"content\":\"x\",\"reasoning\":\"a\"}"), false},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"obfuscation\":"
     "\"x\"}",
     "{\"choices\":[{\"delta\":{\"content\":\"bc\"}}],\"obfuscation\":"
     "\"yz\\n\"}",
     true},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"obfuscation\":"
     "\"x\"}",
     "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"obfuscation\":\"x\","
     "\"error\":1}",
     false},
    {"{\"obfuscation\":\"x\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]"
     "}",
     "{\"obfuscation\":\"x\",\"choices\":[{\"delta\":{\"content\":\"b\"}}]"
     "}",
     true},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":"
     "\"stop\"}]}",
     "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":"
     "\"stop\"}]}",
     false},
    {"{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"\"}]"
     "}",
     "{\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"\"}]"
     "}",
     true},
};

/* Strings of all lengths, with what ends them at all places. */
static void reads_strings_of_any_length(void)
{
    static const char HEAD[] = "{\"choices\":[],\"id\":\"", TAIL[] = "\"}";
    const size_t head = sizeof HEAD - 1;
    char in[256];
    struct plain d;

    for (size_t n = 0; n < 100; n++) {
        size_t len = head + n + sizeof TAIL - 1;
        memcpy(in, HEAD, head);
        memset(in + head, 'x', n);
        memcpy(in + head + n, TAIL, sizeof TAIL - 1);
        CHECK(scan(in, len, &d) && d.id.n == n && !d.id.escaped);
        for (size_t k = 0; k < n; k++) {
            for (int c = 1; c < 256; c++) {
                if (k + 4 < n && k > 4 && c > 0x22 && c != '\\')
                    continue;
                in[head + k] = (char)c;
                bool good = c >= 0x20 && c != '"' && c != '\\';
                CHECK(scan(in, len, &d) == good);
                if (good)
                    CHECK(d.id.n == n);
            }
            in[head + k] = 'x';
        }
        for (size_t k = 0; k + 1 < n; k++) {
            memcpy(in + head + k, "\\n", 2);
            CHECK(scan(in, len, &d) && d.id.n == n && d.id.escaped);
            memcpy(in + head + k, "xx", 2);
        }
    }
}

int main(void)
{
    SCANNING_BEGIN(chat_scan);
    RUN(reads_strings_of_any_length);
    return scanning_end();
}
