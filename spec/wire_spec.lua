-- The wire: what one chat sends to each provider, to the byte where it matters.
--
-- Real hosts cannot be reached, so in a process of its own every provider is
-- moved to a server of ours with the path that it has in the data, all of them
-- with a key of their own. Whatever else the data say stays as it is.

local support = require "spec.support"

local specs = require "chatbot.providers"

-- provider: model asked for, path, has it a key, and fields that are not so for all
local CASES = {
  { "openai", "gpt-4.1", "/v1", key = true },
  { "gemini", "gemini-2.5-flash", "/v1beta/openai", key = true },
  { "xai", "grok-4", "/v1", key = true },
  { "plamo", "plamo-2.1-prime", "/v1", key = true },
  { "lmstudio", "lmstudio", "/v1" },
  { "llamaserver", "llamaserver:", "/v1", key = true },
  { "anthropic", "claude-sonnet-4-5", "/v1", key = true },
  { "mistral", "mistral-large-latest", "/v1", key = true, no_stream_options = true },
  { "deepseek", "deepseek-chat", "", key = true },
  { "moonshot", "kimi-k2", "/v1", key = true },
  { "perplexity", "sonar-pro", "", key = true, no_stream_options = true },
  { "groq", "groq:llama-3.3-70b-versatile", "/openai/v1", key = true },
  { "openrouter", "openrouter:openai/gpt-oss-20b", "/api/v1", key = true },
  { "together", "together:meta-llama/Llama-3.3-70B", "/v1", key = true },
  { "fireworks", "fireworks:accounts/fireworks/models/x", "/inference/v1", key = true },
  { "cerebras", "cerebras:llama-4", "/v1", key = true },
  { "qwen", "qwen:qwen-max", "/compatible-mode/v1", key = true },
  { "zai", "zai:glm-4.6", "/api/paas/v4", key = true },
  { "nvidia", "nvidia:nemotron", "/v1", key = true },
  { "github", "github:openai/gpt-4.1", "/inference", key = true },
  { "huggingface", "huggingface:Qwen/Qwen3", "/v1", key = true },
  { "azure", "azure:my-deployment", "/openai/v1", key = true, header = "api-key" },
  { "ollama", "ollama:llama3.2", "/v1" },
  { "vllm", "vllm:Qwen/Qwen3", "/v1", key = true },
}

local by_name = {}
for _, spec in ipairs(specs) do by_name[spec.name] = spec end

local function key_of(name) return "sk-" .. name .. "-0123456789" end

-- All keys at once, and the addresses that come from the environment.
local function environment(server)
  local env = { OPENAI_BASE_URL = server.origin .. "/v1", OPENAI_ORG_ID = false,
    OPENAI_PROJECT_ID = false, AZURE_OPENAI_ENDPOINT = server.origin,
    OPENAI_API_VERSION = false, http_proxy = "http://127.0.0.1:1",
    ALL_PROXY = "http://127.0.0.1:1" }
  for _, spec in ipairs(specs) do
    for i, name in ipairs(spec.api_key_env or {}) do
      env[name] = i == 1 and key_of(spec.name) or "sk-second-of-" .. spec.name
    end
  end
  return env
end

-- Every text of a request in which a key might be: "where", text.
local function each_text(request)
  local texts = { { "the request line", request.line }, { "the body", request.body } }
  for _, pair in ipairs(request.headers) do
    texts[#texts + 1] = { "the header " .. pair[1], pair[1] .. ": " .. pair[2] }
  end
  local i = 0
  return function()
    i = i + 1
    if texts[i] then return texts[i][1], texts[i][2] end
  end
end

local function count(request, name)
  local n = 0
  for _, pair in ipairs(request.headers) do
    if pair[1]:lower() == name then n = n + 1 end
  end
  return n
end

describe("one chat sends", function()
  local requests, origin, leaked

  -- All providers in one process, so that every key is within reach of all.
  setup(function()
    local server = support.serve { support.sse({ "ok" }, { usage = true }) }
    local lines = {}
    for _, case in ipairs(CASES) do
      local name, base = case[1], by_name[case[1]].base_url
      if base and not by_name[name].base_url_env then
        lines[#lines + 1] = ("chatbot.register(%q, { base_url = %q })"):format(name,
          server.origin .. base:gsub("^%a+://[^/]+", ""))
      end
    end
    for _, case in ipairs(CASES) do
      lines[#lines + 1] = ("chat(%q)"):format(case[2])
    end
    local result = support.run_lua([[
      local chatbot = require "chatbot"
      local function chat(model)
        local bot = chatbot.new { model = model, system = "Be brief.", timeout = 10,
          max_retries = 0 }
        local answer, reply = bot:chat(" 1たす1は? ")
        assert(answer == "ok", tostring(reply))
        print(bot:get_provider().name, bot, reply)
        -- no key in any table that Lua can reach
        for _, t in ipairs { bot:get_provider(), bot:get_messages(), reply.raw, reply.message } do
          for k, v in pairs(t) do print(k, v) end
        end
      end
    ]] .. table.concat(lines, "\n"), { env = environment(server) })
    assert.equal(0, result.status, result.err)
    leaked = result.out .. result.err
    requests, origin = server:requests(), server.origin
  end)

  teardown(function() support.close_all() end)

  it("one request, for each provider that there is", function()
    assert.equal(#CASES, #requests)
    local seen = {}
    for _, case in ipairs(CASES) do seen[case[1]] = true end
    for _, spec in ipairs(specs) do assert.is_true(seen[spec.name], spec.name) end
    assert.equal(#specs, #CASES)
  end)

  it("nothing to stdout, stderr or into a table that has a key in it", function()
    assert.truthy(leaked:find("openai", 1, true))
    assert.is_nil(leaked:find("0123456789", 1, true))
    assert.is_nil(leaked:find("second-of", 1, true))
  end)

  for i, case in ipairs(CASES) do
    local name = case[1]

    it(("to %s the right request"):format(name), function()
      local request = requests[i]
      assert.equal("POST", request.method)
      assert.equal(case[3] .. "/chat/completions", request.target)
      assert.equal("HTTP/1.1", request.version)

      local body = request.json
      assert.same({ { role = "system", content = "Be brief." },
        { role = "user", content = "1たす1は?" } }, body.messages)
      local model = case[2]:gsub("^" .. name .. ":", "")
      if model == "" then model = nil end
      assert.equal(model, body.model)
      assert.is_true(body.stream)
      assert.equal(0, body.temperature)
      local options = not case.no_stream_options and { include_usage = true } or nil
      assert.same(options, body.stream_options)
      local known = { messages = true, model = true, stream = true, temperature = true,
        stream_options = true }
      for field in pairs(body) do assert.is_true(known[field], field) end

      assert.equal("application/json", request.named["content-type"])
      assert.truthy(request.named.accept:find("text/event-stream", 1, true))
      assert.equal(tostring(#request.body), request.named["content-length"])
      assert.equal(origin, "http://" .. request.named.host)
      assert.is_nil(request.named.expect)
      assert.is_nil(request.named["transfer-encoding"])
      for _, pair in ipairs(request.headers) do
        assert.equal(1, count(request, pair[1]:lower()), pair[1])
      end
    end)

    it(("to %s its own key and no other, in one header"):format(name), function()
      local request = requests[i]
      local where = case.header or "authorization"
      local expected = case.key and (case.header and "" or "Bearer ") .. key_of(name) or nil
      assert.equal(expected, request.named[where])
      for _, other in ipairs { "authorization", "api-key", "x-api-key" } do
        assert.equal(expected and other == where and 1 or 0, count(request, other), other)
      end
      for place, text in each_text(request) do
        if place:lower() ~= "the header " .. where then
          assert.is_nil(text:find("0123456789", 1, true), "a key in " .. place)
        end
        assert.is_nil(text:find("second-of", 1, true), "a key in " .. place)
      end
    end)
  end
end)

describe("a request", function()
  local chatbot = require "chatbot"

  after_each(function()
    support.close_all()
    collectgarbage()
    collectgarbage()
  end)

  local function bot_at(server, opts)
    local all = { base_url = server.url, model = "m", max_retries = 0, timeout = 10 }
    for name, value in pairs(opts or {}) do all[name] = value end
    return chatbot.new(all)
  end

  it("asks for JSON only when it does not stream", function()
    local server = support.serve { support.json_completion("ok") }
    assert.equal("ok", (bot_at(server, { stream = false }):chat("x")))
    local request = server:requests()[1]
    assert.equal("application/json", request.named.accept)
    assert.is_false(request.json.stream)
  end)

  it("has the headers of the bot and of the call, which replace ours", function()
    local server = support.serve { support.sse { "ok" } }
    local bot = bot_at(server, { api_key = "sk-0123456789", headers = { ["X-A"] = "bot",
      ["x-b"] = "bot", ["User-Agent"] = "mine/1" } })
    assert(bot:chat("x", { headers = { ["x-a"] = "call" } }))
    assert(bot:chat("y", { headers = { AUTHORIZATION = "Basic abc", Accept = "text/plain" } }))
    local first, second = server:requests()[1], server:requests()[2]
    assert.equal("call", first.named["x-a"])
    assert.equal("bot", first.named["x-b"])
    assert.equal("mine/1", first.named["user-agent"])
    assert.equal("Bearer sk-0123456789", first.named.authorization)
    assert.equal(1, count(first, "x-a"))
    assert.equal("bot", second.named["x-a"])
    assert.equal("Basic abc", second.named.authorization)
    assert.equal("text/plain", second.named.accept)
    assert.equal(1, count(second, "authorization"))
  end)

  local bad = { { ["X-A"] = "a\r\nX-B: b" }, { ["X-A"] = "caf\195\169" }, { ["X A"] = "b" },
    { ["X-A:"] = "b" }, { [""] = "b" }, { ["X-A"] = {} }, { "X-A: b" }, { ["X\n"] = "b" },
    { ["X-A"] = "a\0b" } }
  for i, headers in ipairs(bad) do
    it(("with bad headers (no. %d) is not sent"):format(i), function()
      local server = support.serve { support.sse { "ok" } }
      for _, where in ipairs { "bot", "call" } do
        local bot = bot_at(server, where == "bot" and { headers = headers } or nil)
        local answer, err = bot:chat("x", where == "call" and { headers = headers } or nil)
        assert.is_nil(answer)
        assert.equal("config", err.kind)
        assert.same({}, bot:get_messages())
      end
      assert.equal(0, #server:requests())
    end)
  end

  -- libcurl 8.14 sends a request without the header whose value has 300 KiB.
  it("has every header, however long, or is not sent", function()
    local server = support.serve { support.sse { "ok" } }
    local function ask(a, b, key)
      local bot = bot_at(server, { api_key = ("k"):rep(key),
        headers = { ["X-A"] = ("a"):rep(a) } })
      return bot:chat("x", { headers = { ["X-B"] = ("b"):rep(b) } })
    end
    for _, n in ipairs { { 1, 1, 250000 }, { 250000, 1, 1 }, { 80000, 80000, 80000 } } do
      assert.equal("ok", (ask(n[1], n[2], n[3])))
      local requests = server:requests()
      local named = requests[#requests].named
      assert.is_true(named["x-a"] == ("a"):rep(n[1]))
      assert.is_true(named["x-b"] == ("b"):rep(n[2]))
      assert.is_true(named.authorization == "Bearer " .. ("k"):rep(n[3]))
    end
    for name, n in pairs { ["X-A"] = { 262200, 1, 1 }, ["X-B"] = { 1, 400000, 1 },
      Authorization = { 100000, 100000, 100000 } } do
      local answer, err = ask(n[1], n[2], n[3])
      assert.is_nil(answer)
      assert.equal("config", err.kind)
      assert.equal("with " .. name .. " the headers are longer than 262144 bytes", err.message)
    end
    assert.equal(3, #server:requests())
  end)

  it("for the models is a GET with the key and without a body", function()
    local server = support.serve { support.http(200, {}, { data = { { id = "b" },
      { id = "a" } } }) }
    local bot = bot_at(server, { api_key = "sk-0123456789" })
    assert.same({ "a", "b" }, bot:models())
    local request = server:requests()[1]
    assert.equal("GET", request.method)
    assert.equal("/v1/models", request.target)
    assert.equal("Bearer sk-0123456789", request.named.authorization)
    assert.equal(0, #request.body)
    assert.same({}, bot:get_messages())
  end)

  it("that follows another uses its connection", function()
    local server = support.serve { support.sse { "ok" } }
    local bot = bot_at(server)
    for _ = 1, 5 do assert(bot:chat("x")) end
    assert.equal(1, #server:connections())
    assert.equal(5, #server:requests())
  end)
end)
