-- The bodies that are sent, of many conversations to services that want them differently:
-- each is compared with what was sent before, in spec/fixtures/bodies.txt. Where something
-- else is to be sent, RECORD=1 with this spec writes the file anew.
--
-- The order of names in an object is that of a hash table, so they are sorted; all other
-- bytes stay as they are.

local support = require "spec.support"

local FILE = "spec/fixtures/bodies.txt"

-- model; what it is asked at stands in chatbot/providers.lua
local MODELS = { "gpt-4.1", "gpt-5-mini", "gemini-2.5-flash", "grok-4", "mistral-large-latest",
  "deepseek-chat", "sonar-pro", "claude-sonnet-4-5", "claude-opus-4-8", "lmstudio",
  "openrouter:openai/gpt-oss-20b", "azure:my-deployment", "ollama:llama3.2" }

-- Sends all conversations to all models, each with a key, at one server.
local PROGRAM = [==[
local chatbot = require "chatbot"

local function call(id, arguments, more)
  local out = { id = id, type = "function",
    ["function"] = { name = "look up", arguments = arguments } }
  for name, value in pairs(more or {}) do out[name] = value end
  return out
end
local function user(text) return { role = "user", content = text } end
local function says(text, more)
  local out = { role = "assistant", content = text }
  for name, value in pairs(more or {}) do out[name] = value end
  return out
end
local function result(id, content)
  return { role = "tool", tool_call_id = id, content = content }
end

local SCHEMA = { type = "object", properties = { n = { type = "integer" } }, required = {},
  additionalProperties = false }
local TOOLS = { { name = "look", description = "Looks.", parameters = { type = "object",
  properties = { at = { type = "string", enum = {} } }, required = { "at" } } },
  { name = "rest", strict = true }, { type = "web_search", filters = { "a" } },
  { type = "function", ["function"] = { name = "own" }, cache = "x" } }

local LONG, LONGER = ("long "):rep(400), ("longer "):rep(50000)

-- name; options of the bot; of the call; the prompt ("on" when there is none, false: nil)
local CASES = {
  { "plain" },
  { "system", { system = "Be brief." } },
  { "developer", { messages = { { role = "developer", content = "Be." }, user "a", says "b" } } },
  { "turns", { system = "S", messages = { user "a", says "b", user "c", says "d" } } },
  { "unanswered", { messages = { user "a", says "b", user "replaced" } } },
  { "goes on", { messages = { user "a", says "b", user "c" } }, nil, false },
  { "no stream", { stream = false } },
  { "no stream for once", nil, { stream = false } },
  { "no temperature", { temperature = false } },
  { "a temperature", { temperature = 0.7 } },
  { "a temperature for once", { temperature = 0.7 }, { temperature = 1 } },
  { "no temperature for once", nil, { temperature = false } },
  { "no stream_options", nil, { stream_options = false } },
  { "other stream_options", nil, { stream_options = { include_usage = false } } },
  { "max_tokens", nil, { max_tokens = 5 } },
  { "max_completion_tokens", nil, { max_completion_tokens = 5 } },
  { "numbers", nil, { seed = 42, top_p = 0.1, n = 2, x = 1e300, y = -0.0, z = 2^53 } },
  { "logprobs", nil, { logprobs = true, top_logprobs = 3, stop = { "a", "b" } } },
  { "what we do not know", nil, { reasoning_effort = "low", extra = { a = { b = {} } },
    list = chatbot.array {} } },
  { "headers of the call", nil, { headers = { ["X-A"] = "b" }, timeout = 10 } },
  { "tools", nil, { tools = TOOLS, tool_choice = "auto" } },
  { "tools of ours", nil, { tools = { { name = "look", call = print } } } },
  { "no tools", nil, { tools = {} } },
  { "marked tools", nil, { tools = chatbot.array {} } },
  { "tool_choice", nil, { tools = { TOOLS[1] },
    tool_choice = { type = "function", ["function"] = { name = "look" } } } },
  { "schema", { system = "S" }, { schema = SCHEMA } },
  { "open schema", { system = "S" }, { schema = { type = "object", required = {} } } },
  { "json", { system = "S" }, { json = true } },
  { "json without a system", nil, { json = true } },
  { "json beside parts", { messages = { { role = "system",
    content = { { type = "text", text = "S" } } } } }, { json = true } },
  { "response_format", nil, { schema = SCHEMA, response_format = { type = "text" } } },
  { "response_format alone", nil, { response_format = { type = "json_schema",
    json_schema = { name = "x", schema = { type = "object", required = {} } } } } },
  { "parts", nil, nil, { "look", { type = "text", text = "at" },
    { type = "image_url", image_url = { url = "https://x/y.png", detail = "low" } } } },
  { "text at its ends", nil, nil, "  a\n\"b\"\\\1\127\226\128\168 " },
  { "calls", { messages = { user "a", says(nil, { tool_calls = { call("1", '{"x": 1}'),
    call("call_0123456789abcdef", "") } }), result("1", "one"),
    result("call_0123456789abcdef", { a = 1 }), says "b" } } },
  { "calls that were cut", { messages = { user "a", says("t", { tool_calls = {
    call("1", '{"x'), call("2", '{"a\n": "b\n"}'), call("3", { x = 1 }), "none" } }) } } },
  { "calls without ids", { messages = { user "a", says(nil, { tool_calls = { call(nil, "{}"),
    call("", "null") } }), result(nil, "x"), user "b",
    says("c", { tool_calls = { call(nil, "{}") } }) } } },
  { "thoughts", { messages = { user "a", says("b", { reasoning_content = "hm",
    reasoning_details = { { type = "reasoning.text", text = "hm", signature = "s" } },
    tool_calls = { call("1", "{}", { extra_content = { google = { s = "t" } } }) },
    extra_content = { google = { u = "v" } } }), result("1", "r"), says "c" } } },
  { "thoughts of another", { messages = { user "a", says("b", { provider = "other",
    reasoning_content = "hm", reasoning_details = { { text = "hm" } },
    tool_calls = { call("1", "{}", { extra_content = { google = { s = "t" } } }) },
    extra_content = { google = { u = "v" } } }), result("1", "r"), says "c" } } },
  { "refusal", { messages = { user "a", says("", { refusal = "no" }), user "b",
    says "" , user "c", says(42) } } },
  { "gaps", { messages = { user "a", says "", user { { type = "text", text = "b" } },
    says "", user "c", says "d" } } },
  { "names", { messages = { { role = "user", name = "me", content = "a" }, says "b" } } },
  { "long", { messages = { user(LONG), says(LONG .. '"\n'), user "a",
    says(nil, { tool_calls = { call("1", '{"a":"' .. LONG .. '"}') } }), result("1", LONG) } } },
  { "longer", { messages = { user(LONGER), says "a" } } },
  { "invalid", { replace_invalid_utf8 = true, messages = { user "a\255", says "b" } } },
  { "headers of the bot", { organization = "o", project = "p", headers = { ["X-A"] = "b" } } },
}

local origin, models = ..., { select(2, ...) }
for _, model in ipairs(models) do
  local provider = chatbot.new({ model = model }):get_provider()
  local path = provider.base_url:gsub("^%a+://[^/]+", "")
  if provider.name ~= "azure" and provider.name ~= "openai" then -- they have variables
    chatbot.register(provider.name, { base_url = origin .. path })
  end
  for _, case in ipairs(CASES) do
    local opts = { model = model, api_key = "sk-0123456789", max_retries = 0, timeout = 20 }
    for name, value in pairs(case[2] or {}) do opts[name] = value end
    local bot, prompt = chatbot.new(opts), case[4]
    if prompt == nil then prompt = "on" end
    for again = 1, case[1] == "long" and 2 or 1 do -- what is known the second time
      local reply, err = bot:stream(prompt or nil, case[3])
      if reply then err = select(2, reply:result()) end
      assert(type(err) ~= "table" or err.kind == "protocol", tostring(err))
      print(model, case[1] .. (again > 1 and " again" or ""))
    end
  end
end
]==]

-- The JSON text with its names sorted, also in a schema that a text quotes, and long runs
-- of one text short.
local function sorted(text)
  local at = 1
  local function space() at = text:find("%S", at) or #text + 1 end
  local function string_token()
    local from = at
    at = at + 1
    while text:sub(at, at) ~= '"' do
      at = at + (text:sub(at, at) == "\\" and 2 or 1)
      at = text:find('["\\]', at)
    end
    at = at + 1
    local before, schema = text:sub(from, at - 1):match('^(.*JSON Schema: )(.*)"$')
    if not before then return text:sub(from, at - 1) end
    return before .. sorted(schema:gsub('\\"', '"')):gsub('"', '\\"') .. '"'
  end
  local function value()
    space()
    local c = text:sub(at, at)
    if c == '"' then return string_token() end
    if c ~= "{" and c ~= "[" then
      local token = text:match("^[^,%]}%s]+", at)
      at = at + #token
      return token
    end
    local items, close = {}, c == "{" and "}" or "]"
    at = at + 1
    space()
    while text:sub(at, at) ~= close do
      local item = value()
      space()
      if text:sub(at, at) == ":" then
        at = at + 1
        item = item .. ":" .. value()
        space()
      end
      items[#items + 1] = item
      if text:sub(at, at) == "," then at = at + 1 end
      space()
    end
    at = at + 1
    if c == "{" then table.sort(items) end
    return c .. table.concat(items, ",") .. close
  end
  local out = value()
  assert.is_nil(text:find("%S", at))
  for _, word in ipairs { "long ", "longer " } do
    for n = 50000, 400, -49600 do
      out = out:gsub((word):rep(n), ("<%sx %d>"):format(word, n))
    end
  end
  return out
end

local OURS = { ["Content-Length"] = true, Host = true, ["User-Agent"] = true }

local function headers_of(request)
  local out = {}
  for _, pair in ipairs(request.headers) do
    if not OURS[pair[1]] then out[#out + 1] = pair[1] .. ": " .. pair[2] end
  end
  table.sort(out)
  return table.concat(out, "; ")
end

describe("the bodies that are sent", function()
  teardown(function() support.close_all() end)

  it("are what they were", function()
    local server = support.serve({ support.sse { "ok" } }, { strict = false })
    local names = { server.origin }
    for _, model in ipairs(MODELS) do names[#names + 1] = model end
    local result = support.run_lua(PROGRAM, { args = names, timeout = 120, env = {
      AZURE_OPENAI_ENDPOINT = server.origin, OPENAI_BASE_URL = server.url,
      OPENAI_ORG_ID = false, OPENAI_PROJECT_ID = false, OPENAI_API_VERSION = false } })
    assert.equal(0, result.status, result.err)
    local requests, got, last = server:requests(), {}, nil
    for line in result.out:gmatch("[^\n]+") do
      local model, name = line:match("^(.-)\t(.*)$")
      local request = requests[#got + 1]
      local head = request.target .. " " .. headers_of(request)
      got[#got + 1] = ("%s, %s:%s %s"):format(model, name,
        head ~= last and " " .. head or "", sorted(request.body))
      last = head
    end
    assert.equal(#got, #requests)
    if os.getenv "RECORD" == "1" then
      support.write_file(FILE, table.concat(got, "\n") .. "\n")
    end
    local i = 0
    for line in support.read_file(FILE):gmatch("[^\n]+") do
      i = i + 1
      assert.equal(line, got[i])
    end
    assert.equal(i, #got)
    assert.is_true(i > 500)
  end)
end)
