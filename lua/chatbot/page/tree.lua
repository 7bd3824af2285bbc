-- tree.lua - the elements of a page in a row, and what is measured of each.
--
-- Elements are numbered in the order of the page, so that a parent comes before
-- what is in it: what passes down is a loop forwards, what sums up a loop
-- backwards, and each is as long as the page. `n` is put into each element;
-- else the tree of core.html stays as it is. Measures are arrays by number:
--
--   node, parent, last   the element, what it is in, the last one inside it
--   out                  whether it has been left out (itself or what it is in)
--   size, linked, links  bytes of text, how many of them in links, how many links
--   blocky               whether it breaks the line: a block, or one is inside
--   marked               whether <main> is inside

local set = require("chatbot.page.words").set

local M = {}

M.BLOCKS = set [[
  #document html body address article aside blockquote center dd details dialog dir div dl
  dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li
  main menu nav ol p pre section summary table caption tbody thead tfoot tr td th ul head
  title
]]
local BLOCKS = M.BLOCKS

local Tree = {}
Tree.__index = Tree

-- Bytes of text without blanks, which is about what a text says in any script.
local function length(text)
  if not text:find("%s") then return #text end
  return #(text:gsub("%s+", ""))
end
M.length = length

---Numbers the elements of a document.
---@param document table what core.html returns
function M.new(document)
  local self = setmetatable({ node = {}, parent = {}, last = {}, own = {}, out = {},
    size = {}, linked = {}, links = {}, blocky = {}, marked = {}, stale = true }, Tree)
  local node, parent, last, own = self.node, self.parent, self.last, self.own
  local count = 0
  local function enter(element, up)
    count = count + 1
    local n, text = count, 0
    node[n], parent[n], element.n = element, up, n
    own[n] = 0
    for i = 1, #element do
      local child = element[i]
      if type(child) == "string" then
        text = text + length(child)
      else
        enter(child, n)
      end
    end
    own[n], last[n] = text, count
  end
  enter(document, 0)
  self.count = count
  return self
end

function Tree:is_link(n)
  local node = self.node[n]
  return node.tag == "a" and node.attr.href ~= nil
end

---Leaves an element out, with all that is in it.
function Tree:drop(n)
  for i = n, self.last[n] do self.out[i] = true end
  self.stale = true
end

---Fills the measures, again when more is out since they were filled.
---@return boolean whether there was something to do
function Tree:measure()
  if not self.stale then return false end
  self.stale = false
  local node, parent, own, out = self.node, self.parent, self.own, self.out
  local size, linked, links, blocky, marked = self.size, self.linked, self.links, self.blocky,
    self.marked
  for n = 1, self.count do
    size[n], linked[n], links[n], blocky[n], marked[n] = own[n], 0, 0, false, false
  end
  for n = self.count, 2, -1 do
    local element, up = node[n], parent[n]
    if BLOCKS[element.tag] then blocky[n] = true end
    if not out[n] then
      size[up] = size[up] + size[n]
      if element.tag == "a" and element.attr.href then
        linked[up], links[up] = linked[up] + size[n], links[up] + 1
      else
        linked[up], links[up] = linked[up] + linked[n], links[up] + links[n]
      end
      if blocky[n] then blocky[up] = true end
      if marked[n] or element.tag == "main" or element.attr.role == "main" then
        marked[up] = true
      end
    end
  end
  blocky[1] = true
  return true
end

---How much of the text is links, from 0 to 1.
function Tree:density(n)
  return self.size[n] > 0 and self.linked[n] / self.size[n] or 0
end

return M
