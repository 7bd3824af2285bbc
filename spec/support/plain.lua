-- Requests by hand, over a socket: what a server answers, without a client of ours.

local json = require "cjson"
local socket = require "socket"

local M = {}

-- Sends a request by hand and reads the answer to the end of the connection.
-- Returns the status, the headers (lower-case names) and the body, unchunked.
function M.request(port, method, target, body, headers)
  local client = assert(socket.connect("127.0.0.1", port))
  client:settimeout(10)
  local lines = { ("%s %s HTTP/1.1"):format(method, target), "Host: 127.0.0.1",
    "Connection: close" }
  if body and not (headers and headers["Transfer-Encoding"]) then
    lines[#lines + 1] = "Content-Length: " .. #body
  end
  for name, value in pairs(headers or {}) do lines[#lines + 1] = name .. ": " .. value end
  assert(client:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")))
  local answer, problem, partial = client:receive("*a")
  client:close()
  answer = answer or partial
  assert(answer and answer ~= "", problem)
  local head, rest = answer:match("^(.-\r\n)\r\n(.*)$")
  local named = {}
  for name, value in head:gmatch("([^\r\n:]+): *([^\r\n]*)") do named[name:lower()] = value end
  if named["transfer-encoding"] == "chunked" then
    local parts, position = {}, 1
    while true do
      local _, stop, size = rest:find("^(%x+)[^\r\n]*\r\n", position)
      size = assert(tonumber(size, 16), "bad chunk")
      if size == 0 then break end
      parts[#parts + 1] = rest:sub(stop + 1, stop + size)
      position = stop + size + 3
    end
    rest = table.concat(parts)
  end
  return tonumber(head:match("^HTTP/1%.1 (%d+)")), named, rest
end

---The decoded events of a stream; the sentinel as the string it is. The line `event:` of
---one, where there is any, repeats its type.
---@param text string
---@return table[]
function M.events(text)
  local list = {}
  for block in text:gmatch("(.-)\n\n") do
    local data = assert(block:match("data: (.*)$"), block)
    local event = data == "[DONE]" and data or json.decode(data)
    local name = block:match("^event: ([^\n]*)\n")
    assert(name == nil or name == event.type, block)
    list[#list + 1] = event
  end
  return list
end

---What asks one dialect: `port` is to be set; `body` a table, completed from `defaults`, or
---a text.
---@param target string
---@param defaults table
---@param headers? table
---@return table {post, whole, stream}
function M.asker(target, defaults, headers)
  local ask = {}
  function ask.post(body, other_target, other_headers)
    if type(body) == "table" then
      for name, value in pairs(defaults) do
        if body[name] == nil then body[name] = value end
      end
      body = json.encode(body)
    end
    local status, named, text = M.request(ask.port, "POST", other_target or target, body,
      other_headers or headers)
    return status, text, named
  end
  function ask.whole(body)
    local status, text = ask.post(body)
    assert(status == 200, text)
    return json.decode(text), text
  end
  function ask.stream(body)
    body.stream = true
    local status, text, named = ask.post(body)
    assert(status == 200, text)
    assert(named["content-type"]:find("^text/event%-stream"), named["content-type"])
    return M.events(text), text
  end
  return ask
end

return M
