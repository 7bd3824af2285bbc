-- How a request of Responses is read: a body becomes the common form, or a refusal in
-- the words of the service. What a body looks like is in responses/shape.lua.

local json = require "chatbot.offline.json"
local refusal = require "chatbot.offline.refusal"
local seal = require "chatbot.offline.seal"
local shapes = require "chatbot.offline.responses.shape"
local strict = require "chatbot.offline.strict"

local M = {}

local list, given = json.list, json.given

-- What the items say ------------------------------------------------

local function refused(message, param, code)
  return nil, refusal.new(400, message, param, code)
end

-- The parts of a message as chat completions has them.
local function parts_of(content)
  if type(content) == "string" then return content end
  local parts = list {}
  for i, part in ipairs(content) do
    local text = part.text or part.refusal
    if text then
      parts[i] = { type = "text", text = text }
    else
      parts[i] = { type = part.type == "input_image" and "image_url" or "file" }
    end
  end
  return parts
end

local TAKE = {}

function TAKE.message(messages, item)
  messages[#messages + 1] = { role = item.role == "developer" and "system" or item.role,
    content = parts_of(item.content) }
end

function TAKE.function_call(messages, item)
  local last = messages[#messages]
  if not last or last.role ~= "assistant" then
    last = { role = "assistant", content = "" }
    messages[#messages + 1] = last
  end
  last.tool_calls = last.tool_calls or list {}
  table.insert(last.tool_calls, { id = item.call_id, ["function"] = {
    name = item.name, arguments = item.arguments } })
end

function TAKE.function_call_output(messages, item)
  messages[#messages + 1] = { role = "tool", tool_call_id = item.call_id,
    content = parts_of(item.output) }
end

-- Whether they fit together -----------------------------------------

-- Each call has its result somewhere behind it, and each result its call.
local function paired(items)
  local calls, answered = {}, {}
  for _, item in ipairs(items) do
    if item.type == "function_call" then
      calls[#calls + 1] = item.call_id
      calls[item.call_id] = true
    elseif item.type == "function_call_output" then
      if not calls[item.call_id] then
        return refused(("No tool call found for function call output with call_id %s.")
          :format(item.call_id), "input")
      end
      answered[item.call_id] = true
    end
  end
  for _, id in ipairs(calls) do
    if not answered[id] then
      return refused(("No tool output found for function call %s."):format(id), "input")
    end
  end
  return true
end

-- What a reasoning item may stand before: what a model has made.
local function is_output(item)
  if not item then return false end
  if item.type == "message" then return item.role == "assistant" end
  return item.type ~= "function_call_output"
end

-- A reasoning item comes back with what it led to, and with contents that are ours.
local function reasoned(item, following)
  local id, sealed = given(item.id), given(item.encrypted_content)
  if not sealed then
    if not id then
      return refused("Missing required parameter: 'encrypted_content'.", "input",
        "missing_required_parameter")
    end
    return nil, refusal.new(404, ("Item with id '%s' not found. Items are not persisted when "
      .. "`store` is set to false. Try again with `store` set to true, or remove this item from "
      .. "your input."):format(id), "input")
  end
  local text, fits = seal.open(sealed, id or "")
  if not text or id and not fits then
    return refused(("The encrypted content for item %s could not be verified. Reason: %s"):format(
      id or "of type 'reasoning'", text and "Encrypted content item_id did not match the target "
      .. "item id." or "Encrypted content could not be decrypted or parsed."),
      nil, "invalid_encrypted_content")
  end
  if not is_output(following) then
    return refused(("Item '%s' of type 'reasoning' was provided without its required following "
      .. "item."):format(id or ""), "input")
  end
  return true
end

-- The items of a body, those of an earlier response before them, references resolved.
local function items_of(body, kept)
  local items, from = list {}, given(body.previous_response_id)
  if from then
    local earlier = kept:get(from)
    if not earlier then
      return refused(("Previous response with id '%s' not found."):format(from),
        "previous_response_id", "previous_response_not_found")
    end
    for i, item in ipairs(earlier.items) do items[i] = item end
  end
  local first = #items
  local input = given(body.input)
  if type(input) == "string" then
    input = { { type = "message", role = "user", content = input } }
  end
  for i, item in ipairs(input or {}) do
    if item.type == "item_reference" then
      local referred = kept:item(item.id)
      if not referred then
        return nil, refusal.new(404, ("Item with id '%s' not found."):format(item.id), "input")
      end
      item = referred
    elseif item.type == nil then
      item.type = "message"
    end
    items[first + i] = item
  end
  return items, nil, first
end

local function messages_of(items, first)
  local messages, ids = {}, {}
  for i, item in ipairs(items) do
    local id = given(item.id)
    if id and ids[id] then
      return refused(("Duplicate item found with id %s. Remove duplicate items from your input "
        .. "and try again."):format(id), "input")
    end
    if id then ids[id] = true end
    if item.type == "reasoning" and i > first then
      local ok, why = reasoned(item, items[i + 1])
      if not ok then return nil, why end
    end
    if TAKE[item.type] then TAKE[item.type](messages, item) end
  end
  return messages
end

-- What else is asked for --------------------------------------------

local function tools_of(body)
  local tools = {}
  for i, tool in ipairs(given(body.tools) or {}) do
    local wrong = tool.strict == true and strict.openai(given(tool.parameters) or {})
    if tool.type ~= "function" then
      return refused(("Hosted tool '%s' is not supported with %s."):format(tool.type, body.model),
        "tools")
    elseif wrong then
      return refused(("Invalid schema for function '%s': %s"):format(tool.name, wrong),
        ("tools[%d].parameters"):format(i - 1), "invalid_function_parameters")
    end
    tools[i] = { name = tool.name, schema = given(tool.parameters) or {} }
  end
  return tools
end

local function choice_of(body, tools)
  local choice = given(body.tool_choice) or "auto"
  local name = type(choice) == "table" and choice.name
  for _, tool in ipairs(tools) do
    if tool.name == name then return { name = name } end
  end
  if name then
    return refused(("Tool choice 'function' not found in 'tools' parameter: '%s'."):format(name),
      "tool_choice")
  elseif choice == "required" and not tools[1] then
    return refused("Tool choice 'required' must be specified with 'tools' parameter.",
      "tool_choice")
  end
  return choice
end

-- The schema of the answer; `false`: any text.
local function schema_of(body, messages)
  local format = given((given(body.text) or {}).format) or { type = "text" }
  if format.type == "text" then return false end
  if format.type == "json_schema" then
    local wrong = format.strict == true and strict.openai(format.schema)
    if wrong then
      return refused(("Invalid schema for response_format '%s': %s"):format(format.name, wrong),
        "text.format.schema", "invalid_json_schema")
    end
    return format.schema
  end
  local text = json.encode(list(messages)):lower()
  if not text:find("json", 1, true) then
    return refused("Response input messages must contain the word 'json' in some form to use "
      .. "'text.format' of type 'json_object'.", "input")
  end
  return true
end

---A body as the common form, or nil and a refusal.
---@param body table
---@param kept table the responses that are kept
---@return table?
---@return chatbot.offline.Refusal?
function M.read(body, kept)
  local wrong = shapes.body(body)
  if wrong then return nil, refusal.openai(wrong) end
  if given(body.input) == nil and not given(body.previous_response_id) then
    return refused("One of \"input\" or \"previous_response_id\" must be provided.", "input",
      "missing_required_parameter")
  end
  local why = shapes.further(body)
  if why then return nil, why end
  local request, first = {}
  request.items, why, first = items_of(body, kept)
  if not request.items then return nil, why end
  wrong, why = paired(request.items)
  if not wrong then return nil, why end
  request.messages, why = messages_of(request.items, first)
  if not request.messages then return nil, why end
  if given(body.instructions) then
    table.insert(request.messages, 1, { role = "system", content = body.instructions })
  end
  request.tools, why = tools_of(body)
  if why then return nil, why end
  request.choice, why = choice_of(body, request.tools)
  if why then return nil, why end
  request.schema, why = schema_of(body, request.messages)
  if why then return nil, why end
  request.parallel = given(body.parallel_tool_calls)
  request.limit = given(body.max_output_tokens)
  local reasoning = given(body.reasoning) or {}
  local effort = given(reasoning.effort)
  request.thinks = effort ~= "none" and (effort or given(reasoning.summary)) ~= nil
  request.stream = body.stream == true
  request.body = body
  return request
end

return M
