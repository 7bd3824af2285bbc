-- The event-stream format as bytes of a real server: each case whole, byte by byte
-- and split in two at every place, with one and the same outcome.

local chatbot = require "chatbot"
local batch = require "spec.support.batch"
local process = require "spec.support.process"
local support = require "spec.support"

local BOM = "\239\187\191"
local DONE = "data: [DONE]\n\n"

-- A chunk with this content; what cannot stand in JSON stands in it as it is.
local function c(text)
  return '{"choices":[{"delta":{"content":"' .. text .. '"}}]}'
end

local FINISH = '{"choices":[{"delta":{},"finish_reason":"stop"}]}'

-- name; bytes; then what must come of it. `text`: of a complete answer; with `kind`,
-- what is in `partial`. DONE is appended unless `open`.
local cases = {
  { "Line ends" },
  { "takes LF", "data: " .. c"a" .. "\n\n", text = "a" },
  { "takes CRLF", "data: " .. c"a" .. "\r\n\r\n", text = "a" },
  { "takes CR", "data: " .. c"a" .. "\r\r", text = "a" },
  { "takes all three in one stream",
    "data: " .. c"a" .. "\r\n\ndata: " .. c"b" .. "\r\rdata: " .. c"c" .. "\n\r\n", text = "abc" },
  { "takes CR LF for one line end, not two",
    'data: {"choices":[{"delta":\r\ndata: {"content":"a"}}]}\r\n\r\n', text = "a" },
  { "takes LF CR for two line ends",
    "data: " .. c"a" .. "\n\rdata: " .. c"b" .. "\n\r", text = "ab" },
  { "takes CR CR LF for two line ends", "data: " .. c"a" .. "\r\r\ndata: " .. c"b" .. "\r\r\n",
    text = "ab" },
  { "keeps U+2028 and U+2029 as data", "data: " .. c"a\226\128\168\226\128\169b" .. "\n\n",
    text = "a\226\128\168\226\128\169b" },
  { "keeps NEL as data", "data: " .. c"a\194\133b" .. "\n\n", text = "a\194\133b" },
  { "keeps VT as data", "data: " .. c"a\11b" .. "\n\n", text = "a\11b" },
  { "keeps FF as data", "data: " .. c"a\12b" .. "\n\n", text = "a\12b" },
  { "keeps the separators 1C to 1E as data", "data: " .. c"a\28\29\30b" .. "\n\n",
    text = "a\28\29\30b" },
  { "ends no line at a lone byte 85", "data: " .. c"a\133b" .. "\n\n", text = "a\239\191\189b" },

  { "The BOM" },
  { "drops a leading one", BOM .. "data: " .. c"a" .. "\n\n", text = "a" },
  { "drops a leading one without a content type", BOM .. "data: " .. c"a" .. "\n\n", text = "a",
    type = false },
  { "drops one before a blank line", BOM .. "\ndata: " .. c"a" .. "\n\n", text = "a" },
  { "drops one only", BOM .. BOM .. "data: " .. c"a" .. "\n\ndata: " .. c"b" .. "\n\n",
    text = "b" },
  { "drops none in the middle", "data: " .. c"a" .. "\n\n" .. BOM .. "data: " .. c"b" .. "\n\n",
    text = "a" },
  { "takes the beginning of one for a name", "\239\187data: " .. c"a" .. "\n\ndata: " .. c"b"
    .. "\n\n", text = "b" },
  { "keeps one in data", "data: " .. c(BOM) .. "\n\n", text = BOM },

  { "Fields" },
  { "ignores comments", ": a\n:\n:data: " .. c"x" .. "\ndata: " .. c"a" .. "\n:b\n\n:c\n\n",
    text = "a" },
  { "takes the name up to the first colon", "data:" .. c"a:b" .. "\n\n", text = "a:b" },
  { "needs no space after the colon", "data:" .. c"a" .. "\n\n", text = "a" },
  { "drops one space", "data: [DONE]\n\n", text = "", open = true },
  { "drops one space only", "data:  [DONE]\n\n", text = "", open = true },
  { "does not mind a TAB before [DONE]", "data:\t[DONE]\n\n", text = "", open = true },
  { "does not mind a space at its end", "data: [DONE] \n\n", text = "", open = true },
  { "takes a line without a colon for a name with an empty value",
    "data\ndata: " .. c"a" .. "\ndata\n\n", text = "a" },
  { "takes `event` without a colon for an empty type",
    "event: error\nevent\ndata: " .. c"a" .. "\n\n", text = "a" },
  { "ignores `Data`", "Data: " .. c"x" .. "\n\ndata: " .. c"a" .. "\n\n", text = "a" },
  { "ignores ` data`", " data: " .. c"x" .. "\n\ndata: " .. c"a" .. "\n\n", text = "a" },
  { "ignores `data `", "data : " .. c"x" .. "\n\ndata: " .. c"a" .. "\n\n", text = "a" },
  { "ignores `data` with a NUL", "data\0: " .. c"x" .. "\n\ndata: " .. c"a" .. "\n\n",
    text = "a" },
  { "ignores `dat` and `datax`", "dat: " .. c"x" .. "\ndatax: " .. c"x" .. "\n\ndata: " .. c"a"
    .. "\n\n", text = "a" },
  { "ignores `Event`", "Event: error\ndata: " .. c"a" .. "\n\n", text = "a" },
  { "ignores unknown fields inside an event", "foo: bar\ndata: " .. c"a" .. "\nx\n\n",
    text = "a" },
  { "takes the type of an event as it is", "event:  error\ndata: " .. c"a" .. "\n\n", text = "a" },

  { "Events" },
  { "joins data lines with LF",
    "data: " .. '{"choices":[{"delta":{"content":"a\ndata: b\ndata:  c"}}]}' .. "\n\n",
    text = "a\nb\n c" },
  { "joins an empty data line with LF",
    "data: " .. '{"choices":[{"delta":{"content":"a\ndata:\ndata\ndata: b"}}]}' .. "\n\n",
    text = "a\n\n\nb" },
  { "drops the last LF", "data: [DONE]\n\n", text = "", open = true },
  { "drops the last LF only", "data: [DONE]\ndata:\n\n", text = "", open = true },
  { "joins around comments and other fields",
    'data: {"choices":[{"delta":\n: x\nid: 7\ndata: {"content":"a"}}]}\n\n', text = "a" },
  { "dispatches nothing without data", "event: error\n\nid: 1\n\nretry: 1\n\ndata: " .. c"a"
    .. "\n\n", text = "a" },
  { "forgets the type of an event without data", "event: error\n\ndata: " .. c"a" .. "\n\n",
    text = "a" },
  { "forgets the type after an event", "event: message\ndata: " .. c"a" .. "\n\ndata: " .. c"b"
    .. "\n\n", text = "ab" },
  { "dispatches empty data", "event: error\ndata:\n\n", kind = "api", open = true },
  { "ignores empty data without a type", "data:\n\ndata\n\ndata: \n\ndata: " .. c"a" .. "\n\n",
    text = "a" },
  { "does not mind many blank lines", "\n\r\n\r\rdata: " .. c"a" .. "\n\n\n\n\r\n\r\n",
    text = "a" },
  { "takes another type for a message", "event: completion\ndata: " .. c"a" .. "\n\n",
    text = "a" },
  { "ignores an id with a NUL", "id: 1\0002\ndata: " .. c"a" .. "\n\n", text = "a" },
  { "takes id and retry of any form", "id\nid:\nretry: 5x\nretry: -1\nretry: 99999999999999999999"
    .. "\ndata: " .. c"a" .. "\n\n", text = "a" },

  { "Bytes" },
  { "loses no event by invalid UTF-8", "data: " .. c"a\255\254b" .. "\n\ndata: " .. c"\195("
    .. "\n\n", text = "a\239\191\189\239\191\189b\239\191\189(" },
  { "loses none by invalid UTF-8 in a comment", ":\255\192\n\255: \237\160\n\237\160\n\ndata: "
    .. c"a" .. "\n\n", text = "a" },
  { "joins a character cut by two events", "data: " .. c"\240\159" .. "\n\ndata: " .. c"\152\128"
    .. "\n\n", text = "\240\159\152\128" },
  { "keeps a NUL in data, which is then no JSON", "data: " .. c"a" .. "\n\ndata: " .. c"b\0c"
    .. "\n\n", kind = "protocol", text = "a", open = true },

  { "The end of the stream" },
  { "delivers an object whose line is not ended", "data: " .. c"a" .. "\n\ndata: " .. c"b",
    kind = "truncated", text = "ab", open = true },
  { "delivers an object whose blank line is missing", "data: " .. c"a" .. "\n",
    kind = "truncated", text = "a", open = true },
  { "delivers one whose line ended at CR", "data: " .. c"a" .. "\r", kind = "truncated",
    text = "a", open = true },
  { "judges by what it says", "data: " .. c"a" .. "\n\ndata: " .. FINISH, text = "a", open = true },
  { "takes [DONE] without a line end", "data: " .. c"a" .. "\n\ndata: [DONE]", text = "a",
    open = true },
  { "drops an object that is not whole", "data: " .. c"a" .. "\n\ndata: " .. c"b":sub(1, -2),
    kind = "truncated", text = "a", open = true },
  { "drops half a sentinel", "data: " .. c"a" .. "\n\ndata: [DON", kind = "truncated",
    text = "a", open = true },
  { "drops half a name", "data: " .. c"a" .. "\n\ndat", kind = "truncated", text = "a",
    open = true },
  { "takes a last line `error:` before the data that it stands behind",
    'data: {"choi\nerror: {"message":"late"}', kind = "api", message = "late", open = true },
  { "takes an error event without a blank line",
    'event: error\ndata: {"error":{"message":"late"}}', kind = "api", message = "late",
    open = true },

  { "The field `error`" },
  { "is an error event", "data: " .. c"a" .. '\n\nerror: {"message":"bad","code":500}\n\n',
    kind = "api", text = "a", message = "bad", code = 500 },
  { "needs no space", 'error:{"message":"bad"}\n\n', kind = "api", message = "bad" },
  { "may hold an error object", 'error: {"error":{"message":"bad","type":"t"}}\r\n\r\n',
    kind = "api", message = "bad", etype = "t" },
  { "may hold plain words", "error: out of memory\n\n", kind = "api", message = "out of memory" },
  { "has an exact name", 'Error: {"message":"bad"}\n error: x\nerrors: x\n\ndata: ' .. c"a"
    .. "\n\n", text = "a" },
  { "counts in the middle of an event",
    'data: {"choices":[\nerror: {"message":"bad"}\ndata: ]}\n\n',
    kind = "api", message = "bad" },
}

local function check(case, cut, result)
  local where = ("%s (%s)"):format(case[1], cut)
  local err = result.err
  if case.kind then
    assert.truthy(err, where .. ": no failure but " .. result.text)
    assert.equal(case.kind, err.kind, where .. ": " .. tostring(err))
    assert.equal(case.text, err.partial, where)
    if case.message then assert.equal(case.message, err.message, where) end
    assert.equal(case.code, err.code, where)
    assert.equal(case.etype, err.type, where)
    assert.equal(0, #result.bot:get_messages(), where)
  else
    assert.is_nil(err, where .. ": " .. tostring(err))
    assert.equal(case.text, result.answer, where)
    assert.equal("complete", result.reply.status, where)
  end
  assert.equal(case.text or "", result.text, where)
end

describe("an event stream", function()
  after_each(support.close_all)

  local group = ""
  for _, case in ipairs(cases) do
    if #case == 1 then
      group = case[1] .. ": "
    else
      it(group .. case[1], function()
        local cuts = batch.cuts(case[2] .. (case.open and "" or DONE))
        local jobs = {}
        for i, cut in ipairs(cuts) do jobs[i] = { pieces = cut.pieces, type = case.type } end
        for i, result in ipairs(batch.run(jobs)) do check(case, cuts[i].name, result) end
      end)
    end
  end
end)

-- A stream that stays open after these bytes.
local function open_stream(bytes, opts)
  local server = support.serve {
    { support.http(200, { ["Content-Type"] = "text/event-stream" }, bytes,
      { framing = "chunked", cut = true }), { stall = true } },
  }
  local options = { base_url = server.url, model = "m", max_retries = 0, timeout = 10 }
  for key, value in pairs(opts or {}) do options[key] = value end
  return chatbot.new(options):stream("hello"), server
end

-- What poll gives, other than that there is nothing, within two seconds.
local function soon(reply)
  local text, state
  assert.truthy(support.deadline(2, function()
    text, state = reply:poll()
    return text or state ~= "wait"
  end, 0.001))
  return text, state
end

describe("a CR that is the last byte received", function()
  after_each(support.close_all)

  it("ends an event", function()
    local reply = open_stream("data: " .. c"a" .. "\r\r")
    assert.equal("a", soon(reply))
    reply:close()
  end)

  it("ends the answer", function()
    local reply = open_stream("data: " .. c"a" .. "\r\rdata: [DONE]\r\r")
    assert.equal("a", soon(reply))
    assert.equal("done", select(2, soon(reply)))
  end)

  it("ends a line `error:`", function()
    local _, err = soon(open_stream('error: {"message":"bad"}\r'))
    assert.equal("api", err.kind)
  end)
end)

describe("id and retry", function()
  after_each(support.close_all)

  it("never send a request again", function()
    local server = support.serve {
      support.sse({ { raw = "id: 7\nretry: 1\n\n" }, "a" },
        { finish_reason = false, done = false }),
      support.sse { "again" },
    }
    local bot = chatbot.new { base_url = server.url, model = "m", max_retries = 3, timeout = 10 }
    local answer, err = bot:chat("hello")
    assert.is_nil(answer)
    assert.equal("truncated", err.kind)
    assert.equal("a", err.partial)
    assert.equal(1, err.attempts)
    support.sleep(0.05)
    chatbot.poll(0.05)
    assert.equal(1, #server:requests())
  end)
end)

-- Under a sanitizer or valgrind, time and memory are not the module's own.
local instrumented = (os.getenv("LD_PRELOAD") or "") ~= ""

-- Kilobytes of this process that are in memory, where that can be known.
local function resident()
  if instrumented then return nil end
  return process.resident()
end

local function chat(pieces, opts)
  local server = support.serve {
    support.http(200, { ["Content-Type"] = "text/event-stream" }, pieces, { framing = "chunked" }),
  }
  local options = { base_url = server.url, model = "m", max_retries = 0, timeout = 30 }
  for key, value in pairs(opts or {}) do options[key] = value end
  return chatbot.new(options):chat("hello")
end

describe("the cost of a stream", function()
  after_each(support.close_all)

  it("is small for 20,000 events in one write", function()
    local clock = os.clock()
    local answer = assert(chat { ("data: " .. c"a" .. "\n\n"):rep(20000) .. DONE })
    assert.equal(("a"):rep(20000), answer)
    assert.is_true(os.clock() - clock < (instrumented and 60 or 3))
  end)

  it("is in proportion to the bytes of one line in many reads", function()
    local function cost(n)
      local text = ("x"):rep(n)
      local clock = os.clock()
      local server = support.serve {
        support.http(200, { ["Content-Type"] = "text/event-stream" },
          "data: " .. c(text) .. "\n\n" .. DONE, { framing = "chunked", chunk_size = 16,
          chunk = 40 }),
      }
      local bot = chatbot.new { base_url = server.url, model = "m", timeout = 30 }
      assert.equal(text, bot:chat("hello"))
      server:close()
      return os.clock() - clock
    end
    cost(1000)
    local small, big = cost(40000), cost(160000)
    assert.is_true(big < 9 * small + 0.05, ("%g s, then %g s"):format(small, big))
  end)

  it("is no memory for a comment or an unknown field without end", function()
    local before = resident()
    local answer, err = chat({
      ":", { repeat_bytes = ("."):rep(65536), times = 400 }, "\n",
      "foo: ", { repeat_bytes = ("."):rep(65536), times = 400 }, "\n",
      "data: " .. c"a" .. "\n\n" .. DONE,
    }, { max_event_bytes = 1024 })
    assert.equal("a", answer, tostring(err))
    if before then assert.is_true(resident() - before < 8 * 1024) end
  end)

  it("is bounded while nobody takes the events out", function()
    local before = resident()
    local reply, server = open_stream({ { repeat_bytes = "data: " .. c"a" .. "\n\n",
      times = 1000000 } })
    assert.is_true(server:wait(1, 5, "request", function() chatbot.poll(0) end))
    support.deadline(1, function() chatbot.poll(0.01) end, 0.001)
    if before then assert.is_true(resident() - before < 8 * 1024) end
    assert.is_true(server:connections()[1].sent < 16 * 1024 * 1024)
    assert.equal("a", soon(reply):sub(1, 1))
    reply:close()
  end)
end)

describe("a limit", function()
  after_each(support.close_all)

  local small = { max_event_bytes = 1000 }
  local long = ("x"):rep(2000)
  local over = {
    { "an event with one long line", "data: " .. c(long) .. "\n\n" },
    { "a line without end", "data: " .. long },
    { "an event of many lines", ("data: xxxxxxxx\n"):rep(300) },
    { "an event of empty lines", ("data\n"):rep(3000) },
    { "a type", "event: " .. long .. "\n" },
    { "an id", "id: " .. long .. "\n" },
  }
  for _, row in ipairs(over) do
    it("of one event ends the answer at " .. row[1], function()
      local answer, err = chat({ "data: " .. c"a" .. "\n\n", { sleep = 0.02 }, row[2],
        { sleep = 0.02 }, "\n\n" .. DONE }, small)
      assert.is_nil(answer)
      assert.equal("limit", err.kind, tostring(err))
      assert.equal("a", err.partial)
      assert.truthy(err.message:find("max_event_bytes", 1, true), err.message)
    end)
  end

  it("of one event does not count what comes beside it", function()
    local answer, err = chat({ ("data: " .. c"a" .. "\n\n"):rep(500) .. ":" .. long .. "\n"
      .. DONE }, small)
    assert.equal(("a"):rep(500), answer, tostring(err))
  end)

  it("of the answer ends it", function()
    local answer, err = chat({ ("data: " .. c"0123456789" .. "\n\n"):rep(200) .. DONE },
      { max_answer_bytes = 1000 })
    assert.is_nil(answer)
    assert.equal("limit", err.kind)
    assert.truthy(err.message:find("max_answer_bytes", 1, true), err.message)
    assert.equal(("0123456789"):rep(100), err.partial)
  end)

  it("of the answer counts a whole document", function()
    local server = support.serve { support.json_completion(("x"):rep(2000)) }
    local bot = chatbot.new { base_url = server.url, model = "m", stream = false, timeout = 10,
      max_answer_bytes = 1000 }
    local answer, err = bot:chat("hello")
    assert.is_nil(answer)
    assert.equal("limit", err.kind)
    assert.truthy(err.message:find("max_answer_bytes", 1, true), err.message)
  end)

  it("of one event does not count a whole document", function()
    local server = support.serve { support.json_completion(("x"):rep(2000)) }
    local bot = chatbot.new { base_url = server.url, model = "m", stream = false, timeout = 10,
      max_event_bytes = 1000 }
    local answer, err = bot:chat("hello")
    assert.equal(("x"):rep(2000), answer, tostring(err))
  end)
end)
