-- The completion of the terminal chat in bash, zsh and fish: scripts made of the
-- table of its options, the providers and the models that the program takes by
-- itself. They ask neither the program nor a server. It must not know the module.

local choices = require "chatbot.terminal.choice"
local options = require "chatbot.terminal.options"
local providers = require "chatbot.providers"

local M = {}

-- The names of the providers, and of models: those that a provider is taken with, by
-- themselves and behind the provider's name, which also stands alone.
local function names()
  local list, models = {}, {}
  for _, provider in ipairs(providers) do
    local model = choices.default_models[provider.name]
    list[#list + 1] = provider.name
    models[#models + 1] = provider.name .. ":" .. (model or "")
    if model and not model:find("/", 1, true) then models[#models + 1] = model end
  end
  return list, models
end

-- What may stand behind an option: a list of words, "files", or nothing that is known.
local function values_of(option)
  local list, models = names()
  local words = {
    model = models, provider = list, temperature = { "none" }, completion = options.shells,
    api = options.apis, reasoning = options.reasoning,
  }
  return words[option[1]] or (option[3] == "FILE" or option[3] == "PAGE") and "files" or nil
end

-- In bash a word ends at a colon, and only what is behind the last one is replaced. Where
-- nothing is said, readline completes the names of files.
local function bash()
  local all, cases = {}, {}
  for _, option in ipairs(options.list) do
    local long, short = "--" .. option[1], option[2] and "-" .. option[2]
    all[#all + 1] = long
    all[#all + 1] = short
    if option[3] then
      local values = values_of(option)
      cases[#cases + 1] = ("    %s) %s ;;"):format(short and short .. " | " .. long or long,
        values == "files" and "return" or "words='" .. table.concat(values or {}, " ") .. "'")
    end
  end
  return ([=[
_chatbot()
{
    local line=${COMP_LINE:0:COMP_POINT} cur last words
    cur=${line##*[[:space:]]}
    last=${line%%"$cur"}
    last=${last%%"${last##*[![:space:]]}"}
    last=${last##*[[:space:]]}
    case $cur in
    --*=*) last=${cur%%%%=*} cur=${cur#*=} ;;
    esac
    COMPREPLY=()
    case $last in
%s
    *)
        [[ $cur == -* ]] || return
        words='%s'
        ;;
    esac
    compopt +o default 2>/dev/null
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${cur%%"${cur##*:}"}"}")
    fi
}
complete -o bashdefault -o default -F _chatbot chatbot
]=]):format(table.concat(cases, "\n"), table.concat(all, " "))
end

-- In one apostrophe each side, as sh and zsh read it.
local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function zsh()
  local lines = {}
  for _, option in ipairs(options.list) do
    local long, short, takes, help = option[1], option[2], option[3], option[4]
    local text = "[" .. help:gsub("[%[%]:\\]", "\\%0") .. "]"
    if takes then
      local values = values_of(option)
      if values == "files" then
        values = "_files"
      else
        values = values and "(" .. table.concat(values, " "):gsub(":", "\\:") .. ")" or " "
      end
      text = ("%s:%s:%s"):format(text, takes, values)
    end
    local name = "--" .. long .. (takes and "=" or "")
    if short then
      name = ("'%s'{-%s,%s}"):format(long == "verbose" and "*" -- may come twice
        or ("(-%s --%s)"):format(short, long), short .. (takes and "+" or ""), name)
    end
    lines[#lines + 1] = "    " .. name .. quoted(text)
  end
  return ([[
#compdef chatbot
_chatbot()
{
  _arguments -s -S \
%s \
    '*:prompt: '
}
if [ "${funcstack[1]}" = _chatbot ]; then
  _chatbot "$@"
else
  compdef _chatbot chatbot
fi
]]):format(table.concat(lines, " \\\n"))
end

local function fish()
  local lines = { "complete -c chatbot -f" }
  for _, option in ipairs(options.list) do
    local long, short, takes, help = option[1], option[2], option[3], option[4]
    local line = "complete -c chatbot -l " .. long .. (short and " -s " .. short or "")
    if takes then
      local values = values_of(option)
      line = line .. (values == "files" and " -r -F" or " -x")
      if type(values) == "table" then line = line .. " -a '" .. table.concat(values, " ") .. "'" end
    end
    lines[#lines + 1] = line .. " -d '" .. help:gsub("[\\']", "\\%0") .. "'"
  end
  return table.concat(lines, "\n") .. "\n"
end

local scripts = { bash = bash, zsh = zsh, fish = fish }

---The script for a shell.
---@param shell string one of options.shells
---@return string
function M.script(shell)
  return scripts[shell]()
end

return M
