--- Connections that are kept alive, and what may have happened to them meanwhile.

local wire = require "spec.support.wire"
local bytes = require "spec.faults.bytes"

local function twice(pause, call)
  return function(t)
    local bot = t:bot()
    local first = t:talk(bot, call)
    if first.kind then return first end
    t:pause(pause or 0.05)
    return t:talk(bot, call)
  end
end

-- Before 7.80.0 libcurl does not tell that it sends a request again.
local function silent_curl()
  local version = require("chatbot.core").curl_version().version
  local major, minor = version:match("^(%d+)%.(%d+)")
  return tonumber(major) < 8 and tonumber(minor) < 80 and "libcurl " .. version or nil
end

local fine = { verdict = "complete", text = "fine" }
local close = { close = true }

local rows = {
  {
    name = "a second request takes the same connection",
    serve = { bytes.good() }, client = twice(),
    expect = fine, saw = { requests = 2, connections = 1 },
  },
  {
    name = "a second request takes the same TLS connection",
    serve = { bytes.good() }, serve_opts = { tls = "good" }, client = twice(),
    expect = fine, saw = { requests = 2, connections = 1 },
  },
  {
    name = "another bot takes the same connection",
    serve = { bytes.good() },
    client = function(t)
      t:talk(t:bot())
      t:pause(0.05)
      return t:talk(t:bot { model = "other" })
    end,
    expect = fine, saw = { requests = 2, connections = 1 },
  },
  {
    name = "an HTTP error leaves the connection usable",
    serve = { bytes.failure(400), bytes.good() },
    client = function(t)
      local bot = t:bot()
      t:talk(bot)
      t:pause(0.02)
      return t:talk(bot)
    end,
    expect = fine, saw = { requests = 2, connections = 1 },
  },
  {
    name = "the server has closed the connection meanwhile",
    serve = { { bytes.good(), close }, bytes.good() }, client = twice(0.1),
    expect = fine, saw = { requests = 2, connections = 2 },
  },
  {
    name = "the server has closed the TLS connection meanwhile",
    serve = { { bytes.good(), close }, bytes.good() }, serve_opts = { tls = "good" },
    client = twice(0.1),
    expect = fine, saw = { requests = 2, connections = 2 },
  },
  {
    name = "the server has reset the connection meanwhile",
    serve = { { bytes.good(), { reset = true } }, bytes.good() }, client = twice(0.1),
    expect = fine, saw = { requests = 2, connections = 2 },
  },
  {
    name = "the server closes while the second request is on its way, and is not asked again",
    skip = silent_curl,
    serve = { { bytes.good(), { expect_request = 1 }, { reset = true } }, bytes.good() },
    client = twice(),
    expect = { kind = "reset", attempts = 1, retryable = true, message = "kept connection" },
    saw = { requests = 2 },
  },
  {
    name = "the server closes while the second request is on its way, and is asked again",
    serve = { { bytes.good(), { expect_request = 1 }, { reset = true } }, bytes.good() },
    client = twice(), options = { max_retries = 1 },
    expect = fine, saw = { requests = 3 },
  },
  {
    name = "each further sending counts as a try",
    skip = silent_curl,
    serve = { { bytes.good(), { expect_request = 1 }, { reset = true } }, { { close = true } } },
    client = twice(), options = { max_retries = 2 },
    expect = { kind = "truncated", attempts = 3 },
    saw = { requests = 4 },
  },
  {
    name = "a reply that was closed in the middle does not poison the next",
    serve = { { bytes.stream { bytes.event "Hel" }, { stall = true } }, bytes.good() },
    client = function(t)
      local bot = t:bot()
      local reply = bot:stream("hello")
      t:until_true(2, function() return reply:poll() end)
      reply:close()
      return t:talk(bot)
    end,
    expect = fine, saw = { requests = 2, connections = 2 },
  },
  {
    name = "what the server still sends after [DONE] is thrown away",
    serve = { { wire.sse({ "first" }, { cut = true }), { sleep = 0.03 },
      { send = "5\r\n: xx\n\r\n0\r\n\r\n" } }, bytes.good() },
    client = function(t)
      local bot = t:bot()
      t:talk(bot)
      t:pause(0.15)
      return t:talk(bot)
    end,
    expect = fine, saw = { requests = 2, connections = 1 },
  },
  {
    name = "a server that sends without end after [DONE] is left",
    serve = { { wire.sse({ "first" }, { cut = true }), { repeat_bytes = "5\r\n: xx\n\r\n",
      times = 1000000, every = 0.001 } }, bytes.good() },
    client = function(t)
      local bot = t:bot()
      t:talk(bot)
      t:pause(0.3)
      return t:talk(bot)
    end,
    expect = fine, saw = { requests = 2, connections = 2 },
  },
  {
    name = "Connection: close is obeyed",
    serve = { { wire.sse({ "fine" }, { headers = { Connection = "close" } }),
      { wait_close = 2 } } },
    client = twice(0.1),
    expect = fine, saw = { requests = 2, connections = 2 },
  },
}

-- What arrives while the connection is idle; the next answer must be that of its request.
local junk = {
  { "a whole answer", wire.json_completion "stray" },
  { "a whole stream", bytes.good "stray" },
  { "a byte", { send = "H" } },
  { "half an answer", { send = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCo" } },
  { "100 Continue", { send = "HTTP/1.1 100 Continue\r\n\r\n" } },
  { "an empty line", { send = "\r\n" } },
  { "more than is read at once", { send = bytes.head() .. (": x\n"):rep(50000) } },
}
for _, case in ipairs(junk) do
  for _, tls in ipairs { false, "good" } do
    rows[#rows + 1] = {
      name = case[1] .. " arrives while the connection is idle" .. (tls and ", TLS" or ""),
      serve = { { bytes.good "first", { sleep = 0.1 }, case[2], { stall = true } },
        bytes.good() },
      serve_opts = tls and { tls = tls }, client = twice(0.3),
      expect = fine, saw = { requests = 2, connections = 2 },
    }
  end
end

-- Also where curl sees the end of the first answer only when it chooses for the second
-- request, and where it takes what was shut down for alive: not once in forty.
rows[#rows + 1] = {
  name = "the server sends without end behind its answers, and is asked again at once",
  serve = { { bytes.good(), { send = (": x\n"):rep(200000), chunk = 4000, every = 0.00005 } } },
  client = function(t)
    local process = require "spec.support.process"
    local observed
    for _ = 1, 40 do
      observed = t:talk(t:bot())
      if observed.verdict ~= "complete" or observed.text ~= "fine" then break end
      process.sleep(0.005)
    end
    return observed
  end,
  expect = fine, saw = { requests = 40, connections = 40 },
}

rows[#rows + 1] = {
  name = "a whole answer arrives while the connection to a proxy is idle",
  serve = { { bytes.good "first", { sleep = 0.03 }, wire.json_completion "stray",
    { stall = true } }, bytes.good() },
  options = function()
    return { base_url = "http://llm.invalid/v1", allow_insecure_http = true }
  end,
  env = function(urls) return { http_proxy = "http://127.0.0.1:" .. urls.main.port } end,
  client = twice(0.15), expect = fine, saw = { requests = 2, connections = 2 },
}

-- libcurl keeps four idle connections for each request under way: no neighbours here.
for _, row in ipairs(rows) do row.own = true end

return rows
