-- How a request of Messages is read: a body becomes the common form, or a refusal in the
-- words of the service. What a body looks like is in messages/shape.lua.

local json = require "chatbot.offline.json"
local refusal = require "chatbot.offline.refusal"
local seal = require "chatbot.offline.seal"
local shapes = require "chatbot.offline.messages.shape"
local strict = require "chatbot.offline.strict"
local words = require "chatbot.offline.messages.words"

local M = {}

local list, given = json.list, json.given

local MARKS_MAX = 4

local function refused(message, ...)
  return nil, refusal.new(400, message:format(...))
end

-- Blocks, whose order is checked ---------------------------------------------

local THOUGHTS = { thinking = true, redacted_thinking = true }

-- The blocks of a message; a text alone is one.
local function blocks_of(content)
  return type(content) == "string" and { { type = "text", text = content } } or content
end

local function texts_filled(blocks, allowed_empty)
  if not blocks[1] and not allowed_empty then
    return refused("messages: all messages must have non-empty content")
  end
  for _, block in ipairs(blocks) do
    if block.type == "text" and block.text == "" then
      return refused("messages: text content blocks must be non-empty")
    elseif block.type == "text" and not block.text:find("%S") then
      return refused("messages: text content blocks must contain non-whitespace text")
    end
  end
  return true
end

-- What the message must answer: the ids of the calls in `blocks`, which come last in it.
local function calls_of(blocks, at, seen)
  local calls = {}
  for _, block in ipairs(blocks) do
    if block.type == "tool_use" then
      if seen[block.id] then return refused("messages: `tool_use` ids must be unique") end
      seen[block.id] = true
      calls[#calls + 1] = block.id
    elseif calls[1] and not THOUGHTS[block.type] then
      return refused("messages.%d: `tool_use` ids were found without `tool_result` blocks "
        .. "immediately after: %s. Each `tool_use` block must have a corresponding `tool_result` "
        .. "block in the next message.", at, table.concat(calls, ", "))
    end
  end
  return calls
end

-- The results of `calls` stand first in the blocks of the next message, and no others.
local function results_fit(blocks, at, calls)
  local open, first = {}, true
  for _, id in ipairs(calls) do open[id] = true end
  for i, block in ipairs(blocks) do
    if block.type == "tool_result" then
      local id = block.tool_use_id
      if open[id] == nil then
        return refused("messages.%d.content.%d: unexpected `tool_use_id` found in `tool_result` "
          .. "blocks: %s. Each `tool_result` block must have a corresponding `tool_use` block in "
          .. "the previous message.", at, i - 1, id)
      elseif open[id] == false then
        return refused("messages.%d.content.%d: each tool_use must have a single result. Found "
          .. "multiple `tool_result` blocks with id: %s", at, i - 1, id)
      end
      if first then open[id] = false end
    else
      first = false
    end
  end
  local missing = {}
  for _, id in ipairs(calls) do
    if open[id] then missing[#missing + 1] = id end
  end
  if not missing[1] then return true end
  return refused("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately "
    .. "after: %s. Each `tool_use` block must have a corresponding `tool_result` block in the next "
    .. "message.", at - 1, table.concat(missing, ", "))
end

local ONLY = { tool_use = "assistant", thinking = "assistant", redacted_thinking = "assistant",
  tool_result = "user", image = "user", document = "user" }

local function roles_fit(said, at)
  if said.role ~= "user" and said.role ~= "assistant" then
    local hint = said.role == "system" and ". The Messages API accepts a top-level `system` "
      .. "parameter, not \"system\" as an input message role." or ""
    return refused("messages: Unexpected role \"%s\"%s", refusal.shown(said.role),
      hint ~= "" and hint or ". Allowed roles are \"user\" or \"assistant\"")
  end
  for _, block in ipairs(said.blocks) do
    if ONLY[block.type] and ONLY[block.type] ~= said.role then
      return refused("messages.%d: `%s` blocks can only be in `%s` messages", at, block.type,
        ONLY[block.type])
    end
  end
  return true
end

-- The messages with their blocks, those of one role that are neighbours as one.
local function turns_of(body)
  local turns = {}
  for i, sent in ipairs(body.messages) do
    local said = { role = sent.role, blocks = blocks_of(sent.content), at = i - 1 }
    local ok, why = roles_fit(said, i - 1)
    if ok then ok, why = texts_filled(said.blocks) end
    if not ok then return nil, why end
    local last = turns[#turns]
    if last and last.role == said.role then
      local joined = {}
      for _, block in ipairs(last.blocks) do joined[#joined + 1] = block end
      for _, block in ipairs(said.blocks) do joined[#joined + 1] = block end
      last.blocks = joined
    else
      turns[#turns + 1] = said
    end
  end
  return turns
end

local function ordered(turns)
  if not turns[1] then return refused("messages: at least one message is required") end
  if turns[1].role ~= "user" then
    return refused("messages: first message must use the \"user\" role")
  elseif turns[#turns].role ~= "user" then
    return refused("This model does not support assistant message prefill. The conversation must "
      .. "end with a user message.")
  end
  local calls, seen = {}, {}
  for _, turn in ipairs(turns) do
    local ok, why
    if turn.role == "user" then
      ok, why = results_fit(turn.blocks, turn.at, calls)
      if not ok then return nil, why end
    else
      calls, why = calls_of(turn.blocks, turn.at, seen)
      if not calls then return nil, why end
    end
  end
  return true
end

-- Thoughts -------------------------------------------------------------------

-- All that an answer comes from, added to a sum: what thoughts are bound to.
local function add_turn(sum, turn)
  sum(turn.role)
  for _, block in ipairs(turn.blocks) do
    if block.type == "text" then
      sum(block.text)
    elseif block.type == "tool_use" then
      sum("call", block.id, block.name, json.encode(block.input))
    elseif block.type == "tool_result" then
      sum("result", block.tool_use_id)
      for _, part in ipairs(blocks_of(given(block.content) or "")) do
        sum(part.text or part.type)
      end
    elseif not THOUGHTS[block.type] then
      sum(block.type)
    end
  end
end

local function first_sum(body)
  local sum = seal.running()
  for _, block in ipairs(blocks_of(given(body.system) or "")) do sum("system", block.text) end
  for _, tool in ipairs(given(body.tools) or {}) do
    sum("tool", tool.name, given(tool.description) or "", json.encode(tool.input_schema))
  end
  return sum
end

local function thought_fits(block, bound, place)
  local hidden = block.type == "redacted_thinking"
  local text, fits = seal.open(hidden and block.data or block.signature, bound)
  if not text or not hidden and block.thinking ~= "" and block.thinking ~= text then
    return refused("%s: Invalid `%s` in `%s` block", place, hidden and "data" or "signature",
      block.type)
  elseif not fits then
    return refused("%s: `%s` blocks are bound to the system, tools and messages before them, which "
      .. "have changed. Remove the block, or send what precedes it as it was.", place, block.type)
  end
  return true
end

-- Where tools are at work, their turn begins with the thoughts that led to them.
local function thinking_kept(turns, thinking)
  local asked, answered = turns[#turns - 1], turns[#turns]
  if not asked or thinking.type ~= "enabled" or answered.blocks[1].type ~= "tool_result" then
    return true
  end
  local first = asked.blocks[1].type
  if THOUGHTS[first] then return true end
  return refused("messages.%d.content.0.type: Expected `thinking` or `redacted_thinking`, but "
    .. "found `%s`. When `thinking` is enabled, a final `assistant` message must start with a "
    .. "thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks). To "
    .. "avoid this requirement, disable `thinking`.", asked.at, first)
end

-- What the thoughts of the answer are bound to, once those that came back fit. Without
-- any the sum, which takes its time, is not made.
local function bound_of(body, turns, thinks)
  local any = thinks
  for _, turn in ipairs(turns) do
    for _, block in ipairs(turn.blocks) do any = any or THOUGHTS[block.type] end
  end
  if not any then return "" end
  local sum = first_sum(body)
  for _, turn in ipairs(turns) do
    local bound = sum()
    for i, block in ipairs(turn.blocks) do
      if THOUGHTS[block.type] then
        local ok, why = thought_fits(block, bound,
          ("messages.%d.content.%d"):format(turn.at, i - 1))
        if not ok then return nil, why end
      end
    end
    add_turn(sum, turn)
  end
  return sum()
end

local function thinking_of(body, forced)
  local thinking = given(body.thinking) or { type = "disabled" }
  if thinking.type == "disabled" then return thinking end
  if forced then
    return refused("Thinking may not be enabled when tool_choice forces tool use.")
  elseif thinking.budget_tokens and thinking.budget_tokens >= body.max_tokens then
    return refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
  elseif given(body.temperature) and body.temperature ~= 1 then
    return refused("`temperature` may only be set to 1 when thinking is enabled.")
  elseif given(body.top_k) then
    return refused("`top_k` must be unset when thinking is enabled.")
  elseif given(body.top_p) and body.top_p < 0.95 then
    return refused("`top_p` must be greater than or equal to 0.95 or unset when thinking is "
      .. "enabled.")
  end
  return thinking
end

-- The common form ------------------------------------------------------------

local function parts_of(content)
  local parts = list {}
  for i, block in ipairs(blocks_of(content)) do
    local text = block.type == "text" and block.text
    local kind = block.type == "image" and "image_url" or "file"
    parts[i] = { type = text and "text" or kind, text = text or nil }
  end
  return parts
end

local function add_user(messages, turn)
  local rest = list {}
  for _, block in ipairs(turn.blocks) do
    if block.type == "tool_result" then
      messages[#messages + 1] = { role = "tool", tool_call_id = block.tool_use_id,
        content = parts_of(given(block.content) or list {}), failed = block.is_error == true }
    else
      rest[#rest + 1] = block
    end
  end
  if rest[1] then messages[#messages + 1] = { role = "user", content = parts_of(rest) } end
end

local function add_assistant(messages, turn)
  local said = { role = "assistant", content = list {} }
  for _, block in ipairs(turn.blocks) do
    if block.type == "text" then
      table.insert(said.content, { type = "text", text = block.text })
    elseif block.type == "tool_use" then
      said.tool_calls = said.tool_calls or list {}
      table.insert(said.tool_calls, { id = block.id, ["function"] = { name = block.name } })
    end
  end
  messages[#messages + 1] = said
end

local function messages_of(body, turns)
  local messages = {}
  if given(body.system) then
    messages[1] = { role = "system", content = parts_of(body.system) }
  end
  for _, turn in ipairs(turns) do
    (turn.role == "user" and add_user or add_assistant)(messages, turn)
  end
  return messages
end

local function tools_of(body)
  local tools, names = {}, {}
  for i, tool in ipairs(given(body.tools) or {}) do
    if tool.type ~= nil and tool.type ~= "custom" then
      return refused("'%s' does not support tool types: %s.", body.model, refusal.shown(tool.type))
    elseif names[tool.name] then
      return refused("tools: Tool names must be unique.")
    end
    local wrong = tool.strict == true and strict.anthropic(tool.input_schema)
    if wrong then return refused("tools.%d.custom.input_schema: %s", i - 1, wrong) end
    names[tool.name] = true
    tools[i] = { name = tool.name, schema = tool.input_schema }
  end
  return tools, nil, names
end

local CHOICES = { auto = "auto", any = "required", none = "none" }

local function choice_of(body, tools, names)
  local choice = given(body.tool_choice)
  if not choice then return "auto" end
  if not tools[1] then
    return refused("tool_choice: `tool_choice` may only be specified while providing `tools`.")
  elseif choice.type == "tool" and not names[choice.name] then
    return refused("Tool '%s' not found in provided tools", choice.name)
  end
  return CHOICES[choice.type] or { name = choice.name }
end

-- The marks of what is to be cached, in a body.
local function marks(value)
  local count = 0
  if type(value) ~= "table" then return 0 end
  for name, member in pairs(value) do
    if name == "cache_control" and given(member) then
      count = count + 1
    elseif name ~= "input" and name ~= "input_schema" then
      count = count + marks(member)
    end
  end
  return count
end

---Whether a request's header is good enough.
---@param head any of lua-http
---@return chatbot.offline.Refusal?
function M.admit(head)
  local version = head:get("anthropic-version")
  if not version then
    return refusal.new(400, "anthropic-version: header is required")
  elseif not version:find("^%d%d%d%d%-%d%d%-%d%d$") then
    return refusal.new(400, ("anthropic-version: \"%s\" is not a valid version"):format(version))
  end
end

---A body as the common form, or nil and a refusal.
---@param body table
---@param _ any
---@param counted? boolean only its words are asked for
---@return table?
---@return chatbot.offline.Refusal?
function M.read(body, _, counted)
  local wrong = (counted and shapes.counted or shapes.body)(body)
  if wrong then return nil, words.shape(wrong) end
  local turns, why = turns_of(body)
  if not turns then return nil, why end
  local request = { messages = messages_of(body, turns) }
  local ok
  ok, why = ordered(turns)
  if not ok then return nil, why end
  if counted then return request end
  local count = marks(body)
  if count > MARKS_MAX then
    return refused("A maximum of %d blocks with cache_control may be provided. Found %d.",
      MARKS_MAX, count)
  end
  local names
  request.tools, why, names = tools_of(body)
  if why then return nil, why end
  request.choice, why = choice_of(body, request.tools, names)
  if why then return nil, why end
  local thinking
  thinking, why = thinking_of(body, request.choice ~= "auto" and request.choice ~= "none")
  if not thinking then return nil, why end
  ok, why = thinking_kept(turns, thinking)
  if not ok then return nil, why end
  request.thinks = thinking.type ~= "disabled"
  request.hidden = thinking.display == "omitted"
  request.bound, why = bound_of(body, turns, request.thinks)
  if not request.bound then return nil, why end
  local format = given((given(body.output_config) or {}).format)
  wrong = format and strict.anthropic(format.schema)
  if wrong then return refused("output_config.format.schema: %s", wrong) end
  request.schema = format and format.schema
  request.parallel = not (given(body.tool_choice) or {}).disable_parallel_tool_use
  request.limit, request.stops = body.max_tokens, given(body.stop_sequences)
  request.stream, request.model = body.stream == true, body.model
  return request
end

return M
