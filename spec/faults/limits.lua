--- Limits: each is kind `limit` and names its option; memory stays near the limit.

local wire = require "spec.support.wire"
local bytes = require "spec.faults.bytes"

local MIB = 1048576

-- The most memory that this process has had, and what it had at the start.
local function peak()
  local file = io.open("/proc/self/status", "r")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return tonumber(text:match("VmHWM:%s*(%d+)")) / 1024
end

-- Reads a reply to its end and keeps none of its text, so that what this process grows by
-- is what the module holds. Up to 100 characters are compared.
local function drain(reply, wait)
  local length, text = 0, ""
  while true do
    local piece, state = reply:poll()
    if piece then
      length = length + #piece
      if #text < 100 then text = (text .. piece):sub(1, 100) end
    elseif state ~= "wait" then
      local observed = { verdict = state == "done" and reply.status or nil, length = length }
      if type(state) == "table" then
        for name, value in pairs(state) do observed[name] = value end
        if observed.partial and #observed.partial > 100 then observed.partial = nil end
      end
      observed.text = text
      return observed
    else
      wait(reply)
    end
  end
end

-- The growth of this process in MiB over a second request; a first, small one has loaded
-- all that a first request loads.
local function measured(t)
  local process = require "spec.support.process"
  local bot = t:bot()
  t:talk(bot)
  collectgarbage()
  local before, started = peak(), process.now()
  local observed = drain(bot:stream("hello"), function() t:pause() end)
  observed.growth, observed.took = before and peak() - before, process.now() - started
  return observed
end

local function row_of(b, name, serve, options, expect, more)
  local row = {
    name = name, own = true, alone = true, client = measured, options = options,
    serve = { b.good(), serve }, expect = expect, saw = { requests = 2 },
  }
  for key, value in pairs(more or {}) do row[key] = value end
  return row
end

local rows = {}

local function add(...)
  rows[#rows + 1] = row_of(bytes, ...)
end

local function limit(option, growth, more)
  local expect = { kind = "limit", attempts = 1, retryable = false, message = option,
    between = { growth = { 0, growth } } }
  for key, value in pairs(more or {}) do expect[key] = value end
  return expect
end

local function flood(before, unit, times)
  return { { send = bytes.head { "Connection", "close" } .. before },
    { repeat_bytes = unit, times = times }, { close = true } }
end

-- A document whose text has a million bytes times `count`.
local function long_document(b, count)
  local before, behind = b.around()
  return { { send = wire.head(200, { ["Content-Type"] = "application/json",
    ["Connection"] = "close" }) .. before },
    { repeat_bytes = ("a"):rep(1000), times = 1000 * count },
    { send = behind }, { close = true } }
end

-- What each dialect has of its own: where its text is, and what else may have no end.
bytes.each(function(b)
  local hel = b.OPEN .. b.event "Hel"
  return {
    row_of(b, "a data line of 200 MB, with a limit of 1 MB", flood(hel .. "data: ",
      ("a"):rep(65536), 3200), { max_event_bytes = MIB },
      limit("max_event_bytes", 1 + 4, { status = 200, partial = "Hel" })),
    row_of(b, "a text of 20 MB in one event", flood(hel .. b.event("TEXT"):match("^(.-)TEXT"),
      ("a"):rep(65536), 320), { max_event_bytes = MIB },
      limit("max_event_bytes", 1 + 4, { status = 200, partial = "Hel" })),
    row_of(b, "an answer without end", flood(b.OPEN, b.event(("a"):rep(500)), 20000),
      { max_answer_bytes = MIB }, limit("max_answer_bytes", 2 + 4, { status = 200 })),
    row_of(b, "reasoning without end", flood(b.begin "reasoning",
      b.more("reasoning", ("a"):rep(500)), 20000), { max_answer_bytes = MIB },
      limit("max_answer_bytes", 2 + 4, { status = 200 })),
    row_of(b, "arguments without end", flood(b.begin "arguments" .. b.more("arguments", '{"a":"'),
      b.more("arguments", ("a"):rep(500)), 20000), { max_answer_bytes = MIB },
      limit("max_answer_bytes", 2 + 4, { status = 200 })),
    row_of(b, "a whole JSON answer of 200 MB", long_document(b, 200),
      { max_answer_bytes = MIB, stream = false },
      limit("max_answer_bytes", 2 + 4, { status = 200 })),
    row_of(b, "a whole JSON answer larger than an event may be", long_document(b, 2),
      { max_event_bytes = MIB, stream = false }, { verdict = "complete" }),
  }
end, rows)

add("a data line of 200 MB", flood("data: ", ("a"):rep(65536), 3200), nil,
  limit("max_event_bytes", 16 + 4, { status = 200 }))

add("a line of an unknown field of 200 MB is skipped and not kept",
  flood(bytes.event "Hel" .. "x", ("a"):rep(65536), 3200), { max_event_bytes = MIB },
  { kind = "truncated", status = 200, partial = "Hel", attempts = 1,
    between = { growth = { 0, 4 } } })

add("an event of many data lines", flood(bytes.event "Hel", "data: aaaaaaaaaaaaaaaaaaaaaaaaa\n",
  500000), { max_event_bytes = MIB },
  limit("max_event_bytes", 2 + 4, { status = 200, partial = "Hel" }))

add("millions of empty data lines", flood(bytes.event "Hel", "data:\n", 4000000),
  { max_event_bytes = MIB }, limit("max_event_bytes", 2 + 4, { status = 200, partial = "Hel" }))

add("millions of events without data",
  flood(bytes.event "Hel", "event: x\n\n", 1000000), { max_event_bytes = MIB },
  { kind = "truncated", status = 200, partial = "Hel", attempts = 1,
    between = { growth = { 0, 4 } } })

add("millions of comments", flood(bytes.event "Hel", ": ping\n", 2000000),
  { max_event_bytes = MIB }, { kind = "truncated", status = 200, partial = "Hel", attempts = 1,
    between = { growth = { 0, 4 } } })

add("an error body of 1 GB", { { send = wire.head(500, { ["Connection"] = "close" })
  .. '{"error":{"message":"bad day"}}' }, { repeat_bytes = (" "):rep(65536), times = 16384 },
  { close = true } }, nil, { kind = "http", status = 500, attempts = 1,
    message = "bad day", between = { growth = { 0, 4 }, took = { 0, 1 } } })

add("an error body beyond max_error_bytes", { wire.http(400, {}, ("x"):rep(5000)) },
  { max_error_bytes = 1000, max_event_bytes = 500 },
  { kind = "http", status = 400, attempts = 1 })

add("a body of rubbish without end", { { send = wire.head(200, {
  ["Content-Type"] = "text/plain", ["Connection"] = "close" }) },
  { repeat_bytes = ("Z"):rep(65536), times = 3200 }, { close = true } }, nil,
  { kind = "protocol", status = 200, attempts = 1, between = { growth = { 0, 4 } } })

add("blank lines without end", { { send = wire.head(200, {
  ["Content-Type"] = "text/plain", ["Connection"] = "close" }) },
  { repeat_bytes = ("\n"):rep(65536), times = 800 }, { close = true } },
  { max_event_bytes = MIB }, { kind = { "limit", "truncated" }, status = 200, attempts = 1,
    between = { growth = { 0, 5 } } })

add("a gzip bomb that nobody asked for", { { send = wire.head(200, {
  ["Content-Type"] = "text/event-stream", ["Content-Encoding"] = "gzip",
  ["Connection"] = "close" }) .. "\31\139\8\0\0\0\0\0\0\3" },
  { repeat_bytes = ("\0"):rep(65536), times = 3200 }, { close = true } }, nil,
  { kind = "protocol", status = 200, attempts = 1, message = "gzip",
    between = { growth = { 0, 4 } } })

local EVENT = bytes.event(("0123456789"):rep(100))

-- 50 MB in events of 1,000 characters; the client looks away for a while.
add("a consumer that stops costs bounded memory and loses nothing",
  { { send = bytes.head { "Connection", "close" } }, { repeat_bytes = EVENT, times = 40000 },
    { send = bytes.STOP .. bytes.DONE }, { close = true } },
  { max_answer_bytes = 64 * MIB, timeout = 60 },
  { verdict = "complete", length = 40000000, between = { growth = { 0, 4 } } },
  { client = function(t)
    local process = require "spec.support.process"
    local bot = t:bot()
    t:talk(bot)
    collectgarbage()
    local before = peak()
    local reply = bot:stream("hello")
    local chatbot, pause_end = require "chatbot", process.now() + 1.5
    while process.now() < pause_end do chatbot.poll(0.01) end -- the engine runs, nobody reads
    local growth = peak() - before
    local resumed = process.now()
    local observed = drain(reply, function() reply:wait(1) end)
    observed.growth, observed.resumed = growth, resumed
    return observed
  end, check = function(observed, servers)
    for _, event in ipairs(servers.main:events()) do
      if event.what == "sent" and event.total > 40000000 then
        return event.at < observed.resumed and "the server was not held back" or nil
      end
    end
    return "the server did not send all"
  end })

return rows
