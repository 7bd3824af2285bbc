-- make oom: every allocation of Lua, and every one of libcurl, fails in turn.
-- Usage: lua spec/machines/oom.lua BINARY (built from oom.c)

package.path = "./?.lua;./?/init.lua;" .. package.path
local support = require "spec.support"

local server = support.serve { support.sse { "Hel", "lo \\ud83d\\ude00" } }
local text = "Hel" .. "lo \\ud83d\\ude00"
local bad = 0
for _, mode in ipairs { "lua", "curl" } do
  local code = os.execute(("%s %s spec/machines/oom_script.lua %s '%s'")
    :format(arg[1], mode, server.url, text))
  if code ~= true and code ~= 0 then bad = bad + 1 end
end
server:close()
print(("%d passed, %d failed"):format(2 - bad, bad))
os.exit(bad == 0)
