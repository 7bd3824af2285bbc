-- dialect/reasoning.lua - how much a model is to think: the option `reasoning` as what the
-- service that is asked has for it, effort or tokens.
--
-- false, "minimal", "low", "medium", "high", "max", or a number of tokens. What a model has
-- of these stands in the data of its provider: `efforts`, a list from the least to the most,
-- in which "none" is no thinking at all.

local core = require "chatbot.core"

local M = {}

-- The words in their order, with what they are in tokens: about what the services' own
-- libraries translate them to.
local RANK = { none = 0, minimal = 1, low = 2, medium = 3, high = 4, xhigh = 5, max = 6 }
local TOKENS = { minimal = 1024, low = 2048, medium = 8192, high = 24576, max = 65536 }

local DEFAULT = { "none", "low", "medium", "high" }

---Whether a value is one of this option; a table is the service's own.
function M.is_one(value)
  if type(value) == "number" then return value >= 1 and value <= 1e9 and value % 1 == 0 end
  return value == false or type(value) == "table" or TOKENS[value] ~= nil
end

-- The word for a number of tokens: the largest one that is no more than that.
local function word_of(tokens)
  local best = "minimal"
  for word, most in pairs(TOKENS) do
    if most <= tokens and RANK[word] > RANK[best] then best = word end
  end
  return best
end

---The effort, of those in the list, that comes nearest: no more than what is asked for, where
---there is such a one. Where it is not what was asked for, it is told.
---@param self table see fields.lua
---@param value false|string|number
---@param efforts? string[] default: those of the model
---@return string
function M.effort(self, value, efforts)
  local list = efforts or core.rule(self.route, "efforts") or DEFAULT
  local word = value == false and "none" or type(value) == "number" and word_of(value) or value
  local best = value and list[1] == "none" and list[2] or list[1] -- some is more than none
  for _, effort in ipairs(list) do
    if RANK[effort] and RANK[effort] <= RANK[word] and (effort ~= "none" or not value) then
      best = effort
    end
  end
  -- the most that a model has is what "max" means
  local same = best == word or word == "max" and best == list[#list]
  if not same or type(value) == "number" then self.tell("reasoning", best) end
  return best
end

---The tokens for a value.
---@return number
function M.tokens(value)
  return type(value) == "number" and value or TOKENS[value]
end

core.ours()

return M
