-- dialect/chat.lua - chat completions: what a dialect shapes once a request, in Lua. What
-- grows with the conversation or the answer is src/dialect.
--
--   tools      what a program gives, as it is sent
--   structure  how an answer is asked for that matches a schema
--   sends      whether a field would be in the body;  defaults, twins: what to know of some

local core = require "chatbot.core"

local M = {}

local function copy(t)
  local out = {}
  for k, v in pairs(t or {}) do out[k] = v end
  return out
end

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
function M.tools(tools)
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

local function instruction(schema)
  local text = "Answer with one JSON value and nothing else."
  local shape = schema and core.json_encode(schema, true)
  return shape and text .. " It must match this JSON Schema: " .. shape or text
end

-- response_format in the form that the provider takes, and what has to be said
-- in words because it cannot be said there. `known`: what this server refused.
function M.structure(spec, schema, known)
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
M.defaults = { temperature = true, stream_options = true }

-- Whether the body would have this field.
function M.sends(bot, call, name, route)
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

-- Either name is what some servers want instead of the other.
M.twins = { max_tokens = "max_completion_tokens", max_completion_tokens = "max_tokens" }

-- Without these there is nothing to ask, or something else is answered.
M.essential = { model = true, messages = true, stream = true, tools = true,
  headers = true, response_format = true }

core.ours()

return M
