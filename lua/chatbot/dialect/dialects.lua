-- dialect/dialects.lua - which dialect is spoken where, as src/dialect/dialects.c has it: the
-- one place in Lua that knows them by name.

local chat = require "chatbot.dialect.chat"
local core = require "chatbot.core"

local M = {}

---The dialect of a route: what it has, see chat.lua.
function M.of(_) return chat end -- all speak it

core.ours()

return M
