-- A dotenv file, read as python-dotenv reads it: text in, a table out.
--
--   KEY=value            blanks around = and at the end do not count, a comment begins
--                        at a # behind a blank or the =; `export` may stand before it
--   KEY='value'          everything up to the quote, lines as well; \' and \\ are escapes
--   KEY="value"          the same, and \n \t \r \a \b \f \v \" \$ too
--   KEY                  a name alone sets nothing
--   ${NAME} ${NAME:-x}   in any value: the environment's, else one from above, else x
--
-- Lines end at LF, CR or CR LF. What is wrong spoils its own line only, and is reported
-- by the number of that line, never with its content: there may be a key in it.

local strip = require("chatbot.common.text").strip

local M = {}

local VALUE_MAX = 4096 -- bytes with references, which could double a value with each line
local NAMED = 5 -- lines that a problem names

local ESCAPES = { ['"'] = '"', ["$"] = "$", n = "\n", t = "\t", r = "\r", a = "\a", b = "\b",
  f = "\f", v = "\v" }

-- Finds what comes next again and again: looks no further than it has to, and through
-- nothing twice. `find` takes a place and returns the next at or behind it.
local function finder(find)
  local place, from
  return function(at)
    if not from or at < from or (place and place < at) then
      from, place = at, find(at)
    end
    return place
  end
end

local function plainly(text, what)
  return finder(function(at) return text:find(what, at, true) end)
end

-- The first quote that is no part of an escape.
local function closing(text, quote)
  local mark = "[\\" .. quote .. "]"
  return finder(function(at)
    local place = text:find(mark, at)
    while place and text:sub(place, place) == "\\" do
      place = text:find(mark, place + 2)
    end
    return place
  end)
end

-- The value with those of variables in the place of their names; nil: it is too long.
local function expanded(value, get)
  if not value:find("${", 1, true) then return value end
  local out, size, done, at = {}, #value, 1, 1
  local brace, colon = plainly(value, "}"), plainly(value, ":")
  while true do
    local from = value:find("${", at, true)
    local to = from and brace(from)
    if not to then break end
    local mark = colon(from)
    local name, default
    if not mark or mark > to then
      name, default = value:sub(from + 2, to - 1), ""
    elseif value:sub(mark + 1, mark + 1) == "-" then
      name, default = value:sub(from + 2, mark - 1), value:sub(mark + 2, to - 1)
    end
    at = from + 2
    if name then
      local other = get(name) or default
      size = size + #other
      if size > VALUE_MAX then return nil end
      out[#out + 1] = value:sub(done, from - 1) .. other
      at = to + 1
      done = at
    end
  end
  out[#out + 1] = value:sub(done)
  return table.concat(out)
end

-- Whether a line may end at this place: nothing but blanks and a comment follow.
local function ends(text, at)
  local behind = text:match("^[ \t]*()", at)
  return behind > #text or text:find("^[#\r\n]", behind) ~= nil
end

-- The value that begins at `at`, and where what follows it begins; or nil.
local function value_at(text, at, stop, close)
  local quote = text:sub(at, at)
  if not close[quote] then
    local value = text:sub(at, stop - 1)
    local comment = (" " .. value):find("%s#")
    return strip(value:sub(1, comment and comment - 1)), stop
  end
  local last = close[quote](at + 1)
  if not last or not ends(text, last + 1) then return nil end
  local value = text:sub(at + 1, last - 1):gsub("\\(.)", function(char)
    if char == "\\" or char == "'" then return char end
    return quote == '"' and ESCAPES[char] or nil
  end)
  return value, last + 1
end

local function problem_of(bad)
  local more = #bad > NAMED and (" and %d more"):format(#bad - NAMED) or ""
  return ("line%s %s%s: not KEY=value, left out"):format(#bad > 1 and "s" or "",
    table.concat(bad, ", ", 1, math.min(#bad, NAMED)), more)
end

---Reads the text of a dotenv file.
---@param text string
---@return table<string, string> values those that could be read
---@return string? problem names the lines that could not
function M.parse(text)
  local values, bad, number, counted = {}, {}, 1, 1
  local close = { ["'"] = closing(text, "'"), ['"'] = closing(text, '"') }
  local first = text:sub(1, 3) == "\239\187\191" and 4 or 1

  local function get(name)
    return os.getenv(name) or values[name]
  end

  -- Puts a line on the list of those that are wrong.
  local function report(from)
    for _ in text:sub(counted, from - 1):gsub("\r\n", "\n"):gmatch("[\r\n]") do
      number = number + 1
    end
    counted = from
    bad[#bad + 1] = number
  end

  -- Reads the line from `at` to `stop`: where what it says ends, or nil.
  local function read(at, stop)
    if text:sub(at, at) == "#" then return stop end
    local from = text:match("^export[ \t]+()", at) or at
    local key, behind = text:match("^'([^'\r\n]+)'()", from)
    if not key then key, behind = text:match("^([^'=#%d%s][^=#%s]*)()", from) end
    local place = key and text:match("^[ \t]*=[ \t]*()", behind)
    if not place then return key and ends(text, behind) and stop or nil end
    local value
    value, behind = value_at(text, place, stop, close)
    value = value and expanded(value, get)
    if not value or value:find("%z") then return nil end
    values[key] = value
    return behind
  end

  local at = text:find("%S", first)
  while at do
    local stop = text:find("[\r\n]", at) or #text + 1
    local behind = read(at, stop)
    if not behind then report(at) end
    at = text:find("[\r\n]", behind or stop)
    at = at and text:find("%S", at)
  end
  return values, #bad > 0 and problem_of(bad) or nil
end

return M
