--- HTTP/1 requests out of the bytes of one connection.
--
-- A push parser: `feed` takes bytes in any pieces, and the callbacks tell of each
-- head and each whole request. Lenient, because specs want to see what was sent
-- and not a refusal; what makes no sense at all raises. Knows no sockets.

local request = {}

local BODY_KEPT = 8 * 1024 * 1024 -- of each body; its true length is counted
local HEAD_MAX = 16 * 1024 * 1024

-- The parser is a coroutine that yields whenever `state.input` is used up.

local function take_line(state)
  while true do
    local first, last = state.input:find("\r?\n", state.scanned)
    if first then
      local line = state.input:sub(1, first - 1)
      state.input, state.scanned = state.input:sub(last + 1), 1
      return line
    end
    state.scanned = math.max(#state.input, 1)
    if #state.input > HEAD_MAX then error("request head too large") end
    coroutine.yield()
  end
end

local function take_bytes(state, n, body)
  while n > 0 do
    if state.input == "" then coroutine.yield() end
    local piece = state.input
    if #piece > n then
      piece, state.input = piece:sub(1, n), piece:sub(n + 1)
    else
      state.input = ""
    end
    n = n - #piece
    body.length = body.length + #piece
    if body.kept < BODY_KEPT then
      body[#body + 1] = piece
      body.kept = body.kept + #piece
    end
  end
  state.scanned = 1
end

local function take_head(state)
  local line = take_line(state)
  while line == "" do line = take_line(state) end
  local head = { line = line, headers = {}, named = {} }
  head.method, head.target, head.version = line:match("^(%S+) (%S+) (%S+)$")
  while true do
    line = take_line(state)
    if line == "" then return head end
    local name, value = line:match("^([^:]*):[ \t]*(.-)[ \t]*$")
    name, value = name or line, value or ""
    head.headers[#head.headers + 1] = { name, value }
    local key = name:lower()
    head.named[key] = head.named[key] and head.named[key] .. ", " .. value or value
  end
end

local function take_body(state, named)
  local body = { length = 0, kept = 0 }
  if (named["transfer-encoding"] or ""):lower():find("chunked", 1, true) then
    while true do
      local digits = take_line(state):match("^%x+") or error("bad chunk size")
      local size = tonumber(digits, 16)
      if size == 0 then break end
      take_bytes(state, size, body)
      take_line(state)
    end
    while take_line(state) ~= "" do end -- trailers
  else
    take_bytes(state, tonumber(named["content-length"]) or 0, body)
  end
  return table.concat(body), body.length
end

--- A parser: a function that takes bytes. `on_head` and `on_request` are given the
--- request {method, target, version, line, headers, named, body, body_length},
--- the first one before there is a body.
---@param on_head fun(request: table)
---@param on_request fun(request: table)
---@return fun(bytes: string)
function request.parser(on_head, on_request)
  local state = { input = "", scanned = 1 }
  local resume = coroutine.wrap(function()
    while true do
      local head = take_head(state)
      on_head(head)
      head.body, head.body_length = take_body(state, head.named)
      on_request(head)
    end
  end)
  return function(bytes)
    state.input = state.input .. bytes
    resume()
  end
end

return request
