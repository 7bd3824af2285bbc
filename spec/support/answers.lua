--- An answer as each dialect streams it: the same parts, in the events of the real service.
--
--   local form = answers.responses                 -- or chat, messages
--   support.serve { form.answer { "Hel", "lo" } }
--
-- form.answer(parts, opts)   a script: a whole streamed answer
-- form.events(parts, opts)   its events, each as bytes
-- form.open(opts), form.text(text), form.stop(opts)   one text, bit by bit, as bytes; what
--                            begins and what ends it, and does not repeat the text
-- form.begin(kind), form.more(kind, text)   the same of "reasoning" and "arguments"
-- form.failed(message, kind) what tells an error in the midst of a stream
-- form.document(text, opts)  a whole answer that is not streamed, as a table
-- form.failure(status, headers, message, code)        a script: an error of HTTP
-- form.api, form.path, form.key                       its name, path and header of the key
--
-- A part is a text, or a table:
--   {text = {"a", "b"}, citations = {..}}             one text in pieces
--   {reasoning = text, id =, secret =}                secret: what makes it the service's own
--   {redacted = data}                                 Messages alone
--   {call = id, name =, arguments =, id =, more = {}} more: fields of a call of chat
--   {item = {}}                                       Responses and Messages: as it is
-- opts: id, model, finish ("length", "filtered"; else by the parts), usage (of Messages: what
-- it has besides); `more` of an answer of chat: fields of its first delta.
--
-- Pure, as wire.lua is.

local wire = require "spec.support.wire"

local array, encode, null = wire.array, wire.encode, wire.null

local answers = {}

local EMPTY = array {}

local function copy(fields, more)
  local out = {}
  for _, map in ipairs { fields or {}, more or {} } do
    for name, value in pairs(map) do out[name] = value end
  end
  return out
end

-- A part as a table, its text in pieces.
local function whole_part(part)
  if type(part) == "string" then return { text = { part } } end
  if type(part.text) == "string" then return copy(part, { text = { part.text } }) end
  return part
end

local function has_call(parts)
  for _, part in ipairs(parts) do
    if type(part) == "table" and part.call then return true end
  end
  return false
end

-- A named event, as Responses and Messages have them.
local function named(kind, fields)
  return ("event: %s\ndata: %s\n\n"):format(kind, encode(copy(fields, { type = kind })))
end

local function script(events, opts)
  return wire.http(200, copy({ ["Content-Type"] = "text/event-stream" }, opts and opts.headers),
    array(events), { framing = "chunked" })
end

-- What all forms have, made of their `events`, `opening`, `closing`.
local function completed(form)
  function form.answer(parts, opts) return script(form.events(parts, opts), opts) end
  return form
end


-- Chat completions -----------------------------------------------------------------------

local chat = completed { api = "chat", path = "/chat/completions", key = "authorization" }
answers.chat = chat

local function chunk(delta, finish, opts)
  opts = opts or {}
  return wire.event(encode {
    id = opts.id or "chatcmpl-1", object = "chat.completion.chunk",
    model = opts.model or "test-model",
    choices = { { index = 0, delta = delta, finish_reason = finish or null } },
  })
end

local CHAT_FINISH = { length = "length", filtered = "content_filter" }

function chat.open(opts) return chunk({ role = "assistant" }, nil, opts) end
function chat.text(text) return chunk { content = text } end

local function chat_call(arguments, more)
  return chunk { tool_calls = { copy({ index = 0, ["function"] = copy({ arguments = arguments },
    more and more.fn) }, more and more.call) } }
end

function chat.begin(kind)
  if kind == "reasoning" then return "" end
  return chat_call("", { call = { id = "call_1", type = "function" }, fn = { name = "f" } })
end

function chat.more(kind, text)
  return kind == "reasoning" and chunk { reasoning_content = text } or chat_call(text)
end

function chat.stop(opts)
  opts = opts or {}
  return chunk({ role = "assistant" }, CHAT_FINISH[opts.finish] or opts.calls and "tool_calls"
    or "stop", opts) .. wire.event "[DONE]"
end

function chat.events(parts, opts)
  opts = opts or {}
  local out, calls = { chunk(copy({ role = "assistant", content = "" }, opts.more), nil, opts) }, 0
  for _, part in ipairs(parts) do
    part = whole_part(part)
    for _, text in ipairs(part.text or {}) do
      out[#out + 1] = chunk({ content = text }, nil, opts)
    end
    if part.reasoning then
      out[#out + 1] = chunk({ reasoning_content = part.reasoning }, nil, opts)
    elseif part.call then
      out[#out + 1] = chunk({ tool_calls = { copy({ index = calls, id = part.call,
        type = "function", ["function"] = { name = part.name,
          arguments = part.arguments or "{}" } }, part.more) } }, nil, opts)
      calls = calls + 1
    end
  end
  out[#out + 1] = chat.stop(copy(opts, { calls = calls > 0 }))
  return out
end

function chat.failed(message, kind)
  return wire.event(encode { error = { message = message, type = kind or "server_error" } })
end

function chat.document(text, opts)
  opts = opts or {}
  return { id = "chatcmpl-1", object = "chat.completion", model = opts.model or "test-model",
    choices = { { index = 0, message = { role = "assistant", content = text },
      finish_reason = CHAT_FINISH[opts.finish] or "stop" } } }
end

function chat.failure(status, headers, message, code)
  return wire.http(status, headers, { error = { message = message or "no", type = "test",
    code = code or null } })
end


-- Responses ------------------------------------------------------------------------------

local responses = completed { api = "responses", path = "/responses", key = "authorization",
  failure = chat.failure }
answers.responses = responses

local USAGE = { input_tokens = 7, input_tokens_details = { cached_tokens = 0 },
  output_tokens = 5, output_tokens_details = { reasoning_tokens = 0 }, total_tokens = 12 }
local REASONS = { length = "max_output_tokens", filtered = "content_filter" }

-- The service repeats what it was asked.
local ECHO = {
  background = false, instructions = "Be brief.", max_output_tokens = null, metadata = {},
  parallel_tool_calls = true, previous_response_id = null, service_tier = "default",
  reasoning = { effort = "low", summary = null }, store = false, temperature = 1, top_p = 1,
  text = { format = { type = "text" }, verbosity = "medium" }, tool_choice = "auto",
  tools = array { { type = "function", name = "f", description = null, strict = false,
    parameters = { type = "object", properties = {} } } },
  top_logprobs = 0, truncation = "disabled", user = null,
}

local function response(status, output, opts)
  opts = opts or {}
  return copy(ECHO, {
    id = opts.id or "resp_1", object = "response", created_at = 1700000000, status = status,
    model = opts.model or "test-model", output = output, error = null,
    incomplete_details = status == "incomplete" and { reason = REASONS[opts.finish] } or null,
    usage = (status == "in_progress" or opts.usage == false) and null or opts.usage or USAGE,
  })
end

local function ended(output, opts)
  local status = opts and REASONS[opts.finish] and "incomplete" or "completed"
  return "response." .. status, response(status, output, opts)
end

local function text_part(text, citations)
  return { type = "output_text", text = text, annotations = array(citations or {}),
    logprobs = EMPTY }
end

local function message_item(id, text, citations, status)
  return { type = "message", id = id, role = "assistant", status = status or "completed",
    content = text and { text_part(text, citations) } or EMPTY }
end

-- Writes events; `add` numbers them.
local streamed = {}

function streamed.text(part, place, add)
  local id, text = part.id or "msg_" .. place, table.concat(part.text)
  local at = { item_id = id, output_index = place, content_index = 0 }
  add("output_item.added", { output_index = place, item = message_item(id, nil, nil,
    "in_progress") })
  add("content_part.added", copy(at, { part = text_part "" }))
  for _, piece in ipairs(part.text) do
    add("output_text.delta", copy(at, { delta = piece, logprobs = EMPTY, obfuscation = "x9" }))
  end
  for i, citation in ipairs(part.citations or {}) do
    add("output_text.annotation.added", copy(at, { annotation_index = i - 1,
      annotation = citation }))
  end
  add("output_text.done", copy(at, { text = text, logprobs = EMPTY }))
  add("content_part.done", copy(at, { part = text_part(text, part.citations) }))
  return message_item(id, text, part.citations)
end

function streamed.reasoning(part, place, add)
  local id = part.id or "rs_" .. place
  local item = { type = "reasoning", id = id, summary = EMPTY }
  if part.secret then item.encrypted_content = part.secret end
  add("output_item.added", { output_index = place, item = item })
  if part.reasoning ~= "" then
    local at = { item_id = id, output_index = place, summary_index = 0 }
    local summary = { type = "summary_text", text = part.reasoning }
    add("reasoning_summary_part.added", copy(at, { part = { type = "summary_text", text = "" } }))
    add("reasoning_summary_text.delta", copy(at, { delta = part.reasoning,
      obfuscation = "x9y" }))
    add("reasoning_summary_text.done", copy(at, { text = part.reasoning }))
    add("reasoning_summary_part.done", copy(at, { part = summary }))
    item = copy(item, { summary = { summary } })
  end
  return item
end

function streamed.call(part, place, add)
  local id, arguments = part.id or "fc_" .. place, part.arguments or "{}"
  local item = { type = "function_call", id = id, call_id = part.call, name = part.name }
  local at = { item_id = id, output_index = place }
  add("output_item.added", { output_index = place, item = copy(item, { arguments = "",
    status = "in_progress" }) })
  add("function_call_arguments.delta", copy(at, { delta = arguments, obfuscation = "x" }))
  add("function_call_arguments.done", copy(at, { arguments = arguments }))
  return copy(item, { arguments = arguments, status = "completed" })
end

function streamed.item(part, place, add)
  add("output_item.added", { output_index = place, item = part.item })
  return part.item
end

local KINDS = { "text", "reasoning", "call", "item" }

function responses.events(parts, opts)
  local out, number, output = {}, -1, array {}
  local function add(kind, fields)
    number = number + 1
    kind = "response." .. kind
    out[#out + 1] = named(kind, copy(fields, { sequence_number = number }))
  end
  add("created", { response = response("in_progress", EMPTY, opts) })
  add("in_progress", { response = response("in_progress", EMPTY, opts) })
  for i, part in ipairs(parts) do
    part = whole_part(part)
    for _, kind in ipairs(KINDS) do
      if part[kind] then
        local item = streamed[kind](part, i - 1, add)
        add("output_item.done", { output_index = i - 1, item = item })
        -- each event is encrypted anew
        if part.secret then
          item = copy(item, { encrypted_content = part.secret .. "-again" })
        end
        output[i] = item
        break
      end
    end
  end
  local kind, last = ended(output, opts)
  add(kind:match "%.(.*)", { response = last })
  return out
end

local PLACE = { item_id = "msg_0", output_index = 0, content_index = 0 }

function responses.open(opts)
  return named("response.created", { response = response("in_progress", EMPTY, opts),
    sequence_number = 0 })
    .. named("response.output_item.added", { output_index = 0, sequence_number = 1,
      item = message_item("msg_0", nil, nil, "in_progress") })
    .. named("response.content_part.added", copy(PLACE, { part = text_part "",
      sequence_number = 2 }))
end

function responses.text(text)
  return named("response.output_text.delta", copy(PLACE, { delta = text, logprobs = EMPTY,
    sequence_number = 3 }))
end

local SUMMARY = { item_id = "rs_0", output_index = 0, summary_index = 0 }

function responses.begin(kind)
  local item = kind == "reasoning" and { type = "reasoning", id = "rs_0", summary = EMPTY }
    or { type = "function_call", id = "fc_0", call_id = "call_1", name = "f", arguments = "",
      status = "in_progress" }
  return named("response.output_item.added", { output_index = 0, item = item,
    sequence_number = 1 })
end

function responses.more(kind, text)
  if kind == "reasoning" then
    return named("response.reasoning_summary_text.delta", copy(SUMMARY, { delta = text,
      sequence_number = 3 }))
  end
  return named("response.function_call_arguments.delta", { item_id = "fc_0", output_index = 0,
    delta = text, sequence_number = 3 })
end

function responses.stop(opts)
  local kind, last = ended(EMPTY, opts)
  return named(kind, { response = last, sequence_number = 9 })
end

function responses.failed(message, kind)
  return named("error", { code = kind or "server_error", message = message, param = null,
    sequence_number = 5 })
end

function responses.document(text, opts)
  return (select(2, ended({ message_item("msg_0", text) }, opts)))
end


-- Messages -------------------------------------------------------------------------------

local messages = completed { api = "messages", path = "/messages", key = "x-api-key" }
answers.messages = messages

local STOPS = { length = "max_tokens", filtered = "refusal", paused = "pause_turn" }

local function message(content, stop, opts)
  opts = opts or {}
  return { id = opts.id or "msg_1", type = "message", role = "assistant",
    model = opts.model or "test-model", content = content, stop_reason = stop or null,
    stop_sequence = null, usage = copy({ input_tokens = 7, cache_creation_input_tokens = 0,
      cache_read_input_tokens = 0, output_tokens = stop and 5 or 1 }, opts.usage) }
end

local function start(opts)
  return named("message_start", { message = message(EMPTY, nil, opts) })
end

local function stop_events(stop)
  return named("message_delta", { delta = { stop_reason = stop, stop_sequence = null },
    usage = { output_tokens = 5 } }) .. named("message_stop", {})
end

local function delta(place, kind, name, value)
  return named("content_block_delta", { index = place, delta = { type = kind, [name] = value } })
end

-- The block as it starts, and the deltas, for each kind of part.
local blocks = {}

function blocks.text(part, place)
  local out = {}
  for i, piece in ipairs(part.text) do out[i] = delta(place, "text_delta", "text", piece) end
  for _, citation in ipairs(part.citations or {}) do
    out[#out + 1] = delta(place, "citations_delta", "citation", citation)
  end
  return { type = "text", text = "" }, out
end

function blocks.reasoning(part, place)
  return { type = "thinking", thinking = "", signature = "" }, {
    delta(place, "thinking_delta", "thinking", part.reasoning),
    delta(place, "signature_delta", "signature", part.secret or "sig"),
  }
end

function blocks.redacted(part)
  return { type = "redacted_thinking", data = part.redacted }, {}
end

function blocks.call(part, place)
  local out, arguments = { delta(place, "input_json_delta", "partial_json", "") }, part.arguments
  if arguments and arguments ~= "{}" then
    out[2] = delta(place, "input_json_delta", "partial_json", arguments:sub(1, 3))
    out[3] = delta(place, "input_json_delta", "partial_json", arguments:sub(4))
  end
  return { type = "tool_use", id = part.call, name = part.name, input = {} }, out
end

function blocks.item(part) return part.item, {} end

local BLOCKS = { "text", "reasoning", "redacted", "call", "item" }

function messages.events(parts, opts)
  local out = { start(opts), named("ping", {}) }
  for i, part in ipairs(parts) do
    part = whole_part(part)
    for _, kind in ipairs(BLOCKS) do
      if part[kind] then
        local block, deltas = blocks[kind](part, i - 1)
        out[#out + 1] = named("content_block_start", { index = i - 1, content_block = block })
        for _, event in ipairs(deltas) do out[#out + 1] = event end
        out[#out + 1] = named("content_block_stop", { index = i - 1 })
        break
      end
    end
  end
  out[#out + 1] = stop_events(opts and STOPS[opts.finish] or has_call(parts) and "tool_use"
    or "end_turn")
  return out
end

function messages.open(opts)
  return start(opts) .. named("content_block_start", { index = 0, content_block = {
    type = "text", text = "" } })
end

function messages.text(text) return delta(0, "text_delta", "text", text) end

function messages.begin(kind)
  return start() .. named("content_block_start", { index = 0, content_block =
    kind == "reasoning" and { type = "thinking", thinking = "", signature = "" }
    or { type = "tool_use", id = "toolu_1", name = "f", input = {} } })
end

function messages.more(kind, text)
  if kind == "reasoning" then return delta(0, "thinking_delta", "thinking", text) end
  return delta(0, "input_json_delta", "partial_json", text)
end

function messages.stop(opts)
  return named("content_block_stop", { index = 0 })
    .. stop_events(opts and STOPS[opts.finish] or "end_turn")
end

function messages.failed(text, kind)
  return named("error", { error = { type = kind or "api_error", message = text } })
end

function messages.document(text, opts)
  return message({ { type = "text", text = text } }, opts and STOPS[opts.finish] or "end_turn",
    opts)
end

function messages.failure(status, headers, text, code)
  return wire.http(status, headers, { type = "error", request_id = "req_1",
    error = { type = code or "test", message = text or "no" } })
end

return answers
