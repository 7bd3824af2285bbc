-- Which of its tools ELIZA calls, and with what: those whose name the remark mentions,
-- with arguments out of its words. Pure.

local invent = require "chatbot.offline.invent"
local json = require "chatbot.offline.json"

local M = {}

local CALLS_MAX = 16

-- Verbs that say nothing of what a tool is for.
local GENERAL = {}
for word in ("get set fetch find search look up lookup read list make do run call use tool"
  ):gmatch("%S+") do
  GENERAL[word] = true
end

local function stem(word)
  return #word > 3 and word:gsub("e?s$", "") or word
end

-- The words of a tool's name in lower case: `getCurrent_weather` has three.
local function name_words(name)
  local list = {}
  local spaced = name:gsub("(%l)(%u)", "%1 %2"):gsub("[^%w]+", " ")
  for word in spaced:lower():gmatch("%S+") do list[#list + 1] = word end
  return list
end

-- Which part of a name's words that say something are in the remark, 0 to 1.
local function fit(name, spoken)
  local said, count = 0, 0
  local words = name_words(name)
  for _, word in ipairs(words) do
    if not GENERAL[word] or #words == 1 then
      count = count + 1
      if spoken[stem(word)] then said = said + 1 end
    end
  end
  return count > 0 and said / count or 0
end

-- The tools that a remark means: all whose name is in it as a whole, else the one of
-- which the most is.
local function meant(tools, remark)
  local spoken = {}
  for word in remark:lower():gmatch("[%w\128-\255]+") do spoken[stem(word)] = true end
  local whole, best, most = {}, nil, 0
  for _, tool in ipairs(tools) do
    local part = fit(tool.name, spoken)
    if part == 1 then whole[#whole + 1] = tool end
    if part > most then best, most = tool, part end
  end
  return whole[1] and whole or { best }
end

local function named(tools, name)
  for _, tool in ipairs(tools) do
    if tool.name == name then return tool end
  end
end

---The calls that a remark leads to: {name, arguments as JSON}. `fresh`: no tool has
---answered the remark yet.
---@param request table
---@param remark string
---@param fresh boolean
---@return table[]
function M.calls(request, remark, fresh)
  local tools, choice = request.tools or {}, request.choice or "auto"
  local list = {}
  if type(choice) == "table" then
    list[1] = named(tools, choice.name)
  elseif choice == "required" and not fresh then
    list[1] = tools[#tools] -- it has what it asked for; by custom the last one is for answers
  elseif choice == "required" or choice == "auto" and fresh then
    list = meant(tools, remark)
    if choice == "required" and not list[1] then list[1] = tools[1] end
  end
  local calls, skipped = {}, {}
  for _, tool in ipairs(list) do
    for _, word in ipairs(name_words(tool.name)) do skipped[word] = true end
  end
  for i, tool in ipairs(list) do
    if i > (request.parallel == false and 1 or CALLS_MAX) then break end
    local arguments = invent.value(tool.schema, invent.facts(remark, skipped))
    calls[i] = { name = tool.name,
      arguments = json.encode(json.is_object(arguments) and arguments or {}) }
  end
  return calls
end

return M
