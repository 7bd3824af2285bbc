-- Tools: calls of the model that the bot runs, or hands to the caller.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local services = require "spec.support.strict".services
local support = require "spec.support"

local collect, bot_at = bots.collect, bots.at

local sse, whole = support.sse, support.json_completion
local unpack = table.unpack or unpack

local function call(name, arguments, id, index)
  return { index = index or 0, id = id or "call_1", type = "function",
    ["function"] = { name = name, arguments = arguments or "{}" } }
end

-- The model asks for these calls.
local function asks(...)
  return sse({ { tool_calls = { ... } } }, { finish_reason = "tool_calls", usage = true })
end

-- The contents of the tools' messages of a request.
local function results(request)
  local out = {}
  for _, message in ipairs(request.json.messages) do
    if message.role == "tool" then out[#out + 1] = message.content end
  end
  return out
end

local function add(args) return args.a + args.b end

local function tool(fn, name)
  return { name = name or "add", description = "Adds.", call = fn,
    parameters = { type = "object", properties = { a = { type = "number" } } } }
end

local ADD = call("add", '{"a":1,"b":2}')

-- What a host's coroutine of ours does until it ends.
local function drive(thread, ...)
  local texts, deadline = {}, support.now() + 20
  local values = { coroutine.resume(thread, ...) }
  while coroutine.status(thread) == "suspended" do
    assert(support.now() < deadline, "it does not end")
    texts[#texts + 1] = values[2]
    support.sleep(0.001)
    values = { coroutine.resume(thread) }
  end
  assert(values[1], tostring(values[2]))
  return texts, unpack(values, 2)
end

describe("tools with a function", function()
  after_each(collect)

  it("are run, and their results sent, until there is an answer", function()
    local server = support.serve { asks(ADD), sse({ "It is ", "3." }, { usage = true }) }
    local got
    local bot = bot_at(server, { tools = { tool(function(args, of)
      got = { args, of.id }
      return add(args)
    end) } })
    local answer, reply = bot:chat("1 + 2?")
    assert.equal("It is 3.", answer)
    assert.same({ { a = 1, b = 2 }, "call_1" }, got)
    assert.equal("complete", reply.status)
    assert.is_nil(reply.tool_calls)
    local messages = bot:get_messages()
    assert.equal(4, #messages)
    assert.same({ role = "tool", tool_call_id = "call_1", content = "3" }, messages[3])
    assert.equal("It is 3.", messages[4].content)
    local requests = server:requests()
    assert.equal(2, #requests)
    assert.same({ { type = "function", ["function"] = { name = "add", description = "Adds.",
      parameters = { type = "object", properties = { a = { type = "number" } } } } } },
      requests[1].json.tools)
    assert.same(requests[1].json.tools, requests[2].json.tools)
    assert.equal("call_1", requests[2].json.messages[2].tool_calls[1].id)
    assert.same({ "3" }, results(requests[2]))
    assert.is_nil(requests[2].json.max_tool_rounds)
    assert.same({ prompt_tokens = 14, completion_tokens = 10, total_tokens = 24 },
      bot:get_usage())
  end)

  it("take the result as text, as JSON, and a nil with a reason as an error", function()
    local server = support.serve { asks(call("f", "{}", "1", 0), call("f", "{}", "2", 1),
      call("f", "{}", "3", 2), call("f", "{}", "4", 3), call("f", "{}", "5", 4),
      call("f", "{}", "6", 5), call("f", "{}", "7", 6)), sse { "ok" } }
    local n, values = 0, { { "text" }, { chatbot.array {} }, { { x = true } }, { false }, {},
      { nil, "no such city" }, { "caf\233" } }
    local bot = bot_at(server)
    assert.equal("ok", bot:chat("go", { tools = { tool(function()
      n = n + 1
      return values[n][1], values[n][2]
    end, "f") } }))
    assert.same({ "text", "[]", '{"x":true}', "false", "null", "error: no such city",
      "caf\239\191\189" }, results(server:requests()[2]))
  end)

  it("that send the bot elsewhere: the reply goes on where it is, with its key, or ends", function()
    for _, case in ipairs { { nil, nil, "ok" }, { "sk-here", nil, nil },
      { function() return "sk-here" end, nil, "ok" },
      { function() return "sk-here" end, "sk-there", nil }, { nil, "sk-there", "ok" } } do
      local here = support.serve { asks(call("go", "{}")), sse { "ok" } }
      local there = support.serve { sse { "there" } }
      local bot
      bot = bot_at(here, { api_key = case[1], tools = { tool(function()
        bot:set_model("m", { base_url = there.url, api_key = case[2] })
        return "gone"
      end, "go") } })
      local answer, err = bot:chat("go")
      assert.equal(case[3], answer)
      if not answer then
        assert.equal("config", err.kind)
        assert.equal("the bot got another key meanwhile", err.message)
      end
      assert.equal(answer and 2 or 1, #here:requests())
      for _, request in ipairs(here:requests()) do
        assert.equal(case[1] and "Bearer sk-here", request.named.authorization)
      end
      assert.equal(0, #there:requests())
    end
  end)

  it("that send the bot elsewhere, and perhaps back: headers stay with the reply", function()
    for _, ways in ipairs { { "there" }, { "there", "here" }, { "here" } } do
      local here = support.serve { asks(call("go", "{}")), sse { "ok" } }
      local there = support.serve { sse { "there" } }
      local bot
      bot = bot_at(here, { headers = { ["X-Mine"] = "mine" }, tools = { tool(function()
        for _, way in ipairs(ways) do
          bot:set_model("m", { base_url = way == "here" and here.url or there.url })
        end
        return "gone"
      end, "go") } })
      assert.equal("ok", bot:chat("go", { headers = { ["X-Call"] = "call" } }))
      assert.equal(2, #here:requests())
      for _, request in ipairs(here:requests()) do
        assert.equal("mine", request.named["x-mine"])
        assert.equal("call", request.named["x-call"])
      end
      if ways[#ways] == "there" then
        assert.equal("there", bot:chat("and now?", { tools = chatbot.array {} }))
        assert.is_nil(there:requests()[1].named["x-mine"])
        assert.is_nil(there:requests()[1].named["x-call"])
      end
    end
  end)

  it("that raise tell the model, not the host", function()
    local server = support.serve { asks(call("add", "{}")), sse { "Sorry." } }
    local bot = bot_at(server, { tools = { tool(add) } })
    assert.equal("Sorry.", bot:chat("1 + 2?"))
    local text = results(server:requests()[2])[1]
    assert.truthy(text:find("^error: .*arithmetic"), text)
  end)

  local wrong = {
    { "a name that is none of them", call("subtract"), "there is no tool of this name" },
    { "arguments that are no JSON", call("add", "{a=1}"), "not a JSON object" },
    { "arguments that are no object", call("add", "12"), "not a JSON object" },
    { "a result that has no JSON", call("strange"), "cannot be sent" },
  }
  for _, case in ipairs(wrong) do
    it("tell the model of " .. case[1], function()
      local server = support.serve { asks(case[2]), sse { "ok" } }
      local bot = bot_at(server, { tools = { tool(add), tool(function() return io.stdout end,
        "strange") } })
      assert.equal("ok", bot:chat("go"))
      local text = results(server:requests()[2])[1]
      assert.truthy(text:find("^error: ") and text:find(case[3], 1, true), text)
    end)
  end

  for _, empty in ipairs { "", " \n" } do
    it(("get no arguments where the model writes %q"):format(empty), function()
      local server = support.serve { asks(call("now", empty)), sse { "ok" } }
      local got
      local bot = bot_at(server, { tools = { tool(function(args)
        got = args
        return "12:00"
      end, "now") } })
      assert.equal("ok", bot:chat("go"))
      assert.same({}, got)
    end)
  end

  it("are sent back as every service takes them", function()
    local odd = call("open.the door" .. ("x"):rep(70), '{"a":', nil, nil)
    odd.more = { 1 }
    local server = support.serve { asks(odd, call("add", '{"a":1,"b":2}', "call_2", 1)),
      sse { "ok" } }
    local bot = bot_at(server, { tools = { tool(add) } })
    assert.equal("ok", bot:chat("go"))
    local sent = server:requests()[2].json.messages[2].tool_calls
    assert.same({ id = "call_1", type = "function", ["function"] = { arguments = "{}",
      name = ("open_the_door" .. ("x"):rep(70)):sub(1, 64) } }, sent[1])
    assert.same(call("add", '{"a":1,"b":2}', "call_2", 1)["function"], sent[2]["function"])
    local said = bot:get_messages()[2].tool_calls[1]
    assert.equal('{"a":', said["function"].arguments)
    assert.same({ 1 }, said.more)
  end)

  it("with fields and arguments of a program's own are sent so, too", function()
    local server = support.serve { sse { "ok" } }
    local messages = { { role = "user", content = "x" }, { role = "assistant", tool_calls = { {
      id = "a", type = "function", index = 0, ["function"] = { name = "f", arguments = { x = 1 },
      parsed = true } } } }, { role = "tool", tool_call_id = "a", content = "1" } }
    assert.equal("ok", bot_at(server, { messages = messages }):chat("go"))
    local sent = server:requests()[1].json.messages[2]
    assert.equal("", sent.content)
    assert.same({ { id = "a", type = "function", ["function"] = { name = "f",
      arguments = '{"x":1}' } } }, sent.tool_calls)
    assert.same({ x = 1 }, messages[2].tool_calls[1]["function"].arguments)
  end)

  it("answer calls without an id under one that is made up", function()
    local nameless = call("add", '{"a":1,"b":2}')
    nameless.id = ""
    local server = support.serve { asks(nameless), sse { "ok" } }
    assert.equal("ok", bot_at(server, { tools = { tool(add) } }):chat("go"))
    local messages = server:requests()[2].json.messages
    assert.equal(messages[2].tool_calls[1].id, messages[3].tool_call_id)
    assert.truthy(messages[3].tool_call_id:find("^%w%w%w%w%w%w%w%w%w$"))
    assert.equal("", messages[2].content)
  end)

  it("are run in as many rounds as it takes, and no more than max_tool_rounds", function()
    local server = support.serve { asks(ADD) } -- again and again
    local count = 0
    local bot = bot_at(server, { max_tool_rounds = 3, tools = { tool(function()
      count = count + 1
      return count
    end) } })
    local answer, reply = bot:chat("1 + 2?")
    assert.equal("", answer)
    assert.equal("tool_calls", reply.status)
    assert.equal(3, count)
    assert.equal(4, #server:requests())
    assert.equal("add", reply.tool_calls[1]["function"].name)
    server:script { sse { "At last." } }
    assert.equal(bot, bot:tool_result(reply.tool_calls[1].id, { sum = 3 }))
    assert.equal("At last.", bot:chat())
    assert.equal(4, #results(server:requests()[5]))
    assert.equal('{"sum":3}', results(server:requests()[5])[4])
  end)

  it("are run at most 8 times when nothing else was said", function()
    local server = support.serve { asks(ADD) }
    local count = 0
    local _, reply = bot_at(server):chat("x", { tools = { tool(function()
      count = count + 1
    end) } })
    assert.equal(8, count)
    assert.equal("tool_calls", reply.status)
  end)

  it("report their progress to on_tool", function()
    local server = support.serve { asks(ADD, call("nothing", "{}", "call_2", 1)), sse { "3" } }
    local events = {}
    bot_at(server, { tools = { tool(add) } }):chat("1 + 2?", { on_tool = function(event)
      local now = {}
      for name, value in pairs(event) do now[name] = value end
      events[#events + 1] = now
    end })
    assert.same({
      { name = "add", id = "call_1", arguments = { a = 1, b = 2 }, done = false },
      { name = "add", id = "call_1", arguments = { a = 1, b = 2 }, done = true, result = 3 },
      { name = "nothing", id = "call_2", arguments = {}, done = false },
      { name = "nothing", id = "call_2", arguments = {}, done = true,
        error = "there is no tool of this name" },
    }, events)
  end)

  it("end the reply when on_tool raises", function()
    local server = support.serve { asks(ADD), sse { "3" } }
    local bot = bot_at(server, { tools = { tool(add) } })
    local ok, err = pcall(bot.chat, bot, "x", { on_tool = function() error("stop", 0) end })
    assert.is_false(ok)
    assert.equal("stop", err)
    assert.same({}, bot:get_messages())
  end)

  it("leave the conversation as it was when a later round fails", function()
    local server = support.serve { sse { "Hi." }, asks(ADD),
      support.http(500, {}, { error = { message = "Oh." } }) }
    local bot = bot_at(server, { tools = { tool(add) } })
    bot:chat("hello")
    local answer, err = bot:chat("1 + 2?")
    assert.is_nil(answer)
    assert.equal(500, err.status)
    assert.same({ { role = "user", content = "hello" },
      { role = "assistant", content = "Hi." } }, bot:get_messages())
    server:script { asks(ADD), sse({ "Par" }, { finish_reason = false, done = false }) }
    bot:get_messages()[3] = { role = "user", content = "1 + 2?" }
    answer, err = bot:chat() -- and the same without a prompt
    assert.is_nil(answer)
    assert.equal("truncated", err.kind)
    assert.equal("Par", err.partial)
    assert.equal(3, #bot:get_messages())
  end)

  it("lose no text of an earlier round when a later one fails", function()
    for _, keep in ipairs { false, true } do
      local server = support.serve { sse({ "Let me see. ", { tool_calls = support.array { ADD } } },
        { finish_reason = "tool_calls" }), sse({ "It" }, { finish_reason = false, done = false }) }
      local bot = bot_at(server, { tools = { tool(add) }, keep_partial = keep })
      local texts = {}
      local answer, err = bot:chat("1 + 2?", { on_text = function(text)
        texts[#texts + 1] = text
      end })
      assert.is_nil(answer)
      assert.equal("Let me see. It", table.concat(texts))
      assert.equal("Let me see. It", err.partial)
      local roles = {}
      for i, message in ipairs(bot:get_messages()) do
        roles[i] = message.role .. " " .. tostring(message.content)
      end
      assert.same(keep and { "user 1 + 2?", "assistant Let me see. ", "tool 3", "assistant It" }
        or {}, roles)
    end
  end)

  it("leave the conversation as it was when the reply is closed midway", function()
    local server = support.serve { asks(ADD), { { stall = true } } }
    local bot = bot_at(server, { tools = { tool(add) } })
    local reply = bot:stream("1 + 2?")
    assert.is_true(server:wait(2, 5, "request", function() reply:poll() end))
    assert.equal("streaming", reply.status)
    assert.equal("busy", select(2, bot:chat("x")).kind)
    assert.equal(3, #bot:get_messages())
    reply:close()
    assert.same({}, bot:get_messages())
    local text, err = reply:poll()
    assert.is_nil(text)
    assert.equal("cancelled", err.kind)
  end)

  it("may close the reply they are run for", function()
    local server = support.serve { asks(ADD), sse { "3" } }
    local reply
    local bot = bot_at(server, { tools = { tool(function() reply:close() end) } })
    reply = bot:stream("1 + 2?")
    local answer, err = reply:result()
    assert.is_nil(answer)
    assert.equal("cancelled", err.kind)
    assert.same({}, bot:get_messages())
    assert.equal(1, #server:requests())
  end)

  it("are not run when the answer was cut", function()
    local server = support.serve { sse({ { tool_calls = { call("add", "") } } },
      { finish_reason = "length" }) }
    local ran = false
    local bot = bot_at(server, { tools = { tool(function() ran = true end) } })
    local _, reply = bot:chat("x")
    assert.equal("length", reply.status)
    assert.is_false(ran)
  end)

  it("are not mentioned when there are none", function()
    local server = support.serve { sse { "ok" } }
    assert.equal("ok", bot_at(server, { tools = {} }):chat("x"))
    assert.is_nil(server:requests()[1].json.tools)
  end)

  it("are cancelled with the coroutine", function()
    if not coroutine.close then return pending("this Lua cannot close a coroutine") end
    local bot = bot_at(support.serve { asks(ADD) }, { tools = { tool(function()
      while true do coroutine.yield("waits") end
    end) } })
    local thread, limit = coroutine.create(function() return bot:chat("x") end),
      support.now() + 10
    local text
    repeat
      text = select(2, coroutine.resume(thread))
      assert(support.now() < limit)
    until text == "waits"
    assert.equal(2, #bot:get_messages())
    assert.is_true(coroutine.close(thread))
    assert.same({}, bot:get_messages())
  end)

  it("keep the conversation whole when a lost reply is collected", function()
    local server = support.serve { asks(ADD), { { stall = true } }, sse { "ok" } }
    local bot = bot_at(server, { tools = { tool(add) } })
    local reply = bot:stream("1 + 2?")
    server:wait(2, 5, "request", function() reply:poll() end)
    reply = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    server:script { sse { "ok" } }
    assert.equal("ok", bot:chat("again"))
    assert.equal(2, #bot:get_messages())
  end)
end)

describe("tools in each way to an answer", function()
  after_each(collect)

  local function server_of()
    return support.serve { asks(ADD), sse({ "It is ", "3." }, { every = 0.005 }) }
  end

  it("work with chunks", function()
    local bot, texts = bot_at(server_of(), { tools = { tool(add) } }), {}
    for text in bot:stream("1 + 2?"):chunks() do texts[#texts + 1] = text end
    assert.equal("It is 3.", table.concat(texts))
  end)

  it("work with result", function()
    local answer, reply = bot_at(server_of(), { tools = { tool(add) } }):stream("x"):result()
    assert.equal("It is 3.", answer)
    assert.equal("complete", reply.status)
  end)

  it("work with poll and wait", function()
    local reply = bot_at(server_of(), { tools = { tool(add) } }):stream("x")
    local texts = {}
    local text, state
    repeat
      text, state = reply:poll()
      texts[#texts + 1] = text
      if state == "wait" then reply:wait(1) end
    until not text and state ~= "wait"
    assert.equal("done", state)
    assert.equal("It is 3.", table.concat(texts))
    assert.equal("It is 3.", reply.text)
  end)

  it("work with chatbot.poll and on_text", function()
    local texts = {}
    local reply = bot_at(server_of(), { tools = { tool(add) } }):stream("x",
      { on_text = function(text) texts[#texts + 1] = text end })
    local limit = support.now() + 10
    while chatbot.poll(0.1) > 0 or reply.status == "streaming" do
      assert(support.now() < limit)
    end
    assert.equal("It is 3.", table.concat(texts))
    assert.equal("complete", reply.status)
  end)

  it("work without streaming", function()
    local server = support.serve { whole("", { finish_reason = "tool_calls",
      message = { tool_calls = { ADD } } }), whole("3") }
    assert.equal("3", bot_at(server, { stream = false, tools = { tool(add) } }):chat("x"))
    assert.same({ "3" }, results(server:requests()[2]))
  end)

  it("work in a coroutine, which hands out the text", function()
    local bot = bot_at(server_of(), { tools = { tool(add) } })
    local texts, answer = drive(coroutine.create(function() return bot:chat("1 + 2?") end))
    assert.equal("It is 3.", answer)
    assert.equal("It is 3.", table.concat(texts))
  end)

  it("may yield in a coroutine, and so give way to the host", function()
    local server = server_of()
    local bot = bot_at(server, { tools = { tool(function(args)
      local got = coroutine.yield("tool waits")
      assert(got == nil)
      return add(args)
    end) } })
    local texts, answer = drive(coroutine.create(function() return bot:chat("1 + 2?") end))
    assert.equal("It is 3.", answer)
    assert.equal("tool waitsIt is 3.", table.concat(texts))
    assert.same({ "3" }, results(server:requests()[2]))
  end)

  it("may ask another bot, whoever waits for them", function()
    local function ask()
      local other = support.serve { sse({ "Rain", "." }, { every = 0.01 }) }
      return (bot_at(other):chat("weather?"))
    end
    local weather = { tools = { tool(ask, "add") } }
    for name, way in pairs {
      blocking = function(bot) return bot:chat("x") end,
      polled = function(bot)
        local reply, limit = bot:stream("x"), support.now() + 10
        repeat
          local text, state = reply:poll()
          assert(support.now() < limit)
        until not text and state ~= "wait"
        return reply:result()
      end,
      poll_and_wait = function(bot)
        local reply, turns = bot:stream("x"), 0
        repeat
          local text, state = reply:poll()
          turns = turns + 1
          if state == "wait" then reply:wait() end
        until not text and state ~= "wait"
        assert(turns < 200, "it does not wait but turn: " .. turns)
        return reply:result()
      end,
      coroutine = function(bot)
        local _, answer = drive(coroutine.create(function() return bot:chat("x") end))
        return answer
      end,
      polled_in_a_coroutine = function(bot)
        local reply, limit = bot:stream("x"), support.now() + 10
        coroutine.wrap(function()
          repeat
            local text, state = reply:poll()
            assert(support.now() < limit)
          until not text and state ~= "wait"
        end)()
        return reply:result()
      end,
      module = function(bot)
        local reply, limit = bot:stream("x", { on_text = function() end }), support.now() + 10
        while reply.status == "streaming" do
          chatbot.poll(5)
          assert(support.now() < limit)
        end
        return reply:result()
      end,
    } do
      local server = server_of()
      assert.equal("It is 3.", (way(bot_at(server, weather))), name)
      assert.same({ "Rain." }, results(server:requests()[2]), name)
    end
  end)

  it("may sleep in cqueues, beside other coroutines", function()
    local ok, cqueues = pcall(require, "cqueues")
    if not ok then return pending("there is no cqueues for this Lua") end
    local bot = bot_at(server_of(), { wait = cqueues.poll, tools = { tool(function(args)
      cqueues.sleep(0.05)
      return add(args)
    end) } })
    local loop, ticks, answer, polled = cqueues.new(), 0, nil, nil
    loop:wrap(function() answer = bot:chat("1 + 2?") end)
    loop:wrap(function()
      local reply = bot_at(server_of(), { wait = cqueues.poll, tools = { tool(function(args)
        cqueues.sleep(0.02)
        return add(args)
      end) } }):stream("x")
      repeat
        local text, state = reply:poll()
        if state == "wait" then cqueues.poll(reply) end
      until not text and state ~= "wait"
      polled = reply.text
    end)
    loop:wrap(function()
      while not (answer and polled) and ticks < 2000 do
        ticks = ticks + 1
        cqueues.sleep(0.005)
      end
    end)
    assert(loop:loop())
    assert.equal("It is 3.", answer)
    assert.equal("It is 3.", polled)
    assert.is_true(ticks > 5, "it was blocked: " .. ticks)
  end)
end)

describe("tools without a function", function()
  after_each(collect)

  it("come back to the caller, who answers and goes on", function()
    local server = support.serve { asks(call("door", '{"open":true}', "a", 0),
      call("door", '{"open":false}', "b", 1)), sse { "Done." } }
    local bot = bot_at(server, { tools = { { name = "door" } } })
    local answer, reply = bot:chat("Open and close it.")
    assert.equal("", answer)
    assert.equal("tool_calls", reply.status)
    assert.same({ "a", "b" }, { reply.tool_calls[1].id, reply.tool_calls[2].id })
    assert.equal("busy", select(2, (function() -- not while a reply is under way
      local other = bot:fork()
      local running = other:stream("x")
      local nothing, err = other:tool_result("a", "x")
      running:close()
      return nothing, err
    end)()).kind)
    server:script { sse { "Done." } }
    bot:tool_result("a", "opened"):tool_result("b", { state = "closed" })
    assert.equal("Done.", bot:chat())
    local requests = server:requests()
    local last = requests[#requests]
    assert.same({ "opened", '{"state":"closed"}' }, results(last))
    assert.same({ type = "object", properties = {} },
      last.json.tools[1]["function"].parameters)
    assert.equal("door", last.json.tools[1]["function"].name)
  end)

  it("in the form of the service are sent as they are", function()
    local server = support.serve { asks(call("f")) }
    local given = { type = "function", ["function"] = { name = "f", strict = true,
      parameters = { type = "object", properties = {} } } }
    local _, reply = bot_at(server):chat("x", { tools = { given } })
    assert.equal("tool_calls", reply.status)
    assert.same({ given }, server:requests()[1].json.tools)
  end)

  it("beside one with a function leave all calls of a turn to the caller", function()
    local server = support.serve { asks(ADD, call("door", "{}", "b", 1)) }
    local bot = bot_at(server, { tools = { tool(add), { name = "door" } } })
    local _, reply = bot:chat("x")
    assert.equal("tool_calls", reply.status)
    assert.equal(2, #bot:get_messages())
  end)

  it("raise when they have no name or are no table", function()
    local bot = bot_at(support.serve { sse { "x" } })
    for _, tools in ipairs { { {} }, { "f" } } do
      local ok, err = pcall(bot.chat, bot, "x", { tools = tools })
      assert.is_false(ok)
      assert.truthy(tostring(err):find("tool 1 has no name", 1, true), err)
    end
    local ok, err = pcall(chatbot.new, { tools = "f" })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("'tools' must be a table", 1, true), err)
  end)

  it("may be taken with a cut to the context, which takes whole exchanges", function()
    local usage = { prompt_tokens = 90, completion_tokens = 30, total_tokens = 120 }
    local server = support.serve { asks(ADD), sse { "3" }, sse({ "ok" }, { usage = usage }) }
    local dropped
    local bot = bot_at(server, { max_context_tokens = 100, tools = { tool(add) },
      on_trim = function(messages) dropped = messages end })
    bot:chat("1 + 2?")
    assert.equal("ok", bot:chat("thanks"))
    assert.same({ "user", "assistant", "tool", "assistant" }, { dropped[1].role,
      dropped[2].role, dropped[3].role, dropped[4].role })
    assert.equal(4, #dropped)
    assert.same({ { role = "user", content = "thanks" },
      { role = "assistant", content = "ok" } }, bot:get_messages())
  end)
end)

-- ---- the services --------------------------------------------------------------

-- A stream as a service sends it: one JSON text for each event.
local function stream_of(...)
  local events = {}
  for i, text in ipairs { ... } do events[i] = { raw = "data: " .. text .. "\n\n" } end
  return sse(events, { role = false, finish_reason = false })
end

-- luacheck: push ignore 631 (events are one line each)
-- name = { model, events of the first answer, calls: {name, arguments}..., usage }
local SERVICES = {
  openai = { "openai:gpt-4.1", {
    '{"id":"c","object":"chat.completion.chunk","model":"gpt-4.1-2025-04-14","choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}],"usage":null,"obfuscation":"a8"}',
    '{"id":"c","object":"chat.completion.chunk","model":"gpt-4.1-2025-04-14","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_A","type":"function","function":{"name":"add","arguments":""}}]},"finish_reason":null}],"usage":null}',
    '{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":1,"}}]},"finish_reason":null}],"usage":null}',
    '{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\"b\\":2}"}}]},"finish_reason":null}],"usage":null}',
    '{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_B","type":"function","function":{"name":"add","arguments":""}}]},"finish_reason":null}],"usage":null}',
    '{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{\\"a\\":3,\\"b\\":4}"}}]},"finish_reason":null}],"usage":null}',
    '{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}',
    '{"id":"c","choices":[],"usage":{"prompt_tokens":50,"completion_tokens":30,"total_tokens":80}}',
  }, { "3", "7" }, 80 },
  -- no index, "stop" with calls, a signature that has to go back
  gemini = { "gemini:gemini-3-pro", {
    '{"choices":[{"delta":{"role":"assistant","tool_calls":[{"extra_content":{"google":{"thought_signature":"SIG=="}},"function":{"arguments":"{\\"a\\":1,\\"b\\":2}","name":"add"},"id":"function-call-1","type":"function"}]},"index":0}],"model":"gemini-3-pro","object":"chat.completion.chunk","usage":{"completion_tokens":10,"prompt_tokens":20,"total_tokens":30}}',
    '{"choices":[{"delta":{"role":"assistant","tool_calls":[{"function":{"arguments":"{\\"a\\":3,\\"b\\":4}","name":"add"},"id":"function-call-2","type":"function"}]},"finish_reason":"stop","index":0}],"object":"chat.completion.chunk","usage":{"completion_tokens":20,"prompt_tokens":20,"total_tokens":40}}',
  }, { "3", "7" }, 40 },
  mistral = { "mistral:mistral-large-latest", {
    '{"id":"m","object":"chat.completion.chunk","model":"mistral-large-latest","choices":[{"index":0,"delta":{"content":"","tool_calls":[{"id":"D681PevKs","function":{"name":"add","arguments":"{\\"a\\": 1, \\"b\\": 2}"},"index":0}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3}}',
  }, { "3" }, 12 },
  deepseek = { "deepseek:deepseek-reasoner", {
    '{"id":"d","model":"deepseek-reasoner","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"I should "},"finish_reason":null}]}',
    '{"id":"d","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"add."},"finish_reason":null}]}',
    '{"id":"d","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_0_x","type":"function","function":{"name":"add","arguments":""}}]},"finish_reason":null}]}',
    '{"id":"d","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":1,\\"b\\":2}"}}]},"finish_reason":null}]}',
    '{"id":"d","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":6,"total_tokens":11}}',
  }, { "3" }, 11 },
  groq = { "groq:llama-3.3-70b-versatile", {
    '{"id":"g","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":null},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_1"}}',
    '{"id":"g","choices":[{"index":0,"delta":{"tool_calls":[{"id":"call_q","type":"function","function":{"name":"add","arguments":"{\\"a\\":1,\\"b\\":2}"},"index":0}]},"finish_reason":null}]}',
    '{"id":"g","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"x_groq":{"id":"req_1","usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"queue_time":0.1}}}',
  }, { "3" }, 7 },
  openrouter = { "openrouter:openai/gpt-4.1", {
    '{"id":"gen-1","provider":"OpenAI","model":"openai/gpt-4.1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_r","type":"function","function":{"name":"add","arguments":"{\\"a\\":1,"}}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}\n\n: OPENROUTER PROCESSING',
    '{"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"type":"function","function":{"name":null,"arguments":"\\"b\\":2}"}}]},"finish_reason":null}]}',
    '{"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls","native_finish_reason":"tool_calls"}]}',
    '{"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":4,"completion_tokens":5,"total_tokens":9,"cost":0.1}}',
  }, { "3" }, 9 },
  moonshot = { "moonshot:kimi-k2-thinking", {
    '{"id":"k","object":"chat.completion.chunk","model":"kimi-k2-thinking","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Sum."},"finish_reason":null}]}',
    '{"id":"k","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"add:0","type":"function","function":{"name":"add","arguments":"{\\"a\\":1,\\"b\\":2}"}}]},"finish_reason":null}]}',
    '{"id":"k","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls","usage":{"prompt_tokens":8,"completion_tokens":9,"total_tokens":17}}]}',
  }, { "3" }, 17 },
  perplexity = { "perplexity:sonar-pro", {
    '{"id":"p","object":"chat.completion","model":"sonar-pro","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2},"choices":[{"index":0,"message":{"role":"assistant","content":""},"delta":{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"p1","type":"function","function":{"name":"add","arguments":"{\\"a\\":1,\\"b\\":2}"}}]},"finish_reason":"tool_calls"}]}',
  }, { "3" }, 2 },
  vllm = { "vllm:Qwen/Qwen3", {
    '{"id":"v","object":"chat.completion.chunk","model":"Qwen/Qwen3","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}',
    '{"id":"v","choices":[{"index":0,"delta":{"reasoning":"Hm."},"finish_reason":null}]}',
    '{"id":"v","choices":[{"index":0,"delta":{"tool_calls":[{"id":"chatcmpl-tool-1","type":"function","index":0,"function":{"name":"add"}}]},"finish_reason":null}]}',
    '{"id":"v","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\": 1, "}}]},"finish_reason":null}]}',
    '{"id":"v","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\"b\\": 2}"}}]},"finish_reason":null}]}',
    '{"id":"v","choices":[{"index":0,"delta":{"content":""},"finish_reason":"tool_calls","stop_reason":null}]}',
    '{"id":"v","choices":[],"usage":{"prompt_tokens":6,"total_tokens":10,"completion_tokens":4}}',
  }, { "3" }, 10 },
  -- the whole call in one chunk, the reason "stop" after it
  ollama = { "ollama:llama3.2", {
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"llama3.2","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"call_o","index":0,"type":"function","function":{"name":"add","arguments":"{\\"a\\":1,\\"b\\":2}"}}]},"finish_reason":null}]}',
    '{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}',
  }, { "3" } },
  -- a new id on every fragment
  lmstudio = { "lmstudio:qwen", {
    '{"id":"l","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"1111","type":"function","function":{"name":"add","arguments":""}}]},"finish_reason":null}]}',
    '{"id":"l","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"2222","type":"function","function":{"name":"","arguments":"{\\"a\\":1,\\"b\\":2}"}}]},"finish_reason":null}]}',
    '{"id":"l","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
  }, { "3" } },
  llamaserver = { "llamaserver:any", {
    '{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"id":"s","model":"any","object":"chat.completion.chunk"}',
    '{"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"id":"E5bWQ","type":"function","function":{"name":"add","arguments":"{"}}]}}],"id":"s"}',
    '{"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\"a\\":1,\\"b\\":2}"}}]}}],"id":"s"}',
    '{"choices":[{"finish_reason":"tool_calls","index":0,"delta":{}}],"id":"s"}',
    '{"choices":[],"id":"s","usage":{"completion_tokens":2,"prompt_tokens":3,"total_tokens":5},"timings":{"predicted_ms":1.5}}',
  }, { "3" }, 5 },
}

-- luacheck: pop

it("each round of tools has its own clocks, and a tool none", function()
  local function slow(stream) return { { sleep = 0.4 }, stream } end
  local server = support.serve { slow(asks(ADD)), slow(sse { "Three." }) }
  local bot = bot_at(server.url, { timeout = 0.7, tools = { tool(function(args)
    support.sleep(0.8)
    return add(args)
  end) } })
  assert.equal("Three.", (bot:chat("Add.")))
  assert.equal(2, #server:requests())
  collect()
end)

describe("tools at", function()
  local moved = {}
  after_each(function()
    for name, url in pairs(moved) do chatbot.register(name, { base_url = url }) end
    moved = {}
    collect()
  end)

  -- A bot of this provider, with all of its data but the address.
  local function bot_of(name, server, opts)
    for _, row in ipairs(chatbot.providers()) do
      if row.name == name then moved[name] = row.base_url end
    end
    chatbot.register(name, { base_url = server.url })
    local all = { model = SERVICES[name][1], api_key = "sk-" .. name, max_retries = 0,
      timeout = 20 }
    for key, value in pairs(opts or {}) do all[key] = value end
    return chatbot.new(all)
  end

  local names = {}
  for name in pairs(SERVICES) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local model, events, expected, total = unpack(SERVICES[name], 1, 4)
    it(name .. " are merged, run and answered", function()
      local server = support.serve({ stream_of(unpack(events)), sse { "Done." } },
        { strict = services[name] and name })
      local bot, usage = bot_of(name, server, { tools = { tool(add) } }), nil
      local answer = bot:chat("Add.", { on_tool = function()
        usage = bot:get_usage().total_tokens
      end })
      assert.equal("Done.", answer)
      assert.equal(total or 0, usage)
      local requests = server:requests()
      assert.equal(model:match(":(.*)"), requests[1].json.model)
      assert.same(expected, results(requests[2]))
      local messages = requests[2].json.messages
      local made = messages[2].tool_calls
      assert.equal(#expected, #made)
      for i, one in ipairs(made) do
        assert.equal(one.id, messages[2 + i].tool_call_id)
        assert.equal("function", one.type)
        assert.is_nil(one.index)
      end
    end)
  end

  it("Gemini get their thought signature back, which others never see", function()
    local server = support.serve({ stream_of(unpack(SERVICES.gemini[2])), sse { "Done." } },
      { strict = "gemini" })
    local other = support.serve { sse { "Yes." } }
    local bot = bot_of("gemini", server, { tools = { tool(add) } })
    bot:chat("Add.")
    local sent = server:requests()[2].json.messages[2].tool_calls
    assert.same({ google = { thought_signature = "SIG==" } }, sent[1].extra_content)
    assert.is_nil(sent[2].extra_content)
    bot:set_model("m", { base_url = other.url, api_key = "k" })
    bot:set_model("m", { provider = "groq", base_url = other.url, api_key = "k" })
    assert.equal("Yes.", bot:chat("And now?"))
    assert.is_nil(other:requests()[1].body:find("signature", 1, true))
    assert.equal("SIG==",
      bot:get_messages()[2].tool_calls[1].extra_content.google.thought_signature)
  end)

  for _, name in ipairs { "deepseek", "moonshot" } do
    it(name .. " get a tool turn's reasoning back, which others never see", function()
      local server = support.serve({ stream_of(unpack(SERVICES[name][2])),
        sse { { reasoning_content = "Easy." }, "Done." } }, { strict = name })
      local other = support.serve { sse { "Yes." } }
      local bot = bot_of(name, server, { tools = { tool(add) } })
      local _, reply = bot:chat("Add.")
      assert.equal("Easy.", reply.reasoning)
      local messages = server:requests()[2].json.messages
      assert.equal(name == "deepseek" and "I should add." or "Sum.",
        messages[2].reasoning_content)
      assert.is_nil(bot:get_messages()[4].reasoning_content) -- no tool turn
      bot:set_model("m", { provider = "mistral", base_url = other.url, api_key = "k" })
      assert.equal("Yes.", bot:chat("And now?"))
      assert.is_nil(other:requests()[1].body:find("reasoning_content", 1, true))
    end)
  end

  it("a service that does not want it, no reasoning is kept", function()
    local server = support.serve { stream_of(unpack(SERVICES.vllm[2])), sse { "Done." } }
    local bot = bot_of("vllm", server, { tools = { tool(add) } })
    bot:chat("Add.")
    assert.is_nil(bot:get_messages()[2].reasoning_content)
    assert.is_nil(server:requests()[2].body:find("reason", 1, true))
  end)
end)

describe("reasoning", function()
  after_each(collect)

  it("is handed to on_reasoning as it arrives, before the text", function()
    local server = support.serve { sse({ { reasoning_content = "Hm" }, { reasoning = "m." },
      "Yes." }, { every = 0.01 }) }
    local seen = {}
    local answer, reply = bot_at(server):chat("x", {
      on_reasoning = function(text) seen[#seen + 1] = "(" .. text .. ")" end,
      on_text = function(text) seen[#seen + 1] = text end,
    })
    assert.equal("Yes.", answer)
    assert.equal("Hmm.", reply.reasoning)
    assert.equal("(Hmm.)Yes.", (table.concat(seen):gsub("%)%(", "")))
  end)
end)

describe("tools as they are sent", function()
  after_each(collect)

  -- The JSON of the tools of a request for which these were given.
  local function sent(tools, opts)
    local server = support.serve { sse { "ok" } }
    local all = { tools = tools }
    for name, value in pairs(opts or {}) do all[name] = value end
    assert.equal("ok", bot_at(server):chat("x", all))
    local request = server:requests()[1]
    return request.json.tools, request.body
  end

  -- A schema, and what has to be in its JSON.
  for _, case in ipairs {
    { { required = {} }, '{"required":[]}' },
    { { enum = {} }, '{"enum":[]}' },
    { { anyOf = {} }, '{"anyOf":[]}' },
    { { oneOf = {} }, '{"oneOf":[]}' },
    { { allOf = {} }, '{"allOf":[]}' },
    { { prefixItems = {} }, '{"prefixItems":[]}' },
    { { examples = {} }, '{"examples":[]}' },
    { { type = {} }, '{"type":[]}' },
    { { dependentRequired = { a = {} } }, '{"dependentRequired":{"a":[]}}' },
    { { dependentRequired = {} }, '{"dependentRequired":{}}' },
    { { properties = {} }, '{"properties":{}}' },
    { { patternProperties = {} }, '{"patternProperties":{}}' },
    { { items = {} }, '{"items":{}}' },
    { { additionalProperties = {} }, '{"additionalProperties":{}}' },
    { { ["not"] = {} }, '{"not":{}}' },
    { { required = chatbot.array {} }, '{"required":[]}' },
    { { required = { "a" } }, '{"required":["a"]}' },
    -- at any depth
    { { items = { items = { enum = {} } } }, '{"items":{"items":{"enum":[]}}}' },
    { { anyOf = { {}, { required = {} } } }, '{"anyOf":[{},{"required":[]}]}' },
    { { prefixItems = { { allOf = {} } } }, '{"prefixItems":[{"allOf":[]}]}' },
    { { ["$defs"] = { a = { ["if"] = { required = {} } } } },
      '{"$defs":{"a":{"if":{"required":[]}}}}' },
    { { dependentSchemas = { a = { required = {} } } },
      '{"dependentSchemas":{"a":{"required":[]}}}' },
    -- names of the program's, and data, are no keywords
    { { properties = { required = {} } }, '{"properties":{"required":{}}}' },
    { { properties = { enum = { enum = {} } } }, '{"properties":{"enum":{"enum":[]}}}' },
    { { ["$defs"] = { properties = { anyOf = {} } } }, '{"$defs":{"properties":{"anyOf":[]}}}' },
    { { default = { required = {} } }, '{"default":{"required":{}}}' },
    { { enum = { { enum = {} } } }, '{"enum":[{"enum":{}}]}' },
    { { default = {} }, '{"default":{}}' },
  } do
    it("have lists for the lists of a schema: " .. case[2], function()
      local _, body = sent { { name = "f", parameters = case[1] } }
      assert.truthy(body:find('"parameters":' .. case[2], 1, true), body)
      _, body = sent { { type = "function", ["function"] = { name = "f", parameters = case[1] } } }
      assert.truthy(body:find('"parameters":' .. case[2], 1, true), body)
      _, body = sent { { type = "custom", input_schema = case[1] } }
      assert.truthy(body:find('"input_schema":' .. case[2], 1, true), body)
    end)
  end

  for name, kind in pairs { ["array"] = "array", ["array or null"] = { "array", "null" } } do
    it("have lists for the values of a schema of the type " .. name, function()
      local tools, body = sent { { name = "f", parameters = { properties = {
        a = { type = kind, default = {} }, b = { type = kind, const = {} },
        c = { type = kind, enum = { {} } }, d = { type = kind, examples = { {}, { {} } } },
        e = { type = "object", default = {} }, f = { type = kind, items = {} },
      } } } }
      local got = tools[1]["function"].parameters.properties
      assert.same({}, got.a.default)
      for _, text in ipairs { '"default":[]', '"const":[]', '"enum":[[]]', '"examples":[[],[{}]]',
        '"default":{}', '"items":{}' } do
        assert.truthy(body:find(text, 1, true), text .. " " .. body)
      end
    end)
  end

  it("leave the caller's tables as they are, also shared ones", function()
    local shared = { type = "object", required = {}, properties = { a = { enum = {} } } }
    local tool_of_mine = { name = "f", parameters = shared, cache_control = { type = "ephemeral" } }
    local _, body = sent { tool_of_mine,
      { name = "g", parameters = { properties = { b = shared } } } }
    local _, count = body:gsub('"required":%[%]', "")
    assert.equal(2, count)
    assert.same({ name = "f", parameters = shared, cache_control = { type = "ephemeral" } },
      tool_of_mine)
    assert.is_nil(getmetatable(shared.required))
  end)

  it("are an error where a schema contains itself", function()
    local schema = { type = "object", required = {}, properties = {} }
    schema.properties.again = { anyOf = { schema } }
    local text, err = bot_at(support.serve {}):chat("x", { tools = { { name = "f",
      parameters = schema } } })
    assert.is_nil(text)
    assert.equal("config", err.kind)
    assert.truthy(err.message:find("contains itself", 1, true), err.message)
  end)

  it("are as they were given, where they are the service's own", function()
    local hosted = {
      { type = "web_search" },
      { type = "openrouter:web_search", parameters = { max_results = 3 } },
      { type = "web_search_20250305", name = "web_search", max_uses = 5 },
      { type = "builtin_function", ["function"] = { name = "$web_search" } },
    }
    assert.same(hosted, (sent(hosted)))
  end)

  it("keep what stands beside the function, in either form", function()
    local cache = { type = "ephemeral" }
    local parameters = { type = "object", properties = {} }
    local tools = sent {
      { name = "f", description = "F.", strict = true, cache_control = cache,
        call = function() end },
      { type = "function", ["function"] = { name = "g", parameters = parameters },
        cache_control = cache },
    }
    assert.same({
      { type = "function", cache_control = cache, ["function"] = { name = "f",
        description = "F.", strict = true, parameters = parameters } },
      { type = "function", cache_control = cache, ["function"] = { name = "g",
        parameters = parameters } },
    }, tools)
  end)

  it("may be the service's own and have a function all the same", function()
    local server = support.serve { asks(call("bash", '{"command":"ls"}')), sse { "ok" } }
    local bot = bot_at(server, { tools = { { type = "web_search" }, { type = "bash_20250124",
      name = "bash", call = function(args) return args.command end } } })
    assert.equal("ok", bot:chat("go"))
    assert.same({ { type = "web_search" }, { type = "bash_20250124", name = "bash" } },
      server:requests()[1].json.tools)
    assert.same({ "ls" }, results(server:requests()[2]))
  end)

  for _, case in ipairs {
    { {}, "tool 1 has no name" },
    { { type = "function" }, "tool 1 has no name" },
    { { type = "function", ["function"] = {} }, "tool 1 has no name" },
    { { name = "f", ["function"] = function() end }, "tool 1 has no name" },
    { { name = 1 }, "tool 1 has no name" },
    { { name = "" }, "tool 1 has a name that services refuse" },
    { { name = "a b" }, "tool 1 has a name that services refuse" },
    { { name = "a.b" }, "tool 1 has a name that services refuse" },
    { { name = "caf\195\169" }, "tool 1 has a name that services refuse" },
    { { name = "a\0" }, "tool 1 has a name that services refuse" },
    { { name = ("x"):rep(65) }, "tool 1 has a name that services refuse" },
    { { ["function"] = { name = "a/b" } }, "tool 1 has a name that services refuse" },
  } do
    it("raise: " .. case[2] .. " " .. tostring(case[1].name), function()
      local bot = bot_at(support.serve {})
      local ok, err = pcall(bot.chat, bot, "x", { tools = { case[1] } })
      assert.is_false(ok)
      assert.truthy(err:find(case[2], 1, true), err)
    end)
  end

  it("may have names of 64 characters", function()
    local name = ("aZ0_-"):rep(12) .. "abcd"
    assert.equal(name, sent({ { name = name } })[1]["function"].name)
  end)
end)
