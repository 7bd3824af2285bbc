-- methods.lua - methods of a bot that are about its conversation and its server, and
-- that are loaded when they are first called.

local core = require "chatbot.core"

local M = {}

-- The first one raises when this is no bot.
local env_of, busy, get = core.chatbot._env, core.chatbot._busy, core.chatbot._get

-- The place for the result of a call: behind those of the same message. Nil and why not.
local function place_for(messages, id)
  for i = #messages, 1, -1 do
    local calls = messages[i].tool_calls
    for _, call in ipairs(type(calls) == "table" and calls or {}) do
      if call.id == id then
        local place = i + 1
        while messages[place] and messages[place].role == "tool" do
          if messages[place].tool_call_id == id then return nil, "has been answered" end
          place = place + 1
        end
        return place
      end
    end
  end
  return nil, "is not in the conversation"
end

---Answers a call of a tool that the caller runs; then bot:chat() goes on.
---@param id string of a call that has no result yet
---@param value any a string as it is, anything else as JSON
---@return chatbot.Chatbot?
---@return chatbot.Error? err busy
function M:tool_result(id, value)
  env_of(self)
  if type(id) ~= "string" then core.misuse(2, "string expected, got " .. type(id)) end
  local free, err = busy(self)
  if not free then return nil, err end
  local content, problem = require("chatbot.bot.ask").content(value)
  if not content then core.misuse(3, "the result cannot be sent: " .. problem) end
  local messages = self:get_messages()
  local place, why = place_for(messages, id)
  if not place then core.misuse(2, ("the call '%s' %s"):format(id, why)) end
  table.insert(messages, place, { role = "tool", tool_call_id = id, content = content })
  return self
end

---A bot of its own with the same settings and a copy of the conversation.
---@return chatbot.Chatbot
function M:fork()
  local bot = core.chatbot._clone(self)
  for server, learned in pairs(env_of(self).adjust or {}) do
    local env = bot:_env()
    env.adjust = env.adjust or {}
    env.adjust[server] = {}
    for name, to in pairs(learned) do env.adjust[server][name] = to end
  end
  return bot
end

---Takes the last exchange (a prompt and all that answers it) out again.
---@return chatbot.Message[]? messages that were taken out, nil when there was none
---@return chatbot.Error? err busy
function M:undo()
  local free, err = busy(self)
  if not free then return nil, err end
  local messages, removed = self:get_messages(), nil
  for i = #messages, 1, -1 do
    if messages[i].role == "user" then
      removed = {}
      for k = i, #messages do removed[#removed + 1] = messages[k] end
      for k = #messages, i, -1 do messages[k] = nil end
      break
    end
  end
  return removed
end

---What the servers counted for this bot so far.
---@return { prompt_tokens: integer, completion_tokens: integer, total_tokens: integer }
function M:get_usage()
  local totals = env_of(self).totals
  return { prompt_tokens = totals.prompt_tokens or 0,
    completion_tokens = totals.completion_tokens or 0,
    total_tokens = totals.total_tokens or 0 }
end

-- The name of a model in a list of them: services write an object with an id, Ollama one
-- with a name, some a text, and Gemini what stands in its URLs.
local function name_of(model)
  if type(model) == "table" then model = model.id or model.name end
  return type(model) == "string" and model:gsub("^models/", "") or nil
end

-- The names in what a server has answered, nil when it is no list of models. An empty list
-- may be null.
local function names_in(answer)
  local list = answer.data or answer.models or answer.object == "list" and {} or answer
  if type(list) ~= "table" then return nil end
  local names = {}
  for place, model in pairs(list) do
    if type(place) == "number" then names[#names + 1] = name_of(model) end
  end
  table.sort(names)
  if not names[1] and (list == answer or next(list) ~= nil) then return nil end
  return names
end

---The names of the models that the server has.
---@async
---@param opts? table timeouts
---@return string[]?
---@return chatbot.Error?
function M:models(opts)
  local reply, err = get(self, "/models", opts)
  if not reply then return nil, err end
  local answer
  answer, err = reply:result()
  if not answer then return nil, err end
  local names = names_in(answer)
  if names then return names end
  local route = reply:_env().route
  err = core.failure("protocol", "the answer is no list of models")
  err.provider, err.model = route.provider, route.model
  return nil, err
end

core.ours()

return M
