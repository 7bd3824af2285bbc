-- Two turns of one conversation, the second with another provider.
--
--   lua5.4 examples/chat.lua                             OpenAI, then Gemini
--   lua5.4 examples/chat.lua grok-4 llamaserver:any      any two models
--
-- Keys come from the environment (OPENAI_API_KEY, GOOGLE_API_KEY, ...). In a
-- checkout, `eval "$(make -s env)"` tells Lua where the module is.

local chatbot = require "chatbot"

local first = arg[1] or "gpt-4.1"
local second = arg[2] or "gemini-2.5-flash"

local bot = chatbot.new { model = first, system = "Answer in one short paragraph." }

local function ask(prompt)
  local provider = bot:get_provider()
  print(("\n[%s at %s] %s"):format(provider.model, provider.name, prompt))

  local reply, err = bot:stream(prompt)
  if not reply then return nil, err end
  repeat
    local text, state = reply:poll()
    if text then
      io.write(text)
      io.flush()
    elseif state == "wait" then
      reply:wait() -- nothing else to do here
    end
  until not text and state ~= "wait"
  print()
  return reply:result()
end

local function check(answer, err)
  if answer then return end
  io.stderr:write("chat.lua: ", tostring(err), "\n")
  os.exit(1)
end

check(ask("Why is the sky blue?"))
bot:set_model(second)
check(ask("Now say it to a child."))

print(("\n%d messages"):format(#bot:get_messages()))
