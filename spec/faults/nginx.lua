--- nginx as a real TLS and HTTP/2 proxy in front of the scripted server.

local wire = require "spec.support.wire"
local bytes = require "spec.faults.bytes"

local CONFIG = [[
daemon off;
master_process off;
pid DIR/pid;
error_log DIR/error.log;
events {}
http {
  log_format short '$connection $server_protocol $status $request_uri';
  access_log DIR/access.log short;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  server {
    listen 127.0.0.1:PORT ssl http2;
    ssl_certificate DIR/cert.pem;
    ssl_certificate_key DIR/key.pem;
    OPTIONS
    location / {
      proxy_pass http://127.0.0.1:UPSTREAM;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 1s;
    }
  }
}
]]

local function no_nginx()
  local pipe = io.popen("(command -v nginx; command -v openssl) 2>/dev/null | wc -l")
  local n = tonumber(pipe:read("*a"))
  pipe:close()
  return n < 2 and "nginx or openssl is not installed" or nil
end

local function prepare()
  local support = require "spec.support"
  local dir = support.tmpdir()
  local done = os.execute(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
    .. "-nodes -keyout %s/key.pem -out %s/cert.pem -days 2 -subj /CN=localhost "
    .. "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 >/dev/null 2>&1"):format(dir, dir))
  assert(done == true or done == 0, "openssl")
  return { dir = dir, port = tostring(support.dead_port()) }
end

-- Starts nginx for the server of a scenario, and waits until it listens.
local function start(options)
  return function(servers, extra)
    local support, socket = require "spec.support", require "socket"
    local text = CONFIG:gsub("%u+", { DIR = extra.dir, PORT = extra.port,
      UPSTREAM = tostring(servers.main.port), OPTIONS = options or "" })
    support.write_file(extra.dir .. "/conf", text)
    extra.process = support.spawn("nginx -p " .. extra.dir .. " -c " .. extra.dir .. "/conf")
    local up = support.deadline(5, function()
      local con = socket.connect("127.0.0.1", tonumber(extra.port))
      return con and con:close()
    end, 0.01)
    if not up then error("nginx did not start: " .. select(2, extra.process:output())) end
  end
end

local function finish(extra)
  extra.process:close()
end

-- The lines of the access log, once there are n of them.
local function log(extra, n)
  local support, lines = require "spec.support", nil
  support.deadline(2, function()
    lines = {}
    for line in (support.read_file(extra.dir .. "/access.log") or ""):gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    return #lines >= n
  end, 0.02)
  return lines
end

local function spoke(version, n)
  return function(_, _, extra)
    local lines = log(extra, n or 1)
    for _, line in ipairs(lines) do
      if not line:find(version, 1, true) then return "nginx saw: " .. line end
    end
    if #lines < (n or 1) then return "nginx saw " .. #lines .. " requests" end
  end
end

local rows = {}

-- For HTTP/1.1 and HTTP/2: a row each.
local function add(name, serve, expect, more)
  for _, version in ipairs { "1.1", "2" } do
    local row = {
      name = ("%s, HTTP/%s"):format(name, version), own = true, skip = no_nginx,
      prepare = prepare, at_start = start(more and more.nginx), finish = finish,
      serve = serve, expect = expect,
      options = function(_, t)
        return { http_version = version, base_url = "https://127.0.0.1:" .. t.extra.port .. "/v1",
          ca_file = t.extra.dir .. "/cert.pem" }
      end,
      check = spoke(version == "2" and "HTTP/2.0" or "HTTP/1.1", more and more.lines),
    }
    for key, value in pairs(more or {}) do row[key] = value end
    rows[#rows + 1] = row
  end
end

local PAUSE = { sleep = 0.05 }

add("a whole stream", { wire.sse({ "Hel", "lo" }, { every = 0.02 }) },
  { verdict = "complete", text = "Hello" })

add("two answers over one connection", { bytes.good() }, { verdict = "complete", text = "fine" }, {
  lines = 2, saw = { requests = 2 },
  client = function(t)
    local bot = t:bot()
    t:talk(bot)
    t:pause(0.05)
    return t:talk(bot)
  end,
  check = function(_, _, extra)
    local lines = log(extra, 2)
    local first = lines[1] and lines[1]:match("^%d+")
    if #lines ~= 2 or lines[2]:match("^%d+") ~= first then return table.concat(lines, "; ") end
  end,
})

add("three answers at once", { wire.sse({ "Hel", "lo" }, { every = 0.1 }) },
  { verdict = "complete", text = "Hello" }, {
    lines = 3, saw = { requests = 3 },
    client = function(t)
      local one, two, three = t:bot():stream("a"), t:bot():stream("b"), t:bot():stream("c")
      t:follow(one)
      t:follow(two)
      return t:follow(three)
    end,
    check = function(_, _, extra) -- HTTP/2 multiplexes them over one connection
      local lines, seen, count = log(extra, 3), {}, 0
      for _, line in ipairs(lines) do
        local connection = line:match("^%d+")
        count = count + (seen[connection] and 0 or 1)
        seen[connection] = true
      end
      local wanted = lines[1] and lines[1]:find("HTTP/2.0", 1, true) and 1 or 3
      if #lines ~= 3 or count ~= wanted then return table.concat(lines, "; ") end
    end,
  })

add("the upstream is cut in the middle of its chunks",
  { { wire.sse({ "Hel" }, { finish_reason = false, done = false, cut = true }), PAUSE,
    { close = true } } },
  { kind = { "truncated", "reset" }, status = 200, partial = "Hel", attempts = 1 })

add("the upstream is reset in the middle",
  { { wire.sse({ "Hel" }, { finish_reason = false, done = false, cut = true }), PAUSE,
    { reset = true } } },
  { kind = { "truncated", "reset" }, status = 200, partial = "Hel", attempts = 1 })

add("the upstream stalls and nginx gives up",
  { { wire.sse({ "Hel" }, { finish_reason = false, done = false, cut = true }),
    { stall = true } } },
  { kind = { "truncated", "reset" }, status = 200, partial = "Hel", attempts = 1 })

add("the stream ends in order and without the end of the answer",
  { wire.sse({ "Hel" }, { finish_reason = false, done = false }) },
  { kind = "truncated", status = 200, partial = "Hel", attempts = 1 })

add("an orderly close_notify after an answer that ends with the connection",
  { bytes.stream { bytes.event "Hello", bytes.STOP, { close = true } } },
  { verdict = "complete", text = "Hello" }, { nginx = "keepalive_timeout 0;" })

add("an orderly close_notify in the middle",
  { bytes.stream { bytes.event "Hel", PAUSE, { close = true } } },
  { kind = "truncated", status = 200, partial = "Hel", attempts = 1 },
  { nginx = "keepalive_timeout 0;" })

add("nginx answers 502 for an upstream that resets", { { { reset = true } } },
  { kind = "http", status = 502, attempts = 1, retryable = true })

add("nginx answers 504 for an upstream that stalls", { { { stall = true } } },
  { kind = "http", status = 504, attempts = 1, retryable = true })

add("nginx answers 413 for a large request", { bytes.good() },
  { kind = "http", status = 413, attempts = 1, retryable = false },
  { nginx = "client_max_body_size 10;", saw = { requests = 0 } })

add("nginx ends the connection after each request", { bytes.good() },
  { verdict = "complete", text = "fine" }, {
    nginx = "keepalive_requests 1;", lines = 2, saw = { requests = 2 },
    client = function(t)
      local bot = t:bot()
      t:talk(bot)
      t:pause(0.05)
      return t:talk(bot)
    end,
  })

-- Two replies that have begun, and the first text of the first one.
local function begin_two(t)
  local one, two = t:bot():stream("hello"), t:bot():stream("hello")
  local text
  t:until_true(3, function()
    text = text or one:poll()
    return text and two:poll()
  end)
  return one, two, text
end

add("one of two replies is closed, the other goes on",
  { { wire.sse({ "Hel" }, { finish_reason = false, done = false, cut = true }), { sleep = 0.3 },
    { send = wire.chunks(bytes.event "lo" .. bytes.STOP .. bytes.DONE) },
    "0\r\n\r\n" } },
  { verdict = "complete", text = "Hello" }, {
    lines = 2, saw = { requests = 2 },
    client = function(t)
      local one, two, text = begin_two(t)
      two:close()
      local observed = t:follow(one)
      observed.text = text .. (observed.text or "")
      return observed
    end,
    check = function(_, servers)
      if not servers.main:wait(1, 1, "peer closed") then return "the upstream saw no end" end
    end,
  })

-- How soon the upstream has seen that a reply was closed, by a host that then sleeps.
local function gone_at_once(observed, servers)
  if not servers.main:wait(1, 1, "peer closed") then return "the upstream saw no end" end
  for _, event in ipairs(servers.main:events()) do
    if event.what == "peer closed" then
      local late = event.at - observed.at
      return late > 0.2 and ("the upstream saw the end after %.3f s"):format(late) or nil
    end
  end
end

local ENDLESS = { wire.sse({ "Hel" }, { finish_reason = false, done = false, cut = true }),
  { stall = true } }

local function close_and_sleep(reply)
  local process = require "spec.support.process"
  local at = process.now()
  reply:close()
  local took = process.now() - at
  process.sleep(0.4)
  return { at = at, took = took }
end

add("a reply is closed by a host that then sleeps", { ENDLESS },
  { between = { took = { 0, 0.005 } } }, {
    nginx = "proxy_read_timeout 9s;", client = function(t)
      local reply = t:bot():stream("hello")
      t:until_true(3, function() return reply:poll() end)
      return close_and_sleep(reply)
    end,
    check = gone_at_once,
  })

add("one of two replies is closed by a host that then sleeps", { ENDLESS },
  { between = { took = { 0, 0.005 } } }, {
    nginx = "proxy_read_timeout 9s;", saw = { requests = 2 }, client = function(t)
      local one, two = begin_two(t)
      local observed = close_and_sleep(two)
      observed.verdict = one.status
      return observed
    end,
    expect = { verdict = "streaming", between = { took = { 0, 0.005 } } },
    check = gone_at_once,
  })

-- The number of nginx for the connection of the nth request that it logged.
local function connections(extra, n)
  local lines, numbers = log(extra, n), {}
  for i, line in ipairs(lines) do numbers[i] = line:match("^%d+") end
  return numbers, table.concat(lines, "; ")
end

local function signal(t, name)
  local file = assert(io.open(t.extra.dir .. "/pid"))
  os.execute(("kill -%s %s"):format(name, file:read("*l")))
  file:close()
end

add("a server that was dead for a while is asked on another connection", { bytes.good() },
  { verdict = "complete", text = "fine", first = "timeout" }, {
    client = function(t)
      local bot = t:bot { first_byte_timeout = 0.3 }
      t:talk(bot)
      t:pause(0.05)
      signal(t, "STOP")
      local first = t:talk(bot)
      signal(t, "CONT")
      local observed = t:talk(bot)
      observed.first = first.kind
      return observed
    end,
    saw = {}, check = function(_, _, extra)
      local number, text = connections(extra, 2)
      if #number < 2 or number[#number] == number[1] then return text end
    end,
  })

add("the next try after a time-out has a connection of its own",
  { { { stall = true } }, bytes.good() }, { verdict = "complete", text = "fine" }, {
    options = function(_, t)
      return { http_version = t.scenario.name:match("HTTP/(.*)"), max_retries = 1,
        base_url = "https://127.0.0.1:" .. t.extra.port .. "/v1", first_byte_timeout = 0.3,
        ca_file = t.extra.dir .. "/cert.pem" }
    end,
    saw = { requests = 2 }, check = function(_, _, extra)
      local number, text = connections(extra, 2)
      if #number ~= 2 or number[1] == number[2] then return text end
    end,
  })

add("others go on where one has timed out, and none joins them",
  { { wire.sse({ "Hel" }, { finish_reason = false, done = false, cut = true }), { sleep = 0.8 },
    { send = wire.chunks(bytes.event "lo" .. bytes.STOP .. bytes.DONE) }, "0\r\n\r\n" },
    { { stall = true } }, bytes.good() },
  { verdict = "complete", text = "Hello", late = "timeout", third = "complete" }, {
    saw = { requests = 3 }, client = function(t)
      local one = t:bot():stream("hello")
      local text
      t:until_true(3, function()
        text = one:poll()
        return text
      end)
      local late = t:talk(t:bot { first_byte_timeout = 0.3 })
      local third = t:talk(t:bot())
      local observed = t:follow(one)
      observed.text, observed.late, observed.third = text .. observed.text, late.kind, third.verdict
      return observed
    end,
    check = function(_, _, extra)
      local number, text = connections(extra, 3) -- nginx logs a request when it ends
      local late, third, first = number[1], number[2], number[3]
      local shared = text:find("HTTP/2.0", 1, true) ~= nil
      if not first or third == first or third == late or (late == first) ~= shared then
        return text
      end
    end,
  })

return rows
