-- fallback.lua - models that stand in for one that cannot be asked.
--
-- A reply keeps in its environment: `models`, the bot's list as it was when the reply began,
-- `candidate`, which of them is being asked, `attempts`, what those before it answered.

local core = require "chatbot.core"

local M = {}

local worth = { dns = true, connect = true, proxy = true, timeout = true, reset = true,
  truncated = true }
local exhausted = { insufficient_quota = true, billing_hard_limit_reached = true,
  billing_not_active = true, insufficient_balance = true, insufficient_credits = true,
  enforced_spend_limit_reached = true, no_api_key = true }

---Whether another model may do better after this failure.
function M.stands_aside(err)
  local code = tonumber(err.code) or 0 -- OpenRouter tells the status in an answer
  return err.retryable or worth[err.kind] or err.status == 402 or exhausted[err.code]
    or exhausted[err.type]
    or err.kind == "api" and (code == 402 or code == 408 or code == 429 or code >= 500)
    or false
end

function M.note(attempts, err)
  attempts[#attempts + 1] = { provider = err.provider, model = err.model, kind = err.kind,
    message = err.message }
end

---Asks the next models, by relaunch(model): true when one is being asked.
---@param relaunch fun(model: string): chatbot.Reply?, chatbot.Error?
function M.next(bot, reply, err, relaunch)
  local env, renv = bot:_env(), reply:_env()
  local models = env.extra and env.extra.models
  if not models or models ~= renv.models then return false end -- the bot has been sent away
  M.note(renv.attempts, err)
  while M.stands_aside(err) and models[renv.candidate + 1] do
    renv.candidate = renv.candidate + 1
    renv.learned = nil
    local ok, problem = relaunch(models[renv.candidate])
    if ok then return true end
    err = problem
    M.note(renv.attempts, err)
  end
  return false
end

core.ours()

return M
