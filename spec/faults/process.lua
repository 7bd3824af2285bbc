--- The process around the module: fork, signals, descriptors, threads, copies.

local bytes = require "spec.faults.bytes"

local rows = {}

local function add(name, row)
  row.name, row.own = name, true
  rows[#rows + 1] = row
end

local function build(name, how)
  return function() return { path = require("spec.faults.tools").build(name, how) } end
end

local function tools(t)
  return assert(package.loadlib(t.extra.path, "luaopen_faulttools"))()
end

local function sleep(seconds) require("spec.support.process").sleep(seconds) end

local LONG = { { bytes.stream { bytes.event "Hel" }, { sleep = 0.4 }, bytes.event "lo",
  bytes.STOP, bytes.DONE, { close = true } } }


-- fork -----------------------------------------------------------------------------------

-- In the child: 1 for each call that behaves, added up.
local function in_child(bot, reply)
  local score = 0
  local answer, err = bot:chat("hello")
  if answer == nil and (err.kind == "busy" or err.kind == "closed") then score = score + 1 end
  local text, state = reply:poll()
  if text == nil and type(state) == "table" and state.kind == "closed" then score = score + 2 end
  answer, err = reply:result()
  if answer == nil and err.kind == "closed" then score = score + 4 end
  answer, err = bot:chat("hello")
  if answer == nil and err.kind == "closed" then score = score + 8 end
  reply:close()
  return score
end

for _, tls in ipairs { "plain", "good" } do
  for _, how in ipairs { "closes its Lua state", "collects", "ends at once" } do
    add(("a forked child %s, the parent's %s stream lives"):format(how,
      tls == "good" and "TLS" or "TCP"), {
      serve = LONG, serve_opts = tls == "good" and { tls = "good" } or nil,
      prepare = build("faulttools", "module"),
      client = function(t)
        local c, bot = tools(t), t:bot()
        local reply = bot:stream("hello")
        local first
        t:until_true(5, function()
          first = reply:poll()
          return first
        end)
        local pid = c.fork()
        if pid == 0 then
          local ok, score = pcall(in_child, bot, reply)
          if not ok then
            io.stderr:write(tostring(score), "\n")
            score = 99
          end
          if how == "collects" then
            bot, reply, t.bots = nil, nil, {} -- luacheck: ignore
            collectgarbage()
            collectgarbage()
          end
          if how == "closes its Lua state" then os.exit(score, true) end
          -- without the finalizers: as a child that executes another program
          os.execute("kill -9 $PPID")
        end
        local ended = c.wait(pid)
        local observed = t:follow(reply)
        observed.text = first .. (observed.text or "")
        observed.child = ended
        return observed
      end,
      expect = { verdict = "complete", text = "Hello",
        child = how == "closes its Lua state" and 15 or 256 + 9 },
    })
  end
end


-- Signals --------------------------------------------------------------------------------

local RESET = { { bytes.stream { bytes.event "Hel" }, { sleep = 0.05 }, { reset = true } } }

add("no SIGPIPE from close() on a TLS connection that was reset", {
  serve = RESET, serve_opts = { tls = "good" }, prepare = build("faulttools", "module"),
  client = function(t)
    tools(t).sigpipe_default()
    local reply = t:bot():stream("hello")
    t:until_true(5, function() return reply:poll() end)
    sleep(0.2)
    reply:close()
    return { verdict = reply.status }
  end,
  expect = { verdict = "cancelled" },
})

add("no SIGPIPE from closing the Lua state with a kept connection that was reset", {
  serve = { { bytes.good(), { sleep = 0.05 }, { reset = true } } }, serve_opts = { tls = "good" },
  prepare = build("faulttools", "module"),
  client = function(t)
    tools(t).sigpipe_default()
    local observed = t:talk(t:bot())
    sleep(0.2)
    return observed
  end,
  expect = { verdict = "complete", text = "fine", exit = 0 },
})

add("no SIGPIPE while a large request is sent to a server that resets", {
  serve = { { { before_request = true, sleep = 0.1 }, { before_request = true, reset = true } } },
  prepare = build("faulttools", "module"),
  client = function(t)
    tools(t).sigpipe_default()
    local bot = t:bot()
    local reply, err = bot:stream(("x"):rep(8 * 1024 * 1024))
    if not reply then return { kind = err.kind, message = err.message } end
    local state
    repeat
      sleep(0.02)
      local _
      _, state = reply:poll()
    until state ~= "wait"
    return { kind = type(state) == "table" and state.kind or state }
  end,
  expect = { kind = "reset" }, saw = { requests = 0 },
})

add("the handler and mask of SIGPIPE stay the host's", {
  serve = { bytes.good() },
  client = function(t)
    local function signals()
      local text = {}
      for line in io.lines("/proc/self/status") do
        if line:find("^Sig[BIC]") then text[#text + 1] = line end
      end
      return table.concat(text, " ")
    end
    local before = signals()
    local observed = t:talk(t:bot())
    observed.same = before == signals()
    return observed
  end,
  expect = { verdict = "complete", same = true },
})


-- Descriptors ----------------------------------------------------------------------------

add("without a free descriptor a request fails, and later works", {
  serve = { bytes.good() }, wrap = "ulimit -n 40;",
  client = function(t)
    local bot, files = t:bot(), {}
    bot:get_messages()
    while true do
      local file = io.open("/dev/null", "r")
      if not file then break end
      files[#files + 1] = file
    end
    local first = t:talk(bot)
    for _, file in ipairs(files) do file:close() end
    local observed = t:talk(bot)
    observed.first, observed.why = first.kind, first.message
    return observed
  end,
  expect = { verdict = "complete", text = "fine", first = "connect",
    why = "too many open files" },
})

-- Six servers, whose connections are all kept.
local others = {}
for i = 1, 6 do others["other" .. i] = { { bytes.good() } } end

add("idle connections give their descriptors to the request that needs one", {
  serve = { bytes.good() }, servers = others, wrap = "ulimit -n 60;",
  client = function(t)
    local replies, files = {}, {}
    for i = 1, 6 do
      replies[i] = t:bot { base_url = t.urls["other" .. i].url, api_key = false }:stream("hello")
    end
    for i = 1, 6 do t:follow(replies[i]) end
    while true do
      local file = io.open("/dev/null", "r")
      if not file then break end
      files[#files + 1] = file
    end
    local observed = t:talk(t:bot())
    for _, file in ipairs(files) do file:close() end
    return observed
  end,
  expect = { verdict = "complete", text = "fine", between = { took = { 0, 1.5 } } },
})

add("libcurl cannot be loaded without descriptors, and the error says why", {
  serve = { bytes.good() }, wrap = "ulimit -n 40;", cold = true,
  client = function(t)
    local bot, files = t:bot(), {}
    bot:get_messages()
    while true do
      local file = io.open("/dev/null", "r")
      if not file then break end
      files[#files + 1] = file
    end
    local observed = t:talk(bot)
    for _, file in ipairs(files) do file:close() end
    return observed
  end,
  expect = { kind = "config", message = "cannot be loaded: libcurl.so.4" },
  saw = { requests = 0 },
})

add("six hundred requests leave no descriptor behind", {
  serve = { bytes.good() },
  client = function(t)
    local function count()
      local pipe = io.popen("ls /proc/$PPID/fd | wc -l")
      local n = tonumber(pipe:read("*a"))
      pipe:close()
      return n
    end
    local bot, chatbot = t:bot(), require "chatbot"
    assert(bot:chat("hello", { wait = function(reply) reply:wait() end }))
    local before = count()
    for _ = 1, 300 do
      bot:reset()
      assert(bot:chat("hello", { wait = function(reply) reply:wait() end }))
      local reply = assert(bot:stream("hello"))
      reply:close()
      chatbot.poll(0)
    end
    return { grown = count() - before }
  end,
  expect = { between = { grown = { -5, 3 } } },
  saw = {}, check = function() end,
})


-- Threads and copies -----------------------------------------------------------------------

local THREAD = [[
  local url = ...
  local chatbot = require "chatbot"
  local bots, replies = {}, {}
  for round = 1, 3 do
    for i = 1, 4 do
      bots[i] = bots[i] or chatbot.new { base_url = url, model = "m", timeout = 20 }
      replies[i] = assert(bots[i]:stream("hello"))
    end
    for i = 1, 4 do assert(replies[i]:result() == "fine") end
  end
]]

add("eight states in eight threads, and a host that uses libcurl itself", {
  serve = { bytes.good() }, prepare = build("threads", "program"),
  client = function(t)
    local process = require "spec.support.process"
    local dir = process.tmpdir()
    process.write_file(dir .. "/script.lua", THREAD)
    local child = process.spawn(("%s 8 %s/script.lua %s"):format(t.extra.path, dir,
      t.urls.main.url))
    local status = child:wait(20)
    local out, err = child:output()
    child:close()
    process.remove_all()
    return { exit_code = status, message = out .. err }
  end,
  expect = { exit_code = 0, message = "8 states, 0 failed" },
  saw = { requests = 8 * 12 + 3 },
})

add("two copies of the module in one state", {
  serve = { bytes.good() },
  prepare = function()
    local support = require "spec.support"
    local dir = support.tmpdir()
    for path in package.cpath:gmatch("[^;]+") do
      local bin = support.read_file((path:gsub("%?", "chatbot/core")))
      if bin then
        support.write_file(dir .. "/copy.so", bin)
        return { path = dir .. "/copy.so" }
      end
    end
    error("chatbot/core.so was not found")
  end,
  client = function(t)
    local copy = assert(package.loadlib(t.extra.path, "luaopen_chatbot_core"))()
    copy.register("openai", { base_url = t.urls.main.url })
    local other = copy.new { base_url = t.urls.main.url, model = "m", api_key = t.key }
    local reply = assert(other:stream("hello"))
    local observed = t:talk(t:bot())
    local text = ""
    t:until_true(5, function()
      copy.poll(0)
      local piece, state = reply:poll()
      text = text .. (piece or "")
      return not piece and state ~= "wait"
    end)
    observed.other = text
    return observed
  end,
  expect = { verdict = "complete", text = "fine", other = "fine" },
  saw = { requests = 2, connections = 2 },
})


-- Files and children -----------------------------------------------------------------------

local function strace()
  local dir = require("spec.support").tmpdir()
  return { log = dir .. "/log" }
end

local function no_strace()
  local pipe = io.popen("strace -o /dev/null true >/dev/null 2>&1 && echo yes")
  local answer = pipe:read("*a")
  pipe:close()
  return answer ~= "yes\n" and "strace is not there, or may not trace" or nil
end

add("no file is written and no child is started", {
  serve = { bytes.good() }, serve_opts = { tls = "good" }, prepare = strace,
  skip = no_strace,
  wrap = function(extra)
    return "strace -f -o " .. extra.log .. " -e trace=execve,open,openat,creat,mkdir,rename,"
      .. "unlink,fork,vfork,clone,clone3"
  end,
  options = function(urls)
    return { base_url = "https://localhost:" .. urls.main.port .. "/v1" }
  end,
  expect = { verdict = "complete", text = "fine" },
  check = function(_, _, extra)
    local programs = 0
    for line in io.lines(extra.log) do
      if line:find("execve(", 1, true) and line:find("= 0$") then programs = programs + 1 end
      if line:find("O_WRONLY") or line:find("O_RDWR") or line:find("O_CREAT")
        or line:find("mkdir%(") or line:find("rename%(") or line:find("unlink%(")
        or line:find("fork%(") or (line:find("clone3?%(") and not line:find("CLONE_THREAD")) then
        if not line:find("/dev/tty") then return line end
      end
    end
    if programs ~= 1 then return programs .. " programs were executed" end
  end,
})

return rows
