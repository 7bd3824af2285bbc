-- The events that are understood without tables mean what the others would: random
-- streams, of servers that leave out what they like, come as they are, with a member in
-- each event that only a JSON decoder can take, and with that in some.

local batch = require "spec.support.batch"
local support = require "spec.support"

local STREAMS, SEED = 150, 20261127
local random, chance, pick = require("spec.machines.random")(SEED)

-- What a string of JSON may hold, as it stands there.
local TEXTS = { "", "a", " word", " word", " longer than sixteen bytes of it", "\\n\\n", "\\\"",
  "\\\\", "\\u00e4", "\195\164", "\\ud83d", "\\ude00", "\\ud83d\\ude00", "\240\159\152\128",
  "<think>", "}", "]}", "\\u0000" }

local function text() return pick(TEXTS) end

-- What hardly any server sends, and may mean something.
local ODD = { '"error":""', '"error":"x"', '"error":null', '"error":false', '"error":{}',
  '"object":"error"', '"errors":[]', '"errors":["x"]', '"usage":null', '"response":null',
  '"response":{}', '"message":"x"', '"index":7', '"output_index":7', '"item_id":"i1"',
  '"delta":null', '"delta":"more"', '"text":"more"', '"type":"ping"', '"code":1', '"choices":[]' }

-- Members in any order, as the server has them, with blanks at times.
local function object(members, style)
  local list = {}
  for _, member in ipairs(members) do
    local at = style.ordered and #list + 1 or random(#list + 1)
    table.insert(list, at, ('"%s":%s'):format(member[1], member[2]))
  end
  if style.odd and chance(3) then table.insert(list, random(#list + 1), pick(ODD)) end
  local blanks = style.blanks and (" "):rep(random(12) - 1) or ""
  return "{" .. table.concat(list, style.spaced and ", " or ",") .. blanks .. "}"
end

local function quoted(s) return '"' .. s .. '"' end

-- Some of the texts of an item or a block, each a list of pieces.
local function parts(most)
  local out = {}
  for i = 1, random(most) do
    out[i] = {}
    for k = 1, random(6) - 1 do out[i][k] = text() end
  end
  return out
end

-- All lists as one, each in its order; one after the other, or mixed.
local function joined(lists, mixed)
  local out, at, left = {}, {}, #lists
  while left > 0 do
    local i = mixed and random(#lists) or #lists - left + 1
    at[i] = at[i] or 0
    if at[i] < #lists[i] then
      at[i] = at[i] + 1
      out[#out + 1] = lists[i][at[i]]
    end
    left = 0
    for k, list in ipairs(lists) do left = left + ((at[k] or 0) < #list and 1 or 0) end
    if not mixed then
      for k = 1, #lists do
        if (at[k] or 0) < #lists[k] then left = #lists - k + 1; break end
      end
    end
  end
  return out
end

-- What a server does, the same in all of a stream.
local function new_style()
  return {
    ordered = chance(50), spaced = chance(20), blanks = chance(30), mixed = chance(30),
    numbered = chance(70), padded = chance(50), logprobs = chance(70), places = chance(80),
    inner = chance(80), ids = pick { "same", "same", "none", "other" }, opens = chance(80),
    odd = chance(30), announces = chance(80), repeats = chance(70), closes = chance(70),
    lists = chance(50),
  }
end

-- ---- Responses ----

local function response_event(style, kind, members, place)
  local all = { { "type", quoted("response." .. kind) } }
  if style.numbered then
    style.number = (style.number or 0) + 1
    all[#all + 1] = { "sequence_number", style.number }
  end
  if place and style.places then all[#all + 1] = { "output_index", place } end
  for _, member in ipairs(members) do all[#all + 1] = member end
  if style.padded and kind:find("delta$") then
    all[#all + 1] = { "obfuscation", quoted(("x"):rep(random(20) - 1)) }
  end
  return object(all, style)
end

local ITEMS = {
  { type = "message", part = "output_text", name = "output_text", index = "content_index" },
  { type = "message", part = "refusal", name = "refusal", index = "content_index" },
  { type = "reasoning", part = "summary_text", name = "reasoning_summary_text",
    index = "summary_index", list = "summary" },
  { type = "reasoning", part = "reasoning_text", name = "reasoning_text",
    index = "content_index" },
}

local function list_of(item, texts)
  local out = {}
  for i, pieces in ipairs(texts) do
    out[i] = ('{"type":"%s","%s":"%s"}'):format(item.part,
      item.part == "refusal" and "refusal" or "text", table.concat(pieces))
  end
  return "[" .. table.concat(out, ",") .. "]"
end

-- The events of an item, and how it stands in the final list.
local function response_item(style, place)
  local item, id = pick(ITEMS), "i" .. place
  local texts, out = parts(3), {}
  local function add(kind, members, part)
    if part and style.inner then members[#members + 1] = { item.index, part - 1 } end
    if style.ids ~= "none" then
      local own = style.ids == "same" and id or id .. random(1000)
      members[#members + 1] = { "item_id", quoted(own) }
    end
    out[#out + 1] = response_event(style, kind, members, place)
  end
  local function whole(list)
    return ('{"type":"%s","id":"%s","role":"assistant","status":"completed","%s":%s}'):format(
      item.type, id, item.list or "content", list)
  end
  if style.opens then add("output_item.added", { { "item", whole "[]" } }) end
  for i, pieces in ipairs(texts) do
    local all = quoted(table.concat(pieces))
    if style.announces and item.list then
      add("reasoning_summary_part.added", { { "part", '{"type":"summary_text","text":""}' } }, i)
    elseif style.announces then
      add("content_part.added", { { "part", ('{"type":"%s"}'):format(item.part) } }, i)
    end
    for _, piece in ipairs(pieces) do
      local members = { { "delta", quoted(piece) } }
      if style.logprobs and item.part == "output_text" then
        members[2] = { "logprobs", chance(95) and "[]" or '[{"token":"x","logprob":-1}]' }
      end
      add(item.name .. ".delta", members, i)
    end
    if style.repeats then
      add(item.name .. ".done", { { item.part == "refusal" and "refusal" or "text", all } }, i)
    end
  end
  local final = whole(list_of(item, texts))
  if style.closes then add("output_item.done", { { "item", final } }) end
  return out, final
end

local function responses()
  local style, lists, finals = new_style(), {}, {}
  for i = 1, random(4) do lists[i], finals[i] = response_item(style, i - 1) end
  local out = joined(lists, style.mixed)
  if chance(80) then
    table.insert(out, 1, response_event(style, "created", { { "response",
      '{"id":"resp_1","model":"m-1","status":"in_progress","output":[]}' } }))
  end
  out[#out + 1] = response_event(style, "completed", { { "response",
    ('{"id":"resp_1","model":"m-1","status":"completed","output":[%s]}'):format(
      style.lists and table.concat(finals, ",") or "") } })
  return out
end

-- ---- Messages ----

local function block_event(style, kind, index, members)
  local all = { { "type", quoted(kind) } }
  if style.places then all[2] = { "index", index } end
  for _, member in ipairs(members or {}) do all[#all + 1] = member end
  return object(all, style)
end

local function message_block(style, index)
  local kind = pick { "text", "text", "thinking" }
  local out = {}
  if style.opens then
    out[1] = block_event(style, "content_block_start", index, { { "content_block",
      ('{"type":"%s","%s":""}'):format(kind, kind) } })
  end
  for _, piece in ipairs(parts(1)[1]) do
    out[#out + 1] = block_event(style, "content_block_delta", index, { { "delta",
      object({ { "type", quoted(kind .. "_delta") }, { kind, quoted(piece) } },
        { ordered = style.ordered }) } })
    if chance(5) then out[#out + 1] = '{"type": "ping"}' end
  end
  if kind == "thinking" and chance(80) then
    out[#out + 1] = block_event(style, "content_block_delta", index, { { "delta",
      '{"type":"signature_delta","signature":"c2ln"}' } })
  end
  if style.closes then out[#out + 1] = block_event(style, "content_block_stop", index) end
  return out
end

local function messages()
  local style, lists = new_style(), {}
  for i = 1, random(4) do lists[i] = message_block(style, i - 1) end
  local out = joined(lists, style.mixed)
  table.insert(out, 1, '{"type":"message_start","message":{"id":"msg_1","model":"m-1",'
    .. '"role":"assistant","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}')
  out[#out + 1] = '{"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    .. '"usage":{"output_tokens":9}}'
  out[#out + 1] = '{"type":"message_stop"}'
  return out
end

-- ---- what both become ----

-- The stream; `share` of 100 events have a member that makes them hard to take.
local function bytes_of(events, share)
  local out = {}
  for i, event in ipairs(events) do
    if chance(share) then event = event:gsub("^{", '{"zz":{},', 1) end
    out[i] = "data: " .. event .. "\n\n"
  end
  return table.concat(out)
end

local function seen(result)
  local message = result.bot:get_messages()[2]
  return {
    streamed = result.text, text = result.reply.text, reasoning = result.reply.reasoning,
    refusal = result.reply.refusal, reason = result.reply.finish_reason,
    status = result.reply.status, id = result.reply.id, model = result.reply.model,
    logprobs = result.reply.logprobs, err = result.err and result.err.message,
    native = message and message.native and message.native.items,
  }
end

for name, make in pairs { responses = responses, messages = messages } do
  describe("plain events of " .. name, function()
    after_each(support.close_all)

    it("mean what a decoder says of them", function()
      local jobs, streams = {}, {}
      for i = 1, STREAMS do
        streams[i] = make()
        for _, share in ipairs { 0, 100, 30 } do
          jobs[#jobs + 1] = { pieces = { bytes_of(streams[i], share) }, bot = { api = name } }
        end
      end
      local results = batch.run(jobs)
      local some = 0
      for i = 1, STREAMS do
        local decoded = seen(results[3 * i - 1])
        local where = table.concat(streams[i], "\n")
        assert.same(decoded, seen(results[3 * i - 2]), where)
        assert.same(decoded, seen(results[3 * i]), where)
        some = some + (#decoded.streamed > 0 and 1 or 0)
      end
      assert.is_true(some > STREAMS / 3, some .. " have text")
    end)
  end)
end
