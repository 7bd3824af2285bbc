-- render.lua - an element as plain text, with what shows its structure: headings
-- as "#", lists, tables as rows, code in fences, quotations.

local BLOCKS = require("chatbot.page.content").BLOCKS

local M = {}

local BREAK = "\1" -- a <br> among text, where no control character is left

-- Entities that the parser leaves when their semicolon is missing.
local ENTITIES = { amp = "&", lt = "<", gt = ">", quot = '"', nbsp = " ", copy = "\194\169" }

-- Blanks folded. A line's end between two characters of Chinese or Japanese is none.
local function fold(text)
  text = text:gsub("\194\160", " "):gsub("\226\128\139", ""):gsub("\194\173", "")
    :gsub("\239\187\191", ""):gsub("&(%l+)%f[^%w;]", ENTITIES)
  text = text:gsub("[ \t]*\n%s*", "\n"):gsub("[ \t]+", " ")
  text = text:gsub("([\227-\233\239][\128-\191][\128-\191])\n%f[\227-\233\239]", "%1")
  text = text:gsub("\n", " ")
  text = text:gsub(" *" .. BREAK .. " *", "\n")
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

local Renderer = {}
Renderer.__index = Renderer

-- Whether there is a block in a node.
function Renderer:_is_blocky(node)
  local known = self.blocky[node]
  if known ~= nil then return known end
  known = false
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child] then
      known = known or BLOCKS[child.tag] or self:_is_blocky(child)
    end
  end
  self.blocky[node] = known
  return known
end

-- Whether text comes before the first list, table or the like.
function Renderer:_starts_with_text(node)
  for _, child in ipairs(node) do
    if type(child) == "string" then
      if child:find("%S") then return true end
    elseif not self.out[child] then
      local simple = child.tag == "div" or child.tag == "p" or not BLOCKS[child.tag]
      if not simple then return false end
      if self:_starts_with_text(child) then return true end
      if self:_is_blocky(child) then return false end
    end
  end
  return false
end

-- The text of a node as it is.
function Renderer:_raw(node, pieces)
  pieces = pieces or {}
  for _, child in ipairs(node) do
    if type(child) == "string" then
      pieces[#pieces + 1] = child
    elseif child.tag == "br" then
      pieces[#pieces + 1] = "\n"
    elseif not self.out[child] then
      self:_raw(child, pieces)
    end
  end
  return pieces
end

function Renderer:_inline(node, pieces)
  for _, child in ipairs(node) do
    if type(child) == "string" then
      pieces[#pieces + 1] = child
    elseif child.tag == "br" then
      pieces[#pieces + 1] = BREAK
    elseif not self.out[child] then
      self:_inline(child, pieces)
    end
  end
  return pieces
end

-- All of a node in one line.
function Renderer:_line(node)
  local blocks = self:_blocks(node, {})
  return (table.concat(blocks, " "):gsub("%s*\n%s*", " "))
end

local function indented(text, first, others)
  return first .. text:gsub("\n", "\n" .. others)
end

function Renderer:_list(node, numbered)
  local items, number = {}, tonumber(node.attr.start) or 1
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child] then
      local text = table.concat(self:_blocks(child, {}), "\n")
      if child.tag ~= "li" then
        if text ~= "" then items[#items + 1] = indented(text, "  ", "  ") end
      elseif text ~= "" then
        local mark = numbered and ("%d. "):format(number) or "- "
        items[#items + 1] = indented(text, mark, (" "):rep(#mark))
        number = number + 1
      end
    end
  end
  return table.concat(items, "\n")
end

function Renderer:_definitions(node, lines)
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child] then
      if child.tag == "div" then
        self:_definitions(child, lines)
      else
        local text = table.concat(self:_blocks(child, {}), "\n")
        if text ~= "" and child.tag == "dd" then text = indented(text, "  ", "  ") end
        if text ~= "" then lines[#lines + 1] = text end
      end
    end
  end
  return lines
end

-- The rows of a table but not of those inside it, its caption, and what tells data
-- from layout.
function Renderer:_rows(node, into)
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child] then
      if child.tag == "caption" then
        into.caption = self:_line(child)
      elseif child.tag == "tr" or child.tag == "td" or child.tag == "th" then
        -- cells without a row, as parsers leave them, make one
        local row = child.tag == "tr" and {} or into.loose or {}
        if child.tag ~= "tr" and not into.loose then into[#into + 1] = row end
        into.loose = child.tag ~= "tr" and row or nil
        for _, cell in ipairs(child.tag == "tr" and child or { child }) do
          local tag = type(cell) == "table" and not self.out[cell] and cell.tag
          if tag == "td" or tag == "th" then
            row[#row + 1] = cell
            into.heads = into.heads or tag == "th"
          end
        end
        if child.tag == "tr" then into[#into + 1] = row end
        into.columns = math.max(into.columns, #row)
      else
        self:_rows(child, into)
      end
    end
  end
  return into
end

function Renderer:_has(node, tag)
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child] then
      if child.tag == tag or self:_has(child, tag) then return true end
    end
  end
  return false
end

function Renderer:_table(node, out)
  local rows = self:_rows(node, { columns = 0 })
  local role = node.attr.role
  local layout = role == "presentation" or role == "none" or self:_has(node, "table")
    or (not rows.heads and (#rows < 2 or rows.columns < 2))
  for _, row in ipairs(rows) do
    for _, cell in ipairs(row) do
      layout = layout or (not rows.heads and self:_has(cell, "p") and #self:_line(cell) > 300)
    end
  end
  if layout then
    if rows.caption then out[#out + 1] = rows.caption end
    for _, row in ipairs(rows) do
      for _, cell in ipairs(row) do self:_blocks(cell, out) end
    end
    return
  end
  local lines = { rows.caption }
  for _, row in ipairs(rows) do
    local cells, filled = {}, false
    for i, cell in ipairs(row) do
      cells[i] = self:_line(cell)
      filled = filled or cells[i] ~= ""
    end
    if filled then lines[#lines + 1] = table.concat(cells, " | ") end
  end
  out[#out + 1] = table.concat(lines, "\n")
end

function Renderer:_block(node, out)
  local tag = node.tag
  local level = tag:match("^h([1-6])$")
  if level then
    -- what an unclosed heading has swallowed is no heading
    local blocks = self:_blocks(node, {})
    if blocks[1] and self:_starts_with_text(node) then
      blocks[1] = ("#"):rep(tonumber(level)) .. " " .. blocks[1]:gsub("\n", " ")
    end
    for _, block in ipairs(blocks) do out[#out + 1] = block end
  elseif tag == "ul" or tag == "ol" or tag == "menu" or tag == "dir" then
    out[#out + 1] = self:_list(node, tag == "ol")
  elseif tag == "dl" then
    out[#out + 1] = table.concat(self:_definitions(node, {}), "\n")
  elseif tag == "pre" then
    local text = table.concat(self:_raw(node)):gsub("^\n+", ""):gsub("%s+$", "")
    if text ~= "" then out[#out + 1] = "```\n" .. text .. "\n```" end
  elseif tag == "blockquote" then
    local text = table.concat(self:_blocks(node, {}), "\n\n")
    if text ~= "" then out[#out + 1] = indented(text, "> ", "> ") end
  elseif tag == "table" then
    self:_table(node, out)
  else
    self:_blocks(node, out)
  end
end

-- Appends the blocks of a node to `out`.
function Renderer:_blocks(node, out)
  local pieces = {}
  local function flush()
    local text = fold(table.concat(pieces))
    pieces = {}
    if text ~= "" then out[#out + 1] = text end
  end
  local function walk(parent)
    for _, child in ipairs(parent) do
      if type(child) == "string" then
        pieces[#pieces + 1] = child
      elseif self.out[child] then
        pieces[#pieces + 1] = "" -- not there
      elseif BLOCKS[child.tag] then
        flush()
        self:_block(child, out)
      elseif child.tag == "br" then
        pieces[#pieces + 1] = BREAK
      elseif self:_is_blocky(child) then
        walk(child)
      else
        self:_inline(child, pieces)
      end
    end
  end
  walk(node)
  flush()
  return out
end

---The blocks of an element: paragraphs, headings, whole lists and tables.
---@param root table
---@param out table<table, boolean> elements to leave out
---@return string[]
function M.blocks(root, out)
  local self = setmetatable({ out = out, blocky = {} }, Renderer)
  local blocks, all = {}, {}
  if root.tag == "table" or root.tag:find("^[uo]l$") then
    self:_block(root, all)
  else
    self:_blocks(root, all)
  end
  for _, block in ipairs(all) do
    if block ~= "" then blocks[#blocks + 1] = block end
  end
  return blocks
end

---An element in one line.
---@param node table
---@param out? table<table, boolean> elements to leave out
---@return string
function M.line(node, out)
  return (setmetatable({ out = out or {}, blocky = {} }, Renderer):_line(node))
end

return M
