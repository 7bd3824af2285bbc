-- Neovim: replies as callbacks in the main loop, and coroutines that can wait.
--
-- One watcher serves all replies. While any is under way, a `uv_poll` looks at
-- the engine's descriptor, or a timer at the clock where there is none. What it
-- sees leads to one scheduled `turn`, in which the vim.api is allowed: the engine
-- works, callbacks get what has arrived, coroutines go on. Once an answer has begun
-- there is a rest of `interval` milliseconds between two turns, so that a flood of
-- tokens costs a few redraws and not one for each token.
--
-- It uses public functions of the module only, but for `core.reply`, the methods
-- of a reply: closing one must be noticed here at once.

local chatbot = require "chatbot"
local core = require "chatbot.core"

local uv = vim.uv or vim.loop

---@class chatbot.nvim
---@field interval integer milliseconds between two deliveries of text; default 16
local M = { interval = 16 }

local HEARTBEAT = 1000 -- ms; another's reply:poll() may have read what is for us
local PATIENCE = 100   -- ms after which older versions notice a CTRL-C
local TICK = 10        -- ms between two looks where no descriptor can be watched

local streams = {}     -- reply -> {text = {...}, on_text, on_done, on_error}
local parked = {}      -- waiter -> true
local known = setmetatable({}, { __mode = "k" }) -- replies that were waited for

local poll, timer      -- uv handles; nil until needed. `poll` may stay nil.
local armed            -- nil (nothing to do), "watch", "rest" or "turn"
local turn


-- The watcher ------------------------------------------------------------------

local function disarm()
  if poll then poll:stop() end
  timer:stop()
  armed = nil
end

-- What is left open would keep Neovim from leaving.
local function leave()
  for reply in pairs(streams) do reply:close() end
  for waiter in pairs(parked) do waiter.reply:close() end
  disarm()
  armed = "left"
  if poll then poll:close() end
  timer:close()
end

local function open()
  if timer then return end
  timer = uv.new_timer()
  local fd = chatbot.pollfd()
  poll = fd and uv.new_poll(fd)
  local function at_the_end()
    vim.api.nvim_create_autocmd("VimLeavePre", { callback = leave })
  end
  if vim.in_fast_event() then vim.schedule(at_the_end) else at_the_end() end
end

-- Something may have happened. Called from anywhere, a fast context included.
local function wake()
  if armed == "turn" or armed == "left" then return end
  open()
  disarm()
  armed = "turn"
  vim.schedule(turn)
end

local function watch()
  armed = "watch"
  if poll then poll:start("r", wake) end
  local seconds = not poll and chatbot.timeout()
  timer:start(poll and HEARTBEAT or math.min(TICK, math.ceil((seconds or 1) * 1000)), 0, wake)
end

local function rest()
  armed = "rest"
  timer:start(M.interval, 0, watch)
end

-- Shows an error of a callback as Neovim shows its own, and goes on.
local function report(message)
  vim.schedule(function() error(message, 0) end)
end

local function call(f, ...)
  local args, n = { ... }, select("#", ...)
  local ok, message = xpcall(function() return f(unpack(args, 1, n)) end, debug.traceback)
  if not ok then report(message) end
  return ok
end


-- Streams ----------------------------------------------------------------------

local function finish(reply, stream)
  streams[reply] = nil
  local answer, err = reply:result()
  if answer then
    if stream.on_done then call(stream.on_done, answer, reply) end
  elseif stream.on_error then
    call(stream.on_error, err, reply)
  elseif err.kind ~= "cancelled" then
    vim.notify(tostring(err), vim.log.levels.ERROR)
  end
end

-- What poll says of a reply that has ended, or that nobody else advances. One
-- that has ended may go on: with a tool's result, with another model.
local function advance(reply)
  local text, state
  repeat
    text, state = reply:poll()
  until not (text and reply:is_closing())
  return state
end

local function deliver(reply, stream)
  if stream.busy then return end -- its callback called vim.wait(): not yet
  stream.busy = true
  local state
  if reply:is_closing() or not stream.on_text then state = advance(reply) end
  while stream.text[1] do
    local text = table.concat(stream.text)
    stream.text = {}
    if not call(stream.on_text, text, reply) then reply:close() end
  end
  stream.busy = nil
  if state and state ~= "wait" then
    finish(reply, stream)
  elseif reply:is_closing() then
    wake() -- it ended meanwhile
  end
end

---@class chatbot.nvim.Options: chatbot.CallOptions
---@field on_text? fun(text: string, reply: chatbot.Reply)
---@field on_done? fun(answer: string, reply: chatbot.Reply)
---@field on_error? fun(err: chatbot.Error, reply?: chatbot.Reply)

---Asks, and hands over the answer piece by piece. The callbacks run in the main
---loop, where the whole of vim.api is allowed. `on_text` gets all text that has
---arrived since its last call, at most every `interval` milliseconds. At the end
---either `on_done` or `on_error` is called, once; `reply:close()` cancels, which
---is the error of the kind "cancelled". Without `on_error` an error is shown by
---vim.notify. An error in a callback ends the stream.
---@param bot chatbot.Chatbot
---@param prompt? string|chatbot.Part[]
---@param opts? chatbot.nvim.Options callbacks, and what `bot:stream` takes
---@return chatbot.Reply? reply
---@return chatbot.Error? err is also given to `on_error`
function M.stream(bot, prompt, opts)
  local stream, options = { text = {} }, {}
  for name, value in pairs(opts or {}) do
    local callback = name == "on_text" or name == "on_done" or name == "on_error"
    local into = callback and stream or options
    into[name] = value
  end
  if stream.on_text then
    options.on_text = function(text) stream.text[#stream.text + 1] = text end
  end
  local reply, err = bot:stream(prompt, options)
  if not reply then
    vim.schedule(function()
      if stream.on_error then
        call(stream.on_error, err)
      else
        vim.notify(tostring(err), vim.log.levels.ERROR)
      end
    end)
    return nil, err
  end
  streams[reply] = stream
  wake()
  return reply
end

local close = core.reply.close

---Closes the reply, as everywhere, and has its end noticed in the next turn.
function core.reply.close(reply, callback)
  close(reply, callback)
  if next(streams) or next(parked) then wake() end
end


-- Coroutines -------------------------------------------------------------------

-- A coroutine that waits for a reply. It is what vim.async calls a closable:
-- closing the task while it waits cancels the reply.
local Waiter = {}
Waiter.__index = Waiter

function Waiter:close(callback)
  if parked[self] then
    parked[self] = nil
    self.reply:close()
  end
  if callback then callback() end
end

function Waiter:go_on()
  parked[self] = nil
  if self.resume then
    call(self.resume)
  elseif coroutine.status(self.thread) == "suspended" then
    local ok, message = coroutine.resume(self.thread)
    if not ok then report(debug.traceback(self.thread, tostring(message))) end
  end
end

-- Outside of any coroutine: Neovim goes on with everything but the caller.
local function block(waiter)
  if vim.in_fast_event() then
    waiter.reply:wait()
    return
  end
  local woken = false
  waiter.resume = function() woken = true end
  parked[waiter] = true
  local _, why = vim.wait(PATIENCE, function() return woken end, PATIENCE)
  parked[waiter] = nil
  if why == -2 then waiter.reply:close() end -- CTRL-C
end

---The option `wait` for Neovim. A coroutine yields here, in the way its owner
---understands, and goes on in the main loop when there may be more:
--- * plenary.async and vim.async call the function that a task yields first, with
---   a callback that resumes the task;
--- * nvim-nio does too, and wants the number of its arguments before it;
--- * a coroutine that none of them owns is resumed from here.
---Outside of a coroutine it waits with vim.wait(), which CTRL-C ends.
---@async
---@param reply chatbot.Reply
function M.wait(reply)
  local thread, main = coroutine.running()
  local waiter = setmetatable({ reply = reply, thread = thread }, Waiter)
  if not known[reply] then
    known[reply] = true
    wake() -- what started it may have read what is for others
  elseif not armed then
    watch()
  end
  if not thread or main then return block(waiter) end
  local function suspend(resume)
    waiter.resume = resume
    return waiter
  end
  parked[waiter] = true
  local nio = package.loaded["nio.tasks"]
  if nio and nio.current_task() then
    coroutine.yield(1, suspend)
  else
    coroutine.yield(suspend, 1)
  end
  parked[waiter] = nil
end

---Lets `bot:chat`, `reply:chunks`, `reply:result` and `bot:models` wait inside of
---Neovim: see `wait`. For bots that exist; else give `wait` to `chatbot.new`.
---@param bot chatbot.Chatbot
---@return chatbot.Chatbot bot
function M.attach(bot)
  local same = bot:set_wait(M.wait) -- no tail call: it hides who is to blame
  return same
end


-- A turn -----------------------------------------------------------------------

-- Whether an answer has begun, so that more of it may come at any moment.
local function begun()
  for reply in pairs(streams) do
    if reply.id or reply.model then return true end
  end
  for waiter in pairs(parked) do
    if waiter.reply.id or waiter.reply.model then return true end
  end
end

function turn()
  if armed ~= "turn" then return end
  local ok, message = pcall(chatbot.poll)
  if not ok then report(message) end
  -- Armed again before anything of the user's runs, which may call vim.wait().
  if begun() then rest() else watch() end
  local replies, waiters = {}, {}
  for reply, stream in pairs(streams) do replies[reply] = stream end
  for waiter in pairs(parked) do waiters[waiter] = true end
  for reply, stream in pairs(replies) do deliver(reply, stream) end
  for waiter in pairs(waiters) do
    if parked[waiter] then waiter:go_on() end
  end
  if armed ~= "left" and not next(streams) and not next(parked) then disarm() end
end

core.ours()

return M
