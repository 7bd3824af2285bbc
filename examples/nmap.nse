-- Nmap asks a chat model what a host is likely for.
--
--   nmap --script examples/nmap.nse HOST   BASE_URL=http://... for a server of yours
--
-- Nmap runs a coroutine for each host and ends one that yields by itself: it waits by
-- stdnse.sleep, and the other hosts' scripts go on. With -v the answer shows as it is said.

local chatbot = require "chatbot"
local nmap = require "nmap"
local stdnse = require "stdnse"

description = [[Asks a chat model what a host with these open ports is likely for.]]
author = "chatbot"
license = "MIT"
categories = { "discovery", "external" } -- the ports are told to the service

local function open_ports(host)
  local list = {}
  local port = nmap.get_ports(host, nil, "tcp", "open")
  while port do
    list[#list + 1] = ("%d/tcp %s"):format(port.number, port.service or "?")
    port = nmap.get_ports(host, port, "tcp", "open")
  end
  return list
end

hostrule = function(host) return #open_ports(host) > 0 end

action = function(host)
  local bot = chatbot.new {
    model = os.getenv("MODEL") or "gpt-4.1", base_url = os.getenv("BASE_URL"),
    system = "Say in one sentence what a host with these open ports is likely for.",
    wait = function() stdnse.sleep(0.02) end,
  }
  local answer, err = bot:chat(table.concat(open_ports(host), ", "), {
    on_text = function(text) stdnse.verbose1("%s", text) end,
  })
  return answer or "failed: " .. tostring(err)
end
