-- A chat service in HAProxy: who posts a prompt gets the answer as it is said.
--
--   haproxy -db -f examples/haproxy.cfg   BASE_URL=http://... for a server of yours
--   curl -N --data "Name three rivers." http://127.0.0.1:8008/chat
--
-- HAProxy watches no descriptor for Lua and never resumes a bare yield. So the coroutine that
-- it runs for each client sleeps for 10 ms where nothing has arrived, and all others go on.

local chatbot = require "chatbot"

-- Loads all that a request needs, before HAProxy forks its workers, gives up its rights and
-- changes its root directory. In another root name look-up needs /etc/resolv.conf there, and
-- https a CA file.
assert(chatbot.warmup())

local function answer(applet)
  local function start(status)
    applet:set_status(status)
    applet:add_header("Content-Type", "text/plain; charset=utf-8")
    applet:start_response()
  end

  local bot = chatbot.new {
    model = os.getenv("MODEL") or "gpt-4.1", base_url = os.getenv("BASE_URL"),
  }
  local reply, err = bot:stream(applet:receive())
  local started = false
  while reply do
    local text
    text, err = reply:poll()
    if text then
      if not started then start(200) end
      started = true
      applet:send(text)
    elseif err == "wait" then
      core.msleep(10)
    else
      break
    end
  end
  if not started then start(err == "done" and 200 or 502) end
  if err ~= "done" then
    core.Warning(tostring(err))
    applet:send("\n(failed)\n")
  end
end

core.register_service("chatbot", "http", answer)

-- HAProxy drops the coroutine of a client that leaves. The reply is cancelled, and the model
-- stops, when Lua collects it, which would take long where little else is made.
core.register_task(function()
  while true do
    core.sleep(1)
    collectgarbage()
  end
end)
