--- Proxies: those of the environment and of the option; never for loopback.

local wire = require "spec.support.wire"
local bytes = require "spec.faults.bytes"

local rows = {}

local function add(name, row)
  row.name, row.own = name, true
  rows[#rows + 1] = row
end

local function url_of(urls, name)
  return "http://127.0.0.1:" .. urls[name].port
end

-- A script that answers CONNECT in this way and plays on.
local function connect(answer, ...)
  return { { answer, ... } }
end

local SECURE = "https://llm.invalid/v1"
local PLAIN = { base_url = "http://llm.invalid/v1", allow_insecure_http = true }

local function dead() return { port = require("spec.support").dead_port() } end

local function dead_url(extra, user)
  return ("http://%s127.0.0.1:%d"):format(user or "", extra.port)
end

local function via_environment(name)
  return function(urls) return { [name] = url_of(urls, "proxy") } end
end

local function has_line(pattern)
  return function(_, servers)
    local request = servers.proxy:requests()[1]
    if not request then return "the proxy was not asked" end
    if not request.line:find(pattern) then return "the proxy was asked: " .. request.line end
  end
end

local function untouched(_, servers)
  if #servers.proxy:events() > 0 then return "the proxy was contacted" end
end

for _, name in ipairs { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" } do
  add(name .. " is used for https", {
    servers = { proxy = { connect(wire.http(502, {}, "")) } },
    options = { base_url = SECURE }, env = via_environment(name),
    expect = { kind = "proxy", status = 502, attempts = 1, retryable = true, message = "502" },
    check = has_line "^CONNECT llm%.invalid:443 ",
  })
end

add("the option proxy goes before the environment", {
  prepare = dead,
  servers = { proxy = { connect(wire.http(502, {}, "")) } },
  options = function(urls)
    return { base_url = SECURE, proxy = url_of(urls, "proxy") }
  end,
  env = function(_, extra) return { https_proxy = dead_url(extra) } end,
  expect = { kind = "proxy", status = 502, attempts = 1 },
  check = has_line "^CONNECT",
})

add("http_proxy is used for http", {
  serve = { bytes.good() }, options = PLAIN,
  env = function(urls) return { http_proxy = url_of(urls, "main") } end,
  expect = { verdict = "complete", text = "fine" },
  check = function(_, servers)
    local line = servers.main:requests()[1].line
    if not line:find("^POST http://llm%.invalid/v1/chat/completions ") then return line end
  end,
})

add("HTTP_PROXY in capitals is not used for http", {
  servers = { proxy = { bytes.good() } }, options = PLAIN, env = via_environment "HTTP_PROXY",
  expect = { kind = "dns", attempts = 1 }, check = untouched,
})

add("no_proxy is obeyed", {
  servers = { proxy = { bytes.good() } }, options = { base_url = SECURE },
  env = function(urls)
    return { https_proxy = url_of(urls, "proxy"), no_proxy = "other.example,llm.invalid" }
  end,
  expect = { kind = "dns", attempts = 1 }, check = untouched,
})

for _, host in ipairs { "127.0.0.1", "localhost", "LocalHost", "127.0.0.1." } do
  if host ~= "127.0.0.1." then
    add("no proxy of the environment is used for " .. host, {
      serve = { bytes.good() }, servers = { proxy = { bytes.good() } },
      options = function(urls)
        return { base_url = "http://" .. host .. ":" .. urls.main.port .. "/v1" }
      end,
      env = function(urls)
        local proxy = url_of(urls, "proxy")
        return { http_proxy = proxy, https_proxy = proxy, all_proxy = proxy }
      end,
      expect = { verdict = "complete", text = "fine" }, check = untouched,
    })
  end
end

add("a name that only begins like loopback goes through the proxy", {
  servers = { proxy = { connect(wire.http(502, {}, "")) } },
  options = { base_url = "https://127.llm.invalid/v1" }, env = via_environment "https_proxy",
  expect = { kind = "proxy", status = 502, attempts = 1 },
  check = has_line "^CONNECT 127%.llm%.invalid:443 ",
})

add("a dead proxy", {
  prepare = dead, options = { base_url = SECURE },
  env = function(_, extra) return { https_proxy = dead_url(extra) } end,
  expect = { kind = "proxy", attempts = 1, retryable = true },
})
add("a dead proxy for plain http", {
  prepare = dead, options = PLAIN,
  env = function(_, extra) return { http_proxy = dead_url(extra) } end,
  expect = { kind = "proxy", attempts = 1, retryable = true },
})
add("a dead proxy is tried again", {
  prepare = dead, options = { base_url = SECURE, max_retries = 1 },
  env = function(_, extra) return { https_proxy = dead_url(extra) } end,
  expect = { kind = "proxy", attempts = 2, retryable = true },
})
add("a proxy whose name does not exist", {
  options = { base_url = SECURE }, env = { https_proxy = "http://proxy.invalid:3128" },
  expect = { kind = "proxy", attempts = 1 },
})
add("the password of a dead proxy is not shown", {
  prepare = dead, options = { base_url = SECURE, api_key = "another-key" },
  env = function(_, extra, key)
    local secret = require "spec.faults.secret"
    return { https_proxy = dead_url(extra, "user:" .. secret.url(key) .. "@") }
  end,
  expect = { kind = "proxy", attempts = 1 },
})

for name, answer in pairs {
  ["407"] = wire.http(407, { ["Proxy-Authenticate"] = "Basic realm=x" }, "who are you?"),
  ["403"] = wire.http(403, {}, "no"),
} do
  add("the proxy answers CONNECT with " .. name, {
    servers = { proxy = { connect(answer) } },
    options = { base_url = SECURE, max_retries = 2 }, env = via_environment "https_proxy",
    expect = { kind = "proxy", status = tonumber(name), attempts = 1, retryable = false,
      message = name },
    check = function(_, servers)
      if #servers.proxy:requests() ~= 1 then return "the proxy was asked again" end
    end,
  })
end

add("the proxy answers a plain request with 407", {
  serve = { wire.http(407, { ["Proxy-Authenticate"] = "Basic realm=x" }, "who are you?") },
  options = function()
    return { base_url = PLAIN.base_url, allow_insecure_http = true, max_retries = 2 }
  end,
  env = function(urls) return { http_proxy = url_of(urls, "main") } end,
  expect = { kind = "proxy", status = 407, attempts = 1, retryable = false },
})

add("the proxy resets the connection at CONNECT", {
  servers = { proxy = { { { reset = true } } } },
  options = { base_url = SECURE }, env = via_environment "https_proxy",
  expect = { kind = "proxy", attempts = 1 },
})
add("the proxy ends the connection at CONNECT", {
  servers = { proxy = { { { close = true } } } },
  options = { base_url = SECURE }, env = via_environment "https_proxy",
  expect = { kind = "proxy", attempts = 1 },
})
add("the proxy answers CONNECT with rubbish", {
  servers = { proxy = { { { "rubbish\r\n\r\n", { close = true } } } } },
  options = { base_url = SECURE }, env = via_environment "https_proxy",
  expect = { kind = "proxy", attempts = 1 },
})
add("the proxy stalls at CONNECT", {
  servers = { proxy = { { { stall = true } } } },
  options = { base_url = SECURE, connect_timeout = 0.4 }, env = via_environment "https_proxy",
  expect = { kind = "timeout", phase = "connect", attempts = 1,
    between = { took = { 0.39, 0.45 } } },
})
add("the proxy tunnels to something that is no TLS server", {
  servers = { proxy = { { { "HTTP/1.1 200 OK\r\n\r\n", { sleep = 0.05 }, "rubbish",
    { close = true } } } } },
  options = { base_url = SECURE }, env = via_environment "https_proxy",
  expect = { kind = "tls", attempts = 1 },
})

add("a .netrc is not read", {
  serve = { bytes.good() }, options = { api_key = false },
  prepare = function()
    local dir = require("spec.support").tmpdir()
    require("spec.support").write_file(dir .. "/.netrc",
      "machine 127.0.0.1 login user password word\ndefault login user password word\n")
    return { dir = dir }
  end,
  env = function(_, extra) return { HOME = extra.dir, CURL_HOME = extra.dir } end,
  expect = { verdict = "complete", text = "fine" },
  check = function(_, servers)
    if servers.main:requests()[1].named.authorization then return "a password was sent" end
  end,
})

return rows
