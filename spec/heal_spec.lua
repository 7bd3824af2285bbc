-- Parameters that a server refuses: left out or renamed once, and remembered.

local answers = require "spec.support.answers"
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

-- OpenRouter quotes the service that it has asked.
local function refusal_of_upstream(message)
  return http(400, {}, { error = { message = "Provider returned error", code = 400,
    metadata = { provider_name = "Other", raw = support.encode { type = "error",
      error = { type = "invalid_request_error", message = message } } } } })
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
  { "azure, with a word about the value", refusal("Unsupported parameter: 'max_tokens'. Use "
    .. "'max_completion_tokens' for the maximum of tokens."), { max_tokens = 5 },
    { max_tokens = "max_completion_tokens" } },
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
  { "xai, parameter and a word", refusal("Model grok-4 does not support parameter stop."),
    { stop = "x" }, { stop = "dropped" } },
  { "gemini, a capital letter", http(400, {}, support.array { support.encode { error = {
    code = 400, message = "Logprobs is not enabled for models/gemini-2.5-pro",
    status = "INVALID_ARGUMENT" } } }), { logprobs = true }, { logprobs = "dropped" } },
  { "openai, a place inside", refusal("Unsupported parameter.", "stream_options.include_usage",
    400, "unsupported_parameter"), {}, { stream_options = "dropped" } },
  { "openrouter, what another service said", refusal_of_upstream("`temperature` is deprecated "
    .. "for this model."), {}, { temperature = "dropped" } },
  { "openrouter, a plain word", refusal_of_upstream('Unknown parameter: "seed"'),
    { seed = 1 }, { seed = "dropped" } },
  { "litellm, JSON in JSON in JSON", refusal('litellm.BadRequestError: BedrockException - '
    .. support.encode { message = "The model returned: " .. support.encode { type = "error",
    error = { message = support.encode { text = 'unknown field "stop"' } } } }, nil, 400, "400"),
    { stop = "x" }, { stop = "dropped" } },
  { "openrouter, inside of an answer", http(200, {}, { error = { code = 400,
    message = "temperature is deprecated for this model." } }), {},
    { temperature = "dropped" } },
  { "openrouter, inside of a stream", sse { { error = { code = 400,
    message = "Unsupported parameter: seed" } } }, { seed = 1 }, { seed = "dropped" } },
  { "a default of ours that is too small", refusal("`temperature` must be strictly positive",
    nil, 422), {}, { temperature = "dropped" } },
  { "a default of ours that is out of range", refusal("Temperature should be in (0.0, 2.0)"),
    {}, { temperature = "dropped" } },
  { "anthropic, one of two", refusal("`temperature` and `top_p` cannot both be specified for "
    .. "this model. Please use only one."), { top_p = 0.5 }, { temperature = "dropped" } },
  { "anthropic, one of two that are given", refusal("temperature and top_p cannot both be "
    .. "specified for this model."), { top_p = 0.5, temperature = 1 },
    { temperature = "dropped" } },
  { "mistral, by our temperature", refusal("top_p must be 1 when using greedy sampling."),
    { top_p = 0.5 }, { temperature = "dropped" } },
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

  local function never(name, answer, opts, kind)
    it("is not what is wrong: " .. name, function()
      local server = support.serve { answer, sse { "no" } }
      local text, err = bot_at(server):chat("x", opts)
      assert.is_nil(text)
      assert.equal(kind or "http", err.kind)
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
  for _, case in ipairs {
    { "max_tokens", 0, "Invalid 'max_tokens': integer below minimum value, expected >= 1" },
    { "max_tokens", 9, "Invalid max_tokens value, the valid range of max_tokens is [1, 8]" },
    { "max_tokens", 9, "Range of max_tokens should be [1, 8]" },
    { "max_tokens", 9, "max_tokens (current value: 9) must be between 0 and 8" },
    { "max_tokens", 9, "`max_tokens` must be less than or equal to `8`" },
    { "max_tokens", 9, "max_tokens: 9 > 8, which is the maximum allowed number of output tokens" },
    { "max_tokens", 9, "The max_tokens of 9 exceeds the limit of the model" },
    { "max_tokens", "9", "Invalid type for 'max_tokens': expected an integer, got a string" },
    { "max_tokens", 9.5, "json: cannot unmarshal number into Go struct field .max_tokens" },
    { "max_tokens", 9, "max_tokens参数非法。请检查文档。" },
    { "temperature", 3, "temperature: Input should be less than or equal to 1" },
    { "temperature", 3, "3 is greater than the maximum of 2 - 'temperature'" },
    { "top_k", -2, "top_k must be non-negative, got -2" },
    { "temperature", 3, "#/temperature: 3 is not less or equal to 1" },
    { "stop", 1, "'stop' must be a string or a list" },
    { "temperature", 3, "temperature must be in the range [0.0, 2.0]." },
    { "top_p", 0, "`top_p` must be > 0.0 and < 1.0" },
    { "top_p", 0, "top_p must be in (0, 1], got 0" },
    { "n", 200, "Invalid 'n': must be at most 128" },
    { "stop", { "a" }, "Invalid 'stop': array too long. Expected an array with maximum length 4" },
    { "reasoning_effort", "huge", "`reasoning_effort` must be one of `low`, `high`" },
  } do
    never("a value, in these words: " .. case[3], refusal(case[3]), { [case[1]] = case[2] })
  end
  never("a value, inside of an answer", http(200, {}, { error = { code = 400,
    message = "max_tokens is too large: 9" } }), { max_tokens = 9 }, "api")
  for _, choice in ipairs { "any", "none", { type = "function",
    ["function"] = { name = "f" } } } do
    never("what is to be called: " .. tostring(choice), refusal("'tool_choice' is not supported",
      "tool_choice"), { tool_choice = choice })
  end
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

  it("that is a default of ours is left out, and not what the program gives then", function()
    local server = support.serve { refusal("`temperature` must be strictly positive", nil, 422),
      sse { "Yes." } }
    local bot = bot_at(server)
    bot:chat("x")
    assert.is_nil(fields(server, 2).temperature)
    local _, reply = bot:chat("y", { temperature = 0.5 })
    assert.equal(0.5, fields(server, 3).temperature)
    assert.is_nil(reply.adjusted)
    bot:chat("z")
    assert.is_nil(fields(server, 4).temperature)
  end)

  it("that is a default of the bot is the program's value", function()
    local server = support.serve { refusal("temperature must be at most 2"), sse { "Yes." } }
    local text, err = bot_at(server, { temperature = 3 }):chat("x")
    assert.is_nil(text)
    assert.equal(400, err.status)
    assert.equal(1, #server:requests())
  end)

  it("beside another one is left out beside that only", function()
    local server = support.serve { refusal("`temperature` and `top_p` cannot both be specified"),
      sse { "Yes." } }
    local bot = bot_at(server)
    bot:chat("x", { top_p = 0.5 })
    assert.same({ nil, 0.5 }, { fields(server, 2).temperature, fields(server, 2).top_p })
    local _, reply = bot:chat("y")
    assert.equal(0, fields(server, 3).temperature)
    assert.is_nil(reply.adjusted)
    reply = select(2, bot:fork():chat("y", { top_p = 0.1 }))
    assert.is_nil(fields(server, 4).temperature)
    assert.equal(0.1, fields(server, 4).top_p)
    assert.same({ temperature = "dropped" }, reply.adjusted)
  end)
end)

describe("tools that are refused to a model that thinks", function()
  after_each(collect)

  local TOOLS = { { name = "f" } }
  local NO_THOUGHT = refusal("Function tools with reasoning_effort are not supported for m in "
    .. "/v1/chat/completions. Please use /v1/responses instead.", "reasoning_effort")

  for _, given in ipairs { "nothing", "low" } do
    local effort = given ~= "nothing" and given or nil
    it("are sent with none, where the program said " .. given, function()
      local server = support.serve { NO_THOUGHT, sse { "Yes." } }
      local bot = bot_at(server)
      local text, reply = bot:chat("x", { tools = TOOLS, reasoning_effort = effort })
      assert.equal("Yes.", text)
      assert.equal(effort, fields(server, 1).reasoning_effort)
      assert.equal("none", fields(server, 2).reasoning_effort)
      assert.same({ reasoning_effort = "none" }, reply.adjusted)
      reply = select(2, bot:chat("y", { tools = TOOLS }))
      assert.equal("none", fields(server, 3).reasoning_effort)
      assert.same({ reasoning_effort = "none" }, reply.adjusted)
      reply = select(2, bot:chat("y", { tools = TOOLS, reasoning_effort = "none" }))
      assert.is_nil(reply.adjusted) -- it is what the program said
      reply = select(2, bot:chat("y", { reasoning_effort = "high" })) -- without tools
      assert.equal("high", fields(server, 5).reasoning_effort)
      assert.is_nil(reply.adjusted)
      bot:chat("y")
      assert.is_nil(fields(server, 6).reasoning_effort)
    end)
  end

  it("are told of in words alone, too", function()
    local server = support.serve { refusal("litellm.BadRequestError: OpenAIException - Function "
      .. "tools with reasoning_effort are not supported for m."), sse { "Yes." } }
    assert.equal("Yes.", bot_at(server):chat("x", { tools = TOOLS }))
    assert.equal("none", fields(server, 2).reasoning_effort)
  end)

  it("are the program's with strict = true", function()
    local server = support.serve { NO_THOUGHT, sse { "no" } }
    assert.is_nil((bot_at(server):chat("x", { tools = TOOLS, strict = true })))
    assert.equal(1, #server:requests())
  end)

  it("are an error where that does not help, and nothing is remembered", function()
    local server = support.serve { NO_THOUGHT, refusal("Unsupported value: 'reasoning_effort' "
      .. "does not support 'none' with this model.", "reasoning_effort", 400,
      "unsupported_value"), sse { "Yes." } }
    local bot = bot_at(server)
    assert.is_nil((bot:chat("x", { tools = TOOLS })))
    assert.equal(2, #server:requests())
    bot:chat("x", { tools = TOOLS })
    assert.is_nil(fields(server, 3).reasoning_effort)
  end)

  it("are not to blame where the server does not know the field", function()
    local server = support.serve { refusal("Unrecognized request argument supplied: "
      .. "reasoning_effort"), sse { "Yes." } }
    local _, reply = bot_at(server):chat("x", { tools = TOOLS, reasoning_effort = "low" })
    assert.is_nil(fields(server, 2).reasoning_effort)
    assert.same({ reasoning_effort = "dropped" }, reply.adjusted)
  end)
end)

-- What a service made of its own answer, and refuses to have back: keys change, contents expire.
describe("what is given back and refused", function()
  after_each(collect)

  local function bad(code, message, param, status)
    return http(status or 400, {}, { error = { message = message, code = code, param = param,
      type = "invalid_request_error" } })
  end

  local REFUSALS = {
    { "responses", "secret", bad("invalid_encrypted_content",
      "The encrypted content gAAA... could not be verified.") },
    { "responses", "secret", bad(nil, "Item 'rs_1' of type 'reasoning' was provided without its "
      .. "required following item.") },
    { "messages", "secret", bad(nil, "messages.1.content.0: Invalid `signature` in `thinking` "
      .. "block") },
  }

  it("is left out from there on", function()
    for _, case in ipairs(REFUSALS) do
      local form = answers[case[1]]
      local server = support.serve { form.answer { { reasoning = "thinks", secret = "sealed" },
        "One." }, case[3], form.answer { "Two." }, form.answer { "Three." } }
      local bot = bot_at(server, { api = case[1] })
      assert.equal("One.", (bot:chat("a")))
      assert.equal("table", type(bot:get_messages()[2].native))
      assert.equal("Two.", (bot:chat("b")))
      assert.equal("Three.", (bot:chat("c")))
      local requests = server:requests()
      assert.truthy(requests[2].body:find("sealed", 1, true), case[1])
      for i = 3, 4 do assert.is_nil(requests[i].body:find("sealed", 1, true), case[1]) end
      assert.is_nil(bot:get_messages()[2].native)
      assert.equal("One.", bot:get_messages()[2].content)
    end
  end)

  it("is told whole where the service does not have it any more", function()
    for _, status in ipairs { 400, 404 } do
      local form = answers.responses
      local server = support.serve { form.answer({ "One." }, { id = "resp_1" }),
        bad("previous_response_not_found", "Previous response with id 'resp_1' not found.",
          "previous_response_id", status), form.answer({ "Two." }, { id = "resp_3" }) }
      local bot = bot_at(server, { api = "responses" })
      assert.equal("One.", (bot:chat("a", { store = true })))
      local answer, err = bot:chat("b", { store = true })
      assert.equal("Two.", answer, tostring(err))
      local sent = server:requests()
      assert.same({ "resp_1", 1 }, { sent[2].json.previous_response_id, #sent[2].json.input })
      assert.is_nil(sent[3].json.previous_response_id)
      assert.equal(3, #sent[3].json.input)
    end
  end)

  it("is refused for good where there was nothing", function()
    local server = support.serve { bad("invalid_encrypted_content", "no") }
    local answer, err = bot_at(server, { api = "responses" }):chat("a")
    assert.is_nil(answer)
    assert.same({ 400, 1 }, { err.status, #server:requests() })
  end)
end)
