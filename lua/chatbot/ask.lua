-- ask.lua - what goes beyond one request: tools that are run, structured
-- answers, parameters that a server refuses, models that stand in for another.
--
-- A reply keeps what it needs for this in its environment (reply:_env()):
--   base        the options of the call as we would send them to any server
--   handlers    tool name -> function, or false for a tool that the caller runs
--   structured  true when the answer is to be JSON
--   candidate   which of the bot's models is being asked
--   tried       what the models before it answered
--   adjusted    the parameters that were left out or renamed
-- and a bot, in its own: `extra`, the options below, and `adjust`, what was
-- learned of each provider and model. A reply is asked again by bot:_relaunch.

local core = require "chatbot.core"

local M = {}

-- Options that are dealt with here and never reach a server as they are.
local checks = {
  tools = "table",
  on_tool = "function",
  max_tool_rounds = "number",
  json = "boolean",
  schema = "table",
  strict = "boolean",
}

local c_stream = core.chatbot._stream

---Splits options into ours and the rest; raises on a wrong type.
---@param options table
---@return table rest, table? ours
function M.split(options)
  local rest, ours = {}, nil
  for name, value in pairs(options) do
    local expected = checks[name]
    if not expected then
      rest[name] = value
    else
      if type(value) ~= expected then
        error(("option '%s' must be a %s"):format(name, expected), 3)
      end
      ours = ours or {}
      ours[name] = value
    end
  end
  return rest, ours
end

---Whether a call with these options needs anything from here.
function M.concerns(bot, opts)
  local env = core.chatbot._env(bot) -- raises when it is no bot
  if env.extra or env.adjust then return true end
  for name in pairs(type(opts) == "table" and opts or {}) do
    if checks[name] then return true end
  end
  return false
end

local function copy(t)
  local out = {}
  for k, v in pairs(t or {}) do out[k] = v end
  return out
end

-- ---- tools -------------------------------------------------------------

-- The tools as they are sent, and what is to be called for each name.
local function wire_tools(tools)
  local list, handlers = core.array {}, {}
  for i, tool in ipairs(tools) do
    local fn = type(tool) == "table" and (tool["function"] or tool)
    if type(fn) ~= "table" or type(fn.name) ~= "string" then
      error(("tool %d has no name"):format(i), 4)
    end
    handlers[fn.name] = tool.call or false
    list[i] = {
      type = "function",
      ["function"] = {
        name = fn.name,
        description = fn.description,
        parameters = fn.parameters or { type = "object", properties = {} },
        strict = fn.strict,
      },
    }
  end
  return list, handlers
end

-- PUC Lua 5.1 cannot yield through pcall: there the call runs in a coroutine
-- of its own, whose yields are passed on.
local protected = pcall
if _VERSION == "Lua 5.1" and not jit then
  local unpack = unpack
  protected = function(fn, ...)
    local thread = coroutine.create(fn)
    local values = { coroutine.resume(thread, ...) }
    while coroutine.status(thread) == "suspended" do
      values = { coroutine.resume(thread, coroutine.yield(unpack(values, 2))) }
    end
    return unpack(values)
  end
end

local function as_content(value)
  if type(value) == "string" then return value end
  local text, problem = core.json_encode(value)
  return text or ("error: the result cannot be sent: " .. problem)
end

-- Runs one call of the model; what goes wrong is told to the model.
local function run(call, handler, on_tool)
  local name = call["function"].name
  local args, problem = core.json_decode(call["function"].arguments)
  if type(args) ~= "table" then
    args = nil
    problem = "the arguments are not a JSON object" .. (problem and ": " .. problem or "")
  end
  local event = { name = name, id = call.id, arguments = args }
  if on_tool then on_tool(event) end
  local ok, value
  if handler == nil then
    ok, value = false, "there is no tool of this name"
  elseif not args then
    ok, value = false, problem
  else
    ok, value = protected(handler, args, call)
  end
  event.result, event.error = ok and value or nil, not ok and tostring(value) or nil
  event.done = true
  if on_tool then on_tool(event) end
  return ok and as_content(value) or "error: " .. tostring(value)
end

-- Runs the calls of a reply that ended with some, and asks on. True when the
-- reply is under way again.
local function continue(reply)
  local env = reply:_env()
  local handlers, calls = env.handlers, reply.tool_calls
  if not handlers or not calls or reply.status ~= "tool_calls" then return false end
  for _, call in ipairs(calls) do
    if handlers[call["function"].name] == false then return false end -- the caller's
  end
  local round = (env.round or 0) + 1
  if round > (env.max_tool_rounds or 8) then return false end
  env.round = round
  local messages = env.messages
  for _, call in ipairs(calls) do
    local content = run(call, handlers[call["function"].name], env.on_tool)
    messages[#messages + 1] = { role = "tool", tool_call_id = call.id, content = content }
  end
  local ok, err = env.bot:_relaunch(reply, env.call)
  if not ok then reply:_reject(err) end
  return true
end

-- ---- structured answers --------------------------------------------------

-- The form of response_format that the provider takes.
local function response_format(spec, schema)
  if schema and spec.json_schema ~= false or spec.json_object == false then
    return {
      type = "json_schema",
      json_schema = { name = "answer", strict = schema and true or nil,
        schema = schema or { type = "object" } },
    }
  end
  return { type = "json_object" }
end

-- Decodes the answer; models like to put it between ``` fences.
local function parse(reply)
  local env = reply:_env()
  local text = reply.text:match("^%s*```%w*%s*(.-)%s*```%s*$") or reply.text
  local value, problem = core.json_decode(text)
  if value == nil then
    reply:_reject("the answer is not valid JSON: " .. (problem or "null"))
  else
    env.parsed = value
  end
end

---What remains to be done when a reply has ended well: `nil, state` as poll.
function M.finish(reply)
  local env = reply:_env()
  if env.handlers and continue(reply) then
    if reply.status == "streaming" then return nil, "wait" end
    return nil, env.err
  end
  if env.structured and env.parsed == nil and reply.status ~= "tool_calls" then
    parse(reply)
    if env.parsed == nil then return nil, env.err end
  end
  return nil, "done"
end

-- ---- parameters that a server refuses --------------------------------------

-- Without these there is nothing to ask.
local essential = { model = true, messages = true, stream = true, tools = true }

-- Either name is what some servers want instead of the other.
local twins = { max_tokens = "max_completion_tokens", max_completion_tokens = "max_tokens" }

-- The field that the error names, if the request had it.
local function culprit(err, call)
  local sent = { temperature = call.temperature ~= false or nil,
    stream_options = call.stream_options ~= false or nil }
  for name in pairs(call) do
    if not essential[name] then sent[name] = true end
  end
  if sent[err.param] then return err.param end
  local message, found = err.message or "", nil
  for name in pairs(sent) do
    local named = message:find("%f[%w_]" .. name:gsub("%p", "%%%0") .. "%f[^%w_]")
    if named and call[name] ~= false and not (found and #found > #name) then found = name end
  end
  for name, twin in pairs(twins) do -- sent under the provider's name for it
    if not found and sent[name] and message:find(twin, 1, true) then found = name end
  end
  return found
end

local function place(env, provider, model)
  env.adjust = env.adjust or {}
  local key = tostring(provider) .. ":" .. tostring(model)
  env.adjust[key] = env.adjust[key] or {}
  return env.adjust[key]
end

-- The call without what this server is known to refuse, and a report of that.
local function adjust(env, base, provider, model)
  local known = env.adjust and env.adjust[tostring(provider) .. ":" .. tostring(model)]
  if not known then return base, nil end
  local call, report = copy(base), nil
  for name, to in pairs(known) do
    report = report or {}
    report[name] = to or "dropped"
    if to then
      call[to], call[name] = call[name], nil
    elseif name == "temperature" or name == "stream_options" then
      call[name] = false
    else
      call[name] = nil
    end
  end
  return call, report
end

local function heal(bot, reply, err)
  local env, renv = bot:_env(), reply:_env()
  if env.extra and env.extra.strict or (err.status ~= 400 and err.status ~= 422) then
    return false
  end
  local name = culprit(err, renv.call or {})
  local known = place(env, renv.provider, renv.asked_model)
  if not name or known[name] ~= nil then return false end
  local twin = twins[name]
  local renamed = twin and (err.message or ""):find(twin, 1, true) and
    not (renv.call or {})[twin]
  known[name] = renamed and twin or false
  local call
  call, renv.adjusted = adjust(env, renv.base or renv.call or {}, renv.provider,
    renv.asked_model)
  return (bot:_relaunch(reply, call))
end

-- ---- models that stand in ---------------------------------------------------

local worth = { dns = true, connect = true, proxy = true, timeout = true, reset = true,
  truncated = true }
local exhausted = { insufficient_quota = true, billing_hard_limit_reached = true,
  billing_not_active = true, insufficient_balance = true, insufficient_credits = true }

local function stands_aside(err)
  return err.retryable or worth[err.kind] or err.code == "no_api_key" or err.status == 402
    or exhausted[err.code] or exhausted[err.type] or false
end

local function note(tried, err)
  tried[#tried + 1] = { provider = err.provider, model = err.model, kind = err.kind,
    message = err.message }
end

local function fall_back(bot, reply, err)
  local env, renv = bot:_env(), reply:_env()
  local models = env.extra and env.extra.models
  if not models then return false end
  renv.tried = renv.tried or {}
  local base = renv.base or renv.call
  while stands_aside(err) and models[(renv.candidate or 1) + 1] do
    note(renv.tried, err)
    renv.candidate = (renv.candidate or 1) + 1
    local ok, problem = bot:_relaunch(reply, base, models[renv.candidate])
    if ok then return true end
    err = problem
  end
  return false
end

---A reply has failed before its first text: true when it is under way again.
function M.failed(bot, reply, err)
  return heal(bot, reply, err) or fall_back(bot, reply, err)
end

-- ---- asking -------------------------------------------------------------------

-- The options of the call, with the bot's, as they would be sent to any server.
local function plan(bot, opts)
  local extra = bot:_env().extra or {}
  local base, ours = M.split(opts or {})
  ours = ours or {}
  local function option(name)
    if ours[name] ~= nil then return ours[name] end
    return extra[name]
  end
  local handlers
  if option("tools") then base.tools, handlers = wire_tools(option("tools")) end
  local schema = option("schema")
  local structured = schema ~= nil or option("json") == true
  if structured and base.response_format == nil then
    base.response_format = response_format(bot:_env().route.spec, schema)
  end
  return base, { handlers = handlers, structured = structured or nil,
    on_tool = option("on_tool"), max_tool_rounds = option("max_tool_rounds") }
end

---bot:stream for a call that concerns this file.
function M.stream(bot, prompt, opts)
  local env = bot:_env()
  local base, keep = plan(bot, opts)
  local models, tried = env.extra and env.extra.models, {}
  local call, adjusted = adjust(env, base, env.route.provider, env.route.model)
  local reply, err = c_stream(bot, prompt, call)
  local candidate = 1
  while not reply and models and models[candidate + 1] and stands_aside(err) do
    note(tried, err)
    candidate = candidate + 1
    adjusted = nil
    reply, err = c_stream(bot, prompt, base, models[candidate])
  end
  if not reply then return nil, err end
  local renv = reply:_env()
  for name, value in pairs(keep) do renv[name] = value end
  renv.base, renv.adjusted, renv.candidate = base, adjusted, candidate
  if models then renv.tried = tried end
  return reply
end

return M
