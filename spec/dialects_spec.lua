-- One conversation from service to service, each with its own dialect: what is one's own goes
-- back to it in order, and to nobody else. The servers are as strict as the real services,
-- and take back only what they have issued, see spec/support/strict.

local answers = require "spec.support.answers"
local bots = require "spec.support.bots"
local chatbot = require "chatbot"
local support = require "spec.support"

local collect = bots.collect

local TOOLS = { { name = "look", description = "Look somewhere",
  parameters = { type = "object", properties = { at = { type = "string" } }, required = { "at" } },
  call = function(arguments)
    return ({ door = "a cat", window = "a dog", garden = "a cow", roof = "a stork" })[arguments.at]
  end } }

local function looks(id, at, more)
  local part = { call = id, name = "look", arguments = ('{"at":"%s"}'):format(at) }
  for name, value in pairs(more or {}) do part[name] = value end
  return part
end

-- What each service says, and what of that is nobody else's business.
local function services()
  local responses, messages, chat = answers.responses, answers.messages, answers.chat
  local list = {
    openai = { strict = "openai", key = "key-of-openai",
      private = { "ENC-A", "ENC-B", "rs_a", "rs_b", "fc_a", "msg_b", "Somebody rings." },
      scripts = {
        responses.answer({ { reasoning = "Somebody rings.", id = "rs_a", secret = "ENC-A" },
          looks("call_a", "door", { id = "fc_a" }) }, { id = "resp_a" }),
        responses.answer({ { reasoning = "", id = "rs_b", secret = "ENC-B" },
          { text = { "A ", "cat." }, id = "msg_b", citations = { { type = "url_citation",
            url = "https://cats.example/", title = "Cats", start_index = 0, end_index = 6 } } },
        }, { id = "resp_b" }),
        chat.answer { "Fine", "." },
        responses.answer({ { text = { "Good night." }, id = "msg_c" } }, { id = "resp_c" }),
      } },
    claude = { strict = "anthropic", key = "key-of-claude",
      private = { "SIG-A", "SIG-B", "RED-A", "Outside, perhaps.", "Woof, then.", "EI-A" },
      scripts = {
        messages.answer({ { reasoning = "Outside, perhaps.", secret = "SIG-A" },
          { redacted = "RED-A" }, "I look.", looks("toolu_a", "window") }, { id = "msg_01" }),
        messages.answer({ { reasoning = "Woof, then.", secret = "SIG-B" },
          { text = { "A dog." }, citations = { { type = "web_search_result_location",
            url = "https://dogs.example/", title = "Dogs", cited_text = "A dog is a dog.",
            encrypted_index = "EI-A" } } } }, { id = "msg_02" }),
        messages.answer({ "Sleep well." }, { id = "msg_03" }),
      } },
    gemini = { strict = "gemini", key = "key-of-gemini", private = { "TS-A" },
      scripts = {
        chat.answer { looks("function-call-1234567890", "garden",
          { more = { extra_content = { google = { thought_signature = "TS-A" } } } }) },
        chat.answer { "The cow." },
      } },
    llamaserver = { strict = "llamaserver", private = { "What about storks?" },
      scripts = {
        chat.answer { { reasoning = "What about storks?" },
          looks("yMeFQWLC1pHPm1Y8DjXPxWTpbdtu3pvE", "roof") },
        chat.answer { "A stork." },
      } },
  }
  for _, service in pairs(list) do
    service.server = support.serve(service.scripts, { strict = service.strict })
  end
  return list
end

-- What was sent, in short and in every dialect: who says what, calls and results.
local function short(body)
  local out = {}
  local function add(what, text)
    if text and text ~= "" then out[#out + 1] = what .. " " .. text end
  end
  local function add_content(who, content)
    if type(content) == "string" then return add(who, content) end
    for _, part in ipairs(type(content) == "table" and content or {}) do
      if part.type == "thinking" then
        add("thinks", part.signature)
      elseif part.type == "redacted_thinking" then
        add("thinks", part.data)
      elseif part.type == "tool_use" then
        add("calls", part.input.at)
      elseif part.type == "tool_result" then
        add_content("gets", part.content)
      else
        add(who, part.text)
      end
    end
  end
  for _, item in ipairs(body.messages or body.input) do
    if item.type == "reasoning" then
      add("thinks", (item.encrypted_content:gsub("-again$", "")))
    elseif item.type == "function_call" then
      add("calls", item.arguments:match('"at": ?"(%a+)"'))
    elseif item.type == "function_call_output" then
      add("gets", item.output)
    elseif item.role == "tool" then
      add_content("gets", item.content)
    elseif item.role ~= "system" and item.role ~= "developer" then
      add_content(item.role == "user" and "user" or "bot", item.content)
      for _, call in ipairs(item.tool_calls or {}) do
        add("calls", call["function"].arguments:match('"at": ?"(%a+)"'))
      end
    end
  end
  return table.concat(out, "\n")
end

-- The conversation, saved, loaded, and with the next model.
local function moved(bot, service, model, api)
  local dir = support.tmpdir()
  assert(chatbot.save(bot, dir .. "/talk.json"))
  local loaded = assert(chatbot.load(dir .. "/talk.json", { base_url = service.server.url,
    api_key = service.key, api = api, model = model, tools = TOOLS, max_retries = 0,
    reasoning = "low" }))
  support.remove_all()
  return loaded
end

local TALK = { -- service, model, dialect, prompt, answer
  { "openai", "gpt-5", "responses", "Who rings?", "A cat." },
  { "claude", "claude-sonnet-4-5", "messages", "Who barks?", "A dog." },
  { "gemini", "gemini-2.5-pro", "chat", "Who moos?", "The cow." },
  { "llamaserver", "qwen3", "chat", "Who claps?", "A stork." },
  { "openai", "gpt-4.1", "chat", "All here?", "Fine." },
  { "openai", "gpt-5", "responses", "Good night!", "Good night." },
  { "claude", "claude-sonnet-4-5", "messages", "To you, too.", "Sleep well." },
}

-- What each service was sent at its turns, less what it has thought itself.
local SAID = {
  "user Who rings?", "calls door\ngets a cat\nbot A cat.",
  "user Who barks?", "bot I look.\ncalls window\ngets a dog\nbot A dog.",
  "user Who moos?", "calls garden\ngets a cow\nbot The cow.",
  "user Who claps?", "calls roof\ngets a stork\nbot A stork.",
  "user All here?", "bot Fine.", "user Good night!", "bot Good night.", "user To you, too.",
}

local function said_before(turn)
  return table.concat(SAID, "\n", 1, 2 * turn - 1)
end

describe("a conversation through all dialects", function()
  after_each(collect)

  local function talk(turns)
    local all, bot = services(), nil
    for i = 1, turns do
      local service, row = all[TALK[i][1]], TALK[i]
      if bot then
        bot = moved(bot, service, row[2], row[3])
      else
        bot = bots.at(service.server, { model = row[2], api = row[3], api_key = service.key,
          tools = TOOLS, reasoning = "low", system = "Be brief." })
      end
      local answer, reply = bot:chat(row[4])
      assert.equal(row[5], answer, tostring(reply))
      assert.equal(row[3], reply.api)
      assert.equal("complete", reply.status)
    end
    return all, bot
  end

  it("is taken by each service as it goes", function()
    local all = talk(6)
    for _, service in pairs(all) do assert.same({}, service.server:refused()) end
  end)

  it("tells each service what was said, and its own thoughts in their places", function()
    local all = talk(7)
    local function sent(name, number) return short(all[name].server:requests()[number].json) end
    assert.equal(said_before(1), sent("openai", 1))
    assert.equal("user Who rings?\nthinks ENC-A\ncalls door\ngets a cat", sent("openai", 2))
    assert.equal(said_before(2), sent("claude", 1))
    assert.equal(said_before(2) .. "\nthinks SIG-A\nthinks RED-A\nbot I look.\ncalls window\n"
      .. "gets a dog", sent("claude", 2))
    assert.equal(said_before(3), sent("gemini", 1))
    assert.equal(said_before(3) .. "\ncalls garden\ngets a cow", sent("gemini", 2))
    assert.equal(said_before(4), sent("llamaserver", 1))
    assert.equal(said_before(4) .. "\ncalls roof\ngets a stork", sent("llamaserver", 2))
    assert.equal(said_before(5), sent("openai", 3))
    local own = said_before(6):gsub("calls door", "thinks ENC-A\n%0")
      :gsub("bot A cat", "thinks ENC-B\n%0")
    assert.equal(own, sent("openai", 4))
    -- thinking of turns that are over may go or stay, as a whole
    local last = sent("claude", 3):gsub("thinks [^\n]*\n", "")
    assert.equal(said_before(7), last)
  end)

  it("tells nobody what is another's", function()
    local all = talk(7)
    for name, service in pairs(all) do
      for i, request in ipairs(service.server:requests()) do
        for owner, other in pairs(all) do
          if owner ~= name then
            for _, text in ipairs(other.private) do
              assert.is_nil(request.body:find(text, 1, true),
                ("%s of %s in request %d of %s"):format(text, owner, i, name))
            end
            for _, header in ipairs(request.headers) do
              assert.is_nil(other.key and header[2]:find(other.key, 1, true))
            end
          end
        end
      end
    end
    -- chat completions of the same service are not the place for items, either
    local body = all.openai.server:requests()[3].body
    for _, text in ipairs(all.openai.private) do assert.is_nil(body:find(text, 1, true), text) end
  end)

  it("asks for thoughts where there are some", function()
    local all = talk(6)
    local function sent(name, number) return all[name].server:requests()[number].json end
    for _, number in ipairs { 1, 2, 4 } do
      assert.equal("low", sent("openai", number).reasoning.effort)
      assert.same({ "reasoning.encrypted_content" }, sent("openai", number).include)
    end
    assert.is_nil(sent("openai", 3).reasoning_effort)
    assert.equal("enabled", sent("claude", 1).thinking.type)
    assert.equal("low", sent("gemini", 1).reasoning_effort)
  end)

  it("keeps for whom each thought is", function()
    local _, bot = talk(6)
    local list, natives = bot:get_messages(), {}
    for _, message in ipairs(list) do
      local native = message.native
      if native then natives[#natives + 1] = native.dialect .. " " .. native.model end
    end
    assert.same({ "responses gpt-5", "responses gpt-5", "messages claude-sonnet-4-5",
      "messages claude-sonnet-4-5" }, natives) -- what is text alone needs none
    assert.equal("Good night.", list[#list].content)
  end)
end)


-- What is sent -------------------------------------------------------------------------------

local DIALECTS = {
  responses = { form = answers.responses, service = "openai", model = "gpt-5" },
  messages = { form = answers.messages, service = "anthropic", model = "claude-sonnet-4-5" },
}

-- A bot of this dialect, and its server, which answers so.
local function bot_of(api, scripts, opts)
  local dialect = DIALECTS[api]
  local server = support.serve(scripts or { dialect.form.answer { "ok" } },
    { strict = dialect.service })
  local all = { model = dialect.model, api = api, api_key = "key" }
  for name, value in pairs(opts or {}) do all[name] = value end
  return bots.at(server, all), server
end

local function call(id, arguments, name)
  return { id = id, type = "function",
    ["function"] = { name = name or "look", arguments = arguments or "{}" } }
end

local function says(text) return { role = "assistant", content = text } end
local function user(text) return { role = "user", content = text } end
local function result(id, text) return { role = "tool", tool_call_id = id, content = text } end
local function calls(...) return { role = "assistant", tool_calls = { ... } } end

local PNG = "data:image/png;base64,iVBORw0KGgo="

-- Conversations that a program may have, and what of them must be said.
local ODD = {
  { "a prompt", {}, {} },
  { "a call without a result", { user "a", calls(call "1") }, { "a", "was not run" } },
  { "a call that was cut", { user "a", calls(call("1", '{"x": "ind')) }, { "was cut" } },
  { "results in another order, and behind others", { user "a", calls(call "1", call "2"),
    result("2", "two"), user "b", result("1", "one"), says "c" }, { "one", "two", "b", "c" } },
  { "two results of a call", { user "a", calls(call "1"), result("1", "one"),
    result("1", "another"), says "b" }, { "one", "b" } },
  { "a result without a call", { user "a", result("9", "nine"), says "b" }, { "a", "b" } },
  { "results alone", { result("9", "nine") }, {} },
  { "what is no call", { user "a", calls(call("1", "nonsense"), { id = "3" }), result("1", "one") },
    { "one" } },
  { "text beside calls", { user "a", { role = "assistant", content = "hm",
    tool_calls = { call("1", '{"x":1}') } }, result("1", "") }, { "hm" } },
  { "arguments that are no object", { user "a", calls(call("1", ""), call("2", "null"),
    call("3", "[1]"), call("4", { x = 1 })), result("1", "one") }, { "one" } },
  { "ids that a service refuses", { user "a", calls(call "functions.look:0",
    call(("long"):rep(20)), call ""), result("functions.look:0", "one"),
    result(("long"):rep(20), "two"), result("", "three") }, { "one", "two", "three" } },
  { "an id twice", { user "a", calls(call "1"), result("1", "one"), user "b", calls(call "1"),
    result("1", "two") }, { "one", "two" } },
  { "names that are none", { user "a", calls(call("1", "{}", "files.read file"),
    call("2", "{}", ""), call("3", "{}", ("x"):rep(70))), result("1", "one") }, { "one" } },
  { "an answer without text", { user "a", says "", user "b", says " \n" }, { "a", "b" } },
  { "prompts one behind the other", { user "a", user "b", says "c" }, { "a", "b" } },
  { "answers one behind the other", { user "a", says "b", says "c" }, { "b", "c" } },
  { "an answer at the head", { says "welcome", user "a", says "b" }, { "welcome", "a", "b" } },
  { "system messages", { { role = "system", content = "s1" }, user "a", says "b",
    { role = "system", content = "s2" } }, { "s1", "a", "b", "s2" } },
  { "an empty system message", { { role = "system", content = "" }, user "a", says "b" }, { "a" } },
  { "system messages alone", { { role = "system", content = "s1" } }, { "s1" } },
  { "an answer that ends in blanks", { user "a", says "b  \n" }, { "b" } },
  { "an answer in parts", { user "a", { role = "assistant", content = {
    { type = "text", text = "b" }, { type = "text", text = "" } } } }, { "b" } },
  { "a refusal", { user "a", { role = "assistant", content = "", refusal = "never" } }, { "a" } },
  { "an image", { { role = "user", content = { { type = "text", text = "a" },
    { type = "image_url", image_url = { url = PNG } } } }, says "b" }, { "a", "iVBORw0KGgo=" } },
  { "an image by its address", { { role = "user", content = { { type = "image_url",
    image_url = { url = "https://example.org/a.png" } } } }, says "b" },
    { "https://example.org/a.png" } },
  { "a result in parts", { user "a", calls(call "1"), result("1", { { type = "text",
    text = "one" } }) }, { "one" } },
  { "fields of ours and of others", { { role = "user", content = "a", name = "n" },
    { role = "assistant", content = "b", refusal = "r", reasoning = "private",
      reasoning_content = "private", extra_content = { google = 1 }, provider = "deepseek",
      native = { dialect = "other", items = { '{"private":1}' } } } }, { "a", "b" },
    { "private", "google" } },
}

-- All texts of a body, wherever they stand.
local function contains(body, text)
  return body:gsub("\\/", "/"):find(text, 1, true) ~= nil
end

for api, dialect in pairs(DIALECTS) do
  describe("what is sent in " .. api, function()
    after_each(collect)

    for _, case in ipairs(ODD) do
      it("is taken: " .. case[1], function()
        local bot, server = bot_of(api, nil, { messages = case[2] })
        local answer, err = bot:chat("on")
        assert.same({}, server:refused())
        assert.equal("ok", answer, tostring(err))
        local body = server:requests()[1].body
        for _, text in ipairs(case[3]) do assert.is_true(contains(body, text), body) end
        for _, text in ipairs(case[4] or {}) do assert.is_false(contains(body, text), body) end
        assert.is_true(contains(body, "on"))
      end)
    end

    it("is the same for the same conversation", function()
      for _, case in ipairs(ODD) do
        local bodies = {}
        for i = 1, 2 do
          local bot, server = bot_of(api, nil, { messages = case[2], tools = TOOLS })
          bot:chat("on")
          bodies[i] = server:requests()[1].body
        end
        assert.equal(bodies[1], bodies[2], case[1])
      end
    end)

    it("has several results, and what the tools say", function()
      local bot, server = bot_of(api, { dialect.form.answer { looks("call_1", "door"),
        looks("call_2", "window") }, dialect.form.answer { "Both." } }, { tools = TOOLS })
      assert.equal("Both.", (bot:chat("Look.")))
      assert.equal("user Look.\ncalls door\ncalls window\ngets a cat\ngets a dog",
        short(server:requests()[2].json))
    end)

    it("asks for JSON as the service has it", function()
      local bot = bot_of(api, { dialect.form.answer { '{"name":"Ann","age":4}' } })
      local value, err = bot:chat("Who?", { schema = { type = "object", properties = {
        name = { type = "string", minLength = 1 }, age = { type = "integer", minimum = 0 } },
        required = { "name" } } })
      assert.truthy(value, tostring(err))
    end)

    it("leaves out what the dialect lacks, and says so", function()
      local bot = bot_of(api)
      local answer, reply = bot:chat("on", { seed = 1, n = 1, presence_penalty = 0.5 })
      assert.equal("ok", answer, tostring(reply))
      assert.truthy(reply.adjusted)
      bot:reset()
      local no, err = bot:chat("on", { seed = 1, strict = true })
      assert.is_nil(no)
      assert.equal("config", err.kind)
    end)
  end)
end


-- Models ------------------------------------------------------------------------------------

local MODELS = {
  responses = { "gpt-5", "gpt-5.1", "gpt-5.6", "o4-mini", "gpt-4.1", "gpt-5-chat-latest" },
  messages = { "claude-3-haiku-20240307", "claude-3-7-sonnet-20250219", "claude-sonnet-4-0",
    "claude-opus-4-1-20250805", "claude-haiku-4-5", "claude-opus-4-5", "claude-sonnet-4-6",
    "claude-opus-4-7", "claude-sonnet-5", "claude-opus-5", "claude-fable-5" },
}

-- What a program may ask of any model; `nil` stands for nothing of the kind.
local NONE = {}
local WISHES = {
  { "reasoning", { NONE, false, "minimal", "low", "max", 3000 } },
  { "schema", { NONE, { type = "object", required = { "name" }, properties = {
    name = { type = "string", minLength = 1, maxLength = 9, pattern = "^A" },
    age = { type = "integer", minimum = 0, maximum = 150 },
    list = { type = "array", minItems = 2, maxItems = 3, uniqueItems = true,
      items = { type = "object", properties = { a = { type = "number", multipleOf = 2 } } } },
  } } } },
  { "tools", { NONE, { { name = "look", parameters = { type = "object", properties = {
    at = { type = "string", minLength = 1 } } } } } } },
  { "cache", { NONE, true } },
}

-- All choices of one value for each wish.
local function each_choice(found, place, chosen)
  local wish = WISHES[place]
  if not wish then return found(chosen) end
  for _, value in ipairs(wish[2]) do
    local opts = {}
    for name, other in pairs(chosen) do opts[name] = other end
    if value ~= NONE then opts[wish[1]] = value end
    each_choice(found, place + 1, opts)
  end
end

for api, models in pairs(MODELS) do
  describe("what is asked in " .. api, function()
    after_each(collect)

    for _, model in ipairs(models) do
      it("is taken by " .. model, function()
        local _, server = bot_of(api, { DIALECTS[api].form.answer { '{"name":"Ann"}' } })
        each_choice(function(opts)
          local bot = bots.at(server, { model = model, api = api, api_key = "key", system = "s" })
          bot:chat("on", opts)
          local names = {}
          for name, value in pairs(opts) do
            names[#names + 1] = name == "reasoning" and "reasoning = " .. tostring(value) or name
          end
          assert.same({}, server:refused(), table.concat(names, ", "))
        end, 1, {})
      end)
    end
  end)
end


-- Thoughts and what happens to them ----------------------------------------------------------

-- What each service thinks before it calls.
local THINKS = {
  responses = { { reasoning = "Hm.", id = "rs_a", secret = "ENC" },
    looks("call_a", "door", { id = "fc_a" }) },
  messages = { { reasoning = "Hm.", secret = "SIG" }, looks("toolu_a", "door") },
}
local OTHER = { responses = "messages", messages = "responses" }
local MARK = { responses = "ENC", messages = "SIG" }

for api, dialect in pairs(DIALECTS) do
  describe("a thought in " .. api, function()
    after_each(collect)

    local opts = { reasoning = "low", tools = { { name = "look",
      parameters = TOOLS[1].parameters } } } -- which the program answers

    local function asked()
      local bot, server = bot_of(api, { dialect.form.answer(THINKS[api]),
        dialect.form.answer { "A cat." }, dialect.form.answer { "Done." } }, opts)
      local _, reply = bot:chat("Who rings?")
      assert.equal("tool_calls", reply.status)
      assert.equal("Hm.", reply.reasoning)
      assert.equal(bot, bot:tool_result(reply.tool_calls[1].id, "a cat"))
      return bot, server
    end

    local function last(server)
      local list = server:requests()
      return short(list[#list].json)
    end

    it("goes back with its call", function()
      local bot, server = asked()
      assert.equal("A cat.", (bot:chat()))
      assert.equal(("user Who rings?\nthinks %s\ncalls door\ngets a cat"):format(MARK[api]),
        last(server))
    end)

    it("goes back from a copy, too", function()
      local bot, server = asked()
      local copy = bot:fork()
      assert.equal("A cat.", (copy:chat()))
      assert.truthy(last(server):find("thinks " .. MARK[api], 1, true))
    end)

    it("does not go to another service, which goes on with the call", function()
      local bot, server = asked()
      local other, there = bot_of(OTHER[api], { DIALECTS[OTHER[api]].form.answer { "It is." } },
        opts)
      bot:set_model(other:get_model(), { base_url = there.url, api = OTHER[api],
        api_key = "key" })
      local answer, err = bot:chat()
      assert.equal("It is.", answer, tostring(err))
      assert.equal("user Who rings?\ncalls door\ngets a cat", last(there))
      -- and back again
      bot:set_model(dialect.model, { base_url = server.url, api = api, api_key = "key" })
      assert.equal("A cat.", (bot:chat("Sure?")))
    end)

    it("does not go to another model of the service", function()
      local bot, server = asked()
      bot:set_model(api == "responses" and "o4-mini" or "claude-opus-4-6",
        { base_url = server.url, api = api, api_key = "key" })
      assert.equal("A cat.", (bot:chat()))
      assert.is_nil(last(server):find("thinks", 1, true))
    end)

    it("does not go behind what was edited", function()
      local bot, server = asked()
      assert.equal("A cat.", (bot:chat()))
      bot:get_messages()[2].tool_calls[1]["function"].arguments = '{"at":"roof"}'
      assert.equal("Done.", (bot:chat("And now?")))
      assert.is_nil(last(server):find("thinks", 1, true))
      assert.truthy(last(server):find("calls roof", 1, true))
    end)

    it("survives that what stands before it is gone", function()
      local bot, server = asked()
      assert.equal("A cat.", (bot:chat()))
      local list = bot:get_messages()
      list[1].content = "Who is there?"
      assert.equal("Done.", (bot:chat("And now?")))
      assert.truthy(last(server):find("user Who is there?", 1, true))
    end)

    it("survives other tools", function()
      local bot, server = asked()
      assert.equal("A cat.", (bot:chat()))
      assert.equal("Done.", (bot:chat("And now?", { tools = { { name = "smell" } } })))
      assert.truthy(last(server):find("calls door", 1, true))
    end)

    it("that was cut is nobody's", function()
      local events = dialect.form.events(THINKS[api])
      local head = support.head(200, { ["Content-Type"] = "text/event-stream" })
      for count = 2, #events - 1 do
        local bot, server = bot_of(api, { { head .. table.concat(events, "", 1, count),
          { close = true } }, dialect.form.answer { "ok" } },
          { reasoning = "low", tools = opts.tools, keep_partial = true })
        local answer, err = bot:chat("Who rings?")
        assert.is_nil(answer)
        assert.equal("truncated", err.kind)
        assert.equal("ok", (bot:chat("Well?")))
        assert.is_nil(last(server):find("thinks", 1, true))
      end
    end)
  end)
end

describe("a conversation that OpenAI stores", function()
  after_each(collect)

  it("is gone on with from the answer before, and told whole where that is not known", function()
    local form = answers.responses
    local bot, server = bot_of("responses", {
      form.answer({ THINKS.responses[1], THINKS.responses[2] }, { id = "resp_1" }),
      form.answer({ "A cat." }, { id = "resp_2" }), form.answer({ "Yes." }, { id = "resp_3" }),
      form.answer({ "Whole." }, { id = "resp_4" }),
    }, { tools = TOOLS })
    assert.equal("A cat.", (bot:chat("Who rings?", { store = true })))
    assert.equal("Yes.", (bot:chat("Sure?", { store = true })))
    bot:get_messages()[1].content = "Who is there?"
    assert.equal("Whole.", (bot:chat("And now?", { store = true })))
    local got = {}
    for i, request in ipairs(server:requests()) do
      got[i] = tostring(request.json.previous_response_id) .. ": " .. short(request.json)
    end
    assert.same({ "nil: user Who rings?", "resp_1: gets a cat", "resp_2: user Sure?" },
      { got[1], got[2], got[3] })
    assert.truthy(got[4]:find("^nil: user Who is there%?"), got[4])
  end)
end)
