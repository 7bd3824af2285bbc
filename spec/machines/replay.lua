-- Plays recorded answers of services to the module, and compares what it makes of them
-- with an independent reading (replay_reader.lua), and what it sends in the later turns
-- of a conversation with what the recorded client sent.
-- Usage: lua spec/machines/replay.lua DIR [PATTERN]   (make replay DIR=/some/folder)
--
-- DIR has, for each exchange NAME, NAME.req.json (the body of the request), NAME.sse or
-- NAME.json (that of the answer) and NAME.meta.json: {provider, model, status, and for the
-- turns of one conversation `conversation` and `turn`}. Each answer is played whole, one
-- event a write and cut at random (SEED=n repeats one). Lists each difference; ends with
-- counts, and fails when there was a difference. What a recorded client does otherwise and
-- nobody asks for is counted as explained. Without DIR it says so and is content.

package.path = "./?.lua;./?/init.lua;" .. package.path

local dir, pattern = arg[1], arg[2]
if not dir or dir == "" then
  print("no recorded answers were named: make replay DIR=/some/folder")
  os.exit(0)
end

local chatbot = require "chatbot"
local decode = require "spec.support.decode"
local reader = require "spec.machines.replay_reader"
local strict = require "spec.support.strict"
local support = require "spec.support"

local unpack = table.unpack or unpack
local null = decode.null
local seed = tonumber(os.getenv("SEED")) or os.time() % 1000000
math.randomseed(seed)

local differences, explained, played, compared = 0, 0, 0, 0

local function differ(name, what, wanted, got)
  differences = differences + 1
  local function show(value)
    value = type(value) == "table" and support.encode(value)
      or type(value) == "string" and ("%q"):format(value):gsub("\n", "n") or tostring(value)
    return #value > 160 and value:sub(1, 100) .. " ... " .. value:sub(-50) or value
  end
  print(("DIFFERS %s\n    %s\n    expected %s\n    observed %s"):format(name, what, show(wanted),
    show(got)))
end


-- The folder ---------------------------------------------------------------------

local function read_json(path)
  local text = support.read_file(path)
  if not text then return nil end
  local value, problem = decode.json(text)
  if problem then error(path .. ": " .. problem, 0) end
  return value
end

local function exchanges()
  local pipe, list = assert(io.popen("ls " .. support.quote(dir))), {}
  for file in pipe:lines() do
    local name = file:match("^(.*)%.meta%.json$")
    if name and (not pattern or name:find(pattern)) then
      local path = dir .. "/" .. name
      local one = read_json(path .. ".meta.json")
      one.name, one.request = name, read_json(path .. ".req.json")
      one.stream_bytes = support.read_file(path .. ".sse")
      one.bytes = one.stream_bytes or support.read_file(path .. ".json")
      if one.bytes then list[#list + 1] = one end
    end
  end
  pipe:close()
  return list
end


-- Playing ------------------------------------------------------------------------

local cuts = {
  { "whole", function(bytes) return { bytes } end },
  { "event by event", function(bytes)
    local pieces, at = {}, 1
    while at <= #bytes do
      local _, stop = bytes:find("\r?\n\r?\n", at)
      pieces[#pieces + 1] = bytes:sub(at, stop or #bytes)
      at = (stop or #bytes) + 1
    end
    return pieces
  end },
  { "at random", function(bytes)
    local pieces, at = {}, 1
    while at <= #bytes do
      local n = math.random(1, math.random() < 0.2 and 5 or math.max(math.floor(#bytes / 20), 1))
      pieces[#pieces + 1] = bytes:sub(at, at + n - 1)
      at = at + n
    end
    return pieces
  end },
}

local function script_of(one, pieces)
  local type = one.stream_bytes and "text/event-stream" or "application/json"
  local list = support.array {}
  for i, piece in ipairs(pieces) do list[i] = { send = piece } end
  return support.http(one.status, { ["Content-Type"] = type }, list, { framing = "close" })
end

local NAMES = { llamacpp = "llamaserver", ["ollama.com"] = "ollama",
  ["<OLLAMA_API_BASE>/chat/completions"] = "ollama", ["localhost:8080"] = "llamaserver",
  copilot = "github" }
local known = {}
for _, row in ipairs(chatbot.providers()) do known[row.name] = true end

local function provider_of(one)
  local name = NAMES[one.provider] or one.provider
  return known[name] and name or nil
end

-- A table as the module takes it: without nulls, empty lists as lists.
local function plain(value)
  if value == null or type(value) ~= "table" then return value ~= null and value or nil end
  local out = {}
  for key, item in pairs(value) do out[key] = plain(item) end
  return decode.is_list(value) and chatbot.array(out) or out
end

local OURS = { model = true, messages = true, stream = true, stream_options = true,
  provider = true }

-- A bot that stands before the request of this exchange, its prompt (nil: the messages are
-- sent as they are), and the further fields of the request.
local function bot_for(one, server)
  local request = one.request or {}
  local fields = { stream = one.stream_bytes ~= nil }
  for name, value in pairs(request) do
    if not OURS[name] and value ~= null then fields[name] = plain(value) end
  end
  if fields.temperature == nil then fields.temperature = false end
  local list = {}
  for i, message in ipairs(request.messages or {}) do list[i] = plain(message) end
  local bot = chatbot.new { base_url = server.url, model = one.model ~= "" and one.model or "m",
    provider = provider_of(one), api_key = "k", max_retries = 0, timeout = 20, messages = list }
  return bot, #list == 0 and "hello" or nil, fields
end

local function observed_of(answer, reply)
  local verdict, source = reply.status, reply
  if not answer then verdict, source = reply.kind, {} end
  local calls = {}
  for i, call in ipairs(source.tool_calls or {}) do
    calls[i] = { name = call["function"].name, arguments = call["function"].arguments,
      id = call.id }
  end
  return { text = source.text or answer or reply.partial or "",
    reasoning = source.reasoning or "", refusal = source.refusal or "", calls = calls,
    usage = source.usage, verdict = verdict }
end

local function same_json(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) ~= "table" or a == null or b == null then return a == b end
  for key, value in pairs(a) do
    if not same_json(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return decode.is_list(a) == decode.is_list(b) or next(a) == nil
end

local function arguments_of(text)
  if not text:find("%S") then text = "{}" end
  local value = decode.json(text)
  if value == null then value = {} end
  return value or text
end

local USAGE = { "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens",
  "reasoning_tokens" }

local function compare(one, cut, wanted, got)
  local name = one.name .. ", " .. cut
  for _, field in ipairs { "verdict", "text" } do
    if wanted[field] ~= got[field] then differ(name, field, wanted[field], got[field]) end
  end
  if wanted.verdict ~= got.verdict or not wanted.verdict:find("^[clt]") then return end
  if wanted.verdict == "truncated" then return end
  for _, field in ipairs { "reasoning", "refusal" } do
    if wanted[field] ~= got[field] then differ(name, field, wanted[field], got[field]) end
  end
  for i = 1, math.max(#wanted.calls, #got.calls) do
    local a, b = wanted.calls[i] or {}, got.calls[i] or {}
    if a.name ~= b.name then differ(name, "name of call " .. i, a.name, b.name) end
    if a.id and a.id ~= b.id then differ(name, "id of call " .. i, a.id, b.id) end
    local wants = a.object or arguments_of(a.arguments or "")
    local has = arguments_of(b.arguments or "")
    if not same_json(wants, has) then differ(name, "arguments of call " .. i, wants, has) end
  end
  for _, field in ipairs(USAGE) do
    local a, b = (wanted.usage or {})[field], (got.usage or {})[field]
    if a ~= b then differ(name, "usage." .. field, a, b) end
  end
end

local function play(one)
  local wanted = reader.read(one.bytes, not one.stream_bytes, one.status)
  for _, cut in ipairs(cuts) do
    local server = support.serve({ script_of(one, cut[2](one.bytes)) }, { strict = false })
    local bot, prompt, fields = bot_for(one, server)
    local ok, answer, reply = pcall(bot.chat, bot, prompt, fields)
    if ok then
      compare(one, cut[1], wanted, observed_of(answer, reply))
    else
      differ(one.name, "an error was raised", "none", answer)
    end
    server:close()
    played = played + 1
  end
end


-- Conversations ------------------------------------------------------------------

-- All of these are the same to a service.
local function is_nothing(value)
  return value == nil or value == null or value == "" or decode.is_list(value) and #value == 0
end

-- Fields that some clients send back and no service asks for.
local NEEDLESS = { annotations = true, prefix = true, index = true, custom = true }

-- What goes back to those that want it; other services never see it.
local GIVEN_BACK = { reasoning = true, reasoning_content = true, reasoning_details = true }
local WANT = { xai = true, zai = true, ollama = true, llamaserver = true, deepseek = true,
  moonshot = true, openrouter = true }

-- Whether a difference needs no change: an id of which the recording shows a stand-in, a
-- field that the recorded client has and no service asks for, thoughts that it gives back
-- beside no call or not as they came.
local function is_explained(field, wanted, got, provider, message)
  if is_nothing(wanted) and is_nothing(got) then return true end
  if field == "id" or field == "tool_call_id" then
    return type(wanted) == "string" and wanted:find("REDACTED", 1, true) ~= nil and got ~= nil
  end
  if field == "reasoning_content" and got == nil and message and not message.tool_calls then
    return true
  end
  if field == "reasoning_details" and got ~= nil then return true end
  if got ~= nil then return false end
  if NEEDLESS[field] then return true end
  if provider == "openrouter" then return field == "reasoning" or field == "reasoning_content" end
  if field == "reasoning" then return true end -- reasoning_content is there as well
  return GIVEN_BACK[field] and not WANT[provider]
end

-- `said`: what is behind a message that the recorded client may have kept in part.
local function compare_fields(name, path, wanted, got, provider, skip, said, message)
  local fields = {}
  for field in pairs(wanted) do fields[field] = true end
  for field in pairs(got) do fields[field] = true end
  for field in pairs(fields) do
    local a, b = wanted[field], got[field]
    if field ~= skip and not same_json(a, b) then
      if is_explained(field, a, b, provider, message) or field == "content" and b == said then
        explained = explained + 1
      else
        differ(name, path .. "." .. field, a, b)
      end
    end
  end
end

local function compare_message(name, path, wanted, got, provider, said)
  compare_fields(name, path, wanted, got, provider, "tool_calls", said, wanted)
  local calls, others = wanted.tool_calls or {}, got.tool_calls or {}
  for k = 1, math.max(#calls, #others) do
    local at = ("%s.tool_calls[%d]"):format(path, k)
    local a, b = calls[k] or {}, others[k] or {}
    compare_fields(name, at, a, b, provider, "function")
    local f, g = a["function"] or {}, b["function"] or {}
    if f.name ~= g.name or not same_json(arguments_of(f.arguments or ""),
      arguments_of(g.arguments or "")) then
      differ(name, at .. ".function", f, g)
    end
  end
end

-- The messages that the recorded client put behind the answer.
local function added(first, second)
  local n = #first.request.messages
  local list = second.request.messages
  for i = 1, n do
    if not list[i] or not same_json(first.request.messages[i], list[i]) then return nil end
  end
  if not list[n + 1] or list[n + 1].role ~= "assistant" then return nil end
  return { unpack(list, n + 2) }
end

local function play_turn(first, second)
  local name = first.name .. " then " .. second.name
  local behind = added(first, second)
  if not behind then return end
  local server = support.serve({ script_of(first, { first.bytes }),
    script_of(second, { second.bytes }) }, { strict = false })
  local bot, prompt, fields = bot_for(first, server)
  local answer, reply = bot:chat(prompt, fields)
  if answer then
    local messages = bot:get_messages()
    for _, message in ipairs(behind) do messages[#messages + 1] = plain(message) end
    local _, _, more = bot_for(second, server)
    bot:chat(nil, more)
    compared = compared + 1
    local request = server:requests()[2]
    if request then
      local sent = decode.json(request.body)
      local provider = provider_of(second)
      local answered = #first.request.messages + 1
      local text = reader.read(first.bytes, not first.stream_bytes, first.status).text
      for i = 1, math.max(#second.request.messages, #sent.messages) do
        compare_message(name, ("messages[%d]"):format(i), second.request.messages[i] or {},
          sent.messages[i] or {}, provider, i == answered and text)
      end
      local problem = strict.request(request,
        strict.services[provider] and provider or "strictest")
      if problem and problem:find("is unknown", 1, true) then -- the program's own messages
        explained = explained + 1
      elseif problem then
        differ(name, "a strict service refuses it", "nothing", problem)
      end
    else
      differ(name, "no second request was made", "one", "none")
    end
  else
    differ(name, "the first answer", "an answer", tostring(reply))
  end
  server:close()
end


-- All ------------------------------------------------------------------------------

local started = support.now()
local list, turns = exchanges(), {}
for _, one in ipairs(list) do
  play(one)
  if one.conversation and one.request then
    turns[one.conversation] = turns[one.conversation] or {}
    turns[one.conversation][one.turn] = one
  end
end
for _, one in ipairs(list) do
  local second = one.conversation and one.request and turns[one.conversation][one.turn + 1]
  if second and one.status == 200 then
    local ok, problem = pcall(play_turn, one, second)
    if not ok then differ(one.name, "an error was raised", "none", problem) end
  end
end
support.close_all()
print(("%.1f s under %s, SEED=%d"):format(support.now() - started, support.interpreter(), seed))
print(("%d answers played %d times, %d later turns; %d differences, %d explained"):format(
  #list, played, compared, differences, explained))
if #list == 0 or differences > 0 then os.exit(1) end
