-- charset.lua - the bytes of a page as UTF-8.
--
-- As browsers do it: a byte order mark, else what HTTP says, else what the page
-- says of itself, else a guess. The names are those of the WHATWG Encoding
-- standard, where "iso-8859-1" and "shift_jis" mean what Windows made of them.

local core = require "chatbot.core"

local M = {}

-- iconv's names of a charset, the best first; for labels in lower case.
local ICONV = {
  { { "UTF-8" }, "utf-8 utf8 unicode-1-1-utf-8 x-unicode20utf8" },
  { { "UTF-16LE" }, "utf-16 utf-16le unicode ucs-2 iso-10646-ucs-2 csunicode" },
  { { "UTF-16BE" }, "utf-16be unicodefffe" },
  { { "CP1252", "ISO-8859-1" }, "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 iso_8859-1 "
    .. "latin1 l1 ascii us-ascii ansi_x3.4-1968 x-user-defined" },
  { { "CP932", "SJIS", "SHIFT_JIS" }, "shift_jis shift-jis sjis x-sjis ms_kanji ms932 "
    .. "windows-31j csshiftjis" },
  { { "EUC-JP-MS", "EUC-JP" }, "euc-jp x-euc-jp eucjp cseucpkdfmtjapanese" },
  { { "ISO-2022-JP-MS", "CP50221", "ISO-2022-JP" }, "iso-2022-jp csiso2022jp" },
  { { "GB18030", "GBK" }, "gb18030 gb2312 gb_2312-80 gbk x-gbk chinese iso-ir-58" },
  { { "BIG5-HKSCS", "BIG5" }, "big5 big5-hkscs x-x-big5 cn-big5 csbig5" },
  { { "UHC", "CP949", "EUC-KR" }, "euc-kr ks_c_5601-1987 ksc5601 windows-949 korean" },
  { { "CP1254", "ISO-8859-9" }, "windows-1254 iso-8859-9 latin5" },
  { { "CP874", "TIS-620" }, "windows-874 tis-620 iso-8859-11" },
  { { "MACINTOSH" }, "macintosh mac x-mac-roman" },
}

local by_label = {}
for _, row in ipairs(ICONV) do
  for label in row[2]:gmatch("%S+") do by_label[label] = row[1] end
end

-- The text, and how many bytes had no meaning; nil when the charset is unknown.
local function convert(bytes, label)
  label = label:lower()
  local names = by_label[label]
  if not names then
    local windows = label:match("^windows%-(125%d)$")
    if not windows and not label:find("^[%w_.:-]+$") then return nil end
    names = { windows and "CP" .. windows or label }
  end
  for _, name in ipairs(names) do
    local text, bad = core.to_utf8(bytes, name)
    if text then return text, bad end
  end
end

local BOMS = { { "\239\187\191", "utf-8" }, { "\254\255", "utf-16be" }, { "\255\254", "utf-16le" } }

local function in_content_type(value)
  local label = value and value:match("[Cc][Hh][Aa][Rr][Ss][Ee][Tt]%s*=(.*)$")
  return label and label:match("^[%s\"']*([^%s\"';]+)")
end

-- The charset that a page names in its head, and the language.
local function find_meta(node, found)
  for _, child in ipairs(node) do
    if type(child) == "table" and not found.charset then
      local attr = child.attr
      if child.tag == "html" then
        found.language = found.language or attr.lang
      elseif child.tag == "meta" then
        local equiv = (attr["http-equiv"] or ""):lower() == "content-type"
        found.charset = attr.charset or (equiv and in_content_type(attr.content)) or nil
      end
      find_meta(child, found)
    end
  end
  return found
end

-- What the page says of itself, and its language; its beginning is ASCII, whatever follows.
local function declared(bytes)
  local head = bytes:sub(1, 8192)
  if head:find("^<%z") then return "utf-16le" end
  if head:find("^%z<") then return "utf-16be" end
  local label = head:match("^%s*<%?xml[^>]-encoding%s*=%s*[\"']([%w_.:-]+)")
  local text = core.to_utf8(head, "ISO-8859-1")
  local found = find_meta(text and core.html((text:gsub("%z", ""))) or {}, {})
  label = label or found.charset
  -- what was read as ASCII is not UTF-16
  return label and (label:lower():find("^utf%-16") and "utf-8" or label), found.language
end

-- Whether bytes are UTF-8 and not by chance: one character is enough where each byte has
-- a meaning of its own, some are where two bytes make a character.
local function is_utf8(bytes, label)
  local text, bad = core.to_utf8(bytes, "UTF-8")
  if not text or bad > 0 then return false end
  local _, found = bytes:gsub("[\194-\244][\128-\191]", "%0", 8)
  label = label:lower()
  local narrow = label:find("^windows%-") or label:find("^iso.8859") or label:find("^latin")
    or label:find("ascii")
  return found >= (narrow and 1 or 8)
end

local function guess(bytes, hint)
  local guesses = { "utf-8" }
  if bytes:find("\27%$[@B]") then guesses = { "iso-2022-jp", "utf-8" } end
  if hint == "ja" then
    guesses[#guesses + 1] = "euc-jp"
    guesses[#guesses + 1] = "shift_jis"
  end
  for _, label in ipairs(guesses) do
    local text, bad = convert(bytes, label)
    if text and bad == 0 then return text, label end
  end
  return (convert(bytes, "windows-1252")), "windows-1252"
end

---Text as UTF-8 with "\n" ends of lines and no other control characters but tabs.
---@param bytes string
---@param content_type? string HTTP's, with its charset
---@param html? boolean
---@return string? text
---@return string charset or, without text, the problem
function M.decode(bytes, content_type, html)
  local text, label, hint
  for _, bom in ipairs(BOMS) do
    if not text and bytes:sub(1, #bom[1]) == bom[1] then
      label = bom[2]
      text = convert(bytes:sub(#bom[1] + 1), label)
    end
  end
  local function take(said)
    if text or not said then return end
    label = is_utf8(bytes, said) and "utf-8" or said
    text = convert(bytes, label)
  end
  take(in_content_type(content_type))
  if not text and html then
    local said, language = declared(bytes)
    take(said)
    hint = language and language:lower():match("^%a+")
  end
  if not text then text, label = guess(bytes, hint) end
  if not text then return nil, (select(2, core.to_utf8("", "UTF-8"))) end
  text = text:gsub("\r\n?", "\n"):gsub("\f", "\n"):gsub("%z", "")
  return (text:gsub("[\1-\8\11\14-\31\127]", "")), label:lower()
end

return M
