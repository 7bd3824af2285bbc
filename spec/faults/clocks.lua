--- Clocks: each time-out names its phase and is accurate to 50 ms.

local wire = require "spec.support.wire"
local bytes = require "spec.faults.bytes"

local chunked = wire.head(200, {
  { "Content-Type", "text/event-stream" }, { "Transfer-Encoding", "chunked" },
})

local function comments(b, n, every)
  local steps = { b.head { "Connection", "close" } .. b.OPEN, b.event "Hel" }
  for _ = 1, n do
    steps[#steps + 1] = { sleep = every }
    steps[#steps + 1] = ": ping\n"
  end
  return steps
end

local function timeout(phase, seconds, more)
  local expect = {
    kind = "timeout", phase = phase, attempts = 1, retryable = phase ~= "total",
    between = { [phase == "idle" and "since_text" or "took"] = { seconds - 0.005,
      seconds + 0.05 } },
  }
  for name, value in pairs(more or {}) do expect[name] = value end
  return expect
end

local function streams(b)
  local head, event = b.head() .. b.OPEN, b.event("Hel")
  return {
    {
      name = "connecting hangs", once = true,
      serve = {}, serve_opts = { accept = "full" },
      options = { connect_timeout = 0.3 },
      expect = timeout("connect", 0.3, { message = "connect_timeout" }),
      saw = { requests = 0 },
    },
    {
      name = "the TLS handshake stalls", once = true,
      serve = {}, serve_opts = { tls = "stall" },
      options = { connect_timeout = 0.35 },
      expect = timeout("connect", 0.35),
      saw = { requests = 0, connections = 1 },
    },
    {
      name = "connecting hangs and the total time is shorter", once = true,
      serve = {}, serve_opts = { accept = "full" },
      options = { connect_timeout = 3, timeout = 0.25 },
      expect = timeout("total", 0.25, { message = "timeout" }),
      saw = { requests = 0 },
    },
    {
      name = "the server accepts and never reads", once = true,
      serve = {}, serve_opts = { accept = "never" },
      options = { first_byte_timeout = 0.4 },
      expect = timeout("first_byte", 0.4),
      saw = { requests = 0 },
    },
    {
      name = "nothing comes before the first byte", once = true,
      serve = { { { stall = true } } },
      options = { first_byte_timeout = 0.3 },
      expect = timeout("first_byte", 0.3, { message = "first_byte_timeout" }),
    },
    {
      name = "the header stalls", once = true,
      serve = { { "HTTP/1.1 200 OK\r\nContent-Ty", { stall = true } } },
      options = { first_byte_timeout = 0.3 },
      expect = timeout("first_byte", 0.3),
    },
    {
      name = "the header is whole and the body stalls before its first byte", once = true,
      serve = { { chunked, { stall = true } } },
      options = { first_byte_timeout = 0.3 },
      expect = timeout("first_byte", 0.3, { status = 200 }),
    },
    {
      name = "103 Early Hints are no first byte", once = true,
      serve = { { "HTTP/1.1 103 Early Hints\r\n\r\n", { stall = true } } },
      options = { first_byte_timeout = 0.3 },
      expect = timeout("first_byte", 0.3),
    },
    {
      name = "the body stalls in the middle",
      serve = { { head, event, { stall = true } } },
      options = { idle_timeout = 0.3 },
      expect = timeout("idle", 0.3, { partial = "Hel", status = 200, message = "idle_timeout" }),
    },
    {
      name = "the body stalls inside an event",
      serve = { { head, event, "data: {\"choices\":[{\"del", { stall = true } } },
      options = { idle_timeout = 0.3 },
      expect = timeout("idle", 0.3, { partial = "Hel", status = 200 }),
    },
    {
      name = "the stream stalls and is not retried",
      serve = { { head, event, { stall = true } } },
      options = { idle_timeout = 0.25, max_retries = 3 },
      expect = timeout("idle", 0.25, { partial = "Hel", status = 200 }),
    },
    {
      name = "comments count as life",
      serve = { { comments(b, 6, 0.15), b.STOP, b.DONE, { close = true } } },
      options = { idle_timeout = 0.4 },
      expect = { verdict = "complete", text = "Hel", between = { took = { 0.85, 1.3 } } },
    },
    {
      name = "comments do not extend the total time",
      serve = { { comments(b, 20, 0.1), { stall = true } } },
      options = { idle_timeout = 0.4, timeout = 0.6 },
      expect = timeout("total", 0.6, { partial = "Hel", status = 200 }),
    },
    {
      name = "the total time passes while text arrives",
      serve = { { b.head { "Connection", "close" } .. b.OPEN, { send = event:rep(40),
        chunk = #event, every = 0.05 }, { stall = true } } },
      options = { timeout = 0.5 },
      expect = { kind = "timeout", phase = "total", attempts = 1, retryable = false,
        status = 200, partial = true, between = { took = { 0.5, 0.55 } } },
      check = function(observed)
        local n = #(observed.partial or ""):gsub("Hel", "x")
        if n < 8 or n > 11 then return "partial: " .. tostring(observed.partial), true end
      end,
    },
    {
      name = "the answer is finished and the server only keeps the connection open",
      serve = { { head, event, b.STOP, b.DONE, { stall = true } } },
      expect = { verdict = "complete", text = "Hel", between = { took = { 0, 0.15 } } },
    },
    {
      name = "the total time includes the waits between tries", once = true,
      own = true,
      serve = { wire.http(503, { ["Retry-After"] = "0.3" }, ""), { { stall = true } } },
      options = { timeout = 0.5, max_retries = 3 },
      expect = timeout("total", 0.5, { attempts = 2 }),
      saw = { requests = 2 },
    },
    {
      name = "a time-out before the first byte is tried again", once = true,
      own = true,
      serve = { { { stall = true } }, bytes.good() },
      options = { first_byte_timeout = 0.3, max_retries = 1 },
      expect = { verdict = "complete", text = "fine", between = { took = { 0.65, 0.95 } } },
      saw = { requests = 2, connections = 2 },
    },
  }
end

local rows = bytes.each(streams)

local function slow_dns() return require("spec.faults.tools").preload "slow_dns" end

rows[#rows + 1] = {
  name = "looking the name up hangs", own = true,
  prepare = slow_dns,
  env = function(_, extra) return { LD_PRELOAD = extra.preload, SLOW_DNS = "3" } end,
  options = { base_url = "https://slow.invalid/v1", connect_timeout = 0.3 },
  expect = timeout("connect", 0.3),
}

rows[#rows + 1] = {
  name = "looking the name up hangs, and nothing waits for it later", own = true,
  prepare = slow_dns,
  env = function(_, extra) return { LD_PRELOAD = extra.preload, SLOW_DNS = "4" } end,
  options = { base_url = "https://slow.invalid/v1", connect_timeout = 0.3 },
  client = function(t)
    local chatbot, process = require "chatbot", require "spec.support.process"
    local observed = t:talk(t:bot())
    local limit, longest = process.now() + 0.5, 0
    while process.now() < limit do
      local before = process.now()
      chatbot.poll(0)
      longest = math.max(longest, process.now() - before)
      process.sleep(0.001)
    end
    observed.longest = longest
    return observed
  end,
  expect = { kind = "timeout", phase = "connect", between = { longest = { 0, 1 } } },
}

-- A host that does something else for longer than the clocks allow.
local function busy_host(t)
  local process = require "spec.support.process"
  local reply = t:bot():stream("hello")
  local limit = process.now() + 0.1
  while process.now() < limit do
    reply:poll()
    t:pause()
  end
  process.sleep(0.6)
  return (t:follow(reply))
end

rows[#rows + 1] = {
  name = "a busy host finds the first byte that came in time", own = true,
  serve = { { { sleep = 0.2 }, bytes.good() } }, client = busy_host,
  options = { first_byte_timeout = 0.4 },
  expect = { verdict = "complete", text = "fine" },
}

rows[#rows + 1] = {
  name = "a busy host finds the text that came in time", own = true,
  serve = { { bytes.stream { { sleep = 0.2 }, bytes.event "Hel", bytes.STOP, bytes.DONE } } },
  client = busy_host, options = { idle_timeout = 0.4 },
  expect = { verdict = "complete", text = "Hel" },
}

-- The clock of events, where the option is known.
local function no_event_timeout()
  local ok, problem = pcall(require("chatbot").new, { model = "m", event_timeout = 1 })
  return not ok and tostring(problem) or nil
end

bytes.each(function(b)
  local event = b.event "Hel"
  return {
    {
      name = "comments do not extend the time between events",
      skip = no_event_timeout,
      serve = { { comments(b, 20, 0.1), { stall = true } } },
      options = { event_timeout = 0.5 },
      expect = { kind = "timeout", phase = "event", attempts = 1, retryable = true,
        status = 200, partial = "Hel", message = "event_timeout",
        between = { since_text = { 0.495, 0.55 } } },
    },
    {
      name = "events extend the time between events",
      skip = no_event_timeout,
      serve = { { b.head { "Connection", "close" } .. b.OPEN, { send = event:rep(6), chunk = #event,
        every = 0.2 }, b.STOP, b.DONE, { close = true } } },
      options = { event_timeout = 0.4 },
      expect = { verdict = "complete", text = ("Hel"):rep(6) },
    },
  }
end, rows)

return rows
