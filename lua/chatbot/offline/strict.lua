-- What the services refuse in a schema that an answer or a call has to match: OpenAI
-- where `strict` is said, Anthropic in `output_config.format`. Pure.

local json = require "chatbot.offline.json"

local M = {}

-- The schemas within a schema, each with what leads there, by name.
local function children(schema)
  local list = {}
  local function add(child, ...)
    if json.is_object(child) then list[#list + 1] = { child, ... } end
  end
  for _, group in ipairs { "properties", "$defs", "definitions" } do
    local names = {}
    for name in pairs(json.is_object(schema[group]) and schema[group] or {}) do
      names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do add(schema[group][name], group, name) end
  end
  for _, group in ipairs { "anyOf", "oneOf", "allOf", "prefixItems" } do
    for i, child in ipairs(json.is_list(schema[group]) and schema[group] or {}) do
      add(child, group, tostring(i - 1))
    end
  end
  add(schema.items, "items")
  return list
end

local function each(schema, visit, context)
  local wrong = visit(schema, context)
  if wrong then return wrong end
  for _, child in ipairs(children(schema)) do
    local deeper = { (table.unpack or rawget(_G, "unpack"))(context) }
    for i = 2, #child do deeper[#deeper + 1] = child[i] end
    wrong = each(child[1], visit, deeper)
    if wrong then return wrong end
  end
end

local function is_object(schema)
  return schema.type == "object" or json.is_object(schema.properties)
end

---What OpenAI says of a schema that is not strict; nothing when it is.
---@param schema table
---@return string?
function M.openai(schema)
  return each(schema, function(part, context)
    if not is_object(part) then return nil end
    local quoted = {}
    for i, name in ipairs(context) do quoted[i] = "'" .. name .. "'" end
    local place = ("In context=(%s%s), "):format(table.concat(quoted, ", "),
      #quoted == 1 and "," or "")
    if part.additionalProperties ~= false then
      return place .. "'additionalProperties' is required to be supplied and to be false."
    end
    local required, missing = {}, nil
    for _, name in ipairs(json.is_list(part.required) and part.required or {}) do
      required[name] = true
    end
    for name in pairs(json.is_object(part.properties) and part.properties or {}) do
      if not required[name] and (not missing or name < missing) then missing = name end
    end
    return missing and place .. "'required' is required to be supplied and to be an array "
      .. ("including every key in properties. Missing '%s'."):format(missing)
  end, {})
end

local LEFT_OUT = { "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
  "minLength", "maxLength", "maxItems", "minProperties", "maxProperties", "uniqueItems" }

---What Anthropic says of a schema that it does not take; nothing when it does.
---@param schema table
---@return string?
function M.anthropic(schema)
  return each(schema, function(part)
    if is_object(part) and part.additionalProperties ~= false then
      return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    end
    local kind = type(part.type) == "string" and part.type or "object"
    for _, name in ipairs(LEFT_OUT) do
      if part[name] ~= nil then
        return ("For '%s' type, property '%s' is not supported"):format(kind, name)
      end
    end
    if type(part.minItems) == "number" and part.minItems > 1 then
      return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    end
  end, {})
end

return M
