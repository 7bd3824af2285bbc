-- luaopenai.lua - the bench's client for lua-openai (leafo). Reads one stream.
--
--   stream URL 1

local _, url = ...
local common = require "common"
local openai = require "openai"

local client = openai.new("bench", { api_base = url })
local parts = {}
client:chat({ { role = "user", content = "Hello" } }, { stream = true }, function(chunk)
  if chunk.content then
    parts[#parts + 1] = chunk.content
    common.count(chunk.content)
  end
end)
assert(#table.concat(parts) == common.events() * 6)
common.report()
