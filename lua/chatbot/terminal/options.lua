-- The command line of the terminal chat: words in, a table out. It must not know
-- the module, the network or the terminal.

local M = {}

-- The dotenv file of --env-file.
M.parse_env = require("chatbot.terminal.envfile").parse

-- The shells that --completion knows.
M.shells = { "bash", "zsh", "fish" }

-- What --api and --reasoning take; the latter a number of tokens as well.
M.apis = { "chat", "responses", "messages" }
M.reasoning = { "none", "minimal", "low", "medium", "high", "max" }

local TOP_LOGPROBS_MAX = 20

-- Options --------------------------------------------------------------------

local function number_from(least, most, whole)
  return function(text)
    local value = tonumber(text)
    if value and value >= least and value <= most and (not whole or value % 1 == 0) then
      return value
    end
  end
end

local function temperature(text)
  if text == "none" then return false end
  return number_from(0, 10)(text)
end

local function one_of(list)
  return function(text)
    for _, name in ipairs(list) do
      if name == text then return name end
    end
  end
end

local function reasoning(text)
  if text == "none" then return false end
  return one_of(M.reasoning)(text) or number_from(1, 2 ^ 31, true)(text)
end

-- Long name, short name, what it takes (none for a switch), help, conversion.
local OPTIONS = {
  { "model", "m", "NAME", "the model; its name finds the provider, as does a prefix (groq:...)" },
  { "system", "s", "TEXT", "the system message" },
  { "base-url", "b", "URL", "the server, up to /v1" },
  { "provider", "p", "NAME", "the provider, whatever the model is called" },
  { "api", nil, "API", "how it is asked: chat, responses or messages", one_of(M.apis) },
  { "temperature", "t", "X", "0 unless given; `none` leaves it to the server", temperature },
  { "reasoning", nil, "X", "how much to think: none, minimal, low, medium, high, max, or tokens",
    reasoning },
  { "search", nil, nil, "let the service search the web" },
  { "max-tokens", nil, "N", "the longest answer", number_from(1, 2 ^ 31, true) },
  { "max-context-tokens", nil, "N", "forget the oldest exchange when an answer passes this",
    number_from(1, 2 ^ 31, true) },
  { "no-stream", nil, nil, "wait for the whole answer" },
  { "logprobs", nil, "N", "print each token, its probability and N alternatives",
    number_from(0, TOP_LOGPROBS_MAX, true) },
  { "summarize", nil, "PAGE", "summarise a web page: its address, a file, or - for stdin" },
  { "language", nil, "NAME", "the language of the summary, where not the page's own" },
  { "context-tokens", nil, "N", "what the model takes at once; a longer page goes in parts",
    number_from(500, 2 ^ 31, true) },
  { "env-file", nil, "FILE", "take keys that the environment lacks from a dotenv file" },
  { "offline", nil, nil, "talk to the bundled server: no model, no network, no key" },
  { "interactive", "i", nil, "hold a session, though input is not a terminal" },
  { "verbose", "v", nil, "print the token usage; twice: the whole response" },
  { "completion", nil, "SHELL", "print the completion of these options: bash, zsh or fish",
    one_of(M.shells) },
  { "version", nil, nil, "print the version" },
  { "help", "h", nil, "print this" },
}

M.list = OPTIONS

---The text of `--help`.
---@return string
function M.help()
  local lines = {
    "Usage: chatbot [OPTION]... [PROMPT]...",
    "",
    "Talks to a model. With a prompt, or with text piped in, it prints one answer;",
    "else it holds a conversation. Without a model named it takes what is there: a key",
    "in the environment, a local server, or for a conversation the bundled offline server.",
    "",
  }
  for _, option in ipairs(OPTIONS) do
    local long, short, takes, help = option[1], option[2], option[3], option[4]
    lines[#lines + 1] = ("  %s --%-24s %s"):format(short and "-" .. short .. "," or "   ",
      long .. (takes and " " .. takes or ""), help)
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "In a conversation /help lists the commands; quit, exit or Ctrl-D ends it,"
  lines[#lines + 1] = "and Ctrl-C stops an answer. Exit status: 0, 1 when it failed, 2 for"
  lines[#lines + 1] = "wrong usage, 130 after Ctrl-C."
  return table.concat(lines, "\n")
end

local function option_named(name)
  for _, option in ipairs(OPTIONS) do
    if name == "--" .. option[1] or (option[2] and name == "-" .. option[2]) then
      return option
    end
  end
end

-- "--model=x" -> "--model", "x"; "-mx" -> "-m", "x"; "-vv" -> "-v", nil, "-v"
local function split_argument(argument)
  local name, value = argument:match("^(%-%-[^=]+)=(.*)$")
  if name then return name, value end
  if argument:find("^%-%a.") then
    name = argument:sub(1, 2)
    local option = option_named(name)
    if option and option[3] then return name, argument:sub(3) end
    return name, nil, "-" .. argument:sub(3)
  end
  return argument
end

---Reads a command line.
---@param args string[]
---@return table|nil options keyed by long name with "_"; `prompt` holds the rest
---@return string? problem
function M.parse(args)
  local options, words, i, rest = { verbose = 0 }, {}, 1, nil
  while i <= #args or rest do
    local argument = rest or args[i]
    local name, value
    name, value, rest = split_argument(argument)
    if argument == "--" then
      for k = i + 1, #args do words[#words + 1] = args[k] end
      break
    elseif not argument:find("^%-.") then
      words[#words + 1] = argument
    else
      local option = option_named(name)
      if not option then return nil, ("unknown option %s"):format(name) end
      local key, takes, convert = option[1]:gsub("-", "_"), option[3], option[5]
      if not takes then
        if value then return nil, ("%s takes no value"):format(name) end
        options[key] = key == "verbose" and options.verbose + 1 or true
      else
        if not value then
          i = i + 1
          value = args[i]
        end
        if not value then return nil, ("%s needs a value: %s"):format(name, takes) end
        local converted = value
        if convert then converted = convert(value) end
        if converted == nil then return nil, ("%s does not take %q"):format(name, value) end
        options[key] = converted
      end
    end
    if not rest then i = i + 1 end
  end
  if #words > 0 then options.prompt = table.concat(words, " ") end
  return options
end

return M
