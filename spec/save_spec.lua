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
    local server = support.serve { sse { "Grüße 😀\0\1" }, sse { "ok" } }
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
    local again = assert(chatbot.load(path))
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
    assert.is_false(chatbot.load(path):get_provider().has_key)
    local given = chatbot.load(path, { api_key = secret })
    assert.is_true(given:get_provider().has_key)
  end)

  it("takes options in place of those that were saved", function()
    local path = support.tmpdir() .. "/talk.json"
    assert(chatbot.save(bot_at(NOWHERE), path))
    local bot = assert(chatbot.load(path, { model = "other", system = "New." }))
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
    assert.same({}, chatbot.load(path):get_messages())
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
    assert.equal(2, #chatbot.load(path):get_messages())
  end)

  it("says why it cannot be written", function()
    local dir = support.tmpdir()
    for _, path in ipairs { "/nowhere/at/all.json", dir } do
      local ok, problem = chatbot.save(bot_at(NOWHERE), path)
      assert.is_nil(ok)
      assert.equal("string", type(problem))
    end
    assert.same({}, files_in(dir))
  end)

  it("says when the disk is full", function()
    local full = io.open("/dev/full", "wb")
    if not full then return pending("there is no /dev/full") end
    full:close()
    local dir = support.tmpdir()
    -- its temporary file is a link to a full disk
    local open = io.open
    io.open = function(path, mode) -- luacheck: ignore
      if mode == "wb" then path = "/dev/full" end
      return open(path, mode)
    end
    local bot = bot_at(NOWHERE)
    bot:get_messages()[1] = user(("x"):rep(1e6))
    local done, ok, problem = pcall(chatbot.save, bot, dir .. "/talk.json")
    io.open = open -- luacheck: ignore
    assert.is_true(done, ok)
    assert.is_nil(ok)
    assert.truthy(problem:find("could not be written", 1, true), problem)
    assert.same({}, files_in(dir))
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

  it("is refused when it is not there", function()
    local bot, problem = chatbot.load("/nowhere/talk.json")
    assert.is_nil(bot)
    assert.truthy(problem:find("/nowhere/talk.json", 1, true))
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
