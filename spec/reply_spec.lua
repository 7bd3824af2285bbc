-- The reply: the ways to read one, what it says when it has ended, how to end it.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local collect, bot_at = bots.collect, bots.at

local sse, whole = support.sse, support.json_completion
local puc51 = _VERSION == "Lua 5.1" and not rawget(_G, "jit")
local lua54 = _VERSION >= "Lua 5.4"

-- An answer in words, a pause before each, so that they arrive one by one.
local WORDS = { "Once ", "upon ", "a ", "time ", "it ", "streamed." }
local STORY = table.concat(WORDS)

local function story(opts)
  local all = { every = 0.01, usage = true }
  for name, value in pairs(opts or {}) do all[name] = value end
  return support.serve { sse(WORDS, all) }
end

-- Says "par" and "tial" and then nothing more.
local function endless()
  return support.serve { { sse({ "par", "tial" }, { finish_reason = false, done = false,
    cut = true }), { stall = true } } }
end

-- A reply of that server of which "partial" has arrived.
local function part_way(opts, call)
  local server = endless()
  local reply = assert(bot_at(server, opts):stream("x", call))
  assert.is_true(support.deadline(5, function()
    reply:poll()
    return reply.text == "partial"
  end))
  return reply, server
end

-- Whether the server sees the end of connection 1, without our help.
local function assert_left(server)
  assert.is_true(server:wait(1, 5, "peer closed"), "the connection is still open")
end

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "nothing was raised")
  return err
end


describe("chat outside a coroutine", function()
  after_each(collect)

  it("blocks and gives the answer and the reply", function()
    local bot = bot_at(story())
    local answer, reply = bot:chat("x")
    assert.equal(STORY, answer)
    assert.equal(STORY, reply.text)
    assert.equal("complete", reply.status)
    assert.equal(12, reply.usage.total_tokens)
  end)

  it("gives nil and an error table when it fails", function()
    local answer, err, more = bot_at(support.serve { support.http(500, {}, "no") }):chat("x")
    assert.is_nil(answer)
    assert.equal("http", err.kind)
    assert.is_nil(more)
  end)

  it("sleeps while it waits", function()
    local bot = bot_at(support.serve { { { sleep = 0.5 }, sse { "late" } } })
    local other = bot_at(story { every = 0.001 }):stream("x") -- done, and not looked at
    support.deadline(5, function()
      return chatbot.poll() == 0 or nil
    end)
    local cpu, t0 = os.clock(), support.now()
    assert.equal("late", (bot:chat("x")))
    assert.is_true(support.now() - t0 >= 0.45)
    assert.is_true(os.clock() - cpu < 0.2, "it spins")
    assert.equal(STORY, (other:result()))
  end)

  it("drives the other replies meanwhile", function()
    local quick = bot_at(story()):stream("x")
    local slow = bot_at(support.serve { { { sleep = 0.3 }, sse { "late" } } })
    assert.equal("late", (slow:chat("x")))
    assert.equal(STORY, quick:poll())
  end)
end)

describe("chunks", function()
  after_each(collect)

  it("gives the text as it arrives", function()
    local pieces, first, last = {}, nil, nil
    for text in bot_at(story { every = 0.03 }):stream("x"):chunks() do
      pieces[#pieces + 1] = text
      first, last = first or support.now(), support.now()
    end
    assert.equal(STORY, table.concat(pieces))
    assert.is_true(#pieces > 1)
    assert.is_true(last - first > 0.05)
  end)

  it("leaves the reply with all that is known about it", function()
    local bot = bot_at(story())
    local reply = bot:stream("x")
    for _ in reply:chunks() do -- luacheck: ignore 512
      assert.equal("streaming", reply.status)
      break
    end
    if lua54 then return end -- which has closed it
    for _ in reply:chunks() do end -- luacheck: ignore 542
    assert.equal("complete", reply.status)
    assert.equal(STORY, reply.text)
    assert.equal(2, #bot:get_messages())
  end)

  it("raises the error table when it fails", function()
    local server = support.serve { { sse({ "part" }, { finish_reason = false, done = false }),
      { close = true } } }
    local pieces = {}
    local err = raised(function()
      for text in bot_at(server):stream("x"):chunks() do pieces[#pieces + 1] = text end
    end)
    assert.equal("part", table.concat(pieces))
    assert.equal("table", type(err))
    assert.equal("truncated", err.kind)
    assert.equal("part", err.partial)
  end)

  it("never cuts a code point, nor a pair of surrogates", function()
    local bytes = support.event('{"choices":[{"index":0,"delta":{"content":"あいう\\ud83d"}}]}')
      .. support.event('{"choices":[{"index":0,"delta":{"content":"\\ude42é"}}]}')
      .. support.event("[DONE]")
    local server = support.serve { support.http(200, { ["Content-Type"] = "text/event-stream" },
      bytes, { chunk = 1, every = 0.0005 }) }
    local pieces = {}
    for text in bot_at(server):stream("x"):chunks() do
      pieces[#pieces + 1] = text
      local rest = text:gsub("[%z\1-\127]", ""):gsub("[\194-\223][\128-\191]", "")
        :gsub("[\224-\239][\128-\191][\128-\191]", "")
        :gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", "")
      assert.equal("", rest)
    end
    assert.equal("あいう\240\159\153\130é", table.concat(pieces))
    assert.is_true(#pieces > 1)
  end)

  if not puc51 then -- where an iterator cannot yield
    it("yields in a coroutine while there is nothing", function()
      local bot, yields, pieces = bot_at(story { every = 0.02 }), 0, {}
      local co = coroutine.create(function()
        for text in bot:stream("x"):chunks() do pieces[#pieces + 1] = text end
        return "end"
      end)
      local ok, value
      assert(support.deadline(10, function()
        local t0 = support.now()
        ok, value = coroutine.resume(co)
        assert.is_true(support.now() - t0 < 0.1)
        yields = yields + 1
        return coroutine.status(co) == "dead"
      end))
      assert.is_true(ok, tostring(value))
      assert.equal("end", value)
      assert.equal(STORY, table.concat(pieces))
      assert.is_true(yields > 5)
    end)
  end

  it("closes the reply when a loop is left on Lua 5.4, else when it is collected", function()
    local server = endless()
    local bot = bot_at(server)
    local function look_at_one()
      for text in bot:stream("x"):chunks() do -- luacheck: ignore 512
        assert.equal("par", text:sub(1, 3))
        break
      end
    end
    look_at_one()
    if not lua54 then
      collectgarbage()
      collectgarbage()
    end
    assert_left(server)
    assert.same({}, bot:get_messages())
  end)
end)

describe("chat in a coroutine", function()
  after_each(collect)

  -- Resumes until it is dead. What was yielded, what it returned, how often.
  local function drive(co)
    local pieces, count, result = {}, 0, nil
    assert(support.deadline(10, function()
      local t0 = support.now()
      result = { coroutine.resume(co) }
      assert.is_true(support.now() - t0 < 0.1, "a resume has blocked")
      assert.is_true(result[1], tostring(result[2]))
      if coroutine.status(co) == "dead" then return true end
      assert.equal(2, #result)
      assert.equal("string", type(result[2]))
      pieces[#pieces + 1] = result[2]
      count = count + 1
    end))
    return pieces, count, result
  end

  it("yields the text that has arrived, or an empty string, and returns the answer", function()
    local bot = bot_at(story { every = 0.03 })
    local co = coroutine.create(function(prompt) return bot:chat(prompt) end)
    assert.same({ true, "" }, { coroutine.resume(co, "x") })
    local pieces, count, result = drive(co)
    assert.equal(STORY, table.concat(pieces))
    local empty, some = 0, 0
    for _, piece in ipairs(pieces) do
      if piece == "" then empty = empty + 1 else some = some + 1 end
    end
    assert.is_true(empty > 10 and some > 1 and count == empty + some)
    assert.equal(STORY, result[2])
    assert.equal("complete", result[3].status)
    assert.equal(2, #bot:get_messages())
  end)

  it("returns nil and the error table when it fails", function()
    local server = support.serve { { sse({ "part" }, { finish_reason = false, done = false }),
      { close = true } } }
    local bot = bot_at(server)
    local pieces, _, result = drive(coroutine.create(function() return bot:chat("x") end))
    assert.equal("part", table.concat(pieces))
    assert.is_nil(result[2])
    assert.equal("truncated", result[3].kind)
    assert.same({}, bot:get_messages())
  end)

  it("works through pcall and from a function below", function()
    if puc51 then return end -- cannot yield through pcall
    local bot = bot_at(story())
    local _, _, result = drive(coroutine.create(function()
      return pcall(function()
        local answer = bot:chat("x")
        return answer
      end)
    end))
    assert.is_true(result[2])
    assert.equal(STORY, result[3])
  end)

  it("holds several conversations side by side", function()
    local threads, text = {}, {}
    for i = 1, 5 do
      local bot = bot_at(support.serve { sse({ "I am ", tostring(i) }, { every = 0.01 }) })
      threads[i] = coroutine.create(function() return bot:chat("x") end)
      text[i] = ""
    end
    assert(support.deadline(10, function()
      local dead = 0
      for i, co in ipairs(threads) do
        if coroutine.status(co) == "dead" then
          dead = dead + 1
        else
          local ok, piece = coroutine.resume(co)
          assert.is_true(ok, tostring(piece))
          if coroutine.status(co) ~= "dead" then text[i] = text[i] .. piece end
        end
      end
      return dead == #threads
    end))
    for i = 1, 5 do assert.equal("I am " .. i, text[i]) end
  end)

  it("is cancelled when the coroutine is collected", function()
    local server = endless()
    local bot = bot_at(server)
    local function start()
      local co = coroutine.create(function() return bot:chat("x") end)
      support.deadline(5, function()
        local _, text = coroutine.resume(co)
        return text ~= ""
      end)
    end
    start()
    collectgarbage()
    collectgarbage()
    assert_left(server)
    assert.same({}, bot:get_messages())
  end)

  if coroutine.close then
    it("is cancelled at once when the coroutine is closed", function()
      local server = endless()
      local bot = bot_at(server)
      local co = coroutine.create(function() return bot:chat("x") end)
      support.deadline(5, function()
        local _, text = coroutine.resume(co)
        return text ~= ""
      end)
      assert.is_true(coroutine.close(co))
      assert_left(server)
      assert.same({}, bot:get_messages())
    end)
  end
end)

describe("poll", function()
  after_each(collect)

  it("says text, wait, done", function()
    local reply = bot_at(story { every = 0.02 }):stream("x")
    local pieces, waits = {}, 0
    assert(support.deadline(10, function()
      local text, state = reply:poll()
      if text then
        assert.is_nil(state)
        pieces[#pieces + 1] = text
      elseif state == "wait" then
        assert.equal("streaming", reply.status)
        waits = waits + 1
      else
        assert.equal("done", state)
        return true
      end
    end))
    assert.equal(STORY, table.concat(pieces))
    assert.is_true(waits > 10)
    assert.same({ nil, "done" }, { reply:poll() })
    assert.equal(STORY, (reply:result()))
  end)

  it("gives the text before it says that it failed, and that again and again", function()
    local server = support.serve { { sse({ "part" }, { finish_reason = false, done = false }),
      { close = true } } }
    local reply = bot_at(server):stream("x")
    support.deadline(5, function()
      chatbot.poll()
      return chatbot.poll() == 0 and server:wait(1, 0, "closed")
    end)
    assert.equal("part", (reply:poll()))
    local text, err = reply:poll()
    assert.is_nil(text)
    assert.equal("truncated", err.kind)
    assert.equal(err, select(2, reply:poll()))
    assert.equal(err, select(2, reply:result()))
    assert.equal("error", reply.status)
  end)

  it("is served by chatbot.poll alone", function()
    local reply = bot_at(story()):stream("x")
    assert(support.deadline(10, function() return chatbot.poll(0.01) == 0 end, 0))
    assert.equal(STORY, (reply:poll()))
    assert.same({ nil, "done" }, { reply:poll() })
  end)
end)

describe("on_text", function()
  after_each(collect)

  for _, where in ipairs { "bot", "call" } do
    it(("of the %s gets every piece of every way to use a reply"):format(where), function()
      local pieces
      local function on_text(text) pieces[#pieces + 1] = text end
      local function new()
        pieces = {}
        local bot = bot_at(story(), where == "bot" and { on_text = on_text } or nil)
        return bot, where == "call" and { on_text = on_text } or nil
      end
      local function check()
        assert.equal(STORY, table.concat(pieces))
        assert.is_true(#pieces > 1)
      end

      local bot, opts = new()
      assert.equal(STORY, (bot:chat("x", opts)))
      check()

      bot, opts = new()
      for _ in bot:stream("x", opts):chunks() do end -- luacheck: ignore 542
      check()

      bot, opts = new()
      assert.equal(STORY, (bot:stream("x", opts):result()))
      check()

      bot, opts = new()
      local reply = bot:stream("x", opts)
      assert(support.deadline(10, function() return chatbot.poll(0.05) == 0 end, 0))
      check()
      assert.equal("complete", reply.status)
      assert.equal(2, #bot:get_messages())

      bot, opts = new()
      local co = coroutine.create(function() return bot:chat("x", opts) end)
      support.deadline(10, function()
        assert(coroutine.resume(co))
        return coroutine.status(co) == "dead"
      end)
      check()
    end)
  end

  it("of a call goes before the one of the bot", function()
    local mine, theirs = 0, 0
    local bot = bot_at(story(), { on_text = function() theirs = theirs + 1 end })
    bot:chat("x", { on_text = function() mine = mine + 1 end })
    assert.is_true(mine > 0)
    assert.equal(0, theirs)
  end)

  it("that fails cancels the reply and raises", function()
    local server = endless()
    local bot = bot_at(server, { messages = { { role = "user", content = "old" } } })
    local oops = {}
    assert.equal(oops, raised(bot.chat, bot, "x", { on_text = function() error(oops) end }))
    assert_left(server)
    assert.same({ { role = "user", content = "old" } }, bot:get_messages())
  end)

  it("that fails raises from chatbot.poll, and the other replies go on", function()
    local bot = bot_at(story())
    local other = bot_at(story()):stream("y", { on_text = function() end })
    local reply = bot:stream("x", { on_text = function() error("oops", 0) end })
    local failures = 0
    assert(support.deadline(10, function()
      local ok, n = pcall(chatbot.poll, 0.05)
      if ok then return n == 0 end
      assert.equal("oops", n)
      failures = failures + 1
    end, 0))
    assert.equal(1, failures)
    assert.equal("cancelled", reply.status)
    assert.same({}, bot:get_messages())
    assert.equal(STORY, (other:result()))
  end)

  it("may block on another bot's chat, and finds its own bot busy", function()
    local inner, answer = bot_at(story()), nil
    local bot = bot_at(story())
    local busy
    assert.equal(STORY, (bot:chat("x", { on_text = function()
      answer = answer or inner:chat("y")
      busy = busy or select(2, bot:chat("z")).kind
    end })))
    assert.equal(STORY, answer)
    assert.equal("busy", busy)
    assert.equal(2, #bot:get_messages())
  end)

  it("may start another bot's reply, and close its own", function()
    local inner = bot_at(story())
    local reply, other
    local server = endless()
    reply = bot_at(server):stream("x", { on_text = function()
      other = other or inner:stream("y")
      reply:close()
    end })
    local answer, err = reply:result()
    assert.is_nil(answer)
    assert.equal("cancelled", err.kind)
    assert_left(server)
    assert.equal(STORY, (other:result()))
  end)
end)

describe("stream = false", function()
  after_each(collect)

  for _, where in ipairs { "bot", "call" } do
    it(("of the %s asks for the whole answer, which every way can read"):format(where), function()
      local opts = { stream = false }
      local function new()
        local server = support.serve { { { sleep = 0.02 }, whole(" all of it\n") } }
        return bot_at(server, where == "bot" and opts or nil), where == "call" and opts or nil,
          server
      end
      local bot, call, server = new()
      local answer, reply = bot:chat("x", call)
      assert.equal("all of it", answer)
      assert.equal("complete", reply.status)
      assert.is_false(server:requests()[1].json.stream)

      bot, call = new()
      local pieces = {}
      for text in bot:stream("x", call):chunks() do pieces[#pieces + 1] = text end
      assert.same({ "all of it" }, pieces)

      bot, call = new()
      assert.equal("all of it", (bot:stream("x", call):result()))

      bot, call = new()
      local co = coroutine.create(function() return bot:chat("x", call) end)
      local yielded, result = "", nil
      support.deadline(10, function()
        result = { coroutine.resume(co) }
        if coroutine.status(co) == "dead" then return true end
        yielded = yielded .. result[2]
      end)
      assert.equal("all of it", yielded)
      assert.equal("all of it", result[2])
    end)
  end
end)

describe("the option wait", function()
  after_each(collect)

  it("is called with the reply whenever there is nothing to do", function()
    local calls, given = 0, nil
    local function wait(reply)
      calls, given = calls + 1, reply
      reply:wait(0.01)
    end
    local bot = bot_at(support.serve { sse(WORDS, { every = 0.01 }) }, { wait = wait })
    local answer, reply = bot:chat("x")
    assert.equal(STORY, answer)
    assert.is_true(calls > 2)
    assert.equal(reply, given)

    calls = 0
    reply = bot:stream("y")
    assert.equal(STORY, (reply:result()))
    assert.is_true(calls > 2)

    calls = 0
    local pieces = {}
    for text in bot:stream("z"):chunks() do pieces[#pieces + 1] = text end
    assert.equal(STORY, table.concat(pieces))
    assert.is_true(calls > 2)
  end)

  it("replaces the yields of chat", function()
    local bot = bot_at(story())
    local co = coroutine.create(function()
      return bot:chat("x", { wait = function(reply) reply:wait(0.01) end })
    end)
    local ok, answer = coroutine.resume(co)
    assert.is_true(ok)
    assert.equal(STORY, answer)
    assert.equal("dead", coroutine.status(co))
  end)

  it("may yield what a scheduler wants", function()
    local token = {}
    local bot = bot_at(story(), { wait = function(reply)
      return coroutine.yield(token, reply:pollfd(), reply:events(), reply:timeout())
    end })
    local co, count, result = coroutine.create(function() return bot:chat("x") end), 0, nil
    support.deadline(10, function()
      result = { coroutine.resume(co) }
      assert.is_true(result[1], tostring(result[2]))
      if coroutine.status(co) == "dead" then return true end
      assert.equal(token, result[2])
      assert.equal(chatbot.pollfd(), result[3])
      assert.equal("r", result[4])
      count = count + 1
    end)
    assert.equal(STORY, result[2])
    assert.is_true(count > 2)
  end)

  it("that fails raises from chat, and cancels", function()
    local server = endless()
    local bot = bot_at(server)
    local err = raised(function()
      bot:chat("x", { wait = function(reply)
        reply:wait(0.2)
        if reply.text == "partial" then error("enough", 0) end
      end })
    end)
    assert.equal("enough", err)
    collectgarbage()
    collectgarbage()
    assert_left(server)
    assert.same({}, bot:get_messages())
  end)
end)

describe("result", function()
  after_each(collect)

  it("waits for the end and can be asked again", function()
    local bot = bot_at(story())
    local reply = bot:stream("x")
    assert.equal("streaming", reply.status)
    local answer, same = reply:result()
    assert.equal(STORY, answer)
    assert.equal(reply, same)
    assert.equal(STORY, (reply:result()))
    assert.equal(2, #bot:get_messages())
  end)

  it("yields in a coroutine", function()
    local reply = bot_at(story { every = 0.02 }):stream("x")
    local co, yields, result = coroutine.create(function() return reply:result() end), 0, nil
    support.deadline(10, function()
      result = { coroutine.resume(co) }
      yields = yields + 1
      return coroutine.status(co) == "dead"
    end)
    assert.equal(STORY, result[2])
    assert.is_true(yields > 5)
  end)
end)

describe("wait", function()
  after_each(collect)

  it("blocks for the seconds given, or until something happens", function()
    local reply = part_way()
    local t0 = support.now()
    assert.is_false(reply:wait(0.05))
    local took = support.now() - t0
    assert.is_true(took >= 0.045 and took < 1, "took " .. took)
    t0 = support.now()
    assert.is_false(reply:wait(0))
    assert.is_true(support.now() - t0 < 0.05)
    reply:close()
    assert.is_true(reply:wait())
    assert.is_true(reply:wait(10))
  end)

  it("returns as soon as there is text", function()
    local reply = bot_at(story()):stream("x")
    local t0 = support.now()
    while not reply:poll() do
      assert.is_true(support.now() - t0 < 5)
      reply:wait(5)
    end
    assert.is_true(support.now() - t0 < 2)
    reply:close()
  end)

  it("returns at once when there is text already, brought by another's waiting", function()
    local endless_reply = part_way()
    local reply = bot_at(story()):stream("x")
    support.deadline(0.5, function() endless_reply:wait(0.05) end, 0)
    local t0 = support.now()
    reply:wait(5)
    assert.is_true(support.now() - t0 < 1)
    assert.equal(STORY, (reply:poll()))
    endless_reply:close()
  end)
end)

describe("close", function()
  after_each(collect)

  it("cancels: the server sees the end of the connection, at once", function()
    local reply, server = part_way()
    assert.is_false(reply:is_closing())
    local t0 = support.now()
    reply:close()
    assert.is_true(support.now() - t0 < 0.05)
    assert_left(server)
    assert.is_true(reply:is_closing())
    assert.equal("cancelled", reply.status)
    assert.equal("partial", reply.text)
    assert.equal(0, chatbot.poll())
  end)

  it("may be called again, and after the end, and then changes nothing", function()
    local reply = part_way()
    for _ = 1, 3 do assert.equal(0, select("#", reply:close())) end
    assert.equal("cancelled", reply.status)
    local bot = bot_at(story())
    local answer, done = bot:chat("x")
    done:close()
    done:close()
    assert.equal("complete", done.status)
    assert.equal(answer, (done:result()))
    assert.is_true(done:is_closing())
    assert.equal(2, #bot:get_messages())
  end)

  it("calls the function given, each time", function()
    local reply = part_way()
    local calls = 0
    local function count() calls = calls + 1 end
    reply:close(count)
    assert.equal(1, calls)
    reply:close(count)
    assert.equal(2, calls)
  end)

  it("makes poll, chunks and result fail as cancelled", function()
    local reply = part_way()
    reply:close()
    local text, err = reply:poll()
    assert.is_nil(text)
    assert.equal("cancelled", err.kind)
    assert.equal("partial", err.partial)
    assert.equal("cancelled", raised(reply:chunks()).kind)
    assert.equal("cancelled", select(2, reply:result()).kind)
    assert.is_false(err.retryable)
    assert.equal(1, err.attempts)
  end)

  it("before the connection is there leaves nothing behind", function()
    local server = support.serve({ sse { "x" } }, { accept = "full" })
    local reply = bot_at(server):stream("x")
    reply:close()
    assert.equal(0, chatbot.poll())
    assert.equal("cancelled", select(2, reply:result()).kind)
  end)

  it("happens when the reply is collected", function()
    local _, server = part_way()
    _ = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert_left(server)
    assert.equal(0, chatbot.poll())
  end)

  it("happens when the bot and the reply are collected together", function()
    local server = endless()
    do
      local bot = bot_at(server)
      local reply = bot:stream("x")
      support.deadline(5, function() return reply:poll() end)
      bot:get_messages()[1].reply = reply -- a cycle
    end
    collectgarbage()
    collectgarbage()
    assert_left(server)
  end)

  it("does not happen when only the bot is collected", function()
    local reply
    do
      reply = bot_at(story()):stream("x")
    end
    collectgarbage()
    collectgarbage()
    assert.equal(STORY, (reply:result()))
  end)

  if lua54 then
    it("happens at the end of a block with a to-be-closed reply", function()
      local server = endless()
      local bot = bot_at(server)
      local check = assert(load([[
        local bot, deadline = ...
        local reply <close> = bot:stream("x")
        deadline(5, function() return reply:poll() end)
        return reply
      ]]))
      local reply = check(bot, support.deadline)
      assert.equal("cancelled", reply.status)
      assert_left(server)
      assert.same({}, bot:get_messages())
    end)
  end

  it("does not touch another reply", function()
    local reply = part_way()
    local other = bot_at(story()):stream("x")
    reply:close()
    assert.equal(STORY, (other:result()))
  end)
end)

describe("the pollable protocol", function()
  after_each(collect)

  it("names one descriptor, reading, and a time", function()
    local reply = part_way()
    assert.equal(chatbot.pollfd(), reply:pollfd())
    assert.equal("r", reply:events())
    local seconds = reply:timeout()
    assert.equal("number", type(seconds))
    assert.is_true(seconds >= 0 and seconds <= 20)
    assert.is_true(chatbot.timeout() <= 20)
    reply:close()
    assert.equal(0, reply:timeout())
  end)

  it("tells a select of the host's when there is something to do", function()
    local socket = require "socket"
    local reply = bot_at(story { every = 0.02 }):stream("x")
    local watched = { getfd = function() return chatbot.pollfd() end }
    local text, turns = "", 0
    assert(support.deadline(10, function()
      turns = turns + 1
      local seconds = math.min(chatbot.timeout() or 5, 5)
      socket.select({ watched }, nil, seconds)
      local piece, state = reply:poll()
      text = text .. (piece or "")
      return state == "done"
    end, 0))
    assert.equal(STORY, text)
    assert.is_true(turns < 200, turns .. " turns")
  end)
end)

describe("a reply's fields", function()
  after_each(collect)

  local logprobs = { content = {
    { token = "Hi", logprob = -0.25, top_logprobs = { { token = "Hi", logprob = -0.25 },
      { token = "Yo", logprob = -1.5 } } },
  } }

  it("of a stream", function()
    local chunk = { object = "chat.completion.chunk", choices = { { index = 0,
      delta = { content = "Hi" }, logprobs = logprobs } } }
    local server = support.serve { sse({ { reasoning_content = "Hm" }, { reasoning = "m." },
      chunk, { refusal = "No" }, chunk }, { usage = true, id = "chatcmpl-9", model = "m-1",
      headers = { ["x-request-id"] = "req-7" } }) }
    local _, reply = bot_at(server):chat("x")
    assert.equal("HiHi", reply.text)
    assert.equal("Hmm.", reply.reasoning)
    assert.equal("No", reply.refusal)
    assert.equal("stop", reply.finish_reason)
    assert.equal("complete", reply.status)
    assert.equal("chatcmpl-9", reply.id)
    assert.equal("m-1", reply.model)
    assert.equal("req-7", reply.request_id)
    assert.same({ prompt_tokens = 7, completion_tokens = 5, total_tokens = 12 }, reply.usage)
    assert.same({ role = "assistant", content = "HiHi", refusal = "No" }, reply.message)
    assert.equal(2, #reply.logprobs.content)
    assert.equal("Yo", reply.logprobs.content[2].top_logprobs[2].token)
    assert.equal(-1.5, reply.logprobs.content[2].top_logprobs[2].logprob)
    assert.equal(12, reply.raw.usage.total_tokens)
    assert.same({}, reply.raw.choices)
    assert.is_nil(reply.tool_calls)
  end)

  it("of a whole answer", function()
    local server = support.serve { whole(" Hi ", { usage = true, id = "chatcmpl-9",
      model = "m-1", headers = { ["Request-Id"] = "req-7" }, choice = { logprobs = logprobs },
      message = { reasoning_content = "Hmm.", refusal = "No" },
      extra = { system_fingerprint = "fp", service_tier = support.null } }) }
    local _, reply = bot_at(server, { stream = false }):chat("x")
    assert.equal("Hi", reply.text)
    assert.equal("Hmm.", reply.reasoning)
    assert.equal("No", reply.refusal)
    assert.equal("stop", reply.finish_reason)
    assert.equal("complete", reply.status)
    assert.equal("chatcmpl-9", reply.id)
    assert.equal("m-1", reply.model)
    assert.equal("req-7", reply.request_id)
    assert.equal(12, reply.usage.total_tokens)
    assert.same(logprobs, reply.logprobs)
    assert.equal("fp", reply.raw.system_fingerprint)
    assert.equal(" Hi ", reply.raw.choices[1].message.content)
    assert.is_nil(reply.raw.service_tier) -- null
  end)

  it("that are absent are nil", function()
    local _, reply = bot_at(support.serve { sse { "x" } }):chat("x")
    for _, name in ipairs { "usage", "logprobs", "reasoning", "refusal", "tool_calls",
      "request_id", "nonsense", "error" } do
      assert.is_nil(reply[name], name)
    end
    assert.is_nil(reply[1])
    assert.is_nil(reply[{}])
  end)

  it("before anything has arrived", function()
    local reply = bot_at(support.serve { { { stall = true } } }):stream("x")
    assert.equal("", reply.text)
    assert.equal("streaming", reply.status)
    for _, name in ipairs { "usage", "finish_reason", "message", "raw", "id", "model",
      "reasoning" } do
      assert.is_nil(reply[name], name)
    end
    reply:close()
  end)

  it("cannot be set", function()
    local _, reply = bot_at(support.serve { sse { "x" } }):chat("x")
    assert.is_false(pcall(function() reply.text = "y" end))
    assert.equal("x", reply.text)
  end)

  it("count tokens in whole numbers", function()
    local _, reply = bot_at(story()):chat("x")
    assert.equal("12", tostring(reply.usage.total_tokens))
  end)

  local verdicts = {
    { "stop", "complete" }, { "length", "length" }, { "content_filter", "filtered" },
    { "tool_calls", "complete" }, { "function_call", "complete" }, -- there are none
    { "eos", "complete" }, { "a new reason", "complete" },
  }
  for _, case in ipairs(verdicts) do
    it(("keep finish_reason %q and call it %s"):format(case[1], case[2]), function()
      for _, script in ipairs { sse({ "x" }, { finish_reason = case[1] }),
        whole("x", { finish_reason = case[1] }) } do
        local answer, reply = bot_at(support.serve { script }):chat("x")
        assert.equal("x", answer)
        assert.equal(case[1], reply.finish_reason)
        assert.equal(case[2], reply.status)
      end
    end)
  end

  it("are shown with the status", function()
    local reply = part_way()
    assert.truthy(tostring(reply):find("^chatbot%.reply %(streaming%): "))
    reply:close()
    assert.truthy(tostring(reply):find("^chatbot%.reply %(cancelled%): "))
    assert.equal("locked", getmetatable(reply))
  end)

  it("and methods raise for what is no reply", function()
    local reply = part_way()
    for _, name in ipairs { "poll", "wait", "close", "is_closing", "pollfd", "events",
      "timeout", "result" } do
      assert.is_false(pcall(reply[name], io.stdout), name)
      assert.is_false(pcall(reply[name], {}), name)
      assert.is_false(pcall(reply[name]), name)
    end
    reply:close()
  end)
end)

describe("verbose", function()
  after_each(collect)

  local KEY = "sk-secret-0123456789abcdef"

  local function stderr_of(level, script)
    local server = support.serve { script }
    local result = support.run_lua(([[
      local chatbot = require "chatbot"
      local bot = chatbot.new { base_url = %q, model = "m", api_key = %q, timeout = 10 }
      io.write(assert((bot:chat("question", { verbose = %s, max_retries = 0 }))))
    ]]):format(server.url, KEY, tostring(level)))
    assert.is_nil(result.err:find(KEY, 1, true))
    return result.err, result.out
  end

  it("0, false or absent writes nothing", function()
    for _, level in ipairs { 0, false, "nil" } do
      local err, out = stderr_of(level, sse({ "yes" }, { usage = true }))
      assert.equal("", err)
      assert.equal("yes", out)
    end
  end)

  it("1 or true writes the token usage to stderr", function()
    for _, level in ipairs { 1, true } do
      local err, out = stderr_of(level, sse({ "yes" }, { usage = true, model = "m-1" }))
      assert.equal("[m-1] tokens: prompt 7, completion 5, total 12\n", err)
      assert.equal("yes", out)
    end
  end)

  it("2 writes the whole response too", function()
    local err = stderr_of(2, sse({ "yes" }, { usage = true, id = "chatcmpl-9",
      headers = { ["x-request-id"] = "req-7" } }))
    for _, part in ipairs { "total 12", '"chatcmpl-9"', '"yes"', '"stop"', '"complete"',
      '"req-7"', '"total_tokens":12' } do
      assert.truthy(err:find(part, 1, true), part .. " is not in " .. err)
    end
  end)

  it("2 writes the whole response of an answer that did not stream", function()
    local err = stderr_of("2, stream = false", whole("yes", { id = "chatcmpl-9" }))
    for _, part in ipairs { "total 12", '"chatcmpl-9"', '"yes"', '"stop"' } do
      assert.truthy(err:find(part, 1, true), part .. " is not in " .. err)
    end
  end)

  it("does not stumble over an answer without usage", function()
    local err = stderr_of(1, sse { "yes" })
    assert.truthy(err:find("total ?", 1, true), err)
  end)

  it("never writes a key that the server echoes", function()
    local err = stderr_of(2, whole("yes", { id = "id " .. KEY, message = {
      reasoning_content = "It is " .. KEY } }))
    assert.truthy(err:find("[redacted]", 1, true), err)
  end)

  it("belongs to the bot or to a call, and is nothing that is sent", function()
    local server = support.serve { sse({ "yes" }, { usage = true }) }
    local result = support.run_lua(([[
      local chatbot = require "chatbot"
      local bot = chatbot.new { base_url = %q, model = "m", verbose = 1 }
      bot:chat("a")
      bot:chat("b", { verbose = 0 })
      for _ in bot:stream("c"):chunks() do end
    ]]):format(server.url))
    local _, lines = result.err:gsub("total 12", "")
    assert.equal(2, lines, result.err)
    assert.is_nil(server:requests()[1].json.verbose)
  end)
end)

describe("an error table", function()
  after_each(collect)

  it("has what the server said", function()
    local server = support.serve { support.http(429, { ["x-request-id"] = "req-7",
      ["retry-after"] = "3" }, { error = { message = "Slow down", type = "requests",
      code = "rate_limit_exceeded", param = "n" } }) }
    local _, err = bot_at(server, { model = "gpt-x" }):chat("x")
    local got = {}
    for name, value in pairs(err) do got[name] = value end
    assert.same({ kind = "http", message = "Slow down", status = 429, type = "requests",
      code = "rate_limit_exceeded", param = "n", request_id = "req-7", retry_after = 3,
      retryable = true, attempts = 1, provider = "openai", model = "gpt-x" }, got)
    assert.equal("http 429: Slow down [openai gpt-x]", tostring(err))
  end)

  it("of a timeout names its phase", function()
    local _, err = bot_at(support.serve { { { stall = true } } },
      { first_byte_timeout = 0.05 }):chat("x")
    assert.equal("timeout", err.kind)
    assert.equal("first_byte", err.phase)
    assert.is_true(err.retryable)
    assert.truthy(tostring(err):find("^timeout %(first_byte%): .+ %[openai m%]$"), tostring(err))
  end)

  it("can be thrown by assert and error, and shown", function()
    local bot = bot_at(support.serve { support.http(404, {}, { error = { message = "gone" } }) })
    local err = raised(function() assert(bot:chat("x")) end) -- luacheck: ignore 143
    -- busted's assert makes text of it; Lua's keeps the table
    assert.truthy(tostring(err):find("gone", 1, true), tostring(err))
  end)

  it("can be changed by its owner", function()
    local _, err = bot_at(support.serve { support.http(404, {}, "") }):chat("x")
    err.message, err.status = "mine", nil
    assert.equal("http: mine [openai m]", tostring(err))
    err.provider, err.model = nil, nil
    assert.equal("http: mine", tostring(err))
  end)
end)

describe("an interrupt", function()
  after_each(collect)

  local prelude = [[
    local chatbot, core = require "chatbot", require "chatbot.core"
    local url = ...
    local stat = assert(io.open("/proc/self/stat"))
    local pid = stat:read("*n")
    stat:close()
    pid = ("%d"):format(pid)
    local function interrupt_after(seconds)
      os.execute(("(sleep %s; kill -INT %s) >/dev/null 2>&1 &"):format(seconds, pid))
    end
    local bot = chatbot.new { base_url = url, model = "m", timeout = 10, max_retries = 0 }
  ]]

  local function run(script)
    local server = support.serve { { sse({ "par", "tial" }, { finish_reason = false,
      done = false, cut = true }), { stall = true } }, sse { "fine" } }
    local result = support.run_lua(prelude .. script, { args = { server.url } })
    assert.is_nil(result.timeout)
    return result, server
  end

  it("ends an answer and not the program, when that is asked for", function()
    local result, server = run [[
      assert(core.interrupts(true))
      interrupt_after(0.3)
      local answer, err = bot:chat("x")
      print(answer, err.kind, err.partial, #bot:get_messages())
      print((bot:chat("y")))
      core.interrupts(false)
    ]]
    assert.equal("nil\tcancelled\tpartial\t0\nfine\n", result.out, result.err)
    assert.equal(0, result.status)
    assert.equal(2, #server:requests())
  end)

  it("ends a wait in chunks and result, too", function()
    local result = run [[
      core.interrupts(true)
      interrupt_after(0.3)
      local text = ""
      local ok, err = pcall(function()
        for piece in bot:stream("x"):chunks() do text = text .. piece end
      end)
      print(ok, err.kind, text)
      print((bot:stream("y"):result()))
    ]]
    assert.equal("false\tcancelled\tpartial\nfine\n", result.out, result.err)
  end)

  it("that came before the answer is asked for does not end it", function()
    local result = run [[
      core.interrupts(true)
      local first = bot:stream("x")
      first:wait(1)
      first:close()
      interrupt_after(0)
      os.execute("sleep 0.3")
      core.interrupts(false)
      core.interrupts(true)
      print((bot:chat("y")))
    ]]
    assert.equal("fine\n", result.out, result.err)
  end)

  it("ends the program where it is not asked for", function()
    local result = run [[
      interrupt_after(0.3)
      local started = os.time()
      print(pcall(bot.chat, bot, "x"))
      print("took long", os.time() - started > 5)
    ]]
    -- the interpreter's own handler raises; one without ends the process
    assert.is_nil(result.out:find("took long\ttrue", 1, true), result.out)
    assert.is_true(result.status ~= 0 or result.out:find("interrupted!", 1, true) ~= nil)
  end)
end)

describe("the fields of a reply", function()
  after_each(collect)

  it("tell what is there, whoever lets the engine work", function()
    local server = support.serve { sse({ "Hel", "lo" }, { every = 0.05, usage = true }) }
    local reply = assert(bot_at(server):stream("hi"))
    local seen, limit = {}, support.now() + 10
    while reply.status == "streaming" do
      chatbot.poll(0.1)
      seen[#seen + 1] = reply.text
      assert(support.now() < limit, "it does not end")
    end
    assert.truthy(table.concat(seen, "|"):find("|Hel|", 1, true), table.concat(seen, "|"))
    assert.equal("Hello", reply.text)
    assert.equal("complete", reply.status)
    assert.equal("Hello", (reply:poll())) -- and it is still handed out
    assert.equal("Hello", reply:result())
  end)

  it("wake a coroutine that waits for what they have taken", function()
    local server = support.serve { sse({ "Hel", "lo" }, { every = 0.05 }) }
    local woken = 0
    local bot = bot_at(server, { wait = function() coroutine.yield() end })
    local reply, answer = assert(bot:stream("hi")), nil
    local thread = coroutine.create(function() answer = reply:result() end)
    local fd = assert(chatbot.pollfd())
    local watched = { getfd = function() return fd end, dirty = function() return false end }
    local limit = support.now() + 10
    assert(coroutine.resume(thread))
    while coroutine.status(thread) ~= "dead" do
      assert(support.now() < limit, "it is not woken")
      if #require("socket").select({ watched }, nil, 1) > 0 then
        woken = woken + 1
        assert(reply.text) -- somebody looks first
        assert(coroutine.resume(thread))
      end
    end
    assert.equal("Hello", answer)
    assert.truthy(woken < 50, woken)
  end)

  it("lose no text where there is a callback, but none for text", function()
    for _, name in ipairs { "on_event", "on_reasoning" } do
      local server = support.serve { sse({ { reasoning_content = "Hm." }, "Hel", "lo" }) }
      local count = 0
      local bot = bot_at(server, { [name] = function() count = count + 1 end })
      local reply = assert(bot:stream("hi"))
      while chatbot.poll(1) > 0 do assert(reply) end
      assert.truthy(count > 0)
      assert.equal("Hello", (reply:poll()))
    end
  end)
end)
