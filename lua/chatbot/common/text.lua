-- text.lua - what is done to texts from outside, in one pass whatever the text.
--
-- A pattern that is not anchored and begins with "%s*" or "%s+" looks through a run of
-- blanks again from each of its places, so that a megabyte of them takes hours.

local M = {}

---A text without the white space around it.
---@param text string
---@return string
function M.strip(text)
  local from = text:find("%S")
  return from and text:match(".*%S", from) or ""
end

---A value as text in one line: line ends, with the blanks around them, become one blank.
---@param value any
---@return string
function M.one_line(value)
  return (M.strip(tostring(value)):gsub("%s+", function(blanks)
    return blanks:find("[\r\n]") and " " or nil
  end))
end

---What is wrong: of an error that a wrong argument has raised, without the place in the
---program and the name of the function, which tell a user of the program nothing.
---@param problem any
---@return any
function M.reason(problem)
  return type(problem) == "string"
    and problem:match("bad argument #%d+ to '[^']*' %((.*)%)$") or problem
end

---What stands between ``` fences, when that is all there is; else the text.
---@param text string
---@return string
function M.unfenced(text)
  local whole = M.strip(text)
  if #whole < 6 or whole:sub(1, 3) ~= "```" or whole:sub(-3) ~= "```" then return text end
  return M.strip(whole:sub(4, -4):gsub("^%w*", ""))
end

return M
