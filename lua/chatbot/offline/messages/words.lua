-- How Messages says what is wrong with a request, and the body of an error.

local json = require "chatbot.offline.json"
local refusal = require "chatbot.offline.refusal"

local M = {}

-- "messages.0.content.1.text.text": the tags of what is one of several are in it.
local function place(path)
  local parts = {}
  for i, part in ipairs(path) do
    parts[i] = tostring(type(part) == "table" and part.tag or part)
  end
  return table.concat(parts, ".")
end

local EXPECTED = { string = "string", integer = "integer", number = "number",
  boolean = "boolean", list = "list", object = "dictionary" }

local BOUNDS = {
  less = "Input should be greater than or equal to %d",
  more = "Input should be less than or equal to %d",
  short = "List should have at least %d item after validation, not %d",
  long = "List should have at most %d items after validation, not %d",
}
local TEXT_BOUNDS = {
  short = "String should have at least %d character",
  long = "String should have at most %d characters",
}

local SAID = {}

function SAID.missing() return "Field required" end

function SAID.unknown() return "Extra inputs are not permitted" end

function SAID.type(wrong)
  return "Input should be a valid " .. EXPECTED[wrong.expected]
end

function SAID.value(wrong)
  return "Input should be " .. refusal.joined(wrong.allowed, "or")
end

function SAID.tag(wrong)
  return ("Input tag '%s' found using '%s' does not match any of the expected tags: %s"):format(
    refusal.shown(wrong.value), wrong.name, refusal.joined(wrong.allowed, ","):gsub(" , ", ", "))
end

function SAID.pattern(wrong)
  return ("String should match pattern '^%s$'"):format((wrong.pattern:gsub("%%", "")))
end

local function bounds(wrong)
  return (wrong.text and TEXT_BOUNDS or BOUNDS)[wrong.kind]:format(wrong.bound, wrong.value)
end

SAID.less, SAID.more, SAID.short, SAID.long = bounds, bounds, bounds, bounds

---A problem with the shape of a body.
---@param wrong table
---@return chatbot.offline.Refusal
function M.shape(wrong)
  local at = place(wrong.path)
  local message = SAID[wrong.kind](wrong)
  return refusal.new(400, at == "" and message or at .. ": " .. message)
end

local TYPES = { [400] = "invalid_request_error", [404] = "not_found_error",
  [405] = "invalid_request_error", [413] = "request_too_large" }

local encode = json.encoder { "type", "error", "message", "request_id" }

---The body of an error.
---@param why chatbot.offline.Refusal
---@param id string of the request
---@return string
function M.body(why, id)
  return encode { type = "error", request_id = id,
    error = { type = why.type or TYPES[why.status] or "api_error", message = why.message } }
end

return M
