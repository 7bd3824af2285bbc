-- Shapes: what a body has to look like, as data that each dialect writes down, and one
-- check. A shape is a function of a value and its path, which returns nothing where the
-- value fits, else a problem; how that is said is the dialect's matter.
--
-- A problem is {kind, path, ...}, `path` a list of names, indexes from 0, and tags:
--   missing                  a required member is not there
--   unknown                  a member that nobody knows
--   type      expected       another type; `value` is what came
--   value     allowed        not one of these; `value` is what came
--   tag       allowed, name  the member `name`, which says what an object is, is not one
--                            of these; `value` is what came
--   less, more    bound      too small or too great a number
--   short, long   bound      too short or too long a list or text
--   pattern   pattern        a text of other characters
--
-- It must not know HTTP, nor any of the dialects.

local json = require "chatbot.offline.json"

local M = {}

local null = json.null

-- Paths are built from the end: {above, name}.
local function names_of(path)
  local names = {}
  while path do
    table.insert(names, 1, path[2])
    path = path[1]
  end
  return names
end

local function problem(kind, path, more)
  more = more or {}
  more.kind, more.path = kind, names_of(path)
  return more
end

---The tag of an object, as a part of a path that not every dialect prints.
---@param name string
function M.tag(name)
  return { tag = name }
end

local function bounded(size, path, limits, short, long)
  if limits.min and size < limits.min then
    return problem(short, path, { bound = limits.min, value = size })
  elseif limits.max and size > limits.max then
    return problem(long, path, { bound = limits.max, value = size })
  end
end

-- The scalars ----------------------------------------------------------------

---Anything but null.
function M.any() end

---@param limits? {min?: integer, max?: integer, pattern?: string} in bytes; a Lua pattern
function M.string(limits)
  limits = limits or {}
  return function(value, path)
    if type(value) ~= "string" then
      return problem("type", path, { expected = "string", value = value })
    end
    local wrong = bounded(#value, path, limits, "short", "long")
    if wrong then wrong.text = true end
    if not wrong and limits.pattern and not value:find("^" .. limits.pattern .. "$") then
      wrong = problem("pattern", path, { pattern = limits.pattern })
    end
    return wrong
  end
end

---@param limits? {min?: number, max?: number}
function M.number(limits)
  return function(value, path)
    if type(value) ~= "number" then
      return problem("type", path, { expected = "number", value = value })
    end
    return bounded(value, path, limits or {}, "less", "more")
  end
end

---@param limits? {min?: integer, max?: integer}
function M.integer(limits)
  return function(value, path)
    if type(value) ~= "number" or value % 1 ~= 0 then
      return problem("type", path, { expected = "integer", value = value })
    end
    return bounded(value, path, limits or {}, "less", "more")
  end
end

function M.boolean(value, path)
  if type(value) ~= "boolean" then
    return problem("type", path, { expected = "boolean", value = value })
  end
end

---One of some texts.
function M.one_of(...)
  local allowed = { ... }
  return function(value, path)
    for _, other in ipairs(allowed) do
      if value == other then return nil end
    end
    if type(value) ~= "string" then
      return problem("type", path, { expected = "string", value = value })
    end
    return problem("value", path, { allowed = allowed, value = value })
  end
end

-- What holds others ----------------------------------------------------------

---An object of any members.
function M.map(value, path)
  if not json.is_object(value) then
    return problem("type", path, { expected = "object", value = value })
  end
end

---@param of function the shape of each member
---@param limits? {min?: integer, max?: integer}
function M.list(of, limits)
  return function(value, path)
    if not json.is_list(value) then
      return problem("type", path, { expected = "list", value = value })
    end
    local wrong = bounded(#value, path, limits or {}, "short", "long")
    for i, member in ipairs(wrong and {} or value) do
      wrong = of(member, { path, i - 1 })
      if wrong then return wrong end
    end
    return wrong
  end
end

---An object of these members, where null is as good as absent; a name that ends in "!"
---is of one that must be there. `open`: others are let pass.
---@param members table<string, function>
---@param open? boolean
function M.object(members, open)
  local fields, names = {}, {}
  for name, shape in pairs(members) do
    local plain = name:gsub("!$", "")
    fields[plain] = { shape = shape, required = plain ~= name }
    names[#names + 1] = plain
  end
  table.sort(names, function(a, b) -- what must be there is looked for first
    local first, second = fields[a], fields[b]
    if first.required ~= second.required then return first.required end
    return a < b
  end)
  return function(value, path)
    local wrong = M.map(value, path)
    if wrong then return wrong end
    for _, name in ipairs(names) do
      local member, field = value[name], fields[name]
      if member == nil and field.required then return problem("missing", { path, name }) end
      if member ~= nil and (member ~= null or field.required) then
        wrong = field.shape(member, { path, name })
        if wrong then return wrong end
      end
    end
    if open then return nil end
    local unknown
    for name in pairs(value) do
      if not fields[name] and (not unknown or name < unknown) then unknown = name end
    end
    return unknown and problem("unknown", { path, unknown })
  end
end

---An object whose member `name` says which of the shapes it has.
---@param name string
---@param shapes table<string, function>
---@param default? string what it is when the member is not there
function M.tagged(name, shapes, default)
  local allowed = {}
  for tag in pairs(shapes) do allowed[#allowed + 1] = tag end
  table.sort(allowed)
  return function(value, path)
    local wrong = M.map(value, path)
    if wrong then return wrong end
    local tag = value[name]
    if tag == nil then tag = default end
    if tag == nil then return problem("missing", { path, name }) end
    if not shapes[tag] then
      return problem("tag", path, { allowed = allowed, name = name, value = tag })
    end
    return shapes[tag](value, { path, M.tag(tag) })
  end
end

---Either a text or what the other shape is of.
---@param text function
---@param other function
function M.text_or(text, other)
  return function(value, path)
    if type(value) == "string" then return text(value, path) end
    return other(value, path)
  end
end

return M
