--- The process around the module: fork, signals, descriptors, threads, copies.

local wire = require "spec.support.wire"
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

-- As chat, but blocking: in the child nobody resumes our coroutine.
local function ask(bot, prompt)
  return bot:chat(prompt or "hello", { wait = function(reply) reply:wait() end })
end

-- In the child: a power of two for each call that behaves, added up.
local function in_child(bot, reply, other)
  local score = 0
  local function good(points, condition) score = score + (condition and points or 0) end
  good(1, ask(other) == "Hello") -- with an engine of its own, beside what the parent has
  good(2, ask(bot, "again") == "Hello") -- a bot is not busy with what its parent waits for
  local messages = bot:get_messages()
  good(4, #messages == 2 and messages[1].content == "again")
  local text, state = reply:poll()
  good(8, text == nil and type(state) == "table" and state.kind == "closed")
  local answer, err = reply:result()
  good(16, answer == nil and err.kind == "closed")
  good(32, reply:is_closing() and reply.status == "error")
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
        local c, bot, other = tools(t), t:bot(), t:bot()
        local reply = bot:stream("hello")
        local first
        t:until_true(5, function()
          first = reply:poll()
          return first
        end)
        local pid = c.fork()
        if pid == 0 then
          local ok, score = pcall(in_child, bot, reply, other)
          if not ok then
            io.stderr:write(tostring(score), "\n")
            score = 99
          end
          if how == "collects" then
            bot, reply, other, t.bots = nil, nil, nil, {} -- luacheck: ignore
            collectgarbage()
            collectgarbage()
          end
          if how == "closes its Lua state" then os.exit(score, true) end
          -- without the finalizers: as a child that executes another program
          os.execute(("kill -%d $PPID"):format(score == 63 and 9 or 15))
        end
        local observed = t:follow(reply)
        observed.child = c.wait(pid)
        observed.text = first .. (observed.text or "")
        return observed
      end,
      expect = { verdict = "complete", text = "Hello",
        child = how == "closes its Lua state" and 63 or 256 + 9 },
      saw = { requests = 3 },
    })
  end
end

-- Runs fn in a child of this process; the second value, when called, waits for the child and
-- returns what fn has returned there, or raised.
local function fork(t, fn)
  local c = tools(t)
  t.forks = (t.forks or 0) + 1
  local path = ("%s/%d"):format(t.extra.dir, t.forks)
  local pid = c.fork()
  if pid == 0 then
    local _, result = pcall(fn)
    local file = assert(io.open(path, "w"))
    file:write(tostring(result))
    file:close()
    os.exit(0, true)
  end
  return function()
    c.wait(pid)
    return require("spec.support").read_file(path)
  end
end

local function prepare_forks()
  local extra = build("faulttools", "module")()
  extra.dir = require("spec.support").tmpdir()
  return extra
end

local function three(bot)
  local texts = {}
  for i = 1, 3 do texts[i] = tostring(ask(bot) or "nothing") end
  return table.concat(texts, " ")
end

add("ten children forked from a master that has warmed up, as servers fork their workers", {
  serve = LONG, servers = { other = { { bytes.good() } } }, prepare = prepare_forks,
  client = function(t)
    local bot = require("chatbot").new { model = "m", base_url = t.urls.other.url, timeout = 10 }
    local before = ask(bot)
    local reply, ends, good = t:bot():stream("hello"), {}, 0
    for i = 1, 10 do ends[i] = fork(t, function() return three(bot) end) end
    for i = 1, 10 do good = good + (ends[i]() == "fine fine fine" and 1 or 0) end
    local observed = t:follow(reply)
    observed.before, observed.good, observed.after = before, good, ask(bot)
    return observed
  end,
  expect = { verdict = "complete", text = "Hello", before = "fine", good = 10, after = "fine" },
  check = function(_, servers)
    local n = #servers.other:requests()
    return n ~= 32 and n .. " requests of the children" or nil
  end,
})

add("children of one parent do not wait for their next try together", {
  serve = { bytes.failure(500) }, prepare = prepare_forks, options = { max_retries = 1 },
  client = function(t)
    local process, ends, waits = require "spec.support.process", {}, {}
    for i = 1, 8 do
      ends[i] = fork(t, function()
        local started = process.now()
        ask(t:bot())
        return process.now() - started
      end)
    end
    for i = 1, 8 do waits[i] = tonumber(ends[i]()) end
    table.sort(waits)
    return { first = waits[1], spread = waits[8] - waits[1] }
  end,
  expect = { between = { first = { 0.37, 0.5 }, spread = { 0.01, 9 } } },
  saw = { requests = 16 },
})

add("a daemon, forked twice, whose parents end", {
  serve = { bytes.good() }, prepare = prepare_forks,
  client = function(t)
    local bot = t:bot()
    ask(bot)
    local reply = bot:stream("hello") -- under way, and lost with its process
    local path = t.extra.dir .. "/daemon"
    local wait = fork(t, function()
      t.forks = 100
      fork(t, function()
        require("spec.support.process").sleep(0.2) -- until we are alone
        local _, err = reply:result()
        local file = assert(io.open(path .. ".new", "w"))
        file:write(err.kind, " ", three(bot))
        file:close()
        assert(os.rename(path .. ".new", path))
      end)
      os.exit(0, true)
    end)
    wait()
    local observed = t:follow(reply)
    t:until_true(10, function()
      observed.daemon = require("spec.support").read_file(path)
      return observed.daemon
    end)
    return observed
  end,
  expect = { verdict = "complete", text = "fine", daemon = "closed fine fine fine" },
  saw = { requests = 5 },
})

add("a child forks a child, ten times, each with a stream under way", {
  serve = { { bytes.stream { bytes.event "fi", { sleep = 0.2 }, bytes.event "ne", bytes.STOP,
    bytes.DONE, { close = true } } } }, prepare = prepare_forks,
  client = function(t)
    local function generation(n, parents)
      local chatbot = require "chatbot"
      if parents.reply then
        local answer, err = parents.reply:result()
        if answer or err.kind ~= "closed" then return "not closed" end
        assert(chatbot.poll(0) == 0)
      end
      local reply = assert(t:bot():stream("hello"))
      while reply.text == "" do
        reply:wait(1)
        reply:poll()
      end
      local below = "end"
      if n < 10 then
        below = fork(t, function() return generation(n + 1, { reply = reply }) end)()
      end
      while reply:poll() or reply.status == "streaming" do reply:wait(1) end
      return ("%s %s"):format(reply.text, below)
    end
    return { text = generation(1, {}) }
  end,
  expect = { text = ("fine "):rep(10) .. "end" },
  saw = { requests = 10 },
})

add("in a child poll, pollfd, timeout and warmup are those of its own engine", {
  serve = LONG, prepare = prepare_forks,
  client = function(t)
    local chatbot = require "chatbot"
    local fd, reply = chatbot.pollfd(), t:bot():stream("hello")
    local queued
    chatbot.max_concurrent(1)
    queued = t:bot():stream("hello")
    local said = fork(t, function()
      local idle = ("%d %s"):format(chatbot.poll(0), tostring(chatbot.timeout()))
      local own = chatbot.pollfd()
      assert(fd == nil or own ~= fd, "the descriptor is the parent's")
      assert(chatbot.warmup())
      assert(chatbot.pollfd() == own, "another engine")
      assert(reply:pollfd() == own and reply:timeout() == 0)
      local mine = assert(t:bot():stream("hello", { on_text = function() end }))
      local under_way = chatbot.poll(0)
      while chatbot.poll(1) > 0 do assert(chatbot.timeout() == nil or chatbot.timeout() >= 0) end
      local _, err = queued:result()
      return ("%s %d %s %s"):format(idle, under_way, mine.text, err.kind)
    end)()
    chatbot.max_concurrent(0)
    local observed = t:follow(reply)
    observed.said, observed.queued = said, t:follow(queued).text
    return observed
  end,
  expect = { verdict = "complete", text = "Hello", queued = "Hello",
    said = "0 nil 1 Hello closed" },
  saw = { requests = 3 },
})

add("a child reads the fields of a reply that its parent waits for, and waits itself", {
  serve = LONG, prepare = prepare_forks,
  client = function(t)
    local reply = t:bot():stream("hello")
    t:until_true(5, function() return reply:poll() end)
    reply:poll() -- from now on it is waited for
    local said = fork(t, function()
      require("chatbot").poll(0)
      return ("%s %s %s"):format(reply.text, reply.status, tostring(reply:wait(5)))
    end)()
    local waited = fork(t, function() return tostring(reply:wait(5)) .. " " .. reply.status end)()
    local observed = t:follow(reply)
    observed.said, observed.waited = said, waited
    return observed
  end,
  expect = { verdict = "complete", text = "lo", said = "Hel error true", waited = "true error" },
  saw = { requests = 1 },
})

add("a child waits for a reply whose tool waits in its parent", {
  serve = { wire.sse {
    { tool_calls = { { index = 0, id = "c1", type = "function",
      ["function"] = { name = "look", arguments = "{}" } } } }, finish_reason = "tool_calls" },
    bytes.good "done" },
  prepare = prepare_forks,
  client = function(t)
    local looked = false
    local reply = t:bot { tools = { { name = "look", call = function()
      while not looked do coroutine.yield() end
      return "nothing"
    end } } }:stream("hello")
    t:until_true(5, function()
      reply:poll()
      return reply:_is_held()
    end)
    local said = fork(t, function()
      local ended = reply:wait(5)
      return tostring(ended) .. " " .. select(2, reply:poll()).kind
    end)()
    looked = true
    local observed = t:follow(reply)
    observed.said = said
    return observed
  end,
  expect = { verdict = "complete", text = "done", said = "true closed" },
  saw = { requests = 2 },
})

-- A sanitizer would see that the engine is used after its end.
add("a fork in api_key, while chatbot.poll is at work with what the child leaves behind", {
  serve = { bytes.failure(400, {}, "Unsupported parameter: 'temperature'"), bytes.good "fine" },
  prepare = prepare_forks,
  client = function(t)
    local asked, pid = 0, nil
    local reply = t:bot { api_key = function()
      asked = asked + 1
      if asked == 2 then pid = tools(t).fork() end
      if pid == 0 then debug.sethook(function() collectgarbage() end, "r") end
      return "key-of-the-test"
    end }:stream("hello", { on_text = function() end })
    t:until_true(10, function()
      require("chatbot").poll(0.01)
      return reply.status ~= "streaming"
    end)
    debug.sethook()
    if pid == 0 then os.exit(reply.text == "fine" and 0 or 1, true) end
    return { verdict = reply.status, text = reply.text, child = tools(t).wait(pid) }
  end,
  expect = { verdict = "complete", text = "fine", child = 0 }, saw = { requests = 3 },
})

add("a fork in a callback, and in a tool", {
  serve = { bytes.good(), wire.sse {
    { tool_calls = { { index = 0, id = "c1", type = "function",
      ["function"] = { name = "look", arguments = "{}" } } } }, finish_reason = "tool_calls" },
    bytes.good "done" },
  prepare = prepare_forks,
  client = function(t)
    local bot, said = t:bot(), {}
    local reply
    local function child()
      local _, err = reply:result()
      return tostring(type(err) == "table" and err.kind)
    end
    reply = assert(bot:stream("hello", { on_text = function()
      said[1] = said[1] or fork(t, function() return "forked" end)()
    end }))
    local observed = t:follow(reply)
    observed.text = reply.text
    local tool = { name = "look", call = function()
      coroutine.yield() -- from here on it waits
      return "seen"
    end }
    reply = assert(bot:stream("hello", { tools = { tool } }))
    t:until_true(5, function()
      local text, state = reply:poll()
      return not text and state == "wait" and reply:_is_held()
    end)
    said[2] = fork(t, child)()
    observed.last = t:follow(reply).text
    observed.said = table.concat(said, " ")
    return observed
  end,
  expect = { verdict = "complete", text = "fine", last = "done", said = "forked closed" },
  saw = { requests = 3 },
})


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

-- A client: the program that was built runs the script in eight states.
local function eight_states(script)
  return function(t)
    local process = require "spec.support.process"
    local dir = process.tmpdir()
    process.write_file(dir .. "/script.lua", script)
    local child = process.spawn(("%s 8 %s/script.lua %s"):format(t.extra.path, dir,
      t.urls.main.url))
    local status = child:wait(20)
    local out, err = child:output()
    child:close()
    process.remove_all()
    return { exit_code = status, message = out .. err }
  end
end

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
  client = eight_states(THREAD),
  expect = { exit_code = 0, message = "8 states, 0 failed" },
  saw = { requests = 8 * 12 + 3 },
})

-- Objects older than the module, than the engine, and younger than both ask while their
-- state is closed.
local CLOSING = [[
  local url, chatbot, bot = ..., nil, nil
  KEPT = {}
  local function at_the_end(fn)
    local kept
    if newproxy then
      kept = newproxy(true)
      getmetatable(kept).__gc = fn
    else
      kept = setmetatable({}, { __gc = fn })
    end
    KEPT[#KEPT + 1] = kept
  end
  local function ask()
    local reply, err = bot:stream("hello")
    if reply then reply:poll() else assert(err.kind == "closed" or err.kind == "busy") end
  end
  at_the_end(ask)
  chatbot = require "chatbot"
  at_the_end(ask)
  bot = chatbot.new { base_url = url, model = "m", timeout = 20 }
  assert(bot:chat("hello") == "fine")
  at_the_end(ask)
  at_the_end(function() assert(chatbot.new { base_url = url, model = "m" }:stream("hello")) end)
]]

add("states that are closed while finalizers ask", {
  serve = { bytes.good() }, prepare = build("states", "program"),
  client = eight_states(CLOSING),
  expect = { exit_code = 0, message = "8 states, 0 failed, 0 descriptors left" },
  saw = {}, -- whether a request of a finalizer got so far
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
