--- Error tables: the words of the service, on one line, whatever came.

local support = require "spec.support"
local chatbot = require "chatbot"
local json = require "cjson"

local function bot_at(server, opts)
  local all = { base_url = server.url, model = "m", max_retries = 0, timeout = 10 }
  for name, value in pairs(opts or {}) do all[name] = value end
  return chatbot.new(all)
end

-- The error of a request that is answered with this status and body.
local function failed(status, body, opts)
  local server = support.serve { support.http(status, {}, body) }
  local answer, err = bot_at(server, opts):chat("x")
  assert.is_nil(answer)
  return err, server
end

local function length(text)
  local _, n = text:gsub("[^\128-\191]", "")
  return n
end

local REASON = "model is required"

local TOLD = {
  { "express", { error = "Bad Request", message = REASON } },
  { "spring", { timestamp = "2025-01-01", status = 400, error = "Bad Request",
    message = REASON, path = "/v1/chat/completions" } },
  { "spring without a message", { status = 400, error = REASON, message = "" } },
  { "nest", { statusCode = 400, message = { REASON }, error = "Bad Request" } },
  { "a problem document", { type = "about:blank", title = "Bad Request", status = 400,
    detail = REASON } },
  { "a title alone", { title = REASON, status = 400 } },
  { "a name and words", { error = "invalid_request_error", message = "no model" },
    "no model" },
  { "oauth", { error = "invalid_client_or_something_long", error_description = REASON } },
  { "fields with errors", { title = "One or more validation errors occurred.",
    errors = { Model = { REASON } } } },
  { "a list of errors", { message = "The request has failed, as requests do.",
    errors = { { message = REASON } } } },
  { "upstream's words", { error = { message = "Provider returned error", code = 400,
    metadata = { raw = REASON, provider_name = "X" } } } },
  { "upstream's words, JSON in a text", { error = { message = "Provider returned error",
    code = 400, metadata = { raw = json.encode { error = { message = REASON,
      code = "no_model", param = "model" } } } } }, nil, { code = "no_model", param = "model" } },
  { "JSON in a message", { error = { message = json.encode { detail = REASON } } } },
  { "braces that are no JSON", { message = "{model} is required" }, "{model} is required" },
  { "a message in a message", { message = { detail = { { msg = REASON,
    loc = { "body", "model" } } } } }, nil, { param = "model" } },
  { "Japanese", { error = "Bad Request", message = "モデルが必要です" }, "モデルが必要です" },
}

describe("the words of a service", function()
  after_each(support.close_all)

  for _, row in ipairs(TOLD) do
    it("are found in " .. row[1], function()
      local err = failed(400, row[2])
      assert.equal(row[3] or REASON, err.message)
      for name, value in pairs(row[4] or {}) do assert.equal(value, err[name]) end
    end)
  end

  it("come with the address where there is nothing", function()
    for _, status in ipairs { 404, 405 } do
      local server = support.serve { support.http(status, {}, { error = "no such page" }) }
      local _, err = bot_at(server, { base_url = server.url .. "/a?secret=1" }):chat("x")
      local address = server.url .. "/a/chat/completions"
      assert.equal("no such page (" .. address .. ")", err.message)
      assert.truthy(tostring(err):find(address, 1, true))
    end
    local long = failed(404, { error = ("word "):rep(1000) })
    assert.truthy(long.message:find("/chat/completions)", 1, true))
    assert.equal(500, length(long.message))
  end)

  it("are few of an endless body, and the same wherever it ends", function()
    local deep = ("{\"error\":"):rep(60) .. '"x y"' .. ("}"):rep(60)
    assert.equal("http", failed(400, deep).kind)
    local wide = {}
    for i = 1, 2000 do wide["f" .. i] = { "text " .. i } end
    assert.equal("http", failed(400, { errors = wide }).kind)
  end)
end)

describe("message and tostring", function()
  after_each(support.close_all)

  it("are one line of UTF-8 without control characters", function()
    local err = failed(400, '{"error":{"message":"a\\u0000b\\r\\n\\u001b[31mc\\u009b1md\\u2028e'
      .. '\\u202ef\\u007fg \195\169\255","type":"t\\nu","code":"c\\u001b"}}')
    assert.equal("a b [31mc 1md e f g \195\169\239\191\189", err.message)
    assert.equal("http 400: " .. err.message .. " [openai m]", tostring(err))
    assert.same({ "t u", "c" }, { err.type, err.code })
    local plain = failed(500, "oh\27]0;x\7 no\194\155\226\128\174!\255\255.")
    assert.equal("the server answered HTTP 500: oh ]0;x no ! .", plain.message)
  end)

  it("have at most 500 characters, in any language", function()
    for _, char in ipairs { "x", "é", "語", "😀", "\1a" } do
      for _, n in ipairs { 480, 500, 501, 9000 } do
        local err = failed(400, { error = { message = char:rep(n) } })
        assert.is_true(length(err.message) <= 500, err.message)
        assert.is_true(length(err.message) >= 480, err.message)
        assert.is_true(length(tostring(err)) <= 500)
        assert.truthy(tostring(err):find("[openai m]", 1, true))
      end
    end
  end)

  it("have no more with what the module has to say behind the server's words", function()
    local long = ("wort "):rep(200)
    local server = support.serve { support.http(503, { ["retry-after-ms"] = "1" },
      { error = { message = long } }) }
    local _, err = bot_at(server, { max_retries = 20 }):chat("x")
    assert.equal(500, length(err.message))
    assert.truthy(err.message:find("...; no further tries at 127.0.0.1:", 1, true), err.message)
    assert.truthy(err.message:find(": the last ten failed$"), err.message)
    local chunk = { choices = { { delta = { content = "a" },
      finish_reason = "function_call_filter: " .. long, error = { message = long } } } }
    server = support.serve { { support.head(200, {}), support.event(support.encode(chunk)),
      { close = true } } }
    _, err = bot_at(server):chat("x")
    assert.equal("api", err.kind)
    assert.equal(500, length(err.message))
    assert.truthy(err.message:find("...: finish_reason function_call_filter: wort", 1, true))
  end)

  it("show letters of any language in a body that is no JSON", function()
    local err = failed(502, "<title>エラー</title>" .. ("語"):rep(1000))
    local shown = err.message:match(": (<title>エラー</title>.*)$")
    assert.equal(200, length(shown))
  end)

  it("are there whatever a program puts into the table", function()
    local err = failed(400, { error = { message = "bad" } })
    local values = { {}, function() end, true, 12, 0 / 0, "a\nb", ("x"):rep(9000), "\255" }
    for _, value in ipairs(values) do
      for _, name in ipairs { "kind", "phase", "status", "message", "provider", "model" } do
        local before = err[name]
        err[name] = value
        local text = tostring(err)
        assert.is_nil(text:find("[%c]"))
        assert.is_true(length(text) <= 500)
        err[name] = before
      end
    end
    for name in pairs(err) do err[name] = nil end
    assert.equal("", tostring(err))
  end)

  it("are what concatenation takes", function()
    local err = failed(400, { error = { message = "bad" } })
    local text = tostring(err)
    assert.equal(text .. "!", err .. "!")
    assert.equal("failed: " .. text, "failed: " .. err)
    assert.equal("1" .. text .. "2", 1 .. err .. 2)
    assert.equal(text .. text, err .. err)
    assert.has_error(function() return err .. {} end, "attempt to concatenate a table value")
    assert.has_error(function() return nil .. err end, "attempt to concatenate a nil value")
  end)
end)

describe("a server that is down", function()
  it("is no proxy, however its address is written", function()
    local port = support.dead_port()
    for _, host in ipairs { "127.1", "0x7f000001", "2130706433", "%6cocalhost",
      "[0:0:0:0:0:0:0:1]" } do
      local result = support.run_lua(([[
        local bot = require("chatbot").new { model = "m", base_url = "http://%s:%d/v1",
          max_retries = 0, timeout = 10 }
        local _, err = bot:chat("x")
        io.write(err.kind, " ", tostring(err))
      ]]):format(host, port), { env = { http_proxy = false, all_proxy = false,
        ALL_PROXY = false } })
      assert.equal("connect", result.out:match("^%S+"), result.out .. result.err)
    end
  end)
end)

describe("a function api_key that raises", function()
  after_each(support.close_all)

  local function told(raise)
    local server = support.serve { support.sse { "ok" } }
    local answer, err = bot_at(server, { api_key = raise }):chat("x")
    assert.is_nil(answer)
    assert.equal("config", err.kind)
    assert.equal(0, #server:requests())
    return err.message
  end

  it("is told", function()
    assert.equal("the function api_key failed: the keychain is locked",
      told(function() error("the keychain\nis locked", 0) end))
    assert.equal("the function api_key failed: no luck",
      told(function()
        error(setmetatable({}, { __tostring = function() return "no luck" end }))
      end))
    assert.truthy(told(function() error(12) end):find("12", 1, true))
    for _, value in ipairs { {}, true, setmetatable({}, { __tostring = error }) } do
      assert.equal("the function api_key failed: it raised no text",
        told(function() error(value) end))
    end
  end)

  it("does not tell what looks like a key", function()
    for _, key in ipairs { "sk-abcdef", "Zm9vYmFyYmF6cXV4MTIzNA",
      "0123456789abcdef0123456789abcdef" } do
      local message = told(function() error("not valid: " .. key .. " (see the manual)", 0) end)
      assert.equal("the function api_key failed: not valid: [redacted] (see the manual)", message)
    end
  end)
end)
