-- The engine without a descriptor of its own, as on a system that has neither
-- epoll nor kqueue: built into a directory of its own, then used in every way.

local support = require "spec.support"
local builds = require "spec.support.builds"

-- Answers with the prompt, in `n` pieces that cut its characters, some
-- milliseconds apart.
local ECHO = [[
  local request, conn, wire = ...
  local sleep = require("cqueues").sleep
  local prompt = require("cjson").decode(request.body).messages[1].content
  conn:send(wire.head(200, {
    { "Content-Type", "text/event-stream" }, { "Transfer-Encoding", "chunked" },
  }))
  if prompt == "nothing" then sleep(1.2) end
  local data = wire.event(wire.encode { choices = { { index = 0, delta = { content = prompt } } } })
  for n = 1, #data, 20 do
    conn:send(wire.chunks(data:sub(n, n + 19)))
    sleep(0.03)
  end
  conn:send(wire.chunks(wire.event(wire.encode { choices = { { index = 0, delta = {},
    finish_reason = "stop" } } }) .. wire.event("[DONE]")) .. wire.LAST_CHUNK)
]]

local own = support.interpreter():match("[^/]*$")

local HEAD = [[
  local chatbot = require "chatbot"
  local socket = require "socket"
  local function bot(wait) return chatbot.new { model = "m", base_url = URL, wait = wait } end
]]

describe("without epoll and kqueue", function()
  local dir

  setup(function()
    dir = builds.make(own, { dir = support.tmpdir(), cppflags = "-DPOLLER_PORTABLE" })
  end)

  teardown(support.remove_all)
  after_each(support.close_all)

  local function run(script)
    local server = support.serve { { { lua = ECHO } } }
    local result = support.run_lua(("local URL = %q\n"):format(server.url) .. HEAD .. script, {
      env = builds.env(own, dir),
    })
    assert.equal("", result.err)
    assert.equal(0, result.status)
    return result.out
  end

  it("there is no descriptor", function()
    assert.equal("nil\tnil\n", run [[
      local reply = assert(bot():stream("hi"))
      print(chatbot.pollfd(), reply:pollfd())
      reply:close()
    ]])
  end)

  it("chat blocks, and waits without being busy", function()
    local out = run [[
      local busy, from = os.clock(), socket.gettime()
      print((bot():chat("nothing")))
      busy = os.clock() - busy
      print(socket.gettime() - from > 1.1, busy < 0.3 or busy)
    ]]
    assert.equal("nothing\ntrue\ttrue\n", out)
  end)

  it("chunks come one after the other", function()
    assert.equal("日本語🌊", run [[
      local reply = assert(bot():stream("日本語🌊"))
      if _VERSION == "Lua 5.1" and not jit then -- what `for` would do
        local next_chunk = reply:chunks()
        local text = next_chunk()
        while text do io.write(text) text = next_chunk() end
      else
        for text in reply:chunks() do io.write(text) end
      end
    ]])
  end)

  it("fifty coroutines are driven by a frame loop", function()
    assert.equal("50\n", run [[
      local npcs, good = {}, 0
      for i = 1, 50 do
        npcs[i] = coroutine.wrap(function()
          local prompt = ("日本語 %d 🌊"):format(i)
          if bot():chat(prompt) == prompt then good = good + 1 end
          return nil
        end)
      end
      local limit = socket.gettime() + 10
      while next(npcs) and socket.gettime() < limit do
        for i, npc in pairs(npcs) do if npc() == nil then npcs[i] = nil end end
        socket.sleep(0.005)
      end
      print(good)
    ]])
  end)

  it("fifty replies with on_text are driven by timeout and poll", function()
    local out = run [[
      local texts, replies, rounds = {}, {}, 0
      for i = 1, 50 do
        texts[i] = ""
        replies[i] = assert(bot():stream(("日本語 %d 🌊"):format(i), {
          on_text = function(text) texts[i] = texts[i] .. text end,
        }))
      end
      local limit = socket.gettime() + 10
      while chatbot.poll() > 0 and socket.gettime() < limit do
        rounds = rounds + 1
        local timeout = chatbot.timeout()
        assert(timeout and timeout <= 0.01, timeout)
        socket.sleep(timeout)
      end
      local good = 0
      for i, reply in ipairs(replies) do
        if texts[i] == ("日本語 %d 🌊"):format(i) and reply.status == "complete" then
          good = good + 1
        end
      end
      print(good, rounds > 5, chatbot.timeout() == nil or chatbot.timeout() > 0.01)
    ]]
    assert.equal("50\ttrue\ttrue\n", out)
  end)

  it("poll and wait do for fifty replies at once", function()
    assert.equal("50\ttrue\n", run [[
      local replies, good, busy = {}, 0, os.clock()
      for i = 1, 50 do replies[i] = assert(bot():stream("no " .. i)) end
      local limit = socket.gettime() + 10
      while next(replies) and socket.gettime() < limit do
        for i, reply in pairs(replies) do
          local text, state = reply:poll()
          if not text and state ~= "wait" then
            if reply.text == "no " .. i then good = good + 1 end
            replies[i] = nil
          end
        end
        chatbot.poll(0.05)
      end
      print(good, os.clock() - busy < 2)
    ]])
  end)

  it("cqueues polls a reply by its timeout alone", function()
    assert.equal("2\ttrue\n", run [[
      local cqueues = require "cqueues"
      local loop, good = cqueues.new(), 0
      for _ = 1, 2 do
        loop:wrap(function()
          if bot(cqueues.poll):chat("nothing") == "nothing" then good = good + 1 end
        end)
      end
      local busy = os.clock()
      assert(loop:loop(10))
      print(good, os.clock() - busy < 0.5)
    ]])
  end)

  it("closing a reply ends its connection", function()
    local server = support.serve { { support.head(200, { { "Content-Type", "text/event-stream" } }),
      { wait_close = 5 } } }
    local result = support.run_lua(("local URL = %q\n"):format(server.url) .. HEAD .. [[
      local reply = assert(bot():stream("hi"))
      for _ = 1, 50 do reply:poll() socket.sleep(0.002) end
      reply:close()
      print(reply.status, chatbot.poll())
    ]], { env = builds.env(own, dir) })
    assert.equal("cancelled\t0\n", result.out .. result.err)
    assert.is_true((server:wait(1, 5, "peer closed")))
  end)
end)

-- Debian has no libkqueue, so that the kqueue branch cannot run here. This is no
-- more than a compiler's opinion of it, by the types that the manuals document.
local EVENT_H = [[
  #ifndef SYS_EVENT_H
  #define SYS_EVENT_H
  #include <stdint.h>
  #include <time.h>
  #define EVFILT_READ (-1)
  #define EVFILT_WRITE (-2)
  #define EVFILT_SIGNAL (-6)
  #define EVFILT_TIMER (-7)
  #define EV_ADD 1
  #define EV_DELETE 2
  #define EV_ONESHOT 16
  #define EV_ERROR 16384
  struct kevent { %s };
  #define EV_SET(kev, a, b, c, d, e, f) do { \
    struct kevent *k_ = (kev); k_->ident = (a); k_->filter = (b); k_->flags = (c); \
    k_->fflags = (d); k_->data = (e); k_->udata = (f); } while (0)
  int kqueue(void);
  int kevent(int, const struct kevent *, int, struct kevent *, int, const struct timespec *);
  #endif
]]

local KEVENTS = {
  FreeBSD = "uintptr_t ident; short filter; unsigned short flags; unsigned int fflags;"
    .. " int64_t data; void *udata; uint64_t ext[4];",
  macOS = "uintptr_t ident; int16_t filter; uint16_t flags; uint32_t fflags; intptr_t data;"
    .. " void *udata;",
  OpenBSD = "uintptr_t ident; short filter; unsigned short flags; unsigned int fflags;"
    .. " int64_t data; void *udata;",
}

describe("with kqueue", function()
  after_each(support.remove_all)

  for system, fields in pairs(KEVENTS) do
    for _, compiler in ipairs { "gcc", "clang" } do
      it(("the poller is without a warning of %s by the types of %s"):format(compiler, system),
        function()
          local dir = support.tmpdir()
          os.execute("mkdir " .. dir .. "/sys")
          support.write_file(dir .. "/sys/event.h", EVENT_H:format(fields))
          local child = support.spawn(compiler
            .. " -std=c11 -D_GNU_SOURCE -DPOLLER_KQUEUE -isystem " .. dir
            .. " -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Werror"
            .. " -fsyntax-only -Isrc src/engine/poller.c")
          local status = child:wait(30)
          local out, err = child:output()
          child:close()
          assert.equal("", out .. err)
          assert.equal(0, status)
        end)
    end
  end
end)
