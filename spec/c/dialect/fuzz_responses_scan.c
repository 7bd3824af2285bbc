/*
 * fuzz_responses_scan.c - libFuzzer: responses_scan agrees with lua-cjson, see
 * fuzzing.h.
 */
#define _DEFAULT_SOURCE
#include "dialect/responses_scan.h"

static const char CHECKER[] =
    "local texts = {\n"
    "  ['response.output_text.delta'] = 'text',\n"
    "  ['response.refusal.delta'] = 'refusal',\n"
    "  ['response.reasoning_text.delta'] = 'reasoning',\n"
    "  ['response.reasoning_summary_text.delta'] = 'reasoning'}\n"
    "return function(text, said, to, finish, id, model, place)\n"
    "  local ok, top = pcall(decode, text)\n"
    "  if not ok then return top end\n"
    "  local bad = only(top, {logprobs = true})\n"
    "  if bad then return bad end\n"
    "  local logprobs = value(top.logprobs)\n"
    "  if logprobs ~= nil and (type(logprobs) ~= 'table'\n"
    "      or next(logprobs) ~= nil) then\n"
    "    return 'logprobs'\n"
    "  end\n"
    "  if value(top.error) ~= nil then return 'error' end\n"
    "  if finish or id or model then return 'more' end\n"
    "  if type(top.type) ~= 'string' or texts[top.type] ~= to then\n"
    "    return 'type'\n"
    "  end\n"
    "  if not said or top.delta ~= said then return 'delta' end\n"
    "  local item, content = top.output_index, top.content_index\n"
    "  local summary = top.summary_index\n"
    "  if not index_is(item) or not index_is(content)\n"
    "      or not index_is(summary) or content and summary then\n"
    "    return 'index'\n"
    "  end\n"
    "  if not item then return place ~= 1 and 'unknown' or nil end\n"
    "  local key = table.concat({top.type, item,\n"
    "    tostring(content or summary)}, ' ')\n"
    "  if not place_is(place, key) then return 'place' end\n"
    "end\n";

static const char HEAD[] =
    "{\"type\":\"response.output_text.delta\",\"delta\":\"";
static const char TAIL[] = "\"}";

static const char *const TOKENS[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    " ",
    "{\"type\":\"response.output_text.delta\",",
    "\"type\":\"response.reasoning_text.delta\",",
    "\"delta\":\"a\"",
    "\"}",
    "\"type\":",
    "\"delta\":",
    "\"item_id\":",
    "\"output_index\":",
    "\"content_index\":",
    "\"summary_index\":",
    "\"sequence_number\":",
    "\"obfuscation\":",
    "\"logprobs\":",
    "\"error\":",
    "\"response\":",
    "\"x\":",
    "\"\":",
    "null",
    "true",
    "false",
    "0",
    "1",
    "9999",
    "10000",
    "-0",
    "1.5",
    "1e999",
    "-2E-3",
    "01",
    "[]",
    "[ ]",
    "{}",
    "\"\"",
    "\"a longer string, of more than 16 bytes\"",
    "\"response.output_text.delta\"",
    "\"response.refusal.delta\"",
    "\"response.reasoning_summary_text.delta\"",
    "\"response.output_text.done\"",
    "\"\\ud83d\"",
    "\"\\ude00\\n\"",
    "\\u0041",
    "\\\"",
    "\\\\",
    "\x7F",
    "\t",
};

#define scanner responses_scan
#include "fuzzing.h"
