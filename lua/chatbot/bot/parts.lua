-- parts.lua - parts of a prompt beside text: images and documents.

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

-- Checks the arguments of a part, with one option that is a text; the most bytes it may have.
local function check(source, opts, text)
  if type(source) ~= "string" then
    core.misuse(1, "string expected, got " .. type(source))
  elseif opts ~= nil and type(opts) ~= "table" then
    core.misuse(2, "table expected, got " .. type(opts))
  end
  opts = opts or {}
  for name in pairs(opts) do
    if name ~= text and name ~= "max_bytes" then
      core.misuse(2, ("unknown option '%s'"):format(tostring(name)))
    end
  end
  local most = opts.max_bytes or MAX
  if opts[text] ~= nil and type(opts[text]) ~= "string" then
    core.misuse(2, ("option '%s' must be a string"):format(text))
  elseif type(most) ~= "number" or not (most >= 0 and most <= 1e15 and most % 1 == 0) then
    core.misuse(2, "option 'max_bytes' must be a number, whole and not negative")
  end
  return opts, most > 0 and most or 1e15 -- 0: no limit
end

-- The data URL of what are bytes of a type that `of` knows, or the path to a file of them.
local function data_url(source, most, of, refused, what)
  local bytes = source
  if not of(bytes) then
    local file, problem = io.open(source, "rb")
    if not file then return nil, problem end
    bytes = file:read(most + 1) or ""
    file:close()
  end
  local kind = of(bytes)
  if not kind then return nil, refused end
  if #bytes > most then
    return nil, ("the %s is larger than %d bytes (max_bytes)"):format(what, most)
  end
  return ("data:%s;base64,%s"):format(kind, core.base64(bytes))
end

---A part for a prompt: { "What is this?", chatbot.image("cat.png") }
---@param source string a URL (http, https, data), the bytes of an image, or a file's path
---@param opts? { detail?: string, max_bytes?: integer }
---@return table? part
---@return string? problem
function M.image(source, opts)
  local options, most = check(source, opts, "detail")
  local url, problem = source, nil
  if not (source:find("^https?://") or source:find("^data:image/")) then
    url, problem = data_url(source, most, sniff,
      "this is no PNG, JPEG, GIF, WebP or BMP image", "image")
  end
  if not url then return nil, problem end
  return { type = "image_url", image_url = { url = url, detail = options.detail } }
end

local function sniff_document(bytes) return bytes:find("^%%PDF%-") and "application/pdf" or nil end

---A part for a prompt: { "Sum it up.", chatbot.document("report.pdf") }
---@param source string a URL (http, https, data), the bytes of a PDF, or a file's path
---@param opts? { name?: string, max_bytes?: integer }
---@return table? part
---@return string? problem
function M.document(source, opts)
  local options, most = check(source, opts, "name")
  local name = options.name
  if source:find("^https?://") then
    return { type = "file", file = { file_url = source, filename = name } }
  end
  local url, problem = source, nil
  if not source:find("^data:application/pdf;") then
    if not name and not sniff_document(source) then name = source:match("[^/\\]+$") end
    url, problem = data_url(source, most, sniff_document, "this is no PDF document", "document")
  end
  if not url then return nil, problem end
  return { type = "file", file = { file_data = url, filename = name or "document.pdf" } }
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
