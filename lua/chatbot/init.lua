-- chatbot - talk to any OpenAI-compatible chat service without ever blocking.
--
-- The C module chatbot.core has the engine and the two userdata types. Here is
-- what is better said in Lua: waiting, iterating, and `chat` where Lua itself
-- cannot resume a C function (5.1, 5.2, LuaJIT). Types are in types.lua.

-- A binary that was built for another Lua has symbols that this one lacks, or
-- is refused by luaopen_chatbot_core. Either message says little by itself.
local function load_core()
  local ok, core = pcall(require, "chatbot.core")
  if ok then return core end
  local problem = tostring(core)
  if problem:find("symbol.-luaL?_%l") or problem:find("version mismatch", 1, true)
    or problem:find("incompatible numeric types", 1, true) then
    local name = jit and "luajit" or "lua" .. _VERSION:match("%d+%.%d+")
    problem = ("chatbot.core was built for another Lua; this is %s, for which `make LUA=%s` "
      .. "builds it (%s)"):format(jit and "LuaJIT" or _VERSION, name, problem)
  end
  error(problem, 0)
end

local core = load_core()

---@class chatbot
local M = { _VERSION = "chatbot 0.1.0" }

M.new = core.new
M.poll = core.poll
M.pollfd = core.pollfd
M.timeout = core.timeout
M.warmup = core.warmup
M.register = core.register
M.providers = core.providers
M.array = core.array

for _, provider in ipairs(require "chatbot.providers") do
  core.register(provider.name, provider)
end

local running, yield = coroutine.running, coroutine.yield

-- In a coroutine that may yield? Lua 5.1 can only say that it is none.
local yieldable = coroutine.isyieldable or function()
  local thread, main = running()
  return thread ~= nil and not main
end

-- Lets the host go on until there may be more of the reply.
local function pause(reply)
  local wait = reply:_waiter()
  if wait then
    wait(reply)
  elseif yieldable() then
    yield()
  else
    reply:wait()
  end
end

local Reply = core.reply

---Iterates over the text as it arrives; raises the error table on failure.
---@async
---@return fun(): string?
function Reply:chunks()
  local function next_chunk()
    while true do
      local text, state = self:poll()
      if text then return text end
      if state == "done" then return nil end
      if state ~= "wait" then error(state, 0) end
      pause(self)
    end
  end
  return next_chunk, nil, nil, self -- Lua 5.4 closes the fourth
end

---Waits for the end.
---@async
---@return string? answer
---@return chatbot.Reply|chatbot.Error
function Reply:result()
  while self.status == "streaming" do
    local text, state = self:poll()
    if not text and state == "wait" then pause(self) end
  end
  return self:_answer()
end

-- What `verbose` writes: the token usage (1), the whole response (2).
function Reply:_report(level)
  local usage = self.usage or {}
  io.stderr:write(("[%s] tokens: prompt %s, completion %s, total %s\n"):format(
    self.model or "?", usage.prompt_tokens or "?", usage.completion_tokens or "?",
    usage.total_tokens or "?"))
  if level < 2 then return end
  io.stderr:write((core.json_encode {
    id = self.id, model = self.model, status = self.status,
    finish_reason = self.finish_reason, message = self.message, usage = self.usage,
    reasoning = self.reasoning, logprobs = self.logprobs,
    request_id = self.request_id,
  }), "\n")
end

local Chatbot = core.chatbot

-- The same loop as in chatbot.c, for a Lua that cannot resume a C function.
if not Chatbot.chat then
  function Chatbot:chat(prompt, opts)
    local reply, err = self:stream(prompt, opts)
    if not reply then return nil, err end
    local wait, async = reply:_waiter(), yieldable()
    while true do
      local text, state = reply:poll()
      if not text and state ~= "wait" then return reply:_answer() end
      if async and not wait then
        yield(text or "")
      elseif not text then
        pause(reply)
      end
    end
  end
end

---The names of the models that the server has.
---@async
---@param opts? table timeouts
---@return string[]?
---@return chatbot.Error?
function Chatbot:models(opts)
  local reply, err = self:_get("/models", opts)
  if not reply then return nil, err end
  local list
  list, err = reply:result()
  if not list then return nil, err end
  local names = {}
  for _, model in ipairs(type(list.data) == "table" and list.data or {}) do
    if type(model) == "table" and type(model.id) == "string" then
      names[#names + 1] = model.id
    end
  end
  table.sort(names)
  return names
end

return M
