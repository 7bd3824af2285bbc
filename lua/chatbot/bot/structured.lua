-- structured.lua - an answer that is to be JSON, decoded.

local core = require "chatbot.core"
local unfenced = require("chatbot.common.text").unfenced

local M = {}

-- Without the thoughts that some servers leave before an answer; the tag that opens them may
-- have been the end of the prompt.
local function without_thoughts(text)
  local first = text:match("^%s*<think>()")
  if not first and text:find("^%s*[%[{`]") then return text end
  local _, last = text:find("</think>", first or 1, true)
  return last and text:sub(last + 1) or text
end

---The decoded answer, or nil and what is wrong; models like to put JSON between ``` fences.
---@return table? value
---@return string? problem
function M.parsed(reply)
  if reply.text == "" and reply.refusal then
    return nil, "the model refused: " .. reply.refusal
  end
  local value, problem = core.json_decode(unfenced(without_thoughts(reply.text)))
  if type(value) == "table" then return value end
  local _, verdict = reply:_is_held()
  if verdict == "length" then
    return nil, "the answer was cut before its JSON was complete"
  end
  if problem or value == nil then
    return nil, "the answer is not valid JSON: " .. (problem or "null")
  end
  return nil, "the answer is JSON, but neither an object nor an array"
end

core.ours()

return M
