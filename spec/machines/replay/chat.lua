--- What a recorded chat completion says, read by other means than the module's.
--
-- Written from the rules of the services, not from the module, with which it shares no
-- code: what the two disagree about is a fault of one of them. Slow and simple: it has
-- all the bytes. A reading, of this dialect and of the others, is a table
--   text, reasoning, refusal   strings, "" when there is none
--   calls                      a list of {name, arguments, id}; arguments as text, or
--                              `object` where they came as an object
--   citations                  a list of {url, title, text, start_index, end_index}
--   images                     a list of base64 texts
--   usage                      prompt_tokens, completion_tokens, total_tokens,
--                              cached_tokens, cache_write_tokens, reasoning_tokens
--   finish                     the word of the service
--   verdict                    "complete", "length", "tool_calls", "filtered", or the kind
--                              of an error: "api", "http", "protocol", "truncated"
--   words                      what the service says of an error

local decode = require "spec.support.decode"
local events = require "spec.machines.replay.events"

local reader = {}

local null, field, text_of, count = decode.null, events.field, events.text_of, events.count


-- Tool calls ---------------------------------------------------------------------

local function is_whole(text)
  return text:find("%S") ~= nil and decode.json(text) ~= nil
end

local function merge_call(r, fragment)
  if not decode.is_object(fragment) then return end
  local fn = field(fragment, "function", "table")
  local name, id, index = text_of(fn, "name"), text_of(fragment, "id"),
    field(fragment, "index", "number")
  local place = index and r.places[index] or not index and #r.calls or nil
  local call = r.calls[place or 0]
  local opens = name and (not call or not index or id and id ~= call.id
    or is_whole(call.arguments))
  if not call and not opens then return end
  if opens then
    call = { name = "", arguments = "", id = id }
    r.calls[#r.calls + 1] = call
    if index then r.places[index] = #r.calls end
  end
  if name then
    if name:sub(1, #call.name) == call.name then call.name = name
    elseif call.name:sub(1, #name) ~= name then call.name = call.name .. name end
  end
  local arguments = fn and rawget(fn, "arguments")
  if type(arguments) == "string" then
    call.arguments = call.arguments .. arguments
  elseif decode.is_object(arguments) and arguments ~= null then
    call.object = arguments
  end
end


-- Chunks -------------------------------------------------------------------------

local function content_of(r, content)
  if type(content) == "string" then r.text = r.text .. content end
  if not decode.is_list(content) then return end
  for _, part in ipairs(content) do
    if type(part) == "string" then r.text = r.text .. part end
    r.text = r.text .. (text_of(part, "text") or "")
    for _, thought in ipairs(field(part, "thinking", "table") or {}) do
      r.reasoning = r.reasoning .. (text_of(thought, "text") or "")
    end
  end
end

local function details_of(list)
  local out = {}
  for _, detail in ipairs(list or {}) do
    out[#out + 1] = text_of(detail, "text") or text_of(detail, "summary")
  end
  return table.concat(out)
end

local function delta_of(r, delta)
  local before = #r.text + #r.reasoning + #r.refusal + #r.calls
  content_of(r, rawget(delta, "content"))
  r.reasoning = r.reasoning .. (text_of(delta, "reasoning_content") or text_of(delta, "reasoning")
    or details_of(field(delta, "reasoning_details", "table")))
  r.refusal = r.refusal .. (text_of(delta, "refusal") or "")
  for _, fragment in ipairs(field(delta, "tool_calls", "table") or {}) do
    merge_call(r, fragment)
  end
  return #r.text + #r.reasoning + #r.refusal + #r.calls > before
end

local function usage_of(r, usage)
  if not decode.is_object(usage) or usage == null then return end
  local function at(name) return field(usage, name, "number") end
  r.usage = {
    prompt_tokens = count(at "prompt_tokens"), total_tokens = count(at "total_tokens"),
    completion_tokens = count(at "completion_tokens"),
    cached_tokens = count(
      field(field(usage, "prompt_tokens_details", "table"), "cached_tokens", "number"),
      at "cached_tokens", at "prompt_cache_hit_tokens", at "num_cached_tokens",
      at "cache_read_input_tokens"),
    cache_write_tokens = count(
      field(field(usage, "prompt_tokens_details", "table"), "cache_write_tokens", "number"),
      at "cache_creation_input_tokens"),
    reasoning_tokens = count(
      field(field(usage, "completion_tokens_details", "table"), "reasoning_tokens", "number"),
      at "reasoning_tokens"),
  }
end

-- The pages that an answer rests on: marked in the text, or a list beside it.
local function cite(r, message)
  for _, note in ipairs(events.list_of(message, "annotations")) do
    local page = field(note, "url_citation", "table")
    if page then
      r.citations[#r.citations + 1] = { url = text_of(page, "url"), title = text_of(page, "title"),
        start_index = field(page, "start_index", "number"),
        end_index = field(page, "end_index", "number") }
    end
  end
end

local function cite_pages(r, value)
  local pages, urls = events.list_of(value, "search_results"), events.list_of(value, "citations")
  if #pages == 0 and #urls == 0 then return end
  r.pages = {}
  for i, page in ipairs(#pages > 0 and pages or urls) do
    r.pages[i] = { url = text_of(page, "url") or page, title = text_of(page, "title") }
  end
end

local function is_error(value)
  local error = field(value, "error", "table") or text_of(value, "error")
    or field(value, "error", "boolean")
  return error or text_of(value, "object") == "error"
end

-- False when the value says that there was an error.
local function take(r, value, whole)
  if decode.is_list(value) then value = value[1] end
  if not decode.is_object(value) then return true end
  if is_error(value) then return false end
  cite_pages(r, value)
  usage_of(r, rawget(value, "usage"))
  usage_of(r, field(field(value, "x_groq", "table"), "usage", "table"))
  for i, choice in ipairs(field(value, "choices", "table") or {}) do
    local index = field(choice, "index", "number") or i - 1
    r.choice = r.choice or #value.choices > 1 and 0 or index
    if index == r.choice then
      local first = whole and "message" or "delta"
      local second = whole and "delta" or "message"
      local delta = field(choice, first, "table") or field(choice, second, "table")
      if delta then
        delta_of(r, delta)
        cite(r, delta)
      end
      usage_of(r, field(choice, "usage", "table"))
      local reason = text_of(choice, "finish_reason")
      if reason and reason ~= "null" then r.reason = reason end
    end
  end
  return true
end


-- Verdicts -----------------------------------------------------------------------

local VERDICTS = { length = "length", max_tokens = "length", model_length = "length" }
for name in ("content_filter safety recitation prohibited_content blocklist spii sensitive "
  .. "refusal"):gmatch("%S+") do
  VERDICTS[name] = "filtered"
end
for name in ("error network_error malformed_function_call engine_overloaded"):gmatch("%S+") do
  VERDICTS[name] = "api"
end

local function verdict_of(r)
  local reason = r.reason and r.reason:lower() or ""
  if reason:find("_tokens$") or reason:find("_exceeded$") then return "length" end
  if reason:find("^function_call_filter") then return "api" end
  return VERDICTS[reason] or #r.calls > 0 and "tool_calls" or "complete"
end

--- Reads an answer.
---@param bytes string the body
---@param whole boolean a document, not an event stream
---@param status integer of HTTP
---@return table reading
function reader.read(bytes, whole, status)
  local r = events.reading(bytes, status)
  if r.verdict then return r end
  local function ended(verdict)
    r.verdict, r.finish = verdict, r.reason
    if #r.citations == 0 and r.pages then r.citations = r.pages end
    return r
  end
  if whole then
    local value = decode.json(bytes)
    if value == nil then return ended "protocol" end
    if not take(r, value, true) then
      r.words = events.words(value)
      return ended "api"
    end
    if not field(value, "choices", "table") then return ended "protocol" end
    r.text = events.strip(r.text)
    return ended(verdict_of(r))
  end
  local done
  local stopped = events.each(bytes, function(value, name)
    done = value == "[DONE]"
    if done then return "done" end
    if name == "error" or not take(r, value, false) then
      r.words = events.words(value)
      return "api"
    end
  end)
  if stopped and not done then return ended(stopped) end
  if not done and not r.reason then return ended "truncated" end
  return ended(verdict_of(r))
end

return reader
