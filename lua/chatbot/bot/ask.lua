-- ask.lua - what goes beyond one request: tools that are run, structured
-- answers, parameters that a server refuses, models that stand in for another.
--
-- A reply keeps what it needs for this in its environment (reply:_env()):
--   plan        what was asked for, before it is fitted to a server: see `plan_of`
--   hold        true: the reply is left to M.finish to be ended well
--   adjusted    the parameters that were left out, renamed or given another value
--   said        the text of earlier rounds of tools
-- and more in tools.lua, adjust.lua and fallback.lua; a bot, in its own, `extra`, its part
-- of the options below. bot:_relaunch asks again.

local adjust = require "chatbot.bot.adjust"
local chat = require "chatbot.dialect.chat"
local core = require "chatbot.core"
local dialects = require "chatbot.dialect.dialects"
local fields = require "chatbot.dialect.fields"
local fallback = require "chatbot.bot.fallback"
local structured = require "chatbot.bot.structured"
local tools = require "chatbot.bot.tools"

local M = { HELD = tools.HELD, content = tools.content }

local c_stream = core.chatbot._stream

-- ---- asking ------------------------------------------------------------------

-- What is asked for: `base`, the options of the call as they would be sent to a
-- server that takes all of them; handlers, on_tool, max_tool_rounds; structured
-- and schema; strict.
local function plan_of(bot, base, ours)
  local extra = bot:_env().extra or {}
  local plan = { base = base }
  for _, name in ipairs { "on_tool", "max_tool_rounds", "schema", "strict", "json", "tools",
    "reasoning", "search", "cache" } do
    plan[name] = ours[name]
    if plan[name] == nil then plan[name] = extra[name] end
  end
  if plan.tools then base.tools, plan.handlers = chat.tools(plan.tools) end
  for _, name in ipairs { "reasoning", "search", "cache" } do base[name] = plan[name] end
  plan.structured = plan.schema ~= nil or plan.json == true
  return plan
end

-- The route in the dialect that this call is for: what the program says, or else the one that
-- has what the call uses. `model` is nil for that of the bot.
local function spoken(bot, plan, route, model)
  local api = plan.base.api or route.said and route.api or dialects.wanted(route, plan.base)
  if api == route.api then return route end
  return bot:_route(model, api)
end

-- The call as this server is to get it: options, note, and what was changed because the
-- server is known to refuse it, or has no such thing; or nil and an error.
local function fit(bot, plan, route)
  local dialect = dialects.of(route)
  local format = dialect.format
  local call, note, report = {}, nil, nil
  for name, value in pairs(plan.base) do call[name] = value end
  local function tell(name, what)
    report = report or {}
    report[name] = what
  end
  adjust.apply(bot, call, route, tell)
  if plan.structured and call[format] == nil and plan.base[format] == nil then
    local refused = adjust.known(bot, route)[format]
    call[format], note = dialect.structure(route, plan.schema, refused)
    if refused ~= nil then tell(format, refused or "dropped") end
  end
  plan.sent = fields.copy(call)
  local ok, problem = pcall(dialect.fields, fields.context(call, route, plan, tell,
    bot:_env().options.temperature))
  if not ok then
    if type(problem) ~= "table" or not problem.config then error(problem, 0) end
    local err = core.failure("config", problem.config)
    err.provider, err.model = route.provider, route.model
    return nil, err
  end
  call.api, call.strict = route.api, plan.strict
  return call, note, report
end

-- Asks again, at the server that is asked now or at that of another model.
local function relaunch(bot, reply, plan, model, resumed)
  local env = reply:_env()
  local route = env.route or bot:_env().route
  if model then
    local found, err = bot:_route(model)
    if found then found, err = spoken(bot, plan, found, model) end
    if not found then return nil, err end
    route = found
  end
  local call, note, adjusted = fit(bot, plan, route)
  if not call then return nil, note end
  env.adjusted = adjusted
  return bot:_relaunch(reply, call, model, note, resumed)
end

-- ---- the end of a reply ----------------------------------------------------

local tended = setmetatable({}, { __mode = "k" }) -- replies with an on_text

-- Asks again, for the next round or for the rest of an answer: what poll returns.
local function go_on(reply, env, resumed)
  env.learned = nil -- what was learned did help
  local ran, ok, err = pcall(relaunch, env.bot, reply, env.plan, nil, resumed)
  if not ran then -- by a finalizer: the tools have run, and do not run twice
    reply:close()
    error(ok, 0)
  end
  if ok then return nil, "wait" end
  reply:_reject(err)
  return reply:_poll()
end

-- Whether the service has interrupted a long turn of its own tools, to be asked for the rest.
local function has_paused(env)
  return env.paused and not env.tool_calls
    and (env.round or 0) < (env.plan.max_tool_rounds or 8)
end

---What remains to be done when a request has ended well: what poll returns.
---@param pass boolean whether tools that wait may yield to the caller
function M.finish(reply, pass)
  local env = reply:_env()
  if reply.status ~= "streaming" then return nil, "done" end
  if tools.are_ours(reply, env) then
    if not env.job and not env.running then env.round = (env.round or 0) + 1 end
    if not tools.advance(reply, env, pass) then return nil, "wait" end
    if reply.status ~= "streaming" then return reply:_poll() end
    env.answered, env.first_part = nil, nil
    if reply.text ~= "" then env.said = (env.said or "") .. reply.text end
    return go_on(reply, env)
  elseif has_paused(env) then
    env.round, env.first_part = (env.round or 0) + 1, env.message
    return go_on(reply, env, true)
  end
  tended[reply] = nil
  if env.plan.structured and not env.tool_calls then
    local value, problem = structured.parsed(reply)
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

local function heal(bot, reply, err, plan)
  local learned = adjust.learn(bot, reply, err, plan)
  if learned == nil then return false end
  if learned and relaunch(bot, reply, plan) then return true end
  adjust.forget(bot, reply)
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
  return heal(bot, reply, err, plan) or fallback.next(bot, reply, err, function(model)
    return relaunch(bot, reply, plan, model)
  end)
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
      route, err = spoken(bot, plan, route, model)
    end
    if route then
      local call, note
      call, note, adjusted = fit(bot, plan, route)
      if call then
        reply, err = c_stream(bot, prompt, call, model, note)
      else
        err = note
      end
    end
    if not reply then fallback.note(attempts, err) end
  until reply or not (models and models[candidate + 1] and fallback.stands_aside(err))
  if not reply then return nil, err end
  local renv = reply:_env()
  renv.plan, renv.candidate, renv.adjusted = plan, candidate, adjusted
  if models then renv.models, renv.attempts = models, attempts end
  if plan.tools or plan.structured or reply.api == "messages" then
    renv.hold = true
    if renv.on_text then tended[reply] = true end
  end
  return reply
end

core.ours()

return M
