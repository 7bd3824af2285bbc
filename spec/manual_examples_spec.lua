-- The Lua examples of the manual (README.md and doc/*.md). Each is run as it stands, in a
-- process of its own, against the scripted server; only the globals of a host are stood in
-- for.

local answers = require "spec.support.answers"
local builds = require "spec.support.builds"
local manual = require "spec.support.manual"
local support = require "spec.support"


-- Examples -------------------------------------------------------------------

-- Every provider is at a path of its own of the scripted server.
local AT_SERVER = [[
  for _, p in ipairs(require("chatbot").providers()) do
    require("chatbot").register(p.name, { base_url = os.getenv("TEST_URL") .. "/" .. p.name })
  end ]]

local KEYS = {
  OPENAI_API_KEY = "sk-openai-000", GOOGLE_API_KEY = "key-google-111",
  XAI_API_KEY = "key-xai-222", PLAMO_API_KEY = "key-plamo-333",
  ANTHROPIC_API_KEY = "key-anthropic-444",
}

-- What an address that is registered speaks must be said; the services' own are known.
local IN_DIALECTS = [[
  require("chatbot").register("openai", { api = "responses" })
  require("chatbot").register("anthropic", { api = "messages" }) ]]

local function one_line(code)
  return (code:gsub("%s*\n%s*", " "))
end

-- Runs a script; `before` goes into its first line so that lines keep their number.
local function run(url, code, before, after, more)
  local env = {
    TEST_URL = url, OPENAI_BASE_URL = false, OPENAI_ORG_ID = false, OPENAI_PROJECT_ID = false,
    LLAMA_API_KEY = false, ACME_API_KEY = false, GEMINI_API_KEY = false,
  }
  for name, key in pairs(KEYS) do env[name] = key end
  for name, value in pairs(more or {}) do env[name] = value end
  local script = one_line(AT_SERVER .. (before or "")) .. " " .. code .. (after or "")
  return support.run_lua(script, { env = env, timeout = 20, cwd = support.tmpdir() })
end

-- Runs a script that must end well, against a server with these answers.
local function output(scripts, code, before, after)
  local server = support.serve(scripts)
  local result = run(server.url, code, before, after)
  assert.equal(0, result.status, result.err)
  return result.out, server:requests(), result.err
end

local function answer(...)
  return support.sse({ ... }, { usage = true, every = 0.01 })
end

local function cut(...)
  return support.sse({ ... }, { finish_reason = false, done = false })
end

-- Cases by the page and the heading that an example stands under; a second example under
-- the same heading has " 2" behind it.
local cases = {}

cases["README: chatbot"] = function(code)
  assert.equal("Once upon a time.\n", (output({ answer("Once ", "upon ", "a time.") }, code)))
end

cases["README: Block"] = function(code)
  local out, requests = output({ answer("Two.") }, code)
  assert.equal("Two.\t12\n", out)
  assert.same({ { role = "system", content = "Be brief." },
    { role = "user", content = "What is one plus one?" } }, requests[1].json.messages)
  out = output({ support.http(401, {}, { error = { message = "Who are you?" } }) }, code)
  assert.equal("failed: http 401: Who are you? [openai gpt-4.1]\n", out)
end

cases["README: Chunks"] = function(code)
  assert.equal("Rhine, Po.complete\n", (output({ answer("Rhine, ", "Po.") }, code)))
  local out = output({ cut("Rhine, ") }, code)
  assert.truthy(out:find("^Rhine, truncated 200: "), out)
end

cases["README: Coroutine"] = function(code)
  local count = [[
    local resumed, resume = 0, coroutine.resume
    coroutine.resume = function(thread)
      resumed = resumed + 1
      return resume(thread)
    end ]]
  local out, _, resumed = output({ answer("Rhine, ", "Po.") }, code, count,
    "io.stderr:write(resumed)")
  assert.equal("Rhine, Po.10\n", out)
  assert.truthy(tonumber(resumed) > 10, "it was resumed but " .. resumed .. " times")
  out = output({ cut("Rhine") }, code)
  assert.truthy(out:find("^Rhinetruncated 200: "), out)
end

cases["README: Poll"] = function(code)
  assert.equal("A cave.done\n", (output({ answer("A ", "cave.") }, code)))
  local out = output({ cut("A ") }, code)
  assert.truthy(out:find("^A truncated 200: "), out)
end

cases["guide: A conversation"] = function(code)
  local out, requests = output({ answer("2"), answer("Because.") }, code)
  assert.equal("2\nBecause.\nsystem\tあなたは賢いAIです。\nuser\t1たす1は?\nassistant\t2\n"
    .. "user\tWhy? In one sentence.\nassistant\tBecause.\n", out)
  assert.equal(2, #requests)
  assert.equal("/v1/openai/chat/completions", requests[1].target)
  assert.equal("/v1/gemini/chat/completions", requests[2].target)
  assert.equal("gemini-2.5-flash", requests[2].json.model)
  assert.equal("Bearer " .. KEYS.GOOGLE_API_KEY, requests[2].named.authorization)
  assert.equal(4, #requests[2].json.messages)
end

cases["README: A script"] = function(code)
  local out, requests = output({ answer("Scattered ", "light."), answer("Blue.") }, code)
  assert.equal("Scattered light.\tBlue.\n", out)
  assert.equal("/v1/openai/chat/completions", requests[1].target)
  assert.equal("/v1/gemini/chat/completions", requests[2].target)
  assert.equal(4, #requests[2].json.messages)
end

cases["README: A game"] = function(code)
  local out = output({ answer("Halt! ", "Who ", "are you?") }, code,
    "love = { graphics = { print = function(text) seen = text end } }", [[
    local steps = 0
    repeat
      local before = line
      love.update()
      love.draw()
      if line ~= before then steps = steps + 1 end
      require("socket").sleep(0.001)
    until coroutine.status(thread) == "dead"
    print(seen, steps > 1) ]])
  assert.equal("Halt! Who are you?\ttrue\n", out)
end

cases["hosts: A game"] = function(code)
  local out, requests = output({ answer("Halt! ", "Who ", "are you?") }, code, [[
    local seen = {}
    love = { graphics = { print = function(text)
      if seen[#seen] ~= text then seen[#seen + 1] = text end
    end } } ]], [[
    love.keypressed("e")
    love.keypressed("e") -- while the guard speaks
    for _ = 1, 5000 do
      love.update()
      love.draw()
      if not guard then break end
      require("socket").sleep(0.001)
    end
    print(#seen, seen[2], seen[#seen]) ]])
  local steps, part, whole = out:match("^(%d+)\t([^\t]*)\t([^\t]*)\n$")
  assert.truthy(tonumber(steps) > 2, out)
  assert.equal("Halt! ", part)
  assert.equal("Halt! Who are you?", whole)
  assert.equal(1, #requests)
end

cases["hosts: Distributing a game"] = function(code) -- see love_spec.lua for the rest
  local out = output({}, code, [[
    package.cpath = "/lib/?.so"
    love = { filesystem = { getSourceBaseDirectory = function() return "/game" end } } ]],
    "print(package.cpath)")
  assert.equal("/game/?.so;/lib/?.so\n", out)
end

-- A loop that stands in for luv where there is none.
local LUV = [[
  local watched, cqueues = {}, require "cqueues"
  package.loaded.luv = {
    new_poll = function(fd)
      return {
        start = function(self, _, fn) watched[self] = { pollfd = fd, events = "r", fn = fn } end,
        close = function(self) watched[self] = nil end,
      }
    end,
    run = function()
      while next(watched) do
        local _, watch = next(watched)
        cqueues.poll(watch)
        watch.fn()
      end
    end,
  } ]]

cases["hosts: An event loop"] = function(code)
  local has_luv = run("", "require 'luv'").status == 0
  for _, before in ipairs(has_luv and { LUV, "" } or { LUV }) do
    assert.equal("1 2 3complete\n", (output({ answer("1 ", "2 ", "3") }, code, before)))
    local out = output({ cut("1 ") }, code, before)
    assert.truthy(out:find("^1 truncated 200: "), out)
    -- It has failed before there is anything to watch.
    local result = run("http://127.0.0.1:" .. support.dead_port(), code, before .. [[
      local new = require("chatbot").new
      require("chatbot").new = function(options)
        options.max_retries = 0
        return new(options)
      end ]])
    assert.equal(0, result.status, result.err)
    assert.truthy(result.out:find("^connect: "), result.out)
  end
end

cases["hosts: Other people's coroutines"] = function(code)
  assert.equal("1 2 3\n", (output({ answer("1 ", "2 ", "3") }, code)))
end

cases["hosts: Other people's coroutines 2"] = function(code)
  assert.equal("Who?\tMe.\nWhy?\tSo.\n", (output({ answer("M", "e."), answer("S", "o.") }, code)))
end

-- Runs an example in Neovim, whose reply is `reply`, and returns what it has written.
local function in_neovim(code, before)
  local server = support.serve { answer("An old ", "pond.") }
  local dir = support.tmpdir()
  support.write_file(dir .. "/example.lua", (before or "") .. code .. [[
    vim.wait(10000, function() return reply.status ~= "streaming" end)
    vim.wait(200)
    io.stderr:write("buffer: ", table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "|"))
    vim.cmd("qa!") ]])
  local env = builds.env("luajit") -- which is Neovim's
  env.OPENAI_BASE_URL, env.OPENAI_API_KEY = server.url, KEYS.OPENAI_API_KEY
  local nvim = support.spawn(("nvim --headless -u NONE -i NONE --cmd 'set rtp+=%s' "
    .. "-c 'luafile %s/example.lua'"):format(os.getenv("PWD"), dir), { env = env })
  nvim:wait(20)
  local out = table.concat({ nvim:output() })
  nvim:close()
  assert.truthy(out:find("buffer: An old pond.", 1, true), out)
  return out
end

cases["README: Neovim"] = function(code)
  in_neovim(code, [[
    local reply
    local stream = require("chatbot.nvim").stream
    require("chatbot.nvim").stream = function(...)
      reply = stream(...)
      return reply
    end
  ]])
end

cases["hosts: Neovim"] = function(code)
  local out = in_neovim(code)
  assert.truthy(out:find("12", 1, true), out) -- the tokens
end

cases["guide: Summarise a page"] = function(code)
  local page = support.http(200, { ["Content-Type"] = "text/html" }, "<html><head><title>Ponds"
    .. "</title></head><body><nav>Menu</nav><article><p>" .. ("A frog jumps in. "):rep(40)
    .. "</p></article></body></html>")
  local out, requests = output({ page, answer("Une ", "grenouille.") }, code,
    'arg = { os.getenv("TEST_URL") .. "/page" } ')
  assert.truthy(out:find("Une grenouille.", 1, true), out)
  assert.is_nil(requests[1].named.authorization)
  assert.truthy(requests[2].body:find("A frog jumps in", 1, true))
  assert.is_nil(requests[2].body:find("Menu", 1, true))
end

cases["guide: Tools"] = function(code)
  local call = { index = 0, id = "call_1", type = "function",
    ["function"] = { name = "weather", arguments = '{"city":"Oslo"}' } }
  local asks = support.sse({ { tool_calls = { call } } }, { finish_reason = "tool_calls" })
  local out, requests = output({ asks, answer("Wet.") }, code)
  assert.truthy(out:find("^Wet%.\t"), out)
  assert.equal(2, #requests)
  local messages = requests[2].json.messages
  assert.equal("weather", messages[2].tool_calls[1]["function"].name)
  assert.equal("tool", messages[3].role)
  assert.equal("call_1", messages[3].tool_call_id)
  assert.truthy(messages[3].content:find('"sky":"rain"', 1, true))
  assert.equal("weather", requests[2].json.tools[1]["function"].name)
end

cases["guide: Tools 2"] = function(code)
  local call = { index = 0, id = "call_1", type = "function",
    ["function"] = { name = "open_door", arguments = "{}" } }
  local asks = support.sse({ { tool_calls = { call } } }, { finish_reason = "tool_calls" })
  local out, requests = output({ asks, answer("Done.") }, code)
  assert.truthy(out:find("^Done%.\t"), out)
  assert.same({ role = "tool", tool_call_id = "call_1", content = "The door is open." },
    requests[2].json.messages[3])
end

cases["guide: Structured answers"] = function(code)
  local out, requests = output({ answer('{"people":', "700000}") }, code)
  assert.equal("700000\n", out)
  assert.equal("json_schema", requests[1].json.response_format.type)
  out = output({ answer("Many.") }, code)
  assert.truthy(out:find("^protocol"), out)
end

-- What stands in for a file.
local function with_file(name, bytes)
  return ([[local open = io.open
    io.open = function(path, mode)
      if path ~= "%s" then return open(path, mode) end
      local file = io.tmpfile()
      file:write("%s")
      file:seek("set")
      return file
    end ]]):format(name, bytes)
end

cases["guide: Dialects"] = function(code)
  local out, requests = output({ answers.responses.answer { "Hi." }, answer("Hi again.") }, code,
    IN_DIALECTS)
  assert.equal("Hi.\tresponses\nHi again.\tchat\n", out)
  assert.equal("/v1/openai/responses", requests[1].target)
  assert.equal("/v1/openai/chat/completions", requests[2].target)
  assert.equal(3, #requests[2].json.messages)
end

cases["guide: Documents"] = function(code)
  local out, requests = output({ answers.messages.answer { "Nothing new." } }, code,
    IN_DIALECTS .. with_file("report.pdf", "%PDF-1.4"))
  assert.truthy(out:find("^Nothing new%.\t"), out)
  assert.same({ type = "document", title = "report.pdf", source = { type = "base64",
    media_type = "application/pdf", data = "JVBERi0xLjQ=" } },
    requests[1].json.messages[1].content[2])
end

cases["guide: Search"] = function(code)
  local out, requests = output({ answers.messages.answer { { text = { "Ana." }, citations = { {
    type = "web_search_result_location", url = "https://tour.example/", title = "Tour",
    cited_text = "Ana has won.", encrypted_index = "EI" } } } } }, code, IN_DIALECTS)
  assert.equal("Ana.\nTour\thttps://tour.example/\tAna has won.\n", out)
  assert.equal("web_search", requests[1].json.tools[1].name)
end

cases["guide: Caching"] = function(code)
  local function cached(text, read, written)
    return answers.messages.answer({ text }, { usage = { cache_read_input_tokens = read,
      cache_creation_input_tokens = written } })
  end
  local out, requests = output({ cached("Ana.", 0, 900), cached("Bob.", 900, 20) }, code,
    IN_DIALECTS)
  assert.equal("Ana.\t900\t0\nBob.\t20\t900\n", out)
  assert.same({ type = "ephemeral" }, requests[1].json.system[1].cache_control)
end

cases["guide: From one service to another"] = function(code)
  local responses, messages = answers.responses, answers.messages
  local scripts = {
    responses.answer { { reasoning = "Look.", id = "rs_a", secret = "ENC-A" },
      { call = "call_a", name = "weather", arguments = '{"city":"Oslo"}', id = "fc_a" } },
    responses.answer { { text = { "Rain." }, id = "msg_b" } },
    messages.answer { { reasoning = "Rain is wet.", secret = "SIG-A" }, "Yes." },
    responses.answer { { text = { "Good-bye." }, id = "msg_c" } },
  }
  local out, requests = output(scripts, code, IN_DIALECTS)
  assert.truthy(out:find("^Good%-bye%.\t"), out)
  local function has(i, text) return requests[i].body:find(text, 1, true) ~= nil end
  assert.equal("/v1/anthropic/messages", requests[3].target)
  assert.same({ true, false, true, false },
    { has(2, "ENC-A"), has(3, "ENC-A"), has(4, "ENC-A"), has(4, "SIG-A") })
end

cases["guide: Images"] = function(code)
  local out, requests = output({ answer("A cat.") }, code,
    with_file("cat.png", "\\137PNG\\r\\n\\26\\n"))
  assert.truthy(out:find("^A cat%.\t"), out)
  assert.equal("data:image/png;base64,iVBORw0KGgo=",
    requests[1].json.messages[1].content[2].image_url.url)
end

cases["guide: Reasoning"] = function(code)
  local stream = answers.messages.answer({ { reasoning = "7 * 13.", secret = "SIG-A" }, "No." },
    { usage = { output_tokens_details = { thinking_tokens = 9 } } })
  local out, requests = output({ stream }, code, IN_DIALECTS)
  assert.equal("7 * 13.\nNo.\t9\n", out)
  assert.same({ type = "enabled", budget_tokens = 2048 }, requests[1].json.thinking)
end

cases["guide: Refused parameters"] = function(code)
  local refusal = support.http(400, {}, { error = { param = "max_tokens", message = "No." } })
  assert.equal("max_tokens\tmax_completion_tokens\n", (output({ refusal, answer("Hi.") }, code)))
end

cases["guide: Fallback"] = function(code)
  local busy = support.http(503, { ["x-should-retry"] = "false" })
  local out, requests = output({ busy, busy, answer("Hi.") }, code)
  assert.equal("Hi.\tlmstudio\nopenai\thttp\ngemini\thttp\n", out)
  assert.equal("/v1/lmstudio/chat/completions", requests[3].target)
end

cases["guide: Memory"] = function(code)
  local out = output({ answer("Hi.") }, code)
  assert.equal("1\t12\n", out)
end

cases["guide: Many at once"] = function(code)
  local out = output({ answer("Hi.") }, code)
  assert.truthy(out:find("^Hi%.\nHi%.\n[12]\tHi%.\t"), out)
end

cases["errors: Errors"] = function(code)
  local slow = support.http(429, {}, { error = { message = "Slow down", code = "rate" } })
  assert.equal("http\t429\trate\nhttp 429: Slow down [openai gpt-4.1]\nlater, perhaps\n",
    (output({ slow }, code)))
  local out = output({ cut("Hel", "lo") }, code)
  assert.truthy(out:find("^truncated\t200\tnil\n") and out:find("\nso far: Hello\n$"), out)
end

cases["providers: A service of your own"] = function(code)
  local out, requests = output({ answer("no") }, code)
  assert.equal("acme\thttps://llm.acme.example/v1\tacme-large\tfalse\n"
    .. "acme\thttps://llm.acme.example/v1\tany-model\tfalse\n", out)
  assert.equal(0, #requests)
end

cases["providers: From a password manager"] = function(code)
  local bin = support.tmpdir()
  support.write_file(bin .. "/pass", [[#!/bin/sh
    echo "$*" >>"$(dirname "$0")/asked"
    case $* in "show chat/openai") printf 'sk-of-pass-1\nurl: https://example.org\n' ;;
    "show chat/gemini") echo sk-of-pass-2 ;; *) exit 1 ;; esac
  ]])
  assert(os.execute("chmod +x " .. support.quote(bin .. "/pass")))
  local server = support.serve { answer("One."), answer("Two."), answer("Three.") }
  local result = run(server.url, code, nil, [[
    bot:chat("And again.")
    bot:set_model("grok-4")
    print(bot:chat("Anybody?")) ]], { PATH = bin .. ":" .. os.getenv("PATH") })
  assert.equal(0, result.status, result.err)
  assert.truthy(result.out:find("^One%.\t[^\n]*\nTwo%.\t[^\n]*\nnil\tconfig: no API key for 'xai'"),
    result.out)
  local keys = {}
  for i, request in ipairs(server:requests()) do keys[i] = request.named.authorization end
  assert.same({ "Bearer sk-of-pass-1", "Bearer sk-of-pass-2", "Bearer sk-of-pass-2" }, keys)
  assert.equal("show chat/openai\nshow chat/gemini\nshow chat/xai\n",
    support.read_file(bin .. "/asked"))
end

describe("an example of the manual", function()
  after_each(support.close_all)

  local left, seen = {}, {}
  for name in pairs(cases) do left[name] = true end
  for _, page in ipairs(manual.names) do
    for _, part in ipairs(manual.pages[page].sections) do
      for _, block in ipairs(part.blocks) do
        if block.lang == "lua" then
          local name = page .. ": " .. part.heading
          seen[name] = (seen[name] or 0) + 1
          if seen[name] > 1 then name = name .. " " .. seen[name] end
          left[name] = nil
          it("works: " .. name, function()
            assert.truthy(cases[name], "there is no case for it")
            cases[name](block.code)
          end)
        end
      end
    end
  end

  it("stands behind every case", function() assert.is_nil((next(left))) end)

  -- The first one, for each model of the table below it.
  local places = { openai = "OPENAI_API_KEY", gemini = "GOOGLE_API_KEY", xai = "XAI_API_KEY",
    plamo = "PLAMO_API_KEY", lmstudio = "none", llamaserver = "none" }
  local first = manual.pages.README.sections[1].blocks[1].code
  for _, row in ipairs(manual.rows_of("README", "chatbot", 1)) do
    it("reaches another service by one string: " .. row[1], function()
      local model = row[1]:match('^`("[^"]+")`$')
      local code, replaced = first:gsub('"gpt%-4%.1"', function() return model end)
      assert.equal(1, replaced)
      local out, requests = output({ answer("Once.") }, code)
      assert.equal("Once.\n", out)
      assert.equal(1, #requests)
      local provider = requests[1].target:match("^/v1/(%w+)/chat/completions$")
      local variable = row[3]:gsub("`", "")
      assert.equal(places[provider], variable)
      local key = KEYS[variable]
      assert.equal(key and "Bearer " .. key, requests[1].named.authorization)
      local name = model:match('^"[^:]*:(.*)"$') or model:match('^"(.*)"$')
      assert.equal(name, requests[1].json.model)
      for _, other in pairs(KEYS) do
        local bytes = requests[1].line .. support.encode(requests[1].headers) .. requests[1].body
        assert.equal(other == key, bytes:find(other, 1, true) ~= nil)
      end
      places[provider] = "taken"
    end)
  end
end)

describe("examples/chat.lua", function()
  after_each(support.close_all)

  local code = assert(support.read_file("examples/chat.lua"))

  it("holds a conversation with two services", function()
    local out, requests = output({ answer("Scattered ", "light."), answer("Blue wins.") }, code)
    assert.truthy(out:find("Scattered light.", 1, true) and out:find("Blue wins.", 1, true), out)
    assert.truthy(out:find("5 messages", 1, true), out)
    assert.equal("/v1/openai/chat/completions", requests[1].target)
    assert.equal("/v1/gemini/chat/completions", requests[2].target)
    assert.equal(4, #requests[2].json.messages)
  end)

  it("tells what went wrong", function()
    local server = support.serve { support.http(401, {}, { error = { message = "No." } }) }
    local result = run(server.url, code)
    assert.equal(1, result.status)
    assert.equal("chat.lua: http 401: No. [openai gpt-4.1]\n", result.err)
  end)
end)
