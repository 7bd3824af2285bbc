-- parts.lua - parts of a prompt beside text: images.

local core = require "chatbot.core"

local M = {}

local MAX = 20 * 1024 * 1024 -- bytes of an image, unless opts say otherwise

-- The type by the first bytes, as in the WHATWG MIME Sniffing standard, 6.1.
local function sniff(bytes)
  if bytes:sub(1, 8) == "\137PNG\r\n\26\n" then return "image/png" end
  if bytes:sub(1, 3) == "\255\216\255" then return "image/jpeg" end
  if bytes:find("^GIF8[79]a") and #bytes > 26 then return "image/gif" end
  if bytes:sub(1, 4) == "RIFF" and bytes:sub(9, 12) == "WEBP" then return "image/webp" end
  if bytes:sub(1, 2) == "BM" and bytes:sub(7, 10) == "\0\0\0\0" then return "image/bmp" end
end

---A part for a prompt: { "What is this?", chatbot.image("cat.png") }
---@param source string a URL (http, https, data), the bytes of an image, or a file's path
---@param opts? { detail?: string, max_bytes?: integer }
---@return table? part
---@return string? problem
function M.image(source, opts)
  if type(source) ~= "string" then
    core.misuse(1, "string expected, got " .. type(source))
  elseif opts ~= nil and type(opts) ~= "table" then
    core.misuse(2, "table expected, got " .. type(opts))
  end
  opts = opts or {}
  for name in pairs(opts) do
    if name ~= "detail" and name ~= "max_bytes" then
      core.misuse(2, ("unknown option '%s'"):format(tostring(name)))
    end
  end
  local detail, most = opts.detail, opts.max_bytes or MAX
  if detail ~= nil and type(detail) ~= "string" then
    core.misuse(2, "option 'detail' must be a string")
  elseif type(most) ~= "number" or not (most >= 0 and most <= 1e15 and most % 1 == 0) then
    core.misuse(2, "option 'max_bytes' must be a number, whole and not negative")
  end
  if most == 0 then most = 1e15 end -- no limit
  local url
  if source:find("^https?://") or source:find("^data:image/") then
    url = source
  else
    local bytes = source
    if not sniff(bytes) then
      local file, problem = io.open(source, "rb")
      if not file then return nil, problem end
      bytes = file:read(most + 1) or ""
      file:close()
    end
    local kind = sniff(bytes)
    if not kind then return nil, "this is no PNG, JPEG, GIF, WebP or BMP image" end
    if #bytes > most then
      return nil, ("the image is larger than %d bytes (max_bytes)"):format(most)
    end
    url = ("data:%s;base64,%s"):format(kind, core.base64(bytes))
  end
  return { type = "image_url", image_url = { url = url, detail = detail } }
end

---A prompt's list of parts, with strings as parts of type "text".
---@param list (string|table)[]
---@return table[]?
---@return string? problem
function M.normalise(list)
  local out, count = {}, 0
  for i, part in ipairs(list) do
    out[i] = type(part) == "string" and { type = "text", text = part } or part
  end
  for _ in pairs(list) do count = count + 1 end
  if count > #out then -- most likely an image that could not be read
    return nil, ("part %d of the prompt is missing: %s"):format(#out + 1,
      tostring(list[#out + 2]))
  end
  return out
end

core.ours()

return M
