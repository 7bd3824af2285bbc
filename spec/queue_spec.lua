-- chatbot.max_concurrent: a crowd of bots does not open a crowd of connections.

local chatbot = require "chatbot"
local support = require "spec.support"

describe("max_concurrent", function()
  before_each(function() chatbot.max_concurrent(0) end)
  after_each(function()
    chatbot.max_concurrent(0)
    support.close_all()
    collectgarbage()
  end)

  -- Starts `count` bots, drives them to the end and returns the order in which
  -- they ended and the most connections that the server saw at once.
  local function crowd(server, count)
    local replies, order, most = {}, {}, 0
    for i = 1, count do
      replies[i] = chatbot.new { base_url = server.url, model = "m", timeout = 20 }
        :stream("number " .. i)
    end
    local left = count
    while left > 0 do
      chatbot.poll(0.01)
      for i = 1, count do
        local reply = replies[i]
        if reply and not reply:poll() and reply.status ~= "streaming" then
          assert.equal("complete", reply.status)
          order[#order + 1], replies[i], left = i, false, left - 1
        end
      end
      local open = 0
      for _, conn in ipairs(server:connections()) do
        if not conn.closed and not conn.gone then open = open + 1 end
      end
      most = math.max(most, open)
    end
    return order, most
  end

  local function slow_server()
    return support.serve { { { sleep = 0.03 }, support.sse { "a" } } }
  end

  it("is without a limit at first", function()
    assert.equal(0, chatbot.max_concurrent())
  end)

  it("bounds the requests at the server, and all are answered in their order", function()
    chatbot.max_concurrent(3)
    local server = slow_server()
    local order, most = crowd(server, 20)
    assert.equal(20, #order)
    assert.equal(20, #server:requests())
    assert.is_true(most <= 3, most .. " connections")
    for i = 1, 20 do
      assert.is_true(math.abs(order[i] - i) <= 3, "number " .. order[i] .. " was number " .. i)
    end
  end)

  it("lets the next go when one is closed", function()
    chatbot.max_concurrent(1)
    local server = support.serve { { { stall = true } } }
    local first = chatbot.new { base_url = server.url, model = "m" }:stream("a")
    assert.is_true(server:wait(1, 5, "request", function() first:poll() end))
    local other = support.serve { support.sse { "b" } }
    local second = chatbot.new { base_url = other.url, model = "m", timeout = 5 }:stream("b")
    for _ = 1, 10 do chatbot.poll(0.01) end
    assert.equal(0, #other:requests())
    first:close()
    assert.equal("b", (second:result()))
  end)

  it("lets a reply that waits for its turn be closed", function()
    chatbot.max_concurrent(1)
    local server = support.serve { { { stall = true } } }
    local first = chatbot.new { base_url = server.url, model = "m" }:stream("a")
    local bot = chatbot.new { base_url = server.url, model = "m" }
    local queued = bot:stream("b")
    queued:close()
    assert.equal(0, #bot:get_messages())
    first:close()
  end)

  it("starts no clock before the turn has come, then all of them", function()
    chatbot.max_concurrent(1)
    local server = support.serve { { { sleep = 0.4 }, support.sse { "a" } } }
    local first = chatbot.new { base_url = server.url, model = "m" }:stream("a")
    local other = support.serve { support.sse { "b" }, { { stall = true } } }
    local function ask()
      return chatbot.new { base_url = other.url, model = "m", timeout = 0.3, max_retries = 0,
        connect_timeout = 0.25, first_byte_timeout = 0.25 }:stream("b")
    end
    local second, third = ask(), ask()
    assert.equal("a", (first:result()))
    assert.equal("b", (second:result()))
    local answer, err = third:result()
    assert.is_nil(answer)
    assert.equal("timeout", err.kind)
  end)

  -- Far more than is read ahead.
  local event = support.event(('{"choices":[{"index":0,"delta":{"content":"%s"}}]}'):format(
    ("word "):rep(20)))
  local function flood()
    return support.serve { {
      support.head(200, { ["Content-Type"] = "text/event-stream", Connection = "close" }),
      { repeat_bytes = event, times = 20000 },
      support.event "[DONE]", { close = true },
    } }
  end

  it("keeps the slot of one that waits for another try", function()
    chatbot.max_concurrent(1)
    local server = support.serve { support.http(503, { ["Retry-After"] = "0.3" }),
      support.sse { "a" }, support.sse { "b" } }
    local replies = {}
    for i, name in ipairs { "first", "second" } do
      replies[i] = chatbot.new { base_url = server.url, model = name, timeout = 20 }:stream("hi")
    end
    assert.equal("b", replies[2]:result())
    assert.equal("a", replies[1]:result())
    local models = {}
    for i, request in ipairs(server:requests()) do models[i] = request.json.model end
    assert.same({ "first", "first", "second" }, models)
  end)

  it("gives the slot of a reply that nobody reads to those that wait", function()
    chatbot.max_concurrent(1)
    local unread = chatbot.new { base_url = flood().url, model = "m" }:stream("a")
    local other = support.serve { support.sse { "b" } }
    for i = 1, 3 do
      local reply = chatbot.new { base_url = other.url, model = "m", timeout = 3 }:stream("b")
      local limit = support.now() + 5
      while reply.status == "streaming" and support.now() < limit do
        chatbot.poll(0.05)
        reply:poll()
      end
      assert.equal("complete", reply.status, "number " .. i)
    end
    assert.equal("streaming", unread.status)
    assert.equal(20000 * 100, #assert(unread:result())) -- and it goes on when it is read
    assert.equal("b", (chatbot.new { base_url = other.url, model = "m" }:chat("b")))
  end)

  it("wakes the host for it", function()
    chatbot.max_concurrent(1)
    local unread = chatbot.new { base_url = flood().url, model = "m" }:stream("a")
    for _ = 1, 5 do chatbot.poll(0.02) end
    local other = support.serve { support.sse { "b" } }
    local reply = chatbot.new { base_url = other.url, model = "m", timeout = 3 }:stream("b")
    while chatbot.timeout() == 0 do chatbot.poll(0) end
    assert.is_true(chatbot.timeout() <= 1)
    assert.equal("b", (reply:result()))
    unread:close()
  end)

  it("keeps the slot of one that is read, however slowly", function()
    chatbot.max_concurrent(1)
    local slow = chatbot.new { base_url = flood().url, model = "m" }:stream("a")
    local other = support.serve { support.sse { "b" } }
    local reply = chatbot.new { base_url = other.url, model = "m", timeout = 5 }:stream("b")
    local limit = support.now() + 1.6
    while support.now() < limit do
      for _ = 1, 10 do chatbot.poll(0.02) end
      slow:poll()
    end
    assert.equal(0, #other:requests())
    slow:close()
    assert.equal("b", (reply:result()))
  end)

  it("starts those that wait when the limit is raised", function()
    chatbot.max_concurrent(1)
    local server = support.serve { { { stall = true } } }
    local first = chatbot.new { base_url = server.url, model = "m" }:stream("a")
    local other = support.serve { support.sse { "b" } }
    local second = chatbot.new { base_url = other.url, model = "m", timeout = 5 }:stream("b")
    chatbot.max_concurrent(0)
    assert.equal("b", (second:result()))
    first:close()
  end)

  it("counts one again that had stepped aside, and is tried again", function()
    chatbot.max_concurrent(1)
    local refusal = support.event '{"error":{"message":"busy","type":"overloaded_error"}}'
    local server = support.serve {
      { support.head(200, { ["Content-Type"] = "text/event-stream" }) .. refusal
        .. (": much of nothing\n"):rep(10000), { stall = true } },
      { { sleep = 1 }, support.sse { "a" } } }
    local unread = chatbot.new { base_url = server.url, model = "m" }:stream("a")
    local other = support.serve { support.sse { "b" } }
    local bot = chatbot.new { base_url = other.url, model = "m", timeout = 5 }
    assert.equal("b", (bot:chat("b"))) -- a second later
    assert.is_nil((unread:poll()))
    assert(server:wait(2, 5, "request", function() chatbot.poll(0.01) end))
    local waits = assert(bot:stream("c"))
    for _ = 1, 10 do chatbot.poll(0.02) end
    assert.equal(1, #other:requests())
    assert.equal("a", (unread:result()))
    assert.equal("b", (waits:result()))
  end)
end)
