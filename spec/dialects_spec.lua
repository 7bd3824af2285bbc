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
        chat.answer { { reasoning = "What about storks?" }, looks("yMeFQWLC1pHPm1Y8DjXPxWTpbdtu3pvE",
          "roof") },
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
  { "claude", "claude-sonnet-4-5", "messages", "Who barks?", "I look.A dog." },
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

  it("keeps to whom it belongs, and what all may see", function()
    local _, bot = talk(6)
    local list = bot:get_messages()
    local reasoning, cited, natives = {}, {}, {}
    for _, message in ipairs(list) do
      if message.native then
        natives[#natives + 1] = message.native.dialect .. " " .. message.native.model
      end
      if message.reasoning then reasoning[#reasoning + 1] = message.reasoning end
    end
    assert.same({ "responses gpt-5", "responses gpt-5", "messages claude-sonnet-4-5",
      "messages claude-sonnet-4-5", "responses gpt-5" }, natives)
    assert.equal("Good night.", list[#list].content)
    assert.equal(0, #cited)
    assert.equal(0, #reasoning)
  end)
end)
