-- What an answer of the Responses API may hold, and what becomes of it: events of a
-- stream, whole answers, and what is given back as it came.

local batch = require "spec.support.batch"
local bots = require "spec.support.bots"
local outputs = require "spec.support.outputs"
local support = require "spec.support"

local unpack = table.unpack or unpack
local array, null, encode = support.array, support.null, support.encode

local DRAWN = 600 -- answers, each of its own seed

local FFFD = "\239\191\189"

-- An event: JSON as it is, or a type, without "response.", and further fields.
local function json_of(event)
  if type(event) == "string" then return event end
  local out = {}
  for name, value in pairs(event) do out[name] = value end
  out.type, out[1] = "response." .. event[1], nil
  return encode(out)
end

local function stream(events, done)
  local out = {}
  for i, event in ipairs(events) do out[i] = "data: " .. json_of(event) .. "\n\n" end
  if done then out[#out + 1] = "data: [DONE]\n\n" end
  return table.concat(out)
end

local function message(id, ...)
  local parts = {}
  for i, text in ipairs { ... } do
    parts[i] = { type = "output_text", text = text, annotations = array {} }
  end
  return { type = "message", id = id, role = "assistant", status = "completed",
    content = array(parts) }
end

local function call(id, name, arguments)
  return { type = "function_call", id = "fc_" .. id, call_id = "call_" .. id, name = name,
    arguments = arguments, status = "completed" }
end

local function thoughts(id, ...)
  local parts = {}
  for i, text in ipairs { ... } do parts[i] = { type = "summary_text", text = text } end
  return { type = "reasoning", id = id, summary = array(parts), encrypted_content = "secret" .. id }
end

local function added(index, item)
  return { "output_item.added", output_index = index, item = item }
end

local function done(index, item)
  return { "output_item.done", output_index = index, item = item }
end

-- A part of a message begins.
local function part_added(item, index)
  return { "content_part.added", output_index = item, content_index = index,
    part = { type = "output_text" } }
end

local function piece(kind, index, delta, more)
  local event = { kind .. ".delta", output_index = index, delta = delta, content_index = 0 }
  for name, value in pairs(more or {}) do event[name] = value ~= null and value or nil end
  return event
end

local function text(index, delta, more) return piece("output_text", index, delta, more) end

local USAGE = { input_tokens = 7, output_tokens = 5, total_tokens = 12 }

local function completed(output, more)
  local response = { id = "resp_1", model = "m-1", status = "completed",
    output = array(output or {}), usage = USAGE, error = null, incomplete_details = null }
  for name, value in pairs(more or {}) do response[name] = value end
  return { "completed", response = response }
end

local function incomplete(reason, output)
  local event = completed(output, { status = "incomplete",
    incomplete_details = reason and { reason = reason } or null })
  event[1] = "incomplete"
  return event
end

local function failed(err)
  return { "failed", response = { id = "resp_1", status = "failed", error = err or null,
    output = array {}, metadata = { title = "a title of ours" } } }
end

-- A bot of Responses, and these pieces for an answer; see batch.lua.
local function job(pieces, opts)
  opts = opts or {}
  local bot = { api = "responses" }
  for name, value in pairs(opts.bot or {}) do bot[name] = value end
  return { pieces = pieces, bot = bot, call = opts.call, type = opts.type }
end

local function ask(bytes, opts) return batch.one(job({ bytes }, opts)) end

local function calls_of(reply)
  local out = {}
  for i, one in ipairs(reply.tool_calls or {}) do
    out[i] = { one.id, one["function"].name, one["function"].arguments }
  end
  return out
end

-- What of an answer is looked at; what `want` does not have must not be there.
local function check(want, result)
  if want.kind then
    assert.truthy(result.err, "no failure")
    for _, name in ipairs { "kind", "code", "type", "retryable", "partial", "param" } do
      if want[name] ~= nil or name == "partial" then
        assert.equal(want[name], result.err[name], name .. ": " .. tostring(result.err))
      end
    end
    if want.message then
      assert.truthy(result.err.message:find(want.message, 1, true), result.err.message)
    end
    return
  end
  assert.is_nil(result.err, tostring(result.err))
  local reply = result.reply
  assert.equal(want.text or "", reply.text)
  assert.equal(want.text or "", result.text)
  assert.equal(want.status or "complete", reply.status)
  for _, name in ipairs { "reasoning", "refusal", "finish_reason", "id", "model" } do
    if want[name] ~= nil or name == "reasoning" or name == "refusal" then
      assert.equal(want[name], reply[name], name)
    end
  end
  assert.same(want.calls or {}, calls_of(reply))
  for _, name in ipairs { "citations", "images", "logprobs" } do
    assert.same(want[name], reply[name], name)
  end
  local native = result.bot:get_messages()[2].native
  assert.same(want.native, native and native.items)
end

local function cut(bytes, size)
  local pieces = {}
  for at = 1, #bytes, size do pieces[#pieces + 1] = bytes:sub(at, at + size - 1) end
  return pieces
end

-- A table of {name, events, want, opts}; each as one piece and in small ones.
local function run(cases)
  for _, case in ipairs(cases) do
    it(case[1], function()
      local bytes, jobs = stream(case[2], (case[4] or {}).done), {}
      for i, size in ipairs { #bytes, 61, #bytes < 500 and 1 or 17 } do
        jobs[i] = job(cut(bytes, size), case[4])
      end
      for _, result in ipairs(batch.run(jobs)) do check(case[3], result) end
    end)
  end
end

describe("a text of Responses", function()
  after_each(bots.collect)

  local MESSAGE = message("m1", "Hello")
  local part = MESSAGE.content[1]
  run {
    { "is the pieces of a message", { added(0, message "m1"), text(0, "Hel"), text(0, "lo"),
      { "output_text.done", output_index = 0, content_index = 0, text = "Hello" },
      { "content_part.done", output_index = 0, content_index = 0, part = part },
      done(0, MESSAGE), completed { MESSAGE } },
      { text = "Hello", finish_reason = "completed", id = "resp_1", model = "m-1" } },
    { "needs no event but pieces and the last", { text(0, "Hel"), text(0, "lo"), completed() },
      { text = "Hello" } },
    { "may come whole at its end", { added(0, message "m1"),
      { "output_text.done", output_index = 0, content_index = 0, text = "Hello" },
      { "content_part.done", output_index = 0, content_index = 0, part = part },
      done(0, MESSAGE), completed { MESSAGE } }, { text = "Hello" } },
    { "may come whole with its part", { { "content_part.done", output_index = 0,
      content_index = 0, part = part }, done(0, MESSAGE), completed { MESSAGE } },
      { text = "Hello" } },
    { "may come whole with its item", { done(0, MESSAGE), completed { MESSAGE } },
      { text = "Hello" } },
    { "may come whole with the last event", { completed { MESSAGE } }, { text = "Hello" } },
    { "may be a string", { completed { { type = "message", content = "Hello" } } },
      { text = "Hello" } },
    { "is that of all messages and parts", { added(0, message "m1"), text(0, "a"),
      { "output_text.delta", output_index = 0, content_index = 1, delta = "b" },
      done(0, message("m1", "a", "b")), added(1, message "m2"), text(1, "c"),
      done(1, message("m2", "c")), completed { message("m1", "a", "b"), message("m2", "c") } },
      { text = "abc" } },
    { "is that of parts which come whole beside such that do not", { added(0, message "m1"),
      part_added(0, 0), text(0, "a"), part_added(0, 1),
      done(0, message("m1", "a", "b")), completed { message("m1", "a", "b") } }, { text = "ab" } },
    { "is that of messages which come whole beside such that do not", { added(0, message "m1"),
      text(0, "a"), done(0, message("m1", "a")), done(1, message("m2", "b")),
      completed { message("m1", "a"), message("m2", "b"), message("m3", "c") } },
      { text = "abc" } },
    { "may have a refusal in its place", { added(0, message "m1"),
      { "refusal.delta", output_index = 0, content_index = 0, delta = "I " },
      { "refusal.delta", output_index = 0, content_index = 0, delta = "won't." },
      { "refusal.done", output_index = 0, content_index = 0, refusal = "I won't." },
      completed { { type = "message", id = "m1", content = array { { type = "refusal",
        refusal = "I won't." } } } } }, { refusal = "I won't." } },
    { "may have a refusal that comes whole", { completed { { type = "message", id = "m1",
      content = array { { type = "refusal", refusal = "No." } } } } }, { refusal = "No." } },
    { "has halves of a surrogate pair joined", {
      '{"type":"response.output_text.delta","output_index":0,"delta":"\\ud83d"}',
      '{"type":"response.output_text.delta","output_index":0,"delta":"\\ude00 \\ud83d"}',
      completed() }, { text = "\240\159\152\128 " .. FFFD } },
  }

  it("may have its type in the name of the event alone", function()
    local bytes = 'event: response.output_text.delta\ndata: {"output_index":0,"delta":"Hi"}\n\n'
      .. 'event: response.completed\ndata: {"response":{"status":"completed"}}\n\n'
    check({ text = "Hi" }, ask(bytes))
  end)

  it("goes by the type in the data where there are both", function()
    local bytes = "event: message\ndata: " .. json_of(text(0, "Hi")) .. "\n\nevent: message\ndata: "
      .. json_of(completed()) .. "\n\n"
    check({ text = "Hi" }, ask(bytes))
  end)

  it("is found by number where ids change with each event", function()
    local events = { added(0, message "x0") }
    for i = 1, 5 do events[#events + 1] = text(0, tostring(i), { item_id = "x" .. i }) end
    events[#events + 1] = { "output_text.done", output_index = 0, item_id = "y", text = "12345" }
    events[#events + 1] = done(0, message("z", "12345"))
    events[#events + 1] = completed { message("zz", "12345") }
    check({ text = "12345" }, ask(stream(events)))
  end)
end)

describe("thoughts of Responses", function()
  after_each(bots.collect)

  local function summary(item, index, delta)
    return { "reasoning_summary_text.delta", output_index = item, summary_index = index,
      delta = delta }
  end
  local function begins(item, index)
    return { "reasoning_summary_part.added", output_index = item, summary_index = index,
      part = { type = "summary_text", text = "" } }
  end
  local R1, R2 = thoughts("r1", "One.", "Two."), thoughts("r2", "Three.")
  local both = { encode(R1), encode(R2) }

  run {
    { "come in parts, which are set off", { added(0, thoughts "r1"), begins(0, 0),
      summary(0, 0, "One"), summary(0, 0, "."), begins(0, 1), summary(0, 1, "Two."), done(0, R1),
      added(1, thoughts "r2"), begins(1, 0), summary(1, 0, "Three."), done(1, R2),
      added(2, message "m1"), text(2, "Hi"),
      completed { R1, R2, message("m1", "Hi") } },
      { text = "Hi", reasoning = "One.\n\nTwo.\n\nThree.",
        native = { both[1], both[2], encode(message("m1", "Hi")) } } },
    { "may have no events of parts", { summary(0, 0, "One."), summary(0, 1, "Two."),
      done(1, message("m1", "Hi")), completed() },
      { text = "Hi", reasoning = "One.\n\nTwo." } },
    { "may have no numbers", { { "output_item.added", item = thoughts "r1" },
      { "reasoning_summary_part.added", item_id = "r1" },
      { "reasoning_summary_text.delta", item_id = "r1", delta = "One." },
      { "reasoning_summary_part.added", item_id = "r1" },
      { "reasoning_summary_text.delta", item_id = "r1", delta = "Two." },
      { "output_item.done", item = R1 }, completed() }, { reasoning = "One.\n\nTwo." } },
    { "may come whole at the end of a part", { added(0, thoughts "r1"),
      { "reasoning_summary_text.done", output_index = 0, summary_index = 0, text = "One." },
      { "reasoning_summary_part.done", output_index = 0, summary_index = 0,
        part = { type = "summary_text", text = "One." } },
      { "reasoning_summary_part.done", output_index = 0, summary_index = 1,
        part = { type = "summary_text", text = "Two." } },
      completed() }, { reasoning = "One.\n\nTwo." } },
    { "may come whole with the item", { done(0, R1), completed() },
      { reasoning = "One.\n\nTwo." } },
    { "may come whole at the end", { completed { R1, R2 } },
      { reasoning = "One.\n\nTwo.\n\nThree." } },
    { "may be the thoughts themselves", { added(0, { type = "reasoning", id = "r1" }),
      { "content_part.added", output_index = 0, content_index = 0,
        part = { type = "reasoning_text" } },
      { "reasoning_text.delta", output_index = 0, content_index = 0, delta = "Hm" },
      { "reasoning_text.delta", output_index = 0, content_index = 0, delta = "." },
      added(1, message "m1"), text(1, "Hi"), done(1, message("m1", "Hi")),
      { "reasoning_text.done", output_index = 0, content_index = 0, text = "Hm." },
      { "content_part.done", output_index = 0, content_index = 0,
        part = { type = "reasoning_text", text = "Hm." } },
      done(0, { type = "reasoning", id = "r1", content = array { { type = "reasoning_text",
        text = "Hm." } } }), completed() },
      { text = "Hi", reasoning = "Hm.", native = { encode { type = "reasoning", id = "r1",
        content = array { { type = "reasoning_text", text = "Hm." } } },
        encode(message("m1", "Hi")) } } },
    { "are read once where the summary says the same", { completed { { type = "reasoning",
      summary = array { { type = "summary_text", text = "Hm." } },
      content = array { { type = "reasoning_text", text = "Hm." },
        { type = "reasoning_text", text = "So." } } } } }, { reasoning = "Hm.\n\nSo." } },
  }

  it("are handed out as they come", function()
    local told = {}
    ask(stream { begins(0, 0), summary(0, 0, "One."), begins(0, 1), summary(0, 1, "Two."),
      completed() }, { call = { on_reasoning = function(s) told[#told + 1] = s end } })
    assert.equal("One.\n\nTwo.", table.concat(told))
  end)
end)

describe("items of Responses that interleave", function()
  after_each(bots.collect)

  local function thought(item, delta, part)
    return { "reasoning_summary_text.delta", output_index = item, summary_index = part or 0,
      delta = delta }
  end
  -- Without its number; or its id.
  local function unnumbered(event)
    event.output_index = nil
    return event
  end
  local function nameless(item)
    item.id = nil
    return item
  end
  local A, B = message("m1", "AAA"), message("m2", "BBB")
  local R1, R2 = thoughts("r1", "One."), thoughts("r2", "Two.")
  local function kept(...)
    local out = {}
    for i, item in ipairs { ... } do out[i] = encode(item) end
    return out
  end

  run {
    { "may be whole behind one that came later", { added(0, message "m1"), added(1, message "m2"),
      text(1, "BBB"), done(1, B), done(0, A), completed { A, B } }, { text = "BBBAAA" } },
    { "may be whole in the last event", { added(0, message "m1"), added(1, message "m2"),
      text(1, "BBB"), completed { A, B } }, { text = "BBBAAA" } },
    { "may be known from the last event alone", { text(1, "BBB", { item_id = "m2" }),
      completed { A, B } }, { text = "BBBAAA" } },
    { "may be known from it by number", { text(1, "BB"), text(1, "B"),
      completed { nameless(message("", "AAA")), nameless(message("", "BBB")) } },
      { text = "BBBAAA" } },
    { "may be known from it by id", { unnumbered(text(1, "BBB", { item_id = "m2" })),
      completed { A, B } }, { text = "BBBAAA" } },
    { "may be thoughts that are whole late", { added(0, thoughts "r1"), added(1, message "m2"),
      text(1, "BBB"), done(0, R1), completed { R1, B } },
      { text = "BBB", reasoning = "One.", native = kept(R1, B) } },
    { "may be several thoughts, of which one is whole late", { added(0, thoughts "r1"),
      added(1, thoughts "r2"), thought(1, "Two."), done(0, R1), completed { R1, R2, B } },
      { text = "BBB", reasoning = "Two.\n\nOne.", native = kept(R1, R2, B) } },
    { "may be several thoughts in pieces", { added(0, thoughts "r1"), thought(0, "On"),
      added(1, thoughts "r2"), thought(0, "e."), thought(1, "Two."),
      completed { R1, R2, B } },
      { text = "BBB", reasoning = "One.\n\nTwo.", native = kept(R1, R2, B) } },
    { "may have a part that is whole with the item", { added(0, message "m1"), text(0, "a"),
      added(1, message "m2"), text(1, "c"), done(0, message("m1", "a", "b")),
      completed { message("m1", "a", "b"), message("m2", "c") } }, { text = "acb" } },
    { "may have a part that is whole in the last event", { added(0, message "m1"), text(0, "a"),
      added(1, message "m2"), text(1, "c"),
      completed { message("m1", "a", "b"), message("m2", "c") } }, { text = "acb" } },
    { "may have a part of thoughts that is whole with the item", { thought(0, "One."),
      done(0, thoughts("r1", "One.", "Two.")), added(1, message "m2"), text(1, "BBB"),
      completed { thoughts("r1", "One.", "Two."), B } }, { text = "BBB",
      reasoning = "One.\n\nTwo.", native = kept(thoughts("r1", "One.", "Two."), B) } },
    { "may be named in their last event first", { { "output_text.delta", delta = "AAA" },
      { "output_item.done", item = A }, { "output_text.delta", delta = "BBB" },
      { "output_item.done", item = B }, completed { A, B } }, { text = "AAABBB" } },
    { "may have one id for all", { added(0, message "m"), added(1, message "m"), text(1, "BBB"),
      completed { message("m", "AAA"), message("m", "BBB") } }, { text = "BBBAAA" } },
    { "may have no id but an empty one", { { "output_item.added", item = message "" },
      unnumbered(text(0, "AAA", { item_id = "" })),
      { "output_item.done", item = message("", "AAA") },
      { "output_item.added", item = message "" },
      unnumbered(text(0, "BBB", { item_id = "" })),
      completed { message("", "AAA"), message("", "BBB") } }, { text = "AAABBB" } },
    { "may not all be in the last event", { added(0, thoughts "r1"), thought(0, "One."),
      text(1, "AAA"), text(2, "BBB"), completed { nameless(message("", "AAA")),
      nameless(message("", "BBB")) } }, { text = "AAABBB", reasoning = "One." } },
    { "may have parts without number that end", { { "output_text.delta", delta = "a" },
      { "output_text.done", text = "a" }, { "output_text.delta", delta = "b" },
      { "output_text.done", text = "b" }, completed { message("m1", "a", "b") } },
      { text = "ab" } },
  }

  it("have each of many parts", function()
    local parts, want = {}, {}
    local events = { text(0, "0,", { content_index = 65 }) }
    for i = 1, 70 do parts[i] = i == 66 and "0," or i .. "," end
    for i = 67, 68 do
      events[#events + 1] = { "output_text.done", output_index = 0, content_index = i - 1,
        text = parts[i] }
    end
    events[#events + 1] = completed { message("m1", unpack(parts)) }
    for i = 1, 64 do want[i] = parts[i] end
    want = "0," .. parts[67] .. parts[68] .. table.concat(want) .. parts[69] .. parts[70]
    check({ text = want }, ask(stream(events)))
  end)

  it("come each once, whatever is left out", function()
    local jobs, drawn = {}, {}
    for seed = 1, DRAWN do
      drawn[seed] = outputs.draw(seed)
      local bytes = stream(drawn[seed].events)
      jobs[seed] = job(seed % 3 == 0 and cut(bytes, 97) or { bytes })
    end
    for seed, result in ipairs(batch.run(jobs)) do
      local want, reply = drawn[seed], result.reply
      local about = ("seed %d, named by %s:\n%s"):format(seed, want.naming, stream(want.events))
      assert.is_nil(result.err, about)
      assert.equal(want.text or "", result.text, about)
      for _, name in ipairs { "refusal", "reasoning" } do
        assert.equal(want[name], reply[name], about)
      end
    end
  end)
end)

describe("calls of Responses", function()
  after_each(bots.collect)

  local A, B = call("a", "f", '{"x":1}'), call("b", "g", '{"y":2}')
  local function begun(index, item)
    local head = {}
    for name, value in pairs(item) do head[name] = value end
    head.arguments = ""
    return added(index, head)
  end
  local function arguments(index, delta, more)
    return piece("function_call_arguments", index, delta, more)
  end
  local function all(index, text_of, more)
    local event = { "function_call_arguments.done", output_index = index, arguments = text_of }
    for name, value in pairs(more or {}) do event[name] = value end
    return event
  end
  local NONE = { output_index = null, content_index = null }
  local function of(id)
    return { output_index = null, content_index = null, item_id = "fc_" .. id }
  end
  local want = { status = "tool_calls", calls = { { "call_a", "f", '{"x":1}' },
    { "call_b", "g", '{"y":2}' } } }
  local one = { status = "tool_calls", calls = { want.calls[1] } }

  run {
    { "come in pieces that interleave", { begun(0, A), begun(1, B), arguments(0, '{"x"'),
      arguments(1, '{"y"'), arguments(0, ":1}"), arguments(1, ":2}"), all(1, '{"y":2}'),
      all(0, '{"x":1}'), done(1, B), done(0, A), completed { A, B } }, want },
    { "interleave by id", { { "output_item.added", item = A }, { "output_item.added", item = B },
      arguments(nil, '{"x"', of "a"), arguments(nil, '{"y"', of "b"),
      arguments(nil, ":1}", of "a"), arguments(nil, ":2}", of "b"),
      { "output_item.done", item = A }, { "output_item.done", item = B }, completed() }, want },
    { "interleave by id where all have one number", { begun(0, A), begun(0, B),
      arguments(0, '{"x"', { item_id = "fc_a" }), arguments(0, '{"y"', { item_id = "fc_b" }),
      arguments(0, ":1}", { item_id = "fc_a" }), arguments(0, ":2}", { item_id = "fc_b" }),
      done(0, A), done(0, B), completed { A, B } }, want },
    { "are those that were opened last where nothing says which", {
      { "output_item.added", item = { type = "function_call", call_id = "call_a", name = "f" } },
      arguments(nil, '{"x"', NONE), arguments(nil, ":1}", NONE),
      { "output_item.done", item = { type = "function_call", call_id = "call_a", name = "f",
        arguments = '{"x":1}' } },
      { "output_item.added", item = { type = "function_call", call_id = "call_b", name = "g" } },
      arguments(nil, '{"y":2}', NONE), completed() }, want },
    { "may have all of their arguments at the end of these", { begun(0, A), begun(1, B),
      all(0, '{"x":1}'), all(1, '{"y":2}'), done(0, A), done(1, B), completed { A, B } }, want },
    { "may have them in the item alone", { begun(0, A), done(0, A), begun(1, B), done(1, B),
      completed() }, want },
    { "may be in the last event alone", { completed { A, B } }, want },
    { "may have a name that comes late", { arguments(0, '{"x":1}'), all(0, '{"x":1}',
      { name = "f" }), done(0, A), completed() }, one },
    { "may have no id but that of the item", { completed { { type = "function_call", id = "fc_a",
      name = "f", arguments = '{"x":1}' } } },
      { status = "tool_calls", calls = { { "fc_a", "f", '{"x":1}' } } } },
    { "may have a table of arguments", { completed { { type = "function_call", call_id = "call_a",
      name = "f", arguments = { x = 1 } } } }, one },
    { "are an object where there is none", { completed { call("a", "f", "") } },
      { status = "tool_calls", calls = { { "call_a", "f", "{}" } } } },
    { "stand behind a text", { added(0, message "m1"), text(0, "Look:"),
      done(0, message("m1", "Look:")), begun(1, A), arguments(1, '{"x":1}'), done(1, A),
      completed { message("m1", "Look:"), A } },
      { text = "Look:", status = "tool_calls", calls = { want.calls[1] } } },
    { "are no calls without a name", { completed { { type = "function_call",
      call_id = "c" } } }, {} },
  }

  it("may be of a tool that takes any text", function()
    local item = { type = "custom_tool_call", id = "ctc_1", call_id = "call_1", name = "run",
      input = "print 1" }
    local result = ask(stream { added(0, { type = "custom_tool_call", id = "ctc_1",
      call_id = "call_1", name = "run", input = "" }), piece("custom_tool_call_input", 0, "print "),
      piece("custom_tool_call_input", 0, "1"), { "custom_tool_call_input.done", output_index = 0,
        input = "print 1" }, done(0, item), completed { item } })
    check({ status = "tool_calls", calls = { { "call_1", "run", "print 1" } },
      native = { encode(item) } }, result)
    assert.is_true(result.reply.tool_calls[1].custom)
  end)
end)

describe("a tool of Responses that takes any text", function()
  after_each(bots.collect)

  local item = { type = "custom_tool_call", id = "ctc_1", call_id = "call_1", name = "run",
    input = "print 1" }
  local function script(...)
    return support.raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
      .. stream { ... })
  end

  it("is run with it, and answered in its own way", function()
    local server = support.serve { script(done(0, item), completed { item }),
      script(text(0, "One."), completed()) }
    local given
    local bot = bots.at(server, { api = "responses" })
    local answer = assert(bot:chat("hello", { tools = { { type = "custom", name = "run",
      call = function(args)
        given = args
        return "1"
      end } } }))
    assert.equal("One.", answer)
    assert.same({ input = "print 1" }, given)
    local input = server:requests()[2].json.input
    assert.same(item, input[2])
    assert.same({ type = "custom_tool_call_output", call_id = "call_1", output = "1" }, input[3])
  end)

  it("is one like the others to other models", function()
    local server = support.serve { script(done(0, item), completed { item }),
      script(text(0, "One."), completed()) }
    local bot = bots.at(server, { api = "responses" })
    assert(bot:chat("hello", { tools = { { type = "custom", name = "run" } } }))
    bot:tool_result("call_1", "1")
    bot:set_model("other")
    assert(bot:chat(nil))
    local input = server:requests()[2].json.input
    assert.same({ type = "function_call", call_id = "call_1", name = "run",
      arguments = '{"input":"print 1"}' }, input[2])
    assert.same({ type = "function_call_output", call_id = "call_1", output = "1" }, input[3])
  end)
end)

describe("citations of Responses", function()
  after_each(bots.collect)

  local NOTE = { type = "url_citation", url = "https://a.example/", title = "A", start_index = 0,
    end_index = 2 }
  local FILE = { type = "file_citation", file_id = "file-1", filename = "a.pdf", index = 3 }
  local FILE_SEEN = { type = "file_citation", file_id = "file-1", filename = "a.pdf",
    title = "a.pdf", index = 3 }
  local item = message("m1", "Hi")
  item.content[1].annotations = array { NOTE, FILE }
  local function note(annotation, index)
    return { "output_text.annotation.added", output_index = 0, content_index = 0,
      annotation_index = index, annotation = annotation }
  end
  local want = { text = "Hi", citations = { NOTE, FILE_SEEN }, native = { encode(item) } }

  run {
    { "come one by one", { added(0, message "m1"), text(0, "Hi"), note(NOTE, 0), note(FILE, 1),
      done(0, item), completed { item } }, want },
    { "may stand in the item alone", { text(0, "Hi"), done(0, item), completed { item } }, want },
    { "may stand in the last event alone", { text(0, "Hi"), completed { item } }, want },
    { "may be told in a table of their kind", { text(0, "Hi"), note({ type = "url_citation",
      url_citation = { url = "https://b.example/", title = "B" } }, 0), completed() },
      { text = "Hi", citations = { { type = "url_citation", url = "https://b.example/",
        title = "B" } } } },
    { "are none where there is no source", { text(0, "Hi"), note({ type = "odd" }, 0),
      note({ type = "url_citation", url = 7 }, 1), completed() }, { text = "Hi" } },
  }
end)

describe("images of Responses", function()
  after_each(bots.collect)

  local item = { type = "image_generation_call", id = "ig_1", status = "completed",
    result = "iVBORw0KGg==", output_format = "webp" }
  local want = { images = { { data = "\137PNG\r\n\26", type = "image/webp" } },
    native = { encode(item) } }

  run {
    { "are bytes", { added(0, { type = "image_generation_call", id = "ig_1" }),
      { "image_generation_call.partial_image", output_index = 0, partial_image_b64 = "AAAA" },
      done(0, item), completed { item } }, want },
    { "may come at the end alone", { completed { item } }, want },
    { "are PNG where nothing else is said", { completed { { type = "image_generation_call",
      result = "data:image/png;base64,YWJj" } } }, { images = { { data = "abc",
      type = "image/png" } }, native = { encode { type = "image_generation_call",
      result = "data:image/png;base64,YWJj" } } } },
    { "are none where there are no bytes", { completed { { type = "image_generation_call",
      result = "https://a.example/x.png" } } }, { native = { encode {
      type = "image_generation_call", result = "https://a.example/x.png" } } } },
  }
end)

describe("log probabilities of Responses", function()
  after_each(bots.collect)

  local function token(s) return { token = s, logprob = -0.5 } end
  local item = message("m1", "Hi!")
  item.content[1].logprobs = array { token "Hi", token "!" }
  run {
    { "come with the pieces", { text(0, "Hi", { logprobs = array { token "Hi" } }),
      text(0, "!", { logprobs = array { token "!" } }), done(0, item), completed { item } },
      { text = "Hi!", logprobs = { content = { token "Hi", token "!" } } } },
    { "may come whole", { completed { item } },
      { text = "Hi!", logprobs = { content = { token "Hi", token "!" } } } },
  }
end)

describe("what only its service understands of an answer", function()
  after_each(bots.collect)

  local SEARCH = '{"id":"ws_1","type":"web_search_call","status":"completed","action":'
    .. '{"type":"search","queries":[],"x":1.0,"y":null}}'
  local M = '{"type":"message","id":"m1","role":"assistant", "content":[{"type":"output_text",'
    .. '"text":"Hi","annotations":[],"logprobs":[]}]}'
  local function of(index, item)
    return ('{"type":"response.output_item.done","output_index":%d,"item":%s}'):format(index, item)
  end
  local function final(...)
    return '{"type":"response.completed","response":{"status":"completed","output":['
      .. table.concat({ ... }, " , ") .. "] } }"
  end
  local R = '{"type":"reasoning","id":"r1","summary":[],"encrypted_content":"%s"}'

  run {
    { "is kept byte for byte", { of(0, SEARCH), of(1, M), completed() },
      { text = "Hi", native = { SEARCH, M } } },
    { "is kept as the last event has it", { of(0, R:format "one"), of(1, M),
      final(R:format "two", M) }, { text = "Hi", native = { R:format "two", M } } },
    { "is kept in the order of the server's numbers", { of(1, M), of(0, SEARCH), completed() },
      { text = "Hi", native = { SEARCH, M } } },
    { "is kept in the order of the last list", { { "output_item.done", item = message("m1", "Hi") },
      { "output_item.done", item = { type = "odd", id = "o1" } },
      completed { { type = "odd", id = "o1" }, message("m1", "Hi") } },
      { text = "Hi", native = { encode { type = "odd", id = "o1" },
        encode(message("m1", "Hi")) } } },
    { "may be a phase", { of(0, (M:gsub('"id"', '"phase":"final_answer","id"'))), completed() },
      { text = "Hi", native = { (M:gsub('"id"', '"phase":"final_answer","id"')) } } },
    { "may be more in a call than all know", { completed { { type = "function_call", call_id = "c",
      name = "f", arguments = "{}", namespace = "n" } } },
      { status = "tool_calls", calls = { { "c", "f", "{}" } }, native = { encode {
        type = "function_call", call_id = "c", name = "f", arguments = "{}",
        namespace = "n" } } } },
    { "is not a text, nor a call", { of(0, M), final(M, encode(call("a", "f", "{}"))) },
      { text = "Hi", status = "tool_calls", calls = { { "call_a", "f", "{}" } } } },
    { "is left where an item is missing", { text(0, "Hi"), of(1, SEARCH), completed() },
      { text = "Hi" } },
    { "is left where thoughts have no content", { of(0, '{"type":"reasoning","id":"r1",'
      .. '"summary":[],"encrypted_content":""}'), of(1, M), completed() }, { text = "Hi" } },
    { "is left where thoughts are all", { text(1, "Hi"), of(0, R:format "x"), of(1, M),
      of(2, R:format "y"), completed() }, { text = "Hi" } },
    { "is left where the answer was cut", { of(0, R:format "x"), of(1, M),
      incomplete "max_output_tokens" },
      { text = "Hi", status = "length", finish_reason = "max_output_tokens" } },
    { "has no halves of surrogate pairs", { of(0, SEARCH:gsub("ws_1", "\\ud83d") .. ""), of(1, M),
      completed() }, { text = "Hi", native = { SEARCH:gsub("ws_1", FFFD) .. "", M } } },
    { "has no bytes that are not UTF-8", { of(0, SEARCH:gsub("ws_1", "\255") .. ""), of(1, M),
      completed() }, { text = "Hi", native = { SEARCH:gsub("ws_1", FFFD) .. "", M } } },
    { "is left where it is no JSON", { of(0, SEARCH:gsub("ws_1", "\1") .. ""), of(1, M),
      completed() }, { text = "Hi" } },
    { "is left where two calls have one id", { of(0, SEARCH), completed { { type = "odd" },
      call("a", "f", "{}"), call("a", "f", "{}") } },
      { status = "tool_calls", calls = { { "call_a", "f", "{}" }, { "c00000101", "f", "{}" } } } },
  }

  it("is not looked through for the key", function()
    local bytes = stream { of(0, SEARCH), of(1, M), completed() }
    for _, key in ipairs { "search", "output_text", "ws_1" } do
      check({ text = "Hi", native = { SEARCH, M } }, ask(bytes, { bot = { api_key = key } }))
      check({ text = "Hi", native = { SEARCH, M } }, ask(final(SEARCH, M):match '"response":(.*)}',
        { bot = { api_key = key }, type = "application/json" }))
    end
  end)

  it("says whose it is", function()
    local result = ask(stream { of(0, SEARCH), of(1, M), completed() })
    local native = result.bot:get_messages()[2].native
    assert.equal("responses", native.dialect)
    assert.equal("m", native.model)
    assert.truthy(native.server:find "^http://127.0.0.1:")
  end)
end)

describe("the verdict on an answer of Responses", function()
  after_each(bots.collect)

  local hi = text(0, "Hi")
  run {
    { "is that of the status", { hi, completed() }, { text = "Hi", finish_reason = "completed" } },
    { "is length at the limit", { hi, incomplete "max_output_tokens" },
      { text = "Hi", status = "length", finish_reason = "max_output_tokens" } },
    { "is length with another word for it", { hi, incomplete "max_tokens" },
      { text = "Hi", status = "length", finish_reason = "max_tokens" } },
    { "is length for reasons that nobody knows", { hi, incomplete "odd" },
      { text = "Hi", status = "length", finish_reason = "odd" } },
    { "is length without a reason", { hi, incomplete() },
      { text = "Hi", status = "length", finish_reason = "incomplete" } },
    { "is filtered", { hi, incomplete "content_filter" },
      { text = "Hi", status = "filtered", finish_reason = "content_filter" } },
    { "is length where a server says completed all the same", { hi, completed() },
      { text = "Hi", status = "length", finish_reason = "completed" },
      { call = { max_tokens = 5 } } },
    { "is complete below the limit", { hi, completed() }, { text = "Hi" },
      { call = { max_output_tokens = 6 } } },
    { "is that of the event where there is no response", { hi, { "completed" } }, { text = "Hi" } },
    { "is a failure", { hi, failed { code = "server_error", message = "It broke." } },
      { kind = "api", partial = "Hi", code = "server_error", message = "It broke.",
        retryable = true } },
    { "is a failure that says nothing", { hi, failed() },
      { kind = "api", partial = "Hi", message = "the server reported an error" } },
    { "is a failure by an event", { hi, '{"type":"error","code":"insufficient_quota","message":'
      .. '"No money.","param":null,"sequence_number":3}', failed { message = "again" } },
      { kind = "api", partial = "Hi", code = "insufficient_quota", message = "No money.",
        retryable = false } },
    { "is a failure by an event that has it inside", { hi, '{"type":"error","error":{"type":'
      .. '"invalid_request_error","code":"bad","message":"No.","param":"input"}}' },
      { kind = "api", partial = "Hi", code = "bad", type = "invalid_request_error",
        message = "No.", param = "input" } },
    { "is a failure without a type", { hi, '{"error":{"code":500,"message":"Out.",'
      .. '"type":"server_error"}}' },
      { kind = "api", partial = "Hi", message = "Out.", type = "server_error", retryable = true } },
    { "is truncated without the last event", { hi, done(0, message("m1", "Hi")) },
      { kind = "truncated", partial = "Hi" } },
    { "is truncated where the sentinel comes before it", { hi, done(0, message("m1", "Hi")) },
      { kind = "truncated", partial = "Hi" }, { done = true } },
    { "is a failure where it has an error beside its status", { hi, completed(nil, {
      error = { code = "server_error", message = "gone" } }) }, { kind = "api", partial = "Hi",
      code = "server_error" } },
    { "is not changed by a sentinel behind it", { hi, completed() }, { text = "Hi" },
      { done = true } },
    { "is not changed by what comes behind it", { hi, completed(), text(0, "more"), "{" },
      { text = "Hi" } },
    { "is not that of events that are not known", { { "created", response = { id = "resp_1",
      model = "m-1", status = "in_progress" } }, { "odd.thing", error = "none" }, hi,
      { "mcp_call.failed", output_index = 1 }, completed() },
      { text = "Hi", id = "resp_1", model = "m-1" } },
    { "is a protocol error where an event is no JSON", { hi, "{no" },
      { kind = "protocol", partial = "Hi" } },
  }

  it("tells that an answer was cut where its JSON is not whole", function()
    check({ kind = "protocol", partial = '{"a"', message = "was cut before its JSON" },
      ask(stream { text(0, '{"a"'), incomplete "max_output_tokens" },
        { call = { schema = { type = "object" } } }))
  end)

  it("is a failure by an event of that name", function()
    check({ kind = "api", partial = "Hi", code = "server_error", message = "It broke.",
      retryable = true }, ask(stream { hi } .. 'event: error\ndata: {"type":"error","code":'
      .. '"server_error","message":"It broke.","param":null}\n\n'))
  end)

  it("counts tokens under the usual names", function()
    local usage = ask(stream { hi, completed(nil, { usage = { input_tokens = 20,
      input_tokens_details = { cached_tokens = 16, cache_write_tokens = 3 }, output_tokens = 9,
      output_tokens_details = { reasoning_tokens = 4 }, total_tokens = 29 } }) }).reply.usage
    for name, count in pairs { prompt_tokens = 20, completion_tokens = 9, total_tokens = 29,
      cached_tokens = 16, cache_write_tokens = 3, reasoning_tokens = 4,
      prompt_tokens_details = { cached_tokens = 16, cache_write_tokens = 3 },
      completion_tokens_details = { reasoning_tokens = 4 } } do
      assert.same(count, usage[name], name)
    end
  end)

  it("is tried again where it failed before the first text", function()
    local head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    local server = support.serve({
      support.raw(head .. stream { { "created", response = { id = "a" } },
        failed { code = "server_error", message = "x" } }),
      support.raw(head .. stream { hi, completed() }) }, { strict = false })
    local bot = bots.at(server, { api = "responses", max_retries = 1 })
    local answer, reply = bot:chat "hello"
    assert.equal("Hi", answer, tostring(reply))
    assert.equal(2, #server:requests())
    assert.equal("resp_1", reply.id)
  end)

  it("is the limit where more is kept than may be", function()
    local item = { type = "odd", data = ("x"):rep(3000) }
    local opts = { bot = { max_answer_bytes = 8000 } }
    check({ text = "Hi", native = { encode(item), encode(message("m1", "Hi")) } },
      ask(stream { done(0, item), done(1, message("m1", "Hi")), completed() }, opts))
    check({ kind = "limit" }, ask(stream { done(0, item), done(1, item), done(2, item),
      completed() }, opts))
    local events = {}
    for i = 1, 120 do events[i] = added(i, { type = "odd", id = "o" .. i }) end
    check({ kind = "limit" }, ask(stream(events), opts))
  end)
end)

describe("a whole answer of Responses", function()
  after_each(bots.collect)

  local function whole(response, opts)
    local all = { type = "application/json" }
    for name, value in pairs(opts or {}) do all[name] = value end
    return ask(type(response) == "string" and response or encode(response), all)
  end
  local NOTE = { type = "url_citation", url = "https://a.example/", start_index = 0, end_index = 1 }
  local item = message("m1", " Hi ")
  item.content[1].annotations = array { NOTE }

  it("has all that a stream has", function()
    local output = { thoughts("r1", "One.", "Two."), item, call("a", "f", "{}") }
    local native = {}
    for i, one in ipairs(output) do native[i] = encode(one) end
    local result = whole(completed(output).response)
    check({ text = "Hi", reasoning = "One.\n\nTwo.", status = "tool_calls",
      calls = { { "call_a", "f", "{}" } }, citations = { NOTE }, native = native, id = "resp_1",
      model = "m-1", finish_reason = "completed" }, result)
    assert.equal(12, result.reply.usage.total_tokens)
  end)

  local cases = {
    { "is length at the limit", incomplete("max_output_tokens", { item }).response,
      { text = "Hi", status = "length", citations = { NOTE } } },
    { "may have another word for completed", completed({ message("m1", "Hi") },
      { status = "complete" }).response, { text = "Hi", finish_reason = "complete" } },
    { "may have failed", failed({ code = "rate_limit_exceeded", message = "Later." }).response,
      { kind = "api", code = "rate_limit_exceeded", message = "Later.", retryable = true } },
    { "may be an error", { error = { message = "No.", type = "t" } },
      { kind = "api", message = "No." } },
    { "may be an error in a list", '[{"error":{"message":"No."}}]',
      { kind = "api", message = "No." } },
    { "may wait for its work", { id = "r", status = "queued", output = array {} },
      { kind = "protocol", message = "in the background" } },
    { "may be under way", { id = "r", status = "in_progress" },
      { kind = "protocol", message = "in the background" } },
    { "may be none", { id = "r" }, { kind = "protocol", message = "no output" } },
    { "may be something else", { choices = array {} },
      { kind = "protocol", message = "no output" } },
  }
  for _, case in ipairs(cases) do
    it(case[1], function() check(case[3], whole(case[2])) end)
  end
end)

describe("what an event of Responses should not be", function()
  after_each(bots.collect)

  -- All ways to put something else in the place of one value in `value`.
  local function spoilt(value, visit)
    local function walk(at)
      for key, old in pairs(at) do
        if key ~= "type" and key ~= 1 then
          for _, other in ipairs { 7, "x", true, -1, 1e300, null, array {}, { x = 1 }, array { 7 },
            array { array { array {} } } } do
            at[key] = other
            visit()
          end
          at[key] = old
        end
        if type(old) == "table" then walk(old) end
      end
    end
    walk(value)
  end

  it("is ignored, wherever a value is wrong", function()
    local note = message("m1", "Hi")
    note.content[1].annotations = array { { type = "url_citation", url = "u" } }
    note.content[1].logprobs = array { { token = "Hi" } }
    local events = {
      added(0, call("a", "f", "")), piece("function_call_arguments", 0, "{}"),
      { "function_call_arguments.done", output_index = 0, arguments = "{}", name = "f" },
      done(0, call("a", "f", "{}")), text(0, "Hi"), done(0, note),
      part_added(0, 0),
      { "content_part.done", output_index = 0, content_index = 0, part = { text = "Hi" } },
      { "reasoning_summary_part.added", output_index = 0, summary_index = 0 },
      { "reasoning_summary_part.done", output_index = 0, summary_index = 0, part = { text = "x" } },
      { "reasoning_text.delta", output_index = 0, content_index = 0, delta = "x" },
      { "output_text.annotation.added", output_index = 0, annotation = { type = "t", url = "u" } },
      done(0, { type = "image_generation_call", result = "YWJj", output_format = "png" }),
      done(0, thoughts("r1", "One.")), completed { note, thoughts("r1", "One.") },
    }
    local jobs = {}
    for _, event in ipairs(events) do
      spoilt(event, function()
        jobs[#jobs + 1] = job { stream { event, event, text(3, "Hello"), completed() } }
      end)
    end
    for _, result in ipairs(batch.run(jobs)) do
      assert.truthy(result.answer or result.err.kind == "api", tostring(result.err))
    end
    assert.truthy(#jobs > 500, #jobs)
  end)
end)
