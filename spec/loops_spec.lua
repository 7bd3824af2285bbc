-- The examples for event loops, each run as a program of its own under every
-- Lua that Debian packs its library for, and what they rest on: that a reply can
-- be polled in cqueues, by many coroutines at once.

local support = require "spec.support"
local builds = require "spec.support.builds"

-- Each answer takes a third of a second, so that two at once are seen to be.
local ANSWER = [[
  local request, conn, wire = ...
  local body = require("cjson").decode(request.body)
  local name = body.messages[1].content:match("rivers") and "bob" or "ann"
  local sleep = require("cqueues").sleep
  conn:send(wire.head(200, {
    { "Content-Type", "text/event-stream" }, { "Transfer-Encoding", "chunked" },
  }))
  for i = 1, 10 do
    sleep(0.03)
    local data = wire.event(wire.encode { choices = { { index = 0, delta = {
      content = ("%s-%d→🌊 "):format(name, i) } } } })
    for n = 1, #data, 40 do conn:send(wire.chunks(data:sub(n, n + 39))) end
  end
  conn:send(wire.chunks(wire.event(wire.encode { choices = { { index = 0, delta = {},
    finish_reason = "stop" } } }) .. wire.event("[DONE]")) .. wire.LAST_CHUNK)
]]

local function answer_of(name)
  local parts = {}
  for i = 1, 10 do parts[i] = ("%s-%d→🌊 "):format(name, i) end
  return table.concat(parts)
end

-- Example -> the module of its library.
local LOOPS = { luv = "luv", cqueues = "cqueues", copas = "copas", glib = "lgi" }
local LUAS = { "lua5.1", "lua5.2", "lua5.3", "lua5.4", "lua5.5", "luajit" }

-- All of them where the suite runs on 5.4, elsewhere that one Lua.
local own = support.interpreter():match("[^/]*$")

local function concerns(lua)
  return own == "lua5.4" or own == lua
end

describe("the example for", function()
  after_each(function()
    support.close_all()
    collectgarbage()
  end)

  for name, library in pairs(LOOPS) do
    for _, lua in ipairs(LUAS) do
      if concerns(lua) then
        local what = "%s runs two chats at once under %s, and the loop goes on"
        it(what:format(name, lua), function()
          local lacks = builds.lacks(lua, library)
          if lacks then return pending(lacks) end
          local server = support.serve { { { lua = ANSWER } } }
          local env = builds.env(lua)
          env.BASE_URL = server.url
          local script = assert(support.read_file("examples/" .. name .. ".lua"))
          local result = support.run_lua(script, { lua = lua, env = env })
          assert.equal("", result.err, library)
          assert.equal(0, result.status)
          for _, who in ipairs { "ann", "bob" } do
            local all, chunks, parts = nil, 0, {}
            for line in result.out:gmatch("[^\n]+") do
              local text = line:match("^" .. who .. "\t(.*)$")
              if text and text:find("^said all: ") then
                all = text:sub(11)
              elseif text then
                chunks = chunks + 1
                parts[chunks] = text
              end
            end
            assert.equal(answer_of(who), all)
            assert.equal(answer_of(who), table.concat(parts))
            assert.is_true(chunks >= 5, who .. " came in only " .. chunks .. " chunks")
          end
          -- both under way at once: the second asked before the first was answered
          local requests = server:requests()
          assert.equal(2, #requests)
          assert.is_true(math.abs(requests[1].at - requests[2].at) < 0.2, "one after the other")
          local ticks = tonumber(result.out:match("\nticks\t(%d+)"))
          assert.is_true(ticks >= 10, "the loop ticked only " .. ticks .. " times")
          print(("  %s, %s: %d ticks of 10 ms"):format(name, lua, ticks))
        end)
      end
    end
  end
end)

-- Under the interpreter of the suite, as all other specs.
local function run(script, url)
  local result = support.run_lua([[
    local chatbot, cqueues = require "chatbot", require "cqueues"
    local url = ...
    local function bot(wait) -- its clocks are far away
      return chatbot.new { model = "m", base_url = url, wait = wait, connect_timeout = 1000 }
    end
    local loop = cqueues.new()
    local function go() assert(loop:loop(10)) assert(loop:empty(), "it hangs") end
  ]] .. script, { args = { url } })
  assert.equal("", result.err)
  assert.equal(0, result.status)
  return result.out
end

-- A server that says nothing to who asks for silence, and to others a piece every
-- `gap` seconds; both streams stay open.
local function speak(list, gap)
  local steps = { { lua = [[
    local request, conn = ...
    if request.body:find("silence") then conn:play { { stall = true } } end
  ]] }, support.head(200, { { "Content-Type", "text/event-stream" },
    { "Transfer-Encoding", "chunked" } }) }
  for _, text in ipairs(list) do
    steps[#steps + 1] = { sleep = gap }
    steps[#steps + 1] = support.chunks(support.event(support.encode { choices = { { index = 0,
      delta = { content = text } } } }))
  end
  steps[#steps + 1] = { stall = true }
  return support.serve { steps }
end

describe("in cqueues", function()
  after_each(function()
    support.close_all()
    collectgarbage()
  end)

  it("a reply is polled as it is", function()
    local server = support.serve { { { lua = ANSWER } } }
    assert.equal(answer_of("ann") .. "\ncomplete\n", run([[
      loop:wrap(function()
        local reply = assert(bot():stream("hi"))
        while reply.status == "streaming" do
          local text, state = reply:poll()
          if text then io.write(text) elseif state == "wait" then cqueues.poll(reply) end
        end
        print("\n" .. reply.status)
      end)
      go()
    ]], server.url))
  end)

  it("twenty coroutines share the one descriptor", function()
    local server = support.serve { { { lua = ANSWER } } }
    local out = run(([[
      local good, ticks, left = 0, 0, 20
      for _ = 1, left do
        loop:wrap(function()
          local text, reply = bot(cqueues.poll):chat("hi")
          if text and #text == %d and reply.status == "complete" then good = good + 1 end
          left = left - 1
        end)
      end
      loop:wrap(function()
        while left > 0 do cqueues.sleep(0.01) ticks = ticks + 1 end
      end)
      local from = cqueues.monotime()
      go()
      print(good, ticks > 10, cqueues.monotime() - from < 3)
    ]]):format(#answer_of("ann")), server.url)
    assert.equal("20\ttrue\ttrue\n", out)
  end)

  -- What one reply's poll reads from the sockets may belong to another, whose
  -- coroutine already waits: nothing is left on the sockets to wake it.
  it("a coroutine wakes although another has read what it waits for", function()
    local server = speak({ "early", "late" }, 0.8)
    local out = run([[
      local first = assert(bot():stream("hi"))
      local second = assert(bot():stream("silence"))
      while not first:poll() do first:wait(0.1) end
      while chatbot.timeout() < 10 do first:wait(0.01) end -- no timer is to wake it by chance
      local from = cqueues.monotime()
      loop:wrap(function()
        assert(select(2, first:poll()) == "wait")
        repeat cqueues.poll(first) local text = first:poll() until text
        print(cqueues.monotime() - from < 3, first.text)
        first:close()
        second:close()
      end)
      loop:wrap(function()
        cqueues.sleep(0.05) -- the other waits now
        local limit = cqueues.monotime() + 1
        repeat second:wait(0.05) until cqueues.monotime() > limit
        assert(select(2, second:poll()) == "wait")
      end)
      go()
    ]], server.url)
    assert.equal("true\tearlylate\n", out)
  end)

  it("a reply that nobody reads does not keep the others' coroutines busy", function()
    local server = speak({ "unread" }, 0.05)
    local out = run([[
      local unread = assert(bot():stream("hi"))
      assert(select(2, unread:poll()) == "wait")
      local second, rounds = assert(bot():stream("silence")), 0
      loop:wrap(function()
        local limit = cqueues.monotime() + 3
        while cqueues.monotime() < limit do
          assert(select(2, second:poll()) == "wait")
          cqueues.poll(second, 0.5)
          if limit - cqueues.monotime() < 1.5 then rounds = rounds + 1 end
        end
      end)
      go()
      print(rounds < 30, (unread:poll()))
    ]], server.url)
    assert.equal("true\tunread\n", out)
  end)

  -- lua-http's own files for 5.4 are found as the offline server finds them.
  it("lua-http serves and asks in the same loop", function()
    local out = run([[
      assert(require("chatbot.offline").available())
      local headers = require "http.headers"
      local server = assert(require("http.server").listen {
        host = "127.0.0.1", port = 0, tls = false, version = 1.1,
        onstream = function(_, stream)
          assert(stream:get_headers(5))
          local head = headers.new()
          head:append(":status", "200")
          head:append("content-type", "text/event-stream")
          stream:write_headers(head, false, 5)
          for i = 1, 5 do
            cqueues.sleep(0.02)
            stream:write_chunk(('data: {"choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n')
              :format(i), false, 5)
          end
          stream:write_chunk("data: [DONE]\n\n", true, 5)
        end,
      })
      assert(server:listen(5))
      local _, _, port = server:localname()
      url = ("http://127.0.0.1:%d/v1"):format(port)
      loop:wrap(function() server:loop() end)
      local left = 3
      for _ = 1, 2 do
        loop:wrap(function()
          print("bot", (assert(bot(cqueues.poll):chat("hi"))))
          left = left - 1
        end)
      end
      loop:wrap(function()
        local _, stream = assert(require("http.request").new_from_uri(url):go(5))
        print("http", #stream:get_body_as_string(5) > 100)
        left = left - 1
      end)
      local limit = cqueues.monotime() + 10
      while left > 0 and cqueues.monotime() < limit do assert(loop:step(1)) end
    ]], "")
    local lines = {}
    for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ "bot\t12345", "bot\t12345", "http\ttrue" }, lines)
  end)
end)
