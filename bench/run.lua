-- run.lua - runs the whole bench and writes its table.
--
--   lua5.4 bench/run.lua BUILD       (by `make bench`)
--
-- BUILD has the compiled programs; see bench/build.sh. In the environment, QUICK=1 runs
-- less of everything and OUT names the file for the table. Client and server have a core
-- each. CPU times are those of the whole client process (its children included) less those
-- of the same client with a short stream, so that start and end cancel.

local build = assert(..., "usage: run.lua BUILD")
local quick = (os.getenv("QUICK") or "") ~= ""
local out = os.getenv("OUT") or "bench/RESULTS.md"

local ROUNDS = quick and 3 or 5

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
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

-- The median of what `f` returns, over some rounds; nil when a round failed.
local function often(rounds, f)
  local list = {}
  for i = 1, rounds do
    list[i] = f()
    if not list[i] then return nil end
  end
  return median(list)
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

local function ratio(x, base)
  return x and base and ("%.1f"):format(x / base) or "-"
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
  if not client.here then return nil end
  local url = plain .. "/%d-%d-0-1/v1"
  return often(ROUNDS, function()
    local few = run(client, { mode or "stream", url:format(20, batch), 1 })
    local many = run(client, { mode or "stream", url:format(events, batch), 1 })
    if not few or not many then return nil end
    assert(many.events >= events, client.name .. " has lost events")
    return (many.cpu - few.cpu) / (events - 20)
  end)
end

local function flood_table()
  local scale = quick and 0.25 or 1
  local rows = {
    { limit, 2e6 }, { ours54, 1e6 }, { oursjit, 1e6 }, { ours54, 2e5, "event" },
    { oursjit, 2e5, "event" }, { curl54, 2e5 }, { curljit, 2e5 }, { http54, 1e5 },
    { httpjit, 1e5 }, { nvim, 1e5 }, { openai54, 2e4 }, { node, 5e4 }, { python, 5e3 } }
  local found = {}
  say("## A flood\n\nEvents as fast as they come, CPU time of the client per event.\n")
  say("| client | 200 to a write, µs | to the limit | 1 to a write, µs | to the limit |")
  say("|---|---|---|---|---|")
  for _, row in ipairs(rows) do
    local client, mode = row[1], row[3]
    local name = client.name .. (mode and ", every event decoded (`on_event`)" or "")
    if not client.here then
      say("| %s | not here | | | |", name)
    else
      local events = math.floor(row[2] * scale)
      local many = flood(client, events, 200, mode)
      local single = not mode and flood(client, math.floor(math.min(events, 2e5 * scale)), 1)
      found[client.name .. (mode or "")] = many
      found[client.name .. "single"] = single or nil
      local base, base1 = found[limit.name], found[limit.name .. "single"]
      say("| %s | %s | %s | %s | %s |", name, number(many), ratio(many, base),
        number(single or nil), ratio(single or nil, base1))
    end
  end
  local base = found[limit.name]
  local function times(a, b) return a and b and a / b end
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

local function median_of(rounds, client, ...)
  local all = {}
  for i = 1, rounds do
    all[i] = paced(client, ...)
    if not all[i] then return nil end
  end
  local result = {}
  for name in pairs(all[1]) do
    local list = {}
    for i, one in ipairs(all) do list[i] = one[name] end
    result[name] = median(list)
  end
  return result
end

local function streams_table()
  local seconds = quick and 1 or 3
  local all = { limit, ours54, oursjit, http54, node, nvim }
  local plan = {
    { 1, 20, { limit, ours54 } },
    { 100, 20, quick and { limit, ours54, oursjit } or all },
    { 1000, 20, quick and { limit, ours54 } or { limit, ours54, oursjit, http54, node } },
    { 5000, 4, { limit, ours54 } },
  }
  local found = {}
  say("\n## Many streams in one thread\n\nLatency is from the server's write to the text in the "
    .. "client. KiB a stream is the growth of the process from one stream on.\n")
  say("| client | streams, events a second of each | CPU | to the limit | µs an event | p50 µs | "
    .. "p99 µs | KiB a stream |")
  say("|---|---|---|---|---|---|---|---|")
  for _, step in ipairs(plan) do
    local n, rate, clients = step[1], step[2], step[3]
    for _, client in ipairs(clients) do
      if client.here then
        local r = median_of(quick and 1 or 3, client, n, rate, n > 1000 and 2 * seconds or seconds)
        if r then
          found[client.name .. n] = r
          local base, alone = found[limit.name .. n], found[client.name .. 1]
          if not alone and n > 1 then
            alone = { rss = (run(client, { "stream", plain .. "/20-1-0-1/v1", 1 }) or {}).rss }
          end
          r.kib = n > 1 and alone.rss and (r.rss - alone.rss) / (n - 1)
          say("| %s | %d, %d | %.1f %% | %s | %.1f | %s | %s | %s |", client.name, n, rate, r.cpu,
            ratio(r.each, base and base.each), r.each, number(r.p50, "%.0f"),
            number(r.p99, "%.0f"), number(r.kib or nil, "%.1f"))
        else
          say("| %s | %d, %d | fails | | | | | |", client.name, n, rate)
        end
      end
    end
  end
  local base, mine = found[limit.name .. 1000], found[ours54.name .. 1000]
  at_most("1000 streams: CPU to the limit", "<= 1.2", base and mine and mine.each / base.each, 1.2)
  at_most("1000 streams: p99", "<= 200 µs", mine and mine.p99, 200, "%.0f µs")
  at_most("1000 streams: memory a stream", "<= 24 KiB", mine and mine.kib, 24, "%.1f KiB")
  local most = found[ours54.name .. 5000]
  goal("5000 streams: each complete, with its own text", "5000",
    most and ("%.0f"):format(most.complete), most and most.complete == 5000)
  at_most("5000 streams: cost of an event to that at 1000", "<= 1.3",
    most and mine and most.each / mine.each, 1.3)
end

-- ---- start ----

local function start_table()
  local rounds = quick and 7 or 21
  local found = {}
  say("\n## Start\n\nA whole process that reads 20 events; and two requests, one after the "
    .. "other, in a process that has loaded libcurl.\n")
  say("| client | whole process, ms | to the limit | CPU, ms |")
  say("|---|---|---|---|")
  for _, client in ipairs { limit, ours54, oursjit, curl54, curljit, http54, nvim, node, python } do
    if client.here then
      local walls, cpus = {}, {}
      for i = 1, client == node and 3 or rounds do
        local r = run(client, { "stream", plain .. "/20-20-0-1/v1", 1 })
        if not r then break end
        walls[i], cpus[i] = r.wall / 1000, r.cpu / 1000
      end
      local wall, cpu = median(walls), median(cpus)
      found[client.name] = wall
      say("| %s | %s | %s | %s |", client.name, number(wall, "%.1f"),
        ratio(wall, found[limit.name]), number(cpu, "%.1f"))
    end
  end
  local mine, base = found[ours54.name], found[limit.name]
  at_most("whole process, 20 events, to the C program", "<= 1.15", mine and mine / base, 1.15)

  say("\n| client | plain: first, second request, µs | TLS: first, second, µs |")
  say("|---|---|---|")
  local same, second = nil, {}
  for _, client in ipairs { limit, ours54, oursjit } do
    local cells = {}
    for i, url in ipairs { plain, tls } do
      local first, later = {}, {}
      for k = 1, ROUNDS do
        local r = run(client, { "twice", url .. "/1-1-1-1/v1",
          i == 2 and build .. "/cert.pem" or nil })
        if not r then break end
        first[k], later[k] = r.first, r.second
        if i == 2 and client == ours54 then same = r.same end
      end
      second[client.name .. i] = median(later)
      cells[i] = ("%s, %s"):format(number(median(first), "%.0f"), number(median(later), "%.0f"))
    end
    say("| %s | %s | %s |", client.name, cells[1], cells[2])
  end
  local took = second[ours54.name .. 2]
  goal("second request over TLS: one round trip, no handshake", "the same connection",
    same and ("%s connection, %.0f µs"):format(same == 1 and "the same" or "another", took),
    same == 1)
end

-- ---- the host ----

local function host_table()
  local ms = quick and 1000 or 3000
  local flood_url = plain .. "/100000000-200-0-1/v1"
  say("\n## What the host notices\n\n| | Lua 5.4 | LuaJIT |\n|---|---|---|")
  local first = {}
  local function row(name, mode, args, pick, format)
    local cells = {}
    for i, client in ipairs { ours54, oursjit } do
      local values = {}
      for k = 1, ROUNDS do
        local r = run(client, { mode, table.unpack(args) })
        if not r then break end
        values[k] = pick(r)
      end
      local value = median(values)
      if i == 1 then first[name] = value end
      cells[i] = number(value, format)
    end
    say("| %s | %s | %s |", name, cells[1], cells[2])
    return first[name]
  end
  local function get(field, scale)
    return function(r) return r[field] / (scale or 1) end
  end
  local longest = row("longest `poll(0)` while 100 streams flood, ms of CPU", "poll",
    { flood_url, 100, ms }, get("cpu", 1000))
  local held = row("the same with a budget of 0.5 ms", "poll", { flood_url, 100, ms, 0.5 },
    get("cpu", 1000))
  row("the same, ms on the clock", "poll", { flood_url, 100, ms, 0.5 }, get("longest", 1000))
  local hold = row("longest step of a TLS request after `warmup()`, ms", "hold",
    { tls .. "/20-20-0-1/v1", build .. "/cert.pem" }, get("longest", 1000))
  local garbage = row("garbage of a poll that returns nothing, bytes", "garbage",
    { plain .. "/20-1-1-1/v1" }, get("each"))
  local turn1 = row("4 MB of history: longest step of the first turn, ms", "history",
    { plain .. "/20-20-0-1/v1", 4000 }, get("longest1", 1000))
  local turn2 = row("longest step of the second turn, ms", "history",
    { plain .. "/20-20-0-1/v1", 4000 }, get("longest2", 1000))
  local require_us = row("`require \"chatbot\"`, ms", "require", {}, get("us", 1000))
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
  local whole = f and tonumber(f:read("a"):match("\nwhole%s+(%d+)"))
  if f then f:close() end
  at_most("instructions per event, whole path, Lua 5.4 (`make instructions`)", "<= 2500",
    whole, 2500, "%.0f")
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
say("Client and server on one core each, loopback, medians. Ratios inside one run carry to other "
  .. "machines, times do not. \"Not here\": the client is not installed. The server makes each "
  .. "event anew, so that a fast client waits for it.\n")
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
