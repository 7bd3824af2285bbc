-- dialect/dialects.lua - which dialect is spoken where, as src/dialect/dialects.c has it: the
-- one place in Lua that knows them by name.

local core = require "chatbot.core"

local M = {}

---The dialect of a route: what it has, see chat.lua.
function M.of(route) return require("chatbot.dialect." .. route.api) end

core.ours()

return M
