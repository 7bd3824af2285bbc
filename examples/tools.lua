-- A model that can look things up: functions of ours that it may call.
--
--   lua5.4 examples/tools.lua ["a question" [MODEL]]
--
-- The bot runs the functions and goes on until there is an answer. What a
-- function raises, or returns after nil, is told to the model.

local chatbot = require "chatbot"

local function object(properties, required)
  return { type = "object", properties = properties, required = required,
    additionalProperties = false }
end

local stock = { apples = 12, pears = 0, plums = 40 }

local tools = {
  {
    name = "today",
    description = "The date of today, as YYYY-MM-DD, and the weekday.",
    call = function() return os.date "%Y-%m-%d, %A" end,
  },
  {
    name = "stock",
    description = "How many pieces of a fruit the shop has.",
    parameters = object({ fruit = { type = "string" } }, { "fruit" }),
    call = function(args)
      local count = stock[args.fruit]
      if not count then return nil, "the shop does not sell " .. tostring(args.fruit) end
      return { fruit = args.fruit, count = count }
    end,
  },
  {
    name = "order",
    description = "Orders pieces of a fruit, and returns how many are left.",
    parameters = object({ fruit = { type = "string" }, count = { type = "integer" } },
      { "fruit", "count" }),
    call = function(args)
      local left = (stock[args.fruit] or 0) - args.count
      assert(args.count > 0 and left >= 0, "there are not as many")
      stock[args.fruit] = left
      return left
    end,
  },
}

local bot = chatbot.new {
  model = arg[2] or "gpt-4.1",
  system = "You serve in a fruit shop. Be brief.",
  tools = tools,
  on_tool = function(event)
    if event.done then print(("[%s: %s]"):format(event.name, event.error or "done")) end
  end,
}

local answer, err = bot:chat(arg[1] or "Order a dozen apples and a pear for tomorrow.")
if not answer then
  io.stderr:write("tools.lua: ", tostring(err), "\n")
  os.exit(1)
end
print(answer)
print(("(%d messages, %d tokens)"):format(#bot:get_messages(), bot:get_usage().total_tokens))
