--- What the strictest service would refuse of a request for a chat completion.
--
-- The scripted server asks this file of every POST to .../chat/completions; what it
-- refuses fails the test, see "strict" in init.lua. Each rule is one that some service
-- has: a request that keeps them all is taken by everyone. What only some services want
-- or take stands in `strict.services`. Pure; knows bodies, no sockets and no module.

local decode = require(... == "strict" and "decode" or "spec.support.decode")

local strict = {}

local null, is_list, is_object = decode.null, decode.is_list, decode.is_object


-- What differs from service to service ---------------------------------------

-- id       the pattern of the id of a call
-- message  further fields of an assistant message; call: of a call
-- beside   fields that must stand beside calls
local REASONING = { message = { reasoning_content = true } }
local NEEDED = { message = { reasoning_content = true }, beside = { "reasoning_content" } }
strict.services = {
  strictest = {},
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
local NAME = "^[%w_-]+$"
local NAME_MAX = 64


-- Reporting --------------------------------------------------------------------

local function refuse(where, what, ...)
  error({ problem = where .. ": " .. what:format(...) }, 0)
end

local function no_other_fields(value, where, allowed, more)
  for name in pairs(value) do
    if not allowed[name] and not (more and more[name]) then
      refuse(where, "the field '%s' is unknown", name)
    end
  end
end

local function check_name(name, where)
  if type(name) ~= "string" or not name:find(NAME) or #name > NAME_MAX then
    refuse(where, "the name %s does not match ^[a-zA-Z0-9_-]{1,64}$", tostring(name))
  end
end


-- Schemas ------------------------------------------------------------------------

local check_schema

local function check_map(map, where)
  if not is_object(map) then refuse(where, "must be an object") end
  for name, schema in pairs(map) do check_schema(schema, where .. "." .. name) end
end

local function check_list(list, where)
  if not is_list(list) then refuse(where, "must be a list") end
end

local function check_schemas(list, where)
  check_list(list, where)
  for i, schema in ipairs(list) do check_schema(schema, ("%s[%d]"):format(where, i)) end
end

local KEYWORDS = {
  required = check_list, enum = check_list, examples = check_list,
  anyOf = check_schemas, oneOf = check_schemas, allOf = check_schemas,
  prefixItems = check_schemas,
  properties = check_map, patternProperties = check_map, dependentSchemas = check_map,
  definitions = check_map, ["$defs"] = check_map,
}
for _, name in ipairs { "items", "contains", "additionalProperties", "propertyNames", "not",
  "if", "then", "else", "unevaluatedItems", "unevaluatedProperties" } do
  KEYWORDS[name] = function(schema, where) check_schema(schema, where) end
end

function check_schema(schema, where)
  if type(schema) == "boolean" then return end
  if not is_object(schema) then refuse(where, "a schema must be an object") end
  for name, value in pairs(schema) do
    if KEYWORDS[name] then KEYWORDS[name](value, where .. "." .. name) end
  end
end

local function check_tool(tool, where)
  if not is_object(tool) then refuse(where, "a tool must be an object") end
  if type(tool.type) ~= "string" then refuse(where, "a tool must have a type") end
  if tool.type ~= "function" then return end
  local fn = tool["function"]
  if not is_object(fn) then refuse(where, "no function") end
  check_name(fn.name, where .. ".function")
  if fn.parameters ~= nil then
    check_schema(fn.parameters, where .. ".function.parameters")
  end
end

local function check_format(format)
  if format == nil then return end
  local where = "response_format"
  if not is_object(format) then refuse(where, "must be an object") end
  if format.type ~= "json_schema" then return end
  if not is_object(format.json_schema) then refuse(where, "no json_schema") end
  check_name(format.json_schema.name, where .. ".json_schema")
  if format.json_schema.schema ~= nil then
    check_schema(format.json_schema.schema, where .. ".json_schema.schema")
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
  if type(id) ~= "string" or id == "" then refuse(where, "a call without an id") end
  if #id > ID_MAX then refuse(where, "the id '%s' has more than %d characters", id, ID_MAX) end
  if service.id and not id:find(service.id) then
    refuse(where, "the id '%s' is not what this service wants", id)
  end
  if ids[id] then refuse(where, "the id '%s' twice", id) end
  ids[id] = true
  if call.type ~= "function" then refuse(where, "the type of a call must be 'function'") end
  if not is_object(fn) then refuse(where, "a call without a function") end
  no_other_fields(fn, where .. ".function", FUNCTION_FIELDS)
  check_name(fn.name, where .. ".function")
  local arguments = type(fn.arguments) == "string" and decode.json(fn.arguments)
  if not is_object(arguments) or arguments == null then
    refuse(where .. ".function", "the arguments are no JSON object")
  end
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

local function check_body(body, service)
  if not is_object(body) then refuse("body", "must be an object") end
  if body.model ~= nil and (type(body.model) ~= "string" or body.model == "") then
    refuse("body", "the model is no name")
  end
  check_messages(body.messages, service)
  if body.tools ~= nil then
    check_list(body.tools, "tools")
    for i, tool in ipairs(body.tools) do check_tool(tool, ("tools[%d]"):format(i)) end
  end
  check_format(body.response_format)
end

--- What is wrong with a body, or nil.
---@param text string
---@param name? string of `strict.services`, default "strictest"
---@return string? problem
function strict.body(text, name)
  local service = strict.services[name or "strictest"]
  if not service then return "no service '" .. tostring(name) .. "' in spec/support/strict.lua" end
  -- lua5.4, in the server, has the function; the suite may be any other
  local utf8_len = rawget(_G, "utf8") and rawget(_G, "utf8").len
  if utf8_len and not utf8_len(text) then return "body: not UTF-8" end
  local body, problem = decode.json(text)
  if problem then return "body: " .. problem end
  local ok, refused = pcall(check_body, body, service)
  if ok then return nil end
  if type(refused) ~= "table" then error(refused, 0) end
  return refused.problem
end

--- What is wrong with a request that a server has read, or nil.
---@param request {method: string, target: string, body: string, body_length: integer}
---@param name? string as above
---@return string? problem
function strict.request(request, name)
  if request.method ~= "POST" or request.body_length > #request.body
    or not request.target:gsub("%?.*", ""):find("/chat/completions$") then
    return nil
  end
  return strict.body(request.body, name)
end

return strict
