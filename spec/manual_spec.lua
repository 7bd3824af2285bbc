-- The manual (README.md and doc/), `:help chatbot` and lua/chatbot/types.lua against the code.
-- Every name that the code has must be in the tables of the manual and in the types, and no
-- other; figures, commands, paths and links are looked up. manual_examples_spec.lua runs the
-- examples.

local chatbot = require "chatbot"
local core = require "chatbot.core"
local manual = require "spec.support.manual"
local support = require "spec.support"
local terminal_options = require "chatbot.terminal.options"

local unpack = table.unpack or unpack
local names_of, rows_of = manual.names_of, manual.rows_of

local README = manual.pages.README.text
local TYPES = assert(support.read_file("lua/chatbot/types.lua"))


-- Names ----------------------------------------------------------------------

-- All that the pattern finds between two texts of a file, or in a whole text.
local function found(text, pattern, from, to)
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

local function source(file, ...)
  return found(assert(support.read_file(file)), ...)
end

local function public_keys(t)
  local names = {}
  for name in pairs(t) do
    if name:sub(1, 1) ~= "_" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- The fields of classes in types.lua.
local function typed(...)
  local names = {}
  for _, class in ipairs { ... } do
    local start = assert(select(2, TYPES:find("---@class " .. class .. "[:\n]")), class)
    local stop = assert(TYPES:find("\n[^-]", start) or TYPES:find("\n\n", start, true))
    local body = TYPES:sub(start, math.min(stop, TYPES:find("\n\n", start, true)))
    for name in body:gmatch("%-%-%-@field ([%w_]+)") do names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

it("the manual's figures of performance are those of bench/RESULTS.md", function()
  local results, count = assert(support.read_file("bench/RESULTS.md")), 0
  local known = {}
  for number in results:gmatch("%d[%d.]*") do known[number:gsub("%.$", "")] = true end
  for _, row in ipairs(rows_of("performance", "Performance", 1)) do
    for column = 2, #row do
      for number in row[column]:gsub("(%d),(%d%d%d)", "%1%2"):gmatch("%d[%d.]*") do
        count = count + 1
        assert.truthy(known[(number:gsub("%.$", ""))], number .. " in: " .. row[1])
      end
    end
  end
  assert.is_true(count > 15, count .. " figures")
end)

describe("the manual and the types name", function()
  after_each(support.close_all)

  it("every function of the module", function()
    local names = public_keys(chatbot)
    assert.same(names, names_of("reference", "The module", 1, "`chatbot%.(%a[%w_]*)"))
    assert.same(names, found(TYPES, "\nfunction chatbot%.([%w_]+)%("))
  end)

  for class, row in pairs {
    Chatbot = { core.chatbot, "The bot", "`bot:([%w_]+)%(" },
    Reply = { core.reply, "The reply", "`reply:([%w_]+)%(" },
  } do
    it("every method of " .. class, function()
      local names = public_keys(row[1])
      assert.same(names, names_of("reference", row[2], 1, row[3]))
      assert.same(names, found(TYPES, "\nfunction " .. class .. ":([%w_]+)%("))
    end)
  end

  it("every option, for the bot and for a call", function()
    local bot = source("src/options.c", '{"([%w_]+)", %u+, FOR_BOT}')
    local both = source("src/options.c", '{"([%w_]+)", %u+, BOTH}')
    local all = source("src/options.c", '\n    {"([%w_]+)", ', "known[]", "};")
    assert.equal(#all, #bot + #both)
    assert.same(bot, names_of("reference", "Options", 1, "`([%w_]+)`"))
    assert.same(both, names_of("reference", "Options", 2, "`([%w_]+)`"))
    assert.same(bot, typed("chatbot.Options"))
    assert.same(both, typed("chatbot.SharedOptions", "chatbot.Limits"))
    local ask = source("lua/chatbot/init.lua", '\n  ([%w_]+) = "%l+"', "local for_ask = {", "}")
    assert.same(ask, names_of("reference", "Options", 3, "`([%w_]+)`"))
    assert.same(ask, typed("chatbot.AskOptions"))
  end)

  it("the defaults of times and sizes", function()
    local code = support.read_file("src/options.c") .. support.read_file("src/launch.c")
    local defaults, count = {}, 0
    for name, number in code:gmatch('"([%w_]+)", (%d+[ %d<]*)[,)]') do
      local base, shift = number:match("^(%d+) << (%d+)$")
      defaults[name] = base and ("%d"):format(tonumber(base) * 2 ^ tonumber(shift)) or number
    end
    for _, row in ipairs(rows_of("reference", "Options", 2)) do
      local name = row[1]:match("^`([%w_]+)`$")
      if defaults[name] then
        count = count + 1
        assert.equal(defaults[name], row[3], name)
      end
    end
    assert.equal(#typed("chatbot.Limits"), count)
  end)

  it("every field of a reply", function()
    local code = assert(support.read_file("src/reply.c"))
    local index = code:match("static int reply_index.-\n}\n")
    local names, set = {}, {}
    for _, list in ipairs { found(index, '"([%w_]+)"') } do
      for _, name in ipairs(list) do set[name] = true end
    end
    for name in pairs(set) do names[#names + 1] = name end
    table.sort(names)
    assert.same(names, names_of("reference", "The reply", 2, "`([%w_]+)`"))
    assert.same(names, typed("chatbot.Reply"))
  end)

  it("every status", function()
    local set, names = {}, {}
    for _, name in ipairs(source("src/reply.c", '"([%w_]+)"', "status_names[] = {", "};")) do
      if not set[name] then names[#names + 1] = name end
      set[name] = true
    end
    assert.same(names, names_of("reference", "The reply", 3, '`"([%w_]+)"`'))
    assert.same(names, found(TYPES, '\n%-%-%-| "([%w_]+)"', "@alias chatbot.Status", "\n\n"))
  end)

  it("every kind of error", function()
    local names = {}
    for _, name in ipairs(source("src/http.c", '"(%l+)"', "http_fault_name", "return")) do
      if name ~= "none" then names[#names + 1] = name end
    end
    assert.same(names, names_of("errors", "Kinds", 1, "`(%l+)`"))
    assert.same(names, found(TYPES, '\n%-%-%-| "(%l+)"', "@alias chatbot.ErrorKind", "\n\n"))
  end)

  it("every field of an error, and each is there at some time", function()
    local full = { message = "m", type = "t", code = "c", param = "p" }
    local set, names = {}, {}
    for _, script in ipairs {
      support.http(429, { ["Retry-After"] = "1", ["x-request-id"] = "r" }, { error = full }),
      support.sse { "text", { step = { stall = true } } },
    } do
      local bot = chatbot.new { base_url = support.serve({ script }).url, model = "m",
        max_retries = 0, idle_timeout = 0.1, timeout = 10 }
      local nothing, err = bot:chat("hello")
      assert.is_nil(nothing)
      for name in pairs(err) do set[name] = true end
    end
    for name in pairs(set) do names[#names + 1] = name end
    table.sort(names)
    assert.same(names, names_of("errors", "Fields", 1, "`([%w_]+)`"))
    assert.same(names, typed("chatbot.Error"))
  end)

  it("every field of a provider", function()
    local names = source("src/provider.c", '\n    {"([%w_]+)", ', "fields[]", "};")
    assert.same(names, names_of("providers", "Fields of a provider", 1, "`([%w_]+)`"))
    assert.same(names, typed("chatbot.Provider"))
  end)

  it("what get_provider and providers return", function()
    assert.same(public_keys(chatbot.new({ model = "m" }):get_provider()), typed("chatbot.Route"))
    local row = chatbot.providers()[1]
    assert.same(public_keys(row), typed("chatbot.ProviderInfo"))
    for name in pairs(row) do
      assert.truthy(rows_of("reference", "The module", 1)[7][2]:find(name, 1, true), name)
    end
  end)

  it("every provider, in the order of matching, with its address and keys", function()
    local data = require "chatbot.providers"
    local rows = rows_of("providers", "From a name to a service", 1)
    assert.equal(#data, #rows)
    for i, provider in ipairs(data) do
      local name, rule, url, keys = unpack(rows[i], 1, 4)
      local function names(text) return found(text, "`([^`]+)`") end
      local function sorted(list)
        local copy = {}
        for k, item in ipairs(list or {}) do copy[k] = item end
        table.sort(copy)
        return copy
      end
      assert.equal("`" .. provider.name .. "`", name)
      assert.same(sorted(provider.match or provider.match_prefix), names(rule))
      assert.equal(provider.match ~= nil, rule:find("^contains") ~= nil, name)
      for _, place in ipairs { provider.base_url or "", provider.base_url_env or "",
        provider.base_url_suffix or "", provider.api_version_env or "" } do
        assert.truthy(url:find(place, 1, true), name .. ": " .. place)
      end
      assert.same(sorted(provider.api_key_env), names(keys))
      assert.equal(provider.api_key_optional == true, keys:find("optional", 1, true) ~= nil)
    end
  end)
end)

describe("the manual names", function()
  it("every option of the terminal chat", function()
    assert.same(found(terminal_options.help():match("\n\n  (.*)\n\n"), "%-%-([%l-]+)"),
      names_of("terminal", "Options", 1, "%-%-([%l-]+)"))
  end)

  it("every command of the terminal chat", function()
    local code = assert(support.read_file("lua/chatbot/terminal.lua"))
    local names = {}
    for _, name in ipairs(found(code, "\ncommands%.(%l+) =")) do
      if name ~= "exit" then names[#names + 1] = name end
    end
    assert.same(names, names_of("terminal", "In a conversation", 1, "`/(%l+)"))
  end)

  it("every C file in the picture of the layers", function()
    local picture = ""
    for _, block in ipairs(manual.section("development", "The map of the house").blocks) do
      if block.lang == "" then picture = block.code end
    end
    picture = picture:match("%-%-%-.*")
    local pipe = assert(io.popen("ls src | sed -n 's/[.][ch]$//p' | sort -u"))
    local files = found(pipe:read("*a"), "%w+")
    pipe:close()
    local drawn = {}
    for line in picture:gmatch("[^\n]+") do
      local words = line:sub(11):match("^([%l%d, ]-)  ") or ""
      for name in words:gmatch("[%l%d]+") do drawn[#drawn + 1] = name end
    end
    table.sort(drawn)
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


-- Pages ----------------------------------------------------------------------

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
    assert.is_true(select(2, README:gsub("\n", "")) <= 250)
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
    local kept = source("lua/chatbot/memory.lua", '"([%w_]+)"', "local kept = {", "}")
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

describe(":help chatbot names", function()
  local help = assert(support.read_file("doc/chatbot.txt"))

  for what, case in pairs {
    ["the functions"] = { "%*chatbot%.([%w_]+)%(%)%*", "The module", 1, "`chatbot%.(%a[%w_]*)%(" },
    ["the methods of a bot"] = { "%*chatbot%.Chatbot:([%w_]+)%(%)%*", "The bot", 1,
      "`bot:([%w_]+)%(" },
    ["the methods of a reply"] = { "%*chatbot%.Reply:([%w_]+)%(%)%*", "The reply", 1,
      "`reply:([%w_]+)%(" },
    ["the fields of a reply"] = { "%*chatbot%.Reply%.([%w_]+)%*", "The reply", 2, "`([%w_]+)`" },
    ["the statuses"] = { "%*chatbot%-status%-([%w_]+)%*", "The reply", 3, '`"([%w_]+)"`' },
    ["the fields of an error"] = { "%*chatbot%.Error%.([%w_]+)%*", "Fields", 1, "`([%w_]+)`",
      "errors" },
    ["the kinds of errors"] = { "%*chatbot%-error%-(%l+)%*", "Kinds", 1, "`(%l+)`", "errors" },
    ["the fields of a provider"] = { "%*chatbot%-provider%-([%w_]+)%*", "Fields of a provider", 1,
      "`([%w_]+)`", "providers" },
  } do
    it(what .. " that the manual has", function()
      assert.same(names_of(case[5] or "reference", case[2], case[3], case[4]),
        found(help, case[1]))
    end)
  end

  it("the options that the manual has", function()
    local names = {}
    for n = 1, 3 do
      for _, name in ipairs(names_of("reference", "Options", n, "`([%w_]+)`")) do
        names[#names + 1] = name
      end
    end
    table.sort(names)
    assert.same(names, found(help, "%*chatbot%-option%-([%w_]+)%*"))
  end)
end)

describe("types.lua", function()
  it("is Lua that does nothing", function()
    assert.truthy(TYPES:find("^%-%-%-@meta "))
    local result = support.run_lua("for k in pairs(_G) do _G['_' .. k] = nil end local n = 0 "
      .. "for _ in pairs(_G) do n = n + 1 end dofile 'lua/chatbot/types.lua' "
      .. "for _ in pairs(_G) do n = n - 1 end print(n)", { cwd = support.absolute("") })
    assert.equal("0\n", result.out, result.err)
  end)
end)

describe("the version", function()
  local version = chatbot._VERSION:match("^chatbot (%d+%.%d+%.%d+)$")

  it("is the same wherever it is named", function()
    for path, pattern in pairs {
      ["src/version.h"] = '\n#define CHATBOT_VERSION "([^"]*)"\n',
      ["doc/reference.md"] = '`chatbot._VERSION` | `"chatbot ([^"]*)"`',
      ["doc/chatbot.1"] = '^%.TH CHATBOT 1 [%d-]+ "chatbot ([^"]*)"',
      ["CHANGELOG.md"] = "\n## %[Unreleased%]\n.-\n## %[([^%]]*)%]",
    } do
      assert.equal(version, support.read_file(path):match(pattern), path)
    end
    assert.equal(version,
      manual.pages.install.text:match("build/dist/chatbot%-(%d[%d.]*)%-1%.src%.rock"))
  end)

  it("is told to servers", function()
    local server = support.serve { support.sse { "hi" } }
    assert(chatbot.new { model = "m", base_url = server.url }:chat("hi"))
    assert.equal("lua-chatbot/" .. version, server:requests()[1].named["user-agent"])
    support.close_all()
  end)
end)

describe("CHANGELOG.md", function()
  local text = assert(support.read_file("CHANGELOG.md"))

  it("begins with what is unreleased, and dates what is not", function()
    local headings = {}
    for heading in text:gmatch("\n## ([^\n]*)") do headings[#headings + 1] = heading end
    assert.equal("[Unreleased]", table.remove(headings, 1))
    for _, heading in ipairs(headings) do
      assert.matches("^%[%d+%.%d+%.%d+%] %- 20%d%d%-%d%d%-%d%d$", heading)
    end
    -- The manual page is of the last of these days.
    assert.equal(headings[1]:match("20%S+"),
      support.read_file("doc/chatbot.1"):match("^%.TH CHATBOT 1 (%S+)"))
  end)
end)
