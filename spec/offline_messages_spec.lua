-- The offline server's Messages, over plain sockets.

local json = require "cjson"
local offline = require "chatbot.offline"
local plain = require "spec.support.plain"
local support = require "spec.support"
local words = require "chatbot.offline.words"

local MESSAGES = "/v1/messages"
local VERSION = { ["anthropic-version"] = "2023-06-01" }

local CITY = { type = "object", properties = { city = { type = "string" } },
  required = { "city" }, additionalProperties = false }
local WEATHER = { name = "weather", input_schema = CITY }
local QUESTION = { role = "user", content = "What is the weather in Oslo?" }

describe("the offline server's Messages", function()
  local server, port
  local ask = plain.asker(MESSAGES, { model = "claude", max_tokens = 4096 }, VERSION)
  local post, whole, stream = ask.post, ask.whole, ask.stream

  setup(function()
    server = assert(offline.start { interpreter = support.interpreter(), delay = 0 })
    port = tonumber(server.base_url:match(":(%d+)/"))
    ask.port = port
  end)

  teardown(function()
    if server then server.stop() end
  end)

  -- What a client makes of the events of a stream.
  local function joined(list)
    local message = list[1].message
    for _, event in ipairs(list) do
      local at = event.index and event.index + 1
      local block, delta = at and message.content[at], event.delta
      if event.type == "content_block_start" then
        message.content[at] = event.content_block
      elseif event.type == "content_block_delta" then
        block.text = delta.text and block.text .. delta.text or block.text
        block.thinking = delta.thinking and block.thinking .. delta.thinking or block.thinking
        block.signature = delta.signature or block.signature
        block.partial = delta.partial_json and (block.partial or "") .. delta.partial_json
          or block.partial
      elseif event.type == "content_block_stop" then
        block.input = block.partial and json.decode(block.partial) or block.input
        block.partial = nil
      elseif event.type == "message_delta" then
        message.stop_reason, message.stop_sequence = delta.stop_reason, delta.stop_sequence
      end
    end
    return message
  end

  local function types(list)
    local names = {}
    for _, event in ipairs(list) do
      if event.type ~= names[#names] then names[#names + 1] = event.type end
    end
    return names
  end

  it("answers whole, with words as usage", function()
    local message, text = whole { messages = { { role = "user", content = "Hello there, you" } } }
    assert.equal("message", message.type)
    assert.equal("assistant", message.role)
    assert.equal("claude", message.model)
    assert.equal("end_turn", message.stop_reason)
    assert.equal(json.null, message.stop_sequence)
    assert.equal(1, #message.content)
    assert.matches("I am no language model", message.content[1].text, 1, true)
    assert.equal(3, message.usage.input_tokens)
    assert.equal(words.count(message.content[1].text), message.usage.output_tokens)
    assert.is_nil(text:find("total_tokens", 1, true))
  end)

  it("streams the same block by block", function()
    local said = whole({ messages = { { role = "user", content = "My mother sings" } } })
    local list = stream { messages = { { role = "user", content = "My mother sings" } } }
    assert.same({ "message_start", "content_block_start", "ping", "content_block_delta",
      "content_block_stop", "message_delta", "message_stop" }, types(list))
    assert.equal(said.usage.output_tokens, list[#list - 1].usage.output_tokens)
    assert.equal(said.content[1].text, joined(list).content[1].text)
  end)

  it("stops at a limit and at a text", function()
    local message = whole { max_tokens = 4, messages = { { role = "user", content = "Hello" } } }
    assert.equal("I am no language ", message.content[1].text)
    assert.equal("max_tokens", message.stop_reason)
    message = whole { stop_sequences = { "zzz", "language" },
      messages = { { role = "user", content = "Hello" } } }
    assert.equal("I am no ", message.content[1].text)
    assert.equal("stop_sequence", message.stop_reason)
    assert.equal("language", message.stop_sequence)
  end)

  for _, way in ipairs { "whole", "as a stream" } do
    it("calls a tool, thinks, and takes its blocks back: " .. way, function()
      local function turn(messages)
        local body = { messages = messages, tools = { WEATHER },
          thinking = { type = "enabled", budget_tokens = 1024 } }
        if way == "whole" then return whole(body) end
        return joined(stream(body))
      end
      local message = turn { QUESTION }
      assert.equal("tool_use", message.stop_reason)
      assert.equal("thinking", message.content[1].type)
      assert.matches("weather", message.content[1].thinking, 1, true)
      local use = message.content[2]
      assert.equal("tool_use", use.type)
      assert.same({ city = "Oslo" }, use.input)
      local result = { type = "tool_result", tool_use_id = use.id, content = "rain",
        is_error = true }
      message = turn { QUESTION, { role = "assistant", content = message.content },
        { role = "user", content = { result } } }
      assert.equal("weather has failed: rain", message.content[2].text)
      assert.equal("end_turn", message.stop_reason)
    end)
  end

  it("sends no arguments where there are none", function()
    local body = { messages = { { role = "user", content = "What is it now?" } },
      tools = { { name = "now", input_schema = { type = "object" } } } }
    local list, text = stream(body)
    assert.is_nil(text:find("input_json_delta", 1, true))
    assert.matches('"input":{}', text, 1, true)
    assert.equal("tool_use", joined(list).stop_reason)
  end)

  it("hides its thoughts when it is told so, and still takes them back", function()
    local body = { messages = { QUESTION }, tools = { WEATHER },
      thinking = { type = "adaptive", display = "omitted" } }
    local list, text = stream(body)
    assert.is_nil(text:find("thinking_delta", 1, true))
    local message = joined(list)
    assert.equal("", message.content[1].thinking)
    local result = { type = "tool_result", tool_use_id = message.content[2].id }
    body.messages = { QUESTION, { role = "assistant", content = message.content },
      { role = "user", content = { result } } }
    body.stream = nil
    assert.equal(200, (post(body)))
  end)

  it("chooses its tools as it is told", function()
    local now = { name = "now", input_schema = { type = "object" } }
    local body = { messages = { { role = "user", content = "The weather in Oslo, now!" } },
      tools = { WEATHER, now } }
    assert.equal(2, #whole(body).content)
    body.tool_choice = { type = "auto", disable_parallel_tool_use = true }
    assert.equal(1, #whole(body).content)
    body.tool_choice = { type = "tool", name = "now" }
    assert.equal("now", whole(body).content[1].name)
    body.tool_choice = { type = "none" }
    assert.equal("text", whole(body).content[1].type)
    body.messages[1].content, body.tool_choice = "Hello", { type = "any" }
    assert.equal("tool_use", whole(body).content[1].type)
  end)

  it("answers by a schema", function()
    local schema = { type = "object", properties = { people = { type = "integer" } },
      required = { "people" }, additionalProperties = false }
    local message = whole { messages = { { role = "user", content = "Are they 7 or 8?" } },
      output_config = { format = { type = "json_schema", schema = schema } } }
    assert.same({ people = 7 }, json.decode(message.content[1].text))
  end)

  it("sees that there is an image, and reads a system message of blocks", function()
    local message = whole { system = { { type = "text", text = "Be kind." } },
      messages = { { role = "user", content = { { type = "image", source = {
        type = "base64", media_type = "image/png", data = "aW1n" } } } } } }
    assert.matches("I cannot see pictures", message.content[1].text, 1, true)
    assert.equal(2, message.usage.input_tokens)
  end)

  it("counts the words of a request, and lists its model as the service does", function()
    local status, text = post({ messages = { QUESTION } }, MESSAGES .. "/count_tokens")
    assert.equal(200, status)
    assert.same({ input_tokens = 6 }, json.decode(text))
    local _, _, list = plain.request(port, "GET", "/v1/models", nil, VERSION)
    list = json.decode(list)
    assert.equal("model", list.data[1].type)
    assert.equal("eliza", list.data[1].id)
    assert.is_false(list.has_more)
  end)

  -- Refusals, as the service says them: body, a part of the message.
  local function body(fields)
    fields.model, fields.max_tokens = "claude", fields.max_tokens or 4096
    fields.messages = fields.messages or { QUESTION }
    return json.encode(fields)
  end
  local function talk(...)
    return body { messages = { ... } }
  end
  local use = { type = "tool_use", id = "t", name = "f", input = { a = 1 } }
  local result = { type = "tool_result", tool_use_id = "t", content = "x" }
  local text = { type = "text", text = "x" }
  local function assistant(...) return { role = "assistant", content = { ... } } end
  local function user(...) return { role = "user", content = { ... } } end
  local refused = {
    { "bad JSON", "{", "not valid JSON" },
    { "no limit", '{"model":"m","messages":[]}', "max_tokens: Field required" },
    { "no model", '{"max_tokens":1,"messages":[]}', "model: Field required" },
    { "no messages", '{"max_tokens":1,"model":"m"}', "messages: Field required" },
    { "an empty list", '{"max_tokens":1,"model":"m","messages":[]}', "at least one message" },
    { "an object of messages", '{"max_tokens":1,"model":"m","messages":{}}',
      "messages: Input should be a valid list" },
    { "a seed", body { seed = 1 }, "seed: Extra inputs are not permitted" },
    { "a limit that is a text", body { max_tokens = "x" }, "Input should be a valid integer" },
    { "a temperature above 1", body { temperature = 2 }, "temperature: Input should be less than" },
    { "a system message", talk({ role = "system", content = "x" }), 'Unexpected role "system"' },
    { "a tool's message", talk({ role = "tool", content = "x" }), 'Unexpected role "tool"' },
    { "an assistant that begins", talk(assistant(text), QUESTION), "first message must use" },
    { "a prefill", talk(QUESTION, assistant(text)), "assistant message prefill" },
    { "an empty text", talk(user { type = "text", text = "" }), "must be non-empty" },
    { "a text of blanks", talk { role = "user", content = " \n" }, "non-whitespace" },
    { "a part of OpenAI's", talk(user { type = "input_text", text = "x" }),
      "messages.0.content.0: Input tag 'input_text' found using 'type'" },
    { "a call without a result", talk(QUESTION, assistant(use), QUESTION),
      "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t" },
    { "a result without a call", talk(QUESTION, assistant(text), user(result)),
      "messages.2.content.0: unexpected `tool_use_id`" },
    { "a result behind a text", talk(QUESTION, assistant(use), user(text, result)),
      "without `tool_result` blocks immediately after" },
    { "a result that comes twice", talk(QUESTION, assistant(use), user(result, result)),
      "a single result" },
    { "a text behind a call", talk(QUESTION, assistant(use, text), user(result)),
      "without `tool_result` blocks immediately after" },
    { "a call of the user's", talk(user(use)), "`tool_use` blocks can only be in `assistant`" },
    { "calls of one id", talk(QUESTION, assistant(use), user(result), assistant(use),
      user(result)), "ids must be unique" },
    { "an id of other letters", talk(QUESTION, assistant { type = "tool_use", id = "a.b",
      name = "f", input = { a = 1 } }), "tool_use.id: String should match pattern" },
    { "input that is a list", '{"max_tokens":1,"model":"m","messages":[{"role":"user","content":'
      .. '"x"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f",'
      .. '"input":[]}]}]}', "tool_use.input: Input should be a valid dictionary" },
    { "a foreign signature", talk(QUESTION, assistant({ type = "thinking", thinking = "x",
      signature = "" }, text), QUESTION), "Invalid `signature` in `thinking` block" },
    { "thoughts of another server", talk(QUESTION, assistant({ type = "redacted_thinking",
      data = "x" }, text), QUESTION), "Invalid `data`" },
    { "a tool without a schema", body { tools = { { name = "f" } } },
      "tools.0.custom.input_schema: Field required" },
    { "a tool of chat completions", body { tools = { { type = "function" } } },
      "does not support tool types: function" },
    { "two tools of one name", body { tools = { WEATHER, WEATHER } }, "must be unique" },
    { "a choice that is a word", body { tools = { WEATHER }, tool_choice = "auto" },
      "tool_choice: Input should be a valid dictionary" },
    { "a choice without tools", body { tool_choice = { type = "any" } },
      "while providing `tools`" },
    { "little thinking", body { thinking = { type = "enabled", budget_tokens = 10 } },
      "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024" },
    { "more thinking than there is room for", body { max_tokens = 2000,
      thinking = { type = "enabled", budget_tokens = 2000 } }, "must be greater than" },
    { "thinking at a temperature", body { temperature = 0, thinking = { type = "adaptive" } },
      "`temperature` may only be set to 1" },
    { "thinking with a forced tool", body { tools = { WEATHER }, tool_choice = { type = "any" },
      thinking = { type = "adaptive" } }, "tool_choice forces tool use" },
    { "no thinking in front of a call", body { thinking = { type = "enabled",
      budget_tokens = 1024 }, messages = { QUESTION, assistant(use), user(result) } },
      "messages.1.content.0.type: Expected `thinking`" },
    { "an open schema", body { output_config = { format = { type = "json_schema",
      schema = { type = "object" } } } }, "'additionalProperties' must be" },
    { "a minimum in a schema", body { output_config = { format = { type = "json_schema",
      schema = { type = "integer", minimum = 1 } } } }, "property 'minimum' is not supported" },
    { "an image of another type", talk(user { type = "image", source = { type = "base64",
      media_type = "image/bmp", data = "aW1n" } }),
      "messages.0.content.0.image.source.base64.media_type: Input should be" },
    { "five marks of the cache", body { system = { { type = "text", text = "x",
      cache_control = { type = "ephemeral" } } }, messages = { user(
      { type = "text", text = "x", cache_control = { type = "ephemeral" } },
      { type = "text", text = "x", cache_control = { type = "ephemeral" } },
      { type = "text", text = "x", cache_control = { type = "ephemeral" } },
      { type = "text", text = "x", cache_control = { type = "ephemeral" } }) } }, "Found 5" },
    { "a mark on a thought", talk(QUESTION, assistant { type = "thinking", thinking = "x",
      signature = "", cache_control = { type = "ephemeral" } }),
      "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted" },
  }
  for _, case in ipairs(refused) do
    it(("refuses %s"):format(case[1]), function()
      local status, answer, headers = post(case[2])
      assert.equal(400, status, answer)
      local err = json.decode(answer)
      assert.equal("error", err.type)
      assert.equal("invalid_request_error", err.error.type)
      assert.matches(case[3], err.error.message, 1, true)
      assert.equal(headers["request-id"], err.request_id)
    end)
  end

  it("refuses a request without a version, or of a strange one", function()
    local status, answer = post(body {}, MESSAGES, {})
    assert.equal(400, status)
    assert.matches("anthropic-version: header is required", answer, 1, true)
    assert.equal(400, (post(body {}, MESSAGES, { ["anthropic-version"] = "1" })))
  end)

  it("refuses by status, in the same form", function()
    local cases = { [404] = { "POST", MESSAGES .. "/batches", "not_found_error" },
      [405] = { "GET", MESSAGES, "invalid_request_error" },
      [413] = { "POST", MESSAGES, "request_too_large", (" "):rep(8 * 1024 * 1024 + 1) } }
    for expected, case in pairs(cases) do
      local status, _, answer = plain.request(port, case[1], case[2], case[4] or "{}", VERSION)
      assert.equal(expected, status)
      assert.equal(case[3], json.decode(answer).error.type)
    end
  end)

  it("refuses thoughts when they, or what was before them, have changed", function()
    local fields = { tools = { WEATHER }, system = "Be kind.", messages = { QUESTION },
      thinking = { type = "enabled", budget_tokens = 1024 } }
    local message = whole(fields)
    local thought, call = message.content[1], message.content[2]
    local function again(change)
      local sent = { tools = { WEATHER }, system = "Be kind.", thinking = fields.thinking,
        messages = { { role = "user", content = { { type = "text", text = QUESTION.content,
          cache_control = { type = "ephemeral" } } } }, assistant(thought, call),
          user { type = "tool_result", tool_use_id = call.id, content = "rain" } } }
      if change then change(sent) end
      local status, answer = post(sent)
      return status, status == 400 and json.decode(answer).error.message
    end
    assert.equal(200, (again()))
    local bound = "bound to the system, tools and messages before them"
    for _, change in ipairs {
      function(sent) sent.system = "Be brief." end,
      function(sent) sent.tools[2] = { name = "now", input_schema = { type = "object" } } end,
      function(sent) sent.messages[1].content[1].text = "The weather in Rome?" end,
    } do
      local status, why = again(change)
      assert.equal(400, status)
      assert.matches(bound, why, 1, true)
    end
    thought.thinking = thought.thinking .. "!"
    local status, why = again()
    assert.equal(400, status)
    assert.matches("Invalid `signature`", why, 1, true)
  end)
end)
