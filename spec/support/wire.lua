--- Bytes of HTTP answers and event streams, made from Lua values.
--
-- Every function returns a script for the scripted server: a list of steps
-- (see spec/support/init.lua). Pure: no sockets, no state, and its own JSON
-- writer, because specs must be able to send what no JSON library would:
-- invalid UTF-8, an empty array, keys in a known order.
-- Runs on the suite's side and, inside the server, in `lua` steps.

local wire = {}

--- What encodes as `null`.
wire.null = setmetatable({}, { __tostring = function() return "null" end })

local array_mt = {}

--- Marks a table as a JSON array, also when it is empty.
---@param list? table
---@return table
function wire.array(list)
  return setmetatable(list or {}, array_mt)
end

-- The order in which real servers write their keys; other keys come after,
-- sorted, so that a body is the same on every run.
local KEY_ORDER = {}
for rank, key in ipairs {
  "id", "object", "created", "model", "index", "delta", "message", "role",
  "content", "logprobs", "finish_reason", "choices", "usage", "error",
} do
  KEY_ORDER[key] = rank
end

local function key_before(a, b)
  local ra, rb = KEY_ORDER[a] or 1000, KEY_ORDER[b] or 1000
  if ra ~= rb then return ra < rb end
  return a < b
end

local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}

local function escape(c)
  return ESCAPES[c] or string.format("\\u%04x", c:byte())
end

--- JSON text of a value. Bytes from 0x80 up are written as they are.
---@param value any
---@return string
function wire.encode(value)
  local kind = type(value)
  if value == nil or value == wire.null then return "null" end
  if kind == "boolean" then return tostring(value) end
  if kind == "string" then return '"' .. value:gsub('[%c"\\]', escape) .. '"' end
  if kind == "number" then
    if value % 1 == 0 and math.abs(value) < 2 ^ 53 then return string.format("%d", value) end
    return string.format("%.14g", value)
  end
  if kind ~= "table" then error("cannot encode a " .. kind, 2) end
  local out = {}
  if #value > 0 or getmetatable(value) == array_mt then
    for i, item in ipairs(value) do out[i] = wire.encode(item) end
    return "[" .. table.concat(out, ",") .. "]"
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, key_before)
  for i, key in ipairs(keys) do
    out[i] = wire.encode(tostring(key)) .. ":" .. wire.encode(value[key])
  end
  return "{" .. table.concat(out, ",") .. "}"
end

local REASONS = {
  [200] = "OK", [201] = "Created", [204] = "No Content", [205] = "Reset Content",
  [301] = "Moved Permanently", [302] = "Found", [307] = "Temporary Redirect",
  [308] = "Permanent Redirect", [400] = "Bad Request", [401] = "Unauthorized",
  [402] = "Payment Required", [403] = "Forbidden", [404] = "Not Found",
  [407] = "Proxy Authentication Required", [408] = "Request Timeout",
  [409] = "Conflict", [413] = "Content Too Large", [422] = "Unprocessable Content",
  [429] = "Too Many Requests", [500] = "Internal Server Error", [502] = "Bad Gateway",
  [503] = "Service Unavailable", [504] = "Gateway Timeout", [529] = "Overloaded",
}

--- Status line and headers with the blank line.
---@param status integer|string a number, or a whole status line
---@param headers? table a map, or a list of {name, value} where order or repetition matters
---@return string
function wire.head(status, headers)
  local line = status
  if type(status) == "number" then
    line = "HTTP/1.1 " .. status .. " " .. (REASONS[status] or "Status")
  end
  local out = { line }
  headers = headers or {}
  if #headers > 0 then
    for _, pair in ipairs(headers) do out[#out + 1] = pair[1] .. ": " .. pair[2] end
  else
    local names = {}
    for name in pairs(headers) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do out[#out + 1] = name .. ": " .. headers[name] end
  end
  return table.concat(out, "\r\n") .. "\r\n\r\n"
end

local function has_header(headers, wanted)
  for key, value in pairs(headers) do
    local name = type(value) == "table" and value[1] or key
    if tostring(name):lower() == wanted then return true end
  end
  return false
end

local function with_header(headers, name, value)
  if has_header(headers, name:lower()) then return headers end
  local copy = {}
  for key, item in pairs(headers) do copy[key] = item end
  if #copy > 0 then
    copy[#copy + 1] = { name, value }
  else
    copy[name] = value
  end
  return copy
end

--- Bytes in HTTP chunks of at most `size` bytes, without the last-chunk.
---@param bytes string
---@param size? integer
---@return string
function wire.chunks(bytes, size)
  size = size or #bytes
  local out = {}
  for first = 1, #bytes, math.max(size, 1) do
    local piece = bytes:sub(first, first + size - 1)
    out[#out + 1] = string.format("%x\r\n%s\r\n", #piece, piece)
  end
  return table.concat(out)
end

wire.LAST_CHUNK = "0\r\n\r\n"

-- One piece of a body (a string, a step with `send` or `repeat_bytes`, any
-- other step), in the transfer coding asked for.
local function framed(piece, opts)
  if type(piece) == "string" then piece = { send = piece } end
  if opts.framing ~= "chunked" then return piece end
  local copy = {}
  for key, value in pairs(piece) do copy[key] = value end
  if copy.send then copy.send = wire.chunks(copy.send, opts.chunk_size) end
  if copy.repeat_bytes then copy.repeat_bytes = wire.chunks(copy.repeat_bytes) end
  return copy
end

local function length_of(pieces)
  local n = 0
  for _, piece in ipairs(pieces) do
    if type(piece) == "string" then
      n = n + #piece
    else
      n = n + #(piece.send or "") + #(piece.repeat_bytes or "") * (piece.times or 1)
    end
  end
  return n
end

-- Neighbouring plain sends become one write; a step with anything else in it
-- stays what it is.
local function plain(step)
  if not step.send then return false end
  for key in pairs(step) do
    if key ~= "send" then return false end
  end
  return true
end

local function merged(steps)
  local out = {}
  for _, step in ipairs(steps) do
    local last = out[#out]
    if last and plain(last) and plain(step) then
      last.send = last.send .. step.send
    elseif plain(step) then
      out[#out + 1] = { send = step.send }
    else
      out[#out + 1] = step
    end
  end
  return out
end

--- A whole HTTP answer.
--
-- `body` is a string, a table without array part (encoded as JSON, with its
-- content type), or a list of pieces: strings and steps, for pauses and
-- resets within the body.
--
-- opts.framing     "length" (default), "chunked", "close" or "none" (body as
--                  it is, no framing header, connection stays open)
-- opts.chunk_size  bytes per HTTP chunk (default: one chunk per piece)
-- opts.length      a content-length that is not the true one
-- opts.cut         leave out the last-chunk
-- opts.chunk, opts.every   write the bytes in pieces of `chunk` bytes, pausing
---@param status integer|string
---@param headers? table
---@param body? string|table
---@param opts? table
---@return table script
function wire.http(status, headers, body, opts)
  headers, opts = headers or {}, opts or {}
  local framing = opts.framing or "length"
  local pieces
  if type(body) ~= "table" then
    pieces = { body or "" }
  elseif body.send or body.repeat_bytes then
    pieces = { body }
  elseif #body > 0 or getmetatable(body) == array_mt then
    pieces = body
  else
    pieces = { wire.encode(body) }
    headers = with_header(headers, "Content-Type", "application/json")
  end
  if framing == "chunked" then
    headers = with_header(headers, "Transfer-Encoding", "chunked")
  elseif framing == "length" then
    headers = with_header(headers, "Content-Length", tostring(opts.length or length_of(pieces)))
  elseif framing == "close" then
    headers = with_header(headers, "Connection", "close")
  end
  local steps = { { send = wire.head(status, headers) } }
  for _, piece in ipairs(pieces) do
    steps[#steps + 1] = framed(piece, { framing = framing, chunk_size = opts.chunk_size })
  end
  if framing == "chunked" and not opts.cut then
    steps[#steps + 1] = { send = wire.LAST_CHUNK }
  end
  steps = merged(steps)
  if opts.chunk or opts.every then
    for _, step in ipairs(steps) do
      if step.send then step.chunk, step.every = opts.chunk, opts.every end
    end
  end
  if framing == "close" then steps[#steps + 1] = { close = true } end
  return steps
end

--- One event: `data: ` and the text, with a blank line.
---@param data string
---@param newline? string
---@return string
function wire.event(data, newline)
  newline = newline or "\n"
  return "data: " .. data .. newline .. newline
end

-- What an element of the list given to wire.sse stands for: the chunk object.
local function chunk_object(item, opts)
  if type(item) == "string" then item = { content = item } end
  if item.choices or item.error or item.usage or item.object then return item end
  return {
    id = opts.id, object = "chat.completion.chunk", created = 1700000000, model = opts.model,
    choices = { { index = 0, delta = item, finish_reason = wire.null } },
  }
end

local USAGE = { prompt_tokens = 7, completion_tokens = 5, total_tokens = 12 }

local function usage_of(opts)
  return opts.usage == true and USAGE or opts.usage
end

--- A streamed answer in OpenAI's manner.
--
-- Elements of `list`: a string is a content delta; a table with `choices`,
-- `error`, `usage` or `object` is a whole chunk; a table with `raw` is bytes
-- of the stream as they are; a table with `step` is a step of the server (a
-- pause, a reset); any other table is a delta.
--
-- opts.id, opts.model     default "chatcmpl-1", "test-model"
-- opts.role               first chunk with the role (default true)
-- opts.finish_reason      default "stop"; false leaves the chunk out
-- opts.usage              true or a usage object: a last chunk with `choices: []`
-- opts.done               `data: [DONE]` (default true); a string is sent instead of "[DONE]"
-- opts.newline            "\n" (default), "\r\n" or "\r"
-- opts.every              seconds before each event, each in a write of its own
-- opts.status, opts.headers, opts.content_type (false: none)
-- opts.framing            "chunked" (default), "close", "length", "none"; chunk_size, length,
--                         cut and chunk as in wire.http
---@param list table
---@param opts? table
---@return table script
function wire.sse(list, opts)
  local o = {}
  for key, value in pairs(opts or {}) do o[key] = value end
  o.id, o.model = o.id or "chatcmpl-1", o.model or "test-model"
  local pieces = wire.array {}
  local function event(data)
    local bytes = wire.event(data, o.newline)
    if o.every then pieces[#pieces + 1] = { sleep = o.every } end
    pieces[#pieces + 1] = bytes
  end
  if o.role ~= false then
    event(wire.encode(chunk_object({ role = "assistant", content = "" }, o)))
  end
  for _, item in ipairs(list) do
    if type(item) == "table" and item.raw then
      pieces[#pieces + 1] = item.raw
    elseif type(item) == "table" and item.step then
      pieces[#pieces + 1] = item.step
    else
      event(wire.encode(chunk_object(item, o)))
    end
  end
  if o.finish_reason ~= false then
    local last = chunk_object({}, o)
    last.choices[1].finish_reason = o.finish_reason or "stop"
    event(wire.encode(last))
  end
  if o.usage then
    local last = chunk_object({}, o)
    last.choices, last.usage = wire.array {}, usage_of(o)
    event(wire.encode(last))
  end
  if o.done ~= false then event(type(o.done) == "string" and o.done or "[DONE]") end

  local headers = o.headers or {}
  if o.content_type ~= false then
    headers = with_header(headers, "Content-Type", o.content_type or "text/event-stream")
  end
  local http_opts = {
    framing = o.framing or "chunked", chunk_size = o.chunk_size, length = o.length, cut = o.cut,
    chunk = o.chunk,
  }
  return wire.http(o.status or 200, headers, pieces, http_opts)
end

--- A whole `chat.completion`.
--
-- opts.message merges into the message (tool_calls, reasoning_content), opts.choice
-- into the choice (logprobs), opts.extra into the object; opts.finish_reason, opts.usage
-- (true, an object, or false), opts.id, opts.model, opts.status, opts.headers, and the
-- options of wire.http.
---@param text string
---@param opts? table
---@return table script
function wire.json_completion(text, opts)
  opts = opts or {}
  local message = { role = "assistant", content = text }
  for key, value in pairs(opts.message or {}) do message[key] = value end
  local choice = { index = 0, message = message, finish_reason = opts.finish_reason or "stop" }
  for key, value in pairs(opts.choice or {}) do choice[key] = value end
  local object = {
    id = opts.id or "chatcmpl-1", object = "chat.completion", created = 1700000000,
    model = opts.model or "test-model", choices = { choice },
  }
  if opts.usage ~= false then object.usage = opts.usage == nil and USAGE or usage_of(opts) end
  for key, value in pairs(opts.extra or {}) do object[key] = value end
  return wire.http(opts.status or 200, opts.headers, object, opts)
end

--- Bytes as they are, then an orderly end of the connection.
---@param bytes string
---@param opts? {chunk: integer?, every: number?, keep_open: boolean?}
---@return table script
function wire.raw(bytes, opts)
  opts = opts or {}
  local steps = { { send = bytes, chunk = opts.chunk, every = opts.every } }
  if not opts.keep_open then steps[2] = { close = true } end
  return steps
end

return wire
