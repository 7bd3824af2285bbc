-- What a program does wrong: the error names the program's line, the function as the program
-- has called it, and the argument as the program counts.

local chatbot = require "chatbot"
local support = require "spec.support"

local function collect()
  support.close_all()
  collectgarbage()
end

-- The error of one line of a program, as main chunk, function, or body of a coroutine.
local frames = {
  { "", "" },
  { "local function f()", "end f()" },
  { "local f = coroutine.create(function()",
    "end) error((select(2, coroutine.resume(f))), 0)" },
}

local function errors_of(line)
  local bot = chatbot.new { model = "m", base_url = "http://127.0.0.1:9/v1" }
  local reply = assert(bot:stream("x", { max_retries = 0 }))
  local list = {}
  for i, frame in ipairs(frames) do
    local code = ("local chatbot, bot, reply = ... %s\n\n%s\n%s"):format(frame[1], line, frame[2])
    local program = assert((loadstring or load)(code, "@program.lua"))
    local ok, err = pcall(program, chatbot, bot, reply)
    assert.is_false(ok, line)
    list[i] = err
  end
  reply:close()
  return list
end

local cases = {
  -- the module
  { "chatbot.new()", "new", 1, "table expected, got " },
  { "chatbot.new 'gpt-4.1'", "new", 1, "table expected, got string" },
  { "chatbot.new { bad = 1 }", "new", 1, "unknown option 'bad'" },
  { "chatbot.new { headers = 1 }", "new", 1, "option 'headers' must be a table" },
  { "chatbot.new { tools = 1 }", "new", 1, "option 'tools' must be a table" },
  { "chatbot.new { max_tool_rounds = 0 / 0 }", "new", 1, "option 'max_tool_rounds' must be" },
  { "chatbot.new { model = {} }", "new", 1, "the list of models is empty" },
  { "chatbot.new { model = { 1 } }", "new", 1, "model 1 of the list is no string" },
  { "chatbot.new { model = 'm', provider = 'x' }", "new", 1, "unknown provider 'x'" },
  { "chatbot.new { messages = { 1 } }", "new", 1, "message 1 is no table" },
  { "local make = chatbot.new make { bad = 1 }", "make", 1, "unknown option 'bad'" },
  { "chatbot.poll 'x'", "poll", 1, "number expected, got string" },
  { "chatbot.poll(0 / 0)", "poll", 1, "not a number of seconds" },
  { "chatbot.poll(0, 5)", "poll", 2, "table expected, got number" },
  { "chatbot.poll(0, { budget = 0 })", "poll", 2, "not a number of milliseconds" },
  { "chatbot.poll(0, { bugdet = 1 })", "poll", 2, "unknown option 'bugdet'" },
  { "chatbot.poll(0, { 1 })", "poll", 2, "unknown option 'number'" },
  { "chatbot.poll(0, { budget = 'x' })", "poll", 2, "number expected, got string" },
  { "chatbot.register(1)", "register", 2, "table expected, got no value" },
  { "chatbot.register('a:b', {})", "register", 1, "" },
  { "chatbot.array(1)", "array", 1, "table expected, got number" },
  { "chatbot.document()", "document", 1, "string expected, got nil" },
  { "chatbot.document('x.pdf', 1)", "document", 2, "table expected, got number" },
  { "chatbot.document('x.pdf', { name = 1 })", "document", 2, "option 'name' must be a string" },
  { "chatbot.document('x.pdf', { detail = 'low' })", "document", 2, "unknown option 'detail'" },
  { "chatbot.image()", "image", 1, "string expected, got nil" },
  { "chatbot.image('x.png', 1)", "image", 2, "table expected, got number" },
  { "chatbot.image('x.png', { detail = 1 })", "image", 2, "option 'detail' must be a string" },
  { "chatbot.image('x.png', { max_byte = 1 })", "image", 2, "unknown option 'max_byte'" },
  { "chatbot.image('x.png', { max_bytes = 0.5 })", "image", 2, "option 'max_bytes' must be" },
  { "chatbot.save(1, 'x')", "save", 1, "chatbot expected, got number" },
  { "chatbot.save(bot)", "save", 2, "string expected, got nil" },
  { "chatbot.load()", "load", 1, "string expected, got nil" },
  { "chatbot.load('x', 1)", "load", 2, "table expected, got number" },
  { "chatbot.load('PATH', { bad = 1 })", "load", 2, "unknown option 'bad'" },
  { "chatbot.load('PATH', { tools = 1 })", "load", 2, "option 'tools' must be a table" },
  { "chatbot.all()", "all", 1, "table expected, got nil" },
  { "chatbot.all { reply, bot }", "all", 1, "2 of the list is no reply" },
  { "chatbot.race(1)", "race", 1, "table expected, got number" },
  { "chatbot.race { 1 }", "race", 1, "1 of the list is no reply: 1" },
  { "chatbot.max_concurrent 'x'", "max_concurrent", 1, "number expected, got string" },
  { "chatbot.max_concurrent(-1)", "max_concurrent", 1, "not a number of requests" },
  { "chatbot.budget(0 / 0)", "budget", 1, "not a number of milliseconds" },

  -- the bot
  { "bot:chat(true)", "chat", 1, "string expected, got boolean" },
  { "bot:chat('x', 1)", "chat", 2, "table expected, got number" },
  { "bot:chat('x', { headers = 1 })", "chat", 2, "option 'headers' must be a table" },
  { "bot:chat('x', { model = 'y' })", "chat", 2, "option 'model' belongs to the bot" },
  { "bot:chat('x', { json = 1 })", "chat", 2, "option 'json' must be a boolean" },
  { "bot:chat('x', { json = true, timeout = -1 })", "chat", 2, "option 'timeout' must be" },
  { "bot:chat('x', { tools = { 1 } })", "chat", 2, "tool 1 has no name" },
  { "bot:chat { 'a', nil, 'b' }", "chat", 1, "part 2 of the prompt is missing: b" },
  { "bot:chat({ 'a', nil, 'b' }, { json = true })", "chat", 1, "part 2 of the prompt" },
  { "bot.chat(bot, 'x', 1)", "chat", 3, "table expected, got number" },
  { "local ask = bot.chat ask(bot, true)", "ask", 2, "string expected, got boolean" },
  { "pcall(bot.set_wait, bot) error((select(2, pcall(bot.chat, bot, true))), 0)", "chat", 2,
    "string expected, got boolean" },
  { "bot:stream(true)", "stream", 1, "string expected, got boolean" },
  { "bot:stream('x', { wait = 1 })", "stream", 2, "option 'wait' must be a function" },
  { "bot:stream('x', { strict = 1 })", "stream", 2, "option 'strict' must be a boolean" },
  { "bot:set_messages()", "set_messages", 1, "table expected, got " },
  { "bot:fork():set_messages { {} }", "set_messages", 1, "message 1 has no role" },
  { "bot:tool_result(1)", "tool_result", 1, "string expected, got number" },
  { "bot:fork():tool_result('x', print)", "tool_result", 2, "the result cannot be sent" },
  { "bot:set_model()", "set_model", 1, "string expected, got nil" },
  { "bot:set_model(5)", "set_model", 1, "string expected, got number" },
  { "bot:set_model {}", "set_model", 1, "the list of models is empty" },
  { "bot:set_model('m', 1)", "set_model", 2, "table expected, got number" },
  { "bot:set_model('m', { bad = 1 })", "set_model", 2, "unknown option 'bad'" },
  { "bot:set_model('m', { on_tool = 1 })", "set_model", 2, "option 'on_tool' must be" },
  { "bot:set_model('m', { messages = {} })", "set_model", 2, "the conversation is not" },
  { "bot:set_wait(1)", "set_wait", 1, "function expected, got number" },
  { "bot:models(1)", "models", 1, "table expected, got number" },
  { "bot:models { timeout = 'x' }", "models", 1, "option 'timeout' must be" },

  -- the reply
  { "reply:wait 'x'", "wait", 1, "number expected, got string" },
  { "reply:wait(0 / 0)", "wait", 1, "not a number of seconds" },
}

-- The names in the tables of the reference.
local function manual()
  local text = support.read_file("doc/reference.md")
  local names = { chatbot = {}, bot = {}, reply = {} }
  for object, name in text:gmatch("`(%l+)[.:]([%l_]+)%(") do
    if names[object] then names[object][name] = true end
  end
  return names
end

describe("misuse", function()
  after_each(collect)

  local path
  setup(function()
    path = support.tmpdir() .. "/talk.json"
    assert(chatbot.save(chatbot.new { model = "m" }, path))
  end)

  for _, case in ipairs(cases) do
    local line, name, arg, text = case[1], case[2], case[3], case[4]
    it("is told where it is: " .. line, function()
      for _, err in ipairs(errors_of((line:gsub("PATH", path)))) do
        local start = ("program.lua:3: bad argument #%d to '%s' (%s"):format(arg, name, text)
        assert.equal(start, err:sub(1, #start))
      end
    end)
  end

  it("is told where it is, of every method that is called on something else", function()
    local names, count = manual(), 0
    for object, expected in pairs { bot = "chatbot", reply = "chatbot.reply" } do
      for name in pairs(names[object]) do
        for got, value in pairs { number = "5", table = "{}", userdata = "io.stdout" } do
          for _, err in ipairs(errors_of(("%s.%s(%s)"):format(object, name, value))) do
            assert.equal(("program.lua:3: bad argument #1 to '%s' (%s expected, got %s)"):format(
              name, expected, got), err)
          end
          count = count + 1
        end
      end
    end
    assert.is_true(count > 60, count)
  end)

  it("has a case for every function of the manual that takes something", function()
    local nothing = { pollfd = true, timeout = true, warmup = true, providers = true }
    local seen = {}
    for _, case in ipairs(cases) do seen[case[2]] = true end
    for name in pairs(manual().chatbot) do
      assert.is_true(seen[name] or nothing[name] or false, name)
    end
  end)

  it("in a callback is that of the callback", function()
    local server = support.serve { support.sse { "a" } }
    local bot = chatbot.new { model = "m", base_url = server.url }
    local program = assert((loadstring or load)(
      "local bot = ...\nreturn function()\nbot:chat('x', 1)\nend", "@program.lua"))
    local ok, err = pcall(bot.chat, bot, "x", { on_text = program(bot) })
    assert.is_false(ok)
    assert.equal("program.lua:3: bad argument #2 to 'chat' (table expected, got number)", err)
  end)
end)
