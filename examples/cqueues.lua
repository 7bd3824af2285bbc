-- Two chats at once in cqueues, while a third coroutine goes on ticking.
--
--   lua5.4 examples/cqueues.lua [MODEL]   BASE_URL=http://... for a server of yours
--
-- A reply has the methods that cqueues asks of what it polls, so `wait` is
-- cqueues.poll itself. lua-http's clients and servers run in the same loop.

local chatbot = require "chatbot"
local cqueues = require "cqueues"

local loop, open, ticks = cqueues.new(), 0, 0

local function talk(name, prompt)
  local bot = chatbot.new {
    model = arg[1] or "gpt-4.1", base_url = os.getenv("BASE_URL"), wait = cqueues.poll,
  }
  local answer, err = bot:chat(prompt, {
    on_text = function(text) print(name, text) end,
  })
  print(name, answer and "said all: " .. answer or "failed: " .. tostring(err))
  open = open - 1
end

for name, prompt in pairs { ann = "Greet me.", bob = "Name three rivers." } do
  open = open + 1
  loop:wrap(talk, name, prompt)
end
loop:wrap(function()
  while open > 0 do
    cqueues.sleep(0.01)
    ticks = ticks + 1
  end
end)
assert(loop:loop())
print("ticks", ticks)
