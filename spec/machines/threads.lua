-- make tsan: several threads, each with a Lua state of its own, talk at once.
-- Usage: lua spec/machines/threads.lua BINARY [THREADS] (built from threads.c)

package.path = "./?.lua;./?/init.lua;" .. package.path
local support = require "spec.support"

local binary, threads = arg[1], tonumber(arg[2]) or 8
local story = support.sse({ "Once ", "upon ", "a ", "time." }, { every = 0.001 })
local plain = support.serve { story }
local servers = {
  plain = plain.url,
  named = plain.url:gsub("127.0.0.1", "localhost"), -- looked up in a thread of libcurl's
  tls = support.serve({ story }, { tls = "good" }).url,
  refused = support.serve { support.http(503, { ["Retry-After-Ms"] = "1" }, "later") }.url,
  slow = support.serve { { { sleep = 0.01 }, story, { sleep = 1 } } }.url,
  ca = support.ca_file,
}
local args = {}
for name, url in pairs(servers) do args[#args + 1] = support.quote(name .. "=" .. url) end
local child = support.spawn(("%s %d spec/machines/threads_script.lua %s"):format(binary, threads,
  table.concat(args, " ")))
local status = child:wait(240)
local out, err = child:output()
child:close()
support.close_all()
support.remove_all()
local _, races = err:gsub("WARNING: ThreadSanitizer", "")
io.stdout:write(err:sub(1, 20000), out)
local good = status == 0 and races == 0
print(("%d warnings of ThreadSanitizer, exit status %s"):format(races, tostring(status)))
print(("%d passed, %d failed"):format(good and 1 or 0, good and 0 or 1))
os.exit(good and 0 or 1)
