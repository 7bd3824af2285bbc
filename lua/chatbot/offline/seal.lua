-- Seals: made-up signatures and encrypted contents. What the services give with their
-- thoughts and want back unchanged, this server gives and checks, too. A seal holds the
-- text and to what it is bound, and a sum over both; nothing of it is kept. It is a
-- check of clients and no secret. Pure.

local M = {}

local MODULUS = 2147483647 -- products of two stay below 2^53 with the factors below

-- Two sums over a text, four bytes at a time, which go on from what they were.
local function add(a, b, text)
  for i = 1, #text, 4 do
    local first, second, third, fourth = text:byte(i, i + 3)
    local number = first + 256 * ((second or 0) + 256 * ((third or 0) + 256 * (fourth or 0)))
    a = (a * 257 + number) % MODULUS
    b = (b * 263 + number + 1) % MODULUS
  end
  return (a + #text) % MODULUS, b
end

local function written(a, b)
  return ("%08x%08x"):format(a, b)
end

---A sum over what comes bit by bit: a function that adds texts and returns the sum over
---all so far, as 16 hex digits.
---@return fun(...: string): string
function M.running()
  local a, b = 7, 11
  return function(...)
    for i = 1, select("#", ...) do a, b = add(a, b, (select(i, ...))) end
    return written(a, b)
  end
end

local function sum(text)
  return written(add(7, 11, text))
end

local function hex(text)
  return (text:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

---A seal of a text, bound to another one. Those of two `number`s differ.
---@param text string
---@param bound string
---@param number? integer
---@return string of hex digits, so many that it is base64, too
function M.close(text, bound, number)
  local head = ("%08x"):format((number or 0) % MODULUS) .. sum(bound)
  local body = head .. hex(text)
  local seal = "e112a000" .. sum(body) .. body
  return seal .. ("="):rep(-#seal % 4)
end

---The text of a seal, and whether it is bound to this. Nothing when it is none of ours.
---@param seal string
---@param bound string
---@return string? text
---@return boolean? fits
function M.open(seal, bound)
  local check, body = seal:match("^e112a000(" .. ("%x"):rep(16) .. ")(%x*)=*$")
  if not check or #body < 24 or sum(body) ~= check then return nil end
  local text = body:sub(25):gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
  return text, body:sub(9, 24) == sum(bound)
end

return M
