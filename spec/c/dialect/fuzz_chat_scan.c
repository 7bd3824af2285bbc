/*
 * fuzz_chat_scan.c - libFuzzer: chat_scan agrees with lua-cjson, see fuzzing.h.
 */
#define _DEFAULT_SOURCE
#include "dialect/chat_scan.h"

static const char CHECKER[] =
    "return function(text, said, to, finish, id, model, place)\n"
    "  local ok, top = pcall(decode, text)\n"
    "  if not ok then return top end\n"
    "  if place ~= 0 then return 'place' end\n"
    "  -- Where there are two texts, one is empty, and is not told.\n"
    "  local content = to == 'text' and said or nil\n"
    "  local reasoning = to == 'reasoning' and said or nil\n"
    "  local bad = only(top, {choices = true})\n"
    "  if bad then return bad end\n"
    "  for _, k in ipairs {'usage', 'error', 'x_groq', 'timings'} do\n"
    "    if value(top[k]) ~= nil then return k end\n"
    "  end\n"
    "  local o = value(top.object)\n"
    "  if o and o ~= '' and o ~= 'chat.completion.chunk' then return o end\n"
    "  if value(top.id) ~= id then return 'id' end\n"
    "  if value(top.model) ~= model then return 'model' end\n"
    "  if type(top.choices) ~= 'table' or #top.choices > 1 then\n"
    "    return 'choices'\n"
    "  end\n"
    "  local choice = top.choices[1] or {}\n"
    "  bad = only(choice, {delta = true})\n"
    "  if bad then return bad end\n"
    "  for _, k in ipairs {'logprobs', 'usage', 'message', 'error'} do\n"
    "    if value(choice[k]) ~= nil then return k end\n"
    "  end\n"
    "  if choice.index ~= nil and choice.index ~= 0 then return 'index' end\n"
    "  local plain = {stop = 1, length = 1, tool_calls = 1, [''] = 1}\n"
    "  local reason = value(choice.finish_reason)\n"
    "  if reason and not plain[reason] then return 'reason' end\n"
    "  if value(choice.finish_reason) ~= finish then return 'finish' end\n"
    "  local delta = value(choice.delta) or {}\n"
    "  local c = value(delta.content)\n"
    "  if c ~= content and (content or c ~= '') then return 'content' end\n"
    "  local a, b = value(delta.reasoning), value(delta.reasoning_content)\n"
    "  local r = a or b\n"
    "  if a and b or r ~= reasoning and (reasoning or r ~= '') then\n"
    "    return 'reasoning'\n"
    "  end\n"
    "  if (c or r) and not (content or reasoning) then return 'text' end\n"
    "  local known = {content = 1, reasoning = 1, reasoning_content = 1,\n"
    "    role = 1}\n"
    "  for k, v in pairs(delta) do\n"
    "    if value(v) ~= nil and (not known[k] or type(v) ~= 'string') then\n"
    "      return k\n"
    "    end\n"
    "  end\n"
    "end\n";

static const char HEAD[] = "{\"choices\":[{\"delta\":{\"content\":\"";
static const char TAIL[] = "\"}}]}";

static const char *const TOKENS[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    " ",
    "{\"choices\":[",
    "{\"index\":0,",
    "\"delta\":{",
    "}}]}",
    "}]}",
    "]}",
    "\"choices\":",
    "\"index\":",
    "\"delta\":",
    "\"content\":",
    "\"role\":",
    "\"reasoning\":",
    "\"reasoning_content\":",
    "\"refusal\":",
    "\"tool_calls\":",
    "\"finish_reason\":",
    "\"logprobs\":",
    "\"message\":",
    "\"usage\":",
    "\"error\":",
    "\"x_groq\":",
    "\"timings\":",
    "\"id\":",
    "\"model\":",
    "\"object\":",
    "\"created\":",
    "\"\":",
    "null",
    "true",
    "false",
    "0",
    "1",
    "-0",
    "1.5",
    "1e999",
    "-2E-3",
    "01",
    "\"\"",
    "\"a\"",
    "\"error\"",
    "\"stop\"",
    "\"chat.completion.chunk\"",
    "\"a longer string, of more than 16 bytes\"",
    "\"\\ud83d\"",
    "\"\\ude00\\n\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u0065rror\"",
    "\\ud83d",
    "\\ude00",
    "\\u0041",
    "\\\"",
    "\\\\",
    "\\u0000",
    "\xED\xA0\xBD",
    "\x7F",
    "\t",
    "\"obfuscation\":",
};

#define scanner chat_scan
#include "fuzzing.h"
