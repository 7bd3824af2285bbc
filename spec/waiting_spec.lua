-- Tools that wait: by yielding, by the host's `wait`, by a callback. Hosts learn from the
-- descriptor and timeout() when to look again, and waiting takes no CPU.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local socket = require "socket"
local support = require "spec.support"

local collect, bot_at = bots.collect, bots.at

local sse = support.sse

local function asks()
  return sse({ { tool_calls = { { index = 0, id = "call_1", type = "function",
    ["function"] = { name = "look", arguments = "{}" } } } } }, { finish_reason = "tool_calls" })
end

local function serve() return support.serve { asks(), sse { "Done." } } end

local function tool(fn) return { tools = { { name = "look", call = fn } } } end

-- The result that the second request has.
local function result(server) return server:requests()[2].json.messages[3].content end

-- Whether the engine's descriptor becomes readable within so many seconds.
local function readable(seconds)
  local fd = assert(chatbot.pollfd())
  local watched = { getfd = function() return fd end, dirty = function() return false end }
  return #socket.select({ watched }, nil, seconds) > 0
end

-- Polls as an event loop does, until `done()`: only when the descriptor says so. How often.
local function loop(done)
  local turns, limit = 0, support.now() + 10
  while not done() do
    assert(support.now() < limit, "it does not end")
    if readable(0.5) then
      chatbot.poll()
      turns = turns + 1
    end
  end
  return turns
end

describe("a tool that returns a function", function()
  after_each(collect)

  it("answers when it calls the function that it gets", function()
    local server, later = serve(), nil
    local reply = assert(bot_at(server, tool(function()
      return function(done) later = done end
    end)):stream("hi", { on_text = function() end }))
    loop(function() return later end)
    chatbot.poll()
    assert.is_false(readable(0.05)) -- nobody is woken for nothing
    assert.is_nil(chatbot.timeout())
    assert.equal(1, chatbot.poll())
    later("a door")
    assert.equal(0, chatbot.timeout())
    local turns = loop(function() return reply:is_closing() end)
    assert.truthy(turns < 30, turns)
    assert.equal("Done.", reply:result())
    assert.equal("a door", result(server))
  end)

  it("may call it at once, once, with nil and a reason, or raise", function()
    for text, start in pairs {
      ["a door"] = function(done) done("a door") done("a window") end,
      ["error: it is dark"] = function(done) done(nil, "it is dark") end,
      ["error: no eyes"] = function() error("no eyes", 0) end,
    } do
      local server = serve()
      assert.equal("Done.", bot_at(server, tool(function() return start end)):chat("hi"))
      assert.equal(text, result(server))
    end
  end)

  it("works in a coroutine, and under a host's wait", function()
    for _, wait in ipairs { false, function() coroutine.yield() end } do
      local server, later = serve(), nil
      local opts = tool(function() return function(done) later = done end end)
      opts.wait = wait or nil
      local answer
      local thread = coroutine.create(function() answer = bot_at(server, opts):chat("hi") end)
      local limit, turns = support.now() + 10, 0
      while coroutine.status(thread) ~= "dead" do
        assert(coroutine.resume(thread))
        assert(support.now() < limit)
        chatbot.poll(0.01)
        turns = later and turns + 1 or 0
        if turns == 5 then later("a door") end
      end
      assert.equal("Done.", answer)
      assert.equal("a door", result(server))
    end
  end)

  it("is forgotten when the reply is closed", function()
    local server, later = serve(), nil
    local bot = bot_at(server, tool(function() return function(done) later = done end end))
    local reply = assert(bot:stream("hi", { on_text = function() end }))
    loop(function() return later end)
    reply:close()
    later("too late")
    chatbot.poll()
    assert.equal("cancelled", reply.status)
    assert.same({}, bot:get_messages())
    assert.equal(1, #server:requests())
  end)
end)

describe("a tool that yields", function()
  after_each(collect)

  local function slow(seconds)
    local count = { 0 }
    return function()
      local limit = support.now() + seconds
      while support.now() < limit do
        count[1] = count[1] + 1
        coroutine.yield()
      end
      return "a door"
    end, count
  end

  it("is resumed when descriptor or timeout() say so", function()
    local server, look, count = serve(), slow(0.2)
    local reply = assert(bot_at(server, tool(look)):stream("hi", { on_text = function() end }))
    loop(function() return count[1] > 0 end)
    assert.truthy(chatbot.timeout() <= 0.01)
    local turns = loop(function() return reply:is_closing() end)
    assert.equal("Done.", reply:result())
    assert.truthy(count[1] >= 5 and count[1] < 60, count[1])
    assert.truthy(turns < 100, turns)
  end)

  it("costs no CPU, whoever waits for it", function()
    local ways = {
      chat = function(bot) return bot:chat("hi") end,
      wait = function(bot)
        local reply = bot:stream("hi")
        repeat
          local text, state = reply:poll()
          if state == "wait" then reply:wait() end
        until not text and state ~= "wait"
        return reply:result()
      end,
      poll = function(bot)
        local reply = bot:stream("hi", { on_text = function() end })
        while chatbot.poll(1) > 0 do assert(reply) end
        return reply:result()
      end,
    }
    for name, way in pairs(ways) do
      local look, count = slow(0.3)
      assert.equal("Done.", (way(bot_at(serve(), tool(look)))))
      assert.truthy(count[1] >= 5 and count[1] < 90, name .. ": " .. count[1])
    end
  end)

  it("may be resumed by what it waits for", function()
    if _VERSION == "Lua 5.1" and not jit then return end -- there it has one of its own
    local server, thread = serve(), nil
    local reply = assert(bot_at(server, tool(function()
      thread = coroutine.running()
      local sky
      repeat sky = coroutine.yield() until sky
      return sky
    end)):stream("hi", { on_text = function() end }))
    loop(function() return thread end)
    assert(coroutine.resume(thread, "clouds"))
    loop(function() return reply:is_closing() end)
    assert.equal("Done.", reply:result())
    assert.equal("clouds", result(server))
  end)
end)

describe("a tool that waits for its own reply", function()
  after_each(collect)

  it("is told that it cannot, wherever it runs", function()
    local ways = {
      result = function(reply) return reply:result() end,
      chunks = function(reply) return (reply:chunks())() end, -- without a loop that closes it
      wait = function(reply) while reply.status == "streaming" do reply:wait(1) end end,
    }
    for name, way in pairs(ways) do
      for _, host in ipairs { function(fn) fn() end, function(fn)
        local thread = coroutine.create(fn)
        local limit = support.now() + 10
        repeat
          assert(coroutine.resume(thread))
          assert(support.now() < limit, name)
          chatbot.poll(0.01)
        until coroutine.status(thread) == "dead"
      end } do
        local server, reply = serve(), nil
        host(function()
          reply = assert(bot_at(server, tool(function()
            way(reply)
            return "not reached"
          end)):stream("hi"))
          assert.equal("Done.", reply:result())
        end)
        assert.truthy(result(server):find("cannot wait", 1, true), result(server))
      end
    end
  end)
end)
