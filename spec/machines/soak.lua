-- make soak: many bots at once on one thread, against servers that cut, pause, drip,
-- reset and lie at random places.
-- Usage: lua spec/machines/soak.lua [SECONDS [SEED]]
--
-- The oracle knows what each server sends: a text that is delivered is the beginning
-- of the truth; what was cut before its finish_reason and [DONE] is never complete;
-- what was whole is complete, and so is its text. Prints requests, mismatches and how
-- memory and descriptors grow, and fails when there is a mismatch or a slope.

package.path = "./?.lua;./?/init.lua;" .. package.path
local chatbot = require "chatbot"
local answers = require "spec.support.answers"
local process = require "spec.support.process"
local support = require "spec.support"

local seconds = tonumber(arg[1]) or 60
local seed = tonumber(arg[2]) or os.time() % 1000000

local BOTS = 16 -- at once
local BATCH = 8 -- scripts that a server is given at a time
local MAX_RSS_SLOPE = 0.5 -- KiB a request, measured over what comes after the start
local MAX_FD_SLOPE = 0.01 -- descriptors a request
local MAX_GROWTH = 4096 -- KiB; a smaller growth is noise, and caches that fill
local ENOUGH = 3000 -- requests to tell from; a slow machine is given longer for them
local WAIT = 30 -- seconds for one reply, at most

local APIS = { "chat", "responses", "messages" }

local random, chance = require("spec.machines.random")(seed)


-- What the servers send ------------------------------------------------------

local ALPHABET = { "a", "b", " ", "\n", "\195\164", "\227\129\130", "\240\159\152\128", "\\", '"',
  "data: ", "[DONE]", "\226\128\168", "0" }

local function text_of(n)
  local out = {}
  for i = 1, n do out[i] = ALPHABET[random(#ALPHABET)] end
  return table.concat(out)
end

-- The same in a dialect that ends with an event of its own: that is where it is whole, or
-- where its reason is told before that.
local function stream_of(api)
  local form, truth = answers[api], {}
  local newline = ({ "\n", "\r\n", "\r" })[random(3)]
  local bytes = { form.open() }
  for _ = 1, random(12) - 1 do
    local text = text_of(random(chance(5) and 3000 or 30))
    bytes[#bytes + 1] = chance(10) and ": ping\n\n" or nil
    bytes[#bytes + 1] = form.text(text)
    truth[#truth + 1] = text
  end
  bytes[#bytes + 1] = form.stop()
  local whole = table.concat(bytes):gsub("\n", newline)
  local behind = bytes[#bytes]:match("event: message_stop.*$") or ""
  return whole, table.concat(truth), #whole - #behind:gsub("\n", newline), newline
end

-- The events of an answer as bytes, the truth, and where the event ends that makes it whole.
-- Surrogates that are split over two events say together what one event would.
local function stream(api)
  if api ~= "chat" then return stream_of(api) end
  local bytes, truth, ends = {}, {}, {}
  local length = 0
  local newline = ({ "\n", "\r\n", "\r" })[random(3)]
  local function event(data)
    bytes[#bytes + 1] = support.event(data, newline)
    length = length + #bytes[#bytes]
    ends[#ends + 1] = length
  end
  local function delta(json, more)
    event('{"choices":[{"index":0,"delta":' .. json .. (more or "") .. "}]}")
  end
  delta '{"role":"assistant","content":""}'
  for _ = 1, random(12) - 1 do
    if chance(10) then
      delta '{"content":"\\ud83d"}'
      delta '{"content":"\\ude00"}'
      truth[#truth + 1] = "\240\159\152\128"
    elseif chance(10) then
      bytes[#bytes + 1] = ": ping" .. newline .. newline
      length = length + #bytes[#bytes]
    else
      local text = text_of(random(chance(5) and 3000 or 30))
      delta(support.encode { content = text }, chance(20) and ',"logprobs":{"content":[]}' or "")
      truth[#truth + 1] = text
    end
  end
  delta("{}", ',"finish_reason":"stop"')
  local finish_at = ends[#ends]
  if chance(50) then
    event '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}'
  end
  event "[DONE]"
  return table.concat(bytes), table.concat(truth), finish_at, newline
end

-- Splits bytes into steps, some of which wait a moment.
local function played(bytes)
  local steps, at = {}, 1
  local most = ({ 1, 7, 100, 5000 })[random(4)]
  if most == 1 then return { { send = bytes, chunk = random(3) } } end
  while at <= #bytes do
    local n = random(most)
    steps[#steps + 1] = { send = bytes:sub(at, at + n - 1) }
    if chance(10) then steps[#steps + 1] = { sleep = random(4) / 1000 } end
    at = at + n
  end
  return steps
end

local ENDS = { "close", "reset", "half_close" }

-- One answer: the script, the truth, and what may be said of it: "whole" (must be
-- complete), "cut" (must not), "either" (cut after its finish_reason).
local function answer(api)
  local body, truth, finish_at, newline = stream(api)
  local framing = ({ "chunked", "length", "close" })[random(3)]
  local head = { ["Content-Type"] = "text/event-stream" }
  local verdict, bytes, last = "whole"
  local fault = chance(45) and random(4) or 0
  local sent = body
  if fault > 0 then
    local keep = random(#body) - 1
    sent = body:sub(1, keep)
    -- the finish_reason counts with the last byte of its object
    verdict = keep < finish_at - 2 * #newline and "cut" or "either"
    last = { [ENDS[random(#ENDS)]] = true }
  end
  if framing == "chunked" then
    head["Transfer-Encoding"] = "chunked"
    bytes = support.chunks(sent, random(400))
    if fault == 1 then -- a length of a chunk that is none
      bytes = bytes .. "zz\r\n"
    elseif fault == 2 then -- an orderly end of a cut stream
      bytes, last = bytes .. "0\r\n\r\n", nil
    elseif fault == 0 then
      bytes = bytes .. "0\r\n\r\n"
    end
  elseif framing == "length" then
    local length = #sent
    if fault == 1 then length = length + random(1000) end -- never comes
    if fault == 2 then length = math.max(0, length - random(1000)) end -- less than comes
    if fault == 3 then length = #body end
    head["Content-Length"] = tostring(length)
    if fault == 2 then
      if length < finish_at then verdict = "cut" end
      head["Connection"] = "close" -- what is left over would be the next answer's
    end
    bytes = sent
    if fault == 4 then last = nil end
  else
    head["Connection"] = "close"
    bytes, last = sent, last or { close = true }
  end
  local steps = played(support.head(200, head) .. bytes)
  if chance(5) then table.insert(steps, random(#steps), { sleep = random(40) / 1000 }) end
  if last then steps[#steps + 1] = last end
  return { steps = steps, truth = truth, verdict = verdict, fault = fault, framing = framing,
    api = api }
end


-- The bots -------------------------------------------------------------------

local stats = { requests = 0, complete = 0, broken = 0, cancelled = 0, bytes = 0 }
local kinds, mismatches, cases = {}, 0, 0

local function mismatch(case, what, got)
  mismatches = mismatches + 1
  if mismatches > 10 then return end
  print(("MISMATCH %s: %s (seed %d, request %d, %s, %s, fault %d, verdict %s)\n  truth %q\n"
    .. "  got   %q"):format(what, case.state or "", seed, case.n, case.api, case.framing,
    case.fault, case.verdict, case.truth:sub(1, 200), tostring(got):sub(1, 200)))
end

local function judge(case, err)
  local reply, got = case.reply, case.got
  -- a half of a surrogate pair whose other half was cut is U+FFFD
  if err then got = got:gsub("\239\191\189$", "") end
  if got ~= case.truth:sub(1, #got) then mismatch(case, "delivered text", got) end
  if reply.text ~= case.truth:sub(1, #reply.text) and not err then
    mismatch(case, "reply.text", reply.text)
  end
  stats.bytes = stats.bytes + #got
  case.state = reply.status
  if err then
    kinds[err.kind] = (kinds[err.kind] or 0) + 1
    stats.broken = stats.broken + 1
    local partial = err.partial or ""
    partial = partial:gsub("\239\191\189$", "")
    if partial ~= case.truth:sub(1, #partial) then mismatch(case, "partial", partial) end
    if case.verdict == "whole" then mismatch(case, "a whole stream failed", tostring(err)) end
    if #case.bot:get_messages() ~= 0 then mismatch(case, "the prompt was left", "") end
  else
    stats.complete = stats.complete + 1
    if got ~= case.truth then mismatch(case, "a complete text", got) end
    if reply.status ~= "complete" then mismatch(case, "status", reply.status) end
    if case.verdict == "cut" then mismatch(case, "a cut stream is complete", got) end
    if #case.bot:get_messages() ~= 2 then mismatch(case, "the conversation", "") end
  end
end

-- What a server does with a request: the prompt names the case, so that one that has
-- come twice (over a kept connection that was just being closed) has the same answer.
local PLAY = [[
local request, conn = ...
conn:play(require("cjson").decode(%s)[request.body:match("case %%d+")])
]]

local function next_case(slot)
  if #slot.queue == 0 then
    -- a new server now and then, so that it does not hoard what it has recorded
    if slot.server == nil or slot.used >= 20 * BATCH then
      if slot.server then slot.server:close() end
      slot.server, slot.used = support.serve { { close = true } }, 0
    end
    local plays = {}
    for i = 1, BATCH do
      local case = answer(APIS[random(#APIS)])
      cases = cases + 1
      case.n, case.got, slot.queue[i] = cases, "", case
      plays["case " .. cases] = case.steps
    end
    slot.server:script { { lua = PLAY:format(("%q"):format(support.encode(plays))) } }
  end
  slot.used = slot.used + 1
  local case = table.remove(slot.queue, 1)
  stats.requests = stats.requests + 1
  case.bot = chatbot.new { base_url = slot.server.url, model = "m", max_retries = 0, api = case.api,
    idle_timeout = 2, first_byte_timeout = 2, max_queue_bytes = random(3) * 2000 }
  case.reply = assert(case.bot:stream("case " .. case.n))
  case.till = support.now() + WAIT
  slot.case = case
end

-- Reads what is there. A slot whose reader rests reads nothing for a while.
local function advance(slot, now)
  local case = slot.case
  if slot.rests and now < slot.rests then return end
  slot.rests = nil
  local text, what = case.reply:poll()
  if text then
    case.got = case.got .. text
    if chance(5) then slot.rests = now + random(10) / 1000 end
  elseif what ~= "wait" then
    if what == "done" then what = nil end
    judge(case, what)
    slot.case = nil
  elseif now > case.till then
    mismatch(case, "no end within " .. WAIT .. " s", case.got)
    case.reply:close()
    slot.case = nil
  elseif case.verdict ~= "whole" and chance(1) then -- is cancelled, and checked
    case.reply:close()
    stats.cancelled = stats.cancelled + 1
    if case.reply.status ~= "cancelled" then mismatch(case, "closed", case.reply.status) end
    slot.queue = {} -- the server may not have taken the script yet
    slot.server:close()
    slot.server, slot.case = nil, nil
  end
end


-- Measuring ------------------------------------------------------------------

local pid = assert(io.open("/proc/self/stat")):read("*l"):match("^(%d+)")

local function descriptors()
  local pipe = io.popen("ls /proc/" .. pid .. "/fd | wc -l")
  local n = tonumber(pipe:read("*a"))
  pipe:close()
  return n
end

-- Least squares over samples {x, y}.
local function slope(samples, field)
  local n, sx, sy, sxx, sxy = #samples, 0, 0, 0, 0
  for _, s in ipairs(samples) do
    local x, y = s.requests, s[field]
    sx, sy, sxx, sxy = sx + x, sy + y, sxx + x * x, sxy + x * y
  end
  local d = n * sxx - sx * sx
  return d > 0 and (n * sxy - sx * sy) / d or 0
end


-- The run --------------------------------------------------------------------

print(("seed %d, %d bots at once, %d s"):format(seed, BOTS, seconds))
local slots, samples = {}, {}
for i = 1, BOTS do slots[i] = { queue = {}, used = 0 } end
local started = support.now()
local sample_every = math.max(0.5, seconds / 60)
local next_sample = started + sample_every

repeat
  local now = support.now()
  local over = now >= started + seconds
    and (stats.requests >= ENOUGH or now >= started + 6 * seconds)
  local measure = over or now >= next_sample
  local open = 0
  for _, slot in ipairs(slots) do
    -- before a measurement all replies come to their end
    if not slot.case and not measure then next_case(slot) end
    if slot.case then
      open = open + 1
      advance(slot, now)
    end
  end
  if measure and open == 0 then
    chatbot.poll(0)
    collectgarbage()
    collectgarbage()
    samples[#samples + 1] = { requests = stats.requests, rss = process.resident(),
      fds = descriptors() }
    next_sample = support.now() + sample_every
  else
    chatbot.poll(0.005)
  end
until over and open == 0
support.close_all()

-- the first third is for caches to fill
local steady, halves = {}, { {}, {} }
for i = math.ceil(#samples / 3) + 1, #samples do steady[#steady + 1] = samples[i] end
for i, sample in ipairs(steady) do
  local half = halves[i <= #steady / 2 and 1 or 2]
  half[#half + 1] = sample
end
-- what leaks grows all the time; a heap that has become larger once has not leaked
local memory = math.min(slope(halves[1], "rss"), slope(halves[2], "rss"))
local fds = slope(steady, "fds")
local first, last = steady[1] or samples[1], samples[#samples]
local grown = last.rss - first.rss

local names = {}
for kind, n in pairs(kinds) do names[#names + 1] = kind .. " " .. n end
table.sort(names)
print(("%d requests (%.0f/s), %.1f MB of text: %d complete, %d broken, %d cancelled"):format(
  stats.requests, stats.requests / (support.now() - started), stats.bytes / 1e6, stats.complete,
  stats.broken, stats.cancelled))
print("kinds: " .. table.concat(names, ", "))
print(("memory: %d KiB, %+d KiB, slope of the flatter half %+.4f KiB a request (bound %g)"):format(
  last.rss, grown, memory, MAX_RSS_SLOPE))
print(("descriptors: %d, slope %+.5f a request (bound %g)"):format(last.fds, fds, MAX_FD_SLOPE))
local leaks = (memory > MAX_RSS_SLOPE and grown > MAX_GROWTH) or fds > MAX_FD_SLOPE
  and last.fds - first.fds > BOTS
if leaks then print("LEAK: a slope is above its bound") end
local idle = stats.complete == 0 or stats.broken == 0
if idle then print("the soak has not seen both ends of a stream") end
print(("%d requests, %d mismatches"):format(stats.requests, mismatches))
if mismatches > 0 or leaks or idle then os.exit(1) end
