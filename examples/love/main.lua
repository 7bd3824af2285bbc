-- A tavern whose guests all talk at once, each by a chatbot of his own.
--
--   make LUA=luajit && eval "$(make -s env LUA=luajit)" && love examples/love
--
-- Space: the guests speak. Escape: leave the tavern, and once more, the game.
--
-- What `make env` sets is for development. What a game ships `make love` puts together:
-- see "Distributing a game" in doc/hosts.md. The first line finds the binaries that stand
-- beside a .love or a fused game.
--
-- A key in the environment (OPENAI_API_KEY, ...) is used with $MODEL or gpt-4.1,
-- $BASE_URL is a server of yours. With neither, the guests are ELIZA.

package.cpath = love.filesystem.getSourceBaseDirectory() .. "/?.so;" .. package.cpath

local chatbot = require "chatbot"
local offline = require "chatbot.offline"

local WIDTH, MARGIN, LINES = 250, 10, 9 -- of a speech bubble; lines shown at most

local guests = {
  { name = "Smith", x = 160, colour = { 0.85, 0.45, 0.30 }, is = "a tired blacksmith" },
  { name = "Yuki", x = 480, colour = { 0.45, 0.65, 0.90 }, is = "a travelling singer from Kyoto" },
  { name = "Tom", x = 800, colour = { 0.55, 0.75, 0.40 }, is = "a farmer who has seen a dragon" },
}

local PROMPTS = {
  "A stranger comes in. Greet him in two or three sentences.",
  "Tell the stranger what worries you.",
  "Ask the stranger where he goes next.",
}

local scene = "loading" -- "loading", "tavern", "left"
local frames = 0
local notice = "" -- what goes wrong is said in the scene
local server -- of the offline mode
local round = 0


-- Talking ------------------------------------------------------------------

-- Runs in a coroutine: `chunks` yields while there is nothing new.
local function speak(guest, prompt)
  guest.reply = assert(guest.bot:stream(prompt))
  for text in guest.reply:chunks() do
    guest.said = guest.said .. text -- never ends within a character
  end
end

local function start_talking(guest, prompt)
  guest.said, guest.lines = "", nil
  guest.thread = coroutine.create(function() speak(guest, prompt) end)
end

-- Once a frame: lets a guest take what has arrived.
local function go_on(guest)
  if not guest.thread then return end
  local before = guest.said
  local ok, err = coroutine.resume(guest.thread)
  if not ok then
    guest.said = guest.said .. "\n(" .. tostring(err) .. ")"
  end
  if coroutine.status(guest.thread) == "dead" then guest.thread = nil end
  if guest.said ~= before then guest.lines = nil end
end

local function next_round()
  for _, guest in ipairs(guests) do
    if guest.thread then return end -- let them finish
  end
  round = round % #PROMPTS + 1
  for _, guest in ipairs(guests) do start_talking(guest, PROMPTS[round]) end
end

-- Ends what is under way: the connections are closed at once.
local function leave()
  for _, guest in ipairs(guests) do
    if guest.reply then guest.reply:close() end
    guest.thread, guest.reply = nil, nil
  end
  scene = "left"
end


-- Loading ------------------------------------------------------------------

-- Where there is neither a server nor a key, one is started. It runs under a
-- stand-alone Lua of LÖVE's kind, as a child that ends with the game.
local function start_offline()
  local err
  for _, interpreter in ipairs { "luajit", "lua5.1" } do
    server, err = offline.start { interpreter = interpreter, delay = 80 }
    if server then return server end
  end
  notice = "Nobody can talk: there is no API key, and " .. tostring(err)
end

-- All that takes long is done here, while a picture says so.
local function load_guests()
  local ok, err = chatbot.warmup()
  if not ok then
    notice = tostring(err)
    return
  end
  local model, base_url = os.getenv("MODEL") or "gpt-4.1", os.getenv("BASE_URL")
  if not base_url and not chatbot.new({ model = model }):get_provider().has_key then
    if not start_offline() then return end
    model, base_url = server.model, server.base_url
    notice = "Offline: the guests are played by ELIZA."
  end
  for _, guest in ipairs(guests) do
    guest.bot = chatbot.new {
      model = model, base_url = base_url,
      system = ("You are %s, %s, in a tavern. Stay in this role."):format(guest.name, guest.is),
    }
  end
  next_round()
end

-- The first of these fonts that there is has the glyphs that LÖVE's own lacks.
local FONTS = {
  os.getenv("FONT") or "",
  "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
  "/usr/share/fonts/truetype/vlgothic/VL-PGothic-Regular.ttf",
  "/usr/share/fonts/truetype/unifont/unifont.ttf",
}

local function load_font()
  local font = love.graphics.newFont(15)
  for _, path in ipairs(FONTS) do
    local file = io.open(path, "rb")
    if file then
      local data = love.filesystem.newFileData(file:read("*a"), path)
      file:close()
      font:setFallbacks(love.graphics.newFont(data, 15))
      break
    end
  end
  love.graphics.setFont(font)
end


-- Drawing ------------------------------------------------------------------

local function draw_bubble(guest)
  local font = love.graphics.getFont()
  if not guest.lines then
    guest.lines = select(2, font:getWrap(guest.said, WIDTH - 2 * MARGIN))
  end
  local lines, first = guest.lines, math.max(1, #guest.lines - LINES + 1)
  local height = (#lines - first + 1) * font:getHeight() + 2 * MARGIN
  local left, top = guest.x - WIDTH / 2, 330 - height
  love.graphics.setColor(0.97, 0.95, 0.88)
  love.graphics.rectangle("fill", left, top, WIDTH, height, 10)
  love.graphics.polygon("fill", guest.x - 10, 330, guest.x + 10, 330, guest.x, 346)
  love.graphics.setColor(0.15, 0.12, 0.10)
  for i = first, #lines do
    love.graphics.print(lines[i], left + MARGIN, top + MARGIN + (i - first) * font:getHeight())
  end
end

local function draw_tavern()
  love.graphics.clear(0.16, 0.12, 0.10)
  love.graphics.setColor(0.33, 0.22, 0.14)
  love.graphics.rectangle("fill", 0, 470, 960, 70)
  for _, guest in ipairs(guests) do
    love.graphics.setColor(guest.colour)
    love.graphics.circle("fill", guest.x, 378, 24)
    love.graphics.rectangle("fill", guest.x - 30, 404, 60, 80, 16)
    love.graphics.setColor(1, 1, 1)
    love.graphics.printf(guest.name, guest.x - 100, 492, 200, "center")
    if guest.said and guest.said ~= "" then draw_bubble(guest) end
  end
  love.graphics.setColor(1, 1, 1, 0.7)
  love.graphics.printf(notice, 0, 516, 960, "center")
end


-- LÖVE ---------------------------------------------------------------------

function love.load()
  love.graphics.setBackgroundColor(0.08, 0.08, 0.10)
  load_font()
end

function love.update()
  frames = frames + 1
  if scene == "loading" and frames == 2 then -- the first frame has been shown
    load_guests()
    scene = "tavern"
  elseif scene == "tavern" then
    for _, guest in ipairs(guests) do go_on(guest) end
  end
end

function love.draw()
  if scene == "tavern" then
    draw_tavern()
  else
    love.graphics.setColor(1, 1, 1)
    local text = scene == "loading" and "The guests arrive ..." or "You have left the tavern."
    love.graphics.printf(text, 0, 250, 960, "center")
  end
end

function love.keypressed(key)
  if key == "escape" then
    if scene == "tavern" then leave() else love.event.quit() end
  elseif key == "space" and scene == "tavern" then
    next_round()
  end
end

function love.quit()
  leave()
  if server then server.stop() end
end
