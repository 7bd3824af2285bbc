--- Processes, files and time for the specs: what plain Lua has no word for.
--
-- Everything goes through /bin/sh, the same on every Lua. A command's text is put
-- into a script file of mode 0600 in a directory of its own, so that neither the
-- command nor its environment shows in the argument list of any process.

local socket = require "socket"

local process = {}

local has_cqueues, cqueues = pcall(require, "cqueues")

--- Monotonic seconds where lua-cqueues is installed, else the wall clock.
---@return number
process.now = has_cqueues and cqueues.monotime or socket.gettime

---@param seconds number
process.sleep = socket.sleep

--- The memory of this process that is resident, in KiB; nil where the system does not tell.
---@return integer?
function process.resident()
  local file = io.open("/proc/self/status")
  if not file then return nil end
  local status = file:read("*a")
  file:close()
  return tonumber(status:match("VmRSS:%s*(%d+)"))
end

--- Calls `fn` until it returns something true, and returns that; nil, "timeout"
--- when the time is over.
---@param seconds number
---@param fn fun(): any
---@param interval? number pause between calls, default 1 ms; 0 for none
function process.deadline(seconds, fn, interval)
  local limit = process.now() + seconds
  while true do
    local result = fn()
    if result then return result end
    if process.now() >= limit then return nil, "timeout" end
    if interval ~= 0 then socket.sleep(interval or 0.001) end
  end
end

---@param text string
---@return string
function process.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

---@param path string
---@return string? bytes, string? problem
function process.read_file(path)
  local file, problem = io.open(path, "rb")
  if not file then return nil, problem end
  local bytes = file:read("*a")
  file:close()
  return bytes
end

---@param path string
---@param bytes string
function process.write_file(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  file:close()
end

local function output_of(command)
  local pipe = assert(io.popen(command, "r"))
  local out = pipe:read("*a")
  pipe:close()
  return (out:gsub("\n$", ""))
end

local cwd

---@param path string
---@return string
function process.absolute(path)
  if path:sub(1, 1) == "/" then return path end
  cwd = cwd or output_of("pwd")
  return cwd .. "/" .. path:gsub("^%./", "")
end

local made = {} -- directories, for remove_all

--- A new empty directory. Removed by process.remove_all.
---@return string path
function process.tmpdir()
  local path = output_of("mktemp -d")
  assert(path:sub(1, 1) == "/", "mktemp failed")
  made[#made + 1] = path
  return path
end

local function remove(path)
  os.execute("rm -rf " .. process.quote(path))
end

--- Removes every directory that `tmpdir` made.
function process.remove_all()
  for _, path in ipairs(made) do remove(path) end
  made = {}
end


-- Children -----------------------------------------------------------------

-- Lines of sh that set the environment; false unsets.
local function exports(env)
  local lines = {}
  for name, value in pairs(env or {}) do
    if value == false then
      lines[#lines + 1] = "unset " .. name
    else
      lines[#lines + 1] = "export " .. name .. "=" .. process.quote(tostring(value))
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local Child = {}
Child.__index = Child

--- Starts a command of sh in the background.
--
-- Returns a handle: `pid` (of the command itself, which sh `exec`s), `out`, `err`
-- (paths of its output), h:running(), h:kill(signal), h:wait(seconds) -> exit
-- status or nil, h:output() -> stdout, stderr, h:close() (kills it if need be and
-- removes its files).
---@param cmd string
---@param opts? {env: table?, cwd: string?, stdin: string?}
function process.spawn(cmd, opts)
  opts = opts or {}
  local dir = output_of("mktemp -d")
  local self = setmetatable({ dir = dir, out = dir .. "/out", err = dir .. "/err" }, Child)
  local lines = { "echo $$ >" .. dir .. "/pid.new", "mv " .. dir .. "/pid.new " .. dir .. "/pid" }
  lines[#lines + 1] = exports(opts.env)
  if opts.cwd then lines[#lines + 1] = "cd " .. process.quote(opts.cwd) .. " || exit 126" end
  lines[#lines + 1] = "exec " .. cmd
  process.write_file(dir .. "/command", table.concat(lines, "\n") .. "\n")
  process.write_file(dir .. "/run", table.concat({
    "sh " .. dir .. "/command <" .. process.quote(opts.stdin or "/dev/null")
      .. " >" .. self.out .. " 2>" .. self.err,
    "echo $? >" .. dir .. "/status.new",
    "mv " .. dir .. "/status.new " .. dir .. "/status",
  }, "\n") .. "\n")
  os.execute("sh " .. dir .. "/run </dev/null >/dev/null 2>&1 &")
  self.pid = tonumber(process.deadline(10, function()
    return process.read_file(dir .. "/pid")
  end))
  assert(self.pid, "the command did not start")
  return self
end

local function status_of(child)
  local text = process.read_file(child.dir .. "/status")
  return text and tonumber(text)
end

function Child:running()
  return status_of(self) == nil
end

---@param signal? string default "TERM"
function Child:kill(signal)
  if self:running() then
    os.execute("kill -" .. (signal or "TERM") .. " " .. self.pid .. " 2>/dev/null")
  end
end

---@param seconds? number default 10
---@return integer? status nil when it still runs
function Child:wait(seconds)
  return (process.deadline(seconds or 10, function() return status_of(self) end))
end

---@return string out, string err
function Child:output()
  return process.read_file(self.out) or "", process.read_file(self.err) or ""
end

function Child:close()
  self:kill("TERM")
  if not self:wait(2) then
    self:kill("KILL")
    self:wait(2)
  end
  remove(self.dir)
end


-- Lua ----------------------------------------------------------------------

--- The interpreter that runs this suite: $TEST_LUA, else what is left of the
--- script in `arg`.
---@return string command
function process.interpreter()
  local named = os.getenv("TEST_LUA")
  if named and named ~= "" then return named end
  local first
  for i = -1, -100, -1 do
    if arg and arg[i] then first = arg[i] end
  end
  return first or "lua"
end

--- Sets to false in `env` what a Lua of some version prefers to LUA_PATH and the like.
---@param env table<string, string|false>
---@return table<string, string|false> env
function process.unversioned(env)
  for _, version in ipairs { "5_2", "5_3", "5_4", "5_5" } do
    for _, name in ipairs { "LUA_PATH_", "LUA_CPATH_", "LUA_INIT_" } do
      env[name .. version] = false
    end
  end
  return env
end

-- A search path that means the same in another directory.
local function anchored(path)
  return (path:gsub("[^;]+", function(entry)
    return (entry:find("^/") or not entry:find("?", 1, true)) and entry or process.absolute(entry)
  end))
end

--- Runs a Lua script under the interpreter of the suite, with its search paths.
--
-- Returns {status, out, err, timeout}: status is nil and `timeout` true when it
-- had to be killed. `opts.args` are further arguments, `opts.lua` another command
-- in place of the interpreter ("valgrind -q lua5.4").
---@param script string
---@param opts? table env, cwd, timeout (default 20 s), args, lua, stdin (text)
function process.run_lua(script, opts)
  opts = opts or {}
  local dir = output_of("mktemp -d")
  local env = {
    LUA_PATH = anchored(package.path), LUA_CPATH = anchored(package.cpath), LUA_INIT = false,
  }
  process.unversioned(env)
  for name, value in pairs(opts.env or {}) do env[name] = value end
  process.write_file(dir .. "/script.lua", script)
  local command = { opts.lua or process.interpreter(), dir .. "/script.lua" }
  for _, argument in ipairs(opts.args or {}) do
    command[#command + 1] = process.quote(argument)
  end
  local stdin
  if opts.stdin then
    stdin = dir .. "/stdin"
    process.write_file(stdin, opts.stdin)
  end
  local child = process.spawn(table.concat(command, " "), {
    env = env, cwd = opts.cwd, stdin = stdin,
  })
  local result = { status = child:wait(opts.timeout or 20) }
  if not result.status then
    result.timeout = true
    child:kill("KILL")
    child:wait(5)
  end
  result.out, result.err = child:output()
  child:close()
  remove(dir)
  return result
end

return process
