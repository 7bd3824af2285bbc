-- render.lua - an element as plain text, with what shows its structure: headings
-- as "#", lists, tables as rows, code in fences, quotations.
--
-- Text is written once, where it belongs: each line with the prefix of the lists
-- and quotations that it stands in ("> ", blanks below a "- "). A prefix grows to
-- MAX_PREFIX only, so that a page which nests them has no text that is many times
-- as long as itself; what is nested more deeply is shown at that depth.

local tree = require "chatbot.page.tree"
local text = require "chatbot.page.text"

local BLOCKS = tree.BLOCKS
local BREAK = text.BREAK

local M = {}

local HEADINGS = {}
for level = 1, 6 do HEADINGS["h" .. level] = ("#"):rep(level) .. " " end

local MAX_PREFIX = 12
local LONG = 250 -- bytes of text in a paragraph; data has no such cells

local Renderer = {}
Renderer.__index = Renderer

-- `apart` is what stands between two blocks, where they do not stand alone.
local function new(out)
  return setmetatable({ out = out, blocks = {}, pieces = {}, prefix = "", apart = nil,
    separator = nil, mark = nil, heading = nil, written = 0,
    blocky = {}, tables = {}, beginning = {}, sizes = {} }, Renderer)
end


-- Questions about what is in a node, each answered once -----------------------------

-- Whether there is a block in it.
function Renderer:_is_blocky(node)
  local known = self.blocky[node]
  if known ~= nil then return known end
  known = false
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child.n] then
      known = known or BLOCKS[child.tag] or self:_is_blocky(child)
    end
  end
  self.blocky[node] = known
  return known
end

-- Whether there is a table in it.
function Renderer:_has_table(node)
  local known = self.tables[node]
  if known ~= nil then return known end
  known = false
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child.n] then
      known = known or child.tag == "table" or self:_has_table(child)
    end
  end
  self.tables[node] = known
  return known
end

-- How much text is in it.
function Renderer:_size(node)
  local known = self.sizes[node]
  if known then return known end
  known = 0
  for _, child in ipairs(node) do
    if type(child) == "string" then
      known = known + tree.length(child)
    elseif not self.out[child.n] then
      known = known + self:_size(child)
    end
  end
  self.sizes[node] = known
  return known
end

-- Whether there is a long paragraph in it.
function Renderer:_has_prose(node)
  if self:_size(node) <= LONG then return false end
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child.n]
      and (child.tag == "p" and self:_size(child) > LONG or self:_has_prose(child)) then
      return true
    end
  end
  return false
end

-- What it begins with: "text", "structure" (a list, a table or the like) or "nothing".
function Renderer:_begins(node)
  local known = self.beginning[node]
  if known then return known end
  known = "nothing"
  for _, child in ipairs(node) do
    if type(child) == "string" then
      if child:find("%S") then known = "text" end
    elseif not self.out[child.n] then
      local simple = child.tag == "div" or child.tag == "p" or not BLOCKS[child.tag]
      known = simple and self:_begins(child) or "structure"
      if known == "nothing" and self:_is_blocky(child) then known = "structure" end
    end
    if known ~= "nothing" then break end
  end
  self.beginning[node] = known
  return known
end


-- Writing --------------------------------------------------------------------------

-- What has been written is a block of its own now.
function Renderer:_finish()
  if #self.pieces > 0 then
    self.blocks[#self.blocks + 1] = table.concat(self.pieces)
    self.pieces = {}
  end
end

-- Writes a block of text, its lines with the prefix of what it stands in.
function Renderer:_write(block)
  if block == "" then return end
  if self.heading then
    block = self.heading .. block:gsub("\n", " ")
    self.heading = nil
  end
  if self.prefix ~= "" then block = block:gsub("\n", "\n" .. self.prefix) end
  if #self.pieces > 0 then
    if self.separator then
      self.pieces[#self.pieces + 1] = self.separator
    else
      self:_finish()
    end
  end
  self.pieces[#self.pieces + 1] = self.mark or self.prefix
  self.pieces[#self.pieces + 1] = block
  self.mark = nil
  self.separator = self.apart
  self.written = self.written + 1
end

-- Writes what is in a node with a mark before its first line and blanks (or `others`)
-- before the others; between its blocks stands `apart`. Returns whether there was text.
function Renderer:_within(node, first, others, apart)
  local prefix, before, mark, written = self.prefix, self.apart, self.mark, self.written
  if #prefix + #others <= MAX_PREFIX then
    self.mark, self.prefix = (mark or prefix) .. first, prefix .. others
  elseif first ~= "> " then
    self.mark = mark or prefix .. first
  end
  self.apart = apart == "\n\n" and "\n" .. self.prefix .. "\n" or "\n"
  self:_blocks(node)
  self.prefix, self.apart = prefix, before
  if self.written == written then
    self.mark = mark
    return false
  end
  self.separator = before
  return true
end

-- Calls fn(child) with the elements in a node, the lines of which stand together.
function Renderer:_together(node, fn)
  local before, written = self.apart, self.written
  self.apart = "\n"
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child.n] then fn(child) end
  end
  self.apart = before
  if self.written > written then self.separator = before end
end

function Renderer:_list(node, numbered)
  local start = (node.attr.start or ""):match("^%s*(%-?%d+)%s*$")
  local number = start and #start < 8 and tonumber(start) or 1
  self:_together(node, function(child)
    if child.tag ~= "li" then
      self:_within(child, "  ", "  ", "\n")
    else
      local mark = numbered and ("%d. "):format(number) or "- "
      if self:_within(child, mark, (" "):rep(#mark), "\n") then number = number + 1 end
    end
  end)
end

function Renderer:_definitions(node)
  self:_together(node, function(child)
    if child.tag == "div" then
      self:_definitions(child)
    elseif child.tag == "dd" then
      self:_within(child, "  ", "  ", "\n")
    else
      self:_within(child, "", "", "\n")
    end
  end)
end

-- All of a node in one line.
function Renderer:_line(node)
  local line = new(self.out)
  line.blocky, line.tables, line.beginning = self.blocky, self.tables, self.beginning
  line:_blocks(node)
  line:_finish()
  return text.filled(table.concat(line.blocks, " ")) or ""
end

-- The rows of a table but not of those inside it, its caption, and what tells data
-- from layout.
function Renderer:_rows(node, into)
  for _, child in ipairs(node) do
    if type(child) == "table" and not self.out[child.n] then
      if child.tag == "caption" then
        into.caption = into.caption or child
      elseif child.tag == "tr" or child.tag == "td" or child.tag == "th" then
        -- cells without a row, as parsers leave them, make one
        local row = child.tag == "tr" and {} or into.loose or {}
        if child.tag ~= "tr" and not into.loose then into[#into + 1] = row end
        into.loose = child.tag ~= "tr" and row or nil
        for _, cell in ipairs(child.tag == "tr" and child or { child }) do
          local tag = type(cell) == "table" and not self.out[cell.n] and cell.tag
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

function Renderer:_is_layout(node, rows)
  local role = node.attr.role
  if role == "presentation" or role == "none" or self:_has_table(node) then return true end
  if rows.heads then return false end
  if #rows < 2 or rows.columns < 2 then return true end
  for _, row in ipairs(rows) do
    for _, cell in ipairs(row) do
      if self:_has_prose(cell) then return true end
    end
  end
  return false
end

function Renderer:_table(node)
  local rows = self:_rows(node, { columns = 0 })
  if #rows == 0 then return self:_blocks(node) end
  if self:_is_layout(node, rows) then
    if rows.caption then self:_blocks(rows.caption) end
    for _, row in ipairs(rows) do
      for _, cell in ipairs(row) do self:_blocks(cell) end
    end
    return
  end
  local lines = { rows.caption and text.filled(self:_line(rows.caption)) }
  for _, row in ipairs(rows) do
    local cells, filled = {}, false
    for i, cell in ipairs(row) do
      cells[i] = self:_line(cell)
      filled = filled or cells[i] ~= ""
    end
    if filled then lines[#lines + 1] = table.concat(cells, " | ") end
  end
  self:_write(table.concat(lines, "\n"))
end


-- Reading --------------------------------------------------------------------------

-- Adds the text of a node that has no blocks, or whose blocks do not count.
function Renderer:_inline(node, pieces, br)
  for _, child in ipairs(node) do
    if type(child) == "string" then
      pieces[#pieces + 1] = child
    elseif child.tag == "br" then
      pieces[#pieces + 1] = br
    elseif not self.out[child.n] then
      self:_inline(child, pieces, br)
    end
  end
  return pieces
end

function Renderer:_block(node)
  local tag = node.tag
  if HEADINGS[tag] then
    -- what an unclosed heading has swallowed is no heading
    if self:_begins(node) == "text" then self.heading = HEADINGS[tag] end
    self:_blocks(node)
    self.heading = nil
  elseif tag == "ul" or tag == "ol" or tag == "menu" or tag == "dir" then
    self:_list(node, tag == "ol")
  elseif tag == "dl" then
    self:_definitions(node)
  elseif tag == "pre" then
    local code = table.concat(self:_inline(node, {}, "\n")):gsub("^\n+", "")
    code = text.trim_end(code)
    if code ~= "" then self:_write("```\n" .. code .. "\n```") end
  elseif tag == "blockquote" then
    self:_within(node, "> ", "> ", "\n\n")
  elseif tag == "table" then
    self:_table(node)
  else
    self:_blocks(node)
  end
end

-- Writes a run of text, which is over.
function Renderer:_flush(pieces)
  if #pieces == 0 then return end
  self:_write(text.fold(table.concat(pieces)))
  for i = #pieces, 1, -1 do pieces[i] = nil end
end

function Renderer:_walk(node, pieces)
  for i = 1, #node do
    local child = node[i]
    if type(child) == "string" then
      pieces[#pieces + 1] = child
    elseif not self.out[child.n] then
      if BLOCKS[child.tag] then
        self:_flush(pieces)
        self:_block(child)
      elseif child.tag == "br" then
        pieces[#pieces + 1] = BREAK
      elseif self:_is_blocky(child) then
        self:_walk(child, pieces)
      else
        self:_inline(child, pieces, BREAK)
      end
    end
  end
end

-- Writes the blocks in a node; its own text between them makes blocks, too.
function Renderer:_blocks(node)
  if #node == 1 and type(node[1]) == "string" then return self:_write(text.fold(node[1])) end
  local pieces = {}
  self:_walk(node, pieces)
  self:_flush(pieces)
end

---The blocks of an element: paragraphs, headings, whole lists and tables.
---@param root table
---@param out table<integer, boolean> elements to leave out, by their number
---@return string[]
function M.blocks(root, out)
  local self = new(out)
  if root.tag == "table" or root.tag:find("^[uo]l$") then
    self:_block(root)
  else
    self:_blocks(root)
  end
  self:_finish()
  return self.blocks
end

---An element in one line.
---@param node table
---@param out? table<integer, boolean> elements to leave out
---@return string
function M.line(node, out)
  return new(out or {}):_line(node)
end

return M
