-- Two chats at once in copas, while its loop goes on ticking.
--
--   lua5.1 examples/copas.lua [MODEL]     BASE_URL=http://... for a server of yours
--
-- `wait` parks a thread in a queue of its own, one thread waits for the module's
-- descriptor as if it were a socket, and wakes all that are parked. This is for
-- copas 1.1.7, as in Debian; a later one has copas.sleep(-1) to park a thread and
-- copas.wakeup(thread) to wake it.

local chatbot = require "chatbot"
local copas = require "copas"

local parked = {}

local queue = {
  insert = function() end,
  push = function(_, _, thread) parked[#parked + 1] = thread end,
}

local function wait(reply)
  coroutine.yield(reply, queue)
end

local descriptor = {
  getfd = function() return chatbot.pollfd() end,
  receive = function(self) -- every other time it is worth waiting for
    self.asked = not self.asked
    if self.asked then return nil, "timeout" end
    return true
  end,
}

copas.addthread(function()
  while true do
    copas.receive(descriptor)
    chatbot.poll()
    local list = parked
    parked = {}
    for _, thread in ipairs(list) do copas.addthread(thread) end
  end
end)

-- What follows is the program; only `wait` above knows the loop.

local open, ticks = 0, 0

local function talk(name, prompt)
  local bot = chatbot.new {
    model = arg[1] or "gpt-4.1", base_url = os.getenv("BASE_URL"), wait = wait,
  }
  local answer, err = bot:chat(prompt, {
    on_text = function(text) print(name, text) end,
  })
  print(name, answer and "said all: " .. answer or "failed: " .. tostring(err))
  open = open - 1
end

for name, prompt in pairs { ann = "Greet me.", bob = "Name three rivers." } do
  open = open + 1
  copas.addthread(function() talk(name, prompt) end)
end
while open > 0 do
  copas.step(0.01)
  ticks = ticks + 1
end
print("ticks", ticks)
