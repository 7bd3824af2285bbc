--- Plays a recorded answer to the module, cut in several ways, and compares what it makes
-- of it with what an independent reading finds.

local bots = require "spec.machines.replay.bots"
local decode = require "spec.support.decode"
local mime = require "mime"
local recordings = require "spec.machines.replay.recordings"
local report = require "spec.machines.replay.report"
local support = require "spec.support"

local answers = {}

local null = decode.null

local readers = {}
for _, dialect in ipairs(recordings.dialects) do
  readers[dialect] = require("spec.machines.replay." .. dialect)
end

--- What the independent reader finds in a recording.
function answers.reading(one)
  if not one.reading then
    one.reading = readers[one.dialect].read(one.bytes, not one.stream_bytes, one.status)
  end
  return one.reading
end

--- Whether two decoded values are the same; an empty object is an empty list to services.
function answers.same(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) ~= "table" or a == null or b == null then return a == b end
  for key, value in pairs(a) do
    if not answers.same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return decode.is_list(a) == decode.is_list(b) or next(a) == nil
end

--- The arguments of a call as a value; the text itself where it is no JSON.
function answers.arguments(text)
  if not text:find("%S") then text = "{}" end
  local value = decode.json(text)
  if value == null then value = {} end
  return value or text
end


-- Comparing ------------------------------------------------------------------------

local function observed_of(answer, reply)
  if not answer then
    return { verdict = reply.kind, status = reply.status, words = reply.message, calls = {},
      text = reply.partial or "" }
  end
  local calls = {}
  for i, call in ipairs(reply.tool_calls or {}) do
    calls[i] = { name = call["function"].name, arguments = call["function"].arguments,
      id = call.id }
  end
  return { text = reply.text or answer, reasoning = reply.reasoning or "",
    refusal = reply.refusal or "", calls = calls, citations = reply.citations or {},
    images = reply.images or {}, usage = reply.usage, finish = reply.finish_reason,
    verdict = reply.status, api = reply.api }
end

local function compare_calls(wanted, got)
  for i = 1, math.max(#wanted, #got) do
    local a, b = wanted[i] or {}, got[i] or {}
    if a.name ~= b.name then report.differ("name of call " .. i, a.name, b.name) end
    if a.id and a.id ~= b.id then report.differ("id of call " .. i, a.id, b.id) end
    local wants = a.object or answers.arguments(a.arguments or "")
    local has = answers.arguments(b.arguments or "")
    if not answers.same(wants, has) then
      report.differ("arguments of call " .. i, wants, has)
    end
  end
end

local USAGE = { "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens",
  "cache_write_tokens", "reasoning_tokens" }

local function compare_usage(wanted, got)
  for _, field in ipairs(USAGE) do
    local a, b = (wanted or {})[field], (got or {})[field]
    if a ~= b then report.differ("usage." .. field, a, b) end
  end
end

local CITED = { "url", "title", "text", "start_index", "end_index" }

local function compare_citations(wanted, got)
  if #wanted ~= #got then return report.differ("number of citations", #wanted, #got) end
  for i, citation in ipairs(wanted) do
    for _, field in ipairs(CITED) do
      if citation[field] ~= nil and citation[field] ~= got[i][field] then
        report.differ(("citations[%d].%s"):format(i, field), citation[field], got[i][field])
      end
    end
  end
end

-- The words of a service that an error says again: of a long text its beginning, blanks
-- where there was something else that parts words.
local function compare_words(wanted, got)
  if not wanted then return end
  local head = wanted:gsub("%s+", " "):sub(1, 60):gsub("%s$", "")
  if not got:gsub("%s+", " "):find(head, 1, true) then
    report.differ("the words of the error", head, got)
  end
end

-- Verdicts that come with a reply; the others are kinds of errors.
local ENDED = { complete = true, length = true, tool_calls = true, filtered = true }

local function compare(one, wanted, got)
  for _, field in ipairs { "verdict", "text" } do
    if wanted[field] ~= got[field] then report.differ(field, wanted[field], got[field]) end
  end
  if wanted.verdict ~= got.verdict then return end
  if not ENDED[wanted.verdict] then
    if wanted.verdict == "http" and one.status ~= got.status then
      report.differ("status", one.status, got.status)
    end
    return compare_words(wanted.words, got.words)
  end
  for _, field in ipairs { "reasoning", "refusal", "finish" } do
    if wanted[field] ~= got[field] then report.differ(field, wanted[field], got[field]) end
  end
  if got.api ~= one.dialect then report.differ("api", one.dialect, got.api) end
  compare_calls(wanted.calls, got.calls)
  if not wanted.parts then compare_usage(wanted.usage, got.usage) end
  compare_citations(wanted.citations, got.citations)
  if #wanted.images ~= #got.images then
    report.differ("number of images", #wanted.images, #got.images)
  end
  for i, image in ipairs(got.images) do
    if type(image.data) ~= "string" or image.data ~= mime.unb64(wanted.images[i]) then
      report.differ(("images[%d].data"):format(i), wanted.images[i], image.data)
    end
  end
end

--- Compares the reply to a request that was interrupted and gone on with by itself: it is one
-- answer. What the usage of several is, nobody says.
function answers.compare_joined(first, second, answer, reply)
  local a, b, joined = answers.reading(first), answers.reading(second), { parts = 2 }
  for key, value in pairs(b) do joined[key] = value end
  for _, field in ipairs { "text", "reasoning", "refusal" } do
    joined[field] = a[field] .. b[field]
  end
  joined.citations = {}
  for _, list in ipairs { a.citations, b.citations } do
    for _, citation in ipairs(list) do table.insert(joined.citations, citation) end
  end
  compare(second, joined, observed_of(answer, reply))
end

local PATHS = { chat = "/v1/chat/completions", responses = "/v1/responses",
  messages = "/v1/messages" }

-- An answer that is asked for by "hello", or by the recorded request where it is given.
local function play(one, script, messages, fields)
  local server = support.serve(script, { strict = false })
  local bot = bots.new(one, server, messages)
  local prompt = not (messages and #messages > 0) and "hello" or nil
  local ok, answer, reply = pcall(bot.chat, bot, prompt, fields)
  local requests = server:requests()
  server:close()
  if not ok then return report.differ("an error was raised", "none", answer) end
  local path = requests[1] and requests[1].target:gsub("%?.*", "")
  if path ~= PATHS[one.dialect] then
    report.differ("the path of the request", PATHS[one.dialect], path or "no request")
  end
  return observed_of(answer, reply)
end

--- Plays an answer in each of the ways of cutting it.
---@param messages? table[] the conversation before it
---@param fields? table of the request
function answers.play(one, messages, fields)
  local wanted = answers.reading(one)
  fields = fields or { temperature = false }
  fields.stream = one.stream_bytes ~= nil
  for _, cut in ipairs(recordings.cuts) do
    report.case(one.name .. ", " .. cut[1], function()
      local got = play(one, { recordings.script(one, cut[2](one.bytes)) }, messages, fields)
      if got then compare(one, wanted, got) end
    end)
  end
end

return answers
