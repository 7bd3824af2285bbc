-- Two chats at once on a luv loop, while a timer goes on ticking.
--
--   lua5.4 examples/luv.lua [MODEL]       BASE_URL=http://... for a server of yours
--
-- A reply is waited for in a coroutine: `wait` parks it, and one uv_poll on the
-- module's descriptor wakes all that are parked, each of which looks for itself
-- whether there is more for it. Neovim's vim.uv is the same library, but see
-- lua/chatbot/nvim.lua first.

local chatbot = require "chatbot"
local uv = require "luv"

local parked = {}

local function wait()
  parked[#parked + 1] = coroutine.running()
  coroutine.yield()
end

local watcher = uv.new_poll(chatbot.pollfd())
watcher:start("r", function()
  chatbot.poll()
  local list = parked
  parked = {}
  for _, thread in ipairs(list) do assert(coroutine.resume(thread)) end
end)

-- What follows is the program; only `wait` above knows the loop.

local ticks, open = 0, 0
local timer = uv.new_timer()
timer:start(10, 10, function() ticks = ticks + 1 end)

local function talk(name, prompt)
  local bot = chatbot.new {
    model = arg[1] or "gpt-4.1", base_url = os.getenv("BASE_URL"), wait = wait,
  }
  local answer, err = bot:chat(prompt, {
    on_text = function(text) print(name, text) end,
  })
  print(name, answer and "said all: " .. answer or "failed: " .. tostring(err))
  open = open - 1
  if open == 0 then -- else the loop would run for ever
    watcher:close()
    timer:close()
  end
end

for name, prompt in pairs { ann = "Greet me.", bob = "Name three rivers." } do
  open = open + 1
  assert(coroutine.resume(coroutine.create(talk), name, prompt))
end
uv.run()
print("ticks", ticks)
