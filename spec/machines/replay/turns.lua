--- Drives recorded conversations of Responses and Messages: the module gets the first
-- recorded prompt and each recorded answer, the recorded results and prompts are put in, and
-- what it sends is compared with what it has to send.
--
-- What it has to send is made of the recorded answers and of what the recorded client said:
-- each unit (units.lua) of it in its order. What only its own service understands must be
-- there where the recorded client sent it, too; else it may be there. A thought that no
-- service could read (without seal and text) may be there only if the recorded client sent
-- it. What a recorded client made of an answer otherwise is counted as explained.

local answers = require "spec.machines.replay.answers"
local bots = require "spec.machines.replay.bots"
local decode = require "spec.support.decode"
local recordings = require "spec.machines.replay.recordings"
local report = require "spec.machines.replay.report"
local support = require "spec.support"
local units = require "spec.machines.replay.units"

local turns = {}

local wires = { responses = require "spec.machines.replay.wire_responses",
  messages = require "spec.machines.replay.wire_messages" }

local ID_MAX = 40

local function client_of(list)
  local out = {}
  for _, unit in ipairs(list) do
    if unit.kind == "user" or unit.kind == "result" then out[#out + 1] = unit end
  end
  return out
end


-- What has to be sent ------------------------------------------------------------------

-- Takes an answer into the units so far. `recorded`: those that the recorded client sent
-- next; what it sent of the answer must be sent.
local function take_answer(so_far, answer, recorded)
  local kept = {}
  for _, unit in ipairs(recorded) do
    if unit.loose then kept[unit.loose] = true end
  end
  for _, unit in ipairs(answer) do
    local sent = kept[unit.loose]
    unit.must = not units.NATIVE[unit.kind] or sent and not unit.useless or false
    if sent or not unit.useless then so_far[#so_far + 1] = unit end
  end
end

-- What the recorded client sent of answers and nobody has to send is explained; but no call
-- that was never made.
local function count_own(recorded, so_far)
  local known = {}
  for _, unit in ipairs(so_far) do
    known[unit.key], known[unit.loose or ""] = true, true
  end
  for _, unit in ipairs(recorded) do
    local own = not (units.CLIENT[unit.kind] or known[unit.key] or known[unit.loose])
    if own and unit.kind == "call" then
      report.differ("a call of the recorded client that no answer has", "nothing", unit.key)
    elseif own then
      report.explain("what the recorded client made of an answer in its own way")
    end
  end
end

-- Compares what was sent with what has to be.
local function compare_units(wanted, sent)
  local at = 1
  for _, unit in ipairs(wanted) do
    local got = sent[at]
    if got and got.numbered == unit.numbered then
      if unit.id and unit.first and got.id ~= unit.id then
        report.differ(("the id in %s"):format(unit.numbered), unit.id, got.id)
      end
      at = at + 1
    elseif unit.must ~= false then
      return report.differ(("item %d of the request"):format(at), unit.numbered,
        got and got.numbered or "nothing")
    else
      report.explain(unit.useless and "thoughts without a seal: only what is stored has none"
        or "what only the service understands, and the recorded client left out")
    end
  end
  if sent[at] then report.differ("one item too much", "nothing", sent[at].numbered) end
end

-- Marks the calls whose ids stand there for the first time: the others get new ones.
local function mark_first(list)
  local seen = {}
  for _, unit in ipairs(list) do
    if unit.kind == "call" then
      unit.first = not seen[unit.id] and not unit.foreign
      seen[unit.id] = true
    end
  end
  return units.number(list)
end


-- What comes between an answer and the next request --------------------------------------

-- Why what is behind an answer is not what comes next in a conversation; nil when it is.
local function unfit(so_far, answer, recorded, paused)
  local before, now = client_of(so_far), client_of(recorded)
  for i, unit in ipairs(before) do
    if not now[i] or #now < #before then return "the recorded client begins anew" end
    if now[i].key ~= unit.key then
      return "the recorded client changed what it had said before"
    end
  end
  if #now == #before and not paused then return "the recorded client asks the same again" end
  local results = {}
  for i = #before + 1, #now do
    if now[i].kind == "result" then results[#results + 1] = now[i] end
  end
  local calls = 0
  for _, unit in ipairs(answer) do
    if unit.kind == "call" then calls = calls + 1 end
  end
  if #results ~= calls then
    return "the recorded client gave other results than the answer has calls"
  end
end

-- The ids of the calls of a list, in their order.
local function ids_of(list)
  local ids = {}
  for _, unit in ipairs(list) do
    if unit.kind == "call" then ids[#ids + 1] = unit.id end
  end
  return ids
end

local function our_ids(messages)
  local ids = {}
  for _, message in ipairs(messages) do
    for _, call in ipairs(message.tool_calls or {}) do ids[#ids + 1] = call.id end
  end
  return ids
end

-- What the ids of a recorded request are in a list of others: clients may rewrite them.
local function translation(recorded, others)
  local to = {}
  for i, id in ipairs(ids_of(recorded)) do to[id] = others[i] end
  return to
end

-- The messages of a recorded request from its client's n-th on, n not counting the system's,
-- as answers to the calls of `messages`.
local function added(wire, request, n, recorded, messages)
  local out, to = {}, translation(recorded, our_ids(messages))
  for _, message in ipairs(wire.messages(request)) do
    if message.role == "user" or message.role == "tool" then
      n = n - 1
      if message.tool_call_id then
        message.tool_call_id = to[message.tool_call_id] or message.tool_call_id
      end
      if n < 0 then out[#out + 1] = message end
    end
  end
  return out
end

local function count_client(list)
  local n = 0
  for _, message in ipairs(list) do
    if message.role == "user" or message.role == "tool" then n = n + 1 end
  end
  return n
end


-- Conversations --------------------------------------------------------------------------

-- Compares the request that the module made for a recorded one.
local function check_request(walk, request, second, wanted, id)
  if not request then return report.differ("a request", "one", "none") end
  local sent = decode.json(request.body)
  compare_units(mark_first(wanted), units.number(walk.wire.units(sent, walk.seals)))
  local what, wants, has = walk.wire.problem(sent, second.request, id and true or false)
  if what then report.differ(what, wants, has) end
  if id and sent.previous_response_id ~= id then
    report.differ("previous_response_id", id, sent.previous_response_id)
  end
  local tools, got = walk.wire.tools(second.request), walk.wire.tools(sent)
  if tools ~= got then report.differ("tools", tools, got) end
  bots.check(request, second)
end

-- What our conversation can hold of what is said before the first answer: texts without
-- phase and citations, and ids that every service takes.
local function without_native(list)
  local out = {}
  for _, unit in ipairs(list) do
    if units.NATIVE[unit.kind] then
      report.explain("what only the service understands, said before the first answer played")
    else
      if unit.kind == "text" then
        local whole = unit.whole
        unit = units.text(unit.text)
        unit.whole = whole
      end
      unit.foreign = #(unit.id or "") > ID_MAX
      out[#out + 1] = unit
    end
  end
  return units.join_texts(out)
end

-- The id of the answer with which the next recorded request goes on at the service, false
-- when it sends the conversation; or nil and why it cannot be played.
local function stored_id(wire, first, second)
  local id = second.request.previous_response_id
  if second.request.conversation and second.request.conversation ~= decode.null then
    return nil, "the service keeps the conversation"
  end
  if not id or id == decode.null then return false end
  if id ~= wire.answer_id(first) then return nil, "the answer that it goes on with is missing" end
  return id
end

local function ask(walk, one, id)
  local fields = walk.wire.fields(one.request)
  fields.stream, fields.store = one.stream_bytes ~= nil, id and true or nil
  return walk.bot:chat(nil, fields)
end

-- A bot before the request of the turn `i` of a list, and what it has said.
local function begin(list, i)
  local first = list[i]
  local walk = { wire = wires[first.dialect], first = i, seals = {} }
  local scripts = {}
  for k = i, #list do scripts[#scripts + 1] = recordings.script(list[k]) end
  walk.server = support.serve(scripts, { strict = false })
  local messages = walk.wire.messages(first.request)
  walk.said = count_client(messages)
  walk.bot = bots.new(first, walk.server, messages)
  walk.so_far = without_native(walk.wire.units(first.request, walk.seals))
  return walk
end

-- Goes from the answer of the turn `k` to the next request, and compares that.
local function step(walk, list, k, answer, recorded, id)
  local one, second = list[k], list[k + 1]
  local paused = answers.reading(one).verdict == "paused"
  if k == walk.first then
    local text, reply = ask(walk, one, id)
    if not text then return report.differ("the answer", "an answer", tostring(reply)) end
    if paused then answers.compare_joined(one, second, text, reply) end
  end
  if not paused then -- else it has gone on by itself
    local messages = walk.bot:get_messages()
    local more = added(walk.wire, second.request, id and 0 or walk.said, recorded, messages)
    for _, message in ipairs(more) do messages[#messages + 1] = message end
    walk.said = walk.said + #more
    ask(walk, second, id)
  end
  local before = #client_of(walk.so_far)
  take_answer(walk.so_far, answer, recorded)
  local to = translation(recorded, ids_of(walk.so_far))
  for n, unit in ipairs(client_of(recorded)) do
    if n > before then
      unit.id = to[unit.id or ""] or unit.id
      walk.so_far[#walk.so_far + 1] = unit
    end
  end
  count_own(recorded, walk.so_far)
  check_request(walk, walk.server:requests()[k - walk.first + 2], second,
    id and recorded or walk.so_far, id)
end

-- Plays from the turn `i` on as far as one answer leads to the next request, and all is
-- right. Returns the turn to begin anew with.
local function play_from(list, i)
  local walk = begin(list, i)
  local function left(k)
    walk.server:close()
    return k
  end
  for k = i, #list - 1 do
    local one, second = list[k], list[k + 1]
    local name = ("%s, then turn %d"):format(one.name, second.turn)
    local id, why = stored_id(walk.wire, one, second)
    if id and k > i then return left(k) end
    local verdict = answers.reading(one).verdict
    if verdict == "http" or verdict == "api" or verdict == "protocol" then
      why = "the answer is an error"
    end
    local answer = walk.wire.answer(one, walk.seals)
    local recorded = walk.wire.units(second.request, walk.seals)
    if not id then
      why = why or unfit(walk.so_far, answer, recorded, verdict == "paused")
    end
    if why then
      report.skip(name, why)
      return left(k + 1)
    end
    local right = report.case(name, function() step(walk, list, k, answer, recorded, id) end)
    if not right or id then return left(k + 1) end
  end
  return left(#list)
end

--- Plays a request alone: the conversation that it shows is sent as the recorded client
-- sent it, but for what only the service understands.
function turns.request(one)
  for _, name in ipairs { "conversation", "previous_response_id" } do
    if one.request[name] and one.request[name] ~= decode.null then
      return report.skip(one.name .. ", its request", "the service keeps the conversation")
    end
  end
  local recorded = wires[one.dialect].units(one.request, {})
  if #recorded > 0 and not units.CLIENT[recorded[#recorded].kind] then
    return report.skip(one.name .. ", its request", "it ends with what the model said")
  end
  report.case(one.name .. ", its request", function()
    local walk = begin({ one }, 1)
    ask(walk, one)
    check_request(walk, walk.server:requests()[1], one, walk.so_far)
    walk.server:close()
  end)
end

--- Plays a conversation.
---@param list table[] recordings in the order of their turns
function turns.play(list)
  local i = 1
  while i < #list do
    i = play_from(list, i)
  end
end

return turns
