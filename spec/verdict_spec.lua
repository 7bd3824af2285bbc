-- The verdict on an answer: complete, or which failure, and what was there by then.

local chatbot = require "chatbot"
local batch = require "spec.support.batch"
local support = require "spec.support"

local SMILE = "\240\159\152\128"

local function text(s) return '{"choices":[{"index":0,"delta":{"content":"' .. s .. '"}}]}' end

local FINISH = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
local WHOLE = '{"id":"w","object":"chat.completion","model":"m1","choices":[{"index":0,"message":'
  .. '{"role":"assistant","content":" Hi \\n"},"finish_reason":"stop"}],'
  .. '"usage":{"total_tokens":3}}'

local function events(...)
  local out = {}
  for i, data in ipairs { ... } do out[i] = "data: " .. data .. "\n\n" end
  return table.concat(out)
end

-- What a failure has to have; fields that are not named in `want` are not looked at,
-- but for `partial`.
local function check_failure(want, result, where)
  local err = result.err
  assert.truthy(err, (where or "") .. ": no failure")
  assert.is_nil(result.answer)
  for name, value in pairs(want) do
    if name == "find" then
      assert.truthy(err.message:find(value, 1, true), err.message)
    else
      assert.equal(value, err[name], (where or "") .. ": " .. name .. ": " .. tostring(err))
    end
  end
  assert.equal(want.partial, err.partial, where)
  assert.equal("error", result.reply.status)
  assert.equal(0, #result.bot:get_messages())
  assert.truthy(tostring(err):find(err.kind, 1, true))
end


-- Truncation ---------------------------------------------------------------

describe("a stream that is cut", function()
  after_each(support.close_all)

  local bytes = ": hi\n\n" .. events(text "H\195\169", text "l\\ud83d", text "\\ude00") .. "data: "
    .. FINISH .. "\r\n\r\ndata: [DONE]\n\n"
  local truth = "H\195\169l" .. SMILE
  local _, finished = bytes:find(FINISH, 1, true)

  -- How many of these bytes are needed for how much of the text.
  local steps = {}
  for _, step in ipairs {
    { text "H\195\169", "H\195\169" }, { text "l\\ud83d", "H\195\169l" }, { text "\\ude00", truth },
  } do
    local _, last = bytes:find(step[1], 1, true)
    steps[#steps + 1] = { last, step[2] }
  end

  local function check_cut(n, result)
    local where = ("cut after %d bytes"):format(n)
    if n >= finished then
      assert.is_nil(result.err, where .. ": " .. tostring(result.err))
      assert.equal(truth, result.answer, where)
      assert.equal("complete", result.reply.status, where)
      return
    end
    local partial
    for _, step in ipairs(steps) do
      if n >= step[1] then partial = step[2] end
    end
    -- a half of a pair that has come may show as U+FFFD, once it is clear that no more will
    local shown = "H\195\169l\239\191\189"
    if partial == "H\195\169l" and result.err and result.err.partial == shown then
      partial = shown
    end
    check_failure({ kind = "truncated", status = 200, partial = partial }, result, where)
    assert.equal(1, result.err.attempts, where)
    local seen = result.text:gsub("\239\191\189", "")
    assert.equal(truth:sub(1, #seen), seen, where)
  end

  local endings = {
    { "by a clean last chunk", "end" }, { "without the last chunk", "cut" },
    { "where the connection frames it", "close" },
  }
  for _, ending in ipairs(endings) do
    it("anywhere " .. ending[1] .. " is truncated, unless it was finished", function()
      local jobs = {}
      for n = 1, #bytes do
        jobs[n] = { pieces = { bytes:sub(1, n) }, ending = ending[2], pause = 0 }
      end
      for n, result in ipairs(batch.run(jobs)) do check_cut(n, result) end
    end)
  end

  it("anywhere before its declared length is truncated, unless it was finished", function()
    local head = support.head(200, { ["Content-Type"] = "text/event-stream",
      ["Content-Length"] = tostring(#bytes) })
    local jobs = {}
    for n = 1, #bytes do jobs[n] = { raw = head .. bytes:sub(1, n) } end
    for n, result in ipairs(batch.run(jobs)) do check_cut(n, result) end
  end)

  it("anywhere in a chunk of the transfer coding is truncated, unless it was finished", function()
    local head = support.head(200, { ["Content-Type"] = "text/event-stream",
      ["Transfer-Encoding"] = "chunked" })
    local jobs = {}
    for n = 1, #bytes do
      jobs[n] = { raw = (head .. support.chunks(bytes)):sub(1, #head + 5 + n) }
      assert.equal(bytes:sub(n, n), jobs[n].raw:sub(-1))
    end
    for n, result in ipairs(batch.run(jobs)) do check_cut(n, result) end
  end)

  it("anywhere in the head is truncated and has no text", function()
    local head = support.head(200, { ["Content-Type"] = "text/event-stream" })
    local jobs = {}
    for n = 0, #head do jobs[n + 1] = { raw = head:sub(1, n) } end
    for n, result in ipairs(batch.run(jobs)) do
      check_failure({ kind = "truncated" }, result, ("head cut after %d bytes"):format(n - 1))
      assert.truthy(#result.err.message > 0)
    end
  end)

  it("says so", function()
    local err = batch.one({ pieces = { events(text "a") } }).err
    assert.truthy(err.message:find("ended before", 1, true), err.message)
    assert.equal("truncated 200: " .. err.message .. " [openai m]", tostring(err))
  end)

  it("is not asked for again, however many retries there may be", function()
    local server = support.serve { support.sse({ "a" }, { finish_reason = false, done = false }) }
    local bot = chatbot.new { base_url = server.url, model = "m", max_retries = 5, timeout = 10 }
    local answer, err = bot:chat("hello")
    assert.is_nil(answer)
    assert.equal("a", err.partial)
    assert.equal(1, #server:requests())
  end)

  it("by a reset keeps what has arrived", function()
    local server = support.serve { { support.sse({ "a", "b" },
      { finish_reason = false, done = false, cut = true }), { sleep = 0.1 }, { reset = true } } }
    local bot = chatbot.new { base_url = server.url, model = "m", max_retries = 0, timeout = 10 }
    local answer, err = bot:chat("hello")
    assert.is_nil(answer)
    assert.equal("reset", err.kind)
    assert.equal("ab", err.partial)
  end)

  it("by a reset after finish_reason is complete", function()
    local server = support.serve { { support.sse({ "a" }, { done = false, cut = true }),
      { sleep = 0.1 }, { reset = true } } }
    local bot = chatbot.new { base_url = server.url, model = "m", max_retries = 0, timeout = 10 }
    assert.equal("a", bot:chat("hello"))
  end)

  it("in the middle of a whole document is no answer", function()
    local head = support.head(200, { ["Content-Type"] = "application/json",
      ["Content-Length"] = tostring(#WHOLE) })
    local jobs = {}
    for n = 1, #WHOLE - 1 do jobs[n] = { raw = head .. WHOLE:sub(1, n) } end
    for n, result in ipairs(batch.run(jobs)) do
      check_failure({ kind = "truncated", status = 200 }, result, n .. " bytes")
    end
  end)
end)


-- Errors in a stream -------------------------------------------------------

local ERRORS = {
  { "an error object", 'data: {"error":{"message":"bad","type":"server_error","code":"c1",'
    .. '"param":"p"}}\n\n', { find = "bad", type = "server_error", code = "c1", param = "p",
      retryable = true } },
  { "an empty error object", 'data: {"error":{}}\n\n', {} },
  { "an error that is a text", 'data: {"error":"bad"}\n\n', { message = "bad" } },
  { "an error that is true", 'data: {"error":true,"message":"bad"}\n\n', { message = "bad" } },
  { "an error that is a number", 'data: {"error":503,"message":"bad"}\n\n', { message = "bad" } },
  { "an error inside a response", 'data: {"type":"response.failed","response":{"error":{'
    .. '"code":"server_is_overloaded","message":"bad"}}}\n\n',
    { message = "bad", code = "server_is_overloaded", retryable = true } },
  { "an overloaded service", 'event: error\ndata: {"type":"error","error":{"type":'
    .. '"overloaded_error","message":"bad"}}\n\n',
    { message = "bad", type = "overloaded_error", retryable = true } },
  { "a quota that is used up", 'data: {"error":{"message":"bad","type":"insufficient_quota",'
    .. '"code":429}}\n\n', { message = "bad", type = "insufficient_quota", code = 429 } },
  { "an error beside choices", 'data: {"id":"x","choices":[{"index":0,"delta":{"content":""},'
    .. '"finish_reason":"error"}],"error":{"code":502,"message":"bad"}}\n\n',
    { message = "bad", code = 502, retryable = true } },
  { "event: error", 'event: error\ndata: {"message":"bad","code":7}\n\n',
    { message = "bad", code = 7 } },
  { "event: error with an error object", 'event: error\ndata: {"error":{"message":"bad"}}\n\n',
    { message = "bad" } },
  { "event: error with plain words", "event: error\ndata: bad luck\n\n", { message = "bad luck" } },
  { "event: error, the type behind the data", 'data: {"message":"bad"}\nevent: error\n\n',
    { message = "bad" } },
  { "event: error with [DONE]", "event: error\ndata: [DONE]\n\n", {} },
  { "a line error:", 'error: {"code":500,"message":"bad","type":"server_error"}\n\n',
    { message = "bad", code = 500, type = "server_error", retryable = true } },
  { "a line error: with an error object", 'error: {"error":{"message":"bad"}}\n\n',
    { message = "bad" } },
  { "finish_reason error", 'data: {"choices":[{"index":0,"delta":{"content":""},'
    .. '"finish_reason":"error"}]}\n\n', {} },
  { "finish_reason error with a reason beside it", 'data: {"choices":[{"index":0,"delta":{},'
    .. '"finish_reason":"error","error":{"code":503,"message":"bad"}}]}\n\n',
    { message = "bad", code = 503, retryable = true } },
  { "an error of a choice", 'data: {"choices":[{"index":0,"delta":{},"finish_reason":null,'
    .. '"error":{"code":503,"message":"bad"}}]}\n\n',
    { message = "bad", code = 503, retryable = true } },
  { "an error of a choice that stops", 'data: {"choices":[{"index":0,"delta":{},'
    .. '"finish_reason":"stop","error":{"message":"bad"}}]}\n\n', { message = "bad" } },
  { "a list of errors", 'data: {"errors":[{"message":"bad","code":400}]}\n\n',
    { message = "bad", code = 400 } },
  { "a status in the error", 'data: {"error":{"message":"bad","status_code":529}}\n\n',
    { message = "bad", code = 529, retryable = true } },
  { "a status beside the error", 'data: {"error":true,"message":"bad","status":503}\n\n',
    { message = "bad", code = 503, retryable = true } },
  { "a status that is a word", 'data: {"error":{"message":"bad","status":"UNAVAILABLE"}}\n\n',
    { message = "bad", code = "UNAVAILABLE", retryable = true } },
  { "a status that is no use", 'data: {"error":{"message":"bad","status":400}}\n\n',
    { message = "bad" } },
  { "a word for a status", 'data: {"error":"rate_limit_exceeded"}\n\n',
    { message = "rate_limit_exceeded", code = "rate_limit_exceeded", retryable = true } },
  { "object error", 'data: {"object":"error","message":"bad","type":"BadRequestError",'
    .. '"param":null,"code":400}\n\n', { message = "bad", type = "BadRequestError", code = 400 } },
  { "an array with an error", 'data: [{"error":{"message":"bad","code":400}}]\n\n',
    { message = "bad", code = 400 } },
}

describe("in a stream with status 200", function()
  after_each(support.close_all)

  for _, row in ipairs(ERRORS) do
    it(row[1] .. " is a failure of kind api", function()
      local first, rest = events(text "a", text "b"), events("[DONE]")
      local jobs = {
        { pieces = { first .. row[2] } }, { pieces = { first, row[2], rest } },
        { pieces = { first .. row[2] .. events(text "c", FINISH) .. rest } },
        { pieces = { row[2] .. rest } },
        { pieces = { events(FINISH) .. row[2] .. rest } },
        { pieces = { first .. row[2]:gsub("\n", "\r\n") .. rest } },
        { pieces = { first, (row[2]:gsub("\n+$", "")) } },
      }
      for i, result in ipairs(batch.run(jobs)) do
        local want = { kind = "api", status = 200, retryable = row[3].retryable or false }
        for name, value in pairs(row[3]) do want[name] = value end
        if i ~= 4 and i ~= 5 then want.partial = "ab" end
        check_failure(want, result, "job " .. i)
        assert.truthy(#result.err.message > 0)
      end
    end)
  end

  for _, data in ipairs { '{"error":null', '{"error":""', '{"error":false', '{"error":0',
    '{"object":""', '{"object":"chat.completion.chunk","error":null' } do
    it(data .. "} is none", function()
      local json = data .. ',"choices":[{"delta":{"content":"a"}}]}'
      local result = batch.one { pieces = { events(json, FINISH) } }
      assert.is_nil(result.err, tostring(result.err))
      assert.equal("a", result.answer)
    end)
  end

  it("an error keeps nothing in the conversation", function()
    local server = support.serve { support.sse { "a", { error = { message = "bad" } } },
      support.sse { "fine" } }
    local bot = chatbot.new { base_url = server.url, model = "m", max_retries = 0, timeout = 10 }
    assert.is_nil((bot:chat("one")))
    assert.equal("fine", bot:chat("two"))
    assert.same({ { role = "user", content = "two" } }, server:requests()[2].json.messages)
  end)
end)

describe("an event that is not JSON", function()
  after_each(support.close_all)

  local rubbish = {
    "hello", "{", "}", '{"choices":', "<html>", "{'choices':[]}", "NaN", '{"a":NaN}', "undefined",
    '{"choices":[]}x', '{"choices":[]}{"choices":[]}', '{"choices":[],}', '{"a":"\\x"}',
    '{"a":"\\u12"}',
    '{"a":tru}', '{"a" 1}', "{]", '"', "\255", "\0", '{"choices":[{"delta":{"content":"x"}}]',
    '{"choices":[{"delta":{"content":"x}}]}', '{"choices":[{"delta":{"content":"x"}}]}}',
    '{"choices":[{"delta":{"content":"x"}}],"a":01}',
  }
  for _, data in ipairs(rubbish) do
    it(("such as %q is a failure with what came before"):format(data), function()
      local jobs = {
        { pieces = { events(text "a", data, text "b", FINISH, "[DONE]") } },
        { pieces = { events(text "a"), events(data), events("[DONE]") } },
      }
      for i, result in ipairs(batch.run(jobs)) do
        check_failure({ kind = "protocol", status = 200, partial = "a", retryable = false }, result,
          "job " .. i)
      end
    end)
  end

  it("is shown, but no more than 200 printable characters of it", function()
    local result = batch.one { pieces = { events(text "a", "<b>\1\2\27[31m" .. ("x"):rep(5000)) } }
    local message = result.err.message
    assert.truthy(message:find("<b>", 1, true), message)
    assert.is_nil(message:find("[^\32-\126]"))
    assert.is_true(#message <= 300)
    assert.is_nil(message:find(("x"):rep(201), 1, true))
  end)
end)


-- Status 200 and no stream -------------------------------------------------

local TYPES = { "application/json", "application/json; charset=utf-8", "text/event-stream",
  "text/plain", "application/problem+json", false }

-- The body with each content type, asked for as a stream and not.
local function each_type(body, check)
  local jobs, names = {}, {}
  for _, kind in ipairs(TYPES) do
    for _, streaming in ipairs { true, false } do
      jobs[#jobs + 1] = { pieces = { body:sub(1, 20), body:sub(21) }, type = kind,
        call = { stream = streaming } }
      names[#names + 1] = tostring(kind) .. (streaming and ", streaming" or "")
    end
  end
  for i, result in ipairs(batch.run(jobs)) do check(result, names[i]) end
end

describe("a whole document with status 200", function()
  after_each(support.close_all)

  local errors = {
    { '{"error":{"message":"bad","type":"t","code":"c"}}',
      { message = "bad", type = "t", code = "c" } },
    { '{"error":{"message":"bad","code":429,"metadata":{"provider_name":"P"}},"user_id":"u"}',
      { message = "bad", code = 429 } },
    { '{"error":"bad"}', { message = "bad" } },
    { '{"error":{}}', {} },
    { '[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]',
      { message = "bad", code = 400 } },
    { '{"errors":[{"message":"bad"}]}', { message = "bad" } },
    { '{"detail":"bad"}', { message = "bad" } },
    { '{"message":"bad"}', { message = "bad" } },
    { '{"object":"error","message":"bad","code":40001}', { message = "bad", code = 40001 } },
    { '{"error_type":"t","error_message":"bad"}', { message = "bad", type = "t" } },
    { '{"error":true,"message":"bad"}', { message = "bad" } },
    { '{"choices":[],"error":{"message":"bad"}}', { message = "bad" } },
    { '\n\n {"error":{"message":"bad"}}\n', { message = "bad" } },
  }
  for _, row in ipairs(errors) do
    it("that is the error " .. row[1] .. " is a failure of kind api", function()
      each_type(row[1], function(result, where)
        local want = { kind = "api", status = 200 }
        for name, value in pairs(row[2]) do want[name] = value end
        check_failure(want, result, where)
      end)
    end)
  end

  for name, body in pairs {
    ["that is a completion"] = WHOLE,
    ["with blank lines before it"] = ("\n"):rep(300) .. " \r\n" .. WHOLE,
    ["with blank lines after it"] = WHOLE .. "\r\n\n ",
    ["with a BOM"] = "\239\187\191" .. WHOLE,
    ["without a finish_reason"] = WHOLE:gsub(',"finish_reason":"stop"', ""),
  } do
    it(name .. " is the answer, stripped, whatever was asked for", function()
      each_type(body, function(result, where)
        assert.is_nil(result.err, where .. ": " .. tostring(result.err))
        assert.equal("Hi", result.answer, where)
        assert.equal("w", result.reply.id, where)
        assert.equal("m1", result.reply.model, where)
        assert.same({ total_tokens = 3 }, result.reply.usage, where)
        assert.equal("complete", result.reply.status, where)
        assert.equal("Hi", result.bot:get_messages()[2].content, where)
        assert.equal("chat.completion", result.reply.raw.object, where)
      end)
    end)
  end

  for _, body in ipairs { "{}", "[]", '{"id":"x"}', '{"choices":null}', '{"choices":{}}',
    '{"choices":"x"}', '{"choices":[]}', "[1,2]", "{", '{"choices":[{"message":{"content":"x"}}]',
    WHOLE .. WHOLE, WHOLE .. "x" } do
    it(("that is %s is a failure of kind protocol"):format(body:sub(1, 60)), function()
      each_type(body, function(result, where)
        check_failure({ kind = "protocol", status = 200 }, result, where)
        assert.is_true(#result.err.message < 300)
      end)
    end)
  end

  it("is the answer where a stream was asked for and keep-alive blank lines drip", function()
    local pieces = {}
    for i = 1, 30 do pieces[i] = "\n" end
    pieces[#pieces + 1] = WHOLE
    local result = batch.one { pieces = pieces, type = "application/json" }
    assert.equal("Hi", result.answer, tostring(result.err))
  end)
end)

describe("what is neither a document nor a stream", function()
  after_each(support.close_all)

  local PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>data: [DONE]\n\n"

  for _, kind in ipairs { "text/html", "text/html; charset=utf-8", "text/plain", false } do
    it("an HTML page as " .. tostring(kind) .. " is a failure of kind protocol", function()
      local jobs = { { pieces = { PAGE } }, { pieces = { PAGE, ("x"):rep(3000) } },
        { pieces = { "\r\n\t" .. PAGE:rep(100) } }, { pieces = { "\239\187\191" .. PAGE } } }
      for i, job in ipairs(jobs) do
        job.type = kind
        check_failure({ kind = "protocol", status = 200, find = "<!DOCTYPE html> <html>" },
          batch.one(job), "job " .. i)
      end
    end)
  end

  it("an event stream that calls itself HTML is a failure of kind protocol", function()
    check_failure({ kind = "protocol" }, batch.one { pieces = { events(text "a", "[DONE]") },
      type = "text/html" })
  end)

  it("is shown, but no more than 200 printable characters of it", function()
    local result = batch.one { pieces = { PAGE .. "\27[2J\7\255" .. ("x"):rep(100000) },
      type = "text/html" }
    local shown = result.err.message:match(": (<!DOCTYPE.*)$")
    assert.truthy(shown, result.err.message)
    assert.is_true(#shown <= 200 and #shown > 150)
    assert.is_nil(result.err.message:find("[^\32-\126]"))
  end)

  it("is not read to its end", function()
    local server = support.serve { support.http(200, { ["Content-Type"] = "text/html" },
      { { repeat_bytes = PAGE, times = 300000 } }, { framing = "chunked" }) }
    local bot = chatbot.new { base_url = server.url, model = "m", max_retries = 0, timeout = 10 }
    local answer, err = bot:chat("hello")
    assert.is_nil(answer)
    assert.equal("protocol", err.kind)
    assert.is_true(server:wait(1, 5, "peer closed", function() chatbot.poll(0) end))
    assert.is_true(server:connections()[1].sent < 16 * 1024 * 1024)
  end)

  for _, body in ipairs { "upstream died", "internal server error", "Internal Server Error",
    "invalid key", "dead", "data is missing", "retry later", "error", "event", "idle", "\1\2\3",
    "\0\0", "12", "ok", "null", '"text"' } do
    it(("%q is a failure of kind protocol"):format(body), function()
      for _, kind in ipairs { "text/plain", "application/octet-stream", false } do
        check_failure({ kind = "protocol", status = 200 }, batch.one { pieces = { body },
          type = kind }, tostring(kind))
      end
    end)
  end
end)

describe("a stream under another name", function()
  after_each(support.close_all)

  local beginnings = {
    "", ": hi\n\n", ":\n", "\n\n", "\239\187\191", "event: message\n", "id: 1\n", "retry: 5\n",
    "\239\187\191\r\n: hi\r\n",
  }
  for _, kind in ipairs { false, "text/plain", "text/plain; charset=utf-8",
    "application/octet-stream", "application/json", "TEXT/EVENT-STREAM; charset=UTF-8" } do
    it(("is one all the same (%s)"):format(tostring(kind)), function()
      local jobs = {}
      for _, beginning in ipairs(beginnings) do
        local bytes = beginning .. events(text "a", text "b", FINISH, "[DONE]")
        jobs[#jobs + 1] = { pieces = { bytes }, type = kind }
        for i = 1, 12 do
          jobs[#jobs + 1] = { pieces = { bytes:sub(1, i), bytes:sub(i + 1) }, type = kind }
        end
      end
      for i, result in ipairs(batch.run(jobs)) do
        assert.is_nil(result.err, i .. ": " .. tostring(result.err))
        assert.equal("ab", result.answer)
      end
    end)
  end
end)


-- Other statuses -----------------------------------------------------------

-- Bodies of errors; what is to be told of them.
local BODIES = {
  { "openai", 401,
    '{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error",'
    .. '"param":null,"code":"invalid_api_key"}}', { message = "Incorrect API key provided.",
    type = "invalid_request_error", code = "invalid_api_key" } },
  { "openai, with a param", 400, '{"error":{"message":"Unsupported value","type":'
    .. '"invalid_request_error","param":"temperature","code":"unsupported_value"}}',
    { message = "Unsupported value", param = "temperature", code = "unsupported_value" } },
  { "a text in error", 500, '{"error":"bad"}', { message = "bad" } },
  { "a list of errors", 400, '{"errors":[{"message":"bad","code":7},{"message":"worse"}]}',
    { message = "bad", code = 7 } },
  { "a list of texts", 400, '{"errors":["bad","worse"]}', { message = "bad" } },
  { "gemini, an array", 400, '[{"error":{"code":400,"message":"API key not valid.","status":'
    .. '"INVALID_ARGUMENT","details":[{"@type":"t"}]}}]', { message = "API key not valid.",
    code = 400 } },
  { "fastapi, a text in detail", 404, '{"detail":"Not Found"}', { find = "Not Found (http://" } },
  { "fastapi, a list in detail", 422,
    '{"detail":[{"loc":["body","messages"],"msg":"field required",'
    .. '"type":"value_error.missing"}]}', { message = "field required",
    type = "value_error.missing" } },
  { "an object in detail", 422, '{"detail":{"message":"bad","code":"c"}}', { message = "bad",
    code = "c" } },
  { "plamo", 400, '{"message":"No API key found in request"}',
    { message = "No API key found in request" } },
  { "mistral, an object in message", 422, '{"object":"error","message":{"detail":[{"type":'
    .. '"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not '
    .. 'permitted","input":5}]},"type":"invalid_request_error","param":null,"code":null}',
    { message = "Extra inputs are not permitted" } },
  { "mistral, a text in message", 401, '{"object":"error","message":"Unauthorized","type":'
    .. '"authentication_error","param":null,"code":"1000"}', { message = "Unauthorized",
    type = "authentication_error", code = "1000" } },
  { "anthropic", 529, '{"error":{"code":null,"message":"Overloaded","type":"overloaded_error",'
    .. '"param":null}}', { message = "Overloaded", type = "overloaded_error", retryable = true } },
  { "anthropic, its own form", 400, '{"type":"error","error":{"type":"invalid_request_error",'
    .. '"message":"max_tokens: too large"}}', { message = "max_tokens: too large",
    type = "invalid_request_error" } },
  { "deepseek", 402,
    '{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,'
    .. '"code":"invalid_request_error"}}', { message = "Insufficient Balance" } },
  { "groq", 400, '{"error":{"message":"property \'logprobs\' is not supported","type":'
    .. '"invalid_request_error"}}', { find = "logprobs" } },
  { "openrouter, a number for a code", 402, '{"error":{"message":"Insufficient credits","code":402,'
    .. '"metadata":{"headers":{}}},"user_id":"u"}', { message = "Insufficient credits",
    code = 402, retryable = false } },
  { "perplexity", 400, '{"error":{"message":"Invalid model","type":"invalid_model","code":400}}',
    { message = "Invalid model", code = 400 } },
  { "moonshot", 429, '{"error":{"message":"Your account is suspended","type":'
    .. '"exceeded_current_quota_error"}}', { type = "exceeded_current_quota_error" } },
  { "azure, a filter", 400, '{"error":{"message":"filtered","type":null,"param":"prompt","code":'
    .. '"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}',
    { message = "filtered", code = "content_filter", param = "prompt" } },
  { "azure, a gateway", 401, '{"statusCode":401,"message":"Unauthorized. Access token is missing"}',
    { find = "Access token is missing" } },
  { "xai", 400, '{"code":"Client specified an invalid argument","error":"Incorrect API key"}',
    { message = "Incorrect API key", code = "Client specified an invalid argument" } },
  { "ollama", 404, '{"error":{"message":"model \'x\' not found","type":"not_found_error",'
    .. '"param":null,"code":null}}', { type = "not_found_error" } },
  { "lmstudio", 400, '{"error":"Trying to keep the first 5000 tokens when context overflows."}',
    { find = "context overflows" } },
  { "vllm", 400, '{"object":"error","message":"This model\'s maximum context length is 4096",'
    .. '"type":"BadRequestError","param":null,"code":400}',
    { type = "BadRequestError", code = 400 } },
  { "an error_message", 400, '{"error_type":"bad_request","error_message":"bad"}',
    { message = "bad", type = "bad_request" } },
  { "a flag in error", 400, '{"error":true,"message":"bad"}', { message = "bad" } },
  { "llama-server that loads", 503, '{"error":{"code":503,"message":"Loading model","type":'
    .. '"unavailable_error"}}', { message = "Loading model", type = "unavailable_error", code = 503,
    retryable = true } },
  { "llama-server, a context that is too long", 400,
    '{"error":{"code":400,"message":"request (6000 tokens) exceeds the available context size '
    .. '(4096 tokens)","type":"exceed_context_size_error",'
    .. '"n_prompt_tokens":6000,"n_ctx":4096}}', { type = "exceed_context_size_error", code = 400,
    find = "exceeds the available context size" } },
  { "llama-server, bad JSON", 500,
    '{"error":{"code":500,"message":"[json.exception.parse_error.101] '
    .. 'parse error","type":"server_error"}}', { type = "server_error", code = 500 } },
  { "a gateway's page", 502, "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n",
    { find = "502 Bad Gateway", retryable = true } },
  { "plain words", 503, "no healthy upstream", { find = "no healthy upstream", retryable = true } },
  { "nothing", 500, "", { find = "500", retryable = true } },
  { "an object without a message", 400, '{"a":1}', { find = "400" } },
  { "an empty object", 400, "{}", { find = "400" } },
  { "a stream", 400, 'data: {"error":{"message":"bad"}}\n\n', { find = "bad" } },
}

describe("the error body of", function()
  after_each(support.close_all)

  for _, row in ipairs(BODIES) do
    it(row[1] .. " is told", function()
      local jobs = {}
      for _, kind in ipairs { "application/json", "text/html", "text/event-stream", false } do
        jobs[#jobs + 1] = { pieces = { row[3] }, status = row[2], type = kind, pause = 0 }
        jobs[#jobs + 1] = { pieces = { row[3] }, status = row[2], type = kind, ending = "close" }
      end
      local middle = math.floor(#row[3] / 2)
      jobs[#jobs + 1] = { pieces = { row[3]:sub(1, middle), row[3]:sub(middle + 1) },
        status = row[2], pause = 0.01, headers = { { "x-request-id", "req-1" } } }
      local want = { kind = "http", status = row[2] }
      for name, value in pairs(row[4]) do want[name] = value end
      local results = batch.run(jobs)
      for i, result in ipairs(results) do check_failure(want, result, "job " .. i) end
      assert.equal("req-1", results[#results].err.request_id)
    end)
  end
end)

describe("a status of 400 and more", function()
  after_each(support.close_all)

  local retryable = { [408] = true, [409] = true, [429] = true, [500] = true, [502] = true,
    [503] = true, [504] = true, [529] = true }
  for _, status in ipairs { 400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 429,
    451, 500, 501, 502, 503, 504, 529, 599 } do
    it(status .. " is a failure of kind http", function()
      local result = batch.one { pieces = { '{"error":{"message":"bad"}}' }, status = status }
      local nothing_there = status == 404 or status == 405 -- then the address is told
      check_failure({ kind = "http", status = status,
        message = not nothing_there and "bad" or nil,
        find = nothing_there and "bad (http://127.0.0.1:" or nil,
        retryable = retryable[status] or status >= 500 }, result)
    end)
  end

  it("is no answer, whatever the body", function()
    for _, body in ipairs { WHOLE, events(text "a", FINISH, "[DONE]") } do
      check_failure({ kind = "http", status = 500 }, batch.one { pieces = { body }, status = 500 })
    end
  end)

  it("has retry_after", function()
    check_failure({ kind = "http", retry_after = 7 }, batch.one { pieces = { "{}" }, status = 429,
      headers = { { "Retry-After", "7" } } })
  end)

  it("is told of a body up to 64 KiB, and no more is read", function()
    local function body(n) return '{"error":{"message":"bad","more":"' .. ("x"):rep(n) .. '"}}' end
    local empty = #body(0)
    check_failure({ kind = "http", message = "bad" }, batch.one { status = 400,
      pieces = { body(65536 - empty) } })
    local over = batch.one { status = 400, pieces = { body(65537 - empty) } }
    check_failure({ kind = "http", status = 400 }, over)
    assert.is_true(#over.err.message < 300)
  end)

  it("has a message with the beginning of a body that is too large", function()
    for _, framing in ipairs { "length", "chunked", "close" } do
      local server = support.serve { support.http(500, { ["Content-Type"] = "text/plain" },
        { "it broke ", { repeat_bytes = ("x"):rep(1024), times = 1024 } }, { framing = framing }) }
      local bot = chatbot.new { base_url = server.url, model = "m", max_retries = 0, timeout = 10 }
      local answer, err = bot:chat("hello")
      assert.is_nil(answer)
      assert.equal("http", err.kind)
      assert.equal(500, err.status)
      assert.truthy(err.message:find("it broke xxx", 1, true))
      assert.is_true(#err.message < 300)
    end
  end)

  it("is known at once though the body has no end", function()
    local server = support.serve { { support.http(500, nil, { { repeat_bytes = ("x"):rep(1024),
      times = 65 } }, { framing = "chunked", cut = true }), { stall = true } } }
    local bot = chatbot.new { base_url = server.url, model = "m", max_retries = 0, timeout = 5 }
    local _, err = bot:chat("hello")
    assert.equal("http", err.kind)
  end)

  it("is a failure of kind http though its body is cut", function()
    local head = support.head(400, { ["Content-Type"] = "application/json",
      ["Content-Length"] = "1000" })
    check_failure({ kind = "http", status = 400, find = "half" }, batch.one {
      raw = head .. '{"error":{"message":"half' })
  end)

  it("while a local server loads its model is waited out", function()
    local server = support.serve {
      support.http(503, nil, { error = { code = 503, message = "Loading model" } }),
      support.sse { "ready" },
    }
    local bot = chatbot.new { provider = "llamaserver", base_url = server.url, model = "m",
      timeout = 10, max_retries = 0 }
    assert.equal("ready", bot:chat("hello"))
    assert.equal(2, #server:requests())
  end)
end)

describe("a redirect", function()
  after_each(support.close_all)

  for _, status in ipairs { 300, 301, 302, 303, 304, 305, 307, 308 } do
    it(status .. " is never followed", function()
      local other = support.serve { support.sse { "trap" } }
      local path = "/chat/completions"
      for _, location in ipairs { other.url .. path, "/v2" .. path, false } do
        local headers = location and { Location = location }
        local server = support.serve { support.http(status, headers, "") }
        local bot = chatbot.new { base_url = server.url, model = "m", timeout = 10, max_retries = 2,
          api_key = "sk-secret-0123456789" }
        local answer, err = bot:chat("hello")
        assert.is_nil(answer)
        assert.equal("redirect", err.kind)
        assert.equal(status, err.status)
        assert.is_false(err.retryable)
        assert.truthy(err.message:find(tostring(status), 1, true))
        assert.equal(0, #bot:get_messages())
        chatbot.poll(0.02)
        assert.equal(1, #server:requests())
      end
      assert.equal(0, #other:connections())
    end)
  end
end)

describe("no content", function()
  after_each(support.close_all)

  local function raw(status, headers) return support.head(status, headers) end

  local rows = {
    { "204", raw(204, { ["Content-Type"] = "text/event-stream" }), 204 },
    { "204 without headers", raw(204), 204 },
    { "205", raw(205, { ["Content-Length"] = "0" }), 205 },
    { "an empty 200 with a length", raw(200, { ["Content-Length"] = "0" }), 200 },
    { "an empty 200 of JSON", raw(200, { ["Content-Length"] = "0",
      ["Content-Type"] = "application/json" }), 200 },
    { "an empty stream", raw(200, { ["Content-Type"] = "text/event-stream",
      ["Transfer-Encoding"] = "chunked" }) .. "0\r\n\r\n", 200 },
    { "an empty stream that ends with the connection", raw(200, {
      ["Content-Type"] = "text/event-stream" }), 200 },
    { "an empty 201", raw(201, { ["Content-Length"] = "0" }), 201 },
  }
  for _, row in ipairs(rows) do
    it("in " .. row[1] .. " is truncated, and says so", function()
      for _, streaming in ipairs { true, false } do
        local result = batch.one { raw = row[2], call = { stream = streaming } }
        check_failure({ kind = "truncated", status = row[3], find = tostring(row[3]) }, result)
        assert.truthy(result.err.message:find("without any content", 1, true), result.err.message)
      end
    end)
  end

  for _, body in ipairs { "\n", " \r\n\r\n", ": hi\n\n", ": hi\n\n: hi\n\n", "event: message\n\n",
    "data:\n\n", "retry: 1\n\n", 'data: {"choices":[]}\n\n', "\239\187\191" } do
    it(("but %q is truncated"):format(body), function()
      for _, kind in ipairs { "text/event-stream", false } do
        check_failure({ kind = "truncated", status = 200 }, batch.one { pieces = { body },
          type = kind })
      end
    end)
  end
end)
