-- Refusals: why a request is not answered, as a value: HTTP status, message, and what
-- the services say beside it. `openai` is how OpenAI's two dialects say what is wrong
-- with a body, and the body of an error; Messages has its own, in messages.lua.

local json = require "chatbot.offline.json"
local words = require "chatbot.offline.words"

local SHOWN_MAX = 100

local M = {}

---@class chatbot.offline.Refusal
---@field status integer
---@field message string
---@field param? string what is to blame
---@field code? string
---@field type? string

---@param status integer
---@param message string
---@param param? string
---@param code? string
---@return chatbot.offline.Refusal
function M.new(status, message, param, code)
  return { status = status, message = message, param = param, code = code }
end

---@param value any
---@return string "a string", "an object" ...
function M.kind_of(value)
  if value == json.null or value == nil then return "null" end
  if json.is_list(value) then return "an array" end
  if type(value) == "table" then return "an object" end
  if type(value) == "number" then return value % 1 == 0 and "an integer" or "a decimal" end
  return "a " .. type(value)
end

---What came instead, not all of it when it is long.
---@param value any
---@return string
function M.shown(value)
  local text = words.cut(tostring(value), SHOWN_MAX)
  return text == tostring(value) and text or text .. "..."
end

---"'a', 'b', and 'c'", as the services join what they allow.
---@param list string[]
---@param word string the last but one: "and", "or"
---@param comma? string before that word, where there are more than two
function M.joined(list, word, comma)
  local quoted = {}
  for i, name in ipairs(list) do quoted[i] = "'" .. name .. "'" end
  if #quoted < 2 then return quoted[1] or "" end
  local last = table.remove(quoted)
  return table.concat(quoted, ", ")
    .. (#quoted > 1 and comma or "") .. " " .. word .. " " .. last
end

-- OpenAI ---------------------------------------------------------------------

-- "input[0].content[1].text"
local function place(path)
  local text = ""
  for _, part in ipairs(path) do
    if type(part) == "number" then
      text = ("%s[%d]"):format(text, part)
    elseif type(part) == "string" then
      text = text == "" and part or text .. "." .. part
    end
  end
  return text
end

local EXPECTED = { string = "a string", integer = "an integer", number = "a decimal",
  boolean = "a boolean", list = "an array", object = "an object" }

-- How a number's or a length's trouble is said, and its code.
local BOUNDS = {
  less = { "integer below minimum value. Expected a value >= %d, but got %s instead.",
    "integer_below_min_value" },
  more = { "integer above maximum value. Expected a value <= %d, but got %s instead.",
    "integer_above_max_value" },
  short = { "empty array. Expected an array with minimum length %d, but got an empty array "
    .. "instead.", "empty_array" },
  long = { "array too long. Expected an array with maximum length %d, but got an array with "
    .. "length %s instead.", "array_above_max_length" },
}
local TEXT_BOUNDS = {
  short = { "empty string. Expected a string with minimum length %d, but got an empty string "
    .. "instead.", "empty_string" },
  long = { "string too long. Expected a string with maximum length %d, but got a string with "
    .. "length %s instead.", "string_above_max_length" },
}

local SAID = {}

function SAID.missing(_, at)
  return ("Missing required parameter: '%s'."):format(at), "missing_required_parameter"
end

function SAID.unknown(_, at)
  return ("Unknown parameter: '%s'."):format(at), "unknown_parameter"
end

function SAID.type(wrong, at)
  return ("Invalid type for '%s': expected %s, but got %s instead."):format(
    at, EXPECTED[wrong.expected], M.kind_of(wrong.value)), "invalid_type"
end

function SAID.value(wrong)
  return ("Invalid value: '%s'. Supported values are: %s."):format(
    M.shown(wrong.value), M.joined(wrong.allowed, "and", ",")), "invalid_value"
end

SAID.tag = SAID.value

function SAID.pattern(wrong, at)
  return ("Invalid '%s': string does not match pattern. Expected a string that matches the "
    .. "pattern '^%s$'."):format(at, (wrong.pattern:gsub("%%", "\\"))), "invalid_value"
end

local function bounds(wrong, at)
  local said = (wrong.text and TEXT_BOUNDS or BOUNDS)[wrong.kind]
  return ("Invalid '%s': "):format(at)
    .. said[1]:format(wrong.bound, tostring(wrong.value)), said[2]
end

SAID.less, SAID.more, SAID.short, SAID.long = bounds, bounds, bounds, bounds

---A problem with the shape of a body, as OpenAI says it.
---@param wrong table
---@return chatbot.offline.Refusal
function M.openai(wrong)
  local at = place(wrong.path)
  if at == "" then return M.new(400, "The body is not a JSON object.") end
  local message, code = SAID[wrong.kind](wrong, at)
  return M.new(400, message, at, code)
end

local encode = json.encoder { "error", "message", "type", "param", "code" }

---The body of an error as OpenAI's dialects have it.
---@param why chatbot.offline.Refusal
---@return string
function M.openai_body(why)
  return encode { error = {
    message = why.message,
    type = why.type or "invalid_request_error",
    param = why.param or json.null,
    code = why.code or json.null,
  } }
end

return M
