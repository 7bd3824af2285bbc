-- One thread, many conversations: nobody waits for anybody, and no resume blocks.

local chatbot = require "chatbot"
local support = require "spec.support"

local collect = require("spec.support.bots").collect

-- Answers a prompt "... number N ..." with N in several pieces.
local ECHO = { lua = [[
  local request, conn, wire = ...
  local n = request.body:match("number (%d+)")
  conn:sleep(0.8) -- until all of them are there
  conn:play(wire.sse({ "I ", "am ", "number ", n, ", ", "あ", "." }, { every = 0.02 }))
]] }

local function bot_at(server)
  return chatbot.new { base_url = server.url, model = "m", max_retries = 0, timeout = 30 }
end

-- Seconds that a resume may take. Where a tool is loaded into the process
-- (valgrind, a sanitizer), all code is slower by a factor that is not ours.
local LIMIT = os.getenv("LD_PRELOAD") and 0.05 or 0.002

local function expected(i) return ("I am number %d, あ."):format(i) end

describe("a coroutine that is resumed every 5 ms", function()
  after_each(collect)

  -- One answer of 20 tokens, one each 50 ms: the longest resume in seconds of CPU
  -- and on the clock, how many there were, and how many took longer than LIMIT on the
  -- clock.
  local function measure()
    local tokens = {}
    for i = 1, 20 do tokens[i] = "t" .. i .. " " end
    local server = support.serve { support.sse(tokens, { every = 0.05 }) }
    local bot = bot_at(server)
    local co = coroutine.create(function() return bot:chat("hello") end)
    local m, text, result = { cpu = 0, wall = 0, count = 0, over = 0 }, "", nil
    collectgarbage()
    assert(support.deadline(20, function()
      local t0, c0 = support.now(), os.clock()
      result = { coroutine.resume(co) }
      local cpu, wall = os.clock() - c0, support.now() - t0
      m.cpu, m.wall = math.max(m.cpu, cpu), math.max(m.wall, wall)
      if wall > LIMIT then m.over = m.over + 1 end
      assert.is_true(result[1], tostring(result[2]))
      if coroutine.status(co) == "dead" then return true end
      m.count = m.count + 1
      text = text .. result[2]
    end, 0.005))
    assert.equal(table.concat(tokens), text)
    assert.equal(text, result[2])
    return m
  end

  -- Other processes may take the processor away in the middle of a resume, which is
  -- not ours; to wait for any of the 20 tokens would be.
  it("takes less than 2 ms for each, and waits in none", function()
    chatbot.warmup()
    local m = measure()
    print(("\nlongest of %d resumes: %.3f ms of CPU, %.3f ms on the clock"):format(m.count,
      m.cpu * 1000, m.wall * 1000))
    assert.is_true(m.count > 100, "only " .. m.count .. " resumes")
    assert.is_true(m.cpu < LIMIT, ("%.3f ms of CPU"):format(m.cpu * 1000))
    assert.is_true(m.over < 10, m.over .. " resumes were held")
  end)
end)

describe("200 bots at once in one thread", function()
  after_each(collect)

  it("all finish, each with its own text, in coroutines", function()
    local server = support.serve { ECHO }
    local bots, text, answers = {}, {}, {}
    for i = 1, 200 do
      local bot = bot_at(server)
      text[i] = ""
      bots[i] = coroutine.create(function() return bot:chat("number " .. i) end)
    end
    local most = 0
    assert(support.deadline(30, function()
      local alive = 0
      for i, co in ipairs(bots) do
        if coroutine.status(co) ~= "dead" then
          local ok, piece, reply = coroutine.resume(co)
          assert.is_true(ok, tostring(piece))
          if coroutine.status(co) == "dead" then
            answers[i] = assert(piece, tostring(reply))
          else
            alive, text[i] = alive + 1, text[i] .. piece
          end
        end
      end
      most = math.max(most, alive)
      return alive == 0
    end))
    assert.equal(200, most)
    for i = 1, 200 do
      assert.equal(expected(i), text[i])
      assert.equal(expected(i), answers[i])
    end
    assert.equal(200, #server:requests())
  end)

  it("all finish, each with its own text, by on_text and chatbot.poll", function()
    local server = support.serve { ECHO }
    local replies, text, bots = {}, {}, {}
    for i = 1, 200 do
      text[i] = ""
      bots[i] = bot_at(server)
      replies[i] = assert(bots[i]:stream("number " .. i, { on_text = function(piece)
        text[i] = text[i] .. piece
      end }))
    end
    assert.equal(200, chatbot.poll())
    assert(support.deadline(30, function() return chatbot.poll(0.05) == 0 end, 0))
    for i = 1, 200 do
      assert.equal(expected(i), text[i])
      assert.equal("complete", replies[i].status)
      assert.equal(expected(i), bots[i]:get_messages()[2].content)
    end
  end)

  it("do not hinder each other when half of them are cancelled or fail", function()
    local server = support.serve { { lua = [[
      local request, conn, wire = ...
      local n = tonumber(request.body:match("number (%d+)"))
      if n % 4 == 1 then
        conn:play(wire.http(400, {}, { error = { message = "number " .. n } }))
      else
        conn:play(wire.sse({ "I am ", "number " .. n }, { every = 0.02 }))
      end
    ]] } }
    local replies = {}
    for i = 1, 200 do
      replies[i] = assert(bot_at(server):stream("number " .. i))
    end
    server:wait(100, 10, "request", chatbot.poll)
    for i = 2, 200, 4 do replies[i]:close() end
    for i = 1, 200 do
      local answer, err = replies[i]:result()
      if i % 4 == 1 then
        assert.equal("number " .. i, err.message)
      elseif i % 4 == 2 then
        assert.equal("cancelled", err.kind)
      else
        assert.equal("I am number " .. i, answer)
      end
    end
  end)

  -- What came in while nobody had asked is no answer, also where curl begins a request while
  -- it is at work for another stream.
  it("do not take what lies in an idle connection for an answer", function()
    local unasked = support.sse { "unasked" }
    local server = support.serve { { support.sse { "first" }, { sleep = 0.02 }, unasked,
      { stall = true } }, support.sse { "good" } }
    local busy = support.serve { {
      support.head(200, { ["Content-Type"] = "text/event-stream" }),
      { send = support.event('{"choices":[{"delta":{"content":"x"}}]}'):rep(100000),
        chunk = 3000, every = 0.0002 } } }
    local bot, other = bot_at(server), assert(bot_at(busy):stream("flood"))
    assert.equal("first", (bot:chat("one")))
    assert(busy:wait(1, 5, "request", chatbot.poll))
    support.sleep(0.1)
    while not other:poll() do other:wait(0.1) end -- there is more of it, at any time
    support.sleep(0.05)
    local answer, err = assert(bot:stream("two")):result()
    assert.equal("good", answer, tostring(err))
    other:close()
  end)
end)
