-- The examples for hosts that embed Lua, each in the real host against the scripted server:
-- the answer comes in pieces, all of it, and the host lives in between.
--
-- A test gives `check` what was said, each piece with the host's clock of that moment: a count
-- of its timer, or whatever else goes on only while nothing blocks the host.

local support = require "spec.support"
local builds = require "spec.support.builds"

local unpack = table.unpack or unpack

local PIECES = {}
for i = 1, 10 do PIECES[i] = ("line %d → 🌊 100 %% & more\n"):format(i) end
local ANSWER = table.concat(PIECES)

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local out = pipe:read("*a"):gsub("%s+$", "")
  pipe:close()
  return out ~= "" and out or nil
end

local function where_is(command)
  return output_of("PATH=$PATH:/usr/sbin; command -v " .. command)
end

-- Where this Lua finds lua-cjson, as an entry of its path.
local cjson = setmetatable({}, { __index = function(self, lua)
  self[lua] = output_of(([[eval "$(env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u MAKEOVERRIDES \
    make -s --no-print-directory env LUA=%s)"; %s -e 'for path in package.cpath:gmatch("[^;]+") do
      local file = io.open((path:gsub("?", "cjson")))
      if file then print(path) break end
    end']]):format(lua, lua)) or false
  return self[lua]
end })

-- The command of the Lua that the file, which a host consists of, is linked with.
local function lua_of(file)
  if not file then pending("the host is not installed, or too old") end
  local libraries = output_of("ldd " .. file) or ""
  local version = libraries:match("liblua(5%.%d)") or libraries:match("libtexlua(5%d)")
  local lua = libraries:find("libluajit") and "luajit"
    or version and "lua5." .. version:match("%d$")
  if not lua then pending(file .. " is linked with no Lua that is known") end
  if not where_is(lua) or not cjson[lua] then
    pending(("%s needs %s and lua-cjson for it, which are not there"):format(file, lua))
  end
  return lua
end

-- The environment in which the host that is linked with this Lua finds everything.
local function env_of(lua, server)
  local env = builds.env(lua)
  env.LUA_CPATH = env.LUA_CPATH:gsub(";;", ";" .. cjson[lua] .. ";;")
  env.BASE_URL = server.url
  return env
end

-- What a harness in the host writes, a piece a line: its clock, then the text. It sees to it
-- that the host ends, also where no answer comes.
local HARNESS = [[
  local file = assert(io.open(os.getenv("SAID"), "w"))
  local ticks, over = 0, false
  local function tick() -- every 10 ms
    ticks = ticks + 1
    return over or ticks > 1000
  end
  local function said(text)
    file:write(ticks, "\t", (text:gsub("\n", "|")), "\n")
    file:flush()
    over = over or text:find("line 10 .*\n")
  end
]]

local function said_in(path)
  local pieces = {}
  for at, text in assert(support.read_file(path)):gmatch("(%d+)\t([^\n]*)\n") do
    pieces[#pieces + 1] = { at = at, text = (text:gsub("|", "\n")) }
  end
  return pieces
end

local function check(pieces)
  local texts, moments, last = {}, 0, nil
  for i, piece in ipairs(pieces) do
    texts[i] = piece.text
    if piece.at ~= last then moments = moments + 1 end
    last = piece.at
  end
  assert.equal(ANSWER, table.concat(texts))
  assert.is_true(moments >= 5, ("it came in only %d pieces"):format(moments))
end

local children = {}

local function spawn(command, env, dir)
  children[#children + 1] = support.spawn(command, { env = env, cwd = dir })
  return children[#children]
end

local function clean()
  for i = #children, 1, -1 do table.remove(children, i):close() end
  support.close_all()
  support.remove_all()
  collectgarbage()
end

local function finish(child)
  local status = child:wait(15)
  local out, err = child:output()
  assert.equal(0, status, out .. err)
  return out, err
end

-- name, its file, then the test, which is given a directory, the environment, start(command)
-- and the scripted server, and returns what `check` takes.
local HOSTS = {}

HOSTS[1] = { "mpv", where_is "mpv", function(dir, env, start)
  env.SAID = dir .. "/said"
  support.write_file(dir .. "/harness.lua", HARNESS .. [[
    local all = ""
    function mp.osd_message(text) -- is given all that was said so far
      said(text:sub(#all + 1))
      all = text
    end
    dofile("examples/mpv.lua")
    mp.add_periodic_timer(0.01, function() if tick() then mp.commandv("quit") end end)
    mp.add_timeout(0.05, function() mp.commandv("script-message", "chatbot", "Greet me.") end)
  ]])
  finish(start("mpv --no-config --idle --vo=null --ao=null --script=" .. dir .. "/harness.lua"))
  return said_in(env.SAID)
end }

HOSTS[2] = { "WeeChat", where_is "weechat-headless"
  and output_of("ls /usr/lib/*/weechat/plugins/lua.so /usr/lib*/weechat/plugins/lua.so"),
  function(dir, env, start)
    env.SAID = dir .. "/said"
    support.write_file(dir .. "/harness.lua", HARNESS .. [[
      weechat.register("harness", "harness", "1", "MIT", "", "", "")
      function on_line(_, _, _, _, _, _, _, line)
        if line:find("^line") then said(line .. "\n") end
        return weechat.WEECHAT_RC_OK
      end
      function on_timer()
        if tick() then weechat.command("", "/quit") end
        return weechat.WEECHAT_RC_OK
      end
      weechat.hook_print("", "", "", 1, "on_line", "")
      weechat.hook_timer(10, 0, 0, "on_timer", "")
      weechat.command("", "/chatbot Greet me.")
    ]])
    finish(start(("weechat-headless --dir %s --stdout -r '/lua load %s/examples/weechat.lua' "
      .. "-r '/lua load %s/harness.lua'"):format(dir, builds.root, dir)))
    return said_in(env.SAID)
  end }

-- Nmap's clock: two hosts are asked about at once, and their scripts take turns.
HOSTS[3] = { "Nmap", where_is "nmap", function(_, _, start, server)
  local first, second = support.serve {}, support.serve({}, { host = "127.0.0.2" })
  local out = finish(start(("nmap -v -n -Pn -sT --unprivileged -p %d,%d --script "
    .. "examples/nmap.nse 127.0.0.1 127.0.0.2"):format(first.port, second.port)))
  local pieces, turn, last = {}, 0, nil
  for host, text in out:gmatch("%[nmap (127%.0%.0%.%d)[^%]]*%] (line.-)\n") do
    if host ~= last then turn = turn + 1 end
    last = host
    if host == "127.0.0.2" then
      text = text:gsub("\\x(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
      pieces[#pieces + 1] = { at = turn, text = text .. "\n" }
    end
  end
  local asked = server:requests()
  assert.equal(2, #asked)
  assert.truthy(asked[1].json.messages[2].content:find("^%d+/tcp "))
  assert.truthy(out:find("Host script results:\n| nmap: line 1 ", 1, true), out)
  return pieces
end }

-- LuaTeX has no loop: its clock is how often it was called.
HOSTS[4] = { "LuaTeX", where_is "luatex", function(dir, env, start)
  env.SAID, env.HARNESS, env.TEXINPUTS = dir .. "/said", dir .. "/harness.lua", dir .. ":"
  support.write_file(env.HARNESS, HARNESS .. [[
    local write = texio.write
    function texio.write(to, text)
      tick()
      said(text)
      write(to, text)
    end
    dofile("examples/luatex.lua")
  ]])
  support.write_file(dir .. "/document.tex", [[
    \catcode`\{=1 \catcode`\}=2 \catcode`\#=6
    \directlua{tex.enableprimitives("", tex.extraprimitives())}
    \directlua{dofile(os.getenv("HARNESS"))}
    \def\ask#1{\directlua{ask("\luaescapestring{#1}")}}
    \message{[\ask{Name three rivers.}]}
    \end
  ]])
  local out = finish(start(("luatex --ini --shell-escape --interaction=nonstopmode "
    .. "--halt-on-error --output-directory=%s document.tex"):format(dir)))
  local typeset = out:gsub("\n", ""):match("%[(line 1 .*line 10 [^%]]*)%]")
  assert.equal(ANSWER:gsub("\n", " "):gsub(" ", ""), typeset and typeset:gsub(" ", ""), out)
  return said_in(env.SAID)
end }

-- pandoc's clock: two paragraphs are asked about at once, and take turns.
HOSTS[5] = { "pandoc", where_is "pandoc", function(dir, _, start, server)
  support.write_file(dir .. "/in.md", "# Head\n\nOne *two*.\n\nThree.\n")
  local out, err = finish(start("pandoc -t plain --lua-filter examples/pandoc.lua "
    .. "-M language=French --wrap=preserve " .. dir .. "/in.md"))
  local text = ANSWER:gsub("\n$", "")
  assert.equal("Head\n\n" .. text .. "\n\n" .. text .. "\n", (out:gsub("^\n*", "")))
  local asked = {}
  for _, request in ipairs(server:requests()) do
    asked[#asked + 1] = request.json.messages[2].content
    assert.truthy(request.json.messages[1].content:find("into French", 1, true))
  end
  table.sort(asked)
  assert.same({ "One two.", "Three." }, asked)
  local pieces, turn, last = {}, 0, nil
  for i, piece in err:gmatch("%[(%d): ([^%]]*)%]") do
    if i ~= last then turn = turn + 1 end
    last = i
    if i == "2" then pieces[#pieces + 1] = { at = turn, text = piece } end
  end
  return pieces
end }

-- HAProxy's clock is the client's; another one is answered meanwhile, and one that leaves takes
-- the request along. With -W it is a child of the process that has loaded the module, and its
-- root may be another directory.
for i, way in ipairs { { "-db" }, { "-W" }, { "-W, in another root,", "  chroot %s\n" } } do
  HOSTS[5 + i] = { "HAProxy " .. way[1], where_is "haproxy", function(dir, env, start, server)
    if way[2] and output_of "id -u" ~= "0" then pending("only root changes the root directory") end
    local path = dir .. "/socket"
    support.write_file(dir .. "/more.cfg", "global\n" .. (way[2] or ""):format(dir))
    env.BIND = "unix@" .. path
    env.CHATBOT_LUA = builds.root .. "/examples/haproxy.lua"
    local function curl(args)
      return ("curl -sN -m 10 --unix-socket %s http://host%s"):format(path, args)
    end
    start(("%s %s -f examples/haproxy.cfg -f %s/more.cfg"):format(where_is "haproxy",
      way[1]:match("-%a+"), dir))
    assert(support.deadline(10, function() return output_of(curl "/") end, 0.05))
    local client = start(curl "/chat --data Hello?")
    local pieces, seen = {}, 0
    support.deadline(10, function()
      local over, text = not client:running(), support.read_file(client.out) or ""
      if #text > seen then
        pieces[#pieces + 1] = { at = #pieces, text = text:sub(seen + 1) }
        if seen == 0 then
          assert.equal("Post a prompt to /chat.", output_of(curl "/"))
          assert.is_true(client:running(), "who came second was answered when all was over")
        end
        seen = #text
      end
      return over
    end)
    finish(client)
    local many = {}
    for j = 1, 100 do many[j] = PIECES[j % 10 + 1] end
    server:script { support.sse(many, { every = 0.1 }) }
    client = start(curl "/chat --data Hello?")
    assert.is_truthy(support.deadline(5, function()
      return (support.read_file(client.out) or "") ~= ""
    end))
    client:kill()
    assert.is_true((server:wait(1, 5, "peer closed")))
    return pieces
  end }
end

-- A host is the same whichever Lua the suite runs on.
local hosts_too = support.interpreter():match("[^/]*$") == "lua5.4"

describe("the example for", function()
  after_each(clean)

  for _, host in ipairs(hosts_too and HOSTS or {}) do
    local name, file, test = host[1], host[2], host[3]
    it(name .. " streams, and the host goes on", function()
      local lua = lua_of(file)
      local server = support.serve { support.sse(PIECES, { every = 0.1 }) }
      local dir, env = support.tmpdir(), env_of(lua, server)
      env.HOME, env.XDG_CONFIG_HOME = dir, dir
      local function start(command) return spawn(command, env, builds.root) end
      check(test(dir, env, start, server))
      print(("  %s: %s"):format(name:gsub(",$", ""), lua))
    end)
  end

  local add = hosts_too and it or function() end
  add("pandoc lets a model write text alone, and neither HTML nor TeX", function()
    local lua = lua_of(where_is "pandoc")
    local answer = "<script>alert(1)</script> \\input{/etc/passwd} $\\input{x}$ `y`{=html} "
      .. "[z](javascript:z) ![i](/etc/passwd) [c]{onclick=c}"
      .. "\n\n<div>\n</div>\n\n```{=latex}\n\\x\n```"
    local dir = support.tmpdir()
    support.write_file(dir .. "/in.md", "One.\n")
    for format, wrong in pairs { html = { "<script", "<a ", "<img", "<span", "<div" },
      latex = { "\\input", "\\x", "\\href", "\\include" }, native = { "Raw" } } do
      local server = support.serve { support.sse { answer } }
      local out = finish(spawn(("pandoc -t %s --lua-filter examples/pandoc.lua %s/in.md"):format(
        format, dir), env_of(lua, server), builds.root))
      assert.truthy(out:find("passwd", 1, true), out)
      for _, text in ipairs(wrong) do assert.falsy(out:find(text, 1, true), out) end
    end
  end)
end)

-- As much of the module as fits into a script, which prints what is said. It stands between
-- what makes the host a hard one and what happens to it later.
local TOUR = [[
  local function new(options)
    options.model, options.base_url = "m", url
    return chatbot.new(options)
  end
  local bot = new { tools = { {
    name = "look", parameters = { type = "object" }, call = function() return { seen = 1 } end,
  } } }
  local pieces, answer = 0, nil
  local thread = coroutine.wrap(function() answer = assert(bot:chat("hi")) return "end" end)
  repeat
    local text = thread()
    if text ~= "" then pieces = pieces + 1 end
  until text == "end"
  print(pieces >= 5, answer)
  local fork = bot:fork()
  fork:undo()
  fork:set_model { "m", "n" }
  print((assert(fork:chat("hi"))))
  print(chatbot.all { new({}):stream("hi") }[1].answer)
  print((assert(new({}):chat { "hi", assert(chatbot.image("https://example.org/cat.png")) })))
]]

local STRICT = [[
  local function refuse(_, name) error("undeclared global " .. tostring(name), 2) end
  setmetatable(_G, { __index = refuse, __newindex = refuse })
]]

-- What it is, its file, what comes before require, what comes after warmup, what comes last.
local HARD = {
  { "a Lua that forbids undeclared globals", nil, STRICT, "", [[
    assert(chatbot.save(bot, os.getenv("HOME") .. "/chat.json"))
    assert(chatbot.load(os.getenv("HOME") .. "/chat.json", { base_url = url }))
    assert(#require("chatbot.page").extract("<p>A page with a text of its own.</p>").text > 9)
  ]] },
  { "a Lua without os, io, debug and half of package", nil, [[
    os, io, debug, package.searchpath, package.loadlib = nil
  ]], "", "" },
  -- as in a host that changes its root directory
  { "a Lua that finds no files after warmup", nil, "", "package.path, package.cpath = '', ''", "" },
  { "LÖVE that forbids undeclared globals", where_is "love", STRICT, "", "love.event.quit()",
    function(dir)
      support.write_file(dir .. "/conf.lua", [[
        function love.conf(t)
          for name in pairs(t.modules) do t.modules[name] = name == "event" end
        end
      ]])
      return "love " .. dir
    end },
  -- lua-cjson's finalizer would call a function of LuaTeX's that has the same name
  { "texlua, which then closes the Lua state", where_is "texlua", "", "", "os.exit(0, true)",
    function(dir) return "texlua " .. dir .. "/main.lua" end },
  { "pandoc lua", output_of "pandoc -v | grep Scripting" and where_is "pandoc", "", "", "",
    function(dir) return "pandoc lua " .. dir .. "/main.lua" end },
}

describe("the module works in", function()
  after_each(clean)

  for _, row in ipairs(HARD) do
    local name, file, before, between, last, command = unpack(row, 1, 6)
    local add = (hosts_too or not command) and it or function() end
    add(name, function()
      local lua = command and lua_of(file)
      local server = support.serve {
        support.sse({ { tool_calls = { { index = 0, id = "a", type = "function",
          ["function"] = { name = "look", arguments = "{}" } } } } },
          { finish_reason = "tool_calls" }),
        support.sse(PIECES, { every = 0.01 }),
      }
      local script = table.concat({ "local url = os.getenv('BASE_URL')", before,
        "local chatbot = require 'chatbot'", "assert(chatbot.warmup())", between, TOUR, last,
      }, "\n")
      local dir = support.tmpdir()
      local out
      if command then
        support.write_file(dir .. "/main.lua", script)
        local env = env_of(lua, server)
        env.HOME = dir
        out = finish(spawn(command(dir), env))
      else
        local result = support.run_lua(script, { env = { BASE_URL = server.url, HOME = dir } })
        assert.equal("", result.err)
        out = result.out
      end
      local said = ANSWER .. "\n"
      assert.equal("true\t" .. said .. said:rep(3), out)
    end)
  end

  it("no program that keeps its Lua to itself, and says so", function()
    local lua = support.interpreter():match("[^/]*$")
    local dir = support.tmpdir()
    local library = output_of(("ls $(pkg-config --variable=libdir %s)/lib%s.a"):format(lua, lua))
    if not library then pending("there is no static library of " .. lua) end
    support.write_file(dir .. "/host.c", [[
      #include <lua.h>
      #include <lauxlib.h>
      #include <lualib.h>
      int main(void)
      {
          lua_State *L = luaL_newstate();
          luaL_openlibs(L);
          return luaL_dostring(L, "print(select(2, pcall(require, 'chatbot')))");
      }
    ]])
    local env = env_of(lua, { url = "" })
    finish(spawn(("${CC:-cc} -o host $(pkg-config --cflags %s) host.c %s -lm -ldl")
      :format(lua, library), {}, dir))
    local out = finish(spawn("./host", env, dir))
    assert.truthy(out:find("^this program can load no C module of Lua: "), out)
  end)
end)
