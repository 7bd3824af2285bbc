-- nginx with ngx_lua, and OpenResty: bots that wait in a light thread while the worker
-- serves others, and a chat as server-sent events.
--
-- nginx's event loop takes no descriptor of somebody else's. So while light threads wait
-- for replies, and only then, one timer of the worker (the pump) looks what has arrived,
-- and wakes those whose replies have news. Between two looks it sleeps for a quarter of
-- the time that nothing has come, within the limits below: text is late by at most that.
--
-- nginx ends a request (the client is gone, and `lua_check_client_abort` is on) without a word
-- to its light threads. That a semaphore is still here, and nobody waits for it any more,
-- tells: then the replies are closed. While a tool is at work another light thread waits.
--
-- It uses public functions of the module, and of a reply: _env().beside (together.lua),
-- _has_news, _is_held, _waiter; and tools.call.

local chatbot = require "chatbot"
local core = require "chatbot.core"
local tools = require "chatbot.bot.tools"
local semaphore = require "ngx.semaphore"

local ngx = rawget(_G, "ngx")

---@class chatbot.nginx
---@field heartbeat number seconds of silence after which `relay` sends a comment; default 15,
---  0: never
local M = { heartbeat = 15 }

local SHORTEST, LONGEST = 0.001, 0.01 -- seconds between two looks of the pump
local PATIENCE = 1    -- seconds after which it is not trusted to run: nginx may have dropped it

local parked = {}     -- semaphore -> replies that a light thread waits for
local tooled = {}     -- the same, while a tool of one of them is at work
local looked          -- when the pump has looked last; nil: there is none
local pump_number = 0 -- of the one that was started last


-- The pump ---------------------------------------------------------------------

local function close_all(replies)
  for _, reply in ipairs(replies) do reply:close() end
end

local function any_news(replies)
  for _, reply in ipairs(replies) do
    if reply:_has_news() then return true end
  end
end

-- Lets the engine do what is ready, for all replies: by one that is under way.
local function step()
  for _, replies in pairs(parked) do
    for _, reply in ipairs(replies) do
      if not reply:is_closing() then
        reply:wait(0)
        return
      end
    end
  end
end

-- Wakes who has something to read; true when there was one. A light thread that goes on takes
-- its semaphore away before the next look.
local function look()
  local woken = false
  step()
  for waiter, replies in pairs(parked) do
    if waiter:count() >= 0 then -- nobody waits
      parked[waiter] = nil
      close_all(replies)
    elseif any_news(replies) then
      waiter:post()
      woken = true
    end
  end
  for waiter, replies in pairs(tooled) do
    if waiter:count() >= 0 then
      tooled[waiter] = nil
      close_all(replies)
    end
  end
  return woken
end

-- Also while the worker exits: what is under way may come to its end.
local function pump(_, number)
  local silence = 0
  while (next(parked) or next(tooled)) and number == pump_number do
    looked = ngx.now()
    if look() then silence = 0 end
    local pause = math.max(SHORTEST, math.min(silence / 4, LONGEST))
    ngx.sleep(pause)
    silence = silence + pause
  end
  if number == pump_number then looked = nil end
end

-- Sees to it that there is one. False: nginx has no timer for it.
local function start()
  if looked and ngx.now() - looked < PATIENCE then return true end
  pump_number = pump_number + 1
  local started = ngx.timer.at(0, pump, pump_number)
  looked = started and ngx.now() or nil
  return started
end


-- Waiting ----------------------------------------------------------------------

-- Where ngx_lua lets a light thread wait.
local WAITS = {
  server_rewrite = true, rewrite = true, access = true, content = true, timer = true,
  ssl_cert = true, ssl_client_hello = true, ssl_session_fetch = true, preread = true,
}

-- Where a request has an ngx.on_abort.
local ABORTS = { rewrite = true, access = true, content = true }

-- nginx does not end a request any more that has an ngx.on_abort, and takes only one: it is
-- for all that the request waits for, then and later. Nil until there is one, which needs
-- `lua_check_client_abort`; ngx.ctx is the request's.
---@return { gone: boolean, waits: table<chatbot.Reply[], true> }?
local function abortable(phase)
  return ABORTS[phase] and ngx.ctx[M] or nil
end

local function catch_abort()
  if ngx.ctx[M] then return end
  local request = { gone = false, waits = {} }
  local caught = ngx.on_abort(function()
    request.gone = true
    for replies in pairs(request.waits) do close_all(replies) end
  end)
  if caught then ngx.ctx[M] = request end
end

local function sleep_for(replies, reply)
  local held = reply:_is_held() -- for a tool, which is to be looked at soon
  local waiter, list = semaphore.new(), held and tooled or parked
  if not waiter or not start() then -- nginx is at its limits
    ngx.sleep(LONGEST)
    return
  end
  list[waiter] = replies
  waiter:wait(held and LONGEST or PATIENCE)
  list[waiter] = nil
end

---The option `wait` for nginx: suspends the light thread until the reply may have more.
---@async
---@param reply chatbot.Reply
function M.wait(reply)
  local phase = ngx.get_phase()
  if not WAITS[phase] then
    error(("nothing can wait in nginx's phase '%s': use ngx.timer.at"):format(phase), 0)
  elseif not core.isyieldable() then -- ngx_lua notices when it is too late to undo it
    error("nothing can wait across a C call (string.gsub, table.sort, require, ...)", 0)
  end
  local replies = reply:_env().beside or { reply }
  local request = abortable(phase)
  if not request then return sleep_for(replies, reply) end
  request.waits[replies] = true
  if request.gone then close_all(replies) end
  sleep_for(replies, reply)
  request.waits[replies] = nil
end

-- In a tool a light thread waits for anything: so that its end is noticed there, another
-- one waits for a semaphore, as long as both are alive.
local function unguard(waiter, guard, ok, ...)
  tooled[waiter] = nil
  ngx.thread.kill(guard)
  if not ok then error((...), 0) end
  return ...
end

local call = tools.call
function tools.call(reply, handler, ...)
  local waiter = reply:_waiter() == M.wait and WAITS[ngx.get_phase()] and semaphore.new()
  if not waiter or not core.isyieldable() or not start() then
    return call(reply, handler, ...)
  end
  local thread = coroutine.running()
  local guard = ngx.thread.spawn(function()
    repeat waiter:wait(PATIENCE) until coroutine.status(thread) == "dead"
  end)
  tooled[waiter] = reply:_env().beside or { reply }
  return unguard(waiter, guard, pcall(call, reply, handler, ...))
end

---A bot that waits in light threads: `chatbot.new` with `wait`.
---@param options chatbot.Options
---@return chatbot.Chatbot
function M.new(options)
  local copy = options
  if type(options) == "table" then
    copy = { wait = M.wait }
    for name, value in pairs(options) do copy[name] = value end
  end
  local bot = chatbot.new(copy)
  return bot
end


-- Server-sent events -----------------------------------------------------------

-- What ngx.flush says where it has nothing to do.
local HARMLESS = { ["buffering"] = true, ["nothing to flush"] = true }

-- False when the client is gone. Waits for a slow one.
local function send(...)
  if not ngx.print(...) then return false end
  local sent, why = ngx.flush(true)
  return (sent or HARMLESS[why]) and true or false
end

local function event(name, data)
  return send("event: ", name, "\ndata: ", core.json_encode(data), "\n\n")
end

local function send_head()
  if ngx.headers_sent then return end
  ngx.header["Content-Type"] = "text/event-stream; charset=utf-8"
  ngx.header["Cache-Control"] = "no-store"
  ngx.header["X-Accel-Buffering"] = "no" -- to an nginx in front
end

-- Sends the text until the reply has ended, or nobody hears it any more: then it is closed,
-- and the result is false.
local function send_text(reply, heartbeat)
  local sent_at = ngx.now()
  while true do
    local text, state = reply:poll()
    local heard = true
    if text then
      heard = send("data: ", core.json_encode { text = text }, "\n\n")
      sent_at = ngx.now()
    elseif state ~= "wait" then
      return true
    else
      M.wait(reply)
      if heartbeat > 0 and ngx.now() - sent_at >= heartbeat then
        heard = send(":\n\n")
        sent_at = ngx.now()
      end
    end
    if not heard then
      reply:close()
      return false
    end
  end
end

---Answers the request with a reply as server-sent events, as `relay(bot:stream(prompt))`:
--- * `data: {"text": "..."}` for what has arrived,
--- * a comment when there was silence for `heartbeat` seconds (0: none),
--- * at the end `event: done` with `{"status": "complete"}` (or "length", ...), or
---   `event: error` with `{"kind": "timeout", "retryable": true}`. What else an error says
---   (the service's words, addresses) is for the program and its log, not for a page.
---When the client goes away the reply is closed: at once where `lua_check_client_abort` is
---on, otherwise when the next event cannot be sent. Then the request goes on, and each
---other reply that it waits for is closed as well.
---@async
---@param reply? chatbot.Reply
---@param err? chatbot.Error why there is no reply
---@return string? answer
---@return chatbot.Reply|chatbot.Error
function M.relay(reply, err)
  local heartbeat = M.heartbeat
  if type(heartbeat) ~= "number" or heartbeat ~= heartbeat or heartbeat < 0 then
    if reply then reply:close() end
    error("chatbot.nginx.heartbeat must be a number of seconds, 0 or more", 2)
  end
  send_head()
  catch_abort()
  local request = abortable(ngx.get_phase())
  local answer, other, heard = nil, err, true
  if reply then
    local replies = { reply }
    if request then request.waits[replies] = true end -- also while it sends
    heard = send_text(reply, heartbeat)
    if request then request.waits[replies] = nil end
    answer, other = reply:result()
  end
  heard = heard and not (request and request.gone)
  if heard and answer then
    event("done", { status = other.status })
  elseif heard then
    event("error", { kind = other.kind, retryable = other.retryable })
  end
  return answer, other
end

core.ours()

return M
