-- start.lua - the least program that reads a stream with this module, for the bench's
-- table of starts.
--
--   stream URL 1

local _, url = ...
local bot = require("chatbot").new { model = "m", base_url = url, api_key = "bench" }

local events = 0
for text in bot:stream("Hello"):chunks() do
  events = events + #text / 6
end
print(("events %.0f"):format(events))
