-- Which service and which model the terminal chat talks to: what was named, else
-- what is there. It reads the environment and the dotenv file, starts the offline
-- server where nothing else is, and must not know what is asked or shown. A key
-- leaves this file only as the return value of the option `api_key`.

local reason = require("chatbot.common.text").reason

local M = {}

-- The model that is taken when a provider is named, or its key found, and no
-- model is. A provider that is not here is never chosen by itself: a token of
-- such a service is often in the environment for other reasons.
M.default_models = {
  openai = "gpt-4.1",
  gemini = "gemini-2.5-flash",
  xai = "grok-4",
  plamo = "plamo-2.1-prime",
  anthropic = "claude-sonnet-4-5",
  mistral = "mistral-large-latest",
  deepseek = "deepseek-chat",
  moonshot = "kimi-k2",
  perplexity = "sonar",
  groq = "llama-3.3-70b-versatile",
  openrouter = "openai/gpt-4.1",
}

local LOCAL_SERVERS = {
  { port = 1234, provider = "lmstudio", title = "LM Studio" },
  { port = 8080, provider = "llamaserver", title = "llama-server" },
  { port = 11434, provider = "ollama", title = "Ollama" },
}

-- How long a local server may take to list its models when it is looked for.
local PROBE_SECONDS = 0.3

local Choice = {}
Choice.__index = Choice

---@param chatbot table the module
---@param env table<string, string> what the dotenv file says
function M.new(chatbot, env)
  return setmetatable({ chatbot = chatbot, env = env }, Choice)
end

-- A variable of the environment, else of the dotenv file. Empty is absent.
function Choice:_variable(name)
  local value = os.getenv(name)
  if value == nil or value == "" then value = self.env[name] end
  return value ~= "" and value or nil
end

-- The variable that holds this provider's key, if one does.
function Choice:_key_variable(provider)
  for _, name in ipairs(provider.api_key_env or {}) do
    if self:_variable(name) then return name end
  end
end

---A row of `providers()`, by its name.
---@param name string
---@return table|nil
function Choice:provider(name)
  for _, provider in ipairs(self.chatbot.providers()) do
    if provider.name == name then return provider end
  end
end

-- What a dotenv file says beside keys: other addresses, further headers.
function Choice:_adopt_env()
  for _, row in ipairs(require "chatbot.providers") do
    local url = row.base_url_env and self:_variable(row.base_url_env)
    if url and url ~= os.getenv(row.base_url_env) then
      url = url:gsub("/+$", "") .. (row.base_url_suffix or "")
      local ok, problem = pcall(self.chatbot.register, row.name, { base_url = url })
      if not ok then error(("%s: %s"):format(row.base_url_env, reason(problem)), 0) end
    end
    local headers = {}
    for header, variable in pairs(row.header_env or {}) do
      headers[header] = self:_variable(variable)
    end
    if next(headers) then self.chatbot.register(row.name, { headers = headers }) end
  end
end

-- The models that a server lists, asked for with the patience of a probe.
function Choice:_probe(base_url)
  local bot = self.chatbot.new {
    model = "probe", base_url = base_url, max_retries = 0,
    connect_timeout = PROBE_SECONDS, timeout = PROBE_SECONDS,
  }
  local list = bot:models()
  return list and #list > 0 and list or nil
end

local function local_servers()
  local ports = os.getenv("CHATBOT_LOCAL_PORTS")
  if not ports then return LOCAL_SERVERS end
  local servers = {}
  for port in ports:gmatch("%d+") do
    local server = { port = tonumber(port), title = "the local server" }
    for _, known in ipairs(LOCAL_SERVERS) do
      if known.port == server.port then server = known end
    end
    servers[#servers + 1] = server
  end
  return servers
end

function Choice:_start_offline(why)
  local server, problem = require("chatbot.offline").start()
  if not server then return nil, problem end
  self.offline = server
  -- As a provider of its own, so that naming another model leaves it, and
  -- naming this one comes back.
  self.chatbot.register("offline", { base_url = server.base_url, match = { server.model } })
  return {
    model = server.model,
    notice = why .. "the bundled offline server answers (ELIZA, no language model)",
  }
end

-- Where a model was looked for.
function Choice:_nothing_found()
  local variables, ports = {}, {}
  for _, known in ipairs(self.chatbot.providers()) do
    if M.default_models[known.name] then
      variables[#variables + 1] = (known.api_key_env or {})[1]
    end
  end
  for _, server in ipairs(local_servers()) do ports[#ports + 1] = server.port end
  local servers = #ports > 0 and " and no local server on port " .. table.concat(ports, ", ") or ""
  return ("no key in the environment (%s)%s: set a key, name a server with --base-url, or take "
    .. "the bundled one, which is no model, with --offline"):format(
    table.concat(variables, ", "), servers)
end

---What to talk to: {model, provider, base_url, notice, fixed}, or nil and why
---not. `fixed`: the server was chosen and not the model, so a bare name of
---another model that this server lists stays with it.
---@param options table
---@return table|nil target
---@return any problem
function Choice:choose(options)
  if next(self.env) then self:_adopt_env() end
  if options.offline then return self:_start_offline("--offline: ") end

  local target = { provider = options.provider, base_url = options.base_url }
  if options.model then
    target.model = options.model
    return target
  end
  local provider = options.provider and self:provider(options.provider)
  if options.provider and not provider then
    return nil, ("unknown provider %q"):format(options.provider)
  end
  if provider and not options.base_url and M.default_models[provider.name] then
    target.model = M.default_models[provider.name]
    target.notice = ("%s of %s"):format(target.model, provider.name)
    return target
  end
  if provider or options.base_url then
    target.model, target.fixed = "default", true
    local list, err = self:open(options, target):models()
    if not list or not list[1] then
      local why = err and tostring(err) or "the server lists none"
      return nil, "name a model with -m: " .. why
    end
    target.model = list[1]
    target.notice = ("%s, the first model that the server lists"):format(list[1])
    return target
  end

  for _, known in ipairs(self.chatbot.providers()) do
    local variable, model = self:_key_variable(known), M.default_models[known.name]
    if variable and model then
      return { model = known.name .. ":" .. model,
        notice = ("%s of %s, because %s is set"):format(model, known.name, variable) }
    end
  end
  for _, server in ipairs(local_servers()) do
    local base_url = ("http://127.0.0.1:%d/v1"):format(server.port)
    local list = self:_probe(base_url)
    if list then
      local name = server.provider or "server"
      self.chatbot.register(name, { base_url = base_url })
      return { model = list[1], provider = name, fixed = true,
        notice = ("no key in the environment: %s of %s on port %d"):format(
          list[1], server.title, server.port) }
    end
  end
  if not options.fallback then return nil, self:_nothing_found() end
  return self:_start_offline("no key in the environment, no local server: ")
end

-- A function that finds the key of a provider, in the environment or in the
-- dotenv file. As the module itself does, it gives no key to a URL that the user
-- gave (where the bot stays, whatever the model is called), but that of the provider
-- the user named with it.
function Choice:_key_finder(target)
  return function(name)
    if target.base_url and name ~= target.provider then return nil end
    local provider = self:provider(name)
    local variable = provider and self:_key_variable(provider)
    return variable and self:_variable(variable)
  end
end

---The bot for a target.
---@param options table
---@param target table
function Choice:open(options, target)
  local settings = {
    model = target.model,
    provider = target.provider,
    base_url = target.base_url,
    api = options.api,
    system = options.system,
    temperature = options.temperature,
    reasoning = options.reasoning,
    search = options.search,
    stream = not options.no_stream,
    max_context_tokens = options.max_context_tokens,
  }
  if next(self.env) then settings.api_key = self:_key_finder(target) end
  self.bot = self.chatbot.new(settings)
  return self.bot
end

---Ends the offline server, if one was started.
function Choice:close()
  if self.offline then self.offline.stop() end
  self.offline = nil
end

return M
