--- HTTP that is wrong: lengths, chunks, status lines, headers.

local wire = require "spec.support.wire"
local bytes = require "spec.faults.bytes"

local event, stop, done = bytes.event, bytes.STOP, bytes.DONE
local close = { close = true }
local whole = event "Hello" .. stop .. done

local function raw(...) -- what is sent, then FIN
  local steps = { ... }
  steps[#steps + 1] = close
  return { steps }
end

local function head(...)
  return bytes.head(...)
end

local function with_length(n)
  return head { "Content-Length", tostring(n) }
end

local CHUNKED = head { "Transfer-Encoding", "chunked" }

local function chunk(text)
  return ("%x\r\n%s\r\n"):format(#text, text)
end

local function lengths(...) -- headers, each with the length of the answer for %d
  local list = { ... }
  for i, value in ipairs(list) do
    list[i] = "Content-Length: " .. value:gsub("%%d", #whole) .. "\r\n"
  end
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" .. table.concat(list) .. "\r\n"
end

local complete = { verdict = "complete", text = "Hello" }
local protocol = { kind = "protocol", attempts = 1, retryable = false }

return {
  {
    name = "a Content-Length that is too long",
    serve = raw(with_length(#whole + 1000), event "Hel"),
    expect = { kind = "truncated", status = 200, partial = "Hel", attempts = 1 },
  },
  {
    name = "a Content-Length that is too long, after the end of the answer",
    serve = raw(with_length(#whole + 1000), event "Hello", stop),
    expect = complete,
  },
  {
    name = "a Content-Length that cuts the stream",
    serve = raw(with_length(#(event "Hel") + 10), whole),
    expect = { kind = "truncated", status = 200, partial = "Hello", attempts = 1 },
    -- the length ends inside the second event; the first has "Hello"
  },
  {
    name = "a Content-Length of zero",
    serve = raw(with_length(0), whole),
    expect = { kind = "truncated", status = 200, attempts = 1, message = "without any content" },
  },
  {
    name = "a Content-Length that is no number",
    serve = raw(head { "Content-Length", "many" }, whole),
    expect = protocol,
  },
  {
    name = "a negative Content-Length",
    serve = raw(head { "Content-Length", "-5" }, whole),
    expect = protocol,
  },
  {
    name = "a Content-Length beyond 64 bits",
    serve = raw(head { "Content-Length", "99999999999999999999999" }, whole),
    expect = complete, -- libcurl takes it for none: the end is that of the connection
  },
  {
    name = "two Content-Lengths that differ",
    serve = raw(head({ "Content-Length", tostring(#whole) }, { "Content-Length", "7" }), whole),
    expect = { kind = "protocol", status = 200, attempts = 1 },
  },
  {
    name = "two Content-Lengths that agree",
    serve = raw(head({ "Content-Length", tostring(#whole) },
      { "content-length", tostring(#whole) }), whole),
    expect = complete,
  },
  {
    name = "a Content-Length that is a list of equal ones",
    serve = raw(lengths "%d\t,\t%d ", whole),
    expect = complete,
  },
  {
    name = "a Content-Length that is a list of two",
    serve = raw(lengths "%d, 7", whole),
    expect = protocol,
  },
  {
    name = "a Content-Length whose list of two is folded",
    serve = raw(lengths "%d\r\n ,7", whole),
    expect = protocol,
  },
  {
    name = "a Content-Length that is a list of two, beside chunks",
    serve = raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
      .. "Transfer-Encoding: chunked\r\nContent-Length: 7, 8\r\n\r\n", chunk(whole), "0\r\n\r\n"),
    expect = protocol,
  },
  {
    name = "a Content-Length with a plus",
    serve = raw(lengths "+%d", whole),
    expect = protocol,
  },
  {
    name = "a Content-Length with a word behind it",
    serve = raw(lengths "%d x", whole),
    expect = protocol,
  },
  {
    name = "a Content-Length with a comma behind it",
    serve = raw(lengths "%d,", whole),
    expect = protocol,
  },
  {
    name = "a hexadecimal Content-Length",
    serve = raw(lengths "0x80", whole),
    expect = protocol,
  },
  {
    name = "Content-Length beside chunks",
    serve = raw(head({ "Content-Length", "7" }, { "Transfer-Encoding", "chunked" }),
      chunk(whole), "0\r\n\r\n"),
    expect = complete,
  },
  {
    name = "a chunk size that is no number",
    serve = raw(CHUNKED, chunk(event "Hel"), "zz\r\nxx\r\n"),
    expect = { kind = "protocol", status = 200, partial = "Hel", attempts = 1 },
  },
  {
    name = "a chunk size beyond 64 bits",
    serve = raw(CHUNKED, chunk(event "Hel"), "fffffffffffffffffffff\r\nxx\r\n"),
    expect = { kind = "protocol", status = 200, partial = "Hel", attempts = 1 },
  },
  {
    name = "a chunk without its line end",
    serve = raw(CHUNKED, chunk(event "Hel"), "5\r\nhelloxxxxx"),
    expect = { kind = "protocol", status = 200, partial = "Hel", attempts = 1 },
  },
  {
    name = "FIN between chunks",
    serve = raw(CHUNKED, chunk(event "Hel")),
    expect = { kind = "truncated", status = 200, partial = "Hel", attempts = 1 },
  },
  {
    name = "FIN inside a chunk",
    serve = raw(CHUNKED, chunk(event "Hel"), "500\r\ndata: "),
    expect = { kind = "truncated", status = 200, partial = "Hel", attempts = 1 },
  },
  {
    name = "the last chunk comes before the end of the answer",
    serve = { { CHUNKED, chunk(event "Hel"), "0\r\n\r\n" } },
    expect = { kind = "truncated", status = 200, partial = "Hel", attempts = 1 },
  },
  {
    name = "no last chunk after the end of the answer",
    serve = raw(CHUNKED, chunk(whole)),
    expect = complete,
  },
  {
    name = "chunk extensions and trailers",
    serve = { { CHUNKED, ("%x;name=value\r\n%s\r\n"):format(#whole, whole),
      "0\r\nX-Trailer: one\r\nContent-Type: text/html\r\n\r\n" } },
    expect = complete,
  },
  {
    name = "chunks of one byte",
    serve = { { CHUNKED, (whole:gsub(".", function(c) return chunk(c) end)), chunk "\n",
      "0\r\n\r\n" } },
    expect = complete,
  },
  {
    name = "an unknown Transfer-Encoding",
    serve = raw(head { "Transfer-Encoding", "rot13" }, whole),
    expect = { kind = "protocol", status = 200, attempts = 1 },
  },
  {
    name = "an unknown Transfer-Encoding of an empty answer",
    serve = raw(head { "Transfer-Encoding", "rot13" }),
    expect = { kind = "protocol", status = 200, attempts = 1 },
  },
  {
    name = "a Transfer-Encoding that is folded",
    serve = raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
      .. "Transfer-Encoding: chunked\r\n ,gzip\r\n\r\n", chunk(whole), "0\r\n\r\n"),
    expect = protocol,
  },
  {
    name = "100, 102 and 103 before the answer",
    serve = { { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
      .. "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Type: text/html\r\n\r\n",
      wire.sse { "Hello" } } },
    expect = complete,
  },
  {
    name = "1xx answers without end",
    serve = { { { repeat_bytes = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
      times = 200000 }, close } },
    options = { max_header_bytes = 65536 },
    expect = { kind = "limit", attempts = 1, message = "max_header_bytes" },
  },
  {
    name = "101 Switching Protocols that nobody asked for",
    serve = raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", whole),
    expect = { kind = { "protocol", "truncated" }, attempts = 1 },
  },
  {
    name = "no status line",
    serve = raw("Content-Type: text/event-stream\r\n\r\n", whole),
    expect = protocol,
  },
  {
    name = "HTTP/0.9: only a body",
    serve = raw(whole),
    expect = protocol,
  },
  {
    name = "a status line of rubbish",
    serve = raw("HTTP/1.1 banana\r\nContent-Type: text/event-stream\r\n\r\n", whole),
    expect = protocol,
  },
  {
    name = "a status line with two blanks before the status",
    serve = raw("HTTP/1.1  200 OK\r\nContent-Type: text/event-stream\r\n\r\n", whole),
    expect = protocol,
  },
  {
    name = "a status of 24 digits",
    serve = raw("HTTP/1.1 200000000000000000000000 OK\r\n\r\n", whole),
    expect = protocol,
  },
  {
    name = "a status of 999",
    serve = raw("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"),
    expect = { kind = "http", status = 999, attempts = 1 },
  },
  {
    name = "a status of 0",
    serve = raw("HTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n"),
    expect = { kind = "protocol", attempts = 1 },
  },
  {
    name = "HTTP/3.7",
    serve = raw("HTTP/3.7 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", whole),
    expect = { kind = "protocol", attempts = 1 },
  },
  {
    name = "a status line without a reason, HTTP/1.0",
    serve = raw("HTTP/1.0 200\r\nContent-Type: text/event-stream\r\n\r\n", whole),
    expect = complete,
  },
  {
    name = "a header without a colon",
    serve = raw("HTTP/1.1 200 OK\r\nrubbish\r\nContent-Type: text/event-stream\r\n\r\n", whole),
    expect = { kind = "protocol", attempts = 1 },
  },
  {
    name = "a folded header",
    serve = raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-A: b\r\n c\r\n\r\n",
      whole),
    expect = complete,
  },
  {
    name = "a NUL in a header",
    serve = raw("HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Type: text/event-stream\r\n\r\n", whole),
    expect = { kind = "protocol", attempts = 1 },
  },
  {
    name = "a carriage return in a header",
    serve = raw("HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Type: text/event-stream\r\n\r\n", whole),
    expect = protocol,
  },
  {
    name = "headers that end in a carriage return alone",
    serve = raw("HTTP/1.1 200 OK\rContent-Type: text/event-stream\r\r", whole),
    expect = protocol,
  },
  {
    name = "headers that end in LF alone",
    serve = raw("HTTP/1.1 200 OK\nContent-Type: text/event-stream\n\n", whole),
    expect = complete,
  },
  {
    name = "a header line of 1 MB",
    serve = { { "HTTP/1.1 200 OK\r\nX-A: ", { repeat_bytes = "a", times = 1048576 }, "\r\n\r\n",
      { stall = true } } },
    expect = { kind = "limit", attempts = 1, message = "max_header_bytes" },
  },
  {
    name = "a header line without end",
    serve = { { "HTTP/1.1 200 OK\r\nX-A: ", { repeat_bytes = ("a"):rep(1000), times = 100000 } } },
    expect = { kind = "limit", attempts = 1, message = "max_header_bytes" },
  },
  {
    name = "100,000 headers",
    serve = { { "HTTP/1.1 200 OK\r\n", { repeat_bytes = "X-A: b\r\n", times = 100000 }, "\r\n",
      whole, close } },
    expect = { kind = "limit", attempts = 1, message = "max_header_bytes" },
  },
  {
    name = "5,000 headers within the limit",
    serve = { { "HTTP/1.1 200 OK\r\n", { repeat_bytes = "X-A: b\r\n", times = 4999 },
      "Content-Type: text/event-stream\r\n\r\n", whole, close } },
    expect = complete,
  },
  {
    name = "5,001 headers within the limit, which newer versions of libcurl refuse",
    serve = { { "HTTP/1.1 200 OK\r\n", { repeat_bytes = "X-A: b\r\n", times = 5000 },
      "Content-Type: text/event-stream\r\n\r\n", whole, close } },
    expect = { kind = "limit", attempts = 1, message = "max_header_bytes" },
  },
  {
    name = "310,000 bytes of headers within the limit, which newer versions of libcurl refuse",
    serve = { { "HTTP/1.1 200 OK\r\n", { repeat_bytes = ("X-A: %s\r\n"):format(("b"):rep(993)),
      times = 310 }, "Content-Type: text/event-stream\r\n\r\n", whole, close } },
    options = { max_header_bytes = 1e6 },
    expect = { kind = "limit", attempts = 1, message = "max_header_bytes" },
  },
  {
    name = "a Set-Cookie is not sent back",
    own = true, -- libcurl keeps four idle connections for each request under way
    serve = { wire.sse({ "Hello" }, { headers = { ["Set-Cookie"] = "a=b" } }) },
    client = function(t)
      local bot = t:bot()
      t:talk(bot)
      return t:talk(bot)
    end,
    expect = complete,
    saw = { requests = 2, connections = 1 },
    check = function(_, servers)
      if servers.main:requests()[2].named.cookie then return "a cookie was sent" end
    end,
  },
}
