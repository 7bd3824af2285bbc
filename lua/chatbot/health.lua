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

local function check_binary()
  local abi = jit and jit.version or _VERSION
  local loaded, problem = pcall(require, "chatbot.core")
  local searchpath = rawget(package, "searchpath") -- not in PUC Lua 5.1
  local path = vim.api.nvim_get_runtime_file("lua/chatbot/core.so", false)[1]
    or searchpath and searchpath("chatbot.core", package.cpath)
  if loaded then
    ok(("chatbot.core: %s, for %s"):format(path or "loaded", abi))
    ok(require("chatbot")._VERSION)
  else
    error(tostring(problem):match("[^\n]*"), {
      "Run `make nvim` in the plugin's directory; it needs a C compiler and the headers of "
        .. "LuaJIT and libcurl.",
      "A binary made for another Lua does not work here: this is " .. abi .. ".",
    })
  end
  return loaded
end

local function check_curl()
  local curl, err = require("chatbot.core").curl_version()
  if not curl then return error(tostring(err), { "Install libcurl." }) end
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
  if not curl.ca then
    info("CA certificates: what the TLS library finds by itself")
  elseif (vim.uv or vim.loop).fs_access(curl.ca, "R") then
    ok(("CA certificates: %s (%s)"):format(curl.ca, curl.ca_source))
  else
    error(("CA certificates: %s (%s) cannot be read"):format(curl.ca, curl.ca_source))
  end
end

local function check_host()
  if vim.json then
    ok("JSON: vim.json")
  elseif pcall(require, "cjson") then
    ok("JSON: lua-cjson")
  else
    error("JSON: neither vim.json nor lua-cjson is here")
  end
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
  check_curl()
  start("chatbot: Neovim")
  check_host()
  start("chatbot: providers")
  check_keys()
end

return M
