-- `make install`: what it puts where, that the program there starts, and that
-- `make uninstall` takes away just that. A Debian package is made of it, too.

local options = require "chatbot.terminal.options"
local process = require "spec.support.process"
local shell = require "spec.support.shell"

local quote, run, must = process.quote, shell.run, shell.must

local LUA = process.interpreter()
local VERSION = _VERSION:match("%d%.%d")
local PRINTS = require("chatbot")._VERSION .. "\n"

-- One that has a path, and one that the shell finds.
local PATH = must("command -v " .. LUA):gsub("\n", "")

-- `make install` or another target with this PREFIX, given as to a shell.
local function make(target, prefix, more)
  return ("make -s %s LUA=%s PREFIX=%s %s"):format(target, LUA, quote((prefix:gsub("%$", "$$"))),
    more or "")
end

-- All that is below a folder: "type mode name" for each.
local function list(dir)
  return must("find . -mindepth 1 -printf '%y %m %P\\n' | sort -k 3", dir)
end

describe("make install", function()
  after_each(process.remove_all)

  it("puts everything below DESTDIR and PREFIX, open to all whatever the umask", function()
    local dest = process.tmpdir() .. "/root"
    must(("umask 077 && mkdir -m 755 %s && %s"):format(dest,
      make("install", "/usr", "DESTDIR=" .. dest)))
    local expected = {}
    for source in must("cd lua && find chatbot -name '*.lua'"):gmatch("[^\n]+") do
      expected[#expected + 1] = ("f 644 usr/share/lua/%s/%s"):format(VERSION, source)
      assert.equal(process.read_file("lua/" .. source),
        process.read_file(("%s/usr/share/lua/%s/%s"):format(dest, VERSION, source)))
    end
    assert.truthy(#expected > 20)
    for page in must("ls doc/*.md"):gmatch("[^\n]+") do
      expected[#expected + 1] = "f 644 usr/share/doc/chatbot/" .. page
    end
    for _, file in ipairs {
      "755 lib/lua/" .. VERSION .. "/chatbot/core.so", "755 bin/chatbot",
      "644 share/man/man1/chatbot.1", "644 share/doc/chatbot/LICENSE",
      "644 share/doc/chatbot/README.md", "644 share/bash-completion/completions/chatbot",
      "644 share/zsh/site-functions/_chatbot", "644 share/fish/vendor_completions.d/chatbot.fish",
    } do
      expected[#expected + 1] = "f " .. file:gsub(" ", " usr/")
    end
    local found = {}
    for line in list(dest):gmatch("[^\n]+") do
      if line:sub(1, 1) == "d" then
        assert.truthy(line:find("^d 755 "), line)
      else
        found[#found + 1] = line
      end
    end
    table.sort(expected)
    table.sort(found)
    assert.same(expected, found)
    -- DESTDIR is not where the files will be.
    assert.falsy(process.read_file(dest .. "/usr/bin/chatbot"):find(dest, 1, true))
  end)

  it("puts the scripts of completion where each shell looks for them", function()
    local dest = process.tmpdir()
    must(make("install", dest))
    for name, place in pairs {
      bash = "bash-completion/completions/chatbot", zsh = "zsh/site-functions/_chatbot",
      fish = "fish/vendor_completions.d/chatbot.fish",
    } do
      assert.equal(must(dest .. "/bin/chatbot --completion " .. name, "/"),
        process.read_file(dest .. "/share/" .. place))
    end
  end)

  -- A folder that a shell and a Lua string have to be told with care.
  for what, folder in pairs {
    ["a prefix"] = "/plain",
    ["a prefix with blanks, quotes and more"] = [[/a  b's "q" \ & | $x %d]],
  } do
    it("gives a program that starts from anywhere: " .. what, function()
      local prefix = process.tmpdir() .. folder
      local out = must(make("install", prefix))
      assert.equal(PRINTS, must(quote(prefix .. "/bin/chatbot") .. " --version", "/"))
      -- Another chatbot on Lua's paths is not taken for its own.
      local other = process.tmpdir()
      must("mkdir " .. other .. "/chatbot")
      process.write_file(other .. "/chatbot/terminal.lua", "error 'of another version'")
      assert.equal(PRINTS, must(quote(prefix .. "/bin/chatbot") .. " --version", "/",
        { LUA_PATH = other .. "/?.lua;;" }))
      -- What is printed for other programs works in a shell.
      assert.equal(PRINTS, must(out:match("export LUA_PATH=[^\n]+") .. "\n"
        .. out:match("export LUA_CPATH=[^\n]+") .. "\n"
        .. LUA .. [[ -e 'print(require("chatbot")._VERSION)']], "/"))
      must(make("uninstall", prefix))
      assert.equal("", must("find " .. quote(prefix) .. " -type f", "/"))
    end)
  end

  it("gives a program that starts where Lua's folders are elsewhere, and by a link", function()
    local root = process.tmpdir()
    must(make("install", root .. "/x", ("LUADIR=%s/lua LIBDIR=%s/c"):format(root, root)))
    must("ln -s x/bin/chatbot link", root)
    assert.equal(PRINTS, must("./link --version", root))
  end)

  it("gives a program that runs nothing of the folder where it is called", function()
    local dest, dir = process.tmpdir(), process.tmpdir()
    must(make("install", dest))
    process.write_file(dir .. "/cjson.lua", "io.stderr:write 'of this folder'")
    local _, _, err = run(dest .. "/bin/chatbot -m m -b http://127.0.0.1:1/v1 hi", dir)
    assert.truthy(err:find("^chatbot: "), err)
    assert.falsy(err:find("of this folder", 1, true), err)
  end)

  it("gives a program that still starts when its folder was moved", function()
    local root = process.tmpdir()
    must(make("install", root .. "/x") .. " && mv " .. root .. "/x " .. root .. "/y")
    assert.equal(PRINTS, must(root .. "/y/bin/chatbot --version", "/"))
  end)

  it("takes a PREFIX and a LUA that are seen from here", function()
    local work = process.tmpdir()
    must("cp -rp Makefile .ci LICENSE README.md bin doc lua src " .. work)
    local name = LUA:match("[^/]*$")
    must(("ln -s %s . && mkdir build && cp -rp %s/build/%s build && make -s -j4 install LUA=./%s "
      .. "PREFIX=there"):format(PATH, shell.root, name, name), work)
    assert.equal("#!" .. work .. "/./" .. name,
      process.read_file(work .. "/there/bin/chatbot"):match("^[^\n]*"))
    assert.equal(PRINTS, must(work .. "/there/bin/chatbot --version", "/"))
  end)

  it("takes a LUA whose path has blanks", function()
    local work = process.tmpdir()
    local lua = ("%s/a b/%s"):format(work, LUA:match("[^/]*$"))
    must(("mkdir 'a b' && ln -s %s %s"):format(PATH, quote(lua)), work)
    must(("make -s install LUA=%s PREFIX=%s/there"):format(quote(lua), work))
    assert.equal(PRINTS, must(work .. "/there/bin/chatbot --version", "/"))
  end)

  it("names the Lua that the module was built for by its path", function()
    local dest = process.tmpdir()
    must(make("install", dest))
    assert.equal("#!" .. PATH, process.read_file(dest .. "/bin/chatbot"):match("^[^\n]*"))
  end)

  it("refuses a folder in which Lua finds nothing", function()
    local status, _, err = run(make("install", process.tmpdir() .. "/a;b"))
    assert.equal(2, status)
    assert.truthy(err:find("Lua finds nothing in a folder with ; or ? in its name", 1, true), err)
  end)

  it("needs no right to write in the sources, and says where it must not write", function()
    local dir = process.tmpdir()
    local user = ""
    if must("id -u") == "0\n" then -- whom nothing is forbidden
      if not shell.have("setpriv") then return end
      user = "setpriv --reuid=65534 --regid=65534 --clear-groups "
    end
    local build = LUA:match("[^/]*$")
    must(("cp -rp Makefile .ci LICENSE README.md bin doc lua src %s && mkdir %s/build && "
      .. "cp -rp build/%s %s/build && mkdir -m 777 %s/open && mkdir -m 555 %s/shut && "
      .. "chmod -R go+rX %s && find %s -type d ! -name open -exec chmod a-w {} +"):format(
      dir, dir, build, dir, dir, dir, dir, dir))
    finally(function() must("chmod -R u+w " .. dir) end)
    must(user .. make("install", dir .. "/open"), dir)
    assert.equal(PRINTS, must(dir .. "/open/bin/chatbot --version", "/"))
    local status, _, err = run(user .. make("install", dir .. "/shut"), dir)
    assert.equal(2, status)
    assert.truthy(err:find(dir .. "/shut/[^\n]* cannot be written. Another PREFIX can be,"), err)
  end)
end)

it("make uninstall takes away what make install put there, and nothing else", function()
  local prefix = process.tmpdir()
  local share = ("%s/share/lua/%s/chatbot"):format(prefix, VERSION)
  must(make("install", prefix))
  for _, file in ipairs { share .. "/mine.lua", prefix .. "/share/doc/chatbot/NOTES",
    prefix .. "/bin/other" } do
    process.write_file(file, "")
  end
  must(make("uninstall", prefix))
  assert.equal("bin/other\nshare/doc/chatbot/NOTES\nshare/lua/" .. VERSION .. "/chatbot/mine.lua\n",
    must("find . -type f -printf '%P\\n' | sort", prefix))
  assert.equal(share .. "\n" .. prefix .. "/share/doc/chatbot\n",
    must("find " .. prefix .. " -name chatbot | sort -r", "/"))
  process.remove_all()
end)

describe("a Debian package", function()
  after_each(process.remove_all)

  it("is made of what is installed below DESTDIR", function()
    if not shell.have("dpkg-deb") then return end
    local dir = process.tmpdir()
    local folders = ("LUADIR=/usr/share/lua/%s LIBDIR=/usr/lib/x86_64-linux-gnu/lua/%s"):format(
      VERSION, VERSION)
    must(make("install", "/usr", ("DESTDIR=%s/root %s"):format(dir, folders)))
    must("mkdir root/DEBIAN", dir)
    process.write_file(dir .. "/root/DEBIAN/control", ([[
Package: lua-chatbot
Version: %s-1
Architecture: amd64
Maintainer: Somebody <somebody@example.org>
Depends: %s, lua-cjson, libcurl4 | libcurl4t64
Description: streams chat completions into Lua without blocking the host
]]):format(PRINTS:match("%d[%d.]*"), LUA:match("[^/]*$")))
    must("dpkg-deb --root-owner-group --build root chatbot.deb", dir)
    local contents = must("dpkg-deb --contents chatbot.deb", dir)
    for _, line in ipairs {
      "-rwxr-xr-x root/root [^\n]* ./usr/bin/chatbot\n",
      "-rwxr-xr-x root/root [^\n]* ./usr/lib/x86_64%-linux%-gnu/lua/%d.%d/chatbot/core.so\n",
      "-rw-r--r-- root/root [^\n]* ./usr/share/lua/%d.%d/chatbot/init.lua\n",
      "-rw-r--r-- root/root [^\n]* ./usr/share/man/man1/chatbot.1\n",
    } do
      assert.truthy(contents:find((line:gsub("^[^ ]+", function(mode)
        return (mode:gsub("%-", "%%-"))
      end))), line .. "is not in\n" .. contents)
    end
    -- Unpacked elsewhere, it runs by what Lua's paths say.
    must("dpkg-deb --extract chatbot.deb away", dir)
    local files = must("cd root && find usr -type f | sort", dir)
    assert.equal(files, must("cd away && find usr -type f | sort", dir))
    assert.equal(PRINTS, must(LUA .. " away/usr/bin/chatbot --version", dir, {
      LUA_PATH = ("%s/away/usr/share/lua/%s/?.lua;%s/away/usr/share/lua/%s/?/init.lua;;"):format(
        dir, VERSION, dir, VERSION),
      LUA_CPATH = ("%s/away/usr/lib/x86_64-linux-gnu/lua/%s/?.so;;"):format(dir, VERSION),
    }))
  end)
end)

describe("the manual page", function()
  local page = assert(process.read_file("doc/chatbot.1"))

  it("has each option, as --help has it", function()
    local shown, written = {}, {}
    for line in options.help():gmatch("\n  ([^\n]+)") do
      shown[#shown + 1] = line:match("^%s*(%-.-)%s%s")
    end
    for line in page:gmatch("\n%.TP\n(\\fB\\%-[^\n]*)") do
      written[#written + 1] = line:gsub("\\f%u", ""):gsub("\\%-", "-")
    end
    assert.equal(#options.list, #shown)
    assert.same(shown, written)
  end)

  for tool, command in pairs {
    mandoc = "mandoc -T lint doc/chatbot.1",
    groff = "groff -man -ww -Tutf8 doc/chatbot.1 2>&1 >/dev/null",
  } do
    it("is clean for " .. tool, function()
      if not shell.have(tool) then return end
      local status, out, err = run(command)
      assert.same({ 0, "", "" }, { status, out, err })
    end)
  end
end)
