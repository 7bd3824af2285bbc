-- mpv answers on the screen while the film goes on.
--
--   mpv --script=examples/mpv.lua FILE    BASE_URL=http://... for a server of yours
--
-- and in input.conf, for the key c:
--
--   c script-message chatbot "Who directed ${media-title}? Be brief."
--
-- mpv watches no descriptor for scripts, but it has timers: one polls while an answer is under
-- way. (chatbot.timeout() is about the module's own clocks, not about what a server sends.)

local chatbot = require "chatbot"

local bot = chatbot.new {
  model = os.getenv("MODEL") or "gpt-4.1", base_url = os.getenv("BASE_URL"),
}
local reply, timer

local function ask(prompt)
  if reply then reply:close() end -- the next question counts
  if timer then timer:kill() end
  local said = ""
  local err
  reply, err = bot:stream(prompt)
  if not reply then return mp.osd_message(tostring(err), 5) end
  timer = mp.add_periodic_timer(0.03, function()
    local text, state = reply:poll()
    if text then
      said = said .. text
      mp.osd_message(said, 10)
    elseif state ~= "wait" then
      timer:kill()
      if state ~= "done" then mp.osd_message(tostring(state), 5) end
    end
  end)
end

mp.register_script_message("chatbot", ask)
