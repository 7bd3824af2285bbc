-- What is sent for a conversation: always what the strictest service takes, whatever became
-- of its calls. The scripted server refuses anything else, see spec/support/strict.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local collect, bot_at = bots.collect, bots.at

local sse = support.sse

local function call(id, arguments, name)
  return { id = id, type = "function",
    ["function"] = { name = name or "look", arguments = arguments or "{}" } }
end

local function says(text) return { role = "assistant", content = text } end
local function user(text) return { role = "user", content = text } end
local function result(id, text) return { role = "tool", tool_call_id = id, content = text } end
local function calls(...) return { role = "assistant", tool_calls = { ... } } end

-- What is sent for these messages and the prompt "on". `opts` of the bot, `strict` of the
-- server.
local function sent(messages, opts, strict)
  local server = support.serve({ sse { "ok" } }, { strict = strict })
  local all = { messages = messages }
  for name, value in pairs(opts or {}) do all[name] = value end
  local bot = bot_at(server, all)
  assert.equal("ok", bot:chat("on"))
  return server:requests()[1].json.messages, bot
end

-- Roles, ids and texts of a list, in short.
local function short(list)
  local out = {}
  for i, message in ipairs(list) do
    local what = message.role:sub(1, 1)
    for _, one in ipairs(message.tool_calls or {}) do what = what .. " " .. one.id end
    if message.tool_call_id then what = what .. " " .. message.tool_call_id end
    if type(message.content) == "string" and message.content ~= "" then
      what = what .. " '" .. message.content .. "'"
    end
    out[i] = what
  end
  return table.concat(out, ", ")
end

local NOT_RUN = "error: the call was not run"
local CUT = "error: the call was cut before it was complete, and was not run"

describe("what is sent of tool calls", function()
  after_each(collect)

  local cases = {
    { "a call without a result gets one", { user "a", calls(call "1") },
      ("u 'a', a 1, t 1 '%s', u 'on'"):format(NOT_RUN) },
    { "a call that was cut says so", { user "a", calls(call("1", '{"path": "ind')) },
      ("u 'a', a 1, t 1 '%s', u 'on'"):format(CUT) },
    { "results stand behind their calls, in their order",
      { user "a", calls(call "1", call "2"), result("2", "two"), user "b", result("1", "one"),
        says "c" }, "u 'a', a 1 2, t 1 'one', t 2 'two', u 'b', a 'c', u 'on'" },
    { "one result is enough", { user "a", calls(call "1"), result("1", "one"),
      result("1", "another"), says "b" }, "u 'a', a 1, t 1 'one', a 'b', u 'on'" },
    { "a result without a call goes", { user "a", result("9", "nine"), says "b" },
      "u 'a', a 'b', u 'on'" },
    { "what is no call goes", { user "a",
      calls(call "1", "nonsense", { id = "3" }, { id = "4", ["function"] = {} }),
      result("1", "one"), result("3", "three") }, "u 'a', a 1, t 1 'one', u 'on'" },
    { "no calls are left", { user "a", { role = "assistant", content = "b", tool_calls = {} } },
      "u 'a', a 'b', u 'on'" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local list, bot = sent(case[2])
      assert.equal(case[3], short(list))
      assert.equal(#case[2] + 2, #bot:get_messages()) -- which shows what was said
    end)
  end

  it("arguments are objects", function()
    local list = sent { user "a", calls(call("1", ""), call("2", "null"), call("3", "[1]"),
      call("4", '{"x":'), call("5", ' {"x":1} '), call("6", { x = 1 })), result("1", "r") }
    local got = {}
    for i, one in ipairs(list[2].tool_calls) do got[i] = one["function"].arguments end
    assert.same({ "{}", "{}", "{}", "{}", ' {"x":1} ', '{"x":1}' }, got)
  end)

  it("arguments are JSON where the model's had control characters in their strings", function()
    local list = sent { user "a", calls(call("1", '{"x":\n\t"a\nb\\"\t\\\\", "y\r": 1}')),
      result("1", "r") }
    assert.equal('{"x":\n\t"a\\u000ab\\"\\u0009\\\\", "y\\u000d": 1}',
      list[2].tool_calls[1]["function"].arguments)
  end)

  it("results are text or parts, whatever the program put there", function()
    local null = require("cjson").null
    local parts = { { type = "text", text = "p" } }
    local got, messages = {}, { user "a" }
    for i, value in ipairs { 42, true, { a = 1 }, null, parts, {} } do
      messages[#messages + 1] = calls(call(tostring(i)))
      messages[#messages + 1] = result(tostring(i), value)
    end
    for _, message in ipairs(sent(messages)) do
      if message.role == "tool" then got[#got + 1] = message.content end
    end
    assert.same({ "42", "true", '{"a":1}', "", parts, "{}" }, got)
  end)

  it("a list without calls hides no result", function()
    local list = sent { user "a", calls(call "1"),
      { role = "assistant", content = "", tool_calls = {} }, result("1", "one") }
    assert.equal("u 'a', a 1, t 1 'one', u 'on'", short(list))
  end)

  it("names are names", function()
    local list = sent { user "a", calls(call("1", "{}", "files.read file"), call("2", "{}", ""),
      call("3", "{}", ("x"):rep(70))) }
    local got = {}
    for i, one in ipairs(list[2].tool_calls) do got[i] = one["function"].name end
    assert.same({ "files_read_file", "_", ("x"):rep(64) }, got)
  end)

  it("ids are unique, not too long, and the same every time", function()
    local messages = { user "a", calls(call "1", call(("long"):rep(20))),
      result("1", "one"), result(("long"):rep(20), "two"), user "b", calls(call "1", call ""),
      result("1", "three"), result("", "four") }
    local first, second = sent(messages), sent(messages)
    assert.equal(short(first), short(second))
    assert.equal("one", first[3].content)
    assert.equal("two", first[4].content)
    assert.equal("three", first[7].content)
    assert.equal("four", first[8].content)
    assert.equal("1", first[2].tool_calls[1].id)
  end)

  it("ids are nine letters and digits where a service wants them so", function()
    local server = support.serve({ sse { "ok" } }, { strict = "mistral" })
    chatbot.register("nine", { base_url = server.url, short_ids = true })
    local bot = bot_at(nil, { model = "m", provider = "nine", messages = { user "a",
      calls(call "call_Xz81kd03Lq7TgPa2BvNw55Hh", call "abcdefgh1"), result("abcdefgh1", "r") } })
    assert.equal("ok", bot:chat("on"))
    assert.equal("abcdefgh1", server:requests()[1].json.messages[2].tool_calls[2].id)
  end)
end)

describe("what is sent of answers", function()
  after_each(collect)

  it("is never empty, and prompts around what is left out are one", function()
    for _, empty in ipairs { "", "  \n" } do
      local list, bot = sent { user "a", says(empty) }
      assert.equal("u 'a\n\non'", short(list))
      assert.equal(4, #bot:get_messages())
    end
    local list = sent { user "a", { role = "assistant" }, user { { type = "text", text = "b" } },
      says "c" }
    assert.same({ { type = "text", text = "a" }, { type = "text", text = "b" } }, list[1].content)
  end)

  it("leaves out answers that are nothing, or parts without text", function()
    local null = require("cjson").null
    for _, nothing in ipairs { null, { { type = "text", text = "" } }, {}, "" } do
      local other = { role = "assistant", content = nothing, tool_calls = null }
      for _, more in ipairs { {}, { other } } do
        local list = sent { user "a", { role = "assistant", content = nothing }, more[1] }
        assert.equal("u 'a\n\non'", short(list))
      end
      local list = sent { user "a", { role = "assistant", content = nothing,
        tool_calls = { call "1" } }, result("1", "r") }
      assert.equal("", list[2].content)
    end
    assert.equal("u 'a', a '5', u 'on'", short(sent { user "a", says(5) }))
  end)

  it("has the fields of answers in answers alone", function()
    local list = sent { { role = "user", content = "a", refusal = "no", tool_calls = "x" },
      { role = "assistant", content = "b", tool_calls = "y", refusal = 1 } }
    assert.same({ role = "user", content = "a" }, list[1])
    assert.same({ role = "assistant", content = "b" }, list[2])
  end)

  it("goes on after an answer without text", function()
    local server = support.serve { sse({ { reasoning_content = "Hm." } }, { usage = true }),
      sse { "Now." } }
    local bot = bot_at(server)
    assert.equal("", bot:chat("Think."))
    assert.equal("Now.", bot:chat("And?"))
    assert.equal("u 'Think.\n\nAnd?'", short(server:requests()[2].json.messages))
  end)

  it("has what one provider adds for that provider alone", function()
    local private = { user "a", { role = "assistant", provider = "owner",
      reasoning_content = "Hm.", reasoning_details = { { type = "reasoning.text", text = "Hm." } },
      extra_content = { google = 1 },
      tool_calls = { { id = "1", type = "function", extra_content = { google = 2 },
        ["function"] = { name = "look", arguments = "{}" } } } }, result("1", "r") }
    local function ask(name, spec)
      local server = support.serve({ sse { "ok" } }, { strict = false })
      spec.base_url = server.url
      chatbot.register(name, spec)
      local bot = bot_at(nil, { provider = name, messages = private })
      assert.equal("ok", bot:chat("on"))
      return server:requests()[1].json.messages[2]
    end
    local all = { reasoning_back = true, reasoning_details = true, extra_content = true }
    local mine = ask("owner", all)
    assert.equal("Hm.", mine.reasoning_content)
    assert.equal("Hm.", mine.reasoning_details[1].text)
    assert.equal(1, mine.extra_content.google)
    assert.equal(2, mine.tool_calls[1].extra_content.google)
    assert.is_nil(mine.provider)
    local other = ask("other", all)
    assert.equal("", other.reasoning_content) -- which some want in any case
    assert.is_nil(other.reasoning_details)
    assert.is_nil(other.extra_content)
    assert.is_nil(other.tool_calls[1].extra_content)
    local none = ask("none", {})
    assert.is_nil(none.reasoning_content)
  end)
end)

describe("reasoning_details", function()
  after_each(collect)

  it("come back as they were, merged by index and type", function()
    local asks = { index = 0, id = "1", type = "function",
      ["function"] = { name = "look", arguments = "{}" } }
    local server = support.serve({ sse({
      { reasoning_details = { { type = "reasoning.text", index = 0, text = "Let " } } },
      { reasoning_details = { { type = "reasoning.text", index = 0, text = "me see.",
        signature = "sig", format = "x" } } },
      { reasoning_details = { { type = "reasoning.encrypted", index = 0, data = "abc" } } },
      { tool_calls = support.array { asks } },
    }, { finish_reason = "tool_calls" }), sse { "ok" } }, { strict = "openrouter" })
    chatbot.register("details", { base_url = server.url, reasoning_details = true })
    local bot = bot_at(nil, { provider = "details",
      tools = { { name = "look", call = function() return "r" end } } })
    local answer, reply = bot:chat("hi")
    assert.equal("ok", answer)
    local sent_back = server:requests()[2].json.messages[2].reasoning_details
    assert.same({
      { type = "reasoning.text", index = 0, text = "Let me see.", signature = "sig", format = "x" },
      { type = "reasoning.encrypted", index = 0, data = "abc" },
    }, sent_back)
    assert.is_nil(reply.message.provider)
    assert.equal("details", bot:get_messages()[2].provider)
  end)
end)

describe("a conversation in the midst of a tool", function()
  after_each(collect)

  it("goes on after it was forked, saved, closed or cut short", function()
    local asks = sse({ { tool_calls = support.array { { index = 0, id = "call_1",
      type = "function", ["function"] = { name = "look", arguments = "{}" } } } } },
      { finish_reason = "tool_calls" })
    local server = support.serve { asks, sse { "ok" } }
    local bot = bot_at(server, { tools = { { name = "look" } } })
    local _, reply = assert(bot:chat("hi"))
    assert.equal("tool_calls", reply.status)
    local dir = support.tmpdir()
    assert(chatbot.save(bot, dir .. "/talk.json"))
    local loaded = assert(chatbot.load(dir .. "/talk.json", { base_url = server.url }))
    support.remove_all()
    for _, other in ipairs { bot:fork(), loaded } do
      assert.equal("ok", other:chat("go on"))
    end
    assert.equal(bot, bot:tool_result("call_1", "a door"))
    assert.equal("ok", bot:chat())
    local requests = server:requests()
    assert.equal("a door", requests[#requests].json.messages[3].content)
  end)

  it("takes a result for a call that waits for one, and only then", function()
    local server = support.serve { sse { "ok" } }
    local bot = bot_at(server, { messages = { user "a", calls(call "1", call "2") } })
    assert.equal("ok", bot:chat("never mind"))
    assert.equal(bot, bot:tool_result("2", "two"))
    assert.equal("u 'a', a 1 2, t 2 'two', u 'never mind', a 'ok'", short(bot:get_messages()))
    for id, why in pairs { ["2"] = "has been answered", ["3"] = "is not in the conversation" } do
      local ok, err = pcall(bot.tool_result, bot, id, "x")
      assert.is_false(ok)
      assert.truthy(tostring(err):find(why, 1, true), tostring(err))
    end
  end)
end)

describe("copies of a conversation", function()
  it("share nothing that can be changed", function()
    local part = { type = "text", text = "original" }
    local messages = { user { part } }
    local bot = chatbot.new { model = "m", messages = messages }
    local fork = bot:fork()
    part.text = "changed"
    fork:get_messages()[1].content[1].text = "changed in the fork"
    assert.equal("original", bot:get_messages()[1].content[1].text)
  end)

  it("keep marks and tables that are met twice, and refuse what has no end", function()
    local shared = chatbot.array {}
    local bot = chatbot.new { model = "m", messages = { { role = "user", content = "x", a = shared,
      b = shared } } }
    local message = bot:get_messages()[1]
    assert.equal(message.a, message.b)
    assert.not_equal(shared, message.a)
    assert.equal(getmetatable(shared), getmetatable(message.a))
    local ring = { role = "user", content = "x" }
    ring.self = ring
    assert(bot:set_messages { ring }) -- it cannot be sent, but it can be had
    local deep = {}
    for _ = 1, 100 do deep = { deep } end
    local ok, err = pcall(bot.set_messages, bot, { { role = "user", content = deep } })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("nested too deeply"), tostring(err))
  end)
end)
