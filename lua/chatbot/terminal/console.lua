-- What the terminal chat reads from and writes to: which stream is a terminal,
-- what may be shown there, and a line from the user. It must not know what is
-- said.

local words = require "chatbot.common.text"
local printable = require("chatbot.terminal.text").printable

local M = {}

local PROMPT = "you> "

local EBADF, EPIPE = 9, 32 -- in every Unix

local function succeeds(command)
  local status = os.execute(command)
  return status == true or status == 0
end

-- A stream that is closed lends its number to the next file or socket, which would then
-- get what is meant for the stream: files that give and take nothing stand in for it.
local function stand_ins()
  local files = {}
  for _, stream in ipairs { io.stdin, io.stdout, io.stderr } do
    local _, _, code = stream:seek()
    if code == EBADF then files[#files + 1] = io.open("/dev/null", "r") end
  end
  return files
end

---Which of the three streams is a terminal, and how to write to it.
---@return table console
function M.new()
  local console = {
    stand_ins = stand_ins(),
    tty_in = succeeds("test -t 0"),
    tty_out = succeeds("test -t 1"),
    tty_err = succeeds("test -t 2"),
  }
  local no_color = os.getenv("NO_COLOR")
  console.color = console.tty_out and (no_color == nil or no_color == "")
    and os.getenv("TERM") ~= "dumb"

  local open = false -- the last line that was written has not ended

  -- Whether it was written. When it could not be, `unwritten` says why from then on, and
  -- nothing is any more.
  function console.out(text)
    if console.unwritten then return false end
    if console.tty_out then text = printable(text) end
    if text ~= "" then open = text:sub(-1) ~= "\n" end
    local ok, problem, code = io.stdout:write(text)
    if ok then ok, problem, code = io.stdout:flush() end
    if not ok then console.unwritten = { message = problem, is_pipe = code == EPIPE } end
    return ok
  end

  -- Ends a line that has been begun.
  function console.end_line()
    if open then console.out("\n") end
  end

  -- A remark of the program's own.
  function console.note(text)
    text = printable(text)
    if console.color and console.tty_err then text = "\27[2m" .. text .. "\27[0m" end
    io.stderr:write(text, "\n")
  end

  function console.problem(text)
    io.stderr:write("chatbot: ", printable(words.one_line(words.reason(text))), "\n")
  end

  return console
end

---A function that reads a line: with editing and a history that is kept in
---memory only where a library gives it, else plainly.
---@param console table
---@return fun(): string? line nil at the end of the input
function M.reader(console)
  local function plain()
    if console.tty_in and console.tty_out then console.out(PROMPT) end
    return io.stdin:read("*l")
  end
  if not (console.tty_in and console.tty_out) then return plain end

  local ok, library = pcall(require, "readline")
  if ok and type(library) == "table" and library.readline then
    os.setlocale("", "ctype") -- for the width of characters; numbers keep their point
    pcall(library.set_options, { histfile = "", completion = false })
    local shown = console.color and "\1\27[1m\2" .. PROMPT .. "\1\27[0m\2" or PROMPT
    return function() return library.readline(shown) end
  end
  ok, library = pcall(require, "linenoise")
  if ok and type(library) == "table" and library.linenoise then
    return function()
      local line = library.linenoise(PROMPT)
      if line and line ~= "" then library.historyadd(line) end
      return line
    end
  end
  return plain
end

return M
