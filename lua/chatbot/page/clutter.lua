-- clutter.lua - what of a page stands beside its text: menus, cookie notices,
-- footers, share buttons, what nobody sees.
--
-- It is known by its tag, its role, the words of its class and id, and by being
-- little but links. What holds the text is never clutter, whatever it is called: pages
-- call anything anything. Which elements those are, content.lua says.

local words = require "chatbot.page.words"

local M = {}

local set = words.set

-- Elements that are never text to read, and those that stand beside it.
local NEVER = set [[
  script style noscript template svg iframe object embed applet canvas audio video map
  select option textarea label button input datalist progress meter link param source track
  rt rp frame title
]]
local BESIDE = set "nav footer aside"
local BESIDE_ROLES = set [[
  navigation banner contentinfo complementary search dialog alertdialog menu menubar toolbar
  tablist
]]
local NOTE_WORDS = set [[
  note notes warning tip hint caution important admonition callout info danger
]]
local BOXES = set "ul ol div section table dl"

local LITTLE = 200 -- bytes
M.LITTLE = LITTLE
local SENTENCE = 65 -- bytes without blanks, which no headline has

-- Leaves out what nobody sees.
---@param hidden boolean also what the page itself hides
function M.drop_unseen(t, hidden)
  local n = 1
  while n <= t.count do
    local node = t.node[n]
    if NEVER[node.tag] or (hidden and M.is_hidden(node)) then
      t:drop(n)
      n = t.last[n]
    end
    n = n + 1
  end
end

function M.is_hidden(node)
  local attr = node.attr
  if attr.hidden or attr["aria-hidden"] == "true" then return true end
  local style = attr.style and attr.style:lower():gsub("%s", "")
  return style and (style:find("display:none", 1, true) or style:find("visibility:hidden", 1, true))
end

local function is_note(node)
  for _, word in ipairs(words.split((node.attr.class or "") .. " " .. (node.attr.role or ""))) do
    if NOTE_WORDS[word] then return true end
  end
  return node.attr.role == "note"
end

---Whether an element stands beside the text by its tag or role.
function M.is_beside(node)
  local role = node.attr.role
  if role and BESIDE_ROLES[role] then return not is_note(node) end
  return BESIDE[node.tag] and not (node.tag == "aside" and is_note(node))
end

local Clutter = {}
Clutter.__index = Clutter

function M.new(t)
  return setmetatable({ tree = t, hints = {}, texts = {} }, Clutter)
end

-- The text of the first heading in an element, if it begins with one.
local function heading_of(t, n)
  for i = n, math.min(t.last[n], n + 8) do
    if t.node[i].tag:find("^h[1-6]$") then
      local text = {}
      for j = i, math.min(t.last[i], i + 8) do
        for _, piece in ipairs(t.node[j]) do
          if type(piece) == "string" then text[#text + 1] = piece:sub(1, 200) end
        end
      end
      return table.concat(text, " ")
    end
    if t.own[i] > 0 then return nil end
  end
end

-- An id that is made of the words of the heading below it names a part of the text.
function Clutter:_is_slug(n, id)
  local heading = heading_of(self.tree, n)
  if not heading then return false end
  local there = set(heading:lower():gsub("[^%w]+", " "))
  for _, word in ipairs(words.split(id)) do
    if not there[word] then return false end
  end
  return true
end

function Clutter:_named(name)
  local found = self.hints[name]
  if found == nil then
    found = words.hint(name) or false
    self.hints[name] = found
  end
  return found or nil
end

---What the names of an element say: see words.hint.
function Clutter:hint(n)
  local node = self.tree.node[n]
  local class, id = node.attr.class, node.attr.id
  local found = class and self:_named(class)
  if found == "always" or not id or node.tag:find("^h[1-6]$") then return found end
  local by_id = self:_named(id)
  if not by_id or found == "often" then return found end
  if self:_is_slug(n, id) then by_id = "sometimes" end
  if by_id == "sometimes" and found then return found end
  return by_id
end

---Whether an element is called what pages call their text.
function Clutter:is_text(n)
  local node = self.tree.node[n]
  if node.tag == "article" or node.tag == "main" then return true end
  local names = (node.attr.class or "") .. " " .. (node.attr.id or "") .. " "
    .. (node.attr.itemprop or "")
  if names == "  " then return false end
  local found = self.texts[names]
  if found == nil then
    found = words.is_text(names)
    self.texts[names] = found
  end
  return found
end

-- Whether it stands beside the text, and if not, whether it has comments. `inside` tells
-- whether it is in <main> or <article>.
function Clutter:_test(n, inside, held, prose)
  local t = self.tree
  local node, size = t.node[n], t.size[n]
  if M.is_beside(node) then return true end
  if node.tag == "header" then return not inside end
  if node.tag == "sup" and size > 0 and t:density(n) == 1 then return true end -- [1]
  local word = self:hint(n)
  if node.tag == "a" and (node.attr.href or ""):sub(1, 1) == "#" then -- ¶, or "skip to"
    local sign = size <= 2 and type(node[1]) == "string" and not node[1]:find("%w")
    return sign or word ~= nil
  end
  if not word or held[node.attr.class or ""] then return false end
  if word == "always" then return true end
  if not t.blocky[n] then return false end
  if word == "comments" then return false, true end
  if node.tag:find("^h%d$") or node.tag == "article" then return false end
  local light = size < LITTLE or t:density(n) > 0.3
  if word == "often" then return light or not prose(n) end
  return light
end

---Leaves out what stands beside the text.
---@param on_path table<integer, boolean> what the text stands in
---@param held table<string, boolean> the classes of that
---@param prose fun(n: integer): boolean whether it has as much to say as the text
---@return integer[] comments what readers have written, which is left
function Clutter:drop_beside(on_path, held, prose)
  local t, comments = self.tree, {}
  local inside, n = 0, 1 -- inside: the last element of <main> or <article>
  local commenting = 0
  while n <= t.count do
    local node = t.node[n]
    if t.out[n] then
      n = t.last[n]
    else
      local beside, comment = false, false
      if not on_path[n] then beside, comment = self:_test(n, n <= inside, held, prose) end
      if beside then
        t:drop(n)
        n = t.last[n]
      elseif comment and n > commenting then
        comments[#comments + 1] = n
        commenting = t.last[n]
      elseif n > inside and (node.tag == "main" or node.tag == "article"
        or node.attr.role == "main") then
        inside = t.last[n]
      end
    end
    n = n + 1
  end
  return comments
end

---The lists and boxes of links in an element, and how much text is in them. Links that
---are whole sentences are text.
---@return integer[] found
---@return integer size
function M.find_links(t, root)
  local found, size, n = {}, 0, root + 1
  while n <= t.last[root] do
    if t.out[n] then
      n = t.last[n]
    elseif BOXES[t.node[n].tag] and t.links[n] >= 3 and t:density(n) > 0.7
      and t.size[n] < SENTENCE * t.links[n] then
      found[#found + 1] = n
      size = size + t.size[n]
      n = t.last[n]
    end
    n = n + 1
  end
  return found, size
end

return M
