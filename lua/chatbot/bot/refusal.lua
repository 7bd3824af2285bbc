-- refusal.lua - what the words of a service say about a request that it refuses: is it a
-- parameter that it does not know, a bad value, or something else, and which parameter.
-- Pure: all it looks at is an error table, in which a service may have put anything.

local M = {}

-- Codes of what no other parameter would help against.
local hopeless = { context_length_exceeded = true, exceed_context_size_error = true,
  invalid_api_key = true, model_not_found = true, content_filter = true }

-- Whether the server has understood the request, and refuses it. OpenRouter tells it in an answer.
function M.is_one(err)
  local status = err.kind == "api" and tonumber(err.code) or err.status
  return (status == 400 or status == 422) and not hopeless[err.code] and not hopeless[err.type]
end

-- What services say of items of their own that they do not take back.
local NATIVE_CODES = { "encrypted_content", "signature" }
local NATIVE_WORDS = { "encrypted content", "encrypted_content", "signature", "thinking` block",
  "thinking block", "redacted_thinking", "item of type 'reasoning'", "reasoning item",
  "required following item", "items are not persisted", "item with id" }

-- How services say that it is the value that they refuse.
local BAD_CODES = { "^invalid_value$", "^invalid_type$", "_below_min", "_above_max", "out_of_range",
  "^less_than", "^greater_than" }
local BAD_WORDS = {
  "too large", "too small", "too long", "too short", "too high", "too low", "too many",
  "less than", "greater than", "or equal to", "must be an? ", "at most", "at least", "exceed",
  "%f[%a]range%f[%A]", "%f[%a]maximum%f[%A]", "%f[%a]minimum%f[%A]", "between %S+ and ",
  "be in [%[(]", "positive", "negative", "be one of", "[<>]=%s*%-?%d", "[<>] %-?%d",
  "input should be", "ensure this value", "%f[%a]expected an? ", "not of type", "invalid type",
  "invalid value", "unmarshal %a+ into", "非法", "超过", "超出", "范围", "大于", "小于" }

-- And how they say that they do not know the field, whatever its value.
local UNKNOWN_CODES = { "^unsupported_", "^unknown_", "^extra_forbidden$" }
local UNKNOWN_WORDS = { "unsupported parameter", "unknown parameter", "unknown name",
  "unknown field", "unrecognized", "extra inputs", "deprecated" }

local function text_of(value) return tostring(value or ""):lower() end

local function has(text, patterns)
  text = text_of(text)
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then return true end
  end
  return false
end

-- A value that is out of range is the program's error: without the limit that it set, the
-- request would mean something else.
function M.is_bad_value(err)
  if has(err.code, UNKNOWN_CODES) or has(err.message, UNKNOWN_WORDS) then return false end
  return has(err.code, BAD_CODES) or has(err.type, BAD_CODES) or has(err.message, BAD_WORDS)
end

-- Whether it is what an answer of before was for the service that is refused when it is given
-- back: thoughts that are sealed or signed.
function M.is_native(err)
  return M.is_one(err) and (has(err.code, NATIVE_CODES) or has(err.message, NATIVE_WORDS))
end

-- Whether the service no longer has the answer that a request goes on from.
function M.is_stored(err)
  return (err.status == 400 or err.status == 404)
    and (text_of(err.code):find("previous_response", 1, true) ~= nil
      or err.param == "previous_response_id"
      or text_of(err.message):find("previous response", 1, true) ~= nil)
end

-- Whether the message has this word, in lower case.
function M.says(err, word) return text_of(err.message):find(word, 1, true) ~= nil end

-- Whether the message names the parameter: a plain word only as a name, that is, in quotes
-- (of JSON in JSON, too), after "parameter" or after a colon.
function M.names(err, name)
  local message = text_of(err.message)
  name = name:lower()
  for _, form in ipairs { name, (name:gsub("_", "")) } do
    local pattern = "%f[%w_]" .. form:gsub("%p", "%%%0") .. "%f[^%w_]"
    if name:find("_", 1, true) or name == "temperature" or name == "logprobs" then
      if message:find(pattern) then return true end
    elseif message:find("[\"'`]" .. pattern .. "\\*[\"'`]") or message:find(": " .. pattern)
      or message:find("parameter " .. pattern) then
      return true
    end
  end
  return false
end

return M
