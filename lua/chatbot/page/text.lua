-- text.lua - blanks at the ends of text and within it.
--
-- Each function is linear in its text, whatever that is: no pattern here looks at a
-- run of blanks more than a few times.

local M = {}

M.BREAK = "\1" -- a <br> among text, where no control character is left
local BREAK = M.BREAK

-- Entities that the parser leaves when their semicolon is missing.
local ENTITIES = { amp = "&", lt = "<", gt = ">", quot = '"', nbsp = " ", copy = "\194\169" }

---Text without blanks at its end.
function M.trim_end(text)
  if not text:find("%S") then return "" end
  return text:match("^.*%S")
end

M.trim = require("chatbot.common.text").strip

---Text with its runs of blanks folded into one, or nil when there is nothing else.
---@param text? string
---@return string?
function M.filled(text)
  text = text and M.trim((text:gsub("%s+", " ")))
  return text ~= "" and text or nil
end

---Running text as it is shown: blanks folded, breaks as ends of lines, of which no more
---than two follow each other. A line's end between two characters of Chinese or Japanese
---is no blank.
function M.fold(text)
  if not text:find("[%s\1&\194\226\239]") then return text end
  text = text:gsub("\194\160", " "):gsub("\226\128\139", ""):gsub("\194\173", "")
    :gsub("\239\187\191", ""):gsub("&(%l+)%f[^%w;]", ENTITIES)
  text = text:gsub("[ \t\r\v\f]+", " "):gsub(" ?\n[ \n]*", "\n")
  text = text:gsub("([\227-\233\239][\128-\191][\128-\191])\n%f[\227-\233\239]", "%1")
  text = text:gsub("\n", " "):gsub(" +", " ")
  text = text:gsub(" ?" .. BREAK .. " ?", "\n"):gsub("\n\n\n+", "\n\n")
  return M.trim(text)
end

return M
