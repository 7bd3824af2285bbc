-- Parameters that a server refuses: left out or renamed once, and remembered.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local bot_at = bots.at

local sse, http = support.sse, support.http

local moved = {}

local function collect()
  for name, url in pairs(moved) do chatbot.register(name, { base_url = url }) end
  moved = {}
  bots.collect()
end

local function refusal(message, param, status, code)
  return http(status or 400, {}, { error = { message = message, param = param, code = code,
    type = "invalid_request_error" } })
end

local NO_TEMPERATURE = refusal("Unsupported value: 'temperature' does not support 0 with this "
  .. "model. Only the default (1) value is supported.", "temperature", 400, "unsupported_value")

local function fields(server, n) return server:requests()[n].json end

-- What services have answered, and what is done about it.
local CASES = {
  { "openai, temperature", NO_TEMPERATURE, {}, { temperature = "dropped" } },
  { "openai, max_tokens", refusal("Unsupported parameter: 'max_tokens' is not supported with "
    .. "this model. Use 'max_completion_tokens' instead.", "max_tokens", 400,
    "unsupported_parameter"), { max_tokens = 5 }, { max_tokens = "max_completion_tokens" } },
  { "mistral, 422 that names a place", http(422, {}, { object = "error", message = { detail = {
    { type = "extra_forbidden", loc = { "body", "max_completion_tokens" },
      msg = "Extra inputs are not permitted", input = 5 } } },
    type = "invalid_request_error" }), { max_completion_tokens = 5 },
    { max_completion_tokens = "max_tokens" } },
  { "fastapi, 422 that names a place", http(422, {}, { detail = {
    { type = "extra_forbidden", loc = { "body", "stream_options" },
      msg = "Extra inputs are not permitted" } } }), {}, { stream_options = "dropped" } },
  { "fastapi, a place inside", http(422, {}, { detail = {
    { loc = { "body", "logit_bias" }, msg = "Extra inputs are not permitted" } } }),
    { logit_bias = { ["50256"] = -100 } }, { logit_bias = "dropped" } },
  { "groq, logprobs", refusal("'logprobs' is not supported with this model"),
    { logprobs = true }, { logprobs = "dropped" } },
  { "groq, two of them", refusal("property 'top_logprobs' is unsupported"),
    { logprobs = true, top_logprobs = 2 }, { top_logprobs = "dropped" } },
  { "xai, in camel case", refusal("Argument not supported on this model: presencePenalty"),
    { presence_penalty = 1 }, { presence_penalty = "dropped" } },
  { "xai, a plain word", refusal("Argument not supported on this model: stop"),
    { stop = { "x" } }, { stop = "dropped" } },
  { "gemini, in an array", http(400, {}, support.array { support.encode { error = {
    code = 400, message = 'Invalid JSON payload received. Unknown name "logit_bias": '
    .. 'Cannot find field.', status = "INVALID_ARGUMENT" } } }),
    { logit_bias = { ["1"] = 1 } }, { logit_bias = "dropped" } },
  { "vllm", http(400, {}, { object = "error", code = 400, message = "[{'type': "
    .. "'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted'}]" }),
    { seed = 1 }, { seed = "dropped" } },
  { "deepseek", refusal("Invalid top_logprobs value: set logprobs to true first"),
    { top_logprobs = 2 }, { top_logprobs = "dropped" } },
  { "moonshot, detail as text", http(400, {}, { detail = "temperature must be 1" }), {},
    { temperature = "dropped" } },
  { "perplexity", http(400, {}, { error = { code = 400,
    message = "Parameter `parallel_tool_calls` is not supported." } }),
    { parallel_tool_calls = false }, { parallel_tool_calls = "dropped" } },
  { "openrouter", refusal("Unrecognized request argument supplied: store", nil, 400, 400),
    { store = true }, { store = "dropped" } },
  { "llama-server", refusal("logprobs is not supported with tools + stream"),
    { logprobs = true }, { logprobs = "dropped" } },
  { "ollama", refusal('json: cannot unmarshal: "reasoning_effort" value is not supported'),
    { reasoning_effort = "low" }, { reasoning_effort = "dropped" } },
}

describe("a parameter that is refused", function()
  after_each(collect)

  for _, case in ipairs(CASES) do
    local name, answer, opts, adjusted = case[1], case[2], case[3], case[4]
    it("is found in what a service says: " .. name, function()
      local server = support.serve { answer, sse { "Yes." } }
      local text, reply = bot_at(server):chat("x", opts)
      assert.equal("Yes.", text, tostring(reply))
      assert.same(adjusted, reply.adjusted)
      local param, to = next(adjusted)
      assert.is_not_nil(fields(server, 1)[param])
      assert.is_nil(fields(server, 2)[param])
      if to ~= "dropped" then assert.equal(opts[param], fields(server, 2)[to]) end
    end)
  end

  it("is remembered by this bot, for this model at this server", function()
    local server = support.serve { NO_TEMPERATURE, sse { "one" } }
    local bot = bot_at(server)
    assert.equal("one", bot:chat("x"))
    local text, reply = bot:chat("y")
    assert.equal("one", text)
    assert.same({ temperature = "dropped" }, reply.adjusted)
    assert.equal(3, #server:requests())
    assert.is_nil(fields(server, 3).temperature)
    reply = select(2, bot:chat("y", { temperature = 1 })) -- also what the caller gives
    assert.is_nil(fields(server, 4).temperature)
    assert.same({ temperature = "dropped" }, reply.adjusted)
    local fork = bot:fork()
    fork:chat("y")
    assert.is_nil(fields(server, 5).temperature)
    bot:set_model("other")
    reply = select(2, bot:chat("z"))
    assert.equal(0, fields(server, 6).temperature)
    assert.is_nil(reply.adjusted)
    bot_at(server):chat("z")
    assert.equal(0, fields(server, 7).temperature)
  end)

  it("is not reported by a reply that would not have had it", function()
    local server = support.serve { refusal("'logprobs' is not supported"), sse { "one" } }
    local bot = bot_at(server)
    bot:chat("x", { logprobs = true })
    assert.is_nil(select(2, bot:chat("x")).adjusted)
  end)

  it("may be one of several, refused one after the other", function()
    local server = support.serve { NO_TEMPERATURE, refusal("'logprobs' is not supported"),
      refusal("Use 'max_completion_tokens', not 'max_tokens'", "max_tokens"), sse { "Yes." } }
    local bot = bot_at(server)
    local text, reply = bot:chat("x", { logprobs = true, max_tokens = 5 })
    assert.equal("Yes.", text)
    assert.same({ temperature = "dropped", logprobs = "dropped",
      max_tokens = "max_completion_tokens" }, reply.adjusted)
    local sent = fields(server, 4)
    assert.equal(5, sent.max_completion_tokens)
    assert.is_nil(sent.temperature or sent.logprobs or sent.max_tokens)
    assert.equal(2, #bot:get_messages())
  end)

  it("goes when its other name is refused, too", function()
    local server = support.serve { refusal("no", "max_tokens"),
      refusal("no, use max_tokens", "max_completion_tokens"), sse { "Yes." } }
    local text, reply = bot_at(server):chat("x", { max_tokens = 5 })
    assert.equal("Yes.", text)
    assert.same({ max_tokens = "max_completion_tokens", max_completion_tokens = "dropped" },
      reply.adjusted)
    local sent = fields(server, 3)
    assert.is_nil(sent.max_tokens or sent.max_completion_tokens)
  end)

  it("under the provider's own name for it is found as well", function()
    for _, row in ipairs(chatbot.providers()) do
      if row.name == "mistral" then moved.mistral = row.base_url end
    end
    local server = support.serve { http(422, {}, { detail = { { msg = "Extra inputs",
      loc = { "body", "max_tokens" } } } }), sse { "Yes." } }
    chatbot.register("mistral", { base_url = server.url })
    local text, reply = bot_at(server, { provider = "mistral", api_key = "k" }):chat("x",
      { max_completion_tokens = 5 })
    assert.equal("Yes.", text)
    assert.equal(5, fields(server, 1).max_tokens)
    assert.is_nil(reply.adjusted.temperature)
  end)

  it("for which nothing helps is the service's error, and nothing is learned", function()
    local server = support.serve { NO_TEMPERATURE, refusal("The prompt is bad.") }
    local bot = bot_at(server)
    local text, err = bot:chat("x")
    assert.is_nil(text)
    assert.equal("The prompt is bad.", err.message)
    assert.same({}, bot:get_messages())
    server:script { sse { "ok" } }
    assert.equal("ok", bot:chat("x"))
    assert.equal(0, fields(server, 3).temperature)
  end)

  it("is left to the caller with strict = true", function()
    for _, given in ipairs { { { strict = true }, {} }, { {}, { strict = true } } } do
      local server = support.serve { NO_TEMPERATURE, sse { "no" } }
      local text, err = bot_at(server, given[1]):chat("x", given[2])
      assert.is_nil(text)
      assert.equal("temperature", err.param)
      assert.equal(1, #server:requests())
      assert.is_nil(fields(server, 1).strict)
    end
  end)

  local function never(name, answer, opts)
    it("is not what is wrong: " .. name, function()
      local server = support.serve { answer, sse { "no" } }
      local text, err = bot_at(server):chat("x", opts)
      assert.is_nil(text)
      assert.equal("http", err.kind)
      assert.equal(1, #server:requests())
    end)
  end
  never("another status", refusal("'temperature' is not supported", "temperature", 403))
  never("the key", refusal("Your temperature key is wrong", "temperature", 401))
  never("a word of the language", refusal("The user must stop here."),
    { stop = "x", user = "u" })
  never("what was not sent", refusal("'logprobs' is not supported", "logprobs"))
  never("what there is no request without", refusal("'messages' is too long", "messages"))
  never("the tools", refusal("'tools' is not supported", "tools"), { tools = {} })
  never("a format that the caller gave", refusal("'response_format' is wrong",
    "response_format"), { response_format = { type = "text" } })
  never("the context's length", refusal("max_tokens is too large for the context", "max_tokens",
    400, "context_length_exceeded"), { max_tokens = 1e6 })
  never("a value that is too large", refusal("max_tokens is too large: 9. At most 5.",
    "max_tokens"), { max_tokens = 9 })
  never("a value, by the code", refusal("'max_tokens' is wrong", "max_tokens", 400,
    "invalid_value"), { max_tokens = 9 })
  never("a value below the least one", refusal("'max_tokens' is wrong", "max_tokens", 400,
    "integer_below_min_value"), { max_tokens = 0 })
  never("a value above the greatest one", refusal("'top_p' is wrong", "top_p", 400,
    "decimal_above_max_value"), { top_p = 2 })
  never("a tool that must be called", refusal("'tool_choice' is not supported", "tool_choice"),
    { tool_choice = "required" })
  never("part of another name", refusal("'my_temperature_x' is not supported"))

  it("heals a schema: first by words and a plain format, then by words alone", function()
    local schema = { type = "object" }
    local wrong = refusal("'response_format' of type json_schema is not supported",
      "response_format")
    local server = support.serve { wrong, wrong, sse { '{"a":1}' } }
    local bot = bot_at(server)
    local _, reply = bot:chat("x", { schema = schema })
    assert.same({ a = 1 }, reply.parsed)
    assert.equal("json_schema", fields(server, 1).response_format.type)
    assert.equal("json_object", fields(server, 2).response_format.type)
    assert.truthy(fields(server, 2).messages[1].content:find('{"type":"object"}', 1, true))
    assert.is_nil(fields(server, 3).response_format)
    assert.same(fields(server, 2).messages, fields(server, 3).messages)
    assert.same({ response_format = "dropped" }, reply.adjusted)
    bot:chat("x", { schema = schema })
    assert.is_nil(fields(server, 4).response_format)
  end)

  it("heals in every way to an answer", function()
    local ways = {
      stream_and_poll = function(bot)
        local reply = bot:stream("x")
        local text, state
        repeat
          text, state = reply:poll()
          if state == "wait" then reply:wait(1) end
        until not text and state ~= "wait"
        return reply:result()
      end,
      chunks = function(bot)
        local reply, all = bot:stream("x"), {}
        for text in reply:chunks() do all[#all + 1] = text end
        return table.concat(all), reply
      end,
      coroutine = function(bot)
        local thread = coroutine.create(function() return bot:chat("x") end)
        local limit = support.now() + 10
        local ok, first, second
        repeat
          ok, first, second = coroutine.resume(thread)
          assert(ok and support.now() < limit)
        until coroutine.status(thread) == "dead"
        return first, second
      end,
      module = function(bot)
        local reply, limit = bot:stream("x", { on_text = function() end }), support.now() + 10
        while reply.status == "streaming" do
          chatbot.poll(0.1)
          assert(support.now() < limit)
        end
        return reply:result()
      end,
      whole = function(bot) return bot:chat("x", { stream = false }) end,
    }
    for name, way in pairs(ways) do
      local server = support.serve { NO_TEMPERATURE, sse { "Yes." } }
      local bot = bot_at(server)
      local text, reply = way(bot)
      assert.equal("Yes.", text, name)
      assert.same({ temperature = "dropped" }, reply.adjusted, name)
      assert.equal("complete", reply.status)
      assert.equal(2, #bot:get_messages())
    end
  end)

  it("heals in the middle of tool rounds", function()
    local call = { index = 0, id = "c", type = "function",
      ["function"] = { name = "f", arguments = "{}" } }
    local asks = sse({ { tool_calls = { call } } }, { finish_reason = "tool_calls" })
    local server = support.serve { asks, NO_TEMPERATURE, asks, sse { "Yes." } }
    local bot = bot_at(server, { tools = { { name = "f", call = function() return "r" end } } })
    local text, reply = bot:chat("x")
    assert.equal("Yes.", text)
    assert.same({ temperature = "dropped" }, reply.adjusted)
    assert.equal(6, #bot:get_messages())
    assert.equal("r", fields(server, 3).messages[3].content)
    assert.is_nil(fields(server, 4).temperature)
  end)
end)
