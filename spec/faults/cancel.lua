--- Cancelling: at each point of a reply's life, in each way. The server sees the end at
--- once, and nothing waits.

local bytes = require "spec.faults.bytes"

local AT_ONCE = 0.2 -- seconds until the server has seen the end
local rows = {}

local function now() return require("spec.support.process").now() end

-- How many sockets this process has, or nil where that cannot be seen.
local function sockets()
  local pipe = io.popen("ls -l /proc/$PPID/fd 2>/dev/null | grep -c socket:")
  local n = tonumber(pipe:read("*a"))
  pipe:close()
  return n
end

local function slow_dns()
  return require("spec.faults.tools").preload "slow_dns"
end

-- Each has a server that lets a reply come to the point and no further. `after` is what
-- the client does to get there; `ends`: the server sees the connection end.
local points = {
  {
    name = "while the name is looked up", quiet = true,
    prepare = slow_dns,
    env = function(_, extra) return { LD_PRELOAD = extra.preload, SLOW_DNS = "1" } end,
    linger = 1.2, -- the thread that looks up ends then, and closes what it has
    options = { base_url = "https://slow.invalid/v1" },
    after = function(t) t:pause(0.1) end,
  },
  {
    name = "while connecting", quiet = true,
    serve = {}, serve_opts = { accept = "full" },
    after = function(t) t:pause(0.1) end,
  },
  {
    name = "in the TLS handshake", requests = 0, ends = true,
    serve = {}, serve_opts = { tls = "stall" },
    after = function(t) t:pause(0.1) end,
  },
  {
    name = "while it waits for the answer", ends = true,
    serve = { { { stall = true } } },
    after = function(t) t:pause(0.1) end,
  },
  {
    name = "while it waits for the answer over TLS", ends = true,
    serve = { { { stall = true } } }, serve_opts = { tls = "good" },
    after = function(t) t:pause(0.15) end,
  },
  {
    name = "in the middle of the text", ends = true, text = true,
    serve = { { bytes.stream { bytes.event "Hel" }, { stall = true } } },
  },
  {
    name = "in the middle of the text over TLS", ends = true, text = true,
    serve = { { bytes.stream { bytes.event "Hel" }, { stall = true } } },
    serve_opts = { tls = "good" },
  },
  {
    name = "on a connection that is used again", ends = true, text = true, requests = 2,
    serve = { bytes.good(), { bytes.stream { bytes.event "Hel" }, { stall = true } } },
    first = function(t) t:talk(t:bot()) t:pause(0.02) end,
  },
  {
    name = "while it waits on a connection that is used again", ends = true, requests = 2,
    serve = { bytes.good(), { { stall = true } } },
    first = function(t) t:talk(t:bot()) t:pause(0.02) end,
    after = function(t) t:pause(0.1) end,
  },
  {
    name = "while it is paused", ends = true, paused = true,
    serve = { { { send = bytes.head { "Connection", "close" } },
      { repeat_bytes = bytes.event(("a"):rep(1000)), times = 60000 }, { stall = true } } },
    after = function() end,
  },
  {
    name = "while it waits for another try",
    serve = { bytes.failure(503, { ["Retry-After-Ms"] = "400" }), bytes.good() },
    options = { max_retries = 2 },
    after = function(t) t:pause(0.15) end, linger = 0.5,
    kept = 1, -- the connection of the first answer stays usable
  },
}

-- Brings a new reply to the point.
local function reach(t, point)
  if point.first then point.first(t) end
  local bot = t:bot()
  local before = sockets()
  local reply = assert(bot:stream("hello"))
  if point.text then
    t:until_true(5, function() return reply:poll() end)
  elseif point.paused then -- the engine works, nobody reads
    local chatbot, limit = require "chatbot", now() + 0.3
    while now() < limit do chatbot.poll(0.01) end
  else
    t:pause(0.01)
    reply:poll()
    point.after(t)
  end
  return reply, before
end

local function cancelled(t, point, before, took, at)
  t:pause(point.linger or 0.02)
  local after = sockets()
  return { took = took, at = at, sockets_left = (after or 0) - (before or 0) }
end

-- Runs `code` as Lua 5.4, with a variable that is closed.
local function scope(code)
  return load("local make, work = ... " .. code)
end

local ways = {
  close = function(t, point)
    local reply, before = reach(t, point)
    local at = now()
    reply:close()
    return cancelled(t, point, before, now() - at, at)
  end,

  ["being collected"] = function(t, point)
    local before = select(2, reach(t, point)) -- nobody holds the reply now
    local at = now()
    collectgarbage()
    collectgarbage()
    return cancelled(t, point, before, now() - at, at)
  end,

  ["<close>"] = function(t, point)
    local before, at
    local took = scope [[
      local before
      do
        local reply <close> = make()
        work()
      end
      return true
    ]](function()
      local reply
      reply, before = reach(t, point)
      return reply
    end, function() at = now() end) and now() - at
    return cancelled(t, point, before, took, at)
  end,

  ["closing the Lua state"] = function(t, point)
    KEPT_ALIVE = reach(t, point) -- luacheck: ignore
    t:report { took = 0, sockets_left = 0, at = now() }
    os.exit(0, true)
  end,
}

local function seen_at_once(observed, servers)
  for _, event in ipairs(servers.main:events()) do
    if event.what == "peer closed" and event.at >= observed.at - 0.01 then
      local late = event.at - observed.at
      if late <= AT_ONCE then return nil end
      return ("the server saw the end after %.3f s"):format(late), true
    end
  end
  return "the server did not see the end"
end

local NAMES = { "close", "being collected", "closing the Lua state" }
if _VERSION >= "Lua 5.4" then NAMES[4] = "<close>" end

for _, way in ipairs(NAMES) do
  for _, point in ipairs(points) do
    local most = way == "close" and 0.005 or 0.05
    local exits = way == "closing the Lua state"
    rows[#rows + 1] = {
      name = point.name .. ", by " .. (way == "close" and "close()" or way),
      own = true, alone = exits and point.quiet,
      serve = point.serve, serve_opts = point.serve_opts, prepare = point.prepare,
      env = exits and point.env and function(urls, extra)
        local env = point.env(urls, extra)
        env.SLOW_DNS = "4"
        return env
      end or point.env, options = point.options,
      client = function(t) return ways[way](t, point) end,
      expect = { between = { took = { 0, most }, sockets_left = { -1, point.kept or 0 },
        lived = { 0, exits and 2.5 or 60 } } },
      saw = point.serve and { requests = point.quiet and 0 or point.requests or 1 },
      check = function(observed, servers)
        if not point.ends then return nil end
        servers.main:wait(1, 1, "peer closed")
        return seen_at_once(observed, servers)
      end,
    }
  end
end


-- Errors in the consumer, and children of the host ---------------------------------------

local TEXT = { { bytes.stream { bytes.event "Hel" }, { stall = true } } }

local function check(observed, servers)
  servers.main:wait(1, 1, "peer closed")
  return seen_at_once(observed, servers)
end

local function add(name, client, more)
  local row = { name = name, own = true, serve = TEXT, client = client, check = check,
    expect = {} }
  for key, value in pairs(more or {}) do row[key] = value end
  rows[#rows + 1] = row
end

add("an error in on_text ends the reply", function(t)
  local at
  local reply = t:bot():stream("hello", { on_text = function()
    at = now()
    error("boom")
  end })
  local process, ok, problem = require "spec.support.process", nil, nil
  process.deadline(5, function()
    ok, problem = pcall(reply.poll, reply)
    return not ok
  end)
  return { at = at, message = tostring(problem), verdict = reply.status }
end, { expect = { verdict = "cancelled", message = "boom" } })

add("an error in on_text, called by chatbot.poll", function(t)
  local chatbot, process = require "chatbot", require "spec.support.process"
  local at
  local reply = t:bot():stream("hello", { on_text = function()
    at = now()
    error("boom")
  end })
  local ok, problem
  process.deadline(5, function()
    ok, problem = pcall(chatbot.poll, 0.01)
    return not ok
  end)
  return { at = at, message = tostring(problem), verdict = reply.status }
end, { expect = { verdict = "cancelled", message = "boom" } })

add("an error in a loop over chunks", function(t)
  local at
  local ok, problem = pcall(function()
    for _ in t:bot():stream("hello"):chunks() do
      at = now()
      error("boom")
    end
  end)
  if _VERSION < "Lua 5.4" then -- there the loop does not close
    collectgarbage()
    collectgarbage()
  end
  return { at = at, message = tostring(problem), verdict = tostring(ok) }
end, { expect = { verdict = "false", message = "boom" } })

add("a break out of a loop over chunks", function(t)
  local at
  for _ in t:bot():stream("hello"):chunks() do -- luacheck: ignore 512
    at = now()
    break
  end
  if _VERSION < "Lua 5.4" then
    collectgarbage()
    collectgarbage()
  end
  return { at = at }
end)

if coroutine.close then
add("closing a coroutine that chats", function(t)
  local bot = t:bot()
  local chat = coroutine.create(function() return bot:chat("hello") end)
  local text = ""
  while text == "" do
    local _, piece = coroutine.resume(chat)
    text = piece
    t:pause()
  end
  local at = now()
  coroutine.close(chat)
  return { at = at, text = text, took = now() - at }
end, { expect = { text = "Hel", between = { took = { 0, 0.005 } } } })
end

add("close() in on_text", function(t)
  local reply, at
  reply = t:bot():stream("hello", { on_text = function()
    at = now()
    reply:close()
  end })
  t:until_true(5, function() return reply.status ~= "streaming" end)
  return { at = at, verdict = reply.status }
end, { expect = { verdict = "cancelled" } })

for _, tls in ipairs { "plain", "good" } do
  add("close() while a child of the host lives on" .. (tls == "good" and ", over TLS" or ""),
    function(t)
      local reply = t:bot():stream("hello")
      t:until_true(5, function() return reply:poll() end)
      local pipe = io.popen("sleep 3 >/dev/null 2>&1 & echo $!")
      local pid = pipe:read("*l")
      pipe:close()
      local at = now()
      reply:close()
      local took = now() - at
      t:pause(0.3)
      os.execute("kill " .. pid)
      return { at = at, took = took }
    end, { serve_opts = tls == "good" and { tls = "good" } or nil,
      expect = { between = { took = { 0, 0.005 } } } })
end

return rows
