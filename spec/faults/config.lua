--- What is refused before any connection: control bytes, schemes, plain http. The value
--- that is wrong is never shown.

local bytes = require "spec.faults.bytes"

local rows = {}

local function add(name, options, message, more)
  local row = {
    name = name, own = true, serve = { bytes.good() }, options = options,
    expect = { kind = "config", message = message, retryable = false,
      between = { took = { 0, 0.02 } } },
    saw = { requests = 0, connections = 0 },
  }
  for key, value in pairs(more or {}) do row[key] = value end
  row.own = row.env ~= nil
  rows[#rows + 1] = row
end

local BAD = {
  { "a CR and LF", "\r\nX-Evil: 1" }, { "a LF", "\n" }, { "a NUL", "\0evil" },
  { "a TAB", "\tx" }, { "a DEL", "\127" }, { "a letter that is not ASCII", "\195\169" },
}

for _, bad in ipairs(BAD) do
  add(bad[1] .. " in the key", function(_, t)
    return { api_key = t.key .. bad[2] }
  end, "position 47")
  add(bad[1] .. " in the key of a function", function(_, t)
    return { api_key = function() return t.key .. bad[2] end }
  end, "position 47")
  add(bad[1] .. " in a header", function(_, t)
    return { headers = { ["X-Test"] = t.key .. bad[2] } }
  end, "position 47")
  add(bad[1] .. " in the URL", function(urls)
    return { base_url = urls.main.url .. "/a" .. bad[2] }
  end, "URL")
end

for _, name in ipairs { "X Test", "X-Test:", "X\r\nY", "", "X\0Y", "\195\169" } do
  add(("the header name %q"):format(name), { headers = { [name] = "x" } }, "header")
end

add("an error in the function api_key", function(_, t)
  return { api_key = function() error("cannot open " .. t.key) end }
end, "api_key")

for _, url in ipairs { "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
  "dict://127.0.0.1/", "//127.0.0.1/v1", "127.0.0.1:1234/v1", "localhost:1234",
  "javascript:alert(1)", "httpx://127.0.0.1/", "http:/127.0.0.1/", "" } do
  add(("the URL %q"):format(url), { base_url = url }, "http")
end

for _, url in ipairs { "http://user:word@127.0.0.1/v1", "http://user@127.0.0.1/v1",
  "https://127.0.0.1\\@evil.invalid/v1", "http://@127.0.0.1/" } do
  add(("user and password in the URL %q"):format(url), { base_url = url }, "user")
end

for _, host in ipairs { "llm.invalid", "127.0.0.1.evil.invalid", "localhost.evil.invalid",
  "127.evil.invalid", "[::2]", "0x7f.1.invalid", "192.0.2.1", "localhosts" } do
  add("a key over http:// to " .. host, { base_url = "http://" .. host .. ":9/v1" },
    "allow_insecure_http")
end

add("an Authorization header over http:// to another host", function(_, t)
  return { base_url = "http://llm.invalid/v1", api_key = false,
    headers = { Authorization = "Bearer " .. t.key } }
end, "allow_insecure_http")

add("allow_insecure_http lets a key go over http://",
  { base_url = "http://llm.invalid/v1", allow_insecure_http = true, connect_timeout = 30 }, nil,
  { expect = { kind = "dns", attempts = 1 } })

add("no key may go over http:// anywhere", { base_url = "http://llm.invalid/v1",
  api_key = false, connect_timeout = 30 }, nil, { expect = { kind = "dns", attempts = 1 } })

for _, host in ipairs { "127.0.0.1", "localhost", "LOCALHOST" } do
  add("a key over http:// to " .. host, function(urls)
    return { base_url = "http://" .. host .. ":" .. urls.main.port .. "/v1" }
  end, nil, { expect = { verdict = "complete", text = "fine" }, saw = { requests = 1 } })
end

add("a switch that would turn verification off", { verify = false }, nil,
  { expect = { kind = "raised", message = "unknown option 'verify'" } })

add("the key of a provider does not go to a base_url that was given",
  { api_key = false }, nil, {
    env = function(_, _, key) return { OPENAI_API_KEY = key, OPENAI_BASE_URL = false } end,
    expect = { verdict = "complete", text = "fine" }, saw = { requests = 1 },
    check = function(_, servers)
      if servers.main:requests()[1].named.authorization then return "a key was sent" end
    end,
  })

add("the key of the environment goes to the base URL of the environment",
  { api_key = false, base_url = false }, nil, {
    env = function(urls, _, key)
      return { OPENAI_API_KEY = key, OPENAI_BASE_URL = urls.main.url }
    end,
    expect = { verdict = "complete", text = "fine" }, saw = { requests = 1 },
    check = function(_, servers)
      if not servers.main:requests()[1].named.authorization then return "no key was sent" end
    end,
  })

add("a line end behind the key of the environment", { api_key = false, base_url = false },
  "position 47", { env = function(urls, _, key)
    return { OPENAI_API_KEY = key .. "\n", OPENAI_BASE_URL = urls.main.url }
  end })

return rows
