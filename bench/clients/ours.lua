-- ours.lua - the bench's client for this module.
--
--   stream URL STREAMS [API]   reads streams to their ends
--   event URL            one stream, every event decoded for the user (on_event)
--   twice URL [CA]       two requests, one after the other, each of one event
--   poll URL STREAMS MS [BUDGET]   poll(0) in a loop: the longest
--   hold URL CA          the longest step of a loop, TLS included, after warmup
--   garbage URL          bytes of garbage of polls that return nothing
--   history URL KB       a conversation of 2 KB messages: the longest steps
--   require              loads the module and does nothing
--   pieces URL           CPU time of what a process does for its first answer

local born = os.clock() -- CPU time of the process so far
local mode, url, arg1, arg2, arg3 = ...
local common = require "common"
local now = common.now
local began = now()
local chatbot = require "chatbot"
local loaded = now() - began

local function new(more)
  local opts = { model = "m", base_url = url, api_key = "bench", ca_file = arg1 }
  if mode ~= "twice" and mode ~= "hold" then opts.ca_file = nil end
  if mode == "stream" then opts.api = arg2 end
  for k, v in pairs(more or {}) do opts[k] = v end
  return chatbot.new(opts)
end

local modes = {}

local function one()
  for text in new():stream("Hello"):chunks() do common.count(text) end
  common.report()
end

-- What a host with a loop does: one poll for all, and on_text says whose text.
local function start(n, take)
  local replies = {}
  for i = 1, n do
    local stream = {}
    local bot = new { on_text = function(text) take(stream, text) end }
    replies[i] = assert(bot:stream("Hello"))
  end
  return replies
end

function modes.stream()
  local n = tonumber(arg1)
  if n == 1 and url:find("-0-1/", 1, true) then return one() end
  local flood = url:find("%-0%-%d+/")
  local replies = start(n, flood and function(_, text) common.count(text) end or common.take)
  while chatbot.poll(1) > 0 do end
  local complete = 0
  for i = 1, n do
    complete = complete + (replies[i].status == "complete" and 1 or 0)
  end
  common.report("complete " .. complete)
end

function modes.event()
  local n = 0
  local bot = new { on_event = function(event) n = n + (event.choices and 1 or 0) end }
  local reply = bot:stream("Hello")
  for text in reply:chunks() do common.count(text) end
  assert(n > 0, "no event was handed out")
  common.report("decoded " .. n)
end

function modes.twice()
  local took, connection = {}, {}
  chatbot.warmup()
  for i = 1, 2 do
    local start_at = now()
    local text = assert(new():chat("Hello"))
    took[i] = now() - start_at
    connection[i] = text:match("^%d+")
  end
  print(("first %.0f second %.0f same %d"):format(took[1], took[2],
    connection[1] == connection[2] and 1 or 0))
end

function modes.poll()
  local longest, cpu, polls = 0, 0, 0
  local opts = arg3 and { budget = tonumber(arg3) }
  start(tonumber(arg1), function(_, text) common.count(text) end)
  local stop = now() + tonumber(arg2) * 1000
  local settled = now() + 200000 -- connecting is `hold`
  repeat
    local c, t = common.cpu(), now()
    chatbot.poll(0, opts)
    local t2, c2 = now(), common.cpu()
    if t > settled then
      longest, cpu = math.max(longest, t2 - t), math.max(cpu, c2 - c)
      polls = polls + 1
    end
  until t2 > stop
  common.report(("longest %.0f cpu %.0f polls %.0f"):format(longest, cpu, polls))
end

function modes.hold()
  chatbot.warmup()
  local longest = 0
  local function timed(f, ...)
    local t = now()
    local a, b = f(...)
    longest = math.max(longest, now() - t)
    return a, b
  end
  local bot = timed(new)
  local reply = timed(bot.stream, bot, "Hello")
  repeat
    local text, state = timed(reply.poll, reply)
  until not text and state ~= "wait"
  assert(reply.status == "complete", tostring(reply:result()))
  print("longest " .. ("%.0f"):format(longest))
end

function modes.garbage()
  local reply = new():stream("Hello")
  for _ = 1, 1000 do reply:poll() end
  collectgarbage()
  collectgarbage("stop")
  local before, quiet = collectgarbage("count"), 0
  for _ = 1, 10000 do
    if reply:poll() == nil then quiet = quiet + 1 end
    chatbot.poll(0)
  end
  print(("each %.2f"):format((collectgarbage("count") - before) * 1024 / quiet))
end

function modes.history()
  local messages = {}
  for i = 1, tonumber(arg1) / 2 do
    local role = i % 2 == 1 and "user" or "assistant"
    messages[i] = { role = role, content = ("history %.0f "):format(i) .. ("x"):rep(2000) }
  end
  local bot = new { messages = messages }
  messages = nil -- luacheck: ignore
  chatbot.warmup()
  local out = {}
  for turn = 1, 2 do
    collectgarbage()
    local t = now()
    local reply = assert(bot:stream("Hello"))
    local longest = now() - t
    local begin = longest
    repeat
      t = now()
      local text, state = reply:poll()
      longest = math.max(longest, now() - t)
    until not text and state ~= "wait"
    assert(reply.status == "complete")
    out[turn] = ("begin%.0f %.0f longest%.0f %.0f"):format(turn, begin, turn, longest)
  end
  print(table.concat(out, " "))
end

modes["require"] = function()
  print(("us %.0f"):format(loaded))
end

function modes.pieces()
  local at = os.clock()
  local function lap(name)
    local spent = os.clock() - at
    io.write(("%s %.0f "):format(name, spent * 1e6))
    at = os.clock()
  end
  io.write(("interpreter %.0f require %.0f "):format(born * 1e6, loaded))
  local bot = new()
  lap("new")
  require("chatbot.core").curl_version() -- loads libcurl
  lap("libcurl")
  local reply = bot:stream("Hello")
  lap("stream")
  for text in reply:chunks() do common.count(text) end
  lap("read")
end

modes[mode]()
