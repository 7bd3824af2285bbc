-- Which dialect is spoken where, and what the options are in each that all have in common.

local answers = require "spec.support.answers"
local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local FORMS = { "chat", "responses", "messages" }

-- A server that answers whatever it is asked in.
local function start()
  local script = { { lua = [[
    local request, conn = ...
    local plays = require("cjson").decode(]] .. ("%q"):format(support.encode {
      ["/chat/completions"] = answers.chat.answer({ "ok" }),
      ["/responses"] = answers.responses.answer({ "ok" }),
      ["/messages"] = answers.messages.answer({ "ok" }) }) .. [[)
    conn:play(plays[request.target:match("/[%a/]+$")])
  ]] } }
  return support.serve(script)
end

-- A provider that is at home there.
local function service(name, row)
  local server = start()
  row.base_url, row.api_key_env = server.url, chatbot.array {}
  chatbot.register(name, row)
  return server
end

-- The same under a name that it has alone, since what is registered stays.
local count = 0
local function new_service(row)
  count = count + 1
  local name = "api-spec-" .. count
  return service(name, row), name
end

local function paths(server)
  local out = {}
  for i, request in ipairs(server:requests()) do out[i] = request.target end
  return out
end

describe("the dialect", function()
  after_each(bots.collect)

  it("is that of the service for its models, at its own address", function()
    local expected = {
      ["gpt-5"] = "responses", ["gpt-5-mini"] = "responses", ["gpt-5.4"] = "responses",
      ["gpt-5-chat-latest"] = "responses", ["o1"] = "responses", ["o3-mini"] = "responses",
      ["gpt-4.1"] = "chat", ["gpt-4o"] = "chat", ["chatgpt-4o-latest"] = "chat",
      ["gpt-3.5-turbo"] = "chat", ["ft:gpt-4.1:me"] = "chat", ["claude-opus-4-7"] = "messages",
      ["claude-3-5-haiku-latest"] = "messages", ["gemini-2.5-pro"] = "chat", ["grok-4"] = "chat",
      ["openrouter:openai/gpt-5"] = "chat", ["groq:openai/gpt-oss-20b"] = "chat",
      ["ollama:claude-x"] = "chat", ["deepseek-chat"] = "chat",
    }
    for model, api in pairs(expected) do
      assert.equal(api, chatbot.new({ model = model }):_env().route.api, model)
    end
  end)

  it("is chat completions at any other address", function()
    for _, options in ipairs { { model = "gpt-5", base_url = "http://127.0.0.1:1/v1" },
      { model = "claude-opus-4-7", base_url = "http://127.0.0.1:1/v1", provider = "anthropic" } } do
      assert.equal("chat", chatbot.new(options):_env().route.api)
    end
    chatbot.register("api-spec", { base_url = "http://127.0.0.1:1/v1", api = "messages" })
    assert.equal("messages", chatbot.new({ model = "api-spec:x" }):_env().route.api)
    chatbot.register("api-spec", { base_url = "http://127.0.0.1:2/v1" })
    assert.equal("chat", chatbot.new({ model = "api-spec:x" }):_env().route.api)
  end)

  it("is what the program says, of a bot or a call", function()
    local server = service("api-spec-a", {})
    local bot = chatbot.new { model = "api-spec-a:x", api = "messages" }
    for i, api in ipairs { "messages", "responses", "chat" } do
      local answer, reply = bot:chat("hi", { api = i > 1 and api or nil })
      assert.equal("ok", answer, tostring(reply))
      assert.equal(api, reply.api)
    end
    assert.same({ "/v1/messages", "/v1/responses", "/v1/chat/completions" }, paths(server))
    assert.has_error(function() chatbot.new { model = "x", api = "soap" } end,
      'bad argument #1 to \'new\' (option \'api\' must be "chat", "responses" or "messages")')
  end)

  it("stays with a bot at one service, and is forgotten with it", function()
    service("api-spec-b", {})
    service("api-spec-c", {})
    local bot = chatbot.new { model = "api-spec-b:x", api = "messages" }
    assert.equal("messages", bot:set_model("api-spec-b:y"):_env().route.api)
    assert.equal("chat", bot:set_model("api-spec-c:y"):_env().route.api)
    assert.equal("responses", bot:set_model("api-spec-b:y", { api = "responses" }):_env().route.api)
  end)

  it("is the one that has what a call uses", function()
    local server = service("api-spec-d", { models = { { prefix = { "big" }, api = "responses" } } })
    local bot = chatbot.new { model = "api-spec-d:big" }
    assert.equal("responses", select(2, bot:chat("hi")).api)
    assert.equal("chat", select(2, bot:chat("hi", { max_tokens = 15 })).api)
    assert.equal("responses", select(2, bot:chat("hi", { max_tokens = 16 })).api)
    for _, opts in ipairs { { stop = "x" }, { seed = 1 }, { n = 1 }, { logit_bias = { ["1"] = 1 } },
      { presence_penalty = 0.1 }, { frequency_penalty = 0.1 } } do
      local name = next(opts)
      local _, reply = bot:chat("hi", opts)
      assert.equal("chat", reply.api, name)
      assert.same(opts[name], server:requests()[#server:requests()].json[name], name)
      opts.api = "responses"
      _, reply = bot:chat("hi", opts)
      assert.same({ "responses", "dropped" }, { reply.api, reply.adjusted[name] }, name)
      opts.strict = true
      local none, err = bot:chat("hi", opts)
      assert.is_nil(none)
      assert.equal("config", err.kind)
      assert.matches(name, err.message)
    end
  end)
end)

describe("search", function()
  after_each(bots.collect)

  local function asked(row, opts)
    local server, name = new_service(row)
    local answer, reply = chatbot.new({ model = name .. ":x" }):chat("hi", opts)
    return server:requests()[1], answer, reply, name
  end

  it("is a tool of the dialect that has it", function()
    local request = asked({ search = "responses" }, { search = true })
    assert.matches("/responses$", request.target)
    assert.same({ { type = "web_search" } }, request.json.tools)
    request = asked({ search = "messages" }, { search = { max_uses = 2 } })
    assert.matches("/messages$", request.target)
    assert.same({ { type = "web_search_20250305", name = "web_search", max_uses = 2 } },
      request.json.tools)
  end)

  it("is what else a service has for it", function()
    local request = asked({ search = "plugins" }, { search = { max_results = 3 } })
    assert.same({ { id = "web", max_results = 3 } }, request.json.plugins)
    request = asked({ search = "always" }, { search = { search_domain_filter = { "a.example" } } })
    assert.same({ "a.example" }, request.json.search_domain_filter)
    request = asked({ search = "always" }, { search = false })
    assert.is_true(request.json.disable_search)
  end)

  it("is an error where there is none, and where another dialect was asked for", function()
    for _, case in ipairs { { {}, { search = true } },
      { { search = "responses" }, { search = true, api = "chat" } } } do
      local request, answer, err, name = asked(case[1], case[2])
      assert.is_nil(request)
      assert.is_nil(answer)
      assert.same({ "config", name }, { err.kind, err.provider })
    end
  end)
end)

describe("reasoning", function()
  after_each(bots.collect)

  local function asked(row, value)
    local server, name = new_service(row)
    local answer, reply = chatbot.new({ model = name .. ":x", reasoning = value }):chat("hi")
    assert.equal("ok", answer, tostring(reply))
    return server:requests()[1].json, reply.adjusted and reply.adjusted.reasoning
  end

  it("is fitted to what a service has", function()
    local cases = {
      { {}, "low", "reasoning_effort", "low" },
      { {}, false, "reasoning_effort", "none" },
      { {}, "max", "reasoning_effort", "high" },
      { {}, "minimal", "reasoning_effort", "low", "low" },
      { {}, 9000, "reasoning_effort", "medium", "medium" },
      { { efforts = { "none", "high" } }, "low", "reasoning_effort", "high", "high" },
      { { efforts = { "low", "high" } }, "medium", "reasoning_effort", "low", "low" },
      { { reasoning = "object" }, 500, "reasoning", { max_tokens = 500 } },
      { { reasoning = "switch" }, "high", "thinking", { type = "enabled" }, true },
      { { reasoning = "switch" }, false, "thinking", { type = "disabled" } },
      { { reasoning = "flag" }, 700, "thinking_budget", 700 },
      { { reasoning = "template" }, false, "chat_template_kwargs", { enable_thinking = false } },
      { { reasoning = "budget" }, 800, "extra_body",
        { google = { thinking_config = { thinking_budget = 800 } } } },
      { { reasoning = "none" }, "low", "reasoning_effort", nil, "dropped" },
    }
    for i, case in ipairs(cases) do
      local json, adjusted = asked(case[1], case[2])
      assert.same(case[4], json[case[3]], i)
      assert.equal(case[5], adjusted, i)
    end
  end)

  it("is refused where it is nothing", function()
    for _, value in ipairs { "much", 0, 1.5, -1, true } do
      assert.has_error(function() chatbot.new { model = "x", reasoning = value } end)
    end
  end)

  it("has room in max_tokens", function()
    local function sent(opts)
      local server = start()
      local _, reply = chatbot.new({ model = "claude-sonnet-4-5", provider = "anthropic",
        base_url = server.url, api_key = "k", api = "messages" }):chat("hi", opts)
      return server:requests()[1].json, reply
    end
    local json = sent { reasoning = "medium" }
    assert.same({ 64000, 8192 }, { json.max_tokens, json.thinking.budget_tokens })
    local small, reply = sent { reasoning = "medium", max_tokens = 3000 }
    assert.same({ 3000, 2999, 2999 }, { small.max_tokens, small.thinking.budget_tokens,
      reply.adjusted.reasoning })
    local none, told = sent { reasoning = "medium", max_tokens = 500 }
    assert.is_nil(none.thinking)
    assert.equal("dropped", told.adjusted.reasoning)
  end)
end)

describe("a tool of Responses", function()
  after_each(bots.collect)

  it("is strict where its schema can be held to, or as the program says", function()
    local server = start()
    local function object(required, more)
      local out = { type = "object", properties = { a = { type = "string" },
        b = { type = "array", items = { type = "integer" } } }, required = required,
        additionalProperties = false }
      for name, value in pairs(more or {}) do out[name] = value end
      return out
    end
    local inner = object({ "a", "b" }, {
      properties = { a = object { "a" }, b = { type = "null" } } })
    local tools = {
      { name = "closed", parameters = object { "a", "b" } },
      { name = "optional", parameters = object { "a" } },
      { name = "open", parameters = object({ "a", "b" }, { additionalProperties = true }) },
      { name = "inside", parameters = inner },
      { name = "none" },
      { name = "denied", parameters = object { "a", "b" }, strict = false },
    }
    chatbot.new({ model = "x", base_url = server.url, api = "responses", tools = tools }):chat "hi"
    local strict = {}
    for i, tool in ipairs(server:requests()[1].json.tools) do strict[i] = tool.strict end
    assert.same({ true, false, false, false, false, false }, strict)
  end)
end)

describe("a prompt's parts", function()
  after_each(bots.collect)

  local PDF = "%PDF-1.4 x"

  it("are documents and images in each dialect", function()
    local server = service("api-spec-p", {})
    local bot = chatbot.new { model = "api-spec-p:x" }
    local image = assert(chatbot.image("https://a.example/a.png"))
    local document = assert(chatbot.document(PDF, { name = "a.pdf" }))
    for _, api in ipairs(FORMS) do
      bot:reset()
      assert.equal("ok", (bot:chat({ "Look.", image, document }, { api = api })))
    end
    local data = document.file.file_data
    local sent = server:requests()
    assert.same({ { type = "text", text = "Look." },
      { type = "image_url", image_url = { url = "https://a.example/a.png" } },
      { type = "file", file = { filename = "a.pdf", file_data = data } } },
      sent[1].json.messages[1].content)
    assert.same({ { type = "input_text", text = "Look." },
      { type = "input_image", image_url = "https://a.example/a.png", detail = "auto" },
      { type = "input_file", filename = "a.pdf", file_data = data } },
      sent[2].json.input[1].content)
    assert.same({ { type = "text", text = "Look." },
      { type = "image", source = { type = "url", url = "https://a.example/a.png" } },
      { type = "document", title = "a.pdf", source = { type = "base64",
        media_type = "application/pdf", data = data:match(",(.*)$") } } },
      sent[3].json.messages[1].content)
  end)

  it("that a service cannot have are an error, or left out", function()
    local server, name = new_service { lacks = { "image" } }
    local image = assert(chatbot.image("https://a.example/a.png"))
    local bot = chatbot.new { model = name .. ":x" }
    local answer, err = bot:chat { "Look.", image }
    assert.is_nil(answer)
    assert.same({ "config", ("'%s' takes no image (with strict = false it is left out)")
      :format(name) }, { err.kind, err.message })
    assert.same({}, bot:get_messages())
    assert.equal("ok", (bot:chat({ "Look.", image }, { strict = false })))
    local parts = server:requests()[1].json.messages[1].content
    assert.same({ type = "text", text = "[image]" }, parts[2])
    assert.equal("image_url", bot:get_messages()[1].content[2].type)
    answer, err = bot:chat({ "Hear.", { type = "input_audio",
      input_audio = { data = "", format = "wav" } } }, { api = "messages" })
    assert.is_nil(answer)
    assert.equal("config", err.kind)
    assert.matches("takes no audio", err.message)
  end)
end)
