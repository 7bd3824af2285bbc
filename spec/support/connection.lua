--- One connection of the scripted server: its script, played to its client.
--
-- Reading goes on for the whole life of a connection, beside the steps, so that
-- requests and the client's leaving are seen at once, whatever is being played.
-- A listener is a table {scripts, played, strict, issued, beside, tls, context, events,
-- requests, connections, changed}; each thing that happens is recorded in `events`, and
-- `changed` wakes whoever waits. Runs in a coroutine of cqueues.

local cqueues = require "cqueues"
local errno = require "cqueues.errno"
local luasocket = require "socket"
local json = require "cjson"
local request_parser = require("request").parser
local strict = require "strict"
local wire = require "wire"

local connection = {}

local SLICE = 64 * 1024 -- of one read or write


-- What happened ------------------------------------------------------------

local function record(conn, what, fields)
  local event = fields or {}
  event.conn, event.what, event.at = conn.n, what, cqueues.monotime()
  local events = conn.listener.events
  events[#events + 1] = event
  conn.listener.changed:signal()
end

--- Waits until `done()` or the time is over. A nil `seconds` waits for ever.
function connection.wait_until(listener, seconds, done)
  local limit = seconds and cqueues.monotime() + seconds
  while true do
    local result = done()
    if result then return result end
    local left = limit and limit - cqueues.monotime()
    if left and left <= 0 then return false end
    cqueues.poll(listener.changed, left)
  end
end

local wait_until = connection.wait_until


-- Reading ------------------------------------------------------------------

local function parser(conn)
  return request_parser(function()
    record(conn, "head")
  end, function(request)
    local listener = conn.listener
    request.conn, request.at = conn.n, cqueues.monotime()
    if listener.strict then
      request.refused = strict.request(request, listener.strict, listener.issued,
        listener.beside)
    end
    conn.requests[#conn.requests + 1] = request
    listener.requests[#listener.requests + 1] = request
    record(conn, "request", { n = #conn.requests })
    if request.refused then record(conn, "refused", { message = request.refused }) end
  end)
end

local function end_of_input(conn, err)
  if conn.closed or conn.gone then return end
  local how = "fin"
  if err == errno.ECONNRESET or err == errno.EPIPE then how = "rst" end
  if err and how == "fin" then
    how = type(err) == "number" and errno.strerror(err) or tostring(err)
  end
  conn.gone = how
  record(conn, "peer closed", { how = how })
end

local function read_all(conn)
  local parse = parser(conn)
  while not conn.closed do
    local ok, data, err = pcall(conn.con.read, conn.con, -SLICE)
    if conn.closed then return end
    if not ok then return end_of_input(conn, data) end
    if not data then return end_of_input(conn, err) end
    conn.received = conn.received + #data
    if not conn.opaque then
      local parsed, problem = pcall(parse, data)
      if not parsed then
        record(conn, "bad request", { message = tostring(problem) })
        conn.opaque = true
      end
    end
  end
end

local function start_reading(conn)
  if conn.reading then return end
  conn.reading = true
  cqueues.running():wrap(function() read_all(conn) end)
end


-- Steps --------------------------------------------------------------------

--- Ends a connection from our side. Idempotent.
function connection.close(conn)
  if conn.closed then return end
  conn.closed = true
  record(conn, "closed", { sent = conn.sent })
  if conn.writing then -- cqueues loses its way when two wait on what is closed
    pcall(conn.con.shutdown, conn.con, "rw")
  else
    pcall(conn.con.close, conn.con)
  end
end

-- Writes it all, in slices so that conn.sent tells how far it came. False when
-- the client is gone.
local function write(conn, bytes)
  for first = 1, #bytes, SLICE do
    local slice = #bytes <= SLICE and bytes or bytes:sub(first, first + SLICE - 1)
    if conn.closed then return false end
    conn.writing = true
    local ok, done, err = pcall(conn.con.write, conn.con, slice)
    conn.writing = false
    if conn.closed then pcall(conn.con.close, conn.con) end
    if not ok or not done then
      conn.write_error = ok and err or done
      return false
    end
    conn.sent = conn.sent + #slice
    if conn.answer then conn.answer:add(slice) end
  end
  return true
end

-- A reset: with SO_LINGER at zero, close() sends RST instead of FIN. cqueues has
-- no option for it; a lua-socket object borrows the descriptor to set it.
local function reset(conn)
  local lender = luasocket.tcp()
  local own = lender:getfd()
  lender:setfd(conn.con:pollfd())
  assert(lender:setoption("linger", { on = true, timeout = 0 }))
  lender:setfd(own)
  lender:close()
  connection.close(conn)
end

local function send_pieces(conn, step, bytes)
  local size = step.chunk or #bytes
  for first = 1, #bytes, math.max(size, 1) do
    if first > 1 then cqueues.sleep(step.every or 0) end
    if not write(conn, bytes:sub(first, first + size - 1)) then return false end
  end
  return true
end

local play = {} -- what a step names -> the function that plays it
local play_step, play_steps

function play.send(conn, step)
  local list = type(step.send) == "table" and step.send or { step.send }
  local before = conn.sent
  for i, bytes in ipairs(list) do
    if i > 1 then cqueues.sleep(step.every or 0) end
    if not send_pieces(conn, step, bytes) then break end
  end
  record(conn, "sent", { n = conn.sent - before, total = conn.sent })
end

function play.repeat_bytes(conn, step)
  local left, unit, before = step.times or 1, step.repeat_bytes, conn.sent
  local per_block = math.max(1, math.floor(SLICE / #unit))
  local block = unit:rep(math.min(per_block, left))
  while left > 0 do
    if left < per_block then block = unit:rep(left) end
    if not write(conn, block) then break end
    left = left - per_block
    cqueues.sleep(step.every or 0)
  end
  record(conn, "sent", { n = conn.sent - before, total = conn.sent })
end

function play.sleep(conn, step)
  wait_until(conn.listener, step.sleep, function() return conn.closed end)
end

function play.reset(conn) reset(conn) end

function play.close(conn) connection.close(conn) end

function play.half_close(conn)
  pcall(conn.con.shutdown, conn.con, "w")
  record(conn, "half closed")
end

function play.stall(conn)
  wait_until(conn.listener, nil, function() return conn.gone or conn.closed end)
end

function play.wait_close(conn, step)
  local seen = wait_until(conn.listener, step.wait_close, function()
    return conn.gone or conn.closed
  end)
  if not seen then record(conn, "still open") end
end

-- The next request is the one that is answered now. False, and the connection is closed
-- behind an answer that says why, when no strict service would take it.
local function take_request(conn)
  conn.answered = conn.answered + 1
  local request, listener = conn.requests[conn.answered], conn.listener
  local problem = request.refused
  if not problem then
    conn.answer = listener.issued and strict.answer(request, listener.issued)
    return true
  end
  for _, step in ipairs(wire.http(400, {}, { error = { message = "refused: " .. problem } },
    { framing = "close" })) do
    play_step(conn, step)
  end
  return false
end

function play.expect_request(conn, step)
  local seconds = type(step.expect_request) == "number" and step.expect_request or nil
  wait_until(conn.listener, seconds, function()
    return conn.gone or conn.closed or #conn.requests > conn.answered
  end)
  if #conn.requests > conn.answered then take_request(conn) end
end

function play.lua(conn, step)
  local handle = {}
  function handle.send(_, bytes) return write(conn, bytes) end
  function handle.sleep(_, seconds) play.sleep(conn, { sleep = seconds }) end
  function handle.play(_, steps) play_steps(conn, steps) end
  function handle.gone() return conn.gone or conn.closed end
  local fn = assert(load(step.lua, "=lua step"))
  fn(conn.requests[conn.answered], handle, wire)
  record(conn, "sent", { total = conn.sent })
end

local ACTIONS = {
  "send", "repeat_bytes", "sleep", "reset", "close", "half_close", "stall",
  "wait_close", "expect_request", "lua",
}

function play_step(conn, step)
  for _, action in ipairs(ACTIONS) do
    if step[action] then return play[action](conn, step) end
  end
  if not step.before_request then
    record(conn, "bad step", { message = json.encode(step) })
  end
end

function play_steps(conn, steps)
  for _, step in ipairs(steps) do
    if conn.closed then return end
    -- what is not a send is played on when the client is gone, so that
    -- `wait_close` and pauses keep their meaning
    play_step(conn, step)
  end
end

local function next_script(listener)
  listener.played = listener.played + 1
  local scripts = listener.scripts
  return scripts[math.min(listener.played, #scripts)] or {}
end


-- Connections --------------------------------------------------------------

-- The steps at the head of a script that do not wait for a request.
local function split_script(script)
  local before, after = {}, {}
  for _, step in ipairs(script) do
    if step.before_request and #after == 0 then
      before[#before + 1] = step
    else
      after[#after + 1] = step
    end
  end
  return before, after
end

local function handshake(conn)
  local listener = conn.listener
  if listener.tls == "stall" then
    conn.opaque = true
    start_reading(conn)
    play.stall(conn)
    return connection.close(conn)
  end
  local ok, done, err = pcall(conn.con.starttls, conn.con, listener.context, 10)
  if not ok or not done then
    local problem = ok and err or done
    if type(problem) == "number" then problem = errno.strerror(problem) end
    record(conn, "tls failed", { message = tostring(problem) })
    return connection.close(conn)
  end
  conn.tls = true
  record(conn, "tls")
end

-- Whether there is a request to answer; false when none will come any more.
local function await_request(conn)
  wait_until(conn.listener, nil, function()
    return conn.gone or conn.closed or #conn.requests > conn.answered
  end)
  return #conn.requests > conn.answered
end

local function serve_connection(conn)
  if conn.listener.tls then handshake(conn) end
  while not conn.closed do
    local before, after = split_script(next_script(conn.listener))
    play_steps(conn, before)
    if conn.closed then return end
    start_reading(conn)
    if not await_request(conn) then break end
    if take_request(conn) then play_steps(conn, after) end
    -- kept alive: a further request takes the next script
    if conn.closed or not await_request(conn) then break end
  end
  connection.close(conn)
end

--- Takes over an accepted socket.
function connection.start(listener, con)
  con:setmode("bn", "bn")
  con:onerror(function(_, _, code) return code end)
  con:setmaxerrs(1000000)
  local conn = {
    con = con, listener = listener, n = #listener.connections + 1,
    requests = {}, answered = 0, sent = 0, received = 0,
  }
  listener.connections[conn.n] = conn
  record(conn, "accepted")
  cqueues.running():wrap(function()
    local ok, problem = xpcall(serve_connection, debug.traceback, conn)
    if not ok then
      record(conn, "server error", { message = problem })
      io.stderr:write("spec server: ", problem, "\n")
      connection.close(conn)
    end
  end)
end

return connection
