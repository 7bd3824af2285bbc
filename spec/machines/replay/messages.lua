--- What a recorded answer of the Messages API says; chat.lua has what a reading is.
--
-- Written from the facts about the API and from recordings: blocks by their index, a call
-- without `input_json_delta` has no arguments, counts of `message_delta` are those so far,
-- a stream without `message_stop` is cut.

local decode = require "spec.support.decode"
local events = require "spec.machines.replay.events"

local reader = {}

local field, text_of, count, list_of = events.field, events.text_of, events.count, events.list_of


-- Blocks ---------------------------------------------------------------------------

local function add_citation(r, note)
  local kind = text_of(note, "type")
  if not kind then return end
  r.citations[#r.citations + 1] = { kind = kind, url = text_of(note, "url"),
    title = text_of(note, "title") or text_of(note, "document_title"),
    text = text_of(note, "cited_text"), note = note,
    start_index = field(note, "start_char_index", "number"),
    end_index = field(note, "end_char_index", "number") }
end

-- A block as it starts, or whole.
local function add_block(r, block)
  local kind = text_of(block, "type")
  if kind == "text" then
    r.text = r.text .. (text_of(block, "text") or "")
    for _, note in ipairs(list_of(block, "citations")) do add_citation(r, note) end
  elseif kind == "thinking" then
    r.reasoning = r.reasoning .. (text_of(block, "thinking") or "")
  elseif kind == "tool_use" then
    local input = field(block, "input", "table")
    local call = { name = text_of(block, "name"), id = text_of(block, "id"), arguments = "",
      object = input and next(input) ~= nil and input or nil }
    r.calls[#r.calls + 1] = call
    return call
  end
end


-- Ends -----------------------------------------------------------------------------

-- The last count of each name wins: a stream gives them at its start and at its end.
local function usage_of(r, usage)
  if not decode.is_object(usage) or usage == decode.null then return end
  r.counts = r.counts or {}
  for _, name in ipairs { "input_tokens", "output_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens" } do
    r.counts[name] = count(field(usage, name, "number")) or r.counts[name]
  end
  local details = field(usage, "output_tokens_details", "table")
  r.counts.thinking = count(field(details, "thinking_tokens", "number")) or r.counts.thinking
end

-- All input is the sum of three: what was fresh, read from the cache and written to it.
local function usage_in_all(counts)
  if not counts then return nil end
  local read, written = counts.cache_read_input_tokens, counts.cache_creation_input_tokens
  local prompt = counts.input_tokens and counts.input_tokens + (read or 0) + (written or 0)
  return { prompt_tokens = prompt, completion_tokens = counts.output_tokens,
    total_tokens = prompt and counts.output_tokens and prompt + counts.output_tokens,
    cached_tokens = read, cache_write_tokens = written, reasoning_tokens = counts.thinking }
end

local LENGTH = { max_tokens = true, model_context_window_exceeded = true }

local function verdict_of(r)
  r.usage = usage_in_all(r.counts)
  if LENGTH[r.finish] then return "length" end
  if r.finish == "refusal" then return "filtered" end
  if r.finish == "pause_turn" then return "paused" end
  return #r.calls > 0 and "tool_calls" or "complete"
end

local function finish_of(r, value)
  r.finish = text_of(value, "stop_reason") or r.finish
  local details = field(value, "stop_details", "table")
  r.refusal = text_of(details, "explanation") or r.refusal
end


-- Events ---------------------------------------------------------------------------

local take = {}

function take.message_start(r, event)
  usage_of(r, rawget(field(event, "message", "table") or {}, "usage"))
end

function take.content_block_start(r, event, blocks)
  blocks[event.index or 0] = add_block(r, field(event, "content_block", "table")) or false
end

function take.content_block_delta(r, event, blocks)
  local delta, call = field(event, "delta", "table"), blocks[event.index or 0]
  local kind = text_of(delta, "type")
  if kind == "text_delta" then
    r.text = r.text .. (text_of(delta, "text") or "")
  elseif kind == "thinking_delta" then
    r.reasoning = r.reasoning .. (text_of(delta, "thinking") or "")
  elseif kind == "input_json_delta" then
    if call then call.arguments = call.arguments .. (text_of(delta, "partial_json") or "") end
  elseif kind == "citations_delta" then
    add_citation(r, field(delta, "citation", "table"))
  end
end

function take.message_delta(r, event)
  finish_of(r, field(event, "delta", "table"))
  usage_of(r, rawget(event, "usage"))
end

function take.message_stop(r) return verdict_of(r) end

function take.error(r, event)
  r.words = events.words(event)
  return "api"
end

--- Reads an answer; see chat.lua. The verdict "paused" is that of a turn that the service
-- interrupted.
function reader.read(bytes, whole, status)
  local r = events.reading(bytes, status)
  if r.verdict then return r end
  if not whole then
    local blocks = {}
    r.verdict = events.each(bytes, function(value, name)
      if value == "[DONE]" then return "truncated" end
      local taken = take[text_of(value, "type") or name]
      return taken and taken(r, value, blocks)
    end) or "truncated"
    return r
  end
  local value = decode.json(bytes)
  local content = field(value, "content", "table")
  if not content then
    r.words = events.words(value)
    r.verdict = text_of(value, "type") == "error" and "api" or "protocol"
    return r
  end
  for _, block in ipairs(content) do add_block(r, block) end
  finish_of(r, value)
  usage_of(r, rawget(value, "usage"))
  r.verdict = verdict_of(r)
  r.text = events.strip(r.text)
  return r
end

return reader
