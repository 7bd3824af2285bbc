-- The replay machine over made-up recordings of all dialects: it finds nothing where all is
-- right, and each field that the module reads otherwise than its own reader.

local support = require "spec.support"

local function event(data)
  return ("event: %s\ndata: %s\n\n"):format(data:match('"type":"([%w._]+)"'), data)
end

local function stream(list)
  for i, data in ipairs(list) do list[i] = event(data) end
  return table.concat(list)
end

-- A conversation of two turns: a call, and the answer behind its result.
local RECORDED = {}

RECORDED.chat = {
  { ["req.json"] = '{"model":"m","messages":[{"role":"user","content":"Sum?"}]}',
    sse = 'data: {"choices":[{"index":0,"delta":{"reasoning_content":"Add.","content":"S"}}]}\n\n'
      .. 'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a1","type":'
      .. '"function","function":{"name":"sum","arguments":"{\\"a\\":1}"}}]},'
      .. '"finish_reason":"tool_calls"}],'
      .. '"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
      .. 'data: [DONE]\n\n' },
  { ["req.json"] = '{"model":"m","messages":[{"role":"user","content":"Sum?"},'
      .. '{"role":"assistant","content":"S","tool_calls":[{"id":"a1","type":"function",'
      .. '"function":{"name":"sum","arguments":"{\\"a\\":1}"}}]},'
      .. '{"role":"tool","tool_call_id":"a1","content":"3"}]}',
    json = '{"choices":[{"index":0,"message":{"role":"assistant","content":" It is 3. "},'
      .. '"finish_reason":"stop"}]}' },
}

local TOOL = '{"type":"function","name":"sum","description":"Adds.","parameters":'
  .. '{"type":"object","properties":{"a":{"type":"number"}},"required":["a"]}}'

RECORDED.responses = {
  { ["req.json"] = '{"model":"m","instructions":"Be brief.","input":"Sum?","store":false,'
      .. '"include":["reasoning.encrypted_content"],"tools":[' .. TOOL .. ']}',
    sse = stream {
      '{"type":"response.created","sequence_number":0,"response":{"id":"r1"}}',
      '{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":'
        .. '{"id":"rs1","type":"reasoning","summary":[],"encrypted_content":"seal0"}}',
      '{"type":"response.reasoning_summary_text.delta","sequence_number":2,"item_id":"rs1",'
        .. '"output_index":0,"summary_index":0,"delta":"Add."}',
      '{"type":"response.output_item.done","sequence_number":3,"output_index":0,"item":'
        .. '{"id":"rs1","type":"reasoning","summary":[{"type":"summary_text","text":"Add."}],'
        .. '"encrypted_content":"seal1"}}',
      '{"type":"response.output_item.added","sequence_number":4,"output_index":1,"item":'
        .. '{"id":"fc1","type":"function_call","call_id":"call_1","name":"sum",'
        .. '"arguments":""}}',
      '{"type":"response.function_call_arguments.delta","sequence_number":5,"item_id":"fc1",'
        .. '"output_index":1,"delta":"{\\"a\\":1}"}',
      '{"type":"response.output_item.done","sequence_number":6,"output_index":1,"item":'
        .. '{"id":"fc1","type":"function_call","call_id":"call_1","name":"sum",'
        .. '"arguments":"{\\"a\\":1}","status":"completed"}}',
      '{"type":"response.completed","sequence_number":7,"response":{"id":"r1","status":'
        .. '"completed","output":[{"id":"rs1","type":"reasoning","summary":[{"type":'
        .. '"summary_text","text":"Add."}],"encrypted_content":"seal1"},{"id":"fc1",'
        .. '"type":"function_call","call_id":"call_1","name":"sum","arguments":'
        .. '"{\\"a\\":1}","status":"completed"}],"usage":{"input_tokens":5,'
        .. '"input_tokens_details":{"cached_tokens":2},"output_tokens":7,'
        .. '"output_tokens_details":{"reasoning_tokens":4},"total_tokens":12}}}',
    } },
  { ["req.json"] = '{"model":"m","instructions":"Be brief.","store":false,'
      .. '"include":["reasoning.encrypted_content"],"tools":[' .. TOOL .. '],"input":['
      .. '{"role":"user","content":"Sum?"},'
      .. '{"type":"reasoning","summary":[{"type":"summary_text","text":"Add."}],'
      .. '"encrypted_content":"seal1"},'
      .. '{"type":"function_call","call_id":"call_1","name":"sum","arguments":"{\\"a\\":1}"},'
      .. '{"type":"function_call_output","call_id":"call_1","output":"3"}]}',
    json = '{"id":"r2","status":"incomplete","incomplete_details":{"reason":'
      .. '"max_output_tokens"},"output":[{"id":"m1","type":"message","role":"assistant",'
      .. '"status":"incomplete","content":[{"type":"output_text","text":"It is 3.",'
      .. '"annotations":[{"type":"url_citation","url":"https://sum.example/","title":"Sums",'
      .. '"start_index":0,"end_index":5}],"logprobs":[]}]}],"usage":{"input_tokens":9,'
      .. '"output_tokens":3,"total_tokens":12}}' },
}

RECORDED.messages = {
  { ["req.json"] = '{"model":"m","max_tokens":2000,"system":"Be brief.","thinking":'
      .. '{"type":"enabled","budget_tokens":1024},"tools":[{"name":"sum","description":"Adds.",'
      .. '"input_schema":{"type":"object","properties":{"a":{"type":"number"}}}}],'
      .. '"messages":[{"role":"user","content":"Sum?"}]}',
    sse = stream {
      '{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant",'
        .. '"content":[],"usage":{"input_tokens":5,"cache_read_input_tokens":2,'
        .. '"cache_creation_input_tokens":1,"output_tokens":1}}}',
      '{"type":"content_block_start","index":0,"content_block":{"type":"thinking",'
        .. '"thinking":"","signature":""}}',
      '{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta",'
        .. '"thinking":"Add."}}',
      '{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta",'
        .. '"signature":"sig1"}}',
      '{"type":"content_block_stop","index":0}',
      '{"type":"content_block_start","index":1,"content_block":{"type":"tool_use",'
        .. '"id":"toolu_1","name":"sum","input":{}}}',
      '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",'
        .. '"partial_json":"{\\"a\\""}}',
      '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",'
        .. '"partial_json":":1}"}}',
      '{"type":"content_block_stop","index":1}',
      '{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},'
        .. '"usage":{"output_tokens":7}}',
      '{"type":"message_stop"}',
    } },
  { ["req.json"] = '{"model":"m","max_tokens":2000,"system":[{"type":"text","text":'
      .. '"Be brief."}],"thinking":{"type":"enabled","budget_tokens":1024},"tools":'
      .. '[{"name":"sum","description":"Adds.","input_schema":{"type":"object","properties":'
      .. '{"a":{"type":"number"}}}}],"messages":[{"role":"user","content":[{"type":"text",'
      .. '"text":"Sum?"}]},{"role":"assistant","content":[{"type":"thinking","thinking":'
      .. '"Add.","signature":"sig1"},{"type":"tool_use","id":"toolu_1","name":"sum",'
      .. '"input":{"a":1}}]},{"role":"user","content":[{"type":"tool_result",'
      .. '"tool_use_id":"toolu_1","content":"3"}]}]}',
    json = '{"id":"m2","type":"message","role":"assistant","content":[{"type":"text","text":'
      .. '"It is 3.","citations":[{"type":"web_search_result_location","url":'
      .. '"https://sum.example/","title":"Sums","cited_text":"1 + 2 = 3",'
      .. '"encrypted_index":"x"}]}],"stop_reason":"end_turn","stop_sequence":null,'
      .. '"usage":{"input_tokens":9,"output_tokens":3}}' },
}

-- What the module is told instead of what was recorded, and what is then found; `after`: the
-- name of the case.
local LIES = {
  chat = {
    { '"Add."', '"Ask."', "reasoning" },
    { '"content":"S"', '"content":"T"', "text" },
    { 'a\\":1}', 'a\\":2}', "arguments of call 1" },
    { '"total_tokens":3', '"total_tokens":4', "usage.total_tokens" },
    { '"stop"', '"length"', "verdict" },
    { '"stop"', '"eos"', "finish" },
  },
  responses = {
    { '"delta":"Add."', '"delta":"Ask."', "reasoning" },
    { '"name":"sum"', '"name":"sam"', "name of call 1" },
    { '"call_1"', '"call_2"', "id of call 1" },
    { "1}", "2}", "arguments of call 1" },
    { '"cached_tokens":2', '"cached_tokens":3', "usage.cached_tokens" },
    { '"max_output_tokens"', '"content_filter"', "verdict" },
    { "It is", "It was", "text" },
    { "https://sum", "https://sam", "citations[1].url" },
    { '"seal1"', '"seal2"', "item 3 of the request" },
  },
  messages = {
    { '"Add."', '"Ask."', "reasoning" },
    { '"toolu_1"', '"toolu_2"', "id of call 1" },
    { ":1}", ":2}", "arguments of call 1" },
    { '"output_tokens":7', '"output_tokens":8', "usage.completion_tokens" },
    { '"end_turn"', '"refusal"', "verdict" },
    { "1 + 2", "2 + 1", "citations[1].text" },
    { '"sig1"', '"sig2"', "item 3 of the request" },
  },
}

local function folder(dialects)
  local dir = support.tmpdir()
  for _, dialect in ipairs(dialects) do
    assert(os.execute("mkdir " .. support.quote(dir .. "/" .. dialect)))
    for turn, files in ipairs(RECORDED[dialect]) do
      local path = ("%s/%s/00%d-sum."):format(dir, dialect, turn)
      for ending, bytes in pairs(files) do support.write_file(path .. ending, bytes) end
      support.write_file(path .. "meta.json", ('{"provider":"somebody","model":"m","status":200,'
        .. '"conversation":1,"turn":%d}'):format(turn - 1))
    end
  end
  return dir
end

-- Runs the machine; the module gets `lie` in place of `truth`.
local function replay(dir, truth, lie)
  local program = assert(support.read_file("spec/machines/replay.lua"))
  local before = truth and ([[
package.path = "./?.lua;./?/init.lua;" .. package.path
local recordings = require "spec.machines.replay.recordings"
local script = recordings.script
function recordings.script(one, pieces)
  local bytes, at = table.concat(pieces or { one.bytes }), 1
  local truth, lie = %q, %q
  while bytes:find(truth, at, true) do
    local from, to = bytes:find(truth, at, true)
    bytes, at = bytes:sub(1, from - 1) .. lie .. bytes:sub(to + 1), from + #lie
  end
  return script(one, { bytes })
end
]]):format(truth, lie) or ""
  return support.run_lua(before .. program, { args = { dir }, timeout = 60, env = { SEED = "1" } })
end

describe("the replay machine, over recordings of", function()
  after_each(support.remove_all)

  for dialect, lies in pairs(LIES) do
    it(dialect .. ", finds nothing where all is right", function()
      local result = replay(folder { dialect })
      assert.equal(0, result.status, result.out .. result.err)
      local cases = dialect == "chat" and 7 or 9 -- answers in three cuts, turns, requests alone
      assert.truthy(result.out:find(cases .. " passed, 0 failed, 0 skipped\n$"), result.out)
    end)

    for _, lie in ipairs(lies) do
      it(("%s, finds %s in place of %s"):format(dialect, lie[2], lie[1]), function()
        local result = replay(folder { dialect }, lie[1], lie[2])
        assert.equal(1, result.status, result.out .. result.err)
        assert.truthy(result.out:find("\n    " .. lie[3] .. "\n", 1, true), result.out)
        assert.falsy(result.out:find(" 0 failed", 1, true), result.out)
      end)
    end
  end

  it("all dialects, plays each folder", function()
    local result = replay(folder { "chat", "responses", "messages" })
    assert.equal(0, result.status, result.out .. result.err)
    assert.truthy(result.out:find("6 answers played 18 times, 3 later turns", 1, true), result.out)
  end)
end)
