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
  local modules = root .. "/build/modules/" .. builds.version(lua)
  return process.unversioned {
    LUA_PATH = ("%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;;"):format(root, root, modules),
    LUA_CPATH = ("%s/?.so;%s/?.so;;"):format(dir, modules),
    LUA_INIT = false, LD_PRELOAD = false,
  }
end

-- The status and the output of a command, which must end soon.
local function try(command, env)
  local child = process.spawn(command, { env = env })
  local status = child:wait(30)
  local out = child:output()
  child:close()
  return status, out
end

local versions = {} -- lua -> "5.4", or false

--- The version of `lua`, asked of it ("5.1" of LuaJIT), or false where it is not here.
---@param lua string
---@return string|false
function builds.version(lua)
  if versions[lua] == nil then
    local _, out = try(lua .. " -e 'print(_VERSION)'")
    versions[lua] = out:match("^Lua (%d+%.%d+)") or false
  end
  return versions[lua]
end

local lacking = {} -- command -> what is missing, or false

local function lacks(what, command, env)
  if lacking[command] == nil then lacking[command] = try(command, env) ~= 0 and what end
  return lacking[command]
end

--- What `lua` lacks on this machine to run the module, and the Lua modules named:
--- nil, or the words for `pending`.
---@param lua string
---@vararg string
---@return string|nil
function builds.lacks(lua, ...)
  if not builds.version(lua) then return "there is no " .. lua end
  local what = lacks("there are no headers of " .. lua,
    ("%s make -s -C %s lua-cflags LUA=%s"):format(CLEAN, process.quote(root), lua))
  for _, module in ipairs { "cjson", ... } do
    what = what or lacks(("there is no %s for %s"):format(module, lua),
      ("%s -e 'require \"%s\"'"):format(lua, module), builds.env(lua, "/nonexistent"))
  end
  return what or nil
end

builds.root = root

return builds
