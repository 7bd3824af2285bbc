-- What spec/machines/oom.c runs with an allocation that fails: a whole life of a
-- bot. A failure may surface as an error of Lua or as an error table of kind
-- "memory"; what is delivered must be true, and afterwards all works again.

local url, answer_wanted = ...

local chatbot = require "chatbot"
require "cjson"

local function wrong(text) error("WRONG: " .. text, 0) end

arm()
local ok, err = pcall(function()
  local bot = chatbot.new { model = "m", base_url = url, api_key = "sk-oom-canary",
    max_retries = 0, timeout = 5, system = "Be brief." }
  local got = {}
  local answer, reply = bot:chat("hello", { on_text = function(t) got[#got + 1] = t end })
  if answer then
    if answer ~= answer_wanted then wrong("a false answer: " .. answer) end
    if table.concat(got) ~= answer_wanted then wrong("false pieces") end
    if #bot:get_messages() ~= 3 then wrong("the conversation is off") end
  else
    if not answer_wanted:find(reply.partial or "", 1, true) then wrong("a false part") end
    if #bot:get_messages() ~= 1 then wrong("the prompt was left in the conversation") end
    error(reply, 0)
  end
  for text in bot:stream("again"):chunks() do got[#got + 1] = text end
  bot:set_model("gpt-4.1", { base_url = url })
  return bot:get_messages()[1].content
end)
disarm()
if not ok and tostring(err):find("WRONG", 1, true) then error(err, 0) end

-- the state is unharmed
local bot = chatbot.new { model = "m", base_url = url, max_retries = 0, timeout = 5 }
local answer, failure = bot:chat("hello")
if answer ~= answer_wanted then wrong("afterwards: " .. tostring(failure)) end
