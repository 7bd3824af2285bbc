-- The bundled offline server: a service on loopback whose only model is "eliza", and that
-- speaks chat completions, Responses and Messages. Real HTTP, so that the first run needs
-- neither a key nor a network, and takes the same way as any other service.
--
-- `main` is the server, run as a process of its own by `start`. The parent
-- holds the server's standard input; when the parent ends, in whatever way,
-- that input ends and the server with it. What it answers is in offline/. The server
-- knows lua-http, it must not know the chatbot module.

local M = {}

local MODEL = "eliza"
local DEFAULT_DELAY_MS = 30

-- Debian packs lua-http's Lua files for 5.1 to 5.3 only, though they run on
-- 5.4. They are looked for among the neighbours' folders, after everything else.
local function widen_path()
  local version = _VERSION:match("%d+%.%d+")
  local added = {}
  for _, other in ipairs { "5.3", "5.2", "5.1" } do
    for template in package.path:gmatch("[^;]+") do
      local own = "/lua/" .. version:gsub("%.", "%%.") .. "/"
      local widened, count = template:gsub(own, "/lua/" .. other .. "/")
      if count == 1 and other ~= version then
        added[#added + 1] = widened
      end
    end
  end
  package.path = package.path .. ";" .. table.concat(added, ";")
end

---Whether this Lua can run the server.
---@return boolean|nil
---@return string? why not, and what to install
function M.available()
  local NOT_FOUND = "module '([^']+)' not found"
  local ok, err = pcall(require, "http.server")
  local missing = not ok and tostring(err):match(NOT_FOUND)
  if missing then
    widen_path()
    ok, err = pcall(require, "http.server")
    missing = tostring(err):match(NOT_FOUND) or missing
  end
  if ok then
    return true
  elseif not missing then
    return nil, "the offline server cannot load lua-http: " .. tostring(err):match("^[^\n]*")
  end
  return nil, ("the offline server needs lua-http for %s (Debian: apt install lua-http; LuaRocks: "
    .. "luarocks install http); not found: %s"):format(_VERSION, missing)
end

-- Returns when standard input has ended. What arrives there is thrown away.
local function wait_for_eof()
  local cqueues = require "cqueues"
  io.stdin:setvbuf("no")
  repeat
    cqueues.poll { pollfd = 0, events = "r" }
  until not io.stdin:read(1)
end

---The server process: prints one line `listening on http://127.0.0.1:PORT/v1`
---and serves until its standard input ends. Does not return.
---@param delay? number milliseconds between two words of a stream
function M.main(delay)
  local ok, why = M.available()
  if not ok then
    io.stderr:write(why, "\n")
    os.exit(1)
  end
  local signal = require "cqueues.signal"
  -- Ctrl-C in the terminal reaches the whole group: it is meant for the parent.
  signal.ignore(signal.SIGINT)
  signal.ignore(signal.SIGPIPE)
  delay = delay or tonumber(os.getenv("CHATBOT_OFFLINE_DELAY") or "") or DEFAULT_DELAY_MS
  local http = require "chatbot.offline.server"
  local server = assert(require("http.server").listen {
    host = "127.0.0.1",
    port = 0,
    tls = false,
    version = 1.1,
    onstream = http.handler(MODEL, math.max(delay, 0) / 1000),
    onerror = function() end, -- a broken connection is the client's matter
  })
  assert(server:listen(http.READ_TIMEOUT))
  local _, _, port = server:localname()
  io.stdout:write(("listening on http://127.0.0.1:%d/v1\n"):format(port))
  io.stdout:flush()
  local loop = require("cqueues").new()
  loop:wrap(function()
    wait_for_eof()
    os.exit(0)
  end)
  loop:wrap(function()
    assert(server:loop())
  end)
  local _, err, errno = loop:loop()
  -- A file or /dev/null as input cannot be waited for: its end is near enough.
  local cannot_wait = errno == require("cqueues.errno").EPERM
  if not cannot_wait then
    io.stderr:write(tostring(err), "\n")
  end
  os.exit(cannot_wait and 0 or 1)
end

-- The interpreter that runs this script: the lowest index of `arg`.
local function running_interpreter()
  local lowest = 0
  while arg and arg[lowest - 1] do
    lowest = lowest - 1
  end
  return lowest < 0 and arg[lowest] or nil
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

---Starts the server as a child process that lives no longer than this one.
---@param options? { interpreter?: string, delay?: number }
---@return { base_url: string, model: string, stop: fun() }|nil
---@return string? err
function M.start(options)
  options = options or {}
  local interpreter = options.interpreter or running_interpreter()
  if not interpreter then
    return nil, "the offline server needs a stand-alone Lua interpreter"
  end
  -- The child's output comes through a fifo, since popen gives one direction
  -- only and that one is needed to hold the child's input. Opening a fifo
  -- waits for the other side, so there is nothing to poll; if the interpreter
  -- cannot be run, the shell's end closes and the read below ends.
  local made = io.popen('umask 077; d=$(mktemp -d) && mkfifo "$d/out" && echo "$d"', "r")
  local dir = made and made:read("*l")
  if made then
    made:close()
  end
  if not dir then
    return nil, "the offline server could not be started: no temporary directory"
  end
  local code = ("package.path=%q package.cpath=%q require('chatbot.offline').main(%s)"):format(
    package.path, package.cpath, options.delay and ("%d"):format(options.delay) or "")
  local child = io.popen(("exec %s -e %s >%s 2>&1"):format(
    quote(interpreter), quote(code), quote(dir .. "/out")), "w")
  local out = child and io.open(dir .. "/out", "r")
  local line = out and out:read("*l")
  os.execute("rm -rf " .. quote(dir))
  local base_url = line and line:match("^listening on (http://127%.0%.0%.1:%d+/v1)$")
  local function stop()
    if child then
      child:close() -- ends its input, and waits for it
      out:close()
      child = nil
    end
  end
  if base_url then
    return { base_url = base_url, model = MODEL, stop = stop }
  end
  if child and out then
    stop()
  end
  return nil, line or "the offline server did not start"
end

return M
