-- A child of make chaos: callbacks, metamethods and finalizers that do at random all that a
-- program may do, and some that it may not, while answers arrive.
-- Usage: LUA spec/machines/chaos.lua SECONDS SEED     (by chaos.sh)
--
-- What must hold, whatever they do: no crash and no hang (chaos.sh sees those); an error
-- that a callback raises comes to a caller once; no reply is left under way once its
-- server is done; no prompt is left behind in a conversation; descriptors and memory do not
-- grow; a plain chat works afterwards. A line for each thing that is done goes to stderr.
-- The end of the state comes with requests under way, and with finalizers that begin more.

package.path = "./?.lua;./?/init.lua;" .. package.path
local chatbot = require "chatbot"
local process = require "spec.support.process"
local support = require "spec.support"

local seconds = tonumber(arg[1]) or 3
local seed = tonumber(arg[2]) or os.time() % 1000000
local unpack = table.unpack or unpack
local has_modes = not jit and _VERSION >= "Lua 5.4" -- of the collector

local function set_pause(percent)
  if _VERSION >= "Lua 5.5" then
    collectgarbage("param", "pause", percent)
  else
    collectgarbage("setpause", percent)
  end
end

local BOTS = 6 -- at once
local DEPTH = 3 -- of things that are done in callbacks of one another
local PHASES = 4 -- between them all is brought to an end, and measured
local MAX_FDS = 12 -- that may be more after the last phase than after the first
local MAX_LUA = 1024 -- KiB
local MAX_RSS = 12 * 1024 -- KiB; without a sanitizer
local WAIT = 6 -- seconds for all replies to end

local random, chance, pick = require("spec.machines.random")(seed)

local function pack(...) return { n = select("#", ...), ... } end

-- What this child is like.
local mode = {
  -- Finalizers raise: but on 5.4 that comes out anywhere. LuaJIT does not survive it.
  gc_errors = chance(40) and not jit,
  -- In compiled code that runs in a finalizer a loop over pairs may never end.
  compiled = chance(50) and jit,
  gc_blocks = chance(30), -- finalizers wait for answers
  depth = random(DEPTH),
  pause = ({ 100, 150, 200, 50 })[random(4)],
  generational = has_modes and chance(50),
}

local steps, requests, findings, depth, calm, serial = 0, 0, 0, 0, false, 0
local seen = { callbacks = 0, finalizers = 0, raised = 0, abandoned = 0 }
local in_gc = 0 -- finalizers that are running

-- A collection that a finalizer asks for never ends in LuaJIT's compiled code, and in Lua
-- 5.3 not while the state is being closed.
local function may_collect() return has_modes or in_gc == 0 end

local function log(...)
  local parts = pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  io.stderr:write(("  "):rep(depth), steps, " ", table.concat(parts, " "), "\n")
end

local told = {}
local function finding(what)
  findings = findings + 1
  if told[what] then return end
  told[what] = true
  print("FINDING " .. what)
  log("FINDING", what)
  io.stdout:flush()
end


-- What the server sends -------------------------------------------------------

-- A prompt names a number, from which the server makes its answer.
local server = support.serve({ { lua = [==[
  local request, conn, wire = ...
  local json = require "cjson"
  local body = json.decode(request.body)
  local last, prompt = body.messages[#body.messages], ""
  for _, message in ipairs(body.messages) do
    if message.role == "user" then prompt = message.content end
  end
  local state = tonumber(tostring(prompt):match("#(%d+)#")) or 0
  local function random(n)
    state = (state * 16807 + 12345) % 2147483647
    return state % n + 1
  end
  random(2)
  local kind = random(16)
  if kind == 10 and random(3) > 1 then kind = 3 end
  if state % 1000 == 0 or prompt:find("plain") then kind = 1 end
  if last.role == "tool" and kind == 12 then kind = random(3) end
  local list = {}
  for i = 1, random(random(8) == 1 and 400 or 20) do
    local delta = { content = "w" .. i .. " " }
    local r = random(12)
    if r == 1 then delta = { reasoning_content = "r" .. i } end
    if r == 2 then delta = { content = "\240\159\152\128" } end
    if r < 5 then
      delta = { choices = { { index = 0, delta = delta, logprobs = { content = { { token = "w",
        logprob = -0.5, top_logprobs = wire.array {} } } } } } }
    end
    list[i] = delta
  end
  local function play(steps) conn:play(steps) end
  local function cut(how)
    play(wire.sse(list, { finish_reason = false, done = false, cut = true }))
    play { how }
  end
  if not body.stream and kind ~= 6 and kind ~= 7 and kind ~= 12 then
    play(wire.json_completion(" whole answer " .. kind))
  elseif kind <= 3 then
    play(wire.sse(list, { usage = true }))
  elseif kind == 4 then
    play(wire.sse(list, { every = 0.0005, usage = true }))
  elseif kind == 5 then
    play(wire.sse(list, { chunk = 7, every = 0.0005 }))
  elseif kind == 6 then
    play(wire.http(random(2) == 1 and 429 or 503, { ["Retry-After-Ms"] = "3" },
      { error = { message = "later", type = "x" } }))
  elseif kind == 7 then
    play(wire.http(400, {}, { error = { message = "Unsupported parameter: 'seed'",
      param = "seed" } }))
  elseif kind == 8 then
    cut { close = true }
  elseif kind == 9 then
    cut { reset = true }
  elseif kind == 10 then
    cut { stall = true }
  elseif kind == 11 then
    list[#list + 1] = { error = { message = "in the stream", code = random(2) == 1 and 503 } }
    play(wire.sse(list))
  elseif kind == 12 or kind == 13 and last.role ~= "tool" then
    local calls = {}
    for i = 1, random(3) do
      calls[i] = { index = i - 1, id = "call_" .. i, type = "function", ["function"] = {
        name = random(6) == 1 and "nobody" or random(8) == 1 and "mine" or "tool",
        arguments = random(6) == 1 and "{" or '{"a":[1,2,{"b":"c"}]}' } }
    end
    if random(2) == 1 then list = {} end
    list[#list + 1] = { tool_calls = calls }
    play(wire.sse(list, { finish_reason = "tool_calls", usage = true }))
  elseif kind == 13 then
    play(wire.sse(list, { finish_reason = "length" }))
  elseif kind == 14 then
    play(wire.sse({}, { usage = true }))
  elseif kind == 15 then
    conn:sleep(0.02)
    play(wire.sse(list, { framing = "close" }))
  else
    play(wire.http(200, { ["Content-Type"] = "text/html" }, "<p>no"))
  end
]==] } }, { strict = false }) -- it puts anything into a conversation


-- Errors that are raised, and where they come out -------------------------------

local raised, by_value = {}, {}
local polled = setmetatable({}, { __mode = "k" }) -- error tables, which each poll gives again

local function throw(where)
  serial, seen.raised = serial + 1, seen.raised + 1
  local kind, value = random(6), nil
  if kind == 1 then error(nil) end
  if kind == 2 then
    value = { "raised" }
  elseif kind == 3 then
    value = function() finding("an error value was called") end
  elseif kind == 4 then
    value = setmetatable({}, { __tostring = function() error("in __tostring", 0) end })
  end
  raised[serial] = { where = where, seen = 0, kind = kind }
  if value then by_value[value] = serial end
  error(value or "raise #" .. serial .. "#")
end

local function surface(value)
  local id = by_value[value]
  if type(value) == "string" then id = tonumber(value:match("raise #(%d+)#")) end
  if id then
    raised[id].seen = raised[id].seen + 1
    return
  end
  local text = value
  if type(value) == "table" and type(rawget(value, "message")) == "string" then
    text = rawget(value, "message")
    id = tonumber(text:match("raise #(%d+)#"))
    if id and raised[id].where == "api_key" and not polled[value] then
      raised[id].seen = raised[id].seen + 1
    end
    polled[value] = true
    if value.kind == "memory" and not (mode.gc_errors and not has_modes) then
      finding("an error of the kind memory: " .. text)
    end
  end
  if type(text) == "string" and (text:find("chatbot/[%w_/]+%.lua:%d+: attempt to [^y]")
    or text:find("block too big") or text:find("stack overflow")) then
    finding("an error of the module's own: " .. text)
  end
end

-- pcall, whose error or `nil, err` is one that a caller was given.
local function attempt(what, fn, ...)
  steps = steps + 1
  log(what)
  local was = depth
  depth = was + 1
  local r = pack(pcall(fn, ...))
  depth = was
  if not r[1] then
    log("  raised", type(r[2]), type(r[2]) == "string" and r[2] or "")
    surface(r[2])
    return nil
  end
  if r[2] == nil and r[3] ~= nil then surface(r[3]) end
  return unpack(r, 2, r.n)
end


-- Pools -------------------------------------------------------------------------

local bots, replies, threads, kept = {}, {}, {}, {}
local chaos, new_bot

local function prompt()
  requests = requests + 1
  local text = "do #" .. random(1000000) .. "#"
  log("prompt", text)
  return text
end

local function callback(where, ...)
  local results = pack(...)
  return function(value)
    if calm then return unpack(results, 1, results.n) end
    seen.callbacks = seen.callbacks + 1
    chaos(where)
    if where == "on_event" and chance(20) then value.changed = true end
    if chance(6) then throw(where) end
    return unpack(results, 1, results.n)
  end
end

local function waiter(reply)
  if not calm then
    chaos("wait")
    if chance(4) then throw("wait") end
  end
  local _, main = coroutine.running()
  if coroutine.running() and main ~= true and chance(60) then
    pcall(coroutine.yield, "waiting")
  elseif chance(50) then
    reply:wait(0.003)
  else
    attempt("poll in wait", chatbot.poll, 0.003)
  end
end

local function may_yield()
  if coroutine.isyieldable then return coroutine.isyieldable() end
  local thread, main = coroutine.running()
  return thread ~= nil and main ~= true
end

local function tool_of(entry)
  return function(args)
    if calm then return "calm" end
    entry.in_tool = (entry.in_tool or 0) + 1
    local ok, problem = pcall(function()
      chaos("tool")
      if chance(15) then error(chance(50) and { "a tool's" } or "a tool's", 0) end
    end)
    entry.in_tool = entry.in_tool - 1
    if chance(25) and may_yield() then coroutine.yield("tool") end
    if not ok then error(problem, 0) end
    if chance(10) then return nil, "no" end
    return chance(50) and args or "result"
  end
end

local function options(entry)
  local o = {}
  if chance(40) then o.on_text = callback("on_text") end
  if chance(25) then o.on_event = callback("on_event") end
  if chance(25) then o.on_reasoning = callback("on_reasoning") end
  if chance(15) then o.wait = waiter end
  if chance(10) then o.stream = false end
  if chance(10) then o.seed = random(100) end
  if chance(10) then o.json = true end
  if chance(20) then
    o.headers = {}
    for i = 1, random(30) do o.headers["X-Chaos-" .. i] = "v" .. i end
  end
  if chance(15) then
    local on_tool = callback("on_tool")
    o.on_tool = function(event)
      entry.in_tool = (entry.in_tool or 0) + 1
      local ok, problem = pcall(on_tool, event)
      entry.in_tool = entry.in_tool - 1
      if not ok then error(problem, 0) end
    end
  end
  if chance(8) then o.timeout = random(30) / 100 end
  if chance(30) then
    o.tools = { { name = "tool", call = tool_of(entry) } }
    if chance(30) then o.tools[2] = { name = "mine" } end
  end
  return o
end

function new_bot()
  local entry = {}
  local o = options(entry)
  o.seed = nil
  o.base_url, o.model = server.url, chance(20) and { "m1", "m2" } or "m"
  o.connect_timeout, o.first_byte_timeout, o.idle_timeout, o.timeout = 1, 0.15, 0.1, 1
  o.max_retries = random(2) - 1
  o.keep_partial = chance(30)
  if chance(15) then o.system = "s" end
  if chance(20) then
    o.max_context_tokens = 5
    o.on_trim = callback("on_trim")
  end
  if chance(20) then o.api_key = callback("api_key", chance(80) and "key-of-chaos" or nil) end
  if chance(10) then o.max_queue_bytes = 500 end
  entry.bot = chatbot.new(o)
  return entry
end

local function stream(entry, opts)
  if not entry then return end
  local reply = attempt("stream", entry.bot.stream, entry.bot, prompt(), opts)
  if reply then replies[#replies + 1] = { reply = reply, entry = entry } end
  return reply
end

local function finalizer(fn)
  if newproxy then -- luacheck: ignore 113
    local proxy = newproxy(true) -- luacheck: ignore 113
    getmetatable(proxy).__gc = fn
    return proxy
  end
  return setmetatable({}, { __gc = fn })
end

-- Garbage that does something when it is collected, to what may be garbage, too.
local left -- how many finalizers may still run, once the state is being closed
local function litter()
  if left then
    left = left - 1
    if left < 0 then return end
  end
  local at = #replies > 0 and random(#replies)
  local slot, entry = at and replies[at], pick(bots)
  if at and chance(30) then table.remove(replies, at) end
  local function last(self)
    if calm then return end
    log("__gc")
    seen.finalizers = seen.finalizers + 1
    in_gc = in_gc + 1
    local ok, problem = pcall(function()
      if slot and chance(50) then
        local reply = slot.reply
        if chance(40) then attempt("close in __gc", reply.close, reply) end
        if chance(40) then attempt("poll in __gc", reply.poll, reply) end
        if chance(20) then attempt("look in __gc", tostring, reply.text or reply) end
      end
      if not mode.compiled then chaos("gc", entry) end
      if chance(8) then kept[#kept + 1] = self end
      if chance(15) then litter() end
    end)
    in_gc = in_gc - 1
    if not ok then surface(problem) end
    if mode.gc_errors and chance(15) then error("raised in __gc", 0) end
  end
  finalizer(last)
end


-- What is done ------------------------------------------------------------------

local scoped
if has_modes then
  scoped = load [[
    local bot, prompt, body = ...
    local reply <close> = assert(bot:stream(prompt))
    return body(reply)
  ]]
end

local function is_stuck(slot) -- whoever waits for it now would wait for himself
  return not slot or (slot.entry.in_tool or 0) > 0
end

local actions, weights = {}, {}
local function action(weight, name, fn, blocks)
  actions[#actions + 1] = { name = name, fn = fn, blocks = blocks }
  for _ = 1, weight do weights[#weights + 1] = #actions end
end

action(8, "poll", function() attempt("poll", chatbot.poll, 0) end)
action(4, "poll a while", function() attempt("poll a while", chatbot.poll, 0.002) end)
action(2, "poll a little", function()
  attempt("poll a little", chatbot.poll, 0, { budget = 0.01 })
end)
action(10, "reply:poll", function()
  local slot = pick(replies)
  if slot then attempt("reply:poll", slot.reply.poll, slot.reply) end
end)
action(3, "reply:wait", function()
  local slot = pick(replies)
  if slot then attempt("reply:wait", slot.reply.wait, slot.reply, 0.002) end
end)
action(4, "reply:close", function()
  local slot = pick(replies)
  if not slot then return end
  local fn = chance(30) and callback("close") or nil
  attempt("reply:close", slot.reply.close, slot.reply, fn)
end)
action(5, "look", function()
  local slot = pick(replies)
  if not slot then return end
  attempt("look", function()
    for _, name in ipairs { "text", "raw", "logprobs", "usage", "message", "tool_calls",
      "reasoning", "status", "attempts" } do
      local _ = slot.reply[name]
    end
    return slot.reply:is_closing(), slot.reply:pollfd(), slot.reply:timeout(),
      tostring(slot.reply)
  end)
end)
action(8, "stream", function(_, entry)
  entry = entry or pick(bots)
  stream(entry, entry and chance(50) and options(entry) or nil)
end)
action(2, "chat", function(_, entry)
  entry = entry or pick(bots)
  if not entry then return end
  attempt("chat", entry.bot.chat, entry.bot, prompt(), chance(30) and options(entry) or nil)
end, true)
action(2, "result", function()
  local slot = pick(replies)
  if not is_stuck(slot) then attempt("result", slot.reply.result, slot.reply) end
end, true)
action(2, "chunks", function()
  local slot = pick(replies)
  if is_stuck(slot) then return end
  attempt("chunks", function()
    for _ in slot.reply:chunks() do
      chaos("chunks")
      if chance(30) then break end
      if chance(5) then throw("chunks") end
    end
  end)
end, true)
action(1, "all", function()
  local list = {}
  for _ = 1, 3 do
    local slot = pick(replies)
    if not is_stuck(slot) then list[#list + 1] = slot.reply end
  end
  attempt("all", chance(50) and chatbot.all or chatbot.race, list)
end, true)
action(2, "scope", function()
  local entry = scoped and pick(bots)
  if not entry then return end
  attempt("scope", scoped, entry.bot, prompt(), function(reply)
    chaos("scope")
    reply:poll()
    if chance(40) then throw("scope") end
  end)
end)

action(5, "thread", function()
  local entry = pick(bots)
  if not entry then return end
  local opts = chance(30) and options(entry) or nil
  threads[#threads + 1] = coroutine.create(function()
    return attempt("chat in a thread", entry.bot.chat, entry.bot, prompt(), opts)
  end)
end)
local function resume(at)
  local thread = threads[at]
  if coroutine.status(thread) == "suspended" then
    local ok, problem = coroutine.resume(thread)
    if not ok then surface(problem) end
  end
  if coroutine.status(thread) == "dead" then
    for i = #threads, 1, -1 do
      if threads[i] == thread then table.remove(threads, i) end
    end
  end
end
action(12, "resume", function()
  if #threads > 0 then attempt("resume", resume, random(#threads)) end
end)
action(2, "abandon", function()
  if #threads > 0 then
    log("abandon a thread")
    seen.abandoned = seen.abandoned + 1
    table.remove(threads, random(#threads))
  end
end)
action(1, "coroutine.close", function()
  local at = #threads > 0 and random(#threads)
  if not at or not coroutine.close or coroutine.status(threads[at]) ~= "suspended" then return end
  local thread = table.remove(threads, at)
  attempt("coroutine.close", function()
    local ok, problem = coroutine.close(thread)
    if not ok then surface(problem) end
  end)
end)

local function of_bot(name, make)
  action(1, name, function(_, entry)
    entry = entry or pick(bots)
    if entry then attempt(name, make, entry.bot, entry) end
  end)
end
of_bot("fork", function(bot) bots[random(#bots)] = { bot = bot:fork(), copy = true } end)
of_bot("undo", function(bot) return bot:undo() end)
of_bot("reset", function(bot) return bot:reset() end)
of_bot("set_messages", function(bot)
  return bot:set_messages { { role = "system", content = "s" }, { role = "user", content = "u" },
    { role = "assistant", content = "a" } }
end)
of_bot("set_model", function(bot)
  return bot:set_model(chance(30) and { "m3", "m4" } or "m" .. random(9),
    chance(30) and { base_url = server.url, api_key = "key-" .. random(9) } or nil)
end)
of_bot("set_wait", function(bot) return bot:set_wait(chance(50) and waiter or nil) end)
of_bot("tool_result", function(bot) return bot:tool_result("call_1", { ok = true }) end)
of_bot("ask the bot", function(bot)
  return bot:get_usage(), bot:get_model(), bot:get_provider(), tostring(bot), bot:_busy()
end)
of_bot("change the conversation", function(bot)
  local messages = bot:get_messages()
  if chance(50) then
    messages[#messages + 1] = { role = "assistant", content = "put in" }
  elseif #messages > 0 then
    local message = messages[random(#messages)]
    message.content = message.role == "user" and prompt() or "changed"
    if chance(30) then
      setmetatable(message, { __index = function() chaos("__index") end })
    end
  end
end)
local file = os.tmpname()
of_bot("save and load", function(bot)
  assert(chatbot.save(bot, file))
  local loaded = assert(chatbot.load(file, { base_url = server.url, timeout = 2, max_retries = 0 }))
  if #bots < BOTS then bots[#bots + 1] = { bot = loaded, copy = true } end
end)
of_bot("hostile options", function(bot, entry)
  local opts = setmetatable(options(entry), { __index = function(_, name)
    chaos("__index")
    if name ~= "stream" and chance(3) then throw("__index") end
  end })
  local reply = bot:stream(prompt(), opts)
  opts[true], opts[1] = 1, {}
  if reply then replies[#replies + 1] = { reply = reply, entry = entry } end
end)

action(3, "collect", function()
  if not may_collect() then return end
  log("collect")
  pcall(collectgarbage)
end)
action(5, "collect a step", function()
  if not may_collect() then return end
  log("step")
  pcall(collectgarbage, "step", random(200))
end)
action(1, "collector", function()
  if not may_collect() then return end
  if has_modes then collectgarbage(chance(50) and "generational" or "incremental") end
  set_pause(mode.pause)
end)
action(7, "litter", litter)
action(3, "forget a reply", function()
  if #replies > 0 then table.remove(replies, random(#replies)) end
end)
action(1, "forget a bot", function()
  if #bots > 0 then bots[random(#bots)] = new_bot() end
end)
action(1, "limits", function()
  attempt("max_concurrent", chatbot.max_concurrent, random(4) - 1)
  attempt("budget", chatbot.budget, random(3) == 1 and 0.02 or 1)
  attempt("ask the engine", function()
    return chatbot.timeout(), chatbot.pollfd(), chatbot.warmup()
  end)
end)

-- Once at the top; elsewhere as often as not.
function chaos(where, entry)
  if calm or depth > mode.depth or (where ~= "top" and chance(55)) then return end
  local what = actions[weights[random(#weights)]]
  if what.blocks and (where == "gc" and not mode.gc_blocks or depth > 2) then return end
  if where ~= "top" then log(where .. ":", what.name) end
  what.fn(where, entry)
end


-- Bringing it to an end -----------------------------------------------------------

local function descriptors()
  local n = 0
  for fd = 0, 511 do
    local opened, problem = io.open("/proc/self/fd/" .. fd)
    if opened then opened:close() end
    if opened or not problem:find("No such file", 1, true) then n = n + 1 end
  end
  return n
end

local function check_errors()
  if mode.gc_errors and not has_modes then return end -- they may come between
  for _, error in pairs(raised) do
    if error.seen ~= 1 and not (error.where == "api_key" and error.seen == 0) then
      finding(("an error raised in %s came out %d times (kind %d)"):format(error.where,
        error.seen, error.kind))
    end
  end
end

local function check_conversation(entry)
  local before
  local messages = entry.bot:get_messages()
  for i, message in ipairs(messages) do
    if type(message) ~= "table" or type(rawget(message, "role")) ~= "string" then
      return finding("a message without a role")
    end
    if message.role == "user" and before == "user" then finding("a prompt beside a prompt") end
    before = message.role
    if i == #messages and before == "user" and not entry.copy then
      finding("a prompt that was left behind")
    end
  end
end

-- All callbacks do nothing from here on.
local function quiesce()
  calm, depth = true, 0
  log("calm")
  kept = {}
  support.deadline(WAIT, function()
    for at = #threads, 1, -1 do
      if threads[at] then resume(at) end
    end
    attempt("poll", chatbot.poll, 0.002)
    return #threads == 0
  end, 0)
  if #threads > 0 then finding("a thread that does not end") end
  threads = {}
  support.deadline(WAIT, function()
    local open = 0
    for _, slot in ipairs(replies) do
      if slot.reply.status == "streaming" then
        open = open + 1
        attempt("reply:poll", slot.reply.poll, slot.reply)
      end
    end
    attempt("poll", chatbot.poll, 0.002)
    return open == 0
  end, 0)
  for _, slot in ipairs(replies) do
    if slot.reply.status == "streaming" then
      local env = slot.reply:_env()
      finding("a reply that does not end" .. (slot.reply:_is_held() and ", held" or "")
        .. (env.running and ", in a tool" or "") .. (env.job and ", with a job" or ""))
      slot.reply:close()
    end
  end
  replies, by_value = {}, {}
  for _ = 1, 4 do pcall(collectgarbage) end
  support.deadline(2, function() return chatbot.poll(0.005) == 0 end, 0)
  local open = chatbot.poll(0)
  if open > 0 then finding("requests that nobody has a reply of are under way") end
  check_errors()
  raised = {}
  chatbot.max_concurrent(0)
  for _, entry in ipairs(bots) do check_conversation(entry) end
  local fresh = chatbot.new { base_url = server.url, model = "m", max_retries = 0, timeout = 10 }
  local answer, problem = fresh:chat("plain")
  requests = requests + 1
  if not answer then finding("a plain chat fails: " .. tostring(problem)) end
  local entry = pick(bots)
  entry.bot:set_wait(nil)
  answer, problem = entry.bot:chat("plain #0#", { timeout = 10, stream = true })
  requests = requests + 1
  if not answer and problem.kind ~= "config" and problem.kind ~= "protocol"
    and problem.kind ~= "timeout" then
    finding("a bot that fails afterwards: " .. tostring(problem))
  end
  for i = 1, BOTS do bots[i] = new_bot() end
  for _ = 1, 2 do pcall(collectgarbage) end
  calm = false
  return { fds = descriptors(), rss = process.resident(), lua = collectgarbage("count") }
end


-- The run -------------------------------------------------------------------------

for name, value in pairs(mode) do log(name, value) end
if jit and not mode.compiled then jit.off() end
set_pause(mode.pause)
if mode.generational then collectgarbage("generational") end
for i = 1, BOTS do bots[i] = new_bot() end

local samples, started = {}, support.now()
for phase = 1, PHASES do
  local till, over = started + seconds * phase / PHASES, false
  local function once()
    chaos("top")
    if #replies > 30 then table.remove(replies, 1) end
    if #threads > 12 then table.remove(threads, 1) end
    -- so that the sockets are served now and then
    if chance(20) then attempt("poll", chatbot.poll, 0.001) end
    over = support.now() >= till
  end
  repeat
    depth = 0
    local ok, problem = pcall(once)
    if not ok then pcall(surface, problem) end
  until over
  samples[phase] = quiesce()
  log("sample", samples[phase].fds, samples[phase].rss, samples[phase].lua)
end

local first, last = samples[2], samples[PHASES]
if last.fds - samples[1].fds > MAX_FDS then
  finding(("descriptors grow from %d to %d"):format(samples[1].fds, last.fds))
end
if last.lua - first.lua > MAX_LUA then
  finding(("Lua's memory grows from %d to %d KiB"):format(first.lua, last.lua))
end
if not os.getenv("ASAN_OPTIONS") and last.rss - first.rss > MAX_RSS then
  finding(("memory grows from %d to %d KiB"):format(first.rss, last.rss))
end

os.remove(file)
print(("%d callbacks, %d finalizers, %d errors raised, %d threads abandoned"):format(
  seen.callbacks, seen.finalizers, seen.raised, seen.abandoned))
print(("chaos: %d steps, %d requests, %d findings"):format(steps, requests, findings))
io.stdout:flush()

-- The end of the state, in the middle of it all.
calm, mode.gc_blocks, mode.depth = false, chance(50), 2
left = 60
in_gc = 1
for _, entry in ipairs(bots) do stream(entry) end
for i = 1, 20 do
  kept[i] = finalizer(function()
    log("__gc at the end")
    depth, left = 0, left - 1
    if left < 0 then calm = true end
    local entry = pick(bots)
    if chance(40) and not mode.compiled then stream(entry) end
    if not mode.compiled then chaos("top", entry) end
    if mode.gc_errors and chance(30) then error("raised in __gc", 0) end
  end)
end
_G.left = { kept, bots, replies } -- luacheck: ignore 111
if findings > 0 then os.exit(1, true) end
