-- page.lua - a web page as text to read: its main text, its title, what else it
-- says of itself.
--
-- Reading is done without blocking a coroutine (page/source.lua), then the charset
-- is followed (page/charset.lua), the parser of libxml2 makes a tree of the page
-- (core.html), page/content.lua finds the main part of it and page/render.lua makes
-- that plain text.

local core = require "chatbot.core"
local charset = require "chatbot.page.charset"
local content = require "chatbot.page.content"
local render = require "chatbot.page.render"
local source = require "chatbot.page.source"

local M = {}

-- Calls `fn` with each element of a tree, in the order of the page, until it
-- returns something.
local function each(node, fn)
  for _, child in ipairs(node) do
    if type(child) == "table" then
      local found = fn(child)
      if found == nil then found = each(child, fn) end
      if found ~= nil then return found end
    end
  end
end

local function filled(text)
  text = text and text:gsub("^%s+", ""):gsub("%s+$", ""):gsub("%s+", " ")
  return text ~= "" and text or nil
end

-- What the <meta> elements say, by name, property or itemprop in lower case.
local function metas(document)
  local out = {}
  each(document, function(node)
    if node.tag == "meta" then
      local name = node.attr.property or node.attr.name or node.attr.itemprop
      if name and not out[name:lower()] then out[name:lower()] = filled(node.attr.content) end
    end
  end)
  return out
end

-- A date that a JSON-LD block of the page has.
local function linked_date(value, depth)
  if type(value) ~= "table" or depth > 5 then return nil end
  if type(value.datePublished) == "string" then return value.datePublished end
  for _, item in pairs(value) do
    local date = linked_date(item, depth + 1)
    if date then return date end
  end
end

local function find_date(document, meta, root)
  local date = meta["article:published_time"] or meta.datepublished or meta["dc.date"]
    or meta["dc.date.issued"] or meta["dcterms.date"] or meta.pubdate or meta.date
  date = date or each(document, function(node)
    if node.tag == "script" and (node.attr.type or ""):lower() == "application/ld+json" then
      return linked_date(core.json_decode(node[1] or ""), 1)
    end
  end)
  date = date or each(document, function(node)
    local prop = node.attr.itemprop
    if prop == "datePublished" or (node.tag == "time" and node.attr.pubdate) then
      return filled(node.attr.datetime or node.attr.content or render.line(node))
    end
  end)
  return date or each(root, function(node)
    if node.tag == "time" then return filled(node.attr.datetime) end
  end)
end

-- The <h1>, if possible that of the main part, when <title> or og:title agree that it
-- is the title; else those.
local function find_title(document, meta, root, out)
  local named = each(document, function(node)
    if node.tag == "title" then return filled(render.line(node)) end
  end)
  local function heading(node)
    local text = node.tag == "h1" and filled(render.line(node, out)) or nil
    if text and (not named or named:find(text, 1, true) or meta["og:title"] == text) then
      return text
    end
  end
  return each(root, heading) or each(document, heading) or meta["og:title"] or named
end

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
  local root, out = content.find(document)
  local blocks = render.blocks(root, out)
  local meta = metas(document)
  local title = find_title(document, meta, root, out)
  if title and blocks[1] == "# " .. title then table.remove(blocks, 1) end
  local language = each(document, function(node)
    if node.tag == "html" then return filled(node.attr.lang or node.attr["xml:lang"]) end
  end)
  return {
    text = table.concat(blocks, "\n\n"),
    title = title,
    date = find_date(document, meta, root),
    language = language or meta["content-language"],
    site = meta["og:site_name"],
    author = meta.author,
  }
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
  head = head:gsub("%z", ""):lower()
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
  local text, label = charset.decode(bytes, content_type, kind == "html")
  if not text then return nil, source.problem("config", "%s", label) end
  local page, why
  if kind == "html" then
    page, why = M.extract(text)
    if not page then return nil, source.problem("config", "%s", why) end
  else
    page = { text = filled(text) and text:gsub("^%s*\n", ""):gsub("%s+$", "") or "" }
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
