-- Lua that runs while C is at work: finalizers, callbacks, metamethods. It may poll, close,
-- ask, raise; nothing crashes, nothing is left behind.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local collect, bot_at = bots.collect, bots.at

local event, sse = support.event, support.sse

local WORDS = 300

-- A value whose finalizer calls `fn`, in any Lua.
local function finalized(fn)
  local newproxy = rawget(_G, "newproxy")
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = fn
    return proxy
  end
  return setmetatable({}, { __gc = fn })
end

-- A stream that makes tables while it is read: log probabilities come with each word.
local function tables(words)
  local parts = {}
  for i = 1, words do
    parts[i] = event(('{"choices":[{"index":0,"delta":{"content":"w%d "},"logprobs":{"content":'
      .. '[{"token":"w","logprob":-0.1,"top_logprobs":[]}]}}]}'):format(i))
  end
  parts[#parts + 1] = event '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
  parts[#parts + 1] = event "[DONE]"
  return support.http(200, { ["Content-Type"] = "text/event-stream" }, table.concat(parts))
end

-- Reads a reply to its end: all its text, and how it ended.
local function read(reply)
  local texts, deadline = {}, support.now() + 20
  while true do
    assert(support.now() < deadline, "the reply does not end")
    local text, state = reply:poll()
    if text then
      texts[#texts + 1] = text
    elseif state == "wait" then
      reply:wait(0.05)
    else
      return table.concat(texts), state
    end
  end
end

-- Sets what the collector goes by, "pause" or "stepmul"; returns what it was.
local function tune(name, value)
  if _VERSION < "Lua 5.5" then return collectgarbage("set" .. name, value) end
  return collectgarbage("param", name, value)
end

-- Runs `fn` with a collector that is at work all the time.
local function while_collecting(fn)
  local pause, step = tune("pause", 100), tune("stepmul", 400)
  local ok, err = pcall(fn)
  tune("pause", pause)
  tune("stepmul", step)
  assert(ok, err)
end

describe("a finalizer that runs while a reply is read", function()
  after_each(collect)

  -- Leaves garbage behind whose finalizer uses `reply` in this way.
  local ways = {
    close = function(reply) reply:close() end,
    poll = function(reply) reply:poll() end,
    ["chatbot.poll"] = function() chatbot.poll(0) end,
    text = function(reply) return #reply.text + #(reply.reasoning or "") end,
    raw = function(reply) return reply.raw end,
    wait = function(reply) pcall(reply.wait, reply, 1) end,
    result = function(reply) pcall(reply.result, reply) end,
  }
  for name, use in pairs(ways) do
    it("may use it: " .. name, function()
      local server = support.serve { tables(WORDS) }
      local used = 0
      while_collecting(function()
        for _ = 1, 5 do
          local reply = assert(bot_at(server):stream("hi"))
          local function litter()
            finalized(function()
              used = used + 1
              use(reply)
              if reply.status == "streaming" then litter() end
            end)
          end
          for _ = 1, 50 do litter() end
          local _, state = read(reply)
          if state == "done" then -- some text may be the finalizers'
            assert.equal(WORDS, select(2, reply.text:gsub("w%d+ ", "")))
          else
            assert.equal("cancelled", state.kind)
            assert.equal("close", name)
          end
        end
      end)
      collectgarbage()
      assert.truthy(used > 0)
    end)
  end

  it("may ask with another bot", function()
    local server = support.serve { tables(WORDS) }
    local other, replies = support.serve { sse { "aside" } }, {}
    while_collecting(function()
      local reply = assert(bot_at(server):stream("hi"))
      finalized(function() replies[#replies + 1] = bot_at(other):stream("aside") end)
      finalized(function()
        replies[#replies + 1] = { pcall(function() return bot_at(other):chat("aside") end) }
      end)
      assert.equal("done", (select(2, read(reply))))
      collectgarbage()
    end)
    assert.equal(2, #replies)
    for _, reply in ipairs(replies) do
      local answer, err
      if type(reply) == "table" then
        answer, err = reply[1] and reply[2], tostring(reply[2])
      else
        answer = reply:result()
      end
      -- a chat could not have ended there, and says so
      assert.truthy(answer == "aside" or err:find("cannot wait"), err)
    end
  end)

  -- Before Lua 5.4 what a finalizer raises goes through whatever asked for memory.
  it("may raise: the reply ends, or goes on whole", function()
    local server = support.serve { tables(WORDS) }
    while_collecting(function()
      local bot, polling, raised = bot_at(server), false, 0
      local function litter()
        finalized(function()
          if not polling then return litter() end
          polling, raised = false, raised + 1
          error("raised by a finalizer", 0)
        end)
      end
      local reply = assert(bot:stream("hi"))
      for _ = 1, 20 do litter() end
      local state, deadline = "wait", support.now() + 20
      while reply.status == "streaming" and support.now() < deadline do
        polling = true
        local ok, _, what = pcall(reply.poll, reply)
        polling = false
        state = ok and what or state
        if state == "wait" then pcall(reply.wait, reply, 0.05) end
      end
      if reply.status == "complete" then
        assert.equal(WORDS, select(2, reply.text:gsub("w%d+ ", "")))
      else
        assert.equal("cancelled", reply.status)
        assert.same({}, bot:get_messages())
      end
      assert.equal("w1 ", (assert(bot:chat("again")):sub(1, 3)))
    end)
  end)

  it("finds a reply that was collected with it closed and without text", function()
    local server = support.serve { { support.head(200, { ["Content-Type"] = "text/event-stream" }),
      event '{"choices":[{"index":0,"delta":{"content":"Hello","reasoning":"hm"}}]}',
      { stall = true } } }
    local seen
    do
      local owner = {}
      owner.guard = finalized(function()
        local reply = owner.reply
        seen = { reply.status, reply.text, reply.reasoning, reply.raw, select(2, reply:poll()) }
        reply:close()
      end)
      owner.reply = assert(bot_at(server):stream("hi"))
      repeat
        local text = owner.reply:poll()
        if not text then owner.reply:wait(0.05) end
      until text
    end
    for _ = 1, 4 do collectgarbage() end
    assert.truthy(seen, "the finalizer did not run")
    assert.equal("cancelled", seen[1])
    assert.equal("cancelled", tostring(seen[5] and seen[5].kind or seen[4].kind))
  end)
end)

describe("a request that raises before it has begun", function()
  after_each(collect)

  it("leaves no prompt behind and the bot free", function()
    local server = support.serve { sse { "A" } }
    local bot = bot_at(server)
    for limit = 0, 40 do
      local reads = 0
      local opts = setmetatable({}, { __index = function(_, name)
        reads = reads + 1
        if reads > limit then error("boom at " .. name, 0) end
      end })
      local ok, err = pcall(bot.stream, bot, "first", opts)
      if ok then
        assert.equal("A", err:result())
        bot:set_messages {}
      else
        assert.truthy(tostring(err):find("boom at"))
        assert.same({}, bot:get_messages())
      end
    end
    assert.equal("A", bot:chat("second"))
    assert.equal(2, #bot:get_messages())
  end)

  it("takes options that a metatable adds", function()
    local server = support.serve { sse { "A" } }
    local texts = {}
    local defaults = { json = false,
      on_text = function(text) texts[#texts + 1] = text end }
    local bot = bot_at(server)
    assert.equal("A", bot:chat("hi", setmetatable({ seed = 1 }, { __index = defaults })))
    assert.same({ "A" }, texts)
    assert.equal(1, server:requests()[1].json.seed)
  end)

  it("does not look at the caller's table again when it asks once more", function()
    local refusal = support.http(400, {}, { error = { param = "max_tokens",
      message = "Unsupported parameter: 'max_tokens'" } })
    local server = support.serve { refusal, sse { "ok" } }
    local opts = { max_tokens = 5 }
    local reply = assert(bot_at(server):stream("hi", opts))
    opts[true], opts.seed = 1, 7
    assert.equal("ok", (reply:result()))
    assert.is_nil(server:requests()[2].json.seed)
  end)

  it("finds the bot busy when api_key asks it something", function()
    local server = support.serve { sse { "A" } }
    local bot, inner
    bot = bot_at(server, { api_key = function()
      inner = inner or { bot:chat("inner") }
      return "secret-key"
    end })
    assert.equal("A", bot:chat("outer"))
    assert.is_nil(inner[1])
    assert.equal("busy", inner[2].kind)
    assert.same({ "outer", "A" }, { bot:get_messages()[1].content, bot:get_messages()[2].content })
  end)

  it("is cancelled when api_key closes the reply that is launched again", function()
    local server = support.serve { support.http(503, {}, { error = "no" }), sse { "late" } }
    local reply, asked = nil, 0
    local bot = bot_at(server, { model = { "m1", "m2" }, api_key = function()
      asked = asked + 1
      if asked == 2 then reply:close() end
      return "secret-key"
    end })
    reply = assert(bot:stream("hello"))
    local answer, err = reply:result()
    assert.is_nil(answer)
    assert.equal("cancelled", err.kind)
    assert.equal(1, #server:requests())
    assert.same({}, bot:get_messages())
  end)

  it("says so when a reply is waited for while it is made", function()
    local server = support.serve { support.http(503, {}, { error = "no" }), sse { "late" } }
    local reply, problem
    local bot = bot_at(server, { model = { "m1", "m2" }, api_key = function()
      if reply then problem = select(2, pcall(reply.result, reply)) end
      return "secret-key"
    end })
    reply = assert(bot:stream("hello"))
    reply:result()
    assert.truthy(tostring(problem):find("being made"), tostring(problem))
  end)
end)

describe("an error that is raised", function()
  after_each(collect)

  local function stalled()
    return { support.head(200, { ["Content-Type"] = "text/event-stream" }), { stall = true } }
  end

  -- PUC Lua 5.1 can neither catch nor see it before the module is used again.
  local late = _VERSION == "Lua 5.1" and not jit

  it("by wait reaches the caller, and ends the request at once", function()
    local server = support.serve { stalled() }
    local bot = bot_at(server, { wait = function() error("task cancelled", 0) end })
    for n, call in ipairs {
      function() return bot:chat("x") end,
      function() return assert(bot:stream("x")):result() end,
      function() for _ in assert(bot:stream("x")):chunks() do end end,
      function() return bot:chat("x", { json = true }) end,
    } do
      local thread = coroutine.create(call)
      local ok, err = coroutine.resume(thread)
      assert.is_false(ok)
      assert.equal("task cancelled", err)
      if late then chatbot.poll() end
      assert.truthy(server:wait(n, 5, "peer closed"))
      assert.same({}, bot:get_messages())
      assert.equal(bot, bot:set_messages {})
    end
  end)

  it("by wait outside of a coroutine does the same", function()
    local server = support.serve { stalled() }
    local bot = bot_at(server, { wait = function() error("task cancelled", 0) end })
    for n, opts in ipairs { {}, { json = true } } do
      local ok, err = pcall(bot.chat, bot, "x", opts)
      assert.is_false(ok)
      assert.equal("task cancelled", err)
      assert.truthy(server:wait(n, 5, "peer closed"))
      assert.equal(bot, bot:set_messages {})
    end
  end)

  it("by a variable's scope is not called by __close", function()
    local load = loadstring or load
    local body = load [[
      local bot = ...
      local reply <close> = assert(bot:stream("x"))
      error(function() error "called" end)
    ]]
    if not body then return end -- before Lua 5.4
    local server = support.serve { stalled() }
    local ok, err = pcall(body, bot_at(server))
    assert.is_false(ok)
    assert.equal("function", type(err))
    assert.truthy(server:wait(1, 5, "peer closed"))
  end)
end)

describe("keep_partial", function()
  after_each(collect)

  it("keeps an answer once that was whole before it was closed", function()
    for _, more in ipairs { { tools = { { name = "t", call = function() end } } },
      { json = true } } do
      local server = support.serve { sse { '{"a":', "1}" } }
      more.keep_partial = true
      local bot = bot_at(server, more)
      local reply = assert(bot:stream("hi"))
      local text = ""
      local deadline = support.now() + 10
      repeat -- the text, but not the end of the reply
        text = text .. (reply:poll() or "")
        assert(support.now() < deadline)
      until text == '{"a":1}'
      support.deadline(5, function()
        chatbot.poll()
        return reply:is_closing() or reply:_is_held()
      end)
      reply:close()
      local messages = bot:get_messages()
      assert.equal(2, #messages)
      assert.equal('{"a":1}', messages[2].content)
    end
  end)
end)

describe("Lua that runs while a request is made", function()
  after_each(collect)

  -- Calls fn at the nth function call that `during` makes, also those from C; false when
  -- there are not so many.
  local function at_call(n, fn, during)
    local count = 0
    debug.sethook(function()
      count = count + 1
      if count == n then fn() end
    end, "c")
    local ok, err = pcall(during)
    debug.sethook()
    assert(ok, err)
    return count >= n
  end

  it("does not give a bot a second reply", function()
    local server = support.serve { sse { "one" } }
    local n = 0
    repeat
      local bot, inner, outer, err = bot_at(server), nil, nil, nil
      n = n + 1
      local more = at_call(n, function() inner = bot:stream("inner") end,
        function() outer, err = bot:stream("outer") end)
      if inner and outer then
        assert.is_true(inner:is_closing() or outer:is_closing(), "two replies, call " .. n)
      end
      assert.truthy(outer or err.kind == "busy")
      local reply = inner or outer
      local answer, problem = reply:result()
      assert.equal("one", answer, tostring(problem))
      local messages = bot:get_messages()
      assert.equal(2, #messages)
      assert.equal(inner and "inner" or "outer", messages[1].content)
    until not more
    assert.is_true(n > 5)
  end)

  it("sends the bot elsewhere: no server is asked without its key, or with another's", function()
    local here, there = support.serve { sse { "x" } }, support.serve { sse { "x" } }
    local n, refused, given, more = 0, 0
    repeat
      given = given ~= "key-of-here" and "key-of-here" or function() return "key-of-here" end
      local bot = bot_at(here, { api_key = given })
      local reply, err
      if type(given) == "string" then n = n + 1 end
      more = at_call(n, function()
        bot:set_model("m", { base_url = there.url, api_key = "key-of-there" })
      end, function() reply, err = bot:stream("hi") end)
      if reply then
        assert.equal("x", (reply:result()))
      else
        refused = refused + 1
        assert.equal("config", err.kind)
        assert.equal("the bot got another key meanwhile", err.message)
      end
    until not more and type(given) == "function"
    assert.is_true(refused > 1)
    for _, request in ipairs(here:requests()) do
      assert.equal("Bearer key-of-here", request.named.authorization)
    end
    for _, request in ipairs(there:requests()) do
      assert.equal("Bearer key-of-there", request.named.authorization)
    end
  end)

  it("sends the bot elsewhere: headers go where they were given for, and are not lost", function()
    for _, mine in ipairs { "of-there", false } do
      local here, there = support.serve { sse { "x" } }, support.serve { sse { "x" } }
      local n, more = 0
      repeat
        local bot, reply = bot_at(here, { headers = { ["X-Mine"] = "of-here" } }), nil
        n = n + 1
        more = at_call(n, function()
          local headers = mine and { ["X-Mine"] = mine } or nil
          bot:set_model("m", { base_url = there.url, headers = headers })
        end, function() reply = assert(bot:stream("hi", { headers = { ["X-Call"] = "c" } })) end)
        assert.equal("x", (reply:result()))
      until not more
      assert.is_true(n > 5)
      for i, server in ipairs { here, there } do
        for _, request in ipairs(server:requests()) do
          assert.equal(i == 1 and "of-here" or mine or nil, request.named["x-mine"])
          assert.equal("c", request.named["x-call"])
        end
      end
      assert.is_true(#here:requests() > 1 and #there:requests() > 1)
    end
  end)

  it("does not send the key for another server", function()
    local here, there = support.serve { sse { "x" } }, support.serve { sse { "x" } }
    local keys = { ("a"):rep(200000), ("b"):rep(200000) } -- a copy is work for the collector
    for _ = 1, 10 do
      local bot = bot_at(here, { api_key = keys[1] })
      collectgarbage()
      local pause, step = tune("pause", 104), tune("stepmul", 1000)
      collectgarbage()
      finalized(function() bot:set_model("m", { base_url = there.url, api_key = keys[2] }) end)
      local reply = bot:stream("hi")
      tune("pause", pause)
      tune("stepmul", step)
      if reply then reply:result() end
    end
    collectgarbage()
    local servers = { here, there }
    for i, server in ipairs(servers) do
      for _, request in ipairs(server:requests()) do
        assert.is_true(request.named.authorization == "Bearer " .. keys[i])
      end
    end
  end)
end)

describe("what a program does to the log probabilities that it was shown", function()
  after_each(collect)

  it("does not matter to what comes", function()
    local piece = event('{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":'
      .. '[{"token":"a","logprob":-1}]}}]}')
    local ways = {
      function(t) t.content = 5 end,
      function(t) t.content = nil end,
      function(t) setmetatable(t, { __index = error, __newindex = error }).content = nil end,
      function(t) setmetatable(t.content, { __index = error, __newindex = error }) end,
    }
    for _, change in ipairs(ways) do
      local server = support.serve { {
        support.head(200, { ["Content-Type"] = "text/event-stream" }) .. piece,
        { sleep = 0.05 }, piece .. event "[DONE]", { close = true } } }
      local reply = assert(bot_at(server):stream("hi"))
      assert(support.deadline(5, function()
        reply:poll()
        return reply.logprobs
      end))
      change(reply.logprobs)
      assert.equal("aa", (reply:result()))
      assert.equal("table", type(reply.logprobs.content))
    end
  end)
end)
