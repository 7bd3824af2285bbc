-- What the chunks of a stream may hold, and what becomes of it. Most cases run twice:
-- as they are, which for plain chunks is the fast way, and with a member that only a
-- JSON decoder can take.

local chatbot = require "chatbot"
local batch = require "spec.support.batch"
local support = require "spec.support"

local array, null, encode = support.array, support.null, support.encode

local HIGH, LOW = "\\ud83d", "\\ude00" -- the halves of U+1F600, as JSON escapes
local SMILE, FFFD = "\240\159\152\128", "\239\191\189"

-- A chunk: JSON text as it is, a delta, or (with `choices`, `usage`, ...) all of it.
local function json_of(item)
  if type(item) == "string" then return item end
  for _, name in ipairs { "choices", "usage", "error", "x_groq", "object", "id" } do
    if item[name] ~= nil then return encode(item) end
  end
  return encode { choices = { { index = 0, delta = item } } }
end

local function slow(json)
  return (json:gsub("^%s*{", '%0"zz":{},', 1):gsub(",}$", "}"))
end

local function stream(items, opts)
  opts = opts or {}
  local out = {}
  for _, item in ipairs(items) do
    local json = json_of(item)
    if opts.slow then json = slow(json) end
    out[#out + 1] = "data: " .. json .. "\n\n"
  end
  if opts.done ~= false then out[#out + 1] = "data: [DONE]\n\n" end
  return table.concat(out)
end

local function text(s) return '{"choices":[{"index":0,"delta":{"content":"' .. s .. '"}}]}' end

local function finish(reason)
  return { choices = { { index = 0, delta = {}, finish_reason = reason } } }
end

-- Everything named in `want` is so in the reply; what is `support.null` is nil.
local function check(want, result, where)
  if want.kind then
    assert.truthy(result.err, where .. ": no failure")
    assert.equal(want.kind, result.err.kind, where .. ": " .. tostring(result.err))
    assert.equal(want.partial, result.err.partial, where)
    if want.message then
      assert.truthy(result.err.message:find(want.message, 1, true), result.err.message)
    end
    return
  end
  assert.is_nil(result.err, where .. ": " .. tostring(result.err))
  assert.equal(want.text or "", result.answer, where)
  assert.equal(want.text or "", result.reply.text, where)
  assert.equal(want.text or "", result.text, where)
  for name, value in pairs(want) do
    if value == null then
      assert.is_nil(result.reply[name], where .. ": " .. name)
    elseif type(value) == "table" then
      assert.same(value, result.reply[name], where .. ": " .. name)
    else
      assert.equal(value, result.reply[name], where .. ": " .. name)
    end
  end
end

-- A table of {name, items, want, opts = {done, once, call, bot}}.
local function run(cases)
  for _, case in ipairs(cases) do
    local opts = case.opts or {}
    it(case[1], function()
      local jobs, names = {}, {}
      for _, is_slow in ipairs(opts.once and { false } or { false, true }) do
        local bytes = stream(case[2], { slow = is_slow, done = opts.done })
        jobs[#jobs + 1] = { pieces = { bytes }, call = opts.call, bot = opts.bot }
        names[#names + 1] = is_slow and "decoded" or "as it is"
      end
      for i, result in ipairs(batch.run(jobs)) do check(case[3], result, names[i]) end
    end)
  end
end

describe("the sentinel", function()
  after_each(support.close_all)

  local no_sentinels = {
    "[DONE]xyz", "[done]", "[Done]", "[ DONE ]", "DONE", "[DONE", "DONE]",
    "[DONE][DONE]", "[DONE]\0", "[DONE].", "(DONE)", "[DONE] [DONE]", "\0[DONE]",
  }
  for _, data in ipairs(no_sentinels) do
    it("is not " .. data:gsub("%z", "NUL"), function()
      local result = batch.one { pieces = { "data: " .. text "a" .. "\n\ndata: " .. data
        .. "\n\ndata: " .. text "b" .. "\n\n" } }
      check({ kind = "protocol", partial = "a" }, result, data)
    end)
  end

  it("may have white space around it, and lines", function()
    for _, data in ipairs { "[DONE] ", "  [DONE]", "\t[DONE]\t", "[DONE]\ndata:",
      "\ndata: [DONE] \ndata: " } do
      local result = batch.one { pieces = { "data: " .. text "a" .. "\n\ndata: " .. data
        .. "\n\ndata: rubbish\n\n" } }
      check({ text = "a", status = "complete" }, result, data)
    end
  end)

  it("ends the answer: nothing after it is read", function()
    for _, rest in ipairs { "data: " .. text "x" .. "\n\n", "error: {}\n\n", "data: rubbish\n\n",
      'data: {"error":{"message":"late"}}\n\n', "event: error\ndata: x\n\n", "\255\0" } do
      local result = batch.one { pieces = {
        "data: " .. text "a" .. "\n\ndata: [DONE]\n\n" .. rest } }
      check({ text = "a", status = "complete" }, result, rest)
    end
  end)

  it("ends the answer while the server stays", function()
    for _, framing in ipairs { "chunked", "none" } do
      local server = support.serve {
        { support.sse({ "a" }, { framing = framing, cut = true }), { stall = true } },
      }
      local bot = chatbot.new { base_url = server.url, model = "m", timeout = 5 }
      local before = support.now()
      assert.equal("a", bot:chat("hello"))
      assert.is_true(support.now() - before < 2)
    end
  end)

  it("is enough for an answer, an empty one", function()
    check({ text = "", status = "complete", finish_reason = null }, batch.one { pieces = {
      "data: [DONE]\n\n" } }, "[DONE]")
  end)
end)

describe("choices and deltas", function()
  after_each(support.close_all)

  run {
    { "may be empty in the first chunk", { '{"choices":[]}', text "a" }, { text = "a" } },
    { "may be empty in the last one", { text "a", '{"choices":[]}' }, { text = "a" } },
    { "may be missing", { '{"id":"x"}', text "a", "{}" }, { text = "a" } },
    { "may be null", { '{"choices":null}', text "a" }, { text = "a" } },
    { "may lack a delta", { '{"choices":[{"index":0}]}', text "a" }, { text = "a" } },
    { "may have a null delta", { '{"choices":[{"delta":null}]}', text "a" }, { text = "a" } },
    { "may have an empty delta", { {}, text "a", {} }, { text = "a" } },
    { "may have null content", { { role = "assistant", content = null }, text "a" },
      { text = "a" } },
    { "may have empty content", { { content = "" }, text "a", { content = "" } },
      { text = "a" } },
    { "may have content in parts", { { content = { { type = "text", text = "a" },
      { type = "text", text = "b" } } }, text "c" }, { text = "abc" } },
    { "may have strings for parts", { { content = { "a", "b" } } }, { text = "ab" } },
    { "may have an empty list of parts", { { content = array {} }, text "a" }, { text = "a" } },
    { "may have parts of other kinds", { { content = { { type = "image_url", image_url = {} },
      { type = "text", text = "a" }, { type = "reference", reference_ids = { 1 } } } } },
      { text = "a" } },
    { "may have parts that are thoughts", { { content = { { type = "thinking",
      thinking = { { type = "text", text = "hm" } } }, { type = "text", text = "a" } } } },
      { text = "a", reasoning = "hm" } },
    { "may have thoughts as text", { { content = { { type = "thinking", thinking = "h" },
      { type = "reasoning", summary = { { type = "summary_text", text = "m" } } },
      { type = "text", text = "a" } } } }, { text = "a", reasoning = "hm" } },
    { "may have parts of other kinds that have a text", { { content = { { type = "status",
      text = "busy" }, { type = "text", text = "a" } } } }, { text = "a" } },
    { "may repeat the role", { { role = "assistant", content = "a" },
      { role = "assistant", content = "b" } }, { text = "ab" } },
    { "may have an empty or null role", { { role = "", content = "a" },
      { role = null, content = "b" } }, { text = "ab" } },
    { "use the delta where there is a message beside it", {
      { choices = { { index = 0, delta = { content = "a" },
        message = { role = "assistant", content = "a" } } } },
      { choices = { { index = 0, delta = { content = "b" },
        message = { role = "assistant", content = "ab" } } } },
      { choices = { { index = 0, delta = { content = "" },
        message = { role = "assistant", content = "ab" } } } } }, { text = "ab" } },
    { "count once where the message comes behind them", { text "a", text "b",
      { choices = { { index = 0, message = { role = "assistant", content = "ab" },
        finish_reason = "stop" } } } }, { text = "ab", finish_reason = "stop" } },
    { "count once where the message comes instead of the last", { text "a",
      { choices = { { index = 0, delta = null, message = { content = "a" } } } } },
      { text = "a" } },
    { "may be messages all the same", {
      { choices = { { index = 0, message = { role = "assistant", content = "a" } } } },
      { choices = { { index = 0, message = { content = "b" } } } } }, { text = "ab" } },
    { "count beside a message", { { object = "chat.completion", choices = { { index = 0,
      message = { role = "assistant", content = "ab" }, delta = { content = "a" } } } },
      { choices = { { index = 0, message = { content = "ab" }, delta = { content = "b" } } } } },
      { text = "ab" } },
    { "with another index are read when they are the only ones", {
      { choices = { { index = 7, delta = { content = "a" } } } },
      { choices = { { index = 7, delta = { content = "b" }, finish_reason = "length" } } } },
      { text = "ab", status = "length" } },
    { "with an index that is no place are ignored", {
      '{"choices":[{"index":-1,"delta":{"content":"x"}},{"index":1e300,"delta":{"content":"a"}},'
      .. '{"index":1e400,"delta":{"content":"x"}}]}' }, { text = "a" } },
    { "use a message where there is no delta", { { choices = { { index = 0,
      message = { role = "assistant", content = "a" } } } } }, { text = "a" } },
    { "other than the first are ignored", {
      { choices = { { index = 1, delta = { content = "x" } } } },
      { choices = { { index = 1, delta = { content = "x" } },
        { index = 0, delta = { content = "a" } } } },
      { choices = { { index = 0, delta = { content = "b" } },
        { index = 1, delta = { content = "x" }, finish_reason = "length" } } },
      finish "stop" }, { text = "ab", finish_reason = "stop", status = "complete" } },
    { "without an index are the first", { { choices = { { delta = { content = "a" } },
      { delta = { content = "x" } } } } }, { text = "a" } },
    { "of one index go on with each other", { { choices = { { index = 0,
      delta = { content = "a" } }, { index = 1, delta = { content = "x" } },
      { index = 0, delta = { content = "b" }, finish_reason = "stop" } } } },
      { text = "ab", finish_reason = "stop" } },
    { "without an index may bring text and calls apart", { { choices = {
      { delta = { content = "a" }, finish_reason = "tool_calls" },
      { delta = { content = null, tool_calls = array { { id = "i", type = "function",
        ["function"] = { name = "f", arguments = "{}" } } } },
        finish_reason = "tool_calls" } } } },
      { text = "a", status = "tool_calls", tool_calls = { { id = "i", type = "function",
        ["function"] = { name = "f", arguments = "{}" } } } } },
    { "may do so in a whole answer", { { object = "chat.completion", choices = {
      { message = { role = "assistant", content = "a" }, finish_reason = "tool_calls" },
      { message = { role = "assistant", tool_calls = array { { id = "i", type = "function",
        ["function"] = { name = "f", arguments = "{}" } } } },
        finish_reason = "tool_calls" } } } },
      { text = "a", status = "tool_calls", tool_calls = { { id = "i", type = "function",
        ["function"] = { name = "f", arguments = "{}" } } } } },
    { "may share a chunk with finish_reason", { { choices = { { index = 0,
      delta = { content = "a" }, finish_reason = "stop" } } } },
      { text = "a", finish_reason = "stop" } },
    { "name the answer and the model once", {
      { id = "one", model = "m1", choices = { { delta = { content = "a" } } } },
      { id = "two", model = "m2", choices = { { delta = { content = "b" } } } } },
      { text = "ab", id = "one", model = "m1" } },
    { "take a name that comes late", { text "a", { id = "one", model = "m1",
      choices = array {} } }, { text = "a", id = "one", model = "m1" } },
  }
end)

describe("finish_reason", function()
  after_each(support.close_all)

  local statuses = {
    stop = "complete", length = "length", max_tokens = "length", model_length = "length",
    tool_calls = "complete", function_call = "complete", content_filter = "filtered",
    safety = "filtered", end_turn = "complete", banana = "complete", ["st\\u006fp"] = "complete",
    STOP = "complete", eos = "complete", stop_sequence = "complete", LENGTH = "length",
    MAX_TOKENS = "length", max_output_tokens = "length", token_limit_exceeded = "length",
    model_context_window_exceeded = "length", SAFETY = "filtered", Recitation = "filtered",
    PROHIBITED_CONTENT = "filtered", blocklist = "filtered", SPII = "filtered",
    sensitive = "filtered", refusal = "filtered", Content_Filter = "filtered",
    tool_use = "complete", TOOL_CALLS = "complete", _tokens = "complete", tokens = "complete",
    errors = "complete",
  }
  for reason, status in pairs(statuses) do
    run {
      { reason .. " is kept and means " .. status, { text "a",
        '{"choices":[{"index":0,"delta":{},"finish_reason":"' .. reason .. '"}]}' },
        { text = "a", finish_reason = reason:gsub("\\u006f", "o"), status = status } },
    }
  end

  run {
    { "may be early", { finish "stop", text "a", text "b" },
      { text = "ab", finish_reason = "stop", status = "complete" } },
    { "may be repeated", { text "a", finish "stop", finish "stop" },
      { text = "a", finish_reason = "stop" } },
    { "may be repeated as null", { text "a", finish "length", finish(null) },
      { text = "a", finish_reason = "length", status = "length" } },
    { "is enough without [DONE]", { text "a", finish "stop" },
      { text = "a", finish_reason = "stop" }, opts = { done = false } },
    { "may be null to the end with [DONE]", { text "a", finish(null) },
      { text = "a", finish_reason = null, status = "complete" } },
    { "is none when null", { text "a", finish(null) }, { kind = "truncated", partial = "a" },
      opts = { done = false } },
    { "is none when empty", { text "a", finish "" }, { kind = "truncated", partial = "a" },
      opts = { done = false } },
    { "is none when it is no string", { text "a", finish(7), finish { a = 1 }, finish(true) },
      { kind = "truncated", partial = "a" }, opts = { done = false } },
    { "stop with tool calls means tool_calls", { { tool_calls = { { index = 0, id = "i",
      ["function"] = { name = "f", arguments = "{}" } } } }, finish "stop" },
      { finish_reason = "stop", status = "tool_calls" } },
    { "length with tool calls means length", { { tool_calls = { { index = 0, id = "i",
      ["function"] = { name = "f", arguments = "{" } } } }, finish "length" },
      { finish_reason = "length", status = "length" } },
    { "error is a failure", { text "a", finish "error" }, { kind = "api", partial = "a" } },
    { "tool_use with tool calls means tool_calls", { { tool_calls = { { index = 0, id = "i",
      ["function"] = { name = "f", arguments = "{}" } } } }, finish "Tool_Use" },
      { finish_reason = "Tool_Use", status = "tool_calls" } },
    { "is none when it is the word null", { text "a", finish "null" },
      { kind = "truncated", partial = "a" }, opts = { done = false } },
    { "is none when it is the word null, however it is written", { text "a", finish "NULL" },
      { kind = "truncated", partial = "a" }, opts = { done = false } },
    { "is not replaced by the word null", { text "a", finish "length", finish "null" },
      { text = "a", finish_reason = "length", status = "length" } },
    { "counts in the chunk of the text", { { choices = { { index = 0, delta = { content = "a" },
      finish_reason = "stop" } } } }, { text = "a", status = "complete" },
      opts = { done = false } },
    { "counts behind a refusal", { { refusal = "no" }, finish "stop" },
      { refusal = "no", status = "complete" }, opts = { done = false } },
  }

  for _, reason in ipairs { "network_error", "MALFORMED_FUNCTION_CALL", "engine_overloaded",
    "function_call_filter: the name", "ERROR", "insufficient_system_resource", "abort" } do
    run {
      { reason .. " is a failure that says so", { text "a", finish(reason), text "b" },
        { kind = "api", partial = "a", message = reason } },
    }
  end

  -- The end of the stream is clean, or a cut: a close inside a chunk of HTTP.
  local function ended(items, cut, more)
    local events = support.array {}
    for i, item in ipairs(items) do events[i] = "data: " .. json_of(item) .. "\n\n" end
    for _, step in ipairs(more or {}) do events[#events + 1] = step end
    local script = support.http(200, { ["Content-Type"] = "text/event-stream" }, events,
      { framing = "chunked", cut = cut })
    local server = support.serve { { script, { close = true } } }
    local before = support.now()
    local answer, reply = chatbot.new { base_url = server.url, model = "m", timeout = 20,
      max_retries = 0 }:chat("x")
    return answer, reply, support.now() - before
  end

  local thought = { reasoning = "hm" }
  local counted = { choices = array {}, usage = { total_tokens = 3 } }

  it("is an end behind an answer, however the stream ends", function()
    for _, cut in ipairs { false, true } do
      assert.equal("a", (ended({ text "a", finish "stop" }, cut)))
    end
  end)

  it("is none behind thoughts alone, unless the stream ends in order", function()
    local answer, reply = ended({ thought, finish "stop" }, false)
    assert.equal("", answer)
    assert.equal("complete", reply.status)
    local nothing, err = ended({ thought, finish "stop" }, true)
    assert.is_nil(nothing)
    assert.equal("truncated", err.kind)
  end)

  it("is one behind thoughts with a usage in its chunk or behind it", function()
    assert.equal("", (ended({ thought, finish "stop", counted }, true)))
    assert.equal("", (ended({ thought, { choices = { { delta = {}, finish_reason = "stop" } },
      usage = { total_tokens = 3 } } }, true)))
    local _, err = ended({ thought, counted, finish "stop" }, true)
    assert.equal("truncated", err.kind)
  end)

  it("does not end an answer that has only begun to think", function()
    local late = { choices = { { index = 0, delta = { content = "late" },
      finish_reason = "stop" } } }
    local answer, reply, took = ended({ { choices = { { index = 0, delta = thought,
      finish_reason = "stop" } } } }, false, { { sleep = 5.5 }, "data: " .. json_of(late)
      .. "\n\n" })
    assert.equal("late", answer)
    assert.equal("hm", reply.reasoning)
    assert.is_true(took > 5, took)
  end)

  it("is waited on for 5 s, which comments and empty events do not prolong", function()
    local more = {}
    for i = 1, 30 do more[2 * i - 1], more[2 * i] = ": hi\n\ndata:\n\n", { sleep = 0.5 } end
    local answer, _, took = ended({ text "a", finish "stop" }, false, more)
    assert.equal("a", answer)
    assert.is_true(took > 4 and took < 10, took)
  end)

  it("is waited on anew when more of the answer comes", function()
    local more = {}
    for i = 1, 4 do
      more[2 * i - 1], more[2 * i] = { sleep = 2 }, "data: " .. text(tostring(i)) .. "\n\n"
    end
    more[9], more[10] = { sleep = 0.1 }, "data: [DONE]\n\n"
    assert.equal("a1234", (ended({ text "a", finish "stop" }, false, more)))
  end)
end)

local function usage(n) return { total_tokens = n } end

describe("usage", function()
  after_each(support.close_all)

  run {
    { "is in the last chunk", { text "a", finish "stop", { choices = array {}, usage = usage(3) } },
      { text = "a", usage = usage(3) } },
    { "is in every chunk, of which the last counts", {
      { choices = { { delta = { content = "a" } } }, usage = usage(1) },
      { choices = { { delta = { content = "b" } } }, usage = usage(2) } },
      { text = "ab", usage = usage(2) } },
    { "is not forgotten by a null", { { choices = array {}, usage = usage(3) },
      { choices = { { delta = { content = "a" } } }, usage = null } },
      { text = "a", usage = usage(3) } },
    { "is in x_groq", { text "a", { choices = { { delta = {}, finish_reason = "stop" } },
      x_groq = { id = "req", usage = usage(4) } } }, { text = "a", usage = usage(4) } },
    { "is in the choice", { text "a", { choices = { { delta = {}, finish_reason = "stop",
      usage = usage(5) } } } }, { text = "a", usage = usage(5) } },
    { "is beside nulls", { { choices = { { delta = { content = "a" }, usage = usage(5) } },
      usage = null, x_groq = null } }, { text = "a", usage = usage(5) } },
    { "is absent when it is null",
      { { choices = { { delta = { content = "a" } } }, usage = null } },
      { text = "a", usage = null } },
    { "comes after an early finish_reason", { finish "stop", text "a",
      { choices = array {}, usage = usage(3) } }, { text = "a", usage = usage(3) } },
    { "keeps its details", { text "a", { choices = array {}, usage = { total_tokens = 3,
      prompt_tokens_details = { cached_tokens = 1 } } } },
      { text = "a", usage = { total_tokens = 3, cached_tokens = 1,
        prompt_tokens_details = { cached_tokens = 1 } } } },
    { "has no numbers that count nothing", { text "a", '{"choices":[],"usage":{"prompt_tokens":-1,'
      .. '"completion_tokens":1e300,"total_tokens":9,"cost":0.5,"x":{"y":-2,"z":1e400,"w":3}}}' },
      { text = "a", usage = { total_tokens = 9, cost = 0.5, x = { w = 3 } } } },
    { "has no counts that are no numbers", { text "a",
      '{"choices":[],"usage":{"prompt_tokens":"7","completion_tokens":{},"total_tokens":9}}' },
      { text = "a", usage = { total_tokens = 9 } } },
    { "is not forgotten by one that says nothing", { { choices = array {}, usage = usage(3) },
      '{"choices":[],"usage":{}}', text "a" }, { text = "a", usage = usage(3) } },
    { "has reasoning_tokens in one place", { text "a", { choices = array {}, usage = {
      completion_tokens_details = { reasoning_tokens = 4 } } } },
      { text = "a", usage = { reasoning_tokens = 4,
        completion_tokens_details = { reasoning_tokens = 4 } } } },
  }
end)

local function token(s) return { token = s, logprob = -0.5, top_logprobs = array {} } end

describe("reasoning, refusal and logprobs", function()
  after_each(support.close_all)

  run {
    { "reasoning_content is reasoning", { { reasoning_content = "h" }, { reasoning_content = "m" },
      text "a" }, { text = "a", reasoning = "hm" } },
    { "reasoning is reasoning", { { reasoning = "h" }, { reasoning = "m" }, text "a" },
      { text = "a", reasoning = "hm" } },
    { "both in one delta count once", { { reasoning_content = "h", reasoning = "h" }, text "a" },
      { text = "a", reasoning = "h" } },
    { "one of them may be null or empty", { { reasoning_content = null, reasoning = "h" },
      { reasoning_content = "", reasoning = "m" }, text "a" }, { text = "a", reasoning = "hm" } },
    { "reasoning may be beside content", { { reasoning = "h", content = "a" } },
      { text = "a", reasoning = "h" } },
    { "null reasoning is none", { { reasoning_content = null, content = "a" } },
      { text = "a", reasoning = null } },
    { "reasoning_details are it where nothing else is", {
      { reasoning_details = array { { type = "reasoning.text", text = "h" },
        { type = "reasoning.encrypted", data = "AAAA" } } },
      { reasoning_details = array { { type = "reasoning.summary", summary = "m" } } }, text "a" },
      { text = "a", reasoning = "hm" } },
    { "reasoning_details beside it are not", {
      { reasoning = "h", reasoning_details = array { { text = "h" } } },
      { reasoning_details = array { { text = "h" } } }, text "a" },
      { text = "a", reasoning = "h" } },
    { "refusal accumulates", { { refusal = "no" }, { refusal = ", no" }, { refusal = null } },
      { text = "", refusal = "no, no" } },
    { "logprobs accumulate", {
      { choices = { { delta = { content = "a" }, logprobs = { content = { token "a" } } } } },
      { choices = { { delta = { content = "b" }, logprobs = null } } },
      { choices = { { delta = { content = "cd" }, logprobs = { content = { token "c", token "d" },
        refusal = null } } } },
      { choices = { { delta = {}, logprobs = { content = array {},
        refusal = { token "r" } } } } } },
      { text = "abcd", logprobs = {
        content = { { token = "a", logprob = -0.5, top_logprobs = {} },
          { token = "c", logprob = -0.5, top_logprobs = {} },
          { token = "d", logprob = -0.5, top_logprobs = {} } },
        refusal = { { token = "r", logprob = -0.5, top_logprobs = {} } } } } },
    { "null logprobs are none",
      { { choices = { { delta = { content = "a" }, logprobs = null } } } },
      { text = "a", logprobs = null } },
  }

  it("the message has the refusal, too", function()
    local result = batch.one { pieces = { stream { { refusal = "no" } } } }
    assert.equal("no", result.reply.message.refusal)
    assert.equal("no", result.bot:get_messages()[2].refusal)
    local server = support.serve { support.sse { "why" } }
    assert.equal("why", chatbot.new({ base_url = server.url, model = "m", timeout = 10,
      messages = result.bot:get_messages() }):chat("Why?"))
    assert.same({ role = "assistant", content = "no" }, server:requests()[1].json.messages[2])
  end)
end)

-- A fragment of a tool call.
local function call(index, id, name, arguments, extra)
  local fragment = { index = index, id = id, type = "function",
    ["function"] = { name = name, arguments = arguments } }
  for key, value in pairs(extra or {}) do fragment[key] = value end
  return fragment
end

local function calls(...)
  return { tool_calls = array { ... } }
end

local function expected(id, name, arguments, extra)
  local want = call(nil, id, name, arguments, extra)
  return want
end

describe("tool calls", function()
  after_each(support.close_all)

  local function rows(cases)
    for _, case in ipairs(cases) do
      run { { case[1], case[2], { status = case[3] == null and "complete" or "tool_calls",
        tool_calls = case[3] } } }
    end
  end

  -- The same, for calls of which the ids were made.
  local function made(cases)
    for _, case in ipairs(cases) do
      it(case[1], function()
        local reply = batch.one({ pieces = { stream(case[2]) } }).reply
        local seen = {}
        for i, call_made in ipairs(reply.tool_calls) do
          assert.truthy(call_made.id:find("^%w%w%w%w%w%w%w%w%w$"))
          assert.is_nil(seen[call_made.id])
          seen[call_made.id] = true
          call_made.id = nil
          assert.same(case[3][i], call_made)
        end
        assert.equal(#case[3], #reply.tool_calls)
      end)
    end
  end

  rows {
    -- with an index: OpenAI
    { "with an index are put together, also in parallel", {
      calls(call(0, "i0", "f", "")), calls(call(1, "i1", "g", "")),
      calls(call(0, nil, nil, '{"a"')), calls(call(1, nil, nil, "{")),
      calls(call(1, nil, nil, "}"), call(0, nil, nil, ":1}")) },
      { expected("i0", "f", '{"a":1}'), expected("i1", "g", "{}") } },
    { "may all come in one fragment", { calls(call(0, "i0", "f", "{}"), call(1, "i1", "g", "{}")) },
      { expected("i0", "f", "{}"), expected("i1", "g", "{}") } },
    { "stay in the order in which they began", { calls(call(5, "i5", "f", "{}")),
      calls(call(0, "i0", "g", "{}")) },
      { expected("i5", "f", "{}"), expected("i0", "g", "{}") } },
    { "may have null for what is missing", { calls(call(0, "i0", "f", null)),
      calls(call(0, null, null, "{}")) }, { expected("i0", "f", "{}") } },
    { "may have a name after the id", { calls(call(0, "i0", nil, "")),
      calls(call(0, nil, "f", "{}")) }, { expected("i0", "f", "{}") } },
    { "keep the first id", { calls(call(0, "i0", "f", "{")), calls(call(0, "i9", nil, "}")) },
      { expected("i0", "f", "{}") } },
    { "take a later id where the first was empty", { calls(call(0, "", "f", "{")),
      calls(call(0, "i0", "", "}")) }, { expected("i0", "f", "{}") } },
    -- without: Gemini
    { "without an index open with a name", { calls(call(nil, "i0", "f", "{}")),
      calls(call(nil, "i1", "g", "{}")) },
      { expected("i0", "f", "{}"), expected("i1", "g", "{}") } },
    { "without an index go on without a name", { calls(call(nil, "i0", "f", '{"a"')),
      calls(call(nil, nil, nil, ":")), calls(call(nil, "", "", "1}")) },
      { expected("i0", "f", '{"a":1}') } },
    { "with a null index are without", { calls(call(null, "i0", "f", "{")),
      calls(call(null, nil, nil, "}")), calls(call(null, "i1", "g", "{}")) },
      { expected("i0", "f", "{}"), expected("i1", "g", "{}") } },

    -- a new id each time: LM Studio
    { "are not opened by a new id with an index", { calls(call(0, "i0", "f", "")),
      calls(call(0, "i1", nil, "{")), calls(call(0, "i2", "", "}")) },
      { expected("i0", "f", "{}") } },
    { "are not opened by a new id without an index", { calls(call(nil, "i0", "f", "")),
      calls(call(nil, "i1", nil, "{")), calls(call(nil, "i2", null, "}")) },
      { expected("i0", "f", "{}") } },
    { "are opened by a new id with a name", { calls(call(nil, "i0", "f", "{}")),
      calls(call(nil, "i1", "f", "{}")) },
      { expected("i0", "f", "{}"), expected("i1", "f", "{}") } },

    -- names
    { "do not double a repeated name", { calls(call(0, "i0", "get", "{")),
      calls(call(0, nil, "get", "}")) }, { expected("i0", "get", "{}") } },
    { "take a name that grows", { calls(call(0, "i0", "get", "{")),
      calls(call(0, nil, "get_weather", "}")) }, { expected("i0", "get_weather", "{}") } },
    { "keep a name that shrinks", { calls(call(0, "i0", "get_weather", "{")),
      calls(call(0, nil, "get", "}")) }, { expected("i0", "get_weather", "{}") } },
    { "join a name in pieces", { calls(call(0, "i0", "get_", "")), calls(call(0, nil, "wea", "{")),
      calls(call(0, "i0", "ther", "}")) }, { expected("i0", "get_weather", "{}") } },
    { "without any name are none", { calls(call(0, "i0", nil, "{}")) }, null },
    { "with an empty name are none", { calls(call(nil, "i0", "", "{}"), call(0, "i1", "", "{}")) },
      null },
    { "without a function are none", { calls({ index = 0, id = "i0" }, { id = "i1" }) }, null },
    { "in an empty list are none", { { tool_calls = array {} } }, null },
    { "that are null are none", { { tool_calls = null, content = null } }, null },

    -- indexes
    { "of 1023 are taken", { calls(call(1023, "i", "f", "{")), calls(call(1023, nil, nil, "}")) },
      { expected("i", "f", "{}") } },
    { "of 1024 and more are not", { calls(call(0, "i", "f", "{}")),
      calls(call(1024, "j", "g", "{}")),
      '{"choices":[{"delta":{"tool_calls":[{"index":1e30,"function":{"name":"h"}}]}}]}',
      '{"choices":[{"delta":{"tool_calls":[{"index":1' .. ("0"):rep(400)
        .. ',"function":{"name":"h"}}]}}]}' },
      { expected("i", "f", "{}") } },
    { "of no whole number are as without one", { calls(call(-1, "i0", "f", "{")),
      calls(call(-1, nil, nil, "}")), calls(call(0.5, "i1", "g", "{")),
      calls(call("0", nil, nil, "}")), calls(call(true, "i2", "h", "{}")) },
      { expected("i0", "f", "{}"), expected("i1", "g", "{}"), expected("i2", "h", "{}") } },

    -- arguments
    { "may have an object for arguments", { calls(call(0, "i", "f", { a = 1 })) },
      { expected("i", "f", '{"a":1}') } },
    { "may have no arguments", { calls(call(0, "i", "f")) }, { expected("i", "f", "{}") } },
    { "may have arguments that are blank", { calls(call(0, "i", "f", " \n")) },
      { expected("i", "f", "{}") } },
    { "may have the word null for them", { calls(call(0, "i", "f", "nu")),
      calls(call(0, nil, nil, "ll")) }, { expected("i", "f", "{}") } },
    { "keep arguments that are no object", { calls(call(0, "i", "f", '{"a":')) },
      { expected("i", "f", '{"a":') } },
    { "ignore arguments of other types", { calls(call(0, "i", "f", true)),
      calls(call(0, nil, nil, 7)), calls(call(0, nil, nil, "{}")) }, { expected("i", "f", "{}") } },
    -- all under one index: Ollama, routes to Gemini
    { "are opened by a name with another id", { calls(call(0, "i0", "f", '{"a":')),
      calls(call(0, "i1", "g", "{}")), calls(call(0, nil, nil, " ")) },
      { expected("i0", "f", '{"a":'), expected("i1", "g", "{} ") } },
    { "are not opened by their head once more", { calls(call(0, "i0", "f", '{"a":1}')),
      calls(call(0, "i0", "f", "")), calls(call(0, "i0", "f", null)), calls(call(0, "i0", "f")) },
      { expected("i0", "f", '{"a":1}') } },
    { "of one id with arguments of their own are two", { calls(call(0, "i0", "f", "{}")),
      calls(call(0, "i0", "f", "{ }")) },
      { expected("i0", "f", "{}"), expected("c00000101", "f", "{ }") } },
    { "are opened by a name behind whole arguments", { calls(call(0, "i0", "f", '{"a":"}\\"{"')),
      calls(call(0, nil, nil, ',"b":[]} ')), calls(call(0, nil, "f", "[1,")),
      calls(call(0, nil, nil, "{}]")), calls(call(0, nil, "h", "null")), },
      { expected("i0", "f", '{"a":"}\\"{","b":[]} '), expected("c00000101", "f", "[1,{}]"),
        expected("c00000102", "h", "{}") } },
    { "are opened by one behind a number", { calls(call(0, "i0", "f", "12")),
      calls(call(0, "i0", "g", "{}")) },
      { expected("i0", "f", "12"), expected("c00000101", "g", "{}") } },
    { "are not opened by one behind half an object", { calls(call(0, "i0", "f", '{"a":"}')),
      calls(call(0, "i0", "f", '"}')) }, { expected("i0", "f", '{"a":"}"}') } },
    { "have an id that is theirs alone", {
      calls(call(0, "i", "f", "{}"), call(1, "i", "g", "{}")) },
      { expected("i", "f", "{}"), expected("c00000101", "g", "{}") } },

    -- the rest
    { "keep what else they bring", { calls(call(0, "i", "f", "{", { extra_content = { google = {
      thought_signature = "sig" } }, more = "x" })),
      calls(call(0, nil, nil, "}", { more = "y" })) },
      { expected("i", "f", "{}", { extra_content = { google = { thought_signature = "sig" } },
        more = "x" }) } },
    { "keep what comes late", { calls(call(0, "i", "f", "{}")), calls({ index = 0,
      extra_content = { google = { thought_signature = "sig" } } }) },
      { expected("i", "f", "{}",
        { extra_content = { google = { thought_signature = "sig" } } }) } },
    { "are functions unless they say otherwise", { '{"choices":[{"delta":{"tool_calls":[{"index":0,'
      .. '"id":"i","function":{"name":"f","arguments":"{}"}}]}}]}' },
      { expected("i", "f", "{}") } },
  }

  made {
    { "without an id are given one", { calls(call(0, nil, "f", "{}")) },
      { expected(nil, "f", "{}") } },
    { "without an index or an id open with a name, even the same", {
      calls(call(nil, nil, "f", "{}"), call(nil, nil, "f", "{}")) },
      { expected(nil, "f", "{}"), expected(nil, "f", "{}") } },
    { "join halves of a surrogate pair in the arguments", {
      '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"'
        .. HIGH .. '"}}]}}]}',
      '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"' .. LOW
        .. HIGH .. '"}}]}}]}' }, { expected(nil, "f", SMILE .. FFFD) } },
  }

  it("have arguments that are followed in linear time", function()
    local piece = ('{"index":0,"function":{"name":"f","arguments":"%s"}}'):format(("[1,"):rep(30))
    local function seconds(n)
      local events = {}
      for i = 1, n do
        events[i] = 'data: {"choices":[{"delta":{"tool_calls":[' .. piece .. ']}}]}\n\n'
      end
      local before = os.clock()
      assert.equal(1, #batch.one({ pieces = { table.concat(events) .. "data: [DONE]\n\n" } })
        .reply.tool_calls)
      return os.clock() - before
    end
    seconds(1000)
    local short, long = seconds(2000), seconds(8000)
    assert.is_true(long < 10 * short + 0.2, ("%.3f s, %.3f s"):format(short, long))
  end)

  it("are at most 1024", function()
    local items = {}
    for i = 1, 30 do
      local list = {}
      for k = 1, 50 do list[k] = call(nil, "i" .. i .. "_" .. k, "f", "{}") end
      items[i] = { tool_calls = list }
    end
    local result = batch.one { pieces = { stream(items) } }
    assert.is_nil(result.err)
    assert.equal(1024, #result.reply.tool_calls)
  end)

  it("are in the message and are sent back as they came", function()
    local extra = { extra_content = { google = { thought_signature = "sig" } } }
    local server = support.serve({
      support.sse { calls(call(nil, "i0", "f", { a = 1 }, extra)),
        calls(call(nil, "i1", "g", "{}")) },
      support.sse { "done" },
    }, { strict = "gemini" })
    local bot = chatbot.new { base_url = server.url, provider = "gemini", api_key = "k",
      model = "m", timeout = 10 }
    local answer, reply = bot:chat("hello")
    assert.equal("", answer)
    assert.is_nil(reply.message.content)
    assert.same(reply.tool_calls, reply.message.tool_calls)
    local messages = bot:get_messages()
    messages[#messages + 1] = { role = "tool", tool_call_id = "i0", content = "1" }
    messages[#messages + 1] = { role = "tool", tool_call_id = "i1", content = "2" }
    assert.equal("done", bot:chat("go on"))
    local sent = server:requests()[2].json.messages
    assert.same({ expected("i0", "f", '{"a":1}', extra), expected("i1", "g", "{}") },
      sent[2].tool_calls)
    assert.equal("assistant", sent[2].role)
  end)

  it("may be in a whole document", function()
    local server = support.serve { support.json_completion("", { finish_reason = "tool_calls",
      message = { content = null, tool_calls = { call(nil, "i0", "f", "{}"),
        call(nil, "i1", "f", { b = 2 }) } } }) }
    local bot = chatbot.new { base_url = server.url, model = "m", stream = false, timeout = 10 }
    local answer, reply = bot:chat("hello")
    assert.equal("", answer)
    assert.equal("tool_calls", reply.status)
    assert.same({ expected("i0", "f", "{}"), expected("i1", "f", '{"b":2}') }, reply.tool_calls)
  end)
end)

describe("surrogates", function()
  after_each(support.close_all)

  -- What the deltas hold; every delta goes each of the two ways.
  local cases = {
    { "are joined in one delta", { HIGH .. LOW }, SMILE },
    { "are joined over two deltas", { HIGH, LOW }, SMILE },
    { "are joined over two deltas with text around", { "a" .. HIGH, LOW .. "b" },
      "a" .. SMILE .. "b" },
    { "are joined over an empty delta", { HIGH, "", LOW }, SMILE },
    { "become U+FFFD when the high half lasts", { "a" .. HIGH, "b" }, "a" .. FFFD .. "b" },
    { "become U+FFFD when the stream ends", { "a" .. HIGH }, "a" .. FFFD },
    { "become U+FFFD when the low half is alone", { "a" .. LOW, "b" }, "a" .. FFFD .. "b" },
    { "become U+FFFD in the wrong order", { LOW, HIGH }, FFFD .. FFFD },
    { "are joined after a lone half", { HIGH .. HIGH, LOW }, FFFD .. SMILE },
    { "are joined before a lone half", { HIGH, LOW .. LOW }, SMILE .. FFFD },
    { "are nothing behind a backslash", { "\\\\ud83d", "\\\\ude00" }, "\\ud83d\\ude00" },
    { "may be raw bytes", { "\237\160\189", "\237\184\128" }, SMILE },
    { "may be raw bytes that last", { "a\237\160\189", "b" }, "a" .. FFFD .. "b" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local n, jobs = #case[2], {}
      for ways = 0, 2 ^ n - 1 do
        local items = {}
        for i, content in ipairs(case[2]) do
          local json = text(content)
          items[i] = math.floor(ways / 2 ^ (i - 1)) % 2 == 1 and slow(json) or json
        end
        jobs[#jobs + 1] = { pieces = { stream(items) } }
      end
      for i, result in ipairs(batch.run(jobs)) do check({ text = case[3] }, result, "way " .. i) end
    end)
  end

  it("are joined in reasoning and refusal", function()
    local items = {}
    for _, name in ipairs { "reasoning", "refusal" } do
      for _, half in ipairs { HIGH, LOW } do
        items[#items + 1] = '{"choices":[{"delta":{"' .. name .. '":"' .. half .. '"}}]}'
      end
    end
    check({ reasoning = SMILE, refusal = SMILE }, batch.one { pieces = { stream(items) } }, "")
  end)

  it("are joined over parts of content", function()
    check({ text = SMILE }, batch.one { pieces = { stream {
      '{"choices":[{"delta":{"content":[{"text":"' .. HIGH .. '"},{"text":"' .. LOW .. '"}]}}]}',
    } } }, "")
  end)

  it("are joined in a whole document", function()
    check({ text = SMILE .. FFFD .. "x" }, batch.one { type = "application/json", pieces = {
      '{"choices":[{"message":{"content":"' .. HIGH .. LOW .. HIGH .. 'x"}}]}' } }, "")
  end)

  it("never reach the user in halves", function()
    local result = batch.one { pieces = { "data: " .. text("a" .. HIGH) .. "\n\n",
      "data: " .. text(LOW .. "b") .. "\n\n", "data: [DONE]\n\n" }, pause = 0.02 }
    assert.equal("a" .. SMILE .. "b", result.text)
  end)

  it("do not hide an error", function()
    local result = batch.one { pieces = { stream {
      '{"error":{"message":"bad ' .. HIGH .. '"}}' } } }
    assert.equal("api", result.err.kind)
    assert.equal("bad ", result.err.message:sub(1, 4))
  end)
end)


-- Anything anywhere --------------------------------------------------------

local function nested(n) return ("["):rep(n) .. ("]"):rep(n) end

local VALUES = {
  "null", "true", "false", "0", "-1", "0.5", "1e999", "-1e999", "1e-999",
  "1" .. ("0"):rep(30), "-1" .. ("0"):rep(400), '""', '"x"', '"0"', '"error"', '"\\u0000"',
  '"\255"', '"' .. HIGH .. '"', "[]", "[null]", "[0]", '["x"]', "[[]]", "[{}]", "[null,{}]",
  "{}", '{"a":1}', '{"0":{}}', '{"":null}', '{"text":1}', nested(60), nested(70),
}

-- Where they are put: the chunk with @ in its place.
local FIELDS = {
  "@",
  '{"id":@}', '{"object":@}', '{"created":@}', '{"model":@}', '{"choices":@}', '{"usage":@}',
  '{"error":@}', '{"x_groq":@}', '{"x_groq":{"usage":@}}', '{"timings":@}', '{"detail":@}',
  '{"message":@}', '{"":@}',
  '{"usage":{"total_tokens":@}}', '{"usage":{"prompt_tokens":@,"total_tokens":50}}',
  '{"choices":[@]}', '{"choices":[{},@]}', '{"choices":[{"index":@}]}',
  '{"choices":[{"index":@,"delta":{"content":"x"}}]}', '{"choices":[{"delta":@}]}',
  '{"choices":[{"message":@}]}', '{"choices":[{"finish_reason":@}]}',
  '{"choices":[{"logprobs":@}]}',
  '{"choices":[{"logprobs":{"content":@}}]}', '{"choices":[{"logprobs":{"refusal":@}}]}',
  '{"choices":[{"logprobs":{"content":[@]}}]}', '{"choices":[{"usage":@}]}',
  '{"choices":[{"error":@}]}', '{"choices":[{"finish_reason":"error","error":@}]}',
  '{"choices":[{"delta":{"content":@}}]}', '{"choices":[{"delta":{"content":[@]}}]}',
  '{"choices":[{"delta":{"content":[{"text":@}]}}]}',
  '{"choices":[{"delta":{"content":[{"thinking":@}]}}]}',
  '{"choices":[{"delta":{"content":[{"thinking":[@]}]}}]}',
  '{"choices":[{"delta":{"role":@}}]}', '{"choices":[{"delta":{"reasoning":@}}]}',
  '{"choices":[{"delta":{"reasoning_content":@}}]}', '{"choices":[{"delta":{"refusal":@}}]}',
  '{"choices":[{"delta":{"tool_calls":@}}]}', '{"choices":[{"delta":{"tool_calls":[@]}}]}',
  '{"choices":[{"delta":{"function_call":@}}]}', '{"choices":[{"delta":{"audio":@}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":@,"function":{"name":"f"}}]}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":0,"id":@,"function":{"name":"f"}}]}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":0,"type":@,"function":{"name":"f"}}]}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":@}]}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":@}}]}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":@}}]}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f"},"extra_content":@}]}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","more":@}}]}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f"},"":@}]}}]}',
}

local KINDS = { api = true, protocol = true, http = true }

local function sound_text(value, where)
  assert.truthy(value == nil or type(value) == "string", where .. ": " .. type(value))
end

local function sound_table(value, where)
  assert.truthy(value == nil or type(value) == "table", where .. ": " .. type(value))
end

-- Whatever came, this is what a user relies on.
local function check_sound(result, where)
  local reply, err = result.reply, result.err
  for _, name in ipairs { "reasoning", "refusal", "finish_reason", "id", "model", "request_id" } do
    sound_text(reply[name], where .. ": " .. name)
  end
  assert.equal("string", type(reply.text), where)
  for _, name in ipairs { "usage", "logprobs", "raw", "tool_calls" } do
    sound_table(reply[name], where .. ": " .. name)
  end
  if err then
    assert.truthy(KINDS[err.kind], where .. ": " .. tostring(err))
    assert.equal("string", type(err.message), where)
    assert.truthy(#err.message > 0 and #err.message < 2000, where)
    for _, name in ipairs { "type", "param", "partial" } do
      sound_text(err[name], where .. ": " .. name)
    end
    local code = type(err.code)
    assert.truthy(code == "nil" or code == "string" or code == "number", where .. ": code")
    assert.equal("error", reply.status, where)
    assert.equal(0, #result.bot:get_messages(), where)
    return
  end
  assert.equal("assistant", reply.message.role, where)
  for i, item in ipairs(reply.tool_calls or {}) do
    sound_text(item.id, where .. ": id of call " .. i)
    assert.equal("string", type(item.type), where)
    assert.equal("string", type(item["function"].name), where)
    assert.equal("string", type(item["function"].arguments), where)
  end
end

-- All values in one place of a chunk, after a good chunk and before another; then, where
-- it ended well, a second turn with what is now in the history.
local function check_field(field, job_of)
  local jobs = {}
  for i, value in ipairs(VALUES) do
    local json = field:gsub("@", function() return value end)
    jobs[i] = job_of(json)
    jobs[i].bot = { max_context_tokens = 10 }
    jobs[i].json = json:sub(1, 120)
  end
  local results = batch.run(jobs)
  for _, result in ipairs(results) do
    check_sound(result, result.job.json)
    if result.reply.tool_calls then
      local server = support.serve { support.sse { "again" } }
      local again = chatbot.new { base_url = server.url, model = "m", timeout = 10,
        messages = result.bot:get_messages() }
      assert.equal("again", (again:chat("hello")), result.job.json)
      server:close()
    end
  end
  return results
end

describe("any JSON value", function()
  after_each(support.close_all)

  for _, field in ipairs(FIELDS) do
    it("in " .. field .. " harms nothing", function()
      local results = check_field(field, function(json)
        return { pieces = { stream { text "a", json, text "b" } }, pause = 0 }
      end)
      for _, result in ipairs(results) do
        if result.err then
          assert.equal("a", (result.err.partial or ""):sub(1, 1), result.job.json)
        else
          assert.truthy(result.answer:find("^a.*b$"), result.job.json)
        end
      end
    end)

    it("in a whole document with " .. field .. " harms nothing", function()
      check_field(field, function(json)
        return { pieces = { (json:gsub('"delta"', '"message"')) }, type = "application/json",
          pause = 0, call = { stream = false } }
      end)
    end)
  end

  for _, field in ipairs { "@", '{"error":@}', '{"errors":@}', '{"errors":[@]}', '[@]',
    '[{"error":@}]',
    '{"detail":@}', '{"detail":[@]}', '{"message":@}', '{"error":{"message":@}}',
    '{"error":{"message":"m","code":@}}', '{"error":{"message":"m","type":@}}',
    '{"error":{"message":"m","param":@}}', '{"object":"error","message":@}',
    '{"error_type":@,"error_message":"m"}', '{"error_type":"t","error_message":@}' } do
    it("in an error body " .. field .. " harms nothing", function()
      for _, result in ipairs(check_field(field, function(json)
        return { pieces = { json }, type = "application/json", status = 400, pause = 0 }
      end)) do
        assert.equal("http", result.err.kind)
        assert.equal(400, result.err.status)
      end
    end)
  end
end)

describe("a chunk without measure", function()
  after_each(support.close_all)

  for _, depth in ipairs { 65, 1000, 100000 } do
    it(("nested %d deep is a clean failure"):format(depth), function()
      local deep = nested(depth)
      local objects = ('{"a":'):rep(depth) .. "1" .. ("}"):rep(depth)
      local jobs = {}
      for _, json in ipairs { deep, objects, ("["):rep(depth), ('{"a":'):rep(depth),
        '{"choices":[{"delta":{"content":' .. deep .. "}}]}", '{"x":' .. objects .. "}" } do
        jobs[#jobs + 1] = { pieces = { stream { text "a", json } }, pause = 0 }
        jobs[#jobs + 1] = { pieces = { json }, type = "application/json", pause = 0 }
        jobs[#jobs + 1] = { pieces = { json }, type = "application/json", status = 500, pause = 0 }
      end
      for i, result in ipairs(batch.run(jobs)) do
        assert.equal(i % 3 == 0 and "http" or "protocol", result.err.kind, tostring(result.err))
        assert.equal(i % 3 == 1 and "a" or nil, result.err.partial)
      end
    end)
  end

  it("of huge numbers allocates nothing for them", function()
    local huge = { "1e999", "1e308", "9007199254740993", "1" .. ("0"):rep(30),
      "1" .. ("0"):rep(100000), "0." .. ("0"):rep(100000) .. "1" }
    local jobs = {}
    for _, number in ipairs(huge) do
      for _, json in ipairs { '{"created":@,"choices":[{"index":0,"delta":{"content":"x"}}]}',
        '{"choices":[{"index":@,"delta":{"content":"y"}}]}',
        '{"choices":[{"delta":{"tool_calls":[{"index":@,"function":{"name":"f"}}]}}]}',
        '{"choices":[],"usage":{"total_tokens":@}}' } do
        jobs[#jobs + 1] = { pieces = { stream { text "a", (json:gsub("@", number)) } }, pause = 0 }
      end
    end
    local before = collectgarbage("count")
    for _, result in ipairs(batch.run(jobs)) do
      if result.err then
        assert.equal("protocol", result.err.kind)
        assert.equal("a", result.err.partial)
      else
        assert.equal("a", result.answer:sub(1, 1))
      end
    end
    collectgarbage()
    collectgarbage()
    assert.is_true(collectgarbage("count") - before < 30 * 1024)
  end)

  it("of 100,000 choices is taken", function()
    local json = '{"choices":[' .. ("{},"):rep(100000)
      .. '{"index":0,"delta":{"content":"late"}}]}'
    local result = batch.one { pieces = { stream { text "a", json, text "b" } }, pause = 0 }
    check({ text = "ab" }, result, "choices")
  end)

  it("with the same key twice is no trouble", function()
    local jobs = {}
    for _, json in ipairs { '{"choices":[],"choices":[{"delta":{"content":"x"}}]}',
      '{"choices":[{"delta":{"content":"x","content":"x"}}]}',
      '{"choices":[{"delta":null,"delta":{"content":"x"}}]}' } do
      jobs[#jobs + 1] = { pieces = { stream { text "a", json, text "b" } }, pause = 0 }
    end
    for _, result in ipairs(batch.run(jobs)) do check({ text = "axb" }, result, "twice") end
  end)
end)

-- How the streams of the providers differ. Each row: bytes of the body, what is owed.
describe("the stream of", function()
  after_each(support.close_all)

  local function lines(list) return table.concat(list, "\n\n") .. "\n\n" end

  local dialects = {
    openai = { lines {
      'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","created":1700000000,'
        .. '"model":"gpt-4.1","service_tier":"default","system_fingerprint":"fp","choices":['
        .. '{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,'
        .. '"finish_reason":null}],"usage":null,"obfuscation":"Vd7"}',
      'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","model":"gpt-4.1","choices":['
        .. '{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}],'
        .. '"usage":null,"obfuscation":"x"}',
      'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","model":"gpt-4.1","choices":['
        .. '{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null,'
        .. '"obfuscation":""}',
      'data: {"id":"chatcmpl-9","object":"chat.completion.chunk","model":"gpt-4.1","choices":[],'
        .. '"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"obfuscation":"y"}',
      "data: [DONE]",
    }, { text = "Hi", usage = { prompt_tokens = 1, completion_tokens = 2, total_tokens = 3 },
      finish_reason = "stop", status = "complete", id = "chatcmpl-9", model = "gpt-4.1",
      refusal = null, logprobs = null } },

    gemini = { lines {
      'data: {"choices":[{"delta":{"content":"Hi","role":"assistant"},"index":0}],"created":1,'
        .. '"id":"g1","model":"gemini-2.5-flash","object":"chat.completion.chunk"}',
      'data: {"choices":[{"delta":{"role":"assistant","tool_calls":[{"extra_content":{"google":'
        .. '{"thought_signature":"s"}},"function":{"arguments":"{\\"a\\":1}","name":"f"},'
        .. '"id":"c1","type":"function"}]},"index":0}],"id":"g1","model":"gemini-2.5-flash"}',
      'data: {"choices":[{"delta":{"role":"assistant","tool_calls":[{"function":{"arguments":'
        .. '"{}","name":"f"},"id":"c2","type":"function"}]},"finish_reason":"stop","index":0}],'
        .. '"usage":{"total_tokens":9}}',
      "data: [DONE]",
    }, { text = "Hi", usage = { total_tokens = 9 }, finish_reason = "stop", status = "tool_calls",
      tool_calls = { expected("c1", "f", '{"a":1}', { extra_content = { google = {
        thought_signature = "s" } } }), expected("c2", "f", "{}") } } },

    ["gemini, text and finish_reason in one chunk"] = { lines {
      'data: {"choices":[{"delta":{"content":"Hi","role":"assistant"},"finish_reason":"stop",'
        .. '"index":0}],"id":"g2"}', "data: [DONE]" },
      { text = "Hi", finish_reason = "stop", status = "complete" } },

    xai = { lines {
      'data: {"id":"x","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"hm",'
        .. '"content":""}}]}',
      'data: {"id":"x","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],'
        .. '"usage":{"total_tokens":4,"num_sources_used":0},"citations":[]}',
      "data: [DONE]" }, { text = "Hi", reasoning = "hm", finish_reason = "stop" } },

    anthropic = { ": ping\n\n" .. lines {
      'data: {"id":"msg_1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}',
      ": ping", 'data: {"id":"msg_1","choices":[{"index":0,"delta":{"content":"Hi"}}]}',
      ": ping", ": ping",
      'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}', "data: [DONE]" },
      { text = "Hi", id = "msg_1", finish_reason = "stop" } },

    ["mistral, thoughts in parts"] = { lines {
      'data: {"id":"1","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":'
        .. '[{"type":"text","text":"hm"}]}]},"finish_reason":null}]}',
      'data: {"id":"1","choices":[{"index":0,"delta":{"content":[{"type":"text","text":"Hi"}]},'
        .. '"finish_reason":null}]}',
      'data: {"id":"1","choices":[{"index":0,"delta":{"content":" you","tool_calls":null},'
        .. '"finish_reason":"model_length"}],"usage":{"total_tokens":5}}', "data: [DONE]" },
      { text = "Hi you", reasoning = "hm", finish_reason = "model_length", status = "length" } },

    deepseek = { (": keep-alive\n\n"):rep(500) .. lines {
      'data: {"id":"d","choices":[{"index":0,"delta":{"role":"assistant","content":null,'
        .. '"reasoning_content":"hm"},"logprobs":null,"finish_reason":null}]}',
      ": keep-alive",
      'data: {"id":"d","choices":[{"index":0,"delta":{"content":"Hi","reasoning_content":null},'
        .. '"logprobs":null,"finish_reason":null}]}',
      'data: {"id":"d","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},'
        .. '"logprobs":null,"finish_reason":"stop"}],"usage":{"total_tokens":5}}', "data: [DONE]" },
      { text = "Hi", reasoning = "hm", usage = { total_tokens = 5 } } },

    groq = { lines {
      'data: {"id":"q","choices":[{"index":0,"delta":{"role":"assistant","content":""},'
        .. '"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_1"}}',
      'data: {"id":"q","choices":[{"index":0,"delta":{"content":"Hi","reasoning":"hm"},'
        .. '"logprobs":null,"finish_reason":null}]}',
      'data: {"id":"q","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],'
        .. '"x_groq":{"id":"req_1","usage":{"total_tokens":6}}}', "data: [DONE]" },
      { text = "Hi", reasoning = "hm", usage = { total_tokens = 6 } } },

    openrouter = { ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" .. lines {
      'data: {"id":"gen-1","provider":"P","choices":[{"index":0,"delta":{"role":"assistant",'
        .. '"content":"Hi","reasoning":null,"reasoning_details":[]},"finish_reason":null,'
        .. '"native_finish_reason":null,"logprobs":null}]}',
      'data: {"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},'
        .. '"finish_reason":"stop","native_finish_reason":"STOP"}]}',
      'data: {"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},'
        .. '"finish_reason":null}],"usage":{"total_tokens":7,"cost":0}}', "data: [DONE]" },
      { text = "Hi", finish_reason = "stop", usage = { total_tokens = 7, cost = 0 } } },

    ["perplexity, without [DONE]"] = { lines {
      'data: {"id":"p","model":"sonar","object":"chat.completion","usage":{"total_tokens":1},'
        .. '"citations":["u"],"choices":[{"index":0,"finish_reason":null,"message":{"role":'
        .. '"assistant","content":"Hi"},"delta":{"role":"assistant","content":"Hi"}}]}',
      'data: {"id":"p","model":"sonar","object":"chat.completion","usage":{"total_tokens":2},'
        .. '"choices":[{"index":0,"finish_reason":null,"message":{"role":"assistant","content":'
        .. '"Hi you"},"delta":{"role":"assistant","content":" you"}}]}',
      'data: {"id":"p","model":"sonar","object":"chat.completion","usage":{"total_tokens":3},'
        .. '"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":'
        .. '"Hi you"},"delta":{"role":"assistant","content":""}}]}' },
      { text = "Hi you", finish_reason = "stop", usage = { total_tokens = 3 } } },

    moonshot = { lines {
      'data: {"id":"k","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},'
        .. '"finish_reason":null}]}',
      'data: {"id":"k","choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":'
        .. '{"total_tokens":8}}]}', "data: [DONE]" },
      { text = "Hi", usage = { total_tokens = 8 } } },

    azure = { lines {
      'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":'
        .. '[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false}}}]}',
      'data: {"choices":[{"content_filter_results":{},"delta":{"content":"","role":"assistant"},'
        .. '"finish_reason":null,"index":0}],"created":1,"id":"az","model":"gpt-4.1","object":'
        .. '"chat.completion.chunk"}',
      'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":null,"index":0}],"id":"az"}',
      'data: {"choices":[{"content_filter_offsets":{"check_offset":1},"content_filter_results":'
        .. '{"hate":{"filtered":false}},"finish_reason":null,"index":0}],"created":0,"id":"",'
        .. '"model":"","object":""}',
      'data: {"choices":[{"delta":{},"finish_reason":"stop","index":0}],"id":"az"}',
      'data: {"choices":[{"content_filter_offsets":{"check_offset":9},"finish_reason":null,'
        .. '"index":0}],"id":"","model":"","object":""}', "data: [DONE]" },
      { text = "Hi", finish_reason = "stop", id = "az", model = "gpt-4.1", status = "complete" } },

    ollama = { lines {
      'data: {"id":"o","model":"llama3.2","choices":[{"index":0,"delta":{"role":"assistant",'
        .. '"content":"Hi"},"finish_reason":null}]}',
      'data: {"id":"o","model":"llama3.2","choices":[{"index":0,"delta":{"role":"assistant",'
        .. '"content":""},"finish_reason":null}]}', "data: [DONE]" },
      { text = "Hi", finish_reason = null, status = "complete" } },

    lmstudio = { lines {
      'data: {"id":"l","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,'
        .. '"id":"111","type":"function","function":{"name":"f","arguments":""}}]},"logprobs":null,'
        .. '"finish_reason":null}]}',
      'data: {"id":"l","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"222","type":'
        .. '"function","function":{"arguments":"{\\"a\\""}}]},"finish_reason":null}]}',
      'data: {"id":"l","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"333","type":'
        .. '"function","function":{"name":"","arguments":":1}"}}]},"finish_reason":null}]}',
      'data: {"id":"l","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
      "data: [DONE]" },
      { text = "", status = "tool_calls", tool_calls = { expected("111", "f", '{"a":1}') } } },

    ["llama-server"] = { lines {
      'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":'
        .. 'null}}],"created":1,"id":"c","model":"m","object":"chat.completion.chunk"}',
      ":",
      'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi"}}],"id":"c"}',
      'data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"id":"c"}',
      'data: {"choices":[],"created":1,"id":"c","usage":{"total_tokens":3},"timings":'
        .. '{"prompt_n":1,"predicted_per_second":12.5}}', "data: [DONE]" },
      { text = "Hi", usage = { total_tokens = 3 }, finish_reason = "stop" } },

    ["llama-server, two choices"] = { lines {
      'data: {"choices":[{"index":1,"finish_reason":null,"delta":{"content":"x"}}]}',
      'data: {"choices":[{"index":0,"finish_reason":null,"delta":{"content":"Hi"}}]}',
      'data: {"choices":[{"index":1,"finish_reason":"length","delta":{}}]}',
      'data: {"choices":[],"usage":{"total_tokens":1}}',
      'data: {"choices":[{"index":0,"finish_reason":"stop","delta":{}}]}',
      'data: {"choices":[],"usage":{"total_tokens":2}}', "data: [DONE]" },
      { text = "Hi", finish_reason = "stop", status = "complete", usage = { total_tokens = 2 } } },

    vllm = { lines {
      'data: {"id":"v","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":'
        .. 'null,"finish_reason":null}],"prompt_token_ids":null}',
      'data: {"id":"v","choices":[{"index":0,"delta":{"reasoning":"hm"},"logprobs":null,'
        .. '"finish_reason":null,"token_ids":null}]}',
      'data: {"id":"v","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,'
        .. '"finish_reason":"stop","stop_reason":null}]}',
      'data: {"id":"v","choices":[],"usage":{"total_tokens":4}}', "data: [DONE]" },
      { text = "Hi", reasoning = "hm", usage = { total_tokens = 4 } } },

    ["a gateway that says text/plain"] = { lines { "data: " .. text "Hi", "data: [DONE]" },
      { text = "Hi" }, "text/plain; charset=utf-8" },
  }

  for name, row in pairs(dialects) do
    it(name, function()
      local jobs = {}
      for i, cut in ipairs { { row[1] }, false } do
        local pieces = cut or {}
        for at = 1, cut and 0 or #row[1], 61 do
          pieces[#pieces + 1] = row[1]:sub(at, at + 60)
        end
        jobs[i] = { pieces = pieces, type = row[3], pause = 0.0005 }
      end
      for _, result in ipairs(batch.run(jobs)) do check(row[2], result, name) end
    end)
  end
end)
