--- Many answers at once over one listener: each request brings, in its body, the
--- bytes that it is to be answered with, so that it does not matter which of the
--- kept-alive connections it takes.
--
--   local batch = require "spec.support.batch"
--   local results = batch.run({ { pieces = { "data: ", "[DONE]\n\n" } }, ... })
--   results[1].answer, results[1].reply        -- or .err, .text: what poll gave
--
-- A job:
--   pieces    one HTTP chunk and one write each...
--   pause     ...seconds apart (default 1 ms, so that the client sees each alone)
--   status    default 200
--   type      default "text/event-stream"; false: none
--   headers   further ones, a list of {name, value}
--   ending    "end" (default): the last chunk, connection kept; "cut": closed without it;
--             "close": no transfer coding, the end of the connection ends the body
--   raw       bytes of a whole response instead of all these, then the connection ends
--   bot       options of chatbot.new;  call: options of bot:stream
-- batch.cuts(bytes) -> list of {name, pieces}: whole, byte by byte, split in two at
-- each place.

local chatbot = require "chatbot"
local support = require "spec.support"

local batch = {}

local WIDTH = 24 -- answers under way at once
local LIMIT = os.getenv("EMULATED") and 60 or 20 -- seconds that any of them may take

-- Runs in the server.
local ANSWER = [[
  local request, conn, wire = ...
  local job = require("cjson").decode(request.body).wire
  local sleep = require("cqueues").sleep
  local function bytes(hex)
    return (hex:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
  end
  local out = bytes(job.head)
  for _, hex in ipairs(job.pieces) do
    local piece = bytes(hex)
    if job.chunked then piece = wire.chunks(piece) end
    if not conn:send(out .. piece) then return end
    out = ""
    if job.pause > 0 then sleep(job.pause) end
  end
  if job.ending == "end" then out = out .. wire.LAST_CHUNK end
  if out ~= "" then conn:send(out) end
  if job.ending ~= "end" then conn:play { { close = true } } end
]]

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function wire_of(job)
  if job.raw then
    return { head = hex(job.raw), pieces = { "" }, pause = 0, ending = "close", chunked = false }
  end
  local headers = {}
  for i, header in ipairs(job.headers or {}) do headers[i] = header end
  local ending = job.ending or "end"
  if job.type ~= false then
    headers[#headers + 1] = { "Content-Type", job.type or "text/event-stream" }
  end
  headers[#headers + 1] = ending == "close" and { "Connection", "close" }
    or { "Transfer-Encoding", "chunked" }
  local pieces = {}
  for i, piece in ipairs(job.pieces) do pieces[i] = hex(piece) end
  return {
    head = hex(support.head(job.status or 200, headers)), pieces = pieces,
    pause = job.pause or 0.001, ending = ending, chunked = ending ~= "close",
  }
end

local function start(job, url)
  local options = { base_url = url, model = "m", max_retries = 0, timeout = LIMIT }
  for key, value in pairs(job.bot or {}) do options[key] = value end
  local call = { wire = wire_of(job) }
  for key, value in pairs(job.call or {}) do call[key] = value end
  local bot = chatbot.new(options)
  local reply = assert(bot:stream("hello", call))
  return { job = job, bot = bot, reply = reply, text = {} }
end

-- True when the reply has ended.
local function step(run)
  while true do
    local text, state = run.reply:poll()
    if text then
      run.text[#run.text + 1] = text
    elseif state == "wait" then
      return false
    else
      run.err = state ~= "done" and state or nil
      run.answer = not run.err and run.reply:result() or nil
      return true
    end
  end
end

--- Runs all jobs; the results are in their order: {job, bot, reply, answer, err, text}.
---@param jobs table[]
---@return table[]
function batch.run(jobs)
  local server = support.serve({ { { lua = ANSWER } } }, { beside = "wire" })
  local results, active, started = {}, {}, 0
  while true do
    while #active < WIDTH and started < #jobs do
      started = started + 1
      results[started] = start(jobs[started], server.url)
      active[#active + 1] = results[started]
    end
    if #active == 0 then break end
    for i = #active, 1, -1 do
      if step(active[i]) then
        active[i].text = table.concat(active[i].text)
        table.remove(active, i)
      end
    end
    if active[1] then active[1].reply:wait(0.002) end
  end
  server:close()
  return results
end

--- One job; returns its result.
---@param job table
---@return table
function batch.one(job)
  return batch.run({ job })[1]
end

---@param bytes string
---@return {name: string, pieces: string[]}[]
function batch.cuts(bytes)
  local out = {}
  for name, pieces in support.splits(bytes) do
    out[#out + 1] = { name = name, pieces = pieces }
  end
  return out
end

return batch
