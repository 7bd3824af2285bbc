-- The module against the offline server, which is strict: tools, schemas, reasoning,
-- images, limits, whole and streamed.

local chatbot = require "chatbot"
local offline = require "chatbot.offline"
local support = require "spec.support"

local CITY = { type = "object", properties = { city = { type = "string" } } }
local COUNT = { type = "object", properties = { count = { type = "integer" } },
  required = { "count" }, additionalProperties = false }

describe("the module and the offline server", function()
  local server

  setup(function()
    server = assert(offline.start { interpreter = support.interpreter(), delay = 0 })
  end)

  teardown(function()
    if server then server.stop() end
  end)

  local ways = {}
  for _, api in ipairs { "chat", "responses", "messages" } do
    for _, form in ipairs { "streamed", "whole" } do
      ways[#ways + 1] = { name = api .. ", " .. form, api = api, stream = form == "streamed" }
    end
  end

  for _, is in ipairs(ways) do
    local way = is.name

    local function new(more)
      local options = { model = server.model, base_url = server.base_url, api = is.api,
        stream = is.stream }
      for name, value in pairs(more or {}) do options[name] = value end
      return chatbot.new(options)
    end

    it("run tools, and go on: " .. way, function()
      local bot = new { system = "Be kind.", tools = { { name = "weather", parameters = CITY,
        call = function(args) return { city = args.city, sky = "rain" } end } } }
      local answer, reply = bot:chat "What is the weather in Oslo?"
      assert.equal('weather says: {"city":"Oslo","sky":"rain"}', answer, tostring(reply))
      assert.equal("complete", reply.status)
      assert.equal(5, #bot:get_messages())
      assert.truthy(bot:chat "I am sad.")
      assert.truthy(bot:chat "And the weather in Rome?")
      assert.equal(11, #bot:get_messages())
    end)

    it("leave tools to the program: " .. way, function()
      local bot = new { tools = { { name = "open_door" } } }
      local _, reply = bot:chat "Open the door, please."
      assert.equal("tool_calls", reply.status)
      bot:tool_result(reply.tool_calls[1].id, "The door is open.")
      assert.equal("open_door says: The door is open.", (bot:chat()))
    end)

    it("answer by a schema: " .. way, function()
      local _, reply = new():chat("Are they 7 or 8?", { schema = COUNT })
      assert.same({ count = 7 }, reply.parsed)
      _, reply = new():chat("Hello", { json = true })
      if is.api == "messages" then -- which asks for it by a tool
        assert.equal("table", type(reply.parsed))
      else
        assert.matches("no language model", reply.parsed.answer)
      end
    end)

    it("run tools, and answer by a schema: " .. way, function()
      local asked = 0
      local _, reply = new { tools = { { name = "weather", parameters = CITY, call = function()
        asked = asked + 1
        return "rain"
      end } } }:chat("What is the weather in Oslo, 7 or 8?", { schema = COUNT })
      assert.same({ 1, "number" }, { asked, type(reply.parsed.count) })
    end)

    it("think, and have it back: " .. way, function()
      local bot = new { reasoning = "low", tools = { { name = "weather", parameters = CITY,
        call = function() return "rain" end } } }
      local answer, reply = bot:chat "What is the weather in Oslo?"
      assert.equal("weather says: rain", answer, tostring(reply))
      assert.equal("string", type(reply.reasoning))
      local native = bot:get_messages()[2].native
      assert.equal(is.api ~= "chat", native ~= nil)
      assert.truthy(bot:chat "Why?")
    end)

    it("think: " .. way, function()
      local bot = new()
      local _, reply = bot:chat("I am sad.", { reasoning_effort = "low" })
      assert.matches("I am sad", reply.reasoning)
      assert.truthy(bot:chat("Why?", { reasoning_effort = "low" }))
    end)

    it("send images: " .. way, function()
      local bytes = "\137PNG\r\n\26\n" .. ("\0\1\2\3"):rep(16)
      local answer = new():chat { assert(chatbot.image(bytes)) }
      assert.matches("I cannot see pictures", answer)
    end)

    it("know a limit, and count: " .. way, function()
      local _, reply = new():chat("Hello", { max_tokens = 20 })
      assert.equal("length", reply.status)
      assert.equal(1, reply.usage.prompt_tokens)
      assert.equal(20, reply.usage.completion_tokens)
    end)
  end
end)
