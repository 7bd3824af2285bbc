-- dialect/dialects.lua - which dialect is spoken where, as src/dialect/dialects.c has it: the
-- one place in Lua that knows them by name.

local core = require "chatbot.core"

local M = {}

local LEAST = 16 -- tokens that Responses may be limited to

---The dialect of a route: what it has, see chat.lua.
function M.of(route) return require("chatbot.dialect." .. route.api) end

---The dialect for a call where the program says none: that of the route, unless what it uses
---is in another one of this service alone.
---@param base table the fields of the call
---@return string api
function M.wanted(route, base)
  local search = base.search and route.home and route.spec.api ~= "chat"
    and core.rule(route, "search")
  if search == "responses" or search == "messages" then return search end
  if route.api ~= "responses" then return route.api end
  local most = base.max_tokens or base.max_completion_tokens
  if type(most) == "number" and most < LEAST then return "chat" end
  for _, name in ipairs(M.of(route).chat_only) do
    if base[name] ~= nil then return "chat" end
  end
  return route.api
end

core.ours()

return M
