-- JSON as it is read, whichever decoder there is: what one refuses and another takes.

local core = require "chatbot.core"
local support = require "spec.support"

local DEPTH = 64

local function nested(open, close, depth) return open:rep(depth) .. close:rep(depth) end

describe("a JSON text", function()
  local good = {
    { "null", nil }, { "true", true }, { ' "x" ', "x" }, { "[]", {} }, { "{}", {} },
    { '[1,null,{"a":null,"b":[null]}]', { 1, nil, { b = {} } } },
    { '{"a":[],"b":{},"n":null}', { a = {}, b = {} } },
    { '["[[[","\\"[{","\\\\","{\\\\\\"["]', { "[[[", '"[{', "\\", '{\\"[' } },
    { '["NaN","+1",": 0x10, Infinity","-"]', { "NaN", "+1", ": 0x10, Infinity", "-" } },
    { '{"nan":1,"0x1":2,"-":3}', { nan = 1, ["0x1"] = 2, ["-"] = 3 } },
    { "[0,-1,10,0.5,-0.5,1e3,1E+3,1e-3,0e0]", { 0, -1, 10, 0.5, -0.5, 1000, 1000, 0.001, 0 } },
    { '"a\\ud83d\\ude00b"', "a\240\159\152\128b" },
    { '["\\ud83d",1000000000000000000000000]', { "\237\160\189", 1e24 } }, -- rewritten twice
  }
  for _, case in ipairs(good) do
    it(("is read: %s"):format(case[1]), function()
      local value, problem = core.json_decode(case[1])
      assert.is_nil(problem)
      assert.same(case[2], value)
    end)
  end

  for _, number in ipairs { "NaN", "nan", "-nan", "Infinity", "-Infinity", "inf", "-INF", "+1",
    "+", "-", "--1", "-+1", "0x10", "-0X1p3", "01", "-00", "n", "N", "i", "-x", "-.5", ".5",
    "5.", "-5.", "0.", "5.e1", "5.E+1", "1e5." } do
    it("is refused with the number " .. number, function()
      for _, text in ipairs { "[%s]", '{"a":%s}', '[1,"x",%s,2]', "%s", "[%s" } do
        text = text:format(number)
        local value, problem = core.json_decode(text)
        assert.is_nil(value, text)
        assert.equal("string", type(problem), text)
      end
    end)
  end

  it("is refused with a NUL, wherever it is", function()
    for text, at in pairs { ['{"a":1}\0'] = 8, ['[1]\0JUNK'] = 4, ["1\0"] = 2, ["\0[]"] = 1,
      ['[1,\0]'] = 4, ['["a\0b"]'] = 4 } do
      local value, problem = core.json_decode(text)
      assert.is_nil(value)
      assert.equal("a NUL at character " .. at, problem)
    end
  end)

  it("is refused with the place of what is wrong", function()
    assert.equal("invalid number at character 7", select(2, core.json_decode '["NaN"NaN]'))
    assert.equal("nested too deeply at character 65",
      select(2, core.json_decode(nested("[", "]", DEPTH + 1))))
  end)

  it("has a depth, and no more is read however it is written", function()
    for _, pair in ipairs { { "[", "]" }, { '{"a":', "1}" }, { ' [ "[" , ', "0]" },
      { '{"\\"":', "1}" } } do
      local open, close = pair[1], pair[2]
      local inner = close:match "%d" or "0"
      close = close:match "%W$"
      local function text(depth) return open:rep(depth) .. inner .. close:rep(depth) end
      assert.equal("table", type(core.json_decode(text(DEPTH))), open)
      for _, depth in ipairs { DEPTH + 1, 1001, 100000 } do
        for _, deep in ipairs { text(depth), open:rep(depth), "[1," .. text(depth) .. "]" } do
          local value, problem = core.json_decode(deep)
          assert.is_nil(value)
          assert.truthy(problem:find("nested too deeply", 1, true), problem)
        end
      end
    end
    local wide = "[" .. ("[[]],"):rep(100000) .. "[]]"
    assert.equal(100001, #core.json_decode(wide))
  end)

  it("that is cut anywhere, or has any byte anywhere, is read or refused", function()
    local text = '{"a":[1,-2.5e+3,"\\ud83d\\\\",null,true,-0,123456789012345678901]}'
    for i = 0, #text do
      local value, problem = core.json_decode(text:sub(1, i))
      assert.equal(i == #text and "table" or "nil", type(value))
      assert.equal(i < #text, problem ~= nil)
      for byte = 0, 255 do
        value, problem = core.json_decode(text:sub(1, i) .. string.char(byte) .. text:sub(i + 1))
        assert.is_true(value ~= nil or type(problem) == "string")
      end
    end
  end)

  -- To the last bit, also where the decoder has 64 bits for whole numbers.
  for _, digits in ipairs { "9007199254740991", "9223372036854775807", "9223372036854775808",
    "9999999999999999999", "10000000000000000000", "18446744073709551616",
    "1" .. ("0"):rep(300), "12345678901234567890123" } do
    it("has the whole number " .. digits:sub(1, 30) .. ", and that below zero", function()
      for _, sign in ipairs { "", "-" } do
        local value = core.json_decode("[" .. sign .. digits .. "," .. digits .. "]")
        assert.equal(tonumber(sign .. digits .. ".0"), value[1] + 0.0)
        assert.equal(tonumber(digits .. ".0"), value[2] + 0.0)
      end
    end)
  end

  it("has its point whatever the locale says", function()
    local old, tried = os.setlocale(nil, "numeric"), 0
    for _, name in ipairs { "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ps_AF.UTF-8" } do
      if os.setlocale(name, "numeric") then
        tried = tried + 1
        local value = core.json_decode '[1.5,"1,5",123456789012345678901]'
        os.setlocale(old, "numeric")
        assert.same({ 1.5, "1,5", 123456789012345678901.0 }, value)
      end
    end
    collectgarbage() -- what was made for the other locales goes, and is not missed
    collectgarbage()
    assert.same({ 1.5 }, (core.json_decode "[1.5]"))
    if tried == 0 then pending "no locale with another decimal point is here" end
  end)

  it("is read in time that grows with its length only", function()
    for _, text in ipairs { ('"\\'):rep(500000), '"' .. ("\\u"):rep(500000),
      ("-"):rep(1000000), "[" .. ("123456789012345678901,"):rep(50000) .. "1]" } do
      local before = support.now()
      core.json_decode(text)
      assert.is_true(support.now() - before < 5)
    end
  end)
end)

describe("a lua-cjson", function()
  local NOT_FOUND = "module 'cjson' not found"
  for what, row in pairs {
    ["that is not there"] = { ("error(%q)"):format(NOT_FOUND), " is missing" },
    ["that does not load"] = { "error 'undefined symbol: x'", " is broken: .*undefined symbol: x" },
    ["that fails with no text"] = { "error {}", " is broken: table: " },
  } do
    it(what .. " is called that", function()
      local result = support.run_lua(([[
        local core = require "chatbot.core"
        package.loaded.cjson, package.preload.cjson = nil, function() %s end
        print(select(2, core.json_decode "[]"))
      ]]):format(row[1]))
      assert.matches("^the Lua module cjson %(lua%-cjson%)" .. row[2], result.out)
    end)
  end
end)
