-- content.lua - which part of a page is its main text.
--
-- Running text gives points to what it stands in: most to the nearest, less to
-- what is further out, and the fewer the more of it is links. The element with the
-- most is the heart of the page. What holds it is never clutter; from there, the
-- way goes outwards as long as more text of that kind stands beside it, and what
-- else is there is left out.

local clutter = require "chatbot.page.clutter"
local tree = require "chatbot.page.tree"
local words = require "chatbot.page.words"

local M = {}

local set = words.set
local LITTLE = clutter.LITTLE

local CONTAINERS = set [[
  #document body div section article main center form fieldset td th details li
]]
local PARAGRAPHS = set "p pre blockquote h2 h3 h4 h5 h6 ul ol dl table figure"

local SHARES = { 1, 1 / 2, 1 / 6, 1 / 9, 1 / 12 } -- of the points, from inside to outside
local BOOST = 1.5 -- for what stands in what a page calls its text
local KIN = 0.25 -- of the heart's points: what has them belongs to the text
local MOST = 0.65 -- of the page

-- Bytes: what is shorter is no running text, and so long are paragraphs.
local SHORT, LONG = 25, 80

local Content = {}
Content.__index = Content

-- What running text of a length is worth; what is short is rarely text.
local function worth(run)
  return run < LONG and run / 4 or math.min(run, 1000)
end

-- The length of the running text that stands in an element itself, between the blocks in
-- it, and what it is worth.
function Content:_runs(node)
  local t = self.tree
  local length, points, run = 0, 0, 0
  for i = 1, #node + 1 do
    local child = node[i]
    local c = type(child) == "table" and child.n
    if type(child) == "string" then
      run = run + tree.length(child)
    elseif not child or t.blocky[c] then
      if run >= SHORT then length, points = length + run, points + worth(run) end
      run = 0
    elseif not t.out[c] then
      run = run + t.size[c] - 2 * (t:is_link(c) and t.size[c] or t.linked[c])
    end
  end
  return length, points
end

-- How much the name of an element lets its text count.
function Content:_factor(n)
  local t, node = self.tree, self.tree.node[n]
  -- what holds the page is not beside it, whatever it is called
  if t.marked[n] or t.size[n] > MOST * t.size[1] then return 1 end
  if clutter.is_beside(node) then return 0.25 end
  if not t.blocky[n] then return 1 end
  local hint = self.clutter:hint(n)
  if hint then return hint == "sometimes" and 0.6 or 0.25 end
  return self.weight[t.parent[n]] == 1 and self.clutter:is_text(n) and BOOST or 1
end

-- Fills what passes down: how much text counts, the container around, whether it is in a
-- link.
function Content:_weigh()
  local t, weight, up, in_link = self.tree, { 1 }, { 1 }, { false }
  self.weight, self.up, self.in_link = weight, up, in_link
  for n = 2, t.count do
    local parent = t.parent[n]
    up[n] = CONTAINERS[t.node[n].tag] and n or up[parent]
    in_link[n] = in_link[parent] or t:is_link(n)
    weight[n] = weight[parent]
    if weight[n] > 0.05 and t.size[n] > 0 then weight[n] = weight[n] * self:_factor(n) end
  end
end

-- Fills self.good (bytes of running text), self.score (points) and self.best (the most
-- points that an element in it has of text that stands nearest to it).
function Content:_score()
  local t, good, score, best, direct = self.tree, {}, {}, {}, {}
  local weight, up, in_link, parent = self.weight, self.up, self.in_link, t.parent
  for n = 1, t.count do good[n], score[n], best[n], direct[n] = 0, 0, 0, 0 end
  for n = 1, t.count do
    if t.blocky[n] and not t.out[n] and not in_link[n] and t.size[n] >= SHORT then
      local length, points = self:_runs(t.node[n])
      if length > 0 then
        good[n], points = length, points * weight[n]
        local at = up[n]
        direct[at] = direct[at] + points
        for level = 1, #SHARES do
          score[at] = score[at] + points * SHARES[level]
          if at == 1 then break end
          at = up[parent[at]]
        end
      end
    end
  end
  for n = t.count, 1, -1 do
    if good[n] > 0 or best[n] > 0 or score[n] > 0 then
      local share = 1 - t:density(n)
      score[n] = score[n] * share
      if direct[n] * share > best[n] then best[n] = direct[n] * share end
      local above = parent[n]
      if above > 0 and not t.out[n] then
        good[above] = good[above] + good[n]
        if best[n] > best[above] then best[above] = best[n] end
      end
    end
  end
  self.good, self.score, self.best = good, score, best
end

-- The element with the most points; without running text it is <body>.
function Content:_find_heart()
  local t, heart = self.tree, nil
  for n = 1, t.count do
    if not heart and t.node[n].tag == "body" and t.size[n] > 0 then heart = n end
    if not t.out[n] and self.score[n] > self.score[heart or 1] then heart = n end
  end
  self.heart = heart or 1
  self.path, self.on_path, self.held = {}, {}, {} -- from inside to outside; their classes
  local n = self.heart
  while n > 0 do
    self.path[#self.path + 1], self.on_path[n] = n, true
    local class = t.node[n].attr.class
    if class and class ~= "" then self.held[class] = true end
    n = t.parent[n]
  end
end

-- Leaves out what stands beside the heart; comments only when there is text without them.
function Content:_drop_clutter()
  local t, heart = self.tree, self.heart
  local much = 0.5 * self.score[heart] / self.weight[heart]
  local comments = self.clutter:drop_beside(self.on_path, self.held, function(n)
    return self.best[n] / self.weight[n] >= much
  end)
  if t:measure() then self:_score() end
  local rest = self.good[1]
  for _, n in ipairs(comments) do rest = rest - self.good[n] end
  if rest < LITTLE then return end -- a thread
  for _, n in ipairs(comments) do
    if not self.on_path[n] then t:drop(n) end
  end
  if t:measure() then self:_score() end
end

-- How far the text may reach: to <main>, or to an <article> in it that has most of what
-- its articles have. Returns also whether that is an article.
function Content:_limit()
  local t, limit, article = self.tree, nil, nil
  for _, n in ipairs(self.path) do
    local node = t.node[n]
    if node.tag == "main" or node.attr.role == "main" then limit = n end
  end
  limit = limit or self.path[#self.path]
  for _, n in ipairs(self.path) do
    if t.node[n].tag == "article" and n >= limit then article = n end
  end
  if not article then return limit, false end
  local all, n = 0, limit
  while n <= t.last[limit] do
    if t.out[n] then
      n = t.last[n]
    elseif t.node[n].tag == "article" then
      all = all + self.good[n]
      n = t.last[n]
    end
    n = n + 1
  end
  if self.good[article] < 0.8 * all then return limit, false end
  return article, true
end

-- Whether an element belongs to the text, and is not only beside `inner`, which holds the
-- heart. In an article the paragraphs do, and what is of one kind with `inner`. Returns
-- also whether there is so much of it that the text reaches that far.
function Content:_belongs(n, inner, kind, in_article)
  local t, node = self.tree, self.tree.node[n]
  local tag, good, class = node.tag, self.good[n], node.attr.class
  local much = good >= LONG
  if not t.blocky[n] then return true, false end
  if tag:find("^h[1-6]$") then return true, much end
  if in_article and (tag == "p" or tag == "blockquote" or tag == "pre") then return true, much end
  if PARAGRAPHS[tag] then return good > 0 and t:density(n) < 0.5, much end
  if class and good >= SHORT and tag == t.node[inner].tag and (class == t.node[inner].attr.class
    or in_article and class:match("%S+") == kind) then
    return true, true
  end
  if n < inner and much and good > 0.7 * t.size[n] then return true, true end -- it leads to it
  return self.best[n] >= KIN * self.score[self.heart] and t:density(n) < 0.5, much
end

-- Goes outwards from the heart, leaves out what does not belong to it, and returns the
-- element that holds all that does.
function Content:_grow()
  local t, root, strays = self.tree, self.heart, {}
  local limit, in_article = self:_limit()
  for i = 2, #self.path do
    local inner, n = self.path[i - 1], self.path[i]
    if n < limit then break end
    local kind = (t.node[inner].attr.class or ""):match("%S+")
    local more = n == limit and in_article
    for _, child in ipairs(t.node[n]) do
      local c = type(child) == "table" and child.n
      if c and c ~= inner and not t.out[c] then
        local belongs, much = self:_belongs(c, inner, kind, in_article)
        if not belongs then strays[#strays + 1] = c end
        more = more or belongs and much
      end
    end
    if more then root = n end
  end
  for _, n in ipairs(strays) do
    if n > root and n <= t.last[root] then t:drop(n) end
  end
  return root
end

-- As M.find; `hidden` leaves out also what the page hides. Returns also how much is left.
local function find(document, hidden)
  local t = tree.new(document)
  local self = setmetatable({ tree = t, clutter = clutter.new(t) }, Content)
  clutter.drop_unseen(t, hidden)
  t:measure()
  self:_weigh()
  self:_score()
  self:_find_heart()
  self:_drop_clutter()
  local root = self:_grow()
  t:measure()
  local links, size = clutter.find_links(t, root)
  local kept = t.size[root] - size
  if kept >= LITTLE or kept * 2 > t.size[root] then -- a page of links is better than none
    for _, n in ipairs(links) do t:drop(n) end
  end
  return t.node[root], t.out, t.last[root], kept
end

---The element with the main text.
---@param document table what core.html returns
---@return table root
---@return table<integer, boolean> out what is not of it, by its number
---@return integer last the number of the last element in it
function M.find(document)
  local root, out, last, kept = find(document, true)
  if kept < 1 then root, out, last = find(document, false) end -- until a script shows it
  return root, out, last
end

return M
