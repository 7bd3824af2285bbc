--- Certificates, and where the CAs come from.

local bytes = require "spec.faults.bytes"

local rows = {}

local function ca() return require("spec.support").ca_file end

-- A bundle that does not have the test CA: that of another CA, made here.
local function other_ca()
  local support = require "spec.support"
  local dir = support.tmpdir()
  local path = dir .. "/other.pem"
  local done = os.execute(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
    .. "-nodes -keyout %s/key.pem -out %s -days 2 -subj /CN=Other >/dev/null 2>&1"):format(
    dir, path))
  assert(done == true or done == 0, "openssl")
  return path
end

-- A directory with the test CA under its hashed name.
local function ca_dir()
  local support = require "spec.support"
  local dir = support.tmpdir()
  local pipe = io.popen("openssl x509 -hash -noout -in " .. ca())
  local hash = pipe:read("*l")
  pipe:close()
  support.write_file(dir .. "/" .. hash .. ".0", support.read_file(ca()))
  return dir
end

local function add(name, tls, ca_file, expect, env, more)
  local row = {
    name = name, own = env ~= nil, serve = { bytes.good() }, serve_opts = { tls = tls },
    options = { ca_file = ca_file }, expect = expect, env = env,
    saw = { requests = expect.kind and 0 or 1 },
  }
  for key, value in pairs(more or {}) do row[key] = value end
  rows[#rows + 1] = row
end

local fine = { verdict = "complete", text = "fine" }

local function refused(source)
  return { kind = "tls", attempts = 1, retryable = false, message = source }
end

add("a good certificate", "good", nil, fine)
add("a self-signed certificate", "self-signed", nil, refused "ca_file")
add("a certificate for another host", "wrong-host", nil, refused "ca_file")
add("an expired certificate", "expired", nil, refused "ca_file")
add("a certificate of localhost under the name localhost", "good", nil, fine, nil, {
  options = function(urls)
    return { base_url = "https://localhost:" .. urls.main.port .. "/v1" }
  end,
})
add("a good certificate of a CA that the system does not know", "good", false,
  refused "libcurl's default", {})
add("a ca_file that does not exist", "good", "/nonexistent/ca.pem", refused "ca_file")
add("a ca_file that is no certificate", "good", nil, refused "ca_file", nil,
  { options = { ca_file = "/etc/passwd" } })
add("the certificate is not asked for again", "self-signed", nil, refused "ca_file", nil,
  { options = { max_retries = 2 } })

for _, name in ipairs { "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NIX_SSL_CERT_FILE" } do
  add(name .. " is used", "good", false, fine, function() return { [name] = ca() } end)
  add(name .. " is named when it does not help", "good", false, refused(name),
    function(_, extra) return { [name] = extra.other } end,
    { prepare = function() return { other = other_ca() } end })
end

add("SSL_CERT_DIR is used", "good", false, fine,
  function(_, extra) return { SSL_CERT_DIR = extra.dir } end,
  { prepare = function() return { dir = ca_dir() } end })
add("SSL_CERT_DIR is named when it does not help", "good", false, refused "SSL_CERT_DIR",
  function() return { SSL_CERT_DIR = "/nonexistent" } end)
add("an empty variable counts as none", "good", false, fine,
  function() return { SSL_CERT_FILE = "", SSL_CERT_DIR = "", CURL_CA_BUNDLE = ca() } end)

local both = { prepare = function() return { other = other_ca() } end }

-- In each pair the first has the CA or not, and decides.
local ORDER = { "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NIX_SSL_CERT_FILE" }
for i = 1, 2 do
  add(ORDER[i] .. " goes before " .. ORDER[i + 1], "good", false, fine,
    function(_, extra) return { [ORDER[i]] = ca(), [ORDER[i + 1]] = extra.other } end, both)
  add(ORDER[i] .. " goes before " .. ORDER[i + 1] .. ", also when it does not help", "good",
    false, refused(ORDER[i]),
    function(_, extra) return { [ORDER[i]] = extra.other, [ORDER[i + 1]] = ca() } end, both)
end
add("SSL_CERT_FILE goes before SSL_CERT_DIR", "good", false, fine,
  function() return { SSL_CERT_FILE = ca(), SSL_CERT_DIR = "/nonexistent" } end)
add("SSL_CERT_DIR goes before CURL_CA_BUNDLE", "good", false, fine,
  function(_, extra) return { SSL_CERT_DIR = extra.dir, CURL_CA_BUNDLE = "/nonexistent" } end,
  { prepare = function() return { dir = ca_dir() } end })
add("the option ca_file goes before the environment", "good", nil, fine,
  function(_, extra) return { SSL_CERT_FILE = extra.other } end, both)


-- CA files that change -------------------------------------------------------------------

local function copied()
  local support = require "spec.support"
  local dir = support.tmpdir()
  support.write_file(dir .. "/ca.pem", support.read_file(ca()))
  return { dir = dir, good = ca(), other = other_ca() }
end

local function copy(from, to)
  local file = assert(io.open(from, "rb"))
  local text = file:read("*a")
  file:close()
  file = assert(io.open(to, "wb"))
  file:write(text)
  file:close()
end

-- What is done to the file between two questions of one bot, whose connection is kept.
local function changing(name, change, expect, saw, more)
  local row = { prepare = copied, own = true, saw = saw, client = function(t)
    local path = t.extra.dir .. "/ca.pem"
    local bot = t:bot { ca_file = path }
    local first = t:talk(bot)
    if first.kind then return first end
    t:pause(0.05)
    change(path, t.extra, function() return t:talk(bot) end)
    return t:talk(bot)
  end }
  for key, value in pairs(more or {}) do row[key] = value end
  add(name, "good", nil, expect, {}, row)
end

changing("a ca_file that is as it was, and its connection", function() end, fine,
  { requests = 2, connections = 1 })
changing("a CA that is withdrawn from its file", function(path, extra)
  copy(extra.other, path)
end, refused "ca_file", { requests = 1 })
changing("a ca_file that is replaced by another", function(path, extra)
  copy(extra.other, path .. ".new")
  os.rename(path .. ".new", path)
end, refused "ca_file", { requests = 1 })
changing("a ca_file that vanishes", function(path) os.remove(path) end, refused "ca_file",
  { requests = 1 })
changing("a CA that comes back", function(path, extra, ask)
  copy(extra.other, path)
  ask()
  copy(extra.good, path)
end, fine, { requests = 2 })
changing("a CA that comes, goes and comes often", function(path, extra, ask)
  for _ = 1, 5 do
    os.remove(path)
    ask()
    copy(extra.good, path)
    ask()
  end
end, fine, { requests = 7 })
changing("a relative ca_file from which the CA is withdrawn", function(_, extra)
  copy(extra.other, "ca.pem")
end, refused "ca_file", { requests = 1 }, { client = function(t)
  copy(t.extra.good, "ca.pem")
  local bot = t:bot { ca_file = "ca.pem" }
  t:talk(bot)
  copy(t.extra.other, "ca.pem")
  local observed = t:talk(bot)
  os.remove("ca.pem")
  return observed
end })

add("the environment is read at each request", "good", false, fine, function()
  return { SSL_CERT_FILE = "/nonexistent" }
end, {
  options = nil, expect = refused "SSL_CERT_FILE", saw = { requests = 0 },
})

return rows
