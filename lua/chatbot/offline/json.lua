-- JSON as a strict server needs it: an empty array is not an empty object, null is not
-- an absent field, and the members of an object are written in an order that is chosen.
-- lua-cjson as Debian packs it keeps none of these apart.
--
--   list{...}    marks a table as an array; what is decoded is marked
--   null         the value of null
--
-- Every function is linear in the length of the text; it must not know what is in it.

local M = {}

local LIST = {}
local DEPTH_MAX = 64

M.null = setmetatable({}, { __tostring = function() return "null" end })

---Marks a table as an array.
---@param t table
---@return table t
function M.list(t)
  return setmetatable(t, LIST)
end

---@param value any
---@return boolean
function M.is_list(value)
  return type(value) == "table" and getmetatable(value) == LIST
end

---@param value any
---@return boolean
function M.is_object(value)
  return type(value) == "table" and value ~= M.null and getmetatable(value) ~= LIST
end

---A member that may be left out: null is as good as absent.
---@param value any
---@return any
function M.given(value)
  if value == M.null then return nil end
  return value
end

-- Decoding -------------------------------------------------------------------

local ESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n",
  r = "\r", t = "\t" }

local function fail(what, at)
  error({ ("%s at character %d"):format(what, at) }, 0)
end

local function skip(text, at)
  return text:find("[^ \n\r\t]", at) or #text + 1
end

local function utf8_of(code)
  local function tail(shift) return 128 + math.floor(code / 2 ^ shift) % 64 end
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(192 + math.floor(code / 64), tail(0)) end
  if code < 0x10000 then
    return string.char(224 + math.floor(code / 4096), tail(6), tail(0))
  end
  return string.char(240 + math.floor(code / 262144), tail(12), tail(6), tail(0))
end

-- The character of the escape `\u` at `at`, and where it ends. Halves come in pairs.
local function unicode(text, at)
  local high = tonumber(text:match("^\\u(%x%x%x%x)", at) or "", 16)
  if not high then fail("an escape that is none", at) end
  if high < 0xD800 or high > 0xDFFF then return utf8_of(high), at + 6 end
  local low = tonumber(text:match("^\\u(%x%x%x%x)", at + 6) or "", 16)
  if high > 0xDBFF or not low or low < 0xDC00 or low > 0xDFFF then
    fail("half a character", at)
  end
  return utf8_of(0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00), at + 12
end

-- The string whose quote is at `at`, and what follows.
local function decode_string(text, at)
  local parts, from = {}, at + 1
  local look = from
  while true do
    local place = text:find('["\\%c]', look)
    local found = place and text:sub(place, place)
    if found == '"' then
      parts[#parts + 1] = text:sub(from, place - 1)
      return table.concat(parts), place + 1
    elseif found == "\127" then
      look = place + 1
    elseif found ~= "\\" then
      fail(found and "a control character in a string" or "a string without an end", place or at)
    else
      parts[#parts + 1] = text:sub(from, place - 1)
      local escaped = text:sub(place + 1, place + 1)
      if escaped == "u" then
        parts[#parts + 1], from = unicode(text, place)
      else
        parts[#parts + 1] = ESCAPES[escaped] or fail("an escape that is none", place)
        from = place + 2
      end
      look = from
    end
  end
end

local function decode_number(text, at)
  local whole = text:match("^-?%d+", at)
  if not whole or whole:find("^-?0%d") then fail("no value", at) end
  local stop = at + #whole
  stop = stop + #(text:match("^%.%d+", stop) or "")
  stop = stop + #(text:match("^[eE][+-]?%d+", stop) or "")
  return tonumber(text:sub(at, stop - 1)), stop
end

local WORDS = { { "true", true }, { "false", false }, { "null", M.null } }
local decode_value

local function decode_array(text, at, depth)
  local list, n = M.list {}, 0
  at = skip(text, at + 1)
  if text:sub(at, at) == "]" then return list, at + 1 end
  while true do
    n = n + 1
    list[n], at = decode_value(text, at, depth)
    at = skip(text, at)
    local sign = text:sub(at, at)
    if sign == "]" then return list, at + 1 end
    if sign ~= "," then fail("',' or ']' is missing", at) end
    at = skip(text, at + 1)
  end
end

local function decode_object(text, at, depth)
  local object = {}
  at = skip(text, at + 1)
  if text:sub(at, at) == "}" then return object, at + 1 end
  while true do
    if text:sub(at, at) ~= '"' then fail("a name in quotes is missing", at) end
    local name
    name, at = decode_string(text, at)
    at = skip(text, at)
    if text:sub(at, at) ~= ":" then fail("':' is missing", at) end
    object[name], at = decode_value(text, skip(text, at + 1), depth)
    at = skip(text, at)
    local sign = text:sub(at, at)
    if sign == "}" then return object, at + 1 end
    if sign ~= "," then fail("',' or '}' is missing", at) end
    at = skip(text, at + 1)
  end
end

function decode_value(text, at, depth)
  local sign = text:sub(at, at)
  if sign == '"' then return decode_string(text, at) end
  if sign == "{" or sign == "[" then
    if depth >= DEPTH_MAX then fail(("more than %d levels"):format(DEPTH_MAX), at) end
    return (sign == "{" and decode_object or decode_array)(text, at, depth + 1)
  end
  for _, word in ipairs(WORDS) do
    if text:sub(at, at + #word[1] - 1) == word[1] then return word[2], at + #word[1] end
  end
  return decode_number(text, at)
end

---Decodes a text.
---@param text string
---@return any value nil when it is no JSON
---@return string? problem
function M.decode(text)
  local ok, value, at = pcall(function()
    local value, at = decode_value(text, skip(text, 1), 0)
    at = skip(text, at)
    if at <= #text then fail("something behind the value", at) end
    return value
  end)
  if ok then return value end
  if type(value) == "table" then return nil, value[1] end
  error(value, at)
end

-- Encoding -------------------------------------------------------------------

local ESCAPED = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f",
  ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function encode_string(text)
  return '"' .. text:gsub('[%c"\\]', function(sign)
    return ESCAPED[sign] or ("\\u%04x"):format(sign:byte())
  end) .. '"'
end

local function encode_number(number)
  if number ~= number or number == math.huge or number == -math.huge then return "null" end
  if number % 1 == 0 and math.abs(number) < 2 ^ 53 then return ("%d"):format(number) end
  return ("%.14g"):format(number)
end

---A function that encodes values. Members that are named in `order` stand before the
---others, and in that order; the others follow by their names.
---@param order string[]
---@return fun(value: any): string
function M.encoder(order)
  local rank = {}
  for i, name in ipairs(order) do rank[name] = i end
  local function before(a, b)
    local first, second = rank[a] or #order + 1, rank[b] or #order + 1
    if first ~= second then return first < second end
    return a < b
  end
  local encode
  local function encode_list(list)
    local parts = {}
    for i, value in ipairs(list) do parts[i] = encode(value) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local function encode_object(object)
    local names, parts = {}, {}
    for name in pairs(object) do names[#names + 1] = name end
    table.sort(names, before)
    for i, name in ipairs(names) do
      parts[i] = encode_string(name) .. ":" .. encode(object[name])
    end
    return "{" .. table.concat(parts, ",") .. "}"
  end
  function encode(value)
    local kind = type(value)
    if kind == "string" then return encode_string(value) end
    if kind == "number" then return encode_number(value) end
    if kind ~= "table" or value == M.null then return tostring(value) end
    return (M.is_list(value) and encode_list or encode_object)(value)
  end
  return encode
end

---Encodes a value, its members by their names.
M.encode = M.encoder {}

return M
