--- Bodies that are not what was asked for, and errors inside good answers.

local wire = require "spec.support.wire"
local bytes = require "spec.faults.bytes"

local close = { close = true }

local function http(status, headers, body, opts)
  return { wire.http(status, headers, body, opts) }
end

local JSON = { ["Content-Type"] = "application/json" }

local function streams(b)
  local stream, event, stop, done = b.stream, b.event, b.STOP, b.DONE
  return {
    {
      name = "204 without content", once = true,
      serve = { { "HTTP/1.1 204 No Content\r\n\r\n" } },
      expect = { kind = "truncated", status = 204, attempts = 1, message = "204" },
    },
    {
      name = "an empty 200", once = true,
      serve = http(200, {}, ""),
      expect = { kind = "truncated", status = 200, attempts = 1, message = "200" },
    },
    {
      name = "a 200 of HTML", once = true,
      serve = http(200, { ["Content-Type"] = "text/html" },
        "<html><body>Log in first, please" .. ("."):rep(500) .. "</body></html>"),
      expect = { kind = "protocol", status = 200, attempts = 1, message = "Log in first" },
    },
    {
      name = "a 200 with a JSON error",
      serve = http(200, JSON, { error = { message = "context overflow", code = 400 } }),
      expect = { kind = "api", status = 200, attempts = 1, message = "context overflow" },
    },
    {
      name = "a 200 with a JSON text that is cut", once = true,
      serve = { { wire.head(200, { ["Content-Type"] = "application/json",
        ["Content-Length"] = "500" }), '{"choices":[{"message":{"content":"Hel', close } },
      expect = { kind = "truncated", status = 200, attempts = 1 },
    },
    {
      name = "a whole completion although a stream was asked for",
      serve = { b.document "Hello" },
      expect = { verdict = "complete", text = "Hello" },
    },
    {
      name = "a stream without a content type",
      serve = { { wire.head(200, { ["Connection"] = "close" }), b.whole "Hello", close } },
      expect = { verdict = "complete", text = "Hello" },
    },
    {
      name = "an error object in the stream",
      serve = { stream { event "Hel", wire.event '{"error":{"message":"overloaded","type":"x"}}',
        done, close } },
      expect = { kind = "api", status = 200, partial = "Hel", attempts = 1,
        message = "overloaded" },
    },
    {
      name = "an event of the type error", once = true,
      serve = { stream { event "Hel", 'event: error\ndata: {"error":{"message":"overloaded"}}\n\n',
        close } },
      expect = { kind = "api", status = 200, partial = "Hel", attempts = 1,
        message = "overloaded" },
    },
    {
      name = "an error field in the stream",
      serve = { stream { event "Hel", 'error: {"message":"overloaded"}\n\n', close } },
      expect = { kind = "api", status = 200, partial = "Hel", attempts = 1,
        message = "overloaded" },
    },
    {
      name = "an event that is not JSON",
      serve = { stream { event "Hel", "data: upstream connect error\n\n", event "lo", stop, done,
        close } },
      expect = { kind = "protocol", status = 200, partial = "Hel", attempts = 1,
        message = "upstream connect error" },
    },
    {
      name = "an event with a number that is none of JSON",
      serve = { stream { event "Hel", (event("lo"):gsub("{", '{"x":5.,', 1)), stop, done, close } },
      expect = { kind = "protocol", status = 200, partial = "Hel", attempts = 1 },
    },
    {
      name = "an event with a NUL and more behind its JSON",
      serve = { stream { event "Hel", (event("lo"):gsub("\n\n$", "\0JUNK\n\n")), stop, done,
        close } },
      expect = { kind = "protocol", status = 200, partial = "Hel", attempts = 1 },
    },
    {
      name = "a whole completion with a NUL and more behind it", once = true,
      serve = http(200, JSON, '{"choices":[{"index":0,'
        .. '"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}\0JUNK'),
      expect = { kind = "protocol", status = 200, attempts = 1 },
    },
    {
      name = "the finish_reason error", once = true,
      serve = { stream { event "Hel", (stop:gsub('"stop"', '"error"')), done, close } },
      expect = { kind = "api", status = 200, partial = "Hel", attempts = 1 },
    },
    {
      name = "the answer ends for its length",
      serve = { stream { event "Hel", b.stop "length", done, close } },
      expect = { verdict = "length", text = "Hel" },
    },
    {
      name = "text after [DONE] is not read", once = true,
      serve = { stream { event "Hello", done, event " again", stop, close } },
      expect = { verdict = "complete", text = "Hello" },
    },
    {
      name = "[DONE] with something behind it is no end", once = true,
      serve = { stream { event "Hel", "data: [DONE]xyz\n\n", close } },
      expect = { kind = "protocol", status = 200, partial = "Hel", attempts = 1 },
    },
    {
      name = "gzip that nobody asked for", once = true,
      serve = { { wire.head(200, { ["Content-Type"] = "text/event-stream",
        ["Content-Encoding"] = "gzip", ["Connection"] = "close" }),
        "\31\139\8\0\0\0\0\0\0\3" .. ("\1\2\3\255"):rep(50), close } },
      expect = { kind = "protocol", status = 200, attempts = 1, message = "gzip" },
    },
    {
      name = "an encoding whose name is too long to be kept", once = true,
      serve = { { wire.head(200, { ["Content-Type"] = "text/event-stream",
        ["Content-Encoding"] = ("x"):rep(500), ["Connection"] = "close" }), event "Hel", close } },
      expect = { kind = "protocol", status = 200, attempts = 1, message = "too long" },
    },
    {
      name = "the encoding identity is none",
      serve = { { b.head({ "Content-Encoding", "identity" }, { "Connection", "close" }),
        b.whole "Hello", close } },
      expect = { verdict = "complete", text = "Hello" },
    },
    {
      name = "an HTTP error that is compressed", once = true,
      serve = http(400, { ["Content-Encoding"] = "gzip" }, "\31\139\8\0\0\0\0\0\0\3rubbish"),
      expect = { kind = "http", status = 400, attempts = 1 },
    },
    {
      name = "an HTTP error whose body is cut", once = true,
      serve = { { wire.head(400, { ["Content-Length"] = "5000" }), '{"error":{"mess', close } },
      expect = { kind = "http", status = 400, attempts = 1 },
    },
    {
      name = "an HTTP error whose body stalls", once = true,
      serve = { { wire.head(400, { ["Content-Length"] = "5000" }), '{"error":{"mess',
        { stall = true } } },
      options = { idle_timeout = 0.3 },
      expect = { kind = "http", status = 400, attempts = 1 },
    },
    {
      name = "an HTTP error whose body has no end", once = true,
      serve = { { wire.head(400, { ["Connection"] = "close" }), '{"error":{"message":"bad"}}',
        { repeat_bytes = (" "):rep(1000), times = 100000 } } },
      expect = { kind = "http", status = 400, attempts = 1 },
    },
    {
      name = "the error of this service in the stream",
      serve = { stream { event "Hel", b.failed("overloaded", "server_error"), close } },
      expect = { kind = "api", status = 200, partial = "Hel", attempts = 1,
        message = "overloaded" },
    },
    {
      name = "nothing behind the error is read",
      serve = { stream { event "Hel", b.failed("overloaded", "server_error"), event "lo", stop,
        done, close } },
      expect = { kind = "api", status = 200, partial = "Hel", attempts = 1,
        message = "overloaded" },
    },
    {
      name = "the answer is filtered",
      serve = { stream { event "Hel", b.stop "filtered", done, close } },
      expect = { verdict = "filtered", text = "Hel" },
    },
    {
      name = "text after the end is not read",
      serve = { stream { event "Hello", stop, done, event " again", stop, close } },
      expect = { verdict = "complete", text = "Hello" },
    },
  }
end

local rows = bytes.each(streams)

-- Ends that one dialect alone has, or has not: [DONE] ends chat and Messages by itself.
rows[#rows + 1] = {
  name = "responses: [DONE] without an end before it is none", api = "responses",
  serve = { bytes.responses.stream { bytes.responses.event "Hel", bytes.DONE, close } },
  expect = { kind = "truncated", status = 200, partial = "Hel", attempts = 1 },
}
for _, api in ipairs { "responses", "messages" } do
  local b = bytes[api]
  rows[#rows + 1] = {
    name = api .. ": [DONE] behind the end is let be", api = api,
    serve = { b.stream { b.event "Hello", b.STOP, bytes.DONE, close } },
    expect = { verdict = "complete", text = "Hello" },
  }
end

rows[#rows + 1] = {
  name = "responses: a response that failed", api = "responses",
  serve = { bytes.responses.stream { bytes.responses.event "Hel",
    (bytes.responses.STOP:gsub("completed", "failed")
      :gsub('"error":null', '"error":{"code":"server_error","message":"bad day"}')), close } },
  expect = { kind = "api", status = 200, partial = "Hel", attempts = 1, message = "bad day" },
}
rows[#rows + 1] = {
  name = "messages: a stop_reason is enough of an end", api = "messages",
  serve = { bytes.messages.stream { bytes.messages.event "Hello",
    bytes.messages.STOP:sub(1, bytes.messages.enough), close } },
  expect = { verdict = "complete", text = "Hello" },
}

bytes.each(function(b)
  local list = {}
  for i, status in ipairs { 400, 401, 402, 403, 404, 413, 422, 451 } do
    list[i] = {
      name = "HTTP " .. status .. " is told and not tried again",
      serve = { b.failure(status, { ["x-request-id"] = "req-1" }, "told " .. status, "c1") },
      options = { max_retries = 2 },
      expect = { kind = "http", status = status, attempts = 1, retryable = false,
        [b.api == "messages" and "type" or "code"] = "c1", request_id = "req-1",
        message = "told " .. status },
    }
  end
  return list
end, rows)

return rows
