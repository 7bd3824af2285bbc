--- Requests of the Messages API: as our conversation, and as units (units.lua).
--
-- Not compared, because it is the client's own business: `cache_control`, `is_error`,
-- `caller` of a call that the model made itself, into how many blocks a text is divided,
-- whether a content is a string or a list of blocks, fields that are null, and all fields of
-- the request but `model`, `system`, `messages` and `tools`.

local bots = require "spec.machines.replay.bots"
local decode = require "spec.support.decode"
local events = require "spec.machines.replay.events"
local units = require "spec.machines.replay.units"

local wire = {}

local field, text_of, list_of = events.field, events.text_of, events.list_of

local CACHE = { cache_control = true }


-- From a recorded request to our conversation ----------------------------------------

local function data_url(source)
  return ("data:%s;base64,%s"):format(source.media_type, source.data)
end

local function our_part(block)
  local kind, source = text_of(block, "type"), field(block, "source", "table")
  local from = text_of(source, "type")
  if kind == "text" then
    return { type = "text", text = block.text }
  elseif kind == "image" and (from == "base64" or from == "url") then
    return { type = "image_url", image_url = { url = from == "url" and source.url
      or data_url(source) } }
  elseif kind == "document" and from == "base64" and not block.citations then
    return { type = "file", file = { file_data = data_url(source),
      filename = text_of(block, "title") } }
  end
  local plain = bots.plain(block)
  plain.cache_control = nil
  return plain
end

local function our_parts(content)
  if type(content) == "string" then return content end
  local parts = {}
  for i, block in ipairs(content or {}) do parts[i] = our_part(block) end
  return #parts == 1 and parts[1].type == "text" and parts[1].text or parts
end

local function add_user(list, content)
  if type(content) == "string" then
    list[#list + 1] = { role = "user", content = content }
    return
  end
  local rest = setmetatable({}, decode.list)
  for _, block in ipairs(content) do
    if text_of(block, "type") == "tool_result" then
      list[#list + 1] = { role = "tool", tool_call_id = block.tool_use_id,
        content = our_parts(block.content) }
    else
      rest[#rest + 1] = block
    end
  end
  if #rest > 0 then list[#list + 1] = { role = "user", content = our_parts(rest) } end
end

local function add_assistant(list, content)
  local text, calls = {}, {}
  if type(content) == "string" then text, content = { content }, {} end
  for _, block in ipairs(content) do
    local kind = text_of(block, "type")
    if kind == "text" then
      text[#text + 1] = block.text
    elseif kind == "tool_use" then
      calls[#calls + 1] = { id = block.id, type = "function",
        ["function"] = { name = block.name, arguments = units.json(block.input) } }
    end
  end
  list[#list + 1] = { role = "assistant", content = table.concat(text),
    tool_calls = #calls > 0 and calls or nil }
end

local function system_of(request)
  if type(request.system) == "string" then return request.system end
  local out = {}
  for i, block in ipairs(list_of(request, "system")) do out[i] = text_of(block, "text") end
  return #out > 0 and table.concat(out, "\n") or nil
end

--- The conversation that a request shows, from its message `first` on.
function wire.messages(request, first)
  local list = {}
  local system = system_of(request)
  if not first and system then list[1] = { role = "system", content = system } end
  for i, message in ipairs(list_of(request, "messages")) do
    if i >= (first or 1) then
      if message.role == "assistant" then
        add_assistant(list, message.content)
      else
        add_user(list, message.content)
      end
    end
  end
  return list
end

--- Fields for the module. A function tool is nested there.
function wire.fields(request)
  local fields = { temperature = false, max_tokens = field(request, "max_tokens", "number"),
    thinking = bots.plain(field(request, "thinking", "table")) }
  local tools = list_of(request, "tools")
  if #tools > 0 then fields.tools = {} end
  for i, tool in ipairs(tools) do
    fields.tools[i] = bots.tool(tool, tool.input_schema and "input_schema")
    fields.tools[i].cache_control = nil
  end
  return fields
end


-- Units ------------------------------------------------------------------------------

local function media_key(block)
  local source = field(block, "source", "table")
  local from = text_of(source, "type")
  local what = from == "base64" and data_url(source) or from and units.json(source)
  return what and ("<%s %s>"):format(block.type, what) or "<" .. units.json(block, CACHE) .. ">"
end

local function content_key(content)
  if type(content) == "string" then return content end
  local out = {}
  for i, block in ipairs(type(content) == "table" and content or {}) do
    out[i] = text_of(block, "type") == "text" and block.text or media_key(block)
  end
  return table.concat(out, "\n")
end

-- What the model said. Empty texts are none.
local function said(block)
  local kind = text_of(block, "type")
  if kind == "text" then
    local notes = list_of(block, "citations")
    local unit = units.text(block.text, #notes > 0 and " " .. units.json(notes) or "")
    unit.whole = block.text
    return block.text ~= "" and unit or nil
  elseif kind == "tool_use" then
    return units.call(block.name, block.input, block.id)
  elseif kind == "thinking" then
    local unit = { kind = "thought", type = kind, sealed = text_of(block, "signature"),
      key = ("thinking: %s, signed %s"):format(block.thinking, text_of(block, "signature") or "-") }
    unit.loose, unit.useless = unit.key, not unit.sealed
    return unit
  end
  local key = units.json(block, CACHE)
  return { kind = kind == "redacted_thinking" and "thought" or "item", type = kind, key = key,
    loose = kind == "redacted_thinking" and key or kind }
end

local function add_said(list, content)
  if type(content) == "string" then
    content = { { type = "text", text = content } }
  end
  local from, calls = {}, {}
  for _, block in ipairs(content) do
    local unit = said(block)
    table.insert(unit and unit.kind == "call" and calls or from, unit)
  end
  for _, unit in ipairs(units.join_texts(from)) do list[#list + 1] = unit end
  for _, unit in ipairs(calls) do list[#list + 1] = unit end -- calls stand last
end

local function add_told(list, content)
  if type(content) == "string" then
    content = { { type = "text", text = content } }
  end
  for _, block in ipairs(content) do
    if text_of(block, "type") == "tool_result" then
      list[#list + 1] = units.result(block.tool_use_id, content_key(block.content))
    else
      list[#list + 1] = { kind = "user", key = "user: " .. content_key { block } }
    end
  end
end

--- The units of a request.
function wire.units(request)
  local list = {}
  local system = system_of(request)
  if system then list[1] = units.system(system) end
  for _, message in ipairs(list_of(request, "messages")) do
    local add = message.role == "assistant" and add_said or add_told
    add(list, message.content)
  end
  return list
end

-- The blocks of a streamed answer, put together.
local function blocks_of(bytes)
  local blocks, open = {}, {}
  local function block_of(event) return open[event.index or 0] end
  events.each(bytes, function(value, name)
    local kind = text_of(value, "type") or name
    if kind == "content_block_start" then
      blocks[#blocks + 1] = value.content_block
      open[value.index or 0] = value.content_block
    elseif kind == "content_block_delta" then
      local delta, block = value.delta, block_of(value)
      for _, field_name in ipairs { "text", "thinking", "partial_json" } do
        local piece = text_of(delta, field_name)
        if piece then block[field_name] = (text_of(block, field_name) or "") .. piece end
      end
      if delta.type == "signature_delta" then block.signature = delta.signature end
      if delta.type == "citations_delta" then
        if not decode.is_list(block.citations) then
          block.citations = setmetatable({}, decode.list)
        end
        table.insert(block.citations, delta.citation)
      end
    elseif kind == "content_block_stop" then
      local block = block_of(value)
      if block.partial_json then
        block.input, block.partial_json = units.object(block.partial_json), nil
      end
    end
  end)
  return blocks
end

--- The units that an answer is in the requests behind it.
function wire.answer(one)
  local list = {}
  add_said(list, one.stream_bytes and blocks_of(one.bytes)
    or list_of(decode.json(one.bytes), "content"))
  return list
end

--- The tools of a request, one a line.
function wire.tools(request)
  local out = {}
  for i, tool in ipairs(list_of(request, "tools")) do
    out[i] = units.json(tool, { cache_control = true, strict = true, type = tool.type == "custom" })
  end
  return table.concat(out, "\n")
end

--- What is wrong with the other fields of what we sent: which, what it should be, what it is.
function wire.problem(sent)
  if not field(sent, "max_tokens", "number") then
    return "max_tokens", "a number", sent.max_tokens
  end
end

return wire
