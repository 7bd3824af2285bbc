-- A long and detailed summary of a web page.
--
--   lua5.4 examples/summarize.lua https://example.org/article            OpenAI
--   lua5.4 examples/summarize.lua page.html gemini-2.5-flash             a file
--   curl -s https://example.org | lua5.4 examples/summarize.lua - lmstudio
--
-- A key comes from the environment (OPENAI_API_KEY, GOOGLE_API_KEY, ...) and goes to the
-- model's service alone. A page that is longer than the model's context is read in parts;
-- stderr tells. `chatbot --summarize` does the same with more options.

local chatbot = require "chatbot"
local pages = require "chatbot.page"
local summary = require "chatbot.summary"

local function fail(err)
  io.stderr:write("summarize.lua: ", tostring(err), "\n")
  os.exit(1)
end

local from, model = arg[1], arg[2] or "gpt-4.1"
if not from then fail("usage: summarize.lua URL|FILE|- [MODEL]") end

local page, err = pages.open(from)
if not page then fail(err) end
print(("# %s\n"):format(page.title or from))

local answer
answer, err = summary.summarize(chatbot.new { model = model }, page, {
  on_progress = function(what) io.stderr:write("(", what, ")\n") end,
  call = {
    on_text = function(text)
      io.write(text)
      io.flush()
    end,
  },
})
print()
if not answer then fail(err) end
