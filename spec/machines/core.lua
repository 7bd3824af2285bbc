-- A pass through the module without a test runner, for machines that slow it down:
-- valgrind, the leak checker of AddressSanitizer, garbage collection all the time.
-- Usage: lua spec/machines/core.lua [gc]
--
-- `gc`: a full collection every few instructions of Lua. Run in the root of the
-- project; ends with "N passed, N failed".

package.path = "./?.lua;./?/init.lua;" .. package.path
local chatbot = require "chatbot"
local support = require "spec.support"

local sse, http = support.sse, support.http
local WORDS = { "Once ", "upon ", "a ", "time ", "\240\159\152\128 ", "it ", "streamed." }
local STORY = table.concat(WORDS)
local collections = 0

local function new(server, opts)
  local all = { base_url = server.url, model = "m", max_retries = 0, timeout = 60 }
  for name, value in pairs(opts or {}) do all[name] = value end
  return chatbot.new(all)
end

local function equal(wanted, got, what)
  if wanted ~= got then
    error(("%s: %s expected, got %s"):format(what or "value", tostring(wanted), tostring(got)), 2)
  end
end

local function fails(kind, answer, err)
  equal(nil, answer, "answer")
  equal(kind, err.kind, tostring(err))
  return err
end

local function until_ended(replies)
  local texts = {}
  assert(support.deadline(60, function()
    local open = 0
    chatbot.poll(0.01)
    for i, reply in ipairs(replies) do
      local text, state = reply:poll()
      if text then texts[i] = (texts[i] or "") .. text end
      if text or state == "wait" then open = open + 1 end
    end
    return open == 0
  end, 0), "they do not end")
  return texts
end

local scenarios = {}
local function scenario(name, fn) scenarios[#scenarios + 1] = { name = name, fn = fn } end

-- First of all: each failure further down makes another try less likely.
scenario("retries", function()
  local late = { http(503, { ["Retry-After-Ms"] = "5" }, { error = "later" }), sse(WORDS) }
  local answer, problem = new(support.serve(late), { max_retries = 2 }):chat("x")
  equal(STORY, answer, tostring(problem))
end)

-- A body that is sent from where its strings stand, and one that is given up.
scenario("a long history", function()
  local messages = {}
  for i = 1, 4 do
    messages[i] = { role = i % 2 == 1 and "user" or "assistant",
      content = i .. ('"long" 言葉\n'):rep(6000) }
  end
  local server = support.serve { sse(WORDS), sse(WORDS, { finish_reason = false, done = false }) }
  local bot = new(server, { messages = messages, keep_partial = true })
  equal(STORY, bot:chat("x"))
  equal(messages[2].content, server:requests()[1].json.messages[2].content)
  fails("truncated", bot:chat("y"))
  equal(8, #bot:get_messages())
  local reply = assert(bot:stream("z"))
  reply:poll()
  reply:close()
  equal(8, #bot:get_messages())
end)

-- Recorded answers, whole and in random pieces.
local function read(file)
  return assert(support.read_file("spec/fixtures/wire/" .. file))
end

local function pieces(bytes)
  local steps, at = {}, 1
  while at <= #bytes do
    local n = math.random(1, 300)
    steps[#steps + 1] = { send = bytes:sub(at, at + n - 1) }
    at = at + n
  end
  return steps
end

for _, row in ipairs(require "spec.fixtures.wire.index") do
  if row.request ~= "models" then
    scenario("recorded: " .. row.file, function()
      for _, cut in ipairs { { { send = read(row.file) } }, pieces(read(row.file)) } do
        local server = support.serve { { cut, { close = true } } }
        local answer, reply = new(server, { stream = row.stream, api = row.api })
          :chat("hello", { max_tokens = row.max_tokens })
        if row.expect.kind then
          fails(row.expect.kind, answer, reply)
        else
          assert(answer, tostring(reply))
          if row.stream then equal(row.expect.text or "", reply.text, "text") end
          equal(row.expect.status, reply.status, "status")
          equal(#(row.expect.tool_calls or {}), #(reply.tool_calls or {}), "tool calls")
          assert(reply.raw and tostring(reply))
        end
        server:close()
      end
    end)
  end
end

scenario("thirty bots at once", function()
  local server, replies = support.serve { sse(WORDS, { every = 0.001, usage = true }) }, {}
  for i = 1, 30 do replies[i] = new(server):stream("x") end
  for i, text in pairs(until_ended(replies)) do
    equal(STORY, text, "text " .. i)
    equal(12, replies[i].usage.total_tokens, "usage")
  end
  equal(0, chatbot.poll(), "replies left open")
end)

scenario("a conversation over kept connections, and a change of model", function()
  local bot = new(support.serve { sse(WORDS) }, { system = "s", max_context_tokens = 5 })
  for i = 1, 5 do
    equal(STORY, (bot:chat(" question " .. i .. " ")), "answer")
    if i == 3 then bot:set_model("gpt-4.1", { base_url = bot:get_provider().base_url,
      api_key = "sk-x" }) end
  end
  assert(#bot:get_messages() >= 3)
  bot:set_messages { { role = "user", content = "y" } }
  equal(0, #assert(bot:reset()):get_messages(), "messages")
end)

scenario("coroutines", function()
  local server, threads, got = support.serve { sse(WORDS, { every = 0.001 }) }, {}, {}
  for i = 1, 5 do
    local bot = new(server)
    threads[i], got[i] = coroutine.create(function() return bot:chat("x") end), ""
  end
  assert(support.deadline(60, function()
    local open = 0
    for i, co in ipairs(threads) do
      if coroutine.status(co) ~= "dead" then
        local ok, text = coroutine.resume(co)
        assert(ok, text)
        if coroutine.status(co) == "dead" then equal(STORY, text, "answer") else
          got[i], open = got[i] .. text, open + 1
        end
      end
    end
    chatbot.poll(0.01)
    return open == 0
  end, 0))
  equal(STORY, got[3], "text")
end)

scenario("callbacks, chunks and whole answers", function()
  local got = ""
  local server = support.serve { sse(WORDS, { every = 0.001 }) }
  equal(STORY, (new(server, { on_text = function(t) got = got .. t end }):chat("x")), "answer")
  equal(STORY, got, "on_text")
  got = ""
  for text in new(server):stream("x"):chunks() do got = got .. text end
  equal(STORY, got, "chunks")
  local whole = support.serve { support.json_completion(" whole ") }
  local parts = { { type = "text", text = "x" } }
  equal("whole", (new(whole):chat(parts, { stream = false, seed = 2 ^ 45, stop = {},
    tools = chatbot.array {} })), "answer")
  local list = { data = support.array { { id = "b" }, { id = "a" } } }
  equal("a", assert(new(support.serve { http(200, {}, list) }):models())[1], "models")
end)

scenario("cancelled at every point", function()
  local server = support.serve { { { sleep = 0.01 }, sse(WORDS, { every = 0.01 }) } }
  for i = 0, 9 do
    local bot = new(server, { keep_partial = i % 2 == 0 })
    local reply = bot:stream("x")
    support.deadline(i * 0.01, function() reply:poll() end, 0.001)
    if i % 3 == 0 then reply:close() end
    if i % 3 == 1 then
      reply = nil
      collectgarbage()
    end
  end
  collectgarbage()
  chatbot.poll(0.1)
end)

scenario("an error in a callback, and in a coroutine", function()
  local server = support.serve { sse(WORDS, { every = 0.002 }) }
  local bot = new(server)
  assert(not pcall(bot.chat, bot, "x", { on_text = function() error("enough") end }))
  local co = coroutine.create(function() bot:chat("x") end)
  coroutine.resume(co)
  if coroutine.close then coroutine.close(co) end
  co = nil -- luacheck: ignore 311
  collectgarbage()
  collectgarbage()
  equal(STORY, (bot:chat("x")), "answer")
end)

local function cut(fields)
  return { sse({ "par", "tial" }, { finish_reason = false, done = false, cut = true }), fields }
end

scenario("streams that break", function()
  local err = fails("truncated", new(support.serve { cut { close = true } }):chat("x"))
  equal("partial", err.partial, "partial")
  fails("reset", new(support.serve { cut { reset = true } }):chat("x"))
  fails("timeout", new(support.serve { cut { stall = true } }, { idle_timeout = 0.05 }):chat("x"))
  fails("timeout", new(support.serve { { { stall = true } } }, { first_byte_timeout = 0.05 })
    :chat("x"))
  fails("connect", new { url = "http://127.0.0.1:" .. support.dead_port() .. "/v1" }:chat("x"))
end)

-- In a new coroutine each, whose stack is short: what is pushed needs room.
scenario("options and headers, few and many", function()
  local server = support.serve { sse(WORDS) }
  for _, n in ipairs { 0, 1, 2, 3, 5, 8, 13, 21, 34, 40 } do
    local headers, answer, problem = {}, nil, nil
    for i = 1, n do headers["X-Header-" .. i] = "value " .. i end
    local bot = new(server, { model = "openai:m", api_key = "sk-of-the-core", headers = headers,
      organization = "o", project = "p" })
    local thread = coroutine.create(function()
      answer, problem = bot:chat("x", { headers = { ["X-Header-1"] = "call" }, seed = n,
        stop = { "a", "b" }, metadata = { deep = { { { "x" } } } } })
    end)
    assert(support.deadline(60, function()
      assert(coroutine.resume(thread))
      chatbot.poll(0.01)
      return coroutine.status(thread) == "dead"
    end, 0))
    equal(STORY, answer, tostring(problem))
    equal(n, tonumber(server:requests()[#server:requests()].json.seed), "seed")
  end
end)

scenario("errors", function()
  local key = "sk-secret-of-the-core"
  local echo = http(401, {}, { error = { message = "no key " .. key } })
  local err = fails("http", new(support.serve { echo }, { api_key = key }):chat("x"))
  assert(not tostring(err):find(key, 1, true), "the key shows")
  fails("redirect", new(support.serve { http(307, { Location = "/" }, "") }):chat("x"))
  fails("protocol", new(support.serve { http(200, { ["Content-Type"] = "text/html" }, "<p>") })
    :chat("x"))
  fails("api", new(support.serve { sse { "x", { error = { message = "no" } } } }):chat("x"))
end)

scenario("limits", function()
  local long = support.serve { sse { ("x"):rep(60000), ("y"):rep(60000) } }
  fails("limit", new(long, { max_event_bytes = 50000 }):chat("x"))
  fails("limit", new(long, { max_answer_bytes = 100000 }):chat("x"))
  equal(120000, #new(long, { max_queue_bytes = 1000 }):chat("x"), "length")
  fails("limit", new(long, { max_request_bytes = 100 }):chat(("z"):rep(200)))
end)

scenario("TLS", function()
  local good = support.serve({ sse(WORDS) }, { tls = "good" })
  for _ = 1, 2 do
    equal(STORY, (new(good, { ca_file = support.ca_file }):chat("x")), "answer")
  end
  fails("tls", new(support.serve({ sse(WORDS) }, { tls = "self-signed" })):chat("x"))
end)

scenario("misuse", function()
  for _, opts in ipairs { { modl = "x" }, { model = 1 }, { provider = "nobody" } } do
    assert(not pcall(chatbot.new, opts))
  end
  local bot = chatbot.new { model = "m", base_url = "http://127.0.0.1:1/v1" }
  assert(not pcall(bot.chat, {}, "x"))
  fails("config", bot:chat("", nil))
  fails("config", bot:chat("\255"))
  fails("config", bot:chat("x", { headers = { ["A"] = "b\r\nc" } }))
end)

if arg[1] == "gc" then
  if rawget(_G, "jit") then jit.off() end -- compiled code runs no hooks
  if _VERSION >= "Lua 5.4" then collectgarbage("generational") end
end

local function hooked()
  if arg[1] ~= "gc" then return function() end end
  local function collect()
    collections = collections + 1
    collectgarbage()
  end
  debug.sethook(collect, "", 100)
  -- coroutines have hooks of their own
  local create = coroutine.create
  coroutine.create = function(fn) -- luacheck: ignore 122
    local co = create(fn)
    debug.sethook(co, collect, "", 20)
    return co
  end
  return function()
    debug.sethook()
    coroutine.create = create -- luacheck: ignore 122
  end
end

math.randomseed(tonumber(os.getenv("SEED")) or os.time())
local passed, failed, started = 0, 0, support.now()
for _, case in ipairs(scenarios) do
  local t0 = support.now()
  local unhook = hooked()
  local ok, problem = pcall(case.fn)
  unhook()
  support.close_all()
  if ok then passed = passed + 1 else failed = failed + 1 end
  if not ok then print(("FAIL  %s: %s"):format(case.name, tostring(problem))) end
  if os.getenv("V") then print(("%6.2f s  %s"):format(support.now() - t0, case.name)) end
end

-- what is still under way is ended by the end of the state
local server = support.serve { sse(WORDS, { every = 0.05 }) }
local left = { new(server):stream("x"), new(server):stream("y"), bot = new(server) }
chatbot.poll(0.01)
_G.left = left -- luacheck: ignore 111

if collections > 0 then print(collections .. " full collections") end
print(("%.1f s under %s"):format(support.now() - started, support.interpreter()))
print(("%d passed, %d failed"):format(passed, failed))
if failed > 0 then os.exit(1) end
