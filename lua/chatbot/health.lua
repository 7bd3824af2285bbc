-- :checkhealth chatbot - whether the module can work inside this Neovim.
--
-- Each line says what was found; what is wrong comes with what to do about it.
-- Of keys it tells only whose there is one.

local health = vim.health or require("health")
local start = health.start or health.report_start
local ok = health.ok or health.report_ok
local info = health.info or health.report_info
local warn = health.warn or health.report_warn
local error = health.error or health.report_error

local M = {}

local uv = vim.uv or vim.loop

local function check_binary()
  local abi = jit and jit.version or _VERSION
  local loaded, chatbot = pcall(require, "chatbot")
  if loaded then
    local searchpath = rawget(package, "searchpath") -- not in PUC Lua 5.1
    local path = vim.api.nvim_get_runtime_file("lua/chatbot/core.so", false)[1]
      or searchpath and searchpath("chatbot.core", package.cpath)
    ok(("chatbot.core: %s, for %s"):format(path or "loaded", abi))
    ok(chatbot._VERSION)
  else
    local root = debug.getinfo(1, "S").source:match("^@(.*)/lua/chatbot/") or ""
    local here = vim.fn.filereadable(root .. "/Makefile") == 1
    error((tostring(chatbot):gsub("%s+", " ")), {
      ("Run `make nvim%s` in %s; it needs a C compiler, make, pkg-config and the headers of %s "
        .. "and libcurl."):format(jit and "" or " NVIM_LUA=lua5.1",
        here and root or "the plugin's directory", jit and "LuaJIT" or "Lua 5.1"),
      "A binary made for another Lua does not work here: this is " .. abi .. ".",
    })
  end
  return loaded
end

local function check_ca(curl)
  if not curl.ca then return info("CA certificates: what the TLS library finds by itself") end
  local found = ("CA certificates: %s (%s)"):format(curl.ca, curl.ca_source)
  local dir = uv.fs_scandir(curl.ca)
  if not uv.fs_access(curl.ca, "R") then
    found = found .. " cannot be read"
  elseif dir and not uv.fs_scandir_next(dir) then
    found = found .. " is empty"
  else
    return ok(found)
  end
  error(found, {
    "Install your system's package ca-certificates, or let SSL_CERT_FILE or the option ca_file "
      .. "name a file with CA certificates.",
  })
end

local function check_curl()
  local curl, err = require("chatbot.core").curl_version()
  if not curl then
    error(tostring(err), {
      "Install your system's package of libcurl (Debian: libcurl4, Fedora: libcurl, "
        .. "Arch: curl), and start Neovim again.",
    })
    return false
  end
  ok("libcurl " .. curl.version)
  if curl.ssl_version then
    ok("TLS: " .. curl.ssl_version)
  else
    error("libcurl was built without TLS: only http:// works")
  end
  if curl.async_dns then
    ok("names are resolved asynchronously")
  else
    warn("libcurl resolves names while Neovim waits", {
      "Install a libcurl with c-ares or the threaded resolver.",
    })
  end
  check_ca(curl)
  return true
end

-- What is wrong with JSON that the module writes and reads, if anything.
local function check_json()
  local core = require "chatbot.core"
  local value = { list = core.array {}, map = {}, pieces = { 0.1, true, '"\226\130\172\\' } }
  local text, problem = core.json_encode(value)
  local read
  if text then read, problem = core.json_decode(text) end
  if problem then return problem end
  if not vim.deep_equal(read, value) then return "it is read as something else: " .. text end
  if core.json_decode('{"a":null}').a ~= nil then return "null is not read as nil" end
end

local function check_host(curl)
  local name = vim.json and "vim.json" or "lua-cjson"
  local problem = check_json()
  if problem then
    error(("JSON: %s: %s"):format(name, problem))
  else
    ok("JSON: " .. name)
  end
  if not curl then return end -- which has the descriptor
  if require("chatbot").pollfd() then
    ok("the main loop watches a descriptor")
  else
    info("the main loop looks every 10 ms while an answer is under way")
  end
end

local function check_keys()
  local with, without = {}, {}
  for _, provider in ipairs(require("chatbot").providers()) do
    if provider.has_key then
      with[#with + 1] = provider.name
    elseif provider.api_key_env[1] then
      without[#without + 1] = ("%s (%s)"):format(provider.name,
        table.concat(provider.api_key_env, ", "))
    end
  end
  if #with > 0 then
    ok("a key is set for: " .. table.concat(with, ", "))
  else
    warn("no provider has a key", { "Set one of the variables below, or use a local server." })
  end
  info("no key is set for: " .. table.concat(without, ", "))
end

function M.check()
  start("chatbot: the binary")
  if not check_binary() then return end
  start("chatbot: libcurl")
  local curl = check_curl()
  start("chatbot: Neovim")
  check_host(curl)
  start("chatbot: providers")
  check_keys()
end

return M
