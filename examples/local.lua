-- Models on this machine: LM Studio and llama-server, asked the same.
--
--   lua5.4 examples/local.lua ["a question"]
--
-- Neither needs a key. LM Studio answers with the model that is loaded there,
-- llama-server with its only one. Where they are on another machine, say so:
-- LMSTUDIO_BASE_URL=http://192.168.0.7:1234/v1 LLAMA_BASE_URL=http://box:8080/v1

local chatbot = require "chatbot"

local question = arg[1] or "Name one advantage of a model that runs at home. One sentence."

local places = {
  { name = "LM Studio", provider = "lmstudio", model = "lmstudio",
    base_url = os.getenv "LMSTUDIO_BASE_URL" },
  { name = "llama-server", provider = "llamaserver", model = "any",
    base_url = os.getenv "LLAMA_BASE_URL" },
}

local function ask(place)
  local bot = chatbot.new {
    model = place.model, provider = place.provider, base_url = place.base_url,
    connect_timeout = 2, max_retries = 0,
  }
  print(("\n%s, %s"):format(place.name, bot:get_provider().base_url))
  local models = bot:models()
  if models then print("models: " .. table.concat(models, ", ")) end

  local reply, err = bot:stream(question)
  if not reply then return nil, err end
  local fine, problem = pcall(function()
    for text in reply:chunks() do
      io.write(text)
      io.flush()
    end
  end)
  print()
  if not fine then return nil, problem end
  return true
end

local answered = 0
for _, place in ipairs(places) do
  local ok, err = ask(place)
  if ok then
    answered = answered + 1
  elseif err.kind == "connect" then
    print("Nobody listens there.")
  else
    print(err)
  end
end
os.exit(answered > 0 and 0 or 1)
