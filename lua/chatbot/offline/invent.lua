-- Values that fit a JSON schema, made of what a remark holds: its numbers, what it
-- quotes, its names, its other words. For the arguments of tools and for answers that
-- have to match a schema. Pure; the same schema and remark give the same value.

local json = require "chatbot.offline.json"
local strip = require("chatbot.common.text").strip
local words = require "chatbot.offline.words"

local M = {}

local null = json.null

-- A schema may refer to itself: deeper than this, what need not be there is left out.
local DEPTH_MAX = 12
-- How many items an array gets, and values there are in all, whatever is asked for.
local ITEMS_MAX, VALUES_MAX = 32, 2000
-- A longer word is no value; names of an enumeration are looked for in so many bytes of
-- the remark, and so many of them.
local WORD_MAX, LOOKED_AT_MAX, NAMES_MAX = 64, 4096, 256

local NUMBERS = { one = 1, two = 2, three = 3, four = 4, five = 5, six = 6, seven = 7,
  eight = 8, nine = 9, ten = 10, eleven = 11, twelve = 12, dozen = 12, twenty = 20,
  hundred = 100, thousand = 1000 }

-- Words that are the value of nothing.
local EMPTY = {}
for word in ([[a an the this that these those i you he she it we they me my your his her its
  our their is are am was were be been do does did done have has had will would can could may
  might must shall should to of in on at by for from with without into over under about as and
  or but if then than so not no yes please what who whom whose where when why how which there
  here some any much many more most now tell say give show let us get]]):gmatch("%S+") do
  EMPTY[word] = true
end

-- What stands in quotes, and the text without it.
local function quoted(text, into)
  for _, marks in ipairs { { '"', '"' }, { "\226\128\156", "\226\128\157" },
    { "\227\128\140", "\227\128\141" }, { "`", "`" } } do
    local kept, from = {}, 1
    while true do
      local open, first = text:find(marks[1], from, true)
      local last, close
      if open then last, close = text:find(marks[2], first + 1, true) end
      if not close then break end
      into[#into + 1] = text:sub(first + 1, last - 1)
      kept[#kept + 1] = text:sub(from, open - 1)
      from = close + 1
    end
    kept[#kept + 1] = text:sub(from)
    text = table.concat(kept, " ")
  end
  return text
end

---What a remark offers as values.
---@param remark string
---@param skipped? table<string, boolean> words that are not meant (of a tool's name)
---@return { text: string, texts: string[], numbers: number[], denied: boolean }
function M.facts(remark, skipped)
  local texts, named, others, numbers = {}, {}, {}, {}
  local denied = false
  local rest, begins = quoted(remark, texts), true
  for word in rest:gmatch("%S+") do
    local bare = #word <= WORD_MAX and word:match("^%p*(.-)%p*$") or ""
    local low = bare:lower()
    local digits = low ~= "" and word:match("^[^%w%-]*(%-?%d+%.?%d*)%p*%a?%p*$")
    local number = tonumber(digits or "") or NUMBERS[low]
    denied = denied or low == "not" or low == "no" or low == "never" or low == "off"
    if #texts + #named + #others + #numbers > VALUES_MAX then break end
    if number then
      numbers[#numbers + 1] = number
    elseif low ~= "" and not EMPTY[low] and not (skipped and skipped[low]) then
      local list = not begins and bare:find("^%u") and named or others
      list[#list + 1] = bare
    end
    begins = word:find("[.!?:]$") ~= nil
  end
  for _, list in ipairs { named, others } do
    for _, word in ipairs(list) do texts[#texts + 1] = word end
  end
  return { text = strip(remark), texts = texts, numbers = numbers, denied = denied,
    left = VALUES_MAX }
end

-- Schemas --------------------------------------------------------------------

-- What a reference within the schema points at.
local function referred(root, reference)
  local at = root
  for part in (reference:match("^#/(.*)$") or ""):gmatch("[^/]+") do
    local name = part:gsub("~1", "/"):gsub("~0", "~")
    at = type(at) == "table" and at ~= null and (at[name] or at[(tonumber(name) or -1) + 1])
  end
  return at or {}
end

-- The schema without references, alternatives and parts: the first that is not null.
local function plain(schema, root)
  for _ = 1, DEPTH_MAX do
    if not json.is_object(schema) then return {} end
    local choices = schema.anyOf or schema.oneOf
    if type(schema["$ref"]) == "string" then
      schema = referred(root, schema["$ref"])
    elseif json.is_list(choices) and choices[1] then
      local chosen = choices[1]
      if json.is_object(chosen) and chosen.type == "null" then chosen = choices[2] or chosen end
      schema = chosen
    elseif json.is_list(schema.allOf) then
      local joined = {}
      for _, part in ipairs(schema.allOf) do
        for name, value in pairs(json.is_object(part) and part or {}) do joined[name] = value end
      end
      schema = joined
    else
      return schema
    end
  end
  return {}
end

local function type_of(schema)
  local kind = schema.type
  if json.is_list(kind) then
    kind = kind[1] == "null" and kind[2] or kind[1]
  end
  if kind == nil and schema.properties then return "object" end
  if kind == nil and schema.items then return "array" end
  return kind or "string"
end

-- One of an enumeration: the one that the remark names, else the first.
local function chosen(list, facts)
  local low = facts.text:sub(1, LOOKED_AT_MAX):lower()
  for i = 1, math.min(#list, NAMES_MAX) do
    local value = list[i]
    if type(value) == "string" and value ~= "" and low:find(value:lower(), 1, true) then
      return value, true
    end
  end
  return list[1]
end

local FORMATS = { date = "1966-01-01", time = "12:00:00Z", ["date-time"] = "1966-01-01T12:00:00Z",
  email = "eliza@example.com", uri = "https://example.com/", hostname = "example.com",
  ipv4 = "127.0.0.1", ipv6 = "::1", duration = "PT1M",
  uuid = "00000000-0000-4000-8000-000000000000" }

local MAKE = {}

function MAKE.string(schema, facts)
  local offered = table.remove(facts.texts, 1)
  local text = FORMATS[schema.format] or offered or facts.text
  if type(schema.maxLength) == "number" then text = words.cut(text, schema.maxLength) end
  if type(schema.minLength) == "number" then
    text = text .. ("."):rep(math.min(schema.minLength, 1000) - #text)
  end
  return text, offered ~= nil
end

local function limit(value, bound, pick, step)
  if type(bound) ~= "number" then return value end
  return pick(value, bound + step)
end

function MAKE.number(schema, facts)
  local offered = table.remove(facts.numbers, 1)
  local value = limit(offered or 0, schema.minimum, math.max, 0)
  value = limit(value, schema.exclusiveMinimum, math.max, 1)
  value = limit(value, schema.maximum, math.min, 0)
  value = limit(value, schema.exclusiveMaximum, math.min, -1)
  local step = schema.multipleOf
  if type(step) == "number" and step > 0 then value = math.ceil(value / step) * step end
  return value, offered ~= nil
end

function MAKE.integer(schema, facts)
  local value, offered = MAKE.number(schema, facts)
  return math.floor(value), offered
end

function MAKE.boolean(_, facts)
  return not facts.denied, true
end

MAKE["null"] = function() return null, true end

local value_of

function MAKE.array(schema, facts, root, depth)
  local list, offered = json.list {}, false
  local first = json.is_list(schema.prefixItems) and schema.prefixItems or {}
  local count = math.max(type(schema.minItems) == "number" and schema.minItems or 1, #first)
  if type(schema.maxItems) == "number" then count = math.min(count, schema.maxItems) end
  if depth >= DEPTH_MAX then count = 0 end
  for i = 1, math.min(count, ITEMS_MAX) do
    local any
    list[i], any = value_of(first[i] or schema.items, facts, root, depth + 1)
    offered = offered or any
  end
  return list, offered
end

function MAKE.object(schema, facts, root, depth)
  local object, offered, required, names = {}, false, {}, {}
  for _, name in ipairs(json.is_list(schema.required) and schema.required or {}) do
    required[name] = true
  end
  local properties = json.is_object(schema.properties) and schema.properties or {}
  for name in pairs(properties) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  table.sort(names, function(a, b) -- what must be there takes first
    if (required[a] == nil) ~= (required[b] == nil) then return required[a] ~= nil end
    return a < b
  end)
  for _, name in ipairs(names) do
    if required[name] or depth < DEPTH_MAX and facts.left > 0 then
      local value, any = value_of(properties[name], facts, root, depth + 1)
      if any or required[name] or facts.all then object[name] = value end
      offered = offered or any
    end
  end
  return object, offered
end

-- The value, and whether the remark had anything for it.
function value_of(schema, facts, root, depth)
  schema, facts.left = plain(schema, root), facts.left - 1
  if facts.left < 0 then return null end
  if schema.const ~= nil then return schema.const, true end
  if json.is_list(schema.enum) and schema.enum[1] ~= nil then return chosen(schema.enum, facts) end
  if depth > 2 * DEPTH_MAX then return null end
  local make = MAKE[type_of(schema)] or MAKE.string
  return make(schema, facts, root, depth)
end

---A value that fits the schema. `facts.all`: with what need not be there, too. What is
---taken from `facts` is not there any more.
---@param schema any
---@param facts table from `facts`
---@return any
function M.value(schema, facts)
  return (value_of(schema, facts, schema, 0))
end

return M
