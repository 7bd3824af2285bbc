--- Secrets: errors and reports never show them, answers are left as they are.

local support = require "spec.support"
local chatbot = require "chatbot"

local KEY = "sk-SECRET/abcdef+0123456789="

local function bot_at(server, opts)
  local all = { base_url = server.url, model = "m", max_retries = 0, timeout = 10 }
  for name, value in pairs(opts or {}) do all[name] = value end
  return chatbot.new(all)
end

local function whole(message, more)
  local out = { id = "x", choices = { { index = 0, finish_reason = "stop", message = message } } }
  for name, value in pairs(more or {}) do out[name] = value end
  return support.http(200, {}, out)
end

describe("an answer", function()
  after_each(support.close_all)

  -- What manuals tell people to give a local server, and words of the protocol.
  local DUMMIES = { "test", "ollama", "none", "EMPTY", "lm-studio", "role", "content", "choices",
    "message", "assistant", "finish_reason", "delta", KEY }

  for _, key in ipairs(DUMMIES) do
    it("with the key " .. key .. " in it is left as it is", function()
      local text = ("Run: %s pull, then %s serve (%s)."):format(key, key, key:rep(2))
      local server = support.serve {
        whole({ role = "assistant", content = text, reasoning_content = key, refusal = key },
          { id = key, model = key }),
        support.sse({ { content = text:sub(1, 7) }, { content = text:sub(8) } },
          { id = key, model = key }),
      }
      local bot = bot_at(server, { api_key = key })
      local answer, reply = bot:chat("How?", { stream = false })
      assert.equal(text, answer)
      assert.equal(key, reply.reasoning)
      assert.equal(key, reply.id)
      assert.equal(text, reply.raw.choices[1].message.content)
      local events = {}
      answer, reply = bot:chat("How?", {
        on_event = function(event) events[#events + 1] = event end })
      assert.equal(text, answer)
      assert.equal(text, bot:get_messages()[2].content)
      assert.equal(text, bot:get_messages()[4].content)
      assert.equal(key, reply.raw.id)
      assert.equal(key, events[1].id)
    end)

    it("that calls a tool with the key " .. key .. " in it calls that tool", function()
      local calls = { { index = 0, id = "c" .. key, type = "function",
        ["function"] = { name = "run_test", arguments = '{"cmd":"make ' .. key .. '"}' } } }
      local server = support.serve {
        support.sse({ { tool_calls = calls } }, { finish_reason = "tool_calls" }),
        support.sse { "ok" },
      }
      local got
      local tool = { name = "run_test", call = function(args)
        got = args.cmd
        return got
      end }
      local bot = bot_at(server, { api_key = key, tools = { tool } })
      assert.equal("ok", (bot:chat("run them")))
      assert.equal("make " .. key, got)
      assert.equal("make " .. key, bot:get_messages()[3].content)
    end)
  end

  it("that was cut is left as it is", function()
    local server = support.serve { { support.head(200, { Connection = "close" }), support.event(
      '{"choices":[{"delta":{"content":"the key is ' .. KEY .. '"}}]}'), { close = true } } }
    local _, err = bot_at(server, { api_key = KEY }):chat("x")
    assert.equal("the key is " .. KEY, err.partial)
  end)
end)

describe("an error", function()
  after_each(support.close_all)

  local function message(body, opts, status)
    local server = support.serve { support.http(status or 401, {}, body) }
    local _, err = bot_at(server, opts):chat("x")
    return err.message, err
  end

  it("hides the key after JSON has been decoded", function()
    local body = '{"error":{"message":"bad key \\u0073k-SECRET\\/abcdef\\u002b0123456789=.",'
      .. '"type":"\\u0073k-SECRET\\/abcdef+0123456789=","code":"' .. KEY .. '","param":"' .. KEY
      .. '"}}'
    local text, err = message(body, { api_key = KEY })
    assert.equal("bad key [redacted].", text)
    assert.same({ "[redacted]", "[redacted]", "[redacted]" }, { err.type, err.code, err.param })
  end)

  it("hides a short key where it stands alone, and stays readable", function()
    local text, err = message({ error = { message = "testing the latest: test is no key",
      type = "test_error" } }, { api_key = "test" })
    assert.equal("testing the latest: [redacted] is no key", text)
    assert.equal("test_error", err.type)
    text, err = message({ error = { message = "x" } }, { api_key = "openai" })
    assert.same({ "x", "openai", "http" }, { text, err.provider, err.kind })
    text = message({}, { api_key = "choices" }, 200)
    assert.equal("the answer has no choices", text)
  end)

  it("hides the beginning of a key that the end of the body cuts", function()
    for n = 4, #KEY - 1 do
      local head = '{"error":{"message":"Incorrect API key provided: '
      local text = message(head .. KEY:sub(1, n), { api_key = KEY })
      assert.truthy(text:find("provided: [redacted]", 1, true), text)
      text = message(head .. KEY .. '"}}', { api_key = KEY, max_error_bytes = #head + n })
      assert.truthy(text:find("provided: [redacted]", 1, true), text)
    end
  end)

  it("hides what was given as a header", function()
    for name, value in pairs { Authorization = "Bearer " .. KEY, ["x-api-key"] = KEY,
      ["api-key"] = KEY, ["x-goog-api-key"] = KEY, ["X-My-Token"] = KEY, ["Cookie"] = "a=" .. KEY,
      ["Proxy-Authorization"] = "Basic " .. KEY, ["X-Other"] = "Zm9vYmFyYmF6cXV4MTIzNA" } do
      local echo = value:match("[^ ]+$"):gsub("^a=", "")
      local text = message({ error = { message = "bad: " .. echo .. "!" } },
        { headers = { [name] = value } })
      assert.equal("bad: [redacted]!", text, name)
    end
    chatbot.register("redact-spec", { base_url = "http://127.0.0.1:1/v1",
      headers = { ["X-Gateway-Key"] = KEY } })
    local text = message({ error = { message = "bad: " .. KEY } }, { provider = "redact-spec" })
    assert.equal("bad: [redacted]", text)
  end)

  it("hides the password of a proxy", function()
    local proxy = support.serve { support.http(400, {},
      { error = { message = "no S3CRET/PW S3CRET%2FPW dXNlcjpTM0NSRVQvUFc= for user" } }) }
    local _, err = chatbot.new({ model = "m", base_url = "http://llm.invalid/v1",
      proxy = "http://user:S3CRET%2FPW@127.0.0.1:" .. proxy.port, max_retries = 0,
      timeout = 10 }):chat("x")
    assert.equal("http", err.kind, tostring(err))
    assert.equal("no [redacted] [redacted] [redacted]c= for user", err.message)
  end)

  it("of a bad proxy is config, before anything is sent, and does not show it", function()
    for _, proxy in ipairs { "ftp://user:S3CRETPW@proxy.invalid:3128", "h://user:S3CRETPW@x:1",
      "http://user:S3CRETPW@bad host:3128", "http://user:S3CRETPW@127.0.0.1:99999",
      "http://user:S3CRETPW@", "http://user:S3CRETPW@h\0:1", "http://user:S3CRETPW\195\169@h:1",
      "http://user:S3CRETPW@h:1\r\n" } do
      local _, err = chatbot.new({ model = "m", base_url = "http://llm.invalid/v1",
        proxy = proxy, max_retries = 0, timeout = 10 }):chat("x")
      assert.equal("config", err.kind, proxy)
      assert.is_nil(tostring(err):find("S3C", 1, true))
    end
  end)

  it("comes where libcurl would pass over the proxy without a word", function()
    local server = support.serve { support.sse { "ok" } }
    local url = server.url:gsub("127.0.0.1", "0.0.0.0") -- no loopback by its name
    for _, escape in ipairs { "%00", "%0d%0a", "%1F" } do
      for _, option in ipairs { true, false } do
        local proxy = ("http://user:S3CRET%sPW@127.0.0.1:1"):format(escape)
        local result = support.run_lua(([[
          local bot = require("chatbot").new { model = "m", base_url = %q, proxy = %s,
            max_retries = 0, timeout = 10 }
          local answer, err = bot:chat("x")
          io.write(answer or err.kind, " ", tostring(err))
        ]]):format(url, option and ("%q"):format(proxy) or "nil"), { env = {
          http_proxy = not option and proxy, no_proxy = false, NO_PROXY = false } })
        assert.equal("config", result.out:match("^%S+"), result.out .. result.err)
        assert.is_nil(result.out:find("S3C", 1, true))
      end
    end
    assert.equal(0, #server:requests())
  end)

  it("of a bad proxy in the environment is config, too", function()
    for _, proxy in ipairs { "ftp://user:S3CRETPW@proxy.invalid:3128",
      "http://user:S3CRETPW@127.0.0.1:99999" } do
      local result = support.run_lua([[
        local bot = require("chatbot").new { model = "m", base_url = "http://llm.invalid/v1",
          max_retries = 0, timeout = 10 }
        local _, err = bot:chat("x")
        io.write(err.kind, " ", tostring(err))
      ]], { env = { http_proxy = proxy } })
      assert.equal("config", result.out:match("^%S+"), result.out .. result.err)
      assert.is_nil(result.out:find("S3C", 1, true))
    end
  end)
end)

describe("verbose", function()
  after_each(support.close_all)

  local function report(script)
    local server = support.serve { script }
    return support.run_lua(([[
      local bot = require("chatbot").new { base_url = %q, model = "m", api_key = %q, verbose = 2,
        max_retries = 0, timeout = 10 }
      bot:chat("x")
    ]]):format(server.url, KEY)).err
  end

  it("hides a key that the answer has, and leaves the rest", function()
    local err = report(support.sse({ "It is ", KEY:sub(1, 9), KEY:sub(10) .. "!" },
      { model = "m" .. KEY }))
    assert.truthy(err:find('"It is [redacted]!"', 1, true), err)
    assert.truthy(err:find("^%[m%[redacted%]%] tokens"), err)
    assert.is_nil(err:find("SECRET", 1, true))
  end)

  it("shows no control characters", function()
    local err = report(support.sse({ "a\194\155b\226\128\174c" }, { model = "m\27]0;x\7\n" }))
    assert.is_nil(err:gsub("\n", ""):find("%c"))
    assert.is_nil(err:find("\194\155", 1, true))
    assert.is_nil(err:find("\226\128\174", 1, true))
  end)
end)

describe("a header", function()
  after_each(support.close_all)

  it("that says where a request ends cannot be set", function()
    local server = support.serve { support.sse { "ok" } }
    for _, name in ipairs { "Content-Length", "content-length", "Transfer-Encoding", "HOST",
      "Connection", "Keep-Alive", "Proxy-Connection", "Expect", "Upgrade", "TE", "Trailer",
      "HTTP2-Settings", ":authority", ":method" } do
      chatbot.register("redact-spec", { base_url = server.url, headers = { [name] = "10" } })
      for _, opts in ipairs { { headers = { [name] = "10" } }, { provider = "redact-spec" } } do
        local answer, err = bot_at(server, opts):chat("x")
        assert.is_nil(answer)
        assert.equal("config", err.kind)
        assert.truthy(err.message:find(name, 1, true), err.message)
      end
    end
    assert.equal(0, #server:requests())
  end)

  it("that stands in the place of a name is not shown", function()
    for _, line in ipairs { "Authorization: Bearer " .. KEY, "x-api-key:" .. KEY,
      "Bearer " .. KEY } do
      local server = support.serve { support.sse { "ok" } }
      local answer, err = bot_at(server, { headers = { [line] = "" } }):chat("x")
      assert.is_nil(answer)
      assert.equal("config", err.kind)
      assert.equal(("'%s...' is not the name of a header"):format(line:match("^[%w-]+")),
        err.message)
      assert.equal(0, #server:requests())
    end
  end)

  it("is not dropped when there are many, but refused when there are too many", function()
    local server = support.serve { support.sse { "ok" } }
    local headers = {}
    for i = 1, 62 do headers["X-H" .. i] = "v" .. i end
    assert(bot_at(server, { headers = headers }):chat("x"))
    for i = 1, 62 do assert.equal("v" .. i, server:requests()[1].named["x-h" .. i]) end
    headers["X-H63"] = "v"
    local answer, err = bot_at(server, { headers = headers }):chat("x")
    assert.is_nil(answer)
    assert.equal("config", err.kind)
    assert.truthy(err.message:find("more than 64 headers", 1, true))
    assert.equal(1, #server:requests())
  end)

  it("takes no stack that is not there, however many there are", function()
    for n = 0, 40, 5 do
      local headers = {}
      for i = 1, n do headers["X-H" .. i] = "v" end
      local bot = chatbot.new { model = "openai:m", base_url = "http://127.0.0.1:1/v1",
        api_key = "kkkkkkkk", organization = "o", project = "p", headers = headers }
      for i = 1, 60 do
        local thread = coroutine.create(function(...)
          local reply = bot:stream("x" .. i)
          reply:close()
          return select("#", ...)
        end)
        local ok, count = coroutine.resume(thread, (table.unpack or unpack)({}, 1, i))
        assert.is_true(ok)
        assert.equal(i, count)
      end
    end
  end)
end)

describe("a NUL", function()
  it("is seen in whatever libcurl gets", function()
    local url = "http://127.0.0.1:1/v1"
    for name, value in pairs { model = "gpt\0x", organization = "o\0x", project = "p\0x",
      ca_file = "/a\0x", proxy = "http://h\0x", base_url = url .. "\0x", api_key = "k\0x" } do
      local opts = { model = "openai:m", base_url = url, api_key = "key-0123", max_retries = 0 }
      opts[name] = value
      local answer, err = chatbot.new(opts):chat("x")
      assert.is_nil(answer)
      assert.equal("config", err.kind, name)
      assert.truthy(err.message:find("position %d"), err.message)
    end
  end)
end)
