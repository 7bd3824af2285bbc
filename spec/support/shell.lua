--- Commands of sh in the environment of a user's shell: one that has heard neither of the
--- build tree nor of the make that may be running the specs.

local process = require "spec.support.process"

local shell = {}

shell.root = process.absolute("Makefile"):match("^(.*)/")

-- What `make` takes from the environment, and what Lua does. Not WERROR: with another than
-- that of the suite all would be compiled once more, here and when the suite goes on.
local FORGOTTEN = {
  "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "LUA", "SPECS", "SANITIZE", "BUILD", "DESTDIR",
  "PREFIX", "LUADIR", "LIBDIR", "BINDIR", "DATADIR", "LD_PRELOAD", "LUA_PATH", "LUA_CPATH",
  "LUA_INIT", "LUAROCKS_CONFIG",
}
for _, version in ipairs { "5_2", "5_3", "5_4", "5_5" } do
  for _, name in ipairs { "LUA_PATH_", "LUA_CPATH_", "LUA_INIT_" } do
    FORGOTTEN[#FORGOTTEN + 1] = name .. version
  end
end

--- Runs a command of sh.
---@param command string
---@param cwd? string default: the tree that is tested
---@param env? table
---@param seconds? number default 120
---@return integer? status, string out, string err
function shell.run(command, cwd, env, seconds)
  local whole = {}
  for _, name in ipairs(FORGOTTEN) do whole[name] = false end
  for name, value in pairs(env or {}) do whole[name] = value end
  local child = process.spawn("sh -c " .. process.quote(command),
    { cwd = cwd or shell.root, env = whole })
  local status = child:wait(seconds or 120)
  local out, err = child:output()
  child:close()
  return status, out, err
end

--- The same, and its output; raises what it wrote to stderr when it fails.
---@return string out
function shell.must(command, cwd, env, seconds)
  local status, out, err = shell.run(command, cwd, env, seconds)
  assert(status == 0, ("%s: %s\n%s%s"):format(command, tostring(status), out, err))
  return out
end

--- Whether there is such a command here.
---@param name string
---@return boolean
function shell.has(name)
  return shell.run("command -v " .. name) == 0
end

--- Whether there are all of these. Where one is missing, the test that asks is pending.
---@return boolean
function shell.have(...)
  for _, name in ipairs { ... } do
    if not shell.has(name) then
      require("busted").pending(name .. " is not here")
      return false
    end
  end
  return true
end

return shell
