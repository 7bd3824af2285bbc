-- A binary for another Lua: whatever loads it is told so, and nothing crashes.
-- Each Lua that is on this machine is tried, with its own headers.

local support = require "spec.support"
local builds = require "spec.support.builds"

local LUAS = { "lua5.1", "lua5.2", "lua5.3", "lua5.4", "lua5.5", "luajit" }

local own = support.interpreter():match("[^/]*$")

-- Requires the module of `dir` under `lua`. A request to a port where nobody
-- listens goes through most of the binding.
local function load(lua, dir)
  return support.run_lua(([[
    local ok, chatbot = pcall(require, "chatbot")
    if not ok then print(chatbot) return end
    local bot = chatbot.new { model = "m", base_url = "http://127.0.0.1:%d/v1", max_retries = 0 }
    local _, err = bot:chat("hi")
    print("kind", err.kind)
  ]]):format(support.dead_port()), { lua = lua, env = builds.env(lua, dir) })
end

local function is_refused(result, lua)
  assert.equal("", result.err)
  assert.equal(0, result.status)
  local name = lua == "luajit" and "LuaJIT" or "Lua " .. builds.version(lua)
  local told = ("chatbot.core was built for another Lua; this is %s, for which `make LUA=%s` "
    .. "builds it ("):format(name, lua)
  assert.equal(told, result.out:sub(1, #told))
end

describe("the module built for", function()
  for _, built in ipairs(LUAS) do
    if own == "lua5.4" or own == built then
      it(built .. " runs under its own Lua, and says so under another", function()
        local lacks = builds.lacks(built)
        if lacks then return pending(lacks) end
        local dir = builds.make(built)
        for _, lua in ipairs(LUAS) do
          if not builds.lacks(lua) then
            local result = load(lua, dir)
            if builds.version(lua) == builds.version(built) then -- LuaJIT has the ABI of 5.1
              assert.equal("", result.err)
              assert.equal("kind\tconnect\n", result.out)
            else
              is_refused(result, lua)
            end
          end
        end
      end)
    end
  end

  -- No symbol of 5.5's is missing in 5.4 and none of 5.4's in 5.5, so that the
  -- dynamic linker lets either pass, and the registry is elsewhere.
  for built, lua in pairs { ["lua5.5"] = "lua5.4", ["lua5.4"] = "lua5.5" } do
    it(("%s is refused by %s although no symbol is missing"):format(built, lua), function()
      local lacks = builds.lacks(built) or builds.lacks(lua)
      if lacks then return pending(lacks) end
      local result = load(lua, builds.make(built))
      is_refused(result, lua)
      assert.truthy(result.out:find("version mismatch", 1, true), result.out)
    end)
  end
end)
