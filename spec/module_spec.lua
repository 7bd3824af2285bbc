-- The module: what require gives and does not do, what `new` takes and refuses.

local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local collect = bots.collect

local function core_path()
  for template in package.cpath:gmatch("[^;]+") do
    local path = template:gsub("%?", "chatbot/core")
    local file = io.open(path, "rb")
    if file then
      file:close()
      return path
    end
  end
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function lines_of(command)
  local lines, pipe = {}, assert(io.popen(command, "r"))
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

-- The error that fn raises, as text.
local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "nothing was raised")
  return tostring(err)
end

local function has(text, part)
  assert.truthy(text:find(part, 1, true), ("%q is not in: %s"):format(part, text))
end

describe("the module", function()
  after_each(collect)

  it("has the functions of its manual and no others", function()
    assert.same({ "_VERSION", "all", "array", "budget", "document", "image", "load",
      "max_concurrent", "new", "poll", "pollfd", "providers", "race", "register", "save",
      "timeout", "warmup" }, sorted_keys(chatbot))
    for name, value in pairs(chatbot) do
      assert.equal(name == "_VERSION" and "string" or "function", type(value), name)
    end
  end)

  it("says its version", function()
    assert.truthy(chatbot._VERSION:find("^chatbot %d+%.%d+%.%d+$"), chatbot._VERSION)
  end)

  it("defines no global", function()
    local result = support.run_lua [[
      local before = {}
      for name in pairs(_G) do before[name] = true end
      local chatbot = require "chatbot"
      chatbot.warmup()
      for name in pairs(_G) do
        if not before[name] then print(name) end
      end
    ]]
    assert.equal("", result.out .. result.err)
    assert.equal(0, result.status)
  end)

  it("exports luaopen_chatbot_core only", function()
    local names = {}
    for _, line in ipairs(lines_of("nm -D --defined-only "
      .. support.quote(assert(core_path())))) do
      -- a version script leaves its version's name as an absolute symbol
      local kind, name = line:match("^%x* *(%a) ([^@]+)")
      if kind ~= "A" then names[#names + 1] = name end
    end
    assert.same({ "luaopen_chatbot_core" }, names)
  end)

  it("is loaded without libcurl and without descriptors, which come with warmup", function()
    local result = support.run_lua [[
      local function read(path)
        local file = assert(io.open(path))
        local text = file:read("*a")
        file:close()
        return text
      end
      local pid = read("/proc/self/stat"):match("^%d+")
      local function count() -- the descriptors that an engine would have
        local pipe = io.popen("ls -l /proc/" .. pid .. "/fd 2>&1") -- one may go meanwhile
        local _, n = pipe:read("*a"):gsub("eventpoll", "")
        pipe:close()
        return n
      end
      local before = count() -- what we were started with
      local function show(when)
        print(when, "curl=" .. tostring(read("/proc/self/maps"):find("libcurl", 1, true) ~= nil),
          "descriptors=" .. count() - before)
      end
      local chatbot = require "chatbot"
      show("required")
      local bot = chatbot.new { model = "gpt-4.1", api_key = "sk-0123456789" }
      bot:set_model("gemini-2.5-flash")
      chatbot.poll()
      chatbot.timeout()
      chatbot.providers()
      show("used")
      assert(chatbot.warmup() == true)
      show("warm")
    ]]
    assert.equal("", result.err)
    assert.equal("required\tcurl=false\tdescriptors=0\n"
      .. "used\tcurl=false\tdescriptors=0\nwarm\tcurl=true\tdescriptors=1\n", result.out)
  end)

  it("is required again after package.loaded was cleared", function()
    local result = support.run_lua [[
      local first = require "chatbot"
      local bot = first.new { model = "m", base_url = "http://127.0.0.1:1/v1" }
      for name in pairs(package.loaded) do
        if name:find("^chatbot") then package.loaded[name] = nil end
      end
      local second = require "chatbot"
      assert(first ~= second)
      second.new { model = "m" }
      print(bot:get_model(), #second.providers() == #first.providers())
    ]]
    assert.equal("", result.err)
    assert.equal("m\ttrue\n", result.out)
  end)
end)

describe("the module's functions", function()
  after_each(collect)

  it("warms up as often as one likes", function()
    assert.is_true(chatbot.warmup())
    assert.is_true(chatbot.warmup())
  end)

  it("has one descriptor to watch, the same one every time", function()
    local fd = chatbot.pollfd()
    assert.equal("number", type(fd))
    assert.equal(fd, chatbot.pollfd())
  end)

  it("has nothing to wait for when nothing is under way", function()
    assert.is_nil(chatbot.timeout())
    local t0 = support.now()
    assert.equal(0, chatbot.poll(5))
    assert.is_true(support.now() - t0 < 1)
  end)

  it("polls up to the seconds given, and counts what is under way", function()
    local server = support.serve { { { stall = true } } }
    local a = chatbot.new { base_url = server.url }:stream("a")
    local b = chatbot.new { base_url = server.url }:stream("b")
    server:wait(2, 5, "request", chatbot.poll)
    local t0 = support.now()
    assert.equal(2, chatbot.poll(0.05))
    local took = support.now() - t0
    assert.is_true(took >= 0.045 and took < 1, "took " .. took)
    assert.is_true(chatbot.timeout() >= 0)
    a:close()
    assert.equal(1, chatbot.poll())
    b:close()
    assert.equal(0, chatbot.poll())
  end)

  it("marks a table as an array, and gives it back", function()
    local list = {}
    assert.equal(list, chatbot.array(list))
    has(raised(chatbot.array, "list"), "table expected")
  end)

  it("raises for a number of seconds that is none", function()
    has(raised(chatbot.poll, "soon"), "number")
    has(raised(chatbot.poll, 0 / 0), "seconds")
  end)
end)

describe("new", function()
  after_each(collect)

  local refused = {
    { nil, "table expected" },
    { "gpt-4.1", "table expected" },
    { { modle = "gpt-4.1" }, "unknown option 'modle'" },
    { { max_tokens = 10 }, "unknown option 'max_tokens'" },
    { { "gpt-4.1" }, "option names must be strings" },
    { { model = 4.1 }, "'model' must be a string" },
    { { provider = true }, "'provider' must be a string" },
    { { provider = "nobody" }, "unknown provider 'nobody'" },
    { { provider = "azure" }, "AZURE_OPENAI_ENDPOINT" },
    { { api_key = 12 }, "'api_key' must be a string or a function" },
    { { messages = "hello" }, "'messages' must be a table" },
    { { messages = { "hello" } }, "message 1 is no table" },
    { { messages = { { role = "user", content = "a" }, { content = "b" } } },
      "message 2 has no role" },
    { { system = {} }, "'system' must be a string" },
    { { temperature = "hot" }, "'temperature' must be a number or false" },
    { { temperature = true }, "'temperature' must be a number or false" },
    { { stream = 1 }, "'stream' must be a boolean" },
    { { keep_partial = "yes" }, "'keep_partial' must be a boolean" },
    { { headers = "X: y" }, "'headers' must be a table" },
    { { wait = "coroutine.yield" }, "'wait' must be a function" },
    { { on_text = {} }, "'on_text' must be a function" },
    { { timeout = -1 }, "'timeout' must be a number of seconds" },
    { { timeout = "10" }, "'timeout' must be a number of seconds" },
    { { idle_timeout = 0 / 0 }, "'idle_timeout' must be a number of seconds" },
    { { connect_timeout = 1 / 0 }, "'connect_timeout' must be a number of seconds" },
    { { first_byte_timeout = {} }, "'first_byte_timeout' must be a number of seconds" },
    { { max_retries = -1 }, "'max_retries' must be a number" },
    { { max_context_tokens = "many" }, "'max_context_tokens' must be a number" },
    { { http_version = 2 }, "'http_version' must be \"1.1\" or \"2\"" },
    { { http_version = "3" }, "'http_version' must be \"1.1\" or \"2\"" },
    { { ca_file = 1 }, "'ca_file' must be a string" },
    { { proxy = false }, "'proxy' must be a string" },
    { { allow_insecure_http = 1 }, "'allow_insecure_http' must be a boolean" },
    { { verbose = "much" }, "'verbose' must be 0, 1 or 2" },
    { { on_reasoning = 1 }, "'on_reasoning' must be a function" },
    { { on_trim = 1 }, "'on_trim' must be a function" },
  }

  for i, case in ipairs(refused) do
    it(("refuses no. %d: %s"):format(i, case[2]), function()
      local text = raised(chatbot.new, case[1])
      has(text, case[2])
      has(text, "bad argument #1")
    end)
  end

  for option, value in pairs { tools = 1, on_tool = {}, max_tool_rounds = "2", json = "yes",
    schema = "object", strict = 1 } do
    it("refuses another type of " .. option, function()
      local text = raised(chatbot.new, { model = "m", [option] = value })
      has(text, "option '" .. option .. "' must be a ")
      local bot = chatbot.new { model = "m", base_url = "http://127.0.0.1:1/v1" }
      has(raised(bot.chat, bot, "x", { [option] = value }), "option '" .. option)
      assert.same({}, bot:get_messages())
    end)
  end

  local numbers = { "timeout", "connect_timeout", "max_retries", "max_context_tokens",
    "max_event_bytes", "max_answer_bytes", "max_error_bytes", "max_header_bytes",
    "max_queue_bytes", "max_request_bytes", "max_tool_rounds", "temperature", "verbose" }
  local nonsense = { 0 / 0, -1, -1e-9, 1 / 0, -1 / 0, 1e16, "1", {} }

  for _, option in ipairs(numbers) do
    it("takes no number for " .. option .. " that makes no sense", function()
      for _, value in ipairs(nonsense) do
        has(raised(chatbot.new, { [option] = value }), "option '" .. option .. "' must be ")
      end
      chatbot.new { [option] = 0 }
      chatbot.new { [option] = 1 }
    end)
  end

  it("takes whole numbers where something is counted", function()
    for _, option in ipairs { "max_retries", "max_context_tokens", "max_event_bytes",
      "max_tool_rounds", "verbose" } do
      has(raised(chatbot.new, { [option] = 1.5 }), "option '" .. option .. "' must be ")
    end
    has(raised(chatbot.max_concurrent, 0.5), "not a number of requests")
    has(raised(chatbot.max_concurrent, 0 / 0), "not a number of requests")
    has(raised(chatbot.max_concurrent, 1e300), "not a number of requests")
    assert.equal(0, chatbot.max_concurrent())
  end)

  it("does not show a key in what it raises", function()
    local text = raised(chatbot.new, { api_key = "sk-secret-0123456789", nonsense = 1 })
    assert.is_nil(text:find("secret", 1, true))
  end)

  it("takes every option of the manual", function()
    local function nothing() end
    assert(chatbot.new {
      model = "m", provider = "openai", base_url = "http://127.0.0.1:1/v1",
      api_key = nothing, messages = {}, system = "s", temperature = 0.5, stream = false,
      headers = { ["X-A"] = "b" }, organization = "o", project = "p", connect_timeout = 1,
      first_byte_timeout = 1, idle_timeout = 1, timeout = 0, max_retries = 0,
      max_context_tokens = 1000, keep_partial = true, wait = nothing, http_version = "1.1",
      ca_file = "/none", proxy = "http://127.0.0.1:1", allow_insecure_http = false,
      verbose = 0, on_text = nothing, replace_invalid_utf8 = true, max_event_bytes = 1e6,
      max_answer_bytes = 1e6, max_error_bytes = 1e4, max_header_bytes = 1e5,
      max_queue_bytes = 1e5, max_request_bytes = 1e7, on_reasoning = nothing,
      on_trim = nothing, tools = {}, on_tool = nothing, max_tool_rounds = 1, json = false,
      schema = {}, strict = true,
    })
  end)

  it("leaves the table of options as it was", function()
    local options = { model = "ollama:llama3.2", system = "s", api_key = "k", messages = {} }
    chatbot.new(options)
    assert.same({ model = "ollama:llama3.2", system = "s", api_key = "k", messages = {} },
      options)
  end)
end)

describe("a limit", function()
  after_each(collect)

  it("of 0 is none, as is one that is out of reach", function()
    local server = support.serve { support.sse({ ("word "):rep(1000) }, { usage = true }) }
    for _, value in ipairs { 0, 1e15 } do
      local bot = chatbot.new { base_url = server.url, model = "m", timeout = value == 0 and 0 or 9,
        max_event_bytes = value, max_answer_bytes = value, max_error_bytes = value,
        max_header_bytes = value, max_queue_bytes = value, max_request_bytes = value,
        max_context_tokens = value, idle_timeout = 0, first_byte_timeout = 0 }
      for _ = 1, 2 do assert.equal(5000, #assert(bot:chat "x")) end
      assert.equal(4, #bot:get_messages())
    end
  end)

  it("of time that is tiny is a limit all the same", function()
    local server = support.serve { support.sse { "a" } }
    for _, value in ipairs { 1e-9, 5e-324 } do
      for _ = 1, 3 do
        local bot = chatbot.new { base_url = server.url, model = "m", timeout = value }
        local answer, err = bot:chat "x"
        assert.is_nil(answer)
        assert.equal("timeout", err.kind)
        assert.equal("total", err.phase)
        assert.equal("a", (bot:chat("x", { timeout = 5 }))) -- leaves a connection that is alive
      end
    end
    assert.has_error(function() chatbot.budget(0) end)
    local before = chatbot.budget()
    assert.is_true(chatbot.budget(5e-324) > 0)
    chatbot.budget(before)
  end)
end)

describe("a bot", function()
  after_each(collect)

  it("is shown with its model and without its key", function()
    local bot = chatbot.new { model = "gpt-4.1", api_key = "sk-secret-0123456789" }
    assert.truthy(tostring(bot):find("^chatbot %(gpt%-4%.1%): "), tostring(bot))
    assert.is_nil(tostring(bot):find("secret", 1, true))
  end)

  it("keeps its metatable to itself", function()
    local bot = chatbot.new { model = "m" }
    assert.equal("locked", getmetatable(bot))
    assert.is_false(pcall(setmetatable, bot, {}))
  end)

  it("raises when a method is called on something else", function()
    local bot = chatbot.new { model = "m" }
    for _, name in ipairs { "chat", "stream", "get_messages", "set_messages", "reset",
      "set_model", "get_model", "get_provider", "models", "tool_result", "fork", "undo",
      "get_usage" } do
      assert.is_false(pcall(bot[name], {}, "x"), name)
      assert.is_false(pcall(bot[name], io.stdout, "x"), name)
      assert.is_false(pcall(bot[name]), name)
    end
    has(raised(bot.stream, io.stdout, "x"), "chatbot expected")
  end)

  it("raises for a prompt or options of the wrong type", function()
    local bot = chatbot.new { model = "m", base_url = "http://127.0.0.1:1/v1" }
    for _, method in ipairs { "chat", "stream" } do
      has(raised(bot[method], bot, true), "string expected")
      has(raised(bot[method], bot, print), "string expected")
      has(raised(bot[method], bot, "hello", "loud"), "table expected")
      has(raised(bot[method], bot, "hello", { timeout = "1" }), "'timeout' must be")
      has(raised(bot[method], bot, "hello", { on_text = 1 }), "'on_text' must be")
      has(raised(bot[method], bot, "hello", { 1 }), "option names must be strings")
      has(raised(bot[method], bot, "hello", { model = "x" }), "belongs to the bot")
      has(raised(bot[method], bot, "hello", { api_key = "x" }), "belongs to the bot")
    end
    assert.same({}, bot:get_messages())
  end)
end)
