-- content.lua - which part of a page is its main text.
--
-- A page says it itself with <main> and <article>, or it is the smallest element
-- that holds nearly all of the running text: text counts by its length, and not
-- where it is links. What is around it or scattered in it (menus, cookie notices,
-- footers, share buttons) is known by its tag, its role, the words in its class
-- and id, and by being little but links. It takes the tree of core.html and
-- changes nothing in it; the answer is an element and a set of those to leave out.

local M = {}

local function set(words)
  local out = {}
  for word in words:gmatch("%S+") do out[word] = true end
  return out
end

-- Elements that are never text to read, and those that stand beside it.
local NEVER = set [[
  script style noscript template svg iframe object embed applet canvas audio video map
  select option textarea label button input datalist progress meter link param source track
  rt rp frame
]]
local BESIDE = set "nav footer aside"
local BESIDE_ROLES = set [[
  navigation banner contentinfo complementary search dialog alertdialog menu menubar toolbar
  tablist
]]
local NOTE_WORDS = set [[
  note notes warning tip hint caution important admonition callout info danger
]]

M.BLOCKS = set [[
  #document html body address article aside blockquote center dd details dialog dir div dl
  dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li
  main menu nav ol p pre section summary table caption tbody thead tfoot tr td th ul head
  title
]]
local CONTAINERS = set [[
  html body center div dl fieldset form main article section table tbody tr td details
]]
local PARAGRAPHS = set "p pre blockquote h2 h3 h4 h5 h6 ul ol dl table"

-- Words in classes and ids. The first mean what they say wherever they stand; a
-- container's name may hold the second ("sidebar-content"); the third count where
-- there is little text or much of it is links.
local ALWAYS = set [[
  cookie cookies consent gdpr ccpa onetrust cookiebanner cookiebar newsletter advert
  advertisement advertising adsense taboola outbrain noprint editsection navbox catlinks
  printfooter paywall
]]
local OFTEN = set [[
  nav navbar navigation navi gnav gnavi breadcrumb breadcrumbs sidebar sidemenu footer
  masthead share sharing sharebar social sns related recommend recommended recommendation
  recommendations promo promotion ad ads sponsor sponsored subscribe subscription popup
  popover modal overlay lightbox pagination pager paging widget widgets skiplink skip
  ranking trending banner relatedposts sharedaddy
]]
local SOMETIMES = set [[
  menu submenu menus toc popular login signin signup toolbar tags tagcloud sitemap crumbs
  topics header actions controls tools buttons
]]
local COMMENTS = set "comment comments disqus respond replies"
local NEUTRAL_FIRST = set "has with no without is js show enable"
local NEUTRAL_LAST = set [[
  content contents main article body text entry wrapper wrap container layout page grid
]]
local INVISIBLE = set "visually-hidden sr-only screen-reader-text visuallyhidden d-none"

local LITTLE = 200 -- bytes

-- The words of one class or id: "siteFooter", "site-footer" -> {"site", "footer"}.
local function words_of(name)
  local words = {}
  name = name:gsub("(%l)(%u)", "%1 %2"):lower()
  for word in name:gmatch("%w+") do words[#words + 1] = word end
  return words
end

-- How strongly classes and ids say that an element stands beside the text:
-- "always", "often", "sometimes", "comments" or nil.
local function hint_of(names)
  local found
  for name in names:gmatch("%S+") do
    local words = words_of(name)
    if INVISIBLE[name:lower()] then return "always" end
    local neutral = #words > 1 and (NEUTRAL_FIRST[words[1]] or NEUTRAL_LAST[words[#words]])
    for _, word in ipairs(words) do
      if ALWAYS[word] then return "always" end
      if not neutral then
        if OFTEN[word] then
          found = "often"
        elseif COMMENTS[word] then
          found = found or "comments"
        elseif SOMETIMES[word] then
          found = found or "sometimes"
        end
      end
    end
  end
  return found
end

local function has_word(node, words)
  for _, word in ipairs(words_of((node.attr.class or "") .. " " .. (node.attr.role or ""))) do
    if words[word] then return true end
  end
  return false
end

local function is_hidden(node)
  local attr = node.attr
  if attr.hidden or attr["aria-hidden"] == "true" then return true end
  local style = attr.style and attr.style:lower():gsub("%s", "")
  return style and (style:find("display:none", 1, true) or style:find("visibility:hidden", 1, true))
end


-- Measures -----------------------------------------------------------------------

-- Bytes of text without blanks, which is about what a text says in any script.
local function length(text)
  local _, blanks = text:gsub("%s", "")
  return #text - blanks
end

local Content = {}
Content.__index = Content

-- The hint of an element; those of a page are few.
function Content:_hint(node)
  local class, id = node.attr.class, node.attr.id
  if not class and not id then return nil end
  local names = (class or "") .. " " .. (id or "")
  local found = self.hints[names]
  if found == nil then
    found = hint_of(names) or false
    self.hints[names] = found
  end
  return found or nil
end

-- Fills self.size, self.linked (bytes of text, and of it in links), self.links
-- (their number) and self.marks (whether <main> or <article> is inside).
function Content:_measure(node, in_link)
  local size, linked, links, marks = 0, 0, 0, false
  for _, child in ipairs(node) do
    if type(child) == "string" then
      size = size + length(child)
    elseif not self.out[child] then
      local is_link = child.tag == "a" and child.attr.href ~= nil
      self:_measure(child, in_link or is_link)
      size = size + self.size[child]
      if is_link then
        linked, links = linked + self.size[child], links + 1
      else
        linked, links = linked + self.linked[child], links + self.links[child]
      end
      marks = marks or self.marks[child] or child.tag == "main" or child.tag == "article"
        or child.attr.role == "main"
    end
  end
  self.size[node], self.linked[node], self.links[node] = size, linked, links
  self.marks[node] = marks
end

function Content:_density(node)
  return self.size[node] > 0 and self.linked[node] / self.size[node] or 0
end

-- Running text in a node: runs of text between blocks, of some length, and the
-- less the more of it is links.
function Content:_good(node)
  local known = self.good[node]
  if known then return known end
  local total, run = 0, 0
  local function flush()
    if run >= 25 then total = total + run end
    run = 0
  end
  for _, child in ipairs(node) do
    if type(child) == "string" then
      run = run + length(child)
    elseif not self.out[child] then
      if M.BLOCKS[child.tag] then
        flush()
        total = total + self:_good(child)
      else
        local linked = child.tag == "a" and self.size[child] or self.linked[child]
        run = run + self.size[child] - 2 * linked
      end
    end
  end
  flush()
  self.good[node] = total
  return total
end


-- What stands beside the text -------------------------------------------------------

-- Elements that are out whatever they hold.
function Content:_drop_unseen(node)
  for _, child in ipairs(node) do
    if type(child) == "table" then
      if NEVER[child.tag] then
        self.out[child] = true
      else
        self:_drop_unseen(child)
      end
    end
  end
end

-- Whether `node` stands beside the text, and if not, whether it has comments. Nothing that
-- holds most of the page, or what the page calls its main part, stands beside: a broken
-- page puts that anywhere.
function Content:_is_beside(node, inside)
  local size = self.size[node]
  if size > self.total / 2 or self.marks[node] or node.tag == "body" or node.tag == "main" then
    return false
  end
  if is_hidden(node) then return true end
  local role = node.attr.role
  if role and BESIDE_ROLES[role] then return not has_word(node, NOTE_WORDS) end
  if BESIDE[node.tag] then
    return not (node.tag == "aside" and (role == "note" or has_word(node, NOTE_WORDS)))
  end
  if node.tag == "header" then return not inside end
  if node.tag == "sup" and size > 0 and self:_density(node) == 1 then return true end -- [1]
  if node.tag == "a" and size <= 2 and (node.attr.href or ""):sub(1, 1) == "#" then -- ¶
    return type(node[1]) == "string" and not node[1]:find("%w")
  end
  local word = self:_hint(node)
  if word == "comments" then return false, true end
  if word == "sometimes" then
    return M.BLOCKS[node.tag] and not node.tag:find("^h%d$")
      and (size < LITTLE or self:_density(node) > 0.3)
  end
  return word ~= nil
end

function Content:_drop_beside(node, inside, commenting)
  inside = inside or node.tag == "main" or node.tag == "article" or node.attr.role == "main"
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child] then
      local beside, comments = self:_is_beside(child, inside)
      if beside then
        self.out[child] = true
      else
        if comments and not commenting then self.comments[#self.comments + 1] = child end
        self:_drop_beside(child, inside, commenting or comments)
      end
    end
  end
end

-- Comments below an article go; where they are the text, as in a thread, they stay.
function Content:_drop_comments()
  local size = 0
  for _, node in ipairs(self.comments) do size = size + self.size[node] end
  if size * 2 > self.total then return end
  for _, node in ipairs(self.comments) do self.out[node] = true end
end

-- Adds the lists and boxes of links within the text to `found`, and returns how much text
-- is in them.
function Content:_find_links(node, found)
  local size = 0
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child] then
      local box = child.tag == "ul" or child.tag == "ol" or child.tag == "div"
        or child.tag == "section" or child.tag == "table" or child.tag == "dl"
      if box and self.links[child] >= 3 and self:_density(child) > 0.7 then
        found[#found + 1] = child
        size = size + self.size[child]
      else
        size = size + self:_find_links(child, found)
      end
    end
  end
  return size
end


-- The main part ----------------------------------------------------------------------

function Content:_find(node, test, found)
  found = found or {}
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child] then
      if test(child) then
        found[#found + 1] = child
      else
        self:_find(child, test, found)
      end
    end
  end
  return found
end

local function largest(nodes, measure)
  local best
  for _, node in ipairs(nodes) do
    if not best or measure[node] > measure[best] then best = node end
  end
  return best
end

-- The element in which nearly all running text of `node` stands.
function Content:_descend(node)
  while true do
    local best, beside, twins = nil, 0, 0
    for _, child in ipairs(node) do
      if type(child) == "table" and not self.out[child] then
        local good = self:_good(child)
        if CONTAINERS[child.tag] and (not best or good > self:_good(best)) then best = child end
        if PARAGRAPHS[child.tag] and child.tag ~= "table" then beside = beside + good end
      end
    end
    if not best or self:_good(best) == 0 or self:_good(best) < 0.8 * self:_good(node)
      or beside >= 40 then
      return node
    end
    local class = best.attr.class
    for _, child in ipairs(node) do
      if type(child) == "table" and child.tag == best.tag and class and child.attr.class == class
        and self:_good(child) >= 25 then
        twins = twins + 1
      end
    end
    if twins > 1 then return node end
    node = best
  end
end

function Content:_main_part(body)
  local main = largest(self:_find(body, function(node)
    return node.tag == "main" or node.attr.role == "main"
  end), self.size)
  local within = body
  if main and self.size[main] >= math.min(LITTLE, self.size[body] / 4) then within = main end
  local articles = self:_find(within, function(node)
    return node.tag == "article" or node.attr.role == "article"
  end)
  local article = largest(articles, self.size)
  local share = within == main and 0.6 or 0.4
  if article and self.size[article] >= share * self.size[within] then
    local others = 0
    for _, other in ipairs(articles) do
      if other ~= article then others = others + self.size[other] end
    end
    if others < 0.25 * self.size[article] then return article end
  end
  if within == main then return main end
  return self:_descend(body)
end

local function new(document)
  local self = setmetatable({ out = {}, size = {}, linked = {}, links = {}, marks = {}, good = {},
    comments = {}, hints = {} }, Content)
  self:_drop_unseen(document)
  self:_measure(document, false)
  return self
end

---The element with the main text, and the set of elements in it that are not.
---@param document table what core.html returns
---@return table root
---@return table<table, boolean> out
function M.find(document)
  local self = new(document)
  local bodies = self:_find(document, function(node) return node.tag == "body" end)
  local body = largest(bodies, self.size) or document
  self.total = self.size[body]
  self:_drop_beside(body, false, false)
  self:_drop_comments()
  self:_measure(document, false)
  local root = self:_main_part(body)
  local links = {}
  local kept = self.size[root] - self:_find_links(root, links)
  if kept >= LITTLE or kept * 2 > self.size[root] then -- a page of links is better than none
    for _, node in ipairs(links) do self.out[node] = true end
  end
  return root, self.out
end

return M
