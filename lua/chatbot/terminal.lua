-- The terminal chat behind bin/chatbot: options, the choice of a model where
-- none is named, one question from the command line or a pipe, or a session
-- with commands.
--
-- It uses the module as any host would and may block, since a terminal has
-- nothing else to do. What the world does wrong becomes one line on stderr and
-- the session goes on. Answers go to stdout, everything else to stderr when
-- stdout is not a terminal. It must not print a key.

local cli = require "chatbot.terminal.options"
local choices = require "chatbot.terminal.choice"
local terminal = require "chatbot.terminal.console"
local shown = require "chatbot.terminal.text"
local words = require "chatbot.common.text"

local M = {}

-- Words ----------------------------------------------------------------------

local strip, one_line = words.strip, words.one_line

-- The text of a message's content: a string, or a list of parts.
local function content_text(content)
  if type(content) == "string" then return content end
  local texts = {}
  for _, part in ipairs(type(content) == "table" and content or {}) do
    local text = type(part) == "table" and (part.text or ("[%s]"):format(tostring(part.type)))
    texts[#texts + 1] = type(text) == "string" and text or tostring(part)
  end
  return table.concat(texts, "\n")
end


local Session = {}
Session.__index = Session


-- An answer ------------------------------------------------------------------

local function add_usage(total, usage)
  for _, name in ipairs { "prompt_tokens", "completion_tokens", "total_tokens" } do
    total[name] = (total[name] or 0) + (tonumber(usage[name]) or 0)
  end
end

local function usage_text(usage)
  return ("%.0f prompt + %.0f completion = %.0f tokens"):format(usage.prompt_tokens or 0,
    usage.completion_tokens or 0, usage.total_tokens or 0)
end

-- One line for each token, the alternatives indented below it.
function Session:_print_logprobs(reply)
  local content = reply.logprobs and reply.logprobs.content
  if type(content) ~= "table" or #content == 0 then
    self.console.note("(the server sent no logprobs)")
    return
  end
  local function line(indent, entry)
    local probability = type(entry.logprob) == "number" and math.exp(entry.logprob)
    local token = shown.quoted(tostring(entry.token))
    return ("%s%s%s %s\n"):format(indent, token, (" "):rep(20 - shown.width(token)),
      probability and ("%.5f"):format(probability) or "?")
  end
  for _, entry in ipairs(content) do
    self.console.out(line("", entry))
    for _, other in ipairs(type(entry.top_logprobs) == "table" and entry.top_logprobs or {}) do
      self.console.out(line("    ", other))
    end
  end
end

-- What the answer rests on, each source once.
function Session:_print_sources(reply)
  local seen = {}
  for _, source in ipairs(reply.citations or {}) do
    local name = source.url or source.filename
    if name and not seen[name] then
      seen[name] = true
      self.console.note(("[%s]"):format(one_line(source.title and source.title ~= name
        and name .. " " .. source.title or name)))
    end
  end
end

-- Calls with Ctrl-C taken as the end of the call instead of the program's.
function Session:_interruptible(fn, ...)
  self.core.interrupts(true)
  local ok, a, b = pcall(fn, ...)
  self.core.interrupts(false)
  if not ok then return nil, a end
  return a, b
end

local REMARKS = {
  length = "(cut short: the answer reached the length limit)",
  filtered = "(the service's content filter stopped the answer)",
  tool_calls = "(the model asked for a tool, which the terminal chat has not)",
}

-- Calls fn(opts), which asks and returns what bot:chat does, and prints the answer as
-- it comes.
function Session:_answer(fn)
  local console, options = self.console, self.options
  local streamed = false -- something has been shown
  local function show(text)
    streamed = streamed or text ~= ""
    if not console.out(text) then error("the answer cannot be written", 0) end
  end
  local opts = {
    max_tokens = options.max_tokens,
    verbose = options.verbose > 0 and options.verbose or nil,
    on_text = not options.no_stream and show or nil,
  }
  if options.logprobs then
    opts.logprobs = true
    opts.top_logprobs = options.logprobs > 0 and options.logprobs or nil
  end
  local answer, reply = self:_interruptible(fn, opts)
  local whole = answer and (answer ~= "" and answer or reply.refusal)
  if whole and not streamed then pcall(show, whole) end
  console.end_line()
  while self.reports[1] do io.stderr:write(table.remove(self.reports, 1), "\n") end
  if not answer then
    local err = reply
    if type(err) == "table" and err.kind == "cancelled" then
      console.note("(stopped)")
    elseif not console.unwritten then -- which M.main reports
      console.problem(err)
    end
    return false, err
  end
  if reply.usage then
    self.last_usage = reply.usage
    add_usage(self.total_usage, reply.usage)
  end
  if REMARKS[reply.status] then console.note(REMARKS[reply.status]) end
  if options.logprobs then self:_print_logprobs(reply) end
  self:_print_sources(reply)
  return true
end

---Asks, and prints the answer as it comes.
---@param prompt string
---@return boolean ok
---@return table|string|nil err
function Session:ask(prompt)
  return self:_answer(function(opts) return self.bot:chat(prompt, opts) end)
end

---Prints a summary of a page.
---@param from string an address, a file's path, or "-"
---@param wish? string what is wanted besides
---@return boolean ok
---@return table|string|nil err
function Session:summarize(from, wish)
  local options, console, page, err = self.options, self.console, nil, nil
  local function open() page, err = require("chatbot.page").open(from) end
  -- Reading what is no address waits for whoever writes it; there Ctrl-C ends the program.
  local here = not from:find("^%a[%w+.-]*://")
  if here then open() end
  return self:_answer(function(opts)
    if not here then open() end
    if not page then return nil, err end
    return require("chatbot.summary").summarize(self.bot, page, {
      wish = wish, language = options.language, context_tokens = options.context_tokens,
      call = opts,
      on_progress = function(what) console.note("(" .. what .. ")") end,
    })
  end)
end


-- Commands -------------------------------------------------------------------

-- Each has what it takes, its help, and a function of the session and the rest
-- of the line that returns what to say, or nil and a problem.
local commands = {}
local ORDER = { "model", "models", "system", "usage", "messages", "save", "load", "reset",
  "help", "quit" }

local function expand(path)
  local home = os.getenv("HOME")
  return home and path:gsub("^~/", function() return home .. "/" end) or path
end

-- The model, and the provider or, where it is not the provider's own, the URL.
function Session:_where()
  local now = self.bot:get_provider()
  local own = self.choice:provider(now.name)
  local place = own and own.base_url == now.base_url and now.name or now.base_url
  return ("%s (%s)"):format(self.bot:get_model(), place)
end

function Session:_list_models()
  return self:_interruptible(self.bot.models, self.bot)
end

local function contains(list, wanted)
  for _, item in ipairs(list or {}) do
    if item == wanted then return true end
  end
  return false
end

commands.model = { "[NAME]", "show the model, or talk to another in this conversation",
  function(self, name)
    if name == "" then return self:_where() end
    local set_options
    if self.fixed and contains(self:_list_models(), name) then
      set_options = self.fixed
    end
    local ok, err = pcall(self.bot.set_model, self.bot, name, set_options)
    if not ok then return nil, err end
    return self:_where()
  end }

commands.models = { "", "list the models of the server",
  function(self)
    local list, err = self:_list_models()
    if not list then return nil, err end
    if #list == 0 then return "(the server lists none)" end
    local current, lines = self.bot:get_model(), {}
    for i, id in ipairs(list) do
      lines[i] = (id == current and "* " or "  ") .. id
    end
    return table.concat(lines, "\n")
  end }

commands.system = { "[TEXT]", "show the system message, or set it",
  function(self, text)
    local messages = self.bot:get_messages()
    local first = messages[1]
    local has = first and (first.role == "system" or first.role == "developer")
    if text == "" then
      return has and content_text(first.content) or "(no system message)"
    end
    local changed = { { role = has and first.role or "system", content = text } }
    for i = has and 2 or 1, #messages do changed[#changed + 1] = messages[i] end
    self.bot:set_messages(changed)
    return "system message set"
  end }

commands.usage = { "", "show the tokens used",
  function(self)
    if not self.last_usage then return "(no usage reported yet)" end
    return ("last answer: %s\nsession: %s"):format(usage_text(self.last_usage),
      usage_text(self.total_usage))
  end }

commands.messages = { "", "show the conversation",
  function(self)
    local lines = {}
    for i, message in ipairs(self.bot:get_messages()) do
      lines[i] = ("%s: %s"):format(tostring(message.role), content_text(message.content))
    end
    return #lines > 0 and table.concat(lines, "\n") or "(no messages)"
  end }

commands.save = { "FILE", "write the conversation to a JSON file",
  function(self, path)
    if path == "" then return nil, "/save needs a file name" end
    local messages = self.bot:get_messages()
    -- An empty table would become an object.
    local text, err = "[]", nil
    if #messages > 0 then text, err = self.core.json_encode(messages) end
    if not text then return nil, err end
    local written, problem = self.core.write_file(expand(path), text .. "\n")
    if not written then return nil, problem end
    return ("%d messages saved to %s"):format(#messages, path)
  end }

commands.load = { "FILE", "take the conversation from a JSON file",
  function(self, path)
    if path == "" then return nil, "/load needs a file name" end
    local file, problem = io.open(expand(path), "rb")
    if not file then return nil, problem end
    local text, read_problem = file:read("*a")
    file:close()
    if not text then return nil, ("%s: %s"):format(path, tostring(read_problem)) end
    local list, err = self.core.json_decode(text)
    if list == nil then return nil, ("%s: %s"):format(path, one_line(err)) end
    if type(list) == "table" and type(list.messages) == "table" then list = list.messages end
    local good = type(list) == "table" and (#list > 0 or next(list) == nil)
    for _, message in ipairs(good and list or {}) do
      good = good and type(message) == "table" and type(message.role) == "string"
    end
    if not good then return nil, ("%s holds no list of messages"):format(path) end
    local ok
    ok, problem = pcall(self.bot.set_messages, self.bot, list)
    if not ok then return nil, problem end
    return ("%d messages loaded from %s"):format(#list, path)
  end }

commands.reset = { "", "forget the conversation, but not the system message",
  function(self)
    self.bot:reset()
    return "the conversation is forgotten"
  end }

commands.help = { "", "list the commands",
  function()
    local lines = {}
    for _, name in ipairs(ORDER) do
      lines[#lines + 1] = ("  %-16s %s"):format("/" .. name .. " " .. commands[name][1],
        commands[name][2])
    end
    lines[#lines + 1] = "A line that begins with // sends a text that begins with /. Ctrl-C stops"
    lines[#lines + 1] = "an answer; quit, exit or Ctrl-D ends the program."
    return table.concat(lines, "\n")
  end }

commands.quit = { "", "end the program",
  function(self)
    self.ended = true
  end }

commands.exit = commands.quit

function Session:_command(name, rest)
  local command = commands[name]
  if not command then
    self.console.problem(("unknown command /%s; /help lists them, // sends a text that begins "
      .. "with a slash"):format(name))
    return
  end
  local said, problem = command[3](self, rest)
  if said then
    self.console.out(said .. "\n")
  elseif type(problem) == "table" and problem.kind == "cancelled" then
    self.console.note("(stopped)")
  elseif problem then
    self.console.problem(problem)
  end
end

---Does what one line of a session asks for.
---@param line string
function Session:obey(line)
  line = strip(line)
  if line == "" then return end
  if line == "quit" or line == "exit" then
    self.ended = true
  elseif line:sub(1, 2) == "//" then
    self:ask(line:sub(2))
  elseif line:sub(1, 1) == "/" then
    local name, rest = line:match("^/(%S*)%s*(.*)$")
    self:_command(name, rest)
  else
    self:ask(line)
  end
end

---Reads and obeys lines until the end.
function Session:run()
  local console = self.console
  if console.tty_in and console.tty_out then
    console.note(("talking to %s; /help lists the commands, quit ends"):format(self:_where()))
  end
  local read = terminal.reader(console)
  while not self.ended and not console.unwritten do
    local line = read()
    if not line then
      if console.tty_in and console.tty_out then console.out("\n") end
      break
    end
    self:obey(line)
  end
end

function Session:close()
  self.choice:close()
end

-- The variables of a dotenv file, or nil and a problem. What is wrong in it is noted.
local function read_env(path, console)
  local file, problem = io.open(path, "rb")
  if not file then return nil, problem end
  local text
  text, problem = file:read("*a")
  file:close()
  if not text then return nil, ("%s: %s"):format(path, tostring(problem)) end
  local env
  env, problem = cli.parse_env(text)
  if problem then console.problem(("%s: %s"):format(path, problem)) end
  return env
end

-- A session, or nil and the exit status after saying what is wrong.
local function new_session(options, console)
  local core = require "chatbot.core"
  -- From here on SIGINT ends the process, as at any prompt: the stand-alone
  -- interpreter would make a Lua error of it, once the line has been read.
  core.interrupts(false)
  local env, problem = {}, nil
  if options.env_file then env, problem = read_env(options.env_file, console) end
  if not env then
    console.problem(problem)
    return nil, 2
  end
  local chatbot = require "chatbot"
  local reports = {} -- what `verbose` writes, which goes below the answer
  function core.reply._write(line) reports[#reports + 1] = line end
  local choice = choices.new(chatbot, env)
  local ok, target, bot
  ok, target, problem = pcall(choice.choose, choice, options)
  if not ok then target, problem = nil, target end
  if target then
    ok, bot = pcall(choice.open, choice, options, target)
    if not ok then problem = bot end
  end
  if problem then
    choice:close()
    console.problem(problem)
    return nil, 1
  end
  if target.notice then console.note("chatbot: " .. target.notice) end
  return setmetatable({
    core = core, options = options, console = console,
    choice = choice, bot = bot, total_usage = {}, reports = reports,
    fixed = target.fixed and { provider = target.provider, base_url = target.base_url },
  }, Session)
end

-- Reports what could not be written, though not that nobody reads it: the status.
local function finish(console, status)
  local unwritten = console.unwritten
  if not unwritten then return status end
  if not unwritten.is_pipe then
    console.problem("standard output cannot be written: " .. unwritten.message)
  end
  return 1
end

---Runs the program.
---@param args string[]
---@return integer status of the process: 0, 1 the chat failed or its answer could not be written,
---2 wrong usage, 130 stopped
function M.main(args)
  local console = terminal.new()
  local options, problem = cli.parse(args)
  if not options then
    console.problem(problem)
    io.stderr:write("Try chatbot --help\n")
    return 2
  end

  if options.help or options.version then
    console.out((options.help and cli.help() or require("chatbot")._VERSION) .. "\n")
    return finish(console, 0)
  end
  if options.completion then
    console.out(require("chatbot.terminal.completion").script(options.completion))
    return finish(console, 0)
  end
  local prompt = options.prompt
  local page = options.summarize
  local session_wanted = not page and (options.interactive or (console.tty_in and not prompt))
  if not session_wanted and not page then
    if not console.tty_in then
      local piped = strip(io.stdin:read("*a") or "")
      if piped ~= "" then prompt = prompt and prompt .. "\n\n" .. piped or piped end
    end
    if not prompt or strip(prompt) == "" then
      io.stderr:write("chatbot: there is nothing to ask\nTry chatbot --help\n")
      return 2
    end
  end

  options.fallback = session_wanted -- who asks once wants an answer of a model, or to know
  local session, status = new_session(options, console)
  if not session then return status end
  status = 0
  if page or prompt then
    local ok, err
    if page then
      ok, err = session:summarize(page, prompt)
    else
      ok, err = session:ask(prompt)
    end
    if not ok then
      status = type(err) == "table" and err.kind == "cancelled" and 130 or 1
    end
  end
  if session_wanted then
    session:run()
    status = 0
  end
  session:close()
  return finish(console, status)
end

return M
