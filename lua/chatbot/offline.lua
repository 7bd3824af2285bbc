-- The bundled offline server: an OpenAI-compatible chat service on loopback
-- whose only model is "eliza". Real HTTP, so that the first run needs neither
-- a key nor a network, and takes the same way as any other service.
--
-- `main` is the server, run as a process of its own by `start`. The parent
-- holds the server's standard input; when the parent ends, in whatever way,
-- that input ends and the server with it. The server knows lua-http and
-- lua-cjson, it must not know the chatbot module.

local M = {}

local MODEL = "eliza"
local MAX_BODY = 8 * 1024 * 1024
-- A body that is too long is still read up to here before the 413: a client
-- that is cut off in the middle of sending never sees the answer.
local MAX_DISCARD = 4 * MAX_BODY
local READ_TIMEOUT = 30
local DEFAULT_DELAY_MS = 30

-- Debian packs lua-http's Lua files for 5.1 to 5.3 only, though they run on
-- 5.4. They are looked for among the neighbours' folders, after everything else.
local function widen_path()
  local version = _VERSION:match("%d+%.%d+")
  local added = {}
  for _, other in ipairs { "5.3", "5.2", "5.1" } do
    for template in package.path:gmatch("[^;]+") do
      local own = "/lua/" .. version:gsub("%.", "%%.") .. "/"
      local widened, count = template:gsub(own, "/lua/" .. other .. "/")
      if count == 1 and other ~= version then
        added[#added + 1] = widened
      end
    end
  end
  package.path = package.path .. ";" .. table.concat(added, ";")
end

---Whether this Lua can run the server.
---@return boolean|nil
---@return string? why not, and what to install
function M.available()
  local NOT_FOUND = "module '([^']+)' not found"
  local ok, err = pcall(require, "http.server")
  local missing = not ok and tostring(err):match(NOT_FOUND)
  if missing then
    widen_path()
    ok, err = pcall(require, "http.server")
    missing = tostring(err):match(NOT_FOUND) or missing
  end
  if ok then
    return true
  elseif not missing then
    return nil, "the offline server cannot load lua-http: " .. tostring(err):match("^[^\n]*")
  end
  return nil, ("the offline server needs lua-http for %s (Debian: apt install lua-http; LuaRocks: "
    .. "luarocks install http); not found: %s"):format(_VERSION, missing)
end

---Cuts a text into words that keep the white space around them, so that their
---concatenation is the text. A character of the East Asian scripts, which
---have no spaces, counts as a word.
---@param text string
---@return string[]
function M.words(text)
  local list, position = {}, 1
  while position <= #text do
    local _, stop = text:find("^%s*[\227-\244][\128-\191]*%s*", position)
    if not stop then
      _, stop = text:find("^%s*[^%s\227-\244]*%s*", position)
    end
    if stop < position then
      stop = position
    end
    list[#list + 1] = text:sub(position, stop)
    position = stop + 1
  end
  return list
end

local function count_words(messages)
  local count = 0
  for _, message in ipairs(messages) do
    local content = message.content
    if type(content) == "string" then
      count = count + #M.words(content)
    elseif type(content) == "table" then
      for _, part in ipairs(content) do
        if type(part) == "table" and type(part.text) == "string" then
          count = count + #M.words(part.text)
        end
      end
    end
  end
  return count
end

-- A refusal as a value: HTTP status, message and the parameter to blame.
local function refusal(status, message, param)
  return { status = status, message = message, param = param }
end

-- Checks a request body. Returns it, or nil and a refusal.
local function check(body, null)
  if type(body) ~= "table" then
    return nil, refusal(400, "The body is not a JSON object.")
  end
  local messages = body.messages
  if messages == nil or messages == null then
    return nil, refusal(400, "Missing required parameter: 'messages'.", "messages")
  end
  if type(messages) ~= "table" or #messages == 0 then
    return nil, refusal(400, "'messages' must be an array with at least one message.", "messages")
  end
  for i, message in ipairs(messages) do
    local param = ("messages[%d]"):format(i - 1)
    if type(message) ~= "table" or type(message.role) ~= "string" then
      return nil, refusal(400, ("'%s' must be an object with a role."):format(param), param)
    end
    local content = message.content
    local kind = type(content)
    if content ~= nil and content ~= null and kind ~= "string" and kind ~= "table" then
      param = param .. ".content"
      return nil, refusal(400, ("'%s' must be a string or an array of parts."):format(param), param)
    end
  end
  for _, name in ipairs { "max_tokens", "max_completion_tokens" } do
    local limit = body[name]
    if limit ~= nil and limit ~= null and (type(limit) ~= "number" or limit < 1) then
      return nil, refusal(400, ("'%s' must be a positive number."):format(name), name)
    end
  end
  if body.n ~= nil and body.n ~= null and body.n ~= 1 then
    return nil, refusal(400, "This server gives one answer at a time: 'n' must be 1.", "n")
  end
  return body
end

-- The answer as words, cut at the limit that the request sets.
local function compose(body, null)
  local words = M.words(require("chatbot.offline.eliza").answer(body.messages))
  local limit = body.max_completion_tokens
  if limit == nil or limit == null then
    limit = body.max_tokens
  end
  if type(limit) ~= "number" or #words <= limit then
    return words, "stop"
  end
  local cut = {}
  for i = 1, math.floor(limit) do
    cut[i] = words[i]
  end
  return cut, "length"
end

-- The handlers are made once the libraries are loaded; `delay` in seconds.
local function new_handler(delay)
  local cqueues = require "cqueues"
  local headers = require "http.headers"
  local cjson = require("cjson").new()
  cjson.decode_max_depth(64)
  local null = require("cjson").null
  local served = 0

  local function reply(stream, method, status, text, more)
    local head = headers.new()
    head:append(":status", tostring(status))
    head:append("content-type", "application/json; charset=utf-8")
    head:append("content-length", tostring(#text))
    for name, value in pairs(more or {}) do
      head:append(name, value)
    end
    if stream:write_headers(head, method == "HEAD", READ_TIMEOUT) and method ~= "HEAD" then
      stream:write_chunk(text, true, READ_TIMEOUT)
    end
  end

  local function refuse(stream, method, why, more)
    reply(stream, method, why.status, cjson.encode {
      error = {
        message = why.message,
        type = "invalid_request_error",
        param = why.param or null,
        code = null,
      },
    }, more)
  end

  -- Returns the body, or nil and a refusal (or nil alone: the client is gone).
  local function read_body(stream, head)
    local announced = tonumber(head:get("content-length") or "")
    if (not announced or announced <= MAX_BODY) and head:get("expect") == "100-continue" then
      stream:write_continue(READ_TIMEOUT)
    end
    local parts, size = {}, 0
    local too_long = refusal(413, ("The body is longer than %d bytes."):format(MAX_BODY))
    if announced and announced > MAX_DISCARD then
      return nil, too_long
    end
    while true do
      local chunk, err = stream:get_next_chunk(READ_TIMEOUT)
      if not chunk then
        if err then
          return nil
        end
        break
      end
      size = size + #chunk
      if size > MAX_BODY then
        parts = {}
        if size > MAX_DISCARD then
          break
        end
      else
        parts[#parts + 1] = chunk
      end
    end
    if size > MAX_BODY then
      return nil, too_long
    end
    return table.concat(parts)
  end

  -- `choices` comes as text: lua-cjson writes an empty table as an object.
  local function object(kind, id, choices, usage)
    return ('{"id":"%s","object":"%s","created":%d,"model":"%s","choices":%s%s}'):format(
      id, kind, os.time(), MODEL, choices, usage and ',"usage":' .. usage or "")
  end

  local function stream_answer(stream, id, words, finish, usage)
    local head = headers.new()
    head:append(":status", "200")
    head:append("content-type", "text/event-stream; charset=utf-8")
    head:append("cache-control", "no-cache")
    if not stream:write_headers(head, false, READ_TIMEOUT) then
      return
    end
    local function send(choices, figures)
      local data = object("chat.completion.chunk", id, choices, figures or (usage and "null"))
      return stream:write_chunk("data: " .. data .. "\n\n", false, READ_TIMEOUT)
    end
    local function choice(delta, reason)
      return ('[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}]'):format(
        delta, cjson.encode(reason))
    end
    local alive = send(choice('{"role":"assistant","content":""}', null))
    for _, word in ipairs(words) do
      if delay > 0 then
        cqueues.sleep(delay)
      end
      alive = alive and send(choice('{"content":' .. cjson.encode(word) .. "}", null))
      if not alive then
        return -- the client has hung up
      end
    end
    alive = send(choice("{}", finish))
    if alive and usage then
      send("[]", usage)
    end
    stream:write_chunk("data: [DONE]\n\n", true, READ_TIMEOUT)
  end

  local function completions(stream, method, head)
    local text, why = read_body(stream, head)
    if not text then
      if why then
        refuse(stream, method, why, { connection = "close" })
      end
      return
    end
    local ok, body = pcall(cjson.decode, text)
    if not ok then
      return refuse(stream, method, refusal(400, "The body is not valid JSON: " .. tostring(body)))
    end
    body, why = check(body, null)
    if not body then
      return refuse(stream, method, why)
    end
    local words, finish = compose(body, null)
    local prompt = count_words(body.messages)
    local usage = ('{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}'):format(
      prompt, #words, prompt + #words)
    served = served + 1
    local id = ("chatcmpl-eliza-%d"):format(served)
    if body.stream == true then
      local with = body.stream_options
      local wanted = type(with) == "table" and with.include_usage == true
      return stream_answer(stream, id, words, finish, wanted and usage or nil)
    end
    local choices = ('[{"index":0,"message":{"role":"assistant","content":%s},"logprobs":null,'
      .. '"finish_reason":"%s"}]'):format(cjson.encode(table.concat(words)), finish)
    reply(stream, method, 200, object("chat.completion", id, choices, usage))
  end

  local function models(stream, method)
    reply(stream, method, 200, ('{"object":"list","data":[{"id":"%s","object":"model","created":0,'
      .. '"owned_by":"chatbot"}]}'):format(MODEL))
  end

  local routes = {
    ["/v1/models"] = { GET = models, HEAD = models },
    ["/v1/chat/completions"] = { POST = completions },
  }

  return function(_, stream)
    local head = stream:get_headers(READ_TIMEOUT)
    if not head then
      return
    end
    local method, path = head:get(":method"), (head:get(":path") or ""):match("^[^?#]*")
    local route = routes[path]
    if not route then
      return refuse(stream, method, refusal(404, ("Unknown path: %s %s"):format(method, path)))
    end
    if not route[method] then
      local allowed = {}
      for name in pairs(route) do
        allowed[#allowed + 1] = name
      end
      table.sort(allowed)
      return refuse(stream, method, refusal(405, ("%s does not take %s."):format(path, method)),
        { allow = table.concat(allowed, ", ") })
    end
    route[method](stream, method, head)
  end
end

-- Returns when standard input has ended. What arrives there is thrown away.
local function wait_for_eof()
  local cqueues = require "cqueues"
  io.stdin:setvbuf("no")
  repeat
    cqueues.poll { pollfd = 0, events = "r" }
  until not io.stdin:read(1)
end

---The server process: prints one line `listening on http://127.0.0.1:PORT/v1`
---and serves until its standard input ends. Does not return.
---@param delay? number milliseconds between two words of a stream
function M.main(delay)
  local ok, why = M.available()
  if not ok then
    io.stderr:write(why, "\n")
    os.exit(1)
  end
  local signal = require "cqueues.signal"
  -- Ctrl-C in the terminal reaches the whole group: it is meant for the parent.
  signal.ignore(signal.SIGINT)
  signal.ignore(signal.SIGPIPE)
  delay = delay or tonumber(os.getenv("CHATBOT_OFFLINE_DELAY") or "") or DEFAULT_DELAY_MS
  local server = assert(require("http.server").listen {
    host = "127.0.0.1",
    port = 0,
    tls = false,
    version = 1.1,
    onstream = new_handler(math.max(delay, 0) / 1000),
    onerror = function() end, -- a broken connection is the client's matter
  })
  assert(server:listen(READ_TIMEOUT))
  local _, _, port = server:localname()
  io.stdout:write(("listening on http://127.0.0.1:%d/v1\n"):format(port))
  io.stdout:flush()
  local loop = require("cqueues").new()
  loop:wrap(function()
    wait_for_eof()
    os.exit(0)
  end)
  loop:wrap(function()
    assert(server:loop())
  end)
  local _, err, errno = loop:loop()
  -- A file or /dev/null as input cannot be waited for: its end is near enough.
  local cannot_wait = errno == require("cqueues.errno").EPERM
  if not cannot_wait then
    io.stderr:write(tostring(err), "\n")
  end
  os.exit(cannot_wait and 0 or 1)
end

-- The interpreter that runs this script: the lowest index of `arg`.
local function running_interpreter()
  local lowest = 0
  while arg and arg[lowest - 1] do
    lowest = lowest - 1
  end
  return lowest < 0 and arg[lowest] or nil
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

---Starts the server as a child process that lives no longer than this one.
---@param options? { interpreter?: string, delay?: number }
---@return { base_url: string, model: string, stop: fun() }|nil
---@return string? err
function M.start(options)
  options = options or {}
  local interpreter = options.interpreter or running_interpreter()
  if not interpreter then
    return nil, "the offline server needs a stand-alone Lua interpreter"
  end
  -- The child's output comes through a fifo, since popen gives one direction
  -- only and that one is needed to hold the child's input. Opening a fifo
  -- waits for the other side, so there is nothing to poll; if the interpreter
  -- cannot be run, the shell's end closes and the read below ends.
  local made = io.popen('umask 077; d=$(mktemp -d) && mkfifo "$d/out" && echo "$d"', "r")
  local dir = made and made:read("*l")
  if made then
    made:close()
  end
  if not dir then
    return nil, "the offline server could not be started: no temporary directory"
  end
  local code = ("package.path=%q package.cpath=%q require('chatbot.offline').main(%s)"):format(
    package.path, package.cpath, options.delay and ("%d"):format(options.delay) or "")
  local child = io.popen(("exec %s -e %s >%s 2>&1"):format(
    quote(interpreter), quote(code), quote(dir .. "/out")), "w")
  local out = child and io.open(dir .. "/out", "r")
  local line = out and out:read("*l")
  os.execute("rm -rf " .. quote(dir))
  local base_url = line and line:match("^listening on (http://127%.0%.0%.1:%d+/v1)$")
  local function stop()
    if child then
      child:close() -- ends its input, and waits for it
      out:close()
      child = nil
    end
  end
  if base_url then
    return { base_url = base_url, model = MODEL, stop = stop }
  end
  if child and out then
    stop()
  end
  return nil, line or "the offline server did not start"
end

return M
