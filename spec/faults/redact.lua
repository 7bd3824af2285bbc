--- A server that sends the key back, in every place and form; and redirects.

local wire = require "spec.support.wire"
local bytes = require "spec.faults.bytes"

local rows = {}

-- What every step that answers with the key begins with: `key`, and `forms` of it.
local HEAD = [[
  local request, conn, wire = ...
  local named = request.named
  local key = named["x-api-key"] or named.authorization:match("^Bearer (.*)$")
  local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local function base64(s)
    return ((s:gsub(".?.?.?", function(c)
      if c == "" then return "" end
      local a, b, d = c:byte(1, 3)
      local n = a * 65536 + (b or 0) * 256 + (d or 0)
      local out = {}
      for k = 0, 3 do
        local i = n >> (6 * (3 - k)) & 63
        out[k + 1] = (k == 2 and not b or k == 3 and not d) and "=" or digits:sub(i + 1, i + 1)
      end
      return table.concat(out)
    end)))
  end
  local function escape(s, format)
    return (s:gsub("%W", function(c) return format:format(c:byte()) end))
  end
  local forms = {
    plain = key, url = escape(key, "%%%02X"), ["url, lower case"] = escape(key, "%%%02x"),
    base64 = base64(key), ["base64 of the header"] = base64("Bearer " .. key),
    ["base64 of a user and it"] = base64(":" .. key),
    ["base64url"] = (base64(key):gsub("+", "-"):gsub("/", "_"):gsub("=", "")),
    ["JSON with \\/"] = (key:gsub("/", "\\/")),
    ["JSON with \\u"] = key:gsub(".", function(c) return ("\\u%04x"):format(c:byte()) end),
    ["twice"] = key .. key,
    ["percent throughout"] = key:gsub(".", function(c) return ("%%%02X"):format(c:byte()) end),
    ["percent twice"] = escape(key, "%%25%02X"),
    ["HTML"] = escape(key, "&#%d;"), ["HTML, hexadecimal"] = escape(key, "&#x%X;"),
    ["JSON in JSON"] = key:gsub(".", function(c) return ("\\\\u%04X"):format(c:byte()) end),
    ["base64 in lines"] = base64("Bearer " .. key):gsub("(.......)", "%1\\n"),
    ["its first half"] = key:sub(1, 23),
  }
]]

local FORMS = { "plain", "url", "url, lower case", "base64", "base64 of the header",
  "base64 of a user and it", "base64url", "JSON with \\/", "JSON with \\u", "twice",
  "percent throughout", "percent twice", "HTML", "HTML, hexadecimal", "JSON in JSON",
  "base64 in lines", "its first half" }

local function add(name, code, expect, more)
  local row = { name = name, serve = { { { lua = HEAD .. code } } }, expect = expect,
    saw = { requests = 1 } }
  for key, value in pairs(more or {}) do row[key] = value end
  rows[#rows + 1] = row
end

-- Where the words of an error stand in each dialect.
bytes.each(function(b)
  local list, error_event = {}, b.failed("no: ECHO")
  local function plays(name, form, code, expect)
    list[#list + 1] = { name = name .. form, expect = expect, serve = { { { lua = HEAD
      .. ("local echo = forms[%q]\n"):format(form) .. code } } } }
  end
  for _, form in ipairs(FORMS) do
    plays("the key in a JSON error, ", form, [[
      conn:play(wire.http(401, { ["Content-Type"] = "application/json" },
        '{"type":"error","error":{"message":"Incorrect API key provided: ' .. echo .. '.","type":"'
        .. echo .. '","code":"' .. echo .. '","param":"' .. echo .. '"}}'))
    ]], { kind = "http", status = 401, attempts = 1, message = "Incorrect API key" })
    plays("the key in an error event of the stream, ", form, ([[
      conn:send(%q .. (%q):gsub("ECHO", function() return echo end))
      conn:play { { close = true } }
    ]]):format(b.stream({})[1].send .. b.event "Hel", error_event),
      { kind = "api", status = 200, attempts = 1, partial = "Hel", message = "no: " })
    plays("the key in an event that is not JSON, ", form, ([[
      conn:send(%q .. "data: bad key " .. echo .. "\n\n")
      conn:play { { close = true } }
    ]]):format(b.stream({})[1].send .. b.event "Hel"),
      { kind = "protocol", status = 200, attempts = 1, partial = "Hel" })
  end
  return list
end, rows)

for _, form in ipairs { "plain", "url", "base64" } do
  local echo = ("local echo = forms[%q] "):format(form)
  add("the key in an HTML error, " .. form, echo .. [[
    conn:play(wire.http(502, { ["Content-Type"] = "text/html" },
      "<html><p>GET / " .. echo .. "</p></html>"))
  ]], { kind = "http", status = 502, attempts = 1 })
  add("the key in a 200 of HTML, " .. form, echo .. [[
    conn:play(wire.http(200, { ["Content-Type"] = "text/html" },
      "<html><p>GET / " .. echo .. "</p></html>"))
  ]], { kind = "protocol", status = 200, attempts = 1 })
  add("the key in a 200 with a JSON error, " .. form, echo .. [[
    conn:play(wire.http(200, { ["Content-Type"] = "application/json" },
      '{"error":"' .. echo .. '"}'))
  ]], { kind = "api", status = 200, attempts = 1 })
  add("the key as content type, " .. form, echo .. [[
    conn:play(wire.http(200, { ["Content-Type"] = echo }, ("rubbish "):rep(100)))
  ]], { kind = "protocol", status = 200, attempts = 1 })
  add("the key as the end of a long content type, " .. form, echo .. [[
    conn:play(wire.http(200, { ["Content-Type"] = ("x"):rep(30) .. echo }, ("rubbish "):rep(100)))
  ]], { kind = "protocol", status = 200, attempts = 1 })
  add("the key as request id of an error, " .. form, echo .. [[
    conn:play(wire.http(400, { ["x-request-id"] = echo }, ""))
  ]], { kind = "http", status = 400, attempts = 1 })
  add("the key in a long request id, " .. form, echo .. [[
    conn:play(wire.http(400, { ["x-request-id"] = ("r"):rep(100) .. echo }, ""))
  ]], { kind = "http", status = 400, attempts = 1 })
  add("the key as request id of an answer, " .. form, echo .. [[
    conn:play(wire.sse({ "Hello" }, { headers = { ["x-request-id"] = echo } }))
  ]], { verdict = "complete", text = "Hello" })
  add("the key as retry-after, " .. form, echo .. [[
    conn:play(wire.http(429, { ["Retry-After"] = echo }, ""))
  ]], { kind = "http", status = 429, attempts = 1 })
  add("the key as content-encoding, " .. form, echo .. [[
    conn:play(wire.sse({ "Hello" }, { headers = { ["Content-Encoding"] = echo } }))
  ]], { kind = "protocol", status = 200, attempts = 1 })
end

add("the key that the end of the connection cuts", [[
  conn:send('HTTP/1.1 401 No\r\nContent-Length: 9999\r\n\r\n{"error":{"message":"bad key '
    .. key:sub(1, -2))
  conn:play { { close = true } }
]], { kind = "http", status = 401, attempts = 1 })
add("the key that the largest error body cuts", [[
  conn:play(wire.http(401, {}, ("x"):rep(65536 - 40) .. " " .. key))
]], { kind = "http", status = 401, attempts = 1 })

-- The same key, given as a header.
bytes.each(function(b)
  local list, value = {}, b.key == "authorization" and "Bearer %s" or "%s"
  for i, form in ipairs(FORMS) do
    list[i] = {
      name = "the key of a header in a JSON error, " .. form,
      expect = { kind = "http", status = 401, attempts = 1, message = "Incorrect" },
      options = function(_, t)
        return { api_key = false, headers = { [b.key] = value:format(t.key) } }
      end,
      serve = { { { lua = HEAD .. ("local echo = forms[%q] "):format(form) .. [[
        conn:play(wire.http(401, { ["Content-Type"] = "application/json" },
          '{"error":{"message":"Incorrect: ' .. echo .. '."}}'))
      ]] } } },
    }
  end
  return list
end, rows)

add("the key as content length", [[
  conn:send("HTTP/1.1 200 OK\r\nContent-Length: " .. key .. "\r\n\r\n")
  conn:play { { close = true } }
]], { kind = "protocol", attempts = 1 })
add("the key in the reason of the status line", [[
  conn:send("HTTP/1.1 401 " .. key .. "\r\nContent-Length: 0\r\n\r\n")
]], { kind = "http", status = 401, attempts = 1 })
add("the key in place of a status line", [[
  conn:send(key .. "\r\n" .. key .. "\r\n\r\n")
  conn:play { { close = true } }
]], { kind = "protocol", attempts = 1 })
add("the key as transfer encoding", [[
  conn:send("HTTP/1.1 200 OK\r\nTransfer-Encoding: " .. key .. "\r\n\r\n")
  conn:play { { close = true } }
]], { kind = "protocol", status = 200, attempts = 1 })
bytes.each(function(b)
  return { {
    name = "nothing that Lua can reach has the key, before, during and after a reply",
    own = true,
    serve = { { b.stream { b.event "Hel", { sleep = 0.1 }, b.event "lo", b.STOP, b.DONE } } },
    client = function(t)
      local secret = require "spec.faults.secret"
      local count
      local function look() count = secret.reachable(t.key, t.leaks) end
      local bot = t:bot()
      look()
      local reply, first = bot:stream("hello"), nil
      look()
      t:until_true(5, function()
        first = reply:poll()
        return first
      end)
      look()
      local observed = t:follow(reply)
      look()
      observed.text, observed.looked_at = first .. observed.text, count
      return observed
    end,
    expect = { verdict = "complete", text = "Hello", between = { looked_at = { 500, 1e7 } } },
  } }
end, rows)

-- Redirects ----------------------------------------------------------------------------------

for _, status in ipairs { 301, 302, 303, 307, 308 } do
  rows[#rows + 1] = {
    name = "a redirect by " .. status .. " to another server is not followed",
    serve = {},
    servers = { other = { { bytes.good() } } },
    at_start = function(servers) -- only now is the other's port known
      local code = HEAD .. ([[
        conn:send("HTTP/1.1 %d Moved\r\nLocation: http://127.0.0.1:%d/v1?key=" .. key
          .. "\r\nContent-Length: 5\r\n\r\nmoved")
      ]]):format(status, servers.other.port)
      servers.main:script { { { lua = code } } }
    end,
    expect = { kind = "redirect", status = status, attempts = 1, retryable = false },
    saw = { requests = 1 },
    check = function(_, servers)
      if #servers.other:events() > 0 then return "the other server was contacted" end
    end,
  }
end

rows[#rows + 1] = {
  name = "a redirect to the same server is not followed",
  serve = { wire.http(307, { Location = "/v2/chat/completions" }, ""), bytes.good() },
  options = { max_retries = 2 },
  expect = { kind = "redirect", status = 307, attempts = 1 },
}
rows[#rows + 1] = {
  name = "a redirect without a Location",
  serve = { wire.http(302, {}, "") },
  expect = { kind = "redirect", status = 302, attempts = 1 },
}

return rows
