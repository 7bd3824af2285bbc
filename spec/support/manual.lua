-- manual.lua - README.md and the pages of doc/ as data: sections, tables, code blocks, links.

local process = require "spec.support.process"

local M = {}

-- A list of {heading, level, lines, blocks} of a page; a block is {lang, code, heading}.
local function sections_of(text)
  local sections, block = {}, nil
  for line in text:gmatch("([^\n]*)\n") do
    local section = sections[#sections]
    local marks, heading = line:match("^(#+) (.*)")
    local fence = line:match("^```(%w*)")
    if block and fence then
      block.code = table.concat(block.lines, "\n") .. "\n"
      block = nil
    elseif block then
      block.lines[#block.lines + 1] = line
    elseif fence then
      block = { lang = fence, lines = {}, heading = section.heading }
      table.insert(section.blocks, block)
    elseif marks then
      sections[#sections + 1] = { heading = heading, level = #marks, lines = {}, blocks = {} }
    elseif section then
      table.insert(section.lines, line)
    end
  end
  assert(not block, "a code block does not end")
  return sections
end

-- The pages: by name, in the order of their names, README first.
M.pages, M.names = {}, { "README" }

local pipe = assert(io.popen("ls doc/*.md"))
for path in pipe:lines() do M.names[#M.names + 1] = path:match("^doc/(.*)%.md$") end
pipe:close()

for _, name in ipairs(M.names) do
  local path = name == "README" and "README.md" or "doc/" .. name .. ".md"
  local text = assert(process.read_file(path))
  M.pages[name] = { name = name, path = path, text = text, sections = sections_of(text) }
end

function M.section(page, heading)
  for _, candidate in ipairs(M.pages[page].sections) do
    if candidate.heading == heading then return candidate end
  end
  error(("page %s has no section %s"):format(page, heading))
end

-- The n-th table of a section: a list of rows, each a list of cells.
function M.rows_of(page, heading, n)
  local count, inside, rows = 0, false, {}
  for _, line in ipairs(M.section(page, heading).lines) do
    local row = line:match("^|(.*)|$")
    if row and not inside then count = count + 1 end
    inside = row ~= nil
    if row and count == n then
      local cells = {}
      for cell in row:gmatch("([^|]*)|?") do cells[#cells + 1] = cell:match("^%s*(.-)%s*$") end
      rows[#rows + 1] = cells
    end
  end
  assert(#rows > 2, ("section %s of %s has no table %d"):format(heading, page, n))
  table.remove(rows, 1) -- the head
  table.remove(rows, 1) -- the line below it
  return rows
end

-- The names in the first column of a table, sorted; the pattern finds one in a cell.
function M.names_of(page, heading, n, pattern)
  local names = {}
  for _, row in ipairs(M.rows_of(page, heading, n)) do
    for name in row[1]:gmatch(pattern) do names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- All that the pattern finds between two texts of a file, or in a whole text.
function M.found(text, pattern, from, to)
  if from then
    local start = assert(select(2, text:find(from, 1, true)), from)
    local stop = assert(text:find(to, start, true), to)
    text = text:sub(start, stop)
  end
  local names = {}
  for name in text:gmatch(pattern) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- The same in a file.
function M.source(file, ...)
  return M.found(assert(process.read_file(file)), ...)
end

return M
