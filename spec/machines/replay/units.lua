--- What a request says, as a list of units that can be compared.
--
-- A unit is a table
--   kind    "system", "user", "result" (what the client says); "text", "call" (what the
--           model said and everybody understands); "thought", "item" (what only its own
--           service understands)
--   key     all of it that a service checks, as text
--   loose   as much of it as says which one it is: what a recorded client kept of it
--   id      of a call or result; `key` has none, since clients may rewrite ids
-- Units of a request are in its order. Helpers that both dialects need.

local decode = require "spec.support.decode"
local events = require "spec.machines.replay.events"

local units = {}

local null = decode.null

--- What kinds the client says.
units.CLIENT = { system = true, user = true, result = true }

--- What only the service that said it understands.
units.NATIVE = { thought = true, item = true }

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quoted(text)
  return '"' .. text:gsub('[%z\1-\31"\\]', function(c)
    return ESCAPES[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

--- A decoded value as JSON, always the same for the same value.
---@param without? table<string, boolean> keys of objects that are left out
function units.json(value, without)
  if value == null then return "null" end
  if type(value) == "string" then return quoted(value) end
  if type(value) == "number" then return ("%.14g"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local out = {}
  if decode.is_list(value) then
    for i, item in ipairs(value) do out[i] = units.json(item, without) end
    return "[" .. table.concat(out, ",") .. "]"
  end
  for key, item in pairs(value) do
    if item ~= null and not (without and without[key]) then
      out[#out + 1] = quoted(key) .. ":" .. units.json(item, without)
    end
  end
  table.sort(out)
  return "{" .. table.concat(out, ",") .. "}"
end

--- The arguments of a call as an object; `{}` for what is no object.
function units.object(text)
  local value = decode.json(text)
  return decode.is_object(value) and value ~= null and value or {}
end

function units.system(text)
  return { kind = "system", key = "system: " .. text }
end

function units.call(name, object, id)
  local key = ("call %s %s"):format(name or "?", units.json(object))
  return { kind = "call", key = key, loose = key, id = id }
end

function units.result(id, content)
  return { kind = "result", key = "result: " .. content, id = id }
end

--- What the model said; `more` is what goes with it (phase, citations).
function units.text(text, more)
  text = events.strip(text)
  return { kind = "text", key = "text: " .. text .. (more or ""), loose = "text: " .. text,
    text = text, more = more or "" }
end

--- Numbers calls in their order and gives each result the number of the last call with its
-- id, in their keys. What was in the list before is as good.
function units.number(list)
  local n, last = 0, {}
  for _, unit in ipairs(list) do
    if unit.kind == "call" then
      n = n + 1
      last[unit.id or ""], unit.numbered = n, ("#%d %s"):format(n, unit.key)
    elseif unit.kind == "result" then
      unit.numbered = ("#%s %s"):format(last[unit.id or ""] or "?", unit.key)
    else
      unit.numbered = unit.key
    end
  end
  return list
end

--- Joins neighbouring texts that have their `whole`, so that it does not matter how they
-- were divided.
function units.join_texts(list)
  local out = {}
  for _, unit in ipairs(list) do
    local before = out[#out]
    if unit.whole and before and before.whole then
      local joined = units.text(before.whole .. unit.whole, before.more .. unit.more)
      joined.whole = before.whole .. unit.whole
      out[#out] = joined
    else
      out[#out + 1] = unit
    end
  end
  return out
end

return units
