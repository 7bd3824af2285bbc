--- Bots of a spec, and what is right after each test.

local chatbot = require "chatbot"
local support = require "spec.support"

local bots = {}

--- A bot at this server, or URL; nothing is tried twice, nothing waits for long.
function bots.at(server, opts)
  local all = { base_url = type(server) == "table" and server.url or server, model = "m",
    max_retries = 0, timeout = 20 }
  for name, value in pairs(opts or {}) do all[name] = value end
  return chatbot.new(all)
end

--- Closes the servers and collects: every reply of the test must be over.
function bots.collect()
  support.close_all()
  collectgarbage()
  collectgarbage()
  assert(chatbot.poll() == 0, "replies left open")
end

return bots
