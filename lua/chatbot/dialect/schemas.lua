-- dialect/schemas.lua - JSON schemas: one as Messages takes it, where objects are closed, and
-- what its grammar has no way to hold to is said in words instead ("Structured outputs" in its
-- manual); and whether one can be held to strictly as it is.

local core = require "chatbot.core"

local M = {}

-- Keywords that are refused, and how they are said.
local SAID = { minimum = "at least %s", maximum = "at most %s", exclusiveMinimum = "more than %s",
  exclusiveMaximum = "less than %s", multipleOf = "a multiple of %s",
  minLength = "at least %s characters", maxLength = "at most %s characters",
  maxItems = "at most %s items", uniqueItems = "no item twice",
  minProperties = "at least %s members", maxProperties = "at most %s members" }

-- Schemas that stand in a schema: one, a list of them, or one for each name.
local ONE = { items = true, additionalProperties = true, contains = true, ["not"] = true }
local LIST = { anyOf = true, allOf = true, oneOf = true, prefixItems = true }
local NAMED = { properties = true, ["$defs"] = true, definitions = true }

local closed

local function each(list)
  local out = core.array {}
  for i, schema in ipairs(list) do out[i] = closed(schema) end
  return out
end

local function by_name(map)
  local out = {}
  for name, schema in pairs(map) do out[name] = closed(schema) end
  return out
end

local function is_object(schema)
  if schema.type == "object" or type(schema.properties) == "table" then return true end
  for _, kind in ipairs(type(schema.type) == "table" and schema.type or {}) do
    if kind == "object" then return true end
  end
  return false
end

-- What is said instead of a keyword, or nil where it may stay.
local function words_for(name, value)
  if name == "minItems" then
    return type(value) == "number" and value > 1 and ("at least %s items"):format(value) or nil
  end
  local form = SAID[name]
  return form and value ~= false and form:format(tostring(value)) or nil
end

function closed(schema)
  if type(schema) ~= "table" then return schema end
  local out, said = {}, {}
  for name, value in pairs(schema) do
    local words = words_for(name, value)
    if words then
      said[#said + 1] = words
    elseif type(value) ~= "table" then
      out[name] = value
    elseif LIST[name] then
      out[name] = each(value)
    elseif NAMED[name] then
      out[name] = by_name(value)
    elseif ONE[name] then
      out[name] = closed(value)
    else
      out[name] = value
    end
  end
  if is_object(schema) then out.additionalProperties = false end
  if said[1] then
    table.sort(said)
    local text = type(out.description) == "string" and out.description .. " (" or "("
    out.description = text .. table.concat(said, ", ") .. ")"
  end
  return out
end

-- Whether a table of schemas, or of one alone, is strict.
local function all_strict(schemas)
  for _, schema in pairs(schemas) do
    if not M.is_strict(schema) then return false end
  end
  return true
end

---Whether a schema is one that OpenAI holds to with `strict`: each object in it is closed, and
---has all of its members ("Structured outputs" in its manual).
---@return boolean
function M.is_strict(schema)
  if type(schema) ~= "table" then return schema ~= true end
  if is_object(schema) then
    local required = {}
    for _, name in ipairs(type(schema.required) == "table" and schema.required or {}) do
      required[name] = true
    end
    for name in pairs(type(schema.properties) == "table" and schema.properties or {}) do
      if not required[name] then return false end
    end
    if schema.additionalProperties ~= false then return false end
  end
  for name, value in pairs(schema) do
    local inside = (LIST[name] or NAMED[name]) and value or ONE[name] and { value } or {}
    if type(inside) == "table" and not all_strict(inside) then return false end
  end
  return true
end

---A copy of the schema that Messages takes.
---@param schema table
---@return table
M.closed = closed

core.ours()

return M
