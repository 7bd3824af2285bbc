-- How an answer of Responses is written: as a whole, and as events. Items have the same
-- ids and contents in both.

local json = require "chatbot.offline.json"
local seal = require "chatbot.offline.seal"

local M = {}

local null, list, given = json.null, json.list, json.given

M.encode = json.encoder { "type", "sequence_number", "item_id", "output_index", "content_index",
  "summary_index", "id", "object", "created_at", "status", "background", "error",
  "incomplete_details", "instructions", "max_output_tokens", "model", "output", "role",
  "content", "call_id", "name", "delta", "text", "part", "item", "response" }

-- What is said of the request again in each response.
local ECHOED = { background = false, frequency_penalty = 0, instructions = null,
  max_output_tokens = null, max_tool_calls = null, parallel_tool_calls = true, presence_penalty = 0,
  previous_response_id = null, prompt_cache_key = null, prompt_cache_retention = null,
  safety_identifier = null, service_tier = "default", store = true,
  temperature = 1, tool_choice = "auto", top_logprobs = 0, top_p = 1, truncation = "disabled",
  user = null }

local function format_of(body)
  local text = given(body.text) or {}
  local format, sent = {}, given(text.format) or { type = "text" }
  for name, value in pairs(sent) do format[name] = value end
  if format.type == "json_schema" then
    format.description = format.description or null
    if given(format.strict) == nil then format.strict = true end
  end
  return { format = format, verbosity = given(text.verbosity) or "medium" }
end

local function tools_echoed(body)
  local tools = list {}
  for i, sent in ipairs(given(body.tools) or {}) do
    local tool = { description = null, parameters = null, strict = true }
    for name, value in pairs(sent) do tool[name] = value end
    tools[i] = tool
  end
  return tools
end

local function object(request, made, status)
  local body = request.body
  local whole = { id = made.id, object = "response", created_at = made.time, status = status,
    error = null, incomplete_details = null, model = body.model, output = list {}, usage = null,
    completed_at = null, metadata = given(body.metadata) or {}, tools = tools_echoed(body),
    text = format_of(body) }
  for name, default in pairs(ECHOED) do
    whole[name] = default
    if body[name] ~= nil then whole[name] = body[name] end
  end
  local reasoning = given(body.reasoning) or {}
  whole.reasoning = { effort = reasoning.effort or null, summary = reasoning.summary or null }
  return whole
end

local function usage_of(answer)
  local figures = answer.usage
  return {
    input_tokens = figures.input, input_tokens_details = { cached_tokens = 0 },
    output_tokens = figures.output,
    output_tokens_details = { reasoning_tokens = figures.reasoning },
    total_tokens = figures.input + figures.output,
  }
end

-- The response at its end.
local function finished(request, answer, made, items)
  local cut = answer.finish == "length"
  local whole = object(request, made, cut and "incomplete" or "completed")
  whole.output = list(items)
  whole.usage = usage_of(answer)
  if cut then
    whole.incomplete_details = { reason = "max_output_tokens" }
  else
    whole.completed_at = os.time()
  end
  return whole
end

local function includes(request, name)
  for _, wanted in ipairs(given(request.body.include) or {}) do
    if wanted == name then return true end
  end
  return false
end

local function text_part(text)
  return { type = "output_text", text = text, annotations = list {}, logprobs = list {} }
end

local ITEM = {}

-- The contents are encrypted anew each time that they are sent, as the service does.
local function encrypted(item, text, request, made)
  if includes(request, "reasoning.encrypted_content") then
    item.encrypted_content = seal.close(text, item.id, made.next_number())
  end
  return item
end

function ITEM.thoughts(part, request, made)
  local text = table.concat(part.words)
  local item = { id = made.new_id "rs_", type = "reasoning", summary = list {} }
  if given((given(request.body.reasoning) or {}).summary) then
    item.summary[1] = { type = "summary_text", text = text }
  end
  return encrypted(item, text, request, made)
end

function ITEM.text(part, _, made, cut)
  return { id = made.new_id "msg_", type = "message", role = "assistant",
    status = cut and "incomplete" or "completed",
    content = list { text_part(table.concat(part.words)) } }
end

function ITEM.call(part, _, made)
  return { id = made.new_id "fc_", type = "function_call", status = "completed",
    call_id = made.new_id "call_", name = part.name, arguments = table.concat(part.words) }
end

local function item_of(answer, i, request, made)
  local part = answer.parts[i]
  return ITEM[part.kind](part, request, made, answer.finish == "length" and i == #answer.parts)
end

-- What a later request may refer to.
local function keep(request, whole, made)
  if request.body.store == false then return end
  local items = list {}
  for i, item in ipairs(request.items) do items[i] = item end
  for _, item in ipairs(whole.output) do items[#items + 1] = item end
  made.keep(whole.id, { response = whole, items = items })
end

---@return table the answer as a whole
function M.whole(request, answer, made)
  local items = {}
  for i in ipairs(answer.parts) do items[i] = item_of(answer, i, request, made) end
  local whole = finished(request, answer, made, items)
  keep(request, whole, made)
  return whole
end

-- Streaming ------------------------------------------------------------------

local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

-- So much that deltas of all lengths look alike.
local function obfuscation(delta)
  local signs = {}
  for i = 1, 16 - #delta % 16 do
    local at = math.random(#LETTERS)
    signs[i] = LETTERS:sub(at, at)
  end
  return table.concat(signs)
end

local STREAM = {}

-- `event` writes an event of the item; of those that are words, `is_word` is true.
function STREAM.thoughts(item, part, event)
  if not item.summary[1] then return end
  local place = { summary_index = 0 }
  event("response.reasoning_summary_part.added", place,
    { part = { type = "summary_text", text = "" } })
  for _, word in ipairs(part.words) do
    event("response.reasoning_summary_text.delta", place, { delta = word }, true)
  end
  event("response.reasoning_summary_text.done", place, { text = item.summary[1].text })
  event("response.reasoning_summary_part.done", place, { part = item.summary[1] })
end

function STREAM.text(item, part, event)
  local place, whole = { content_index = 0 }, item.content[1]
  event("response.content_part.added", place, { part = text_part "" })
  for _, word in ipairs(part.words) do
    event("response.output_text.delta", place, { delta = word, logprobs = list {} }, true)
  end
  event("response.output_text.done", place, { text = whole.text, logprobs = list {} })
  event("response.content_part.done", place, { part = whole })
end

function STREAM.call(item, part, event)
  for _, word in ipairs(part.words) do
    event("response.function_call_arguments.delta", {}, { delta = word }, true)
  end
  event("response.function_call_arguments.done", {}, { arguments = item.arguments })
end

-- The item as it is when nothing of it has come.
local function opened(item)
  local empty = {}
  for name, value in pairs(item) do empty[name] = value end
  if item.status then empty.status = "in_progress" end
  if item.content then empty.content = list {} end
  if item.summary then empty.summary = list {} end
  if item.arguments then empty.arguments = "" end
  return empty
end

---The answer as events.
---@param put fun(event: table, is_word?: boolean)
function M.events(request, answer, made, put)
  local number = -1
  local options = given(request.body.stream_options) or {}
  local function send(kind, fields, is_word)
    number = number + 1
    fields.type, fields.sequence_number = kind, number
    if is_word and options.include_obfuscation ~= false then
      fields.obfuscation = obfuscation(fields.delta)
    end
    put(fields, is_word)
  end
  send("response.created", { response = object(request, made, "in_progress") })
  send("response.in_progress", { response = object(request, made, "in_progress") })
  local items = {}
  for i, part in ipairs(answer.parts) do
    local item = item_of(answer, i, request, made)
    send("response.output_item.added", { output_index = i - 1, item = opened(item) })
    STREAM[part.kind](item, part, function(kind, place, fields, is_word)
      for name, value in pairs(place) do fields[name] = value end
      fields.item_id, fields.output_index = item.id, i - 1
      send(kind, fields, is_word)
    end)
    if part.kind == "thoughts" then
      encrypted(item, table.concat(part.words), request, made)
    end
    send("response.output_item.done", { output_index = i - 1, item = item })
    items[i] = item
  end
  local whole = finished(request, answer, made, items)
  keep(request, whole, made)
  send("response." .. whole.status, { response = whole })
end

return M
