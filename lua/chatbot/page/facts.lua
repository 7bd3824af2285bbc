-- facts.lua - what a page says of itself: its title, its date, its language, the
-- site and the author.
--
-- One walk through the page takes what may say so: a few elements of each kind, and
-- of each no more than MAX_TEXT bytes, so that a page of titles costs what others do.

local core = require "chatbot.core"
local render = require "chatbot.page.render"
local text = require "chatbot.page.text"

local M = {}

local filled = text.filled

local MAX_TEXT = 1000 -- bytes of a fact
local MAX_FOUND = 100 -- elements of a kind

-- No more than that, and no character cut.
local function short(value)
  value = filled(value)
  if not value or #value <= MAX_TEXT then return value end
  return (value:sub(1, MAX_TEXT):gsub("[\194-\244][\128-\191]*$", ""))
end

-- The kind of an element: what may be found in it.
local function kind_of(node)
  local tag, attr = node.tag, node.attr
  if tag == "title" or tag == "h1" then return tag end
  if tag == "script" then
    return (attr.type or ""):lower() == "application/ld+json" and "linked" or nil
  end
  if attr.itemprop == "datePublished" or (tag == "time" and attr.pubdate) then
    return "published"
  end
  return tag == "time" and "time" or nil
end

-- Takes the elements that say something, in the order of the page; what is in one of
-- them is not looked at.
local function collect(node, found)
  for _, child in ipairs(node) do
    if type(child) == "table" then
      local attr = child.attr
      if child.tag == "meta" then
        local name = attr.property or attr.name or attr.itemprop
        name = name and #name < MAX_TEXT and name:lower()
        if name and not found.meta[name] and attr.content then
          found.meta[name] = short(attr.content)
        end
      elseif child.tag == "html" then
        found.language = found.language or short(attr.lang or attr["xml:lang"])
      end
      local kind = kind_of(child)
      local list = kind and found[kind]
      if list and #list < MAX_FOUND then list[#list + 1] = child end
      if not kind then collect(child, found) end
    end
  end
  return found
end

-- A date that a JSON-LD block of the page has.
local function linked_date(value, depth)
  if type(value) ~= "table" or depth > 5 then return nil end
  if type(value.datePublished) == "string" then return short(value.datePublished) end
  for _, item in pairs(value) do
    local date = linked_date(item, depth + 1)
    if date then return date end
  end
end

-- The first that is something of fn(element).
local function first(list, fn)
  for _, node in ipairs(list) do
    local value = fn(node)
    if value then return value end
  end
end

local function find_date(found, is_inside)
  local meta = found.meta
  return meta["article:published_time"] or meta.datepublished or meta["dc.date"]
    or meta["dc.date.issued"] or meta["dcterms.date"] or meta.pubdate or meta.date
    or first(found.linked, function(node)
      return linked_date(core.json_decode(node[1] or ""), 1)
    end)
    or first(found.published, function(node)
      return short(node.attr.datetime or node.attr.content or render.line(node))
    end)
    or first(found.time, function(node) return is_inside(node) and short(node.attr.datetime) end)
end

-- The <h1>, if possible that of the main part, when <title> or og:title agree that it
-- is the title; else those.
local function find_title(found, is_inside, out)
  local named = first(found.title, function(node) return short(render.line(node)) end)
  local og, lines = found.meta["og:title"], {}
  local function heading(node)
    local line = lines[node] or short(render.line(node, out)) or ""
    lines[node] = line
    return line ~= "" and (not named or named:find(line, 1, true) or og == line) and line or nil
  end
  return first(found.h1, function(node) return is_inside(node) and heading(node) end)
    or first(found.h1, heading) or og or named
end

---What a document says of itself.
---@param document table what core.html returns
---@param root table the element with its main text
---@param last integer the number of the last element in that
---@param out table<integer, boolean> what is not of it
---@return { title?: string, date?: string, language?: string, site?: string, author?: string }
function M.find(document, root, last, out)
  local found = collect(document, { meta = {}, title = {}, h1 = {}, linked = {}, published = {},
    time = {} })
  local function is_inside(node) return node.n >= root.n and node.n <= last end
  return {
    title = find_title(found, is_inside, out),
    date = find_date(found, is_inside),
    language = found.language or found.meta["content-language"],
    site = found.meta["og:site_name"],
    author = found.meta.author,
  }
end

return M
