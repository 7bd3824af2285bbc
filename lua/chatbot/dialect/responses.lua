-- dialect/responses.lua - OpenAI's Responses, see chat.lua for what each function is.
--
-- Nothing of a conversation is kept by the service unless the program says `store = true`:
-- then only what is new is sent, behind the id of the answer before.

local chat = require "chatbot.dialect.chat"
local core = require "chatbot.core"
local fields = require "chatbot.dialect.fields"
local reasoning = require "chatbot.dialect.reasoning"
local schemas = require "chatbot.dialect.schemas"

local M = { tools = chat.tools, format = chat.format,
  weaker = chat.weaker, twins = {} }

-- Fields that chat completions alone have. A model that is usually asked here is asked there
-- when the program uses one of them.
M.chat_only = { "stop", "seed", "n", "logit_bias", "presence_penalty", "frequency_penalty",
  "modalities", "audio", "prediction", "functions", "function_call" }


-- Fields -----------------------------------------------------------------------

-- A function has all in one table here. Without `strict` the service would make each argument a
-- required one, also where the schema says otherwise.
local function flat(tool)
  if tool.strict == nil then
    tool.strict = tool.parameters ~= nil and schemas.is_strict(tool.parameters)
  end
  return tool
end

local function add_tools(call)
  fields.fit_tools(call, flat)
  local name = fields.choice_of(call.tool_choice)
  if name then call.tool_choice = { type = "function", name = name } end
end

-- A field of the object at call[outer], which may be the program's own.
local function set(call, outer, name, value)
  call[outer] = fields.copy(type(call[outer]) == "table" and call[outer] or nil)
  if call[outer][name] == nil then call[outer][name] = value end
end

local function add_text(call)
  local format, kind = fields.schema_of(call.response_format)
  if format then
    format.type, format.strict = "json_schema", format.strict or false
    set(call, "text", "format", format)
  elseif kind then
    set(call, "text", "format", { type = kind })
  end
  call.response_format = nil
  if call.verbosity ~= nil then set(call, "text", "verbosity", call.verbosity) end
  call.verbosity = nil
end

local function add_reasoning(self)
  local call, value = self.call, self.call.reasoning
  if type(value) == "table" or value == nil and call.reasoning_effort == nil then
    call.reasoning = value
  elseif core.rule(self.route, "reasoning") == "none" then
    self.lack("reasoning", "is nothing that this model does")
    call.reasoning = nil
  else
    call.reasoning = nil
    local effort = call.reasoning_effort
    if effort == nil then effort = reasoning.effort(self, value) end
    set(call, "reasoning", "effort", effort)
    if effort ~= "none" then set(call, "reasoning", "summary", "auto") end
  end
  call.reasoning_effort = nil
end

local function include(call, what)
  for _, name in ipairs(call.include or {}) do
    if name == what then return end
  end
  fields.append(call, "include", what)
end

---@param self table see fields.lua
function M.fields(self)
  local call = self.call
  for _, name in ipairs(M.chat_only) do self.lack(name) end
  self.lack("cache", "is not needed: the service caches by itself")
  fields.rename(call, "max_completion_tokens", "max_output_tokens")
  fields.rename(call, "max_tokens", "max_output_tokens")
  add_tools(call)
  add_text(call)
  add_reasoning(self)
  fields.add_search(self, { type = "web_search" })
  if call.logprobs or call.top_logprobs then
    include(call, "message.output_text.logprobs")
    call.top_logprobs = call.top_logprobs or 0
  end
  call.logprobs = nil
  if type(call.stream_options) == "table" then
    call.stream_options = fields.copy(call.stream_options)
    call.stream_options.include_usage = nil -- it always comes
    if next(call.stream_options) == nil then call.stream_options = nil end
  end
  if call.store == nil then call.store = false end
  local thinks = core.rule(self.route, "reasoning") ~= "none"
  if not call.store and thinks then include(call, "reasoning.encrypted_content") end
end


-- Items ------------------------------------------------------------------------

local PARTS = {}

function PARTS.text(part) return { type = "input_text", text = part.text } end

function PARTS.image_url(part)
  local url, detail = fields.image_of(part)
  return { type = "input_image", image_url = url, detail = detail or "auto" }
end

function PARTS.file(part)
  local out = fields.copy(type(part.file) == "table" and part.file or nil)
  out.type = "input_file"
  if out.file_url then out.filename = nil end -- it has the name of the URL
  return out
end

function PARTS.input_audio(part)
  return { type = "input_audio", input_audio = part.input_audio }
end

-- The content of a message: a text, or the parts of it. One of a kind that is not known is
-- the program's, in the service's form.
local function content_of(content)
  if type(content) ~= "table" then return content end
  local parts = core.array {}
  for i, part in ipairs(content) do
    local fit = type(part) == "table" and PARTS[part.type]
    parts[i] = fit and fit(part) or part
  end
  return parts
end

local function text_item(text) return { type = "message", role = "assistant", content = text } end

local function call_item(id, name, arguments)
  return { type = "function_call", call_id = id, name = name, arguments = arguments }
end

local ITEMS = {}

function ITEMS.assistant(items, message)
  fields.add_answer(items, message, text_item, call_item)
end

function ITEMS.tool(items, message)
  items[#items + 1] = { call_id = message.tool_call_id, output = content_of(message.content),
    type = message.custom and "custom_tool_call_output" or "function_call_output" }
end

-- A text is an item as it is, if it has nothing beside it that is unknown here.
local function add_other(items, message)
  items[#items + 1] = fields.is_plain(message) and message
    or { role = message.role, content = content_of(message.content) }
end

-- The message behind the last answer that the service keeps with all that went before it, and
-- the id of that; and the hash of all.
local function stored(messages, first)
  local place, id, before = first, nil, core.hash()
  for i = first, #messages do
    local message = messages[i]
    if message.stored and message.before == before then place, id = i + 1, message.stored end
    before = fields.chain(before, message)
  end
  return place, id, before
end

---@param messages chatbot.Message[] as turns.lua has fitted them
---@param note? string goes with the system's text
---@param call table of the request
---@return table items
---@return string? instructions
---@return string? before what is sent, as a hash, where the service keeps it
function M.input(messages, _, note, call)
  local items, before = core.array {}, nil
  local instructions, first = fields.head(messages, note)
  if call.store == true and call.previous_response_id == nil and call.conversation == nil then
    first, call.previous_response_id, before = stored(messages, first)
  end
  for i = first, #messages do
    local message = messages[i]
    local add = ITEMS[message.role] or add_other
    add(items, message)
  end
  return items, instructions, before
end


---As in chat.lua; each service has both forms here.
function M.structure(_, schema, known)
  return chat.structure({ spec = {} }, schema, known)
end


-- What else is to be known -----------------------------------------------------

M.lacks = {}

M.ids = { most = 64, form = "" }

M.defaults = { temperature = true }

M.sends = chat.sends

-- What a field is called in a body, for what an error says.
M.names = { max_output_tokens = "max_tokens", text = "response_format",
  ["text.format"] = "response_format", ["reasoning.effort"] = "reasoning",
  ["reasoning.summary"] = "reasoning", ["text.verbosity"] = "verbosity" }

M.essential = { model = true, input = true, stream = true, tools = true, headers = true,
  api = true, store = true, include = true, [M.format] = true }

core.ours()

return M
