-- Anthropic's Messages, as they arrive: what its events, and whole answers, become.

local batch = require "spec.support.batch"
local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local collect, http = bots.collect, support.http

-- ---- events ------------------------------------------------------------------

local START = '{"type":"message_start","message":{"id":"msg_1","type":"message",'
  .. '"role":"assistant","content":[],"model":"claude-x","stop_reason":null,"usage":%s}}'
local STOP = '{"type":"message_stop"}'

local function start(usage)
  return START:format(usage or '{"input_tokens":5,"output_tokens":1}')
end

local function opened(i, block)
  return ('{"type":"content_block_start","index":%d,"content_block":%s}'):format(i, block)
end

local function delta(i, what) return ('{"type":"content_block_delta","index":%d,"delta":%s}')
  :format(i, what) end

local function closed(i) return ('{"type":"content_block_stop","index":%d}'):format(i) end

local function text(i, s) return delta(i, '{"type":"text_delta","text":"' .. s .. '"}') end

local function thought(i, s)
  return delta(i, '{"type":"thinking_delta","thinking":"' .. s .. '"}')
end

local function signed(i, s)
  return delta(i, '{"type":"signature_delta","signature":"' .. s .. '"}')
end

local function input(i, s)
  return delta(i, '{"type":"input_json_delta","partial_json":"' .. s .. '"}')
end

local function cited(i, citation)
  return delta(i, '{"type":"citations_delta","citation":' .. citation .. "}")
end

local function finished(reason, more, usage)
  return ('{"type":"message_delta","delta":{"stop_reason":"%s","stop_sequence":null%s},"usage":%s}')
    :format(reason, more or "", usage or '{"output_tokens":9}')
end

local TEXT, THINKING = '{"type":"text","text":""}',
  '{"type":"thinking","thinking":"","signature":""}'

local function tool(id, name, fields)
  return ('{"type":"tool_use","id":"%s","name":"%s"%s}'):format(id, name, fields or ',"input":{}')
end

-- A block of one delta, or of more.
local function block(i, begins, ...)
  local out = { opened(i, begins), ... }
  out[#out + 1] = closed(i)
  return table.concat(out, "\n")
end

-- An answer: these events between the first one and the last ones.
local function answer(reason, ...)
  local out = { start(), ... }
  out[#out + 1] = finished(reason)
  out[#out + 1] = STOP
  return table.concat(out, "\n")
end

-- The forms in which servers name an event.
local forms = {
  ["with names"] = function(type, data) return ("event: %s\ndata: %s\n\n"):format(type, data) end,
  ["without names"] = function(_, data) return ("data: %s\n\n"):format(data) end,
  ["with names alone"] = function(type, data)
    return ("event: %s\ndata: %s\n\n"):format(type, (data:gsub('^{"type":"[%w_]+",?', "{", 1)))
  end,
}

local function stream(events, form)
  return (events:gsub("[^\n]+", function(data)
    return forms[form or "with names"](data:match '^{"type":"([%w_]+)"' or "message", data)
  end):gsub("\n\n\n+", "\n\n"))
end

-- ---- what is expected -----------------------------------------------------------

local function calls(reply)
  local out = {}
  for i, call in ipairs(reply.tool_calls or {}) do
    out[i] = call.id .. " " .. call["function"].name .. call["function"].arguments
  end
  return table.concat(out, " ")
end

-- What is wanted of a reply, or of the error; `native` are the items.
local function check(want, result, where)
  where = where .. ": " .. tostring(result.err)
  local got = result.err or result.reply
  assert.equal(want.kind, result.err and result.err.kind, where)
  for name, value in pairs(want) do
    local is = got[name]
    if name == "calls" then is = calls(got) end
    if name == "native" then is = got.message.native and got.message.native.items or false end
    if name == "usage" then
      is = {}
      for key in pairs(value) do is[key] = got.usage[key] end
    end
    assert.same(value, is, where .. ": " .. name)
  end
  if want.kind then return end
  assert.equal(want.text or "", got.text, where)
  assert.equal(want.reasoning, got.reasoning, where)
  assert.equal(want.calls or "", calls(got), where)
  assert.equal(want.refusal, got.refusal, where)
  if not want.citations then assert.is_nil(got.citations, where) end
  if want.native == nil then assert.is_nil(got.message.native, where) end
end

local BOT = { api = "messages" }

local function run(cases)
  for _, case in ipairs(cases) do
    it(case[1], function()
      local jobs, names = {}, {}
      local function add(pieces, name, pause)
        names[#names + 1] = name
        jobs[#jobs + 1] = { pieces = pieces, pause = pause, bot = BOT }
        for key, value in pairs(case[4] or {}) do jobs[#jobs][key] = value end
      end
      for form in pairs(forms) do
        local bytes, single, some = stream(case[2], form), {}, {}
        for c in bytes:gmatch "." do single[#single + 1] = c end
        for c in bytes:gsub("..?.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?", "%0\0"):gmatch "[^%z]+" do
          some[#some + 1] = c
        end
        add({ bytes }, form)
        if form == "with names" then add(single, form .. ", byte by byte", 0) end
        add(some, form .. ", in pieces")
      end
      for i, result in ipairs(batch.run(jobs)) do check(case[3], result, names[i]) end
    end)
  end
end

-- ---- the cases --------------------------------------------------------------------

describe("a stream of Messages", function()
  after_each(support.close_all)

  run {
    { "is text", answer("end_turn",
      block(0, TEXT, text(0, "Gr\\u00fc"), text(0, "\\u00dfe \\ud83c"),
      text(0, "\\udf89"))), { text = "Grüße 🎉", status = "complete", finish_reason = "end_turn",
      id = "msg_1", model = "claude-x", native = false } },
    { "joins its texts", answer("stop_sequence", block(0, TEXT, text(0, "a")),
      block(1, '{"type":"text","text":"b"}', text(1, "c"))),
      { text = "abc", status = "complete", finish_reason = "stop_sequence" } },
    { "has no half characters in common with the next block", answer("end_turn",
      block(0, TEXT, text(0, "a\\ud83c")), block(1, TEXT, text(1, "\\udf89"))),
      { text = "a\239\191\189\239\191\189" } },
    { "is a call", answer("tool_use", block(0, TEXT, text(0, "I look.")), block(1, tool("t1", "f"),
      input(1, ""), input(1, '{\\"a\\": '), input(1, '\\"\\u00e9\\"}'))),
      { text = "I look.", calls = 't1 f{"a": "é"}', status = "tool_calls",
        finish_reason = "tool_use" } },
    { "is several calls", answer("tool_use", block(0, tool("t1", "f"), input(0, "{}")),
      block(1, tool("t2", "g")), block(2, tool("t3", "h"), input(2, '{\\"x\\":[]}'))),
      { calls = 't1 f{} t2 g{} t3 h{"x":[]}', status = "tool_calls" } },
    { "is a call whose input came at once", answer("tool_use",
      block(0, tool("t1", "f", ',"input":{"a":[],"b":null}'))),
      { calls = 't1 f{"a":[],"b":null}', status = "tool_calls" } },
    { "is a call whose input came at once and again", answer("tool_use",
      block(0, tool("t1", "f", ',"input":{"a":1}'), input(0, '{\\"a\\":1}'))),
      { calls = 't1 f{"a":1}' } },
    { "is a call whose input is a text", answer("tool_use",
      block(0, tool("t1", "f", ',"input":"{\\"a\\":1}"'))), { calls = 't1 f{"a":1}' } },
    { "is a call although the reason is another", answer("end_turn",
      block(0, tool("t1", "f", ""), input(0, "{}"))), { calls = "t1 f{}", status = "tool_calls" } },
    { "is no call when there is none", answer("tool_use", block(0, TEXT, text(0, "a"))),
      { text = "a", status = "complete", finish_reason = "tool_use" } },
    { "stops its blocks at the end, as llama-server", answer("tool_use", opened(0, THINKING),
      thought(0, "h"), opened(1, TEXT), text(1, "a"), opened(2, tool("t1", "f", "")),
      input(2, '{\\"a\\"'), opened(3, tool("t2", "f", "")), input(3, "{}"), input(2, ":1}"),
      signed(0, ""),
      closed(0), closed(1), closed(2), closed(3)),
      { text = "a", reasoning = "h", calls = 't1 f{"a":1} t2 f{}', native = false } },
    { "has no indices", (answer("tool_use", block(0, TEXT, text(0, "a")), block(1, tool("t1", "f"),
      input(1, "{}")), block(2, tool("t2", "g"), input(2, '{\\"a\\":1}')))
      :gsub('"index":%d,', ""):gsub(',"index":%d', "")),
      { text = "a", calls = 't1 f{} t2 g{"a":1}' } },
    { "has odd indices", (answer("tool_use", block(0, TEXT, text(0, "a")), block(1, tool("t1", "f"),
      input(1, "{}")), block(2, tool("t2", "g"), input(2, '{\\"a\\":1}')))
      :gsub('"index":1', '"index":-7.5e300'):gsub('"index":2', '"index":{"a":[1]}')),
      { text = "a", calls = 't1 f{} t2 g{"a":1}' } },
    { "has one index for all", (answer("tool_use", block(0, TEXT, text(0, "a")),
      block(1, tool("t1", "f"), input(1, "{}")), block(2, tool("t2", "g"), input(2, "{}")))
      :gsub('"index":%d', '"index":0')), { text = "a", calls = "t1 f{} t2 g{}" } },
    { "has no starts", answer("end_turn", thought(0, "h"), signed(0, "S"), text(1, "a"), closed(1)),
      { text = "a", reasoning = "h" } },
    { "has deltas without a type", (answer("tool_use", block(0, TEXT, text(0, "a")),
      block(1, tool("t1", "f"), input(1, "{}")))
        :gsub('"delta":{"type":"[%w_]+_delta",', '"delta":{')),
      { text = "a", calls = "t1 f{}" } },
    { "brings what is not known", answer("end_turn", '{"type":"later","index":0}', opened(0, TEXT),
      delta(0, '{"type":"later_delta","text":"no","x":[{}]}'), text(0, "a"),
      '{"type":"ping"}', closed(0), closed(99)), { text = "a" } },
    { "has wrong types everywhere", answer("end_turn", '{"type":"message_start","message":7}',
      '{"type":"message_start","message":{"id":{},"model":[],"usage":"x"}}',
      '{"type":"content_block_start","index":"x","content_block":"x"}',
      '{"type":"content_block_start","index":{},"content_block":{"type":7,"text":{}}}',
      '{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":[1],'
        .. '"signature":{}}}', opened(1, '{"type":"text","text":7,"citations":{"a":1}}'),
      opened(2, '{"type":"text","text":"","citations":[7,"x",[]]}'), delta(2, "7"), delta(2, '"x"'),
      delta(2, '{"type":"text_delta","text":{}}'),
      delta(2, '{"type":"citations_delta","citation":7}'),
      delta(2, '{"type":"signature_delta","signature":"S"}'), input(2, "{}"),
      '{"type":"message_delta","delta":7,"usage":[]}', '{"type":"message_delta","usage":7}',
      '{"type":"message_delta","delta":{"stop_reason":{},"stop_details":7},'
        .. '"usage":{"output_tokens":'
        .. '"x"}}', '{"type":[]}', text(2, "a"), '{"type":"content_block_stop","index":{}}'),
      { text = "a", status = "complete" } },
    { "has a call without a name", answer("end_turn", block(0, TEXT, text(0, "a")),
      block(1, '{"type":"tool_use","id":"t1"}', input(1, "{}"))),
      { text = "a", status = "complete" } },
  }
end)

describe("the thoughts in Messages", function()
  after_each(support.close_all)

  run {
    { "are reasoning, a paragraph for each block", answer("end_turn", block(0, THINKING,
      thought(0, "h"), thought(0, "i"), signed(0, "S")), block(1, THINKING, thought(1, "j"),
      signed(1, "T")), block(2, TEXT, text(2, "a"))),
      { text = "a", reasoning = "hi\n\nj", native = {
        '{"type":"thinking","thinking":"hi","signature":"S"}',
        '{"type":"thinking","thinking":"j","signature":"T"}', '{"type":"text","text":"a"}' } } },
    { "are given back as they were, with the calls", answer("tool_use", block(0, THINKING,
      thought(0, '\\"\\/\\\\\\n\\u00fc'), thought(0, "\\u0007 \\ud83c"), thought(0, "\\udf89"),
      signed(0, "a+/=")), block(1, TEXT, text(1, "\\n\\n")), block(2, tool("t1", "f",
        ',"input":{},"caller":{"type":"direct","x":null,"l":[]}'), input(2, '{ \\"a\\":1.0}'))),
      { text = "\n\n", reasoning = '"/\\\nü\7 🎉', calls = 't1 f{ "a":1.0}', native = {
        '{"type":"thinking","thinking":"\\"/\\\\\\nü\\u0007 🎉","signature":"a+/="}',
        '{"type":"tool_use","id":"t1","name":"f","input":{ "a":1.0},'
          .. '"caller":{"type":"direct","x":null,"l":[]}}' } } },
    { "are given back when nothing is shown of them", answer("end_turn", block(0, THINKING,
      signed(0, "S")), block(1, '{"type":"redacted_thinking", "data": "abc=="}'),
      block(2, THINKING, thought(2, "h"), signed(2, "T")), block(3, THINKING, signed(3, "U")),
      block(4, TEXT, text(4, "a"))), { text = "a", reasoning = "h", native = {
        '{"type":"thinking","thinking":"","signature":"S"}',
        '{"type":"redacted_thinking", "data": "abc=="}',
        '{"type":"thinking","thinking":"h","signature":"T"}',
        '{"type":"thinking","thinking":"","signature":"U"}', '{"type":"text","text":"a"}' } } },
    { "are not, when nobody has signed them", answer("end_turn", block(0, THINKING, thought(0, "h"),
      signed(0, "")), block(1, TEXT, text(1, "a"))),
      { text = "a", reasoning = "h", native = false } },
    { "are left out beside what is given back, when nobody has signed them", answer("end_turn",
      block(0, THINKING, thought(0, "h")), block(1, '{"type":"redacted_thinking","data":"d"}'),
      block(2, TEXT, text(2, "a"))), { text = "a", reasoning = "h", native = {
        '{"type":"redacted_thinking","data":"d"}', '{"type":"text","text":"a"}' } } },
    { "may begin with something", answer("end_turn", block(0, '{"signature":"S","type":"thinking",'
      .. '"thinking":"h","more":[ 1 ]}', thought(0, "i")), block(1, TEXT, text(1, "a"))),
      { text = "a", reasoning = "hi", native = {
        '{"signature":"S","type":"thinking","thinking":"hi","more":[ 1 ]}',
        '{"type":"text","text":"a"}' } } },
    { "are not given back when the answer was cut", answer("max_tokens", block(0, THINKING,
      thought(0, "h"), signed(0, "S")), block(1, tool("t1", "f"), input(1, '{\\"a'))),
      { reasoning = "h", calls = 't1 f{"a', status = "length", native = false } },
    { "are not given back beside arguments that are no object", answer("tool_use",
      block(0, THINKING, thought(0, "h"), signed(0, "S")),
      block(1, tool("t1", "f"), input(1, "7"))),
      { reasoning = "h", calls = "t1 f7", status = "tool_calls", native = false } },
    { "are all that there is", answer("max_tokens", block(0, THINKING, thought(0, "h"),
      signed(0, "S"))), { reasoning = "h", status = "length" } },
    { "stand in an event whose keys are escaped", answer("end_turn",
      '{"type":"content_block_start","index":0,"content_b\\u006cock":' .. THINKING .. "}",
      thought(0, "h"), signed(0, "S"), closed(0), block(1, TEXT, text(1, "a"))),
      { text = "a", reasoning = "h", native = false } },
  }
end)

describe("what the service's own tools do", function()
  after_each(support.close_all)

  local RESULT = '{"type":"web_search_tool_result","tool_use_id":"s1","content":[{"type":'
    .. '"web_search_result","url":"https://a.example/","title":"A \\u00fc",'
    .. '"encrypted_content":"E==",'
    .. '"page_age":null, "n":[], "x":1.0}]}'
  local CITATION = '{"type":"web_search_result_location","cited_text":"Word.","url":'
    .. '"https://a.example/","title":"A","encrypted_index":"I=="}'
  local PAGE = '{"type":"page_location","cited_text":"P","document_index":0,"document_title":"D",'
    .. '"start_page_number":1,"end_page_number":2,"file_id":null}'
  local SEARCH = '{"type":"server_tool_use","id":"s1","name":"web_search","input":{}}'

  run {
    { "is given back as it was", answer("end_turn", block(0, SEARCH, input(0, ""),
      input(0, '{\\"query\\": '), input(0, '\\"x\\"}')), block(1, RESULT),
      block(2, TEXT, cited(2, CITATION), text(2, "a"), cited(2, PAGE)),
      block(3, TEXT, text(3, "b"))),
      { text = "ab", status = "complete", native = {
        '{"type":"server_tool_use","id":"s1","name":"web_search","input":{"query": "x"}}', RESULT,
        '{"type":"text","text":"a","citations":[' .. CITATION .. "," .. PAGE .. "]}",
        '{"type":"text","text":"b"}' },
        citations = { { type = "web_search_result_location", url = "https://a.example/",
          title = "A", text = "Word." },
          { type = "page_location", title = "D", text = "P", document_index = 0,
          start_page_number = 1,
            end_page_number = 2 } } } },
    { "may be no tool at all", answer("end_turn", block(0, '{"type":"compaction","content":null}',
      delta(0, '{"type":"compaction_delta","content":"s\\"um"}')), block(1, '{"type":"fallback",'
      .. '"from":{"model":"a"}}'), block(2, TEXT, text(2, "a"))), { text = "a", native = {
        '{"type":"compaction","content":"s\\"um"}', '{"type":"fallback","from":{"model":"a"}}',
        '{"type":"text","text":"a"}' } } },
    { "is not given back when it was cut", answer("end_turn", block(0, SEARCH, input(0, '{\\"q')),
      block(1, TEXT, text(1, "a"))), { text = "a", native = false } },
    { "becomes what can be sent",
      answer("end_turn", block(0, '{"type":"x","a":"\\ud83c\\u00e9","b":"\255"}'),
      block(1, TEXT, text(1, "a\255"))), { text = "a\239\191\189", native = {
        '{"type":"x","a":"\239\191\189\\u00e9","b":"\239\191\189"}',
        '{"type":"text","text":"a\239\191\189"}' } } },
    { "may stand in the citations that a text begins with", answer("end_turn", block(0,
      '{"type":"text","text":"","citations":[' .. CITATION .. "]}", text(0, "a"))), { text = "a",
      citations = { { type = "web_search_result_location", url = "https://a.example/",
        title = "A", text = "Word." } },
      native = { '{"type":"text","text":"a","citations":[' .. CITATION .. "]}" } } },
  }
end)

describe("the end of Messages", function()
  after_each(support.close_all)

  local A = block(0, TEXT, text(0, "a"))
  local OVERLOADED = '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},'
    .. '"request_id":null}'

  local cases = {
    { "is found although the connection stays open", answer("end_turn", A), { text = "a" },
      { ending = "open" } },
    { "is a refusal", table.concat({ start(), A, finished("refusal", ',"stop_details":{"type":'
      .. '"refusal","category":"cyber","explanation":"No."}'), STOP }, "\n"),
      { text = "a", refusal = "No.", status = "filtered", finish_reason = "refusal" } },
    { "is a refusal without a word", table.concat({ start(), finished("refusal",
      ',"stop_details":{"type":"refusal","category":null,"explanation":null}'), STOP }, "\n"),
      { status = "filtered" } },
    { "adds to the usage", table.concat({ start('{"input_tokens":5,"cache_read_input_tokens":20,'
      .. '"cache_creation_input_tokens":100,"output_tokens":1,"service_tier":"standard"}'), A,
      finished("end_turn", "", '{"output_tokens":9,"output_tokens_details":{"thinking_tokens":3}}'),
      STOP }, "\n"), { text = "a", usage = { prompt_tokens = 125, completion_tokens = 9,
      total_tokens = 134, cached_tokens = 20, cache_write_tokens = 100, reasoning_tokens = 3,
      input_tokens = 5, output_tokens = 9,
      prompt_tokens_details = { cached_tokens = 20, cache_write_tokens = 100 },
      completion_tokens_details = { reasoning_tokens = 3 } } } },
    { "counts the input again", table.concat({ start '{"input_tokens":5,"output_tokens":1}', A,
      finished("end_turn", "", '{"input_tokens":7,"cache_read_input_tokens":0,"output_tokens":9}'),
      STOP }, "\n"), { text = "a", usage = { prompt_tokens = 7, completion_tokens = 9,
      total_tokens = 16, cached_tokens = 0 } } },
    { "counts what is no count", table.concat({ start '{"input_tokens":-5,"output_tokens":1e300}',
      A, finished("end_turn", "", '{"output_tokens":2}'), STOP }, "\n"), { text = "a",
      usage = { completion_tokens = 2, output_tokens = 2 } } },
    { "has not come", table.concat({ start(), opened(0, TEXT), text(0, "a"), closed(0) }, "\n"),
      { kind = "truncated", partial = "a" } },
    { "has not come behind thoughts", table.concat({ start(), opened(0, THINKING),
      thought(0, "h") }, "\n"), { kind = "truncated" } },
    { "is told by a reason alone", table.concat({ start(), A, finished "end_turn" }, "\n"),
      { text = "a", status = "complete" } },
    { "is told by [DONE]", table.concat({ start(), A, "[DONE]" }, "\n"),
      { text = "a", status = "complete" } },
    { "is a failure behind text", table.concat({ start(), A, OVERLOADED }, "\n"),
      { kind = "api", partial = "a", type = "overloaded_error", message = "Overloaded",
        retryable = true } },
    { "is a failure that will not pass", table.concat({ start(), '{"type":"error","error":{"type":'
      .. '"invalid_request_error","message":"bad"}}' }, "\n"), { kind = "api", message = "bad",
      type = "invalid_request_error", retryable = false } },
    { "is a failure without more", table.concat({ start(), A, '{"type":"error"}' }, "\n"),
      { kind = "api", partial = "a" } },
    { "is a failure of llama-server", table.concat({ start(), A,
      '{"type":"server_error","code":500,"message":"bad"}' }, "\n"), { kind = "api", partial = "a",
      message = "bad", retryable = true } },
    { "is a reason that is a failure", answer("error", A), { kind = "api", partial = "a",
      code = "error" } },
  }
  for reason, status in pairs { max_tokens = "length", model_context_window_exceeded = "length",
    compaction = "complete", later = "complete", stop_sequence = "complete" } do
    cases[#cases + 1] = { "is " .. reason, answer(reason, A), { text = "a", status = status,
      finish_reason = reason } }
  end
  run(cases)

  it("is tried again after an overload before the first text", function()
    local function script(events)
      return http(200, { ["Content-Type"] = "text/event-stream", ["Retry-After-Ms"] = "10" },
        stream(events))
    end
    for _, early in ipairs { OVERLOADED, start() .. "\n" .. OVERLOADED,
      start() .. "\n" .. block(0, THINKING, thought(0, "h"), signed(0, "S")) .. "\n"
      .. OVERLOADED } do
      local server = support.serve { script(early), script(answer("end_turn",
        block(0, THINKING, thought(0, "i")), block(1, TEXT, text(1, "good")))) }
      local bot = bots.at(server, { api = "messages", max_retries = 2 })
      local said, reply = bot:chat "x"
      assert.equal("good", said, tostring(reply))
      assert.equal("i", reply.reasoning)
      assert.is_nil(reply.message.native)
      assert.equal(2, #server:requests())
    end
  end)

  it("is not tried again behind the first text", function()
    local server = support.serve { http(200, { ["Content-Type"] = "text/event-stream" },
      stream(table.concat({ start(), A, OVERLOADED }, "\n"))) }
    local _, err = bots.at(server, { api = "messages", max_retries = 2 }):chat "x"
    assert.equal("a", err.partial)
    assert.equal(1, #server:requests())
  end)
end)

describe("a whole answer of Messages", function()
  after_each(collect)

  local WHOLE = '{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":%s,'
    .. '"stop_reason":"%s","stop_sequence":null,"stop_details":%s,"usage":{"input_tokens":5,'
    .. '"cache_read_input_tokens":2,"output_tokens":9}}'

  local function ask(body, opts)
    local server = support.serve { http(200, { ["Content-Type"] = "application/json" }, body) }
    local all = { api = "messages", stream = false }
    for name, value in pairs(opts or {}) do all[name] = value end
    local said, reply = bots.at(server, all):chat "x"
    return { answer = said, err = not said and reply or nil, reply = said and reply or nil }
  end

  local function whole(content, reason, details)
    return WHOLE:format(content, reason or "end_turn", details or "null")
  end

  local THOUGHT = '{"type":"thinking","thinking":"h\\"","signature":"S"}'
  local CALL = '{"type":"tool_use","id":"t1","name":"f","input":{"a":[],"b":null,"c":1.0}}'
  local cases = {
    { "is text", whole '[{"type":"text","text":" a"},{"type":"text","text":"b\\n"}]',
      { text = "ab", status = "complete", id = "msg_1", model = "claude-x", usage = {
        prompt_tokens = 7, completion_tokens = 9, total_tokens = 16, cached_tokens = 2 } } },
    { "is all that a stream may be", whole("[" .. THOUGHT .. ', {"type":"redacted_thinking","data":'
      .. '"d"},' .. THOUGHT .. ',{"type":"text","text":"a","citations":null},' .. CALL
      .. ',{"type":"tool_use","id":"t2","name":"g","input":{}}]', "tool_use"),
      { text = "a", reasoning = 'h"\n\nh"', status = "tool_calls",
        calls = 't1 f{"a":[],"b":null,"c":1.0} t2 g{}', native = { THOUGHT,
          '{"type":"redacted_thinking","data":"d"}', THOUGHT,
          '{"type":"text","text":"a","citations":null}', CALL,
          '{"type":"tool_use","id":"t2","name":"g","input":{}}' } } },
    { "has citations", whole('[{"type":"text","text":"a"},{"type":"text","text":" "},'
      .. '{"type":"text","text":"b","citations":[{"type":"char_location","cited_text":"w",'
      .. '"document_index":1,"document_title":null,"start_char_index":0,"end_char_index":4}]}]'),
      { text = "a b", citations = { { type = "char_location", text = "w", document_index = 1,
        start_index = 0, end_index = 4 } }, native = { '{"type":"text","text":"a"}',
        '{"type":"text","text":"b","citations":[{"type":"char_location","cited_text":"w",'
          .. '"document_index":1,"document_title":null,'
          .. '"start_char_index":0,"end_char_index":4}]}' } } },
    { "is a text alone", whole '"a"', { text = "a" } },
    { "is refused", whole("[]", "refusal", '{"type":"refusal","explanation":"No."}'),
      { refusal = "No.", status = "filtered" } },
    { "has nothing in it", whole "[]", { status = "complete" } },
    { "has wrong types in it", whole('[7,"x",[],{"type":[]},{"type":"text","text":7},null,'
      .. '{"type":"thinking","thinking":{}},{"type":"text","text":"a"}]'), { text = "a" } },
    { "has gaps in it", whole('[null,null,null,null,null,{"type":"text","text":"a"}]'),
      { text = "a" } },
    { "is an error", '{"type":"error","error":{"type":"api_error","message":"bad"}}',
      { kind = "api", message = "bad", type = "api_error", retryable = true } },
    { "is none", '{"choices":[]}', { kind = "protocol" } },
    { "is none, and says why", '{"content":null,"message":"not here"}',
      { kind = "api", message = "not here" } },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      check(case[3], ask(case[2]), "asked for")
      check(case[3], ask(case[2], { stream = true }), "in place of a stream")
    end)
  end
end)

describe("the limit of an answer of Messages", function()
  after_each(collect)

  local function ask(events, max)
    local server = support.serve { http(200, { ["Content-Type"] = "text/event-stream" },
      stream(events)) }
    return bots.at(server, { api = "messages", max_answer_bytes = max }):chat "x"
  end

  for name, event in pairs {
    ["signatures"] = signed(0, ("S"):rep(90)), ["input"] = input(1, ("1"):rep(90)),
    ["input of the service's own tools"] = input(2, ("1"):rep(90)),
    ["blocks"] = opened(9, '{"type":"x","data":"' .. ("d"):rep(90) .. '"}'),
    ["citations"] = cited(3, '{"cited_text":"' .. ("c"):rep(90) .. '"}'),
    ["thoughts"] = thought(0, ("h"):rep(90)), ["texts"] = text(3, ("t"):rep(90)),
    ["texts that are begun with"] = opened(8, '{"type":"text","text":"' .. ("t"):rep(90) .. '"}'),
  } do
    it("counts " .. name, function()
      local events = { start(), opened(0, THINKING), opened(1, tool("t1", "f")),
        opened(2, '{"type":"server_tool_use","id":"s1","name":"x","input":{}}'), opened(3, TEXT) }
      for _ = 1, 40 do events[#events + 1] = event end
      events[#events + 1] = finished "end_turn"
      events[#events + 1] = STOP
      local said, err = ask(table.concat(events, "\n"), 3000)
      assert.is_nil(said)
      assert.equal("limit", err.kind)
      assert.truthy(ask(table.concat(events, "\n"), 100000))
    end)
  end
end)

describe("an answer of Messages that paused", function()
  after_each(collect)

  local SEARCH = '{"type":"server_tool_use","id":"s%d","name":"web_search","input":{}}'

  -- A part of an answer: a text, and what the service's own tool was asked.
  local function part(reason, word, number)
    return http(200, { ["Content-Type"] = "text/event-stream" }, stream(answer(reason,
      block(0, TEXT, text(0, word)), block(1, SEARCH:format(number), input(1, "{}")))))
  end

  local function bot_at(script, opts)
    local server = support.serve(script)
    opts = opts or {}
    opts.api, opts.max_retries = "messages", 0
    return bots.at(server, opts), server
  end

  it("goes on, and is one", function()
    local bot, server = bot_at { part("pause_turn", "a", 1), part("pause_turn", "b", 2),
      part("end_turn", "c", 3) }
    local reply, pieces = assert(bot:stream "x"), {}
    for piece in reply:chunks() do pieces[#pieces + 1] = piece end
    assert.equal("abc", table.concat(pieces))
    assert.equal("abc", reply.text)
    assert.same({ "complete", "end_turn" }, { reply.status, reply.finish_reason })
    local items = {}
    for i, word in ipairs { "a", "b", "c" } do
      items[#items + 1] = ('{"type":"text","text":"%s"}'):format(word)
      items[#items + 1] = SEARCH:format(i)
    end
    local messages = bot:get_messages()
    assert.same({ "user", "assistant" }, { messages[1].role, messages[2].role })
    assert.same({ 2, "abc", items }, { #messages, messages[2].content, messages[2].native.items })
    for i, request in ipairs(server:requests()) do
      local sent = request.json.messages
      assert.equal(math.min(i, 2), #sent)
      assert.equal(i > 1 and 2 * (i - 1) or nil, sent[2] and #sent[2].content)
    end
  end)

  it("is given back as one", function()
    local bot, server = bot_at { part("pause_turn", "a", 1), part("end_turn", "b", 2),
      part("end_turn", "c", 3) }
    assert.equal("ab", (bot:chat "x"))
    assert.equal("c", (bot:chat "y"))
    local sent = server:requests()[3].json.messages
    assert.same({ 3, 4 }, { #sent, #sent[2].content })
  end)

  it("has all of its parts in what is given back", function()
    local function thinking(words, sign)
      return block(0, '{"type":"thinking","thinking":"","signature":""}',
        ('{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta",'
          .. '"thinking":"%s"}}'):format(words),
        ('{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta",'
          .. '"signature":"%s"}}'):format(sign))
    end
    local function sends(reason, ...)
      return http(200, { ["Content-Type"] = "text/event-stream" }, stream(answer(reason, ...)))
    end
    local bot, server = bot_at({
      sends("pause_turn", thinking("one", "S1"), block(1, SEARCH:format(1), input(1, "{}"))),
      sends("tool_use", thinking("two", "S2"), block(1, TEXT, text(1, "a")),
        block(2, '{"type":"tool_use","id":"t1","name":"look","input":{}}', input(2, "{}"))),
      sends("end_turn", block(0, TEXT, text(0, "b"))) },
      { tools = { { name = "look", call = function() return "seen" end } } })
    assert.equal("b", (bot:chat "x"))
    assert.same({ '{"type":"thinking","thinking":"one","signature":"S1"}', SEARCH:format(1),
      '{"type":"thinking","thinking":"two","signature":"S2"}', '{"type":"text","text":"a"}',
      '{"type":"tool_use","id":"t1","name":"look","input":{}}' },
      bot:get_messages()[2].native.items)
    local sent = server:requests()[3].json.messages
    assert.same({ 5, "tool_result" }, { #sent[2].content, sent[3].content[1].type })
  end)

  it("keeps what there was once, where the rest of it fails", function()
    local bot = bot_at({ part("pause_turn", "a", 1),
      http(400, {}, { error = { message = "no" } }) }, { keep_partial = true })
    assert.is_nil((bot:chat "x"))
    assert.same({ { role = "user", content = "x" }, { role = "assistant", content = "a" } },
      bot:get_messages())
  end)

  it("is gone with the prompt where the rest of it fails", function()
    local bot = bot_at { part("pause_turn", "a", 1), http(400, {}, { error = { message = "no" } }) }
    local answer_, err = bot:chat "x"
    assert.is_nil(answer_)
    assert.same({ "http", "a" }, { err.kind, err.partial })
    assert.same({}, bot:get_messages())
  end)

  it("is asked for no more rounds than tools are", function()
    local bot, server = bot_at({ part("pause_turn", "a", 1), part("pause_turn", "b", 2),
      part("pause_turn", "c", 3) }, { max_tool_rounds = 2 })
    local answer_, reply = bot:chat "x"
    assert.same({ "abc", "pause_turn", 3 }, { answer_, reply.finish_reason, #server:requests() })
  end)

  it("goes on where on_text takes it", function()
    local taken, ended = {}, nil
    local bot = bot_at { part("pause_turn", "a", 1), part("end_turn", "b", 2) }
    local reply = assert(bot:stream("x",
      { on_text = function(piece) taken[#taken + 1] = piece end }))
    for _ = 1, 500 do
      chatbot.poll(0.01)
      ended = reply.status ~= "streaming"
      if ended then break end
    end
    assert.same({ true, "ab" }, { ended, table.concat(taken) })
  end)
end)

describe("a schema where Messages takes none", function()
  after_each(collect)

  local SCHEMA = { type = "object", properties = { city = { type = "string" } },
    required = { "city" } }
  local NAME = "answer_in_this_form"

  local function called(index, name)
    return ('{"type":"tool_use","id":"t%d","name":"%s","input":{}}'):format(index, name)
  end

  local function ask(script, opts)
    local server = support.serve(script)
    local bot = bots.at(server, { api = "messages", model = "claude-sonnet-4-0" })
    opts.schema = SCHEMA
    local taken = {}
    opts.on_text = function(piece) taken[#taken + 1] = piece end
    local reply = assert(bot:stream("x", opts))
    for _ = 1, 500 do
      if reply.status ~= "streaming" then break end
      chatbot.poll(0.01)
    end
    return bot, reply, server, table.concat(taken)
  end

  it("is a tool that must be called, and its arguments are the answer", function()
    local bot, reply, server, taken = ask({ http(200, { ["Content-Type"] = "text/event-stream" },
      stream(answer("tool_use", block(0, called(0, NAME), input(0, '{\\"city\\":'),
        input(0, '\\"Rome\\"}'))))) }, {})
    assert.same({ city = "Rome" }, reply.parsed)
    assert.same({ '{"city":"Rome"}', '{"city":"Rome"}', "complete" },
      { taken, reply.text, reply.status })
    assert.is_nil(reply.tool_calls)
    assert.same({ role = "assistant", content = '{"city":"Rome"}' }, bot:get_messages()[2])
    local sent = server:requests()[1].json
    assert.same({ type = "tool", name = NAME }, sent.tool_choice)
    assert.equal("string", sent.tools[1].input_schema.properties.city.type)
    assert.is_nil(sent.answer_tool)
  end)

  it("leaves the model the program's tools", function()
    local looked
    local _, reply, server = ask({
      http(200, { ["Content-Type"] = "text/event-stream" }, stream(answer("tool_use",
        block(0, called(0, "look"), input(0, "{}"))))),
      http(200, {}, { type = "message", id = "m", role = "assistant", model = "claude",
        stop_reason = "tool_use", content = { { type = "tool_use", id = "t2", name = NAME,
          input = { city = "Rome" } } } }) },
      { tools = { { name = "look", call = function() looked = true return "Rome" end } } })
    assert.same({ city = "Rome" }, reply.parsed)
    assert.is_true(looked)
    local sent = server:requests()[2].json
    assert.same({ type = "any" }, sent.tool_choice)
    assert.same({ "look", NAME }, { sent.tools[1].name, sent.tools[2].name })
    assert.equal("tool_result", sent.messages[3].content[1].type)
  end)
end)
