-- What is answered, whatever the dialect: ELIZA's words, calls of tools, JSON that fits
-- a schema, thoughts where they are asked for, cut where the request says so.
--
-- A request is what every dialect's `read` makes of a body:
--   messages  as chat completions has them: {role, content, tool_calls, tool_call_id}
--   tools     {name, description, schema};  choice  "auto", "none", "required", {name}
--   parallel  false: one call at a time
--   schema    of the answer; true: any JSON
--   limit     words at most;  stops  texts that end the answer;  thinks  whether it does
-- An answer is {parts, finish, stopped, usage}: `parts` are {kind, words}, in order, of
-- kind "thoughts", "text" or "call" (with name and arguments); `finish` is "stop",
-- "length", "calls" or "stopped" (by the text `stopped`).
--
-- A pure function of the request. It must not know how one arrives or is answered.

local eliza = require "chatbot.offline.eliza"
local invent = require "chatbot.offline.invent"
local json = require "chatbot.offline.json"
local tools = require "chatbot.offline.tools"
local words = require "chatbot.offline.words"

-- How much of a remark is thought about.
local REMARK_MAX = 200

local unpack = table.unpack or rawget(_G, "unpack")

local M = {}

---The text of a message: a string, or the text parts of a list.
---@param message table
---@return string
function M.text_of(message)
  local content = message.content
  if type(content) == "string" then return content end
  local texts = {}
  for _, part in ipairs(json.is_list(content) and content or {}) do
    if type(part) == "table" and type(part.text) == "string" then
      texts[#texts + 1] = part.text
    end
  end
  return table.concat(texts, " ")
end

-- The user's last remark, and what tools have said since, in their order.
local function situation(messages)
  local remark, results, names = "", {}, {}
  for _, message in ipairs(messages) do
    if message.role == "user" then
      remark, results = M.text_of(message), {}
    elseif message.role == "tool" then
      local name = names[message.tool_call_id] or "the tool"
      results[#results + 1] = { name = name, text = M.text_of(message), failed = message.failed }
    end
    for _, call in ipairs(json.is_list(message.tool_calls) and message.tool_calls or {}) do
      names[call.id] = call["function"].name
    end
  end
  return remark, results
end

local function told(results)
  local lines = {}
  for i, result in ipairs(results) do
    lines[i] = ("%s %s: %s"):format(result.name, result.failed and "has failed" or "says",
      result.text)
  end
  return table.concat(lines, "\n")
end

local function structured(schema, text, remark, results)
  if schema == true then return json.encode { answer = text } end
  local facts = invent.facts(#results > 0 and told(results) or remark)
  facts.text, facts.texts, facts.all = text, {}, true
  return json.encode(invent.value(schema, facts))
end

local function thoughts(remark, calls, results)
  local text = ("The last remark is: \"%s\". "):format(words.cut(remark, REMARK_MAX))
  if #results > 0 then
    text = text .. ("%d of my tools have answered it. "):format(#results)
  end
  if calls[1] then return text .. ("The tool %s fits it."):format(calls[1].name) end
  return text .. "I look for a keyword in it, and turn the sentence round."
end

-- The text before the first of the stops that it holds, and that stop.
local function stopped(text, stops)
  local first, which
  for _, stop in ipairs(stops or {}) do
    local at = stop ~= "" and text:find(stop, 1, true)
    if at and (not first or at < first) then first, which = at, stop end
  end
  return first and text:sub(1, first - 1) or text, which
end

-- As many words of the parts as the limit lets pass. A call is whole or is not made.
local function limited(parts, limit)
  local kept, left = {}, limit or math.huge
  for _, part in ipairs(parts) do
    if #part.words <= left then
      kept[#kept + 1] = part
    elseif left < 1 or part.kind == "call" then
      return kept, true
    else
      part.words = { unpack(part.words, 1, math.floor(left)) }
      kept[#kept + 1] = part
      return kept, true
    end
    left = left - #part.words
  end
  return kept, false
end

---How many words a request has.
---@param request table
---@return integer
function M.size(request)
  local count = 0
  for _, message in ipairs(request.messages) do
    count = count + words.count(M.text_of(message))
  end
  return count
end

local function usage(request, parts)
  local figures = { input = M.size(request), output = 0, reasoning = 0 }
  for _, part in ipairs(parts) do
    figures.output = figures.output + #part.words
    if part.kind == "thoughts" then figures.reasoning = figures.reasoning + #part.words end
  end
  return figures
end

---@param request table
---@return table
function M.answer(request)
  local remark, results = situation(request.messages)
  local calls = tools.calls(request, remark, #results == 0)
  local parts, finish, stop = {}, "stop", nil
  if request.thinks then
    parts[1] = { kind = "thoughts", words = words.split(thoughts(remark, calls, results)) }
  end
  for _, call in ipairs(calls) do
    parts[#parts + 1] = { kind = "call", name = call.name, arguments = call.arguments,
      words = words.split(call.arguments) }
    finish = "calls"
  end
  if finish == "stop" then
    local text = #results > 0 and told(results) or eliza.answer(request.messages)
    if request.schema then text = structured(request.schema, text, remark, results) end
    text, stop = stopped(text, request.stops)
    parts[#parts + 1] = { kind = "text", words = words.split(text) }
    if stop then finish = "stopped" end
  end
  local cut
  parts, cut = limited(parts, request.limit)
  return { parts = parts, finish = cut and "length" or finish, stopped = not cut and stop or nil,
    usage = usage(request, parts) }
end

return M
