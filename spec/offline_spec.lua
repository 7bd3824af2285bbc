local json = require "cjson"
local socket = require "socket"
local offline = require "chatbot.offline"
local support = require "spec.support"
local request = require("spec.support.plain").request
local words = require "chatbot.offline.words"

local CHAT = "/v1/chat/completions"

local function user(text)
  return { messages = { { role = "user", content = text } } }
end

describe("the offline server", function()
  local server, port

  setup(function()
    local problem
    server, problem = offline.start { interpreter = support.interpreter(), delay = 0 }
    assert(server, problem)
    port = tonumber(server.base_url:match("^http://127%.0%.0%.1:(%d+)/v1$"))
  end)

  teardown(function()
    if server then server.stop() end
  end)

  local function chat(body)
    local status, headers, text = request(port, "POST", CHAT, json.encode(body))
    return status, headers, text
  end

  -- The decoded events of a stream; the sentinel as the string it is.
  local function events(text)
    local list = {}
    for data in text:gmatch("data: ([^\n]*)\n\n") do
      list[#list + 1] = data == "[DONE]" and data or json.decode(data)
    end
    return list
  end

  it("lists its one model", function()
    local status, headers, text = request(port, "GET", "/v1/models")
    assert.equal(200, status)
    assert.matches("^application/json", headers["content-type"])
    local list = json.decode(text)
    assert.equal("list", list.object)
    assert.equal(1, #list.data)
    assert.equal("eliza", list.data[1].id)
  end)

  it("answers whole, with words counted as usage and no logprobs", function()
    local body = user("Hello there, you")
    body.logprobs = true
    local status, _, text = chat(body)
    assert.equal(200, status)
    local answer = json.decode(text)
    assert.equal("chat.completion", answer.object)
    assert.equal("eliza", answer.model)
    local choice = answer.choices[1]
    assert.equal("assistant", choice.message.role)
    assert.matches("I am no language model", choice.message.content, 1, true)
    assert.equal("stop", choice.finish_reason)
    assert.equal(json.null, choice.logprobs)
    local _, count = choice.message.content:gsub("%S+", "")
    assert.equal(3, answer.usage.prompt_tokens)
    assert.equal(count, answer.usage.completion_tokens)
    assert.equal(3 + count, answer.usage.total_tokens)
  end)

  it("streams word by word what it would answer whole", function()
    local _, _, whole = chat(user("My mother sings"))
    local content = json.decode(whole).choices[1].message.content
    local body = user("My mother sings")
    body.stream = true
    local status, headers, text = chat(body)
    assert.equal(200, status)
    assert.matches("^text/event%-stream", headers["content-type"])
    local list = events(text)
    assert.equal("[DONE]", list[#list])
    assert.equal("assistant", list[1].choices[1].delta.role)
    local said = {}
    for i = 2, #list - 2 do
      assert.equal("chat.completion.chunk", list[i].object)
      assert.equal(list[1].id, list[i].id)
      assert.equal(json.null, list[i].choices[1].finish_reason)
      assert.is_nil(list[i].usage)
      said[#said + 1] = list[i].choices[1].delta.content
    end
    assert.same(words.split(content), said)
    assert.equal("stop", list[#list - 1].choices[1].finish_reason)
  end)

  it("streams usage last when it is asked for", function()
    local body = user("My mother sings")
    body.stream, body.stream_options = true, { include_usage = true }
    local _, _, text = chat(body)
    local list = events(text)
    assert.matches('"choices":[]', text, 1, true)
    for i = 1, #list - 2 do assert.equal(json.null, list[i].usage) end
    local usage = list[#list - 1].usage
    assert.equal(3, usage.prompt_tokens)
    assert.equal(#list - 4, usage.completion_tokens)
    assert.equal(3 + #list - 4, usage.total_tokens)
  end)

  for _, name in ipairs { "max_tokens", "max_completion_tokens" } do
    it("cuts the answer at " .. name, function()
      local body = user("Hello")
      body[name] = 4
      local _, _, text = chat(body)
      local answer = json.decode(text)
      assert.equal("I am no language ", answer.choices[1].message.content)
      assert.equal("length", answer.choices[1].finish_reason)
      assert.equal(4, answer.usage.completion_tokens)
    end)
  end

  it("stops before a text that is named", function()
    local body = user("Hello")
    body.stop = "language"
    local _, _, text = chat(body)
    assert.equal("I am no ", json.decode(text).choices[1].message.content)
    assert.equal("stop", json.decode(text).choices[1].finish_reason)
  end)

  local WEATHER = { type = "function", ["function"] = { name = "weather", strict = true,
    parameters = { type = "object", properties = { city = { type = "string" } },
      required = { "city" }, additionalProperties = false } } }

  it("calls a tool, whole and streamed, and tells what it says", function()
    local body = user("What is the weather in Oslo?")
    body.tools = { WEATHER }
    local _, _, text = chat(body)
    local choice = json.decode(text).choices[1]
    assert.equal("tool_calls", choice.finish_reason)
    assert.equal(json.null, choice.message.content)
    local call = choice.message.tool_calls[1]
    assert.same({ city = "Oslo" }, json.decode(call["function"].arguments))
    body.stream = true
    _, _, text = chat(body)
    local list, arguments = events(text), {}
    for i = 2, #list - 2 do
      local piece = list[i].choices[1].delta.tool_calls[1]
      assert.equal(0, piece.index)
      arguments[i - 1] = piece["function"].arguments
    end
    assert.equal(call["function"].arguments, table.concat(arguments))
    assert.equal("tool_calls", list[#list - 1].choices[1].finish_reason)
    body.stream = nil
    body.messages[2] = choice.message
    body.messages[3] = { role = "tool", tool_call_id = call.id, content = "rain" }
    _, _, text = chat(body)
    assert.equal("weather says: rain", json.decode(text).choices[1].message.content)
  end)

  it("answers by a schema, and thinks when it is asked to", function()
    local body = user("Are they 7 or 8?")
    body.response_format = { type = "json_schema", json_schema = { name = "x", schema = {
      type = "object", properties = { people = { type = "integer" } } } } }
    body.reasoning_effort = "low"
    local _, _, text = chat(body)
    local answer = json.decode(text)
    assert.same({ people = 7 }, json.decode(answer.choices[1].message.content))
    assert.matches("7 or 8", answer.choices[1].message.reasoning_content, 1, true)
    assert.truthy(answer.usage.completion_tokens_details.reasoning_tokens > 0)
  end)

  it("answers several connections at once", function()
    local body = json.encode { messages = user("Hello").messages, stream = true }
    local clients = {}
    for i = 1, 20 do
      local client = assert(socket.connect("127.0.0.1", port))
      client:settimeout(10)
      assert(client:send(("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        .. "Content-Length: %d\r\n\r\n%s"):format(CHAT, #body, body)))
      clients[i] = client
    end
    for _, client in ipairs(clients) do
      local text = assert(client:receive("*a"))
      client:close()
      assert.matches("[DONE]", text, 1, true)
    end
  end)

  it("goes on when a client leaves in the middle of an answer", function()
    local body = json.encode { messages = user("Hello").messages, stream = true }
    local client = assert(socket.connect("127.0.0.1", port))
    client:settimeout(10)
    assert(client:send(("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(
      CHAT, #body, body)))
    assert(client:receive("*l"))
    client:setoption("linger", { on = true, timeout = 0 })
    client:close()
    assert.equal(200, (request(port, "GET", "/v1/models")))
  end)

  local refused = {
    { "bad JSON", "POST", CHAT, '{"messages": [', 400 },
    { "an empty body", "POST", CHAT, "", 400 },
    { "a body that is no object", "POST", CHAT, "7", 400 },
    { "a missing list of messages", "POST", CHAT, '{"model":"eliza"}', 400, "messages" },
    { "an empty list of messages", "POST", CHAT, '{"messages":[]}', 400, "messages" },
    { "null messages", "POST", CHAT, '{"messages":null}', 400, "messages" },
    { "a string of messages", "POST", CHAT, '{"messages":"hi"}', 400, "messages" },
    { "a message that is no object", "POST", CHAT, '{"messages":["hi"]}', 400, "messages[0]" },
    { "a message without a role", "POST", CHAT, '{"messages":[{"content":"x"}]}', 400,
      "messages[0].role" },
    { "content that is a number", "POST", CHAT, '{"messages":[{"role":"user","content":1}]}', 400,
      "messages[0].content" },
    { "several answers", "POST", CHAT, '{"n":2,"messages":[{"role":"user","content":"x"}]}', 400,
      "n" },
    { "a limit that is no number", "POST", CHAT,
      '{"max_tokens":"x","messages":[{"role":"user","content":"x"}]}', 400, "max_tokens" },
    { "an unknown role", "POST", CHAT, '{"messages":[{"role":"bot","content":"x"}]}', 400,
      "messages[0]" },
    { "an unknown part", "POST", CHAT, '{"messages":[{"role":"user","content":[{"type":'
      .. '"input_text","text":"x"}]}]}', 400, "messages[0].content[0]" },
    { "a call without a result", "POST", CHAT, '{"messages":[{"role":"assistant","tool_calls":[{'
      .. '"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"user",'
      .. '"content":"x"}]}', 400, "messages[1].role" },
    { "a result without a call", "POST", CHAT,
      '{"messages":[{"role":"tool","tool_call_id":"1","content":"x"}]}', 400, "messages[0].role" },
    { "a choice without tools", "POST", CHAT,
      '{"tool_choice":"auto","messages":[{"role":"user","content":"x"}]}', 400, "tool_choice" },
    { "stream options without a stream", "POST", CHAT,
      '{"stream_options":{},"messages":[{"role":"user","content":"x"}]}', 400, "stream_options" },
    { "JSON that is nested too deeply", "POST", CHAT, ("["):rep(100000), 400 },
    { "an unknown path", "GET", "/v1/engines", nil, 404 },
    { "a path without /v1", "POST", "/chat/completions", "{}", 404 },
    { "a wrong method for chat", "GET", CHAT, nil, 405, nil, "POST" },
    { "a wrong method for models", "DELETE", "/v1/models", nil, 405, nil, "GET, HEAD" },
  }
  for _, case in ipairs(refused) do
    local name, method, target, body, expected, param, allow = (table.unpack or unpack)(case, 1, 7)
    it(("refuses %s with %d"):format(name, expected), function()
      local status, headers, text = request(port, method, target, body)
      assert.equal(expected, status)
      assert.equal(allow, headers.allow)
      local err = json.decode(text).error
      assert.equal("invalid_request_error", err.type)
      assert.truthy(#err.message > 0)
      assert.equal(param or json.null, err.param)
    end)
  end

  it("ignores a query", function()
    assert.equal(200, (request(port, "GET", "/v1/models?limit=3")))
  end)

  it("takes a body of 8 MiB and refuses a longer one, announced or chunked", function()
    local frame = '{"messages":[{"role":"user","content":"Hello"}],"x":"%s"}'
    local fits = frame:format(("x"):rep(8 * 1024 * 1024 - #frame + 2))
    assert.equal(8 * 1024 * 1024, #fits)
    assert.equal(200, (request(port, "POST", CHAT, fits)))
    local long = fits .. " "
    local status, _, text = request(port, "POST", CHAT, long)
    assert.equal(413, status)
    assert.equal("invalid_request_error", json.decode(text).error.type)
    local chunked = ("%x\r\n%s\r\n0\r\n\r\n"):format(#long, long)
    status = request(port, "POST", CHAT, chunked, { ["Transfer-Encoding"] = "chunked" })
    assert.equal(413, status)
    assert.equal(200, (request(port, "GET", "/v1/models")))
  end)

  it("is bound to the loopback address only", function()
    local udp = socket.udp()
    udp:setpeername("192.0.2.1", 9) -- sends nothing: asks for the own address
    local own = udp:getsockname()
    udp:close()
    if not own or own == "0.0.0.0" or own:find("^127%.") then
      own = "127.0.0.2"
    end
    local client = socket.tcp()
    client:settimeout(2)
    local ok = client:connect(own, port)
    client:close()
    assert.is_nil(ok)
  end)
end)

describe("words", function()
  local cases = {
    { "", {} },
    { "one", { "one" } },
    { "one two  three\nfour", { "one ", "two  ", "three\n", "four" } },
    { " led", { " led" } },
    { "end ", { "end " } },
    { "  ", { "  " } },
    { "café là", { "café ", "là" } },
    { "今日は good です。", { "今", "日", "は ", "good ", "で", "す", "。" } },
    { "a今b", { "a", "今", "b" } },
    { "\240\159\152\128 x", { "\240\159\152\128 ", "x" } },
    { "\255\254x", { "\255\254x" } },
    { "\227x", { "\227", "x" } },
  }
  for _, case in ipairs(cases) do
    it(("cuts %q"):format(case[1]), function()
      local list = words.split(case[1])
      assert.same(case[2], list)
      assert.equal(case[1], table.concat(list))
    end)
  end
end)

describe("the offline server's process", function()
  local function gone(port, seconds)
    return support.deadline(seconds, function()
      local client = socket.connect("127.0.0.1", port)
      if client then client:close() end
      return not client
    end, 0.02)
  end

  -- A script that starts the server, prints its port and then does `rest`.
  local function parent(rest)
    return ([[
      local server = assert(require("chatbot.offline").start())
      io.write(server.base_url:match(":(%%d+)/"), "\n")
      io.flush()
      %s
    ]]):format(rest)
  end

  it("ends on stop(), which may be called twice", function()
    local server = assert(offline.start { interpreter = support.interpreter() })
    local port = tonumber(server.base_url:match(":(%d+)/"))
    assert.equal("eliza", server.model)
    server.stop()
    assert.truthy(gone(port, 2))
    server.stop()
  end)

  it("ends within two seconds when its parent exits without a word", function()
    local result = support.run_lua(parent "os.exit(3)")
    assert.equal(3, result.status, result.err)
    assert.truthy(gone(tonumber(result.out), 2))
  end)

  for _, signal in ipairs { "KILL", "TERM", "HUP" } do
    it(("ends within two seconds when its parent dies of SIG%s"):format(signal), function()
      local dir = support.tmpdir()
      support.write_file(dir .. "/p.lua", parent "io.read()")
      -- A fifo that nobody writes to, so that the parent waits.
      os.execute("mkfifo " .. dir .. "/never")
      local child = support.spawn(("%s %s/p.lua <>%s/never"):format(
        support.interpreter(), dir, dir), {
        env = { LUA_PATH = package.path, LUA_CPATH = package.cpath },
      })
      finally(function()
        child:close()
        support.remove_all()
      end)
      local port = support.deadline(10, function()
        return tonumber((child:output():match("^(%d+)\n")))
      end, 0.02)
      assert.truthy(port, child:output())
      assert.truthy(not gone(port, 0))
      child:kill(signal)
      assert.truthy(gone(port, 2))
    end)
  end

  it("waits between words as long as CHATBOT_OFFLINE_DELAY says", function()
    local result = support.run_lua([[
      local socket = require "socket"
      local server = assert(require("chatbot.offline").start())
      local port = tonumber(server.base_url:match(":(%d+)/"))
      local body = '{"stream":true,"max_tokens":6,"messages":[{"role":"user","content":"hi"}]}'
      local client = assert(socket.connect("127.0.0.1", port))
      client:settimeout(10)
      client:send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        .. "Content-Length: " .. #body .. "\r\n\r\n" .. body)
      local from = socket.gettime()
      assert(client:receive("*a"):find("[DONE]", 1, true))
      io.write(socket.gettime() - from)
      server.stop()
    ]], { env = { CHATBOT_OFFLINE_DELAY = 50 } })
    assert.equal(0, result.status, result.err)
    local seconds = tonumber(result.out)
    assert.truthy(seconds >= 0.3 and seconds < 3, result.out)
  end)

  it("ends at once when its input has already ended", function()
    local result = support.run_lua([[require("chatbot.offline").main()]], { timeout = 10 })
    assert.equal(0, result.status, result.err)
    assert.matches("^listening on http://127%.0%.0%.1:%d+/v1\n$", result.out)
  end)

  it("says so when the interpreter cannot be run", function()
    local server, problem = offline.start { interpreter = "/nonexistent/lua" }
    assert.is_nil(server)
    assert.matches("/nonexistent/lua", problem, 1, true)
  end)

  it("says what to install when lua-http is missing", function()
    local result = support.run_lua([[
      local real = package.path
      package.path = real:gsub("[^;]*/lua/5%.%d/[^;]*;?", "")
      local server, problem = require("chatbot.offline").start()
      assert(not server)
      io.write(problem)
    ]])
    assert.equal(0, result.status, result.err)
    assert.matches("lua-http", result.out, 1, true)
    assert.matches("apt install lua-http", result.out, 1, true)
  end)

  it("says why lua-http, which is there, does not load", function()
    local result = support.run_lua([[
      package.preload["http.server"] = function() error "undefined symbol: x" end
      io.write(select(2, require("chatbot.offline").available()))
    ]])
    assert.matches("^the offline server cannot load lua%-http: .*undefined symbol: x$", result.out)
  end)
end)
