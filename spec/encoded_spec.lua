-- The JSON that is written of Lua values: the same data, or a refusal that says where.

local chatbot = require "chatbot"
local cjson = require "cjson"
local core = require "chatbot.core"
local support = require "spec.support"

describe("a table", function()
  local good = {
    { "without entries is an object", {}, "{}" },
    { "that is marked is a list", core.array {}, "[]" },
    { "with places is a list", { 1, "x", true, { 2 } }, '[1,"x",true,[2]]' },
    { "with a name is an object", { a = { b = 1 } }, '{"a":{"b":1}}' },
    { "with a number as a name is an object", { ["1"] = 1 }, '{"1":1}' },
    { "that is marked has null in its gaps", core.array { 1, nil, 3 }, "[1,null,3]" },
    { "may hold null", { cjson.null, x = nil }, "[null]" },
    { "counts as it is, whatever its metatable says",
      setmetatable({ a = 1 }, { __index = error, __pairs = error, __len = error }), '{"a":1}' },
  }
  for _, case in ipairs(good) do
    it(case[1], function() assert.equal(case[3], core.json_encode(case[2])) end)
  end

  it("that is a list in the hash part is a list", function()
    local list = {}
    for i = 100, 1, -1 do list[i] = i end
    assert.equal(table.concat(list, ","), core.json_encode(list):match "^%[(.*)%]$")
  end)

  it("that lost a null when it was read is written with it", function()
    assert.equal('[1,null,{"a":[null,2]}]',
      core.json_encode(core.json_decode '[1,null,{"a":[null,2]}]'))
  end)

  local bad = {
    { "names beside places", { 1, 2, x = 1 }, "it is a list, but has the name 'x'" },
    { "a table among the names beside places", { a = { 1, x = {} } }, "a is a list" },
    { "a gap", { a = { [1] = "a", [3] = {} } }, "a has numbers for keys" },
    { "a gap at the front", { [2] = 1 }, "it has numbers for keys" },
    { "a far place", { { 1, [10000] = 2 } }, "[1] has numbers for keys" },
    { "a far place in a list that is marked", core.array { [10000] = 1 }, "numbers for keys" },
    { "a name in a list that is marked", core.array { x = 1 }, "the name 'x'" },
    { "zero as a place", { [0] = 1 }, "has a key that is a number" },
    { "a fraction as a key", { [1.5] = 1 }, "has a key that is a number" },
    { "a truth as a key", { a = { b = { [true] = {} } } }, "a.b has a key that is a boolean" },
    { "a table as a key", { [{}] = 1 }, "has a key that is a table" },
    { "a function", { { content = { {}, { text = print } } } },
      "[1].content[2].text is a function" },
    { "a coroutine", { a = coroutine.create(function() end) }, "a is a thread" },
    { "a userdata", { a = io.stdout }, "a is a userdata" },
    { "infinity", { a = { 1, 1 / 0 } }, "a[2] is no number that JSON has (inf)" },
    { "what is no number", { a = 0 / 0 }, "a is no number that JSON has (nan)" },
    { "a function under a strange name", { ["a\nb"] = { c = print } }, "(...).c is a function" },
  }
  for _, case in ipairs(bad) do
    it("is refused for " .. case[1], function()
      local text, problem = core.json_encode(case[2])
      assert.is_nil(text)
      assert.matches(case[3], problem, 1, true)
      assert.not_matches("\n", problem, 1, true)
    end)
  end
end)

describe("a number", function()
  local values = { 0, 1, -1, 0.1, 0.1 + 0.2, 1 / 3, 100000000000000.5, 2 ^ 53, 2 ^ 53 + 2, 2 ^ 63,
    -2 ^ 63, 1e300, 1e-300, 5e-324, 1.7976931348623157e308, 123456.789, 99999999999999.9,
    1e14, 1e15, 1e21, rawget(math, "mininteger"), rawget(math, "maxinteger") }

  local function numbers_of(text)
    local list = {}
    for number in text:gmatch("[^%[%],]+") do list[#list + 1] = tonumber(number) end
    return list
  end

  it("reads back as what it was", function()
    local text = core.json_encode(values)
    assert.same(values, numbers_of(text))
    local long = core.json_encode { 0.1, 100000000000000.5, 0.1 + 0.2, 2 ^ 53 }
    assert.equal("[0.1,100000000000000.5,0.30000000000000004,9007199254740992]", long)
  end)

  it("may be minus zero, both ways", function()
    local zero = 0
    local text = core.json_encode { -1 / (1 / zero) } -- no constant, which compilers fold
    assert.equal("[-0]", text)
    assert.equal(-1 / zero, 1 / core.json_decode(text)[1])
  end)

  it("has a point whatever the locale says", function()
    local old = os.setlocale(nil, "numeric")
    for _, name in ipairs { "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ps_AF.UTF-8" } do
      if os.setlocale(name, "numeric") then
        local text = core.json_encode { 1.5, 1e300, 0.1 + 0.2 }
        os.setlocale(old, "numeric")
        assert.equal("[1.5,1e+300,0.30000000000000004]", text)
      end
    end
  end)
end)

describe("a table that reaches itself", function()
  -- As many references to one below as the text says, `depth` tables deep.
  local function shared(depth, leaf)
    for _ = 1, depth do leaf = { leaf, leaf } end
    return leaf
  end

  local function world()
    local all = { name = "tavern", guests = {} }
    for i = 1, 3 do all.guests[i] = { name = "guest " .. i, world = all } end
    return all
  end

  it("is refused, with the way to it", function()
    local text, problem = core.json_encode(world())
    assert.is_nil(text)
    assert.equal("guests[1].world contains itself", problem)
    local own = {}
    own[1] = own
    assert.equal("[1] contains itself", select(2, core.json_encode(own)))
  end)

  it("is refused at once, however large it is", function()
    local list = {}
    for i = 1, 1e5 do list[i] = i end
    list[#list + 1] = { list }
    local from = os.clock()
    assert.is_nil((core.json_encode(list)))
    assert.truthy(os.clock() - from < 2)
  end)

  for name, leaf in pairs { ["nothing"] = {}, ["a name"] = { a = 1 }, ["text"] = ("x"):rep(1e5) } do
    it("twice, and so on, to " .. name .. ", is refused in bounded time", function()
      local from = os.clock()
      local text, problem = core.json_encode(shared(50, leaf))
      assert.is_nil(text)
      assert.matches("^it .*too", problem)
      assert.truthy(os.clock() - from < 10)
    end)
  end

  it("may be in several places of what is not too large", function()
    local part = { 1 }
    assert.equal("[[1],[1],[1]]", core.json_encode { part, part, part })
    assert.equal(2 ^ 11 - 1, select(2, core.json_encode(shared(10, {})):gsub("[%[{]", "")))
  end)

  it("is refused when it is nested too deeply", function()
    local deep = {}
    for _ = 1, 63 do deep = { deep } end
    assert.truthy(core.json_encode(deep))
    assert.equal("it is nested too deeply", select(2, core.json_encode { deep }))
    for _ = 1, 1e5 do deep = { deep } end
    assert.equal("it is nested too deeply", select(2, core.json_encode(deep)))
  end)

  it("is told to the model when it is what a tool gives back", function()
    local call = { { index = 0, id = "c1", type = "function",
      ["function"] = { name = "look", arguments = "{}" } } }
    local server = support.serve { support.http(200, {}, { choices = { { index = 0,
      finish_reason = "tool_calls", message = { role = "assistant",
        tool_calls = support.array(call) } } } }), support.sse { "ok" } }
    local bot = chatbot.new { model = "m", base_url = server.url, timeout = 5,
      tools = { { name = "look", call = world } } }
    assert.equal("ok", bot:chat "look around")
    local messages = server:requests()[2].json.messages
    assert.matches("guests[1].world contains itself", messages[#messages].content, 1, true)
    support.close_all()
  end)
end)

describe("a request", function()
  after_each(support.close_all)

  local function refused(kind, prompt, call, opts)
    local server = support.serve { support.sse { "x" } }
    opts = opts or {}
    opts.model, opts.base_url = "m", server.url
    local bot = chatbot.new(opts)
    local answer, err = bot:chat(prompt, call)
    assert.is_nil(answer)
    assert.equal(kind, err.kind)
    assert.same({}, bot:get_messages())
    assert.equal(0, #server:requests())
    return err.message
  end

  it("names the field that has no JSON, and the place in it", function()
    assert.equal("the field 'logit_bias' cannot be sent: it has numbers for keys, but is no list "
      .. "from 1 on without gaps (names are strings)",
      refused("config", "x", { logit_bias = { [50256] = -100 } }))
    assert.equal("the field 'meta' cannot be sent: a[2].b is a function",
      refused("config", "x", { meta = { a = { 1, { b = print } } } }))
  end)

  it("names the message that has no JSON, and the place in it", function()
    assert.equal("message 1 cannot be sent: content[1].text is not valid UTF-8 (byte 0xFF)",
      refused("config", { { type = "text", text = "a\255" } }))
    assert.equal("message 1 cannot be sent: content is not valid UTF-8 (byte 0xC0)",
      refused("config", ("x"):rep(5000) .. "\192"))
  end)

  it("takes messages as they are, whatever their metatables say", function()
    local server = support.serve { support.sse { "x" } }
    local bot = chatbot.new { model = "m", base_url = server.url }
    local hostile = { __index = error, __pairs = error, __len = error }
    bot:get_messages()[1] = setmetatable({ role = "user", content = "a" }, hostile)
    bot:get_messages()[2] = setmetatable({ role = "assistant", content = "b" }, hostile)
    assert.equal("x", bot:chat "c")
    assert.same({ { role = "user", content = "a" }, { role = "assistant", content = "b" },
      { role = "user", content = "c" } }, server:requests()[1].json.messages)
  end)

  it("has a limit, which parts and fields are counted for", function()
    local max = { max_request_bytes = 3000 }
    local long = ("x"):rep(2000)
    for _, case in ipairs {
      { { { type = "text", text = long }, { type = "text", text = long } } },
      { long, { a = long } }, { "x", { a = { long, long } } }, { long, { [long] = 1 } },
    } do
      assert.matches("max_request_bytes", refused("limit", case[1], case[2], max), 1, true)
    end
  end)

  it("replaces what is not UTF-8 where it is told to, names and long texts too", function()
    local server = support.serve { support.sse { "x" } }
    local bot = chatbot.new { model = "m", base_url = server.url, replace_invalid_utf8 = true }
    local long = ("x"):rep(5000)
    assert.truthy(bot:chat({ { type = "text", text = long .. "\255" } },
      { meta = { ["a\255"] = "\240\159" } }))
    local body = server:requests()[1].json
    assert.equal(long .. "\239\191\189", body.messages[1].content[1].text)
    assert.same({ ["a\239\191\189"] = "\239\191\189" }, body.meta)
  end)

  it("says the same of long parts as of short ones, turn by turn", function()
    local server = support.serve { support.sse { "x" } }
    local bot = chatbot.new { model = "m", base_url = server.url }
    local parts = { { type = "text", text = ("\\\"\n"):rep(700) },
      { type = "text", text = ("日"):rep(700) } }
    for _ = 1, 3 do assert.truthy(bot:chat(parts)) end
    bot:get_messages()[1].content[1].text = ("other"):rep(700)
    assert.truthy(bot:chat "last")
    local messages = server:requests()[4].json.messages
    assert.equal(("other"):rep(700), messages[1].content[1].text)
    assert.same(parts, messages[3].content)
    assert.same(parts[2], messages[1].content[2])
  end)
end)
