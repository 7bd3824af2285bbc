-- Writes the first inputs of the fuzzers: lua spec/c/seeds/make.lua DIRECTORY
--
-- DIRECTORY/sse gets the bodies of recorded streams, DIRECTORY/chat_scan and those of the
-- other dialects their events, and all some that no server has sent. An input of fuzz_sse
-- begins with two bytes that choose the limit and the pieces; the others know `~` (the
-- inside of a string), `^` (a token for each byte), and more events behind the byte 1E.

local out = assert(arg[1], "usage: make.lua DIRECTORY")
local rows = dofile("spec/fixtures/wire/index.lua")
local KINDS = { "sse", "chat_scan", "responses_scan", "messages_scan" }
local counts = {}

local function write(kind, bytes)
  counts[kind] = counts[kind] + 1
  local file = assert(io.open(("%s/%s/%03d"):format(out, kind, counts[kind]), "wb"))
  assert(file:write(bytes))
  file:close()
end

for _, kind in ipairs(KINDS) do
  counts[kind] = 0
  os.execute(("mkdir -p '%s/%s'"):format(out, kind))
end

-- one event of each shape is enough
local seen = {}
local function shape(json)
  return (json:gsub('"[^":]*"([^:])', '""%1'):gsub("%d+", "0"))
end

for _, row in ipairs(rows) do
  local file = assert(io.open("spec/fixtures/wire/" .. row.file, "rb"))
  local body = file:read("*a"):match("\r?\n\r?\n(.*)") or ""
  file:close()
  if row.stream then
    local kind = (row.api or "chat") .. "_scan"
    write("sse", "\0\2" .. body:sub(1, 2000))
    local together = {}
    for data in body:gmatch("data: ?([^\r\n]+)") do
      if #data < 600 and #together < 5 then together[#together + 1] = data end
      if #data < 1500 and not seen[shape(data)] then
        seen[shape(data)] = true
        write(kind, data)
      end
    end
    write(kind, table.concat(together, "\30"))
  end
end

local LINES = {
  "data: a\n\n", "data: a\r\rdata: b\r\n\r\n", "\239\187\191data: a\n\n", ": comment\n\ndata\n\n",
  "data:a\ndata: b\ndata:  c\n\n", "event: error\ndata: {}\n\n", "error: {\"x\":1}\n\n",
  "id: 7\nid: a\0b\nretry: 12\nretry: x\ndata: \n\n", "event: x\n\ndata: y\n\n",
  "Data: a\n data: b\ndata\0: c\n\n", "data: \226\128\168\194\133\11\12\n\n", "data: [DONE]\n\n",
  "data: no end", "data: no end\n", "\n\n\r\r", "data: \255\254\n\n",
  "event:\n\ndata:\n\n\239\187\191",
  ("data: x\n"):rep(30) .. "\n", "data: " .. ("y"):rep(90) .. "\n\n",
}
for i, line in ipairs(LINES) do
  write("sse", "\0" .. string.char(i % 2) .. line)
  write("sse", string.char(i) .. "\1" .. line .. line)
end

local CHUNK = '{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":'
  .. '[{"index":0,"delta":{"role":"assistant",%s},"logprobs":null,"finish_reason":%s}]%s}'
for _, parts in ipairs {
  { '"content":""', "null", "" }, { '"content":null', '"stop"', "" },
  { '"content":"\\ud83d\\ude00\\n\\u0041"', "null", ',"usage":null' },
  { '"content":"\\ud83d"', "null", "" }, { '"content":"\\ude00"', '"length"', "" },
  { '"reasoning_content":"x"', "null", "" }, { '"reasoning":"x","content":"y"', "null", "" },
  { '"tool_calls":[{"index":0}]', '"tool_calls"', "" }, { '"refusal":"no"', "null", "" },
  { '"content":["a"]', "null", "" }, { '"content":"a","content":"b"', '"error"', "" },
  { '"content":"a"', "null", ',"error":{}' }, { '"content":"a"', "null", ',"x_groq":{"usage":{}}' },
} do
  write("chat_scan", CHUNK:format(parts[1], parts[2], parts[3]))
end
for _, text in ipairs {
  "", "{}", "[]", "{", '{"choices":[]}', '{"choices":[{}]}', '{"choices":null}', "nul", '"x"',
  '{"choices":[{"index":1,"delta":{"content":"a"}}]}', '{"choices":[{"index":-0,"delta":null}]}',
  '{"choices":[{"delta":{"content":"a"}},{"delta":{}}]}', '{"error":"x"}', '{"object":"error"}',
  '{"a":[[[[1e999,-0.5E+3,01]]]]}', '{"choices":[{"message":{"content":"a"}}]}',
  '{ "choices" : [ { "chat_scan" : { "content" : "a" } } ] } ', '{"a":"' .. ("x"):rep(40) .. '"}',
  "~plain", "~\\u00e4\\\"\\\\\\/\\b\\f\\n\\r\\t", "~\\ud83d\\ude00", "~\\ud83d\\ud83d", "~\\u12",
  "~\195\164\240\159\152\128\255", "~\0", "~" .. ("word "):rep(20), "~\\ud83dx\\ude00",
  "~a\30~b", "~a\30=\\n\30=", "~a\30=b\",\"role\":\"c", "~a\30~b\30=c\30{}\30=d",
  "^\8\9\10\28\45\11", "^\8\10\13\51\11", "^\0\14\5\2\12\2\1", "^\8\10\13\6\53\54\6\11",
} do
  write("chat_scan", text)
end

-- events that are, or are not, like the one before
local LIKE = '{"choices":[{"delta":{%s},"finish_reason":%s}]%s}\30'
for _, parts in ipairs {
  { '"content":"a"', "null", ',"obfuscation":"xy"' }, { '"content":"a"', '"stop"', "" },
  { '"content":"","reasoning":"a"', "null", ',"id":"i"' }, { '"content":"a"', '""', "" },
  { '"content":"a","reasoning":"b"', "null", "" }, { '"reasoning":"","content":"b"', "null", "" },
} do
  local event = LIKE:format(parts[1], parts[2], parts[3])
  write("chat_scan", event .. "=b\30#z\30=\\u0041\30" .. event .. "#\195\164\30=")
  write("chat_scan", event .. event:gsub("null", '"ab"') .. event:gsub('"a"', "null"))
end
write("chat_scan", '{"obfuscation":"x","choices":[{"delta":{"content":"a"}}]}\30=b\30#y\30=')

local RESPONSE = '{"type":"response.%s.delta","sequence_number":4,"item_id":"i","output_index":0,'
  .. '"content_index":0,"delta":"a","logprobs":[],"obfuscation":"xyz"}'
local BLOCK = '{"type":"content_block_delta","index":0,"delta":{"type":"%s_delta","%s":"a"}   }'
local events = {
  responses_scan = { RESPONSE:format "output_text", RESPONSE:format "refusal",
    RESPONSE:format "reasoning_text", RESPONSE:format "function_call_arguments",
    RESPONSE:format("reasoning_summary_text"):gsub("content_", "summary_"),
    RESPONSE:format("output_text"):gsub('"output_index":0,', ""),
    RESPONSE:format("output_text"):gsub("%[%]", '[{"token":"a"}]'),
    '{"delta":"a","type":"response.output_text.delta","error":null,"response":null,"x":1}' },
  messages_scan = { BLOCK:format("text", "text"), BLOCK:format("thinking", "thinking"),
    BLOCK:format("signature", "signature"), BLOCK:format("text", "thinking"),
    BLOCK:format("text", "text"):gsub('"index":0,', ""), '{"type":"ping"}',
    '{"delta":{"text":"a","type":"text_delta"},"index":1,"type":"content_block_delta",'
      .. '"error":null,"object":null,"x":1}' },
}
for _, kind in ipairs { "responses_scan", "messages_scan" } do
  for _, text in ipairs { "~plain", "~\\ud83d\\ude00", "~\\u12", "~\0", "~a\30~b\30=c",
    "^\8\10\28\30\11", "^\8\9\10\11\13\15" } do
    write(kind, text)
  end
  for _, event in ipairs(events[kind]) do
    write(kind, event)
    write(kind, event .. "\30=b\30=\\n\30#7\30#a\30$b\30$  \30=")
    write(kind, event .. "\30" .. event:gsub('"a"', '"b"') .. "\30" .. event:gsub("0", "1"))
  end
end

for _, kind in ipairs(KINDS) do print(("%d seeds for fuzz_%s"):format(counts[kind], kind)) end
