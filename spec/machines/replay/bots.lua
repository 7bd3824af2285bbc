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

--- A recorded tool as the module takes it: a function has its name, description and schema
-- together, all else beside them.
---@param schema? string where its schema stands; nil: no function
function bots.tool(tool, schema)
  local out = bots.plain(tool)
  if not schema then return out end
  local fn = { name = out.name, description = out.description, parameters = out[schema],
    strict = out.strict }
  out.name, out.description, out[schema], out.strict = nil, nil, nil, nil
  out.type, out["function"] = "function", fn
  return out
end

local function refused(request, one)
  local problem = strict.request(request, bots.provider(one) or "strictest")
  if problem and problem:find("^no service") then problem = strict.request(request) end
  return problem
end

-- Rules that are OpenAI's own: others make ids of another form and think in clear, and take
-- both back.
local OPENAI = { openai = true, azure = true }
local OWN_RULES = { "%.id: ", "no encrypted_content", "OpenAI's reasoning" }

-- Whether what a strict service refuses is right here: the program's own messages and tools
-- may have fields of one service, and what the recorded client sent was taken.
local function is_right(problem, request, one)
  if problem:find("is unknown", 1, true) or problem:find("is not allowed", 1, true) then
    return true
  end
  for _, rule in ipairs(OWN_RULES) do
    if problem:find(rule) and one.dialect == "responses" and not OPENAI[one.provider] then
      return true
    end
  end
  local recorded = refused({ method = "POST", target = request.target, body = one.request_bytes,
    body_length = #one.request_bytes, named = request.named }, one)
  return recorded ~= nil and recorded:gsub("%d", "") == problem:gsub("%d", "")
end

--- Says what a service as strict as the one of a recording would refuse of a request.
function bots.check(request, one)
  local problem = refused(request, one)
  if problem and is_right(problem, request, one) then
    report.explain("a strict service refuses what the recorded one took")
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
