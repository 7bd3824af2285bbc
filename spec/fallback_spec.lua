-- Several models: the next is asked when one fails before its first text.

local answers = require "spec.support.answers"
local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local collect = bots.collect

local sse, http = support.sse, support.http

-- Each service has a key of its own, which HOME always gives in the tests.
local function service(name, server, opts)
  local row = { base_url = server.url or server, headers = { ["X-Service"] = name },
    api_key_env = opts and opts.api_key_env or chatbot.array {} }
  chatbot.register(name, row)
end

local function bot_of(models, opts)
  local all = { model = models, max_retries = 0, timeout = 20 }
  for name, value in pairs(opts or {}) do all[name] = value end
  return chatbot.new(all)
end

local function failing(status, body, headers)
  return support.serve { http(status, headers or {}, body or { error = { message = "No." } }) }
end

local function answering(...) return support.serve { sse({ ... }, { model = "real-b" }) } end

local function cut(...) return sse({ ... }, { finish_reason = false, done = false }) end

describe("a list of models", function()
  after_each(collect)

  it("asks the first, and no other when it answers", function()
    local a, b = answering("Yes."), answering("No.")
    service("first-a", a)
    service("first-b", b)
    local bot = bot_of { "first-a:x", "first-b:y" }
    local text, reply = bot:chat("hello")
    assert.equal("Yes.", text)
    assert.equal("first-a", reply.provider)
    assert.same({}, reply.attempts)
    assert.equal(0, #b:requests())
    assert.equal("x", bot:get_model())
  end)

  local causes = {
    { "HTTP 500", function() return failing(500) end, "http" },
    { "HTTP 503", function() return failing(503) end, "http" },
    { "HTTP 429", function() return failing(429) end, "http" },
    { "HTTP 408", function() return failing(408) end, "http" },
    { "HTTP 402", function() return failing(402) end, "http" },
    { "an exhausted quota", function()
      return failing(429, { error = { message = "Pay.", code = "insufficient_quota" } })
    end, "http" },
    { "an exhausted quota by its type", function()
      return failing(403, { error = { message = "Pay.", type = "insufficient_quota" } })
    end, "http" },
    { "nobody there", function() return "http://127.0.0.1:" .. support.dead_port() .. "/v1" end,
      "connect" },
    { "an unknown host", function() return "http://nowhere.invalid/v1" end, "dns" },
    { "a broken connection", function() return support.serve { { { reset = true } } } end,
      "reset" },
    { "silence", function() return support.serve { { { stall = true } } } end, "timeout" },
    { "an empty answer", function() return support.serve { http(200, {}, "") } end,
      "truncated" },
    { "a stream without text", function() return support.serve { cut() } end, "truncated" },
    { "an error in the stream", function()
      return support.serve { sse({ { error = { code = 502, message = "Upstream." } } },
        { role = false }) }
    end, "api" },
  }
  for i, case in ipairs(causes) do
    it("asks the next one after " .. case[1], function()
      local a, b = case[2](), answering("Yes.")
      service("cause-a" .. i, a)
      service("cause-b", b)
      local bot = bot_of({ "cause-a" .. i .. ":x", "cause-b:y" }, { first_byte_timeout = 0.2 })
      local text, reply = bot:chat("hello")
      assert.equal("Yes.", text, tostring(reply))
      assert.equal("cause-b", reply.provider)
      assert.equal("real-b", reply.model)
      assert.equal(1, #reply.attempts)
      local attempt = reply.attempts[1]
      assert.equal("cause-a" .. i, attempt.provider)
      assert.equal("x", attempt.model)
      assert.equal(case[3], attempt.kind)
      assert.truthy(#attempt.message > 0)
      assert.equal("y", b:requests()[1].json.model)
      assert.same({ { role = "user", content = "hello" },
        { role = "assistant", content = "Yes." } }, bot:get_messages())
    end)
  end

  for _, case in ipairs {
    { "HTTP 400", function() return failing(400) end },
    { "HTTP 401", function() return failing(401) end },
    { "HTTP 403", function() return failing(403) end },
    { "HTTP 404", function() return failing(404) end },
    { "a redirect", function() return failing(307, nil, { Location = "/x" }) end },
    { "what is no answer", function() return support.serve { http(200, {}, "<html>") } end },
    { "its first text", function() return support.serve { cut("Hel") } end },
    { "an error in the stream that tells of the request", function()
      return support.serve { sse({ { error = { code = 400, message = "Bad." } } },
        { role = false }) }
    end },
  } do
    it("asks no other after " .. case[1], function()
      local a, b = case[2](), answering("No.")
      service("never-a", a)
      service("never-b", b)
      local bot = bot_of { "never-a:x", "never-b:y" }
      local text, err = bot:chat("hello")
      assert.is_nil(text)
      assert.equal("never-a", err.provider)
      assert.equal(0, #b:requests())
      assert.same({}, bot:get_messages())
    end)
  end

  it("asks the next one where a key is missing, at once or later", function()
    local a, b, c = failing(500), answering("B"), answering("Yes.")
    service("key-a", a)
    service("key-b", b, { api_key_env = { "NO_SUCH_KEY" } })
    service("key-c", c)
    local text, reply = bot_of({ "key-b:x", "key-c:y" }):chat("hello")
    assert.equal("Yes.", text)
    assert.equal("config", reply.attempts[1].kind)
    assert.truthy(reply.attempts[1].message:find("NO_SUCH_KEY", 1, true))
    text, reply = bot_of({ "key-a:x", "key-b:y", "key-c:z" }):chat("hello")
    assert.equal("Yes.", text)
    assert.same({ "key-a", "key-b" }, { reply.attempts[1].provider, reply.attempts[2].provider })
    assert.equal(0, #b:requests())
    local err
    text, err = bot_of({ "key-b:x", "key-b:y" }):chat("hello")
    assert.is_nil(text)
    assert.equal("no_api_key", err.code)
  end)

  it("gives no key and no header of one service to another", function()
    local a, b, c = failing(500), failing(500), answering("Yes.")
    service("secret-a", a, { api_key_env = { "NO_SUCH_KEY" } })
    service("secret-b", b, { api_key_env = { "HOME" } })
    service("secret-c", c)
    local bot = bot_of({ "secret-a:x", "secret-b:y", "secret-c:z" },
      { api_key = "sk-of-a-alone", headers = { ["X-Mine"] = "token-of-a" } })
    assert.equal("Yes.", bot:chat("hello", { headers = { ["X-Call"] = "token-of-call" } }))
    local first, second, third = a:requests()[1], b:requests()[1], c:requests()[1]
    assert.equal("Bearer sk-of-a-alone", first.named.authorization)
    assert.equal("token-of-a", first.named["x-mine"])
    assert.equal("token-of-call", first.named["x-call"])
    assert.equal("Bearer " .. os.getenv("HOME"), second.named.authorization)
    assert.is_nil(third.named.authorization)
    for _, request in ipairs { second, third } do
      local all = support.encode(request.headers) .. request.body .. request.line
      assert.is_nil(all:find("of%-a"))
      assert.is_nil(all:find("token", 1, true))
    end
    assert.equal("secret-c", third.named["x-service"])
  end)

  -- Where names like "outside:x" and "outside-x" lead: nothing may arrive there.
  local function outside()
    local server = answering("No.")
    service("outside", server, { api_key_env = { "HOME" } })
    chatbot.register("outside", { match_prefix = { "outside-" } })
    return function() assert.equal(0, #server:requests()) end
  end

  it("stays at the base_url of the bot, with its key and headers, whatever the names", function()
    local nobody_else = outside()
    local function checked(bot, server, key)
      assert.is_nil((bot:chat("our figures")))
      local requests = server:requests()
      assert.equal(3, #requests)
      for i, name in ipairs { "llama-70b", "outside:x", "outside-x" } do
        assert.equal(name, requests[i].json.model)
        assert.equal(key, requests[i].named.authorization)
        assert.equal("mine", requests[i].named["x-mine"])
      end
      nobody_else()
    end
    local models = { "llama-70b", "outside:x", "outside-x" }
    local function options(server, more)
      local all = { base_url = server.url, headers = { ["X-Mine"] = "mine" } }
      for name, value in pairs(more or {}) do all[name] = value end
      return all
    end
    local server = failing(503)
    checked(bot_of(models, options(server)), server)
    server = failing(503)
    checked(bot_of(models, options(server, { api_key = "sk-mine" })), server, "Bearer sk-mine")
    server = failing(503)
    checked(bot_of(models, options(server, { provider = "outside" })):fork()
      :set_model { "llama-70b", "outside:outside:x", "outside-x" }, server,
      "Bearer " .. os.getenv("HOME"))
    server = failing(503)
    checked(bot_of("outside-x"):set_model(models, options(server)), server)
    server = failing(503)
    checked(bot_of(models, options(server, { json = true, tools = { { name = "f" } } })), server)
  end)

  it("stays at the provider of the bot", function()
    local nobody_else = outside()
    local server = failing(503)
    service("named-a", server, { api_key_env = { "HOME" } })
    assert.is_nil((bot_of({ "x", "named-a:y", "outside-x" }, { provider = "named-a" })
      :chat("our figures")))
    local requests = server:requests()
    assert.equal(3, #requests)
    for i, name in ipairs { "x", "y", "outside-x" } do
      assert.equal(name, requests[i].json.model)
      assert.equal("Bearer " .. os.getenv("HOME"), requests[i].named.authorization)
    end
    nobody_else()
  end)

  it("ends where a name has an unknown word before a colon", function()
    local nobody_else = outside()
    service("typo-a", failing(503))
    local bot = bot_of { "typo-a:x", "tipo-a:outside-x", "outside:x" }
    local text, err = bot:chat("our figures")
    assert.is_nil(text)
    assert.equal(503, err.status)
    nobody_else()
  end)

  it("asks a function for the key of each", function()
    local a, b = failing(500), answering("Yes.")
    service("ask-a", a)
    service("ask-b", b)
    local addresses = {}
    bot_of({ "ask-a:x", "ask-b:y" }, { api_key = function(provider, address)
      addresses[#addresses + 1] = address
      return "key-of-" .. provider
    end }):chat("hello")
    assert.equal("Bearer key-of-ask-a", a:requests()[1].named.authorization)
    assert.equal("Bearer key-of-ask-b", b:requests()[1].named.authorization)
    assert.same({ a.url, b.url }, addresses)
  end)

  it("fails with the last failure when all have failed", function()
    service("all-a", failing(500))
    service("all-b", failing(503, { error = { message = "Later." } }))
    local bot = bot_of { "all-a:x", "all-b:y" }
    local reply = bot:stream("hello")
    local text, err = reply:result()
    assert.is_nil(text)
    assert.equal(503, err.status)
    assert.equal("all-b", err.provider)
    assert.same({ "all-a", "all-b" },
      { reply.attempts[1].provider, reply.attempts[2].provider })
    assert.same({}, bot:get_messages())
  end)

  it("begins anew with the first for each prompt", function()
    local a, b = support.serve { http(500), sse { "One." } }, answering("Two.")
    service("anew-a", a)
    service("anew-b", b)
    local bot = bot_of { "anew-a:x", "anew-b:y" }
    assert.equal("Two.", bot:chat("hello"))
    assert.equal("One.", bot:chat("hello"))
  end)

  it("is healed for the one that is asked", function()
    local a = support.serve { http(500) }
    local b = support.serve { http(400, {}, { error = { param = "temperature",
      message = "'temperature' is not supported" } }), sse { "Yes." }, sse { "Again." } }
    service("heal-a", a)
    service("heal-b", b)
    local bot = bot_of { "heal-a:x", "heal-b:y" }
    local text, reply = bot:chat("hello")
    assert.equal("Yes.", text)
    assert.same({ temperature = "dropped" }, reply.adjusted)
    text, reply = bot:chat("hello")
    assert.equal("Again.", text)
    assert.same({ temperature = "dropped" }, reply.adjusted)
    assert.equal(0, a:requests()[2].json.temperature)
    assert.is_nil(b:requests()[3].json.temperature)
    assert.equal(3, #b:requests())
  end)

  it("goes on with tools at the one that answered", function()
    local call = { index = 0, id = "c", type = "function",
      ["function"] = { name = "f", arguments = "{}" } }
    local a = failing(500)
    local b = support.serve { sse({ { tool_calls = { call } } },
      { finish_reason = "tool_calls" }), sse { "Yes." } }
    service("tool-a", a)
    service("tool-b", b)
    local text, reply = bot_of({ "tool-a:x", "tool-b:y" }, { tools = {
      { name = "f", call = function() return "r" end } } }):chat("hello")
    assert.equal("Yes.", text)
    assert.equal("tool-b", reply.provider)
    assert.equal(1, #a:requests())
    assert.equal("r", b:requests()[2].json.messages[3].content)
    assert.equal("y", b:requests()[2].json.model)
  end)

  it("asks for JSON in the form of the one that is asked", function()
    local b = answering('{"a":1}')
    service("json-a", failing(500))
    service("json-b", b)
    chatbot.register("json-b", { json_schema = false })
    local _, reply = bot_of({ "json-a:x", "json-b:y" }):chat("x", { schema = { type = "object" } })
    assert.equal(1, reply.parsed.a)
    assert.equal("json_object", b:requests()[1].json.response_format.type)
  end)

  it("works in each way to an answer", function()
    service("way-a", failing(500))
    service("way-b", answering("Yes."))
    local models = { "way-a:x", "way-b:y" }
    local texts = {}
    for text in bot_of(models):stream("x"):chunks() do texts[#texts + 1] = text end
    assert.equal("Yes.", table.concat(texts))
    local bot = bot_of(models)
    local thread = coroutine.create(function() return bot:chat("x") end)
    local limit = support.now() + 10
    local ok, answer
    repeat
      ok, answer = coroutine.resume(thread)
      assert(ok and support.now() < limit, answer)
    until coroutine.status(thread) == "dead"
    assert.equal("Yes.", answer)
    local got = {}
    local reply = bot_of(models):stream("x", { on_text = function(text) got[#got + 1] = text end })
    while reply.status == "streaming" do
      chatbot.poll(0.1)
      assert(support.now() < limit)
    end
    assert.equal("Yes.", table.concat(got))
  end)

  it("may be given to set_model, and is gone with one name", function()
    local a, b = failing(500), answering("Yes.")
    service("set-a", a)
    service("set-b", b)
    local bot = bot_of "set-a:x"
    assert.is_nil((bot:chat("x")))
    bot:set_model { "set-a:x", "set-b:y" }
    assert.equal("Yes.", bot:chat("x"))
    bot:set_model "set-a:x"
    local text, err = bot:chat("x")
    assert.is_nil(text)
    assert.equal(500, err.status)
  end)

  it("raises when it is empty or holds what is no name", function()
    for _, models in ipairs { {}, { 1 }, { "a", false } } do
      local ok, err = pcall(chatbot.new, { model = models })
      assert.is_false(ok)
      assert.truthy(tostring(err):find("list", 1, true), err)
    end
  end)
end)

describe("thoughts of several models", function()
  after_each(collect)

  it("are told apart", function()
    local first = support.serve { support.sse({ { reasoning_content = "A thinks." } },
      { finish_reason = false, done = false, cut = true }) }
    local second = support.serve { support.sse { { reasoning_content = "B thinks." },
      { reasoning_content = " More." }, "answer" } }
    chatbot.register("thinker_a", { base_url = first.url })
    chatbot.register("thinker_b", { base_url = second.url })
    local texts, begins = {}, {}
    local bot = chatbot.new { model = { "thinker_a:m", "thinker_b:m" }, max_retries = 0,
      idle_timeout = 2, timeout = 20, on_reasoning = function(text, first_of_request)
        texts[#texts + 1], begins[#begins + 1] = text, first_of_request and #texts or nil
      end }
    local answer, reply = bot:chat("hi")
    assert.equal("answer", answer)
    assert.equal("A thinks.\n\nB thinks. More.", table.concat(texts))
    assert.equal(2, #begins)
    assert.equal("B thinks. More.", reply.reasoning)
  end)
end)

describe("a list of models of several dialects", function()
  after_each(collect)

  local TOOLS = { { name = "look", call = function() return "a cat" end } }

  -- A service for each dialect, and what each answers in turn.
  local function all(scripts)
    local servers = {}
    for api, script in pairs(scripts) do
      servers[api] = support.serve(script)
      chatbot.register("dialect-" .. api, { base_url = servers[api].url, api = api,
        api_key_env = chatbot.array {} })
    end
    return servers
  end

  local BUSY = http(503, {}, { error = { message = "No.", type = "overloaded_error" } })

  it("is asked by each in its own", function()
    local servers = all { responses = { BUSY }, messages = { BUSY },
      chat = { sse({ "Yes." }, { model = "real" }) } }
    local bot = bot_of({ "dialect-responses:a", "dialect-messages:b", "dialect-chat:c" },
      { tools = TOOLS, reasoning = "low" })
    local text, reply = bot:chat("hello", { max_tokens = 2000 })
    assert.equal("Yes.", text, tostring(reply))
    assert.same({ "chat", 2 }, { reply.api, #reply.attempts })
    local sent = {}
    for api, server in pairs(servers) do sent[api] = server:requests()[1] end
    assert.matches("/responses$", sent.responses.target)
    assert.matches("/messages$", sent.messages.target)
    assert.matches("/chat/completions$", sent.chat.target)
    assert.same({ 2000, 2000, 2000 }, { sent.responses.json.max_output_tokens,
      sent.messages.json.max_tokens, sent.chat.json.max_tokens })
    assert.same({ "look", "look", "look" }, { sent.responses.json.tools[1].name,
      sent.messages.json.tools[1].name, sent.chat.json.tools[1]["function"].name })
    assert.same({ "low", 1999, "low" }, { sent.responses.json.reasoning.effort,
      sent.messages.json.thinking.budget_tokens, sent.chat.json.reasoning_effort })
  end)

  it("goes on with its tools where it has got to", function()
    local form = answers.messages
    local servers = all { chat = { BUSY }, messages = { form.answer { { call = "toolu_1",
      name = "look" } }, form.answer { "A cat." } } }
    local bot = bot_of({ "dialect-chat:a", "dialect-messages:b" }, { tools = TOOLS })
    local text, reply = bot:chat("hello")
    assert.equal("A cat.", text, tostring(reply))
    assert.same({ 1, 2 }, { #servers.chat:requests(), #servers.messages:requests() })
    assert.equal("tool_result", servers.messages:requests()[2].json.messages[3].content[1].type)
  end)
end)
