-- The rock: `luarocks make` into a tree of its own, with and without the check
-- of the dependencies, and the result used from another directory.

local process = require "spec.support.process"

local LUA = process.interpreter()
local ROOT = process.absolute("Makefile"):match("^(.*)/")
local VERSION = _VERSION:match("%d%.%d")

local function run(command, cwd)
  local versioned = VERSION:gsub("%.", "_")
  local home = process.tmpdir()
  local child = process.spawn("sh -c " .. process.quote(command), {
    cwd = cwd,
    env = {
      HOME = home, LUAROCKS_CONFIG = false, LUA = false, SPECS = false, BUILD = false,
      MAKEFLAGS = false, MAKELEVEL = false, MFLAGS = false,
      LUA_PATH = false, LUA_CPATH = false,
      ["LUA_PATH_" .. versioned] = false, ["LUA_CPATH_" .. versioned] = false,
    },
  })
  local status = child:wait(180)
  local out, err = child:output()
  child:close()
  return status, out, err
end

local SCRIPT = [[
  local chatbot = require "chatbot"
  assert(type(chatbot._VERSION) == "string")
  local bot = chatbot.new { model = "gpt-4.1", system = "Be brief." }
  assert(type(bot) == "userdata" and bot:get_model() == "gpt-4.1")
  assert(bot:get_messages()[1].content == "Be brief.")
  print(chatbot._VERSION .. " on " .. _VERSION)
]]

local has_luarocks = run("command -v luarocks") == 0

describe("the rock", function()
  after_each(process.remove_all)

  for name, flags in pairs {
    ["with the check of its dependencies"] = "",
    ["without the check of its dependencies"] = " --deps-mode=none",
  } do
    it("builds, installs and works " .. name, function()
      if not has_luarocks then
        pending("luarocks is not here")
        return
      end
      local work, tree, elsewhere = process.tmpdir(), process.tmpdir(), process.tmpdir()
      local sources = "Makefile LICENSE *.md src lua bin rockspec "
      assert.equal(0, (run("cp -r " .. sources .. work, ROOT)))
      local luarocks = "luarocks --lua-version=" .. VERSION .. " --tree=" .. tree

      local status, out, err = run(luarocks .. " make" .. flags, work)
      assert.equal(0, status, out .. err)
      assert.truthy(out:find("chatbot scm-1 is now installed in " .. tree, 1, true), out)

      -- What a user of a tree does, then from a directory without the sources.
      local paths = ('eval "$(%s path)" && '):format(luarocks)
      process.write_file(elsewhere .. "/script.lua", SCRIPT)
      status, out, err = run(paths .. LUA .. " script.lua", elsewhere)
      assert.equal(0, status, err)
      assert.truthy(out:find("%d+%.%d+.* on " .. _VERSION), out)

      status, out, err = run(paths .. tree .. "/bin/chatbot --help", elsewhere)
      assert.equal(0, status, err)
      assert.truthy(out:lower():find("usage", 1, true), out)

      local documents = tree .. "/lib/luarocks/rocks-" .. VERSION .. "/chatbot/scm-1/doc/"
      for _, file in ipairs { "README.md", "LICENSE" } do
        assert.truthy(process.read_file(documents .. file), file .. " is not installed")
      end
    end)
  end
end)
