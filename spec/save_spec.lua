-- Conversations that are saved, loaded, forked, taken back and cut; what they cost.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local bot_at = bots.at

local sse = support.sse

local function collect()
  support.remove_all()
  bots.collect()
end

local function user(text) return { role = "user", content = text } end
local function assistant(text) return { role = "assistant", content = text } end

local NOWHERE = { url = "http://127.0.0.1:1/v1" }

-- Somebody who answers at NOWHERE's place, if it has been named again.
local AGAIN = { base_url = NOWHERE.url }

-- What the shell says, without the last line end.
local function shell(format, ...)
  local args = { ... }
  for i, arg in ipairs(args) do args[i] = support.quote(arg) end
  local pipe = assert(io.popen(format:format((table.unpack or unpack)(args)))) -- luacheck: ignore
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("\n$", ""))
end

local function files_in(dir)
  local pipe, names = assert(io.popen("ls -A " .. support.quote(dir))), {}
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  return names
end

describe("a conversation that is saved", function()
  after_each(collect)

  it("is loaded with its messages and settings", function()
    local path = support.tmpdir() .. "/talk.json"
    local server = support.serve({ sse { "Grüße 😀\0\1" }, sse { "ok" } },
      { strict = false }) -- the program's own `id`
    local bot = bot_at(server, { system = "Be brief.", temperature = false,
      max_context_tokens = 1000 })
    bot:chat("hello \"you\"")
    local messages = bot:get_messages()
    messages[4] = { role = "assistant", tool_calls = { { id = "a", type = "function",
      ["function"] = { name = "f", arguments = "{}" } } } }
    messages[5] = { role = "tool", tool_call_id = "a", content = "[]" }
    messages[6] = user { { type = "text", text = "x" } }
    messages[7] = { role = "assistant", content = "y", id = 12345678901 }
    assert.is_true(chatbot.save(bot, path))
    assert.same({ "talk.json" }, files_in(path:match("^(.*)/")))
    local again = assert(chatbot.load(path, { base_url = server.url }))
    assert.same(messages, again:get_messages())
    assert.equal("m", again:get_model())
    assert.equal(server.url, again:get_provider().base_url)
    again:chat("more")
    local sent = server:requests()[2]
    assert.is_nil(sent.json.temperature)
    assert.truthy(sent.body:find('"id":12345678901', 1, true))
  end)

  it("never has a key in it", function()
    local path = support.tmpdir() .. "/talk.json"
    local secret = "sk-top-secret-0123456789"
    local bot = bot_at(NOWHERE, { api_key = secret, headers = { Authorization = secret } })
    bot:get_messages()[1] = user "hello"
    assert.is_true(chatbot.save(bot, path))
    assert.is_nil(support.read_file(path):find("secret", 1, true))
    assert.is_false(chatbot.load(path, AGAIN):get_provider().has_key)
    local given = chatbot.load(path, { api_key = secret, base_url = NOWHERE.url })
    assert.is_true(given:get_provider().has_key)
  end)

  it("takes options in place of those that were saved", function()
    local path = support.tmpdir() .. "/talk.json"
    assert(chatbot.save(bot_at(NOWHERE), path))
    local bot = assert(chatbot.load(path, { model = "other", system = "New.",
      base_url = NOWHERE.url }))
    assert.equal("other", bot:get_model())
    assert.same({ { role = "system", content = "New." } }, bot:get_messages())
  end)

  it("keeps a list of models", function()
    local path = support.tmpdir() .. "/talk.json"
    assert(chatbot.save(chatbot.new { model = { "groq:a", "ollama:b" } }, path))
    local bot = chatbot.load(path)
    assert.equal("groq", bot:get_provider().name)
    assert(chatbot.save(bot, path))
    assert.truthy(support.read_file(path):find('["groq:a","ollama:b"]', 1, true))
  end)

  it("of nothing is an empty list again", function()
    local path = support.tmpdir() .. "/talk.json"
    assert(chatbot.save(bot_at(NOWHERE), path))
    assert.truthy(support.read_file(path):find('"messages":[]', 1, true))
    assert.same({}, chatbot.load(path, AGAIN):get_messages())
  end)

  it("replaces an older one at once, or not at all", function()
    local dir = support.tmpdir()
    local path = dir .. "/talk.json"
    local bot = bot_at(NOWHERE)
    bot:get_messages()[1] = user "first"
    assert(chatbot.save(bot, path))
    local before = support.read_file(path)
    bot:get_messages()[2] = assistant(print) -- has no JSON
    local ok, problem = chatbot.save(bot, path)
    assert.is_nil(ok)
    assert.equal("string", type(problem))
    assert.equal(before, support.read_file(path))
    assert.same({ "talk.json" }, files_in(dir))
    bot:get_messages()[2] = assistant "second"
    assert(chatbot.save(bot, path))
    assert.equal(2, #chatbot.load(path, AGAIN):get_messages())
  end)

  it("says why it cannot be written", function()
    local dir = support.tmpdir()
    support.write_file(dir .. "/file", "")
    shell("ln -s loop %s/loop", dir)
    local before = files_in(dir)
    for path, reason in pairs { ["/nowhere/at/all.json"] = "No such file or directory",
      [dir] = "Is a directory", [dir .. "/file/talk.json"] = "Not a directory",
      [dir .. "/loop"] = "Too many levels of symbolic links",
      [dir .. "/" .. ("x"):rep(300)] = "File name too long",
      [dir .. "/talk\0.json"] = "Invalid argument", [""] = "No such file or directory" } do
      local ok, problem = chatbot.save(bot_at(NOWHERE), path)
      assert.is_nil(ok)
      assert.equal("string", type(problem))
      assert.truthy(problem:find(reason, 1, true), problem)
    end
    assert.same(before, files_in(dir))
  end)

  it("says that it may not be written", function()
    if shell("id -u") == "0" then return pending("to root all is allowed") end
    local dir = support.tmpdir()
    support.write_file(dir .. "/talk.json", "mine")
    for _, mode in ipairs { "a-w %s/talk.json", "a-w %s" } do
      shell("chmod " .. mode, dir)
      local ok, problem = chatbot.save(bot_at(NOWHERE), dir .. "/talk.json")
      assert.is_nil(ok)
      assert.truthy(problem:find("Permission denied", 1, true), problem)
      shell("chmod u+w %s %s/talk.json", dir, dir)
    end
    assert.equal("mine", support.read_file(dir .. "/talk.json"))
  end)

  it("is its owner's only, and an older file keeps its mode", function()
    local dir = support.tmpdir()
    local modes = { new = "600" }
    for _, mode in ipairs { "600", "640", "664", "444" } do
      support.write_file(dir .. "/" .. mode, "{}")
      shell("chmod " .. mode .. " %s/" .. mode, dir)
      modes[mode] = mode
    end
    if shell("id -u") ~= "0" then modes["444"] = nil end -- it must not be written
    for name, mode in pairs(modes) do
      assert.is_true(chatbot.save(bot_at(NOWHERE), dir .. "/" .. name))
      assert.equal(mode, shell("stat -c %%a %s/" .. name, dir))
      assert.truthy(chatbot.load(dir .. "/" .. name, AGAIN))
    end
    assert.equal(5, #files_in(dir))
  end)

  it("is where symbolic links lead, and they stay", function()
    local dir = support.tmpdir()
    shell("cd %s && mkdir real other && echo {} >real/talk.json && chmod 640 real/talk.json && "
      .. "ln -s ../real/talk.json other/second && ln -s other/second first && "
      .. "ln -s %s/real/new.json dangling", dir, dir)
    assert.is_true(chatbot.save(bot_at(NOWHERE), dir .. "/first"))
    assert.is_true(chatbot.save(bot_at(NOWHERE), dir .. "/dangling"))
    assert.equal("640", shell("stat -c %%a %s/real/talk.json", dir))
    assert.equal("600", shell("stat -c %%a %s/real/new.json", dir))
    local links = shell("cd %s; find . -type l | sort", dir):gsub("\n", " ")
    assert.equal("./dangling ./first ./other/second", links)
    for _, name in ipairs { "first", "dangling" } do
      assert.truthy(chatbot.load(dir .. "/" .. name, AGAIN))
    end
    assert.same({ "new.json", "talk.json" }, files_in(dir .. "/real"))
  end)

  it("goes into a FIFO or a device, which stay what they are", function()
    local dir = support.tmpdir()
    local fifo = dir .. "/fifo"
    shell("mkfifo %s", fifo)
    local reader = assert(io.popen(("cat %s >%s"):format(support.quote(fifo),
      support.quote(dir .. "/out"))))
    local bot = bot_at(NOWHERE)
    bot:get_messages()[1] = user(("x"):rep(200000))
    assert.is_true(chatbot.save(bot, fifo))
    reader:close()
    assert.equal(200000, #support.read_file(dir .. "/out"):match("x+"))
    assert.equal("fifo", shell("stat -c %%F %s", fifo))
    assert.is_true(chatbot.save(bot, "/dev/null"))
    assert.equal("character special file", shell("stat -c %%F /dev/null"))
  end)

  it("to a FIFO whose reader has gone is a problem, and the process lives", function()
    local fifo = support.tmpdir() .. "/fifo"
    shell("mkfifo %s", fifo)
    local result = support.run_lua([[
      local chatbot = require "chatbot"
      local reader = io.popen("head -c 1 " .. arg[1])
      local bot = chatbot.new { messages = { { role = "user", content = ("x"):rep(1e6) } } }
      print(chatbot.save(bot, arg[1]))
    ]], { args = { fifo } })
    assert.equal(0, result.status, result.err)
    assert.truthy(result.out:find("Broken pipe", 1, true), result.out)
  end)

  it("says when the disk is full", function()
    local full = io.open("/dev/full", "wb")
    if not full then return pending("there is no /dev/full") end
    full:close()
    local bot = bot_at(NOWHERE)
    bot:get_messages()[1] = user(("x"):rep(1e6))
    local ok, problem = chatbot.save(bot, "/dev/full")
    assert.is_nil(ok)
    assert.truthy(problem:find("No space left on device", 1, true), problem)
    assert.equal("character special file", shell("stat -c %%F /dev/full"))
  end)

  it("that does not fit is not there at all", function()
    local dir = support.tmpdir()
    local path = dir .. "/talk.json"
    assert(chatbot.save(bot_at(NOWHERE), path))
    local before = support.read_file(path)
    support.write_file(dir .. "/script.lua", [[
      local chatbot = require "chatbot"
      local bot = chatbot.new { messages = { { role = "user", content = ("x"):rep(1e6) } } }
      io.stdout:write(tostring(select(2, chatbot.save(bot, arg[1]))))
    ]])
    local said = shell("trap '' XFSZ; ulimit -f 4; exec " .. support.interpreter()
      .. " %s/script.lua %s", dir, path)
    assert.truthy(said:find("File too large", 1, true), said)
    assert.equal(before, support.read_file(path))
    assert.same({ "script.lua", "talk.json" }, files_in(dir))
  end)

  for _, text in ipairs { "", "{}", "[]", "hello", '{"format":"chatbot conversation 1"}',
    '{"format":"chatbot conversation 9","settings":{},"messages":[]}',
    '{"format":"chatbot conversation 1","settings":{},"messages":[1]}',
    '{"format":"chatbot conversation 1","settings":{"model":{"a":1}},"messages":[]}',
    '{"format":"chatbot conversation 1","settings":{"temperature":"hot"},"messages":[]}' } do
    it(("is refused when it is none: %q"):format(text), function()
      local path = support.tmpdir() .. "/talk.json"
      support.write_file(path, text)
      local bot, problem = chatbot.load(path)
      assert.is_nil(bot)
      assert.truthy(problem:find("is no saved conversation", 1, true), problem)
    end)
  end

  it("has no secret of an address in it", function()
    local path = support.tmpdir() .. "/talk.json"
    for _, url in ipairs { "http://127.0.0.1:1/v1?api-version=1&key=SECRET",
      "http://127.0.0.1:1/v1#SECRET", "http://user:SECRET@127.0.0.1:1/v1",
      "http://user:SE@CRET@127.0.0.1:1/v1", "user:SECRET@127.0.0.1:1/v1" } do
      assert(chatbot.save(chatbot.new { model = "m", base_url = url }, path))
      local text = support.read_file(path)
      assert.is_nil(text:find("SE", 1, true), text)
      assert.truthy(text:find("127.0.0.1:1", 1, true), text)
    end
  end)

  it("is refused when it is not there", function()
    local bot, problem = chatbot.load("/nowhere/talk.json")
    assert.is_nil(bot)
    assert.truthy(problem:find("/nowhere/talk.json", 1, true))
    bot, problem = chatbot.load("/tmp")
    assert.is_nil(bot)
    assert.equal("/tmp: Is a directory", problem)
  end)
end)

-- The file is somebody else's: what it says of servers and keys is not the program's word.
describe("a file", function()
  after_each(collect)

  local function file(settings)
    local path = support.tmpdir() .. "/talk.json"
    support.write_file(path, support.encode { format = "chatbot conversation 1",
      settings = settings, messages = { user "hello", assistant "hi" } })
    return path
  end

  -- What `load` gives, and the keys that the server of the file gets, in a process where
  -- each provider has a key.
  local function loaded(settings, options, env)
    local server = support.serve { sse { "thanks" } }
    settings.base_url = settings.base_url and settings.base_url:gsub("@", server.url)
    local result = support.run_lua(([[
      local chatbot = require "chatbot"
      local url = arg[2]
      chatbot.register("acme", { base_url = url .. "/acme", api_key_env = { "ACME_KEY" } })
      local bot, problem = chatbot.load(arg[1], %s)
      if not bot then
        print(type(problem) == "table" and problem.kind, problem)
      else
        print(select(2, bot:chat("go on")).status)
      end
    ]]):format(options or "nil"), { args = { file(settings), server.url }, env = env or {
      OPENAI_API_KEY = "sk-openai", GROQ_API_KEY = "sk-groq", ACME_KEY = "sk-acme",
      OPENAI_BASE_URL = server.url .. "/openai" } })
    assert.equal("", result.err)
    local got = {}
    for i, request in ipairs(server:requests()) do
      got[i] = request.target:gsub("/chat/completions", "") .. " "
        .. (request.named.authorization or "no key")
    end
    return result.out, table.concat(got, ", ")
  end

  for _, settings in ipairs {
    { model = "gpt-4.1", provider = "openai", base_url = "@" },
    { model = "gpt-4.1", base_url = "@" },
    { model = "gpt-4.1", base_url = "@/openai/../evil" },
    { model = { "gpt-4.1", "mistral:7b" }, base_url = "@/chat/completions" },
    { model = "grop:x", provider = "acme", base_url = "@/acme2" },
    { model = "m", provider = "nobody", base_url = "@" },
    { model = "m", base_url = "nonsense\27[2J" },
  } do
    it("sends nothing to its own address: " .. support.encode(settings), function()
      for _, options in ipairs { "nil", "{ model = 'gpt-4.1' }", "{ api_key = 'sk-mine' }" } do
        local said, got = loaded(settings, options)
        assert.truthy(said:find("^config\t"), said)
        assert.truthy(said:find("no provider's own", 1, true), said)
        assert.is_nil(said:find("\27", 1, true))
        assert.equal("", got)
      end
    end)
  end

  it("goes on at an address that the options name again", function()
    local function check(expected, settings, options)
      local said, got = loaded(settings, options)
      assert.equal("complete\n", said)
      assert.equal(expected, got)
    end
    local settings = { model = "m", provider = "acme", base_url = "@" }
    check("/v1 no key", settings, "{ base_url = url }") -- the file names the provider
    check("/v1 Bearer sk-mine", settings, "{ base_url = url, api_key = 'sk-mine' }")
    check("/v1 Bearer sk-acme", settings, "{ base_url = url, provider = 'acme' }")
    check("/v1 Bearer sk-acme", { model = "m", provider = "acme", base_url = "@" },
      "{ provider = 'acme' }")
  end)

  it("goes on at another provider that the options name, not at its own address", function()
    for _, settings in ipairs { { model = "m", base_url = "@/evil" },
      { model = "m", provider = "openai", base_url = "@/evil" } } do
      local said, got = loaded(settings, "{ provider = 'acme' }")
      assert.equal("complete\n", said)
      assert.equal("/v1/acme Bearer sk-acme", got)
    end
  end)

  it("may say which provider, and write down its address", function()
    for _, case in ipairs {
      { { model = "acme:m" }, "/v1/acme Bearer sk-acme" },
      { { model = "m", provider = "acme" }, "/v1/acme Bearer sk-acme" },
      { { model = "m", provider = "acme", base_url = "@/acme/" }, "/v1/acme Bearer sk-acme" },
      { { model = "gpt-4.1", base_url = "@/openai" }, "/v1/openai no key" },
      { { model = "gpt-4.1" }, "/v1/openai Bearer sk-openai" },
    } do
      local said, got = loaded(case[1])
      assert.equal("complete\n", said)
      assert.equal(case[2], got)
    end
  end)

  it("that is wrong is told from options that are wrong", function()
    for _, settings in ipairs { { model = "grop:x" }, { provider = "nobody" }, { base_url = 1 },
      { model = { "a", {} } }, { model = {} }, { provider = 1 }, { stream = "no" } } do
      local bot, problem = chatbot.load(file(settings))
      assert.is_nil(bot)
      assert.truthy(problem:find("is no saved conversation", 1, true), problem)
    end
    assert.truthy(chatbot.load(file { model = "grop:x", base_url = 1 }, AGAIN))
    for _, options in ipairs { { nonsense = 1 }, { provider = "nobody" }, { model = "grop:x" } } do
      assert.has_error(function() chatbot.load(file { model = "m" }, options) end)
    end
  end)
end)

describe("a fork", function()
  after_each(collect)

  it("has a copy of the conversation, the settings and the key", function()
    local server = support.serve { sse { "one" } }
    local bot = bot_at(server, { api_key = "sk-mine", system = "s" })
    bot:chat("a")
    local fork = bot:fork()
    assert.same(bot:get_messages(), fork:get_messages())
    assert.equal("one", fork:chat("b"))
    assert.equal(3, #bot:get_messages())
    assert.equal(5, #fork:get_messages())
    fork:get_messages()[2].content = "changed"
    assert.equal("a", bot:get_messages()[2].content)
    assert.equal("Bearer sk-mine", server:requests()[2].named.authorization)
    assert.equal(0, fork:undo() and bot:get_usage().total_tokens)
  end)

  it("goes its own way while the other is under way", function()
    local server = support.serve { { { stall = true } } }
    local bot = bot_at(server)
    local reply = bot:stream("a")
    server:wait(1, 5, "request", chatbot.poll)
    server:script { sse { "two" } }
    local fork = bot:fork()
    assert.equal("two", fork:chat("b"))
    assert.same({ user "b", assistant "two" }, fork:get_messages())
    assert.same({ user "a" }, bot:get_messages())
    reply:close()
  end)
end)

describe("undo", function()
  after_each(collect)

  it("takes the last exchange out, with all that answered it", function()
    local bot = bot_at(NOWHERE, { messages = { { role = "system", content = "s" }, user "a",
      assistant "1", user "b", { role = "assistant", tool_calls = {} },
      { role = "tool", content = "r" }, assistant "2" } })
    local removed = bot:undo()
    assert.equal(4, #removed)
    assert.equal("b", removed[1].content)
    assert.equal(3, #bot:get_messages())
    assert.equal("a", bot:undo()[1].content)
    assert.same({ { role = "system", content = "s" } }, bot:get_messages())
    assert.is_nil(bot:undo())
    assert.equal(1, #bot:get_messages())
  end)

  it("is refused while a reply is under way", function()
    local bot = bot_at(support.serve { { { stall = true } } })
    local reply = bot:stream("a")
    local removed, err = bot:undo()
    assert.is_nil(removed)
    assert.equal("busy", err.kind)
    assert.same({ user "a" }, bot:get_messages())
    reply:close()
  end)
end)

describe("the usage of a bot", function()
  after_each(collect)

  it("is the sum of what the servers counted", function()
    local server = support.serve { sse({ "a" }, { usage = true }), sse { "b" },
      sse({ "c" }, { usage = { prompt_tokens = 100, total_tokens = 101 } }) }
    local bot = bot_at(server)
    assert.same({ prompt_tokens = 0, completion_tokens = 0, total_tokens = 0 }, bot:get_usage())
    for _ = 1, 3 do bot:chat("x") end
    local usage = bot:get_usage()
    assert.same({ prompt_tokens = 107, completion_tokens = 5, total_tokens = 113 }, usage)
    assert.equal("113", tostring(usage.total_tokens))
    assert.same({ prompt_tokens = 0, completion_tokens = 0, total_tokens = 0 },
      bot:fork():get_usage())
  end)

  it("has what stands in choices, as Moonshot has it", function()
    local chunk = { choices = { { index = 0, delta = {}, finish_reason = "stop",
      usage = { prompt_tokens = 2, completion_tokens = 3, total_tokens = 5 } } } }
    local bot = bot_at(support.serve { sse({ "a", chunk }, { finish_reason = false }) })
    bot:chat("x")
    assert.equal(5, bot:get_usage().total_tokens)
  end)
end)

describe("on_trim", function()
  after_each(collect)

  it("is told which messages went", function()
    local big = { prompt_tokens = 150, completion_tokens = 50, total_tokens = 200 }
    local server = support.serve { sse { "1" }, sse { "2" }, sse({ "3" }, { usage = big }) }
    local calls = {}
    local bot = bot_at(server, { system = "s", max_context_tokens = 150,
      on_trim = function(messages) calls[#calls + 1] = messages end })
    for _, prompt in ipairs { "a", "b", "c" } do bot:chat(prompt) end
    assert.same({ { user "a", assistant "1" } }, calls)
    assert.same({ { role = "system", content = "s" }, user "b", assistant "2", user "c",
      assistant "3" }, bot:get_messages())
  end)
end)
