-- The rock of a checkout and what `make dist` makes of a commit: a tarball, a rockspec
-- and a source rock. Rocks are installed into a tree of their own and used from another
-- directory, without a server of rocks.

local process = require "spec.support.process"
local shell = require "spec.support.shell"

local quote, must, read = process.quote, shell.must, process.read_file

local LUA = process.interpreter()
local VERSION = _VERSION:match("%d%.%d")
local RELEASE = require("chatbot")._VERSION:match("%d+%.%d+%.%d+")

local SCRIPT = [[
  local chatbot = require "chatbot"
  local bot = chatbot.new { model = "gpt-4.1", system = "Be brief." }
  assert(type(bot) == "userdata" and bot:get_model() == "gpt-4.1")
  assert(bot:get_messages()[1].content == "Be brief.")
  print(chatbot._VERSION .. " on " .. (jit and jit.version or _VERSION))
]]

-- What there is on this machine by other ways, as rocks see it: lua-cjson, and LuaJIT
-- where it runs the specs.
local CONFIG = [[rocks_provided = { ["lua-cjson"] = "2.1.0-1" }]] .. "\n"
if rawget(_G, "jit") then
  CONFIG = CONFIG .. ('lua_interpreter = "luajit"\nvariables = { LUA = %q, LUA_INCDIR = %q }\n')
    :format(must("command -v " .. LUA):gsub("\n", ""),
      (must("pkg-config --variable=includedir luajit"):gsub("\n", "")))
end

-- The tree that is tested, in a folder of its own.
local function copy()
  local work = process.tmpdir()
  must("cp -r Makefile .ci .gitignore LICENSE *.md bin doc lua rockspec src " .. work)
  must("rm -f lua/chatbot/core.so", work)
  return work
end

-- LuaRocks does something in `work`: returns the environment for the rest, and the tree.
local function luarocks(what, work)
  local tree, home = process.tmpdir(), process.tmpdir()
  process.write_file(home .. "/config.lua", CONFIG)
  local env = { HOME = home, LUAROCKS_CONFIG = home .. "/config.lua", MAKEFLAGS = "-j2" }
  local command = "luarocks --lua-version=" .. VERSION .. " --tree=" .. tree
  local out = must(command .. " " .. what, work, env, 180)
  assert.truthy(out:find("is now installed in " .. tree, 1, true), out)
  -- What a user of a tree does, then from a directory without the sources.
  local elsewhere = process.tmpdir()
  process.write_file(elsewhere .. "/script.lua", SCRIPT)
  local paths = ('eval "$(%s path)" && '):format(command)
  assert.equal(("chatbot %s on %s\n"):format(RELEASE, jit and jit.version or _VERSION),
    must(paths .. LUA .. " script.lua", elsewhere, env))
  assert.truthy(must(paths .. tree .. "/bin/chatbot --help", elsewhere, env):find("^Usage"))
  return tree
end

describe("the rock", function()
  after_each(process.remove_all)

  for name, flags in pairs {
    ["with the check of its dependencies"] = "",
    ["without the check of its dependencies"] = " --deps-mode=none",
  } do
    it("of a checkout builds, installs and works " .. name, function()
      if not shell.have("luarocks") then return end
      local tree = luarocks("make rockspec/chatbot-scm-1.rockspec" .. flags, copy())
      local own = tree .. "/lib/luarocks/rocks-" .. VERSION .. "/chatbot/scm-1/"
      for _, file in ipairs { "doc/chatbot/LICENSE", "man/man1/chatbot.1" } do
        assert.truthy(read(own .. "share/" .. file), file .. " is not installed")
      end
    end)
  end
end)

-- The commit that is packed, dated long ago.
local function commit()
  local work = copy()
  local env = { GIT_CONFIG_GLOBAL = "/dev/null", GIT_CONFIG_SYSTEM = "/dev/null" }
  for _, who in ipairs { "AUTHOR", "COMMITTER" } do
    env["GIT_" .. who .. "_NAME"], env["GIT_" .. who .. "_EMAIL"] = "Nobody", "nobody@example.org"
    env["GIT_" .. who .. "_DATE"] = "2001-02-03T04:05:06Z"
  end
  must("git init -q && git add -A && git commit -q -m all", work, env)
  return work
end

describe("make dist", function()
  local NAME = "chatbot-" .. RELEASE
  local FILES = { NAME .. ".tar.gz", NAME .. "-1.rockspec", NAME .. "-1.src.rock" }

  after_each(process.remove_all)

  it("packs a commit, the same bytes from any checkout at any time", function()
    if not shell.have("git", "zip", "unzip") then return end
    local work, other = commit(), process.tmpdir()
    local out = must("umask 077 && TZ=Asia/Tokyo make -s dist URL=https://example.org/x", work)
    assert.equal("build/dist/" .. table.concat(FILES, "\nbuild/dist/") .. "\n", out)
    must("umask 002 && git clone -q --no-hardlinks " .. quote(work) .. " clone", other)
    process.sleep(1.1) -- so that a time of day would show
    must("make -s dist URL=https://example.org/x", other .. "/clone", { TZ = "UTC" })
    for _, file in ipairs(FILES) do
      assert.is_true(read(work .. "/build/dist/" .. file)
        == read(other .. "/clone/build/dist/" .. file), file .. " differs")
    end

    must("tar -xzf build/dist/" .. FILES[1], work)
    assert.equal(must("git ls-files", work), must("find . -type f | sed 's|^./||' | LC_ALL=C sort",
      work .. "/" .. NAME))
    assert.equal("", must("git diff --no-index -- " .. NAME .. "/src src; "
      .. "git diff --no-index -- " .. NAME .. "/lua lua", work))
    assert.equal("", must("tar -tvzf build/dist/" .. FILES[1]
      .. " | grep -Ev '^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x) root/root ' || :", work))
  end)

  it("makes a rockspec that names its version, its sources and lua-cjson", function()
    if not shell.have("git", "zip") then return end
    local work = commit()
    must("make -s dist URL=https://example.org/x", work)
    local spec = {}
    local chunk = assert(loadfile(work .. "/build/dist/" .. FILES[2], "t", spec))
    if setfenv then setfenv(chunk, spec) end
    chunk()
    assert.equal(RELEASE .. "-1", spec.version)
    assert.equal("https://example.org/x/" .. FILES[1], spec.source.url)
    assert.same({ "lua >= 5.1, < 5.6", "lua-cjson >= 2.1" }, spec.dependencies)
    if shell.has("luarocks") then must("luarocks lint build/dist/" .. FILES[2], work) end
  end)

  it("makes a rock that installs offline, where libcurl's files for developers are", function()
    if not shell.have("git", "zip", "luarocks", "unzip") then return end
    local work = commit()
    must("make -s dist", work)
    luarocks("install ./" .. FILES[3], work .. "/build/dist")
    local status, _, err = shell.run(("luarocks --lua-version=%s --tree=%s install "
      .. "--deps-mode=none build/dist/%s CURL_DIR=/nonexistent"):format(VERSION, process.tmpdir(),
      FILES[3]), work)
    assert.equal(1, status)
    assert.truthy(err:find("Could not find program file for CURL", 1, true), err)
  end)

  it("says so where there is no commit, and what it leaves out", function()
    if not shell.have("git", "zip") then return end
    local status, _, err = shell.run("make -s dist", copy())
    assert.equal(2, status)
    assert.truthy(err:find("make dist: it packs a commit, and this is no checkout of git", 1, true))
    local work = commit()
    process.write_file(work .. "/new.lua", "")
    status, _, err = shell.run("make -s dist", work)
    assert.same({ 0, "make dist: what is not committed is left out\n" }, { status, err })
  end)
end)
