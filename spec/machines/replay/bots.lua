--- Bots of the module, told what a recorded request says.

local chatbot = require "chatbot"
local decode = require "spec.support.decode"
local report = require "spec.machines.replay.report"
local strict = require "spec.support.strict"

local bots = {}

local null = decode.null

-- What others call a provider of ours.
local NAMES = { llamacpp = "llamaserver", ["ollama.com"] = "ollama",
  ["<OLLAMA_API_BASE>/chat/completions"] = "ollama", ["localhost:8080"] = "llamaserver",
  copilot = "github" }
local known = {}
for _, row in ipairs(chatbot.providers()) do known[row.name] = true end

--- The provider of ours that answered a recording, or nil.
function bots.provider(one)
  local name = NAMES[one.provider] or one.provider
  return known[name] and name or nil
end

--- A decoded value as the module takes it: without nulls, empty lists as lists.
function bots.plain(value)
  if value == null then return nil end
  if type(value) ~= "table" then return value end
  local out = {}
  for key, item in pairs(value) do out[key] = bots.plain(item) end
  return decode.is_list(value) and chatbot.array(out) or out
end

--- Says what a service as strict as the one of a recording would refuse of a request. What
-- the program itself says may have fields of that service.
function bots.check(request, one)
  local problem = strict.request(request, bots.provider(one) or "strictest")
  if problem and problem:find("^no service") then problem = strict.request(request) end
  if problem and problem:find("is unknown", 1, true) then
    report.explain()
  elseif problem then
    report.differ("a strict service refuses it", "nothing", problem)
  end
end

--- A bot that speaks to a scripted server as to the service of a recording.
---@param messages? table[] its conversation
function bots.new(one, server, messages)
  return chatbot.new { base_url = server.url, api = one.dialect, provider = bots.provider(one),
    model = type(one.model) == "string" and one.model ~= "" and one.model or "m",
    api_key = "k", max_retries = 0, timeout = 20, messages = messages or {} }
end

return bots
