--- Later turns of recorded conversations of chat completions: what the module sends is
-- compared, field by field, with what the recorded client sent. What that does otherwise and
-- nobody asks for is counted as explained.

local answers = require "spec.machines.replay.answers"
local bots = require "spec.machines.replay.bots"
local decode = require "spec.support.decode"
local recordings = require "spec.machines.replay.recordings"
local report = require "spec.machines.replay.report"
local support = require "spec.support"

local turns = {}

local null, same = decode.null, answers.same
local unpack = table.unpack or unpack

local OURS = { model = true, messages = true, stream = true, stream_options = true,
  provider = true }

--- The conversation of a recorded request, and its further fields.
function turns.request(one)
  local request = one.request or {}
  local fields = { stream = one.stream_bytes ~= nil }
  for name, value in pairs(request) do
    if not OURS[name] and value ~= null then fields[name] = bots.plain(value) end
  end
  if fields.temperature == nil then fields.temperature = false end
  local list = {}
  for i, message in ipairs(request.messages or {}) do list[i] = bots.plain(message) end
  return list, fields
end

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
local function compare_fields(path, wanted, got, provider, skip, said, message)
  local fields = {}
  for field in pairs(wanted) do fields[field] = true end
  for field in pairs(got) do fields[field] = true end
  for field in pairs(fields) do
    local a, b = wanted[field], got[field]
    if field ~= skip and not same(a, b) then
      if is_explained(field, a, b, provider, message) or field == "content" and b == said then
        report.explain("a field that nobody asks for, or with another nothing in it")
      else
        report.differ(path .. "." .. field, a, b)
      end
    end
  end
end

local function compare_message(path, wanted, got, provider, said)
  compare_fields(path, wanted, got, provider, "tool_calls", said, wanted)
  local calls, others = wanted.tool_calls or {}, got.tool_calls or {}
  for k = 1, math.max(#calls, #others) do
    local at = ("%s.tool_calls[%d]"):format(path, k)
    local a, b = calls[k] or {}, others[k] or {}
    compare_fields(at, a, b, provider, "function")
    local f, g = a["function"] or {}, b["function"] or {}
    if f.name ~= g.name or not same(answers.arguments(f.arguments or ""),
      answers.arguments(g.arguments or "")) then
      report.differ(at .. ".function", f, g)
    end
  end
end

-- The messages that the recorded client put behind the answer.
local function added(first, second)
  local n = #first.request.messages
  local list = second.request.messages
  for i = 1, n do
    if not list[i] or not same(first.request.messages[i], list[i]) then return nil end
  end
  if not list[n + 1] or list[n + 1].role ~= "assistant" then return nil end
  return { unpack(list, n + 2) }
end

local function check_request(first, second, request)
  local sent = decode.json(request.body)
  local provider = bots.provider(second)
  local answered = #first.request.messages + 1
  local text = answers.reading(first).text
  for i = 1, math.max(#second.request.messages, #sent.messages) do
    compare_message(("messages[%d]"):format(i), second.request.messages[i] or {},
      sent.messages[i] or {}, provider, i == answered and text)
  end
  bots.check(request, second)
end

local function play_turn(first, second, behind)
  local server = support.serve({ recordings.script(first), recordings.script(second) },
    { strict = false })
  local list, fields = turns.request(first)
  local bot = bots.new(first, server, list)
  local answer, reply = bot:chat(nil, fields)
  if answer then
    local messages = bot:get_messages()
    for _, message in ipairs(behind) do messages[#messages + 1] = bots.plain(message) end
    local _, more = turns.request(second)
    bot:chat(nil, more)
    local request = server:requests()[2]
    if request then
      check_request(first, second, request)
    else
      report.differ("no second request was made", "one", "none")
    end
  else
    report.differ("the first answer", "an answer", tostring(reply))
  end
  server:close()
end

--- Plays the later turns of a conversation, each behind the recorded one before it.
---@param list table[] recordings in the order of their turns
function turns.play(list)
  for i = 1, #list - 1 do
    local first, second = list[i], list[i + 1]
    local name = ("%s, then turn %d"):format(first.name, second.turn)
    local behind = first.request and second.request and added(first, second)
    if first.status ~= 200 then
      report.skip(name, "the answer is an error")
    elseif not behind or second.turn ~= first.turn + 1 then
      report.skip(name, "the recorded client does not go on with this answer")
    else
      report.case(name, function() play_turn(first, second, behind) end)
    end
  end
end

return turns
