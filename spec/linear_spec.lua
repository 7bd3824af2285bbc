-- What comes from outside costs time in proportion to its length, whatever is in it:
-- each function is fed its worst bytes, and eight times as many of them.

local chatbot = require "chatbot"
local core = require "chatbot.core"
local support = require "spec.support"

local SMALL, LARGE = 64 * 1024, 512 * 1024
local RATIO = LARGE / SMALL * 3 -- three times as much as it should be is no proof yet
local SHORT = 0.5 -- seconds, below which a ratio says nothing on a busy machine
local LONG = 20 -- seconds that nothing may take

local UNITS = { " ", "\n", "\r\n", " \n", "\t", "<", "`", "```", "\\", '"', "'", "\240", "\255",
  "0", "1 ", "[", "{", "#", "# ", ".", ". ", "!", ",", "a", "a ", "\227\129\130", "\227\128\130",
  "i am ", "are you a ", "my dog ", "${", "A='\n", "A=${B}\n", "\\u", "\\ud83d", "-", "e" }

local function cost(fn, value)
  local from = os.clock()
  fn(value)
  return os.clock() - from
end

local function of(unit, size) return unit:rep(math.floor(size / #unit)) end

-- One look is enough where little time goes; the better of two, where more does.
local function is_linear(name, make, fn)
  local little, much = make(SMALL), make(LARGE)
  collectgarbage()
  local small = cost(fn, little)
  assert(small < LONG / RATIO * 2, ("%s: %.2f s for 64 KiB"):format(name, small))
  local large = cost(fn, much)
  if large < SHORT then return end
  small, large = math.max(small, cost(fn, little)), math.min(large, cost(fn, much))
  assert(large < small * RATIO and large < LONG,
    ("%s: %.3f s for 64 KiB, %.3f s for 512 KiB"):format(name, small, large))
end

local text = require "chatbot.common.text"
local eliza = require "chatbot.offline.eliza"
local summary = require "chatbot.summary"

local function ask(content) return eliza.answer { { role = "user", content = content } } end

-- A prompt on its way to a server that is not there.
local function send(prompt)
  local bot = chatbot.new { model = "m", base_url = "http://127.0.0.1:1/v1", max_retries = 0,
    replace_invalid_utf8 = true }
  assert(bot:stream(prompt)):close()
end

-- Each with what may stand around the bytes; and those that are slow, though linear, with
-- the bytes that are worth a try.
local FUNCTIONS = {
  { "text.strip", text.strip, { "%s", "x%sx" } },
  { "text.one_line", text.one_line, { "%s", "x%sx" } },
  { "text.unfenced", text.unfenced, { "%s", "```json\n%s", "```%s```" } },
  { "ELIZA", ask, { "%s" },
    { " ", "1 ", ".", "a", "\227\129\130", "i am ", "are you a ", "my dog " } },
  { "the offline server's words", require("chatbot.offline.words").split, { "%s", "x%sx" } },
  { "the offline server's JSON", require("chatbot.offline.json").decode,
    { "%s", '"%s"', '{"a":%s}', '["%s', "[%s]", '[""%s' } },
  { "what the offline server takes from a remark", require("chatbot.offline.invent").facts,
    { "%s", "x%sx" } },
  { "the offline server's seals", function(s)
    local seal = require "chatbot.offline.seal"
    seal.open(seal.close(s, s), s)
  end, { "%s" }, { "a", "\255" } },
  { "summary.estimate", summary.estimate, { "%s" } },
  { "summary.split", function(s) summary.split(s, 1000) end, { "%s", "# head\n\n%s\nx" },
    { " ", "\n", " \n", "#", "# ", ". ", "a", "\227\129\130" } },
  { "a dotenv file", require("chatbot.terminal.envfile").parse,
    { "%s", "A=%s}", "A='%s", 'A="%s"', "A=x%s#" } },
  { "the command line", function(s) require("chatbot.terminal.options").parse { "-m" .. s, s } end,
    { "%s", "--x%s=%s" } },
  { "json_decode", core.json_decode, { "%s", '"%s"', '{"a":%s}', '["%s', "[%s]", '[""%s' } },
  { "json_encode", core.json_encode, { "%s" } },
  { "repair", core.repair, { "%s", "x%sx" } },
  { "a tool's result", require("chatbot.bot.ask").content, { "%s" } },
  { "a prompt", send, { "x%s", "x%sx" } },
}

describe("the time for long texts grows with their length:", function()
  for _, case in ipairs(FUNCTIONS) do
    local name, fn, frames, units = case[1], case[2], case[3], case[4] or UNITS
    it(name, function()
      for _, unit in ipairs(units) do
        for _, frame in ipairs(frames) do
          is_linear(("%q in %q"):format(unit, frame), function(size)
            local bytes = of(unit, size)
            return (frame:gsub("%%s", function() return bytes end))
          end, fn)
        end
      end
    end)
  end
end)

describe("the time for many things grows with their number:", function()
  it("ELIZA's conversation", function()
    local function make(size)
      local messages = {}
      for i = 1, size / 32 do
        local remember = i < size / 64
        messages[i] = { role = "user", content = remember and "my dog is mine" or "oak" }
      end
      return messages
    end
    is_linear("remarks that are remembered", make, eliza.answer)
  end)

  local values = {
    list = function(size)
      local list = {}
      for i = 1, size do list[i] = i end
      return list
    end,
    ["list in the hash part"] = function(size)
      local list = {}
      for i = size, 1, -1 do list[i] = true end
      return list
    end,
    names = function(size)
      local names = {}
      for i = 1, size / 4 do names["name " .. i] = "" end
      return names
    end,
    tables = function(size)
      local list = {}
      for i = 1, size / 16 do list[i] = { a = { { i } } } end
      return list
    end,
  }
  for name, make in pairs(values) do
    it("json_encode, " .. name, function() is_linear(name, make, core.json_encode) end)
  end
end)

describe("an answer that is padded", function()
  after_each(support.close_all)

  for _, padding in ipairs { " ", "\n", "\t \n", "`", "```" } do
    it(("ends in time: %q"):format(padding), function()
      local bytes = of(padding, LARGE)
      for _, start in ipairs { "```json\n", '```json\n{"a":', "", '{"a":1}' } do
        local server = support.serve {
          support.sse({ start .. bytes }, { finish_reason = "length" }),
        }
        local bot = chatbot.new { model = "m", base_url = server.url, json = true, timeout = 20 }
        local from = os.clock()
        local value, err = bot:chat("x")
        assert.truthy(os.clock() - from < 5)
        if start == '{"a":1}' and not padding:find("`") then
          assert.truthy(value)
        else
          assert.equal("protocol", err.kind)
        end
        support.close_all()
      end
    end)
  end

  it("is read when it stands between fences", function()
    for _, answer in ipairs { '```json\n{"a":1}\n```', '  ```\n{"a":1}```\n', '```{"a":1}```',
      '```JSON5 {"a":1} ```' } do
      local server = support.serve { support.sse { answer } }
      local bot = chatbot.new { model = "m", base_url = server.url, json = true, timeout = 20 }
      local _, reply = bot:chat("x")
      assert.same({ a = 1 }, reply.parsed, answer)
    end
  end)
end)

describe("what a server sends costs no more than its length:", function()
  after_each(support.close_all)

  -- CPU seconds of a bot that reads this answer.
  local function seconds(script)
    local server = support.serve { script }
    local bot = chatbot.new { model = "m", base_url = server.url, timeout = 20, max_retries = 0,
      api_key = "sk-0123456789abcdefghijklmnopqrst" }
    local reply, from = assert(bot:stream("x")), os.clock()
    local answer, err = reply:result()
    from = os.clock() - from
    support.close_all()
    return from, answer, err
  end

  it("errors within errors, around a long text", function()
    local message = '{"message":"' .. of("much to say ", 8 * LARGE) .. '"}'
    local deep = ('{"errors":'):rep(7) .. message .. ("}"):rep(7)
    local json = { ["Content-Type"] = "application/json" }
    for _, body in ipairs { message, deep } do
      local cpu, _, err = seconds { support.http(200, json, body) }
      assert.equal("api", err.kind)
      assert.is_true(cpu < 0.5, ("%.3f s"):format(cpu))
    end
  end)

  it("the name of a call, in very many pieces", function()
    local function piece(name)
      return support.event(('{"choices":[{"delta":{"tool_calls":[{"index":0,"function":'
        .. '{"name":"%s"}}]}}]}'):format(name))
    end
    local head = support.head(200, { ["Content-Type"] = "text/event-stream" })
    local function call(name, pieces)
      local more = {}
      for i = 1, pieces do more[i] = piece("x" .. i) end
      return { head .. piece(name) .. table.concat(more) .. support.event "[DONE]",
        { close = true } }
    end
    local short = seconds(call("n", 20000))
    local long, _, reply = seconds(call(of("n", LARGE), 20000))
    assert.is_true(long < 4 * short + 0.2, ("%.3f s and %.3f s"):format(short, long))
    assert.equal(LARGE, #reply.tool_calls[1]["function"].name)
  end)
end)
