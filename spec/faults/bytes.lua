--- Bytes and scripts that several groups of fault scenarios share. Pure.
--
-- They come in each dialect: bytes.chat, bytes.responses and bytes.messages have the same
-- names; what stands in `bytes` itself is chat's. A group whose faults may happen in any
-- returns `bytes.each(function(b) ... end)`, which makes its rows for all three.

local answers = require "spec.support.answers"
local wire = require "spec.support.wire"

-- The head of a streamed answer; further headers are {name, value}.
local function head(...)
  local headers = { { "Content-Type", "text/event-stream" } }
  for _, pair in ipairs { ... } do headers[#headers + 1] = pair end
  return wire.head(200, headers)
end

--- What there is of a dialect:
---   api         its name; key: the header of the key, in lower case
---   OPEN        the events before the first text
---   event(text) an event with this text
---   STOP, DONE  what ends a good answer; stop(finish): "length", "filtered"
---   enough      of so many bytes of STOP the answer is whole
---   begin(kind), more(kind, text)  "reasoning" or "arguments", which begin and go on
---   failed(message, kind)  an event that tells an error
---   head(...)   the head of a streamed answer; further headers are {name, value}
---   stream(parts)  a close-framed stream of these parts, behind OPEN: a string is sent, a
---               table is a step
---   whole(text) the body of a whole, good answer
---   good(text)  a whole, good answer, on a connection that stays open
---   document(text)  one that is not streamed; around(): the bytes before and after its text
---   failure(status, headers, message, code)  an answer with an error in the usual form
---@param form table see answers.lua
local function of(form)
  local b = { api = form.api, key = form.key, head = head, event = form.text,
    begin = form.begin, more = form.more, failed = form.failed, failure = form.failure }
  b.OPEN, b.DONE = form.open(), ""
  function b.stop(finish) return form.stop { finish = finish } end
  b.STOP = b.stop()
  b.enough = #b.STOP:gsub("event: message_stop.*", "") - #"\n\n"

  function b.stream(parts)
    local steps = { { send = b.head { "Connection", "close" } .. b.OPEN } }
    for _, part in ipairs(parts) do
      steps[#steps + 1] = type(part) == "string" and { send = part } or part
    end
    return steps
  end

  function b.whole(text) return b.OPEN .. b.event(text) .. b.STOP .. b.DONE end
  function b.good(text) return form.answer { text or "fine" } end
  function b.document(text) return wire.http(200, {}, form.document(text)) end
  function b.around() return wire.encode(form.document("TEXT")):match("^(.-)TEXT(.*)$") end
  return b
end

local bytes = of(answers.chat)
for _, name in ipairs { "responses", "messages" } do bytes[name] = of(answers[name]) end
bytes.chat = bytes

-- Chat completions may end with either of two events.
bytes.OPEN, bytes.DONE = "", wire.event "[DONE]"
function bytes.stop(finish)
  return answers.chat.stop({ finish = finish }):sub(1, -#bytes.DONE - 1)
end
bytes.STOP = bytes.stop()
bytes.enough = #bytes.STOP - #"\n\n"
function bytes.good(text) return wire.sse { text or "fine" } end

local NAMES = { responses = "Responses", messages = "Messages" }

--- The rows that `make` returns for each dialect. One that is not of the dialect's making
--- says `once = true`, and stands there for chat completions alone.
---@param make fun(b: table): table[]
---@param rows? table[] to which they are added
---@return table[]
function bytes.each(make, rows)
  rows = rows or {}
  for _, api in ipairs { "chat", "responses", "messages" } do
    for _, row in ipairs(make(bytes[api])) do
      if api == "chat" or not row.once then
        if api ~= "chat" then row.name = NAMES[api] .. ": " .. row.name end
        row.api = api
        rows[#rows + 1] = row
      end
    end
  end
  return rows
end

return bytes
