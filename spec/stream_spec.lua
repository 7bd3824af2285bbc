-- What services really put into a stream, in every chunking: whole, byte by byte and split
-- in two at each place.

local batch = require "spec.support.batch"
local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local collect, bot_at = bots.collect, bots.at
local http, sse = support.http, support.sse

local BOM = "\239\187\191"

local function event(data, name)
  return (name and "event: " .. name .. "\n" or "") .. "data: " .. data .. "\n\n"
end

-- Events with these choices; the last one is followed by `more`.
local function choices(list, more)
  local out = {}
  for i, choice in ipairs(list) do out[i] = event('{"choices":[' .. choice .. "]}") end
  return table.concat(out) .. (more or "")
end

local DONE = event "[DONE]"
local A = '{"index":0,"delta":{"content":"a"}}'
local STOP = '{"index":0,"delta":{},"finish_reason":"stop"}'
local CALL = '{"index":0,"delta":{"tool_calls":[{"index":0,"id":"%s","type":"function",'
  .. '"function":{"name":"%s","arguments":"%s"}}]}}'

local function calls(reply)
  local out = {}
  for i, call in ipairs(reply.tool_calls or {}) do
    out[i] = call["function"].name .. call["function"].arguments
  end
  return table.concat(out, " ")
end

-- name, bytes, what is expected: fields of the reply, or those of the error beside `kind`;
-- opts: fields of the job.
local CASES = {
  { "white space around [DONE]", choices({ A }, "data:  [DONE]\t\n\ndata: x\n\n"),
    { text = "a", status = "complete" } },
  { "deltas beside messages", choices({ '{"message":{"content":"ab"},"delta":{"content":"a"}}',
    '{"message":{"content":"ab"},"delta":{"content":"b"}}' }, DONE), { text = "ab" } },
  { "a whole completion in place of a stream", '{"choices":[{"index":0,"message":{"content":" a"},'
    .. '"delta":{"content":""},"finish_reason":"STOP"}]}', { text = "a", status = "complete" } },
  { "a whole completion behind a BOM", BOM .. '{"choices":[{"message":{"content":"a"}}]}',
    { text = "a" } },
  { "one of another type behind a BOM", BOM .. ' {"choices":[{"message":{"content":"a"}}]}',
    { text = "a" }, { type = "application/json" } },
  { "one without a type behind a BOM", BOM .. ' {"choices":[{"message":{"content":"a"}}]}',
    { text = "a" }, { type = false } },
  { "a stream without a type behind a BOM", BOM .. choices({ A }, DONE), { text = "a" },
    { type = false } },
  { "a page", BOM .. "<html>no</html>", { kind = "protocol" }, { type = "text/html" } },
  { "a finish_reason in capitals", choices { A, '{"index":0,"finish_reason":"SAFETY"}' },
    { text = "a", status = "filtered", finish_reason = "SAFETY" } },
  { "a finish_reason of another service", choices { A, '{"finish_reason":"max_output_tokens"}' },
    { text = "a", status = "length" } },
  { "the word null for a finish_reason", choices { A, '{"finish_reason":"null"}' },
    { kind = "truncated", partial = "a" } },
  { "a finish_reason that is a failure", choices({ A, '{"finish_reason":"network_error"}' }, DONE),
    { kind = "api", partial = "a", code = "network_error", retryable = true } },
  { "a finish_reason in every chunk", choices({
    '{"index":0,"delta":{"reasoning_content":"h"},"finish_reason":"stop"}',
    '{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}',
    '{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}' }),
    { text = "ab", reasoning = "h", status = "complete" } },
  { "a usage that is no count", choices({ A, STOP }, event('{"choices":[],"usage":{"total_tokens":'
    .. '1e300,"prompt_tokens":-1,"completion_tokens":2,"num_cached_tokens":1}}') .. DONE),
    { text = "a", usage = { completion_tokens = 2, cached_tokens = 1, num_cached_tokens = 1 } } },
  { "a usage beside the choices", event('{"choices":[' .. A .. '],"x_groq":{"usage":'
    .. '{"total_tokens":1}}}') .. event('{"choices":[{"usage":{"total_tokens":2},"finish_reason":'
    .. '"stop"}],"usage":null}'), { text = "a", usage = { total_tokens = 2 } } },
  { "reasoning that is mirrored", choices({ '{"delta":{"reasoning":"h","reasoning_content":"h"}}',
    A }, DONE), { text = "a", reasoning = "h" } },
  { "reasoning in details", choices({ '{"delta":{"reasoning_details":[{"text":"h"}]}}', A }, DONE),
    { text = "a", reasoning = "h" } },
  { "parallel calls under one index", choices({ CALL:format("i", "f", '{\\"a\\":1}'),
    CALL:format("j", "g", "{}") }, DONE), { text = "", status = "tool_calls",
    calls = 'f{"a":1} g{}' } },
  { "calls without an id behind whole arguments", choices({ CALL:format("", "f", "{"),
    '{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}}',
    CALL:format("", "f", "null") }, DONE), { status = "tool_calls", calls = "f{} f{}" } },
  { "a name in pieces", choices({ CALL:format("i", "get_", ""), CALL:format("i", "it", "") }, DONE),
    { status = "tool_calls", calls = "get_it{}" } },
  { "another index than 0", choices({ '{"index":3,"delta":{"content":"a"}}',
    '{"index":3,"delta":{"content":"b"},"finish_reason":"stop"}' }), { text = "ab" } },
  { "two choices, the second one first", choices({ '{"index":1,"delta":{"content":"x"}}', A,
    '{"index":1,"delta":{"content":"x"}}' }, DONE), { text = "a" } },
  { "an error that is a text", choices({ A }, event '{"error":"bad"}'),
    { kind = "api", partial = "a", message = "bad" } },
  { "an error that is true", event '{"error":true,"message":"bad"}',
    { kind = "api", message = "bad" } },
  { "an error inside a response", event '{"response":{"error":{"message":"bad"}}}',
    { kind = "api", message = "bad" } },
  { "a line error", choices({ A }, 'error: {"message":"bad"}\n\n'),
    { kind = "api", partial = "a", message = "bad" } },
  { "JSON that is no object", event "null" .. event "7" .. event '"x"' .. event "[]"
    .. choices({ A }, DONE), { text = "a" } },
  { "events that keep alive", event("x", "ping") .. event('{"error":"x"}', "keepalive")
    .. choices({ A }, event("{}", "ping") .. DONE), { text = "a" } },
  { "data that is no JSON", choices({ A }, event "{no}" .. DONE),
    { kind = "protocol", partial = "a" } },
  { "an object that is whole at the end", choices { A }
    .. 'data: {"choices":[' .. STOP .. "]}", { text = "a", status = "complete" } },
  { "an object that is not", choices { A } .. 'data: {"choices":[' .. STOP .. "]",
    { kind = "truncated", partial = "a" } },
  { "thoughts in tags", choices({ '{"delta":{"content":"\\n<think>h</b>"}}',
    '{"delta":{"content":"</think>\\n\\na <think>b"}}' }, DONE),
    { text = "a <think>b", reasoning = "h</b>" }, { bot = { think_tags = true } } },
  { "thoughts without an end", choices({ '{"delta":{"content":"<think>h</thin"}}' }, DONE),
    { text = "", reasoning = "h</thin" }, { bot = { think_tags = true } } },
  { "what only looks like thoughts", choices({ '{"delta":{"content":" <thin"}}' }, DONE),
    { text = " <thin" }, { bot = { think_tags = true } } },
  { "a word behind what looks like thoughts", choices({ '{"delta":{"content":" <thing>"}}' }, DONE),
    { text = " <thing>" }, { bot = { think_tags = true } } },
  { "tags where nothing is said of them", choices({ '{"delta":{"content":"<think>h</think>a"}}' },
    DONE), { text = "<think>h</think>a" } },
}

local function check(want, result, where)
  where = where .. ": " .. tostring(result.err)
  local got = result.err or result.reply
  assert.equal(want.kind, result.err and result.err.kind, where)
  for name, value in pairs(want) do
    local is = got[name]
    if name == "calls" then is = calls(got) end
    assert.same(value, is, where .. ": " .. name)
  end
  if not want.kind then
    assert.equal(want.text or "", result.text, where)
    assert.equal(want.reasoning, got.reasoning, where)
  end
end

describe("in every chunking a stream may have", function()
  after_each(support.close_all)

  for _, case in ipairs(CASES) do
    it(case[1], function()
      local jobs, names = {}, {}
      for i, cut in ipairs(batch.cuts(case[2])) do
        jobs[i], names[i] = { pieces = cut.pieces }, cut.name
        for name, value in pairs(case[4] or {}) do jobs[i][name] = value end
      end
      for i, result in ipairs(batch.run(jobs)) do check(case[3], result, names[i]) end
    end)
  end
end)

describe("an error inside an answer", function()
  after_each(collect)

  local function failing(error, before)
    return http(200, { ["Content-Type"] = "text/event-stream", ["Retry-After-Ms"] = "10" },
      (before or "") .. event('{"error":' .. error .. "}"))
  end
  local BUSY = '{"type":"overloaded_error","message":"busy"}'

  for name, error in pairs {
    ["by its type"] = BUSY, ["by its code"] = '{"code":"server_is_overloaded","message":"x"}',
    ["by its number"] = '{"code":503,"message":"x"}', ["in digits"] = '{"code":"429"}',
  } do
    it("is tried again, " .. name, function()
      local server = support.serve { failing(error), sse { "good" } }
      local answer, reply = bot_at(server, { max_retries = 2 }):chat("x")
      assert.equal("good", answer, tostring(reply))
      assert.equal(2, #server:requests())
      assert.equal(server:requests()[1].body, server:requests()[2].body)
    end)
  end

  it("is tried again in a whole document", function()
    local server = support.serve { http(200, {}, { error = { code = 500, message = "x" } }),
      support.json_completion("good") }
    assert.equal("good", bot_at(server, { max_retries = 1, stream = false }):chat("x"))
  end)

  it("is tried again when the answer has only thought", function()
    local thought = choices { '{"delta":{"reasoning":"no"}}' }
    local server = support.serve { failing(BUSY, thought),
      sse { { reasoning = "yes" }, "good" } }
    local answer, reply = bot_at(server, { max_retries = 1 }):chat("x")
    assert.equal("good", answer)
    assert.equal("yes", reply.reasoning)
  end)

  it("is tried again no more than max_retries say, and counted", function()
    local server = support.serve { failing(BUSY) }
    local answer, err = bot_at(server, { max_retries = 2 }):chat("x")
    assert.is_nil(answer)
    assert.equal("api", err.kind)
    assert.equal("busy", err.message)
    assert.is_true(err.retryable)
    assert.equal(3, err.attempts)
    assert.equal(3, #server:requests())
  end)

  it("is not tried again behind the first text", function()
    local server = support.serve { failing(BUSY, choices { A }) }
    local _, err = bot_at(server, { max_retries = 2 }):chat("x")
    assert.equal("a", err.partial)
    assert.equal(1, #server:requests())
  end)

  for name, error in pairs { ["a refusal"] = '{"code":400,"message":"x"}',
    ["a quota that is used up"] = '{"code":"insufficient_quota","type":"rate_limit_error"}' } do
    it("is not tried again when it is " .. name, function()
      local server = support.serve { failing(error) }
      local _, err = bot_at(server, { max_retries = 2 }):chat("x")
      assert.equal("api", err.kind)
      assert.is_false(err.retryable)
      assert.equal(1, #server:requests())
    end)
  end

  it("passes the question on to the next model", function()
    local a, b = support.serve { failing(BUSY) }, support.serve { sse { "good" } }
    chatbot.register("busy-a", { base_url = a.url, api_key_env = chatbot.array {} })
    chatbot.register("busy-b", { base_url = b.url, api_key_env = chatbot.array {} })
    local bot = chatbot.new { model = { "busy-a:x", "busy-b:y" }, max_retries = 1, timeout = 20 }
    local answer, reply = bot:chat("x")
    assert.equal("good", answer, tostring(reply))
    assert.equal(2, #a:requests())
    assert.equal(1, #b:requests())
  end)

  it("can be cancelled while the next try is waited for", function()
    local script = failing(BUSY)
    script[1].send = script[1].send:gsub("Retry%-After%-Ms: 10", "Retry-After: 5")
    local server = support.serve { script }
    local reply = bot_at(server, { max_retries = 2 }):stream("x")
    assert.is_true(server:wait(1, 5, "sent", function() reply:poll() end))
    support.deadline(0.2, function() return reply:poll() end)
    assert.equal("streaming", reply.status)
    reply:close()
    assert.equal("cancelled", reply.status)
    assert.equal(0, chatbot.poll())
  end)
end)

describe("thoughts in tags", function()
  after_each(collect)

  local THOUGHT = '<think>\nWhere? "{"\n</think>\n\n{"city":"Oslo"}'

  it("do not stand in the way of JSON, whatever is said of them", function()
    for _, tags in ipairs { true, false } do
      local server = support.serve { sse { THOUGHT } }
      local answer, reply = bot_at(server, { think_tags = tags }):chat("x", { json = true })
      assert.truthy(answer, tostring(reply))
      assert.equal("Oslo", reply.parsed.city)
    end
  end)

  it("are reasoning in a whole answer, and handed to on_reasoning", function()
    local server, thought = support.serve { support.json_completion(THOUGHT) }, {}
    local answer, reply = bot_at(server, { think_tags = true, stream = false }):chat("x",
      { on_reasoning = function(text) thought[#thought + 1] = text end })
    assert.equal('{"city":"Oslo"}', answer)
    assert.equal('\nWhere? "{"\n', reply.reasoning)
    assert.equal(reply.reasoning, table.concat(thought))
  end)

  it("are known of some services, and of those that are registered so", function()
    local server = support.serve { sse { THOUGHT } }
    chatbot.register("thinker", { base_url = server.url, think_tags = true,
      api_key_env = chatbot.array {} })
    local _, reply = chatbot.new({ model = "thinker:x", timeout = 20 }):chat("x")
    assert.equal('{"city":"Oslo"}', reply.text)
    _, reply = chatbot.new({ model = "thinker:x", think_tags = false, timeout = 20 }):chat("x")
    assert.equal(THOUGHT, reply.text)
    local url
    for _, row in ipairs(chatbot.providers()) do
      if row.name == "perplexity" then url = row.base_url end
    end
    chatbot.register("perplexity", { base_url = server.url })
    _, reply = chatbot.new({ model = "sonar-pro", api_key = "k", timeout = 20 }):chat("x")
    chatbot.register("perplexity", { base_url = url })
    assert.equal('{"city":"Oslo"}', reply.text)
  end)
end)
