-- Chat completions: how a request is read, and an answer written. What it has in common
-- with the other dialects is in mind.lua; what every dialect has to offer, in server.lua.

local json = require "chatbot.offline.json"
local refusal = require "chatbot.offline.refusal"
local shape = require "chatbot.offline.shape"
local strict = require "chatbot.offline.strict"

local M = {}

local null, list = json.null, json.list

M.prefix = "chatcmpl-"
M.request_id = "x-request-id"
M.refused = refusal.openai_body

-- Reading --------------------------------------------------------------------

local content = shape.text_or(shape.string(), shape.list(shape.tagged("type", {
  text = shape.object({ ["text!"] = shape.string() }, true),
  refusal = shape.object({ ["refusal!"] = shape.string() }, true),
  image_url = shape.object({ ["image_url!"] = shape.object({ ["url!"] = shape.string() }, true) },
    true),
  input_audio = shape.object({ ["input_audio!"] = shape.map }, true),
  file = shape.object({ ["file!"] = shape.map }, true),
})))

local call = shape.object({
  ["id!"] = shape.string(),
  ["type!"] = shape.one_of("function"),
  ["function!"] = shape.object({ ["name!"] = shape.string(), ["arguments!"] = shape.string() },
    true),
}, true)

local message = shape.tagged("role", {
  system = shape.object({ ["content!"] = content }, true),
  developer = shape.object({ ["content!"] = content }, true),
  user = shape.object({ ["content!"] = content }, true),
  assistant = shape.object({ content = content, tool_calls = shape.list(call, { min = 1 }) }, true),
  tool = shape.object({ ["content!"] = content, ["tool_call_id!"] = shape.string() }, true),
  ["function"] = shape.object({ ["name!"] = shape.string() }, true),
})

local name = shape.string { min = 1, max = 64, pattern = "[a-zA-Z0-9_%-]+" }

local tool = shape.object({
  ["type!"] = shape.one_of("function"),
  ["function!"] = shape.object({ ["name!"] = name, description = shape.string(),
    parameters = shape.map, strict = shape.boolean }, true),
}, true)

local format = shape.tagged("type", {
  text = shape.map,
  json_object = shape.map,
  json_schema = shape.object({ ["json_schema!"] = shape.object({ ["name!"] = name,
    schema = shape.map, strict = shape.boolean }, true) }, true),
})

-- Other fields are let pass: every service has its own.
local BODY = shape.object({
  ["messages!"] = shape.list(message, { min = 1 }),
  model = shape.string(),
  stream = shape.boolean,
  stream_options = shape.map,
  max_tokens = shape.number { min = 1 },
  max_completion_tokens = shape.number { min = 1 },
  n = shape.integer { min = 1, max = 1 },
  stop = shape.text_or(shape.string(), shape.list(shape.string(), { max = 4 })),
  temperature = shape.number { min = 0, max = 2 },
  tools = shape.list(tool, { min = 1 }),
  tool_choice = shape.text_or(shape.one_of("none", "auto", "required"),
    shape.object({ ["function!"] = shape.object({ ["name!"] = shape.string() }, true) }, true)),
  parallel_tool_calls = shape.boolean,
  response_format = format,
  reasoning_effort = shape.one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"),
}, true)

local given = json.given

-- Each call is answered before anything else is said, and nothing else is answered.
local function paired(messages)
  local open
  local function unanswered(at)
    local ids = {}
    for id in pairs(open) do ids[#ids + 1] = id end
    table.sort(ids)
    return refusal.new(400, "An assistant message with 'tool_calls' must be followed by tool "
      .. "messages responding to each 'tool_call_id'. The following tool_call_ids did not have "
      .. "response messages: " .. table.concat(ids, ", "), ("messages[%d].role"):format(at))
  end
  for i, said in ipairs(messages) do
    if said.role == "tool" then
      if not open or not open[said.tool_call_id] then
        return refusal.new(400, "Invalid parameter: messages with role 'tool' must be a response "
          .. "to a preceeding message with 'tool_calls'.", ("messages[%d].role"):format(i - 1))
      end
      open[said.tool_call_id] = nil
    else
      if open and next(open) then return unanswered(i - 1) end
      open = nil
      for _, made in ipairs(given(said.tool_calls) or {}) do
        open = open or {}
        open[made.id] = true
      end
    end
  end
  if open and next(open) then return unanswered(#messages) end
end

-- The tools in the common form, or a refusal.
local function tools_of(body)
  local tools = {}
  for i, sent in ipairs(given(body.tools) or {}) do
    local fn = sent["function"]
    local wrong = fn.strict == true and strict.openai(given(fn.parameters) or {})
    if wrong then
      return nil, refusal.new(400, ("Invalid schema for function '%s': %s"):format(fn.name, wrong),
        ("tools[%d].function.parameters"):format(i - 1), "invalid_function_parameters")
    end
    tools[i] = { name = fn.name, schema = given(fn.parameters) or {} }
  end
  return tools
end

local function choice_of(body)
  local choice = given(body.tool_choice)
  if choice ~= nil and not given(body.tools) then
    return nil, refusal.new(400, "'tool_choice' is only allowed when 'tools' are specified.",
      "tool_choice")
  end
  if type(choice) ~= "table" then return choice or "auto" end
  for _, sent in ipairs(body.tools) do
    if sent["function"].name == choice["function"].name then
      return { name = choice["function"].name }
    end
  end
  return nil, refusal.new(400, ("Invalid value for 'tool_choice': tool '%s' is not in 'tools'.")
    :format(choice["function"].name), "tool_choice")
end

local function schema_of(body)
  local asked = given(body.response_format)
  if not asked or asked.type == "text" then return nil end
  if asked.type == "json_object" then return true end
  local inner = asked.json_schema
  local schema = given(inner.schema) or {}
  local wrong = inner.strict == true and strict.openai(schema)
  if wrong then
    return nil, refusal.new(400, ("Invalid schema for response_format '%s': %s"):format(
      inner.name, wrong), "response_format", nil)
  end
  return schema
end

---A body as the common form, or nil and a refusal.
---@param body table
---@return table?
---@return chatbot.offline.Refusal?
function M.read(body)
  local wrong = BODY(body)
  if wrong then return nil, refusal.openai(wrong) end
  local why = paired(body.messages)
  if why then return nil, why end
  local request = { messages = body.messages, parallel = given(body.parallel_tool_calls) }
  request.tools, why = tools_of(body)
  if why then return nil, why end
  request.choice, why = choice_of(body)
  if why then return nil, why end
  request.schema, why = schema_of(body)
  if why then return nil, why end
  local stops, effort = given(body.stop), given(body.reasoning_effort)
  request.stops = type(stops) == "string" and { stops } or stops
  request.limit = given(body.max_completion_tokens) or given(body.max_tokens)
  request.thinks = effort ~= nil and effort ~= "none"
  local options = given(body.stream_options)
  if options and body.stream ~= true then
    return nil, refusal.new(400,
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
  end
  request.stream = body.stream == true
  request.counts = options and options.include_usage == true
  return request
end

-- Writing --------------------------------------------------------------------

M.encode = json.encoder { "id", "object", "created", "model", "choices", "usage", "index",
  "message", "delta", "role", "content", "type", "function", "name", "logprobs",
  "finish_reason" }

local FINISH = { stop = "stop", stopped = "stop", length = "length", calls = "tool_calls" }

local function usage_of(answer)
  local figures = answer.usage
  return {
    prompt_tokens = figures.input, completion_tokens = figures.output,
    total_tokens = figures.input + figures.output,
    prompt_tokens_details = { cached_tokens = 0 },
    completion_tokens_details = { reasoning_tokens = figures.reasoning },
  }
end

local function object(kind, made, choices)
  return { id = made.id, object = kind, created = made.time, model = made.model,
    choices = list(choices) }
end

---@return table the answer as a whole
function M.whole(_, answer, made)
  local said = { role = "assistant", content = null, refusal = null }
  for _, part in ipairs(answer.parts) do
    local text = table.concat(part.words)
    if part.kind == "thoughts" then
      said.reasoning_content = text
    elseif part.kind == "text" then
      said.content = text
    else
      said.tool_calls = said.tool_calls or list {}
      table.insert(said.tool_calls, { id = made.new_id "call_", type = "function",
        ["function"] = { name = part.name, arguments = text } })
    end
  end
  local whole = object("chat.completion", made, { { index = 0, message = said, logprobs = null,
    finish_reason = FINISH[answer.finish] } })
  whole.usage = usage_of(answer)
  return whole
end

-- The deltas of a part, one a word; the first of a call says which.
local function deltas(part, index, made, put)
  if part.kind == "call" then
    put({ tool_calls = list { { index = index, id = made.new_id "call_", type = "function",
      ["function"] = { name = part.name, arguments = "" } } } })
  end
  for _, word in ipairs(part.words) do
    local delta = { content = word }
    if part.kind == "thoughts" then delta = { reasoning_content = word } end
    if part.kind == "call" then
      delta = { tool_calls = list { { index = index, ["function"] = { arguments = word } } } }
    end
    put(delta, true)
  end
end

---The answer as events.
---@param put fun(event: table, is_word?: boolean)
function M.events(request, answer, made, put)
  local function chunk(choices)
    local event = object("chat.completion.chunk", made, choices)
    if request.counts then event.usage = null end
    return event
  end
  local function delta(change, is_word, finish)
    put(chunk { { index = 0, delta = change, logprobs = null, finish_reason = finish or null } },
      is_word)
  end
  delta { role = "assistant", content = "" }
  local calls = 0
  for _, part in ipairs(answer.parts) do
    deltas(part, calls, made, delta)
    if part.kind == "call" then calls = calls + 1 end
  end
  delta({}, false, FINISH[answer.finish])
  if request.counts then
    local last = chunk {}
    last.usage = usage_of(answer)
    put(last)
  end
  put "[DONE]"
end

return M
