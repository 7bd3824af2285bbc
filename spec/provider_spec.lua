-- Providers: which one a model's name finds, with which address and whose key.
--
-- Most cases run in a process of their own, whose environment has no key and
-- no address of a provider but those that the case gives.

local bots = require "spec.support.bots"
local json = require "cjson"
local support = require "spec.support"

local specs = require "chatbot.providers"

-- The documented facts, written down once more.
local DOCUMENTED = {
  { "gemini", "https://generativelanguage.googleapis.com/v1beta/openai",
    { "GOOGLE_API_KEY", "GEMINI_API_KEY" } },
  { "xai", "https://api.x.ai/v1", { "XAI_API_KEY" } },
  { "plamo", "https://api.platform.preferredai.jp/v1", { "PLAMO_API_KEY" } },
  { "lmstudio", "http://localhost:1234/v1", {} },
  { "anthropic", "https://api.anthropic.com/v1", { "ANTHROPIC_API_KEY" } },
  { "mistral", "https://api.mistral.ai/v1", { "MISTRAL_API_KEY" } },
  { "deepseek", "https://api.deepseek.com", { "DEEPSEEK_API_KEY" } },
  { "moonshot", "https://api.moonshot.ai/v1", { "MOONSHOT_API_KEY" } },
  { "perplexity", "https://api.perplexity.ai", { "PERPLEXITY_API_KEY" } },
  { "openai", "https://api.openai.com/v1", { "OPENAI_API_KEY" } },
  { "groq", "https://api.groq.com/openai/v1", { "GROQ_API_KEY" } },
  { "openrouter", "https://openrouter.ai/api/v1", { "OPENROUTER_API_KEY" } },
  { "together", "https://api.together.xyz/v1", { "TOGETHER_API_KEY" } },
  { "fireworks", "https://api.fireworks.ai/inference/v1", { "FIREWORKS_API_KEY" } },
  { "cerebras", "https://api.cerebras.ai/v1", { "CEREBRAS_API_KEY" } },
  { "qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    { "DASHSCOPE_API_KEY" } },
  { "zai", "https://api.z.ai/api/paas/v4", { "ZHIPU_API_KEY" } },
  { "nvidia", "https://integrate.api.nvidia.com/v1", { "NVIDIA_API_KEY" } },
  { "github", "https://models.github.ai/inference", { "GITHUB_TOKEN" } },
  { "huggingface", "https://router.huggingface.co/v1", { "HF_TOKEN" } },
  { "azure", nil, { "AZURE_OPENAI_API_KEY" } },
  { "ollama", "http://localhost:11434/v1", {} },
  { "llamaserver", "http://localhost:8080/v1", { "LLAMA_API_KEY" } },
  { "vllm", "http://localhost:8000/v1", { "VLLM_API_KEY" } },
}

-- Every variable that a provider looks at, unset, and what `more` says.
local function environment(more)
  local env = {}
  for _, spec in ipairs(specs) do
    for _, name in ipairs(spec.api_key_env or {}) do env[name] = false end
    for _, name in pairs(spec.header_env or {}) do env[name] = false end
    for _, field in ipairs { "base_url_env", "api_version_env" } do
      if spec[field] then env[spec[field]] = false end
    end
  end
  for name, value in pairs(more or {}) do env[name] = value end
  return env
end

-- What the script writes with `out(value)`, one value for each call.
local function child(script, env, args)
  local result = support.run_lua([[
    local chatbot = require "chatbot"
    local json = require "cjson"
    local function out(value) io.write(json.encode(value), "\n") end
    local function fails(fn, ...)
      local ok, err = pcall(fn, ...)
      return not ok and tostring(err) or nil
    end
  ]] .. script, { env = environment(env), args = args })
  assert.equal(0, result.status, result.err)
  assert.equal("", result.err)
  local values = {}
  for line in result.out:gmatch("[^\n]+") do
    values[#values + 1] = json.decode("[" .. line .. "]")[1]
  end
  return values
end

local function collect()
  support.close_all()
  collectgarbage()
  collectgarbage()
end

-- A server that answers everything; the requests' headers are what matters.
local function answering()
  return support.serve { support.sse { "ok" } }
end

local function header(server, n, name)
  return server:requests()[n].named[name]
end


describe("the providers", function()
  it("are where their documents say, and take the keys from there", function()
    local rows = child "out(chatbot.providers())"[1]
    assert.equal(#DOCUMENTED, #rows)
    for i, known in ipairs(DOCUMENTED) do
      assert.equal(known[1], rows[i].name)
      assert.equal(known[2], rows[i].base_url, known[1])
      assert.same(known[3], rows[i].api_key_env, known[1])
      assert.is_false(rows[i].has_key, known[1])
    end
  end)

  it("are listed with whether there is a key, never with the key", function()
    local env = {}
    for i, known in ipairs(DOCUMENTED) do
      for _, name in ipairs(known[3]) do env[name] = "sk-secret-" .. i end
    end
    local result = support.run_lua([[
      local chatbot = require "chatbot"
      local seen = {}
      local function show(value)
        if type(value) ~= "table" or seen[value] then return print(value) end
        seen[value] = true
        for k, v in pairs(value) do show(k) show(v) end
      end
      show(chatbot.providers())
      show(chatbot.new { model = "gemini-2.5-flash" }:get_provider())
      show(debug.getregistry())
      for _, row in ipairs(chatbot.providers()) do
        print("has", row.name, row.has_key)
      end
    ]], { env = environment(env) })
    assert.equal("", result.err)
    assert.is_nil(result.out:find("secret", 1, true))
    for _, known in ipairs(DOCUMENTED) do
      assert.truthy(result.out:find(("has\t%s\t%s\n"):format(known[1],
        tostring(#known[3] > 0)), 1, true), known[1])
    end
  end)

  it("have a key when any of their variables has one, and an empty one is none", function()
    local found = child([[
      for _, row in ipairs(chatbot.providers()) do
        if row.has_key then out(row.name) end
      end
    ]], { GEMINI_API_KEY = "x", GOOGLE_API_KEY = "", OPENAI_API_KEY = "" })
    assert.same({ "gemini" }, found)
  end)

  it("are listed as copies", function()
    assert.same({ "gemini", "GOOGLE_API_KEY" }, child [[
      local rows = chatbot.providers()
      rows[1].name, rows[1].api_key_env[1] = "mine", "HOME"
      out(chatbot.providers()[1].name)
      out(chatbot.providers()[1].api_key_env[1])
    ]])
  end)
end)

describe("a model's name", function()
  local cases = {
    { "gpt-4.1", "openai", "gpt-4.1" },
    { "o3", "openai", "o3" },
    { "", "openai", "" },
    { "unheard-of", "openai", "unheard-of" },
    { "gemini-2.5-flash", "gemini", "gemini-2.5-flash" },
    { "models/gemini-2.5-pro", "gemini", "models/gemini-2.5-pro" },
    { "Gemini-2.5", "gemini", "Gemini-2.5" },
    { "grok-4", "xai", "grok-4" },
    { "plamo-2.1-prime", "plamo", "plamo-2.1-prime" },
    { "lmstudio", "lmstudio", "lmstudio" },
    { "my-lmstudio-model", "lmstudio", "my-lmstudio-model" },
    { "claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5" },
    { "mistral-large", "mistral", "mistral-large" },
    { "codestral-latest", "mistral", "codestral-latest" },
    { "ministral-8b", "mistral", "ministral-8b" },
    { "magistral-small", "mistral", "magistral-small" },
    { "deepseek-chat", "deepseek", "deepseek-chat" },
    { "kimi-k2", "moonshot", "kimi-k2" },
    { "sonar-pro", "perplexity", "sonar-pro" },
    -- the first rule that fits counts
    { "gemini-like-grok", "gemini", "gemini-like-grok" },
    { "grok-on-lmstudio", "xai", "grok-on-lmstudio" },
    { "deepseek-claude", "anthropic", "deepseek-claude" },
    -- prefixes of names are prefixes only
    { "my-mistral", "openai", "my-mistral" },
    { "open-kimi", "openai", "open-kimi" },
    { "not-deepseek", "openai", "not-deepseek" },
    -- a provider's name and a colon
    { "ollama:llama3.2", "ollama", "llama3.2" },
    { "ollama:llama3.2:1b", "ollama", "llama3.2:1b" },
    { "groq:llama-3.3-70b-versatile", "groq", "llama-3.3-70b-versatile" },
    { "openrouter:openai/gpt-oss-20b", "openrouter", "openai/gpt-oss-20b" },
    { "openrouter:google/gemini-2.5-flash", "openrouter", "google/gemini-2.5-flash" },
    { "lmstudio:qwen3-8b", "lmstudio", "qwen3-8b" },
    { "llamaserver:", "llamaserver", "" },
    { "openai:gemini-clone", "openai", "gemini-clone" },
    -- fine-tuned models are OpenAI's, whoever tuned them
    { "ft:gpt-4.1:acme::abc", "openai", "ft:gpt-4.1:acme::abc" },
    { "ft:gpt-4o-mini:grok-and-claude::abc", "openai", "ft:gpt-4o-mini:grok-and-claude::abc" },
  }

  it("finds its provider", function()
    local names = {}
    for i, case in ipairs(cases) do names[i] = ("%q"):format(case[1]) end
    local found = child(([[
      for _, model in ipairs { %s } do
        local bot = chatbot.new { model = model }
        local provider = bot:get_provider()
        out { provider.name, bot:get_model(), provider.base_url, provider.model }
      end
    ]]):format(table.concat(names, ", ")))
    local urls = {}
    for _, known in ipairs(DOCUMENTED) do urls[known[1]] = known[2] end
    assert.equal(#cases, #found)
    for i, case in ipairs(cases) do
      assert.same({ case[2], case[3], urls[case[2]], case[3] }, found[i], case[1])
    end
  end)

  -- With the provider that may have been meant.
  local refused = {
    { "grop:llama-3.3-70b", "groq" },
    { "Groq:llama-3.3-70b", "groq" },
    { "opnai:gpt-4.1", "openai" },
    { "open-router:x", "openrouter" },
    { "llama:3.2", "ollama" },
    -- a word that a rule knows means the provider of that rule
    { "grok:4", "xai" },
    { "claude:sonnet", "anthropic" },
    { "anthropic.claude-sonnet-4-v1:0", "anthropic" },
    { "kimi:k2", "moonshot" },
    -- names with a slash are a gateway's
    { "deepseek/deepseek-r1:free", "openrouter" },
    { "hf.co/unsloth/Qwen3-14B-GGUF:Q6_K_XL", "openrouter" },
    -- no rule is asked about the rest
    { "nobody:gemini-2.5-flash" },
    { "llama3.2:1b" },
    { "FT:gpt-4.1:acme::abc" },
    { ":x" },
    { "1:x" },
    { " groq:x", "groq" },
    { ("x"):rep(100000) .. ":y" },
  }

  it("with a word before a colon that is no provider is refused", function()
    local names = {}
    for i, case in ipairs(refused) do names[i] = case[1] end
    local list = support.tmpdir() .. "/names"
    support.write_file(list, table.concat(names, "\n"))
    local found = child([[
      local bot = chatbot.new { model = "gpt-4.1" }
      for model in io.lines(arg[1]) do
        out { fails(chatbot.new, { model = model }), fails(bot.set_model, bot, model),
          fails(chatbot.new, { model = { model, "gpt-4.1" } }),
          bot:get_model(), { bot:_route(model) } }
        assert(select(2, bot:_route(model)).kind == "config")
      end
    ]], { OPENAI_API_KEY = "sk-openai-0" }, { list })
    assert.equal(#refused, #found)
    for i, case in ipairs(refused) do
      local word = case[1]:match("^[^:]*")
      for k = 1, 3 do
        local text = found[i][k]
        assert.truthy(text:find("unknown provider", 1, true), case[1])
        assert.truthy(text:find("'" .. word:gsub("^%s+", ""):sub(1, 20), 1, true), text)
        assert.truthy(text:find("did you mean '" .. (case[2] or ""), 1, true), text)
        assert.truthy(#text < 400, text)
      end
      assert.equal("gpt-4.1", found[i][4])
    end
    support.remove_all()
  end)

  it("is what it is with a base_url", function()
    local server = answering()
    local names = { "mistral:7b", "qwen:7b", "grop:llama", "hf.co/unsloth/Qwen3-14B-GGUF:Q6_K_XL",
      "minimax/minimax-m3:free", "ft:x", ":x", "openai:gpt-4.1" }
    local found = child(([[
      local bot
      for _, model in ipairs { %s } do
        assert(chatbot.new({ model = model, base_url = arg[1], timeout = 10 }):chat("x"))
        bot = bot or chatbot.new { model = "m", base_url = arg[1], timeout = 10 }
        bot:set_model(model)
        out(bot:get_model())
        assert(bot:chat("x"))
      end
    ]]):format('"' .. table.concat(names, '", "') .. '"'), { MISTRAL_API_KEY = "sk-mistral-0",
      DASHSCOPE_API_KEY = "sk-qwen-0", OPENAI_API_KEY = "sk-openai-0" }, { server.url })
    assert.same(names, found)
    assert.equal(2 * #names, #server:requests())
    for i, request in ipairs(server:requests()) do
      assert.equal(names[math.ceil(i / 2)], request.json.model)
      assert.is_nil(request.named.authorization)
    end
  end)

  it("loses with the option provider only the prefix of that one", function()
    assert.same({ "qwen3:8b", "x", "ollama", "groq:x", "ollama:x", "olla:x" }, child [[
      for _, model in ipairs { "qwen3:8b", "ollama:x", "ollama", "groq:x", "ollama:ollama:x",
        "olla:x" } do
        out(chatbot.new({ model = model, provider = "ollama" }):get_model())
      end
    ]])
  end)

  it("is overruled by the option provider", function()
    local found = child [[
      local function show(opts)
        local bot = chatbot.new(opts)
        out { bot:get_provider().name, bot:get_model() }
      end
      show { model = "gemini-2.5-flash", provider = "openrouter" }
      show { model = "openrouter:x", provider = "openrouter" }
      show { model = "groq:x", provider = "openrouter" }
      show { provider = "llamaserver" }
      out(fails(show, { model = "x", provider = "nobody" }))
    ]]
    assert.same({ "openrouter", "gemini-2.5-flash" }, found[1])
    assert.same({ "openrouter", "x" }, found[2])
    assert.same({ "openrouter", "groq:x" }, found[3])
    assert.same({ "llamaserver", "" }, found[4])
    assert.truthy(found[5]:find("unknown provider 'nobody'", 1, true))
  end)
end)

describe("base_url", function()
  after_each(collect)

  -- What is given (after the origin), the path asked for, what get_provider says.
  local forms = {
    { "/v1", "/v1/chat/completions", "/v1" },
    { "/v1/", "/v1/chat/completions", "/v1" },
    { "/v1///", "/v1/chat/completions", "/v1" },
    { "", "/chat/completions", "" },
    { "/", "/chat/completions", "" },
    { "/v1/chat/completions", "/v1/chat/completions", "/v1" },
    { "/v1/chat/completions/", "/v1/chat/completions", "/v1" },
    { "/a/b/openai/v1?api-version=1&x=y", "/a/b/openai/v1/chat/completions?api-version=1&x=y",
      "/a/b/openai/v1" },
    { "/d/chat/completions?api-version=1", "/d/chat/completions?api-version=1", "/d" },
    { "/caf%C3%A9/v1", "/caf%C3%A9/v1/chat/completions", "/caf%C3%A9/v1" },
  }
  for _, form in ipairs(forms) do
    it(("%q asks for %s"):format(form[1], form[2]), function()
      local server = answering()
      local chatbot = require "chatbot"
      local bot = chatbot.new { base_url = server.origin .. form[1], model = "m", timeout = 10 }
      assert.equal(server.origin .. form[3], bot:get_provider().base_url)
      assert.equal("ok", (bot:chat("x")))
      assert.equal(form[2], server:requests()[1].target)
    end)
  end

  local bad = { "", "127.0.0.1/v1", "ftp://127.0.0.1/v1", "file:///etc/passwd", "http://",
    "http:///v1", "https://user:pass@127.0.0.1/v1", "http://u@127.0.0.1/v1",
    "http://127.0.0.1/v1#top", "http://127.0.0.1 /v1", "http://127.0.0.1/\nv1",
    "http://127.0.0.1/\1", "http://caf\195\169.example/v1", "javascript:1" }
  for _, url in ipairs(bad) do
    it(("%q is refused before any input or output"):format(url), function()
      local chatbot = require "chatbot"
      local bot = chatbot.new { base_url = url, model = "m", timeout = 10 }
      local answer, err = bot:chat("x")
      assert.is_nil(answer)
      assert.equal("config", err.kind, tostring(err))
      assert.is_nil(tostring(err):find("pass@", 1, true))
      assert.same({}, bot:get_messages())
    end)
  end

  it("with a key needs https, but for loopback and who allows it", function()
    local chatbot = require "chatbot"
    local function kind(url, opts)
      local all = { base_url = url, model = "m", api_key = "sk-0123456789", max_retries = 0,
        connect_timeout = 0.05 }
      for name, value in pairs(opts or {}) do all[name] = value end
      local _, err = chatbot.new(all):chat("x")
      return err.kind
    end
    local port = support.dead_port()
    assert.equal("config", kind("http://192.0.2.1/v1"))
    assert.equal("config", kind("http://127.0.0.1.example.org/v1"))
    assert.equal("config", kind("http://localhost.example.org/v1"))
    assert.not_equal("config", kind("http://192.0.2.1/v1", { allow_insecure_http = true }))
    assert.equal("connect", kind("http://127.0.0.1:" .. port .. "/v1"))
    assert.equal("connect", kind("http://localhost:" .. port .. "/v1"))
  end)

  it("never gets a key from the environment unless a provider is named", function()
    local server = answering()
    local env = { OPENAI_API_KEY = "sk-openai-0123", GOOGLE_API_KEY = "sk-google-0123",
      GROQ_API_KEY = "sk-groq-0123" }
    local has = child([[
      local function ask(opts)
        opts.base_url, opts.timeout = arg[1], 10
        local bot = chatbot.new(opts)
        assert(bot:chat("x"))
        out(bot:get_provider().has_key)
      end
      ask { model = "gpt-4.1" }
      ask { model = "gemini-2.5-flash" }
      ask { model = "gpt-4.1", api_key = "sk-mine-0123" }
      ask { model = "groq:llama" }
      ask { model = "llama", provider = "groq" }
      ask { model = "gpt-4.1", provider = "gemini" }
      ask { model = "llama", provider = "groq", api_key = "sk-mine-0123" }
      ask { model = "x", provider = "ollama" }
    ]], env, { server.url })
    local expected = { false, false, "sk-mine-0123", false, "sk-groq-0123", "sk-google-0123",
      "sk-mine-0123", false }
    for i, key in ipairs(expected) do
      assert.equal(key and "Bearer " .. key or nil, header(server, i, "authorization"), i)
      assert.equal(key and true or false, has[i])
    end
  end)
end)

describe("a key", function()
  after_each(collect)

  it("that is missing is a failure that names the variable", function()
    local errors = child [[
      for _, model in ipairs { "gpt-4.1", "gemini-2.5-flash", "groq:x", "plamo-2" } do
        local answer, err = chatbot.new { model = model }:chat("x")
        assert(answer == nil)
        out { err.kind, err.message, err.provider, err.model }
      end
    ]]
    for i, name in ipairs { "OPENAI_API_KEY", "GOOGLE_API_KEY", "GROQ_API_KEY",
      "PLAMO_API_KEY" } do
      assert.equal("config", errors[i][1])
      assert.truthy(errors[i][2]:find(name, 1, true), errors[i][2])
    end
    assert.same({ "groq", "x" }, { errors[3][3], errors[3][4] })
  end)

  it("is optional for local servers, and sent when it is there", function()
    local server = answering()
    for _, key in ipairs { false, "sk-llama-0123" } do
      child([[
        chatbot.register("llamaserver", { base_url = arg[1] })
        assert(chatbot.new { provider = "llamaserver", timeout = 10 }:chat("x"))
      ]], { LLAMA_API_KEY = key }, { server.url })
    end
    assert.is_nil(header(server, 1, "authorization"))
    assert.equal("Bearer sk-llama-0123", header(server, 2, "authorization"))
  end)

  it("comes from the first of the variables that is set", function()
    local server = answering()
    local script = [[
      chatbot.register("gemini", { base_url = arg[1] })
      assert(chatbot.new { model = "gemini-2.5-flash", timeout = 10 }:chat("x"))
    ]]
    child(script, { GOOGLE_API_KEY = "sk-first", GEMINI_API_KEY = "sk-second" }, { server.url })
    child(script, { GEMINI_API_KEY = "sk-second" }, { server.url })
    child(script, { GOOGLE_API_KEY = "", GEMINI_API_KEY = "sk-second" }, { server.url })
    assert.equal("Bearer sk-first", header(server, 1, "authorization"))
    assert.equal("Bearer sk-second", header(server, 2, "authorization"))
    assert.equal("Bearer sk-second", header(server, 3, "authorization"))
  end)

  it("as a function is asked for each request, with the provider's name, not before", function()
    local server = answering()
    local result = child([[
      local asked = {}
      local keys = { "sk-one-0123", "sk-two-0123" }
      local bot = chatbot.new { base_url = arg[1], model = "m", provider = "groq", timeout = 10,
        api_key = function(name, address)
          asked[#asked + 1] = name
          assert(address == arg[1])
          return keys[#asked]
        end }
      bot:get_provider()
      tostring(bot)
      out(#asked)
      assert(bot:chat("a"))
      assert(bot:chat("b"))
      assert(bot:chat("c"))
      out(asked)
    ]], { GROQ_API_KEY = "sk-environment" }, { server.url })
    assert.same({ 0, { "groq", "groq", "groq" } }, result)
    assert.equal("Bearer sk-one-0123", header(server, 1, "authorization"))
    assert.equal("Bearer sk-two-0123", header(server, 2, "authorization"))
    assert.is_nil(header(server, 3, "authorization"))
  end)

  it("function stays when the model changes, and is told the provider", function()
    local server = answering()
    local asked = child([[
      for _, name in ipairs { "openai", "gemini" } do
        chatbot.register(name, { base_url = arg[1] .. "/" .. name })
      end
      local bot = chatbot.new { model = "gpt-4.1", timeout = 10, api_key = function(name)
        out(name)
        return "sk-" .. name .. "-0123"
      end }
      assert(bot:chat("a"))
      bot:set_model("gemini-2.5-flash")
      assert(bot:chat("b"))
    ]], {}, { server.origin })
    assert.same({ "openai", "gemini" }, asked)
    assert.equal("Bearer sk-openai-0123", header(server, 1, "authorization"))
    assert.equal("Bearer sk-gemini-0123", header(server, 2, "authorization"))
  end)

  it("function that fails, or gives no string, is a failure without its value", function()
    local server = answering()
    local errors = child([[
      for _, key in ipairs { function() error("sk-secret is wrong") end,
        function() return { "sk-secret" } end, function() return 12 end } do
        local bot = chatbot.new { base_url = arg[1], api_key = key, timeout = 10 }
        local answer, err = bot:chat("x")
        assert(answer == nil and #bot:get_messages() == 0)
        out { err.kind, tostring(err) }
      end
    ]], {}, { server.url })
    for _, err in ipairs(errors) do
      assert.equal("config", err[1])
      assert.is_nil(err[2]:find("secret", 1, true))
    end
    assert.equal(0, #server:requests())
  end)

  it("with a byte that no header may have is refused with its position only", function()
    local chatbot = require "chatbot"
    for _, case in ipairs { { "sk-\n0123456789", 4 }, { "sk-0123456789\r", 14 },
      { "caf\195\169-0123456789", 4 }, { "\127sk-0123456789", 1 } } do
      local bot = chatbot.new { base_url = "http://127.0.0.1:1/v1", api_key = case[1] }
      local _, err = bot:chat("x")
      assert.equal("config", err.kind)
      assert.truthy(err.message:find("position " .. case[2], 1, true), err.message)
      assert.is_nil(tostring(err):find("0123456789", 1, true))
    end
  end)
end)

describe("the environment of OpenAI", function()
  after_each(collect)

  it("gives address, organization and project", function()
    local server = answering()
    local found = child([[
      local bot = chatbot.new { model = "gpt-4.1", timeout = 10 }
      assert(bot:chat("x"))
      out(bot:get_provider().base_url)
      for _, row in ipairs(chatbot.providers()) do
        if row.name == "openai" then out(row.base_url) end
      end
      assert(chatbot.new { model = "gpt-4.1", timeout = 10, organization = "org-mine",
        project = "proj-mine" }:chat("y"))
      assert(chatbot.new { model = "gpt-4.1", timeout = 10,
        headers = { ["openai-organization"] = "org-header" } }:chat("y"))
      -- nobody else's business
      chatbot.register("xai", { base_url = arg[1] })
      assert(chatbot.new { model = "grok-4", timeout = 10 }:chat("z"))
    ]], { OPENAI_BASE_URL = server.origin .. "/from/env/", OPENAI_API_KEY = "sk-env-0123",
      OPENAI_ORG_ID = "org-env", OPENAI_PROJECT_ID = "proj-env", XAI_API_KEY = "sk-xai-0123" },
      { server.url })
    assert.equal(server.origin .. "/from/env", found[1])
    assert.equal(server.origin .. "/from/env/", found[2])
    local requests = server:requests()
    assert.equal("/from/env/chat/completions", requests[1].target)
    assert.equal("Bearer sk-env-0123", requests[1].named.authorization)
    assert.equal("org-env", requests[1].named["openai-organization"])
    assert.equal("proj-env", requests[1].named["openai-project"])
    assert.equal("org-mine", requests[2].named["openai-organization"])
    assert.equal("proj-mine", requests[2].named["openai-project"])
    assert.equal("org-header", requests[3].named["openai-organization"])
    assert.equal("/v1/chat/completions", requests[4].target)
    assert.is_nil(requests[4].named["openai-organization"])
    assert.is_nil(requests[4].named["openai-project"])
  end)

  it("is ignored when a base_url is given", function()
    local server = answering()
    child([[
      assert(chatbot.new { model = "gpt-4.1", base_url = arg[1], timeout = 10 }:chat("x"))
      assert(chatbot.new { model = "gpt-4.1", base_url = arg[1], timeout = 10,
        provider = "openai" }:chat("x"))
      assert(chatbot.new { model = "gpt-4.1", base_url = arg[1], timeout = 10,
        organization = "org-mine" }:chat("x"))
    ]], { OPENAI_BASE_URL = "http://127.0.0.1:1/nowhere", OPENAI_ORG_ID = "org-env" },
      { server.url })
    assert.is_nil(header(server, 1, "openai-organization"))
    assert.equal("org-env", header(server, 2, "openai-organization"))
    assert.equal("org-mine", header(server, 3, "openai-organization"))
  end)

  it("that is empty counts as not set", function()
    assert.same({ "https://api.openai.com/v1" }, child([[
      out(chatbot.new { model = "gpt-4.1" }:get_provider().base_url)
    ]], { OPENAI_BASE_URL = "" }))
  end)
end)

describe("azure", function()
  after_each(collect)

  local ENV = { AZURE_OPENAI_API_KEY = "sk-azure-0123" }

  local function with(more)
    local env = {}
    for _, t in ipairs { ENV, more } do
      for name, value in pairs(t) do env[name] = value end
    end
    return env
  end

  it("has its endpoint from the environment, and sends the key as api-key", function()
    local server = answering()
    child([[assert(chatbot.new { model = "azure:my-gpt", timeout = 10 }:chat("x"))]],
      with { AZURE_OPENAI_ENDPOINT = server.origin .. "/" })
    local request = server:requests()[1]
    assert.equal("/openai/v1/chat/completions", request.target)
    assert.equal("sk-azure-0123", request.named["api-key"])
    assert.is_nil(request.named.authorization)
    assert.equal("my-gpt", request.json.model)
  end)

  it("with an API version asks for the deployment", function()
    local server = answering()
    child([[assert(chatbot.new { model = "azure:my-gpt", timeout = 10 }:chat("x"))]],
      with { AZURE_OPENAI_ENDPOINT = server.origin, OPENAI_API_VERSION = "2024-10-21" })
    local request = server:requests()[1]
    assert.equal("/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
      request.target)
    assert.equal("sk-azure-0123", request.named["api-key"])
  end)

  it("without an endpoint is misuse that says what to set", function()
    local errors = child [[
      out(fails(chatbot.new, { model = "azure:my-gpt" }))
      local bot = chatbot.new { model = "gpt-4.1" }
      out(fails(bot.set_model, bot, "azure:my-gpt"))
      out(bot:get_model())
    ]]
    assert.truthy(errors[1]:find("AZURE_OPENAI_ENDPOINT", 1, true))
    assert.truthy(errors[2]:find("AZURE_OPENAI_ENDPOINT", 1, true))
    assert.equal("gpt-4.1", errors[3])
  end)
end)

describe("set_model", function()
  after_each(collect)

  it("changes the provider and keeps the conversation", function()
    local server = answering()
    local names = child([[
      for _, name in ipairs { "openai", "gemini", "xai" } do
        chatbot.register(name, { base_url = arg[1] .. "/" .. name })
      end
      local bot = chatbot.new { model = "gpt-4.1", timeout = 10 }
      assert(bot:chat("a"))
      assert(bot:set_model("gemini-2.5-flash") == bot)
      out { bot:get_model(), bot:get_provider().name }
      assert(bot:chat("b"))
      bot:set_model("xai:grok-4")
      out { bot:get_model(), bot:get_provider().name }
      assert(bot:chat("c"))
      out(#bot:get_messages())
    ]], { OPENAI_API_KEY = "sk-openai-0", GOOGLE_API_KEY = "sk-google-0",
      XAI_API_KEY = "sk-xai-0" }, { server.origin })
    assert.same({ { "gemini-2.5-flash", "gemini" }, { "grok-4", "xai" }, 6 }, names)
    local requests = server:requests()
    for i, row in ipairs { { "openai", "sk-openai-0", "gpt-4.1" },
      { "gemini", "sk-google-0", "gemini-2.5-flash" }, { "xai", "sk-xai-0", "grok-4" } } do
      assert.equal("/" .. row[1] .. "/chat/completions", requests[i].target)
      assert.equal("Bearer " .. row[2], requests[i].named.authorization)
      assert.equal(row[3], requests[i].json.model)
      assert.equal(2 * i - 1, #requests[i].json.messages)
    end
  end)

  it("never takes a key that was given to another address", function()
    local server = answering()
    local kinds = child([[
      local keys = {}
      for i, name in ipairs { "openai", "gemini", "groq" } do
        chatbot.register(name, { base_url = arg[1] .. "/" .. name })
      end
      local bot = chatbot.new { model = "gpt-4.1", api_key = "sk-mine-0123", timeout = 10 }
      assert(bot:chat("a"))
      bot:set_model("gpt-4.1-mini") -- the same provider: the same key
      assert(bot:chat("b"))
      bot:set_model("gemini-2.5-flash")
      out(select(2, bot:chat("c")).kind)
      bot:set_model("gpt-4.1") -- it is gone
      out(select(2, bot:chat("d")).kind)
      bot:set_model("groq:llama", { api_key = "sk-groq-0123" })
      assert(bot:chat("e"))
      bot:set_model("x", { base_url = arg[1] .. "/other" })
      assert(bot:chat("f"))
    ]], {}, { server.origin })
    assert.same({ "config", "config" }, kinds)
    local got = {}
    for i, request in ipairs(server:requests()) do
      got[i] = request.target .. " " .. (request.named.authorization or "none")
    end
    assert.same({ "/openai/chat/completions Bearer sk-mine-0123",
      "/openai/chat/completions Bearer sk-mine-0123",
      "/groq/chat/completions Bearer sk-groq-0123", "/other/chat/completions none" }, got)
  end)

  it("keeps a given base_url, and the provider named for it, until an option says otherwise",
  function()
    local found = child [[
      local bot = chatbot.new { model = "m", base_url = "http://127.0.0.1:1/v1" }
      local function set(...)
        bot:set_model(...)
        local p = bot:get_provider()
        out { p.name, p.base_url, bot:get_model() }
      end
      set("gemini-2.5-flash")
      set("other")
      set("ollama:llama3.2")
      set("m", { base_url = "http://127.0.0.1:2/v1/" })
      set("m", { provider = "groq" })
      set("gemini-2.5-flash")
      set("groq:m", { base_url = "http://127.0.0.1:3/v1" })
      set("plain")
      set("m", { provider = "groq", base_url = "http://127.0.0.1:4/v1" })
      set("gemini-2.5-flash")
      set("m", { base_url = "http://127.0.0.1:5/v1" })
    ]]
    assert.same({
      { "gemini", "http://127.0.0.1:1/v1", "gemini-2.5-flash" },
      { "openai", "http://127.0.0.1:1/v1", "other" },
      { "openai", "http://127.0.0.1:1/v1", "ollama:llama3.2" },
      { "openai", "http://127.0.0.1:2/v1", "m" },
      { "groq", "https://api.groq.com/openai/v1", "m" },
      { "gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-flash" },
      { "openai", "http://127.0.0.1:3/v1", "groq:m" },
      { "openai", "http://127.0.0.1:3/v1", "plain" },
      { "groq", "http://127.0.0.1:4/v1", "m" },
      { "groq", "http://127.0.0.1:4/v1", "gemini-2.5-flash" },
      { "openai", "http://127.0.0.1:5/v1", "m" },
    }, found)
  end)

  it("takes no header that was given to another address", function()
    local server = answering()
    child([[
      for _, name in ipairs { "openai", "gemini" } do
        chatbot.register(name, { base_url = arg[1] .. "/" .. name })
      end
      local bot = chatbot.new { model = "gpt-4.1", timeout = 10, organization = "org-mine",
        headers = { Authorization = "Bearer sk-of-openai" } }
      assert(bot:chat("a"))
      bot:set_model("gpt-4.1-mini")
      assert(bot:chat("b"))
      bot:set_model("gemini-2.5-flash")
      assert(bot:chat("c"))
      bot:set_model("gpt-4.1") -- the header is gone, and OpenAI's organization still OpenAI's
      assert(bot:chat("d"))
      bot:set_model("m", { base_url = arg[1] .. "/other" })
      assert(bot:chat("e"))
      bot:set_model("m", { base_url = arg[1] .. "/third", headers = { ["X-A"] = "a" },
        organization = "org-third" })
      assert(bot:chat("f"))
    ]], { OPENAI_API_KEY = "sk-openai-0", GOOGLE_API_KEY = "sk-google-0" }, { server.origin })
    local got = {}
    for i, request in ipairs(server:requests()) do
      got[i] = table.concat({ request.target:match("^/%a+"), request.named.authorization or "none",
        request.named["openai-organization"] or "none", request.named["x-a"] }, " ")
    end
    assert.same({ "/openai Bearer sk-of-openai org-mine", "/openai Bearer sk-of-openai org-mine",
      "/gemini Bearer sk-google-0 none", "/openai Bearer sk-openai-0 org-mine",
      "/other none none", "/third none org-third a" }, got)
  end)

  it("does not send a reply that is under way after it", function()
    local first, second = support.serve { support.http(503) }, answering()
    child([[
      local bot = chatbot.new { model = { "a", "b" }, base_url = arg[1], timeout = 10,
        max_retries = 0, api_key = "sk-of-first" }
      local reply = assert(bot:stream("confidential"))
      bot:set_model({ "a", "b" }, { base_url = arg[2] })
      out(reply:result() == nil)
      bot:set_model("a", { base_url = arg[1] })
      reply = assert(bot:stream("confidential"))
      bot:set_model({ "a", "b" }, { base_url = arg[2] })
      out(reply:result() == nil)
      bot:set_model("a", { base_url = arg[1], tools = { { name = "f" } } })
      reply = assert(bot:stream("confidential"))
      bot:set_model({ "a", "b" }, { base_url = arg[2] })
      out(reply:result() == nil)
    ]], {}, { first.url, second.url })
    assert.equal(3, #first:requests())
    assert.equal(0, #second:requests())
  end)

  it("takes other options, too", function()
    local server = answering()
    local chatbot = require "chatbot"
    local bot = chatbot.new { model = "a", base_url = server.url, temperature = 0.25,
      timeout = 10 }
    bot:set_model("b", { temperature = 0.75, headers = { ["X-A"] = "b" } })
    assert(bot:chat("x"))
    bot:set_model("c")
    assert(bot:chat("y"))
    for i = 1, 2 do
      assert.equal(0.75, server:requests()[i].json.temperature)
      assert.equal("b", header(server, i, "x-a"))
    end
  end)

  it("raises for misuse, and then nothing has changed", function()
    local chatbot = require "chatbot"
    local bot = chatbot.new { model = "m", base_url = "http://127.0.0.1:1/v1" }
    local before = bot:get_provider()
    for _, args in ipairs { { nil }, { true }, { "m", "x" }, { "m", { nonsense = 1 } },
      { "m", { provider = "nobody" } }, { "m", { messages = {} } }, { "m", { system = "s" } },
      { "m", { temperature = "hot" } } } do
      assert.is_false(pcall(bot.set_model, bot, args[1], args[2]))
      assert.same(before, bot:get_provider())
      assert.equal("m", bot:get_model())
    end
  end)
end)

describe("register", function()
  after_each(collect)

  it("adds a provider, with its quirks", function()
    local server = answering()
    local found = child([[
      chatbot.register("acme", { base_url = arg[1] .. "/acme/v2", api_key_env = { "ACME_KEY" },
        auth_header = "X-Acme-Key", match = { "acme" }, match_prefix = { "roadrunner" },
        headers = { ["X-Client"] = "chatbot" }, header_env = { ["X-Team"] = "ACME_TEAM" },
        stream_options = false, rename = { max_tokens = "limit" },
        models = { { prefix = { "acme-think" }, omit = { "temperature" },
          rename = { max_tokens = "think_limit" } } } })
      for _, model in ipairs { "acme-1", "roadrunner-2", "acme:gemini", "acme-think-1" } do
        local bot = chatbot.new { model = model, timeout = 10 }
        assert(bot:chat("x", { max_tokens = 9 }))
        out { bot:get_provider().name, bot:get_model(), bot:get_provider().has_key }
      end
      local rows = chatbot.providers()
      out(rows[#rows])
    ]], { ACME_KEY = "sk-acme-0123", ACME_TEAM = "coyote" }, { server.origin })
    assert.same({ "acme", "acme-1", true }, found[1])
    assert.same({ "acme", "roadrunner-2", true }, found[2])
    assert.same({ "acme", "gemini", true }, found[3])
    assert.same({ "acme", "acme-think-1", true }, found[4])
    assert.same({ name = "acme", base_url = server.origin .. "/acme/v2",
      api_key_env = { "ACME_KEY" }, has_key = true }, found[5])
    for i, request in ipairs(server:requests()) do
      assert.equal("/acme/v2/chat/completions", request.target)
      assert.equal("sk-acme-0123", request.named["x-acme-key"])
      assert.is_nil(request.named.authorization)
      assert.equal("chatbot", request.named["x-client"])
      assert.equal("coyote", request.named["x-team"])
      assert.is_nil(request.json.stream_options)
      assert.is_nil(request.json.max_tokens)
      assert.equal(i < 4 and 9 or nil, request.json.limit)
      assert.equal(i == 4 and 9 or nil, request.json.think_limit)
      assert.equal(i < 4 and 0 or nil, request.json.temperature)
    end
  end)

  it("overrides fields of a provider and leaves the others", function()
    local found = child [[
      local n = #chatbot.providers()
      chatbot.register("xai", { base_url = "http://127.0.0.1:1/v1" })
      out(#chatbot.providers() == n)
      local bot = chatbot.new { model = "grok-4" }
      out(bot:get_provider().base_url)
      out(select(2, bot:chat("x")).message)
    ]]
    assert.equal(true, found[1])
    assert.equal("http://127.0.0.1:1/v1", found[2])
    assert.truthy(found[3]:find("XAI_API_KEY", 1, true))
  end)

  it("does not change bots that are there", function()
    assert.same({ "https://api.x.ai/v1", "http://127.0.0.1:1/v1" }, child [[
      local bot = chatbot.new { model = "grok-4" }
      chatbot.register("xai", { base_url = "http://127.0.0.1:1/v1" })
      out(bot:get_provider().base_url)
      bot:set_model("grok-4")
      out(bot:get_provider().base_url)
    ]])
  end)

  it("keeps a copy of what it is given", function()
    assert.same({ "acme", "http://127.0.0.1:1/v1" }, child [[
      local spec = { base_url = "http://127.0.0.1:1/v1", match = { "acme" } }
      chatbot.register("acme", spec)
      spec.base_url, spec.match[1] = "http://127.0.0.1:2/v1", "gpt"
      out(chatbot.new { model = "acme-1" }:get_provider().name)
      out(chatbot.new { model = "acme-1" }:get_provider().base_url)
    ]])
  end)

  it("raises for bad names and fields, and then nothing has changed", function()
    local found = child [[
      local n = #chatbot.providers()
      local long = { base_url = "http://127.0.0.1:1/v1" }
      for _, args in ipairs {
        {}, { "a" }, { "a", "x" }, { "", long }, { "a:b", long }, { "a b", long },
        { {}, long }, { "a", { base_url = 1 } }, { "a", { base_url = "x" } },
        { "a", { base_url = "ftp://x" } }, { "a", { base_url = "http://u:p@x/" } },
        { "a", { nonsense = 1 } }, { "a", { "x" } }, { "a", { api_key_env = "KEY" } },
        { "a", { api_key_env = { 1 } } }, { "a", { match = "x" } }, { "a", { match = { {} } } },
        { "a", { headers = { "x" } } }, { "a", { headers = { x = 1 } } },
        { "a", { stream_options = "no" } }, { "a", { rename = { max_tokens = true } } },
        { "a", { rename = { "x" } } }, { "a", { models = { "x" } } }, { "a", { auth_header = {} } },
        { "a", { models = { { prefix = "x" } } } }, { "a", { models = { { since = { "1" } } } } },
        { "a", { models = { { own = 1 } } } }, { "a", { models = { { omit = "x" } } } },
        { "a", { models = { { rename = "x" } } } }, { "a", { models = { { nonsense = {} } } } },
        { "a", { api_key_optional = 1 } }, { "xai", { base_url = "x" } },
      } do
        local text = fails(chatbot.register, args[1], args[2])
        if not text or not text:find("bad argument", 1, true) then out(args) end
      end
      assert(#chatbot.providers() == n)
      assert(chatbot.new { model = "grok-4" }:get_provider().base_url == "https://api.x.ai/v1")
    ]]
    assert.same({}, found)
  end)
end)

describe("a rule for models", function()
  after_each(collect)

  -- Whether the temperature is sent for each of these models, asked for as the option
  -- `provider` says, at our server.
  local function temperatures(names, more)
    local server = answering()
    child(([[
      for _, model in ipairs { %s } do
        %s
        chatbot.register(opts.provider or "anthropic", { base_url = arg[1] })
        assert(chatbot.new(opts):chat("x"))
      end
    ]]):format('"' .. table.concat(names, '", "') .. '"', more), {}, { server.url })
    local got = {}
    for i, request in ipairs(server:requests()) do
      got[names[i]] = request.json.temperature ~= nil
    end
    return got
  end

  local KEEP = { "claude-3-5-sonnet-20241022", "claude-3-7-sonnet-latest", "claude-3-opus-20240229",
    "claude-2.1", "claude-v1", "claude-opus-4", "claude-opus-4-0", "claude-opus-4-20250514",
    "claude-opus-4-1-20250805", "claude-opus-4-5", "claude-opus-4-6", "claude-opus-4.6",
    "claude-sonnet-4-5-20250929", "claude-sonnet-4-6", "claude-sonnet-4-9", "claude-haiku-4-5",
    "claude-4.5-haiku-20251001", "claude-4.6-opus", "claude-sonnet-4@20250514",
    "us.anthropic.claude-opus-4-1-20250805-v1", "claude-opus-latest", "claude-3-haiku-48k",
    "claude-distill-70b" }
  local OMIT = { "claude-opus-4-7", "claude-opus-4-7-20260101", "claude-opus-4.7",
    "claude-opus-4.8", "claude-opus-4-10", "claude-opus-5", "claude-opus-5-20270101",
    "claude-opus-10", "claude-sonnet-5", "claude-sonnet-5.1", "claude-haiku-5", "Claude-Opus-4-7",
    "claude-fable-5", "claude-4.7-opus-20260416", "us.anthropic.claude-opus-4-7-v1",
    "anthropic/claude-opus-4.7", "claude-sonnet-5@20270101", "claude-opus-4-7-fast" }

  local function expect(sent, names, more)
    for name, got in pairs(temperatures(names, more)) do assert.equal(sent, got, name) end
  end

  for _, name in ipairs { "anthropic", "openrouter", "github", "vllm" } do
    it("tells by the version which Claude takes a temperature: " .. name, function()
      local more = ("local opts = { provider = %q, model = model, api_key = 'k' }"):format(name)
      expect(true, KEEP, more)
      expect(false, OMIT, more)
    end)
  end

  it("is off where the provider's rules are none, and at an unknown server", function()
    expect(true, OMIT, [[local opts = { provider = "anthropic", model = model, api_key = "k" }
      chatbot.register("anthropic", { models = {} })]])
    expect(true, OMIT, "local opts = { model = model, base_url = arg[1] }")
    expect(false, OMIT, "local opts = { model = model, base_url = arg[1], provider = 'vllm' }")
  end)

  it("is for the models for which all of its conditions hold", function()
    local more = [[
      local opts = { provider = "a", model = model }
      chatbot.register("a", { models = { { prefix = { "x-", "y-" }, match = { "big" },
        since = { big = "2", large = "3.1" }, omit = { "temperature" } },
        { omit = { "temperature" } } } })
    ]]
    expect(false, { "x-big-2", "y-big.2.5", "Y-very-big-large-3-1", "x-big-10" }, more)
    expect(true, { "z-big-2", "x-small-2", "x-big", "x-big-1", "x-big-1.9", "x-large-4",
      "x-big-2024", "x-big-2b" }, more)
  end)
end)

describe("the models of a server", function()
  after_each(bots.collect)

  local JSON = { { "Content-Type", "application/json" } }

  local function models(answer)
    local server = support.serve { support.http(200, JSON, support.encode(answer)) }
    return bots.at(server):models()
  end

  for _, case in ipairs {
    { "data with ids", { object = "list", data = { { id = "b" }, { id = "a" } } }, { "a", "b" } },
    { "a list", support.array { { id = "b", name = "B" }, { id = "a/c" } }, { "a/c", "b" } },
    { "names of URLs", { data = { { id = "models/gemini-2.5-pro" } } }, { "gemini-2.5-pro" } },
    { "models with names", { models = { { name = "llama3.2:1b" }, { name = "a", model = "a" } } },
      { "a", "llama3.2:1b" } },
    { "both", { models = { { name = "x" } }, data = { { id = "a" } } }, { "a" } },
    { "texts", support.array { "b", "a" }, { "a", "b" } },
    { "texts in data", { data = { "b", "models/a" } }, { "a", "b" } },
    { "some that are none", { data = { { id = "a" }, { id = 1 }, 7, { id = "b" } } },
      { "a", "b" } },
    { "none", { object = "list", data = support.array {} }, {} },
    { "null", { object = "list" }, {} },
  } do
    it("are found in " .. case[1], function()
      assert.same({ case[3] }, { models(case[2]) })
    end)
  end

  for name, answer in pairs {
    ["an object without"] = { status = "ok" },
    ["an object with an error"] = { error = { message = "no" } },
    ["a list of something else"] = support.array { { what = 1 } },
    ["data of something else"] = { data = { { what = 1 } } },
    ["data that is a text"] = { data = "a" },
    ["data that is an object"] = { data = { a = { id = "a" } } },
    ["a list of lists"] = support.array { { { id = "a" } } },
  } do
    it("are not in " .. name, function()
      local names, err = models(answer)
      assert.is_nil(names)
      assert.equal("protocol", err.kind)
      assert.equal("the answer is no list of models", err.message)
      assert.equal("openai", err.provider)
    end)
  end
end)
