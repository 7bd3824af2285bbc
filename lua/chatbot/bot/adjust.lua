-- adjust.lua - parameters that a server refuses: what was learned of them, and how the next
-- request is changed for it.
--
-- A bot keeps it in its environment, `adjust`, by server and model. Of a field is known:
--   false     it is left out
--   a string  it has this name there; of a dialect's `format`: it is sent in this form
--   a table   { beside = field, value = v }: where that field is sent, it is v, or left out;
--             { own = true }: it is left out where its value would be a default of ours

local core = require "chatbot.core"
local dialects = require "chatbot.dialect.dialects"
local refusal = require "chatbot.bot.refusal"

local M = {}

local function key_of(route)
  return route.base_url .. " " .. route.model .. " " .. route.api
end

---What is known of the server and the model of this route.
function M.known(bot, route)
  local adjust = bot:_env().adjust
  return adjust and adjust[key_of(route)] or {}
end

-- Whether what is sent for the field is not the program's value, but our own.
local function is_own(bot, call, name)
  return call[name] == nil and (name ~= "temperature" or bot:_env().options[name] == nil)
end

local function applies(bot, call, name, rule)
  if rule.own then return is_own(bot, call, name) end
  return call[rule.beside] ~= nil
end

---Changes the fields of a call so that this server takes them.
---@param tell fun(name: string, what: any) is told each change
function M.apply(bot, call, route, tell)
  local dialect, known = dialects.of(route), M.known(bot, route)
  local function drop(name)
    if not dialect.sends(bot, call, name, route) then return end
    call[name] = nil
    if dialect.defaults[name] then call[name] = false end -- a default of our own
    tell(name, "dropped")
  end
  for name, to in pairs(known) do -- first what has another name there
    if type(to) == "string" and name ~= dialect.format and call[name] ~= nil
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
end

-- What the program says about the calling of tools is not to be left out, unless it says nothing.
local function is_forced(name, call) return name == "tool_choice" and call[name] ~= "auto" end

-- The field that the error names, if the request had it.
local function culprit(bot, err, call, plan, route)
  local dialect, sent = dialects.of(route), {}
  for name in pairs(dialect.defaults) do
    sent[name] = dialect.sends(bot, call, name, route) or nil
  end
  for name in pairs(call) do
    if not dialect.essential[name] and not dialect.defaults[name] and not is_forced(name, call) then
      sent[name] = true
    end
  end
  if plan.structured and not plan.base[dialect.format] and call[dialect.format] then
    sent[dialect.format] = true
  end
  local param = type(err.param) == "string" and err.param:match("^[%w_]+")
  if sent[param] then return param end
  local ours = dialect.names[err.param] or dialect.names[param]
  if sent[ours] then return ours end
  local found
  for name in pairs(sent) do
    if refusal.names(err, name) and not (found and #found > #name) then found = name end
  end
  for there, name in pairs(dialect.names) do -- a field of ours that has another name there
    if not found and sent[name] and refusal.names(err, there) then found = name end
  end
  for name, twin in pairs(dialect.twins) do -- sent under the provider's name for it
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
  local dialect = dialects.of(route)
  local name = culprit(bot, err, call, plan, route)
  local rule = known[name]
  if not name or rule == false then return nil end
  if type(rule) == "table" and rule.value ~= nil and plan.base[name] == nil then return nil end
  if refusal.is_bad_value(err) and name ~= dialect.format then
    if not (dialect.defaults[name] and is_own(bot, call, name)) then return nil end
    return name, { own = true }
  end
  if known.temperature == nil and is_either(err, call)
    and dialect.sends(bot, call, "temperature", route) then
    return "temperature", { beside = "top_p" }
  end
  local twin = dialect.twins[name]
  if twin and call[twin] == nil and known[twin] == nil then return name, twin end
  return name, name == dialect.format and dialect.weaker(call[name])
end

-- Takes out of the conversation what the server refuses to have back: thoughts that it can no
-- longer read, an answer that it keeps no longer. Whether there was such a thing.
local function forget_native(bot, route, err)
  local stored, found = refusal.is_stored(err), false
  for _, message in ipairs(bot:get_messages()) do
    local native = type(message) == "table" and rawget(message, "native")
    if type(native) == "table" and native.dialect == route.api and native.server == route.base_url
      and (not stored or native.id ~= nil) then
      message.native, found = nil, true
    end
  end
  return found
end

---Learns from a request that was refused: true when the next one is another, false when
---nothing can be done, nil when it is not the parameters that were refused.
---@return boolean?
function M.learn(bot, reply, err, plan)
  local env, renv = bot:_env(), reply:_env()
  local route, call = renv.route or env.route, plan.sent or renv.call or {}
  renv.learned = renv.learned or {}
  if (refusal.is_native(err) or refusal.is_stored(err)) and forget_native(bot, route, err) then
    return true
  end
  if plan.strict or not refusal.is_one(err) then return nil end
  env.adjust = env.adjust or {}
  local known = M.known(bot, route)
  env.adjust[key_of(route)] = known
  local name, what = remedy(bot, err, call, plan, route, known)
  if not name then return false end
  renv.learned[name] = true
  known[name] = what
  return true
end

---What was learned while this was asked did not help.
function M.forget(bot, reply)
  local renv = reply:_env()
  local known = M.known(bot, renv.route or bot:_env().route)
  for learned in pairs(renv.learned) do known[learned] = nil end
  renv.learned, renv.adjusted = nil, nil
end

core.ours()

return M
