-- A game in the terminal: three people at an inn, who all answer at once while
-- the world goes on.
--
--   lua5.4 examples/game.lua [MODEL]          say something; "quit" or Ctrl-D leaves
--
-- Each answer is a coroutine that the game resumes once in a frame: it hands out
-- the text that has arrived since, and never blocks. Nothing else is needed of a
-- host, so the same works in an engine (examples/love has it in LÖVE).

local chatbot = require "chatbot"

local FRAME = 1 / 30 -- seconds

local people = {
  { name = "Mara", nature = "the innkeeper: warm, curious, knows everybody" },
  { name = "Odo", nature = "an old soldier: gruff, three words are a speech" },
  { name = "Finn", nature = "a boy of nine: asks back, wants to see a dragon" },
}
for _, person in ipairs(people) do
  person.bot = chatbot.new {
    model = arg[1] or "gpt-4.1", temperature = 1, max_context_tokens = 4000, timeout = 60,
    system = ("You are %s, %s, at an inn by a mountain road. Answer in one short line."):format(
      person.name, person.nature),
  }
end
chatbot.max_concurrent(4) -- also when the inn gets crowded

-- What this person will say, as a coroutine.
local function thought(person, heard)
  return coroutine.create(function()
    local answer, err = person.bot:chat(heard)
    return answer or ("(is silent: %s)"):format(err.message)
  end)
end

-- One frame of one person; whether there is more to come.
local function think(person)
  local ok, text = coroutine.resume(person.thread)
  assert(ok, text)
  if coroutine.status(person.thread) ~= "dead" then return true end
  print(("%5s: %s"):format(person.name, text))
  person.said, person.thread = text, nil
end

-- Everybody hears the player, and what the others have said before.
local function hear(line)
  for _, person in ipairs(people) do
    local heard = { "The traveller says: " .. line }
    for _, other in ipairs(people) do
      if other ~= person and other.said then
        table.insert(heard, 1, ("%s said: %s"):format(other.name, other.said))
      end
    end
    person.thread = thought(person, table.concat(heard, "\n"))
  end
end

local frames = 0
print("You enter the inn. Three people look up.")
while true do
  io.write("> ")
  io.flush()
  local line = io.read "*l"
  if not line or line == "quit" then break end
  if line:find "%S" then
    hear(line)
    local busy = true
    while busy do
      busy = false
      for _, person in ipairs(people) do
        if person.thread and think(person) then busy = true end
      end
      frames = frames + 1
      chatbot.poll(FRAME) -- an engine would draw the frame here
    end
  end
end
print(("\nYou leave. The world took %d frames meanwhile."):format(frames))
