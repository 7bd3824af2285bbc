-- What each thread of spec/machines/threads.c runs: number, NAME=URL...
-- Returns how many chats it had.

local number = ...
local urls = {}
for i = 2, select("#", ...) do
  local name, url = (select(i, ...)):match("^(%w+)=(.*)$")
  urls[name] = url
end

local chatbot = require "chatbot"
local STORY = "Once upon a time."
local chats = 0

local function new(name, opts)
  local all = { base_url = urls[name], model = "m", max_retries = 0, timeout = 60,
    api_key = "sk-of-thread-" .. number, ca_file = urls.ca }
  for key, value in pairs(opts or {}) do all[key] = value end
  return chatbot.new(all)
end

-- many streams at once, over plain connections, by name, and over TLS
local replies = {}
for i = 1, 8 do
  local name = ({ "plain", "named", "tls", "plain" })[i % 4 + 1]
  replies[i] = { reply = assert(new(name):stream("x")), got = "" }
end
local open = #replies
while open > 0 do
  chatbot.poll(0.05)
  for _, r in ipairs(replies) do
    if not r.ended then
      local text, state = r.reply:poll()
      if text then
        r.got = r.got .. text
      elseif state ~= "wait" then
        assert(state == "done", tostring(state))
        assert(r.got == STORY, r.got)
        r.ended, open, chats = true, open - 1, chats + 1
      end
    end
  end
end

-- a conversation, a failure, a retry, a cancelled reply, one left to lua_close
local bot = new "plain"
for _ = 1, 3 do
  assert(bot:chat("x") == STORY)
  chats = chats + 1
end
local answer, err = new("refused", { max_retries = 1 }):chat("x")
assert(not answer and err.kind == "http", tostring(err))
local cancelled = new("slow"):stream("x")
cancelled:wait(0.02)
cancelled:close()
_G.left = new("slow"):stream("x") -- luacheck: ignore 111
return chats
