--- The client side of fault scenarios, in a process of its own (see run.lua).
--
-- Usage: child.lua GROUP <INPUT. Runs the jobs of the input side by side, each as a
-- coroutine, and writes a line "@@" and JSON for each. A scenario's `client` is given
--   t.urls, t.extra, t.key, t.ca_file
--   t:bot(options)      a bot for the scenario's options and these
--   t:follow(reply)     polls it to its end, as the plain client does
--   t:pause([seconds])  lets the others run
--   t:until_true(seconds, fn)
--   t:report(fields)    writes the line now, for a client that ends the process

local json = require "cjson"
local chatbot = require "chatbot"
local process = require "spec.support.process"
local secret = require "spec.faults.secret"

local input = json.decode(io.read("*a"))
local scenarios = require("spec.faults." .. arg[1])

-- The key is kept as numbers, so that nothing here holds it when a scenario looks through
-- all that Lua can reach.
local key_bytes = { input.key:byte(1, -1) }
input.key = nil

local Client = {}

function Client.__index(_, name)
  if name ~= "key" then return Client[name] end
  local out = {}
  for i, byte in ipairs(key_bytes) do out[i] = string.char(byte) end
  return table.concat(out)
end

-- Generous, because only some scenarios are about time.
local DEFAULTS = {
  model = "test-model", max_retries = 0, connect_timeout = 5, first_byte_timeout = 5,
  idle_timeout = 5, timeout = 20,
}

function Client:options(more)
  local options = {}
  for name, value in pairs(DEFAULTS) do options[name] = value end
  options.api_key = self.key
  if self.urls.main then options.base_url = self.urls.main.url end
  if self.scenario.api ~= "chat" then options.api = self.scenario.api end
  local own = self.scenario.options
  if type(own) == "function" then own = own(self.urls, self) end
  for name, value in pairs(own or {}) do options[name] = value end
  for name, value in pairs(more or {}) do options[name] = value end
  if tostring(options.base_url):find("^https") then
    if options.ca_file == nil then options.ca_file = self.ca_file end
  end
  for name in pairs { ca_file = 1, api_key = 1, base_url = 1 } do -- false: none
    if not options[name] then options[name] = nil end
  end
  return options
end

function Client:bot(more)
  local bot = chatbot.new(self:options(more))
  self.bots[#self.bots + 1] = bot
  return bot
end

function Client.pause(_, seconds)
  local limit = process.now() + (seconds or 0)
  repeat coroutine.yield() until process.now() >= limit
end

function Client:until_true(seconds, fn)
  local limit = process.now() + seconds
  while not fn() do
    if process.now() >= limit then return false end
    self:pause()
  end
  return true
end

-- What a failure tells, and nothing that JSON cannot hold.
local function failure(err)
  if type(err) ~= "table" then return { kind = "raised", message = tostring(err) } end
  local out = { string = tostring(err) }
  for name, value in pairs(err) do out[name] = value end
  return out
end

function Client:look(value, name)
  secret.search(self.key, value, name, self.leaks)
  secret.search(self.key, tostring(value), "tostring of " .. name, self.leaks)
end

local REPLY_FIELDS = { "text", "reasoning", "tool_calls", "refusal", "usage", "finish_reason",
  "status", "logprobs", "message", "id", "model", "request_id", "raw" }

--- Polls a reply to its end.
---@return table observed
function Client:follow(reply)
  local pieces, last = {}, nil
  while true do
    local piece, state = reply:poll()
    if piece then
      pieces[#pieces + 1] = piece
      last = process.now()
    elseif state == "wait" then
      self:pause()
    else
      local observed = state == "done" and { verdict = reply.status } or failure(state)
      observed.text = table.concat(pieces)
      observed.since_text = last and process.now() - last
      self:look(state, "the error")
      local answer, err = reply:result()
      if state ~= "done" then self:look(err, "the error of result()") end
      observed.answer = answer
      return observed, reply
    end
  end
end

function Client:talk(bot, call)
  local started = process.now()
  local reply, err = bot:stream("hello", call or self.scenario.call)
  local observed
  if reply then
    observed = self:follow(reply)
    if not self.scenario.speaks then
      for _, name in ipairs(REPLY_FIELDS) do self:look(reply[name], "reply." .. name) end
    end
    self:look(reply, "the reply")
  else
    observed = failure(err)
    self:look(err, "the error")
  end
  observed.took = process.now() - started
  return observed, reply
end

function Client:report(observed)
  for _, bot in ipairs(self.bots) do
    self:look(bot, "the bot")
    self:look(bot:get_provider(), "get_provider()")
    if not self.scenario.speaks then self:look(bot:get_messages(), "the conversation") end
  end
  self:look(chatbot.providers(), "providers()")
  local file = io.open("/proc/self/cmdline", "rb")
  if file then
    self:look(file:read("*a"), "the command line")
    file:close()
  end
  observed.index, observed.leaks = self.index, self.leaks
  observed.err = nil
  io.stdout:write("@@", json.encode(observed), "\n")
  io.stdout:flush()
end

local function play(t)
  local client = t.scenario.client or function(self)
    return self:talk(self:bot())
  end
  local ok, observed = xpcall(function() return client(t) end, function(err)
    local message = type(err) == "table" and failure(err).string or tostring(err)
    return { kind = "raised", message = message, traceback = debug.traceback(message) }
  end)
  if not ok then t:look(observed.traceback, "a traceback") end
  t:report(observed or {})
end

-- LuaJIT and 5.2 and later yield across pcall; 5.1 does not, so errors end the child.
if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then
  play = function(t)
    t:report((t.scenario.client or function(self) return self:talk(self:bot()) end)(t) or {})
  end
end

-- Loading libcurl is not what the clocks are about.
if not scenarios[input.jobs[1].index].cold then chatbot.warmup() end

local tasks = {}
for i, job in ipairs(input.jobs) do
  local t = setmetatable({
    scenario = scenarios[job.index], index = job.index, urls = job.urls, extra = job.extra,
    ca_file = input.ca_file, bots = {}, leaks = {},
  }, Client)
  tasks[i] = coroutine.create(function()
    t:pause(i * 0.004) -- not all at the same time
    play(t)
  end)
end

while #tasks > 0 do
  for i = #tasks, 1, -1 do
    local ok, problem = coroutine.resume(tasks[i])
    if not ok then
      io.stderr:write(tostring(problem), "\n")
      os.exit(1)
    end
    if coroutine.status(tasks[i]) == "dead" then table.remove(tasks, i) end
  end
  if #tasks > 0 then
    local before = process.now()
    chatbot.poll(0.003)
    if process.now() - before < 0.001 then process.sleep(0.001) end
  end
end
