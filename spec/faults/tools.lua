--- Small C programs and libraries that some scenarios need, compiled when first asked for.

local support = require "spec.support"

local tools = {}

local here = support.absolute(
  (debug.getinfo(1, "S").source:gsub("^@", ""):match("^(.*)/[^/]*$") or "."))
local built = {}

local function run(command)
  local pipe = io.popen(command .. " 2>&1 && echo done")
  local out = pipe:read("*a")
  pipe:close()
  if not out:find("done\n$") then error("compiling failed: " .. command .. "\n" .. out, 3) end
end

-- The flags of the headers of the Lua that runs the suite, as pkg-config has them.
local function lua_package()
  if rawget(_G, "jit") then return "luajit" end
  return "lua" .. _VERSION:match("%d%.%d")
end

--- Compiles spec/faults/c/NAME.c and returns the path of the result.
---@param name string
---@param how "library"|"module"|"program" plain C, for Lua, or a program with Lua inside
---@return string
function tools.build(name, how)
  local out = built[name]
  if out and support.read_file(out) then return out end
  out = support.tmpdir() .. "/" .. name
  local flags = "-O1 -pthread"
  if how ~= "program" then
    out = out .. ".so"
    flags = flags .. " -shared -fPIC"
  end
  if how == "module" then
    flags = flags .. " $(pkg-config --cflags " .. lua_package() .. ")"
  elseif how == "program" then
    flags = flags .. " -Wl,-E $(pkg-config --cflags " .. lua_package() .. ")"
  end
  local libraries = "-ldl"
  if how == "program" then
    libraries = "$(pkg-config --libs " .. lua_package() .. ") ${LIBCURL:--lcurl} -lm -ldl"
  end
  run(("${CC:-cc} %s -o %s %s/c/%s.c %s"):format(flags, out, here, name, libraries))
  built[name] = out
  return out
end

--- Of a library of spec/faults/c, what a scenario's `prepare` returns: `preload`, for the
--- variable LD_PRELOAD.
---@param name string
---@return {preload: string}
function tools.preload(name)
  return { preload = (os.getenv("LD_PRELOAD") or "") .. " " .. tools.build(name, "library") }
end

return tools
