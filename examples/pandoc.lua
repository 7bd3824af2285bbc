-- A filter of pandoc that translates, all paragraphs at once:
--
--   pandoc --lua-filter examples/pandoc.lua -M language=French FILE
--                                       BASE_URL=http://... for a server of yours
--
-- Filters run one behind the other over the whole document: one asks, one waits for everything,
-- one fills in what has come. So a document takes as long as its longest paragraphs, and not as
-- all of them together.

local chatbot = require "chatbot"

chatbot.max_concurrent(8)

local language = "English"
local replies, filled = {}, 0

local function meta(values)
  if values.language then language = pandoc.utils.stringify(values.language) end
end

local function ask(paragraph)
  local bot = chatbot.new {
    model = os.getenv("MODEL") or "gpt-4.1", base_url = os.getenv("BASE_URL"),
    system = ("Translate what you are given into %s, and say nothing else."):format(language),
  }
  local i = #replies + 1
  replies[i] = assert(bot:stream(pandoc.utils.stringify(paragraph), {
    on_text = function(text) io.stderr:write(("[%d: %s]\n"):format(i, text)) end,
  }))
end

local function wait()
  while chatbot.poll(1) > 0 do end -- which calls on_text
end

-- Words, and no Markdown: in that a model could write links, raw HTML and TeX of its own.
local function text(answer)
  local inlines = {}
  for blanks, word in answer:gmatch("([ \t\r\n]*)([^ \t\r\n]+)") do
    if blanks ~= "" and inlines[1] then
      inlines[#inlines + 1] = blanks:find("\n") and pandoc.SoftBreak() or pandoc.Space()
    end
    inlines[#inlines + 1] = pandoc.Str(word)
  end
  return pandoc.Para(inlines)
end

local function fill(paragraph)
  filled = filled + 1
  local answer, err = replies[filled]:result()
  if answer then return text(answer) end
  io.stderr:write(("paragraph %d stays as it is: %s\n"):format(filled, tostring(err)))
  return paragraph
end

return { { Meta = meta }, { Para = ask }, { Pandoc = wait }, { Para = fill } }
