-- What spec/machines/oom.c runs while allocations fail: a piece of a bot's life,
-- oom_script.lua STAGE NAME=URL...
--
-- A failure may surface as an error of Lua or as an error table, and a reader that
-- catches the one goes on with the same reply. What is delivered must be true all the
-- same: a text is the beginning of the answer, a complete one is all of it, and the
-- conversation holds an exchange wholly or not at all. Afterwards, with memory again,
-- all works. `WRONG` in an error says that something of this does not hold.

local stage = ...
local urls = {}
for i = 2, select("#", ...) do
  local name, url = (select(i, ...)):match("^(%w+)=(.*)$")
  urls[name] = url
end

local arm, disarm = arm, disarm -- luacheck: ignore 113
local chatbot = require "chatbot"
require "cjson"

local KEY = "sk-oom-canary-0123456789"
local SMILE = "\240\159\152\128"
local truth = {
  plain = "Hello " .. SMILE .. "!",
  rich = "It is " .. SMILE .. " sunny.",
  tools = "",
  whole = "The whole answer.",
  slow = ("word "):rep(12),
  big = ("0123456789abcdef"):rep(2000),
  cut = "half an ans",
  items = "It is sunny.",
  response = "It is sunny.",
  blocks = "It is sunny.",
  message = "It is sunny.",
}
local unstripped = { whole = "  The whole answer.\n" } -- until the answer is complete

local function wrong(text) error("WRONG: " .. text, 0) end

local function is_part(name, text)
  return text == truth[name]:sub(1, #text) or text == unstripped[name]
end

local function new(name, opts)
  local all = { model = "m", base_url = urls[name], api_key = KEY, max_retries = 0,
    timeout = 10, system = "Be brief." }
  for key, value in pairs(opts or {}) do all[key] = value end
  return chatbot.new(all)
end

-- The conversation has a system message and whole exchanges.
local function check_messages(bot, name, may_be_partial)
  local messages = bot:get_messages()
  if #messages % 2 ~= 1 then wrong("half an exchange in the conversation: " .. #messages) end
  for i, message in ipairs(messages) do
    local role = i == 1 and "system" or i % 2 == 0 and "user" or "assistant"
    if message.role ~= role then wrong("message " .. i .. " is of " .. tostring(message.role)) end
    if role == "assistant" and message.content ~= truth[name] and not may_be_partial
        and not (message.tool_calls and message.content == nil) then
      wrong("a false message: " .. tostring(message.content))
    end
  end
end

local function check_failure(name, err)
  local text = tostring(err)
  if text:find("canary", 1, true) then wrong("the key is in an error") end
  if type(err) ~= "table" then
    -- Lua's words for a stack that cannot grow
    if not text:find("memory", 1, true) and not text:find("stack overflow", 1, true) then
      wrong("an odd error: " .. text)
    end
    return
  end
  if err.partial and not is_part(name, err.partial) then
    wrong("a false part: " .. err.partial)
  end
end

local function check_calls(reply)
  local call = (reply.tool_calls or {})[1]
  if not call or call["function"].name ~= "weather"
      or call["function"].arguments ~= '{"city":"\195\132sk"}' then
    wrong("a false tool call: " .. tostring(call and call["function"].arguments))
  end
end

-- Of an answer in items: what there is must be right, and all that goes back, or nothing.
local function check_items(reply)
  check_calls(reply)
  if reply.reasoning ~= "Hm." then wrong("false reasoning") end
  if #reply.citations ~= 1 or #reply.logprobs.content ~= 1 then wrong("false notes") end
  if reply.images[1].data ~= "abcd" then wrong("a false image") end
  local native = reply.message.native
  if native and #native.items ~= 4 then wrong("half a record") end
end

-- The same of one in blocks.
local function check_blocks(reply)
  check_calls(reply)
  if reply.reasoning ~= "Hm." then wrong("false reasoning") end
  if #reply.citations ~= 1 then wrong("false citations") end
  if reply.usage.total_tokens ~= 12 then wrong("false usage") end
  local native = reply.message.native
  if not native or #native.items ~= 4 then wrong("half a record") end
end

local function check_answer(name, answer, reply)
  if answer ~= truth[name] then wrong("a false answer: " .. tostring(answer)) end
  if name == "tools" then check_calls(reply) end
  if name == "items" or name == "response" then check_items(reply) end
  if name == "blocks" or name == "message" then check_blocks(reply) end
  if name == "rich" then
    if reply.usage and reply.usage.total_tokens ~= 12 then wrong("false usage") end
    if reply.reasoning and reply.reasoning ~= "Hm\195\164." then wrong("false reasoning") end
    if reply.logprobs and #reply.logprobs.content ~= 2 then wrong("false logprobs") end
  end
end

-- A function that fails is called again, up to a few times.
local function persist(fn, ...)
  local ok, a, b
  for _ = 1, 5 do
    ok, a, b = pcall(fn, ...)
    if ok then return a, b end
    check_failure("plain", a)
    collectgarbage() -- a reply that an error has left behind ends with its collection
  end
  return nil, a
end

-- Reads to the end, whatever is thrown meanwhile.
local function read(name, reply)
  local got = ""
  for _ = 1, 100000 do
    local ok, text, state = pcall(reply.poll, reply)
    if not ok then
      check_failure(name, text)
    elseif text then
      got = got .. text
      if not is_part(name, got) then wrong("a false text: " .. got) end
    elseif state == "done" then
      if got ~= truth[name] then wrong("text is missing: " .. got) end
      check_answer(name, got, reply)
      return true
    elseif state == "wait" then
      pcall(reply.wait, reply, 1)
    else
      check_failure(name, state)
      return false
    end
  end
  wrong("it does not end")
end

local function chat(name, opts, call)
  local bot = new(name, opts)
  local ok, answer, reply = pcall(bot.chat, bot, "hello", call)
  if not ok then
    check_failure(name, answer)
  elseif answer then
    check_answer(name, answer, reply)
  else
    check_failure(name, reply)
  end
  if not ok then collectgarbage() end
  check_messages(bot, name, opts and opts.keep_partial)
  if answer and ok then
    bot:set_model("gpt-4.1", { base_url = urls[name], api_key = KEY })
    bot:chat("again")
    check_messages(bot, name)
  end
  return ok and answer, reply
end

local function poll(name, call)
  local bot = new(name)
  local reply = persist(bot.stream, bot, "hello", call)
  if not reply then return end
  read(name, reply)
  check_messages(bot, name)
end

local stages = {}

function stages.plain() chat("plain") end
function stages.rich() chat("rich", nil, { logprobs = true, top_logprobs = 2, seed = 2 ^ 40 }) end
function stages.tools() chat("tools", nil, { tools = { { type = "function",
  ["function"] = { name = "weather", parameters = {} } } }, stop = {} }) end
function stages.whole() chat("whole", { stream = false, max_context_tokens = 5 }) end
function stages.items() chat("items", { api = "responses" }) end
function stages.response() chat("response", { api = "responses", stream = false }) end
function stages.blocks() chat("blocks", { api = "messages" }) end
function stages.message() chat("message", { api = "messages", stream = false }) end
function stages.big() poll("big") end
function stages.read() poll("rich") end
function stages.calls() poll("tools") end
function stages.document() poll("whole", { stream = false }) end
function stages.partial()
  local answer, err = chat("cut", { keep_partial = true })
  if answer then wrong("a cut answer is complete") end
  if type(err) == "table" and err.kind == "truncated" and err.partial ~= truth.cut then
    wrong("a part of what was cut: " .. tostring(err.partial))
  end
end

-- A body that is sent from where its strings stand.
local LONG = ('"Be" brief.\n'):rep(30000)

function stages.history()
  chat("plain", { system = LONG })
  chat("cut", { system = LONG, keep_partial = true })
end

-- Answers that are none. The key is echoed by the server.
for _, name in ipairs { "refused", "busy", "html", "event", "redirect" } do
  truth[name] = name == "event" and "Hel" or ""
  stages[name] = function()
    if chat(name, { max_retries = 1 }) then wrong("an error is an answer") end
  end
end

function stages.callback()
  local got = ""
  local answer = chat("plain", { on_text = function(text) got = got .. text end })
  if answer and got:sub(1, #answer) ~= answer then wrong("on_text has got " .. got) end
end

function stages.coroutine()
  local bot = new("slow")
  local got, co = "", coroutine.create(function() return bot:chat("hello") end)
  while coroutine.status(co) ~= "dead" do
    local ok, text, reply = coroutine.resume(co)
    if not ok then
      check_failure("slow", text)
    elseif coroutine.status(co) == "dead" then
      if text then check_answer("slow", text, reply) else check_failure("slow", reply) end
    else
      got = got .. text
      if got ~= truth.slow:sub(1, #got) then wrong("a false text: " .. got) end
      pcall(chatbot.poll, 0.05)
    end
  end
  co = nil -- luacheck: ignore 311
  collectgarbage()
  check_messages(bot, "slow")
end

function stages.close()
  local bot = new("slow")
  local reply = persist(bot.stream, bot, "hello")
  if not reply then return end
  for _ = 1, 3 do
    pcall(reply.wait, reply, 0.05)
    pcall(reply.poll, reply)
  end
  reply:close()
  if reply.status == "streaming" then wrong("closed, and goes on") end
  check_messages(bot, "slow")
  persist(bot.stream, bot, "hello") -- a reply that is lost
  collectgarbage()
  check_messages(bot, "slow")
end

function stages.key()
  chat("plain", { api_key = function() return KEY .. "-asked" end,
    headers = { ["X-Game"] = "chess" }, organization = "org", project = "p" })
end

function stages.models()
  local bot = new("models")
  local list, err = persist(bot.models, bot)
  if list then
    if #list ~= 2 or list[1] ~= "a" or list[2] ~= "b" then wrong("a false list") end
  else
    check_failure("plain", err)
  end
end

function stages.messages()
  local bot = new("plain", { messages = { { role = "user", content = { { type = "text",
    text = "x" } } }, { role = "assistant", content = truth.plain } } })
  check_messages(bot, "plain")
  pcall(bot.reset, bot)
  pcall(bot.set_messages, bot, { { role = "system", content = "s" } })
  check_messages(bot, "plain")
  chatbot.register("local", { base_url = urls.plain, match = { "local" } })
  bot:set_model("local:m")
  local before = bot:get_provider()
  if not pcall(bot.set_model, bot, "groq:m") and bot:get_provider().name ~= before.name then
    wrong("half a change of the model")
  end
end

arm()
local ok, err = pcall(stages[stage])
disarm()
if not ok then
  if tostring(err):find("WRONG", 1, true) then error(err, 0) end
  check_failure("plain", err)
end

-- the state is unharmed
local bot = chatbot.new { model = "m", base_url = urls.plain, max_retries = 0, timeout = 10 }
local answer, failure = bot:chat("hello")
if answer ~= truth.plain then wrong("afterwards: " .. tostring(failure)) end
