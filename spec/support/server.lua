--- The scripted server: a process that plays steps to each connection.
--
-- Always run by lua5.4 with lua-cqueues, lua-luaossl, lua-socket and lua-cjson,
-- whatever interpreter the suite has. It prints the port of its control
-- listener and then obeys one control connection: a JSON object a line in, one
-- out. It ends when that connection ends, and in any case after its life limit.
-- It knows steps and sockets, and nothing about chat; what the bytes mean is
-- the business of wire.lua.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path

local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local cq_socket = require "cqueues.socket"
local luasocket = require "socket"
local json = require "cjson"
local certs = require "certs"
local connection = require "connection"
local strict = require "strict"

json.encode_max_depth(200)
json.decode_max_depth(200)
json.encode_number_precision(14)
json.encode_sparse_array(true)

local LIFE_LIMIT = tonumber(os.getenv("TEST_SERVER_LIFE")) or 20 * 60

local queue = cqueues.new()
local listeners = {} -- id -> listener
local last_id = 0
local ca -- the test CA, see certs.lua


-- Listeners ----------------------------------------------------------------

local function open_listener(options)
  last_id = last_id + 1
  local listener = {
    id = last_id, scripts = options.scripts, played = 0, tls = options.tls,
    strict = options.strict, issued = options.strict and strict.issued() or nil,
    beside = options.beside,
    events = {}, requests = {}, connections = {}, changed = condition.new(),
  }
  if listener.tls and listener.tls ~= "stall" then
    listener.context = ca:context(listener.tls)
  end
  local host = options.host or "127.0.0.1"
  local port = math.floor(options.port or 0) -- JSON has no integers
  if options.accept == "full" then
    -- a queue of one, filled by ourselves: the kernel drops every further SYN,
    -- which is how a host that does not answer looks
    local tcp = host:find(":", 1, true) and luasocket.tcp6 or luasocket.tcp4
    listener.raw = assert(tcp())
    assert(listener.raw:bind(host, port))
    assert(listener.raw:listen(0))
    listener.port = tonumber((select(2, listener.raw:getsockname())))
    listener.fillers = {}
    for i = 1, 2 do
      local filler = tcp()
      filler:settimeout(0.05)
      filler:connect(host, listener.port)
      listener.fillers[i] = filler
    end
  else
    listener.socket = cq_socket.listen { host = host, port = port, nodelay = true }
    assert(listener.socket:listen())
    listener.port = select(3, listener.socket:localname())
  end
  listeners[listener.id] = listener
  if listener.socket and options.accept ~= "never" then
    queue:wrap(function()
      while not listener.closed do
        local ok, con = pcall(listener.socket.accept, listener.socket, { nodelay = true })
        if listener.closed then
          if ok and con then con:close() end
        elseif ok and con then
          connection.start(listener, con)
        else
          cqueues.sleep(0.01) -- out of descriptors, most likely
        end
      end
    end)
  end
  return listener
end

local function close_listener(listener)
  listener.closed = true
  for _, conn in ipairs(listener.connections) do connection.close(conn) end
  if listener.socket then listener.socket:close() end
  if listener.raw then listener.raw:close() end
  for _, filler in ipairs(listener.fillers or {}) do filler:close() end
  listener.changed:signal()
  listeners[listener.id] = nil
end


-- Control ------------------------------------------------------------------

local ops = {}

local function listener_of(message)
  return listeners[message.id] or error("no listener " .. tostring(message.id), 0)
end

function ops.serve(message)
  local listener = open_listener(message)
  return { id = listener.id, port = listener.port }
end

function ops.scripts(message)
  local listener = listener_of(message)
  listener.scripts, listener.played = message.scripts, 0
  return {}
end

function ops.requests(message)
  local listener, out = listener_of(message), {}
  for i = (message.seen or 0) + 1, #listener.requests do
    out[#out + 1] = listener.requests[i]
  end
  return { requests = out }
end

function ops.events(message)
  local listener, out = listener_of(message), {}
  for i = (message.seen or 0) + 1, #listener.events do
    out[#out + 1] = listener.events[i]
  end
  return { events = out }
end

function ops.connections(message)
  local out = {}
  for i, conn in ipairs(listener_of(message).connections) do
    out[i] = {
      conn = conn.n, sent = conn.sent, received = conn.received, tls = conn.tls or false,
      gone = conn.gone or false, closed = conn.closed or false, requests = #conn.requests,
    }
  end
  return { connections = out }
end

function ops.wait(message)
  local listener = listener_of(message)
  local function count()
    local n = 0
    for _, event in ipairs(listener.events) do
      if event.what == message.what and (not message.conn or event.conn == message.conn) then
        n = n + 1
      end
    end
    return n
  end
  local seen = connection.wait_until(listener, message.seconds, function()
    return count() >= message.n
  end)
  return { seen = seen and true or false, count = count() }
end

function ops.close(message)
  local listener = listeners[message.id]
  if listener then close_listener(listener) end
  return {}
end

local function obey(control)
  control:setmode("bn", "bn")
  control:onerror(function(_, _, code) return code end)
  control:write(json.encode { ca_file = ca.file } .. "\n")
  while true do
    -- lines are put together here: cqueues reads long ones in quadratic time
    local parts, line = {}, nil
    repeat
      local data = control:read(-65536)
      if not data then return end
      parts[#parts + 1] = data
      if data:find("\n", 1, true) then line = table.concat(parts) end
    until line
    local ok, answer = pcall(function()
      local message = json.decode(line)
      return ops[message.op](message)
    end)
    if not ok then answer = { error = tostring(answer) } end
    if not control:write(json.encode(answer) .. "\n") then return end
  end
end

local function main()
  ca = certs.new()
  local listener = cq_socket.listen { host = "127.0.0.1", port = 0 }
  assert(listener:listen())
  local _, _, port = listener:localname()
  io.stdout:write(port, "\n")
  io.stdout:flush()
  local control = listener:accept({ nodelay = true }, 10)
  listener:close()
  if control then obey(control) end
end

queue:wrap(function()
  local ok, problem = xpcall(main, debug.traceback)
  if not ok then io.stderr:write("spec server: ", problem, "\n") end
  if ca then ca:remove() end
  os.exit(ok)
end)
queue:wrap(function()
  cqueues.sleep(LIFE_LIMIT)
  if ca then ca:remove() end
  os.exit(1)
end)

while true do
  local ok, problem = queue:step()
  if not ok then io.stderr:write("spec server: ", tostring(problem), "\n") end
end
