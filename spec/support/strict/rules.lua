--- What the strict checks of all dialects have in common: refusing, types, names, schemas.
--
-- A check returns when all is well and raises a table {problem} otherwise, which
-- strict.lua catches. `where` is the place in the body, for the message. Pure.

local root = (...):match("^(.-)strict%.")
local decode = require(root .. "decode")

local rules = {}

local null, is_list, is_object = decode.null, decode.is_list, decode.is_object
rules.null, rules.is_list, rules.is_object = null, is_list, is_object

---@param where string
---@param what string a format
function rules.refuse(where, what, ...)
  error({ problem = where .. ": " .. what:format(...) }, 0)
end

local refuse = rules.refuse

--- The set of the words of a text.
---@param words string
---@return table<string, true>
function rules.set(words)
  local out = {}
  for word in words:gmatch("%S+") do out[word] = true end
  return out
end

--- Nil for what is absent or null.
function rules.given(value)
  if value == null then return nil end
  return value
end

function rules.no_other_fields(value, where, allowed, more)
  for name in pairs(value) do
    if not allowed[name] and not (more and more[name]) then
      refuse(where, "the field '%s' is unknown", name)
    end
  end
end


-- Types --------------------------------------------------------------------------

function rules.list(value, where)
  if not is_list(value) then refuse(where, "must be a list") end
end

function rules.object(value, where)
  if not is_object(value) then refuse(where, "must be an object") end
end

function rules.text(value, where)
  if type(value) ~= "string" then refuse(where, "must be a text") end
end

function rules.some_text(value, where)
  if type(value) ~= "string" or not value:find("%S") then refuse(where, "must not be empty") end
end

function rules.boolean(value, where)
  if type(value) ~= "boolean" then refuse(where, "must be true or false") end
end

--- A number from `least` to `most`; `whole`: an integer.
function rules.number(value, where, least, most, whole)
  if type(value) ~= "number" or value < least or value > most or whole and value % 1 ~= 0 then
    refuse(where, "must be %s from %g to %g", whole and "an integer" or "a number", least, most)
  end
end

function rules.integer(value, where, least, most)
  rules.number(value, where, least, most or 2 ^ 31, true)
end

function rules.one_of(value, where, allowed)
  if type(value) ~= "string" or not allowed[value] then
    refuse(where, "%s is not allowed", type(value) == "string" and "'" .. value .. "'"
      or "a " .. type(value))
  end
end

--- Checks the fields of an object by a table of name -> function(value, where); a field
--- that is not in it is refused. Null is like absent.
function rules.fields(value, where, checks)
  local shown = where == "" and "body" or where
  rules.object(value, shown)
  rules.no_other_fields(value, shown, checks)
  for name, check in pairs(checks) do
    if type(check) == "function" and rules.given(value[name]) ~= nil then
      check(value[name], where == "" and name or where .. "." .. name, value)
    end
  end
end

--- A check that a value is one of these words.
function rules.words(words)
  local allowed = rules.set(words)
  return function(value, where) rules.one_of(value, where, allowed) end
end

--- A check that a number is in a range; `whole` as above.
function rules.range(least, most, whole)
  return function(value, where) rules.number(value, where, least, most, whole) end
end

--- Whether two decoded values are the same, lists and objects told apart.
---@return boolean
function rules.same(a, b)
  if a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" or is_list(a) ~= is_list(b)
    or a == null or b == null then
    return false
  end
  for key, value in pairs(a) do
    if not rules.same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end


-- Names and ids --------------------------------------------------------------------

local NAME = "^[%w_-]+$"
local NAME_MAX = 64

function rules.name(name, where)
  if type(name) ~= "string" or not name:find(NAME) or #name > NAME_MAX then
    refuse(where, "the name %s does not match ^[a-zA-Z0-9_-]{1,64}$", tostring(name))
  end
end

--- An id of a call: there, not too long, and not one of `ids`, which it joins.
function rules.new_id(id, where, ids, most)
  if type(id) ~= "string" or id == "" then refuse(where, "a call without an id") end
  if #id > most then refuse(where, "the id '%s' has more than %d characters", id, most) end
  if ids[id] then refuse(where, "the id '%s' twice", id) end
  ids[id] = true
end

--- Arguments of a call, as the JSON text of an object.
function rules.arguments(text, where)
  local value = type(text) == "string" and decode.json(text)
  if not is_object(value) then refuse(where, "the arguments are no JSON object") end
end


-- Schemas ------------------------------------------------------------------------

local check_schema

local function check_map(map, where, each)
  rules.object(map, where)
  for name, schema in pairs(map) do check_schema(schema, where .. "." .. name, each) end
end

local function check_schemas(list, where, each)
  rules.list(list, where)
  for i, schema in ipairs(list) do check_schema(schema, ("%s[%d]"):format(where, i), each) end
end

local KEYWORDS = {
  required = rules.list, enum = rules.list, examples = rules.list,
  anyOf = check_schemas, oneOf = check_schemas, allOf = check_schemas,
  prefixItems = check_schemas,
  properties = check_map, patternProperties = check_map, dependentSchemas = check_map,
  definitions = check_map, ["$defs"] = check_map,
}
for _, name in ipairs { "items", "contains", "additionalProperties", "propertyNames", "not",
  "if", "then", "else", "unevaluatedItems", "unevaluatedProperties" } do
  KEYWORDS[name] = function(schema, where, each) check_schema(schema, where, each) end
end

function check_schema(schema, where, each)
  if type(schema) == "boolean" then return end
  if not is_object(schema) then refuse(where, "a schema must be an object") end
  if each then each(schema, where) end
  for name, value in pairs(schema) do
    if KEYWORDS[name] then KEYWORDS[name](value, where .. "." .. name, each) end
  end
end

--- A schema: what are lists and objects in it is what it says.
---@param schema any
---@param where string
---@param each? fun(schema: table, where: string) asked of each schema in it
function rules.schema(schema, where, each)
  check_schema(schema, where, each)
end

--- Whether a schema is one of objects.
---@return boolean
function rules.of_objects(schema)
  if schema.properties ~= nil then return true end
  local kind = schema.type
  if kind == "object" then return true end
  for _, one in ipairs(is_list(kind) and kind or {}) do
    if one == "object" then return true end
  end
  return false
end

--- Each object of it is closed.
function rules.closed(schema, where)
  if rules.of_objects(schema) and schema.additionalProperties ~= false then
    refuse(where, "additionalProperties must be false")
  end
end

return rules
