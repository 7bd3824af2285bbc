--- Bytes and scripts that several groups of fault scenarios share. Pure.

local wire = require "spec.support.wire"

local bytes = {}

--- The data of a chunk with this text, or with this finish_reason.
---@param text? string
---@param finish_reason? string
---@return string
function bytes.chunk(text, finish_reason)
  return wire.encode {
    id = "chatcmpl-1", object = "chat.completion.chunk", model = "test-model",
    choices = { {
      index = 0, delta = text and { content = text } or { role = "assistant" },
      finish_reason = finish_reason or wire.null,
    } },
  }
end

--- An event with this text.
function bytes.event(text, finish_reason)
  return wire.event(bytes.chunk(text, finish_reason))
end

bytes.DONE = wire.event("[DONE]")
bytes.STOP = bytes.event(nil, "stop")

--- The head of a streamed answer; further headers are {name, value}.
function bytes.head(...)
  local headers = { { "Content-Type", "text/event-stream" } }
  for _, pair in ipairs { ... } do headers[#headers + 1] = pair end
  return wire.head(200, headers)
end

--- A close-framed stream of these parts: a string is sent, a table is a step.
function bytes.stream(parts)
  local steps = { { send = bytes.head { "Connection", "close" } } }
  for _, part in ipairs(parts) do
    steps[#steps + 1] = type(part) == "string" and { send = part } or part
  end
  return steps
end

--- A whole, good answer, on a connection that stays open.
function bytes.good(text)
  return wire.sse { text or "fine" }
end

--- An answer with an error in the usual form.
function bytes.failure(status, headers, message, code)
  return wire.http(status, headers, { error = {
    message = message or "no", type = "test", code = code or wire.null,
  } })
end

return bytes
