--- A reader of JSON for the specs, which tells apart what lua-cjson does not.
--
--   local value, problem = decode.json(text)
--
-- A list has the metatable decode.list, also when it is empty; any other table is an
-- object. `null` is decode.null. What RFC 8259 does not allow is a problem, and so are a
-- key that stands twice in an object and half of a surrogate pair: services take them
-- differently. Pure, for every Lua; whether the bytes are UTF-8 is not looked at.

local decode = {}

decode.list = { __name = "list" }
decode.null = setmetatable({}, { __name = "null", __tostring = function() return "null" end })

local DEPTH_MAX = 200

local value_at -- the value at a position and the position behind it

local function fail(at, what)
  error({ problem = ("%s at byte %d"):format(what, at) }, 0)
end

local function skip(s, at)
  return s:match("^[ \t\r\n]*()", at)
end

local function utf8_of(code)
  local char = string.char
  if code < 0x80 then return char(code) end
  if code < 0x800 then return char(0xC0 + math.floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then
    return char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64,
      0x80 + code % 64)
  end
  return char(0xF0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

-- The character of the escape whose backslash is at `at`.
local function escape_at(s, at)
  local c = s:sub(at + 1, at + 1)
  if ESCAPES[c] then return ESCAPES[c], at + 2 end
  local code = tonumber(s:match("^u(%x%x%x%x)", at + 1) or fail(at, "a bad escape"), 16)
  if code < 0xD800 or code > 0xDFFF then return utf8_of(code), at + 6 end
  local low = tonumber(s:match("^\\u(%x%x%x%x)", at + 6) or "0", 16)
  if code > 0xDBFF or low < 0xDC00 or low > 0xDFFF then fail(at, "half of a surrogate pair") end
  return utf8_of(0x10000 + (code - 0xD800) * 1024 + low - 0xDC00), at + 12
end

-- The string whose quotation mark is at `at`.
local function string_at(s, at)
  local parts, from = {}, at + 1
  while true do
    local stop = s:find('["\\%c]', from) or fail(at, "a string without an end")
    local c = s:sub(stop, stop)
    if c ~= "\127" then parts[#parts + 1] = s:sub(from, stop - 1) end
    if c == '"' then
      return #parts == 1 and parts[1] or table.concat(parts), stop + 1
    elseif c == "\\" then
      parts[#parts + 1], from = escape_at(s, stop)
    elseif c == "\127" then -- a control character to Lua alone
      parts[#parts + 1], from = s:sub(from, stop), stop + 1
    else
      fail(stop, "a control character in a string")
    end
  end
end

local function number_at(s, at)
  local whole = s:match("^-?0()", at) or s:match("^-?[1-9]%d*()", at) or fail(at, "no value")
  local stop = s:match("^%.%d+()", whole) or whole
  stop = s:match("^[eE][+-]?%d+()", stop) or stop
  return tonumber(s:sub(at, stop - 1)), stop
end

local function list_at(s, at, depth)
  local list, n = setmetatable({}, decode.list), 0
  at = skip(s, at + 1)
  if s:sub(at, at) == "]" then return list, at + 1 end
  while true do
    n = n + 1
    list[n], at = value_at(s, at, depth)
    at = skip(s, at)
    local c = s:sub(at, at)
    if c == "]" then return list, at + 1 end
    if c ~= "," then fail(at, "no comma in a list") end
    at = at + 1
  end
end

local function object_at(s, at, depth)
  local object = {}
  at = skip(s, at + 1)
  if s:sub(at, at) == "}" then return object, at + 1 end
  while true do
    at = skip(s, at)
    local start = at
    if s:sub(at, at) ~= '"' then fail(at, "no key in an object") end
    local key
    key, at = string_at(s, at)
    if object[key] ~= nil then fail(start, ("the key %q twice"):format(key)) end
    at = skip(s, at)
    if s:sub(at, at) ~= ":" then fail(at, "no colon in an object") end
    object[key], at = value_at(s, at + 1, depth)
    at = skip(s, at)
    local c = s:sub(at, at)
    if c == "}" then return object, at + 1 end
    if c ~= "," then fail(at, "no comma in an object") end
    at = at + 1
  end
end

local WORDS = { t = { "true", true }, f = { "false", false }, n = { "null", decode.null } }

function value_at(s, at, depth)
  at = skip(s, at)
  local c = s:sub(at, at)
  if depth > DEPTH_MAX then fail(at, "nested too deeply") end
  if c == "{" then return object_at(s, at, depth + 1) end
  if c == "[" then return list_at(s, at, depth + 1) end
  if c == '"' then return string_at(s, at) end
  local word = WORDS[c]
  if not word then return number_at(s, at) end
  if s:sub(at, at + #word[1] - 1) ~= word[1] then fail(at, "no value") end
  return word[2], at + #word[1]
end

--- The value of a JSON text; nil and what is wrong with it.
---@param text string
---@return any value, string? problem
function decode.json(text)
  local ok, value, at = pcall(value_at, text, 1, 0)
  if not ok then
    if type(value) ~= "table" then error(value, 0) end
    return nil, value.problem
  end
  at = skip(text, at)
  if at <= #text then return nil, ("more than a value at byte %d"):format(at) end
  return value
end

---@param value any
---@return boolean
function decode.is_list(value)
  return type(value) == "table" and getmetatable(value) == decode.list
end

---@param value any
---@return boolean
function decode.is_object(value)
  return type(value) == "table" and getmetatable(value) == nil
end

return decode
