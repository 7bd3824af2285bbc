-- The Makefile and its scripts: what they print and refuse. Whatever is planted is
-- planted in a copy of the tree. What they install is in install_spec.lua.

local process = require "spec.support.process"
local shell = require "spec.support.shell"

local LUA = process.interpreter()
local ROOT = shell.root
local VERSION = _VERSION:match("%d%.%d")

local run = shell.run

local function copy(...)
  local dir = process.tmpdir()
  assert.equal(0, (run("cp -r " .. table.concat({ ... }, " ") .. " " .. dir)))
  return dir
end

local write = process.write_file

describe("the build", function()
  after_each(process.remove_all)

  it("has a line of help for each target", function()
    local status, help = run("make -s help")
    assert.equal(0, status)
    local makefile = process.read_file("Makefile")
    local phony = makefile:match("%.PHONY:(.-)\n\n"):gsub("\\\n", " ")
    local count = 0
    for target in phony:gmatch("[%w-]+") do
      if target ~= "FORCE" then
        count = count + 1
        assert.truthy(help:find("\n  make " .. target:gsub("%-", "%%-") .. " +%l", 1) or
          help:find("^  make " .. target:gsub("%-", "%%-") .. " +%l"), target .. " has no help")
      end
    end
    assert.is_true(count > 15)
  end)

  it("says so when there is no such Lua", function()
    for _, target in ipairs { "core", "env", "install" } do
      local status, _, err = run("make LUA=nonesuch DESTDIR=/nonexistent " .. target)
      assert.equal(2, status)
      assert.truthy(err:find("LUA=nonesuch: there is no such Lua here", 1, true), err)
    end
    local status, _, err = run(".ci/setup chat nonesuch")
    assert.equal(1, status)
    assert.truthy(err:find("LUA=nonesuch: no such Lua", 1, true), err)
  end)

  describe("env", function()
    local command = ('eval "$(make -s -C %s env LUA=%s)"'):format(process.quote(ROOT), LUA)
    local show = LUA .. [[ -e 'print(package.path) print(package.cpath)
      print(require("chatbot")._VERSION)']]

    it("makes the build tree usable from anywhere, before Lua's own paths", function()
      local _, defaults = run(LUA .. " -e 'print(package.path)'", "/")
      local status, out, err = run(command .. " && " .. show, "/")
      assert.equal(0, status, err)
      local path, cpath, version = out:match("^(.-)\n(.-)\n(.-)\n$")
      -- (PUC 5.1 leaves a semicolon at the end.)
      local modules = ROOT .. "/build/modules/" .. VERSION -- where .ci/modules built some
      local built = run("test -d " .. modules) == 0 and modules .. "/?.lua;" or ""
      assert.equal(ROOT .. "/lua/?.lua;" .. ROOT .. "/lua/?/init.lua;" .. built
        .. defaults:gsub("\n", ""),
        (path:gsub(";$", "")))
      assert.equal(1, (cpath:find(ROOT .. "/build/", 1, true)))
      assert.truthy(version:find("%d"))
    end)

    it("keeps the user's paths and does not pile up", function()
      local user = { LUA_PATH = "/mine/?.lua;;", LUA_CPATH = "/mine/?.so;;" }
      local _, once = run(command .. " && " .. show, "/", user)
      local status, twice = run(command .. " && " .. command .. " && " .. show, "/", user)
      assert.equal(0, status)
      assert.equal(once, twice)
      assert.truthy(once:find(";/mine/?.lua;", 1, true))
      assert.truthy(once:find(";/mine/?.so;", 1, true))
    end)

    if VERSION ~= "5.1" then
      it("also sets the versioned variables where the user has them", function()
        local name = VERSION:gsub("%.", "_")
        local status, out, err = run(command .. " && " .. show, "/", {
          ["LUA_PATH_" .. name] = "/versioned/?.lua;;",
          ["LUA_CPATH_" .. name] = "/versioned/?.so;;",
        })
        assert.equal(0, status, err)
        assert.truthy(out:find(";/versioned/?.lua;", 1, true))
        assert.truthy(out:find(";/versioned/?.so;", 1, true))
      end)
    end
  end)

  describe("layers", function()
    it("hold", function()
      local status, out, err = run("make -s layers LUA=" .. LUA)
      assert.equal(0, status, err)
      assert.truthy(out:find("include only what is below them", 1, true))
    end)

    it("fail on each kind of violation", function()
      local dir = copy("Makefile", ".ci", "src")
      local plants = {
        { "parsing/sse.c", '#include <lua.h>', "includes headers of lua" },
        { "parsing/bytes.h", '#include "parsing/sse.h"',
          "includes parsing/sse.h, which includes it: a circle" },
        { "parsing/retry.c", '#include <curl/curl.h>', "includes headers of curl" },
        { "dialect/chat_scan.c", '#include <lua.h>', "includes headers of lua" },
        { "dialect/chat.c", '#include "reply/reply.h"',
          "includes reply/reply.h, which is above it" },
        { "engine/poller.c", '#include "binding/binding.h"',
          "includes binding/binding.h, which is above it" },
        { "engine/timers.c",
          '#ifdef NO_SUCH_SYSTEM\n#include "parsing/sse.h"\n#include "page/html.h"\n#endif',
          "includes page/html.h, which is above it" },
        { "engine/timers.h", '#include <curl/curl.h>', "includes headers of curl" },
        { "provider/provider.c", '#include <curl/curl.h>', "includes headers of curl" },
        { "misfit.c", "int misfit;", "is on no floor of .ci/layers" },
        { "dialect/misfit.c", "#error", "the preprocessor failed" },
      }
      for _, plant in ipairs(plants) do
        local path = dir .. "/src/" .. plant[1]
        write(path, (process.read_file(path) or "") .. plant[2] .. "\n")
      end
      local status, _, err = run("make -s layers LUA=" .. LUA, dir)
      assert.equal(2, status)
      for _, plant in ipairs(plants) do
        local line = "src/" .. plant[1] .. ": " .. plant[3]
        assert.truthy(err:find(line, 1, true), "not seen: " .. line .. "\nin\n" .. err)
      end
    end)
  end)

  describe("symbols", function()
    it("are only what the host must see", function()
      local status, out, err = run("make -s symbols LUA=" .. LUA)
      assert.equal(0, status, err)
      assert.truthy(out:find("exports luaopen_chatbot_core only", 1, true))
    end)

    it("fail on a second export, a mutable static and a strange import", function()
      local dir = process.tmpdir()
      write(dir .. "/bad.c", [[
        int puts(const char *), strange(void);
        static int counter;
        int leaked(void) { return ++counter + strange() + puts(""); }
        int luaopen_chatbot_core(void) { return leaked(); }
      ]])
      local status, _, err = run("cc -fPIC -O0 -c bad.c && cc -shared -o bad.so bad.o && "
        .. process.quote(ROOT .. "/.ci/symbols") .. " bad.so bad.o", dir)
      assert.equal(1, status)
      assert.truthy(err:find("exports: leaked", 1, true), err)
      assert.truthy(err:find("mutable data: bad.o:counter", 1, true), err)
      assert.truthy(err:find("C library's: strange", 1, true), err)
    end)
  end)

  describe("the test runner", function()
    local function outcome(spec)
      local dir = copy("Makefile", ".ci", ".busted")
      assert.equal(0, (run("mkdir spec", dir)))
      if spec then write(dir .. "/spec/some_spec.lua", spec) end
      local status, out, err = run(".ci/test " .. LUA .. " spec", dir)
      return status, out:match("([^\n]*)\n$"), err
    end

    -- There are no C tests in the copy, which is one failure each time.
    it("counts what passed, failed and was skipped", function()
      local status, last, err = outcome [[
        it("a", function() end)
        it("b", function() end)
        it("c", function() error("c") end)
        it("d", function() assert.is_true(false) end)
        it("e", function() pending("later") end)
      ]]
      assert.equal("2 passed, 3 failed, 1 skipped", last, err)
      assert.equal(1, status)
    end)

    it("fails when there was nothing to count", function()
      for _, spec in ipairs { "", "syntax error here", "os.exit(0)" } do
        local status, last, err = outcome(spec)
        assert.truthy(last:find("^0 passed, [23] failed, 0 skipped$"), last)
        assert.truthy(err:find("busted: no test passed, or none was counted", 1, true), err)
        assert.equal(1, status)
      end
    end)
  end)

  it("says what is missing, under the names of common systems", function()
    -- A machine with a shell and its tools, but no compiler and no apt-get.
    local bin = process.tmpdir()
    assert.equal(0, (run(([[
      for tool in sh env awk tr sort cut ls grep id cat sed dirname basename make; do
        ln -s "$(command -v $tool)" %s/$tool
      done]]):format(bin))))
    local status, _, err = run(".ci/setup chat lua5.4", ROOT, { PATH = bin })
    assert.equal(1, status)
    for _, word in ipairs {
      "DEBIAN", "FEDORA", "ARCH", "ALPINE", "HOMEBREW", "a C compiler", "liblua5.4-dev",
      "libcurl4-openssl-dev", "lua-cjson", "libcurl-devel",
    } do
      assert.truthy(err:find(word, 1, true), word .. " is not in\n" .. err)
    end
    assert.is_nil(err:find("\n make ", 1, true))
  end)
end)
