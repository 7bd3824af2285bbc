-- What the offline server answers, whatever the dialect, and what it is made of.

local invent = require "chatbot.offline.invent"
local json = require "chatbot.offline.json"
local kept = require "chatbot.offline.kept"
local mind = require "chatbot.offline.mind"
local seal = require "chatbot.offline.seal"
local strict = require "chatbot.offline.strict"
local tools = require "chatbot.offline.tools"

describe("the offline server's JSON", function()
  local cases = { "{}", "[]", "[[],{}]", '{"a":[{}],"b":null}', '"\\u0001\\"\\\\é\\n"', "-1.5",
    "true", "false", "null", "12", '"日本"', '["\\u007f"]' }
  for _, text in ipairs(cases) do
    it("writes what it has read: " .. text, function()
      assert.equal(text, json.encode((json.decode(text))))
    end)
  end

  it("reads escapes, pairs of halves and numbers", function()
    assert.equal("\240\159\152\128é/\t", json.decode '"\\ud83d\\ude00\\u00e9\\/\\t"')
    assert.equal(1200, json.decode "1.2e3")
    assert.equal("a", json.decode ' { "x" : [ "a" ] } '.x[1])
  end)

  local wrong = { "", " ", "{", "[1,]", "[1 2]", "{a:1}", '{"a" 1}', '{"a":1,}', "01", "+1", ".5",
    "1.", "1e", "nul", "tru", '"\\x"', '"\\u12"', '"\\ud83d"', '"\\ude00"', '"a\nb"', '"a', "1 2",
    "NaN", "'a'", ("["):rep(65) .. ("]"):rep(65), ("["):rep(1e6) }
  for _, text in ipairs(wrong) do
    it(("refuses %q"):format(text:sub(1, 20)), function()
      local value, problem = json.decode(text)
      assert.is_nil(value)
      assert.matches("at character %d+$", problem)
    end)
  end

  it("takes 64 levels", function()
    assert.truthy(json.decode(("["):rep(64) .. ("]"):rep(64)))
  end)

  it("writes members in the order that is chosen", function()
    local encode = json.encoder { "type", "id" }
    assert.equal('{"type":1,"id":2,"a":3,"b":4}', encode { a = 3, b = 4, id = 2, type = 1 })
  end)
end)

describe("a value that fits a schema", function()
  local function made(schema, remark, all)
    local facts = invent.facts(remark)
    facts.all = all
    return json.encode(invent.value(json.decode(schema), facts))
  end
  local cases = {
    { "a name", '{"type":"string"}', "What is the weather in Oslo?", '"Oslo"' },
    { "what is quoted", '{"type":"string"}', 'Read "a b.txt", Sir.', '"a b.txt"' },
    { "a number", '{"type":"integer"}', "I want 12 of them", "12" },
    { "a number in words", '{"type":"integer"}', "a dozen apples", "12" },
    { "a fraction", '{"type":"number"}', "It costs 2.5.", "2.5" },
    { "no more than the maximum", '{"type":"integer","maximum":5}', "I want 12", "5" },
    { "no less than the minimum", '{"type":"integer","minimum":3}', "none", "3" },
    { "a member of an enumeration", '{"enum":["red","blue"]}', "a Blue one", '"blue"' },
    { "the first of it", '{"enum":["red","blue"]}', "a green one", '"red"' },
    { "a constant", '{"const":7}', "x", "7" },
    { "a truth", '{"type":"boolean"}', "do it", "true" },
    { "an untruth", '{"type":"boolean"}', "do not do it", "false" },
    { "nothing", '{"type":"null"}', "x", "null" },
    { "what may be null", '{"type":["null","string"]}', "oak", '"oak"' },
    { "the first that is not null", '{"anyOf":[{"type":"null"},{"type":"integer"}]}', "3", "3" },
    { "all parts", '{"allOf":[{"type":"object"},{"properties":{"a":{"type":"integer"}}}]}', "3",
      '{"a":3}' },
    { "a reference", '{"$ref":"#/$defs/n","$defs":{"n":{"type":"integer"}}}', "3", "3" },
    { "an array", '{"type":"array","items":{"type":"integer"},"minItems":2}', "3 4", "[3,4]" },
    { "an empty array", '{"type":"array","maxItems":0}', "3 4", "[]" },
    { "a date", '{"type":"string","format":"date"}', "x", '"1966-01-01"' },
    { "a short text", '{"type":"string","maxLength":2}', "日本語", '"日本"' },
    { "only what must be there", '{"type":"object","properties":{"a":{"type":"integer"},'
      .. '"b":{"type":"integer"}},"required":["b"]}', "9", '{"b":9}' },
    { "what is there for more", '{"type":"object","properties":{"a":{"type":"integer"},'
      .. '"b":{"type":"integer"}},"required":["b"]}', "9 8", '{"a":8,"b":9}' },
    { "a schema that says nothing", "{}", "oak", '"oak"' },
    { "any schema", "true", "oak", '"oak"' },
  }
  for _, case in ipairs(cases) do
    it("is " .. case[1], function() assert.equal(case[4], made(case[2], case[3])) end)
  end

  it("has all members for an answer", function()
    assert.equal('{"a":0}', made('{"properties":{"a":{"type":"integer"}}}', "oak", true))
  end)

  it("ends though the schema refers to itself", function()
    local text = made('{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{'
      .. '"type":"array","minItems":99,"items":{"$ref":"#"}}},"required":["a","b","c"]}', "x")
    assert.truthy(#text < 100000)
  end)
end)

describe("the tools that are called", function()
  local TOOLS = {
    { name = "weather", schema = json.decode '{"properties":{"city":{"type":"string"}}}' },
    { name = "get_current_time", schema = {} },
    { name = "open_door", schema = {} },
    { name = "placeOrder", schema = json.decode
      '{"properties":{"fruit":{"type":"string"},"count":{"type":"integer"}}}' },
  }
  local function called(remark, more)
    local request = { tools = TOOLS }
    for name, value in pairs(more or {}) do request[name] = value end
    local list = {}
    for i, call in ipairs(tools.calls(request, remark, request.fresh ~= false)) do
      list[i] = call.name .. call.arguments
    end
    return table.concat(list, " ")
  end

  it("are those whose names are mentioned", function()
    assert.equal('weather{"city":"Oslo"}', called "What is the weather in Oslo?")
    assert.equal("open_door{}", called "Open the door, please.")
    assert.equal("get_current_time{}", called "What time is it?")
    assert.equal('placeOrder{"count":12,"fruit":"apples"}', called "Order a dozen apples.")
    assert.equal("weather{} get_current_time{}", called "The weather, and the current time")
    assert.equal("", called "I am sad.")
  end)

  it("are none once they have answered, nor when they must not be", function()
    assert.equal("", called("What is the weather?", { fresh = false }))
    assert.equal("", called("What is the weather?", { choice = "none" }))
  end)

  it("are one where there must be, or may not be more", function()
    assert.equal('weather{"city":"Hm"}', called("Hm", { choice = "required" }))
    assert.equal("open_door{}", called("Hm", { choice = { name = "open_door" } }))
    assert.equal("weather{}", called("The weather, and the current time", { parallel = false }))
  end)
end)

describe("an answer of the offline server", function()
  local function user(text) return { role = "user", content = text } end
  local function text_of(answer)
    local texts = {}
    for i, part in ipairs(answer.parts) do texts[i] = table.concat(part.words) end
    return table.concat(texts, "|")
  end
  local WEATHER = { name = "weather", schema = {} }
  local ASKED = { user "The weather?", { role = "assistant", tool_calls = json.list { {
    id = "1", ["function"] = { name = "weather", arguments = "{}" } } } },
    { role = "tool", tool_call_id = "1", content = "rain" } }

  it("tells what tools have said", function()
    local answer = mind.answer { messages = ASKED, tools = { WEATHER } }
    assert.equal("weather says: rain", text_of(answer))
    assert.equal("stop", answer.finish)
  end)

  it("fits a schema, with what tools have said", function()
    local schema = json.decode '{"properties":{"sky":{"type":"string"}}}'
    assert.equal('{"sky":"weather says: rain"}',
      text_of(mind.answer { messages = ASKED, schema = schema }))
    assert.equal('{"answer":"weather says: rain"}',
      text_of(mind.answer { messages = ASKED, schema = true }))
  end)

  it("thinks first, and counts it", function()
    local answer = mind.answer { messages = { user "Oak" }, thinks = true }
    assert.equal("thoughts", answer.parts[1].kind)
    assert.equal("text", answer.parts[2].kind)
    assert.equal(#answer.parts[1].words, answer.usage.reasoning)
    assert.equal(#answer.parts[1].words + #answer.parts[2].words, answer.usage.output)
    assert.equal(1, answer.usage.input)
  end)

  it("is cut in thoughts and text, but never in a call", function()
    local answer = mind.answer { messages = { user "Oak" }, thinks = true, limit = 3 }
    assert.equal("The last remark ", text_of(answer))
    assert.equal("length", answer.finish)
    local schema = json.decode '{"properties":{"a":{"const":"one two three four"}}}'
    answer = mind.answer { messages = { user "weather" }, limit = 2,
      tools = { { name = "weather", schema = schema } } }
    assert.same({}, answer.parts)
    assert.equal("length", answer.finish)
    assert.equal(0, answer.usage.output)
  end)

  it("ends before the first of the texts that stop it", function()
    local answer = mind.answer { messages = { user "Hello" }, stops = { "", "model", "am" } }
    assert.equal("I ", text_of(answer))
    assert.equal("am", answer.stopped)
  end)
end)

describe("a seal", function()
  it("opens to its text, bound to what it was bound to", function()
    for _, text in ipairs { "", "x", "abcd", "日本\0\255" } do
      local sealed = seal.close(text, "here")
      assert.equal(0, #sealed % 4)
      local opened, fits = seal.open(sealed, "here")
      assert.equal(text, opened)
      assert.is_true(fits)
      assert.is_false(select(2, seal.open(sealed, "there")))
    end
  end)

  it("does not open when a character is another", function()
    local sealed = seal.close("some text", "here", 7)
    assert.are_not.equal(sealed, seal.close("some text", "here", 8))
    for i = 1, #sealed do
      local other = sealed:sub(i, i) == "0" and "1" or "0"
      assert.is_nil(seal.open(sealed:sub(1, i - 1) .. other .. sealed:sub(i + 1), "here"))
    end
    assert.is_nil(seal.open("", ""))
    assert.is_nil(seal.open("gAAAAABo", ""))
  end)
end)

describe("the responses that are kept", function()
  local function entry(id, bytes)
    return { response = { output = { { id = "item_" .. id } } }, bytes = bytes }
  end

  it("are the newest, by number and by bytes", function()
    local list = kept.new(3, 100)
    for i = 1, 5 do list:put(tostring(i), entry(i, 1)) end
    assert.is_nil(list:get "2")
    assert.is_nil(list:item "item_2")
    assert.truthy(list:get "3")
    assert.truthy(list:item "item_3")
    list:put("6", entry(6, 99))
    assert.is_nil(list:get "4")
    assert.truthy(list:get "5" and list:get "6")
    assert.is_true(list:remove "6")
    assert.is_false(list:remove "6")
    list:put("7", entry(7, 99))
    assert.truthy(list:get "5")
  end)
end)

describe("a strict schema", function()
  local cases = {
    { '{"type":"string"}' },
    { '{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}' },
    { '{"type":"object","additionalProperties":false,"properties":{"a":{}}}', "Missing 'a'" },
    { '{"type":"object"}', "In context=(), 'additionalProperties'",
      "'additionalProperties' must be" },
    { '{"type":"array","items":{"type":"object"}}', "In context=('items',), ",
      "'additionalProperties' must be" },
    { '{"anyOf":[{"type":"object"}]}', "In context=('anyOf', '0'), ",
      "'additionalProperties' must be" },
    { '{"type":"integer","minimum":1}', nil, "For 'integer' type, property 'minimum'" },
    { '{"type":"array","minItems":2}', nil, "'minItems' values other than 0 or 1" },
  }
  for _, case in ipairs(cases) do
    it("is one, or why not: " .. case[1], function()
      for name, expected in pairs { openai = case[2] or false, anthropic = case[3] or false } do
        local why = strict[name](json.decode(case[1]))
        if expected then assert.matches(expected, why, 1, true) else assert.is_nil(why) end
      end
    end)
  end
end)
