-- ask.lua - what goes beyond one request: tools that are run, structured
-- answers, parameters that a server refuses, models that stand in for another.
--
-- A reply keeps what it needs for this in its environment (reply:_env()):
--   plan        what was asked for, before it is fitted to a server: see `plan`
--   hold        true: reply.c leaves it to M.finish to end the reply well
--   models      the bot's list of models, as it was when the reply began
--   candidate   which of them is being asked
--   attempts    what the models before it answered
--   adjusted    the parameters that were left out, renamed or given another value
--   said        the text of earlier rounds of tools
--   job         the coroutine of tools that wait, while nobody else does
-- and a bot, in its own: `extra`, its part of the options below, and `adjust`,
-- what was learned of each server and model. bot:_relaunch asks again.

local core = require "chatbot.core"
local refusal = require "chatbot.refusal"
local unfenced = require("chatbot.text").unfenced

local M = {}

local unpack = table.unpack or rawget(_G, "unpack")
local running = coroutine.running

M.HELD = 0.01 -- seconds between two looks at a tool that waits

local function pack(...) return { n = select("#", ...), ... } end

local c_stream = core.chatbot._stream

-- A value as text, whatever its __tostring does.
local function shown(value)
  local ok, text = pcall(tostring, value)
  return ok and text or "an error that cannot be shown"
end

local function copy(t)
  local out = {}
  for k, v in pairs(t or {}) do out[k] = v end
  return out
end

-- ---- asking ------------------------------------------------------------------

-- What stands in a tool's function as it is sent; everything else stands beside it.
local OF_FUNCTION = { "name", "description", "parameters", "strict" }

local NAME, NAME_MAX = "^[a-zA-Z0-9_-]+$", 64

-- The tool as it is sent, and the name that the model calls it by. One of another type than
-- "function" is the service's own: it is sent as it is, and may have no name.
local function wire_tool(tool)
  local sent, own, fn = copy(tool), tool.type ~= nil and tool.type ~= "function", tool["function"]
  sent.call = nil
  if own then return sent, type(fn) == "table" and fn.name or tool.name end
  if fn ~= nil and type(fn) ~= "table" then return nil end
  sent.type, sent["function"] = "function", copy(fn)
  for _, field in ipairs(OF_FUNCTION) do
    if not fn then sent[field] = nil end
    sent["function"][field] = (fn or tool)[field]
  end
  local parameters = sent["function"].parameters
  sent["function"].parameters = parameters or { type = "object", properties = {} }
  return sent, sent["function"].name
end

-- The tools as they are sent, and what is to be called for each name: nil when
-- the caller runs them all.
local function wire_tools(tools)
  local list, handlers, any = core.array {}, {}, false
  for i, tool in ipairs(tools) do
    local sent, name
    if type(tool) == "table" then sent, name = wire_tool(tool) end
    if not sent or sent.type == "function" and type(name) ~= "string" then
      core.misuse(3, ("tool %d has no name"):format(i)) -- of chat and stream
    elseif sent.type == "function" and (#name > NAME_MAX or not name:find(NAME)) then
      core.misuse(3, ("tool %d has a name that services refuse (1 to %d letters, digits, _ and -)")
        :format(i, NAME_MAX))
    end
    if type(name) == "string" then handlers[name] = tool.call or false end
    any = any or tool.call ~= nil
    list[i] = sent
  end
  -- services refuse an empty list; one that is marked as such is meant
  local sent = (list[1] or getmetatable(tools)) and list or nil
  return sent, any and handlers or nil
end

-- What is asked for: `base`, the options of the call as they would be sent to a
-- server that takes all of them; handlers, on_tool, max_tool_rounds; structured
-- and schema; strict.
local function plan_of(bot, base, ours)
  local extra = bot:_env().extra or {}
  local plan = { base = base }
  for _, name in ipairs { "on_tool", "max_tool_rounds", "schema", "strict", "json", "tools" } do
    plan[name] = ours[name]
    if plan[name] == nil then plan[name] = extra[name] end
  end
  if plan.tools then base.tools, plan.handlers = wire_tools(plan.tools) end
  plan.structured = plan.schema ~= nil or plan.json == true
  return plan
end

local function instruction(schema)
  local text = "Answer with one JSON value and nothing else."
  local shape = schema and core.json_encode(schema, true)
  return shape and text .. " It must match this JSON Schema: " .. shape or text
end

-- response_format in the form that the provider takes, and what has to be said
-- in words because it cannot be said there. `known`: what this server refused.
local function structure(spec, schema, known)
  local schemas = spec.json_schema ~= false and known == nil
  local objects = spec.json_object ~= false and known ~= false
  if schemas and (schema or not objects) then
    local closed = schema and schema.additionalProperties == false or nil
    return { type = "json_schema", json_schema = { name = "answer", strict = closed,
      schema = schema or { type = "object" } } }
  end
  return objects and { type = "json_object" } or nil, instruction(schema)
end

-- Fields that are sent unless they are false.
local defaults = { temperature = true, stream_options = true }

-- Whether the body would have this field.
local function sends(bot, call, name, route)
  if name == "temperature" then
    if call.temperature == nil then return bot:_env().options.temperature ~= false end
    return call.temperature ~= false
  elseif name == "stream_options" then
    local stream = call.stream
    if stream == nil then stream = bot:_env().options.stream end
    return stream ~= false and call.stream_options ~= false
      and (call.stream_options ~= nil or route.spec.stream_options ~= false)
  end
  return call[name] ~= nil
end

local function key_of(route) return route.base_url .. " " .. route.model end

-- What is known of a field that a server refuses:
--   false     it is left out
--   a string  it has this name there; response_format: it is sent in this form
--   a table   { beside = field, value = v }: where that field is sent, it is v, or left out;
--             { own = true }: it is left out where its value would be a default of ours

-- Whether what is sent for the field is not the program's value, but our own.
local function is_own(bot, call, name)
  return call[name] == nil and (name ~= "temperature" or bot:_env().options[name] == nil)
end

local function applies(bot, call, name, rule)
  if rule.own then return is_own(bot, call, name) end
  return call[rule.beside] ~= nil
end

-- The call as this server is to get it: options, note, and what was changed
-- because the server is known to refuse it.
local function fit(bot, plan, route)
  local env, call, note, report = bot:_env(), copy(plan.base), nil, nil
  local known = env.adjust and env.adjust[key_of(route)] or {}
  local function tell(name, what)
    report = report or {}
    report[name] = what
  end
  local function drop(name)
    if not sends(bot, call, name, route) then return end
    call[name] = nil
    if defaults[name] then call[name] = false end -- a default of our own
    tell(name, "dropped")
  end
  for name, to in pairs(known) do -- first what has another name there
    if type(to) == "string" and name ~= "response_format" and call[name] ~= nil
      and call[to] == nil then
      call[to], call[name] = call[name], nil
      tell(name, to)
    end
  end
  for name, to in pairs(known) do
    if not to then drop(name) end
  end
  for name, rule in pairs(known) do -- last what depends on what else is sent
    if type(rule) == "table" and applies(bot, call, name, rule) then
      if rule.value == nil then
        drop(name)
      elseif call[name] ~= rule.value then
        call[name] = rule.value
        tell(name, rule.value)
      end
    end
  end
  if plan.structured and call.response_format == nil and plan.base.response_format == nil then
    local refused = known.response_format
    call.response_format, note = structure(route.spec, plan.schema, refused)
    if refused ~= nil then tell("response_format", refused or "dropped") end
  end
  return call, note, report
end

-- Asks again, at the server that is asked now or at that of another model.
local function relaunch(bot, reply, plan, model)
  local env = reply:_env()
  local route = env.route or bot:_env().route
  if model then
    local found, err = bot:_route(model)
    if not found then return nil, err end
    route = found
  end
  local call, note, adjusted = fit(bot, plan, route)
  env.adjusted = adjusted
  return bot:_relaunch(reply, call, model, note)
end

-- ---- tools -------------------------------------------------------------

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

-- `env.runner` is the coroutine that is in a tool: it cannot wait for the reply, see reply.c.
local function handled(reply, env, handler, args, call)
  env.runner = running()
  local value, reason = handler(args, call)
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
local function advance_calls(reply, env, pass)
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
local function is_ours(reply, env)
  local handlers, calls = env.plan.handlers, env.tool_calls
  local _, verdict = reply:_is_held()
  if not handlers or not calls or verdict ~= "tool_calls" then return false end
  for _, call in ipairs(calls) do
    if handlers[call["function"].name] == false then return false end -- the caller's
  end
  return env.job or env.running or (env.round or 0) < (env.plan.max_tool_rounds or 8)
end

-- ---- the end of a reply ----------------------------------------------------

-- Without the thoughts that some servers leave before an answer; the tag that opens them may
-- have been the end of the prompt.
local function without_thoughts(text)
  local first = text:match("^%s*<think>()")
  if not first and text:find("^%s*[%[{`]") then return text end
  local _, last = text:find("</think>", first or 1, true)
  return last and text:sub(last + 1) or text
end

-- The decoded answer, or nil and what is wrong; models like to put JSON between
-- ``` fences.
local function parsed(reply)
  if reply.text == "" and reply.refusal then
    return nil, "the model refused: " .. reply.refusal
  end
  local value, problem = core.json_decode(unfenced(without_thoughts(reply.text)))
  if type(value) == "table" then return value end
  if reply:_env().finish_reason == "length" then
    return nil, "the answer was cut before its JSON was complete"
  end
  if problem or value == nil then
    return nil, "the answer is not valid JSON: " .. (problem or "null")
  end
  return nil, "the answer is JSON, but neither an object nor an array"
end

local tended = setmetatable({}, { __mode = "k" }) -- replies with an on_text

---What remains to be done when a request has ended well: what poll returns.
---@param pass boolean whether tools that wait may yield to the caller
function M.finish(reply, pass)
  local env = reply:_env()
  if reply.status ~= "streaming" then return nil, "done" end
  if is_ours(reply, env) then
    if not env.job and not env.running then env.round = (env.round or 0) + 1 end
    if not advance_calls(reply, env, pass) then return nil, "wait" end
    if reply.status ~= "streaming" then return reply:_poll() end
    env.learned, env.answered = nil, nil -- what was learned did help
    if reply.text ~= "" then env.said = (env.said or "") .. reply.text end
    local ran, ok, err = pcall(relaunch, env.bot, reply, env.plan)
    if not ran then -- by a finalizer: the tools have run, and do not run twice
      reply:close()
      error(ok, 0)
    end
    if ok then return nil, "wait" end
    reply:_reject(err)
    return reply:_poll()
  end
  tended[reply] = nil
  if env.plan.structured and not env.tool_calls then
    local value, problem = parsed(reply)
    if value == nil then
      reply:_reject(problem)
      return reply:_poll()
    end
    env.parsed = value
  end
  reply:_release()
  return nil, "done"
end

---Goes on with the replies that nobody polls because they have an on_text.
---@return integer count how many there are that wait for a tool
function M.tend()
  if next(tended) == nil then return 0 end
  local count, list = 0, {}
  for reply in pairs(tended) do list[#list + 1] = reply end
  for _, reply in ipairs(list) do
    local env = reply:_env()
    if reply.status ~= "streaming" then
      tended[reply] = nil
    elseif reply:_is_held() then
      local _, state = M.finish(reply, false)
      if state == "wait" and (env.job or env.running) then count = count + 1 end
    end
  end
  return count
end

-- ---- parameters that a server refuses --------------------------------------

-- Without these there is nothing to ask, or something else is answered.
local essential = { model = true, messages = true, stream = true, tools = true,
  headers = true, response_format = true }

-- Either name is what some servers want instead of the other.
local twins = { max_tokens = "max_completion_tokens", max_completion_tokens = "max_tokens" }

-- What the program says about the calling of tools is not to be left out, unless it says nothing.
local function is_forced(name, call) return name == "tool_choice" and call[name] ~= "auto" end

-- The field that the error names, if the request had it.
local function culprit(bot, err, call, plan, route)
  local sent = {}
  for name in pairs(defaults) do sent[name] = sends(bot, call, name, route) or nil end
  for name in pairs(call) do
    if not essential[name] and not defaults[name] and not is_forced(name, call) then
      sent[name] = true
    end
  end
  if plan.structured and not plan.base.response_format and call.response_format then
    sent.response_format = true
  end
  local param = type(err.param) == "string" and err.param:match("^[%w_]+")
  if sent[param] then return param end
  local found
  for name in pairs(sent) do
    if refusal.names(err, name) and not (found and #found > #name) then found = name end
  end
  for name, twin in pairs(twins) do -- sent under the provider's name for it
    if not found and sent[name] and (err.param == twin or refusal.names(err, twin)) then
      found = name
    end
  end
  return found
end

-- Models that think can refuse tools unless they are told not to, also where the request says
-- nothing about that.
local function is_thought_beside_tools(err, call)
  return call.tools ~= nil and call.reasoning_effort ~= "none"
    and (err.param == "reasoning_effort" or refusal.names(err, "reasoning_effort"))
    and (call.reasoning_effort == nil or refusal.says(err, "tool"))
end

-- Whether the server takes temperature or top_p, but not both.
local function is_either(err, call)
  return call.top_p ~= nil and refusal.names(err, "top_p")
    and (refusal.names(err, "temperature") or refusal.says(err, "greedy"))
end

-- The field that is refused, and what is to be known of it; nil when nothing can be done.
local function remedy(bot, err, call, plan, route, known)
  if known.reasoning_effort == nil and is_thought_beside_tools(err, call) then
    return "reasoning_effort", { beside = "tools", value = "none" }
  end
  local name = culprit(bot, err, call, plan, route)
  local rule = known[name]
  if not name or rule == false then return nil end
  if type(rule) == "table" and rule.value ~= nil and plan.base[name] == nil then return nil end
  if refusal.is_bad_value(err) and name ~= "response_format" then
    if not (defaults[name] and is_own(bot, call, name)) then return nil end
    return name, { own = true }
  end
  if known.temperature == nil and is_either(err, call)
    and sends(bot, call, "temperature", route) then
    return "temperature", { beside = "top_p" }
  end
  local twin = twins[name]
  if twin and call[twin] == nil and known[twin] == nil then return name, twin end
  if name == "response_format" and call[name].type == "json_schema" then
    return name, "json_object"
  end
  return name, false
end

local function heal(bot, reply, err, plan)
  local env, renv = bot:_env(), reply:_env()
  if plan.strict or not refusal.is_one(err) then return false end
  local route, call = renv.route or env.route, renv.call or {}
  env.adjust = env.adjust or {}
  local known = env.adjust[key_of(route)] or {}
  env.adjust[key_of(route)] = known
  local name, what = remedy(bot, err, call, plan, route, known)
  renv.learned = renv.learned or {}
  if name then
    renv.learned[name] = true
    known[name] = what
    if relaunch(bot, reply, plan) then return true end
  end
  for learned in pairs(renv.learned) do known[learned] = nil end -- it did not help
  renv.learned, renv.adjusted = nil, nil
  return false
end

-- ---- models that stand in ---------------------------------------------------

local worth = { dns = true, connect = true, proxy = true, timeout = true, reset = true,
  truncated = true }
local exhausted = { insufficient_quota = true, billing_hard_limit_reached = true,
  billing_not_active = true, insufficient_balance = true, insufficient_credits = true,
  enforced_spend_limit_reached = true, no_api_key = true }

local function stands_aside(err)
  local code = tonumber(err.code) or 0 -- OpenRouter tells the status in an answer
  return err.retryable or worth[err.kind] or err.status == 402 or exhausted[err.code]
    or exhausted[err.type]
    or err.kind == "api" and (code == 402 or code == 408 or code == 429 or code >= 500)
    or false
end

local function note_attempt(attempts, err)
  attempts[#attempts + 1] = { provider = err.provider, model = err.model, kind = err.kind,
    message = err.message }
end

local function fall_back(bot, reply, err, plan)
  local env, renv = bot:_env(), reply:_env()
  local models = env.extra and env.extra.models
  if not models or models ~= renv.models then return false end -- the bot has been sent away
  note_attempt(renv.attempts, err)
  while stands_aside(err) and models[renv.candidate + 1] do
    renv.candidate = renv.candidate + 1
    renv.learned = nil
    local ok, problem = relaunch(bot, reply, plan, models[renv.candidate])
    if ok then return true end
    err = problem
    note_attempt(renv.attempts, err)
  end
  return false
end

---A reply has failed before its first text: true when it is under way again.
function M.failed(bot, reply, err)
  local renv = reply:_env()
  local plan = renv.plan
  if not plan then -- a plain call
    local extra = bot:_env().extra
    plan = { base = renv.call or {}, strict = extra and extra.strict }
    renv.plan = plan
  end
  return heal(bot, reply, err, plan) or fall_back(bot, reply, err, plan)
end

---bot:stream for a call that concerns this file.
---@param base table the options that reach the server
---@param ours table those that are dealt with here
function M.stream(bot, prompt, base, ours)
  local env = bot:_env()
  local plan = plan_of(bot, base, ours)
  local models, attempts = env.extra and env.extra.models, {}
  local candidate, reply, err, adjusted = 0, nil, nil, nil
  repeat
    candidate = candidate + 1
    local model, route = candidate > 1 and models[candidate] or nil, env.route
    if model then route, err = bot:_route(model) end
    if route then
      local call, note
      call, note, adjusted = fit(bot, plan, route)
      reply, err = c_stream(bot, prompt, call, model, note)
    end
    if not reply then note_attempt(attempts, err) end
  until reply or not (models and models[candidate + 1] and stands_aside(err))
  if not reply then return nil, err end
  local renv = reply:_env()
  renv.plan, renv.candidate, renv.adjusted = plan, candidate, adjusted
  if models then renv.models, renv.attempts = models, attempts end
  if plan.tools or plan.structured then
    renv.hold = true
    if renv.on_text then tended[reply] = true end
  end
  return reply
end

core.ours()

return M
