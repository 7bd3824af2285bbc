/*
 * fuzz_messages_scan.c - libFuzzer: messages_scan agrees with lua-cjson, see
 * fuzzing.h.
 */
#define _DEFAULT_SOURCE
#include "dialect/messages_scan.h"

static const char CHECKER[] =
    "local names = {text_delta = 'text', thinking_delta = 'thinking'}\n"
    "local texts = {text_delta = 'text', thinking_delta = 'reasoning'}\n"
    "return function(text, said, to, finish, id, model, place)\n"
    "  local ok, top = pcall(decode, text)\n"
    "  if not ok then return top end\n"
    "  local bad = only(top, {delta = true})\n"
    "  if bad then return bad end\n"
    "  if value(top.error) ~= nil then return 'error' end\n"
    "  if value(top.object) ~= nil then return 'object' end\n"
    "  if finish or id or model then return 'more' end\n"
    "  if top.type == 'ping' then\n"
    "    return (said or top.delta ~= nil or place ~= 0) and 'ping' or nil\n"
    "  end\n"
    "  local delta = top.delta\n"
    "  if top.type ~= 'content_block_delta' or type(delta) ~= 'table' then\n"
    "    return 'type'\n"
    "  end\n"
    "  bad = only(delta, {})\n"
    "  if bad then return bad end\n"
    "  if texts[delta.type] ~= to then return 'delta' end\n"
    "  if not said or delta[names[delta.type]] ~= said then return 'text' end\n"
    "  if delta.text ~= nil and delta.thinking ~= nil then return 'two' end\n"
    "  local index = top.index\n"
    "  if not index_is(index) then return 'index' end\n"
    "  if not index then return place ~= 1 and 'unknown' or nil end\n"
    "  if not place_is(place, to .. index) then return 'place' end\n"
    "end\n";

static const char HEAD[] =
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
    "\"text_delta\",\"text\":\"";
static const char TAIL[] = "\"}}";

static const char *const TOKENS[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    " ",
    "{\"type\":\"content_block_delta\",",
    "\"index\":0,",
    "\"delta\":{",
    "\"type\":\"text_delta\",",
    "\"type\":\"thinking_delta\",",
    "\"text\":\"a\"",
    "\"thinking\":\"a\"",
    "}}",
    "     }",
    "\"type\":",
    "\"delta\":",
    "\"index\":",
    "\"text\":",
    "\"thinking\":",
    "\"error\":",
    "\"object\":",
    "\"x\":",
    "\"\":",
    "null",
    "true",
    "0",
    "1",
    "9999",
    "10000",
    "-0",
    "1.5",
    "1e999",
    "01",
    "{}",
    "\"\"",
    "\"a longer string, of more than 16 bytes\"",
    "\"content_block_delta\"",
    "\"text_delta\"",
    "\"thinking_delta\"",
    "\"input_json_delta\"",
    "{\"type\":\"ping\"}",
    "\"ping\"",
    "\"message_stop\"",
    "\"\\ud83d\"",
    "\"\\ude00\\n\"",
    "\\u0041",
    "\\\"",
    "\\\\",
    "\x7F",
    "\t",
    "\r\n",
};

#define scanner messages_scan
#include "fuzzing.h"
