-- chatbot.nginx in a real nginx, whose light threads talk to the scripted server, and the
-- page of examples/nginx in a real browser.

local json = require "cjson"
local socket = require "socket"
local builds = require "spec.support.builds"
local support = require "spec.support"

-- nginx is a LuaJIT whatever runs the specs: once is enough.
local own = support.interpreter():match("[^/]*$")
if own ~= "lua5.4" and own ~= "luajit" then return end

-- Where nginx has ngx_lua: unpacked by .ci/nginx, or installed. Nil and what is missing.
local function find_nginx()
  local modules = "/usr/lib/nginx/modules"
  for _, root in ipairs { builds.root .. "/build/nginx", "" } do
    local file = io.open(root .. modules .. "/ngx_http_lua_module.so")
    if file then
      file:close()
      local pipe = io.popen("ls -d " .. root .. "/usr/lib/*/ 2>/dev/null | tr '\\n' ':'")
      local libraries = pipe:read("*a")
      pipe:close()
      return { root = root, modules = root .. modules, env = {
        PATH = os.getenv("PATH") .. ":/usr/sbin", LUA_CPATH = false,
        LD_LIBRARY_PATH = root ~= "" and libraries or false, LD_PRELOAD = false,
        LUA_PATH = root ~= "" and root .. "/usr/share/lua/5.1/?.lua;;" or false,
      } }
    end
  end
  return nil, "nginx's ngx_lua is not installed (Debian: libnginx-mod-http-lua)"
end

local found, missing = find_nginx()
local test = found and it or function(name) pending(name .. ": " .. missing) end

local CONFIG = [[
USER
load_module MODULES/ndk_http_module.so;
load_module MODULES/ngx_http_lua_module.so;
daemon off;
pid DIR/pid;
error_log DIR/log info;
worker_processes WORKERS;
env BASE_URL;
env OPENAI_API_KEY;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  lua_package_path "ROOT/lua/?.lua;ROOT/lua/?/init.lua;;";
  lua_package_cpath "BINARY/?.so;;";
  lua_shared_dict notes 1m;
  init_by_lua_block {
    assert(require("chatbot").warmup())
    require "chatbot.nginx"
  }
  HTTP
  server {
    listen 127.0.0.1:PORT reuseport;
    chunked_transfer_encoding off;
    lua_check_client_abort ABORT;
    location = /quick { content_by_lua_block { ngx.say(ngx.worker.pid()) } }
    location = /timers { content_by_lua_block { ngx.print(ngx.timer.running_count()) } }
    location = /note { content_by_lua_block { ngx.print(ngx.shared.notes:get("note")) } }
    location = /relay {
      content_by_lua_block {
        ngx.header["X-Worker"] = ngx.worker.pid()
        local chat = require "chatbot.nginx"
        local bot = chat.new { model = "m", base_url = os.getenv("BASE_URL") }
        local answer, other = chat.relay(bot:stream("hi"))
        ngx.shared.notes:set("note", answer or tostring(other))
      }
    }
    LOCATIONS
  }
}
]]

-- A location whose code has `chat`, `bot` and `note`, which keeps a text for GET /note.
local function location(name, code)
  return ([[location = /%s { content_by_lua_block {
    local chat = require "chatbot.nginx"
    local bot = chat.new { model = "m", base_url = os.getenv("BASE_URL") }
    local function note(text) ngx.shared.notes:set("note", tostring(text)) end
    %s
  } }]]):format(name, code)
end


-- The two ends -------------------------------------------------------------------

-- A server that says five words, and, once the file `gate` is there, the end.
local function speaker()
  local gate = support.tmpdir() .. "/gate"
  local code = ([[
    local request, conn, wire = ...
    local function say(delta, finish)
      return conn:send(wire.chunks(wire.event(wire.encode { choices = { { index = 0,
        delta = delta, finish_reason = finish } } })))
    end
    conn:send(wire.head(200, { { "Content-Type", "text/event-stream" },
      { "Transfer-Encoding", "chunked" } }))
    for i = 1, 5 do
      conn:sleep(0.02)
      if not say { content = "→" .. i .. " " } then return end
    end
    local function is_open() local file = io.open(%q) return file and file:close() end
    while not is_open() do
      if conn.gone() then return end
      conn:sleep(0.01)
    end
    say({ content = "end\226\128\168." }, "stop") -- U+2028: some take it for the end of a line
    conn:send(wire.chunks(wire.event("[DONE]")) .. wire.LAST_CHUNK)
  ]]):format(gate)
  local server = support.serve { { { lua = code } } }
  return server, function() support.write_file(gate, "") end
end

local WORDS, WHOLE = "→1 →2 →3 →4 →5 ", "→1 →2 →3 →4 →5 end\226\128\168."

-- The head of a server's code that plays parts of a script.
local PLAY = [[
  local request, conn, wire = ...
  local function play(part)
    if type(part) == "string" then return conn:send(part) end
    if part[1] == nil then return conn:play { part } end
    for _, item in ipairs(part) do play(item) end
  end
]]

-- A server that says nothing to "slow" until the client is gone, calls the tool "look" for
-- "ask the tool", and else answers.
local function obeyer()
  return support.serve { { { lua = PLAY .. [[
    if request.body:find "slow" then
      conn:send(wire.head(200, { { "Content-Type", "text/event-stream" } }))
      while not conn.gone() do conn:sleep(0.01) end
    elseif request.body:find "ask the tool" then
      play(wire.sse { { choices = { { index = 0, finish_reason = "tool_calls", delta = {
        tool_calls = { { index = 0, id = "call", type = "function",
          ["function"] = { name = "look", arguments = "{}" } } } } } } } })
    else
      play(wire.sse { "one" })
    end
  ]] } } }
end

local Client = {}
Client.__index = Client

-- Asks, and reads whatever comes without waiting.
local function open(port, path, version)
  local con = assert(socket.connect("127.0.0.1", port))
  assert(con:send(("GET %s HTTP/%s\r\nHost: x\r\nConnection: close\r\n\r\n"):format(path,
    version or "1.1")))
  con:settimeout(0)
  return setmetatable({ con = con, bytes = "", ended = false }, Client)
end

function Client:read()
  if not self.ended then
    local data, problem, part = self.con:receive(1048576)
    self.bytes = self.bytes .. (data or part or "")
    self.ended = problem == "closed"
  end
  return self
end

function Client:body() return self:read().bytes:match("\r\n\r\n(.*)$") or "" end

function Client:header(name)
  return self:read().bytes:match("\n" .. name:gsub("%-", "%%-") .. ": ([^\r]*)")
end

-- All of its events: a list of {name, data}.
function Client:events()
  local list = {}
  for block in self:body():gmatch("(.-)\n\n") do
    local data = block:match("^data: (.*)$") or block:match("\ndata: (.*)$")
    if data then
      list[#list + 1] = { name = block:match("^event: ([^\n]*)"), data = json.decode(data) }
    end
  end
  return list
end

function Client:text()
  local parts = {}
  for _, event in ipairs(self:events()) do parts[#parts + 1] = event.data.text end
  return table.concat(parts)
end

function Client:close() self.con:close() end

local function wait_for(what, fn, seconds)
  return (assert(support.deadline(seconds or 20, fn, 0.005), "never: " .. what))
end

function Client:wait_for_text(text)
  wait_for(text, function() return self:text() == text end)
end

function Client:wait_for_end()
  wait_for("the end", function() return self:read().ended end)
  return self
end

local function get(port, path)
  return open(port, path):wait_for_end():body()
end


-- nginx --------------------------------------------------------------------------

local Nginx = {}
Nginx.__index = Nginx

local running

local function output(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return text
end

---@param url string of the scripted server
---@param opts { locations: string?, http: string?, workers: integer?, abort: string? }?
local function start(url, opts)
  opts = opts or {}
  local dir, port = support.tmpdir(), support.dead_port()
  local words = {
    USER = output("id -u") == "0\n" and "user root;" or "", MODULES = found.modules, DIR = dir,
    WORKERS = tostring(opts.workers or 1), ROOT = builds.root, BINARY = builds.make("luajit"),
    PORT = tostring(port), ABORT = opts.abort or "on",
    LOCATIONS = opts.locations or "", HTTP = opts.http or "",
  }
  support.write_file(dir .. "/conf", (CONFIG:gsub("%f[%w_]%u+%f[^%w_]", words)))
  local env = { BASE_URL = url, OPENAI_API_KEY = false }
  for name, value in pairs(found.env) do env[name] = value end
  local child = support.spawn("nginx -p " .. dir .. " -c " .. dir .. "/conf", { env = env })
  running = setmetatable({ child = child, dir = dir, port = port }, Nginx)
  local up = support.deadline(10, function()
    local con = socket.connect("127.0.0.1", port)
    return con and con:close()
  end, 0.01)
  assert(up, select(2, child:output()))
  return running
end

function Nginx:get(path) return get(self.port, path) end
function Nginx:open(path, version) return open(self.port, path, version) end
function Nginx:log() return support.read_file(self.dir .. "/log") or "" end

-- What nginx or ngx_lua has complained about.
function Nginx:complaints()
  local lines = {}
  for line in self:log():gmatch("[^\n]+") do
    if line:find("%[error%]") or line:find("%[crit%]") or line:find("%[alert%]")
      or line:find("%[emerg%]") or line:find("%[warn%]") then
      lines[#lines + 1] = line
    end
  end
  return table.concat(lines, "\n")
end

-- The workers must have ended as well: the master waits for them.
function Nginx:stop()
  self.child:kill("TERM")
  local status = self.child:wait(20)
  self.child:close()
  return status
end

describe("chatbot.nginx", function()
  after_each(function()
    local status, complaints = 0, ""
    if running then
      status, complaints = running:stop(), running.expected and "" or running:complaints()
      running = nil
    end
    support.close_all()
    assert.equal(0, status)
    assert.equal("", complaints)
  end)

  teardown(support.remove_all)

  test("relays an answer as server-sent events while it is written", function()
    local server, finish = speaker()
    local nginx = start(server.url)
    local client = nginx:open("/relay")
    client:wait_for_text(WORDS)
    assert.equal("text/event-stream; charset=utf-8", client:header("Content-Type"))
    assert.equal("no-store", client:header("Cache-Control"))
    assert.equal("no", client:header("X-Accel-Buffering"))
    assert.equal("1", nginx:get("/timers"))
    finish()
    client:wait_for_end()
    assert.equal(WHOLE, client:text())
    local events = client:events()
    assert.same({ name = "done", data = { status = "complete" } }, events[#events])
    assert.is_true(#events >= 4, client:body())
    assert.equal(WHOLE, nginx:get("/note"))
    wait_for("no timer", function() return nginx:get("/timers") == "0" end)
  end)

  test("serves others while fifty answers are under way in one worker", function()
    local server, finish = speaker()
    local nginx, clients = start(server.url), {}
    for i = 1, 50 do clients[i] = nginx:open("/relay") end
    local longest = 0
    local function ask()
      local from = support.now()
      assert.truthy(tonumber(nginx:get("/quick")))
      longest = math.max(longest, support.now() - from)
    end
    wait_for("fifty texts", function()
      ask()
      for _, client in ipairs(clients) do
        if client:text() ~= WORDS then return false end
      end
      return true
    end)
    for _ = 1, 20 do ask() end
    for _, client in ipairs(clients) do assert.is_false(client:read().ended) end
    assert.equal("1", nginx:get("/timers"))
    finish()
    for _, client in ipairs(clients) do
      client:wait_for_end()
      assert.equal(WHOLE, client:text())
    end
    print(("  nginx: the slowest of the others took %.1f ms"):format(longest * 1000))
  end)

  test("has an engine in each worker, though the master was warm", function()
    local server, finish = speaker()
    local nginx, clients, workers, count = start(server.url, { workers = 2 }), {}, {}, 0
    wait_for("two workers", function()
      local client = nginx:open("/relay")
      clients[#clients + 1] = client
      client:wait_for_text(WORDS)
      local worker = client:header("X-Worker")
      count = count + (workers[worker] and 0 or 1)
      workers[worker] = true
      return count == 2
    end)
    finish()
    for _, client in ipairs(clients) do assert.equal(WHOLE, client:wait_for_end():text()) end
  end)

  for _, way in ipairs { "relay", "chat" } do
    test("closes what is under way when the client goes away, in " .. way, function()
      local server = speaker()
      local nginx = start(server.url, { locations = location("chat", [[
        bot:chat("hi")
        note "was not ended"
      ]]) })
      local client, other = nginx:open("/" .. way), nginx:open("/relay")
      other:wait_for_text(WORDS)
      assert.is_true(server:wait(2))
      client:close()
      assert.is_true(server:wait(1, 5, "peer closed"))
      assert.is_false(other:read().ended)
      if way == "relay" then
        wait_for("the reason", function() return nginx:get("/note"):find("^cancelled") end)
      else
        assert.equal("nil", nginx:get("/note"))
      end
      other:close()
      assert.is_true(server:wait(2, 5, "peer closed"))
      wait_for("no timer", function() return nginx:get("/timers") == "0" end)
    end)
  end

  for _, way in ipairs { "chat.relay(bot:stream 'slow')", "bot:chat 'slow'" } do
    test("closes what is asked after a relay when the client goes away, in " .. way, function()
      local server = obeyer()
      local nginx = start(server.url, { locations = location("two", ([[
        chat.relay(bot:stream "quick")
        local _, err = %s
        local _, later = bot:chat "slow"
        note(err.kind .. " " .. later.kind)
      ]]):format(way)) })
      local client = nginx:open("/two")
      assert.is_true(server:wait(2))
      support.sleep(0.1)
      local from = support.now()
      client:close()
      wait_for("the kinds", function() return nginx:get("/note") == "cancelled cancelled" end)
      assert.is_true(support.now() - from < 1, "the abort was not heard at once")
      wait_for("no timer", function() return nginx:get("/timers") == "0" end)
    end)
  end

  for what, code in pairs {
    sleeps = "ngx.sleep(60)",
    ["hands over later"] = "do return function() end end",
  } do
    for order, list in pairs { first = "{ tool, other }", last = "{ other, tool }" } do
      test(("closes all when the client goes away while the tool of the %s %s"):format(order,
        what), function()
        local server = obeyer()
        local nginx = start(server.url, { locations = location("all", ([[
          local teller = chat.new { model = "m", base_url = os.getenv("BASE_URL"), tools = { {
            name = "look", call = function() note "tool" %s end } } }
          local tool, other = teller:stream "ask the tool", bot:stream "slow"
          package.loaded.kept = { tool, other } -- so that no collector does it
          require("chatbot").all(%s)
        ]]):format(code, list)) })
        local client = nginx:open("/all")
        wait_for("the tool", function() return nginx:get("/note") == "tool" end)
        support.sleep(0.1)
        client:close()
        assert.is_true(server:wait(1, 5, "peer closed"))
        wait_for("no timer", function() return nginx:get("/timers") == "0" end)
      end)
    end
  end

  test("closes a reply whose light thread is killed in a tool", function()
    local server = obeyer()
    local nginx = start(server.url, { locations = location("kill", [[
      local teller = chat.new { model = "m", base_url = os.getenv("BASE_URL"), tools = { {
        name = "look", call = function() note "tool" ngx.sleep(60) end } } }
      local reply = teller:stream "ask the tool"
      local thread = ngx.thread.spawn(function() reply:result() end)
      while ngx.shared.notes:get("note") ~= "tool" do ngx.sleep(0.01) end
      assert(ngx.thread.kill(thread))
      for _ = 1, 300 do
        if reply.status ~= "streaming" then break end
        ngx.sleep(0.01)
      end
      ngx.print(reply.status)
    ]]) })
    assert.equal("cancelled", nginx:get("/kill"))
    wait_for("no timer", function() return nginx:get("/timers") == "0" end)
  end)

  test("raises where a C call is between, and does not wait there", function()
    local server = obeyer()
    local nginx = start(server.url, { locations = location("gsub", [[
      local _, err = pcall(string.gsub, "x", "x", function() return (bot:chat "slow") end)
      ngx.print(err, "\n", (bot:chat "quick"))
    ]]) })
    local expected = "nothing can wait across a C call (string.gsub, table.sort, require, ...)\none"
    for _ = 1, 5 do assert.equal(expected, nginx:get("/gsub")) end
    support.sleep(1.2) -- longer than a semaphore waits
    assert.equal(expected, nginx:get("/gsub"))
    assert.is_nil(nginx:log():find("exited on signal", 1, true))
  end)

  test("closes what cannot be sent any more where nginx does not look", function()
    local text = ("x"):rep(1000)
    local pieces = {}
    for i = 1, 2000 do pieces[i] = text end
    local server = support.serve { support.sse(pieces, { every = 0.01 }) }
    local nginx = start(server.url, { abort = "off" })
    local client = nginx:open("/relay")
    wait_for("text", function() return client:text() ~= "" end)
    client:close()
    assert.is_true(server:wait(1, 5, "peer closed"))
    wait_for("the reason", function() return nginx:get("/note"):find("^cancelled") end)
  end)

  test("closes the replies of light threads that are killed, also of those just woken", function()
    local pieces = {}
    for i = 1, 2000 do pieces[i] = "x" end
    local server = support.serve { support.sse(pieces, { every = 0.005 }) }
    local nginx = start(server.url, { locations = location("kill", [[
      for _ = 1, 10 do
        local thread = ngx.thread.spawn(function()
          chat.new({ model = "m", base_url = os.getenv("BASE_URL") }):chat("hi")
        end)
        ngx.sleep(0.1)
        ngx.thread.spawn(function() -- so that the pump's timer and ours are due at once
          ngx.sleep(0.001)
          local from = ngx.now()
          repeat ngx.update_time() until ngx.now() >= from + 0.03
        end)
        ngx.sleep(0.015)
        assert(ngx.thread.kill(thread))
      end
      ngx.print("killed")
    ]]) })
    assert.equal("killed", nginx:get("/kill"))
    assert.is_true(server:wait(10, 5, "peer closed"))
  end)

  test("brings what is under way to its end when nginx is reloaded", function()
    local server, finish = speaker()
    local nginx = start(server.url)
    local client = nginx:open("/relay")
    client:wait_for_text(WORDS)
    local old = client:header("X-Worker")
    nginx.child:kill("HUP")
    local other = wait_for("a new worker", function()
      local asked = nginx:open("/relay")
      asked:wait_for_text(WORDS)
      return asked:header("X-Worker") ~= old and asked
    end)
    support.sleep(0.3)
    assert.is_false(client:read().ended)
    finish()
    assert.equal(WHOLE, client:wait_for_end():text())
    assert.equal(WHOLE, other:wait_for_end():text())
    wait_for("the end of the old worker", function()
      return nginx:log():find("worker process " .. old .. " exited with code 0", 1, true)
    end)
  end)

  test("tells a page the kind of an error, and nothing else of it", function()
    local server = support.serve { support.http(401, {}, {
      error = { message = "bad key sk-0123456789abcdef of org-secret" } }) }
    local nginx = start(server.url, { locations = location("asked", [[
      local bot = chat.new { model = "m", base_url = os.getenv("BASE_URL"),
        api_key = "sk-0123456789abcdef" }
      local _, err = chat.relay(bot:stream("hi"))
      note(err)
    ]]) .. location("keyless", [[
      chat.relay(chat.new({ model = "gpt-4.1" }):stream("hi"))
    ]]) })
    assert.same({ { name = "error", data = { kind = "http", retryable = false } } },
      nginx:open("/asked"):wait_for_end():events())
    local note = nginx:get("/note")
    assert.truthy(note:find("of org-secret", 1, true))
    assert.is_nil(note:find("sk-", 1, true))
    assert.same({ { name = "error", data = { kind = "config", retryable = false } } },
      nginx:open("/keyless"):wait_for_end():events())
  end)

  test("tells a page how an answer has been cut", function()
    local server = support.serve { support.sse({ "so" }, { finish_reason = "length" }),
      support.sse({ "so" }, { finish_reason = false, done = false }) }
    local nginx = start(server.url)
    local events = nginx:open("/relay"):wait_for_end():events()
    assert.same({ name = "done", data = { status = "length" } }, events[#events])
    events = nginx:open("/relay"):wait_for_end():events()
    assert.same({ data = { text = "so" } }, events[1])
    assert.same({ name = "error", data = { kind = "truncated", retryable = false } }, events[2])
  end)

  test("shows a page that it is there while nothing comes", function()
    local server = speaker()
    local nginx = start(server.url, { http = [[init_worker_by_lua_block {
      require("chatbot.nginx").heartbeat = 0.5
    }]] })
    local client = nginx:open("/relay")
    wait_for("a comment", function() return client:body():find("→5 \"}\n\n:\n\n:\n\n") end)
    assert.equal(WORDS, client:text())
    client:close()
  end)

  test("says nothing in silence where the heartbeat is 0", function()
    local server, finish = speaker()
    local nginx = start(server.url, { http = [[init_worker_by_lua_block {
      require("chatbot.nginx").heartbeat = 0
    }]] })
    local client = nginx:open("/relay")
    client:wait_for_text(WORDS)
    support.sleep(1.2)
    finish()
    assert.equal(WHOLE, client:wait_for_end():text())
    assert.is_nil(client:body():find("\n:", 1, true))
  end)

  test("refuses a heartbeat that is no number of seconds", function()
    local nginx = start(obeyer().url, { locations = location("beat", [[
      for _, value in ipairs { -1, 0/0, "15", false } do
        chat.heartbeat = value
        local reply = bot:stream "slow"
        ngx.say(select(2, pcall(chat.relay, reply)), " ", reply.status)
      end
      chat.heartbeat = 15
    ]]) })
    assert.equal(("chatbot.nginx.heartbeat must be a number of seconds, 0 or more cancelled\n")
      :rep(4), nginx:get("/beat"))
  end)

  test("answers a client of HTTP/1.0 all at once", function()
    local server, finish = speaker()
    finish()
    local client = start(server.url):open("/relay", "1.0"):wait_for_end()
    assert.equal(WHOLE, client:text())
  end)

  test("chats in a timer", function()
    local server, finish = speaker()
    local nginx = start(server.url, { locations = location("begin", [[
      ngx.timer.at(0, function() note((bot:chat("hi"))) end)
      ngx.print("begun")
    ]]) })
    assert.equal("begun", nginx:get("/begin"))
    finish()
    wait_for("the answer", function() return nginx:get("/note") == WHOLE end)
  end)

  test("lets tools wait as light threads do", function()
    local calls = {}
    for i = 1, 5 do
      calls[i] = { index = i - 1, id = "call" .. i, type = "function",
        ["function"] = { name = "look", arguments = "{}" } }
    end
    local server = support.serve { support.sse {
      { choices = { { index = 0, delta = { tool_calls = calls }, finish_reason = "tool_calls" } } },
    }, support.sse { "done" } }
    local nginx = start(server.url, { locations = location("go", [[
      ngx.shared.notes:set("go", true)
    ]]) .. location("tool", [[
      local bot = chat.new { model = "m", base_url = os.getenv("BASE_URL"), tools = { {
        name = "look", call = function()
          while not ngx.shared.notes:get("go") do ngx.sleep(0.01) end
          return function(done) ngx.timer.at(0.01, function() done("seen") end) end
        end } } }
      chat.relay(bot:stream("hi"))
    ]]) })
    local client = nginx:open("/tool")
    assert.is_true(server:wait(1))
    for _ = 1, 5 do nginx:get("/quick") end
    assert.is_false(client:read().ended)
    local from = support.now()
    nginx:get("/go")
    assert.equal("done", client:wait_for_end():text())
    assert.is_true(support.now() - from < 3, "what a tool hands over was not noticed at once")
    local messages = server:requests()[2].json.messages
    for i = 3, 7 do assert.equal("seen", messages[i].content) end
  end)

  test("waits in chunks, result, models, all and race, and for pages", function()
    local server = support.serve { { { lua = PLAY .. [[
      conn:sleep(0.1)
      if request.body:find("never") then
        play { { stall = true } }
      elseif request.target:find("models") then
        play(wire.http(200, {}, { data = { { id = "a" } } }))
      elseif request.method == "GET" then
        play(wire.http(200, { ["Content-Type"] = "text/html" },
          "<p>A page with a text that is long enough to be one.</p>"))
      else
        play(wire.sse { "yes" })
      end
    ]] } } }
    local nginx = start(server.url, { locations = location("all", [[
      local function ask(prompt)
        return assert(chat.new({ model = "m", base_url = os.getenv("BASE_URL") }):stream(prompt))
      end
      local chatbot = require "chatbot"
      for text in ask("hi"):chunks() do ngx.say("chunks ", text) end
      ngx.say("result ", (ask("hi"):result()))
      ngx.say("models ", assert(bot:models())[1])
      local list = chatbot.all { ask("hi"), ask("hi") }
      ngx.say("all ", list[1].answer, " ", list[2].answer)
      local from = ngx.now()
      local first, answer = chatbot.race { ask("hi"), ask("never") }
      ngx.update_time()
      ngx.say("race ", first, " ", answer, " ", ngx.now() - from < 0.9)
      local page = assert(require("chatbot.page").open(os.getenv("BASE_URL"), { wait = chat.wait }))
      ngx.say("page ", page.text)
      local inner = coroutine.wrap(function() return (bot:chat("hi")) end)
      ngx.say("coroutine ", inner())
    ]]) })
    assert.equal("chunks yes\nresult yes\nmodels a\nall yes yes\nrace 1 yes true\n"
      .. "page A page with a text that is long enough to be one.\ncoroutine yes\n",
      nginx:get("/all"))
  end)

  test("calls on_text in the light thread that waits", function()
    local server, finish = speaker()
    finish()
    local nginx = start(server.url, { locations = location("text", [[
      bot:chat("hi", { on_text = function(text) ngx.print(text) end })
    ]]) })
    local one, two = nginx:open("/text"), nginx:open("/text")
    assert.equal(WHOLE, one:wait_for_end():body())
    assert.equal(WHOLE, two:wait_for_end():body())
  end)

  test("goes on where nginx has no timer left", function()
    local server, finish = speaker()
    finish()
    local nginx = start(server.url, { http = "lua_max_running_timers 1;",
      locations = location("occupy", [[
        ngx.timer.at(0, function() ngx.sleep(8) end)
        ngx.print("occupied")
      ]]) })
    nginx.expected = true -- nginx complains of it
    assert.equal("occupied", nginx:get("/occupy"))
    assert.equal(WHOLE, nginx:open("/relay"):wait_for_end():text())
    assert.truthy(nginx:complaints():find("lua_max_running_timers are not enough", 1, true))
  end)

  test("says where nothing can wait", function()
    local server = speaker()
    local nginx = start(server.url, { locations = [[location = /filter {
      content_by_lua_block { ngx.print(ngx.ctx.problem or "sent") }
      header_filter_by_lua_block {
        local chat = require "chatbot.nginx"
        local bot = chat.new { model = "m", base_url = os.getenv("BASE_URL") }
        ngx.shared.notes:set("note", tostring(select(2, pcall(bot.chat, bot, "hi")))
          .. " " .. #bot:get_messages())
      }
    }]] })
    nginx:get("/filter")
    assert.equal("nothing can wait in nginx's phase 'header_filter': use ngx.timer.at 0",
      nginx:get("/note"))
  end)

  test("works as the manual says", function()
    local server, finish = speaker()
    finish()
    local port = support.dead_port()
    local http = support.read_file("doc/hosts.md"):match("```nginx\n(.-)```")
      :gsub("^init_by_lua_block[^\n]*\n", "") -- stands in ours
      :gsub("server {", "%0 listen 127.0.0.1:" .. port .. ";")
      :gsub('"gpt%-4.1"', '%0, base_url = os.getenv("BASE_URL")')
    start(server.url, { http = http })
    assert.equal(WHOLE, open(port, "/ask?prompt=Hello"):wait_for_end():text())
    assert.equal("Hello", server:requests()[1].json.messages[1].content)
  end)

  test("blames the line that gives a wrong option", function()
    local nginx = start("http://127.0.0.1:1/v1", { locations = location("wrong", [[
      ngx.print(select(2, pcall(function() return (chat.new { modell = "m" }) end)))
    ]]) })
    assert.truthy(nginx:get("/wrong"):find("unknown option 'modell'", 1, true))
  end)
end)


-- The page in a browser ------------------------------------------------------------

local http = require "socket.http"
local ltn12 = require "ltn12"

local Browser = {}
Browser.__index = Browser

-- A command of the WebDriver protocol (https://www.w3.org/TR/webdriver2/).
function Browser:command(method, path, body)
  local out, text = {}, json.encode(body)
  local ok, status = http.request {
    url = self.url .. path, method = method, sink = ltn12.sink.table(out),
    source = method == "POST" and ltn12.source.string(text) or nil,
    headers = { ["Content-Type"] = "application/json",
      ["Content-Length"] = method == "POST" and #text or nil },
  }
  local answer = table.concat(out)
  assert(ok and status == 200, ("%s %s: %s %s"):format(method, path, tostring(status), answer))
  return json.decode(answer).value
end

function Browser:run(script)
  return self:command("POST", "/execute/sync", { script = script, args = { json.null } })
end

function Browser:close()
  if self.session then self:command("DELETE", "") end
  self.driver:kill("TERM")
  self.driver:wait(10)
  self.driver:close()
end

local function start_browser()
  local dir, port = support.tmpdir(), support.dead_port()
  local driver = support.spawn(("chromedriver --port=%d --allowed-ips=127.0.0.1"):format(port),
    { env = { HOME = dir, TMPDIR = dir, http_proxy = false, all_proxy = false } })
  local browser = setmetatable({ driver = driver, url = "http://127.0.0.1:" .. port }, Browser)
  assert(support.deadline(20, function() return socket.connect("127.0.0.1", port) end, 0.05),
    select(2, driver:output()))
  local args = { "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--no-proxy-server", "--user-data-dir=" .. dir .. "/profile" }
  local made = browser:command("POST", "/session", { capabilities = { alwaysMatch = {
    browserName = "chrome", ["goog:chromeOptions"] = { args = args } } } })
  browser.session = made.sessionId
  browser.url = browser.url .. "/session/" .. made.sessionId
  return browser
end

local no_browser = output("command -v chromedriver") == ""
  and "chromedriver is not installed (Debian: chromium-driver)"

describe("examples/nginx", function()
  local browser, example

  -- Starts the example as its head says, with all that it writes in a folder of ours.
  local function run_example(env)
    local dir, port = support.tmpdir(), support.dead_port()
    builds.make("luajit")
    env.TMPDIR, env.MODULES, env.OPENAI_API_KEY = dir, found.modules, "sk-0123456789"
    for name, value in pairs(found.env) do env[name] = value end
    local child = support.spawn(("lua5.4 %s/examples/nginx/run.lua %d"):format(builds.root, port),
      { env = env })
    example = { child = child, port = port, dir = dir }
    assert(support.deadline(20, function() return socket.connect("127.0.0.1", port) end, 0.05),
      select(2, child:output()))
    return port
  end

  -- As Ctrl-C does.
  local function end_example()
    local pid = output("cat " .. example.dir .. "/*/nginx.pid"):match("%d+")
    os.execute("kill -INT " .. pid)
    assert.equal(0, example.child:wait(20))
    local _, err = example.child:output()
    assert.equal("", output("ls " .. example.dir))
    example.child:close()
    example = nil
    return err
  end

  after_each(function()
    if browser then browser:close() end
    if example then end_example() end
    browser = nil
    support.close_all()
    support.remove_all()
  end)

  local function in_browser(name, fn)
    if found and no_browser then return pending(name .. ": " .. no_browser) end
    test(name, fn)
  end

  local function ask(prompt)
    browser:run(("document.querySelector('input').value = %s;"
      .. "document.querySelector('form').requestSubmit()"):format(json.encode(prompt)))
  end

  local function shown(who, nth)
    return browser:run(("return (document.querySelectorAll('p.%s')[%d] || {}).textContent || ''")
      :format(who, nth or 0))
  end

  in_browser("shows text in the browser before the answer has ended", function()
    local server, finish = speaker()
    local port = run_example { BASE_URL = server.url, MODEL = "m" }
    browser = start_browser()
    browser:command("POST", "/url", { url = "http://127.0.0.1:" .. port .. "/" })
    ask("Count, <b>please</b>.")
    wait_for("the text", function() return shown("assistant") == WORDS end)
    assert.equal("Count, <b>please</b>.", shown("user"))
    finish()
    wait_for("the whole text", function() return shown("assistant") == WHOLE end)
    wait_for("the end", function()
      return browser:run("return document.querySelectorAll('button')[1].hidden")
    end)
    assert.equal("", shown("error"))
    ask("And again.") -- another connection, perhaps another worker
    wait_for("the second answer", function() return shown("assistant", 1) == WHOLE end)
    local messages = server:requests()[2].json.messages
    local said = {}
    for i, message in ipairs(messages) do said[i] = message.role .. ": " .. message.content end
    assert.same({ "system: You are brief.", "user: Count, <b>please</b>.",
      "assistant: " .. WHOLE, "user: And again." }, said)
    browser:close()
    browser = nil
    assert.equal("", end_example())
  end)

  in_browser("stops an answer, and shows what failed", function()
    local server = speaker()
    local port = run_example { BASE_URL = server.url, MODEL = "m" }
    browser = start_browser()
    browser:command("POST", "/url", { url = "http://127.0.0.1:" .. port .. "/" })
    ask("Count.")
    wait_for("the text", function() return shown("assistant") == WORDS end)
    browser:run("document.querySelectorAll('button')[1].click()")
    assert.is_true(server:wait(1, 5, "peer closed"))
    wait_for("the end", function() return shown("error") == "(stopped)" end)
    server:script { support.http(404, {}, { error = { message = "no such model at /secret" } }) }
    ask("Again.")
    wait_for("the error", function() return shown("error", 1) == "The service failed: http" end)
    assert.is_nil(browser:run("return document.body.textContent"):find("secret", 1, true))
    browser:close()
    browser = nil
    assert.truthy(end_example():find("no such model at /secret", 1, true))
  end)

  test("needs neither a key nor a network, and refuses what is no prompt", function()
    local port = run_example { BASE_URL = false, MODEL = false }
    local function post(kind, body)
      local out = {}
      local _, status = http.request {
        url = "http://127.0.0.1:" .. port .. "/chat", method = "POST",
        source = ltn12.source.string(body), sink = ltn12.sink.table(out),
        headers = { ["Content-Type"] = kind, ["Content-Length"] = #body } }
      return status, table.concat(out)
    end
    local status, body = post("application/json", '{"prompt":"I am sad."}')
    assert.equal(200, status)
    assert.truthy(body:find('event: done\ndata: {"status":"complete"}\n\n$'))
    assert.equal(400, (post("text/plain", '{"prompt":"I am sad."}')))
    assert.equal(400, (post("application/json", '{"prompt":" "}')))
    assert.equal(400, (post("application/json", "no JSON")))
    assert.equal(400, (select(2, http.request("http://127.0.0.1:" .. port .. "/chat"))))
    assert.equal("", end_example())
  end)
end)
