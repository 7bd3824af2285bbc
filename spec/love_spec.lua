-- examples/love in the real LÖVE on a virtual screen: a small program around it
-- presses keys, takes a screenshot and measures, the guests talk to a server that
-- cuts their words inside of characters.

local support = require "spec.support"
local builds = require "spec.support.builds"
local shell = require "spec.support.shell"

local LONGEST = 4 -- ms of CPU in a frame that the module may take
local STALL = 16 -- ms on the clock, where other processes run, too

local WORDS = {
  Smith = "いらっしゃい、旅の人。🔥炉の火は今夜も熱いぞ。剣の手入れなら任せておけ👍🏽。",
  Yuki = "こんばんは🌸京都から歌いながら来ました。👩‍👩‍👧‍👦皆さんに一曲いかが？🎵𠮷野の桜の歌です。",
  Tom = "竜を見た！🐉本当だ、嘘じゃない。畑の上を飛んで、山の向こうへ消えたんだ…😱",
}

-- Says what belongs to the guest, then nothing until the client leaves.
local ANSWER = ([[
  local request, conn, wire = ...
  local words = { Smith = %q, Yuki = %q, Tom = %q }
  local name = request.body:match("You are (%%a+)")
  local sleep = require("cqueues").sleep
  conn:send(wire.head(200, {
    { "Content-Type", "text/event-stream" }, { "Transfer-Encoding", "chunked" },
  }))
  local pieces = {}
  for character in words[name]:gmatch("[^\128-\191][\128-\191]*") do
    pieces[#pieces + 1] = wire.event(wire.encode {
      choices = { { index = 0, delta = { content = character } } } })
  end
  local bytes, at = table.concat(pieces), 1
  while at <= #bytes do -- every third write ends inside of a character
    local stop = math.min(at + 150, #bytes)
    local inside = bytes:find("[\194-\244]", stop)
    if inside and inside < stop + 60 then stop = inside end
    if not conn:send(wire.chunks(bytes:sub(at, stop))) then return end
    at = stop + 1
    sleep(0.02)
  end
  conn:play { { wait_close = 20 } }
]]):format(WORDS.Smith, WORDS.Yuki, WORDS.Tom)

-- What is around the example. It prints "name<tab>value" lines.
local HARNESS = [[
  dofile(os.getenv("EXAMPLE") .. "/main.lua")
  io.stdout:setvbuf("line")

  function love.errorhandler(message)
    io.stderr:write(tostring(message), "\n")
    return function() return 1 end
  end

  local offline = require "chatbot.offline"
  local start = offline.start
  function offline.start(options)
    local server, err = start(options)
    print("offline", server and server.base_url or err)
    return server, err
  end

  local drawn, shown = {}, {}
  for _, name in ipairs { "print", "printf" } do
    local draw = love.graphics[name]
    love.graphics[name] = function(text, x, ...)
      drawn[#drawn + 1] = { text = text, x = x, kind = name }
      return draw(text, x, ...)
    end
  end

  -- What the bubble above `x` says.
  local function bubble(x)
    local lines = {}
    for _, item in ipairs(shown) do
      if item.kind == "print" and math.abs(item.x + 115 - x) < 5 then
        lines[#lines + 1] = item.text
      end
    end
    return table.concat(lines)
  end
  local function bubbles()
    return bubble(160), bubble(480), bubble(800)
  end

  local function percentile(list, p)
    table.sort(list)
    return list[math.max(1, math.ceil(#list * p))] * 1000
  end

  -- CPU time of this thread; LÖVE has others.
  local ffi = require "ffi"
  ffi.cdef "struct time { long s, ns; }; int clock_gettime(int id, struct time *t);"
  local THREAD, at = 3, ffi.new("struct time")
  local function cpu_time()
    ffi.C.clock_gettime(THREAD, at)
    return tonumber(at.s) + tonumber(at.ns) / 1e9
  end

  local cpu_times = {}
  local frame_times, part_times, count, began, state = {}, {}, 0, love.timer.getTime(), "talk"
  local enough = assert(load(os.getenv("ENOUGH"))) -- is given the bubbles and the frame's number
  local update, draw, last = love.update, love.draw

  function love.update(dt)
    count = count + 1
    local from, cpu = love.timer.getTime(), cpu_time()
    update(dt)
    cpu = cpu_time() - cpu
    local now = love.timer.getTime()
    if count > 2 and state == "talk" then -- before that is the loading screen
      cpu_times[#cpu_times + 1] = cpu
      part_times[#part_times + 1] = now - from
      if last then frame_times[#frame_times + 1] = from - last end
      last = from
    end
    local smith, yuki, tom = bubbles()
    if state == "talk" and (enough(smith, yuki, tom, count) or now - began > 15) then
      state = "shoot"
      print("part", #part_times, percentile(part_times, 0.5), percentile(part_times, 0.99),
        percentile(part_times, 1))
      print("frame", #frame_times, percentile(frame_times, 0.5), percentile(frame_times, 0.99),
        percentile(frame_times, 1))
      print("cpu", percentile(cpu_times, 1))
      for i, text in ipairs { smith, yuki, tom } do print("bubble", i, text) end
      for _, item in ipairs(shown) do if item.kind == "printf" then print("note", item.text) end end
      love.graphics.captureScreenshot(function(image)
        local colours, n = {}, 0
        image:mapPixel(function(_, _, r, g, b, a)
          local key = ("%.3f %.3f %.3f"):format(r, g, b)
          if not colours[key] then colours[key], n = true, n + 1 end
          return r, g, b, a
        end)
        image:encode("png", "tavern.png")
        print("colours", n)
        state = "shot"
      end)
    elseif state == "shot" then
      love.event.push("keypressed", "escape", "escape", false)
      state, began = "leave", now
    elseif state == "leave" and now - began > tonumber(os.getenv("STAY")) then
      print("left", shown[1] and shown[1].text)
      love.event.push("keypressed", "escape", "escape", false)
      state = "end"
    end
  end

  function love.draw()
    drawn = {}
    draw()
    shown = drawn
  end
]]

local KEYS = { "OPENAI_API_KEY", "OPENAI_BASE_URL", "GOOGLE_API_KEY", "MODEL", "BASE_URL", "FONT" }

describe("examples/love in LÖVE", function()
  local screen, display

  setup(function()
    screen = support.spawn("Xvfb -displayfd 1 -screen 0 1024x768x24 -nolisten tcp -noreset")
    display = support.deadline(10, function()
      return (support.read_file(screen.out) or ""):match("^(%d+)\n")
    end)
    assert(display, "Xvfb did not start: " .. select(2, screen:output()))
  end)

  teardown(function()
    screen:close()
    support.remove_all()
  end)

  after_each(support.close_all)

  -- Starts LÖVE with the files {name -> text} as its game.
  local function start(files, env)
    local dir = support.tmpdir()
    for name, text in pairs(files) do support.write_file(dir .. "/" .. name, text) end
    local all = builds.env("luajit")
    for _, name in ipairs(KEYS) do all[name] = false end
    all.DISPLAY, all.WAYLAND_DISPLAY, all.XAUTHORITY = ":" .. display, false, false
    all.SDL_VIDEODRIVER, all.SDL_AUDIODRIVER = "x11", "dummy"
    all.XDG_DATA_HOME, all.XDG_RUNTIME_DIR, all.HOME = dir, dir, dir
    all.EXAMPLE, all.STAY = builds.root .. "/examples/love", "1"
    for name, value in pairs(env or {}) do all[name] = value end
    return support.spawn("love " .. dir, { env = all }), dir
  end

  -- Runs the example; `during` is called while it runs. Returns what it printed:
  -- name -> list of the fields of each line.
  local function play(env, during)
    local child, dir = start({
      ["main.lua"] = HARNESS, ["conf.lua"] = support.read_file("examples/love/conf.lua"),
    }, env)
    finally(function() child:close() end)
    if during then during(child) end
    local status = child:wait(30)
    local out, err = child:output()
    assert.equal("", err)
    assert.equal(0, status, out)
    local said = {}
    for line in out:gmatch("[^\n]+") do
      local fields = {}
      for field in (line .. "\t"):gmatch("([^\t]*)\t") do fields[#fields + 1] = field end
      local name = table.remove(fields, 1)
      said[name] = said[name] or {}
      table.insert(said[name], fields)
    end
    return said, dir
  end

  local function big_endian(bytes)
    local a, b, c, d = bytes:byte(1, 4)
    return ((a * 256 + b) * 256 + c) * 256 + d
  end

  -- Real certificates, so that what warmup has to do beforehand is as much.
  local function bundle()
    local path = support.tmpdir() .. "/ca.pem"
    local system = assert(support.read_file("/etc/ssl/certs/ca-certificates.crt"))
    support.write_file(path, system .. support.read_file(support.ca_file))
    return path
  end

  -- The guests say what they have to say, and the player leaves.
  local function visit(server, env)
    env.BASE_URL = server.url
    env.ENOUGH = ("local a, b, c = ... return #a >= %d and #b >= %d and #c >= %d"):format(
      #WORDS.Smith, #WORDS.Yuki, #WORDS.Tom)
    local said, dir = play(env, function(child)
      assert.is_true((server:wait(3, 20, "request")))
      assert.is_true((server:wait(3, 20, "peer closed")))
      assert.is_true(child:running(), "only the end of the game closed the connections")
    end)
    assert.same({ { "1", WORDS.Smith }, { "2", WORDS.Yuki }, { "3", WORDS.Tom } }, said.bubble)
    assert.equal("You have left the tavern.", said.left[1][1])
    local requests = server:requests()
    assert.equal(3, #requests)
    for _, request in ipairs(requests) do
      assert.is_true(math.abs(request.at - requests[1].at) < 1, "one after the other")
      assert.equal("gpt-4.1", request.json.model)
    end
    return said, dir
  end

  local function check_picture(said, dir)
    local png = assert(support.read_file(dir .. "/love/chatbot-tavern/tavern.png"))
    assert.equal("\137PNG\r\n\26\n", png:sub(1, 8))
    assert.same({ 960, 540 }, { big_endian(png:sub(17, 20)), big_endian(png:sub(21, 24)) })
    assert.is_true(tonumber(said.colours[1][1]) >= 20, said.colours[1][1] .. " colours")
    local keep = os.getenv("SCREENSHOT") -- a path, to look at it
    if keep then support.write_file(keep, png) end
  end

  for _, way in ipairs { "http", "https" } do
    it("lets three guests talk at once over " .. way .. ", until the player leaves", function()
      local held, cpu = math.huge, math.huge
      for _ = 1, 3 do -- the machine does other things, too
        local server = support.serve({ { { lua = ANSWER } } },
          { tls = way == "https" and "good" or nil })
        local said, dir = visit(server, { SSL_CERT_FILE = way == "https" and bundle() or false })
        check_picture(said, dir)
        local part, frame = said.part[1], said.frame[1]
        print(("  %s: the module takes of %d frames: median %.3f ms, p99 %.3f, longest %.3f "
          .. "(CPU %.3f); a whole frame: median %.2f, p99 %.2f, longest %.2f"):format(way,
          part[1], part[2], part[3], part[4], said.cpu[1][1], frame[2], frame[3], frame[4]))
        assert.is_true(tonumber(part[1]) > 20, "only " .. part[1] .. " frames")
        held, cpu = math.min(held, tonumber(part[4])), math.min(cpu, tonumber(said.cpu[1][1]))
        if held <= STALL and cpu <= LONGEST then break end
        server:close()
      end
      assert.is_true(held <= STALL, ("the module held a frame for %.3f ms"):format(held))
      assert.is_true(cpu <= LONGEST, ("the module took %.3f ms of a frame"):format(cpu))
    end)
  end

  it("needs neither a key nor a network", function()
    local said = play({ ENOUGH = "local a, b, c = ... return #a > 9 and #b > 9 and #c > 9" })
    assert.equal("Offline: the guests are played by ELIZA.", said.note[4][1])
    for i = 1, 3 do assert.is_true(#said.bubble[i][2] > 9) end
    local port = tonumber(said.offline[1][1]:match("^http://127%.0%.0%.1:(%d+)/v1$"))
    assert.is_nil(require("socket").connect("127.0.0.1", port), "the offline server goes on")
  end)

  it("says what is missing where lua-http is", function()
    local env = builds.env("luajit")
    local said = play({
      LUA_PATH = env.LUA_PATH:gsub(";;$", ""), ENOUGH = "return select(4, ...) > 20", STAY = "0.1",
    })
    assert.truthy(said.note[4][1]:find("^Nobody can talk: .*needs lua%-http"), said.note[4][1])
  end)

  -- What doc/hosts.md says about a game that is shipped, in a folder beside a checkout. The
  -- game talks, and tells whose module it has.
  describe("shipped as the manual says", function()
    local root, server

    local function block(lang)
      local text = support.read_file("doc/hosts.md"):match("\n### Distributing a game\n(.-)\n##")
      return assert(text:match("\n```" .. lang .. "\n(.-\n)```\n"))
    end

    lazy_setup(function()
      if not shell.have("zip") then return end
      root = support.tmpdir()
      shell.must("make -s love") -- so that the copy is up to date
      shell.must("mkdir -p checkout/build game elsewhere && cd " .. shell.root
        .. " && cp -rp Makefile .ci lua src " .. root .. "/checkout && cp -rp build/luajit "
        .. root .. "/checkout/build", root)
      support.write_file(root .. "/game/conf.lua", [[
        function love.conf(t)
          t.identity, t.modules.audio = "shipped", false
          t.modules.window, t.modules.graphics = false, false
        end
      ]])
      support.write_file(root .. "/game/main.lua", block("lua") .. [[
        local chatbot = require "chatbot"
        print((chatbot.new { model = "m", base_url = os.getenv("BASE_URL") }:chat("hi")))
        local seen = {}
        for line in io.lines("/proc/self/maps") do -- what the process has loaded
          local path = line:match("/.*/core%.so$") or line:match("/.*/cjson%.so$")
          if path and not seen[path] then print(path) end
          seen[path or ""] = true
        end
        love.event.quit()
      ]])
      shell.must("set -e\n" .. block("sh"), root .. "/checkout")
    end)

    lazy_teardown(function() if root then os.execute("rm -rf " .. support.quote(root)) end end)

    for what, command in pairs {
      ["a folder"] = "love %s/game", ["a folder, seen from there"] = "love .",
      ["a .love"] = "love %s/release/game.love", ["a fused game"] = "%s/release/game",
    } do
      it("runs from any directory: " .. what, function()
        if not root then return pending("zip is not here") end
        server = support.serve { support.sse { "found" } }
        command = command:format(root)
        local dir = command == "love ." and root .. "/game" or root .. "/elsewhere"
        -- Nothing of the build tree nor of the system is on Lua's paths.
        local child = support.spawn(command, { cwd = dir, env = {
          LUA_PATH = "/nonexistent/?.lua", LUA_CPATH = "/nonexistent/?.so", LD_PRELOAD = false,
          BASE_URL = server.url, DISPLAY = ":" .. display, HOME = root, XDG_DATA_HOME = root,
          XDG_RUNTIME_DIR = root, SDL_AUDIODRIVER = "dummy",
        } })
        finally(function() child:close() end)
        local status = child:wait(20)
        local out, err = child:output()
        assert.equal("", err)
        assert.equal(0, status, out)
        local lines, beside = {}, root .. "/" .. (command:match("release") or "game")
        for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
        table.sort(lines)
        assert.same({ beside .. "/chatbot/core.so", beside .. "/cjson.so", "found" }, lines)
      end)
    end
  end)
end)
