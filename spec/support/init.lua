--- Support for the specs: a scripted server, framed bytes, processes, fixtures.
--
--   local support = require "spec.support"
--   local s = support.serve { support.sse { "Hel", "lo" } }
--   ...                                  -- a client of s.url
--   assert.equal("POST", s:requests()[1].method)
--   s:close()                            -- or support.close_all() in after_each
--
-- THE SERVER is a process of its own (spec/support/server.lua), started by the
-- first `serve` and ended when this process ends. Real TCP, real TLS.
--
-- support.serve(scripts, opts) -> s     a listener of its own on 127.0.0.1
--   One script for each connection, in the order they are accepted; a further
--   request on a connection that a script has left open gets the next script; the
--   last script repeats. A script is a step or a list of steps and scripts:
--     "bytes" or {send = bytes}           one write (a list of strings: one write each)
--     {send = bytes, chunk = n, every = s}  in writes of n bytes, s seconds apart
--     {repeat_bytes = unit, times = n}    big bodies without holding them
--     {sleep = s}
--     {close = true}                      orderly end (FIN; over TLS there is never a
--                                         close_notify, lua-cqueues has none)
--     {half_close = true}                 ends our side only, goes on reading
--     {reset = true}                      RST
--     {stall = true}                      nothing until the client leaves
--     {wait_close = s}                    up to s seconds for the client to leave; else
--                                         the event "still open" is recorded
--     {expect_request = true | s}         the next request on this connection
--     {before_request = true, ...}        steps at the head of a script that are played
--                                         before anything is read; unread bytes stay
--                                         in the kernel
--     {lua = code}                        Lua 5.4 run in the server, given `request, conn,
--                                         wire`; conn:send(b), conn:sleep(s),
--                                         conn:play(steps), conn.gone()
--   All other steps are played after a whole request was read. A script that ends
--   leaves the connection open.
--   opts.tls     "good" | "self-signed" | "wrong-host" | "expired" | "stall" (never
--                answers the handshake) | "cut" (as "good": says that the spec is about the
--                missing close_notify); the CA's certificate is in support.ca_file
--   opts.accept  "never": connected by the kernel and never served;
--                "full": SYNs are dropped, so that connecting hangs
--   opts.host    default "127.0.0.1"; opts.port  default: any that is free
--   opts.beside  a field of the bodies that is the spec's own, which strictness does not see
--   opts.strict  false, or a name of the services in spec/support/strict; see "refused" below
--
-- A POST to .../chat/completions, .../responses or .../messages that the strictest service
-- would not take (spec/support/strict has the rules) is answered with 400 instead of its
-- script, the event "refused" (message) is recorded, and close_all raises, so that the test
-- fails whatever it expects. Reasoning, signed thinking and ids of items are taken back only
-- as this server has issued them. A spec that is about a service with wishes of its own names
-- it; one that sends what no service would take says `strict = false`.
--
-- s.url, s.port, s.origin                "http://127.0.0.1:PORT/v1", PORT, without /v1
-- s:requests()    so far: {method, target, version, line, headers = {{name, value}, ...},
--                 named = {lower-cased name -> value}, body, body_length, json (decoded
--                 body, if it is JSON), conn, at}
-- s:events()      so far: {what, conn, at, ...}; `what` is one of "accepted", "tls",
--                 "tls failed" (message), "head", "request" (n), "sent" (n, total),
--                 "half closed", "peer closed" (how = "fin" | "rst"), "closed",
--                 "still open", "bad request", "bad step", "server error", "refused"
-- s:history(conn) the names of the events, "peer closed" with its `how`
-- s:wait(n, seconds, what, pump)  until n events `what` (default "request") were seen;
--                 `pump` is called in between. Returns whether they were.
-- s:refused()     messages of the events "refused"; close_all does not raise for these
-- s:connections() {conn, sent, received, tls, gone, closed, requests}, live counts
-- s:script(scripts)               new scripts from the next connection or request on
-- s:close()
-- support.close_all()             every listener, at the end of a test; raises when a
--                                 request was refused
-- support.dead_port()             a port on which nothing listens
--
-- BYTES (spec/support/wire.lua has the options): support.http, sse, json_completion,
-- raw, head, event, chunks, encode, array, null; support.fixture(name),
-- support.fixtures() (the index), support.splits(bytes).
--
-- TIME: support.now() monotonic, the same clock as the server's `at`; support.sleep(s);
-- support.deadline(seconds, fn, interval) until fn() is true.
--
-- PROCESSES (spec/support/process.lua): support.spawn(cmd, {env, cwd, stdin}) -> h with
-- pid, out, err, h:running(), h:kill(signal), h:wait(s), h:output(), h:close();
-- support.run_lua(text, {env, cwd, timeout, args, lua, stdin}) -> {status, out, err,
-- timeout}; support.interpreter(), tmpdir(), remove_all(), read_file(path),
-- write_file(path, bytes), quote(text).

local json = require "cjson"
local socket = require "socket"
local process = require "spec.support.process"
local wire = require "spec.support.wire"

local support = {}

for name, value in pairs(wire) do support[name] = value end
for name, value in pairs(process) do support[name] = value end

local own_file = debug.getinfo(1, "S").source:gsub("^@", "")
local here = process.absolute(own_file:match("^(.*)/[^/]*$") or ".")


-- Control ------------------------------------------------------------------

local server -- {control, ca_file}; nil until it is needed
local open = {} -- listener -> true

-- Variables that would make lua5.4 load another Lua's modules, or load what is
-- meant for the interpreter under test alone (a sanitizer, a malloc that fails).
local CLEAN = "env -u LUA_PATH -u LUA_CPATH -u LUA_PATH_5_4 -u LUA_CPATH_5_4 -u LUA_INIT"
  .. " -u LUA_INIT_5_4 -u LD_PRELOAD"

local function start_server()
  local command = string.format("ulimit -n 65536 2>/dev/null || ulimit -n $(ulimit -Hn); "
    .. "%s lua5.4 %s </dev/null &", CLEAN, process.quote(here .. "/server.lua"))
  local pipe = assert(io.popen(command, "r"))
  local port = tonumber(pipe:read("*l") or "")
  pipe:close()
  assert(port, "the scripted server did not start (lua5.4, lua-cqueues, lua-luaossl?)")
  local control = assert(socket.connect("127.0.0.1", port))
  control:settimeout(30)
  control:setoption("tcp-nodelay", true)
  local hello = json.decode((assert(control:receive("*l"))))
  server = { control = control, ca_file = hello.ca_file }
end

-- lua-cjson decodes every number as a float, which 5.3 and later print as "1.0".
local function integers(value)
  if type(value) == "number" then
    return value % 1 == 0 and tonumber(string.format("%d", value)) or value
  elseif type(value) == "table" then
    for key, item in pairs(value) do value[key] = integers(item) end
  end
  return value
end

local function ask(message)
  if not server then start_server() end
  server.control:settimeout(30 + (message.seconds or 0))
  assert(server.control:send(wire.encode(message) .. "\n"))
  local answer = integers(json.decode((assert(server.control:receive("*l")))))
  if answer.error then error("scripted server: " .. answer.error, 3) end
  return answer
end

setmetatable(support, {
  __index = function(_, key)
    if key == "ca_file" then
      if not server then start_server() end
      return server.ca_file
    end
  end,
})


-- Scripts ------------------------------------------------------------------

local function flatten(part, out)
  if type(part) == "string" then
    out[#out + 1] = { send = part }
  elseif part[1] ~= nil then
    for _, item in ipairs(part) do flatten(item, out) end
  elseif next(part) ~= nil then
    out[#out + 1] = part
  end
  return out
end

local function prepared(scripts)
  local out = wire.array {}
  for i, script in ipairs(scripts or {}) do out[i] = wire.array(flatten(script, {})) end
  return out
end


-- Listeners ----------------------------------------------------------------

local Listener = {}
Listener.__index = Listener

---@param scripts table one script for each connection; the last one repeats
---@param opts? {tls: string?, accept: string?, host: string?, port: integer?, strict: any}
function support.serve(scripts, opts)
  opts = opts or {}
  local answer = ask {
    op = "serve", scripts = prepared(scripts), tls = opts.tls, accept = opts.accept,
    host = opts.host, port = opts.port,
    strict = opts.strict == nil and "strictest" or opts.strict, beside = opts.beside,
  }
  local host = opts.host or "127.0.0.1"
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  local self = setmetatable({ id = answer.id, port = answer.port }, Listener)
  self.origin = (opts.tls and "https://" or "http://") .. host .. ":" .. answer.port
  self.url = self.origin .. "/v1"
  self._requests, self._events = {}, {}
  local caller = debug.getinfo(2, "Sl")
  self._made = caller.short_src .. ":" .. caller.currentline
  open[self] = true
  return self
end

local function append_new(list, new)
  for _, item in ipairs(new) do list[#list + 1] = item end
  return list
end

local refused = {} -- what close_all has to say: {listener, message}

function Listener:requests()
  if self.closed then return self._requests end
  local answer = ask { op = "requests", id = self.id, seen = #self._requests }
  for _, request in ipairs(answer.requests) do
    local ok, value = pcall(json.decode, request.body)
    if ok then request.json = value end
  end
  return append_new(self._requests, answer.requests)
end

function Listener:events()
  if self.closed then return self._events end
  local answer = ask { op = "events", id = self.id, seen = #self._events }
  for _, event in ipairs(answer.events) do
    if event.what == "refused" then refused[#refused + 1] = { self, event.message } end
  end
  return append_new(self._events, answer.events)
end

--- What was refused so far, for a spec that is about it.
---@return string[]
function Listener:refused()
  self:events()
  local out, others = {}, {}
  for _, item in ipairs(refused) do
    if item[1] == self then out[#out + 1] = item[2] else others[#others + 1] = item end
  end
  refused = others
  return out
end

--- The names of the events, of one connection or of all, for a glance or an assert.
---@param conn? integer
---@return string[]
function Listener:history(conn)
  local out = {}
  for _, event in ipairs(self:events()) do
    if not conn or event.conn == conn then
      out[#out + 1] = event.how and event.what .. " " .. event.how or event.what
    end
  end
  return out
end

function Listener:connections()
  return ask({ op = "connections", id = self.id }).connections
end

--- Waits until `n` events `what` were seen.
---@param n integer
---@param seconds? number default 5
---@param what? string default "request"
---@param pump? fun() called every few milliseconds meanwhile
---@return boolean seen, integer count
function Listener:wait(n, seconds, what, pump)
  local limit = process.now() + (seconds or 5)
  while true do
    if pump then pump() end
    local left = math.max(limit - process.now(), 0)
    local answer = ask {
      op = "wait", id = self.id, n = n, what = what or "request",
      seconds = pump and math.min(left, 0.002) or left,
    }
    if answer.seen or left == 0 then return answer.seen, answer.count end
  end
end

function Listener:script(scripts)
  ask { op = "scripts", id = self.id, scripts = prepared(scripts) }
end

function Listener:close()
  if self.closed then return end
  self:requests()
  self:events()
  self.closed = true
  open[self] = nil
  ask { op = "close", id = self.id }
end

function support.close_all()
  while next(open) do next(open):close() end
  if #refused == 0 then return end
  local list = {}
  for i, item in ipairs(refused) do
    list[i] = ("%s (the server of %s)"):format(item[2], item[1]._made)
  end
  refused = {}
  error("requests that a strict service refuses:\n" .. table.concat(list, "\n"), 0)
end

--- A port of 127.0.0.1 on which nothing listens.
---@return integer port
function support.dead_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return tonumber(port)
end

--- Stops the server at once, which otherwise happens when this process ends. The
--- next `serve` starts another, with another CA.
function support.stop()
  if not server then return end
  server.control:close()
  server, open = nil, {}
end


-- Bytes --------------------------------------------------------------------

local fixtures_dir = here:gsub("/support$", "/fixtures")

--- The bytes of spec/fixtures/wire/NAME.
---@param name string with or without .txt
---@return string
function support.fixture(name)
  if not name:find("%.txt$") then name = name .. ".txt" end
  return (assert(process.read_file(fixtures_dir .. "/wire/" .. name)))
end

--- The index of the wire fixtures: one row for each, see its head.
---@return table[]
function support.fixtures()
  return dofile(fixtures_dir .. "/wire/index.lua")
end

--- Iterates over ways of cutting bytes: name, list of pieces. Whole, byte by
--- byte, then split in two after each byte (every `step` bytes if given).
---@param bytes string
---@param step? integer
---@return fun(): string?, string[]?
function support.splits(bytes, step)
  return coroutine.wrap(function()
    coroutine.yield("whole", { bytes })
    local each = {}
    for i = 1, #bytes do each[i] = bytes:sub(i, i) end
    coroutine.yield("byte by byte", each)
    for i = 1, #bytes - 1, step or 1 do
      coroutine.yield("split after byte " .. i, { bytes:sub(1, i), bytes:sub(i + 1) })
    end
  end)
end

return support
