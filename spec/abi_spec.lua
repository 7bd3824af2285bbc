-- A binary for another Lua: whatever loads it is told so, and nothing crashes.

local support = require "spec.support"
local builds = require "spec.support.builds"

-- LuaJIT has the ABI of 5.1.
local ABI = {
  ["lua5.1"] = "5.1", ["lua5.2"] = "5.2", ["lua5.3"] = "5.3", ["lua5.4"] = "5.4", luajit = "5.1",
}
local LUAS = { "lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit" }

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
  local name = lua == "luajit" and "LuaJIT" or "Lua " .. ABI[lua]
  local told = ("chatbot.core was built for another Lua; this is %s, for which `make LUA=%s` "
    .. "builds it ("):format(name, lua)
  assert.equal(told, result.out:sub(1, #told))
end

describe("the module built for", function()
  for _, built in ipairs(LUAS) do
    if own == "lua5.4" or own == built then
      it(built .. " runs under its own Lua, and says so under another", function()
        local dir = builds.make(built)
        for _, lua in ipairs(LUAS) do
          local result = load(lua, dir)
          if ABI[lua] == ABI[built] then
            assert.equal("", result.err)
            assert.equal("kind\tconnect\n", result.out)
          else
            is_refused(result, lua)
          end
        end
      end)
    end
  end

  -- No symbol of 5.4 is missing in 5.5, so that the dynamic linker lets it pass,
  -- and the registry is elsewhere. Debian has no Lua 5.5: core.c is compiled
  -- against headers of 5.4 that call themselves 5.5.
  it("a later Lua is refused also where no symbol is missing", function()
    local dir = support.tmpdir()
    local from = builds.make("lua5.4")
    local command = ([==[
      set -e
      mkdir -p %s/include %s/chatbot
      cp "$(pkg-config --cflags-only-I lua5.4 | sed 's/^-I//; s/ .*//')"/*.h %s/include/
      sed -i 's/^\(#define LUA_VERSION_NUM[[:space:]]*\)504/\1505/' %s/include/lua.h
      grep -q 'LUA_VERSION_NUM[[:space:]]*505' %s/include/lua.h
      cc -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -I%s/include \
        $(pkg-config --cflags libcurl) -Isrc -c -o %s/core.o src/core.c
      cc -shared -Wl,--version-script=src/core.map -o %s/chatbot/core.so %s/core.o \
        $(ls %s/obj/*/*.o) -ldl -pthread
    ]==]):gsub("%%s/obj", from .. "/obj"):gsub("%%s", dir)
    local child = support.spawn("sh -c " .. support.quote(command))
    local status = child:wait(60)
    local out, err = child:output()
    child:close()
    assert.equal(0, status, out .. err)
    local result = load("lua5.4", dir)
    is_refused(result, "lua5.4")
    assert.truthy(result.out:find("version mismatch", 1, true), result.out)
    support.remove_all()
  end)
end)
