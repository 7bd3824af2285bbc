-- luahttp.lua - the bench's client for lua-http with lua-cjson, on cqueues.
--
--   stream URL STREAMS

local _, url, streams = ...
local cjson = require "cjson"
local common = require "common"
local cqueues = require "cqueues"
local request = require "http.request"

local body = cjson.encode {
  model = "m", stream = true, temperature = 0,
  messages = { { role = "user", content = "Hello" } },
}
local paced = not url:find("%-0%-%d+/")

local function read()
  local parts, mine = {}, {}
  local req = request.new_from_uri(url .. "/chat/completions")
  req.headers:upsert(":method", "POST")
  req.headers:append("content-type", "application/json")
  req.headers:delete("expect")
  req:set_body(body)
  local _, stream = assert(req:go(30))
  local buffer = ""
  for chunk in stream:each_chunk() do
    buffer = buffer .. chunk
    local at = 1
    while true do
      local stop = buffer:find("\n", at, true)
      if not stop then break end
      local data = buffer:sub(at, stop - 1):match("^data: ?(.*)")
      if data and data ~= "[DONE]" then
        local choice = cjson.decode(data).choices[1]
        local text = choice and choice.delta.content
        if text and text ~= cjson.null then
          parts[#parts + 1] = text
          if paced then common.take(mine, text) else common.count(text) end
        end
      end
      at = stop + 1
    end
    buffer = buffer:sub(at)
  end
  return table.concat(parts)
end

local queue = cqueues.new()
for _ = 1, tonumber(streams) do queue:wrap(read) end
assert(queue:loop())
common.report()
