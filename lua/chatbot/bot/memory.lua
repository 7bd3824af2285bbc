-- memory.lua - conversations that outlive the program: saving and loading. Never
-- a key: a bot that is loaded finds its key as a new one does. And a file, which
-- somebody else may have written, never sends text or a key to a place of its own.

local core = require "chatbot.core"
local reason = require("chatbot.common.text").reason

local M = {}

local FORMAT = "chatbot conversation 1"

-- What is kept beside the messages: the settings that say what is asked and how it is answered.
local kept = { "model", "provider", "base_url", "api", "temperature", "max_context_tokens",
  "keep_partial", "stream" }

-- A base URL without what may be a secret in it: the query, user and password.
local function bare(url)
  local scheme, rest = url:match("^(%a[%w+.-]*://)(.*)$")
  rest = (rest or url):match("^[^?#]*")
  return (scheme or "") .. rest:gsub("^[^/]*@", "")
end

local function check_path(path, arg)
  if type(path) ~= "string" then core.misuse(arg, "string expected, got " .. type(path)) end
end

---Writes the conversation and settings of a bot to a file, at once or not at all.
---@param bot chatbot.Chatbot
---@param path string
---@return true?
---@return string? problem
function M.save(bot, path)
  local env = core.chatbot._env(bot) -- raises when it is no bot
  check_path(path, 2)
  local options, settings = env.options, {}
  for _, name in ipairs(kept) do settings[name] = options[name] end
  settings.base_url = options.base_url and bare(options.base_url)
  local extra = bot:_env().extra
  settings.model = extra and extra.models or settings.model
  local messages = core.array {} -- a copy, since marking changes the table
  for i, message in ipairs(bot:get_messages()) do messages[i] = message end
  local text, problem = core.json_encode {
    format = FORMAT, settings = settings, messages = messages,
  }
  if not text then return nil, problem end
  return core.write_file(path, text .. "\n")
end

-- What chatbot.new takes for the conversation in the file, or nil and the problem.
local function read(path)
  local file, problem = io.open(path, "rb")
  if not file then return nil, problem end
  local text, unread = file:read("*a")
  file:close()
  if not text then return nil, ("%s: %s"):format(path, unread) end
  local value
  value, problem = core.json_decode(text)
  if type(value) ~= "table" or value.format ~= FORMAT or type(value.messages) ~= "table"
    or type(value.settings) ~= "table" then
    return nil, ("%s is no saved conversation%s"):format(path, problem and ": " .. problem or "")
  end
  local options = {}
  for _, name in ipairs(kept) do options[name] = value.settings[name] end
  options.messages = value.messages
  return options
end

-- Whether the address that was saved is that of the saved provider itself.
local function is_own(saved)
  local model = type(saved.model) == "table" and saved.model[1] or saved.model
  local function address(base_url)
    local ok, bot = pcall(core.new, { model = model, provider = saved.provider,
      base_url = base_url })
    return ok and bot:get_provider().base_url
  end
  local own = address(nil)
  return own and own == address(saved.base_url)
end

-- Takes out of what was saved what only the program may say: an address, unless it is
-- a provider's own or the options name that provider again, and whose key an address of
-- the options gets. A problem when there is nobody else to say it.
local function confine(path, saved, options)
  if options.base_url ~= nil then
    saved.provider = nil
  elseif options.provider ~= nil and options.provider ~= saved.provider then
    saved.base_url = nil
  elseif options.provider == nil and type(saved.base_url) == "string" and not is_own(saved) then
    local address = bare(saved.base_url):gsub("[^!-~]", "?"):sub(1, 200)
    return core.failure("config", ("%s names the address %s, which is no provider's own: to go "
      .. "on there, name it as base_url, or its provider as provider, among the options of load")
      :format(path, address))
  end
end

---Reads a conversation back.
---@param path string
---@param options? chatbot.Options in place of those that were saved
---@return chatbot.Chatbot?
---@return string|chatbot.Error? problem an error of the kind `config` when the options
---  must say where the conversation goes
function M.load(path, options)
  check_path(path, 1)
  if options ~= nil and type(options) ~= "table" then
    core.misuse(2, "table expected, got " .. type(options))
  end
  local saved, problem = read(path)
  if not saved then return nil, problem end
  options = options or {}
  problem = confine(path, saved, options)
  if problem then return nil, problem end
  for name, value in pairs(options) do saved[name] = value end
  local ok, bot = pcall(core.make, saved, 2)
  if ok then return bot end
  core.make(options, 2) -- raises when it is these that are wrong
  return nil, ("%s is no saved conversation: %s"):format(path, reason(bot))
end

core.ours()

return M
