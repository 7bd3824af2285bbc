-- run.lua - runs the whole bench and writes its table.
--
--   lua5.4 bench/run.lua BUILD       (by `make bench`)
--
-- BUILD has the compiled programs; see bench/build.sh. In the environment, QUICK=1 runs
-- less of everything, and OUT names the file for the table: bench/RESULTS.md, or for a
-- quick run the one of that name in BUILD. Client and server have a core each. CPU times
-- are those of the whole client process (its children included) less those of the same
-- client with a short stream, so that start and end cancel.

local build = assert(..., "usage: run.lua BUILD")
local quick = (os.getenv("QUICK") or "") ~= ""
local out = os.getenv("OUT") or quick and build .. "/RESULTS.md" or "bench/RESULTS.md"

local ROUNDS = quick and 3 or 5
local MORE_ROUNDS = quick and 5 or 9 -- where a goal is near the limit

-- ---- running programs ----

local function sh(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function capture(command)
  local p = assert(io.popen(command .. " 2>/dev/null"))
  local text = p:read("a")
  p:close()
  return (text:gsub("%s+$", ""))
end

local function has(command)
  return os.execute(command .. " >/dev/null 2>&1 </dev/null") == true
end

local plain, tls, server

local function start_server()
  os.remove(build .. "/ports")
  server = assert(io.popen(("nice -n -20 taskset -c 0 %s/server %s/cert.pem %s/key.pem "
    .. ">%s/ports 2>/dev/null"):format(build, build, build, build), "w"))
  for _ = 1, 100 do
    local f = io.open(build .. "/ports")
    local a, b = nil, nil
    if f then
      a, b = f:read("n", "n")
      f:close()
    end
    if b then
      plain, tls = "http://127.0.0.1:" .. a, "https://127.0.0.1:" .. b
      return
    end
    os.execute("sleep 0.05")
  end
  error("the server does not start")
end

local notes = {}

-- Runs a client; returns what it printed as a table of numbers, with wall, cpu, rss.
local function run(client, args)
  local words = {}
  for i = 1, #args do words[i] = sh(tostring(args[i])) end
  local command = ("%s %s/measure 1 90 %s %s"):format(client.env or "", build, client.command,
    table.concat(words, " "))
  if client.environment then
    command = ("BENCH_URL=%s BENCH_STREAMS=%s %s"):format(words[2], words[3],
      command:sub(1, #command - #table.concat(words, " ")))
  end
  local text = capture(command)
  local wall, cpu, rss, code = text:match("@ (%d+) (%d+) (%d+) (%d+)$")
  if code ~= "0" then
    notes[#notes + 1] = ("%s %s failed (%s)"):format(client.name, args[1], code or "?")
    return nil
  end
  local result = { wall = tonumber(wall), cpu = tonumber(cpu), rss = tonumber(rss) }
  for name, value in text:gmatch("(%a[%w]*) (%-?[%d.]+)") do
    result[name] = tonumber(value)
  end
  return result
end

local function median(list)
  if not list then return nil end
  local sorted = { table.unpack(list) }
  table.sort(sorted)
  return sorted[math.ceil(#sorted / 2)]
end

-- The field of each result in a list.
local function column(list, field)
  if not list then return nil end
  local values = {}
  for i, result in ipairs(list) do values[i] = result[field] end
  return values
end

-- The median of the ratios of two lists, round by round.
local function times(list, base)
  if not list or not base then return nil end
  local ratios = {}
  for i = 1, math.min(#list, #base) do ratios[i] = list[i] / base[i] end
  return median(ratios)
end

-- Runs jobs in turn, so that a noisy moment of the machine does not hit one of them alone.
-- Returns what each has measured, a list by round under its name. One that fails has none,
-- and one may want fewer `rounds`.
local function in_turn(rounds, jobs)
  local found = {}
  for _, job in ipairs(jobs) do found[job.name] = {} end
  for i = 1, rounds do
    for _, job in ipairs(jobs) do
      local list = found[job.name]
      if list and i <= (job.rounds or rounds) then
        list[i] = job.run()
        found[job.name] = list[i] and list
      end
    end
  end
  return found
end

-- ---- clients ----

local core = os.getenv("CORE") or "build"

-- `modules`: what must be there; several names in one are alternatives. lua-http's files
-- are Debian's for Lua 5.2, which do for 5.4.
local function lua(name, interpreter, script, modules)
  local path = "bench/clients/?.lua;lua/?.lua;lua/?/init.lua;"
  if interpreter == "lua5.4" then path = path .. "/usr/share/lua/5.2/?.lua;" end
  local env = ("LUA_PATH='%s;' LUA_CPATH='%s/%s/?.so;%s/%s/?.so;;'"):format(path, build,
    interpreter, core, interpreter)
  local found = has(interpreter .. " -e ''")
  for _, alternatives in ipairs(modules or {}) do
    local any = false
    for module in alternatives:gmatch("%S+") do
      any = any or has(("%s %s -e 'require \"%s\"'"):format(env, interpreter, module))
    end
    found = found and any
  end
  return { name = name, here = found, env = env,
    command = interpreter .. " bench/clients/" .. script .. ".lua" }
end

local limit = { name = "C, libcurl multi, nothing decoded", here = true,
  command = build .. "/limit" }
local ours54 = lua("**this module, Lua 5.4**", "lua5.4", "ours")
local oursjit = lua("**this module, LuaJIT**", "luajit", "ours")
local start54 = lua(ours54.name, "lua5.4", "start")
local startjit = lua(oursjit.name, "luajit", "start")
local curl54 = lua("Lua 5.4, Lua-cURL and lua-cjson", "lua5.4", "luacurl",
  { "cURL curl", "cjson" })
local curljit = lua("LuaJIT, Lua-cURL and lua-cjson", "luajit", "luacurl",
  { "cURL curl", "cjson" })
local http54 = lua("Lua 5.4, lua-http and lua-cjson", "lua5.4", "luahttp",
  { "http.request", "cjson" })
local httpjit = lua("LuaJIT, lua-http and lua-cjson", "luajit", "luahttp",
  { "http.request", "cjson" })
local openai54 = lua("Lua 5.4, lua-openai", "lua5.4", "luaopenai", { "openai" })
local nvim = { name = "Neovim, curl as a child process", environment = true,
  here = has("nvim --version") and has("curl --version"),
  env = "LUA_PATH='bench/clients/?.lua;;'",
  command = "nvim --headless -u NONE -i NONE -c 'luafile bench/clients/nvim.lua'" }
local node = { name = "openai-node", here = has("node --version") and
  has("test -d " .. build .. "/node_modules/openai"),
  command = "node " .. build .. "/openai.mjs" }
local python = { name = "openai-python", here = has("python3 -c 'import openai'"),
  command = "python3 bench/clients/python.py" }

-- ---- the report ----

local lines = {}

local function say(format, ...)
  local line = select("#", ...) > 0 and format:format(...) or format
  lines[#lines + 1] = line
  print(line)
end

local function number(x, format)
  return x and (format or "%.2f"):format(x) or "-"
end

local function ratio(x)
  return number(x, "%.1f")
end

local goals = {}

-- A row of the goals: what was measured, whether it is enough.
local function goal(name, wanted, measured, met)
  goals[#goals + 1] = { name, wanted, measured or "not measured", met }
end

local function at_most(name, wanted, x, max, format)
  goal(name, wanted, x and (format or "%.2f"):format(x), x and x <= max)
end

-- ---- flood ----

-- CPU per event in µs.
local function flood(client, events, batch, mode)
  local url = plain .. "/%d-%d-0-1/v1"
  local few = run(client, { mode or "stream", url:format(20, batch), 1 })
  local many = run(client, { mode or "stream", url:format(events, batch), 1 })
  if not few or not many then return nil end
  assert(many.events >= events, client.name .. " has lost events")
  return (many.cpu - few.cpu) / (events - 20)
end

local function flood_table()
  local scale = quick and 0.25 or 1
  local rows = {
    { limit, 2e6 }, { ours54, 1e6 }, { oursjit, 1e6 }, { ours54, 2e5, "event" },
    { oursjit, 2e5, "event" }, { curl54, 2e5 }, { curljit, 2e5 }, { http54, 1e5 },
    { httpjit, 1e5 }, { nvim, 1e5 }, { openai54, 2e4 }, { node, 5e4 }, { python, 5e3 } }
  local jobs = {}
  for i, row in ipairs(rows) do
    local client, mode = row[1], row[3]
    local rounds = i <= 3 and MORE_ROUNDS or i > 7 and quick and 1 or ROUNDS
    local function job(suffix, events, batch)
      jobs[#jobs + 1] = { name = client.name .. suffix, rounds = rounds,
        run = function() return flood(client, math.floor(events * scale), batch, mode) end }
    end
    if client.here then
      job(mode or "", row[2], 200)
      if not mode then job("single", math.min(row[2], 2e5), 1) end
    end
  end
  local found = in_turn(MORE_ROUNDS, jobs)
  local base, base1 = found[limit.name], found[limit.name .. "single"]
  say("## A flood\n\nEvents as fast as they come, CPU time of the client per event.\n")
  say("| client | 200 to a write, µs | to the limit | 1 to a write, µs | to the limit |")
  say("|---|---|---|---|---|")
  for _, row in ipairs(rows) do
    local client, mode = row[1], row[3]
    local name = client.name .. (mode and ", every event decoded (`on_event`)" or "")
    if not client.here then
      say("| %s | not here | | | |", name)
    else
      local many = found[client.name .. (mode or "")]
      local single = not mode and found[client.name .. "single"] or nil
      say("| %s | %s | %s | %s | %s |", name, number(median(many)), ratio(times(many, base)),
        number(median(single)), ratio(times(single, base1)))
    end
  end
  at_most("flood, text only, Lua 5.4, to the limit", "<= 2.5", times(found[ours54.name], base), 2.5)
  at_most("the same, LuaJIT", "<= 2", times(found[oursjit.name], base), 2)
  local less = times(found[curl54.name], found[ours54.name])
  local less_jit = times(found[curljit.name], found[oursjit.name])
  if less then
    goal("less CPU than Lua-cURL + lua-cjson, Lua 5.4", ">= 9 times", number(less, "%.1f"),
      less >= 9)
  end
  goal("less CPU than Lua-cURL + lua-cjson, LuaJIT", ">= 9 times",
    less_jit and number(less_jit, "%.1f"), less_jit and less_jit >= 9)
  less = times(found[node.name], found[ours54.name])
  goal("less CPU than openai-node", ">= 30 times", less and number(less, "%.0f"),
    less and less >= 30)
  local peer, mine = found[curl54.name], found[ours54.name .. "event"]
  if not peer then peer, mine = found[curljit.name], found[oursjit.name .. "event"] end
  at_most("every event decoded (`on_event`), to Lua-cURL + lua-cjson", "<= 1",
    times(mine, peer), 1)
end

-- ---- many streams ----

-- Streams at `rate` events a second: {cpu in %, us per event, p50, p99, rss, complete}.
local function paced(client, streams, rate, seconds)
  local url = plain .. "/%d-1-%d-%d/v1"
  local short, long = math.ceil(rate / 4), math.ceil(rate * (seconds + 0.25))
  local function one(events)
    return run(client, { "stream", url:format(events, rate, streams), streams })
  end
  local few, many = one(short), one(long)
  if not few or not many then return nil end
  local wall, cpu = many.wall - few.wall, many.cpu - few.cpu
  return { cpu = 100 * cpu / wall, each = cpu / ((long - short) * streams), p50 = many.p50,
    p99 = many.p99, rss = many.rss, complete = many.complete }
end

local function streams_table()
  local two = { limit, ours54 }
  -- streams, events a second of each, seconds, rounds, clients
  local plan = quick and {
    { 1, 20, 1, 1, two }, { 100, 20, 1, 1, { limit, ours54, oursjit } },
    { 1000, 20, 1, 3, two }, { 5000, 4, 1.5, 1, two },
  } or {
    { 1, 20, 3, 5, two }, { 100, 20, 3, 5, { limit, ours54, oursjit, http54, node, nvim } },
    { 1000, 20, 3, 9, { limit, ours54, oursjit, http54, node } }, { 5000, 4, 6, 5, two },
  }
  local found = {}
  say("\n## Many streams in one thread\n\nLatency is from the server's write to the text in the "
    .. "client, of what arrives from half a second after the first text on: what comes before has "
    .. "waited while all connections were opened at once. No stream ends before all have had "
    .. "their last event. KiB a stream is the growth of the process from one stream on.\n")
  say("| client | streams, events a second of each | CPU | to the limit | µs an event | p50 µs | "
    .. "p99 µs | KiB a stream |")
  say("|---|---|---|---|---|---|---|---|")
  for _, step in ipairs(plan) do
    local n, rate, seconds, rounds, clients = table.unpack(step)
    local jobs = {}
    for i, client in ipairs(clients) do
      jobs[i] = { name = client.name, rounds = i > 2 and ROUNDS or nil, run = function()
        return client.here and paced(client, n, rate, seconds)
      end }
    end
    local lists = in_turn(rounds, jobs)
    for _, client in ipairs(clients) do
      local list = lists[client.name]
      if list then
        local r = {}
        for name in pairs(list[1]) do r[name] = median(column(list, name)) end
        found[client.name .. n] = r
        r.times = times(column(list, "each"), column(lists[limit.name], "each"))
        local alone = found[client.name .. 1]
        if not alone and n > 1 then
          alone = { rss = (run(client, { "stream", plain .. "/20-1-0-1/v1", 1 }) or {}).rss }
        end
        r.kib = n > 1 and alone.rss and (r.rss - alone.rss) / (n - 1) or nil
        say("| %s | %d, %d | %.1f %% | %s | %.1f | %s | %s | %s |", client.name, n, rate, r.cpu,
          ratio(r.times), r.each, number(r.p50, "%.0f"), number(r.p99, "%.0f"),
          number(r.kib, "%.1f"))
      elseif client.here then
        say("| %s | %d, %d | fails | | | | | |", client.name, n, rate)
      end
    end
  end
  local mine, most = found[ours54.name .. 1000], found[ours54.name .. 5000]
  at_most("1000 streams: CPU to the limit", "<= 1.2", mine and mine.times, 1.2)
  at_most("1000 streams: p99", "<= 200 µs", mine and mine.p99, 200, "%.0f µs")
  at_most("1000 streams: memory a stream", "<= 24 KiB", mine and mine.kib, 24, "%.1f KiB")
  goal("5000 streams: each complete, with its own text", "5000",
    most and ("%.0f"):format(most.complete), most and most.complete == 5000)
  at_most("5000 streams: cost of an event to that at 1000", "<= 1.3",
    most and mine and most.each / mine.each, 1.3)
end

-- ---- start ----

local function start_table()
  local clients = { limit, start54, startjit, curl54, curljit, http54, nvim, node, python }
  local jobs = {}
  for i, client in ipairs(clients) do
    jobs[i] = { name = client.name, rounds = client == node and 3 or nil, run = function()
      return client.here and run(client, { "stream", plain .. "/20-20-0-1/v1", 1 })
    end }
  end
  local found = in_turn(quick and 15 or 41, jobs)
  local base = column(found[limit.name], "wall")
  say("\n## Start\n\nA whole process that reads 20 events: for this module the few lines of "
    .. "`bench/clients/start.lua`, for the others their client, which counts the same way (of "
    .. "those in Lua, what is the bench's own takes 0.3 ms). And two requests, one after the "
    .. "other, in a process that has loaded libcurl.\n")
  say("| client | whole process, ms | to the limit | CPU, ms |")
  say("|---|---|---|---|")
  for _, client in ipairs(clients) do
    local list = found[client.name]
    if list then
      local walls = column(list, "wall")
      say("| %s | %.1f | %s | %.1f |", client.name, median(walls) / 1000,
        ratio(times(walls, base)), median(column(list, "cpu")) / 1000)
    end
  end
  at_most("whole process, 20 events, to the C program", "<= 1.15",
    times(column(found[start54.name], "wall"), base), 1.15)

  local pieces = in_turn(quick and 5 or 21, { { name = "ours", run = function()
    return run(ours54, { "pieces", plain .. "/20-20-0-1/v1" })
  end }, { name = "limit", run = function()
    return run(limit, { "pieces", plain .. "/20-20-0-1/v1" })
  end } })
  local function piece(name)
    return number(median(column(pieces.ours, name)) / 1000)
  end
  say("\nWhere this module's process on Lua 5.4 spends its CPU time, ms: to start the interpreter "
    .. "%s, `require` %s, `new` %s, to load libcurl %s, `stream` %s, to read %s. The C program has "
    .. "spent %s when it begins, with libcurl linked to it, and initialises it in %s.",
    piece("interpreter"), piece("require"), piece("new"), piece("libcurl"), piece("stream"),
    piece("read"), number(median(column(pieces.limit, "linked")) / 1000),
    number(median(column(pieces.limit, "init")) / 1000))

  clients, jobs = { limit, ours54, oursjit }, {}
  for _, client in ipairs(clients) do
    jobs[#jobs + 1] = { name = client.name, run = function()
      return run(client, { "twice", plain .. "/1-1-1-1/v1" })
    end }
    jobs[#jobs + 1] = { name = client.name .. "tls", run = function()
      return run(client, { "twice", tls .. "/1-1-1-1/v1", build .. "/cert.pem" })
    end }
  end
  found = in_turn(MORE_ROUNDS, jobs)
  say("\n| client | plain: first, second request, µs | TLS: first, second, µs |")
  say("|---|---|---|")
  local function both(list)
    return number(median(column(list, "first")), "%.0f") .. ", "
      .. number(median(column(list, "second")), "%.0f")
  end
  for _, client in ipairs(clients) do
    say("| %s | %s | %s |", client.name, both(found[client.name]),
      both(found[client.name .. "tls"]))
  end
  local mine = found[ours54.name .. "tls"]
  local same = mine and median(column(mine, "same"))
  goal("second request over TLS: one round trip, no handshake", "the same connection",
    same and ("%s connection, %.0f µs"):format(same == 1 and "the same" or "another",
      median(column(mine, "second"))), same == 1)
end

-- ---- the host ----

local function host_table()
  local ms = quick and 500 or 3000
  local flood_url = plain .. "/100000000-200-0-1/v1"
  say("\n## What the host notices\n\n| | Lua 5.4 | LuaJIT |\n|---|---|---|")
  local function measure(...)
    local args, jobs = { ... }, {}
    for i, client in ipairs { ours54, oursjit } do
      jobs[i] = { name = i, run = function() return run(client, args) end }
    end
    return in_turn(ROUNDS, jobs)
  end
  local function row(name, lists, field, format, scale)
    local values = {}
    for i = 1, 2 do
      values[i] = median(column(lists[i], field))
      values[i] = values[i] and values[i] / (scale or 1000)
    end
    say("| %s | %s | %s |", name, number(values[1], format), number(values[2], format))
    return values[1]
  end
  local longest = row("longest `poll(0)` while 100 streams flood, ms of CPU",
    measure("poll", flood_url, 100, ms), "cpu")
  local polls = measure("poll", flood_url, 100, ms, 0.5)
  local held = row("the same with a budget of 0.5 ms", polls, "cpu")
  row("the same, ms on the clock", polls, "longest")
  local hold = row("longest step of a TLS request after `warmup()`, ms",
    measure("hold", tls .. "/20-20-0-1/v1", build .. "/cert.pem"), "longest")
  local garbage = row("garbage of a poll that returns nothing, bytes",
    measure("garbage", plain .. "/20-1-1-1/v1"), "each", nil, 1)
  local turns = measure("history", plain .. "/20-20-0-1/v1", 4000)
  local turn1 = row("4 MB of history: longest step of the first turn, ms", turns, "longest1")
  local turn2 = row("longest step of the second turn, ms", turns, "longest2")
  local require_us = row("`require \"chatbot\"`, ms", measure("require"), "us")
  at_most("longest poll(0) while 100 streams flood", "<= 1 ms", longest, 1, "%.2f ms")
  at_most("the same with a budget of 0.5 ms", "<= 0.5 ms", held, 0.5, "%.2f ms")
  at_most("longest hold, TLS included, after warmup()", "<= 4 ms", hold, 4, "%.2f ms")
  at_most("garbage of a poll that returns nothing", "0 bytes", garbage, 0, "%.0f bytes")
  at_most("4 MB of history, first turn: host held", "<= 4 ms a step", turn1, 4, "%.1f ms")
  at_most("4 MB of history, next turns: host held", "<= 4 ms a step", turn2, 4, "%.1f ms")
  at_most("require without use", "<= 0.5 ms", require_us, 0.5, "%.2f ms")
end

-- ---- all of it ----

local function instructions()
  local f = io.open("bench/instructions.txt")
  local recorded = f and f:read("a") or ""
  if f then f:close() end
  for _, row in ipairs { { "chat", 1350 }, { "responses", 1620 }, { "messages", 1620 } } do
    local whole = tonumber(recorded:match("\n" .. row[1] .. " whole (%d+)"))
    at_most("instructions per event of " .. row[1] .. ", whole path, Lua 5.4 "
      .. "(`make instructions`)", "<= " .. row[2], whole, row[2], "%.0f")
  end
end

local function versions()
  local list = {
    capture("sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1") .. ", "
      .. capture("nproc") .. " cores",
    capture("uname -sr"), capture("lua5.4 -v | cut -d ' ' -f 1,2"),
    capture("luajit -v | cut -d ' ' -f 1,2"),
    "libcurl " .. capture("curl --version | sed -n 's/.*libcurl.//;s/ .*//;1p'"),
    has("node --version") and "Node.js " .. capture("node --version") or nil }
  if node.here then
    list[#list + 1] = "openai-node " .. capture("sed -n 's/.*\"version\": \"\\(.*\\)\".*/\\1/p' "
      .. build .. "/node_modules/openai/package.json | head -n 1")
  end
  if nvim.here then list[#list + 1] = capture("nvim --version | head -n 1") end
  return table.concat(list, "; ")
end

local function write_goals()
  say("\n## The goals\n\n| figure | goal | measured | |")
  say("|---|---|---|---|")
  local missed = 0
  for _, g in ipairs(goals) do
    if not g[4] then missed = missed + 1 end
    say("| %s | %s | %s | %s |", g[1], g[2], g[3], g[4] and "met" or "**missed**")
  end
  say("\n%d of %d met.", #goals - missed, #goals)
  for _, note in ipairs(notes) do say("\nNote: %s.", note) end
end

start_server()
say("# Results of `make bench`%s\n", quick and " (QUICK=1)" or "")
say("Measured on: %s.", versions())
say("Client and server on one core each, loopback. The clients of a table take turns, round by "
  .. "round; figures are medians of the rounds, and a ratio is the median of the rounds' ratios. "
  .. "Ratios inside one run carry to other machines, times do not. \"Not here\": the client is not "
  .. "installed. The server makes each event anew, so that a fast client waits for it.\n")
say("Load of the machine when the run began: %s.\n", capture("cut -d ' ' -f 1-3 /proc/loadavg"))
flood_table()
streams_table()
start_table()
host_table()
instructions()
write_goals()
server:close()

local f = assert(io.open(out, "w"))
f:write(table.concat(lines, "\n"), "\n")
f:close()
