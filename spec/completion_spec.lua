-- The completion of the terminal chat, asked in the shells themselves, against the table
-- of its options. Nothing of it asks the program, let alone a server.

local choices = require "chatbot.terminal.choice"
local completion = require "chatbot.terminal.completion"
local options = require "chatbot.terminal.options"
local process = require "spec.support.process"
local providers = require "chatbot.providers"
local shell = require "spec.support.shell"

-- Each asks its shell, with the script of that shell in `file`, what may end each line:
-- a list of texts.
local ask = {}

function ask.bash(dir, file, lines)
  local answers = {}
  for i, line in ipairs(lines) do
    process.write_file(dir .. "/ask", ([[
      COMP_WORDBREAKS=$' \t\n"\'><=;|&(:' COMP_LINE=%s COMP_POINT=%d
      . %s
      _chatbot
      printf '%%s\n' "${COMPREPLY[@]}"
    ]]):format(process.quote(line), #line, file))
    answers[i] = shell.must("bash --norc " .. dir .. "/ask", dir)
  end
  return answers
end

function ask.fish(dir, file, lines)
  local answers = {}
  for i, line in ipairs(lines) do
    process.write_file(dir .. "/ask", ("source %s; complete -C %s"):format(file,
      process.quote(line)))
    answers[i] = shell.must("fish --no-config " .. dir .. "/ask", dir, { HOME = dir })
      :gsub("\t[^\n]*", "")
  end
  return answers
end

-- At a prompt on a terminal: completion is a part of zsh's line editor.
function ask.zsh(dir, file, lines)
  local quoted, answers = {}, {}
  for i, line in ipairs(lines) do quoted[i] = process.quote(line) end
  process.write_file(dir .. "/ask", ([=[
    PS1=
    autoload -Uz compinit; compinit -D -u
    . %s
    compadd() {
      local -a hits
      if (( ! ${@[(I)-[OAD]]} )); then
        builtin compadd -O hits "$@"
        print -rl -- "HIT:"$^hits
      fi
      builtin compadd "$@"
    }
    asked() { print END }
    zle -N asked
    bindkey '^I' complete-word '^X' asked '^U' kill-buffer
    print READY
  ]=]):format(file))
  process.write_file(dir .. "/terminal", ([[
    zmodload zsh/zpty
    zpty z zsh -f -i
    zpty -w z '. %s/ask'
    zpty -r -m z out '*READY*'
    for line in %s; do
      zpty -w -n z "$line"$'\t\030'
      zpty -r -m z out '*END*'
      print -r -- "LINE:$out"
      zpty -w -n z $'\025'
    done
    zpty -d z
  ]]):format(dir, table.concat(quoted, " ")))
  local out = shell.must("zsh -f " .. dir .. "/terminal", dir, { HOME = dir }, 60)
  for part in out:gmatch("LINE:(.-END)") do
    local hits = {}
    for hit in part:gmatch("HIT:([^\r\n]+)") do hits[#hits + 1] = hit end
    answers[#answers + 1] = table.concat(hits, "\n")
  end
  return answers
end

-- The names in a text, in order, each once.
local function sorted(text)
  local list, seen = {}, {}
  for name in text:gmatch("[^\n]+") do
    if not seen[name] then list[#list + 1] = name end
    seen[name] = true
  end
  table.sort(list)
  return list
end

local function all_options(prefix)
  local names = {}
  for _, option in ipairs(options.list) do
    names[#names + 1] = "--" .. option[1]
    names[#names + 1] = option[2] and "-" .. option[2]
  end
  for i = #names, 1, -1 do
    if names[i]:sub(1, #prefix) ~= prefix then table.remove(names, i) end
  end
  return sorted(table.concat(names, "\n"))
end

local function provider_names()
  local names = {}
  for _, provider in ipairs(providers) do names[#names + 1] = provider.name end
  table.sort(names)
  return names
end

local GROQ = choices.default_models.groq

-- A line, and what may end it. bash replaces what is behind a colon, and leaves files to
-- readline (`complete -o default`).
local function cases_of(name)
  local files = name == "bash" and {} or { "keys.env" }
  return {
    { "chatbot -", all_options("-") },
    { "chatbot --", all_options("--") },
    { "chatbot -v hello --max-", all_options("--max-") },
    { "chatbot -p ", provider_names() },
    { "chatbot hello --provider ", provider_names() },
    { "chatbot -m gp", { "gpt-4.1" } },
    { "chatbot --model gro", { "grok-4", "groq:" .. GROQ } },
    { "chatbot -m groq:l", { (name == "bash" and "" or "groq:") .. GROQ } },
    { "chatbot -t ", { "none" } },
    { "chatbot --completion z", { "zsh" } },
    { "chatbot --env-file k", files },
    { "chatbot --summarize k", files },
    { "chatbot --language k", {} },
  }
end

describe("the completion", function()
  after_each(process.remove_all)

  for _, name in ipairs(options.shells) do
    it("in " .. name .. " has the options, and what may stand behind them", function()
      if not shell.have(name) then return end
      local dir, lines, expected = process.tmpdir(), {}, {}
      process.write_file(dir .. "/script", completion.script(name))
      process.write_file(dir .. "/keys.env", "")
      for i, case in ipairs(cases_of(name)) do
        lines[i], expected[case[1]] = case[1], case[2]
      end
      local answers = {}
      for i, text in ipairs(ask[name](dir, dir .. "/script", lines)) do
        answers[lines[i]] = sorted(text)
      end
      assert.same(expected, answers)
    end)
  end

  it("is registered in bash for the program, with files where nothing is said", function()
    if not shell.have("bash") then return end
    local dir = process.tmpdir()
    process.write_file(dir .. "/script", completion.script("bash"))
    assert.equal("complete -o bashdefault -o default -F _chatbot chatbot\n",
      shell.must("bash --norc -c '. ./script && complete -p chatbot'", dir))
  end)

  it("needs no quotes in a model's name", function()
    for provider, model in pairs(choices.default_models) do
      assert.falsy((provider .. model):find("[%s'\"\\$`]"))
    end
  end)
end)
