-- The offline server's Responses, over plain sockets.

local json = require "cjson"
local offline = require "chatbot.offline"
local plain = require "spec.support.plain"
local support = require "spec.support"
local words = require "chatbot.offline.words"

local RESPONSES = "/v1/responses"

local CITY = { type = "object", properties = { city = { type = "string" } },
  required = { "city" }, additionalProperties = false }
local WEATHER = { type = "function", name = "weather", parameters = CITY, strict = true }
local QUESTION = { role = "user", content = "What is the weather in Oslo?" }

describe("the offline server's Responses", function()
  local server, port
  local ask = plain.asker(RESPONSES, { model = "eliza" })
  local post, whole, stream = ask.post, ask.whole, ask.stream

  setup(function()
    server = assert(offline.start { interpreter = support.interpreter(), delay = 0 })
    port = tonumber(server.base_url:match(":(%d+)/"))
    ask.port = port
  end)

  teardown(function()
    if server then server.stop() end
  end)

  local function types(list)
    local names, last = {}, nil
    for _, event in ipairs(list) do
      if event.type ~= last then names[#names + 1] = event.type:match("^response%.(.*)") end
      last = event.type
    end
    return names
  end

  it("answers whole, with the request repeated and words as usage", function()
    local response, text = whole { input = "Hello there, you", metadata = { a = "b" },
      temperature = 0.5 }
    assert.equal("response", response.object)
    assert.equal("completed", response.status)
    assert.equal("eliza", response.model)
    assert.equal("b", response.metadata.a)
    assert.equal(0.5, response.temperature)
    assert.matches('"tools":[]', text, 1, true)
    assert.matches('"background":false', text, 1, true)
    local item = response.output[1]
    assert.equal("message", item.type)
    assert.matches("I am no language model", item.content[1].text, 1, true)
    assert.equal(3, response.usage.input_tokens)
    assert.equal(words.count(item.content[1].text), response.usage.output_tokens)
    assert.equal(3 + response.usage.output_tokens, response.usage.total_tokens)
    assert.equal(0, response.usage.output_tokens_details.reasoning_tokens)
  end)

  it("streams the same item by item, its events numbered", function()
    local said = whole({ input = "My mother sings" }).output[1].content[1].text
    local list = stream { input = "My mother sings" }
    assert.same({ "created", "in_progress", "output_item.added", "content_part.added",
      "output_text.delta", "output_text.done", "content_part.done", "output_item.done",
      "completed" }, types(list))
    local deltas = {}
    for i, event in ipairs(list) do
      assert.equal(i - 1, event.sequence_number)
      if event.type == "response.output_text.delta" then
        deltas[#deltas + 1] = event.delta
        assert.same({}, event.logprobs)
        assert.equal(0, (#event.delta + #event.obfuscation) % 16)
      end
    end
    assert.same(words.split(said), deltas)
    local last = list[#list].response
    assert.equal(said, last.output[1].content[1].text)
    assert.same(list[#list - 1].item, last.output[1])
    assert.equal(list[3].item.id, last.output[1].id)
    assert.equal("in_progress", list[3].item.status)
  end)

  it("obfuscates nothing when it is told so", function()
    local _, text = stream { input = "hi", stream_options = { include_obfuscation = false } }
    assert.is_nil(text:find("obfuscation", 1, true))
  end)

  it("says that an answer was cut", function()
    local response = whole { input = "Hello", max_output_tokens = 16 }
    assert.equal("incomplete", response.status)
    assert.equal("max_output_tokens", response.incomplete_details.reason)
    assert.equal("incomplete", response.output[1].status)
    assert.equal(16, response.usage.output_tokens)
    local list = stream { input = "Hello", max_output_tokens = 16 }
    assert.equal("response.incomplete", list[#list].type)
  end)

  for _, way in ipairs { "whole", "as a stream" } do
    it("calls a tool, thinks, and takes its items back: " .. way, function()
      local function turn(input)
        local body = { input = input, tools = { WEATHER }, store = false,
          include = { "reasoning.encrypted_content" },
          reasoning = { effort = "low", summary = "auto" } }
        if way == "whole" then return whole(body) end
        local list = stream(body)
        return list[#list].response
      end
      local response = turn { QUESTION }
      local thought, call = response.output[1], response.output[2]
      assert.equal("reasoning", thought.type)
      assert.matches("weather", thought.summary[1].text, 1, true)
      assert.equal("function_call", call.type)
      assert.equal("weather", call.name)
      assert.same({ city = "Oslo" }, json.decode(call.arguments))
      assert.truthy(response.usage.output_tokens_details.reasoning_tokens > 0)
      local result = { type = "function_call_output", call_id = call.call_id, output = "rain" }
      response = turn { QUESTION, thought, call, result }
      assert.equal("weather says: rain", response.output[2].content[1].text)
    end)
  end

  it("streams arguments and thoughts in their own events", function()
    local list = stream { input = { QUESTION }, tools = { WEATHER },
      reasoning = { effort = "low", summary = "auto" },
      include = { "reasoning.encrypted_content" } }
    assert.same({ "created", "in_progress", "output_item.added", "reasoning_summary_part.added",
      "reasoning_summary_text.delta", "reasoning_summary_text.done",
      "reasoning_summary_part.done", "output_item.done", "output_item.added",
      "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
      "completed" }, types(list))
    local added, done
    for _, event in ipairs(list) do
      local item = event.item
      if item and item.type == "reasoning" then
        added, done = added or item.encrypted_content, item.encrypted_content
      end
    end
    assert.are_not.equal(added, done)
  end)

  it("calls several tools at once, or one", function()
    local now = { type = "function", name = "now" }
    local body = { input = "The weather in Oslo, now!", tools = { WEATHER, now } }
    assert.equal(2, #whole(body).output)
    body.parallel_tool_calls = false
    assert.equal(1, #whole(body).output)
    body.tool_choice = { type = "function", name = "now" }
    assert.equal("now", whole(body).output[1].name)
    body.tool_choice = "none"
    assert.equal("message", whole(body).output[1].type)
  end)

  it("answers by a schema", function()
    local schema = { type = "object", properties = { people = { type = "integer" } },
      required = { "people" }, additionalProperties = false }
    local response = whole { input = "Are they 7 or 8?",
      text = { format = { type = "json_schema", name = "x", schema = schema, strict = true } } }
    assert.same({ people = 7 }, json.decode(response.output[1].content[1].text))
    assert.equal("x", response.text.format.name)
  end)

  it("goes on from a response that is kept, which can be shown and thrown away", function()
    local first = whole { input = "My mother sings", instructions = "Be kind." }
    local second = whole { input = "Oak.", previous_response_id = first.id }
    assert.matches("mother", second.output[1].content[1].text, 1, true)
    assert.equal(first.id, second.previous_response_id)
    assert.equal(json.null, second.instructions)
    local path = RESPONSES .. "/" .. first.id
    local _, _, text = plain.request(port, "GET", path)
    assert.same(first, json.decode(text))
    assert.equal(200, (plain.request(port, "DELETE", path)))
    assert.equal(404, (plain.request(port, "GET", path)))
    assert.equal(400, (post { input = "x", previous_response_id = first.id }))
  end)

  it("keeps nothing when it is told so", function()
    local response = whole { input = "hi", store = false }
    assert.equal(400, (post { input = "x", previous_response_id = response.id }))
  end)

  it("finds an item by reference", function()
    local response = whole { input = "My mother sings" }
    local ref = { type = "item_reference", id = response.output[1].id }
    assert.equal(200, (post { input = { ref, { role = "user", content = "Oak." } } }))
    ref.id = "msg_none"
    assert.equal(404, (post { input = { ref, { role = "user", content = "Oak." } } }))
  end)

  it("counts the words of a request", function()
    local status, text = post({ input = "one two three" }, RESPONSES .. "/input_tokens")
    assert.equal(200, status)
    assert.same({ object = "response.input_tokens", input_tokens = 3 }, json.decode(text))
  end)

  it("sees that there is an image", function()
    local response = whole { input = { { role = "user", content = {
      { type = "input_image", image_url = "data:image/png;base64,aW1nIGJ5dGVz" } } } } }
    assert.matches("I cannot see pictures", response.output[1].content[1].text, 1, true)
  end)

  -- Refusals, as the service says them: body, status, param, code.
  local function items(...)
    return json.encode { model = "eliza", input = { ... } }
  end
  local user = { role = "user", content = "x" }
  local call = { type = "function_call", call_id = "c", name = "f", arguments = "{}" }
  local output = { type = "function_call_output", call_id = "c", output = "x" }
  local refused = {
    { "bad JSON", "{", 400 },
    { "a body that is no object", "[]", 400 },
    { "no model", '{"input":"x"}', 400, "model", "missing_required_parameter" },
    { "no input", '{"model":"eliza"}', 400, "input", "missing_required_parameter" },
    { "messages", '{"model":"eliza","input":"x","messages":[]}', 400, "messages",
      "unknown_parameter" },
    { "a seed", '{"model":"eliza","input":"x","seed":1}', 400, "seed", "unknown_parameter" },
    { "max_tokens", '{"model":"eliza","input":"x","max_tokens":99}', 400, "max_tokens",
      "unknown_parameter" },
    { "a short limit", '{"model":"eliza","input":"x","max_output_tokens":8}', 400,
      "max_output_tokens", "integer_below_min_value" },
    { "include_usage", '{"model":"eliza","input":"x","stream":true,"stream_options":'
      .. '{"include_usage":true}}', 400, "stream_options.include_usage", "unknown_parameter" },
    { "stream options without a stream", '{"model":"eliza","input":"x","stream_options":{}}', 400,
      "stream_options" },
    { "an unknown role", items { role = "tool", content = "x" }, 400, "input[0]", "invalid_value" },
    { "an unknown item", items { type = "tool_call" }, 400, "input[0]", "invalid_value" },
    { "a part of the wrong side", items { role = "assistant",
      content = { { type = "input_text", text = "x" } } }, 400, "input[0].content[0]",
      "invalid_value" },
    { "a part of chat completions", items { role = "user",
      content = { { type = "text", text = "x" } } }, 400, "input[0].content[0]", "invalid_value" },
    { "annotations that are an object", '{"model":"eliza","input":[{"role":"assistant","content":'
      .. '[{"type":"output_text","text":"x","annotations":{}}]},{"role":"user","content":"x"}]}',
      400, "input[0].content[0].annotations", "invalid_type" },
    { "a summary that is an object", '{"model":"eliza","input":[{"type":"reasoning","summary":{},'
      .. '"encrypted_content":"x"}]}', 400, "input[0].summary", "invalid_type" },
    { "arguments that are an object", items(user, { type = "function_call", call_id = "c",
      name = "f", arguments = { a = 1 } }, output), 400, "input[1].arguments", "invalid_type" },
    { "a call without a result", items(user, call), 400, "input" },
    { "a result without a call", items(user, output), 400, "input" },
    { "a result before its call", items(user, output, call), 400, "input" },
    { "an id of another kind", items(user, { type = "function_call", id = "call_1", call_id = "c",
      name = "f", arguments = "{}" }, output), 400, "input[1].id", "invalid_value" },
    { "a call id that is too long", items(user, { type = "function_call", call_id = ("c"):rep(65),
      name = "f", arguments = "{}" }), 400, "input[1].call_id", "string_above_max_length" },
    { "foreign encrypted contents", items(user, { type = "reasoning", encrypted_content = "gAAAA",
      summary = { { type = "summary_text", text = "x" } } },
      { role = "assistant", content = "x" }, user), 400, nil, "invalid_encrypted_content" },
    { "thoughts that are not kept", items(user, { type = "reasoning", id = "rs_1",
      summary = { { type = "summary_text", text = "x" } } },
      { role = "assistant", content = "x" }, user), 404, "input" },
    { "a nested tool", '{"model":"eliza","input":"x","tools":[{"type":"function","function":'
      .. '{"name":"f"}}]}', 400, "tools[0].name", "missing_required_parameter" },
    { "a hosted tool", '{"model":"eliza","input":"x","tools":[{"type":"web_search"}]}', 400,
      "tools" },
    { "a strict schema that is open", '{"model":"eliza","input":"x","tools":[{"type":"function",'
      .. '"name":"f","strict":true,"parameters":{"type":"object","properties":{}}}]}', 400,
      "tools[0].parameters", "invalid_function_parameters" },
    { "a nested schema", '{"model":"eliza","input":"x","text":{"format":{"type":"json_schema",'
      .. '"json_schema":{"name":"x","schema":{}}}}}', 400, "text.format.name",
      "missing_required_parameter" },
    { "JSON that the words do not ask for",
      '{"model":"eliza","input":"x","text":{"format":{"type":"json_object"}}}', 400, "input" },
    { "an image that is no image", items { role = "user", content = {
      { type = "input_image", image_url = "data:text/plain;base64,eA==" } } }, 400,
      "input[0].content[0].image_url", "invalid_value" },
    { "an image as an object", items { role = "user", content = {
      { type = "input_image", image_url = { url = "https://x" } } } }, 400,
      "input[0].content[0].image_url", "invalid_type" },
    { "an earlier response that is not there",
      '{"model":"eliza","input":"x","previous_response_id":"resp_0"}', 400,
      "previous_response_id", "previous_response_not_found" },
  }
  for _, case in ipairs(refused) do
    local name, body, status, param, code = (table.unpack or unpack)(case, 1, 5)
    it(("refuses %s with %d"):format(name, status), function()
      local got, text, headers = post(body)
      assert.equal(status, got, text)
      local err = json.decode(text).error
      assert.equal("invalid_request_error", err.type)
      assert.equal(param or json.null, err.param, err.message)
      assert.equal(code or json.null, err.code, err.message)
      assert.matches("^req_", headers["x-request-id"])
    end)
  end

  it("refuses thoughts that come back under another id, alone or twice", function()
    local response = whole { input = { QUESTION }, tools = { WEATHER }, store = false,
      include = { "reasoning.encrypted_content" },
      reasoning = { effort = "low", summary = "auto" } }
    local thought, said = response.output[1], response.output[2]
    local result = { type = "function_call_output", call_id = said.call_id, output = "rain" }
    assert.equal(200, (post { input = { QUESTION, thought, said, result } }))
    local function why(...)
      local status, text = post { input = { QUESTION, ... } }
      assert.equal(400, status)
      return json.decode(text).error.message
    end
    assert.matches("required following item", why(thought, user))
    assert.matches("required following item", why(thought))
    assert.matches("Duplicate item", why(thought, thought, said, result))
    thought.id = "rs_other"
    assert.matches("item_id did not match", why(thought, said, result))
  end)
end)
