--- Requests of the Responses API: as our conversation, and as units (units.lua).
--
-- Not compared, because it is the client's own business: ids of items (with storage switched
-- off they mean nothing), `status`, `logprobs`, annotations of a text that is sent back,
-- whether a text is a string or a list of parts, and all fields of the request but `model`,
-- `input`, `instructions`, `tools`, `store`, `include` and `previous_response_id`.

local bots = require "spec.machines.replay.bots"
local decode = require "spec.support.decode"
local events = require "spec.machines.replay.events"
local units = require "spec.machines.replay.units"

local wire = {}

local null, field, text_of, list_of = decode.null, events.field, events.text_of, events.list_of


-- From a recorded request to our conversation ----------------------------------------

local function our_part(part)
  local kind = text_of(part, "type")
  if kind == "input_text" or kind == "output_text" then
    return { type = "text", text = part.text }
  elseif kind == "input_image" then
    return { type = "image_url", image_url = { url = text_of(part, "image_url"),
      detail = text_of(part, "detail") } }
  elseif kind == "input_file" and not part.file_url then
    return { type = "file", file = { filename = text_of(part, "filename"),
      file_data = text_of(part, "file_data"), file_id = text_of(part, "file_id") } }
  end
  return bots.plain(part)
end

local function our_content(content, role)
  if type(content) == "string" then return content end
  local parts, text = {}, {}
  for i, part in ipairs(content) do
    parts[i] = our_part(part)
    text[i] = parts[i].text
  end
  return (role == "assistant" or #text == 1 and #parts == 1) and table.concat(text) or parts
end

-- Adds what an item of `input` is in our conversation; false for what it cannot hold.
local function add_item(list, item)
  local kind, role = text_of(item, "type"), text_of(item, "role")
  local last = list[#list]
  if role then
    list[#list + 1] = { role = role == "developer" and "system" or role,
      content = our_content(item.content, role) }
  elseif kind == "function_call" then
    if not (last and last.role == "assistant") then
      last = { role = "assistant", content = "" }
      list[#list + 1] = last
    end
    last.tool_calls = last.tool_calls or {}
    table.insert(last.tool_calls, { id = item.call_id, type = "function",
      ["function"] = { name = item.name, arguments = item.arguments } })
  elseif kind == "function_call_output" then
    list[#list + 1] = { role = "tool", tool_call_id = item.call_id,
      content = our_content(item.output) }
  else
    return false
  end
end

local function items_of(request)
  if type(request.input) ~= "string" then return request.input or {} end
  return { { role = "user", content = request.input } }
end

--- The conversation that a request shows, from its item `first` on.
function wire.messages(request, first)
  local list = {}
  local instructions = text_of(request, "instructions")
  if not first and instructions then
    list[1] = { role = "system", content = instructions }
  end
  for i, item in ipairs(items_of(request)) do
    if i >= (first or 1) then add_item(list, item) end
  end
  return list
end

--- Fields for the module. A function tool is nested there.
function wire.fields(request)
  local fields = { temperature = false, max_tokens = field(request, "max_output_tokens", "number") }
  local tools = list_of(request, "tools")
  if #tools > 0 then fields.tools = {} end
  for i, tool in ipairs(tools) do
    fields.tools[i] = bots.tool(tool, tool.type == "function" and "parameters")
  end
  return fields
end


-- Units ------------------------------------------------------------------------------

local function part_key(part)
  local kind = text_of(part, "type")
  if kind == "input_text" or kind == "output_text" or kind == "text" then return part.text end
  if kind == "refusal" then return part.refusal end
  if kind == "input_image" then
    return "<image " .. (text_of(part, "image_url") or text_of(part, "file_id") or "?") .. ">"
  elseif kind == "input_file" then
    return "<file " .. (text_of(part, "file_data") or text_of(part, "file_url")
      or text_of(part, "file_id") or "?") .. ">"
  end
  return "<" .. units.json(part) .. ">"
end

local function content_key(content)
  if type(content) ~= "table" then return type(content) == "string" and content or "" end
  local out = {}
  for i, part in ipairs(content) do out[i] = part_key(part) end
  return table.concat(out, "\n")
end

local function texts_of(item, name)
  local out = {}
  for i, part in ipairs(list_of(item, name)) do out[i] = text_of(part, "text") or "" end
  return table.concat(out, "\n")
end

-- Readable thoughts, and the sealed ones. Each event seals anew, and every seal is good:
-- `seals` has for each one the item that it belongs to.
local function thought(item, seals)
  local sealed = text_of(item, "encrypted_content")
  local summary, content = texts_of(item, "summary"), texts_of(item, "content")
  local unit = { kind = "thought", type = "reasoning", sealed = sealed,
    key = ("reasoning: sealed %s, summary %s, content %s"):format(
      sealed and (seals[sealed] or sealed) or "-", summary, content) }
  unit.loose = unit.key
  unit.useless = not sealed and content == ""
  return unit
end

local function unit_of(item, seals)
  local kind, role = text_of(item, "type"), text_of(item, "role")
  if role == "assistant" then
    local phase = text_of(item, "phase")
    return units.text(content_key(item.content), phase and " [" .. phase .. "]")
  elseif role == "user" then
    return { kind = "user", key = "user: " .. content_key(item.content) }
  elseif role == "system" or role == "developer" then
    return units.system(content_key(item.content))
  elseif kind == "function_call" then
    return units.call(item.name, units.object(text_of(item, "arguments") or "{}"), item.call_id)
  elseif kind == "function_call_output" then
    return units.result(item.call_id, content_key(item.output))
  elseif kind == "reasoning" then
    return thought(item, seals)
  end
  return { kind = "item", type = kind, key = units.json(item), loose = kind or "" }
end

-- System texts, wherever they stand, are one unit in front.
local function with_system(list, text)
  local system, out = { text }, {}
  for _, unit in ipairs(list) do
    if unit.kind == "system" then
      system[#system + 1] = unit.key:gsub("^system: ", "")
    else
      out[#out + 1] = unit
    end
  end
  if #system > 0 then table.insert(out, 1, units.system(table.concat(system, "\n"))) end
  return out
end

--- The units of a request.
---@param seals table see `wire.answer`
function wire.units(request, seals)
  local list = {}
  for i, item in ipairs(items_of(request)) do list[i] = unit_of(item, seals) end
  return with_system(list, text_of(request, "instructions"))
end

--- The units that an answer is in the requests behind it. Adds its seals to `seals`.
function wire.answer(one, seals)
  local items, list = {}, {}
  local function take(item, place)
    local sealed = text_of(item, "encrypted_content")
    if sealed then seals[sealed] = seals[sealed] or ("of %s, item %d"):format(one.name, place) end
    items[place] = item
  end
  local function take_all(response)
    for i, item in ipairs(list_of(response, "output")) do take(item, i) end
  end
  if one.stream_bytes then
    local n = 0
    events.each(one.bytes, function(value, name)
      local kind = text_of(value, "type") or name
      if kind == "response.output_item.done" then
        n = n + 1
        take(value.item, (field(value, "output_index", "number") or n - 1) + 1)
      elseif kind == "response.completed" or kind == "response.incomplete" then
        take_all(value.response)
      end
    end)
  else
    take_all(decode.json(one.bytes))
  end
  for _, item in ipairs(items) do list[#list + 1] = unit_of(item, seals) end
  return list
end

--- The id of an answer, by which the service finds the conversation.
function wire.answer_id(one)
  local found
  events.each(one.stream_bytes or "", function(value)
    found = found or text_of(field(value, "response", "table"), "id")
  end)
  return found or not one.stream_bytes and text_of(decode.json(one.bytes), "id") or nil
end

local LOOSE = { strict = true }

--- The tools of a request, one a line; function tools without `strict`, which we choose.
function wire.tools(request)
  local out = {}
  for i, tool in ipairs(list_of(request, "tools")) do
    out[i] = units.json(tool, tool.type == "function" and LOOSE or nil)
  end
  return table.concat(out, "\n")
end

local SEALED = "reasoning.encrypted_content"

local function asks_for_seals(request)
  for _, name in ipairs(list_of(request, "include")) do
    if name == SEALED then return true end
  end
  return false
end

-- Models whose thoughts are sealed; others refuse to be asked for seals.
local function seals(model)
  return model:find("^gpt%-5") or model:find("^o%d") or model:find("grok", 1, true)
end

--- What is wrong with the other fields of what we sent: which, what it should be, what it is.
---@param stored boolean whether the service keeps the conversation
function wire.problem(sent, recorded, stored)
  if sent.store ~= stored then return "store", stored, sent.store end
  if not stored and asks_for_seals(recorded) and seals(tostring(recorded.model))
    and not asks_for_seals(sent) then
    return "include", SEALED, sent.include == null and "null" or sent.include
  end
end

return wire
