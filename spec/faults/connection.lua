--- Connections that fail, end or break, from the first packet to after the answer.

local wire = require "spec.support.wire"
local bytes = require "spec.faults.bytes"

local reset = { reset = true }
local close = { close = true }

-- A chunked body that is cut behind this text.
local function chunked(b, text)
  return { wire.http(200, { ["Content-Type"] = "text/event-stream" },
    wire.array { b.OPEN .. b.event(text) }, { framing = "chunked", cut = true }), close }
end

local function lost(kind, more)
  local expect = { kind = kind, attempts = 1, retryable = true }
  for name, value in pairs(more or {}) do expect[name] = value end
  return expect
end

-- What is the same of a row in each dialect.
local function streams(b)
  local stream, event, stop, done = b.stream, b.event, b.STOP, b.DONE
  return {
    {
      name = "nothing listens on the port", once = true,
      prepare = function() return { port = require("spec.support").dead_port() } end,
      options = function(_, t)
        return { base_url = ("http://127.0.0.1:%d/v1"):format(t.extra.port) }
      end,
      expect = lost("connect", { message = "onnect" }),
    },
    {
      name = "the name does not exist", once = true,
      options = { base_url = "https://chatbot-test.invalid/v1" },
      expect = lost("dns", { message = "chatbot-test.invalid" }),
    },
    {
      name = "the server ends the connection before it reads", once = true,
      serve = { { { before_request = true, close = true } } },
      expect = lost { "truncated", "reset" },
      saw = { requests = 0 },
    },
    {
      name = "the server resets the connection before it reads", once = true,
      serve = { { { before_request = true, reset = true } } },
      expect = lost { "reset", "connect" }, -- it may come before connecting has been seen
      saw = { requests = 0 },
    },
    {
      name = "FIN instead of an answer", once = true,
      serve = { close },
      expect = lost "truncated",
    },
    {
      name = "RST instead of an answer", once = true,
      serve = { reset },
      expect = lost "reset",
    },
    {
      name = "FIN inside the status line", once = true,
      serve = { { "HTTP/1.1 20", close } },
      expect = { kind = "truncated", attempts = 1 },
    },
    {
      name = "FIN inside a header", once = true,
      serve = { { "HTTP/1.1 200 OK\r\nContent-Type: text/ev", close } },
      expect = { kind = "truncated", attempts = 1 },
    },
    {
      name = "FIN after all headers but the blank line", once = true,
      serve = { { "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n", close } },
      expect = { kind = "truncated", attempts = 1 },
    },
    {
      name = "RST inside a header", once = true,
      serve = { { "HTTP/1.1 200 OK\r\nContent-Type: text/ev", { sleep = 0.02 }, reset } },
      expect = lost "reset",
    },
    {
      name = "FIN after the header", once = true,
      serve = { stream { close } },
      expect = { kind = "truncated", status = 200, attempts = 1, message = "without any content" },
    },
    {
      name = "RST after the header",
      serve = { stream { { sleep = 0.02 }, reset } },
      expect = lost("reset", { status = 200 }),
    },
    {
      name = "FIN inside an event",
      serve = { stream { event "Hel", (event "lo"):sub(1, -20), close } },
      expect = { kind = "truncated", status = 200, partial = "Hel", attempts = 1 },
    },
    {
      name = "RST inside an event",
      serve = { stream { event "Hel", (event "lo"):sub(1, -20), { sleep = 0.02 }, reset } },
      expect = lost("reset", { status = 200, partial = "Hel" }),
    },
    {
      name = "FIN between events",
      serve = { stream { event "Hel", event "lo", close } },
      expect = { kind = "truncated", status = 200, partial = "Hello", attempts = 1 },
    },
    {
      name = "RST between events",
      serve = { stream { event "Hel", event "lo", { sleep = 0.02 }, reset } },
      expect = lost("reset", { status = 200, partial = "Hello" }),
    },
    {
      name = "FIN after a whole event without its blank line",
      serve = { stream { event "Hel", (event "lo"):sub(1, -3), close } },
      expect = { kind = "truncated", status = 200, partial = "Hello", attempts = 1 },
    },
    {
      name = "FIN inside a character",
      serve = { stream { event "Hel", event "\227\129", close } },
      expect = { kind = "truncated", status = 200, partial = "Hel\239\191\189", attempts = 1 },
    },
    {
      name = "FIN after finish_reason, without [DONE]",
      serve = { stream { event "Hello", stop, close } },
      expect = { verdict = "complete", text = "Hello" },
    },
    {
      name = "FIN after the finish_reason, without its blank line",
      serve = { stream { event "Hello", stop:sub(1, -3), close } },
      expect = { verdict = "complete", text = "Hello" },
    },
    {
      name = "RST after finish_reason",
      serve = { stream { event "Hello", stop, { sleep = 0.02 }, reset } },
      expect = { verdict = "complete", text = "Hello" },
    },
    {
      name = "RST after [DONE]",
      serve = { stream { event "Hello", stop, done, reset } },
      expect = { verdict = "complete", text = "Hello" },
    },
    {
      name = "the server half-closes and goes on reading, after the answer",
      serve = { stream { event "Hello", stop, done, { half_close = true }, { wait_close = 2 } } },
      expect = { verdict = "complete", text = "Hello" },
      check = function(_, servers)
        for _, what in ipairs(servers.main:history(1)) do
          if what == "still open" then return "the client keeps a half-closed connection" end
        end
      end,
    },
    {
      name = "the server half-closes in the middle",
      serve = { stream { event "Hel", { half_close = true }, { wait_close = 2 } } },
      expect = { kind = "truncated", status = 200, partial = "Hel", attempts = 1 },
    },
    {
      name = "TLS is cut without close_notify in the middle",
      serve = { stream { event "Hel", close } }, serve_opts = { tls = "cut" },
      expect = { kind = { "truncated", "reset" }, status = 200, partial = "Hel", attempts = 1 },
    },
    {
      name = "TLS is cut without close_notify after finish_reason",
      serve = { stream { event "Hello", stop, close } }, serve_opts = { tls = "cut" },
      expect = { verdict = "complete", text = "Hello" },
    },
    {
      name = "TLS is cut without close_notify inside a chunked body",
      serve = { chunked(b, "Hel") }, serve_opts = { tls = "cut" },
      expect = { kind = { "truncated", "reset" }, status = 200, partial = "Hel", attempts = 1 },
    },
    {
      name = "TLS is reset in the middle",
      serve = { stream { event "Hel", { sleep = 0.05 }, reset } }, serve_opts = { tls = "good" },
      expect = lost("reset", { status = 200, partial = "Hel" }),
    },
    {
      name = "a plain HTTP server is asked for TLS", once = true,
      serve = { {} },
      options = function(urls)
        return { base_url = "https://127.0.0.1:" .. urls.main.port .. "/v1",
          connect_timeout = 0.5 }
      end,
      client = function(t)
        local observed = t:talk(t:bot())
        return observed
      end,
      expect = { kind = "timeout", phase = "connect", attempts = 1 },
      saw = { requests = 0 },
    },
    {
      name = "a server answers a TLS hello in plain text", once = true,
      serve = { { { before_request = true, send = "HTTP/1.1 400 Bad Request\r\n\r\n" },
        { before_request = true, close = true } } },
      options = function(urls)
        return { base_url = "https://127.0.0.1:" .. urls.main.port .. "/v1" }
      end,
      expect = { kind = "tls", attempts = 1, retryable = false },
      saw = { requests = 0 },
    },
    {
      name = "a TLS server is asked in plain text", once = true,
      serve = { {} }, serve_opts = { tls = "good" },
      options = function(urls)
        return { base_url = "http://127.0.0.1:" .. urls.main.port .. "/v1" }
      end,
      expect = { kind = { "truncated", "reset", "protocol" }, attempts = 1 },
      saw = { requests = 0 },
    },
    {
      name = "the body drips byte by byte",
      serve = { { { send = b.head { "Connection", "close" } .. b.whole "Hello",
        chunk = 1, every = 0.0005 }, close } },
      expect = { verdict = "complete", text = "Hello" },
    },
  }
end

local rows = bytes.each(streams)



-- Names with several addresses -----------------------------------------------------------

local function no_ipv6()
  local con = require("socket").tcp6()
  local ok, problem = con:bind("::1", 0)
  con:close()
  return not ok and "no IPv6 here: " .. tostring(problem) or nil
end

-- A name with these addresses, in this order. None of `silent` answers.
local function named(name, addresses, silent, row)
  row.name, row.own, row.serve = name, true, { bytes.good() }
  function row.prepare()
    local extra = require("spec.faults.tools").preload "addresses"
    extra.silent = {}
    return extra
  end
  function row.env(_, extra)
    return { LD_PRELOAD = extra.preload, ADDRESSES = addresses }
  end
  function row.at_start(servers, extra)
    for i, host in ipairs(silent) do
      extra.silent[i] = require("spec.support").serve({}, { accept = "full", host = host,
        port = servers.main.port })
    end
  end
  function row.finish(extra)
    for _, server in ipairs(extra.silent) do server:close() end
  end
  function row.options(urls)
    return { base_url = "http://many.invalid:" .. urls.main.port .. "/v1",
      allow_insecure_http = true, connect_timeout = 2 }
  end
  rows[#rows + 1] = row
end

local fine = { verdict = "complete", text = "fine", between = { took = { 0, 1.9 } } }

named("the first of two addresses does not answer", "127.0.0.2,127.0.0.1", { "127.0.0.2" },
  { expect = fine })
named("two of three addresses do not answer", "127.0.0.2,127.0.0.3,127.0.0.1",
  { "127.0.0.2", "127.0.0.3" }, { expect = fine })
named("the first of two addresses refuses", "127.0.0.2,127.0.0.1", {}, { expect = fine })
named("IPv6 does not answer, and IPv4 is not kept waiting", "::1,127.0.0.1", { "::1" }, {
  skip = no_ipv6,
  expect = { verdict = "complete", text = "fine", between = { took = { 0, 0.45 } } },
})
named("none of two addresses answers", "127.0.0.2,127.0.0.3", { "127.0.0.2", "127.0.0.3" }, {
  saw = { requests = 0 },
  expect = { kind = "timeout", phase = "connect", attempts = 1, retryable = true,
    message = "connect_timeout", between = { took = { 1.4, 2.05 } } },
})

rows[#rows + 1] = {
  name = "forty names hang in the resolver, and another one is looked up", own = true,
  serve = { bytes.good() },
  prepare = function() return require("spec.faults.tools").preload "slow_dns" end,
  env = function(_, extra) return { LD_PRELOAD = extra.preload, SLOW_DNS = "4" } end,
  client = function(t)
    for i = 1, 40 do
      local bot = t:bot { base_url = ("https://slow%d.invalid/v1"):format(i) }
      local reply = bot:stream("hello")
      t:pause(0.005)
      reply:close()
    end
    return t:talk(t:bot { base_url = "http://quick.invalid:" .. t.urls.main.port .. "/v1",
      allow_insecure_http = true })
  end,
  expect = { verdict = "complete", text = "fine",
    between = { took = { 0, 1 }, lived = { 0, 3 } } },
}

return rows
