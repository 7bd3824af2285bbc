-- Two chats at once in a GLib main loop (GTK, GStreamer, ...) through lgi, while
-- a timer goes on ticking.
--
--   lua5.3 examples/glib.lua [MODEL]      BASE_URL=http://... for a server of yours
--
-- As in luv.lua: `wait` parks the coroutine, one source on the module's
-- descriptor wakes all that are parked.

local chatbot = require "chatbot"
local lgi = require "lgi"

local GLib = lgi.GLib
local unix_fd_add = GLib.unix_fd_add_full or lgi.GLibUnix.fd_add_full -- since GLib 2.90

local parked = {}

local function wait()
  parked[#parked + 1] = coroutine.running()
  coroutine.yield()
end

local IN = GLib.IOCondition.IN
unix_fd_add(GLib.PRIORITY_DEFAULT, chatbot.pollfd(), IN, function()
  chatbot.poll()
  local list = parked
  parked = {}
  for _, thread in ipairs(list) do assert(coroutine.resume(thread)) end
  return GLib.SOURCE_CONTINUE
end)

-- What follows is the program; only `wait` above knows the loop.

local loop, open, ticks = GLib.MainLoop(), 0, 0
GLib.timeout_add(GLib.PRIORITY_DEFAULT, 10, function()
  ticks = ticks + 1
  return GLib.SOURCE_CONTINUE
end)

local function talk(name, prompt)
  local bot = chatbot.new {
    model = arg[1] or "gpt-4.1", base_url = os.getenv("BASE_URL"), wait = wait,
  }
  local answer, err = bot:chat(prompt, {
    on_text = function(text) print(name, text) end,
  })
  print(name, answer and "said all: " .. answer or "failed: " .. tostring(err))
  open = open - 1
  if open == 0 then loop:quit() end
end

for name, prompt in pairs { ann = "Greet me.", bob = "Name three rivers." } do
  open = open + 1
  assert(coroutine.resume(coroutine.create(talk), name, prompt))
end
loop:run()
print("ticks", ticks)
