-- WeeChat: /chatbot PROMPT prints the answer into the buffer, each line as soon as it is whole.
--
--   /lua load /path/to/examples/weechat.lua     BASE_URL=http://... for a server of yours
--
-- WeeChat watches descriptors, so nothing is polled while nothing happens: one hook on the
-- module's descriptor serves all replies and all their clocks. Functions are called by their
-- names here, and therefore are global.

weechat.register("chatbot", "chatbot", "0.1", "MIT", "Asks a chat model", "", "")

local chatbot = require "chatbot"

local bots = {} -- buffer -> its conversation
local open = {} -- buffer -> {reply, line}: what is under way

local function show(buffer, line)
  weechat.print(buffer, "\t" .. line)
end

function chatbot_ready()
  chatbot.poll() -- which calls on_text
  for buffer, talk in pairs(open) do
    if talk.reply.status ~= "streaming" then
      open[buffer] = nil
      local answer, err = talk.reply:result() -- it is there
      if talk.line ~= "" then show(buffer, talk.line) end
      if not answer then show(buffer, tostring(err)) end
    end
  end
  return weechat.WEECHAT_RC_OK
end

function chatbot_command(_, buffer, prompt)
  bots[buffer] = bots[buffer] or chatbot.new {
    model = os.getenv("MODEL") or "gpt-4.1", base_url = os.getenv("BASE_URL"),
  }
  local talk = { line = "" }
  local reply, err = bots[buffer]:stream(prompt, {
    on_text = function(text)
      talk.line = (talk.line .. text):gsub("([^\n]*)\n", function(line)
        show(buffer, line)
        return ""
      end)
    end,
  })
  if reply then
    talk.reply, open[buffer] = reply, talk
  else
    show(buffer, tostring(err))
  end
  return weechat.WEECHAT_RC_OK
end

weechat.hook_fd(chatbot.pollfd(), 1, 0, 0, "chatbot_ready", "")
weechat.hook_command("chatbot", "Asks a chat model", "PROMPT", "", "", "chatbot_command", "")
