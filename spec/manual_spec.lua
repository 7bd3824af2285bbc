-- The manual (README.md and doc/), `:help chatbot` and lua/chatbot/types.lua against the code.
-- Every name that the code has must be in the tables of the manual and in the types, and no
-- other, and its figures are those that were measured. manual_pages_spec.lua looks at the pages,
-- manual_examples_spec.lua runs the examples.

local chatbot = require "chatbot"
local core = require "chatbot.core"
local manual = require "spec.support.manual"
local support = require "spec.support"
local terminal_options = require "chatbot.terminal.options"

local unpack = table.unpack or unpack
local found, source = manual.found, manual.source
local names_of, rows_of = manual.names_of, manual.rows_of

local TYPES = assert(support.read_file("lua/chatbot/types.lua"))


-- Names ----------------------------------------------------------------------

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
    local bot = source("src/binding/options.c", '{"([%w_]+)", %u+, FOR_BOT}')
    local both = source("src/binding/options.c", '{"([%w_]+)", %u+, BOTH}')
    local all = source("src/binding/options.c", '\n    {"([%w_]+)", ', "known[]", "};")
    local ours = source("src/binding/options.c", '{"([%w_]+)", %u+, FOR_CALL}')
    assert.same({ "answer_tool" }, ours) -- of the module alone
    assert.equal(#all, #bot + #both + #ours)
    for i = #both, 1, -1 do -- Lua gives it on: it is one of those below
      if both[i] == "strict" then table.remove(both, i) end
    end
    assert.same(bot, names_of("reference", "Options", 1, "`([%w_]+)`"))
    assert.same(both, names_of("reference", "Options", 2, "`([%w_]+)`"))
    assert.same(bot, typed("chatbot.Options"))
    assert.same(both, typed("chatbot.SharedOptions", "chatbot.Limits"))
    local ask = source("lua/chatbot/init.lua", '\n  ([%w_]+) = "%l+"', "local for_ask = {", "}")
    assert.same(ask, names_of("reference", "Options", 3, "`([%w_]+)`"))
    assert.same(ask, typed("chatbot.AskOptions"))
  end)

  it("the defaults of times and sizes", function()
    local code = support.read_file("src/binding/options.c")
      .. support.read_file("src/conversation/launch.c")
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
    local code = assert(support.read_file("src/reply/fields.c"))
    local index = code:match("int fields_index.-\n}\n")
    local shared = assert(support.read_file("src/binding/shared.h"))
    shared = shared:match("define SHARED_OF_REPLY.*")
    local names, set = {}, {}
    for _, list in ipairs { found(index, '"([%w_]+)"'),
      found(shared, "X%(([%w_]+), [^,]+, %w+, SEEN%)"),
      found(shared, "X%(([%w_]+), [^,]+, %w+, ANSWER%)") } do
      for _, name in ipairs(list) do set[name] = true end
    end
    for name in pairs(set) do names[#names + 1] = name end
    table.sort(names)
    assert.same(names, names_of("reference", "The reply", 2, "`([%w_]+)`"))
    assert.same(names, typed("chatbot.Reply"))
  end)

  it("every status", function()
    local set, names = {}, {}
    local statuses = source("src/reply/fields.c", '"([%w_]+)"', "fields_status[] = {", "};")
    for _, name in ipairs(statuses) do
      if not set[name] then names[#names + 1] = name end
      set[name] = true
    end
    assert.same(names, names_of("reference", "The reply", 3, '`"([%w_]+)"`'))
    assert.same(names, found(TYPES, '\n%-%-%-| "([%w_]+)"', "@alias chatbot.Status", "\n\n"))
  end)

  it("every kind of error", function()
    local names = {}
    for _, name in ipairs(source("src/engine/fault.c", '"(%l+)"', "http_fault_name", "return")) do
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
    local names = source("src/provider/provider.c", '\n    {"([%w_]+)", ', "fields[]", "};")
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
      ["src/parsing/version.h"] = '\n#define CHATBOT_VERSION "([^"]*)"\n',
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
