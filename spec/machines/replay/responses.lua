--- What a recorded answer of the Responses API says; chat.lua has what a reading is.
--
-- Written from the facts about the API and from recordings: items are found by
-- output_index, else by item_id, else the last one opened counts; what comes only whole
-- (`.done`, the final event) counts where no delta came before it; a stream without one of
-- the three final events is cut.

local decode = require "spec.support.decode"
local events = require "spec.machines.replay.events"

local reader = {}

local field, text_of, count, list_of = events.field, events.text_of, events.count, events.list_of


-- Parts of items -------------------------------------------------------------------

local function add_reasoning(r, text, part)
  if text == "" then return end
  if r.part and r.part ~= part then r.reasoning = r.reasoning .. "\n\n" end
  r.part, r.reasoning = part, r.reasoning .. text
end

local function add_citation(r, note)
  local kind = text_of(note, "type")
  if not kind then return end
  r.citations[#r.citations + 1] = { kind = kind, url = text_of(note, "url"),
    title = text_of(note, "title") or text_of(note, "filename"),
    start_index = field(note, "start_index", "number"),
    end_index = field(note, "end_index", "number") }
end

-- A message, as far as its parts have not come as deltas: `seen` says which.
local function add_message(r, item, seen, key)
  for i, part in ipairs(list_of(item, "content")) do
    local kind = text_of(part, "type")
    if kind == "output_text" then
      if not seen[key .. "text" .. i - 1] then r.text = r.text .. (text_of(part, "text") or "") end
      if not seen[key .. "notes"] then
        for _, note in ipairs(list_of(part, "annotations")) do add_citation(r, note) end
      end
    elseif kind == "refusal" and not seen[key .. "refusal" .. i - 1] then
      r.refusal = r.refusal .. (text_of(part, "refusal") or "")
    end
  end
end

local function add_thoughts(r, item, seen, key)
  if seen[key .. "reasoning"] then return end
  for _, name in ipairs { "summary", "content" } do
    for i, part in ipairs(list_of(item, name)) do
      add_reasoning(r, text_of(part, "text") or "", key .. name .. i)
    end
  end
end

local function add_call(r, item, key)
  local call = r.places[key]
  if not call then
    call = { arguments = "" }
    r.calls[#r.calls + 1], r.places[key] = call, call
  end
  call.name, call.id = text_of(item, "name") or call.name, text_of(item, "call_id") or call.id
  local whole = text_of(item, "arguments") or text_of(item, "input")
  if whole then call.arguments = whole end
end

local CALLS = { function_call = true, custom_tool_call = true }

-- An item that is complete.
local function add_item(r, item, seen, key)
  local kind = text_of(item, "type")
  seen[key .. "done"] = true
  if kind == "message" then
    add_message(r, item, seen, key)
  elseif kind == "reasoning" then
    add_thoughts(r, item, seen, key)
  elseif CALLS[kind] then
    add_call(r, item, key)
  elseif kind == "image_generation_call" and text_of(item, "result") then
    r.images[#r.images + 1] = item.result
  end
end


-- Ends -----------------------------------------------------------------------------

local function usage_of(r, usage)
  if not decode.is_object(usage) or usage == decode.null then return end
  local function at(outer, name)
    return count(field(name and field(usage, outer, "table") or usage, name or outer, "number"))
  end
  r.usage = {
    prompt_tokens = at "input_tokens", completion_tokens = at "output_tokens",
    total_tokens = at "total_tokens",
    cached_tokens = at("input_tokens_details", "cached_tokens"),
    cache_write_tokens = at("input_tokens_details", "cache_write_tokens"),
    reasoning_tokens = at("output_tokens_details", "reasoning_tokens"),
  }
end

local function verdict_of(r, response)
  local status = text_of(response, "status")
  local reason = text_of(field(response, "incomplete_details", "table"), "reason")
  r.finish = status == "incomplete" and reason or status
  usage_of(r, rawget(response, "usage"))
  if status == "failed" then
    r.words = events.words(response)
    return "api"
  end
  if status == "incomplete" then
    return reason == "content_filter" and "filtered" or "length"
  end
  return #r.calls > 0 and "tool_calls" or "complete"
end


-- Events ---------------------------------------------------------------------------

local take = {}

take["response.output_item.added"] = function(r, event, key)
  if CALLS[text_of(event.item, "type")] then add_call(r, event.item, key) end
end

take["response.output_item.done"] = function(r, event, key, seen)
  add_item(r, event.item, seen, key)
end

-- One text by deltas, or whole where none came.
local function text(name, whole, add)
  take[name .. ".delta"] = function(r, event, key, seen)
    local part = key .. (field(event, "content_index", "number") or 0)
    seen[part .. name] = true
    add(r, field(event, "delta", "string") or "", key, seen, event)
  end
  take[name .. ".done"] = function(r, event, key, seen)
    local part = key .. (field(event, "content_index", "number") or 0)
    if not seen[part .. name] then add(r, text_of(event, whole) or "", key, seen, event) end
  end
end

text("response.output_text", "text", function(r, piece, key, seen, event)
  seen[key .. "text" .. (field(event, "content_index", "number") or 0)] = true
  r.text = r.text .. piece
end)
text("response.refusal", "refusal", function(r, piece, key, seen, event)
  seen[key .. "refusal" .. (field(event, "content_index", "number") or 0)] = true
  r.refusal = r.refusal .. piece
end)

local function arguments(name, whole)
  take[name .. ".delta"] = function(r, event, key)
    local call = r.places[key]
    if call then call.arguments = call.arguments .. (field(event, "delta", "string") or "") end
  end
  take[name .. ".done"] = function(r, event, key)
    local call, all = r.places[key], text_of(event, whole)
    if call and all then call.arguments = all end
  end
end

arguments("response.function_call_arguments", "arguments")
arguments("response.custom_tool_call_input", "input")

local function reasoning(name, index, kind)
  local function part_of(event, key)
    return key .. kind .. (field(event, index, "number") or 0) + 1
  end
  take[name .. ".delta"] = function(r, event, key, seen)
    seen[key .. "reasoning"], seen[part_of(event, key)] = true, true
    add_reasoning(r, field(event, "delta", "string") or "", part_of(event, key))
  end
  take[name .. ".done"] = function(r, event, key, seen)
    if seen[part_of(event, key)] then return end
    seen[key .. "reasoning"], seen[part_of(event, key)] = true, true
    add_reasoning(r, text_of(event, "text") or "", part_of(event, key))
  end
end

reasoning("response.reasoning_summary_text", "summary_index", "summary")
reasoning("response.reasoning_text", "content_index", "content")

take["response.output_text.annotation.added"] = function(r, event, key, seen)
  seen[key .. "notes"] = true
  add_citation(r, field(event, "annotation", "table"))
end

-- What the final event has and no event before it had.
local function add_rest(r, response, seen)
  local nothing = next(seen) == nil
  for i, item in ipairs(list_of(response, "output")) do
    if nothing then add_item(r, item, {}, (i - 1) .. "|") end
  end
end

local FINAL = { ["response.completed"] = true, ["response.incomplete"] = true,
  ["response.failed"] = true }

local function read_stream(r, bytes)
  local seen, last = {}, "0|"
  return events.each(bytes, function(value, name)
    if value == "[DONE]" then return "truncated" end
    local kind = text_of(value, "type") or name
    if kind == "error" or text_of(field(value, "error", "table"), "message") then
      r.words = events.words(value)
      return "api"
    end
    local response = field(value, "response", "table")
    if FINAL[kind] and response then
      add_rest(r, response, seen)
      return verdict_of(r, response)
    end
    local index, id = field(value, "output_index", "number"), text_of(value, "item_id")
      or text_of(field(value, "item", "table"), "id")
    local key = (index or id or last) .. "|"
    if index or id then last = index or id end
    if take[kind] then take[kind](r, value, key, seen) end
  end) or "truncated"
end

--- Reads an answer; see chat.lua.
function reader.read(bytes, whole, status)
  local r = events.reading(bytes, status)
  if r.verdict then return r end
  if not whole then
    r.verdict = read_stream(r, bytes)
    return r
  end
  local value = decode.json(bytes)
  local output = field(value, "output", "table")
  if not output then
    r.words = events.words(value)
    r.verdict = r.words and "api" or "protocol"
    return r
  end
  for i, item in ipairs(output) do add_item(r, item, {}, (i - 1) .. "|") end
  r.verdict = verdict_of(r, value)
  r.text = events.strip(r.text)
  return r
end

return reader
