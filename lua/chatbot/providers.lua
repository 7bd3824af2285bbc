-- providers.lua - where the chat services are and how they differ. Data only:
-- each row is what chatbot.register(name, {...}) takes, in the order in which a
-- model's name is matched.
--
-- Fields of a row (all optional but name):
--   base_url         without the trailing /chat/completions
--   base_url_env     environment variable that replaces base_url
--   base_url_suffix  is added to the value of that variable
--   api_version_env  Azure: when set, the deployment's URL with ?api-version=
--   api_key_env      variables that may hold the key, first one first
--   api_key_optional true: a request without a key is sent
--   auth_header      header for the key instead of "Authorization: Bearer"
--   match            the model's name contains one of these
--   match_prefix     the model's name starts with one of these
--   headers          further headers, name -> value; header_env: name -> variable
--   stream_options   false: the service does not take this field
--   loading_wait     true: 503 means that a model is being loaded; wait for it
--   json_object      false: response_format is not taken as { type = "json_object" }
--   json_schema      false: nor as { type = "json_schema", ... }
--   reasoning_back   true: the reasoning of a turn with tool calls is sent back
--   reasoning_details true: so are the reasoning_details of an answer, as they came
--   short_ids        true: the ids of calls must be nine letters and digits
--   think_tags       true: thoughts may stand in <think> tags before an answer
--   extra_content    true: as is what a tool call has beside the function
--   api              the dialect that is spoken at the provider's own address, "chat",
--                    "responses" or "messages"; default "chat"
--   responses_url    the base URL of that dialect where it has another one
--   messages_url     as above
--   reasoning        how the option of that name is sent in chat completions: "effort" (as
--                    reasoning_effort, the default), "object" (OpenRouter's reasoning),
--                    "switch" (thinking, on or off), "flag" (enable_thinking and
--                    thinking_budget), "template" (chat_template_kwargs), "budget" (as
--                    effort, a number as Gemini's thinking_budget), "none" (it cannot be)
--   efforts          of these, from the least to the most: none, minimal, low, medium,
--                    high, xhigh, max
--   search           where there is a hosted search of the web: "responses" and "messages"
--                    (a tool of that dialect), "plugins" (OpenRouter's), "always"
--   lacks            what chat completions do not take there: "image", "file", "audio"
--   rename           body field -> the name that this service has for it
--   models           rules for some models, see below
--
-- Fields of a rule. It is for the models for which all of the first three hold that
-- are given, one at least:
--   prefix           the name starts with one of these
--   match            the name contains one of these
--   since            word -> version: the name has the word, and behind it this version
--                    or a later one ({ claude = "4.7" }: "claude-opus-4-8", "claude-5")
--   own              true: only where the server is known to be the provider's, not at
--                    a base_url without `provider`
--   rename, api, reasoning, efforts   as above
--   thinking         how Messages is told of it: "budget" (of tokens), "adaptive" (with an
--                    effort) or "none" (the model does not think)
--   omit             fields with a default of ours which these models refuse
--   max_output       the most tokens of an answer; Messages wants to be told a maximum
--   fixed            true: Messages takes neither temperature, top_p nor top_k
--   schema           true: Messages takes the schema of an answer

-- What OpenAI's models that think have in common, from the newest on: what they have of
-- efforts is in the pages of each model.
local function thinks(rule)
  rule.rename, rule.omit = { max_tokens = "max_completion_tokens" }, { "temperature" }
  rule.api, rule.reasoning = "responses", "effort"
  return rule
end

local openai_models = {
  { match = { "-chat" }, since = { gpt = "5" }, api = "responses", reasoning = "none" },
  thinks { match = { "gpt-5" }, since = { gpt = "5.2" },
    efforts = { "none", "low", "medium", "high", "xhigh" } },
  thinks { match = { "gpt-5.1-codex-max" }, efforts = { "low", "medium", "high", "xhigh" } },
  thinks { match = { "gpt-5.1-codex", "gpt-5-codex" }, efforts = { "low", "medium", "high" } },
  thinks { since = { gpt = "5.1" }, efforts = { "none", "low", "medium", "high" } },
  thinks { match = { "gpt-5-pro" }, efforts = { "high" } },
  thinks { since = { gpt = "5" }, efforts = { "minimal", "low", "medium", "high" } },
  thinks { prefix = { "o1", "o3", "o4", "o5", "o6", "o7", "o8", "o9", "codex-" },
    efforts = { "low", "medium", "high" } },
  { prefix = { "gpt-4", "gpt-3", "chatgpt" }, reasoning = "none" },
  { match = { "" }, own = true, reasoning = "none" },
}

-- What Messages wants to know of Claude; see "Models" and "Extended thinking" in its manual.
local claude_models = {
  { match = { "opus" }, since = { claude = "4.7" }, max_output = 128000, thinking = "adaptive",
    schema = true, fixed = true },
  { since = { claude = "5" }, max_output = 128000, thinking = "adaptive", schema = true,
    fixed = true },
  { match = { "haiku" }, since = { claude = "4.5" }, max_output = 64000, thinking = "budget",
    schema = true },
  { since = { claude = "4.6" }, max_output = 128000, thinking = "adaptive", schema = true },
  { since = { claude = "4.5" }, max_output = 64000, thinking = "budget", schema = true },
  { match = { "opus" }, since = { claude = "4.1" }, max_output = 32000, thinking = "budget",
    schema = true },
  { match = { "opus" }, since = { claude = "4" }, max_output = 32000, thinking = "budget" },
  { since = { claude = "3.7" }, max_output = 64000, thinking = "budget" },
  { since = { claude = "3.5" }, max_output = 8192, thinking = "none" },
  { since = { claude = "3" }, max_output = 4096, thinking = "none" },
}

-- From these versions on Claude refuses the temperature, also where a gateway asks it.
-- What stands behind an unknown address may well take it; it is learned there.
local claude = {
  { match = { "opus" }, since = { claude = "4.7" }, own = true, omit = { "temperature" } },
  { since = { claude = "5" }, own = true, omit = { "temperature" } },
}

local providers = {
  {
    name = "gemini",
    match = { "gemini" },
    base_url = "https://generativelanguage.googleapis.com/v1beta/openai",
    api_key_env = { "GOOGLE_API_KEY", "GEMINI_API_KEY" },
    extra_content = true,
    reasoning = "budget",
    efforts = { "none", "minimal", "low", "medium", "high" },
    models = {
      { match = { "pro" }, efforts = { "low", "medium", "high" } },
      { since = { gemini = "3" }, reasoning = "effort",
        efforts = { "minimal", "low", "medium", "high" } },
    },
  },
  {
    name = "xai",
    match = { "grok" },
    base_url = "https://api.x.ai/v1",
    api_key_env = { "XAI_API_KEY" },
    reasoning_back = true,
    search = "responses",
    models = { { match = { "grok-3-mini" }, efforts = { "low", "high" } } },
  },
  {
    name = "plamo",
    match = { "plamo" },
    base_url = "https://api.platform.preferredai.jp/v1",
    api_key_env = { "PLAMO_API_KEY" },
    reasoning = "none",
  },
  {
    name = "lmstudio",
    match = { "lmstudio" },
    base_url = "http://localhost:1234/v1",
    loading_wait = true,
    json_object = false,
  },
  {
    name = "anthropic",
    match = { "claude" },
    base_url = "https://api.anthropic.com/v1",
    api_key_env = { "ANTHROPIC_API_KEY" },
    api = "messages",
    search = "messages",
    reasoning = "none", -- in chat completions, where response_format is ignored, too
    json_object = false,
    json_schema = false,
  },
  {
    name = "mistral",
    match_prefix = { "mistral", "codestral", "ministral", "magistral" },
    base_url = "https://api.mistral.ai/v1",
    api_key_env = { "MISTRAL_API_KEY" },
    stream_options = false,
    rename = { max_completion_tokens = "max_tokens", seed = "random_seed" },
    short_ids = true,
    efforts = { "none", "high" },
  },
  {
    name = "deepseek",
    match_prefix = { "deepseek" },
    base_url = "https://api.deepseek.com",
    api_key_env = { "DEEPSEEK_API_KEY" },
    messages_url = "https://api.deepseek.com/anthropic/v1",
    reasoning = "switch",
    rename = { max_completion_tokens = "max_tokens" },
    json_schema = false,
    reasoning_back = true,
  },
  {
    name = "moonshot",
    match_prefix = { "kimi" },
    base_url = "https://api.moonshot.ai/v1",
    api_key_env = { "MOONSHOT_API_KEY" },
    messages_url = "https://api.moonshot.ai/anthropic/v1",
    reasoning = "switch",
    rename = { max_completion_tokens = "max_tokens" },
    json_schema = false,
    reasoning_back = true,
  },
  {
    name = "perplexity",
    match_prefix = { "sonar" },
    base_url = "https://api.perplexity.ai",
    api_key_env = { "PERPLEXITY_API_KEY" },
    stream_options = false,
    json_object = false,
    rename = { max_completion_tokens = "max_tokens" },
    think_tags = true,
    search = "always",
    efforts = { "minimal", "low", "medium", "high" },
  },
  {
    name = "openai",
    base_url = "https://api.openai.com/v1",
    base_url_env = "OPENAI_BASE_URL",
    api_key_env = { "OPENAI_API_KEY" },
    header_env = {
      ["OpenAI-Organization"] = "OPENAI_ORG_ID",
      ["OpenAI-Project"] = "OPENAI_PROJECT_ID",
    },
    search = "responses",
    models = openai_models,
  },

  -- From here on by prefix only: "groq:llama-3.3-70b-versatile".
  {
    name = "groq",
    base_url = "https://api.groq.com/openai/v1",
    api_key_env = { "GROQ_API_KEY" },
  },
  {
    name = "openrouter",
    base_url = "https://openrouter.ai/api/v1",
    api_key_env = { "OPENROUTER_API_KEY" },
    reasoning_details = true,
    auth_header = "Authorization",
    reasoning = "object",
    efforts = { "none", "minimal", "low", "medium", "high", "xhigh" },
    search = "plugins",
  },
  {
    name = "together",
    base_url = "https://api.together.xyz/v1",
    api_key_env = { "TOGETHER_API_KEY" },
    think_tags = true,
  },
  {
    name = "fireworks",
    base_url = "https://api.fireworks.ai/inference/v1",
    api_key_env = { "FIREWORKS_API_KEY" },
    think_tags = true,
  },
  {
    name = "cerebras",
    base_url = "https://api.cerebras.ai/v1",
    api_key_env = { "CEREBRAS_API_KEY" },
  },
  {
    name = "qwen",
    base_url = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    api_key_env = { "DASHSCOPE_API_KEY" },
    reasoning = "flag",
  },
  {
    name = "zai",
    base_url = "https://api.z.ai/api/paas/v4",
    api_key_env = { "ZHIPU_API_KEY" },
    messages_url = "https://api.z.ai/api/anthropic/v1",
    reasoning = "switch",
    reasoning_back = true,
  },
  {
    name = "nvidia",
    base_url = "https://integrate.api.nvidia.com/v1",
    api_key_env = { "NVIDIA_API_KEY" },
  },
  {
    name = "github",
    base_url = "https://models.github.ai/inference",
    api_key_env = { "GITHUB_TOKEN" },
  },
  {
    name = "huggingface",
    base_url = "https://router.huggingface.co/v1",
    api_key_env = { "HF_TOKEN" },
  },
  {
    name = "azure",
    base_url_env = "AZURE_OPENAI_ENDPOINT",
    base_url_suffix = "/openai/v1",
    api_version_env = "OPENAI_API_VERSION",
    api_key_env = { "AZURE_OPENAI_API_KEY" },
    auth_header = "api-key",
    models = openai_models,
  },
  {
    name = "ollama",
    base_url = "http://localhost:11434/v1",
    loading_wait = true,
    reasoning_back = true,
  },
  {
    name = "llamaserver",
    base_url = "http://localhost:8080/v1",
    api_key_env = { "LLAMA_API_KEY" },
    api_key_optional = true,
    loading_wait = true,
    reasoning_back = true,
    reasoning = "template",
  },
  {
    name = "vllm",
    base_url = "http://localhost:8000/v1",
    api_key_env = { "VLLM_API_KEY" },
    api_key_optional = true,
  },
}

-- Rules for models that any provider may have, behind its own.
providers.models = {}
for _, rules in ipairs { claude, claude_models } do
  for _, rule in ipairs(rules) do providers.models[#providers.models + 1] = rule end
end

return providers
