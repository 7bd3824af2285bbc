--- What the strictest service would refuse of a request for a chat completion.
--
-- Each rule is one that some service has: a request that keeps them all is taken by
-- everyone. What only some services want or take stands in `chat.services`.

local root = (...):match("^(.-)strict%.")
local rules = require(root .. "strict.rules")

local chat = {}

local null, is_list, is_object = rules.null, rules.is_list, rules.is_object
local refuse, no_other_fields = rules.refuse, rules.no_other_fields


-- What differs from service to service ---------------------------------------

-- id       the pattern of the id of a call
-- message  further fields of an assistant message; call: of a call
-- beside   fields that must stand beside calls
local REASONING = { message = { reasoning_content = true } }
local NEEDED = { message = { reasoning_content = true }, beside = { "reasoning_content" } }
chat.services = {
  strictest = {}, openai = {}, anthropic = {},
  mistral = { id = "^" .. ("%w"):rep(9) .. "$" },
  deepseek = NEEDED, moonshot = NEEDED,
  xai = REASONING, zai = REASONING, ollama = REASONING, llamaserver = REASONING,
  openrouter = { message = { reasoning = true, reasoning_details = true } },
  gemini = { message = { extra_content = true }, call = { extra_content = true } },
}

local FIELDS = {
  system = { role = true, content = true, name = true },
  developer = { role = true, content = true, name = true },
  user = { role = true, content = true, name = true },
  assistant = { role = true, content = true, name = true, tool_calls = true },
  tool = { role = true, content = true, tool_call_id = true },
}
local CALL_FIELDS = { id = true, type = true, ["function"] = true }
local FUNCTION_FIELDS = { name = true, arguments = true }

local ID_MAX = 40


-- Tools ----------------------------------------------------------------------------

local function check_tool(tool, where)
  if not is_object(tool) then refuse(where, "a tool must be an object") end
  if type(tool.type) ~= "string" then refuse(where, "a tool must have a type") end
  if tool.type ~= "function" then return end
  local fn = tool["function"]
  if not is_object(fn) then refuse(where, "no function") end
  rules.name(fn.name, where .. ".function")
  if fn.parameters ~= nil then
    rules.schema(fn.parameters, where .. ".function.parameters")
  end
end

local function check_format(format)
  if format == nil then return end
  local where = "response_format"
  if not is_object(format) then refuse(where, "must be an object") end
  if format.type ~= "json_schema" then return end
  if not is_object(format.json_schema) then refuse(where, "no json_schema") end
  rules.name(format.json_schema.name, where .. ".json_schema")
  if format.json_schema.schema ~= nil then
    rules.schema(format.json_schema.schema, where .. ".json_schema.schema")
  end
end


-- Messages -----------------------------------------------------------------------

local function has_text(content)
  if type(content) == "string" then return content:find("%S") ~= nil end
  return is_list(content) and #content > 0
end

local function check_parts(content, where)
  for i, part in ipairs(content) do
    local at = ("%s.content[%d]"):format(where, i)
    if not is_object(part) or type(part.type) ~= "string" then
      refuse(at, "a part must be an object with a type")
    end
    if part.type == "text" and type(part.text) ~= "string" then
      refuse(at, "a text part without text")
    end
  end
end

local function check_content(message, where)
  local content = message.content
  if is_list(content) then return check_parts(content, where) end
  if type(content) ~= "string" and not (message.role == "assistant" and content == null) then
    refuse(where, "the content is neither text nor a list of parts")
  end
end

-- `ids` are those of the conversation so far.
local function check_call(call, where, ids, service)
  if not is_object(call) then refuse(where, "a call must be an object") end
  no_other_fields(call, where, CALL_FIELDS, service.call)
  local id, fn = call.id, call["function"]
  rules.new_id(id, where, ids, ID_MAX)
  if service.id and not id:find(service.id) then
    refuse(where, "the id '%s' is not what this service wants", id)
  end
  if call.type ~= "function" then refuse(where, "the type of a call must be 'function'") end
  if not is_object(fn) then refuse(where, "a call without a function") end
  no_other_fields(fn, where .. ".function", FUNCTION_FIELDS)
  rules.name(fn.name, where .. ".function")
  rules.arguments(fn.arguments, where .. ".function")
end

local function check_assistant(message, where, ids, service)
  if message.content == nil then refuse(where, "no content") end
  if message.tool_calls == nil then
    if not has_text(message.content) then
      refuse(where, "an assistant message without text or calls")
    end
    return {}
  end
  if not is_list(message.tool_calls) or #message.tool_calls == 0 then
    refuse(where, "tool_calls must be a list with a call in it")
  end
  local open = {}
  for i, call in ipairs(message.tool_calls) do
    check_call(call, ("%s.tool_calls[%d]"):format(where, i), ids, service)
    open[call.id] = true
  end
  for _, name in ipairs(service.beside or {}) do
    if message[name] == nil then refuse(where, "no %s beside calls", name) end
  end
  return open
end

local function check_message(message, where, service)
  if not is_object(message) then refuse(where, "a message must be an object") end
  local allowed = FIELDS[message.role]
  if not allowed then refuse(where, "the role %s is unknown", tostring(message.role)) end
  no_other_fields(message, where, allowed,
    message.role == "assistant" and service.message or nil)
  if message.content == nil then refuse(where, "no content") end
  check_content(message, where)
end

local function check_messages(messages, service)
  if not is_list(messages) or #messages == 0 then
    refuse("messages", "must be a list with a message in it")
  end
  local ids, open = {}, {} -- of all calls; of those that still want a result
  for i, message in ipairs(messages) do
    local where = ("messages[%d]"):format(i)
    check_message(message, where, service)
    if message.role == "tool" then
      local id = message.tool_call_id
      if type(id) ~= "string" or not open[id] then
        refuse(where, "a result without a call before it: '%s'", tostring(id))
      end
      open[id] = nil
    else
      if next(open) then
        refuse(where, "the call '%s' has no result directly behind it", next(open))
      end
      if message.role == "assistant" then
        open = check_assistant(message, where, ids, service)
      end
    end
  end
  if next(open) then refuse("messages", "the call '%s' has no result", next(open)) end
end

--- Raises what is wrong with a body.
---@param body any decoded
---@param service table one of chat.services
function chat.check(body, service)
  if not is_object(body) then refuse("body", "must be an object") end
  if body.model ~= nil and (type(body.model) ~= "string" or body.model == "") then
    refuse("body", "the model is no name")
  end
  check_messages(body.messages, service)
  if body.tools ~= nil then
    rules.list(body.tools, "tools")
    for i, tool in ipairs(body.tools) do check_tool(tool, ("tools[%d]"):format(i)) end
  end
  check_format(body.response_format)
end

return chat
