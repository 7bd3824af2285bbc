-- Responses, as server.lua wants a dialect.

local read = require "chatbot.offline.responses.read"
local refusal = require "chatbot.offline.refusal"
local write = require "chatbot.offline.responses.write"

return {
  prefix = "resp_",
  request_id = "x-request-id",
  named = true,
  counts = "response.input_tokens",
  encode = write.encode,
  read = read.read,
  whole = write.whole,
  events = write.events,
  refused = refusal.openai_body,
}
