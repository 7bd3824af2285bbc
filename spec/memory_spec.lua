-- What is kept and what is not, counted with the collector stopped: a byte is a byte.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local resident = require("spec.support.process").resident
local support = require "spec.support"

local bot_at = bots.at

local function collect()
  for _ = 1, 4 do collectgarbage() end
end

-- Bytes that `f` allocates on Lua's side; it runs once before, for what is made once.
local function allocated(f)
  f()
  collect()
  collectgarbage("stop")
  f() -- Lua 5.2 makes the frames of nested calls anew, which a collection has freed
  local before = collectgarbage("count")
  f()
  local after = collectgarbage("count")
  collectgarbage("restart")
  return (after - before) * 1024
end

-- Bytes that are kept of each of `n` calls of `make`.
local function kept(n, make)
  local list = { make(0) }
  for i = 2, n + 1 do list[i] = false end
  collect()
  local before = collectgarbage("count")
  for i = 1, n do list[i + 1] = make(i) end
  collect()
  return (collectgarbage("count") - before) * 1024 / n, list
end

describe("memory", function()
  after_each(function()
    support.close_all()
    collect()
  end)

  -- An interpreter that traces its code allocates for that, once.
  local NONE = jit and 4096 or 0

  it("is not allocated by a poll that returns nothing", function()
    local server = support.serve { { support.head(200, {
      { "Content-Type", "text/event-stream" } }), { stall = true } } }
    local reply = assert(bot_at(server):stream("hi"))
    for _ = 1, 20 do reply:wait(0.01) end
    local function polls()
      for _ = 1, 1000 do
        reply:poll()
        chatbot.poll(0)
      end
    end
    assert.is_true(allocated(polls) <= NONE)
    reply:close()
  end)

  it("is not allocated by polls with a table of options that is kept", function()
    local opts = { budget = 0.5 }
    assert.is_true(allocated(function()
      for _ = 1, 1000 do chatbot.poll(0, opts) end
    end) <= NONE)
  end)

  it("of a text that is handed out is the string", function()
    local server = support.serve { support.sse({ ("x"):rep(1000) }) }
    local reply = assert(bot_at(server):stream("hi"))
    for _ = 1, 1000 do
      if reply.status ~= "streaming" then break end
      reply:wait(0.01)
      collect()
      collectgarbage("stop")
      local before = collectgarbage("count")
      local text = reply:poll()
      local bytes = (collectgarbage("count") - before) * 1024
      collectgarbage("restart")
      if text then
        -- the string, and what the end of the answer leaves when it came along
        assert.is_true(bytes < #text + 100 or reply.status == "complete", bytes)
      end
    end
    assert.equal("complete", reply.status)
  end)

  it("of an idle bot is less than 2 KiB beside its messages", function()
    local bytes = kept(200, function()
      return chatbot.new { model = "gpt-4.1", api_key = "k", system = "Be brief." }
    end)
    assert.is_true(bytes < 2048, bytes)
  end)

  it("of a bot that has answered is less than 2 KiB more than its messages", function()
    local server = support.serve { support.sse { "ok" } }
    local bytes = kept(50, function()
      local bot = bot_at(server)
      assert(bot:chat("hi"))
      return bot
    end)
    assert.is_true(bytes < 2048 + 800, bytes) -- two messages are tables of two fields
  end)

  it("of a finished reply is its text and fields", function()
    local text = ("word "):rep(4000)
    local server = support.serve { support.sse { text } }
    local bytes, list = kept(20, function()
      local _, reply = assert(bot_at(server):chat("hi"))
      return reply
    end)
    assert.equal(text, list[2].text)
    -- the string that the message holds, once; the bot and its messages beside it
    assert.is_true(bytes < #text + 6144, bytes)
  end)

  it("of the process does not grow by what finished replies had buffered", function()
    if not resident() then return pending("the system does not tell") end
    local list, words = {}, {}
    for i = 1, 2000 do words[i] = "word " end
    local server = support.serve { support.sse(words) }
    for i = 1, 5 do list[i] = select(2, assert(bot_at(server):chat("hi"))) end
    collect()
    local before = resident()
    for i = 6, 105 do list[i] = select(2, assert(bot_at(server):chat("hi"))) end
    collect()
    assert.equal(105, #list)
    -- 10 kB of text in the reply, 10 kB in the message, and room to double
    local each = (resident() - before) / 100
    assert.is_true(each < 64, each .. " KiB a reply")
  end)

  it("is flat over a long session", function()
    local server = support.serve { support.sse { "a ", "b ", "c" } }
    local bot = bot_at(server)
    local function turns(n)
      for _ = 1, n do
        assert(bot:chat("hi"))
        bot:reset()
      end
      collect()
    end
    turns(50)
    local lua, process = collectgarbage("count"), resident()
    turns(400)
    assert.is_true(collectgarbage("count") - lua < 4, collectgarbage("count") - lua)
    if process then assert.is_true(resident() - process < 2048, resident() - process) end
  end)

  it("is flat over replies that are lost, closed and failed", function()
    local server = support.serve { { support.head(200, {
      { "Content-Type", "text/event-stream" } }), { stall = true } } }
    local function round(n)
      for i = 1, n do
        local bot = bot_at(server)
        local reply = assert(bot:stream("hi"))
        reply:wait(0.005)
        if i % 2 == 0 then reply:close() end
      end
      collect()
      for _ = 1, 10 do chatbot.poll(0.001) end
      collect()
    end
    round(30)
    local lua, process = collectgarbage("count"), resident()
    round(150)
    assert.is_true(collectgarbage("count") - lua < 4, collectgarbage("count") - lua)
    if process then assert.is_true(resident() - process < 3072, resident() - process) end
  end)
end)
