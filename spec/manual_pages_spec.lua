-- The pages of the manual (README.md and doc/): what is linked and named is there, what is to
-- be typed works, and errors have their cures.

local manual = require "spec.support.manual"
local support = require "spec.support"
local terminal_options = require "chatbot.terminal.options"

local unpack = table.unpack or unpack
local found, source, rows_of = manual.found, manual.source, manual.rows_of

-- As GitHub makes them of headings.
local function anchors_of(page)
  local anchors = {}
  for _, part in ipairs(page.sections) do
    local anchor = part.heading:lower():gsub("[^%w\128-\255_ -]", ""):gsub(" ", "-")
    assert.is_nil(anchors[anchor], ("%s has two headings %s"):format(page.name, part.heading))
    anchors[anchor] = true
  end
  return anchors
end

-- Calls fn(target) for each link of a page, but for what stands in code.
local function each_link(page, fn)
  for _, part in ipairs(page.sections) do
    local text = table.concat(part.lines, "\n"):gsub("`[^`\n]*`", "")
    for target in text:gmatch("%]%(([^)]+)%)") do fn(target) end
  end
end

describe("a page of the manual:", function()
  it("the README is no more than 250 lines", function()
    assert.is_true(select(2, manual.pages.README.text:gsub("\n", "")) <= 250)
  end)

  local by_path = {}
  for _, name in ipairs(manual.names) do by_path[manual.pages[name].path] = manual.pages[name] end

  for _, name in ipairs(manual.names) do
    local page = manual.pages[name]

    it(page.path .. " has links that lead somewhere", function()
      local folder, count = page.path:match("^(.*/)") or "", 0
      each_link(page, function(target)
        count = count + 1
        if target:find("^https://") then return end
        local path, anchor = target:match("^([^#]*)#?(.*)$")
        local whole = path == "" and page.path or folder .. path
        while whole:find("[^/]+/%.%./") do whole = whole:gsub("[^/]+/%.%./", "", 1) end
        assert.truthy(io.open(whole), target)
        if anchor ~= "" then
          assert.truthy(by_path[whole], target)
          assert.truthy(anchors_of(by_path[whole])[anchor], target)
        end
      end)
      assert.is_true(count > 1, count .. " links")
    end)

    it(page.path .. " begins with its name and what it is for", function()
      assert.matches("^# [^\n]+\n\n%u[^\n]+\n", page.text)
      assert.equal(1, page.sections[1].level)
      for i, part in ipairs(page.sections) do
        assert.is_true(i == 1 or part.level == 2 or part.level == 3, part.heading)
        assert.is_true(i == 1 or part.level <= page.sections[i - 1].level + 1, part.heading)
      end
    end)
  end

  it("each is in the README's table, and no other", function()
    local listed = {}
    for _, row in ipairs(rows_of("README", "The manual", 1)) do
      listed[#listed + 1] = row[1]:match("%(doc/(.*)%.md%)$")
    end
    table.sort(listed)
    local names = { unpack(manual.names, 2) }
    table.sort(names)
    assert.same(names, listed)
  end)
end)

describe("the manual tells", function()
  it("of each kind of error what it means and what cures it", function()
    local kinds, headings = {}, {}
    for _, row in ipairs(rows_of("errors", "Kinds", 1)) do
      kinds[#kinds + 1] = row[1]:match("^`(%l+)`$")
    end
    local within = false
    for _, part in ipairs(manual.pages.errors.sections) do
      if part.level == 2 then within = part.heading == "Kinds" end
      if part.level == 3 and within then
        headings[#headings + 1] = part.heading
        assert.is_true(#table.concat(part.lines) > 60, part.heading)
      end
    end
    assert.same(kinds, headings)
  end)

  -- Adjacent strings of C and Lua are one, and what is filled in is "...".
  it("messages that there are", function()
    local pipe = assert(io.popen("cat $(find src lua -name '*.c' -o -name '*.lua')"))
    local code = pipe:read("*a"):gsub('"%s*%.?%.?%s*"', ""):gsub("%%[%d.]*[lz]*[sdu]", "...")
    pipe:close()
    local count = 0
    local function look(text)
      count = count + 1
      for part in (text .. "..."):gmatch("(.-)%.%.%.") do
        assert.truthy(code:find(part, 1, true), text)
      end
    end
    for _, part in ipairs(manual.pages.errors.sections) do
      for _, line in ipairs(part.lines) do
        if part.heading == "redirect" then
          for text in line:gmatch("^`([^`]+)`") do look(text) end
        elseif part.heading == "timeout" then
          for text in line:gmatch("^| `%l[%l_]+`: `([^`]+)`") do look(text) end
        elseif part.level == 3 or part.heading:find "^Wrong" or part.heading:find "^It" then
          for text in (line:match("^|([^|]*)|") or ""):gmatch("`([^`]* [^`]*)`") do look(text) end
        end
      end
    end
    assert.is_true(count > 30, count .. " messages")
  end)

  it("which settings save keeps", function()
    local kept = source("lua/chatbot/bot/memory.lua", '"([%w_]+)"', "local kept = {", "}")
    local row = rows_of("guide", "Memory", 1)[2]
    assert.equal("settings", row[1])
    assert.same(kept, found(row[2], "`([%w_]+)`"))
    -- And of the others it says so, those that have a word in common in one.
    local others = rows_of("guide", "Memory", 1)[3][2]
    for _, name in ipairs { "wait", "on_text", "api_key", "tools", "headers", "json", "schema",
      "strict", "think_tags" } do
      assert.truthy(others:find("`" .. name .. "`", 1, true), name)
      assert.falsy((" " .. table.concat(kept, " ") .. " "):find(" " .. name .. " ", 1, true))
    end
  end)
end)

describe("the manual names", function()
  it("every C file in the picture of the layers, on its floor", function()
    local picture = ""
    for _, block in ipairs(manual.section("development", "The map of the house").blocks) do
      if block.lang == "" then picture = block.code end
    end
    local drawn, files, floor = {}, {}, nil -- "floor/file" each
    for line in picture:match("%-%-%-.*"):gmatch("[^\n]+") do
      floor = line:match("^ ([%l.]+) ") or floor
      local words = line:sub(15):match("^([%l%d_, ]-)  ") or ""
      for name in words:gmatch("[%l%d_]+") do drawn[#drawn + 1] = floor .. "/" .. name end
    end
    local pipe = assert(io.popen("cd src && ls ./*.[ch] */*.[ch] | sed 's/[.][ch]$//' | sort -u"))
    for name in pipe:lines() do files[#files + 1] = name end
    pipe:close()
    table.sort(drawn)
    table.sort(files)
    assert.same(files, drawn)
  end)

  it("folders and files that are there", function()
    for _, row in ipairs(rows_of("development", "Folders", 1)) do
      for path in row[1]:gmatch("`([^`]+)`") do assert.truthy(io.open(path), path) end
    end
    local count = 0
    for _, name in ipairs(manual.names) do
      for path in manual.pages[name].text:gmatch("`([%w_.-]+/[%w_./-]+)`") do
        local top = path:match("^[^/]*")
        if top ~= "build" and top ~= "share" and io.open(top) then
          count = count + 1
          assert.truthy(io.open(path), name .. ": " .. path)
        end
      end
    end
    assert.is_true(count > 20, count .. " paths")
  end)

  it("commands that work", function()
    local pipe = assert(io.popen("make -s --no-print-directory help"))
    local targets = {}
    for name in pipe:read("*a"):gmatch("\n?  make ([%l-]+)") do targets[name] = true end
    pipe:close()
    local makefile = assert(support.read_file("Makefile")) .. "\n"
      .. assert(support.read_file("spec/machines/rules.mk")) -- which it includes
    local commands = {}
    for _, name in ipairs(manual.names) do
      local page = manual.pages[name]
      for command in page.text:gmatch("`(make[^`\n]*)`") do commands[#commands + 1] = command end
      for _, part in ipairs(page.sections) do
        for _, block in ipairs(part.blocks) do
          -- that of a game love_spec.lua runs
          if block.lang == "sh" and part.heading ~= "Distributing a game" then
            for line in block.code:gmatch("[^\n]+") do
              commands[#commands + 1] = line:gsub("%s+#.*$", "")
            end
          end
        end
      end
    end
    assert.truthy(#commands > 40, #commands)
    for _, command in ipairs(commands) do
      local made = command:match("^make(.*)") or command:match("%$%(make([^)]*)%)")
      local asked = command:match("chatbot (.*)")
      if made then
        for name in made:gmatch("(%u[%u_]*)=") do
          assert.truthy(("\n" .. makefile):find("\n" .. name .. " +%?="), command)
        end
        made = made:gsub('%u+="[^"]*"', ""):gsub("%u+=%S+", ""):gsub("%-s", "")
        for name in made:gmatch("%S+") do assert.truthy(targets[name], command) end
      elseif asked then
        local words = assert(io.popen("printf '%s\\n' " .. asked))
        local args = {}
        for word in words:lines() do args[#args + 1] = word end
        words:close()
        assert.truthy(terminal_options.parse(args), command)
      elseif not command:find("^apt%-get install") and not command:find("^luarocks ") then
        local file = command:match("^lua5%.4 (%S+)$") or command
        assert.truthy(io.open(file), command)
      end
    end
  end)
end)
