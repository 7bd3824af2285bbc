-- Conversations of megabytes: what is sent is what is in them, the host is never held
-- for long, and strings that are sent from where they stand stay for as long.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local function bot_at(server, messages, retries)
  return bots.at(server, { messages = messages, max_retries = retries })
end

local function ask(bot, prompt, opts)
  local answer, err = bot:stream(prompt, opts):result()
  return answer or error(tostring(err))
end

-- `count` messages of `size` characters, of all kinds that JSON has to do with.
local function conversation(count, size)
  local kinds = { "x", '"\\\n\1', "あ", "plain words, ", "\226\128\168/", "𠮷" }
  local messages = {}
  for i = 1, count do
    local kind = kinds[i % #kinds + 1]
    messages[i] = { role = i % 2 == 1 and "user" or "assistant",
      content = i .. kind:rep(math.ceil(size / #kind)) }
  end
  return messages
end

local function copy(messages)
  local list = {}
  for i, message in ipairs(messages) do
    list[i] = { role = message.role, content = message.content }
  end
  return list
end

local function with(messages, ...)
  local list = copy(messages)
  for _, message in ipairs { ... } do list[#list + 1] = message end
  return list
end

local HELLO = { role = "user", content = "hello" }
local GOOD = { role = "assistant", content = "good" }

describe("a conversation of megabytes", function()
  after_each(bots.collect)

  for _, size in ipairs { 100, 2000, 70000, 700000 } do
    it(("arrives as it is, in messages of %d bytes"):format(size), function()
      local server = support.serve { support.sse { "good" } }
      local messages = conversation(math.ceil(4e6 / size), size)
      local bot = bot_at(server, messages)
      assert.equal("good", ask(bot, "hello"))
      assert.same(with(messages, HELLO), server:requests()[1].json.messages)
      -- and in the next turn, with what has been added
      assert.equal("good", ask(bot, "again"))
      assert.same(with(messages, HELLO, GOOD,
        { role = "user", content = "again" }), server:requests()[2].json.messages)
    end)
  end

  it("may have parts in it, and fields of any kind", function()
    local server = support.serve({ support.sse { "good" } }, { strict = false }) -- `n`
    local url = "data:image/png;base64," .. ("QUJD"):rep(300000)
    local parts = { { type = "text", text = ('"'):rep(5000) },
      { type = "image_url", image_url = { url = url } } }
    local bot = bot_at(server, { { role = "user", content = parts, n = 1.5 }, GOOD })
    assert.equal("good", ask(bot, "hello", { metadata = { long = ("\n"):rep(5000) } }))
    local sent = server:requests()[1].json
    assert.same({ { role = "user", content = parts, n = 1.5 }, GOOD, HELLO }, sent.messages)
    assert.equal(("\n"):rep(5000), sent.metadata.long)
  end)

  it("is sent whole by every try", function()
    local server = support.serve {
      support.http(503, { ["retry-after-ms"] = "1" }), { { reset = true } },
      support.sse { "good" } }
    local messages = conversation(1000, 2000)
    assert.equal("good", ask(bot_at(server, messages, 2), "hello"))
    local requests = server:requests()
    assert.equal(3, #requests)
    for i = 1, 3 do assert.equal(requests[1].body, requests[i].body) end
    assert.same(with(messages, HELLO), requests[3].json.messages)
  end)

  it("arrives as it was, whatever its owner does meanwhile", function()
    local server = support.serve { { { before_request = true, sleep = 0.2 },
      support.sse { "good" } } }
    local expected = with(conversation(3000, 2000), HELLO)
    local bot = bot_at(server, conversation(3000, 2000))
    local reply = bot:stream("hello")
    for _ = 1, 3 do reply:poll() end
    local messages = bot:get_messages()
    for i = 1, 3000 do messages[i].content = i .. "changed" end
    for _ = 1, 5 do
      collectgarbage()
      local pages = {} -- what was freed is written over
      for i = 1, 1000 do pages[i] = ("y"):rep(2000) .. i end
      assert.equal(2004, #pages[1000])
      reply:poll()
    end
    assert.equal("good", (reply:result()))
    assert.same(expected, server:requests()[1].json.messages)
    assert.equal("good", ask(bot, "again")) -- what has changed is noticed
    assert.equal("1changed", server:requests()[2].json.messages[1].content)
  end)

  it("need not be read by a server that has answered", function()
    local body = 'data: {"choices":[{"index":0,"delta":{"content":"early"},'
      .. '"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    local server = support.serve { {
      { before_request = true, send = support.head(200, {
        { "Content-Type", "text/event-stream" }, { "Content-Length", #body } }) .. body },
      { before_request = true, wait_close = 10 } } }
    for _ = 1, 3 do
      local bot = bot_at(server, conversation(6000, 2000))
      local reply = bot:stream("hello")
      assert.equal("early", (reply:result()))
      bot, reply = nil, nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      for _ = 1, 20 do chatbot.poll(0.005) end
    end
    assert.equal(0, #server:requests())
  end)

  it("may be given up while it is sent", function()
    local server = support.serve {
      { { before_request = true, sleep = 0.3 }, { stall = true } } }
    local messages = conversation(6000, 2000)
    local bot = bot_at(server, messages)
    local reply = bot:stream("hello")
    for _ = 1, 20 do reply:poll() end
    reply:close()
    assert.equal(6000, #bot:get_messages())
    bot, reply = nil, nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    for _ = 1, 20 do chatbot.poll(0.005) end
  end)

  it("is forgotten when it is taken away, also where short messages are between", function()
    local server = support.serve { support.sse { "good" } }
    local messages = {}
    for i = 1, 20 do
      messages[i] = { role = i % 2 == 1 and "user" or "assistant",
        content = i % 2 == 0 and i .. ("x"):rep(1000000) or "short" }
    end
    local bot = bot_at(server, messages)
    messages = nil -- luacheck: ignore
    assert.equal("good", ask(bot, "hello"))
    collectgarbage()
    local before = collectgarbage("count")
    bot:reset()
    assert.equal("good", ask(bot, "hello"))
    collectgarbage()
    collectgarbage()
    assert.is_true(before - collectgarbage("count") > 9000, "it is still there")
  end)

  -- Prose, code, Japanese, and what people write to each other.
  local TALK = {
    'The quick brown fox said: "jump!" - and over the lazy dog it went, as it had to.\n',
    "    for (size_t i = 0; i < n; i++)\n        s[i] = tolower(\"text\"[i]);\n",
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n",
    "Grüße aus Köln 🙂, très bien — до свидания!\n",
  }

  -- Where a tool is loaded into the process (valgrind, a sanitizer), all code is slower by
  -- a factor that is not ours. What a step takes is the business of `make bench`; this
  -- fails where all of it is encoded or copied in one.
  it("does not hold the host", function()
    -- under a sanitizer, or on an emulated processor, all is some ten times slower
    local slow = os.getenv("LD_PRELOAD") or os.getenv("EMULATED")
    local limit = slow and 0.5 or 0.01
    local server = support.serve { support.sse { "good" } }
    chatbot.warmup()
    local messages = {}
    for i = 1, 2000 do
      local talk = TALK[i % #TALK + 1]
      messages[i] = { role = i % 2 == 1 and "user" or "assistant",
        content = i .. talk:rep(math.ceil(2000 / #talk)) }
    end
    local bot = bot_at(server, messages)
    local longest = 0
    local function timed(f, ...)
      local from = os.clock()
      local a, b = f(...)
      longest = math.max(longest, os.clock() - from)
      return a, b
    end
    for _ = 1, 3 do
      collectgarbage()
      collectgarbage("stop") -- its work is not ours
      local reply = timed(bot.stream, bot, "hello")
      repeat
        local text, state = timed(reply.poll, reply)
        if not text and state == "wait" then reply:wait(0.05) end
      until not text and state ~= "wait"
      collectgarbage("restart")
      assert.equal("complete", reply.status)
    end
    print(("\nlongest step with 4 MB of history: %.2f ms of CPU"):format(longest * 1000))
    assert.is_true(longest < limit, ("%.2f ms"):format(longest * 1000))
  end)
end)
