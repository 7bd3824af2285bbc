-- page.lua - a web page as text to read: its main text, its title, what else it
-- says of itself.
--
-- Reading is done without blocking a coroutine (page/source.lua), then the charset
-- is followed (page/charset.lua), the parser of libxml2 makes a tree of the page
-- (core.html), page/content.lua finds the main part of it, page/render.lua makes
-- that plain text and page/facts.lua looks for the rest. A page of any kind costs what
-- its length says; a spec tries the worst.

local core = require "chatbot.core"
local charset = require "chatbot.page.charset"
local content = require "chatbot.page.content"
local facts = require "chatbot.page.facts"
local render = require "chatbot.page.render"
local source = require "chatbot.page.source"
local text = require "chatbot.page.text"

local M = {}

---@class chatbot.Page
---@field text string the main text, its blocks with blank lines between them
---@field title? string
---@field date? string when it was published, as the page writes it
---@field language? string
---@field site? string
---@field author? string
---@field charset? string in which it was written
---@field url? string where it was found in the end

---The main text of an HTML document.
---@param html string UTF-8
---@return chatbot.Page?
---@return string? problem
function M.extract(html)
  local document, why = core.html(html)
  if not document then return nil, why end
  local root, out, last = content.find(document)
  local page = facts.find(document, root, last, out)
  local blocks = render.blocks(root, out)
  if page.title and blocks[1] == "# " .. page.title then table.remove(blocks, 1) end
  page.text = table.concat(blocks, "\n\n")
  return page
end

-- "html", "text", or nil for what cannot be read.
local function kind_of(bytes, content_type)
  local mime = (content_type or ""):match("^%s*([^;%s]+)")
  mime = mime and mime:lower()
  if mime == "text/html" or mime == "application/xhtml+xml" then return "html" end
  local known = mime and mime ~= "application/octet-stream"
  if known and not (mime:find("^text/") or mime:find("[/+]json$") or mime:find("[/+]xml$")) then
    return nil
  end
  local head = bytes:sub(1, 1024)
  local wide = head:find("^[\254\255]") or head:find("^%z?<%z?") -- UTF-16
  if not known and head:find("%z") and not wide then return nil end
  if known and mime:find("^text/") and mime ~= "text/xml" then return "text" end
  head = head:gsub("%z", ""):gsub("^%s*<%?xml[^>]*>", ""):lower()
  local tag = head:match("^[^<]*<([!/%a][%w-]*)")
  return tag and (head:find("<!doctype html", 1, true) or head:find("<html", 1, true)
    or head:find("</?%a[%w-]*[^<>]*>")) and "html" or "text"
end

---Makes a page of bytes.
---@param bytes string
---@param content_type? string
---@return chatbot.Page?
---@return chatbot.Error?
function M.parse(bytes, content_type)
  local kind = kind_of(bytes, content_type)
  if not kind then
    return nil, source.problem("protocol", "this is no page to read but %s",
      content_type and content_type ~= "" and content_type or "binary data")
  end
  local utf8, label = charset.decode(bytes, content_type, kind == "html")
  if not utf8 then return nil, source.problem("config", "%s", label) end
  local page, why
  if kind == "html" then
    page, why = M.extract(utf8)
    if not page then return nil, source.problem("config", "%s", why) end
  else
    page = { text = text.trim_end(utf8):gsub("^%s*\n", "") }
  end
  page.charset = label
  return page
end

---Reads a page and finds its main text. In a coroutine, waiting yields.
---@async
---@param from string http:// or https:// address, a file's path, or "-" for standard input
---@param opts? table time-outs, wait, ca_file, proxy, max_answer_bytes: as for a bot;
---  allow_unsafe_redirects: also from https to http, and from outside to this machine or a
---  private network
---@return chatbot.Page?
---@return chatbot.Error?
function M.open(from, opts)
  local read, err = source.read(from, opts)
  if not read then return nil, err end
  local page
  page, err = M.parse(read.bytes, read.type)
  if not page then return nil, err end
  page.url = read.url
  return page
end

return M
