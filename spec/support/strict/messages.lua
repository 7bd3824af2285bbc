--- What the strictest service would refuse of a request of the Messages API.
--
-- Each rule names where it is from: Anthropic's SDK (anthropic-sdk-python, types), its
-- documentation by page, its answers (recorded or quoted by others), vercel/ai
-- (packages/anthropic). A request that keeps them all is taken by all; what is another
-- service's alone stands in `messages.services`.

local root = (...):match("^(.-)strict%.")
local rules = require(root .. "strict.rules")

local messages = {}

local given, refuse, set = rules.given, rules.refuse, rules.set
local is_list, is_object = rules.is_list, rules.is_object

-- key      it must be there
-- version  whether the header must be there
-- open     models of any name, no max_tokens, thinking without a signature
messages.services = {
  strictest = { version = true },
  anthropic = { version = true, key = true },
  -- llama.cpp tools/server/server-chat.cpp: max_tokens has a default, signature is ""
  llamaserver = { open = true },
}


-- Models -------------------------------------------------------------------------------

-- Family and version of a model: "opus", 4.7. Nil for what is no claude.
local function generation(model)
  local name = tostring(model):lower():match("claude%-(.*)")
  if not name then return nil end
  local major, minor, family = name:match("^(%d)[-.](%d)%-(%l+)") -- claude-3-5-sonnet
  if not major then major, family = name:match("^(%d)%-(%l+)") end
  if not major then
    family, major, minor = name:match("^(%l+)%-(%d+)[-.](%d%d?)%f[^%d]")
    if not family then family, major = name:match("^(%l+)%-(%d+)") end
  end
  if not major then return "claude", 2 end
  return family, tonumber(major .. "." .. (minor or 0))
end

-- vercel/ai anthropic-language-model.ts: the maxima
local function most_tokens(family, version)
  if not family then return 2 ^ 31 end
  if version < 3.5 then return 4096 end
  if version < 3.7 then return 8192 end
  if version >= 4.6 then return 128000 end
  if family == "opus" and version < 4.5 then return 32000 end
  return 64000
end


-- Caching ------------------------------------------------------------------------------

-- Documentation, "Prompt caching": at most four, a longer life before a shorter one
local function check_cache(value, where, state)
  rules.fields(value, where, { type = rules.words "ephemeral", ttl = rules.words "5m 1h" })
  if value.type ~= "ephemeral" then refuse(where, "no type") end
  state.marks = state.marks + 1
  if state.marks > 4 then refuse(where, "a fifth cache_control") end
  local long = value.ttl == "1h"
  if long and state.short then refuse(where, "1h behind 5m") end
  state.short = state.short or not long
end

local function marked(value, where, state)
  if given(value.cache_control) ~= nil then
    check_cache(value.cache_control, where .. ".cache_control", state)
  end
end


-- Blocks -------------------------------------------------------------------------------

-- its answer "text content blocks must contain non-whitespace text"
local function some_text(value, where) rules.some_text(value, where) end

local IMAGE_TYPES = rules.words "image/jpeg image/png image/gif image/webp"

local function base64(value, where)
  if type(value) ~= "string" or not value:find("^[%w+/]+=*$") or #value % 4 ~= 0 then
    refuse(where, "no base64")
  end
end

local function url(value, where)
  if type(value) ~= "string" or not value:find("^https?://.") then refuse(where, "no URL") end
end

-- Source type -> its fields. SDK Base64ImageSourceParam, URLImageSourceParam, ...
local IMAGE = {
  base64 = { type = true, media_type = IMAGE_TYPES, data = base64 },
  url = { type = true, url = url }, file = { type = true, file_id = rules.some_text },
}
local DOCUMENT = {
  base64 = { type = true, media_type = rules.words "application/pdf", data = base64 },
  url = { type = true, url = url }, file = { type = true, file_id = rules.some_text },
  text = { type = true, media_type = rules.words "text/plain", data = rules.some_text },
  content = { type = true, content = true },
}

local function source(sources)
  return function(value, where)
    rules.object(value, where)
    local fields = sources[value.type]
    if not fields then refuse(where, "the type %s is unknown", tostring(value.type)) end
    rules.fields(value, where, fields)
    for name in pairs(fields) do
      if given(value[name]) == nil then refuse(where, "no %s", name) end
    end
  end
end

local function citations_wish(value, where)
  rules.fields(value, where, { enabled = rules.boolean })
end

local CITATIONS = set [[char_location page_location content_block_location
  web_search_result_location search_result_location]]

local function citations(list, where) -- SDK TextCitationParam
  rules.list(list, where)
  for i, one in ipairs(list) do
    local at = ("%s[%d]"):format(where, i)
    rules.object(one, at)
    rules.one_of(one.type, at .. ".type", CITATIONS)
  end
end

-- SDK ToolUseBlockParam; its answer "String should match pattern '^[a-zA-Z0-9_-]+$'"
local function tool_id(value, where)
  if type(value) ~= "string" or not value:find("^[%w_-]+$") then
    refuse(where, "the id %s does not match ^[a-zA-Z0-9_-]+$", tostring(value))
  end
end

local check_result_content

-- Block type -> its fields, as the SDK has them (types/*_block_param.py).
local BLOCKS = {
  text = { type = true, text = some_text, cache_control = true, citations = citations },
  image = { type = true, source = source(IMAGE), cache_control = true },
  document = { type = true, source = source(DOCUMENT), title = rules.text,
    context = rules.text, citations = citations_wish, cache_control = true },
  search_result = { type = true, source = rules.text, title = rules.text,
    content = rules.list, citations = citations_wish, cache_control = true },
  tool_use = { type = true, id = tool_id, name = rules.name, input = rules.object,
    cache_control = true, caller = rules.object },
  tool_result = { type = true, tool_use_id = tool_id, is_error = rules.boolean,
    content = function(...) return check_result_content(...) end, cache_control = true },
  -- documentation, "Prompt caching": thinking blocks cannot be marked
  thinking = { type = true, thinking = rules.text, signature = rules.text },
  redacted_thinking = { type = true, data = rules.some_text },
}
local REQUIRED = {
  text = { "text" }, image = { "source" }, document = { "source" },
  tool_use = { "id", "name", "input" }, tool_result = { "tool_use_id" },
  thinking = { "thinking", "signature" }, redacted_thinking = { "data" },
}

-- SDK ContentBlockParam, by what the service takes from whom
local ROLE_BLOCKS = {
  user = set "text image document search_result tool_result container_upload",
  assistant = set "text thinking redacted_thinking tool_use server_tool_use compaction",
}
local RESULT_BLOCKS = set "text image document search_result tool_reference"

local function is_hosted(kind)
  return kind == "server_tool_use" or kind == "mcp_tool_use"
    or kind ~= "tool_result" and kind:find("_tool_result$") ~= nil
end

local function check_block(block, where, allowed, hosted)
  rules.object(block, where)
  if type(block.type) ~= "string" then refuse(where, "a block without a type") end
  if hosted and is_hosted(block.type) then return end
  rules.one_of(block.type, where .. ".type", allowed)
  if not BLOCKS[block.type] then return end
  rules.fields(block, where, BLOCKS[block.type])
  for _, name in ipairs(REQUIRED[block.type] or {}) do
    if given(block[name]) == nil then refuse(where, "no %s", name) end
  end
end

function check_result_content(content, where)
  if type(content) == "string" then return end
  rules.list(content, where)
  for i, block in ipairs(content) do
    check_block(block, ("%s[%d]"):format(where, i), RESULT_BLOCKS)
  end
end


-- Thinking: what was issued --------------------------------------------------------------

local function is_thinking(block)
  return block.type == "thinking" or block.type == "redacted_thinking"
end

local NOT_CONTENT = { cache_control = true, citations = true }

local function as_blocks(content)
  return type(content) == "string" and { { type = "text", text = content } } or content
end

local add_flat

-- A block without its marks, its content as blocks.
local function plain(block, role)
  local copy = { role = role }
  for name, value in pairs(block) do
    if not NOT_CONTENT[name] then copy[name] = value end
  end
  if block.type == "tool_result" then
    copy.content = {}
    add_flat(copy.content, given(block.content) or "", role)
  end
  return copy
end

-- Adds the blocks of a content to a list, without thinking, texts one behind the other as one.
function add_flat(out, content, role, upto)
  for b, block in ipairs(as_blocks(content)) do
    if b == upto then return end
    local last = out[#out]
    if block.type == "text" and last and last.type == "text" and last.role == role then
      last.text = last.text .. block.text
    elseif not is_thinking(block) then
      out[#out + 1] = plain(block, role)
    end
  end
end

-- The conversation as a flat list of blocks: what a block is bound to. Stops before block
-- `upto` of the last message.
local function flat(list, count, upto)
  local out = {}
  for m = 1, count do
    add_flat(out, list[m].content, list[m].role, m == count and upto or nil)
  end
  return out
end

local function unmarked(list)
  local out = {}
  for i, item in ipairs(type(list) == "table" and list or {}) do
    local copy = {}
    for name, value in pairs(item) do
      if name ~= "cache_control" then copy[name] = value end
    end
    out[i] = copy
  end
  return out
end

-- The answer that has this block, and which of its thinking blocks it is.
local function find_issued(issued, block)
  for answer in issued:each("messages") do
    local place = 0
    for at, other in ipairs(answer.blocks) do
      if is_thinking(other) then place = place + 1 end
      if other.type == block.type and other.data == block.data
        and other.thinking == block.thinking
        and (other.signature or "") == (block.signature or "") then
        return answer, place, at
      end
    end
  end
end

local function count_thinking(blocks)
  local count = 0
  for _, block in ipairs(blocks) do if is_thinking(block) then count = count + 1 end end
  return count
end

-- Documentation, "Preserved thinking": a block is bound to all that stands before it
local function check_prefix(answer, m, first, where, state)
  local old = answer.request
  if not rules.same(unmarked(as_blocks(old.system)), unmarked(as_blocks(state.body.system))) then
    refuse(where, "thinking behind another system text")
  end
  if not rules.same(unmarked(old.tools), unmarked(state.body.tools)) then
    refuse(where, "thinking behind other tools")
  end
  if not rules.same(flat(old.messages, #old.messages), flat(state.body.messages, m, first)) then
    refuse(where, "thinking behind an edited conversation")
  end
end

-- Documentation, "Extended thinking": complete, in order, unmodified. All thinking of an
-- assistant message is this server's, and of each answer all of it.
local function check_issued(content, m, where, state)
  if not state.issued then return end
  local seen, last = {}, nil
  for b, block in ipairs(content) do
    if is_thinking(block) then
      local at = ("%s.content[%d]"):format(where, b)
      local answer, place, own = find_issued(state.issued, block)
      if not answer then refuse(at, "thinking that this server has not issued so") end
      if place ~= (seen[answer] or 0) + 1 then refuse(at, "thinking in another order") end
      seen[answer], last = place, answer
      if place == 1 and own == 1 then check_prefix(answer, m, b, at, state) end
    end
  end
  for answer, count in pairs(seen) do
    if count ~= count_thinking(answer.blocks) then
      refuse(where, "some of the thinking of %s is missing", tostring(answer.id or last.id))
    end
  end
end

-- The answer in which this server has issued this call.
local function issued_call(issued, id)
  for answer in issued:each("messages") do
    for _, block in ipairs(answer.blocks) do
      if block.type == "tool_use" and block.id == id then return answer end
    end
  end
end


-- Messages ---------------------------------------------------------------------------------

-- Where thinking may stand: at the head, behind thinking, behind hosted tools.
-- Documentation, "Extended thinking": an assistant message begins with it
local function check_order(content, where)
  local before, called
  for i, block in ipairs(content) do
    local at = ("%s.content[%d]"):format(where, i)
    if is_thinking(block) then
      if before and not (is_thinking(before) or is_hosted(before.type)) then
        refuse(at, "thinking behind other content")
      end
    elseif called and block.type ~= "tool_use" then
      -- vercel/ai convert-to-anthropic-prompt.ts: tool_use comes last
      refuse(at, "%s behind tool_use", block.type)
    end
    called = called or block.type == "tool_use"
    before = block
  end
end

local function check_assistant(message, m, where, state)
  local open = {}
  if type(message.content) == "string" then return open end
  check_order(message.content, where)
  check_issued(message.content, m, where, state)
  for i, block in ipairs(message.content) do
    local at = ("%s.content[%d]"):format(where, i)
    if block.type == "thinking" and not state.service.open then
      some_text(block.signature, at .. ".signature") -- its answer: "Invalid signature"
    elseif block.type == "tool_use" then
      -- its answer "`tool_use` ids must be unique"
      rules.new_id(block.id, at, state.ids, 64)
      open[block.id] = true
    end
  end
  return open
end

-- its answers "tool_use ids were found without tool_result blocks immediately after",
-- "unexpected tool_use_id found in tool_result blocks"; documentation, "Tool use": results
-- come first in the message
local function check_results(message, where, open)
  local other = false
  for i, block in ipairs(type(message.content) == "string" and {} or message.content) do
    local at = ("%s.content[%d]"):format(where, i)
    if block.type ~= "tool_result" then
      other = true
    elseif not open[block.tool_use_id] then
      refuse(at, "a result without a call before it: '%s'", tostring(block.tool_use_id))
    else
      if other then refuse(at, "a result behind other content") end
      open[block.tool_use_id] = nil
    end
  end
  if next(open) then
    refuse(where, "the call '%s' has no result directly behind it", (next(open)))
  end
end

local MESSAGE = set "role content" -- SDK MessageParam

local function check_content(message, where, state)
  if type(message.content) == "string" then return some_text(message.content, where) end
  if not is_list(message.content) or #message.content == 0 then
    refuse(where, "the content is neither text nor a list with a block in it")
  end
  for i, block in ipairs(message.content) do
    local at = ("%s.content[%d]"):format(where, i)
    check_block(block, at, ROLE_BLOCKS[message.role], message.role == "assistant")
    marked(block, at, state)
    if is_list(block.content) then
      for b, inner in ipairs(block.content) do
        if is_object(inner) then marked(inner, ("%s.content[%d]"):format(at, b), state) end
      end
    end
  end
end

-- Whether thinking must stand in an assistant message in the midst of a tool turn.
-- its answer "Expected `thinking` or `redacted_thinking`, but found `tool_use`"
local function check_turn(list, state)
  local thinking = given(state.body.thinking)
  local wants = thinking and thinking.type ~= "disabled"
  local m = #list
  while m > 1 and list[m].role == "user" and is_list(list[m].content)
    and list[m].content[1].type == "tool_result" do
    m = m - 1
    local message = list[m]
    if message.role ~= "assistant" or not is_list(message.content) then return end
    local has = count_thinking(message.content) > 0
    local where = ("messages[%d]"):format(m)
    if wants and thinking.type == "enabled" and not has and not state.service.open then
      refuse(where, "thinking is on, and a tool turn without it")
    end
    for _, block in ipairs(message.content) do
      local answer = wants and state.issued and block.type == "tool_use"
        and issued_call(state.issued, block.id)
      -- another model reads no thinking of this one
      if answer and answer.request.model == state.body.model and not has
        and count_thinking(answer.blocks) > 0 then
        refuse(where, "a tool turn without the thinking that was issued with it")
      end
    end
    m = m - 1
  end
end

-- An assistant message at the end is gone on from; claude-code issue 52433: newer models
-- take none; documentation, "Extended thinking": not with thinking; its answer "final
-- assistant content cannot end with trailing whitespace"
local function check_prefill(list, state)
  local last = list[#list]
  if last.role ~= "assistant" then return end
  local where = ("messages[%d]"):format(#list)
  local text = last.content
  if is_list(text) then
    for _, block in ipairs(text) do
      if is_hosted(block.type) then return end -- a turn that was paused
    end
    text = text[#text].text
  end
  local thinking = given(state.body.thinking)
  if thinking and thinking.type ~= "disabled" then refuse(where, "a prefill with thinking") end
  if state.family and state.version >= 4.6 then
    refuse(where, "this model takes no prefill")
  end
  if type(text) == "string" and text:find("%s$") then refuse(where, "ends in white space") end
end

local function check_messages(list, state)
  if not is_list(list) or #list == 0 then
    refuse("messages", "must be a list with a message in it")
  end
  local open = {}
  for m, message in ipairs(list) do
    local where = ("messages[%d]"):format(m)
    rules.object(message, where)
    -- its answer "Unexpected role 'system'. The Messages API accepts a top-level `system`"
    if not ROLE_BLOCKS[message.role] then
      refuse(where, "the role %s is unknown", tostring(message.role))
    end
    rules.no_other_fields(message, where, MESSAGE)
    if m == 1 and message.role ~= "user" then refuse(where, "the first is not the user's") end
    check_content(message, where, state)
    if message.role == "user" then
      check_results(message, where, open)
    else
      if next(open) then
        refuse(where, "the call '%s' has no result directly behind it", (next(open)))
      end
      open = check_assistant(message, m, where, state)
    end
  end
  if next(open) then refuse("messages", "the call '%s' has no result", (next(open))) end
  check_turn(list, state)
  check_prefill(list, state)
end


-- Tools and schemas --------------------------------------------------------------------------

-- Documentation, "Structured outputs"; laravel/ai issue 715, litellm pull 20813
local REFUSED = set [[minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength
  maxLength maxItems uniqueItems minProperties maxProperties]]

local function plain_schema(schema, where)
  rules.closed(schema, where)
  for name in pairs(schema) do
    if REFUSED[name] or name == "minItems" and schema.minItems ~= 0 and schema.minItems ~= 1 then
      refuse(where, "'%s' is not supported", name)
    end
  end
end

local function input_schema(schema, where, tool)
  rules.object(schema, where)
  -- SDK ToolParam.InputSchema: its type is "object"
  if schema.type ~= "object" then refuse(where, "its type must be 'object'") end
  rules.schema(schema, where, tool.strict == true and plain_schema or nil)
end

local TOOL = { type = rules.words "custom", name = rules.name, description = rules.text,
  input_schema = input_schema, strict = rules.boolean, cache_control = true,
  eager_input_streaming = rules.boolean, defer_loading = rules.boolean,
  allowed_callers = rules.list, input_examples = rules.list } -- SDK ToolParam

local function check_tools(tools, state)
  rules.list(tools, "tools")
  for i, tool in ipairs(tools) do
    local where = ("tools[%d]"):format(i)
    rules.object(tool, where)
    local kind = given(tool.type)
    if kind == nil or kind == "custom" then
      rules.fields(tool, where, TOOL)
      if given(tool.input_schema) == nil then refuse(where, "no input_schema") end
    elseif not tostring(kind):find("^%l[%l%d_]*_20%d%d%d%d%d%d$") then
      refuse(where, "the type %s is unknown", tostring(kind)) -- SDK ToolUnionParam
    end
    rules.name(tool.name, where)
    -- its answer "Tool names must be unique"
    if state.names[tool.name] then refuse(where, "the name '%s' twice", tool.name) end
    state.names[tool.name] = true
    marked(tool, where, state)
  end
end

-- SDK ToolChoiceParam: always an object
local CHOICE = {
  auto = set "type disable_parallel_tool_use", any = set "type disable_parallel_tool_use",
  tool = set "type name disable_parallel_tool_use", none = set "type",
}

local function check_choice(choice, state)
  local where = "tool_choice"
  rules.object(choice, where)
  if not CHOICE[choice.type] then
    refuse(where, "the type %s is unknown", tostring(choice.type))
  end
  rules.no_other_fields(choice, where, CHOICE[choice.type])
  -- its answer "tool_choice may only be specified while providing tools"
  if not next(state.names) then refuse(where, "without tools") end
  if choice.type == "tool" and not state.names[choice.name] then
    refuse(where, "no tool '%s'", tostring(choice.name))
  end
  -- its answer "Thinking may not be enabled when tool_choice forces tool use"
  if state.thinks and choice.type ~= "auto" and choice.type ~= "none" then
    refuse(where, "'%s' with thinking", choice.type)
  end
end


-- Thinking and output ----------------------------------------------------------------------

-- SDK ThinkingConfigParam
local THINKING = {
  enabled = { type = true, budget_tokens = true, display = rules.words "summarized omitted",
    block_binding = rules.object },
  adaptive = { type = true, display = rules.words "summarized omitted",
    block_binding = rules.object },
  disabled = { type = true },
}

local function check_thinking(body, state)
  local thinking, where = given(body.thinking), "thinking"
  if thinking == nil then return end
  rules.object(thinking, where)
  if not THINKING[thinking.type] then
    refuse(where, "the type %s is unknown", tostring(thinking.type))
  end
  rules.fields(thinking, where, THINKING[thinking.type])
  state.thinks = thinking.type ~= "disabled"
  local family, version = state.family, state.version
  if thinking.type == "enabled" then
    -- SDK ThinkingConfigEnabledParam: at least 1024 and less than max_tokens
    rules.integer(thinking.budget_tokens, where .. ".budget_tokens", 1024)
    if thinking.budget_tokens >= (given(body.max_tokens) or 2 ^ 31) then
      refuse(where .. ".budget_tokens", "is not less than max_tokens")
    end
    -- documentation, "Adaptive thinking": budgets until 4.6, thinking since 3.7
    if family and (version > 4.6 or version < 3.7) then
      refuse(where, "this model takes no budget")
    end
  elseif thinking.type == "adaptive" and family and version < 4.6 then
    refuse(where, "this model is not adaptive")
  end
end

-- documentation, "Effort"
local function check_effort(effort, state, body)
  local where, family, version = "output_config.effort", state.family, state.version
  rules.one_of(effort, where, set "low medium high xhigh max")
  if family and (version < 4.5 or version < 4.6 and family ~= "opus") then
    refuse(where, "this model has none")
  end
  if is_object(body.thinking) and body.thinking.type == "disabled" and family == "opus"
    and version >= 5 and (effort == "xhigh" or effort == "max") then
    refuse(where, "'%s' without thinking", effort)
  end
end

local function check_output(body, state)
  local config = given(body.output_config)
  if config == nil then return end
  rules.fields(config, "output_config", { effort = true, format = true,
    task_budget = rules.object })
  if given(config.effort) ~= nil then check_effort(config.effort, state, body) end
  local format, where = given(config.format), "output_config.format"
  if format == nil then return end
  rules.fields(format, where, { type = rules.words "json_schema", schema = true })
  if format.type ~= "json_schema" then refuse(where, "no type") end
  rules.object(format.schema, where .. ".schema")
  rules.schema(format.schema, where .. ".schema", plain_schema)
  -- documentation, "Structured outputs": the models that have it
  local family, version = state.family, state.version
  if family and version < (family == "opus" and 4.1 or 4.5) then
    refuse(where, "this model has no structured output")
  end
end

-- its answers "`temperature` is deprecated for this model", "`temperature` may only be set
-- to 1 when thinking is enabled", "`top_k` must be unset when thinking is enabled",
-- "`temperature` and `top_p` cannot both be specified for this model"
local function check_sampling(body, state)
  local temperature, top_p = given(body.temperature), given(body.top_p)
  local fixed = state.family and state.version >= 4.7
  for _, name in ipairs { "temperature", "top_p", "top_k" } do
    if given(body[name]) ~= nil and fixed then
      refuse(name, "is deprecated for this model")
    end
  end
  if state.thinks then
    if temperature ~= nil and temperature ~= 1 then refuse("temperature", "with thinking") end
    if top_p ~= nil and top_p < 0.95 then refuse("top_p", "below 0.95 with thinking") end
    if given(body.top_k) ~= nil then refuse("top_k", "with thinking") end
  end
  if temperature ~= nil and top_p ~= nil and state.family and state.version >= 4.1 then
    refuse("top_p", "together with temperature")
  end
end


-- The body ---------------------------------------------------------------------------------

local function stop_sequences(list, where)
  rules.list(list, where)
  -- its answer "each stop sequence must contain non-whitespace"
  for i, text in ipairs(list) do some_text(text, ("%s[%d]"):format(where, i)) end
end

-- SDK MessageCreateParams; betas at the end. Not there, and so 400 "Extra inputs are not
-- permitted": stream_options, seed, n, penalties, stop, logprobs, response_format.
local FIELDS = {
  model = rules.some_text, messages = true, max_tokens = rules.range(1, 2 ^ 31, true),
  system = true, stream = rules.boolean, temperature = rules.range(0, 1),
  top_p = rules.range(0, 1), top_k = rules.range(0, 2 ^ 31, true),
  stop_sequences = stop_sequences, tools = true, tool_choice = true, thinking = true,
  output_config = true, cache_control = true,
  metadata = function(value, where) rules.fields(value, where, { user_id = rules.text }) end,
  service_tier = rules.words "auto standard_only", container = true,
  inference_geo = rules.text,
  context_management = rules.object, mcp_servers = rules.list,
}
local BETAS = { "context_management", "mcp_servers" }

local function check_system(system, state)
  if type(system) == "string" then return some_text(system, "system") end
  rules.list(system, "system") -- SDK: a text, or text blocks
  for i, block in ipairs(system) do
    local where = ("system[%d]"):format(i)
    check_block(block, where, set "text")
    marked(block, where, state)
  end
end

--- Raises what is wrong with a body.
---@param body any decoded
---@param service table one of messages.services
---@param issued? table what the server has given, see issued.lua
function messages.check(body, service, issued)
  rules.fields(body, "", FIELDS)
  local state = { service = service, issued = issued, body = body, ids = {}, names = {},
    marks = 0 }
  if not service.open then
    rules.some_text(body.model, "model") -- both required
    state.family, state.version = generation(body.model)
    rules.integer(body.max_tokens, "max_tokens", 1, most_tokens(state.family, state.version))
  end
  check_thinking(body, state)
  check_sampling(body, state)
  -- the order of a cache: tools, system, messages
  if given(body.tools) ~= nil then check_tools(body.tools, state) end
  if given(body.tool_choice) ~= nil then check_choice(body.tool_choice, state) end
  if given(body.system) ~= nil then check_system(body.system, state) end
  check_messages(body.messages, state)
  marked(body, "body", state)
  check_output(body, state)
end

--- Raises what is wrong with the header.
---@param named table<string, string>
---@param service table
---@param body table decoded
function messages.check_header(named, service, body)
  -- documentation, "API overview": its answer 400 without the one, 401 without the other
  if service.version and named["anthropic-version"] ~= "2023-06-01" then
    refuse("header", "no anthropic-version")
  end
  if service.key and not (named["x-api-key"] or ""):find("%S")
    and not tostring(named.authorization):find("^Bearer %S+$") then
    refuse("header", "no x-api-key")
  end
  for _, name in ipairs(BETAS) do
    if service.version and given(body[name]) ~= nil and not named["anthropic-beta"] then
      refuse("header", "%s without its anthropic-beta", name)
    end
  end
end

return messages
