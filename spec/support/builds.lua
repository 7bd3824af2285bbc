--- The module for another Lua than the one that runs the specs, or with other
--- flags: built by the Makefile, once in a run, where nothing is up to date yet.

local process = require "spec.support.process"

local builds = {}

local root = process.absolute("."):gsub("/%.$", "")
local made = {} -- directory -> true

-- What a `make test` above must not hand down: its command line, and the
-- library of a sanitizer.
local CLEAN = "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u MAKEOVERRIDES -u SANITIZE"
  .. " -u BUILD -u CPPFLAGS -u LD_PRELOAD "

--- Builds the module and returns the directory that it is in.
---@param lua string as in `make LUA=...`
---@param opts? {dir: string?, cppflags: string?, make: string?} default build/<lua>
---@return string directory to put `/?.so` behind
function builds.make(lua, opts)
  opts = opts or {}
  local dir = opts.dir or root .. "/build/" .. lua
  if made[dir] then return dir end
  local command = ("%s make -s --no-print-directory -C %s core LUA=%s BUILD=%s %s %s"):format(
    CLEAN, process.quote(root), lua, process.quote(dir),
    opts.cppflags and "CPPFLAGS=" .. process.quote(opts.cppflags) or "", opts.make or "")
  local child = process.spawn(command)
  local status = child:wait(300)
  local out, err = child:output()
  child:close()
  assert(status == 0, ("make LUA=%s: %s\n%s%s"):format(lua, tostring(status), out, err))
  made[dir] = true
  return dir
end

--- The environment in which `lua` finds the module of `dir` (default: builds it).
---@param lua string
---@param dir? string
---@return table<string, string|false>
function builds.env(lua, dir)
  dir = dir or builds.make(lua)
  local env = {
    LUA_PATH = root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua;;",
    LUA_CPATH = dir .. "/?.so;;",
    LD_PRELOAD = false,
  }
  for _, version in ipairs { "", "_5_2", "_5_3", "_5_4" } do
    env["LUA_INIT" .. version] = false
    if version ~= "" then
      env["LUA_PATH" .. version], env["LUA_CPATH" .. version] = false, false
    end
  end
  return env
end

builds.root = root

return builds
