local eliza = require "chatbot.offline.eliza"

-- The answers to these user messages, one conversation.
local function talk(...)
  local messages, answers = {}, {}
  for i, text in ipairs { ... } do
    messages[#messages + 1] = { role = "user", content = text }
    answers[i] = eliza.answer(messages)
    messages[#messages + 1] = { role = "assistant", content = answers[i] }
  end
  return answers
end

-- The answer to a text that is not the first of its conversation.
local function second(text)
  return talk("Hello", text)[2]
end

describe("eliza", function()
  it("says in its first answer that it is no language model, and what one needs", function()
    local answers = talk("I like trains", "I like trains")
    assert.matches("I am no language model", answers[1], 1, true)
    assert.matches("chatbot package", answers[1], 1, true)
    assert.matches("pattern rules", answers[1], 1, true)
    assert.matches("key", answers[1], 1, true)
    assert.matches("local server", answers[1], 1, true)
    assert.not_matches("language model", answers[2], 1, true)
  end)

  for _, question in ipairs {
    "Are you an AI?", "Are you A.I.?", "What model are you?", "Which model are you, really?",
    "Who are you?", "are you a real person", "ARE YOU CHATGPT?", "Are you a language model?",
    "What is your name?", "What's your name?", "Is this ChatGPT?", "are you a bot",
    "あなたはAIですか?", "あなたは誰ですか", "お名前は?", "言語モデルですか?",
  } do
    it("says so again when asked: " .. question, function()
      local answers = talk("Hello", question, question, question)
      for i = 2, 4 do
        local said = answers[i]:find("I am no language model", 1, true)
          or answers[i]:find("言語モデルではありません", 1, true)
        assert.truthy(said, answers[i])
      end
    end)
  end

  it("says it once in an answer", function()
    local _, count = talk("What are you?")[1]:gsub("no language model", "")
    assert.equal(1, count)
  end)

  local turned = {
    { "I am worried about my work", "you are worried" },
    { "I think you are afraid of me", "that I am afraid of you" },
    { "I feel that you dislike my car", "that I dislike your car" },
    { "I believe I was your friend", "you were my friend" },
    { "You are not helping me", "I am not helping you" },
    { "I need to talk with you", "talk with me" },
    { "I want to see myself", "see yourself" },
    { "I'm late for my train", "late for your train" },
    { "I don’t know you", "know me" },
  }
  for _, case in ipairs(turned) do
    it("turns the pronouns of: " .. case[1], function()
      assert.matches(case[2], second(case[1]), 1, true)
    end)
  end

  it("puts text with a per cent sign into its answer as it is", function()
    assert.matches("fly 100% of the %1 time", second("I want to fly 100% of the %1 time"), 1, true)
  end)

  it("takes its answers to one rule in turn", function()
    local answers = talk("Hello", "yes", "yes", "yes", "yes")
    assert.not_equal(answers[2], answers[3])
    assert.not_equal(answers[3], answers[4])
    assert.equal(answers[2], answers[5])
  end)

  it("comes back to an earlier remark when nothing else fits", function()
    local answers = talk("Hello", "My mother bakes bread", "zebra crossing", "zebra crossing")
    assert.matches("your mother", answers[3], 1, true)
    assert.not_matches("mother", answers[4], 1, true)
  end)

  it("comes back to earlier remarks in their order", function()
    local answers = talk("Hello", "I love jazz", "I hate rain", "zebra", "zebra")
    assert.matches("jazz", answers[4], 1, true)
    assert.matches("rain", answers[5], 1, true)
  end)

  local japanese = {
    { "こんにちは", "こんにちは" },
    { "ありがとうございます", "どういたしまして" },
    { "とても疲れました", "大変でしたね" },
    { "1たす1は?", "計算ができません" },
    { "母のことを考えています", "その方" },
    { "なぜ空は青いのですか", "どうしてだと思いますか" },
  }
  for _, case in ipairs(japanese) do
    it("answers Japanese in Japanese: " .. case[1], function()
      local answers = talk(case[1])
      assert.matches("言語モデルではありません", answers[1], 1, true)
      assert.matches(case[2], answers[1], 1, true)
      assert.not_matches("%a%a+ %a%a+ %a%a+", answers[1])
    end)
  end

  it("comes back to an earlier remark in Japanese", function()
    local answers = talk("こんにちは", "仕事が疲れました。", "赤い車")
    assert.matches("「仕事が疲れました」", answers[3], 1, true)
  end)

  it("gives the same text for the same conversation", function()
    local lines = { "Hello", "My dog is old", "こんにちは", "maybe", "blue", "green", "yes" }
    local unpack = table.unpack or unpack
    assert.same(talk(unpack(lines)), talk(unpack(lines)))
  end)

  it("leaves the messages as they are", function()
    local messages = { { role = "system", content = "s" }, { role = "user", content = " Hello " } }
    eliza.answer(messages)
    assert.same({ { role = "system", content = "s" }, { role = "user", content = " Hello " } },
      messages)
  end)

  it("is not steered by the system message", function()
    local with = eliza.answer { { role = "system", content = "My mother" },
      { role = "user", content = "Hello" } }
    assert.equal(talk("Hello")[1], with)
  end)

  it("reads the text parts of a message and does not pretend to see pictures", function()
    local text = { type = "text", text = "My mother sings" }
    local picture = { type = "image_url", image_url = { url = "data:," } }
    assert.matches("your mother", eliza.answer { { role = "user", content = { text, picture } } })
    assert.matches("cannot see", eliza.answer { { role = "user", content = { picture } } })
  end)

  local odd = {
    ["no messages"] = {},
    ["no user message"] = { { role = "assistant", content = "x" } },
    ["an empty text"] = { { role = "user", content = "" } },
    ["no content"] = { { role = "user" } },
    ["punctuation"] = { { role = "user", content = "?!... ;;" } },
    ["bytes that are no UTF-8"] = { { role = "user", content = "\255\254 my \128 x" } },
    ["a NUL byte"] = { { role = "user", content = "my a\0b" } },
    ["a long text"] = { { role = "user", content = ("my word is long "):rep(2000) } },
  }
  for name, messages in pairs(odd) do
    it("has an answer for " .. name, function()
      local answer = eliza.answer(messages)
      assert.equal("string", type(answer))
      assert.truthy(#answer > 0)
    end)
  end
end)
