-- Several replies at once: chatbot.all and chatbot.race.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local collect = bots.collect

local sse = support.sse

local function stream(script, opts, call)
  local all = { base_url = support.serve({ script }).url, model = "m", max_retries = 0,
    timeout = 20 }
  for name, value in pairs(opts or {}) do all[name] = value end
  return assert(chatbot.new(all):stream("x", call))
end

local function after(seconds, text)
  return sse { { step = { sleep = seconds } }, text }
end

-- Runs fn in a coroutine that a host resumes, and counts the turns.
local function hosted(fn)
  local thread, turns, limit = coroutine.create(fn), 0, support.now() + 10
  local values
  repeat
    values = { coroutine.resume(thread) }
    assert(values[1], values[2])
    assert(support.now() < limit, "it does not end")
    turns = turns + 1
    support.sleep(0.001)
  until coroutine.status(thread) == "dead"
  return turns, values[2], values[3], values[4]
end

describe("chatbot.all", function()
  after_each(collect)

  it("waits for all, side by side, and keeps their order", function()
    local t0 = support.now()
    local a, b, c = stream(after(0.3, "A")), stream(after(0.1, "B")),
      stream(support.http(401, {}, { error = { message = "No." } }))
    local results = chatbot.all { a, b, c }
    local took = support.now() - t0
    assert.equal(3, #results)
    assert.equal("A", results[1].answer)
    assert.equal(a, results[1].reply)
    assert.is_nil(results[1].err)
    assert.equal("B", results[2].answer)
    assert.is_nil(results[3].answer)
    assert.equal(401, results[3].err.status)
    assert.equal(c, results[3].reply)
    assert.is_true(took >= 0.28 and took < 2, "took " .. took)
  end)

  it("gives way to the host in a coroutine", function()
    local turns, results = hosted(function()
      return chatbot.all { stream(after(0.05, "A")), stream(after(0.1, "B")) }
    end)
    assert.equal("A", results[1].answer)
    assert.equal("B", results[2].answer)
    assert.is_true(turns > 5, turns .. " turns")
  end)

  it("waits as a scheduler wants it", function()
    local ok, cqueues = pcall(require, "cqueues")
    if not ok then return pending("there is no cqueues for this Lua") end
    local loop, ticks, results = cqueues.new(), 0, nil
    loop:wrap(function()
      results = chatbot.all { stream(after(0.05, "A"), { wait = cqueues.poll }),
        stream(after(0.1, "B"), { wait = cqueues.poll }) }
    end)
    loop:wrap(function()
      while not results and ticks < 1000 do
        ticks = ticks + 1
        cqueues.sleep(0.005)
      end
    end)
    assert(loop:loop())
    assert.equal("B", results[2].answer)
    assert.is_true(ticks > 5)
  end)

  it("runs tools, checks JSON, and calls on_text meanwhile", function()
    local call = { index = 0, id = "c", type = "function",
      ["function"] = { name = "f", arguments = "{}" } }
    local server = support.serve { sse({ { tool_calls = { call } } },
      { finish_reason = "tool_calls" }), sse { "Tool." } }
    local bot = chatbot.new { base_url = server.url, model = "m", tools = { { name = "f",
      call = function() return "r" end } } }
    local texts = {}
    local results = chatbot.all { assert(bot:stream("x")), stream(sse { "no" }, nil,
      { json = true }), stream(sse { "text" }, nil, { on_text = function(text)
      texts[#texts + 1] = text
    end }) }
    assert.equal("Tool.", results[1].answer)
    assert.equal("protocol", results[2].err.kind)
    assert.equal("text", results[3].answer)
    assert.equal("text", table.concat(texts))
  end)

  it("of none, and of those that have ended, returns at once", function()
    assert.same({}, chatbot.all {})
    local reply = stream(sse { "A" })
    reply:result()
    assert.equal("A", chatbot.all({ reply })[1].answer)
    local closed = stream { { stall = true } }
    closed:close()
    assert.equal("cancelled", chatbot.all({ closed })[1].err.kind)
  end)

  it("holds a hundred", function()
    local server = support.serve { sse { "ok" } }
    local replies = {}
    for i = 1, 100 do
      replies[i] = assert(chatbot.new({ base_url = server.url, model = "m" }):stream("x"))
    end
    for _, result in ipairs(chatbot.all(replies)) do assert.equal("ok", result.answer) end
  end)

  it("raises for what is no reply, such as an error in its place", function()
    local bot = chatbot.new { base_url = support.serve({ sse { "A" } }).url, model = "m" }
    for name, list in pairs { nothing = { false }, failed = { (bot:stream("x")), bot:stream("") },
      bot = { bot } } do
      local ok, err = pcall(chatbot.all, list)
      assert.is_false(ok, name)
      assert.truthy(tostring(err):find("reply", 1, true), tostring(err))
    end
    assert.is_false(pcall(chatbot.race, { {} }))
  end)
end)

describe("chatbot.race", function()
  after_each(collect)

  it("returns the first that has ended; the others go on", function()
    local slow, fast = stream(after(0.5, "slow")), stream(after(0.05, "fast"))
    local t0 = support.now()
    local index, answer, reply = chatbot.race { slow, fast }
    local took = support.now() - t0
    assert.equal(2, index)
    assert.equal("fast", answer)
    assert.equal(fast, reply)
    assert.is_true(took < 0.4, "took " .. took)
    assert.equal("streaming", slow.status)
    assert.equal("slow", slow:result())
  end)

  it("counts a failure as an end", function()
    local slow = stream { { stall = true } }
    local index, answer, err = chatbot.race { slow, stream(support.http(401)) }
    assert.equal(2, index)
    assert.is_nil(answer)
    assert.equal(401, err.status)
    slow:close()
  end)

  it("gives way to the host in a coroutine", function()
    local slow
    local turns, index, answer = hosted(function()
      slow = stream { { stall = true } }
      return chatbot.race { slow, stream(after(0.05, "B")) }
    end)
    assert.equal(2, index)
    assert.equal("B", answer)
    assert.is_true(turns > 5)
    slow:close()
  end)

  it("of none has no winner", function()
    assert.is_nil(chatbot.race {})
  end)
end)
