-- dialect/messages.lua - Anthropic's Messages, see chat.lua for what each function is.

local chat = require "chatbot.dialect.chat"
local core = require "chatbot.core"

local M = { tools = chat.tools, structure = chat.structure, format = chat.format,
  weaker = chat.weaker, defaults = chat.defaults, sends = chat.sends, twins = chat.twins,
  essential = chat.essential }

function M.input(messages, _, note)
  local items, texts = core.array {}, {}
  for _, message in ipairs(messages) do
    if message.role == "system" then
      texts[#texts + 1] = message.content
    else
      items[#items + 1] = message
    end
  end
  texts[#texts + 1] = note
  return items, texts[1] and table.concat(texts, "\n\n")
end

core.ours()

return M
