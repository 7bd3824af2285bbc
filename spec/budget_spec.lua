-- A poll has a budget: what it leaves is taken later, by whoever comes first, and a
-- stream that floods does not starve another. Nothing here looks at a clock: a budget of a
-- microsecond is spent at once, so that each poll does the least that it may do.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local bot_at = bots.at

local LEAST = { budget = 0.001 }
local EVENTS = 3000

local function event(delta, reason)
  return support.event(support.encode {
    choices = { { index = 0, delta = delta, finish_reason = reason } } })
end

-- A server that answers with `n` events of one word each, as fast as it can.
local function flood(n)
  return support.serve { {
    support.head(200, { { "Content-Type", "text/event-stream" } }),
    { repeat_bytes = event { content = "word " }, times = n or EVENTS },
    event({}, "stop") .. "data: [DONE]\n\n",
    { close = true } } }
end

local TEXT = ("word "):rep(EVENTS)

-- Polls until nothing is under way; returns how many polls it took.
local function drain(opts)
  local polls = 0
  repeat
    polls = polls + 1
    assert(polls < 1e6, "it does not end")
  until chatbot.poll(1, opts) == 0
  return polls
end

describe("the budget of a poll", function()
  local default = chatbot.budget()

  after_each(function()
    chatbot.budget(default)
    support.close_all()
    collectgarbage()
    collectgarbage()
  end)

  it("is a millisecond, and can be set", function()
    assert.equal(1, default)
    assert.equal(0.25, chatbot.budget(0.25))
    assert.equal(0.25, chatbot.budget())
  end)

  for name, wrong in pairs { zero = 0, negative = -1, text = "much", ["not a number"] = 0 / 0 } do
    it("is refused when it is " .. name, function()
      assert.has_error(function() chatbot.budget(wrong) end)
      assert.has_error(function() chatbot.poll(0, { budget = wrong }) end)
    end)
  end

  it("must be in a table", function()
    assert.has_error(function() chatbot.poll(0, 5) end)
    assert.equal(0, chatbot.poll(0, {}))
  end)

  it("loses nothing of what a poll had to leave", function()
    local pieces = {}
    local reply = assert(bot_at(flood(), {
      on_text = function(text) pieces[#pieces + 1] = text end,
    }):stream("hi"))
    local polls = drain(LEAST)
    assert.equal("complete", reply.status)
    assert.equal(TEXT, table.concat(pieces))
    assert.equal(reply.text, table.concat(pieces))
    assert.is_true(polls > EVENTS / 100, "it was read in only " .. polls .. " polls")
    assert.is_true(#pieces > EVENTS / 100, "it came in only " .. #pieces .. " pieces")
  end)

  it("holds for reply:poll, chunks and chat, too", function()
    chatbot.budget(LEAST.budget)
    local bot = bot_at(flood())
    local reply, pieces = assert(bot:stream("hi")), {}
    repeat
      local piece, state = reply:poll()
      pieces[#pieces + 1] = piece
      if state == "wait" then reply:wait() end
    until not piece and state ~= "wait"
    assert.equal(TEXT, table.concat(pieces))
    assert.is_true(#pieces > EVENTS / 100, "it came in only " .. #pieces .. " pieces")
    pieces = {}
    for piece in bot:stream("hi"):chunks() do pieces[#pieces + 1] = piece end
    assert.equal(TEXT, table.concat(pieces))
    assert.equal(TEXT, (bot:chat("hi")))
  end)

  it("does not hide that a stream was cut behind what is left", function()
    local server = support.serve { {
      support.head(200, { { "Content-Type", "text/event-stream" } }),
      event({ content = "x" }):rep(500),
      { close = true } } }
    chatbot.budget(LEAST.budget)
    local answer, err = bot_at(server):chat("hi")
    assert.is_nil(answer)
    assert.equal("truncated", err.kind)
    assert.equal(("x"):rep(500), err.partial)
  end)

  it("lets a short answer end while others flood", function()
    local floods, done = {}, {}
    local short = support.serve { support.sse { "all ", "of ", "it" } }
    for i = 1, 8 do
      floods[i] = assert(bot_at(flood(EVENTS * 3), { on_text = function() end }):stream("hi"))
    end
    while floods[1].text == "" do chatbot.poll(1, LEAST) end
    local reply = assert(bot_at(short, {
      on_text = function(text) done[#done + 1] = text end,
    }):stream("hi"))
    for _ = 1, 1e6 do
      if reply.status ~= "streaming" then break end
      chatbot.poll(1, LEAST)
    end
    assert.equal("complete", reply.status)
    assert.equal("all of it", table.concat(done))
    local streaming = 0
    for _, other in ipairs(floods) do
      streaming = streaming + (other.status == "streaming" and 1 or 0)
    end
    assert.equal(8, streaming, "floods that go on")
    drain()
    for _, other in ipairs(floods) do assert.equal("complete", other.status) end
  end)

  it("gives all that flood their turn", function()
    local texts = {}
    for i = 1, 12 do
      texts[i] = 0
      texts[-i] = assert(bot_at(flood(), {
        on_text = function(text) texts[i] = texts[i] + #text end,
      }):stream("hi"))
    end
    local total = #TEXT
    local first
    repeat
      chatbot.poll(1, LEAST)
      for i = 1, 12 do first = first or (texts[i] >= total and i) end
    until first
    for i = 1, 12 do
      assert.is_true(texts[i] > 0, ("stream %d starved while %d came to its end"):format(i, first))
    end
    drain()
    for i = 1, 12 do assert.equal(total, texts[i]) end
  end)
end)

describe("on_event", function()
  after_each(support.close_all)

  -- All these pieces in one write, and no end.
  local function unfinished(pieces)
    local events = {}
    for i, piece in ipairs(pieces) do events[i] = event { content = piece } end
    return support.serve { { support.head(200, { { "Content-Type", "text/event-stream" } }),
      table.concat(events), { stall = true } } }
  end

  it("is given every decoded event, before its text", function()
    local order, ids = {}, 0
    local server = support.serve { support.sse { "one ", "two" } }
    local reply = assert(bot_at(server, {
      on_event = function(chunk)
        ids = ids + (chunk.id and 1 or 0)
        local choice = chunk.choices and chunk.choices[1]
        order[#order + 1] = choice and choice.delta and choice.delta.content or nil
      end,
    }):stream("hi"))
    local answer = reply:result()
    assert.equal("one two", answer)
    assert.equal("one two", table.concat(order))
    assert.is_true(ids >= 3)
  end)

  it("of a call is called by chatbot.poll without an on_text", function()
    local n = 0
    local server = support.serve { support.sse { "a", "b", "c" } }
    local reply = assert(bot_at(server):stream("hi", { on_event = function() n = n + 1 end }))
    drain()
    assert.equal("complete", reply.status)
    assert.is_true(n >= 4)
  end)

  it("that fails ends the reply", function()
    local server = unfinished { "a", "b" }
    local bot = bot_at(server, { on_event = function() error("mine", 0) end })
    local reply = assert(bot:stream("hi"))
    local ok, message
    repeat ok, message = pcall(reply.poll, reply) until not ok or reply:is_closing()
    assert.is_false(ok)
    assert.equal("mine", message)
    assert.equal("cancelled", reply.status)
  end)

  it("may close the reply", function()
    local n, reply = 0, nil
    local server = unfinished { "a", "b", "c" }
    reply = assert(bot_at(server):stream("hi", { on_event = function()
      n = n + 1
      reply:close()
    end }))
    for _ = 1, 1000 do
      if reply:is_closing() then break end
      reply:poll()
      reply:wait(0.01)
    end
    assert.equal(1, n)
    assert.equal("cancelled", reply.status)
  end)

  it("sees the answer as it came, whatever word of it is the key", function()
    local key = "test"
    local seen = {}
    local server = support.serve { support.sse { "make " .. key } }
    local bot = bot_at(server, { api_key = key, on_event = function(chunk)
      seen[#seen + 1] = support.encode(chunk)
    end })
    assert(bot:chat("hi"))
    assert.is_true(#seen > 0)
    assert.truthy(table.concat(seen):find("make test", 1, true))
  end)
end)
