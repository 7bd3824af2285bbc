--- The test support itself: that the server plays what it is told, over a raw
--- client, so that no other spec has to wonder. Knows nothing of the module.

package.path = "./?.lua;./?/init.lua;" .. package.path

local cqueues_socket = require "cqueues.socket"
local errno = require "cqueues.errno"
local socket = require "socket"
local strict = require "spec.support.strict"
local support = require "spec.support"

local REQUEST = "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"

local function connect(s)
  local client = assert(socket.connect("127.0.0.1", s.port))
  client:settimeout(10)
  return client
end

-- All bytes of an answer, to the end of the stream, and what ended it.
local function exchange(s, request)
  local client = connect(s)
  assert(client:send(request or REQUEST))
  local bytes, problem, partial = client:receive("*a")
  client:close()
  return bytes or partial, problem
end

-- The errno that ends the stream; nil for an orderly end. lua-socket says "closed"
-- for both, cqueues tells them apart.
local function ending(s, request)
  local client = cqueues_socket.connect("127.0.0.1", s.port)
  client:setmode("bn", "bn")
  client:settimeout(10)
  client:onerror(function(_, _, code) return code end)
  if request ~= "" then client:write(request or REQUEST) end
  local got = {}
  local bytes, code = client:read(-4096)
  while bytes do
    got[#got + 1] = bytes
    bytes, code = client:read(-4096)
  end
  client:close()
  return code, table.concat(got)
end

local function curl(arguments)
  local child = support.spawn("curl -sS --max-time 10 " .. arguments)
  local status = child:wait(15)
  local out, err = child:output()
  child:close()
  return status, out, err
end

describe("the scripted server", function()
  after_each(function()
    support.close_all()
    collectgarbage()
  end)

  it("sends the scripted bytes exactly", function()
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    local bytes = table.concat(all):rep(500)
    local s = support.serve { support.raw(bytes) }
    assert.is_true(exchange(s) == bytes)
  end)

  it("gives each connection its script and repeats the last", function()
    local s = support.serve { support.raw "one", support.raw "two" }
    assert.equal("one", exchange(s))
    assert.equal("two", exchange(s))
    assert.equal("two", exchange(s))
  end)

  it("gives a further request on a kept connection the next script", function()
    local s = support.serve { support.http(200, {}, "one"), support.http(200, {}, "two") }
    local client = connect(s)
    for _, body in ipairs { "one", "two" } do
      client:send(REQUEST)
      repeat
        local line = assert(client:receive("*l"))
      until line == ""
      assert.equal(body, client:receive(3))
    end
    client:close()
    assert.equal(1, s:requests()[2].conn)
  end)

  it("waits for a second request within a script", function()
    local s = support.serve { { "one", { expect_request = true }, "two", { close = true } } }
    local client = connect(s)
    client:send(REQUEST)
    assert.equal("one", client:receive(3))
    client:settimeout(0.1)
    assert.same({ nil, "timeout", "" }, { client:receive(3) })
    client:settimeout(10)
    client:send(REQUEST)
    assert.equal("two", client:receive(3))
    client:close()
  end)

  it("records requests", function()
    local s = support.serve { support.http(200, {}, "ok", { framing = "close" }) }
    exchange(s, "POST /v1/x?y=1 HTTP/1.1\r\nHost: h\r\nX-Two: a\r\nx-two: b\r\n"
      .. "Content-Length: 10\r\n\r\n{\"a\":\"\195\188\"}")
    exchange(s, "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    local list = s:requests()
    assert.equal(2, #list)
    assert.equal("POST", list[1].method)
    assert.equal("/v1/x?y=1", list[1].target)
    assert.equal("HTTP/1.1", list[1].version)
    assert.same({ "X-Two", "a" }, list[1].headers[2])
    assert.equal("a, b", list[1].named["x-two"])
    assert.equal("\195\188", list[1].json.a)
    assert.equal("abcde", list[2].body)
    assert.equal(2, list[2].conn)
  end)

  it("records a request that arrives byte by byte", function()
    local s = support.serve { support.http(200, {}, "ok", { framing = "close" }) }
    local client = connect(s)
    client:setoption("tcp-nodelay", true)
    for i = 1, #REQUEST do client:send(REQUEST:sub(i, i)) end
    assert.truthy(client:receive("*a"):find("ok$"))
    client:close()
    assert.equal("{}", s:requests()[1].body)
  end)

  it("pauses", function()
    local s = support.serve { { "a", { sleep = 0.2 }, "b", { close = true } } }
    local client = connect(s)
    client:send(REQUEST)
    assert.equal("a", client:receive(1))
    local before = support.now()
    assert.equal("b", client:receive(1))
    local took = support.now() - before
    client:close()
    assert.is_true(took > 0.15 and took < 1, "took " .. took)
  end)

  it("drips bytes in writes of their own", function()
    local s = support.serve { { { send = "abcdef", chunk = 2, every = 0.3 }, { close = true } } }
    local client = connect(s)
    client:send(REQUEST)
    local pieces = {}
    while true do
      client:settimeout(0)
      local bytes, problem, partial = client:receive(4096)
      local piece = bytes or partial
      if piece ~= "" then pieces[#pieces + 1] = piece end
      if problem == "closed" then break end
      socket.select({ client }, nil, 5)
    end
    client:close()
    assert.same({ "ab", "cd", "ef" }, pieces)
  end)

  it("ends in order, and the events say so", function()
    local s = support.serve { { "x", { close = true } } }
    local code, bytes = ending(s)
    assert.is_nil(code)
    assert.equal("x", bytes)
    assert.same({ "accepted", "head", "request", "sent", "closed" }, s:history())
  end)

  it("resets: the client sees ECONNRESET", function()
    local s = support.serve {
      { { reset = true } },
      { { before_request = true, reset = true } },
      { "text", { sleep = 0.1 }, { reset = true } },
    }
    assert.equal(errno.ECONNRESET, (ending(s)))
    local early = ending(s, "")
    assert.equal(errno.ECONNRESET, early)
    local code, bytes = ending(s)
    assert.equal(errno.ECONNRESET, code)
    assert.equal("text", bytes)
  end)

  it("half-closes and goes on reading", function()
    local s = support.serve { { "x", { half_close = true }, { wait_close = 5 } } }
    local client = connect(s)
    client:send(REQUEST)
    assert.equal("x", client:receive("*a"))
    assert.truthy(client:send(REQUEST))
    assert.is_true(s:wait(2))
    client:close()
    assert.is_true(s:wait(1, 5, "peer closed"))
  end)

  it("sees the client leave in the middle of a stall", function()
    local s = support.serve { { "x", { stall = true } } }
    local client = connect(s)
    client:send(REQUEST)
    assert.equal("x", client:receive(1))
    local before = support.now()
    client:close()
    assert.is_true(s:wait(1, 5, "peer closed"))
    local events = s:events()
    local last
    for _, event in ipairs(events) do
      if event.what == "peer closed" then last = event end
    end
    assert.equal("fin", last.how)
    assert.is_true(last.at >= before and last.at - before < 1)
  end)

  it("tells a client's reset from its orderly end", function()
    local s = support.serve { { { stall = true } } }
    local client = connect(s)
    client:send(REQUEST)
    assert.is_true(s:wait(1))
    client:setoption("linger", { on = true, timeout = 0 })
    client:close()
    assert.is_true(s:wait(1, 5, "peer closed"))
    assert.equal("peer closed rst", s:history()[4])
  end)

  it("says when a client did not leave", function()
    local s = support.serve { { { wait_close = 0.1 } } }
    local client = connect(s)
    client:send(REQUEST)
    assert.is_true(s:wait(1, 5, "still open"))
    client:close()
  end)

  it("acts before it reads", function()
    local s = support.serve { { { before_request = true, send = "early" }, { stall = true } } }
    local client = connect(s)
    assert.equal("early", client:receive(5))
    assert.equal(0, #s:requests())
    client:close()
  end)

  it("makes big bodies without holding them", function()
    local unit, times = "data:\n", 2000000
    local s = support.serve {
      support.http(200, {}, { repeat_bytes = unit, times = times }, { framing = "close" }),
    }
    local client = connect(s)
    client:send(REQUEST)
    repeat local line = assert(client:receive("*l")) until line == ""
    local n, expected = 0, unit:rep(4096)
    while true do
      local bytes, problem, partial = client:receive(#expected)
      n = n + #(bytes or partial)
      if bytes then assert(bytes == expected) end
      if problem then break end
    end
    client:close()
    assert.equal(#unit * times, n)
  end)

  it("keeps a body up to its limit and counts the rest", function()
    local size = 9 * 1024 * 1024
    local s = support.serve { support.http(200, {}, "", { framing = "close" }) }
    exchange(s, "POST / HTTP/1.1\r\nContent-Length: " .. size .. "\r\n\r\n" .. ("x"):rep(size))
    local request = s:requests()[1]
    assert.equal(size, request.body_length)
    assert.is_true(#request.body >= 8 * 1024 * 1024)
  end)

  it("runs Lua with the request", function()
    local s = support.serve { { { lua = [[
      local request, conn, wire = ...
      conn:play(wire.http(200, {}, "you said " .. request.body))
    ]] }, { close = true } } }
    assert.truthy(exchange(s):find("you said {}", 1, true))
  end)

  it("changes its scripts", function()
    local s = support.serve { support.raw "old" }
    assert.equal("old", exchange(s))
    s:script { support.raw "new" }
    assert.equal("new", exchange(s))
  end)

  it("serves many connections at once", function()
    local s = support.serve { { { sleep = 0.2 }, "x", { close = true } } }
    local clients, before = {}, support.now()
    for i = 1, 100 do
      clients[i] = connect(s)
      clients[i]:send(REQUEST)
    end
    for i = 1, 100 do assert.equal("x", clients[i]:receive("*a")) end
    local took = support.now() - before
    for i = 1, 100 do clients[i]:close() end
    assert.is_true(took < 5, "took " .. took)
    assert.equal(100, #s:connections())
  end)

  it("pumps the caller while it waits", function()
    local s = support.serve { { { stall = true } } }
    local client, pumped = connect(s), 0
    local seen = s:wait(1, 5, "request", function()
      pumped = pumped + 1
      if pumped == 3 then client:send(REQUEST) end
    end)
    client:close()
    assert.is_true(seen)
    assert.is_true(pumped >= 3)
    assert.is_false((s:wait(5, 0.05)))
  end)

  it("can be a port that connects and is never served", function()
    local s = support.serve({}, { accept = "never" })
    local client = connect(s)
    client:settimeout(0.1)
    client:send(REQUEST)
    assert.same({ nil, "timeout", "" }, { client:receive(1) })
    client:close()
    assert.same({}, s:events())
  end)

  it("can be a port that does not even connect", function()
    local s = support.serve({}, { accept = "full" })
    local client = socket.tcp4()
    client:settimeout(0.3)
    assert.same({ nil, "timeout" }, { client:connect("127.0.0.1", s.port) })
    client:close()
  end)

  it("knows a port on which nothing listens", function()
    assert.same({ nil, "connection refused" },
      { socket.connect("127.0.0.1", support.dead_port()) })
  end)

  it("refuses a kind of TLS that it does not know", function()
    assert.has_error(function() support.serve({}, { tls = "golden" }) end,
      "scripted server: no such kind of TLS: golden")
  end)

  it("closes its connections with the listener", function()
    local s = support.serve { { "x", { stall = true } } }
    local client = connect(s)
    client:send(REQUEST)
    assert.equal("x", client:receive(1))
    s:close()
    assert.same({ nil, "closed", "" }, { client:receive(1) })
    client:close()
    assert.same({ nil, "connection refused" }, { socket.connect("127.0.0.1", s.port) })
  end)

  it("ends when its suite does", function()
    local result = support.run_lua [[
      local support = require "spec.support"
      local s = support.serve { { { stall = true } } }
      print(s.port, support.ca_file)
    ]]
    assert.equal(0, result.status, result.err)
    local port, ca_file = result.out:match("^(%d+)%s+(%S+)")
    assert.is_true(support.deadline(5, function()
      local client = socket.connect("127.0.0.1", tonumber(port))
      if client then client:close() end
      return not client
    end))
    assert.is_true(support.deadline(5, function() return not support.read_file(ca_file) end))
  end)
end)

describe("its TLS", function()
  after_each(support.close_all)

  local function fetch(kind)
    local s = support.serve({ support.http(200, {}, "hello") }, { tls = kind })
    local status, out, err = curl("--cacert " .. support.ca_file .. " -d x " .. s.url)
    return status, out, err, s
  end

  it("is accepted with the test CA", function()
    local status, out, err, s = fetch "good"
    assert.equal(0, status, err)
    assert.equal("hello", out)
    assert.equal("tls", s:history()[2])
  end)

  it("is refused without it", function()
    local s = support.serve({ support.http(200, {}, "hello") }, { tls = "good" })
    local status, _, err = curl("-d x " .. s.url)
    assert.equal(60, status)
    assert.truthy(err:find("certificate", 1, true))
    assert.same({}, s:requests())
  end)

  local REFUSED = {
    { "self-signed", "self%-signed certificate" },
    { "wrong-host", "no alternative certificate subject name" },
    { "expired", "certificate has expired" },
  }
  for _, case in ipairs(REFUSED) do
    it("is refused when " .. case[1], function()
      local status, _, err, s = fetch(case[1])
      assert.equal(60, status)
      assert.truthy(err:find(case[2]), err)
      assert.same({}, s:requests())
    end)
  end

  it("stalls in the handshake", function()
    local s = support.serve({}, { tls = "stall" })
    local status = curl("-m 0.5 -d x " .. s.url)
    assert.equal(28, status)
    assert.is_true(s:wait(1, 5, "peer closed"))
  end)

  it("is cut without close_notify", function()
    local s = support.serve({ support.raw "HTTP/1.1 200 OK\r\n\r\ncut" }, { tls = "cut" })
    local dir = support.tmpdir()
    support.write_file(dir .. "/request", REQUEST)
    local child = support.spawn("openssl s_client -quiet -verify_quiet -ign_eof -connect 127.0.0.1:"
      .. s.port .. " -CAfile " .. support.ca_file, { stdin = dir .. "/request" })
    local status = child:wait(10)
    local out, err = child:output()
    child:close()
    support.remove_all()
    assert.equal(1, status)
    assert.truthy(out:find("cut$"))
    assert.truthy(err:find("unexpected eof", 1, true), err)
  end)

  it("resets", function()
    local s = support.serve({ { "HTTP/1.1 200 OK\r\n\r\nx", { sleep = 0.1 }, { reset = true } } },
      { tls = "good" })
    local status, out, err = curl("--cacert " .. support.ca_file .. " -d x " .. s.url)
    assert.equal(56, status)
    assert.equal("x", out)
    assert.truthy(err:find("reset by peer", 1, true), err)
  end)
end)

describe("the strict server", function()
  after_each(function() pcall(support.close_all) end)

  local USER = '{"role":"user","content":"x"}'
  local function call(id, arguments, more)
    return ('{"id":"%s","type":"function","function":{"name":"f","arguments":"%s"}%s}'):format(
      id, arguments or "{}", more or "")
  end
  local function assistant(calls, more)
    return ('{"role":"assistant","content":null,"tool_calls":[%s]%s}'):format(calls, more or "")
  end
  local function result(id)
    return ('{"role":"tool","tool_call_id":"%s","content":""}'):format(id)
  end
  local function messages(...)
    return ('{"model":"m","messages":[%s]}'):format(table.concat({ ... }, ","))
  end
  local function schema(text)
    return ('{"messages":[%s],"tools":[{"type":"function","function":{"name":"f",'
      .. '"parameters":%s}}]}'):format(USER, text)
  end

  local good = {
    messages(USER),
    messages('{"role":"system","content":[{"type":"text","text":"s"}]}', USER,
      '{"role":"assistant","content":"y"}', USER, USER),
    messages(USER, assistant(call("a") .. "," .. call("b", '{\\"x\\":[null]}')), result "b",
      result "a", assistant(call("c")), result "c"),
    schema '{"type":"object","properties":{"required":{"type":"string"}},"required":[]}',
    schema '{"anyOf":[{"enum":[1]},true],"additionalProperties":false}',
    '{"messages":[' .. USER .. '],"tools":[{"type":"web_search"}],"any":{"list":{}}}',
  }
  for i, body in ipairs(good) do
    it("takes what everyone takes, " .. i, function()
      assert.is_nil(strict.body(body))
    end)
  end

  local bad = {
    { "", "no value" }, { "[]", "must be an object" }, { "{}", "must be a list" },
    { '{"messages":{}}', "must be a list" }, { messages(), "must be a list" },
    { '{"a":1,"a":1}', "twice" }, { '{"a":"\\ud83d"}', "surrogate" },
    { messages(USER) .. ",", "more than a value" },
    { messages '{"role":"robot","content":"x"}', "the role robot" },
    { messages '{"role":"user"}', "no content" },
    { messages '{"role":"user","content":{}}', "neither text" },
    { messages '{"role":"user","content":"x","extra":1}', "'extra' is unknown" },
    { messages(USER, '{"role":"assistant","content":""}'), "without text or calls" },
    { messages(USER, '{"role":"assistant","content":" \\n"}'), "without text or calls" },
    { messages(USER, '{"role":"assistant","content":null}'), "without text or calls" },
    { messages(USER, '{"role":"assistant","content":"y","refusal":"z"}'), "'refusal'" },
    { messages(USER, '{"role":"assistant","content":"y","tool_calls":[]}'), "with a call in it" },
    { messages(USER, '{"role":"assistant","tool_calls":[' .. call("a") .. "]}", result "a"),
      "no content" },
    { messages(USER, assistant(call(""))), "without an id" },
    { messages(USER, assistant(call(("a"):rep(41)))), "more than 40" },
    { messages(USER, assistant(call("a") .. "," .. call("a"))), "the id 'a' twice" },
    { messages(USER, assistant(call("a")), result "a", assistant(call("a")), result "a"),
      "the id 'a' twice" },
    { messages(USER, assistant((call("a"):gsub('"f"', '"f.g"')))), "does not match" },
    { messages(USER, assistant((call("a"):gsub('"f"', '"' .. ("f"):rep(65) .. '"')))),
      "does not match" },
    { messages(USER, assistant(call("a", ""))), "no JSON object" },
    { messages(USER, assistant(call("a", "null"))), "no JSON object" },
    { messages(USER, assistant(call("a", "[]"))), "no JSON object" },
    { messages(USER, assistant(call("a", "{"))), "no JSON object" },
    { messages(USER, assistant(call("a", "{}", ',"index":0'))), "'index' is unknown" },
    { messages(USER, assistant(call("a"))), "'a' has no result" },
    { messages(USER, assistant(call("a")), USER, result "a"), "directly behind" },
    { messages(USER, assistant(call("a")), result "a", result "a"), "without a call" },
    { messages(USER, result "a"), "without a call" },
    { schema '[]', "a schema must be an object" },
    { schema '{"properties":[]}', "properties: must be an object" },
    { schema '{"properties":{"a":[]}}', "properties.a: a schema" },
    { schema '{"required":{}}', "required: must be a list" },
    { schema '{"properties":{"a":{"enum":{}}}}', "enum: must be a list" },
    { schema '{"items":{"anyOf":{}}}', "anyOf: must be a list" },
    { '{"messages":[' .. USER .. '],"tools":{}}', "must be a list" },
    { '{"messages":[' .. USER .. '],"response_format":{"type":"json_schema","json_schema":'
      .. '{"name":"a b","schema":{}}}}', "does not match" },
  }
  for _, case in ipairs(bad) do
    it("refuses " .. case[1]:gsub("%c", "?"):sub(1, 200), function()
      local problem = strict.body(case[1])
      assert.truthy(problem and problem:find(case[2], 1, true), problem or "it does not")
    end)
  end

  it("knows what some services want, and what only some take", function()
    local thought = messages(USER, assistant(call("123456789"), ',"reasoning_content":""'),
      result "123456789")
    local bare = thought:gsub(',"reasoning_content":""', "")
    assert.is_nil(strict.body(thought, "deepseek"))
    assert.truthy(strict.body(thought))
    assert.truthy(strict.body(bare, "deepseek"))
    assert.is_nil(strict.body(bare, "mistral"))
    assert.truthy(strict.body(messages(USER, assistant(call("a")), result "a"), "mistral"))
  end)

  local function post(body)
    return ("POST /v1/chat/completions?x=1 HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s"):format(
      #body, body)
  end

  it("answers with 400 what breaks a rule, and close_all raises", function()
    local s = support.serve { support.raw "fine" }
    assert.equal("fine", exchange(s, post(messages(USER))))
    assert.truthy(exchange(s, post "{}"):find("^HTTP/1.1 400 .*refused: messages: must be"))
    assert.truthy(exchange(s, post '{"\255":1}'):find("not UTF-8", 1, true))
    assert.equal("fine", exchange(s, "POST /v1/embeddings HTTP/1.1\r\n\r\n"))
    s:close()
    local ok, problem = pcall(support.close_all)
    assert.is_false(ok)
    assert.truthy(problem:find("support_spec.lua:%d+"), problem)
    support.close_all() -- it is said once
  end)

  it("looks at each request of a connection", function()
    local s = support.serve { { "one", { expect_request = true }, "two" } }
    assert.truthy(exchange(s, post(messages(USER)) .. post "{}"):find("^oneHTTP/1.1 400 "))
    assert.same({ "messages: must be a list with a message in it" }, s:refused())
    support.close_all()
  end)

  it("is as strict as it is told", function()
    local lax = support.serve({ support.raw "fine" }, { strict = false })
    assert.equal("fine", exchange(lax, post "{}"))
    local mistral = support.serve({ support.raw "fine" }, { strict = "mistral" })
    exchange(mistral, post(messages(USER, assistant(call("a")), result "a")))
    assert.equal(1, #mistral:refused())
    support.close_all()
  end)
end)

describe("framed bytes", function()
  local function bytes_of(script)
    local out = {}
    for _, step in ipairs(script) do out[#out + 1] = step.send or "" end
    return table.concat(out)
  end

  it("encode JSON with empty arrays, null and bytes as they are", function()
    assert.equal('{"id":"\\u0000\\n\255","choices":[],"usage":null,"n":[1,2.5]}', support.encode {
      id = "\0\n\255", choices = support.array {}, usage = support.null, n = { 1, 2.5 },
    })
  end)

  it("count the length of a body", function()
    assert.equal("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc",
      bytes_of(support.http(404, { ["X-A"] = "b" }, "abc")))
  end)

  it("are chunked in the size asked for", function()
    assert.equal("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
      bytes_of(support.http(200, {}, "abc", { framing = "chunked", chunk_size = 2 })))
  end)

  it("keep the order and repetition of headers", function()
    local script = support.http(200, { { "b", "1" }, { "a", "2" }, { "b", "3" } }, "",
      { framing = "none" })
    assert.equal("HTTP/1.1 200 OK\r\nb: 1\r\na: 2\r\nb: 3\r\n\r\n", bytes_of(script))
  end)

  it("make a stream of chunks", function()
    local text = bytes_of(support.sse({ "Hel", { reasoning_content = "hm" } },
      { usage = true, framing = "none" }))
    local events = {}
    for data in text:gmatch("data: ([^\n]*)\n\n") do events[#events + 1] = data end
    assert.equal(6, #events)
    assert.truthy(events[1]:find('"delta":{"role":"assistant","content":""}', 1, true))
    assert.truthy(events[2]:find('"delta":{"content":"Hel"}', 1, true))
    assert.truthy(events[3]:find('"delta":{"reasoning_content":"hm"}', 1, true))
    assert.truthy(events[4]:find('"finish_reason":"stop"', 1, true))
    assert.truthy(events[5]:find('"choices":[],"usage":{', 1, true))
    assert.equal("[DONE]", events[6])
  end)

  it("leave out what a fault leaves out", function()
    local text = bytes_of(support.sse({ "x", { error = "boom" } },
      { role = false, finish_reason = false, done = false, framing = "chunked", cut = true }))
    assert.truthy(text:find('data: {"error":"boom"}\n\n\r\n$'))
    assert.is_nil(text:find("DONE", 1, true))
  end)

  it("come in every split", function()
    local count = 0
    for _, pieces in support.splits "abcd" do
      count = count + 1
      assert.equal("abcd", table.concat(pieces))
    end
    assert.equal(5, count)
  end)
end)

describe("processes", function()
  it("have a pid, an output and an end", function()
    local child = support.spawn("sh -c 'echo out; echo err >&2; exit 3'")
    assert.equal(3, child:wait())
    assert.same({ "out\n", "err\n" }, { child:output() })
    child:close()
  end)

  it("are killed by their own pid", function()
    local child = support.spawn "sleep 60"
    assert.is_true(child:running())
    child:kill "KILL"
    assert.equal(137, child:wait(5))
    child:close()
  end)

  it("run Lua under the suite's interpreter, with an environment", function()
    local result = support.run_lua("print(_VERSION, os.getenv 'A', ...) os.exit(7)",
      { env = { A = "it's" }, args = { "x y" }, cwd = "/" })
    assert.equal(7, result.status, result.err)
    assert.equal(_VERSION .. "\tit's\tx y\n", result.out)
  end)

  it("are ended by a time-out", function()
    local result = support.run_lua("while true do end", { timeout = 0.3 })
    assert.is_true(result.timeout)
    assert.is_nil(result.status)
  end)
end)

describe("the wire fixtures", function()
  local rows = support.fixtures()

  it("are all there and all named", function()
    assert.is_true(#rows >= 60)
    local seen = {}
    for _, row in ipairs(rows) do
      assert.is_nil(seen[row.file], row.file)
      seen[row.file] = true
      assert.truthy(support.fixture(row.file):find("^HTTP/1%.1 %d%d%d "), row.file)
    end
  end)

  it("expect the HTTP status that is in their bytes", function()
    for _, row in ipairs(rows) do
      local last
      for status in support.fixture(row.file):gmatch("HTTP/1%.1 (%d%d%d) ") do last = status end
      local expected = row.expect.kind and row.expect.status or 200
      assert.equal(expected, tonumber(last), row.file)
    end
  end)

  it("arrive as they are", function()
    local s = support.serve { support.raw(support.fixture "llama-2025-ctrl-chars-stream") }
    assert.is_true(exchange(s) == support.fixture "llama-2025-ctrl-chars-stream")
    support.close_all()
  end)
end)
