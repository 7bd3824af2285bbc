--- Runs specs inside of Neovim, where JSON is read by vim.json:
---
---   SPECS="spec/json_spec.lua ..." LUA_CPATH="build/nvim/?.so;;" LUA_PATH="..." \
---     nvim --headless -u NONE -i NONE -c "luafile spec/support/nvim.lua"
---
--- Ends Neovim with 0, or with 1 when a test failed.

-- Neovim exports strbuf_* and socket_*, and what is loaded later and has functions of
-- these names would call Neovim's. The specs' own lua-cjson and LuaSocket are told to
-- prefer what is theirs (RTLD_LAZY + RTLD_DEEPBIND, of glibc).
local ffi = require "ffi"
ffi.cdef "void *dlopen(const char *path, int flags);"
for _, name in ipairs { "cjson", "socket.core" } do
  local path = assert(rawget(package, "searchpath")(name, package.cpath))
  assert(ffi.C.dlopen(path, 1 + 8) ~= nil, path)
end

local function leave(code)
  io.stdout:flush()
  io.stderr:flush()
  vim.cmd(code == 0 and "qall!" or "cquit")
end
rawset(os, "exit", leave) -- the true one closes the state, which Neovim still needs

-- busted returns when no test has failed; else it raises nothing, or what went wrong.
rawset(_G, "arg", { [-1] = "luajit", [0] = ".ci/busted.lua", "-o", "plainTerminal" })
vim.list_extend(arg, vim.split(os.getenv "SPECS", " "))
local ok = xpcall(dofile, function(message)
  if message then print(debug.traceback(message)) end
end, arg[0])
leave(ok and 0 or 1)
