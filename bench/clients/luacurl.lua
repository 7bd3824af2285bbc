-- luacurl.lua - the bench's client for Lua-cURL with lua-cjson: what a Lua user
-- writes without this module. Blocks, so it reads one stream only.
--
--   stream URL 1

local _, url = ...
local cjson = require "cjson"
local common = require "common"

local body = cjson.encode {
  model = "m", stream = true, temperature = 0,
  messages = { { role = "user", content = "Hello" } },
}

local buffer, parts = "", {}

local function take(line)
  local data = line:match("^data: ?(.*)")
  if not data or data == "[DONE]" then return end
  local choice = cjson.decode(data).choices[1]
  local text = choice and choice.delta.content
  if text and text ~= cjson.null then
    parts[#parts + 1] = text
    common.count(text)
  end
end

local function on_body(data)
  buffer = buffer .. data
  local at = 1
  while true do
    local stop = buffer:find("\n", at, true)
    if not stop then break end
    take(buffer:sub(at, stop - 1))
    at = stop + 1
  end
  buffer = buffer:sub(at)
  return #data
end

local headers = { "Content-Type: application/json", "Authorization: Bearer bench" }
local target = url .. "/chat/completions"
local found, curl = pcall(require, "cURL")
if found then -- Lua-cURL 3
  curl.easy { url = target, post = true, postfields = body, httpheader = headers, proxy = "",
    writefunction = on_body }:perform():close()
else -- what Debian calls lua-curl
  curl = require "curl"
  local easy = curl.easy_init()
  easy:setopt(curl.OPT_URL, target)
  easy:setopt(curl.OPT_POSTFIELDS, body)
  easy:setopt(curl.OPT_HTTPHEADER, headers)
  easy:setopt(curl.OPT_PROXY, "")
  easy:setopt(curl.OPT_WRITEFUNCTION, on_body)
  assert(easy:perform())
end
assert(#table.concat(parts) == common.events() * 6)
common.report()
