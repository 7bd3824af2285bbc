-- How sure is the model? Each token of an answer, its probability, and what it
-- would have said instead.
--
--   lua5.4 examples/logprobs.lua                                  OpenAI
--   lua5.4 examples/logprobs.lua llamaserver:any "Yes or no?" 3   any model, prompt, count
--
-- A server tells the natural logarithm of a probability, so exp() gives it back.
-- Not all of them do: LM Studio ignores the wish, and others refuse it, which
-- `reply.adjusted` then says.

local chatbot = require "chatbot"

local model = arg[1] or "gpt-4.1"
local prompt = arg[2] or "Is a tomato a fruit? Answer in one word."
local count = tonumber(arg[3]) or 5

local bot = chatbot.new { model = model }
local answer, reply = bot:chat(prompt, { logprobs = true, top_logprobs = count, max_tokens = 50 })
if not answer then
  io.stderr:write("logprobs.lua: ", tostring(reply), "\n")
  os.exit(1)
end

local function show(entry)
  return ("%-12s %.5f"):format(("%q"):format(entry.token), math.exp(entry.logprob))
end

print(answer .. "\n")
local tokens = reply.logprobs and reply.logprobs.content or {}
for _, entry in ipairs(tokens) do
  print(show(entry))
  for _, other in ipairs(entry.top_logprobs or {}) do
    if other.token ~= entry.token then print("    " .. show(other)) end
  end
end
if not tokens[1] then print("The server has sent no probabilities.") end
for name, what in pairs(reply.adjusted or {}) do print(("(%s: %s)"):format(name, what)) end
