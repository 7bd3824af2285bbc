--- Retries: which failures, how long the waits are, when there is none.

local wire = require "spec.support.wire"
local bytes = require "spec.faults.bytes"

local SOON = { ["Retry-After-Ms"] = "30" }
local reset, close = { reset = true }, { close = true }

local rows = {}

-- Each in a child of its own: a port may come again, with what is known of it.
local function row_of(name, serve, options, expect, saw, more)
  local row = { name = name, own = true, serve = serve, options = options, expect = expect,
    saw = saw }
  for key, value in pairs(more or {}) do row[key] = value end
  return row
end

local function add(...)
  rows[#rows + 1] = row_of(...)
end

local function fine(from, to)
  return { verdict = "complete", text = "fine", between = from and { took = { from, to } } }
end

local TWO = { max_retries = 2 }

-- What is the same in each dialect.
bytes.each(function(b)
  local list = {}
  local function row(...)
    list[#list + 1] = row_of(...)
  end
  for _, status in ipairs { 408, 409, 429, 500, 502, 503, 504, 529 } do
    row(("HTTP %d, then an answer"):format(status),
      { b.failure(status, SOON), b.good() }, TWO, fine(0.03, 0.25), { requests = 2 })
  end
  row("HTTP 500 until no try is left",
    { b.failure(500, SOON, "first"), b.failure(500, SOON, "second"),
      b.failure(500, SOON, "third") }, TWO,
    { kind = "http", status = 500, attempts = 3, retryable = true, message = "third" },
    { requests = 3 })
  row("no try after text",
    { b.stream { b.event "Hel", { sleep = 0.02 }, reset }, b.good() }, TWO,
    { kind = "reset", status = 200, attempts = 1, partial = "Hel" })
  row("no try after a 2xx header, for a stream that ends",
    { b.stream { close }, b.good() }, TWO,
    { kind = "truncated", status = 200, attempts = 1 })
  -- an error in a 200 is as good as the status that it stands for, until something was given
  for _, kind in ipairs { "overloaded_error", "server_error", "rate_limit_exceeded" } do
    row(("%s in a 200, then an answer"):format(kind),
      { b.stream { b.failed("too busy", kind), close }, b.good() }, TWO, fine(0.37, 0.7),
      { requests = 2 })
  end
  row("overloaded_error in a 200 until no try is left",
    { b.stream { b.failed("too busy", "overloaded_error"), close } }, { max_retries = 1 },
    { kind = "api", attempts = 2, retryable = true, message = "too busy" }, { requests = 2 })
  row("no try for an error in a 200 behind text",
    { b.stream { b.event "Hel", b.failed("too busy", "overloaded_error"), close }, b.good() },
    TWO, { kind = "api", status = 200, attempts = 1, partial = "Hel", message = "too busy" })
  row("no try for an error in a 200 that is the request's fault",
    { b.stream { b.failed("no such thing", "invalid_request_error"), close }, b.good() }, TWO,
    { kind = "api", status = 200, attempts = 1, retryable = false, message = "no such thing" })
  return list
end, rows)

-- 1xx are no answers.
for _, case in ipairs {
  { "100 Continue", "HTTP/1.1 100 Continue\r\n\r\n" },
  { "102 Processing", "HTTP/1.1 102 Processing\r\nRetry-After: 60\r\n\r\n" },
  { "103 Early Hints", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" },
  { "half a 103", "HTTP/1.1 103 Early Hints\r\nX-Should-Retry: false\r\n" },
} do
  for _, how in ipairs { "close", "reset" } do
    add(("%s and then %s, then an answer"):format(case[1], how),
      { { case[2], { sleep = 0.02 }, { [how] = true } }, bytes.good() }, TWO, fine(0.37, 0.6),
      { requests = 2 })
  end
end
add("100 Continue and then an end is no status",
  { { "HTTP/1.1 100 Continue\r\n\r\n", { sleep = 0.02 }, close } }, { max_retries = 0 },
  { kind = "truncated", attempts = 1, retryable = true }, { requests = 1 },
  { check = function(observed)
    return observed.status and "status: " .. observed.status or nil
  end })
add("103 Early Hints and then HTTP 503, then an answer",
  { { "HTTP/1.1 103 Early Hints\r\n\r\n", bytes.failure(503, SOON) }, bytes.good() }, TWO,
  fine(0.03, 0.25), { requests = 2 })

add("max_retries = 0 tries once", { bytes.failure(503, SOON), bytes.good() },
  { max_retries = 0 }, { kind = "http", status = 503, attempts = 1, retryable = true })

add("without headers the first wait is 0.375 to 0.5 s",
  { bytes.failure(500), bytes.good() }, TWO, fine(0.37, 0.6), { requests = 2 })

add("retry-after in seconds", { bytes.failure(429, { ["Retry-After"] = "1" }), bytes.good() },
  TWO, fine(1, 1.1), { requests = 2 })

add("retry-after with a fraction", { bytes.failure(429, { ["Retry-After"] = "0.2" }),
  bytes.good() }, TWO, fine(0.2, 0.3), { requests = 2 })

add("retry-after-ms goes before retry-after", { bytes.failure(429, { ["Retry-After-Ms"] = "100",
  ["Retry-After"] = "60" }), bytes.good() }, TWO, fine(0.1, 0.2), { requests = 2 })

add("retry-after as a date", { { { lua = [[
    local _, conn, wire = ...
    local date = os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 2)
    conn:play(wire.http(429, { ["Retry-After"] = date }, ""))
  ]] } }, bytes.good() }, TWO, fine(0.9, 2.2), { requests = 2 })

for _, junk in ipairs { "soon", "-5", "1e3", "0x10", "12 s", "", "nan", "99999999999999999999" } do
  add(("retry-after of %q counts as none"):format(junk),
    { bytes.failure(429, { { "Retry-After", junk } }), bytes.good() }, TWO, fine(0.37, 0.6),
    { requests = 2 })
end

add("a retry-after above 120 s is not waited for",
  { bytes.failure(429, { ["Retry-After"] = "121" }), bytes.good() }, TWO,
  { kind = "http", status = 429, attempts = 1, retryable = true, retry_after = 121 })

local function named(wait)
  return wire.http(429, {}, wire.encode { { error = { code = 429, message = "no", details = {
    { reason = "RATE_LIMIT" }, { retryDelay = wait } } } } })
end

add("a wait that the body names", { named "0.2s", bytes.good() }, TWO, fine(0.2, 0.3),
  { requests = 2 })

add("a wait above 120 s that the body names is not waited for", { named "121s", bytes.good() },
  TWO, { kind = "http", status = 429, attempts = 1, retryable = true, retry_after = 121 })

add("the error tells the wait that the body names", { named "2.5s" }, { max_retries = 0 },
  { kind = "http", status = 429, attempts = 1, retry_after = 2.5 })

add("a wait that the total time does not allow is not begun",
  { bytes.failure(429, { ["Retry-After"] = "5" }, "slow down"), bytes.good() },
  { max_retries = 2, timeout = 2 },
  { kind = "http", status = 429, attempts = 1, retryable = true, retry_after = 5,
    message = "slow down", between = { took = { 0, 0.2 } } })

add("the error tells the wait that retry-after-ms asks for",
  { bytes.failure(429, { ["Retry-After-Ms"] = "2500" }) }, { max_retries = 0 },
  { kind = "http", status = 429, attempts = 1, retry_after = 2.5 })

add("x-should-retry: true decides over the status",
  { bytes.failure(400, { ["X-Should-Retry"] = "true", ["Retry-After-Ms"] = "30" }),
    bytes.good() }, TWO, fine(0.03, 0.25), { requests = 2 })

add("x-should-retry: false decides over the status",
  { bytes.failure(503, { ["X-Should-Retry"] = "false", ["Retry-After-Ms"] = "30" }),
    bytes.good() }, TWO, { kind = "http", status = 503, attempts = 1 })

for _, code in ipairs { "insufficient_quota", "billing_hard_limit_reached" } do
  add(code .. " is not tried again",
    { bytes.failure(429, SOON, "You exceeded your current quota", code), bytes.good() }, TWO,
    { kind = "http", status = 429, attempts = 1, code = code })
end

add("RST instead of an answer, then an answer", { reset, bytes.good() }, TWO, fine(0.37, 0.6),
  { requests = 2, connections = 2 })
add("FIN instead of an answer, then an answer", { close, bytes.good() }, TWO, fine(0.37, 0.6),
  { requests = 2, connections = 2 })

add("a refused connection until no try is left", nil, function(_, t)
  return { max_retries = 1, base_url = ("http://127.0.0.1:%d/v1"):format(t.extra.port) }
end, { kind = "connect", attempts = 2, retryable = true, between = { took = { 0.37, 0.6 } } },
  nil, { prepare = function() return { port = require("spec.support").dead_port() } end })

add("a refused connection, then an answer", { bytes.good() }, function(_, t)
  return { max_retries = 2, base_url = ("http://127.0.0.1:%d/v1"):format(t.extra.port) }
end, fine(0.37, 0.7), { requests = 0 }, {
  prepare = function() -- the server of this scenario comes to its port late
    return { port = require("spec.support").dead_port() }
  end,
  client = function(t)
    local socket = require "socket"
    local reply = t:bot():stream("hello")
    t:pause(0.1)
    local listener = assert(socket.bind("127.0.0.1", ("%d"):format(t.extra.port)))
    listener:settimeout(0)
    local done, observed, started = false, nil, require("spec.support.process").now() - 0.1
    local other = coroutine.create(function() observed = t:follow(reply) done = true end)
    local con
    while not done do
      assert(coroutine.resume(other))
      con = con or listener:accept()
      if con and con ~= true then
        con:settimeout(1)
        repeat local line = con:receive("*l") until line == "" or not line
        for _, step in ipairs(bytes.good()) do con:send(step.send) end
        con:settimeout(0)
        t.con, con = con, true
      end
      t:pause()
    end
    observed.took = require("spec.support.process").now() - started
    return observed
  end,
})

add("no try after a 2xx header, for a reset",
  { bytes.stream { { sleep = 0.02 }, reset }, bytes.good() }, TWO,
  { kind = "reset", status = 200, attempts = 1, retryable = true })
add("no try after a redirect",
  { wire.http(307, { Location = "http://127.0.0.1:9/" }, ""), bytes.good() }, TWO,
  { kind = "redirect", status = 307, attempts = 1 })

add("close() ends the wait at once, and no further request comes",
  { bytes.failure(503, { ["Retry-After-Ms"] = "300" }), bytes.good() }, TWO,
  { kind = "cancelled", between = { close_took = { 0, 0.005 }, took = { 0, 0.01 } } },
  { requests = 1 }, { client = function(t)
    local now = require("spec.support.process").now
    local reply = t:bot():stream("hello")
    local limit = now() + 0.15
    while now() < limit do
      reply:poll()
      t:pause()
    end
    local before = now()
    reply:close()
    local after = now()
    local observed = t:follow(reply)
    observed.close_took, observed.took = after - before, now() - before
    t:pause(0.4)
    return observed
  end })

add("a coroutine is never blocked while it waits",
  { bytes.failure(503, { ["Retry-After-Ms"] = "400" }), bytes.good() }, TWO,
  { text = "fine", between = { longest = { 0, 0.03 }, turns = { 50, 1e6 } } },
  { requests = 2 }, { client = function(t)
    local process = require "spec.support.process"
    local bot, answer, reply = t:bot(), nil, nil
    local chat = coroutine.create(function() answer, reply = bot:chat("hello") end)
    local longest, turns = 0, 0
    while coroutine.status(chat) ~= "dead" do
      local before = process.now()
      assert(coroutine.resume(chat))
      longest = math.max(longest, process.now() - before)
      turns = turns + 1
      process.sleep(0.002)
    end
    return { text = answer, longest = longest, turns = turns,
      message = not answer and tostring(reply) or nil }
  end })

-- How often each of `count` requests in a row was made.
local function tries(t, bot, count)
  local list, observed = {}, nil
  for i = 1, count do
    observed = t:talk(bot)
    list[i] = ("%d"):format(observed.attempts or 0)
  end
  observed.tries = table.concat(list, " ")
  return observed
end

local function outage(count)
  return { client = function(t) return tries(t, t:bot(), count) end }
end

local DOWN = bytes.failure(503, { ["Retry-After-Ms"] = "5" }, "bad day")

add("an outage: after ten failures in a row there is one try each", { DOWN }, TWO,
  { kind = "http", status = 503, attempts = 1, retryable = true, tries = "3 3 3 1 1",
    message = "bad day; no further tries at 127.0.0.1:" }, { requests = 11 }, outage(5))

add("an outage: requests that make no further tries add to it, too", { DOWN },
  { max_retries = 0 },
  { kind = "http", tries = "1 1 1 1 1 1 1 1 1 1 1", attempts = 1, status = 503 },
  { requests = 11 }, outage(11))

add("an outage: the error says why there was no try, of a connection, too", nil,
  function(_, t)
    return { max_retries = 1, base_url = ("http://127.0.0.1:%d/v1"):format(t.extra.port) }
  end, { kind = "connect", attempts = 1, retryable = true,
    message = ": the last ten failed" }, nil, {
  prepare = function() return { port = require("spec.support").dead_port() } end,
  client = function(t)
    local bots, observed = {}, nil
    for i = 1, 12 do bots[i] = assert(t:bot():stream("hello")) end
    for i = 1, 12 do observed = t:follow(bots[i]) end
    return observed
  end })

do
  local serve = {}
  for i = 1, 10 do serve[i] = DOWN end
  serve[11], serve[12] = bytes.good(), DOWN
  local more = outage(5)
  more.client = function(t)
    local bot = t:bot()
    local observed = tries(t, bot, 4)
    local answer = t:talk(bot)
    observed.tries = observed.tries .. " " .. answer.text .. " " .. tries(t, bot, 2).tries
    return observed
  end
  add("an outage is over when one request succeeds", serve, TWO,
    { kind = "http", tries = "3 3 3 1 fine 3 3", status = 503 }, { requests = 17 }, more)
end

add("an outage at one origin is none at another", { DOWN }, TWO,
  { kind = "http", tries = "3 3 3 1 1", others = "3 3 3 1", status = 503 }, { requests = 11 }, {
  servers = { other = { { DOWN } } },
  client = function(t)
    local observed = tries(t, t:bot(), 5)
    local bot = require("chatbot").new { model = "m", base_url = t.urls.other.url, timeout = 10 }
    observed.others = tries(t, bot, 4).tries
    return observed
  end })

for _, case in ipairs {
  { "a header", bytes.failure(429, { ["Retry-After-Ms"] = "5" }) },
  { "the body", named "0.005s" },
} do
  add("429 whose wait is in " .. case[1] .. " is no outage", { case[2] }, TWO,
    { kind = "http", tries = "3 3 3 3 3 3", status = 429 }, { requests = 18 }, outage(6))
end

-- One in eight is refused, whoever asks.
local FLAKY = { { lua = [[
  local _, conn, wire = ...
  seen = (rawget(_G, "seen") or 0) + 1
  if seen % 8 == 0 then
    conn:play(wire.http(429, {}, "no"))
  else
    conn:play(wire.sse { "fine" })
  end
]] } }

add("200 requests of which one in eight is answered with 429 are all answered", { FLAKY },
  { max_retries = 5, timeout = 30 }, { answered = 200 }, {}, {
  alone = true,
  client = function(t)
    local chatbot, replies, answered = require "chatbot", {}, 0
    chatbot.max_concurrent(20)
    for i = 1, 200 do replies[i] = assert(t:bot():stream("hello")) end
    local observed
    for i = 1, 200 do
      observed = t:follow(replies[i])
      if observed.text == "fine" then answered = answered + 1 end
    end
    return { answered = answered, message = observed.message }
  end, check = function() end })

local LOADING = bytes.failure(503, nil, "Loading model", "unavailable")

local function local_server(urls, more)
  require("chatbot").register("localtest", { base_url = urls.main.url, loading_wait = true })
  local options = { provider = "localtest", base_url = urls.main.url, max_retries = 0 }
  for name, value in pairs(more) do options[name] = value end
  return options
end

add("a local server that loads its model is waited for",
  { LOADING, LOADING, bytes.good() }, function(urls)
    return local_server(urls, { first_byte_timeout = 4 })
  end, fine(0.9, 1.3), { requests = 3 })

add("a local server that loads is waited for within the first-byte time",
  { LOADING }, function(urls)
    return local_server(urls, { first_byte_timeout = 1.2 })
  end, { kind = "http", status = 503, attempts = 1, message = "Loading model",
    between = { took = { 0.9, 1.25 } } }, { requests = 3 })

add("a local server that loads and then hangs is given up within the first-byte time",
  { LOADING, { { stall = true } } }, function(urls)
    return local_server(urls, { first_byte_timeout = 1 })
  end, { kind = "timeout", phase = "first_byte", attempts = 1,
    between = { took = { 0.99, 1.06 } } }, { requests = 2 })

return rows
