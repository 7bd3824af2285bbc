-- tools.lua - the calls of an answer are run, and the results go into the conversation.
--
-- Of a reply's environment it keeps: `runner`, the coroutine that is in a tool, `asleep`,
-- whether a tool still waits, `job`, the coroutine of tools that wait while nobody else does,
-- `running`, somebody advances them, `answered`, all have a result.

local core = require "chatbot.core"

local M = {}

local unpack = table.unpack or rawget(_G, "unpack")
local running = coroutine.running

M.HELD = 0.01 -- seconds between two looks at a tool that waits

local function pack(...) return { n = select("#", ...), ... } end

-- A value as text, whatever its __tostring does.
local function shown(value)
  local ok, text = pcall(tostring, value)
  return ok and text or "an error that cannot be shown"
end

-- PUC Lua 5.1 cannot yield through pcall: there the call runs in a coroutine
-- of its own, whose yields are passed on.
local protected, passes = pcall, true
if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then
  passes = false
  protected = function(fn, ...)
    local thread = coroutine.create(fn)
    local values = pack(coroutine.resume(thread, ...))
    while coroutine.status(thread) == "suspended" do
      values = pack(coroutine.resume(thread, coroutine.yield(unpack(values, 2, values.n))))
    end
    return unpack(values, 1, values.n)
  end
end

---A result as text that can be sent.
---@return string? text
---@return string? problem
function M.content(value)
  if type(value) == "string" then return core.repair(value) end
  local text, problem = core.json_encode(value)
  return text and core.repair(text), problem
end

-- Models leave the arguments out where a tool has none.
local function arguments_of(call)
  local text = call["function"].arguments
  if call.custom == true then return { input = text } end -- any text
  if text:find("^%s*$") then return {} end
  local args, problem = core.json_decode(text)
  if type(args) == "table" then return args end
  return nil, "the arguments are not a JSON object" .. (problem and ": " .. problem or "")
end

-- What a tool hands over later to the function that it is given, by
-- `return function(done) ... end`. Until then it costs nothing: the engine is reminded
-- when it is there.
local function await(reply, env, start)
  local result
  start(function(...)
    result = result or pack(...)
    core.remind(0)
  end)
  env.asleep, env.runner = function() return not result end, nil
  while not result and reply.status == "streaming" do
    if env.job then coroutine.yield() else reply:_pause() end
  end
  env.asleep = nil
  return unpack(result or {}, 1, result and result.n or 0)
end

---Calls the function of a tool; a host may put its own in place, see nginx.lua.
function M.call(_, handler, ...) return handler(...) end

-- `env.runner` is the coroutine that is in a tool: it cannot wait for the reply, see methods.c.
local function handled(reply, env, handler, args, call)
  env.runner = running()
  local value, reason = M.call(reply, handler, args, call)
  if type(value) == "function" then return await(reply, env, value) end
  return value, reason
end

-- Runs one call of the model; what goes wrong is told to the model.
local function run(reply, env, call)
  local handler, on_tool = env.plan.handlers[call["function"].name], env.plan.on_tool
  local name = call["function"].name
  local args, problem = arguments_of(call)
  local event = { name = name, id = call.id, arguments = args, done = false }
  env.runner = running()
  if on_tool then on_tool(event) end
  local content
  if handler == nil then
    problem = "there is no tool of this name"
  elseif args then
    local ok, value, reason = protected(handled, reply, env, handler, args, call)
    if not ok then
      problem = shown(value)
    elseif value == nil and type(reason) == "string" then
      problem = reason
    else
      content, problem = M.content(value)
      if not content then problem = "the result cannot be sent: " .. problem end
      event.result = value
    end
  end
  event.done, event.error = true, not content and problem or nil
  env.runner = running()
  if on_tool then on_tool(event) end
  env.runner = nil
  return content or core.repair("error: " .. problem)
end

-- Runs all calls of a reply in turn, and puts the results into the conversation.
local function answer_calls(reply, env)
  for _, call in ipairs(env.tool_calls) do
    local content = run(reply, env, call)
    if reply.status ~= "streaming" then return end -- it was closed meanwhile
    env.messages[#env.messages + 1] = { role = "tool", tool_call_id = call.id,
      content = content }
  end
  env.answered = true
end

-- Resumes the coroutine of tools that wait. It may also have been resumed by what a tool
-- waited for.
local function resume_job(env, ...)
  local status = coroutine.status(env.job)
  if status == "dead" then return { env.answered, "a tool's coroutine failed elsewhere" } end
  if status ~= "suspended" then return nil end -- it is at work, and has polled
  return pack(coroutine.resume(env.job, ...))
end

-- Runs the calls, as far as they go without waiting for something else: true
-- when all have been answered. `pass`: what waits may yield to whoever resumed
-- us; otherwise it has a coroutine that is resumed by every poll.
function M.advance(reply, env, pass)
  if env.running then return false end -- polled by somebody else, or by a tool
  if not pass and env.asleep and env.asleep() then return false end
  env.running = true
  local result
  if pass and passes and not env.job then
    result = pack(pcall(answer_calls, reply, env))
  else
    env.job = env.job or coroutine.create(answer_calls)
    result = resume_job(env, reply, env)
    while coroutine.status(env.job) ~= "dead" do
      if not pass or not result then
        env.running = nil
        if not env.asleep then core.remind(M.HELD) end
        return false
      end
      if env.asleep then
        reply:_pause()
        result = resume_job(env)
      else
        result = resume_job(env, coroutine.yield(unpack(result, 2, result.n)))
      end
    end
    env.job = nil
  end
  env.running = nil
  if not result[1] then -- on_tool has raised
    reply:close()
    error(result[2], 0)
  end
  return true
end

-- Whether the calls of a reply that has ended are ours to run.
function M.are_ours(reply, env)
  local handlers, calls = env.plan.handlers, env.tool_calls
  local _, verdict = reply:_is_held()
  if not handlers or not calls or verdict ~= "tool_calls" then return false end
  for _, call in ipairs(calls) do
    if handlers[call["function"].name] == false then return false end -- the caller's
  end
  return env.job or env.running or (env.round or 0) < (env.plan.max_tool_rounds or 8)
end

core.ours()

return M
