-- random.lua - random numbers that are the same on every Lua.
-- Usage: local random, chance, pick = require("spec.machines.random")(SEED)

return function(seed)
  local state = seed % 2147483647
  if state == 0 then state = 1 end

  -- A whole number from 1 to n.
  local function random(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
  for _ = 1, 10 do random(2) end -- seeds that are neighbours part

  local function chance(percent) return random(100) <= percent end

  -- One of the list; nil when it is empty.
  local function pick(list)
    if #list > 0 then return list[random(#list)] end
  end

  return random, chance, pick
end
