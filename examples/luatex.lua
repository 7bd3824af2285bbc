-- LuaTeX asks while it typesets, and what is said goes into the document:
--
--   \directlua{dofile "examples/luatex.lua"}
--   \def\ask#1{\directlua{ask("\luaescapestring{#1}")}}
--   \ask{Name three rivers.}
--
-- luatex --shell-escape FILE              BASE_URL=http://... for a server of yours
--
-- Without --shell-escape TeX loads no C module. It has no loop to keep alive, so `chat` waits; the
-- terminal shows that something comes.

-- TeX looks for modules where it has its own files (CLUAINPUTS). They may also be where LUA_PATH
-- and LUA_CPATH say, as texlua and any other Lua have it.
table.insert(package.searchers, function(name)
  local file, problem = package.searchpath(name, package.path)
  return file and assert(loadfile(file)) or problem, file
end)
table.insert(package.searchers, function(name)
  local file, problem = package.searchpath(name, package.cpath)
  local open = file and package.loadlib(file, "luaopen_" .. name:gsub("%.", "_"))
  return open or problem or "\n\t" .. file .. " needs --shell-escape", file
end)

local chatbot = require "chatbot"

local bot = chatbot.new {
  model = os.getenv("MODEL") or "gpt-4.1", base_url = os.getenv("BASE_URL"),
}

function ask(prompt)
  local answer, err = bot:chat(prompt, {
    on_text = function(text) texio.write("term", text) end,
  })
  if not answer then tex.error("chatbot: " .. tostring(err)) return end
  for line in (answer .. "\n"):gmatch("([^\n]*)\n") do
    if line:find("%S") then
      tex.sprint(-2, line .. " ") -- -2: what a model says is text, and % or \ no command
    else
      tex.print("") -- ends a paragraph
    end
  end
end
