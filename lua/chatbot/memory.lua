-- memory.lua - conversations that outlive the program: saving and loading. Never
-- a key: a bot that is loaded finds its key as a new one does.

local core = require "chatbot.core"

local M = {}

local FORMAT = "chatbot conversation 1"

-- What is kept beside the messages: settings that are plain values.
local kept = { "model", "provider", "base_url", "temperature", "max_context_tokens",
  "keep_partial", "stream" }

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
  local extra = bot:_env().extra
  settings.model = extra and extra.models or settings.model
  local messages = core.array {} -- a copy, since marking changes the table
  for i, message in ipairs(bot:get_messages()) do messages[i] = message end
  local text, problem = core.json_encode {
    format = FORMAT, settings = settings, messages = messages,
  }
  if not text then return nil, problem end
  local temporary = ("%s.%d%s.tmp"):format(path, os.time() % 100000,
    (tostring({}):match("%x+$")) or "")
  local file
  file, problem = io.open(temporary, "wb")
  if not file then return nil, problem end
  local ok = file:write(text, "\n")
  ok = file:close() and ok
  if not ok then
    os.remove(temporary)
    return nil, "the file could not be written: " .. temporary
  end
  ok, problem = os.rename(temporary, path) -- POSIX: replaces the old file at once
  if not ok then os.remove(temporary) end
  return ok, problem
end

-- What chatbot.new takes for the conversation in the file, or nil and the problem.
local function read(path)
  local file, problem = io.open(path, "rb")
  if not file then return nil, problem end
  local text = file:read("*a")
  file:close()
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

---Reads a conversation back.
---@param path string
---@param options? chatbot.Options in place of those that were saved
---@return chatbot.Chatbot?
---@return string? problem
function M.load(path, options)
  check_path(path, 1)
  if options ~= nil and type(options) ~= "table" then
    core.misuse(2, "table expected, got " .. type(options))
  end
  local saved, problem = read(path)
  if not saved then return nil, problem end
  local ok
  ok, problem = pcall(core.make, saved, 1)
  if not ok then
    problem = tostring(problem):match("%((.*)%)$") or problem
    return nil, ("%s is no saved conversation: %s"):format(path, problem)
  end
  for name, value in pairs(options or {}) do saved[name] = value end
  local bot = core.make(saved, 2)
  return bot
end

core.ours()

return M
