-- dialect/chat.lua - chat completions: what a dialect shapes once a request, in Lua. What
-- grows with the conversation or the answer is src/dialect.
--
--   tools      what a program gives, in the form of chat completions, and who runs it
--   structure  how an answer is asked for that matches a schema: the field `format`
--   fields     makes the fields of a call, as those of chat completions are, the dialect's
--   input      makes the messages, as turns.lua has fitted them, the dialect's
--   sends      whether a field would be in the body;  defaults, twins, names: of some
-- A call has beside these fields `reasoning`, `search` and `cache`, which are ours.

local core = require "chatbot.core"
local fields = require "chatbot.dialect.fields"
local reasoning = require "chatbot.dialect.reasoning"

local M = {}

local copy = fields.copy

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

-- The field in which the form of an answer is asked for.
M.format = "response_format"

-- That in the form that the provider takes, and what has to be said in words because it
-- cannot be said there. `known`: what this server refused.
function M.structure(route, schema, known)
  local spec = route.spec
  local schemas = spec.json_schema ~= false and known == nil
  local objects = spec.json_object ~= false and known ~= false
  if schemas and (schema or not objects) then
    local closed = schema and schema.additionalProperties == false or nil
    return { type = "json_schema", json_schema = { name = "answer", strict = closed,
      schema = schema or { type = "object" } } }
  end
  return objects and { type = "json_object" } or nil, instruction(schema)
end

-- The form to ask for where this one is refused, or false.
function M.weaker(format) return format.type == "json_schema" and "json_object" end

-- How much to think, as this service is told: see `reasoning` in providers.lua.
local THINK = {}

function THINK.effort(self, value)
  self.call.reasoning_effort = reasoning.effort(self, value)
end

function THINK.object(self, value) -- OpenRouter
  self.call.reasoning = type(value) == "number" and { max_tokens = value }
    or { effort = reasoning.effort(self, value) }
end

function THINK.switch(self, value)
  self.call.thinking = { type = value and "enabled" or "disabled" }
  if value then self.tell("reasoning", true) end
end

function THINK.flag(self, value) -- Qwen
  self.call.enable_thinking = value ~= false
  if value then self.call.thinking_budget = reasoning.tokens(value) end
end

function THINK.template(self, value) -- llama-server
  local given = self.call.chat_template_kwargs
  self.call.chat_template_kwargs = copy(type(given) == "table" and given)
  self.call.chat_template_kwargs.enable_thinking = value ~= false
  if type(value) == "number" then
    self.call.thinking_budget_tokens = value
  elseif value then
    self.tell("reasoning", true)
  end
end

function THINK.budget(self, value) -- Gemini
  if type(value) ~= "number" then return THINK.effort(self, value) end
  local body = copy(self.call.extra_body)
  body.google = copy(body.google)
  body.google.thinking_config = copy(body.google.thinking_config)
  body.google.thinking_config.thinking_budget = value
  self.call.extra_body = body
end

function THINK.none(self) self.tell("reasoning", "dropped") end

local function add_reasoning(self)
  local value = self.call.reasoning
  if value == nil or type(value) == "table" then return end -- the service's own
  self.call.reasoning = nil
  local way = THINK[core.rule(self.route, "reasoning") or "effort"] or THINK.effort
  if way == THINK.none and self.plan.strict then
    self.refuse(("'%s' cannot be told how much to think"):format(self.route.provider))
  end
  way(self, value)
end

local function add_search(self)
  local value, way = self.call.search, core.rule(self.route, "search")
  self.call.search = nil
  if value == nil or value == false and way ~= "always" then return end
  if way == "plugins" then
    local plugin = copy(type(value) == "table" and value or nil)
    plugin.id = plugin.id or "web"
    fields.append(self.call, "plugins", plugin)
  elseif way == "always" then
    if value == false then self.call.disable_search = true end
    for name, field in pairs(type(value) == "table" and value or {}) do
      if self.call[name] == nil then self.call[name] = field end
    end
  else
    self.refuse(("'%s' has no search of the web that chat completions can ask for%s")
      :format(self.route.provider, way and (" (api = \"%s\" has)"):format(way) or ""))
  end
end

---The fields of the body. What is ours is fitted; all others are sent as they are.
---@param self table see fields.lua
function M.fields(self)
  add_reasoning(self)
  add_search(self)
  self.lack("cache") -- a service caches by itself, or not at all
end

-- What cannot be sent: a document by its address, which OpenRouter alone takes, as its data.
M.lacks = { url = true }

-- The ids of calls: at most so many characters, of a form.
M.ids = { most = 40, form = "" }

-- The names of a body for fields of a call that have another name there.
M.names = {}

-- Fields that are sent unless they are false.
M.defaults = { temperature = true, stream_options = true }

-- Whether the body would have this field.
function M.sends(bot, call, name, route)
  if name == "temperature" then
    if call.temperature == nil then return bot:_env().options.temperature ~= false end
    return call.temperature ~= false
  elseif name == "stream_options" and route.api == "chat" then
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
  headers = true, [M.format] = true }

core.ours()

return M
