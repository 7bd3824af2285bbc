-- Messages, as server.lua wants a dialect.

local read = require "chatbot.offline.messages.read"
local words = require "chatbot.offline.messages.words"
local write = require "chatbot.offline.messages.write"

return {
  prefix = "msg_",
  request_id = "request-id",
  named = true,
  admit = read.admit,
  encode = write.encode,
  read = read.read,
  whole = write.whole,
  events = write.events,
  refused = words.body,
}
