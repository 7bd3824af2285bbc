-- common.lua - what the Lua clients of the bench share: counting and latency.
--
-- The text of a paced event is "STREAM:MICROSECONDS "; see server.c. In Neovim there is
-- no module of the right kind, so the same as in clock.c is done here in Lua.

local ok, clock = pcall(require, "benchclock")
local latencies, settled = {}, nil

if not ok then
  local uv = vim.uv or vim.loop
  clock = { now = function() return uv.hrtime() / 1e3 end }

  function clock.take(text, id)
    local now, n = clock.now(), 0
    settled = settled or now + 5e5
    for of, at in text:gmatch("(%d+):(%d+) ") do
      assert(not id or of == id, "text of another stream")
      id, n = of, n + 1
      if now >= settled then latencies[#latencies + 1] = now - tonumber(at) end
    end
    return id, n
  end

  function clock.quantile(q)
    table.sort(latencies)
    return latencies[math.max(1, math.ceil(#latencies * q))]
  end
end

local M = { now = clock.now, cpu = clock.cpu }

local events = 0

---Counts text of a flood, whose tokens are all of 6 bytes.
function M.count(text)
  events = events + #text / 6
end

---Takes the text of a paced stream. `stream` remembers which one it is: text of
---another one among it is an error.
function M.take(stream, text)
  local n
  stream.id, n = clock.take(text, stream.id)
  events = events + n
end

function M.events()
  return events
end

---Prints what was seen; `more` is added to the line.
function M.report(more)
  local line, p50 = ("events %.0f"):format(events), clock.quantile(0.5)
  if p50 then line = line .. (" p50 %.0f p99 %.0f"):format(p50, clock.quantile(0.99)) end
  io.stdout:write(line, more and " " .. more or "", "\n")
end

return M
