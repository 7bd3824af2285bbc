-- README.md and lua/chatbot/types.lua against the code. Every Lua example of the
-- README is run as it stands, in a process of its own, against the scripted
-- server; only the globals of a host are stood in for. Every name that the code
-- has must be in the README's tables and in the types, and no other.

local chatbot = require "chatbot"
local core = require "chatbot.core"
local builds = require "spec.support.builds"
local support = require "spec.support"
local terminal_options = require "chatbot.terminal.options"

local unpack = table.unpack or unpack

local README = assert(support.read_file("README.md"))
local TYPES = assert(support.read_file("lua/chatbot/types.lua"))


-- The text -------------------------------------------------------------------

-- A list of {heading, level, lines, blocks}; a block is {lang, code, name}.
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

local sections = sections_of(README)

local function section(heading)
  for _, candidate in ipairs(sections) do
    if candidate.heading == heading then return candidate end
  end
  error("no section " .. heading)
end

-- The n-th table of a section: a list of rows, each a list of cells.
local function rows_of(heading, n)
  local count, inside, rows = 0, false, {}
  for _, line in ipairs(section(heading).lines) do
    local row = line:match("^|(.*)|$")
    if row and not inside then count = count + 1 end
    inside = row ~= nil
    if row and count == n then
      local cells = {}
      for cell in row:gmatch("([^|]*)|?") do cells[#cells + 1] = cell:match("^%s*(.-)%s*$") end
      rows[#rows + 1] = cells
    end
  end
  assert(#rows > 2, ("section %s has no table %d"):format(heading, n))
  table.remove(rows, 1) -- the head
  table.remove(rows, 1) -- the line below it
  return rows
end

-- The names in the first column of a table, sorted; the pattern finds one in a cell.
local function names_of(heading, n, pattern)
  local names = {}
  for _, row in ipairs(rows_of(heading, n)) do
    for name in row[1]:gmatch(pattern) do names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

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


-- Examples -------------------------------------------------------------------

-- Every provider is at a path of its own of the scripted server.
local AT_SERVER = [[
  for _, p in ipairs(require("chatbot").providers()) do
    require("chatbot").register(p.name, { base_url = os.getenv("TEST_URL") .. "/" .. p.name })
  end ]]

local KEYS = {
  OPENAI_API_KEY = "sk-openai-000", GOOGLE_API_KEY = "key-google-111",
  XAI_API_KEY = "key-xai-222", PLAMO_API_KEY = "key-plamo-333",
  DEEPSEEK_API_KEY = "key-deepseek-444",
}

local function one_line(code)
  return (code:gsub("%s*\n%s*", " "))
end

-- Runs a script; `before` goes into its first line so that lines keep their number.
local function run(url, code, before, after)
  local env = {
    TEST_URL = url, OPENAI_BASE_URL = false, OPENAI_ORG_ID = false, OPENAI_PROJECT_ID = false,
    LLAMA_API_KEY = false, ACME_API_KEY = false, GEMINI_API_KEY = false,
  }
  for name, key in pairs(KEYS) do env[name] = key end
  local script = one_line(AT_SERVER .. (before or "")) .. " " .. code .. (after or "")
  return support.run_lua(script, { env = env, timeout = 20, cwd = support.tmpdir() })
end

-- Runs a script that must end well, against a server with these answers.
local function output(answers, code, before, after)
  local server = support.serve(answers)
  local result = run(server.url, code, before, after)
  assert.equal(0, result.status, result.err)
  return result.out, server:requests(), result.err
end

local function answer(...)
  return support.sse({ ... }, { usage = true, every = 0.01 })
end

local function cut(...)
  return support.sse({ ... }, { finish_reason = false, done = false })
end

-- Cases by the heading that an example stands under; a second example under
-- the same heading has " 2" behind it.
local cases = {}

cases["chatbot"] = function(code)
  assert.equal("Once upon a time.\n", (output({ answer("Once ", "upon ", "a time.") }, code)))
end

cases["Block"] = function(code)
  local out, requests = output({ answer("Two.") }, code)
  assert.equal("Two.\t12\n", out)
  assert.same({ { role = "system", content = "Be brief." },
    { role = "user", content = "What is one plus one?" } }, requests[1].json.messages)
  out = output({ support.http(401, {}, { error = { message = "Who are you?" } }) }, code)
  assert.equal("failed: http 401: Who are you? [openai gpt-4.1]\n", out)
end

cases["Chunks"] = function(code)
  assert.equal("Rhine, Po.complete\n", (output({ answer("Rhine, ", "Po.") }, code)))
  local out = output({ cut("Rhine, ") }, code)
  assert.truthy(out:find("^Rhine, truncated 200: "), out)
end

cases["Coroutine"] = function(code)
  local count = [[
    local resumed, resume = 0, coroutine.resume
    coroutine.resume = function(thread)
      resumed = resumed + 1
      return resume(thread)
    end ]]
  local out, _, resumed = output({ answer("Rhine, ", "Po.") }, code, count,
    "io.stderr:write(resumed)")
  assert.equal("Rhine, Po.10\n", out)
  assert.truthy(tonumber(resumed) > 10, "it was resumed but " .. resumed .. " times")
  out = output({ cut("Rhine") }, code)
  assert.truthy(out:find("^Rhinetruncated 200: "), out)
end

cases["Poll"] = function(code)
  assert.equal("A cave.done\n", (output({ answer("A ", "cave.") }, code)))
  local out = output({ cut("A ") }, code)
  assert.truthy(out:find("^A truncated 200: "), out)
end

cases["A script"] = function(code)
  local out, requests = output({ answer("2"), answer("Because.") }, code)
  assert.equal("2\nBecause.\nsystem\tあなたは賢いAIです。\nuser\t1たす1は?\nassistant\t2\n"
    .. "user\tWhy? In one sentence.\nassistant\tBecause.\n", out)
  assert.equal(2, #requests)
  assert.equal("/v1/openai/chat/completions", requests[1].target)
  assert.equal("/v1/gemini/chat/completions", requests[2].target)
  assert.equal("gemini-2.5-flash", requests[2].json.model)
  assert.equal("Bearer " .. KEYS.GOOGLE_API_KEY, requests[2].named.authorization)
  assert.equal(4, #requests[2].json.messages)
end

cases["A game"] = function(code)
  local out, requests = output({ answer("Halt! ", "Who ", "are you?") }, code, [[
    local seen = {}
    love = { graphics = { print = function(text)
      if seen[#seen] ~= text then seen[#seen + 1] = text end
    end } } ]], [[
    love.keypressed("e")
    love.keypressed("e") -- while the guard speaks
    for _ = 1, 5000 do
      love.update()
      love.draw()
      if not guard then break end
      require("socket").sleep(0.001)
    end
    print(#seen, seen[2], seen[#seen]) ]])
  local steps, part, whole = out:match("^(%d+)\t([^\t]*)\t([^\t]*)\n$")
  assert.truthy(tonumber(steps) > 2, out)
  assert.equal("Halt! ", part)
  assert.equal("Halt! Who are you?", whole)
  assert.equal(1, #requests)
end

cases["LÖVE"] = function(code) -- see love_spec.lua for the rest
  local out = output({}, code, [[
    package.cpath = "/lib/?.so"
    love = { filesystem = { getSourceBaseDirectory = function() return "/game" end } } ]],
    "print(package.cpath)")
  assert.equal("/game/?.so;/lib/?.so\n", out)
end

-- A loop that stands in for luv where there is none.
local LUV = [[
  local watched, cqueues = {}, require "cqueues"
  package.loaded.luv = {
    new_poll = function(fd)
      return {
        start = function(self, _, fn) watched[self] = { pollfd = fd, events = "r", fn = fn } end,
        close = function(self) watched[self] = nil end,
      }
    end,
    run = function()
      while next(watched) do
        local _, watch = next(watched)
        cqueues.poll(watch)
        watch.fn()
      end
    end,
  } ]]

cases["An event loop"] = function(code)
  local has_luv = run("", "require 'luv'").status == 0
  for _, before in ipairs(has_luv and { LUV, "" } or { LUV }) do
    assert.equal("1 2 3complete\n", (output({ answer("1 ", "2 ", "3") }, code, before)))
    local out = output({ cut("1 ") }, code, before)
    assert.truthy(out:find("^1 truncated 200: "), out)
    -- It has failed before there is anything to watch.
    local result = run("http://127.0.0.1:" .. support.dead_port(), code, before .. [[
      local new = require("chatbot").new
      require("chatbot").new = function(options)
        options.max_retries = 0
        return new(options)
      end ]])
    assert.equal(0, result.status, result.err)
    assert.truthy(result.out:find("^connect: "), result.out)
  end
end

cases["An event loop 2"] = function(code)
  assert.equal("1 2 3\n", (output({ answer("1 ", "2 ", "3") }, code)))
end

cases["Neovim"] = function(code)
  local server = support.serve { answer("An old ", "pond.") }
  local dir = support.tmpdir()
  support.write_file(dir .. "/example.lua", code .. [[
    vim.wait(10000, function() return reply.status ~= "streaming" end)
    vim.wait(200)
    io.stderr:write("buffer: ", table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "|"))
    vim.cmd("qa!") ]])
  local env = builds.env("luajit") -- which is Neovim's
  env.OPENAI_BASE_URL, env.OPENAI_API_KEY = server.url, KEYS.OPENAI_API_KEY
  local nvim = support.spawn(("nvim --headless -u NONE -i NONE --cmd 'set rtp+=%s' "
    .. "-c 'luafile %s/example.lua'"):format(os.getenv("PWD"), dir), { env = env })
  nvim:wait(20)
  local out = table.concat({ nvim:output() })
  nvim:close()
  assert.truthy(out:find("buffer: An old pond.", 1, true), out)
  assert.truthy(out:find("12", 1, true), out) -- the tokens
end

cases["Summarise a page"] = function(code)
  local page = support.http(200, { ["Content-Type"] = "text/html" }, "<html><head><title>Ponds"
    .. "</title></head><body><nav>Menu</nav><article><p>" .. ("A frog jumps in. "):rep(40)
    .. "</p></article></body></html>")
  local out, requests = output({ page, answer("Une ", "grenouille.") }, code,
    'arg = { os.getenv("TEST_URL") .. "/page" } ')
  assert.truthy(out:find("Une grenouille.", 1, true), out)
  assert.is_nil(requests[1].named.authorization)
  assert.truthy(requests[2].body:find("A frog jumps in", 1, true))
  assert.is_nil(requests[2].body:find("Menu", 1, true))
end

cases["Tools"] = function(code)
  local call = { index = 0, id = "call_1", type = "function",
    ["function"] = { name = "weather", arguments = '{"city":"Oslo"}' } }
  local asks = support.sse({ { tool_calls = { call } } }, { finish_reason = "tool_calls" })
  local out, requests = output({ asks, answer("Wet.") }, code)
  assert.truthy(out:find("^Wet%.\t"), out)
  assert.equal(2, #requests)
  local messages = requests[2].json.messages
  assert.equal("weather", messages[2].tool_calls[1]["function"].name)
  assert.equal("tool", messages[3].role)
  assert.equal("call_1", messages[3].tool_call_id)
  assert.truthy(messages[3].content:find('"sky":"rain"', 1, true))
  assert.equal("weather", requests[2].json.tools[1]["function"].name)
end

cases["Tools 2"] = function(code)
  local call = { index = 0, id = "call_1", type = "function",
    ["function"] = { name = "open_door", arguments = "{}" } }
  local asks = support.sse({ { tool_calls = { call } } }, { finish_reason = "tool_calls" })
  local out, requests = output({ asks, answer("Done.") }, code)
  assert.truthy(out:find("^Done%.\t"), out)
  assert.same({ role = "tool", tool_call_id = "call_1", content = "The door is open." },
    requests[2].json.messages[3])
end

cases["Structured answers"] = function(code)
  local out, requests = output({ answer('{"people":', "700000}") }, code)
  assert.equal("700000\n", out)
  assert.equal("json_schema", requests[1].json.response_format.type)
  out = output({ answer("Many.") }, code)
  assert.truthy(out:find("^protocol"), out)
end

cases["Images"] = function(code)
  local file = [[local open = io.open
    io.open = function(path, mode)
      if path ~= "cat.png" then return open(path, mode) end
      local file = io.tmpfile()
      file:write("\137PNG\r\n\26\n")
      file:seek("set")
      return file
    end ]]
  local out, requests = output({ answer("A cat.") }, code, file)
  assert.truthy(out:find("^A cat%.\t"), out)
  assert.equal("data:image/png;base64,iVBORw0KGgo=",
    requests[1].json.messages[1].content[2].image_url.url)
end

cases["Reasoning"] = function(code)
  local stream = support.sse { { reasoning_content = "7 * 13." }, "No." }
  assert.equal("7 * 13.", (output({ stream }, code)))
end

cases["Refused parameters"] = function(code)
  local refusal = support.http(400, {}, { error = { param = "max_tokens", message = "No." } })
  assert.equal("max_tokens\tmax_completion_tokens\n", (output({ refusal, answer("Hi.") }, code)))
end

cases["Fallback"] = function(code)
  local busy = support.http(503, { ["x-should-retry"] = "false" })
  local out, requests = output({ busy, busy, answer("Hi.") }, code)
  assert.equal("Hi.\tlmstudio\nopenai\thttp\ngemini\thttp\n", out)
  assert.equal("/v1/lmstudio/chat/completions", requests[3].target)
end

cases["Memory"] = function(code)
  local out = output({ answer("Hi.") }, code)
  assert.equal("1\t12\n", out)
end

cases["Many at once"] = function(code)
  local out = output({ answer("Hi.") }, code)
  assert.truthy(out:find("^Hi%.\nHi%.\n[12]\tHi%.\t"), out)
end

cases["Errors"] = function(code)
  local slow = support.http(429, {}, { error = { message = "Slow down", code = "rate" } })
  assert.equal("http\t429\trate\nhttp 429: Slow down [openai gpt-4.1]\nlater, perhaps\n",
    (output({ slow }, code)))
  local out = output({ cut("Hel", "lo") }, code)
  assert.truthy(out:find("^truncated\t200\tnil\n") and out:find("\nso far: Hello\n$"), out)
end

cases["Providers"] = function(code)
  local out, requests = output({ answer("no") }, code)
  assert.equal("acme\thttps://llm.acme.example/v1\tacme-large\tfalse\n"
    .. "acme\thttps://llm.acme.example/v1\tany-model\tfalse\n", out)
  assert.equal(0, #requests)
end

describe("an example of the README", function()
  after_each(support.close_all)

  local left, seen = {}, {}
  for name in pairs(cases) do left[name] = true end
  for _, part in ipairs(sections) do
    for _, block in ipairs(part.blocks) do
      if block.lang == "lua" then
        seen[part.heading] = (seen[part.heading] or 0) + 1
        local name = part.heading .. (seen[part.heading] > 1 and " " .. seen[part.heading] or "")
        left[name] = nil
        it("works: " .. name, function()
          assert.truthy(cases[name], "there is no case for it")
          cases[name](block.code)
        end)
      end
    end
  end

  it("stands behind every case", function() assert.is_nil((next(left))) end)

  -- The first one, for each model of the table below it.
  local places = { openai = "OPENAI_API_KEY", gemini = "GOOGLE_API_KEY", xai = "XAI_API_KEY",
    plamo = "PLAMO_API_KEY", lmstudio = "none", llamaserver = "none" }
  local first = sections[1].blocks[1].code
  for _, row in ipairs(rows_of("chatbot", 1)) do
    it("reaches another service by one string: " .. row[1], function()
      local model = row[1]:match('^`("[^"]+")`$')
      local code, replaced = first:gsub('"gpt%-4%.1"', function() return model end)
      assert.equal(1, replaced)
      local out, requests = output({ answer("Once.") }, code)
      assert.equal("Once.\n", out)
      assert.equal(1, #requests)
      local provider = requests[1].target:match("^/v1/(%w+)/chat/completions$")
      local variable = row[3]:gsub("`", "")
      assert.equal(places[provider], variable)
      local key = KEYS[variable]
      assert.equal(key and "Bearer " .. key, requests[1].named.authorization)
      local name = model:match('^"[^:]*:(.*)"$') or model:match('^"(.*)"$')
      assert.equal(name, requests[1].json.model)
      for _, other in pairs(KEYS) do
        local bytes = requests[1].line .. support.encode(requests[1].headers) .. requests[1].body
        assert.equal(other == key, bytes:find(other, 1, true) ~= nil)
      end
      places[provider] = "taken"
    end)
  end
end)

describe("examples/chat.lua", function()
  after_each(support.close_all)

  local code = assert(support.read_file("examples/chat.lua"))

  it("holds a conversation with two services", function()
    local out, requests = output({ answer("Scattered ", "light."), answer("Blue wins.") }, code)
    assert.truthy(out:find("Scattered light.", 1, true) and out:find("Blue wins.", 1, true), out)
    assert.truthy(out:find("5 messages", 1, true), out)
    assert.equal("/v1/openai/chat/completions", requests[1].target)
    assert.equal("/v1/gemini/chat/completions", requests[2].target)
    assert.equal(4, #requests[2].json.messages)
  end)

  it("tells what went wrong", function()
    local server = support.serve { support.http(401, {}, { error = { message = "No." } }) }
    local result = run(server.url, code)
    assert.equal(1, result.status)
    assert.equal("chat.lua: http 401: No. [openai gpt-4.1]\n", result.err)
  end)
end)


-- Names ----------------------------------------------------------------------

it("the README's figures of performance are those of bench/RESULTS.md", function()
  local results, count = assert(support.read_file("bench/RESULTS.md")), 0
  local known = {}
  for number in results:gmatch("%d[%d.]*") do known[number:gsub("%.$", "")] = true end
  for _, row in ipairs(rows_of("Performance", 1)) do
    for column = 2, #row do
      for number in row[column]:gsub("(%d),(%d%d%d)", "%1%2"):gmatch("%d[%d.]*") do
        count = count + 1
        assert.truthy(known[(number:gsub("%.$", ""))], number .. " in: " .. row[1])
      end
    end
  end
  assert.is_true(count > 15, count .. " figures")
end)

describe("the README and the types name", function()
  after_each(support.close_all)

  it("every function of the module", function()
    local names = public_keys(chatbot)
    assert.same(names, names_of("The module", 1, "`chatbot%.(%a[%w_]*)"))
    assert.same(names, found(TYPES, "\nfunction chatbot%.([%w_]+)%("))
  end)

  for class, row in pairs {
    Chatbot = { core.chatbot, "The bot", "`bot:([%w_]+)%(" },
    Reply = { core.reply, "The reply", "`reply:([%w_]+)%(" },
  } do
    it("every method of " .. class, function()
      local names = public_keys(row[1])
      assert.same(names, names_of(row[2], 1, row[3]))
      assert.same(names, found(TYPES, "\nfunction " .. class .. ":([%w_]+)%("))
    end)
  end

  it("every option, for the bot and for a call", function()
    local bot = source("src/binding/options.c", '{"([%w_]+)", %u+, FOR_BOT}')
    local both = source("src/binding/options.c", '{"([%w_]+)", %u+, BOTH}')
    local all = source("src/binding/options.c", '\n    {"([%w_]+)", ', "known[]", "};")
    assert.equal(#all, #bot + #both)
    assert.same(bot, names_of("Options", 1, "`([%w_]+)`"))
    assert.same(both, names_of("Options", 2, "`([%w_]+)`"))
    assert.same(bot, typed("chatbot.Options"))
    assert.same(both, typed("chatbot.SharedOptions", "chatbot.Limits"))
    local ask = source("lua/chatbot/init.lua", '\n  ([%w_]+) = "%l+"', "local for_ask = {", "}")
    assert.same(ask, names_of("Options", 3, "`([%w_]+)`"))
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
    for _, row in ipairs(rows_of("Options", 2)) do
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
    assert.same(names, names_of("The reply", 2, "`([%w_]+)`"))
    assert.same(names, typed("chatbot.Reply"))
  end)

  it("every status", function()
    local set, names = {}, {}
    local statuses = source("src/reply/fields.c", '"([%w_]+)"', "fields_status[] = {", "};")
    for _, name in ipairs(statuses) do
      if not set[name] then names[#names + 1] = name end
      set[name] = true
    end
    assert.same(names, names_of("The reply", 3, '`"([%w_]+)"`'))
    assert.same(names, found(TYPES, '\n%-%-%-| "([%w_]+)"', "@alias chatbot.Status", "\n\n"))
  end)

  it("every kind of error", function()
    local names = {}
    for _, name in ipairs(source("src/engine/fault.c", '"(%l+)"', "http_fault_name", "return")) do
      if name ~= "none" then names[#names + 1] = name end
    end
    assert.same(names, names_of("Errors", 2, "`(%l+)`"))
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
    assert.same(names, names_of("Errors", 1, "`([%w_]+)`"))
    assert.same(names, typed("chatbot.Error"))
  end)

  it("every field of a provider", function()
    local names = source("src/provider/provider.c", '\n    {"([%w_]+)", ', "fields[]", "};")
    assert.same(names, names_of("Providers", 2, "`([%w_]+)`"))
    assert.same(names, typed("chatbot.Provider"))
  end)

  it("what get_provider and providers return", function()
    assert.same(public_keys(chatbot.new({ model = "m" }):get_provider()), typed("chatbot.Route"))
    local row = chatbot.providers()[1]
    assert.same(public_keys(row), typed("chatbot.ProviderInfo"))
    for name in pairs(row) do
      assert.truthy(rows_of("The module", 1)[7][2]:find(name, 1, true), name)
    end
  end)

  it("every provider, in the order of matching, with its address and keys", function()
    local data, rows = require "chatbot.providers", rows_of("Providers", 1)
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

describe("the README names", function()
  it("every option of the terminal chat", function()
    assert.same(found(terminal_options.help():match("\n\n  (.*)\n\n"), "%-%-([%l-]+)"),
      names_of("The terminal chat", 1, "%-%-([%l-]+)"))
  end)

  it("every command of the terminal chat", function()
    local code = assert(support.read_file("lua/chatbot/terminal.lua"))
    local names = {}
    for _, name in ipairs(found(code, "\ncommands%.(%l+) =")) do
      if name ~= "exit" then names[#names + 1] = name end
    end
    assert.same(names, names_of("The terminal chat", 2, "`/(%l+)"))
  end)

  it("every C file in the picture of the layers", function()
    local picture = ""
    for _, block in ipairs(section("Development").blocks) do
      if block.lang == "" then picture = block.code end
    end
    picture = picture:match("%-%-%-.*")
    local pipe = assert(io.popen(
      "ls src/*.c src/*/*.[ch] | sed 's/.*[/]//; s/[.][ch]$//' | sort -u"))
    local files = found(pipe:read("*a"), "[%w_]+")
    pipe:close()
    local drawn = {}
    for line in picture:gmatch("[^\n]+") do
      local words = line:sub(15):match("^([%l%d_, ]-)  ") or ""
      for name in words:gmatch("[%l%d_]+") do drawn[#drawn + 1] = name end
    end
    table.sort(drawn)
    assert.same(files, drawn)
  end)

  it("files and headings that are there", function()
    local anchors = {}
    for _, part in ipairs(sections) do
      anchors[part.heading:lower():gsub("[^%w -]", ""):gsub(" ", "-")] = true
    end
    for target in README:gmatch("%]%(([^)]+)%)") do
      local anchor = target:match("^#(.*)")
      if anchor then
        assert.truthy(anchors[anchor], target)
      elseif not target:find("^https://") then
        assert.truthy(io.open(target), target)
      end
    end
    for _, row in ipairs(rows_of("Development", 1)) do
      for path in row[1]:gmatch("`([^`]+)`") do assert.truthy(io.open(path), path) end
    end
  end)

  it("commands that work", function()
    local pipe = assert(io.popen("make -s --no-print-directory help"))
    local targets = {}
    for name in pipe:read("*a"):gmatch("\n?  make ([%l-]+)") do targets[name] = true end
    pipe:close()
    local makefile = assert(support.read_file("Makefile"))
    local commands = {}
    for command in README:gmatch("`(make[^`\n]*)`") do commands[#commands + 1] = command end
    for _, part in ipairs(sections) do
      for _, block in ipairs(part.blocks) do
        if block.lang == "sh" and part.heading ~= "LÖVE" then -- which love_spec.lua runs
          for line in block.code:gmatch("[^\n]+") do
            commands[#commands + 1] = line:gsub("%s+#.*$", "")
          end
        end
      end
    end
    assert.truthy(#commands > 20)
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
      ["README.md"] = '`chatbot._VERSION` | `"chatbot ([^"]*)"`',
      ["doc/chatbot.1"] = '^%.TH CHATBOT 1 [%d-]+ "chatbot ([^"]*)"',
      ["CHANGELOG.md"] = "\n## %[Unreleased%]\n.-\n## %[([^%]]*)%]",
    } do
      assert.equal(version, support.read_file(path):match(pattern), path)
    end
    assert.equal(version, README:match("build/dist/chatbot%-(%d[%d.]*)%-1%.src%.rock"))
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
