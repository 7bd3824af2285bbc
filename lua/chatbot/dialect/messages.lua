-- dialect/messages.lua - Anthropic's Messages, see chat.lua for what each function is.

local chat = require "chatbot.dialect.chat"
local core = require "chatbot.core"
local fields = require "chatbot.dialect.fields"
local reasoning = require "chatbot.dialect.reasoning"
local schemas = require "chatbot.dialect.schemas"

local M = { tools = chat.tools, format = chat.format, twins = {} }

local MAX_OUTPUT = 4096 -- tokens that every model may say
local LEAST_BUDGET = 1024 -- of thinking
local EFFORTS = { "low", "medium", "high", "max" }

-- A tool that is called instead of answering in words; a program has hardly one of this name.
M.ANSWER = "answer_in_this_form"


-- Fields -----------------------------------------------------------------------

local NO_ARGUMENTS = { type = "object", properties = {} }

-- What a tool of Responses takes that any text can be given to.
local ANY_TEXT = { type = "object", properties = { input = { type = "string" } },
  required = { "input" } }

local function flat(tool)
  tool.type = nil
  tool.input_schema, tool.parameters = tool.parameters or NO_ARGUMENTS, nil
  tool.strict = tool.strict or nil
  return tool
end

local function own(tool)
  if tool.type ~= "custom" or tool.input_schema ~= nil then return tool end
  return { name = tool.name, description = tool.description, input_schema = ANY_TEXT }
end

local WORDS = { auto = "auto", none = "none", required = "any" }

local function add_tools(call)
  fields.fit_tools(call, flat, own)
  local name, word = fields.choice_of(call.tool_choice)
  if name then
    call.tool_choice = { type = "tool", name = name }
  elseif WORDS[word] then
    call.tool_choice = { type = WORDS[word] }
  end
  if call.parallel_tool_calls == false and call.tools then
    local choice = fields.copy(call.tool_choice or { type = "auto" })
    choice.disable_parallel_tool_use = true
    call.tool_choice = choice
  end
  call.parallel_tool_calls = nil
end

-- The form of the answer: where the model takes none, and for JSON of any form, a tool is to be
-- called with the answer, which src/dialect/messages_content.c makes text of.
local function add_format(self)
  local call = self.call
  local format, kind = fields.schema_of(call.response_format)
  call.response_format = nil
  if kind == "json_object" then format = { schema = { type = "object" } } end
  if not format then return end
  if kind == nil and core.rule(self.route, "schema") then
    call.output_config = fields.copy(call.output_config)
    call.output_config.format = { type = "json_schema", schema = schemas.closed(format.schema) }
    return
  end
  call.answer_tool = M.ANSWER
  call.tool_choice = call.tools and { type = "any" } or { type = "tool", name = M.ANSWER }
  fields.append(call, "tools", { name = M.ANSWER, input_schema = format.schema,
    description = format.description or "Gives the answer; to be called once, instead of text." })
end

local function budget(self, value)
  local call = self.call
  local want, most = reasoning.tokens(value), call.max_tokens - 1
  if most < LEAST_BUDGET then return self.lack("reasoning", "has no room in max_tokens") end
  local tokens = math.max(LEAST_BUDGET, math.min(want, most))
  if tokens ~= want then self.tell("reasoning", tokens) end
  call.thinking = { type = "enabled", budget_tokens = tokens }
end

local function adaptive(self, value)
  local effort = reasoning.effort(self, value, EFFORTS)
  self.call.thinking = { type = "adaptive", display = "summarized" }
  self.call.output_config = fields.copy(self.call.output_config)
  self.call.output_config.effort = effort
end

-- What steers the choice of tokens: not where the model thinks, not at all in later ones, and
-- either of two. Our own default goes without a word.
local function add_steering(self)
  local call = self.call
  local thinks = call.thinking and call.thinking.type ~= "disabled"
  local fixed = core.rule(self.route, "fixed")
  if thinks or fixed then
    local why = fixed and "cannot be set for this model" or "cannot be set where the model thinks"
    self.lack("temperature", why)
    self.lack("top_k", why)
    if fixed or type(call.top_p) == "number" and call.top_p < 0.95 then self.lack("top_p", why) end
    call.temperature = false
  elseif call.top_p ~= nil then
    self.lack("temperature", "does not go with top_p")
    call.temperature = false
  end
end

local function add_reasoning(self)
  local call, value = self.call, self.call.reasoning
  if value == nil then value = call.reasoning_effort end
  if value == "none" then value = false elseif value == "xhigh" then value = "max" end
  call.reasoning_effort = nil
  if type(value) == "table" then
    call.thinking = value
  elseif value == false then
    call.thinking = { type = "disabled" }
  elseif value ~= nil then
    local way, choice = core.rule(self.route, "thinking"), call.tool_choice
    local forced = type(choice) == "table" and (choice.type == "any" or choice.type == "tool")
    if way == "none" then
      self.lack("reasoning", "is nothing that this model does")
    elseif forced then
      self.lack("reasoning", "does not go with a tool that must be called")
    elseif way == "adaptive" then
      adaptive(self, value)
    else
      budget(self, value)
    end
  end
  call.reasoning = nil
end

local function add_maximum(self)
  local call = self.call
  fields.rename(call, "max_completion_tokens", "max_tokens")
  if call.max_tokens == nil then
    call.max_tokens = core.rule(self.route, "max_output") or MAX_OUTPUT
  end
end

local function marked(block)
  local copy = fields.copy(block)
  copy.cache_control = { type = "ephemeral" }
  return copy
end

local LACKS = { "seed", "n", "logit_bias", "presence_penalty", "frequency_penalty", "logprobs",
  "top_logprobs", "verbosity", "store", "modalities", "audio", "prediction" }

---@param self table see fields.lua
function M.fields(self)
  local call = self.call
  for _, name in ipairs(LACKS) do self.lack(name) end
  call.stream_options = nil -- usage always comes
  add_maximum(self)
  if call.stop ~= nil then
    call.stop_sequences = type(call.stop) == "table" and call.stop or { call.stop }
    call.stop = nil
  end
  if call.user ~= nil then
    call.metadata = call.metadata or { user_id = call.user }
    call.user = nil
  end
  add_tools(call)
  add_format(self)
  fields.add_search(self, { type = "web_search_20250305", name = "web_search" })
  add_reasoning(self)
  add_steering(self)
  if call.cache and call.tools and call.tools[1] then
    call.tools[#call.tools] = marked(call.tools[#call.tools])
  end
  if not call.cache then call.cache = nil end
end


-- Blocks -----------------------------------------------------------------------

local function source_of(url)
  local kind, data = url:match("^data:([^;,]*);base64,(.*)$")
  if kind then return { type = "base64", media_type = kind, data = data } end
  return { type = "url", url = url }
end

local PARTS = {}

function PARTS.text(part)
  local text = part.text
  if type(text) ~= "string" or not text:find("%S") then return nil end
  return { type = "text", text = text }
end

function PARTS.image_url(part)
  local url = fields.image_of(part)
  return type(url) == "string" and { type = "image", source = source_of(url) } or part
end

function PARTS.file(part)
  local file = type(part.file) == "table" and part.file or {}
  local url = file.file_data or file.file_url
  if type(url) ~= "string" then return part end
  return { type = "document", source = source_of(url), title = file.filename }
end

-- Appends the blocks of a message's content.
local function add_blocks(blocks, content)
  if type(content) ~= "table" then content = { { type = "text", text = content } } end
  for _, part in ipairs(content) do
    local kind = type(part) == "table" and part.type
    if PARTS[kind] then part = PARTS[kind](part) end
    blocks[#blocks + 1] = part
  end
end

-- The text or the blocks of a result.
local function result_of(message)
  local content = message.content
  if type(content) == "table" then
    content = core.array {}
    add_blocks(content, message.content)
  end
  return { type = "tool_result", tool_use_id = message.tool_call_id, content = content }
end

-- A message with blocks, so that others of its role can join it: the one before, if it is.
local function open(items, role)
  local last = items[#items]
  if not last or last.role ~= role then
    last = { role = role, content = core.array {} }
    items[#items + 1] = last
  elseif type(last.content) == "string" then
    last = { role = role, content = core.array { { type = "text", text = last.content } } }
    items[#items] = last
  end
  return last.content
end

local function text_block(text) return { type = "text", text = text } end

local function call_block(id, name, arguments)
  return { type = "tool_use", id = id, name = name, input = core.raw(arguments) }
end

-- Whether a turn of tools goes on without the thoughts that began it: they are another
-- service's, or of an answer that was changed.
local function is_foreign_turn(messages)
  local i = #messages
  while i > 0 and messages[i].role == "tool" do i = i - 1 end
  local last = messages[i]
  return i < #messages and last and last.role == "assistant" and not last.native
end

local function mark_last(items)
  local last = items[#items]
  if not last then return end
  local blocks = core.array {}
  if type(last.content) == "string" then
    blocks[1] = { type = "text", text = last.content }
  else
    for i, block in ipairs(last.content) do blocks[i] = block end
  end
  local i = #blocks
  if i > 0 and getmetatable(blocks[i]) == nil then blocks[i] = marked(blocks[i]) end
  items[#items] = { role = last.role, content = blocks }
end

---@param messages chatbot.Message[] as turns.lua has fitted them
---@param note? string goes with the system's text
---@param call table of the request
---@return table items
---@return any system
---@return string? before what was sent, as a hash
function M.input(messages, _, note, call)
  local items = core.array {}
  local system, first = fields.head(messages, note)
  local before = core.hash(system, call.tools)
  for i = first, #messages do
    local message = messages[i]
    local role = message.role
    if role == "assistant" then
      if message.before ~= before then message.native = nil end
      fields.add_answer(open(items, "assistant"), message, text_block, call_block)
    elseif role == "tool" then
      local blocks = open(items, "user")
      blocks[#blocks + 1] = result_of(message)
    elseif role == "user" and fields.is_plain(message)
      and not (items[1] and items[#items].role == "user") then
      items[#items + 1] = message
    else -- the system in mid-conversation is a text of the user here
      add_blocks(open(items, "user"), message.content)
      if not items[#items].content[1] then items[#items] = nil end -- it says nothing
    end
    before = fields.chain(before, message)
  end
  if items[1] and items[1].role == "assistant" then
    table.insert(items, 1, { role = "user", content = "Begin." })
  end
  if call.thinking and call.thinking.type == "enabled" and is_foreign_turn(messages) then
    call.thinking = nil
  end
  if call.cache then
    call.cache = nil
    mark_last(items)
    system = system and core.array { marked { type = "text", text = system } }
  end
  return items, system, before
end


-- The form of an answer --------------------------------------------------------

---As in chat.lua. What a tool is called with is always an object.
function M.structure(route, schema, known)
  local object = not schema or schema.type == "object"
  local takes = known == nil and (object or core.rule(route, "schema") ~= nil)
  return chat.structure({ spec = { json_schema = takes and schema ~= nil, json_object = takes } },
    schema)
end

function M.weaker() return false end


-- What else is to be known -----------------------------------------------------

M.lacks = { audio = true }

M.ids = { most = 64, form = "^[%w_-]+$" }

M.defaults = { temperature = true }

M.sends = chat.sends

M.names = { stop_sequences = "stop", output_config = "response_format",
  ["output_config.format"] = "response_format", ["output_config.effort"] = "reasoning",
  thinking = "reasoning" }

M.essential = { model = true, messages = true, stream = true, tools = true, headers = true,
  api = true, max_tokens = true, [M.format] = true }

core.ours()

return M
