-- Neovim, the real one: headless children with this directory on 'runtimepath' and
-- nothing else, talking to the scripted server.
--
-- A child runs a piece of Lua that ends with `finish()`; what it gave to `record`
-- comes back as a table. It ends by itself after some seconds, whatever happens.

local json = require "cjson"
local builds = require "spec.support.builds"
local support = require "spec.support"

local ROOT = support.absolute("Makefile"):match("^(.*)/")
local NOWHERE = "/nonexistent/?.so"

local PREAMBLE = [[
  given = vim.json.decode(os.getenv("GIVEN"))
  uv = vim.uv or vim.loop
  local recorded = {}
  function record(name, value) recorded[name] = value end
  function finish()
    if not recorded then return end
    local file = assert(io.open(os.getenv("RESULT"), "wb"))
    file:write(vim.json.encode(recorded))
    file:close()
    recorded = nil
    vim.schedule(function() vim.cmd("qa!") end)
  end
  vim.defer_fn(function()
    if not recorded then return end
    record("timeout", true)
    finish()
  end, given.limit)
  -- How many descriptors are watched now, by handles that Lua made.
  local new_poll, polls = uv.new_poll, {}
  function uv.new_poll(fd)
    polls[#polls + 1] = new_poll(fd)
    return polls[#polls]
  end
  function watched()
    local count = 0
    for _, poll in ipairs(polls) do
      if not poll:is_closing() and poll:is_active() then count = count + 1 end
    end
    return count, #polls
  end
  function new_bot(options)
    options = vim.tbl_extend("force", { base_url = given.url, model = "m", timeout = 15,
      max_retries = 0, ca_file = given.ca_file }, options or {})
    return require("chatbot").new(options)
  end
  local ok, message = xpcall(dofile, debug.traceback, os.getenv("SCRIPT"))
  if not ok then
    record("error", message)
    finish()
  end
]]

-- Variables under which a key or another module could get in.
local CLEAN = { LUA_PATH = false, LUA_INIT = false, http_proxy = false, https_proxy = false,
  VIMINIT = false, NVIM_LISTEN_ADDRESS = false, NVIM = false, VIM = false, VIMRUNTIME = false,
  MYVIMRC = false, LD_PRELOAD = false, OPENAI_BASE_URL = false }
for _, row in ipairs(require "chatbot.providers") do
  for _, name in ipairs(row.api_key_env or {}) do CLEAN[name] = false end
end

-- The environment of a child that finds nothing of its user's.
local function isolated(more)
  local dir = support.tmpdir()
  local env = { HOME = dir, XDG_CONFIG_HOME = dir, XDG_DATA_HOME = dir, XDG_CACHE_HOME = dir,
    XDG_STATE_HOME = dir, XDG_RUNTIME_DIR = dir, TERM = "dumb" }
  for name, value in pairs(CLEAN) do env[name] = value end
  for name, value in pairs(more) do env[name] = value end
  return env, dir
end

-- Starts a child. opts: given (its table of that name), env, flags, limit (seconds).
local function start(script, opts)
  opts = opts or {}
  local given = { limit = (opts.limit or 15) * 1000 }
  for name, value in pairs(opts.given or {}) do given[name] = value end
  local env, dir = isolated { GIVEN = json.encode(given), LUA_CPATH = NOWHERE }
  env.RESULT, env.SCRIPT = dir .. "/result", dir .. "/script.lua"
  for name, value in pairs(opts.env or {}) do env[name] = value end
  support.write_file(dir .. "/preamble.lua", PREAMBLE)
  support.write_file(dir .. "/script.lua", script)
  local child = support.spawn(("nvim --headless %s -i NONE --cmd 'set rtp+=%s' -c 'luafile %s'")
    :format(opts.flags or "-u NONE", ROOT, dir .. "/preamble.lua"), { env = env, cwd = dir })
  child.result = dir .. "/result"
  return child
end

-- Runs a child to its end: what it recorded, with `output`.
local function run(script, opts)
  local child = start(script, opts)
  local status = child:wait((opts and opts.limit or 15) + 10)
  local out, err = child:output()
  child:close()
  local text = support.read_file(child.result)
  assert(text, "the child recorded nothing: " .. out .. err)
  local result = json.decode(text)
  assert.is_nil(result.error, tostring(result.error) .. err)
  assert.is_nil(result.timeout, "the child did not finish: " .. out .. err)
  assert.equal(0, status, out .. err)
  result.output = out .. err
  return result
end

local function tokens(n)
  local list = {}
  for i = 1, n do list[i] = ("token%d "):format(i) end
  return list, table.concat(list)
end

-- A stream that stops without an end, until the client leaves.
local function halted(...)
  return { support.sse({ ... }, { finish_reason = false, done = false, cut = true }),
    { wait_close = 10 } }
end

local function say(...)
  io.stderr:write("\n  Neovim: " .. string.format(...) .. "\n")
end

-- Makes what `make nvim` makes, once.
local function make(arguments)
  local child = support.spawn("make -s --no-print-directory " .. arguments, { cwd = ROOT,
    env = { MAKEFLAGS = false, MAKELEVEL = false, MFLAGS = false, LUA = false, BUILD = false,
      SANITIZE = false, LD_PRELOAD = false } })
  local status = child:wait(120)
  local out, err = child:output()
  child:close()
  assert(status == 0, out .. err)
end

describe("in Neovim", function()
  setup(function() make("nvim") end)

  after_each(function()
    support.close_all()
    support.remove_all()
  end)

  describe("the module", function()
    it("is found on 'runtimepath', with the binary that `make nvim` made", function()
      local result = run([[
        record("version", require("chatbot")._VERSION)
        record("core", vim.api.nvim_get_runtime_file("lua/chatbot/core.so", false))
        record("cjson", package.loaded.cjson ~= nil)
        record("abi", jit and jit.version or _VERSION)
        finish()
      ]])
      assert.truthy(result.version:find("^chatbot %d"))
      assert.same({ ROOT .. "/lua/chatbot/core.so" }, result.core)
      assert.is_false(result.cjson)
    end)

    -- The same cases as under any Lua; of payload_spec.lua all but those that take minutes.
    for _, name in ipairs { "json", "encoded", "payload", "structured", "tools", "save", "wire" } do
      it("passes spec/" .. name .. "_spec.lua, with vim.json", function()
        local child = support.spawn("nvim --headless -u NONE -i NONE "
          .. "-c 'luafile spec/support/nvim.lua'", { cwd = ROOT, env = isolated {
            SPECS = "spec/" .. name .. "_spec.lua --filter-out=any.JSON.value",
            LUA_PATH = ("%s/lua/?.lua;%s/lua/?/init.lua;;"):format(ROOT, ROOT),
            LUA_CPATH = ROOT .. "/build/nvim/?.so;;",
          } })
        local status = child:wait(300)
        local out, err = child:output()
        child:close()
        assert.equal(0, status, out .. err)
        local passed = tonumber(out:match("(%d+) success"))
        assert.is_true(passed ~= nil and passed > 5, out .. err)
        say("%d tests of %s_spec.lua", passed, name)
      end)
    end

    it("takes vim.NIL for null", function()
      local result = run([[
        local core = require "chatbot.core"
        record("null", core.json_encode { vim.NIL, x = nil })
        record("cjson", package.loaded.cjson ~= nil)
        finish()
      ]])
      assert.equal("[null]", result.null)
      assert.is_false(result.cjson)
    end)

    it("does with a vim.json that has neither `new` nor options", function()
      local result = run([[
        vim.json = { encode = vim.json.encode, decode = vim.json.decode }
        local core = require "chatbot.core"
        record("null", core.json_decode('{"a":null}').a == nil)
        record("empty", core.json_encode { properties = {}, required = core.array {} })
        finish()
      ]])
      assert.is_true(result.null)
      assert.same({ properties = {}, required = {} }, json.decode(result.empty))
      assert.truthy(result.empty:find('"properties":{}', 1, true))
      assert.truthy(result.empty:find('"required":[]', 1, true))
    end)

    -- lua-cjson exports functions that have names of Neovim's own. It works there only
    -- while both have the same strbuf_t, which had another shape when there was
    -- strbuf_append_fmt; Debian's has it still.
    for name, cpath in pairs {
      ["by itself"] = NOWHERE,
      ["beside the lua-cjson of another plugin"] = ";;",
    } do
      it("sends and receives 200 kB " .. name, function()
        local prompt = ("\"\\\n\230\151\165"):rep(33400)
        local server = support.serve { support.sse({ prompt }, { usage = true }) }
        local result = run([[
          record("cjson", (pcall(require, "cjson")))
          local ffi = require "ffi"
          ffi.cdef "int strbuf_append_fmt();"
          local works = pcall(function() return ffi.C.strbuf_append_fmt end)
          local other = works and package.loaded.cjson
          local prompt = ("\"\\\n\230\151\165"):rep(33400)
          for _ = 1, 3 do
            if other then assert(other.decode(other.encode({ prompt }))[1] == prompt) end
            local answer, reply = new_bot():chat(prompt .. "!")
            assert(answer, tostring(reply))
            record("same", answer == prompt)
          end
          finish()
        ]], { given = { url = server.url }, env = { LUA_CPATH = cpath } })
        assert.equal(cpath == ";;", result.cjson)
        assert.is_true(result.same)
        assert.equal(prompt .. "!", server:requests()[3].json.messages[1].content)
      end)
    end
  end)

  describe("stream", function()
    it("calls back in the main loop, with all of vim.api", function()
      local server = support.serve { support.sse({ "Hel", "lo, ", "wor", "ld" },
        { usage = true, every = 0.03 }) }
      local result = run([[
        local fast, text = {}, {}
        local reply
        reply = require("chatbot.nvim").stream(new_bot(), "hi", {
          on_text = function(piece, same)
            fast[#fast + 1] = vim.in_fast_event()
            text[#text + 1] = piece
            assert(same == reply)
            vim.api.nvim_buf_set_lines(0, -1, -1, true, { piece })
          end,
          on_done = function(answer, same)
            assert(same == reply)
            vim.cmd("normal! gg")
            record("answer", answer)
            record("text", table.concat(text))
            record("fast", vim.tbl_contains(fast, true) or vim.in_fast_event())
            record("lines", vim.api.nvim_buf_line_count(0))
            record("tokens", reply.usage.total_tokens)
            vim.defer_fn(function()
              record("polls", watched())
              finish()
            end, 50)
          end,
          on_error = function(err) error(tostring(err)) end,
          max_tokens = 7,
        })
        record("status", reply.status)
      ]], { given = { url = server.url } })
      assert.equal("Hello, world", result.answer)
      assert.equal("Hello, world", result.text)
      assert.is_false(result.fast)
      assert.equal("streaming", result.status)
      assert.is_true(result.lines > 2)
      assert.truthy(result.tokens)
      assert.equal(0, result.polls)
      assert.equal(7, server:requests()[1].json.max_tokens)
    end)

    it("can be started in a fast context", function()
      local server = support.serve { support.sse { "Hello" } }
      local result = run([[
        local bot, nvim = new_bot(), require "chatbot.nvim"
        uv.new_timer():start(1, 0, function()
          record("fast", vim.in_fast_event())
          nvim.stream(bot, "hi", { on_done = function(answer)
            record("answer", answer)
            finish()
          end })
        end)
      ]], { given = { url = server.url } })
      assert.is_true(result.fast)
      assert.equal("Hello", result.answer)
    end)

    it("watches one descriptor for all replies, from the first to the last", function()
      local server = support.serve { support.sse({ "a", "b", "c" }, { every = 0.05 }) }
      local result = run([[
        local nvim, left, most = require "chatbot.nvim", 5, 0
        record("before", watched())
        uv.new_timer():start(2, 2, function() most = math.max(most, (watched())) end)
        local function ended()
          left = left - 1
          if left > 0 then return end
          record("most", most)
          vim.schedule(function()
            local now, made = watched()
            record("after", now)
            record("made", made)
            finish()
          end)
        end
        for _ = 1, left do
          nvim.stream(new_bot(), "hi", { on_done = ended, on_error = error })
        end
      ]], { given = { url = server.url } })
      assert.equal(0, result.before)
      assert.equal(1, result.most)
      assert.equal(0, result.after)
      assert.equal(1, result.made)
    end)

    it("gives a whole answer, or none, as it comes", function()
      local server = support.serve { support.json_completion("Hello"),
        support.sse { "" } }
      local result = run([[
        local nvim, texts = require "chatbot.nvim", {}
        nvim.stream(new_bot(), "hi", { stream = false,
          on_text = function(text) texts[#texts + 1] = text end,
          on_done = function(answer)
            record("whole", answer)
            record("texts", texts)
            nvim.stream(new_bot(), "hi", {
              on_text = function(text) texts[#texts + 1] = text end,
              on_done = function(none)
                record("none", none)
                record("count", #texts)
                finish()
              end,
            })
          end,
        })
      ]], { given = { url = server.url } })
      assert.equal("Hello", result.whole)
      assert.same({ "Hello" }, result.texts)
      assert.equal("", result.none)
      assert.equal(1, result.count)
    end)

    it("runs tools and goes on with their results", function()
      local server = support.serve {
        support.json_completion("", { finish_reason = "tool_calls", message = { tool_calls = { {
          id = "c1", type = "function", ["function"] = { name = "line", arguments = '{"n":1}' },
        } } } }),
        support.sse { "It says ", "hello." },
      }
      local result = run([[
        vim.api.nvim_buf_set_lines(0, 0, -1, true, { "hello" })
        local ends = 0
        require("chatbot.nvim").stream(new_bot(), "What is in line 1?", {
          tools = { { name = "line", call = function(args)
            return vim.api.nvim_buf_get_lines(0, args.n - 1, args.n, true)[1]
          end } },
          on_text = function() end,
          on_error = function(err) error(tostring(err)) end,
          on_done = function(answer)
            record("answer", answer)
            ends = ends + 1
            record("ends", ends)
            vim.defer_fn(finish, 50)
          end,
        })
      ]], { given = { url = server.url } })
      assert.equal("It says hello.", result.answer)
      assert.equal(1, result.ends)
      local messages = server:requests()[2].json.messages
      assert.equal("hello", messages[#messages].content)
    end)

    for name, body in pairs {
      yields = [[
        local done = false
        vim.defer_fn(function() done = true end, 100)
        repeat coroutine.yield() until done
        return "late"
      ]],
      ["returns a function"] = [[
        return function(done) vim.defer_fn(function() done("late") end, 100) end
      ]],
    } do
      it("a tool that " .. name .. " goes on without delay", function()
        local server = support.serve {
          support.json_completion("", { finish_reason = "tool_calls", message = { tool_calls = { {
            id = "c1", type = "function", ["function"] = { name = "slow", arguments = "{}" },
          } } } }),
          support.sse { "Done." },
        }
        local result = run(([[
          local from = vim.loop.hrtime()
          require("chatbot.nvim").stream(new_bot(), "hi", {
            tools = { { name = "slow", call = function() %s end } },
            on_text = function() end,
            on_error = function(err) error(tostring(err)) end,
            on_done = function(answer)
              record("answer", answer)
              record("ms", (vim.loop.hrtime() - from) / 1e6)
              finish()
            end,
          })
        ]]):format(body), { given = { url = server.url } })
        assert.equal("Done.", result.answer)
        assert.equal("late", server:requests()[2].json.messages[3].content)
        -- the heartbeat, which looks at everything, is a second
        assert.is_true(result.ms < 900, result.ms .. " ms")
      end)
    end

    for _, case in ipairs {
      { name = "without TLS, all at once", every = nil },
      { name = "without TLS, one after another", every = 0.0005 },
      { name = "with TLS, all at once", every = nil, tls = "good" },
      { name = "with TLS, one after another", every = 0.0005, tls = "good" },
    } do
      it("never floods the screen: 2,000 tokens " .. case.name, function()
        local list, text = tokens(2000)
        local server = support.serve({ support.sse(list, { every = case.every }) },
          { tls = case.tls })
        local result = run([[
          -- What the module does in the main loop, and what it does in callbacks of
          -- the uv loop, is measured where it is called.
          local longest, total = 0, 0
          local function measured(f)
            return function(...)
              local before = uv.hrtime()
              f(...)
              local ms = (uv.hrtime() - before) / 1e6
              longest, total = math.max(longest, ms), total + ms
            end
          end
          local schedule = vim.schedule
          vim.schedule = function(f) schedule(measured(f)) end
          local bot, nvim = new_bot(), require "chatbot.nvim"
          local calls, pieces = 0, {}
          local began, first = uv.hrtime(), nil
          local before = uv.hrtime()
          local reply = nvim.stream(bot, "hi", {
            on_text = function(piece)
              first = first or uv.hrtime()
              calls = calls + 1
              pieces[#pieces + 1] = piece
              vim.api.nvim_buf_set_lines(0, -1, -1, true, vim.split(piece, "\n"))
            end,
            on_done = function()
              record("calls", calls)
              record("text", table.concat(pieces))
              record("seconds", (uv.hrtime() - first) / 1e9)
              schedule(function()
                record("longest", longest)
                record("total", total)
                finish()
              end)
            end,
            on_error = function(err) error(tostring(err)) end,
          })
          record("begin", (uv.hrtime() - before) / 1e6)
        ]], { given = { url = server.url, ca_file = case.tls and support.ca_file } })
        say("2,000 tokens %s: %d calls of on_text in %.2f s; the main loop was held %.2f ms at "
          .. "most, %.1f ms in all, and %.2f ms by the first request, which loads libcurl",
          case.name, result.calls, result.seconds, result.longest, result.total, result.begin)
        assert.equal(text, result.text)
        assert.is_true(result.calls <= 2 + result.seconds / 0.016, result.calls .. " calls")
        if case.every then assert.is_true(result.calls >= 10) end
        assert.is_true(result.longest < 50, result.longest .. " ms")
      end)
    end

    it("is cancelled from a key", function()
      local server = support.serve { halted("one ", "two ") }
      local result = run([[
        local bot = new_bot()
        local reply
        vim.keymap.set("n", "<C-c>", function() reply:close() end)
        reply = require("chatbot.nvim").stream(bot, "hi", {
          on_text = function(text)
            if reply.text ~= "one two " then return end
            vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes("<C-c>", true, true, true),
              "m", false)
          end,
          on_error = function(err)
            record("kind", err.kind)
            record("partial", err.partial)
            record("status", reply.status)
            record("messages", #bot:get_messages())
            record("fast", vim.in_fast_event())
            vim.defer_fn(function()
              record("polls", watched())
              finish()
            end, 30)
          end,
        })
      ]], { given = { url = server.url } })
      assert.equal("cancelled", result.kind)
      assert.equal("one two ", result.partial)
      assert.equal("cancelled", result.status)
      assert.equal(0, result.messages)
      assert.is_false(result.fast)
      assert.equal(0, result.polls)
      assert.is_true(server:wait(1, 5, "peer closed"))
    end)

    it("goes on while a callback waits with vim.wait()", function()
      local server = support.serve { support.sse({ "a", "b", "c" }, { every = 0.03 }) }
      local result = run([[
        local nvim, ended, order = require "chatbot.nvim", 0, {}
        nvim.stream(new_bot(), "hi", {
          on_text = function(text)
            order[#order + 1] = text
            if #order > 1 then return end
            local other
            nvim.stream(new_bot(), "and you", { on_done = function() other = true end })
            record("other", vim.wait(5000, function() return other end, 5))
          end,
          on_done = function(answer)
            record("answer", answer)
            record("order", table.concat(order))
            finish()
          end,
        })
      ]], { given = { url = server.url } })
      assert.is_true(result.other)
      assert.equal("abc", result.answer)
      assert.equal("abc", result.order)
    end)

    it("reports a server that is not there", function()
      local result = run([[
        local nvim = require "chatbot.nvim"
        local messages = {}
        vim.notify = function(text, level) messages[#messages + 1] = { text, level } end
        nvim.stream(new_bot(), "hi", {}) -- nobody listens: vim.notify
        nvim.stream(new_bot(), "hi", { on_error = function(err)
          record("kind", err.kind)
          record("fast", vim.in_fast_event())
          vim.defer_fn(function()
            record("messages", messages)
            record("level", vim.log.levels.ERROR)
            finish()
          end, 300)
        end })
      ]], { given = { url = ("http://127.0.0.1:%d/v1"):format(support.dead_port()) } })
      assert.equal("connect", result.kind)
      assert.is_false(result.fast)
      assert.equal(1, #result.messages)
      assert.equal(result.level, result.messages[1][2])
    end)

    it("reports what prevents a request, too", function()
      local server = support.serve { { { stall = true } } }
      local result = run([[
        local nvim, bot = require "chatbot.nvim", new_bot()
        nvim.stream(bot, "one", {})
        local reply, err = nvim.stream(bot, "two", { on_error = function(same)
          record("kind", same.kind)
          record("later", late)
          finish()
        end })
        late = true
        record("returned", reply == nil and err.kind)
      ]], { given = { url = server.url } })
      assert.equal("busy", result.kind)
      assert.equal("busy", result.returned)
      assert.is_true(result.later)
    end)

    it("blames the line that calls it for a mistake", function()
      local result = run([[
        local nvim, bot = require "chatbot.nvim", new_bot()
        local reply = new_bot():stream("hi")
        local function mistake(name, f) record(name, select(2, pcall(f))) end
        mistake("prompt", function() nvim.stream(bot, true) end)
        mistake("option", function() nvim.stream(bot, "hi", { timeout = "x" }) end)
        mistake("reply", function() reply.close(42) end)
        reply:close()
        finish()
      ]], { given = { url = ("http://127.0.0.1:%d/v1"):format(support.dead_port()) } })
      assert.matches("script.lua:4: bad argument #2 to 'stream' %(", result.prompt)
      assert.matches("script.lua:5: bad argument #3 to 'stream' %(", result.option)
      assert.matches("script.lua:6: bad argument #1 to 'close' %(", result.reply)
    end)

    it("shows an error of a callback, and ends the reply", function()
      local server = support.serve { halted("one") }
      local result = run([[
        require("chatbot.nvim").stream(new_bot(), "hi", {
          on_text = function() error("the callback's fault") end,
          on_error = function(err)
            record("kind", err.kind)
            vim.defer_fn(finish, 50)
          end,
        })
      ]], { given = { url = server.url } })
      assert.equal("cancelled", result.kind)
      assert.truthy(result.output:find("the callback's fault", 1, true), result.output)
      assert.is_true(server:wait(1, 5, "peer closed"))
    end)

    it("needs no descriptor", function()
      local build = "build/nvim-portable"
      make("core LUA=luajit LUA_V=5.1 CPPFLAGS=-DPOLLER_PORTABLE BUILD=" .. build)
      local dir = support.tmpdir()
      os.execute(("mkdir -p %s/lua/chatbot && cp %s/%s/chatbot/core.so %s/lua/chatbot")
        :format(dir, ROOT, build, dir))
      local server = support.serve { support.sse({ "Hel", "lo" }, { every = 0.03 }) }
      local result = run([[
        local chatbot, nvim = require "chatbot", require "chatbot.nvim"
        record("none", chatbot.pollfd() == nil)
        nvim.stream(new_bot(), "hi", {
          on_text = function() record("polls", watched()) end,
          on_done = function(answer)
            record("answer", answer)
            local bot = nvim.attach(new_bot())
            coroutine.wrap(function()
              record("waited", (bot:chat("again")))
              finish()
            end)()
          end,
        })
      ]], { given = { url = server.url }, flags = "-u NONE --cmd 'set rtp^=" .. dir .. "'" })
      assert.is_true(result.none)
      assert.equal("Hello", result.answer)
      assert.equal("Hello", result.waited)
      assert.equal(0, result.polls)
    end)
  end)

  describe("leaving", function()
    it("ends a stream and does not hang", function()
      local server = support.serve { halted("one") }
      local child = start([[
        local nvim = require "chatbot.nvim"
        local bot = nvim.attach(new_bot())
        nvim.stream(new_bot(), "hi", { on_text = function()
          finish()
        end })
        coroutine.wrap(function() bot:chat("hi") end)()
      ]], { given = { url = server.url } })
      assert.is_true(server:wait(2, 10))
      assert.truthy(support.deadline(10, function() return support.read_file(child.result) end))
      local before = support.now()
      assert.equal(0, child:wait(5))
      say("left %.2f s after :qa!, in the middle of two answers", support.now() - before)
      assert.is_true(support.now() - before < 1.5)
      assert.is_true(server:wait(2, 5, "peer closed"))
      child:close()
    end)
  end)

  describe("a coroutine", function()
    local SCRIPTS = {
      ["of plain Lua"] = [[
        local function run(f) coroutine.wrap(f)() end
      ]],
      -- The three that follow are stand-ins, by the protocols of plenary.async,
      -- nvim-nio and vim.async: Debian has none of them.
      ["of plenary.async"] = [[
        local function run(f)
          local thread = coroutine.create(f)
          local function step(...)
            local ok, leaf, argc = coroutine.resume(thread, ...)
            assert(ok, leaf)
            if coroutine.status(thread) == "dead" then return end
            assert(type(leaf) == "function" and argc == 1, "not a leaf function")
            leaf(step)
          end
          step()
        end
      ]],
      ["of nvim-nio"] = [[
        local tasks = {}
        package.loaded["nio.tasks"] = {
          current_task = function()
            local thread = coroutine.running()
            return thread and tasks[thread]
          end,
        }
        function run(f)
          local thread = coroutine.create(f)
          tasks[thread] = {}
          local function step(...)
            local ok, argc, wrapped = coroutine.resume(thread, ...)
            assert(ok, argc)
            if coroutine.status(thread) == "dead" then return end
            assert(argc == 1 and type(wrapped) == "function", "expected function")
            wrapped(step)
          end
          step()
        end
      ]],
      ["of vim.async"] = [[
        -- It closes what a function returned before it goes on.
        function run(f)
          local thread, child = coroutine.create(f), nil
          local function resume(...)
            local ok, wrapped = coroutine.resume(thread, ...)
            assert(ok, wrapped)
            if coroutine.status(thread) == "dead" then return end
            child = wrapped(function()
              if child then child:close(resume) else resume() end
            end)
          end
          resume()
          return { close = function(_, callback) child:close(callback) end }
        end
      ]],
    }

    -- What Neovim has of its own, since 0.12.
    SCRIPTS["of vim._async"] = [[
      local has, async = pcall(require, "vim._async")
      record("absent", not has)
      if not has then return finish() end
      local function run(f)
        async.run(f, function(err) if err then error(err) end end)
      end
    ]]

    for name, script in pairs(SCRIPTS) do
      it(name .. " waits for an answer, pieces and models", function()
        local server = support.serve { support.sse({ "a", "b", "c" }, { every = 0.02 }),
          support.sse({ "d", "e" }, { every = 0.02 }),
          support.http(200, { { "Content-Type", "application/json" } },
            '{"data":[{"id":"m1"},{"id":"m2"}]}') }
        local result = run(script .. [[
          local bot = require("chatbot.nvim").attach(new_bot())
          run(function()
            record("answer", (bot:chat("one")))
            local pieces = {}
            for piece in bot:stream("two"):chunks() do pieces[#pieces + 1] = piece end
            record("pieces", table.concat(pieces))
            record("models", bot:models())
            record("fast", vim.in_fast_event())
            record("messages", #bot:get_messages())
            vim.schedule(function()
              record("polls", watched())
              finish()
            end)
          end)
          record("returned", true)
        ]], { given = { url = server.url } })
        if result.absent then return pending "this Neovim has no vim._async" end
        assert.is_true(result.returned)
        assert.equal("abc", result.answer)
        assert.equal("de", result.pieces)
        assert.same({ "m1", "m2" }, result.models)
        assert.is_false(result.fast)
        assert.equal(4, result.messages)
        assert.equal(0, result.polls)
      end)
    end

    it("of vim.async that is closed cancels its reply", function()
      local server = support.serve { halted("one") }
      local result = run(SCRIPTS["of vim.async"] .. [[
        local bot = require("chatbot.nvim").attach(new_bot())
        local reply
        local task = run(function()
          reply = bot:stream("one")
          reply:result()
        end)
        vim.defer_fn(function()
          task:close(function()
            record("status", reply.status)
            finish()
          end)
        end, 200)
      ]], { given = { url = server.url } })
      assert.equal("cancelled", result.status)
      assert.is_true(server:wait(1, 5, "peer closed"))
    end)

    it("that fails is reported, and harms no other", function()
      local server = support.serve { support.sse({ "a", "b" }, { every = 0.02 }) }
      local result = run([[
        local nvim = require "chatbot.nvim"
        local one, two = nvim.attach(new_bot()), nvim.attach(new_bot())
        coroutine.wrap(function()
          one:chat("one")
          error("the coroutine's fault")
        end)()
        coroutine.wrap(function()
          record("answer", (two:chat("two")))
          vim.defer_fn(finish, 50)
        end)()
      ]], { given = { url = server.url } })
      assert.equal("ab", result.answer)
      assert.truthy(result.output:find("the coroutine's fault", 1, true), result.output)
    end)

    it("is not needed: without one Neovim goes on while it waits", function()
      local server = support.serve { support.sse({ "a", "b" }, { every = 0.1 }) }
      local result = run([[
        local bot, ticks = require("chatbot.nvim").attach(new_bot()), 0
        local timer = uv.new_timer()
        timer:start(10, 10, vim.schedule_wrap(function() ticks = ticks + 1 end))
        record("answer", (bot:chat("hi")))
        timer:close()
        record("ticks", ticks)
        finish()
      ]], { given = { url = server.url } })
      assert.equal("ab", result.answer)
      assert.is_true(result.ticks > 5, result.ticks)
    end)
  end)

  describe("a caller outside of any coroutine", function()
    it("can stop waiting with CTRL-C", function()
      local server = support.serve { halted("one") }
      local result = run([[
        local bot = require("chatbot.nvim").attach(new_bot())
        uv.new_timer():start(300, 0, function() vim.api.nvim_input("<C-c>") end)
        local answer, err = bot:chat("hi")
        record("answer", answer == nil)
        record("kind", err.kind)
        record("partial", err.partial)
        finish()
      ]], { given = { url = server.url } })
      assert.is_true(result.answer)
      assert.equal("cancelled", result.kind)
      assert.equal("one", result.partial)
      assert.is_true(server:wait(1, 5, "peer closed"))
    end)
  end)

  describe("the plugin", function()
    local function plugin(script, server, opts)
      opts = opts or {}
      local given = opts.given or {}
      given.url = server and server.url
      return run([[
        vim.g.chatbot = { base_url = given.url, model = "m", timeout = 15, max_retries = 0 }
        function text()
          local buffer = vim.fn.bufnr("Chatbot")
          return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, true), "\n")
        end
        function wait_for(what)
          return vim.wait(8000, function() return text():find(what, 1, true) ~= nil end, 5)
        end
      ]] .. script, { given = given, flags = "-u NORC", env = opts.env })
    end

    it("loads nothing before its first command", function()
      local result = plugin([[
        record("loaded", vim.g.loaded_chatbot)
        record("commands", vim.fn.exists(":Chatbot") + vim.fn.exists(":ChatbotStop")
          + vim.fn.exists(":ChatbotModel"))
        record("modules", package.loaded["chatbot"] ~= nil or package.loaded["chatbot.nvim"] ~= nil)
        finish()
      ]])
      assert.is_true(result.loaded)
      assert.equal(6, result.commands)
      assert.is_false(result.modules)
    end)

    it("streams into one buffer, which the cursor follows from its end only", function()
      local server = support.serve { support.sse({ "first\n", "answer" }),
        support.sse { "second\nanswer" } }
      local result = plugin([[
        local here = vim.api.nvim_get_current_win()
        vim.cmd("Chatbot What | is 1 + 1?")
        wait_for("answer")
        record("here", vim.api.nvim_get_current_win() == here)
        local buffer = vim.fn.bufnr("Chatbot")
        record("type", vim.bo[buffer].buftype .. " " .. vim.bo[buffer].filetype)
        local window = vim.fn.win_findbuf(buffer)[1]
        vim.wait(100)
        record("followed", vim.api.nvim_win_get_cursor(window)[1]
          == vim.api.nvim_buf_line_count(buffer))
        vim.api.nvim_win_set_cursor(window, { 1, 0 })
        vim.cmd("Chatbot And 2?")
        wait_for("second\nanswer")
        record("stayed", vim.api.nvim_win_get_cursor(window)[1])
        record("windows", #vim.api.nvim_list_wins())
        record("text", text())
        finish()
      ]], server)
      assert.is_true(result.here)
      assert.equal("nofile markdown", result.type)
      assert.is_true(result.followed)
      assert.equal(1, result.stayed)
      assert.equal(2, result.windows)
      assert.equal("# You\n\nWhat | is 1 + 1?\n\n# m\n\nfirst\nanswer\n\n"
        .. "# You\n\nAnd 2?\n\n# m\n\nsecond\nanswer", (result.text:gsub("%s+$", "")))
      local messages = server:requests()[2].json.messages
      assert.same({ "What | is 1 + 1?", "first\nanswer", "And 2?" },
        { messages[1].content, messages[2].content, messages[3].content })
    end)

    it("sends the lines of a range, after the prompt", function()
      local server = support.serve { support.sse { "good" }, support.sse { "better" } }
      plugin([[
        vim.api.nvim_buf_set_lines(0, 0, -1, true, { "one", "two", "three", "four" })
        vim.cmd("2,3Chatbot explain")
        wait_for("good")
        vim.wait(100)
        vim.cmd("normal! ggVj\27")
        vim.cmd("'<,'>Chatbot")
        wait_for("better")
        finish()
      ]], server)
      local requests = server:requests()
      assert.equal("explain\n\ntwo\nthree", requests[1].json.messages[1].content)
      assert.equal("one\ntwo", requests[2].json.messages[3].content)
    end)

    for _, command in ipairs { "bdelete", "bwipeout" } do
      it("makes a new buffer after :" .. command .. ", during an answer, too", function()
        local server = support.serve { { support.sse({ "begun", "more", "more", "more" },
          { every = 0.1, finish_reason = false, done = false, cut = true }), { wait_close = 10 } },
          support.sse { "whole" } }
        local result = plugin([[
          vim.cmd("Chatbot one")
          wait_for("begun")
          vim.cmd(given.command .. " " .. vim.fn.bufnr("Chatbot"))
          vim.wait(600)
          vim.cmd("ChatbotStop")
          vim.wait(100)
          record("messages", vim.fn.execute("messages"))
          vim.cmd("Chatbot two")
          record("whole", wait_for("whole"))
          local buffer = vim.fn.bufnr("Chatbot")
          record("text", text())
          record("type", vim.bo[buffer].buftype .. " " .. vim.bo[buffer].filetype)
          for _, key in ipairs(vim.api.nvim_buf_get_keymap(buffer, "n")) do
            if key.lhs:lower() == "<c-c>" then record("key", key.rhs) end
          end
          record("left", vim.fn.bufnr("Chatbot 2"))
          finish()
        ]], server, { given = { command = command } })
        assert.equal("", result.messages)
        assert.is_true(result.whole)
        assert.equal("# You\n\ntwo\n\n# m\n\nwhole", (result.text:gsub("%s+$", "")))
        assert.equal("nofile markdown", result.type)
        assert.equal("<Cmd>ChatbotStop<CR>", result.key)
        assert.equal(-1, result.left)
      end)
    end

    it("leaves a buffer that has its name alone, and takes another", function()
      local server = support.serve { support.sse { "good" } }
      local result = plugin([[
        local other = vim.api.nvim_create_buf(true, false)
        vim.api.nvim_buf_set_name(other, "Chatbot")
        vim.api.nvim_buf_set_lines(other, 0, -1, true, { "of the user's" })
        vim.cmd("Chatbot hi")
        local buffer = vim.fn.bufnr("Chatbot 2")
        record("good", vim.wait(8000, function()
          local lines = vim.api.nvim_buf_get_lines(buffer, 0, -1, true)
          return vim.tbl_contains(lines, "good")
        end, 5))
        record("other", vim.api.nvim_buf_get_lines(other, 0, -1, true))
        finish()
      ]], server)
      assert.is_true(result.good)
      assert.same({ "of the user's" }, result.other)
    end)

    it("asks for a prompt when it has none", function()
      local server = support.serve { support.sse { "good" } }
      plugin([[
        vim.ui.input = function(_, callback) callback("from the input") end
        vim.cmd("Chatbot")
        wait_for("good")
        finish()
      ]], server)
      assert.equal("from the input", server:requests()[1].json.messages[1].content)
    end)

    it("stops with :ChatbotStop and with CTRL-C, and can go on", function()
      local server = support.serve { halted "begun", halted "begun", support.sse { "whole" } }
      local result = plugin([[
        vim.cmd("Chatbot one")
        wait_for("begun")
        vim.notify = function(message) record("busy", message) end
        vim.cmd("Chatbot meanwhile")
        vim.cmd("ChatbotStop")
        record("stopped", wait_for("cancelled"))
        vim.cmd("Chatbot two")
        vim.wait(8000, function() return select(2, text():gsub("begun", "")) == 2 end, 5)
        vim.cmd("wincmd j")
        local key = vim.api.nvim_replace_termcodes("<C-c>", true, true, true)
        vim.api.nvim_feedkeys(key, "xm", false)
        record("key", vim.wait(8000, function()
          return select(2, text():gsub("cancelled", "")) == 2
        end, 5))
        vim.cmd("Chatbot three")
        record("whole", wait_for("whole"))
        finish()
      ]], server)
      assert.is_true(result.stopped)
      assert.is_true(result.key)
      assert.is_true(result.whole)
      assert.truthy(result.busy:find("ChatbotStop", 1, true))
      assert.equal(1, #server:requests()[3].json.messages)
    end)

    it("shows an error and lives on", function()
      local server = support.serve { support.http(400, { { "Content-Type", "application/json" } },
        '{"error":{"message":"no such thing"}}'), support.sse { "whole" } }
      local result = plugin([[
        vim.notify = function(message) record("message", message) end
        vim.cmd("Chatbot one")
        record("shown", wait_for("no such thing"))
        vim.cmd("Chatbot two")
        record("whole", wait_for("whole"))
        finish()
      ]], server)
      assert.is_true(result.shown)
      assert.is_true(result.whole)
      assert.truthy(result.message:find("no such thing", 1, true))
    end)

    it("changes the model, and completes its name with what the server has", function()
      local server = support.serve { support.http(200, { { "Content-Type", "application/json" } },
        '{"data":[{"id":"big"},{"id":"bigger"},{"id":"small"}]}'), support.sse { "good" } }
      local result = plugin([[
        record("first", vim.fn.getcompletion("ChatbotModel bi", "cmdline"))
        record("fetched", vim.wait(8000, function()
          return #vim.fn.getcompletion("ChatbotModel bi", "cmdline") > 0
        end, 20))
        record("second", vim.fn.getcompletion("ChatbotModel bi", "cmdline"))
        record("providers", vim.fn.getcompletion("ChatbotModel gro", "cmdline"))
        record("current", vim.fn.getcompletion("ChatbotModel m", "cmdline")[1])
        vim.cmd("ChatbotModel bigger")
        vim.cmd("Chatbot hi")
        wait_for("good")
        vim.notify = function(message) record("message", message) end
        record("text", text())
        finish()
      ]], server)
      assert.same({}, result.first)
      assert.is_true(result.fetched)
      assert.same({ "big", "bigger" }, result.second)
      assert.truthy(result.providers[1]:find("^groq:"))
      assert.equal("m", result.current)
      local requests = server:requests()
      assert.equal(2, #requests)
      assert.equal("GET", requests[1].method)
      assert.equal("bigger", requests[2].json.model)
      assert.truthy(result.text:find("# bigger", 1, true))
    end)

    it("completes the names of a list of models", function()
      local server = support.serve { support.http(200, { { "Content-Type", "application/json" } },
        '{"data":[]}') }
      local result = plugin([[
        vim.g.chatbot = { base_url = given.url, model = { "m1", "m2" }, max_retries = 0 }
        record("names", vim.fn.getcompletion("ChatbotModel m", "cmdline"))
        finish()
      ]], server)
      assert.same({ "m1", "m2" }, { result.names[1], result.names[2] })
    end)
  end)

  describe(":checkhealth chatbot", function()
    local KEY = "sk-not-to-be-shown-0123456789"

    local SCRIPT = [[
      vim.g.chatbot = { api_key = given.key }
      vim.cmd("checkhealth chatbot")
      record("report", table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), "\n"))
      finish()
    ]]

    it("tells what there is, and of keys whose", function()
      local report = run(SCRIPT, { given = { key = KEY }, env = { OPENAI_API_KEY = KEY,
        XAI_API_KEY = KEY, SSL_CERT_FILE = support.ca_file } }).report
      for _, what in ipairs { "core.so", "libcurl %d", "TLS: ", "asynchronously", "JSON: vim.json",
        "a key is set for: xai, openai\n", "descriptor", "%(SSL_CERT_FILE%)" } do
        assert.truthy(report:find(what), what .. " is not in " .. report)
      end
      assert.is_nil(report:find("ERROR", 1, true), report)
      assert.is_nil(report:find(KEY, 1, true))
      assert.is_nil(report:find("0123456789", 1, true))
    end)

    -- A folder before the plugin's on 'runtimepath' whose binary is `bytes`.
    local function with_binary(bytes)
      local dir = support.tmpdir()
      os.execute("mkdir -p " .. dir .. "/lua/chatbot")
      support.write_file(dir .. "/lua/chatbot/core.so", bytes)
      return { flags = "-u NONE --cmd 'set rtp^=" .. dir .. "'" }
    end

    local function has(report, ...)
      for _, what in ipairs { ... } do
        assert.truthy(report:find(what), what .. " is not in " .. report)
      end
      assert.is_nil(report:find("make LUA=", 1, true), report)
    end

    it("says what to do where there are no CA certificates", function()
      local report = run(SCRIPT, { env = { SSL_CERT_FILE = "/nonexistent.pem" } }).report
      has(report, "ERROR:? CA certificates: /nonexistent%.pem %(SSL_CERT_FILE%) cannot be read",
        "package ca%-certificates")
      local dir = support.tmpdir()
      report = run(SCRIPT, { env = { SSL_CERT_FILE = false, SSL_CERT_DIR = dir } })
        .report
      has(report, "ERROR:? CA certificates: " .. dir:gsub("%p", "%%%0")
        .. " %(SSL_CERT_DIR%) is empty")
    end)

    it("says what to do where the binary is broken, for another Lua, or not there", function()
      has(run(SCRIPT, with_binary "no library").report, "ERROR:? [^\n]*core%.so",
        "Run `make nvim` in " .. ROOT:gsub("%p", "%%%0") .. ";")

      local other = builds.make "lua5.4"
      local report = run(SCRIPT, with_binary(support.read_file(other .. "/chatbot/core.so"))).report
      has(report, "ERROR:? chatbot.core was built for another Lua; this is LuaJIT, for which "
        .. "`make nvim` builds it", "Run `make nvim` in ")

      local copy = support.tmpdir()
      os.execute(("mkdir %s/lua && cp -r %s/lua/chatbot %s/plugin %s && mv %s/chatbot %s/lua && "
        .. "rm %s/lua/chatbot/core.so"):format(copy, ROOT, ROOT, copy, copy, copy, copy))
      local result = run([[
        vim.opt.runtimepath:prepend(given.copy)
        vim.opt.runtimepath:remove(given.root)
        vim.cmd("source " .. given.copy .. "/plugin/chatbot.lua")
        vim.notify = function(message) record("message", message) end
        vim.cmd("Chatbot hi")
      ]] .. SCRIPT, { given = { copy = copy, root = ROOT } })
      has(result.report, "ERROR:? chatbot.core is not built: `make nvim` in the plugin's directory",
        "Run `make nvim` in the plugin's directory;")
      assert.equal("Chatbot: chatbot.core is not built: `make nvim` in the plugin's directory does "
        .. "it (see :checkhealth chatbot)", result.message)
    end)

    it("says what to do without libcurl, and goes on", function()
      local dir = support.tmpdir()
      for _, name in ipairs { "libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so" } do
        support.write_file(dir .. "/" .. name, "no library")
      end
      local report = run(SCRIPT, { env = { LD_LIBRARY_PATH = dir } }).report
      has(report, "ERROR:? config: the libcurl shared library cannot be loaded",
        "package of libcurl", "JSON: vim.json", "no key is set for")
    end)

    it("says when JSON does not come back as it was", function()
      local report = run([[
        require("chatbot.core").json_decode = function() return nil, "the decoder is broken" end
      ]] .. SCRIPT).report
      has(report, "ERROR:? JSON: vim.json: the decoder is broken")
    end)

    it("works with the functions of later versions", function()
      local result = run([[
        local lines = {}
        vim.health = {}
        for _, name in ipairs { "start", "ok", "info", "warn", "error" } do
          vim.health[name] = function(text) lines[#lines + 1] = name .. ": " .. text end
        end
        require("chatbot.health").check()
        record("lines", table.concat(lines, "\n"))
        finish()
      ]])
      assert.truthy(result.lines:find("ok: libcurl", 1, true), result.lines)
      assert.truthy(result.lines:find("warn: no provider has a key", 1, true), result.lines)
    end)
  end)

  it("uses nothing that Neovim has deprecated", function()
    local server = support.serve { support.sse { "good" } }
    local result = run([[
      -- What is called before it is to be warned of is in the report of 0.11 and later.
      local calls, deprecate = {}, vim.deprecate
      record("has", deprecate ~= nil)
      if not deprecate then return finish() end
      function vim.deprecate(name, ...)
        calls[#calls + 1] = name
        return deprecate(name, ...)
      end
      vim.notify = function() end
      vim.g.chatbot = { base_url = given.url, model = "m", timeout = 15, max_retries = 0 }
      vim.cmd "runtime plugin/chatbot.lua"
      vim.cmd "Chatbot hi"
      local function text()
        local buffer = vim.fn.bufnr "Chatbot"
        return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, true), "\n")
      end
      record("good", vim.wait(8000, function() return text():find "good" ~= nil end, 5))
      vim.cmd "1,1Chatbot hi"
      vim.cmd "ChatbotStop"
      vim.cmd "ChatbotModel other"
      vim.fn.getcompletion("ChatbotModel g", "cmdline")
      local nvim = require "chatbot.nvim"
      local bot = nvim.attach(new_bot())
      record("blocked", (bot:chat "hi"))
      nvim.stream(bot, "hi", { on_text = function() end, on_done = function(answer)
        record("streamed", answer)
        coroutine.wrap(function()
          record("waited", (bot:chat "hi"))
          vim.cmd "checkhealth chatbot"
          record("calls", calls)
          if pcall(require, "vim.deprecated.health") then
            vim.cmd "checkhealth vim.deprecated"
            record("report", table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), "\n"))
          end
          finish()
        end)()
      end })
    ]], { given = { url = server.url } })
    if not result.has then return pending "this Neovim has no vim.deprecate" end
    assert.is_true(result.good)
    assert.same({ "good", "good", "good" }, { result.blocked, result.streamed, result.waited })
    assert.same({}, result.calls)
    if result.report then
      assert.matches("No deprecated functions detected", result.report, 1, true)
    end
  end)

  describe(":help", function()
    -- The names that types.lua has: {tag, ...}
    local function public_names()
      local tags, class = {}, nil
      local of_options = { ["chatbot.Limits"] = true, ["chatbot.SharedOptions"] = true,
        ["chatbot.Options"] = true }
      local prefix = { ["chatbot.Error"] = "chatbot.Error.", ["chatbot.Reply"] = "chatbot.Reply.",
        ["chatbot.Provider"] = "chatbot-provider-", ["chatbot.nvim"] = "chatbot.nvim." }
      local alias
      for line in io.lines(ROOT .. "/lua/chatbot/types.lua") do
        class = line:match("^%-%-%-@class ([%w.]+)") or class
        alias = line:match("^%-%-%-@alias ([%w.]+)") or (line:find("^%-%-%-|") and alias)
        local field = line:match("^%-%-%-@field ([%w_]+)")
        local value = line:match("^%-%-%-| \"([%w_]+)\"")
        local owner, name = line:match("^function ([%w.]+[.:])([%w_]+)%(")
        if field and of_options[class] then
          tags[#tags + 1] = "chatbot-option-" .. field
        elseif field and prefix[class] then
          tags[#tags + 1] = prefix[class] .. field
        elseif value and alias then
          tags[#tags + 1] = (alias == "chatbot.Status" and "chatbot-status-" or "chatbot-error-")
            .. value
        elseif owner then
          owner = owner:gsub("^Chatbot", "chatbot.Chatbot"):gsub("^Reply", "chatbot.Reply")
          tags[#tags + 1] = owner .. name .. "()"
        end
      end
      for _, name in ipairs { "chatbot.nvim.stream()", "chatbot.nvim.attach()",
        "chatbot.nvim.wait()", ":Chatbot", ":ChatbotStop", ":ChatbotModel", "g:chatbot" } do
        tags[#tags + 1] = name
      end
      return tags
    end

    it("has a tag for each public name, and none twice", function()
      local names = public_names()
      assert.is_true(#names > 90, #names .. " names")
      local dir = support.tmpdir()
      os.execute(("mkdir %s/doc && cp %s/doc/*.txt %s/doc"):format(dir, ROOT, dir))
      local result = run([[
        vim.cmd("helptags " .. given.dir .. "/doc")
        vim.opt.runtimepath:prepend(given.dir)
        local missing = {}
        for _, name in ipairs(given.names) do
          local ok = pcall(vim.cmd, "help " .. name)
          local line = vim.api.nvim_get_current_line()
          if not ok or not line:find("*" .. name .. "*", 1, true) then
            missing[#missing + 1] = name
          end
        end
        record("missing", table.concat(missing, " "))
        finish()
      ]], { given = { dir = dir, names = names } })
      assert.equal("", result.missing)
      for line in io.lines(ROOT .. "/doc/chatbot.txt") do
        assert.is_true(#line <= 80, line)
      end
    end)
  end)
end)
