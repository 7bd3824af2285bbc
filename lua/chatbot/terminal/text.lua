-- What a terminal makes of a text: which characters may be shown, and how many columns they
-- take. It must not know where the text comes from.

local M = {}

-- Well-formed UTF-8 beyond ASCII (Unicode, table 3-7).
local FORMS = {
  "^[\194-\223][\128-\191]", "^\224[\160-\191][\128-\191]",
  "^[\225-\236\238\239][\128-\191][\128-\191]", "^\237[\128-\159][\128-\191]",
  "^\240[\144-\191][\128-\191][\128-\191]",
  "^[\241-\243][\128-\191][\128-\191][\128-\191]",
  "^\244[\128-\143][\128-\191][\128-\191]",
}

-- C1, the ends of lines and paragraphs, and what changes the direction of the text.
local HIDDEN = { "^\194[\128-\159]", "^\226\128[\168-\174]", "^\226\129[\166-\169]" }

local function matches(text, patterns, at)
  for _, pattern in ipairs(patterns) do
    local found = text:match(pattern, at)
    if found then return found end
  end
end

-- Iterates over a text: runs of ASCII without control characters, and whatever else there
-- is, one by one; and whether it may be shown.
local function pieces(text)
  local at = 1
  return function()
    if at > #text then return nil end
    local piece = text:match("^[\32-\126]+", at)
    local good = piece ~= nil
    if not piece then
      piece = matches(text, FORMS, at)
      good = piece ~= nil and not matches(piece, HIDDEN)
    end
    piece = piece or text:sub(at, at)
    at = at + #piece
    return piece, good
  end
end

---What may be shown of a text: no control characters but the end of a line and the tab,
---none that changes the direction, and nothing that is no UTF-8, of which a terminal may
---make anything.
---@param text string
---@return string
function M.printable(text)
  if not text:find("[^\n\t\32-\126]") then return text end
  local out = {}
  for piece, good in pieces(text) do
    if good or piece == "\n" or piece == "\t" then out[#out + 1] = piece end
  end
  return table.concat(out)
end

local NAMES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

---A text as it would be written in a program.
---@param text string
---@return string
function M.quoted(text)
  local out = {}
  for piece, good in pieces(text) do
    out[#out + 1] = good and piece:gsub('["\\]', NAMES) or NAMES[piece]
      or piece:gsub(".", function(byte) return ("\\x%02x"):format(byte:byte()) end)
  end
  return '"' .. table.concat(out) .. '"'
end

-- First and last code points of what takes no column, and of what takes two (East Asian
-- Wide and Fullwidth, pictures).
local NONE = {
  0x300, 0x36F, 0x483, 0x489, 0x591, 0x5BD, 0x610, 0x61A, 0x64B, 0x65F, 0x93C, 0x93C,
  0x941, 0x948, 0x94D, 0x94D, 0xE31, 0xE31, 0xE34, 0xE3A, 0xE47, 0xE4E, 0x1AB0, 0x1AFF,
  0x1DC0, 0x1DFF, 0x200B, 0x200F, 0x20D0, 0x20FF, 0x3099, 0x309A, 0xFE00, 0xFE0F,
  0xFE20, 0xFE2F, 0xFEFF, 0xFEFF, 0x1F3FB, 0x1F3FF, 0xE0100, 0xE01EF,
}
local TWO = {
  0x1100, 0x115F, 0x231A, 0x231B, 0x23E9, 0x23EC, 0x23F0, 0x23F0, 0x23F3, 0x23F3,
  0x25FD, 0x25FE, 0x2614, 0x2615, 0x2648, 0x2653, 0x267F, 0x267F, 0x2693, 0x2693,
  0x26A1, 0x26A1, 0x26AA, 0x26AB, 0x26BD, 0x26BE, 0x26C4, 0x26C5, 0x26CE, 0x26CE,
  0x26D4, 0x26D4, 0x26EA, 0x26EA, 0x26F2, 0x26F3, 0x26F5, 0x26F5, 0x26FA, 0x26FA,
  0x26FD, 0x26FD, 0x2705, 0x2705, 0x270A, 0x270B, 0x2728, 0x2728, 0x274C, 0x274C,
  0x274E, 0x274E, 0x2753, 0x2755, 0x2757, 0x2757, 0x2795, 0x2797, 0x27B0, 0x27B0,
  0x27BF, 0x27BF, 0x2B1B, 0x2B1C, 0x2B50, 0x2B50, 0x2B55, 0x2B55, 0x2E80, 0x303E,
  0x3041, 0xA4CF, 0xA960, 0xA97F, 0xAC00, 0xD7A3, 0xF900, 0xFAFF, 0xFE10, 0xFE19,
  0xFE30, 0xFE6F, 0xFF00, 0xFF60, 0xFFE0, 0xFFE6, 0x1F300, 0x1F64F, 0x1F680, 0x1F6FF,
  0x1F900, 0x1F9FF, 0x1FA70, 0x1FAFF, 0x20000, 0x3FFFD,
}

local function within(ranges, code)
  for i = 1, #ranges, 2 do
    if code >= ranges[i] and code <= ranges[i + 1] then return true end
  end
  return false
end

local function code_of(char)
  local a, b, c, d = char:byte(1, 4)
  if d then return (a % 8) * 0x40000 + (b % 64) * 0x1000 + (c % 64) * 64 + d % 64 end
  if c then return (a % 16) * 0x1000 + (b % 64) * 64 + c % 64 end
  return (a % 32) * 64 + b % 64
end

---How many columns a text takes that may be shown.
---@param text string
---@return integer
function M.width(text)
  local width = 0
  for piece, good in pieces(text) do
    if piece:byte() < 128 then
      width = width + #piece
    elseif good then
      local code = code_of(piece)
      width = width + (within(NONE, code) and 0 or within(TWO, code) and 2 or 1)
    end
  end
  return width
end

return M
