-- The programs in examples/, run as a user runs them, against the scripted
-- server. Those that belong to an event loop are in loops_spec.lua.

local support = require "spec.support"

local sse = support.sse

-- Runs examples/NAME with OpenAI at this server.
local function run(name, url, opts)
  opts = opts or {}
  local env = {
    OPENAI_BASE_URL = url, OPENAI_API_KEY = "sk-0123456789", OPENAI_ORG_ID = false,
    OPENAI_PROJECT_ID = false, LLAMA_API_KEY = false, LMSTUDIO_BASE_URL = false,
    LLAMA_BASE_URL = false,
  }
  for key, value in pairs(opts.env or {}) do env[key] = value end
  return support.run_lua(assert(support.read_file("examples/" .. name)),
    { env = env, args = opts.args, stdin = opts.input, timeout = 30 })
end

local function has(text, part)
  assert.truthy(text:find(part, 1, true), ("%q is not in: %s"):format(part, text))
end

local function clean()
  support.close_all()
  support.remove_all()
end

-- The answer whose tokens have these probabilities.
local function with_logprobs()
  local function token(text, p, others)
    local top = {}
    for i, other in ipairs(others or {}) do
      top[i] = { token = other[1], logprob = math.log(other[2]), bytes = support.null }
    end
    return { token = text, logprob = math.log(p), bytes = support.null,
      top_logprobs = support.array(top) }
  end
  local function chunk(text, entry)
    return { id = "c", object = "chat.completion.chunk", choices = { { index = 0,
      delta = { content = text }, logprobs = { content = { entry } } } } }
  end
  return sse { chunk("Ye", token("Ye", 0.9, { { "Ye", 0.9 }, { 'N"o', 0.05 } })),
    chunk("s", token("s", 1)) }
end

local PROBABILITIES = 'Yes\n\n"Ye"         0.90000\n    "N\\"o"       0.05000\n'
  .. '"s"          1.00000\n'

describe("examples/logprobs.lua", function()
  after_each(clean)

  it("shows each token with its alternatives", function()
    local server = support.serve { with_logprobs() }
    local result = run("logprobs.lua", server.url)
    assert.equal("", result.err)
    assert.equal(PROBABILITIES, result.out)
    assert.equal(0, result.status)
    local sent = server:requests()[1].json
    assert.is_true(sent.logprobs)
    assert.equal(5, sent.top_logprobs)
  end)

  it("shows what llama-server has sent", function()
    local server = support.serve { support.raw(support.fixture("llama-2026-logprobs-stream")) }
    local result = run("logprobs.lua", server.url, { args = { "gpt-4.1", "Hi", "3" } })
    assert.equal("", result.err)
    local tokens = 0
    for line in result.out:gmatch("[^\n]+") do
      if line:find('^".*" +[01]%.%d%d%d%d%d$') then tokens = tokens + 1 end
    end
    assert.is_true(tokens > 3, result.out)
    assert.equal(3, server:requests()[1].json.top_logprobs)
  end)

  it("says when there are none, or they were refused", function()
    local result = run("logprobs.lua", support.serve({ sse { "Yes" } }).url)
    assert.equal("Yes\n\nThe server has sent no probabilities.\n", result.out)
    result = run("logprobs.lua", support.serve({ support.http(400, {}, { error = {
      message = "property 'logprobs' is unsupported" } }), support.http(400, {}, { error = {
      message = "property 'top_logprobs' is unsupported" } }), sse { "Yes" } }).url)
    has(result.out, "(logprobs: dropped)")
    has(result.out, "(top_logprobs: dropped)")
  end)

  it("tells what went wrong", function()
    local result = run("logprobs.lua", support.serve({ support.http(401) }).url)
    assert.equal(1, result.status)
    has(result.err, "logprobs.lua: http 401")
  end)
end)

describe("examples/local.lua", function()
  after_each(clean)

  local models = support.http(200, {}, { object = "list", data = { { id = "qwen" } } })

  it("asks LM Studio and llama-server", function()
    local studio = support.serve { models, sse { "Privacy", "." } }
    local llama = support.serve { models, sse { "It is ", "yours." } }
    local result = run("local.lua", "http://127.0.0.1:1/v1",
      { env = { LMSTUDIO_BASE_URL = studio.url, LLAMA_BASE_URL = llama.url } })
    assert.equal("", result.err)
    assert.equal(("\nLM Studio, %s\nmodels: qwen\nPrivacy.\n\nllama-server, %s\nmodels: qwen\n"
      .. "It is yours.\n"):format(studio.url, llama.url), result.out)
    assert.equal(0, result.status)
    for _, server in ipairs { studio, llama } do
      assert.is_nil(server:requests()[2].named.authorization)
    end
    assert.equal("any", llama:requests()[2].json.model)
  end)

  it("says where nobody listens", function()
    local dead = "http://127.0.0.1:" .. support.dead_port() .. "/v1"
    local llama = support.serve { models, sse { "Here." } }
    local result = run("local.lua", dead,
      { env = { LMSTUDIO_BASE_URL = dead, LLAMA_BASE_URL = llama.url } })
    has(result.out, "Nobody listens there.")
    has(result.out, "Here.")
    assert.equal(0, result.status)
    result = run("local.lua", dead, { env = { LMSTUDIO_BASE_URL = dead, LLAMA_BASE_URL = dead } })
    assert.equal(1, result.status, result.err)
  end)
end)

describe("examples/tools.lua", function()
  after_each(clean)

  local function call(i, name, arguments)
    return { index = i, id = "call_" .. i, type = "function",
      ["function"] = { name = name, arguments = arguments } }
  end
  local function asks(...)
    return sse({ { tool_calls = { ... } } }, { finish_reason = "tool_calls", usage = true })
  end

  it("lets the model look things up and order", function()
    local server = support.serve {
      asks(call(0, "today", ""), call(1, "stock", '{"fruit":"apples"}'),
        call(2, "stock", '{"fruit":"bananas"}')),
      asks(call(0, "order", '{"fruit":"apples","count":12}'),
        call(1, "order", '{"fruit":"pears","count":1}')),
      sse({ "Twelve apples, no pear." }, { usage = true }),
    }
    local result = run("tools.lua", server.url)
    assert.equal("", result.err)
    has(result.out, "[today: done]\n[stock: done]\n[stock: the shop does not sell bananas]\n"
      .. "[order: done]\n[order: ")
    has(result.out, "there are not as many]\nTwelve apples, no pear.\n"
      .. "(10 messages, 36 tokens)\n")
    local messages = server:requests()[3].json.messages
    assert.truthy(messages[4].content:find("^%d%d%d%d%-%d%d%-%d%d, %a+$"))
    assert.equal("0", messages[8].content)
    assert.truthy(messages[9].content:find("^error: .*there are not as many$"))
  end)
end)

describe("examples/game.lua", function()
  after_each(clean)

  -- Answers by who is asked, after a while.
  local SCENE = [[
    local request, conn, wire = ...
    local messages = require("cjson").decode(request.body).messages
    local name = messages[1].content:match("You are (%a+)")
    local lines = { Mara = "Welcome!", Odo = "Hm.", Finn = "A dragon?" }
    conn:sleep(({ Mara = 0.3, Odo = 0.1, Finn = 0.2 })[name])
    conn:play(wire.sse({ lines[name] }, { every = 0.02 }))
  ]]

  it("lets three people answer at once while the world goes on", function()
    local server = support.serve { { { lua = SCENE } } }
    local t0 = support.now()
    local result = run("game.lua", server.url, { input = "Hello!\n\nBye!\nquit\n" })
    assert.equal("", result.err)
    assert.equal(0, result.status)
    -- the quickest first: they did not wait for one another
    has(result.out, "  Odo: Hm.\n Finn: A dragon?\n Mara: Welcome!\n")
    assert.equal(6, select(2, result.out:gsub(" %a+: [^\n]+", "")))
    assert.is_true(support.now() - t0 < 5)
    local frames = tonumber(result.out:match("took (%d+) frames"))
    assert.is_true(frames > 10, result.out)
    local requests = server:requests()
    assert.equal(6, #requests)
    local last = requests[6].json.messages
    has(last[#last].content, "said: ")
    has(last[#last].content, "The traveller says: Bye!")
  end)

  it("goes on when somebody cannot answer", function()
    local server = support.serve { support.http(401, {}, { error = { message = "No key." } }) }
    local result = run("game.lua", server.url, { input = "Hello!\n" })
    assert.equal(0, result.status, result.err)
    has(result.out, " Mara: (is silent: No key.)\n")
  end)
end)

describe("examples/chat.lua", function()
  after_each(clean)

  it("holds a conversation with two models", function()
    local server = support.serve { sse { "Scattered light." }, sse { "Blue wins." } }
    local result = run("chat.lua", server.url, { args = { "gpt-4.1", "openai:gpt-4.1-mini" } })
    assert.equal("", result.err)
    has(result.out, "Scattered light.")
    has(result.out, "Blue wins.\n\n5 messages\n")
    assert.equal("gpt-4.1-mini", server:requests()[2].json.model)
  end)
end)
