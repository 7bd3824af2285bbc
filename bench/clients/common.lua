-- common.lua - what the Lua clients of the bench share: counting and latency.
--
-- The text of a paced event is "STREAM:MICROSECONDS "; see server.c.

local ok, clock = pcall(require, "benchclock")
if not ok then -- Neovim
  local uv = vim.uv or vim.loop
  clock = { now = function() return uv.hrtime() / 1e3 end }
end

local M = { now = clock.now, cpu = clock.cpu }

local latencies = {}
local events = 0

---Counts text of a flood, whose tokens are all " token".
function M.count(text)
  events = events + #text / 6
end

---Takes the text of a paced stream. `stream` remembers which one it is: text of
---another one among it is an error.
function M.take(stream, text)
  local now = clock.now()
  for id, at in text:gmatch("(%d+):(%d+) ") do
    events = events + 1
    if stream.id ~= id then
      assert(not stream.id, "text of another stream")
      stream.id = id
    end
    latencies[#latencies + 1] = now - tonumber(at)
  end
end

function M.events()
  return events
end

---Prints what was seen; `more` is added to the line.
function M.report(more)
  local line = "events " .. ("%.0f"):format(events)
  if #latencies > 0 then
    table.sort(latencies)
    local function at(q)
      return latencies[math.max(1, math.ceil(#latencies * q))]
    end
    line = line .. (" p50 %.0f p99 %.0f"):format(at(0.5), at(0.99))
  end
  io.stdout:write(line, more and " " .. more or "", "\n")
end

return M
