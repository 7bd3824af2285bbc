--- What the readings of all dialects begin with: the events of a stream, and values of JSON
-- of which nothing is taken on trust. Shares no code with the module.

local decode = require "spec.support.decode"

local events = {}

local null = decode.null

--- What a field holds, when it is of this type; nil for null and for what is no object.
function events.field(object, name, kind)
  local value = type(object) == "table" and object ~= null and rawget(object, name) or nil
  if value == null or type(value) ~= kind then return nil end
  return value
end

--- The text in a field, nil when it is empty.
function events.text_of(object, name)
  local value = events.field(object, name, "string")
  return value ~= "" and value or nil
end

--- The first of these that counts something.
function events.count(...)
  for i = 1, select("#", ...) do
    local n = select(i, ...)
    if n and n == n and n >= 0 and n <= 2 ^ 53 then return n end
  end
end

--- The list in a field, empty when there is none.
function events.list_of(object, name)
  local value = events.field(object, name, "table")
  return decode.is_list(value) and value or {}
end

function events.strip(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- The lines of an event stream (WHATWG): CRLF, CR and LF end one, a BOM is none of it.
local function lines_of(bytes)
  bytes = bytes:gsub("^\239\187\191", ""):gsub("\r\n", "\n"):gsub("\r", "\n")
  return (bytes .. "\n"):gmatch("([^\n]*)\n")
end

--- A list of {name, data}. A line `error: ...` (older llama-server) is an event as well.
-- An event that the end of the stream cuts counts when its data are a JSON object.
function events.of(bytes)
  local list, data, name = {}, nil, nil
  local function finish()
    if data then list[#list + 1] = { name = name, data = table.concat(data, "\n") } end
    data, name = nil, nil
  end
  for line in lines_of(bytes) do
    local key, value = line:match("^([^:]*): ?(.*)$")
    key, value = key or line, value or ""
    if line == "" then
      finish()
    elseif key == "data" then
      data = data or {}
      data[#data + 1] = value
    elseif key == "event" then
      name = value
    elseif key == "error" then
      list[#list + 1] = { name = "error", data = value }
    end
  end
  if data and decode.is_object(decode.json(table.concat(data, "\n"))) then finish() end
  return list
end

--- Hands the events to `take(value, name)` until it returns a verdict. "[DONE]" as the value
-- is the sentinel. Returns that verdict, "protocol" for what is no JSON, or nil at the end.
function events.each(bytes, take)
  for _, event in ipairs(events.of(bytes)) do
    local data = events.strip(event.data)
    local value, problem
    if data == "[DONE]" then
      value = data
    elseif data ~= "" and event.name ~= "ping" and event.name ~= "keepalive" then
      value, problem = decode.json(data)
      if problem then return event.name == "error" and "api" or "protocol" end
    end
    local verdict = value ~= nil and take(value, event.name)
    if verdict then return verdict end
  end
end

--- The most telling words of a body that is an error, or nil.
function events.words(value)
  if decode.is_list(value) then value = value[1] end
  local problem = events.field(value, "error", "table")
  return events.text_of(problem, "message") or events.text_of(value, "error")
    or events.text_of(value, "message") or events.text_of(value, "detail")
end

--- A reading in which nothing is yet; with its verdict where HTTP's status says all.
function events.reading(bytes, status)
  local r = { text = "", reasoning = "", refusal = "", calls = {}, places = {}, citations = {},
    images = {} }
  if status >= 400 then
    r.words, r.verdict = events.words(decode.json(bytes)), "http"
  end
  return r
end

return events
