-- chatbot - talk to any OpenAI-compatible chat service without ever blocking.
--
-- The C module chatbot.core has the engine and the two userdata types. Here is
-- what is better said in Lua: waiting, iterating, and `chat` where Lua itself
-- cannot resume a C function (5.1, 5.2, LuaJIT). Types are in types.lua.

local jit = rawget(_G, "jit") -- hosts forbid what is not there

-- Some that every Lua has, and core calls.
local EVERYWHERE = "lua_checkstack lua_gettop lua_settop lua_pushvalue lua_type "
  .. "lua_touserdata lua_toboolean lua_tolstring lua_pushnil lua_pushboolean "
  .. "lua_pushlstring lua_pushstring lua_rawgeti "
  .. "lua_rawset lua_rawseti lua_createtable lua_setfield lua_getfield lua_next lua_error "
  .. "luaL_argerror luaL_error luaL_checklstring luaL_checktype"

-- A program that has Lua inside may keep its functions to itself: then it can load no C module.
-- A binary that was built for another Lua has symbols that this one lacks, or
-- is refused by luaopen_chatbot_core. Either message says little by itself.
local function load_core(name)
  local ok, core = pcall(require, "chatbot.core")
  if ok then return core end
  if name then package.loaded[name] = nil end -- or Lua 5.1 would say "loop" from now on
  local problem = tostring(core)
  local vim = rawget(_G, "vim")
  local nvim = vim and vim.fn and vim.api and "make nvim" .. (jit and "" or " NVIM_LUA=lua5.1")
  local symbol = problem:match("symbol.-(luaL?_%a+)")
  if symbol and (EVERYWHERE .. " "):find(symbol .. " ", 1, true) then
    problem = ("this program can load no C module of Lua: it neither is linked with the shared "
      .. "liblua nor exports Lua's functions (%s)"):format(problem)
  elseif problem:find("symbol.-luaL?_%l") or problem:find("version mismatch", 1, true)
    or problem:find("incompatible numeric types", 1, true) then
    local command = nvim or "make LUA=" .. (jit and "luajit" or "lua" .. _VERSION:match("%d+%.%d+"))
    problem = ("chatbot.core was built for another Lua; this is %s, for which `%s` builds it (%s)")
      :format(jit and "LuaJIT" or _VERSION, command, problem)
  elseif nvim and problem:find("^module 'chatbot.core' not found") then
    problem = ("chatbot.core is not built: `%s` in the plugin's directory does it"):format(nvim)
  end
  error(problem, 0)
end

local core = load_core(...)

-- Raises for an argument of the function that was called from outside of the files that say
-- core.ours(), in the line of that call.
local misuse = core.misuse

---@class chatbot
local M = { _VERSION = "chatbot " .. (core.version or "0.1.0") } -- whose binary did not tell

M.budget = core.budget
M.max_concurrent = core.max_concurrent
M.pollfd = core.pollfd
M.timeout = core.timeout
M.register = core.register
M.providers = core.providers
M.array = core.array

local running, yield = coroutine.running, coroutine.yield

-- In a coroutine that may yield? Lua 5.1 can only say that it is none.
local yieldable = coroutine.isyieldable or function()
  local thread, main = running()
  return thread ~= nil and not main
end

-- PUC Lua 5.1 cannot yield through pcall. There a coroutine that waits for a reply is
-- remembered, and one that has died of an error is noticed when the engine is used again.
local passes = not (_VERSION == "Lua 5.1" and not jit)
local waiting = setmetatable({}, { __mode = "kv" }) -- reply -> coroutine

local function bury()
  for reply, thread in pairs(waiting) do
    if coroutine.status(thread) == "dead" then
      waiting[reply] = nil
      reply:close()
    end
  end
end

local function unless_raised(reply, ok, ...)
  if ok then return ... end
  reply:close()
  error((...), 0)
end

-- fn(reply, ...), which ends the reply when it raises.
local function owned(reply, fn, ...)
  local thread = not passes and running()
  if not thread then return unless_raised(reply, pcall(fn, reply, ...)) end
  waiting[reply] = thread
  return fn(reply, ...)
end

-- What goes beyond one request; loaded when it is first asked for.
local asked
local function ask()
  asked = asked or require "chatbot.bot.ask"
  return asked
end

-- Options that chatbot.bot.ask deals with and that never reach a server as they are.
local for_ask = {
  tools = "table",
  on_tool = "function",
  max_tool_rounds = "number",
  json = "boolean",
  schema = "table",
  strict = "boolean",
  reasoning = "reasoning",
  search = "search",
  cache = "boolean",
}

-- What is wrong with an option of those, or nil.
local function wrong(name, value)
  local expected, is = for_ask[name], type(value)
  if expected == "reasoning" then
    if require("chatbot.dialect.reasoning").is_one(value) then return nil end
    return 'must be false, "minimal", "low", "medium", "high", "max", a number of tokens, or '
      .. "a table of the service's own"
  elseif expected == "search" then
    return is ~= "boolean" and is ~= "table" and "must be a boolean or a table" or nil
  elseif is ~= expected then
    return "must be a " .. expected
  elseif expected == "number" and not (value >= 0 and value <= 1e15 and value % 1 == 0) then
    return "must be a number, whole and not negative"
  end
end

-- Splits options, of a call or a bot, into the rest and those of `for_ask`, nil when there
-- is none. They are argument `arg`.
local function split(options, arg, call)
  local rest, ours = core.options(options, call), nil
  for name in pairs(for_ask) do
    local value = options[name]
    if value ~= nil then
      local problem = wrong(name, value)
      if problem then misuse(arg, ("option '%s' %s"):format(name, problem)) end
      ours = ours or {}
      ours[name], rest[name] = value, nil
    end
  end
  return rest, ours
end

-- Whether a call with these options needs chatbot.ask.
local function concerns_ask(bot, opts)
  local env = core.chatbot._env(bot) -- raises when it is no bot
  if env.extra or env.adjust or env.route.api ~= "chat" then
    return opts == nil or type(opts) == "table"
  end
  if type(opts) == "table" then
    for name in pairs(for_ask) do
      if opts[name] ~= nil then return true end
    end
    return opts.api ~= nil
  end
  return false
end

local c_module_poll = core.poll -- no tail calls: they hide who is to blame

---Does what is ready for all replies, and calls their on_text.
---@param seconds? number how long to wait for something
---@param opts? { budget?: number }
---@return integer active how many replies are under way
function M.poll(seconds, opts)
  if not passes then bury() end
  if asked and asked.tend() > 0 and seconds then core.remind(asked.HELD) end
  local active = c_module_poll(seconds, opts)
  if asked then active = active + asked.tend() end
  return active
end

local Reply = core.reply
local c_poll, c_waiter = Reply._poll, Reply._waiter

-- Lets the host go on until there may be more of the reply.
function Reply:_pause()
  local wait = self:_waiter()
  if self:_in_tool() then self:wait() end -- which raises
  if wait then
    owned(self, wait)
  elseif yieldable() then
    yield()
  else
    self:wait()
  end
end

-- As poll. `pass`: whether a tool may yield through us.
local function step(self, pass)
  local text, state = c_poll(self)
  if state == "done" and self:_is_held() then return ask().finish(self, pass) end
  return text, state
end

---Does what can be done now, without waiting.
---@return string? text what has arrived since the last call
---@return "wait"|"done"|chatbot.Error|nil state when there is no text
function Reply:poll()
  local text, state = step(self, c_waiter(self) ~= nil and yieldable())
  return text, state
end

---Iterates over the text as it arrives; raises the error table on failure.
---@async
---@return fun(): string?
function Reply:chunks()
  c_waiter(self) -- raises when it is no reply
  local function next_chunk()
    while true do
      local text, state = step(self, yieldable())
      if text then return text end
      if state == "done" then return nil end
      if state ~= "wait" then error(state, 0) end
      self:_pause()
    end
  end
  return next_chunk, nil, nil, self -- Lua 5.4 closes the fourth
end

---Waits for the end.
---@async
---@return string? answer
---@return chatbot.Reply|chatbot.Error
function Reply:result()
  while true do
    local text, state = step(self, yieldable())
    if state == "wait" then
      self:_pause()
    elseif not text then
      return self:_answer()
    end
  end
end

-- Writes a line of a report; the terminal chat has its own way.
function Reply._write(line) io.stderr:write(line, "\n") end

-- What `verbose` writes: the token usage (1), the whole response (2).
function Reply:_report(level)
  local usage = self.usage or {}
  local function count(name) return tostring(usage[name] or "?") end
  self._write(self:_clean(("[%s] tokens: prompt %s, completion %s, total %s"):format(
    self.model or "?", count "prompt_tokens", count "completion_tokens", count "total_tokens")))
  if level < 2 then return end
  local json, problem = core.json_encode {
    id = self.id, model = self.model, status = self.status,
    finish_reason = self.finish_reason, message = self.message, usage = self.usage,
    reasoning = self.reasoning, logprobs = self.logprobs,
    request_id = self.request_id,
  }
  self._write(self:_clean(json or problem))
end

local Chatbot = core.chatbot

local c_stream, c_chat = Chatbot._stream, Chatbot._chat

-- The prompt, which is argument 2, as it is sent.
local function with_parts(prompt)
  if type(prompt) ~= "table" then return prompt end
  local parts, problem = require("chatbot.bot.parts").normalise(prompt)
  return parts or misuse(2, problem)
end

---Asks, and returns at once.
---@param prompt string|table|nil nil: goes on with the conversation as it is
---@param opts? chatbot.CallOptions
---@return chatbot.Reply?
---@return chatbot.Error?
function Chatbot:stream(prompt, opts)
  if not passes then bury() end
  local reply, err
  if concerns_ask(self, opts) then
    local rest, ours = split(opts or {}, 3, true)
    reply, err = ask().stream(self, with_parts(prompt), rest, ours or {})
  else
    reply, err = c_stream(self, with_parts(prompt), opts)
  end
  return reply, err
end

local function always() return true end

-- A loop whose fourth value Lua 5.4 closes, whatever happens. As one call, because Lua 5.1
-- and 5.2 miscompile a `for` with a list of four.
local function with(reply) return always, nil, nil, reply end

-- The same loop as in asking.c, for a Lua that cannot resume a C function and
-- for replies that take more than one request.
local function drive(self, prompt, opts)
  local reply, err = Chatbot.stream(self, prompt, opts)
  if not reply then return nil, err end
  local wait, async = reply:_waiter(), yieldable()
  for _ in with(reply) do
    local text, state = owned(reply, step, async)
    if not text and state ~= "wait" then return reply:_answer() end
    if async and not wait then
      yield(text or "")
    elseif not text then
      owned(reply, reply._pause)
    end
  end
end

---Asks, and waits for the answer; in a coroutine it yields the text as it
---arrives ("" when there is none yet) instead of blocking.
---@async
---@param prompt string|table|nil
---@param opts? chatbot.CallOptions
---@return string? answer
---@return chatbot.Reply|chatbot.Error
function Chatbot:chat(prompt, opts)
  local answer, reply
  if not c_chat or concerns_ask(self, opts) then
    answer, reply = drive(self, prompt, opts)
  else
    answer, reply = c_chat(self, with_parts(prompt), opts)
  end
  return answer, reply
end

-- Called by launch.c for a conversation that is more than texts, and for each in a dialect
-- that has a place apart for the system: what is sent for it, and there; or nil and an error.
function Chatbot:_turns(messages, route, note, call)
  local env = self:_env()
  local list, known = require("chatbot.bot.turns").fit(messages, route, env.arguments or {},
    call or {})
  if not list then return nil, known end
  env.arguments = known
  if route.api == "chat" then return list end
  local items, apart, before = require("chatbot.dialect.dialects").of(route)
    .input(list, route, note, call)
  return items, apart, before
end

-- Called by advance.c when a reply fails before its first text: true when it has
-- been asked again.
function Chatbot:_failed(reply, err)
  return ask().failed(self, reply, err)
end

-- Takes a list of models, in argument `arg`, apart: the first one, and a copy of all.
local function first_of(models, arg)
  if type(models) ~= "table" then return models, nil end
  local list = {}
  for i, model in ipairs(models) do
    if type(model) ~= "string" then
      misuse(arg, ("model %d of the list is no string"):format(i))
    end
    list[i] = model
  end
  if not list[1] then misuse(arg, "the list of models is empty") end
  return list[1], list
end

local c_new = core.new

-- chatbot.new for options that are argument `arg` of what was called.
local function new(options, arg)
  if type(options) ~= "table" then c_new(options, arg) end -- raises
  local rest, extra = split(options, arg)
  local model, models = first_of(rest.model, arg)
  if models then
    rest.model = model
    extra = extra or {}
    extra.models = models
  end
  local bot = c_new(rest, arg)
  bot:_env().extra = extra
  return bot
end
core.make = new -- for chatbot.load

---@param options chatbot.Options
---@return chatbot.Chatbot
function M.new(options)
  local bot = new(options, 1)
  return bot
end

local c_set_model = Chatbot.set_model

---Talks to another model from the next prompt on, in the same conversation.
---@param name string|string[] a list: the next one when one cannot be asked
---@param opts? chatbot.Options
---@return chatbot.Chatbot
function Chatbot:set_model(name, opts)
  local model, models = first_of(name, 2)
  local rest, more = opts, nil
  if type(opts) == "table" then rest, more = split(opts, 3) end
  c_set_model(self, model, rest)
  local env = self:_env()
  if models or more or env.extra then
    local extra = {} -- a new one, since a fork may have the old one, too
    for key, value in pairs(env.extra or {}) do extra[key] = value end
    for key, value in pairs(more or {}) do extra[key] = value end
    extra.models = models
    env.extra = next(extra) ~= nil and extra or nil
  end
  return self
end

-- What a program may never call is loaded with the first call of it. No tail call, which
-- Lua 5.1 counts as a level that has no line: to blame the caller is one level more there.
local function pass(...) return ... end

local function later(file, name)
  return function(...) return pass(require("chatbot.bot." .. file)[name](...)) end
end

for _, name in ipairs { "tool_result", "fork", "undo", "get_usage", "models" } do
  Chatbot[name] = later("methods", name)
end

-- As in core, and what is loaded late: a host may change its root directory afterwards.
function M.warmup()
  for _, file in ipairs { "bot.ask", "bot.memory", "bot.methods", "bot.parts", "bot.together",
    "bot.turns", "providers" } do require("chatbot." .. file) end
  return core.warmup()
end

M.image = later("parts", "image")
M.document = later("parts", "document")
M.save = later("memory", "save")
M.load = later("memory", "load")
M.all = later("together", "all")
M.race = later("together", "race")

core.ours(M, Chatbot, Reply)

return M
