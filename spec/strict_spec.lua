-- The strict checks of Responses and Messages (spec/support/strict): each rule refuses one
-- body and takes its neighbour. Those of chat completions are in support_spec.lua.

local spoken = require "spec.support.answers"
local strict = require "spec.support.strict"
local support = require "spec.support"

local array, encode = support.array, support.encode
local EMPTY = array {}

-- What is wrong with a body: `base` with these fields in place of its own.
local function problem_of(base, fields, opts, service)
  local body = {}
  for name, value in pairs(base) do body[name] = value end
  for name, value in pairs(fields) do body[name] = value end
  return strict.body(encode(body), service, opts)
end

-- A row: {what it says, refused fields, taken fields, service, service of what is taken}.
local function each(dialect, base, rows)
  for i, row in ipairs(rows) do
    it(("%s, %d: %s"):format(dialect, i, row[1]), function()
      local opts = { dialect = dialect, issued = row.issued and row.issued() }
      local problem = problem_of(base, row[2], opts, row[4])
      assert.truthy(problem and problem:find(row[1], 1, true), problem or "it is taken")
      if row[3] then assert.is_nil(problem_of(base, row[3], opts, row[5] or row[4])) end
    end)
  end
end

-- What a server has issued that has answered `request` with `answer`, a whole document.
local function has_issued(dialect, request, answer)
  return function()
    local issued = strict.issued()
    issued:answer(dialect, encode(request)):add("HTTP/1.1 200 OK\r\nContent-Type: x\r\n\r\n"
      .. encode(answer))
    return issued
  end
end


-- Responses ------------------------------------------------------------------------------

local function user(content) return { role = "user", content = content or "x" } end
local function input(...) return { input = array { user(), ... } } end
local function said(text, more)
  local item = { type = "message", role = "assistant",
    content = array { { type = "output_text", text = text, annotations = EMPTY } } }
  for name, value in pairs(more or {}) do item[name] = value end
  return item
end
local function call(id, more)
  local item = { type = "function_call", call_id = id, name = "f", arguments = "{}" }
  for name, value in pairs(more or {}) do item[name] = value end
  return item
end
local function output(id, text)
  return { type = "function_call_output", call_id = id, output = text or "r" }
end
local function reasoning(more)
  local item = { type = "reasoning", id = "rs_1", summary = EMPTY, encrypted_content = "enc" }
  for name, value in pairs(more or {}) do item[name] = value end
  for name, value in pairs(item) do if value == support.null then item[name] = nil end end
  return item
end
local function part(kind, fields)
  fields.type = kind
  return array { fields }
end
local function tools(...) return { tools = array { ... } } end
local function fn(more)
  local tool = { type = "function", name = "f", strict = false,
    parameters = { type = "object", properties = {} } }
  for name, value in pairs(more or {}) do tool[name] = value end
  return tool
end
local function many(count)
  local list = {}
  for i = 1, count do list[i] = fn { name = "f" .. i } end
  return (table.unpack or unpack)(list)
end
local function format(fields) return { text = { format = fields } } end
local function schema(of, more)
  local out = { type = "json_schema", name = "n", schema = of }
  for name, value in pairs(more or {}) do out[name] = value end
  return out
end

local OPEN = { type = "object", properties = { a = { type = "string" } }, required = { "a" } }
local CLOSED = { type = "object", properties = { a = { type = "string" } }, required = { "a" },
  additionalProperties = false }
local PARTLY = { type = "object", properties = { a = { type = "string" } },
  additionalProperties = false }

local function with(a, b)
  local out = {}
  for _, map in ipairs { a, b } do for name, value in pairs(map) do out[name] = value end end
  return out
end

describe("the strict server, of Responses,", function()
  local rows = {
    { "'messages' is unknown", { messages = { user() } }, { input = "x" } },
    { "model: must not be empty", { model = "" }, { model = "m" } },
    { "input: must be a text, or a list", { input = {} }, { input = { user() } } },
    { "input: must not be empty", { input = " " }, { input = "y" } },
    { "'include_usage' is unknown", { stream = true, stream_options = { include_usage = true } },
      { stream = true, stream_options = { include_obfuscation = false } } },
    { "without stream", { stream_options = { include_obfuscation = false } } },
    { "include[1]: 'reasoning' is not allowed", { include = { "reasoning" } },
      { include = { "reasoning.encrypted_content" } } },
    { "include: must be a list", { include = {} }, { include = EMPTY } },
    { "max_output_tokens: must be an integer", { max_output_tokens = 1.5 },
      { max_output_tokens = 20 } },
    { "'value' is unknown", { reasoning = { value = 1 } }, { reasoning = { effort = "low" } } },
    { "summary: 'long' is not allowed", { reasoning = { summary = "long" } },
      { reasoning = { summary = "auto" } } },
    { "'minimal' is not of this model", { model = "o4-mini", reasoning = { effort = "minimal" } },
      { model = "gpt-5-nano", reasoning = { effort = "minimal" } } },
    { "'none' is not of this model", { reasoning = { effort = "none" } },
      { model = "gpt-5.1", reasoning = { effort = "none" } } },
    { "reasoning.effort: is not supported", { model = "gpt-4.1", reasoning = { effort = "low" } },
      { reasoning = { effort = "low" } } },
    { "temperature: is not supported", { temperature = 0 },
      { model = "gpt-5.2", temperature = 0, reasoning = { effort = "none" } } },
    { "top_p: is not supported", { model = "o3", top_p = 1 }, { model = "gpt-4.1", top_p = 1 } },
    { "temperature: must be a number", { model = "gpt-4.1", temperature = 2.1 },
      { model = "gpt-4.1", temperature = 2 } },
    { "truncation: 'always'", { truncation = "always" }, { truncation = "auto" } },
    { "top_logprobs: without its include", { top_logprobs = 2 },
      { top_logprobs = 2, include = { "message.output_text.logprobs" } } },
    { "metadata.a: must be a text", { metadata = { a = 1 } }, { metadata = { a = "1" } } },
    { "together with a conversation", { previous_response_id = "resp_1", conversation = "c" },
      { previous_response_id = "resp_1" } },
    { "previous_response_id: is not supported", { previous_response_id = "resp_1" },
      { previous_response_id = "resp_1" }, "llamaserver", "openai" },
    -- items and roles
    { "the role tool is unknown", { input = { { role = "tool", content = "x" } } },
      { input = { { role = "developer", content = "x" }, user() } } },
    { "the type 'robot' is unknown", input { type = "robot" }, input(said "y") },
    { "'refusal' is unknown", input(said("y", { refusal = "z" })), input(said "y") },
    { "type: 'input_text' is not allowed",
      input(said("", { content = part("input_text", { text = "y" }) })), input(said "y") },
    { "type: 'output_text' is not allowed",
      { input = { user(part("output_text", { text = "y" })) } },
      { input = { user(part("input_text", { text = "y" })) } } },
    { "type: 'text' is not allowed", { input = { user(part("text", { text = "y" })) } } },
    { "an assistant message without text", input(said " "), input(said "y") },
    { "an assistant message without its type", input { role = "assistant", content = "y" },
      input(said "y"), "llamaserver" },
    { "annotations: must be a list",
      input(said("", { content = part("output_text", { text = "y", annotations = {} }) })) },
    { "annotations[1]: must be an object",
      input(said("", { content = part("output_text", { text = "y", annotations = { EMPTY } }) })) },
    { "logprobs: must be a list",
      input(said("", { content = part("output_text", { text = "y", logprobs = {} }) })),
      input(said("", { content = part("output_text", { text = "y", logprobs = EMPTY }) })) },
    { "image_url: must not be empty",
      { input = { user(part("input_image", { image_url = { url = "https://a" } })) } },
      { input = { user(part("input_image", { image_url = "https://a" })) } } },
    { "neither a URL nor a data URL",
      { input = { user(part("input_image", { image_url = "QUJD" })) } },
      { input = { user(part("input_image", { image_url = "data:image/png;base64,QUJD" })) } } },
    { "no data URL in base64",
      { input = { user(part("input_file", { filename = "a.pdf", file_data = "QUJD" })) } },
      { input = { user(part("input_file", { filename = "a.pdf",
        file_data = "data:application/pdf;base64,QUJD" })) } } },
    { "'msg_1' twice", input(said("y", { id = "msg_1" }), user(), said("z", { id = "msg_1" })),
      input(said("y", { id = "msg_1" }), user(), said("z", { id = "msg_2" })) },
    { "does not begin with 'msg'", input(said("y", { id = "rs_1" })),
      input(said("y", { id = "msg_1" })) },
    -- calls
    { "the call 'a' has no output", input(call "a"), input(call "a", output "a") },
    { "an output without a call before it", input(output "a"),
      with(input(output "a"), { previous_response_id = "resp_1" }) },
    { "an output without a call before it", input(call "a", output "a", output "a") },
    { "the call 'a' has no output before it", input(call "a", user(), output "a"),
      input(call "a", said "y", output "a") },
    { "the call 'b' has no output before it", input(call "a", call "b", output "a", said "y",
      output "b"), input(call "a", call "b", output "b", output "a") },
    { "the call 'a' has no output before it", input(call "a", said "y", call "b", output "a",
      output "b"), input(call "a", said "y", call "b", output "a", output "b"), "deepseek",
      "openai" },
    { "the id 'a' twice", input(call "a", output "a", call "a", output "a"),
      input(call "a", output "a", call "b", output "b") },
    { "more than 64", input(call(("a"):rep(65)), output(("a"):rep(65))),
      input(call(("a"):rep(64)), output(("a"):rep(64))) },
    { "a call without an id", input(call "") },
    { "no JSON object", input(call("a", { arguments = "[]" }), output "a") },
    { "does not match", input(call("a", { name = "a b" }), output "a") },
    { "'created_by' is unknown", input(call("a", { created_by = "b" }), output "a"),
      input(call("a", { id = "fc_1", status = "completed" }), output "a") },
    { "does not begin with 'fc'", input(call("a", { id = "call_a" }), output "a") },
    { "output: must be a text", input(call "a", { type = "function_call_output", call_id = "a",
      output = { a = 1 } }), input(call "a", output("a", "")) },
    -- reasoning
    { "summary: must be a list", input(reasoning { summary = {} }, said "y"),
      input(reasoning(), said "y") },
    { "summary must be a list", input(reasoning { summary = support.null }, said "y") },
    { "no summary_text", input(reasoning { summary = { { type = "text", text = "s" } } },
      said "y"), input(reasoning { summary = { { type = "summary_text", text = "s" } } },
      said "y") },
    { "without the message or call", input(reasoning()), input(reasoning(), said "y") },
    { "without the message or call", input(reasoning(), user()),
      input(reasoning(), call "a", output "a") },
    { "nothing is stored", with(input(reasoning { encrypted_content = support.null }, said "y"),
      { store = false }), input(reasoning { encrypted_content = support.null }, said "y") },
    { "neither an id nor", input(reasoning { id = support.null,
      encrypted_content = support.null }, said "y"),
      input(reasoning { id = support.null }, said "y") },
    { "the content of OpenAI's reasoning is empty",
      input(reasoning { content = { { type = "reasoning_text", text = "r" } } }, said "y"),
      input(reasoning { content = { { type = "reasoning_text", text = "r" } } }, said "y"),
      "openai", "llamaserver" },
    { "no content", input(reasoning(), said "y"), input(reasoning(), said "y"), "llamaserver",
      "openai" },
    { "nothing is stored", with(input { type = "item_reference", id = "rs_1" },
      { store = false }), input { type = "item_reference", id = "msg_1" } },
    { "the type 'web_search_call' is unknown", input { type = "web_search_call", id = "ws_1" },
      input { type = "web_search_call", id = "ws_1" }, "llamaserver", "openai" },
    -- tools
    { "tools: must be a list", { tools = {} }, { tools = EMPTY } },
    { "tools: more than 128", tools(many(129)), tools(many(128)) },
    { "the name nil does not match", tools { type = "function", ["function"] = { name = "f" } },
      tools(fn()) },
    { "'function' is unknown", tools(fn { ["function"] = { name = "f" } }) },
    { "the type search is unknown", tools { type = "search" }, tools { type = "web_search" } },
    { "parameters: must be an object", tools(fn { parameters = EMPTY }) },
    { "its type must be 'object'", tools(fn { parameters = {} }) },
    { "required: must be a list", tools(fn { parameters = { type = "object", required = {} } }),
      tools(fn { parameters = { type = "object", required = EMPTY } }) },
    { "additionalProperties must be false", tools(fn { strict = true, parameters = OPEN }),
      tools(fn { parameters = OPEN }) },
    { "'a' is missing", tools(fn { strict = true, parameters = PARTLY }),
      tools(fn { strict = true, parameters = CLOSED }) },
    { "tool_choice: 'any' is not allowed", with(tools(fn()), { tool_choice = "any" }),
      with(tools(fn()), { tool_choice = "required" }) },
    { "tool_choice: without tools", { tool_choice = "required" }, { tool_choice = "auto" } },
    { "'function' is unknown", with(tools(fn()), { tool_choice = { type = "function",
      ["function"] = { name = "f" } } }),
      with(tools(fn()), { tool_choice = { type = "function", name = "f" } }) },
    { "no tool 'g'", with(tools(fn()), { tool_choice = { type = "function", name = "g" } }) },
    -- formats
    { "'json_schema' is unknown", format { type = "json_schema", json_schema = { name = "n" } },
      format(schema(OPEN)) },
    { "the name nil does not match", format { type = "json_schema", schema = OPEN } },
    { "the type xml is unknown", format { type = "xml" }, format { type = "json_object" } },
    { "schema: must be an object", format(schema(EMPTY)) },
    { "'a' is missing", format(schema(PARTLY, { strict = true })),
      format(schema(CLOSED, { strict = true })) },
    { "verbosity: 'loud'", { text = { verbosity = "loud" } }, { text = { verbosity = "low" } } },
  }
  for _, name in ipairs { "stop", "seed", "n", "response_format", "presence_penalty",
    "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "functions" } do
    rows[#rows + 1] = { ("'%s' is unknown"):format(name), { [name] = 1 } }
  end
  each("responses", { model = "gpt-5", input = "x" }, rows)

  -- one that thought, called and was answered
  local thought = reasoning { summary = { { type = "summary_text", text = "s" } } }
  local asks = call("a", { id = "fc_1" })
  local issued = has_issued("responses", { store = false }, { object = "response",
    id = "resp_1", output = { thought, asks, said("y", { id = "msg_1" }) } })
  local function other(more) return with(thought, more) end
  local of_issued = {
    { "'msg_2' is not an item of this server", input(said("y", { id = "msg_2" })),
      input(said("y", { id = "msg_1" })) },
    { "not as it was issued", input(said("z", { id = "msg_1" })), input(said "z") },
    { "'rs_2' is not an item of this server", input(other { id = "rs_2" }, asks, output "a"),
      input(thought, asks, output "a") },
    { "is not of this server", input(reasoning { id = support.null, encrypted_content = "foreign",
      summary = thought.summary }, asks, output "a"),
      input(reasoning { id = support.null, summary = thought.summary }, asks, output "a") },
    { "not as it was issued", input(other { summary = EMPTY }, asks, output "a") },
    { "not as it was issued", input(other { encrypted_content = "other" }, asks, output "a") },
    { "not as it was issued", input(thought, with(asks, { name = "g" }), output "a") },
    { "is not what the reasoning before it led to", input(thought, said "y"),
      input(thought, call "a", output "a") },
    { "is not what the reasoning before it led to", input(thought, call "b", output "b") },
    { "previous_response_id: was not stored", { previous_response_id = "resp_1" } },
    { "'resp_2' not found", { previous_response_id = "resp_2" } },
  }
  for _, row in ipairs(of_issued) do row.issued = issued end
  each("responses", { model = "gpt-5", input = "x" }, of_issued)
end)


-- Messages ----------------------------------------------------------------------------------

local function talk(...) return { messages = array { user(), ... } } end
local function answers(...) return { role = "assistant", content = array { ... } } end
local function asked(...) return { role = "user", content = array { ... } } end
local function text(of, more) return with({ type = "text", text = of }, more or {}) end
local function use(id, more)
  return with({ type = "tool_use", id = id, name = "f", input = {} }, more or {})
end
local function result(id, more)
  return with({ type = "tool_result", tool_use_id = id, content = "r" }, more or {})
end
local function thinking(more)
  return with({ type = "thinking", thinking = "t", signature = "sig" }, more or {})
end
local function tool(more)
  return with({ name = "f", input_schema = { type = "object", properties = {} } }, more or {})
end
local function document(source) return talk(answers(text "y"), asked { type = "document",
  source = source }) end
local function image(source) return { messages = { asked { type = "image", source = source } } } end
local function output_format(of) return { output_config = { format = of } } end

local MARK = { type = "ephemeral" }
local ON = { thinking = { type = "enabled", budget_tokens = 1024 }, max_tokens = 2048,
  model = "claude-sonnet-4-5" }

describe("the strict server, of Messages,", function()
  local rows = {
    { "model: must not be empty", { model = "" }, { model = "claude-sonnet-4-5" } },
    { "max_tokens: must be an integer", { max_tokens = support.null }, { max_tokens = 1 } },
    { "max_tokens: must be an integer", { max_tokens = 10.5 } },
    { "max_tokens: must be an integer", { model = "claude-opus-4-1", max_tokens = 32001 },
      { model = "claude-opus-4-1", max_tokens = 32000 } },
    { "max_tokens: must be an integer", { model = "claude-3-haiku-20240307",
      max_tokens = 4097 }, { model = "claude-opus-4-8", max_tokens = 128000 } },
    { "system: must be a list", { system = {} }, { system = "s" } },
    { "system: must not be empty", { system = " " }, { system = { text "s" } } },
    { "type: 'image' is not allowed", { system = { { type = "image" } } } },
    { "the role system is unknown", { messages = { { role = "system", content = "s" },
      user() } }, { system = "s" } },
    { "the role tool is unknown", talk { role = "tool", content = "s" } },
    { "the first is not the user's", { messages = { answers(text "y") } }, talk() },
    { "must be a list with a message", { messages = EMPTY } },
    { "'name' is unknown", { messages = { { role = "user", content = "x", name = "n" } } } },
    { "must not be empty", talk(asked(text "")), talk(asked(text "z")) },
    { "must not be empty", talk { role = "user", content = " \n" } },
    { "with a block in it", talk(answers()), talk(answers(text "y"), user()) },
    { "type: 'image' is not allowed", talk(answers { type = "image", source = { type = "url",
      url = "https://a" } }, user()), image { type = "url", url = "https://a" } },
    { "type: 'input_text' is not allowed", talk(asked { type = "input_text", text = "x" }) },
    { "media_type: 'image/tiff'", image { type = "base64", media_type = "image/tiff",
      data = "QUJD" }, image { type = "base64", media_type = "image/png", data = "QUJD" } },
    { "data: no base64", image { type = "base64", media_type = "image/png", data = "Q?" } },
    { "url: no URL", image { type = "url", url = "data:image/png;base64,QUJD" } },
    { "media_type: 'text/html'", document { type = "base64", media_type = "text/html",
      data = "QUJD" }, document { type = "base64", media_type = "application/pdf",
      data = "QUJD" } },
    -- calls
    { "the call 'a' has no result", talk(answers(use "a")),
      talk(answers(use "a"), asked(result "a")) },
    { "has no result directly behind it", talk(answers(use "a"), user(), asked(result "a")) },
    { "has no result directly behind it", talk(answers(use "a", use "b"), asked(result "a"),
      asked(result "b")), talk(answers(use "a", use "b"), asked(result "b", result "a")) },
    { "a result without a call", talk(asked(result "a")) },
    { "a result without a call", talk(answers(use "a"), asked(result "a", result "a")) },
    { "a result behind other content", talk(answers(use "a"), asked(text "z", result "a")),
      talk(answers(use "a"), asked(result "a", text "z")) },
    { "text behind tool_use", talk(answers(use "a", text "y"), asked(result "a")),
      talk(answers(text "y", use "a"), asked(result "a")) },
    { "input: must be an object", talk(answers(use("a", { input = EMPTY })), asked(result "a")) },
    { "input: must be an object", talk(answers(use("a", { input = "{}" })), asked(result "a")) },
    { "does not match ^[a-zA-Z0-9_-]+$", talk(answers(use "a.b"), asked(result "a.b")),
      talk(answers(use "a-b_C"), asked(result "a-b_C")) },
    { "the id 'a' twice", talk(answers(use "a"), asked(result "a"), answers(use "a"),
      asked(result "a")) },
    { "the name a b does not match", talk(answers(use("a", { name = "a b" })),
      asked(result "a")) },
    { "must not be empty", talk(answers(use "a"), asked(result("a",
      { content = { text "" } }))), talk(answers(use "a"), asked(result("a",
      { content = "", is_error = true }))) },
    { "is_error: must be true or false", talk(answers(use "a"), asked(result("a",
      { is_error = "yes" }))) },
    -- thinking
    { "signature: must not be empty", with(talk(answers(thinking { signature = "" }, text "y"),
      user()), ON), with(talk(answers(thinking(), text "y"), user()), ON) },
    { "signature: must not be empty", talk(answers(thinking { signature = "" }, text "y"),
      user()), talk(answers(thinking { signature = "" }, text "y"), user()), "strictest",
      "llamaserver" },
    { "thinking behind other content", with(talk(answers(text "y", thinking()), user()), ON) },
    { "'cache_control' is unknown", talk(answers(thinking { cache_control = MARK }, text "y"),
      user()) },
    { "data: must not be empty", talk(answers({ type = "redacted_thinking", data = "" },
      text "y"), user()), talk(answers({ type = "redacted_thinking", data = "d" },
      text "y"), user()) },
    { "a tool turn without it", with(talk(answers(use "a"), asked(result "a")), ON),
      with(talk(answers(thinking(), use "a"), asked(result "a")), ON) },
    { "temperature: with thinking", with(ON, { temperature = 0 }),
      with(ON, { temperature = 1 }) },
    { "top_k: with thinking", with(ON, { top_k = 5 }), { top_k = 5 } },
    { "top_p: below 0.95", with(ON, { top_p = 0.5 }), with(ON, { top_p = 0.95 }) },
    { "'any' with thinking", with(ON, { tools = { tool() }, tool_choice = { type = "any" } }),
      with(ON, { tools = { tool() }, tool_choice = { type = "auto" } }) },
    { "budget_tokens: must be an integer", with(ON, { thinking = { type = "enabled",
      budget_tokens = 1023 } }), ON },
    { "is not less than max_tokens", with(ON, { max_tokens = 1024 }) },
    { "takes no budget", with(ON, { model = "claude-opus-4-7" }),
      with(ON, { model = "claude-opus-4-6" }) },
    { "takes no budget", with(ON, { model = "claude-3-5-sonnet-20241022" }) },
    { "is not adaptive", { thinking = { type = "adaptive" }, model = "claude-opus-4-5" },
      { thinking = { type = "adaptive", display = "omitted" }, model = "claude-opus-4-6" } },
    { "the type on is unknown", { thinking = { type = "on" } },
      { thinking = { type = "disabled" } } },
    { "'budget_tokens' is unknown", { model = "claude-opus-4-7", thinking = { type = "adaptive",
      budget_tokens = 2000 } } },
    -- generations
    { "temperature: is deprecated", { model = "claude-opus-4-7", temperature = 0 },
      { model = "claude-opus-4-6", temperature = 0 } },
    { "top_p: is deprecated", { model = "claude-fable-5", top_p = 1 },
      { model = "claude-sonnet-4-6", top_p = 1 } },
    { "top_p: together with temperature", { temperature = 0, top_p = 1 },
      { temperature = 0, top_p = 1, model = "claude-sonnet-4-20250514" } },
    { "temperature: must be a number", { temperature = 1.5 }, { temperature = 1 } },
    { "takes no prefill", with(talk(answers(text "y")), { model = "claude-sonnet-4-6" }),
      talk(answers(text "y")) },
    { "a prefill with thinking", with(talk(answers(thinking(), text "y")), ON) },
    { "ends in white space", talk(answers(text "y ")) },
    -- caching
    { "a fifth cache_control", with({ system = { text("s", { cache_control = MARK }) },
      tools = { tool { cache_control = MARK } }, cache_control = MARK },
      talk(asked(text("x", { cache_control = MARK }), text("y", { cache_control = MARK })))),
      with({ system = { text("s", { cache_control = MARK }) },
      tools = { tool { cache_control = MARK } }, cache_control = MARK },
      talk(asked(text("x", { cache_control = MARK })))) },
    { "type: 'forever'", { cache_control = { type = "forever" } }, { cache_control = MARK } },
    { "1h behind 5m", with({ system = { text("s", { cache_control = MARK }) } },
      talk(asked(text("x", { cache_control = { type = "ephemeral", ttl = "1h" } })))),
      { system = { text("s", { cache_control = { type = "ephemeral", ttl = "1h" } }) } } },
    -- tools
    { "no input_schema", { tools = { { name = "f" } } }, { tools = { tool() } } },
    { "the type function is unknown", { tools = { { type = "function", name = "f" } } },
      { tools = { { type = "web_search_20250305", name = "web_search" } } } },
    { "its type must be 'object'", { tools = { tool { input_schema = {} } } } },
    { "'parameters' is unknown", { tools = { tool { parameters = {} } } } },
    { "the name 'f' twice", { tools = { tool(), tool() } },
      { tools = { tool(), tool { name = "g" } } } },
    { "required: must be a list", { tools = { tool { input_schema = { type = "object",
      required = {} } } } } },
    { "tool_choice: must be an object", { tools = { tool() }, tool_choice = "auto" },
      { tools = { tool() }, tool_choice = { type = "tool", name = "f" } } },
    { "tool_choice: without tools", { tool_choice = { type = "auto" } } },
    { "no tool 'g'", { tools = { tool() }, tool_choice = { type = "tool", name = "g" } } },
    { "'disable_parallel_tool_use' is unknown", { tools = { tool() }, tool_choice =
      { type = "none", disable_parallel_tool_use = true } },
      { tools = { tool() }, tool_choice = { type = "any", disable_parallel_tool_use = true } } },
    -- formats
    { "additionalProperties must be false", output_format { type = "json_schema",
      schema = OPEN }, output_format { type = "json_schema", schema = CLOSED } },
    { "'name' is unknown", output_format { type = "json_schema", name = "n",
      schema = CLOSED } },
    { "has no structured output", with(output_format { type = "json_schema", schema = CLOSED },
      { model = "claude-sonnet-4-0" }) },
    { "'minItems' is not supported", output_format { type = "json_schema", schema =
      { type = "array", minItems = 2 } }, output_format { type = "json_schema", schema =
      { type = "array", minItems = 1 } } },
    { "effort: 'huge'", { output_config = { effort = "huge" }, model = "claude-opus-4-6" },
      { output_config = { effort = "max" }, model = "claude-opus-4-6" } },
    { "this model has none", { output_config = { effort = "low" } } },
    { "'max' without thinking", { output_config = { effort = "max" }, model = "claude-opus-5",
      thinking = { type = "disabled" } }, { output_config = { effort = "high" },
      model = "claude-opus-5", thinking = { type = "disabled" } } },
    -- the rest
    { "stop_sequences[1]: must not be empty", { stop_sequences = { "\n" } },
      { stop_sequences = { "END" } } },
    { "stop_sequences: must be a list", { stop_sequences = "END" } },
    { "'session' is unknown", { metadata = { session = "1" } }, { metadata = { user_id = "1" } } },
  }
  for _, name in ipairs { "stream_options", "seed", "n", "presence_penalty",
    "frequency_penalty", "stop", "logprobs", "response_format", "max_completion_tokens" } do
    rows[#rows + 1] = { ("'%s' is unknown"):format(name), { [name] = 1 } }
  end
  for _, name in ipairs { "minimum", "maximum", "multipleOf", "minLength", "maxLength" } do
    rows[#rows + 1] = { ("'%s' is not supported"):format(name), output_format {
      type = "json_schema", schema = { type = "string", [name] = 1 } } }
  end
  local base = { model = "claude-sonnet-4-5", max_tokens = 100, messages = { user() } }
  each("messages", base, rows)

  local first, second = thinking { signature = "one" }, thinking { signature = "two" }
  local hidden = { type = "redacted_thinking", data = "d" }
  local request = with(base, { system = "s", tools = { tool() }, thinking = ON.thinking,
    max_tokens = 2048, model = "claude-opus-4-6" })
  local issued = has_issued("messages", request, { type = "message", id = "msg_1",
    content = { first, hidden, second, use "a" } })
  local function back(...)
    return with(with(request, talk(answers(...), asked(result "a"))), {})
  end
  local good = back(first, hidden, second, use "a")
  local changed = with(good, {})
  changed.messages = array { user "edited", good.messages[2], good.messages[3] }
  local rows_of_issued = {
    { "has not issued so", back(thinking { signature = "foreign" }, use "a"), good },
    { "has not issued so", back(thinking { signature = "one", thinking = "T" }, hidden, second,
      use "a") },
    { "in another order", back(second, hidden, first, use "a") },
    { "some of the thinking of msg_1 is missing", back(first, hidden, use "a") },
    { "without the thinking that was issued", with(back(use "a"), {
      thinking = { type = "adaptive" } }), with(back(use "a"), { thinking = support.null }) },
    { "behind another system text", with(good, { system = "other" }),
      with(good, { system = { text("s", { cache_control = MARK }) } }) },
    { "behind other tools", with(good, { tools = { tool { description = "d" } } }) },
    { "behind an edited conversation", changed },
  }
  for _, row in ipairs(rows_of_issued) do row.issued = issued end
  each("messages", base, rows_of_issued)
end)


-- The server ----------------------------------------------------------------------------------

describe("the strict server", function()
  after_each(function() pcall(support.close_all) end)

  local function ask(server, path, body, header)
    local child = support.spawn(("curl -sS --max-time 10 -d @- %s %s%s"):format(header or "",
      server.url, path), { stdin = (function()
        local name = support.tmpdir() .. "/body"
        support.write_file(name, type(body) == "table" and encode(body) or body)
        return name
      end)() })
    child:wait(15)
    local out = child:output()
    child:close()
    return out
  end

  local VERSION = "-H 'anthropic-version: 2023-06-01'"

  it("chooses the rules by the path", function()
    local s = support.serve { support.http(200, {}, "fine") }
    assert.equal("fine", ask(s, "/responses?x=1", { model = "m", input = "x" }))
    assert.equal("fine", ask(s, "/messages", { model = "m", max_tokens = 1,
      messages = { user() } }, VERSION))
    assert.truthy(ask(s, "/responses", { model = "m", messages = { user() } })
      :find("refused: body: the field 'messages' is unknown", 1, true))
    assert.truthy(ask(s, "/messages", { model = "m", max_tokens = 1, messages = { user() } })
      :find("refused: header: no anthropic-version", 1, true))
    assert.equal(2, #s:refused())
    support.remove_all()
  end)

  it("wants a key where it is told which service it is", function()
    local openai = support.serve({ support.http(200, {}, "fine") }, { strict = "openai" })
    local anthropic = support.serve({ support.http(200, {}, "fine") }, { strict = "anthropic" })
    local question = { model = "m", input = "x" }
    assert.truthy(ask(openai, "/responses", question):find("no Bearer token", 1, true))
    assert.equal("fine", ask(openai, "/responses", question, "-H 'Authorization: Bearer k'"))
    question = { model = "m", max_tokens = 1, messages = { user() } }
    assert.truthy(ask(anthropic, "/messages", question, VERSION):find("no x-api-key", 1, true))
    assert.equal("fine", ask(anthropic, "/messages", question, VERSION .. " -H 'x-api-key: k'"))
    question.mcp_servers = EMPTY
    assert.truthy(ask(anthropic, "/messages", question, VERSION .. " -H 'x-api-key: k'")
      :find("without its anthropic-beta", 1, true))
    openai:refused()
    anthropic:refused()
    support.remove_all()
  end)

  it("knows what it has issued, however it was sent", function()
    local parts = { { reasoning = "Hm.", secret = "sig" }, { call = "a", name = "f" } }
    local requests = {
      messages = { { model = "m", max_tokens = 1, messages = array { user() } },
        function(thought)
          return talk(answers(thinking { thinking = thought }, use "a"), asked(result "a"))
        end, "that this server has not issued so" },
      responses = { { model = "m", input = "x" }, function(thought)
        return input(reasoning { id = "rs_0", encrypted_content = "sig", summary = {
          { type = "summary_text", text = thought } } }, call "a", output "a")
      end, "not as it was issued" },
    }
    for api, request in pairs(requests) do
      local events = table.concat(spoken[api].events(parts))
      for _, script in ipairs {
        support.http(200, {}, events, { framing = "chunked", chunk_size = 7 }),
        support.http(200, {}, events:gsub("\n", "\r\n"), { chunk = 111, every = 0 }),
      } do
        local s = support.serve { script, support.http(200, {}, "fine") }
        ask(s, spoken[api].path, request[1], VERSION)
        local function back(thought)
          return ask(s, spoken[api].path, with(request[1], request[2](thought)), VERSION)
        end
        assert.equal("fine", back "Hm.")
        assert.truthy(back("Hm"):find(request[3], 1, true))
        s:refused()
      end
    end
    support.remove_all()
  end)
end)
