-- Words: what the offline server counts, limits and streams. Pure.

local M = {}

---Cuts a text into words that keep the white space around them, so that their
---concatenation is the text. A character of the East Asian scripts, which
---have no spaces, counts as a word.
---@param text string
---@return string[]
function M.split(text)
  local list, position = {}, 1
  while position <= #text do
    local _, stop = text:find("^%s*[\227-\244][\128-\191]*%s*", position)
    if not stop then
      _, stop = text:find("^%s*[^%s\227-\244]*%s*", position)
    end
    if stop < position then
      stop = position
    end
    list[#list + 1] = text:sub(position, stop)
    position = stop + 1
  end
  return list
end

---How many words a text has.
---@param text string
---@return integer
function M.count(text)
  return #M.split(text)
end

---At most so many characters of a text.
---@param text string
---@param count integer
---@return string
function M.cut(text, count)
  local at = 1
  while count > 0 and at <= #text do
    local _, stop = text:find("^[^\128-\191][\128-\191]*", at)
    at, count = (stop or at) + 1, count - 1
  end
  return text:sub(1, at - 1)
end

return M
