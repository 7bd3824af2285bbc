-- The conversation: what is kept, what is sent of it, and what a failure leaves.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local collect, bot_at = bots.collect, bots.at

local unpack = table.unpack or unpack
local sse, whole = support.sse, support.json_completion

local function user(text) return { role = "user", content = text } end
local function assistant(text) return { role = "assistant", content = text } end
local function system(text) return { role = "system", content = text } end

-- One answer for each text, the last one again and again.
local function answering(...)
  local scripts = {}
  for i, text in ipairs { ... } do scripts[i] = sse { text } end
  return support.serve(scripts)
end

local function sent(server, n)
  local requests = server:requests()
  return requests[n or #requests].json
end

describe("the history", function()
  after_each(collect)

  it("holds each prompt and each answer in order", function()
    local server = answering("one", "two")
    local bot = bot_at(server)
    assert.equal("one", bot:chat("first"))
    assert.equal("two", bot:chat("second"))
    local expected = { user "first", assistant "one", user "second", assistant "two" }
    assert.same(expected, bot:get_messages())
    assert.same({ user "first", assistant "one", user "second" }, sent(server).messages)
  end)

  it("is the same live array every time", function()
    local server = answering("one", "two")
    local bot = bot_at(server, { system = "s" })
    local messages = bot:get_messages()
    bot:chat("a")
    assert.equal(messages, bot:get_messages())
    assert.equal(3, #messages)
    messages[2].content = "changed"
    table.insert(messages, user "more")
    table.insert(messages, assistant "yes")
    bot:chat("b")
    assert.same({ system "s", user "changed", assistant "one", user "more", assistant "yes",
      user "b" }, sent(server).messages)
    assert.equal("two", messages[7].content)
  end)

  it("has the prompt in it as soon as the request is under way", function()
    local bot = bot_at(support.serve { { { stall = true } } })
    local reply = bot:stream("hello")
    assert.same({ user "hello" }, bot:get_messages())
    reply:close()
  end)

  it("sends further fields of a message as they are", function()
    local server = answering("one")
    local bot = bot_at(server)
    local messages = bot:get_messages()
    messages[1] = { role = "user", name = "eve", content = "x" }
    messages[2] = { role = "assistant", tool_calls = { { id = "1", type = "function",
      ["function"] = { name = "f", arguments = "{}" } } } }
    messages[3] = { role = "tool", tool_call_id = "1", content = "42" }
    assert.equal("one", bot:chat())
    local got = sent(server).messages
    assert.equal("eve", got[1].name)
    assert.equal("f", got[2].tool_calls[1]["function"].name)
    assert.equal("1", got[3].tool_call_id)
    assert.equal(4, #bot:get_messages())
  end)

  it("that holds what is no message is a failure, and stays as it is", function()
    local server = answering("one")
    local bot = bot_at(server)
    bot:get_messages()[1] = "hello"
    local answer, err = bot:chat("x")
    assert.is_nil(answer)
    assert.equal("config", err.kind)
    assert.same({ "hello" }, bot:get_messages())
    assert.equal(0, #server:requests())
  end)
end)

describe("a prompt", function()
  after_each(collect)

  local blanks = { " ", "\t", "\r\n", "\v", "\f", "\194\160", "\194\133", "\225\154\128",
    "\226\128\131", "\226\128\168", "\226\128\175", "\226\129\159", "\227\128\128" }

  it("is stripped at both ends, of the white space of every script", function()
    local server = answering("ok")
    local bot = bot_at(server)
    local around = table.concat(blanks)
    assert(bot:chat(around .. "賢い\227\128\128 AI" .. around))
    assert.equal("賢い\227\128\128 AI", sent(server).messages[1].content)
    assert.equal("賢い\227\128\128 AI", bot:get_messages()[1].content)
  end)

  for _, empty in ipairs { "", " \n\t ", table.concat(blanks) } do
    it(("that is empty (%d bytes) is a failure"):format(#empty), function()
      local server = answering("ok")
      local bot = bot_at(server, { messages = { user "old" } })
      local answer, err = bot:chat(empty)
      assert.is_nil(answer)
      assert.equal("config", err.kind)
      assert.truthy(err.message:find("empty", 1, true))
      assert.equal("openai", err.provider)
      assert.equal("m", err.model)
      assert.same({ user "old" }, bot:get_messages())
      assert.equal(0, #server:requests())
    end)
  end

  it("that is not UTF-8 is a failure that names the byte, before any request", function()
    local server = answering("ok")
    local bot = bot_at(server, { messages = { user "old" } })
    for _, bad in ipairs { "caf\233 ", "a\255b", "\237\160\128", "\192\175" } do
      local answer, err = bot:chat(bad)
      assert.is_nil(answer)
      assert.equal("config", err.kind)
      assert.truthy(err.message:find("UTF-8", 1, true))
      assert.truthy(err.message:find(("0x%02X"):format(bad:match("[\128-\255]"):byte()), 1,
        true), err.message)
      assert.same({ user "old" }, bot:get_messages())
    end
    assert.equal(0, #server:requests())
  end)

  it("that is not UTF-8 is repaired when that is asked for", function()
    local server = answering("ok")
    assert.equal("ok", bot_at(server, { replace_invalid_utf8 = true }):chat("a\255b"))
    assert.equal("a\239\191\189b", sent(server).messages[1].content)
  end)

  it("may be any text: quotes, controls, NUL, beyond the BMP", function()
    local server = answering("ok")
    local text = "\"q\" \\ / \0 \1 \127 \n <&> \226\128\168 \240\159\153\130 é"
    assert(bot_at(server):chat(text))
    assert.equal(text, sent(server).messages[1].content)
  end)

  it("may be a number", function()
    local server = answering("ok")
    assert(bot_at(server):chat(42))
    assert.equal("42", sent(server).messages[1].content)
  end)

  it("may be a list of parts, which is sent as it is", function()
    local server = answering("ok")
    local parts = {
      { type = "text", text = " What is this? " },
      { type = "image_url", image_url = { url = "data:image/png;base64,AAAA" } },
    }
    local bot = bot_at(server)
    assert.equal("ok", bot:chat(parts))
    assert.same(parts, sent(server).messages[1].content)
    assert.same(parts, bot:get_messages()[1].content)
  end)

  it("that is an empty list is a failure", function()
    local server = answering("ok")
    local answer, err = bot_at(server):chat {}
    assert.is_nil(answer)
    assert.equal("config", err.kind)
    assert.equal(0, #server:requests())
  end)

  it("that is nil sends the conversation as it is", function()
    local server = answering("ok", "again")
    local bot = bot_at(server, { messages = { system "s", user "a" } })
    assert.equal("ok", bot:chat())
    assert.same({ system "s", user "a" }, sent(server).messages)
    assert.equal("again", bot:chat(nil))
    assert.same({ system "s", user "a", assistant "ok", assistant "again" },
      bot:get_messages())
  end)

  it("replaces a user message that has had no answer", function()
    local server = answering("ok")
    local bot = bot_at(server, { messages = { user "a", assistant "b", user "unanswered" } })
    assert(bot:chat("better"))
    assert.same({ user "a", assistant "b", user "better" }, sent(server).messages)
    assert.same({ user "a", assistant "b", user "better", assistant "ok" },
      bot:get_messages())
  end)
end)

describe("an answer", function()
  after_each(collect)

  local text = " \n\227\128\128 yes, \227\128\128 no \t\227\128\128\n"

  it("that comes whole is stripped", function()
    for _, stream in ipairs { false, true } do
      local bot = bot_at(support.serve { whole(text) }, { stream = stream })
      local answer, reply = bot:chat("x")
      assert.equal("yes, \227\128\128 no", answer)
      assert.equal(answer, reply.text)
      assert.equal(answer, reply.message.content)
      assert.equal(answer, bot:get_messages()[2].content)
    end
  end)

  it("that streams is left as it is", function()
    local bot = bot_at(answering(text))
    assert.equal(text, (bot:chat("x")))
    assert.equal(text, bot:get_messages()[2].content)
  end)

  it("without a word is an empty string, and an empty message", function()
    local bot = bot_at(support.serve { sse {} })
    local answer, reply = bot:chat("x")
    assert.equal("", answer)
    assert.equal("complete", reply.status)
    assert.same({ user "x", assistant "" }, bot:get_messages())
  end)
end)

-- Each kind of failure that a server of ours can cause: the script or the
-- listener's options, options of the bot, and what of the text is in `partial`.
local failures = {
  { kind = "http", script = support.http(500, {}, { error = { message = "no" } }) },
  { kind = "http", script = support.http(401, {}, { error = { message = "who?" } }) },
  { kind = "redirect", script = support.http(307, { Location = "http://127.0.0.1:1/" }, "") },
  { kind = "api", script = sse({ "part", { raw = 'data: {"error":{"message":"dead"}}\n\n' } }),
    partial = "part" },
  { kind = "api", script = support.http(200, {}, { error = { message = "no" } }) },
  { kind = "protocol", script = support.http(200, { ["Content-Type"] = "text/html" },
    "<html>hello</html>") },
  { kind = "protocol", script = sse({ "part", { raw = "data: {oops\n\n" } }),
    partial = "part" },
  { kind = "truncated", script = { sse({ "part" }, { finish_reason = false, done = false }),
    { close = true } }, partial = "part" },
  { kind = "truncated", script = support.http(204, {}, "") },
  { kind = "reset", script = { sse({ "part", { step = { sleep = 0.1 } } },
    { finish_reason = false, done = false, cut = true }), { reset = true } },
    partial = "part", also = "truncated" },
  { kind = "timeout", phase = "first_byte", script = { { stall = true } },
    opts = { first_byte_timeout = 0.1 } },
  { kind = "timeout", phase = "idle", opts = { idle_timeout = 0.1 }, partial = "part",
    script = { sse({ "part" }, { finish_reason = false, done = false, cut = true }),
      { stall = true } } },
  { kind = "timeout", phase = "total", opts = { timeout = 0.1 }, partial = "part",
    script = { sse({ "part" }, { finish_reason = false, done = false, cut = true }),
      { stall = true } } },
  { kind = "timeout", phase = "connect", listen = { accept = "full" },
    opts = { connect_timeout = 0.1 } },
  { kind = "limit", script = sse { "part", ("x"):rep(5000) }, partial = "part",
    opts = { max_event_bytes = 2000 } },
  { kind = "limit", script = sse { "part", ("x"):rep(5000) }, partial = "part",
    opts = { max_answer_bytes = 2000 } },
  { kind = "connect", url = "http://127.0.0.1:" },
  { kind = "tls", listen = { tls = "self-signed" } },
  { kind = "config", opts = { headers = { ["X-A"] = "b\nc" } } },
  { kind = "config", opts = { api_key = "sk-\1" } },
  { kind = "config", opts = { api_key = function() error("no key today") end } },
  { kind = "config", opts = { base_url = "ftp://127.0.0.1/v1" } },
  { kind = "config", opts = { base_url = "http://192.0.2.1/v1", api_key = "sk-0123" } },
}

local function failing_bot(case, opts)
  local server = support.serve({ case.script or sse { "ok" } }, case.listen)
  local all = {}
  for name, value in pairs(opts or {}) do all[name] = value end
  for name, value in pairs(case.opts or {}) do all[name] = value end
  if case.url then
    all.base_url = case.url .. support.dead_port() .. "/v1"
  end
  return bot_at(server, all)
end

local function check_failure(case, answer, err)
  assert.is_nil(answer)
  assert.equal("table", type(err), tostring(err))
  assert.is_true(err.kind == case.kind or err.kind == case.also, tostring(err))
  assert.equal(case.phase, err.phase)
  assert.equal(case.partial, err.partial)
  assert.equal("openai", err.provider)
  assert.equal("m", err.model)
  assert.equal("string", type(err.message))
  assert.equal("boolean", type(err.retryable))
end

describe("a failure", function()
  after_each(collect)

  for i, case in ipairs(failures) do
    local name = ("no. %d (%s%s)"):format(i, case.kind, case.phase and " " .. case.phase or "")

    it(name .. " leaves the conversation as it was", function()
      local bot = failing_bot(case, { messages = { system "s", user "a", assistant "b" } })
      local messages = bot:get_messages()
      local before = { messages[1], messages[2], messages[3] }
      check_failure(case, bot:chat("c"))
      assert.equal(3, #messages)
      for k = 1, 3 do assert.equal(before[k], messages[k]) end
    end)

    it(name .. " brings back the user message that the prompt replaced", function()
      local bot = failing_bot(case, { messages = { user "a", assistant "b", user "c" } })
      local old = bot:get_messages()[3]
      check_failure(case, bot:chat("d"))
      assert.same({ user "a", assistant "b", user "c" }, bot:get_messages())
      assert.equal(old, bot:get_messages()[3])
    end)

    it(name .. " keeps what has arrived, if that is asked for", function()
      local bot = failing_bot(case, { messages = { system "s" }, keep_partial = true })
      check_failure(case, bot:chat("a"))
      local expected = { system "s" }
      if case.partial then
        expected = { system "s", user "a", assistant(case.partial) }
      end
      assert.same(expected, bot:get_messages())
    end)
  end

  it("removes its own message, whatever was done to the array meanwhile", function()
    local bot = bot_at(support.serve { { { stall = true } } }, { messages = { user "a",
      assistant "b" } })
    local reply = bot:stream("c")
    local messages = bot:get_messages()
    table.insert(messages, 1, system "s")
    table.insert(messages, assistant "put here by hand")
    reply:close()
    assert.same({ system "s", user "a", assistant "b", assistant "put here by hand" },
      messages)
  end)
end)

describe("a cancelled reply", function()
  after_each(collect)

  local function part_way(opts)
    local server = support.serve { { sse({ "par", "tial" }, { finish_reason = false,
      done = false, cut = true }), { stall = true } } }
    local bot = bot_at(server, opts)
    local reply = bot:stream("c")
    support.deadline(5, function()
      reply:poll()
      return reply.text == "partial"
    end)
    return bot, reply
  end

  it("leaves the conversation as it was", function()
    local bot, reply = part_way { messages = { user "a", assistant "b", user "old" } }
    reply:close()
    assert.same({ user "a", assistant "b", user "old" }, bot:get_messages())
    local answer, err = reply:result()
    assert.is_nil(answer)
    assert.equal("cancelled", err.kind)
    assert.equal("partial", err.partial)
    assert.equal("openai", err.provider)
    assert.equal("m", err.model)
  end)

  it("is kept as an assistant message, if that is asked for", function()
    local bot, reply = part_way { keep_partial = true }
    reply:close()
    assert.same({ user "c", assistant "partial" }, bot:get_messages())
    assert.equal("partial", select(2, reply:result()).partial)
  end)

  it("leaves the conversation as it was also when it is only dropped", function()
    local bot = part_way { messages = { user "a", assistant "b", user "old" } }
    collectgarbage()
    collectgarbage()
    assert.same({ user "a", assistant "b", user "old" }, bot:get_messages())
  end)
end)

describe("messages at construction", function()
  after_each(collect)

  it("are copied, from a slice of another bot's conversation too", function()
    local first = bot_at(answering("one", "two", "three"), { system = "s" })
    first:chat("a")
    first:chat("b")
    local server = answering("ok")
    local second = bot_at(server, { messages = { unpack(first:get_messages(), 4) } })
    assert.same({ user "b", assistant "two" }, second:get_messages())
    second:get_messages()[1].content = "changed"
    assert(second:chat("c"))
    assert.same({ user "changed", assistant "two", user "c" }, sent(server).messages)
    assert.same({ system "s", user "a", assistant "one", user "b", assistant "two" },
      first:get_messages())
  end)

  it("may be another bot's whole array", function()
    local first = bot_at(answering("one"))
    first:chat("a")
    local second = bot_at(answering("two"), { messages = first:get_messages() })
    second:chat("b")
    assert.equal(2, #first:get_messages())
    assert.equal(4, #second:get_messages())
  end)

  it("may end with a user message, which the next prompt replaces", function()
    local server = answering("ok")
    bot_at(server, { messages = { user "a" } }):chat("b")
    assert.same({ user "b" }, sent(server).messages)
  end)
end)

describe("system", function()
  after_each(collect)

  it("comes first in every request", function()
    local server = answering("one", "two")
    local bot = bot_at(server, { system = "あなたは賢いAIです。" })
    assert.same({ system "あなたは賢いAIです。" }, bot:get_messages())
    bot:chat("a")
    bot:chat("b")
    assert.same(system "あなたは賢いAIです。", sent(server, 1).messages[1])
    assert.same(system "あなたは賢いAIです。", sent(server, 2).messages[1])
  end)

  it("goes before messages, and replaces a system message there", function()
    local bot = bot_at("http://127.0.0.1:1/v1", { system = "new", messages = { user "a" } })
    assert.same({ system "new", user "a" }, bot:get_messages())
    bot = bot_at("http://127.0.0.1:1/v1", { system = "new", messages = { system "old",
      user "a" } })
    assert.same({ system "new", user "a" }, bot:get_messages())
  end)
end)

describe("reset and set_messages", function()
  after_each(collect)

  it("keep the array and give back the bot", function()
    local bot = bot_at(answering("one"), { system = "s" })
    local messages = bot:get_messages()
    bot:chat("a")
    assert.equal(bot, bot:reset())
    assert.equal(messages, bot:get_messages())
    assert.same({ system "s" }, messages)
    local list = { user "x", assistant "y" }
    assert.equal(bot, bot:set_messages(list))
    assert.equal(messages, bot:get_messages())
    assert.same(list, messages)
    list[1].content = "changed"
    assert.equal("x", messages[1].content)
  end)

  it("take the bot's own array and slices of it", function()
    local bot = bot_at("http://127.0.0.1:1/v1", { messages = { system "s", user "a",
      assistant "b", user "c", assistant "d" } })
    local messages = bot:get_messages()
    bot:set_messages(messages)
    assert.equal(5, #messages)
    bot:set_messages { messages[1], unpack(messages, 4) }
    assert.same({ system "s", user "c", assistant "d" }, messages)
    bot:set_messages {}
    assert.same({}, messages)
  end)

  it("raise for what is no conversation, and change nothing", function()
    local bot = bot_at("http://127.0.0.1:1/v1", { messages = { user "a" } })
    for _, bad in ipairs { { "x" }, { { content = "no role" } }, { user "x", 5 },
      { { role = 1 } } } do
      assert.is_false(pcall(bot.set_messages, bot, bad))
    end
    assert.is_false(pcall(bot.set_messages, bot))
    assert.is_false(pcall(bot.set_messages, bot, "hello"))
    assert.same({ user "a" }, bot:get_messages())
  end)

  it("keep several system messages at the start", function()
    local bot = bot_at("http://127.0.0.1:1/v1", { messages = { system "s",
      { role = "developer", content = "d" }, user "a", assistant "b", system "later" } })
    bot:reset()
    assert.same({ system "s", { role = "developer", content = "d" } }, bot:get_messages())
  end)
end)

describe("a busy bot", function()
  after_each(collect)

  local function check_busy(answer, err, extra)
    assert.is_nil(answer)
    assert.equal("busy", err.kind)
    assert.equal("openai", err.provider)
    assert.equal("m", err.model)
    assert.is_false(err.retryable)
    assert.is_nil(extra)
  end

  it("refuses everything that would touch the conversation", function()
    local server = support.serve { { { stall = true } }, sse { "ok" } }
    local bot = bot_at(server)
    local reply = bot:stream("a")
    local messages = bot:get_messages()
    server:wait(1, 5, "request", chatbot.poll)
    check_busy(bot:chat("b"))
    check_busy(bot:stream("b"))
    check_busy(bot:chat())
    check_busy(bot:reset())
    check_busy(bot:set_messages { user "x" })
    assert.same({ user "a" }, messages)
    assert.equal("streaming", reply.status)
    reply:close()
    assert.same({}, messages)
    assert.equal("ok", (bot:chat("b")))
    assert.equal(2, #server:requests())
  end)

  it("is free again after an answer, a failure, a close", function()
    local server = support.serve { sse { "one" }, support.http(500, {}, "no"),
      { { stall = true } }, sse { "two" } }
    local bot = bot_at(server)
    assert.equal("one", (bot:chat("a")))
    assert.equal("http", select(2, bot:chat("b")).kind)
    local reply = bot:stream("c")
    server:wait(3, 5, "request", chatbot.poll)
    reply:close()
    assert.equal("two", (bot:chat("d")))
    assert.same({ user "a", assistant "one", user "d", assistant "two" }, bot:get_messages())
  end)

  it("is free again when the reply was dropped and collected", function()
    local server = support.serve { { { stall = true } }, sse { "ok" } }
    local bot = bot_at(server)
    local function start_and_drop()
      local reply = bot:stream("a")
      server:wait(1, 5, "request", chatbot.poll)
      assert.equal("streaming", reply.status)
    end
    start_and_drop()
    collectgarbage()
    collectgarbage()
    assert.same({}, bot:get_messages())
    assert.equal("ok", (bot:chat("b")))
    assert.same({ user "b", assistant "ok" }, bot:get_messages())
  end)

  it("is one that chats in a coroutine", function()
    local bot = bot_at(support.serve { { { stall = true } } })
    local first = coroutine.create(function() return bot:chat("a") end)
    assert.same({ true, "" }, { coroutine.resume(first) })
    local second = coroutine.create(function() return bot:chat("b") end)
    local _, answer, err = coroutine.resume(second)
    check_busy(answer, err)
    assert.equal("dead", coroutine.status(second))
  end)

  it("does not hinder another bot", function()
    local server = support.serve { { { stall = true } }, sse { "ok" } }
    local reply = bot_at(server):stream("a")
    server:wait(1, 5, "request", chatbot.poll)
    assert.equal("ok", (bot_at(server):chat("b")))
    reply:close()
  end)
end)

describe("max_context_tokens", function()
  after_each(collect)

  -- Messages of 84 bytes: each is counted like the next.
  local function text(c) return c:rep(84) end

  local function exchanges(n)
    local list = {}
    for i = 1, n do
      local c = string.char(96 + i)
      list[#list + 1] = user(text(c))
      list[#list + 1] = assistant(text(c:upper()))
    end
    return list
  end

  -- The conversation after one more exchange for which this usage is reported.
  local function after(messages, total, max, opts)
    local server = support.serve { sse({ text("Z") }, { usage = { prompt_tokens = total - 10,
      completion_tokens = 10, total_tokens = total } }) }
    local all = { messages = messages, max_context_tokens = max }
    for name, value in pairs(opts or {}) do all[name] = value end
    local bot = bot_at(server, all)
    local answer, reply = bot:chat(text("z"))
    assert.equal(text("Z"), answer)
    assert.equal(total, reply.usage.total_tokens)
    local kept = {}
    for _, message in ipairs(bot:get_messages()) do
      kept[#kept + 1] = message.role:sub(1, 1) .. message.content:sub(1, 1)
    end
    return table.concat(kept, " "), server
  end

  it("leaves a conversation that fits", function()
    assert.equal("ua aA ub aB uz aZ", (after(exchanges(2), 600, 601)))
    assert.equal("ua aA ub aB uz aZ", (after(exchanges(2), 600, 600)))
  end)

  it("drops the oldest exchanges until it would fit", function()
    assert.equal("ub aB uc aC uz aZ", (after(exchanges(3), 800, 799)))
    assert.equal("ub aB uc aC uz aZ", (after(exchanges(3), 800, 600)))
    assert.equal("uc aC uz aZ", (after(exchanges(3), 800, 599)))
  end)

  it("keeps the last exchange, however long it is", function()
    assert.equal("uz aZ", (after(exchanges(3), 800, 1)))
    assert.equal("uz aZ", (after({}, 800, 1)))
  end)

  it("never drops the system message", function()
    local messages = exchanges(2)
    table.insert(messages, 1, { role = "developer", content = text("d") })
    assert.equal("ss dd uz aZ", (after(messages, 800, 10, { system = text("s"),
      messages = (function()
        table.insert(messages, 1, system(text("s")))
        return messages
      end)() })))
  end)

  it("drops what belongs to an exchange with it", function()
    local messages = {
      user(text("a")), { role = "assistant", content = text("A"), tool_calls = { {
        id = "1", type = "function", ["function"] = { name = "f", arguments = "{}" } } } },
      { role = "tool", content = text("t"), tool_call_id = "1" }, assistant(text("B")),
      user(text("c")), assistant(text("C")),
    }
    assert.equal("uc aC uz aZ", (after(messages, 800, 790)))
  end)

  it("sends the whole conversation once more, and the shorter one from then on", function()
    local kept, server = after(exchanges(3), 800, 600)
    assert.equal("ub aB uc aC uz aZ", kept)
    assert.equal(7, #sent(server).messages)
  end)

  it("does nothing when the server reports no usage", function()
    local bot = bot_at(answering("x"), { messages = exchanges(3), max_context_tokens = 1 })
    bot:chat("y")
    assert.equal(8, #bot:get_messages())
  end)
end)

describe("the body", function()
  after_each(collect)

  -- Options of the bot, options of the call, and fields of the body; `none`
  -- stands for one that is not sent.
  local none = {}
  local cases = {
    { "temperature is 0", {}, {}, { temperature = 0 } },
    { "temperature as the bot has it", { temperature = 0.7 }, {}, { temperature = 0.7 } },
    { "temperature left out", { temperature = false }, {}, { temperature = none } },
    { "temperature per call", { temperature = 0.7 }, { temperature = 1.5 },
      { temperature = 1.5 } },
    { "temperature 0 per call", { temperature = 0.7 }, { temperature = 0 },
      { temperature = 0 } },
    { "temperature per call, else left out", { temperature = false }, { temperature = 1 },
      { temperature = 1 } },
    { "temperature left out per call", { temperature = 0.7 }, { temperature = false },
      { temperature = none } },
    { "a stream with usage", {}, {}, { stream = true,
      stream_options = { include_usage = true } } },
    { "no stream, and nothing about it", { stream = false }, {}, { stream = false,
      stream_options = none } },
    { "a stream per call", { stream = false }, { stream = true }, { stream = true,
      stream_options = { include_usage = true } } },
    { "no stream per call", {}, { stream = false }, { stream = false,
      stream_options = none } },
    { "stream_options per call", {}, { stream_options = { include_usage = false } },
      { stream_options = { include_usage = false } } },
    { "other fields as they are", {}, { max_tokens = 5, top_p = 0.25, seed = 12345678901234,
      stop = { "a", "b" }, logprobs = true, top_logprobs = 3, user = "me",
      response_format = { type = "json_object" }, ["enable_thinking"] = false },
      { max_tokens = 5, top_p = 0.25, seed = 12345678901234, stop = { "a", "b" },
        logprobs = true, top_logprobs = 3, user = "me",
        response_format = { type = "json_object" }, enable_thinking = false } },
    { "no option of the module", { headers = { ["X-A"] = "b" }, keep_partial = true,
      max_context_tokens = 9000, verbose = 0 }, { timeout = 5, idle_timeout = 5,
      headers = { ["X-C"] = "d" }, on_text = function() end, max_retries = 1 },
      { timeout = none, idle_timeout = none, headers = none, on_text = none,
        max_retries = none, keep_partial = none, max_context_tokens = none,
        verbose = none, wait = none } },
    { "the model", { model = "some/model-1" }, {}, { model = "some/model-1" } },
    -- OpenAI's reasoning models refuse temperature and max_tokens
    { "no temperature for o3", { model = "o3" }, {}, { temperature = none } },
    { "no temperature for gpt-5", { model = "gpt-5-mini", temperature = 0.5 }, {},
      { temperature = none } },
    { "temperature for gpt-4.1", { model = "gpt-4.1" }, { max_tokens = 7 },
      { temperature = 0, max_tokens = 7, max_completion_tokens = none } },
    { "temperature for gpt-5 when the call says so", { model = "gpt-5" },
      { temperature = 1 }, { temperature = 1 } },
    { "max_tokens renamed for o3", { model = "o3-mini" }, { max_tokens = 7 },
      { max_completion_tokens = 7, max_tokens = none } },
    { "max_tokens renamed for gpt-5", { model = "gpt-5" }, { max_tokens = 7 },
      { max_completion_tokens = 7, max_tokens = none } },
    { "max_completion_tokens as it is for o3", { model = "o3" },
      { max_completion_tokens = 7 }, { max_completion_tokens = 7, max_tokens = none } },
    { "max_completion_tokens renamed for mistral", { provider = "mistral" },
      { max_completion_tokens = 7 }, { max_completion_tokens = none, max_tokens = 7 } },
    { "no stream_options for mistral", { provider = "mistral" }, {},
      { stream = true, stream_options = none } },
    { "o3 of another provider is no reasoning model of OpenAI", { provider = "groq",
      model = "o3" }, { max_tokens = 7 }, { temperature = 0, max_tokens = 7 } },
  }

  for _, case in ipairs(cases) do
    it("has " .. case[1], function()
      local server = support.serve { sse { "ok" }, sse { "ok" } }
      local opts = { api_key = "sk-0123456789" }
      for name, value in pairs(case[2]) do opts[name] = value end
      local bot = bot_at(server, opts)
      assert(bot:chat("x", case[3]))
      local body = sent(server, 1)
      for name, value in pairs(case[4]) do
        if value == none then value = nil end
        assert.same(value, body[name], name)
      end
      assert.same({ user "x" }, body.messages)
      -- what a call says is for that call alone
      assert(bot:chat("y"))
      local names = { model = true, messages = true, stream = true, stream_options = true,
        temperature = true }
      for name in pairs(sent(server, 2)) do assert.is_true(names[name], name) end
    end)
  end

  it("keeps whole numbers whole and all their digits", function()
    local server = answering("ok")
    assert(bot_at(server):chat("x", { seed = 9007199254740991, top_k = 40, n = 1,
      top_p = 0.1 }))
    local body = server:requests()[1].body
    for _, part in ipairs { '"seed":9007199254740991', '"top_k":40', '"n":1', '"top_p":0.1' } do
      assert.truthy(body:find(part, 1, true), body)
    end
    assert.truthy(body:find('"temperature":0[,}]'), body)
  end)

  it("writes an empty array as one", function()
    local server = answering("ok")
    assert(bot_at(server):chat("x", { tools = chatbot.array {}, metadata = {} }))
    local body = server:requests()[1].body
    assert.truthy(body:find('"tools":[]', 1, true), body)
    assert.truthy(body:find('"metadata":{}', 1, true), body)
  end)

  it("that cannot be written is a failure, and nothing has changed", function()
    local server = answering("ok")
    local bot = bot_at(server)
    local loop = {}
    loop.loop = loop
    for name, value in pairs { a = print, b = coroutine.create(function() end), c = loop, d = 0 / 0,
      e = "\255" } do
      local answer, err = bot:chat("x", { [name] = value })
      assert.is_nil(answer)
      assert.equal("config", err.kind, name)
      assert.truthy(err.message:find("'" .. name .. "'", 1, true), err.message)
    end
    assert.same({}, bot:get_messages())
    assert.equal(0, #server:requests())
  end)

  it("that would be too large is a failure, and nothing has changed", function()
    local server = answering("ok")
    local bot = bot_at(server, { max_request_bytes = 1000 })
    local answer, err = bot:chat(("x"):rep(2000))
    assert.is_nil(answer)
    assert.equal("limit", err.kind)
    assert.same({}, bot:get_messages())
    assert.equal(0, #server:requests())
  end)
end)
