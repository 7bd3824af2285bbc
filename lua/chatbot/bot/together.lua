-- together.lua - many replies at once: chatbot.all and chatbot.race.

local core = require "chatbot.core"
local Reply = core.reply

local M = {}

-- Advances all, until `enough` says so.
local function advance(replies, enough)
  if type(replies) ~= "table" then core.misuse(1, "table expected, got " .. type(replies)) end
  for i, reply in pairs(replies) do
    if not pcall(Reply._is_held, reply) then
      core.misuse(1, ("%s of the list is no reply: %s"):format(tostring(i), tostring(reply)))
    end
  end
  while true do
    local waiting = {}
    for i, reply in ipairs(replies) do
      local env = reply:_env()
      env.beside = replies -- what else is waited for, see nginx.lua
      local text, state = reply:poll()
      env.beside = nil
      if text or state == "wait" then
        waiting[#waiting + 1] = reply
      elseif enough(i) then
        return
      end
    end
    local last = waiting[#waiting]
    if not last then return end
    local env = last:_env()
    env.beside = waiting
    last:_pause()
    env.beside = nil
  end
end

---Waits for all replies to end.
---@async
---@param replies chatbot.Reply[]
---@return { answer: string?, reply: chatbot.Reply, err: chatbot.Error? }[] in the same order
function M.all(replies)
  advance(replies, function() return false end)
  local results = {}
  for i, reply in ipairs(replies) do
    local answer, other = reply:_answer()
    results[i] = { answer = answer, reply = reply, err = not answer and other or nil }
  end
  return results
end

---Waits for the first reply to end, well or badly; the others go on.
---@async
---@param replies chatbot.Reply[]
---@return integer? index nil when there are none
---@return string? answer
---@return chatbot.Reply|chatbot.Error
function M.race(replies)
  local first
  advance(replies, function(i)
    first = i
    return true
  end)
  if first then return first, replies[first]:_answer() end
end

core.ours()

return M
