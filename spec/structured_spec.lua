-- Structured answers: json = true and schema = {...}, and what comes back.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local bot_at = bots.at

local sse, whole = support.sse, support.json_completion

local SCHEMA = {
  type = "object",
  properties = { city = { type = "string" }, people = { type = "integer" } },
  required = { "city", "people" },
  additionalProperties = false,
}

local moved = {}

local function collect()
  for name, url in pairs(moved) do chatbot.register(name, { base_url = url }) end
  moved = {}
  bots.collect()
end

-- The provider with its data, at our server.
local function bot_of(name, server, opts)
  for _, row in ipairs(chatbot.providers()) do
    if row.name == name then moved[name] = row.base_url end
  end
  chatbot.register(name, { base_url = server.url })
  local all = { provider = name, model = "m", api_key = "k", max_retries = 0, timeout = 20 }
  for key, value in pairs(opts or {}) do all[key] = value end
  return chatbot.new(all)
end

local OSLO = '{"city":"Oslo","people":700000}'

describe("a structured answer", function()
  after_each(collect)

  it("is decoded as reply.parsed, by a schema in the form of OpenAI", function()
    local server = support.serve { sse { OSLO:sub(1, 9), OSLO:sub(10) } }
    local bot = bot_at(server)
    local answer, reply = bot:chat("Oslo?", { schema = SCHEMA })
    assert.equal(OSLO, answer)
    assert.same({ city = "Oslo", people = 700000 }, reply.parsed)
    local sent = server:requests()[1].json
    assert.same({ type = "json_schema",
      json_schema = { name = "answer", strict = true, schema = SCHEMA } },
      sent.response_format)
    assert.is_nil(sent.schema)
    assert.same({ { role = "user", content = "Oslo?" } }, sent.messages)
    assert.same({ role = "assistant", content = OSLO }, bot:get_messages()[2])
  end)

  it("stands behind thoughts, also where the tag that opens them was in the prompt", function()
    for _, thoughts in ipairs { "<think>Hm {}.</think>", "Hm {}.\n</think>\n\n" } do
      local answer, reply = bot_at(support.serve { sse { thoughts .. OSLO } })
        :chat("Oslo?", { json = true })
      assert.equal(thoughts .. OSLO, answer)
      assert.same({ city = "Oslo", people = 700000 }, reply.parsed)
    end
    local quoted = '{"tag":"</think>"}'
    local _, reply = bot_at(support.serve { sse { quoted } }):chat("Tags?", { json = true })
    assert.same({ tag = "</think>" }, reply.parsed)
  end)

  it("is not strict where the schema leaves other properties open", function()
    local server = support.serve { sse { OSLO } }
    bot_at(server):chat("Oslo?", { schema = { type = "object" } })
    local format = server:requests()[1].json.response_format
    assert.is_nil(format.json_schema.strict)
    assert.same({ type = "object" }, format.json_schema.schema)
  end)

  it("is any JSON with json = true, on the bot or for a call", function()
    local server = support.serve { sse { OSLO } }
    local bot = bot_at(server, { json = true, system = "Be brief." })
    local _, reply = bot:chat("Oslo?")
    assert.equal("Oslo", reply.parsed.city)
    local sent = server:requests()[1].json
    assert.same({ type = "json_object" }, sent.response_format)
    assert.is_nil(sent.json)
    -- services refuse this form unless "JSON" is in the messages
    assert.truthy(sent.messages[1].content:find("^Be brief%.\n\n.*JSON"))
    assert.equal(2, #sent.messages)
    assert.equal("Be brief.", bot:get_messages()[1].content)
    _, reply = bot:chat("Oslo?", { json = false })
    assert.is_nil(reply.parsed)
    assert.is_nil(server:requests()[2].json.response_format)
  end)

  for _, case in ipairs {
    -- provider, form with a schema, form without
    { "openai", "json_schema", "json_object" },
    { "gemini", "json_schema", "json_object" },
    { "groq", "json_schema", "json_object" },
    { "deepseek", "json_object", "json_object" },
    { "moonshot", "json_object", "json_object" },
    { "lmstudio", "json_schema", "json_schema" },
    { "perplexity", "json_schema", "json_schema" },
    { "llamaserver", "json_schema", "json_object" },
  } do
    it("is asked for in the form that the service takes: " .. case[1], function()
      local server = support.serve { sse { OSLO } }
      local bot = bot_of(case[1], server)
      for i, opts in ipairs { { schema = SCHEMA }, { json = true } } do
        local _, reply = bot:chat("Oslo?", opts)
        assert.equal("Oslo", reply.parsed.city)
        local sent = server:requests()[i].json
        assert.equal(case[i + 1], sent.response_format.type)
        local first = sent.messages[1]
        local told = first.role == "system" and first.content or ""
        assert.equal(case[i + 1] == "json_object", told:find("JSON", 1, true) ~= nil)
        if i == 1 and case[2] == "json_object" then
          assert.truthy(told:find('"additionalProperties":false', 1, true), told)
        end
      end
      assert.equal("user", bot:get_messages()[1].role)
    end)
  end

  it("is asked for in words where the service ignores the format: anthropic", function()
    local server = support.serve { sse { OSLO } }
    local bot = bot_of("anthropic", server, { system = "Be brief." })
    for i, opts in ipairs { { schema = SCHEMA }, { json = true } } do
      local _, reply = bot:chat("Oslo?", opts)
      assert.equal("Oslo", reply.parsed.city)
      local sent = server:requests()[i].json
      assert.is_nil(sent.response_format)
      assert.truthy(sent.messages[1].content:find("^Be brief%.\n\n.*JSON"))
      local told = sent.messages[1].content:find('"additionalProperties":false', 1, true)
      assert.equal(i == 1, told ~= nil)
    end
  end)

  local EMPTY = { type = "object", required = {}, properties = {},
    ["$defs"] = { a = { enum = {} } } }

  it("has lists for the lists of a schema, in each place for one", function()
    local server = support.serve { sse { "{}" } }
    local bot = bot_of("openai", server)
    bot:chat("x", { schema = EMPTY })
    bot:chat("x", { response_format = { type = "json_schema",
      json_schema = { name = "a", schema = EMPTY } } })
    bot:chat("x", { response_format = { type = "json_object", schema = EMPTY } })
    for i = 1, 3 do
      local body = server:requests()[i].body
      assert.truthy(body:find('"required":[]', 1, true), body)
      assert.truthy(body:find('"enum":[]', 1, true), body)
      assert.truthy(body:find('"properties":{}', 1, true), body)
    end
    bot = bot_of("anthropic", server)
    bot:chat("x", { schema = EMPTY })
    local told = server:requests()[4].json.messages[1].content
    assert.truthy(told:find('"required":[]', 1, true), told)
    assert.truthy(told:find('"properties":{}', 1, true), told)
    assert.is_nil(getmetatable(EMPTY.required)) -- the caller's table is as it was
  end)

  it("may be given the format of the service instead", function()
    local server = support.serve { sse { OSLO } }
    local format = { type = "json_object" }
    local _, reply = bot_at(server):chat("Oslo?", { json = true, response_format = format })
    assert.equal("Oslo", reply.parsed.city)
    assert.same(format, server:requests()[1].json.response_format)
    _, reply = bot_at(server):chat("Oslo?", { response_format = format })
    assert.is_nil(reply.parsed) -- passed through, no more
  end)

  for _, text in ipairs { "```json\n" .. OSLO .. "\n```", "\n```\n" .. OSLO .. "```\n",
    "  " .. OSLO .. "\n" } do
    it(("is found in %q"):format(text), function()
      local _, reply = bot_at(support.serve { sse { text } }):chat("Oslo?", { json = true })
      assert.equal("Oslo", reply.parsed.city)
    end)
  end

  it("may be an array, or come without streaming", function()
    local server = support.serve { whole "[1,[]]" }
    local _, reply = bot_at(server, { stream = false }):chat("x", { json = true })
    assert.same({ 1, {} }, reply.parsed)
  end)

  for _, case in ipairs {
    { "Oslo has 700000.", "is not valid JSON" },
    { OSLO:sub(1, 12), "is not valid JSON" },
    { OSLO .. OSLO, "is not valid JSON" },
    { "", "is not valid JSON" },
    { "null", "is not valid JSON" },
    { "42", "neither an object nor an array" },
  } do
    it(("that is none is an error with the text: %q"):format(case[1]), function()
      local bot = bot_at(support.serve { sse { "Hi." }, sse { case[1] } },
        { keep_partial = true })
      bot:chat("hello")
      local answer, err = bot:chat("Oslo?", { json = true })
      assert.is_nil(answer)
      assert.equal("protocol", err.kind)
      assert.truthy(err.message:find(case[2], 1, true), err.message)
      assert.equal(case[1] ~= "" and case[1] or nil, err.partial)
      assert.equal("m", err.model)
      assert.is_false(err.retryable)
      assert.same({ { role = "user", content = "hello" },
        { role = "assistant", content = "Hi." } }, bot:get_messages())
    end)
  end

  it("that was cut says so", function()
    local server = support.serve { sse({ OSLO:sub(1, 12) }, { finish_reason = "length" }) }
    local _, err = bot_at(server):chat("Oslo?", { json = true })
    assert.truthy(err.message:find("cut", 1, true), err.message)
    assert.equal(OSLO:sub(1, 12), err.partial)
  end)

  it("that was refused says so", function()
    local server = support.serve { sse { { refusal = "I will not." } } }
    local _, err = bot_at(server):chat("Oslo?", { json = true })
    assert.equal("the model refused: I will not.", err.message)
  end)

  it("is an error in every other way to an answer, too", function()
    local server = support.serve { sse { "no" } }
    local bot = bot_at(server)
    local reply = bot:stream("x", { json = true })
    local ok, err = pcall(function()
      for text in reply:chunks() do assert.equal("no", text) end
    end)
    assert.is_false(ok)
    assert.equal("protocol", err.kind)
    assert.equal("error", reply.status)
    reply = bot:stream("x", { json = true })
    local text, state
    repeat
      text, state = reply:poll()
      if state == "wait" then reply:wait(1) end
    until not text and state ~= "wait"
    assert.equal("protocol", state.kind)
    assert.equal(state, select(2, reply:result()))
    local thread = coroutine.create(function() return bot:chat("x", { json = true }) end)
    local _, first, second
    repeat _, first, second = coroutine.resume(thread) until coroutine.status(thread) == "dead"
    assert.is_nil(first)
    assert.equal("protocol", second.kind)
    assert.same({}, bot:get_messages())
  end)

  it("that is none does not cut the conversation to its context", function()
    local usage = { prompt_tokens = 90, completion_tokens = 90, total_tokens = 180 }
    local server = support.serve { sse { "Hi." }, sse({ "no" }, { usage = usage }) }
    local bot = bot_at(server, { max_context_tokens = 100 })
    bot:chat("hello")
    assert.is_nil((bot:chat("x", { json = true })))
    assert.equal(2, #bot:get_messages())
  end)

  it("goes with tools: it is what the last round answers", function()
    local call = { index = 0, id = "c", type = "function",
      ["function"] = { name = "count", arguments = '{"city":"Oslo"}' } }
    local server = support.serve {
      sse({ { tool_calls = { call } } }, { finish_reason = "tool_calls" }), sse { OSLO } }
    local bot = bot_at(server, { tools = { { name = "count", call = function()
      return 700000
    end } } })
    local _, reply = bot:chat("Oslo?", { schema = SCHEMA })
    assert.equal(700000, reply.parsed.people)
    for i = 1, 2 do
      assert.equal("json_schema", server:requests()[i].json.response_format.type)
    end
  end)
end)
